"""A small dataset that tests of the results file share."""

import numpy as np

from wgflow.store import FORMAT, Dataset, Variable

SEED = 2**64 - 1


def dataset(**more: Variable) -> Dataset:
    """A file of three saves, as a run of a small network lays it out."""
    random = np.random.default_rng(0)
    return Dataset(
        {
            "time": Variable(("time",), np.array([0.0, 0.1, 0.3]), "mean-field time", "s"),
            "recorded": Variable(("time",), np.zeros(3, dtype=np.int8), "1 once complete"),
            "risk": Variable(("time",), np.full(3, np.nan), "risk R"),
            "x": Variable(("sample", "input"), random.random((4, 2)), "inputs"),
            "coordinate": Variable(("coordinate",), np.array(["a", "φ"]), "names"),
            "position": Variable(
                ("time", "particle", "coordinate"), np.full((3, 5, 2), np.nan), "positions"
            ),
            **more,
        },
        {"format": FORMAT, "status": "running", "seed": np.uint64(SEED), "rate": 0.1, "case": "ü"},
    )


BAD = Variable(("other",), np.array([{}, 1], dtype=object), "cannot be stored")


def same(first: Dataset, second: Dataset) -> bool:
    assert first.attributes == second.attributes
    assert first.variables.keys() == second.variables.keys()
    for name, one in first.variables.items():
        other = second.variables[name]
        for part in ("dims", "long_name", "units"):
            assert getattr(one, part) == getattr(other, part)
        assert one.data.shape == other.data.shape
        assert np.array_equal(one.data, other.data, equal_nan=one.data.dtype.kind == "f")
    return True
