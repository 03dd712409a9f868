"""The benchmarks compare like with like, and the page shows what they wrote."""

import importlib
import json
import pathlib
import re
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "benchmarks.rst").read_text()


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    names = ("measuring", "competitors", "run")
    found = {name: importlib.import_module(name) for name in names}
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    return found


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 3e-15), ("float32", 3e-6)])
def test_all_competitors_compute_the_same_gradients(
    scripts: dict[str, ModuleType], activation: str, precision: str, tolerance: float
) -> None:
    """Against long double, so that no pair of them can share an error."""
    rivals = scripts["competitors"]
    work = rivals.Work(activation, precision, 2, 200)
    network = rivals.Network.drawn(work)
    exact = rivals.reference(network)
    assert exact[0].dtype == np.longdouble
    for name, entrant in rivals.competitors(network, work, threads=1, keops=False).items():
        with entrant.held():
            found = entrant.run()
        assert [part.shape for part in found] == [(200,), (200, 2)], name
        assert rivals.error(found, exact) < tolerance, name
    assert rivals.error(rivals.kernel_step(network), exact) < tolerance


def test_the_gradients_are_those_of_the_half_squared_loss(scripts: dict[str, ModuleType]) -> None:
    """By differences of the loss, times m."""
    rivals = scripts["competitors"]
    network = rivals.Network.drawn(rivals.Work("tanh", "float64", 3, 7))

    def loss(outer: np.ndarray, inner: np.ndarray) -> float:
        prediction = np.tanh(network.inputs @ inner.T) @ outer / 7
        return float(((prediction - network.labels) ** 2).mean() / 2)

    d_outer, d_inner = rivals.numpy_step(network)
    along = np.random.default_rng(1).standard_normal((7, 4))
    ends = [
        loss(network.outer + h * along[:, 0], network.inner + h * along[:, 1:])
        for h in (-1e-5, 1e-5)
    ]
    slope = (d_outer @ along[:, 0] + (d_inner * along[:, 1:]).sum()) / 7
    assert (ends[1] - ends[0]) / 2e-5 == pytest.approx(slope, rel=1e-8)


def test_all_take_turns_and_the_first_turn_does_not_count(scripts: dict[str, ModuleType]) -> None:
    measuring = scripts["measuring"]
    calls: list[str] = []
    entrants = {
        name: measuring.Competitor(lambda name=name: calls.append(name)) for name in ("a", "b")
    }
    timing = measuring.interleaved(entrants, rounds=2, gap=0.0, waking=0.0)
    assert calls == ["a", "b"] * 3
    assert set(timing) == {"a", "b"}


def test_a_number_keeps_three_digits_and_a_target_its_sense(
    scripts: dict[str, ModuleType],
) -> None:
    measuring, run = scripts["measuring"], scripts["run"]
    assert [measuring.rounded(x) for x in (1234.56, 0.0012345, 4096, "a", None)] == [
        1230.0,
        0.00123,
        4096,
        "a",
        None,
    ]
    least, most = (measuring.Target("q", 2.0, 3.0, at_least=side) for side in (True, False))
    assert not least.met
    assert most.met
    assert run.sentence(run.as_record(most)) == "q: 2, at most 3"


def test_blas_is_left_to_itself_and_all_have_the_same_threads(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    held = scripts["run"].environment(3)
    assert "OPENBLAS_CORETYPE" not in held
    assert {held[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"3"}


def shown() -> set[str]:
    return set(re.findall(r"^\.\. measured:: (\w+)$", PAGE, flags=re.MULTILINE))


def test_the_page_shows_every_table_that_was_measured() -> None:
    held = json.loads((ROOT / "docs" / "tables" / "benchmarks.json").read_text())
    assert not held["quick"], "the numbers of a smoke test; run `make bench` on an idle machine"
    assert shown() == {"machine", "targets", *held["tables"]}
    for table in held["tables"].values():
        assert {len(row) for row in table["rows"]} == {len(table["header"])}


@pytest.mark.slow
def test_the_benchmarks_run(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "benchmarks.json"
    script = str(ROOT / "benchmarks" / "run.py")
    subprocess.run([sys.executable, script, "--quick", "--output", str(output)], check=True)
    held = json.loads(output.read_text())
    assert shown() == {"machine", "targets", *held["tables"]}
