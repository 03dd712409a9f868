"""What is compared: the recorded numbers, predictions, distances and moments of runs."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from wgflow.comparison.laws import CHANCE, LEAST_ON_GRID, law_at, moments, pooled
from wgflow.comparison.matching import Matched
from wgflow.comparison.naming import printable
from wgflow.comparison.quantity import Quantity, over_seeds
from wgflow.domain import Circle, Domain
from wgflow.measure import Measure
from wgflow.run import Run
from wgflow.transport import marginal_wasserstein, wasserstein

ERROR_BAR = (
    "What follows +- is the standard error of the mean over n seeds: their sample standard "
    "deviation divided by sqrt(n). A single run has none."
)
Progress = Callable[[int, int], object]
"""Called with the number of times that are done and of all."""
REFERENCE = (
    "Differences, percentages and distances are relative to the reference. Where it has several "
    "seeds, they are relative to the mean of its numbers, to the mean of its predictions, and to "
    "the cloud of all its particles; each of its own seeds is part of that cloud, so that the "
    "distances of these seeds are smaller than those of seeds that are not in it."
)
POOLED = (
    "Of pooled seeds: the same distance for the mean of the laws of all seeds, which is the cloud "
    "of all their particles; sampling moves it less from the reference than each of them."
)
DIRECTION = (
    "A mean direction is not defined where a law has nearly none: where r, the length of the mean "
    f"of e^(2 pi i theta / L) on a circle of period L, is below {CHANCE:g} sqrt(sum of squared "
    f"masses), which is {CHANCE:g} / sqrt(m) for m equal particles and what chance alone can make, "
    f"or below {LEAST_ON_GRID:g} on a grid."
)
TERM = "This term of the free energy; an entropy is not defined for particles."


@np.errstate(over="ignore", invalid="ignore")
def recorded(matched: Matched, index: Sequence[int]) -> dict[str, Quantity]:
    """Return what the runs have recorded, at the common times of these numbers."""
    rows = matched.rows[:, index]

    def of(values: Callable[[Run], np.ndarray | None]) -> np.ndarray:
        return np.array(
            [
                np.full(len(row), np.nan) if held is None else held[row]
                for held, row in zip(map(values, matched.runs), rows, strict=True)
            ]
        ).reshape(len(rows), len(index))

    found = {}

    def add(name: str, title: str, definition: str, values: np.ndarray, change: str = "") -> None:
        found[name] = over_seeds(title, definition, values, matched.columns, change=change)

    terms = dict.fromkeys(name for run in (matched.base, *matched.runs) for name in run.energy)
    add(
        "risk",
        "risk R",
        "The mean loss of the predictions over the data, by their weights.",
        of(lambda run: run.risk),
        "percent",
    )
    total = of(lambda run: run.energy["total"])
    add(
        "energy",
        "free energy F",
        "The sum of all terms; not defined for particles where there is an entropy.",
        total,
        "absolute",
    )
    for name in terms:
        if name != "total":
            held = of(lambda run, name=name: run.energy.get(name))  # type: ignore[misc]
            add(f"energy_{name}", f"  {printable(name)} term", TERM, held, "absolute")
    minimum = of(lambda run: run.minimum)
    add(
        "excess",
        "F - F*",
        "Free energy above F*, the minimum over all laws on the grid of the run itself.",
        total - minimum,
    )
    add(
        "minimum",
        "F*",
        "The minimum of the free energy over all laws on the grid of the run, by its dual.",
        minimum,
    )
    add(
        "gap",
        "gap >= F - F*",
        "The optimality gap, an upper bound on F - F* on the grid of the run.",
        of(lambda run: run.gap),
    )
    add(
        "dissipation",
        "dissipation",
        "-dF/dt along the exact flow from the law of the run.",
        of(lambda run: run.dissipation),
        "percent",
    )
    add("mass_lost", "1 - mass", "What the total mass lacks to one.", 1 - of(lambda run: run.mass))
    return found


@np.errstate(over="ignore", invalid="ignore")
def measured(
    matched: Matched, index: Sequence[int], progress: Progress | None = None
) -> dict[str, Quantity]:
    """Return distances and moments of the runs, at the common times of these numbers."""
    found = {"prediction_rms": _predictions(matched, index)}
    domain, columns = matched.domain, matched.columns
    shape = (len(matched.runs), len(index))
    distances = dict(_distances(domain))
    values = {name: np.full(shape, np.nan) for name in distances}
    pools = {name: np.full((len(columns), len(index)), np.nan) for name in distances}
    moment = np.full((*shape, domain.dimension, 2), np.nan)
    for place, time in enumerate(index):
        rows = matched.rows[:, time]
        laws = [law_at(run, int(row)) for run, row in zip(matched.runs, rows, strict=True)]
        together = [pooled([laws[r] for r in column]) for column in columns]
        base = together[matched.reference]
        for r, law in enumerate(laws):
            if law is not None:
                moment[r, place] = moments(law, domain)
        for name, (_, _, distance) in distances.items():
            for r, law in enumerate(laws):
                values[name][r, place] = _apart(law, base, distance)
            for c, (column, law) in enumerate(zip(columns, together, strict=True)):
                single = len(column) == 1
                alone = values[name][column[0], place]
                pools[name][c, place] = alone if single else _apart(law, base, distance)
        if progress is not None:
            progress(place + 1, len(index))
    for name, (title, definition, _) in distances.items():
        found[name] = over_seeds(title, definition, values[name], columns, pooled=pools[name])
    for axis, (name, kind) in enumerate(zip(domain.names, domain.axes, strict=True)):
        circle = kind if isinstance(kind, Circle) else None
        words = ("mean", "spread" if circle else "std")
        for k, (key, word) in enumerate(zip(("mean", "spread"), words, strict=True)):
            found[f"{key}_{name}"] = over_seeds(
                f"{word} of {name}",
                _moment_words(k, kind),
                moment[:, :, axis, k],
                columns,
                circle=circle if k == 0 else None,
            )
    return found


def _moment_words(order: int, kind: object) -> str:
    if isinstance(kind, Circle):
        if order == 0:
            return (
                "The mean direction on the circle, L phi / (2 pi), where r e^(i phi) is the mean "
                f"of e^(2 pi i theta / L) for the period L. {DIRECTION}"
            )
        return (
            "The angular deviation, L sqrt(2 (1 - r)) / (2 pi): the standard deviation for a "
            "narrow law, L / (sqrt(2) pi) for a uniform one."
        )
    what = "mean" if order == 0 else "standard deviation"
    return f"The {what} of the coordinate under the law; on a grid, of its density."


Distance = Callable[[Measure, Measure], float]


def _distances(domain: Domain) -> Iterator[tuple[str, tuple[str, str, Distance]]]:
    """Yield each distance of two laws: its name, title, definition and function."""
    exact = "the Wasserstein-2 distance to the law of the reference, exact"
    if domain.dimension == 1:
        definition = f"W2: {exact}, in the unit of the coordinate."
        yield (
            "w2",
            ("W2 to ref", definition, lambda one, other: wasserstein(one, other, domain=domain)),
        )
        return
    yield (
        "sliced_w2",
        (
            "sliced W2 to ref",
            "Sliced W2: the root of the mean over 64 fixed random directions of the squared "
            "Wasserstein-2 distance of the projections of the law and of that of the reference; "
            "never above W2 itself.",
            lambda one, other: wasserstein(one, other, domain=domain),
        ),
    )
    for axis, name in enumerate(domain.names):
        yield (
            f"w2_{name}",
            (
                f"W2 of {name} to ref",
                f"W2 of {name}: {exact}, for the marginals of this coordinate.",
                lambda one, other, axis=axis: marginal_wasserstein(  # type: ignore[misc]
                    one, other, axis, domain=domain
                ),
            ),
        )


def _apart(law: Measure | None, base: Measure | None, distance: Distance) -> float:
    if law is None or base is None:
        return math.nan
    return 0.0 if law is base else distance(law, base)


def _predictions(matched: Matched, index: Sequence[int]) -> Quantity:
    """Return the root mean square of the difference of the predictions from the reference."""
    held = [
        _prediction(run, row[index]) for run, row in zip(matched.runs, matched.rows, strict=True)
    ]
    own = [held[r] for r in matched.columns[matched.reference]]
    base = _mean(own)
    together = [_mean([held[r] for r in column]) for column in matched.columns]
    firsts = [column[0] for column in matched.columns]
    missing = np.full(len(index), np.nan)

    def rms(one: np.ndarray | None, number: int) -> np.ndarray:
        found = _rms(matched.runs[number], one, matched.base, base)
        return missing if found is None else found

    return over_seeds(
        "RMS of f - f_ref",
        "Root mean square over the data, by their weights, of the difference of the predictions "
        "from those of the reference; defined for runs on the same inputs.",
        np.array([rms(one, number) for number, one in enumerate(held)]),
        matched.columns,
        pooled=np.array([rms(one, number) for one, number in zip(together, firsts, strict=True)]),
    )


def _prediction(run: Run, rows: np.ndarray) -> np.ndarray | None:
    """Return the predictions at some saves, shape (times, n, k), or None."""
    if run.prediction is None or run.x is None:
        return None
    held = run.prediction[rows]
    return held if held.ndim == 3 and held.shape[1] == len(run.x) else None


def _mean(held: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return the mean of arrays of one shape, or None."""
    kept = [array for array in held if array is not None]
    if len(kept) < len(held) or any(array.shape != kept[0].shape for array in kept):
        return None
    return kept[0] if len(kept) == 1 else np.mean(kept, axis=0)


def _rms(
    run: Run, held: np.ndarray | None, base: Run, other: np.ndarray | None
) -> np.ndarray | None:
    """Return the weighted root mean square of held - other, shape (times,), where it is defined."""
    if held is None or other is None or held.shape != other.shape:
        return None
    if not np.array_equal(run.x, base.x):  # type: ignore[arg-type]
        return None
    square = ((held - other) ** 2).sum(axis=2)
    stored = base.dataset.variables.get("weight")
    weight = np.ones(square.shape[1]) if stored is None else stored.data
    if weight.shape != square.shape[1:] or not weight.sum() > 0:
        return None
    # Row by row, so that one time alone has the same bits as among others.
    return np.sqrt((square * (weight / weight.sum())).sum(axis=1))
