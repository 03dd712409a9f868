"""Runs of one problem side by side: risk at matched times, and how far apart the laws are."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from wgflow.domain import Domain
from wgflow.errors import InputError
from wgflow.run import Run
from wgflow.transport import marginal_wasserstein, wasserstein

SHOWN = (
    *("method", "time_order", "formula", "regularisation"),
    *("count", "width", "shape", "step", "error_tolerance", "courant", "batch", "momentum"),
    *("precision", "noise", "fresh"),
)
"""Settings that tell runs apart, in the order in which they are shown."""
USUAL = {
    "time_order": 1,
    "formula": "extrapolation",
    "regularisation": 2.0,
    "momentum": 0.0,
    "precision": "double",
    "noise": True,
    "fresh": False,
}
"""Settings that are not shown at these values."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs at the save times that all of them share; `str` of it is the table.

    Attributes
    ----------
    runs
        The runs, R of them.
    reference
        Index of the run the others are compared with: the first on a grid, or else the first.
    time
        The common save times, shape (times,).
    rows
        For each run, the index of its save at each common time, shape (R, times).
    risk
        Shape (R, times).
    prediction_distance
        Root mean square of the difference of the predictions at the last common time, (R,).
    distance
        At the last common time, by name: the Wasserstein distance of the laws (sliced in more
        than one dimension) and of each marginal, shape (R,) each.
    """

    runs: tuple[Run, ...]
    reference: int
    time: np.ndarray
    rows: np.ndarray
    risk: np.ndarray
    prediction_distance: np.ndarray
    distance: dict[str, np.ndarray]

    def __str__(self) -> str:
        return "\n".join(_table(self))


def compare(*runs: Run) -> Comparison:
    """Return a comparison of two or more runs of one problem.

    Raises
    ------
    InputError
        Fewer than two runs, laws on other axes, or no save time in common.
    """
    if len(runs) < 2:
        raise InputError(f"A comparison needs at least two runs, but {len(runs)} was given.")
    for run in runs:
        if not isinstance(run, Run):
            raise InputError(
                f"A comparison is made of Run objects, not of {run!r}; wgflow.load reads a file."
            )
    on_grid = [k for k, run in enumerate(runs) if run.on_grid]
    reference = on_grid[0] if on_grid else 0
    base = runs[reference]
    for run in runs:
        if [axis["name"] for axis in run.axes] != [axis["name"] for axis in base.axes]:
            raise InputError(
                f"The runs {run!r} and {base!r} have laws on different axes and cannot be "
                "compared; choose runs of one case."
            )
    rows = _matched(runs)
    time = base.time[rows[reference]]
    risk = np.array([run.risk[index] for run, index in zip(runs, rows, strict=True)])
    last = [run.measure(int(index[-1])) for run, index in zip(runs, rows, strict=True)]
    domain = Domain.from_description(base.axes)
    joint = "W2" if domain.dimension == 1 else "sliced W2"
    distance = {joint: np.array([wasserstein(law, last[reference], domain=domain) for law in last])}
    if domain.dimension > 1:
        for axis, name in enumerate(domain.names):
            distance[f"W2 of {name}"] = np.array(
                [marginal_wasserstein(law, last[reference], axis, domain=domain) for law in last]
            )
    apart = np.array(
        [
            _prediction_distance(run, base, index[-1], rows[reference][-1])
            for run, index in zip(runs, rows, strict=True)
        ]
    )
    return Comparison(tuple(runs), reference, time, rows, risk, apart, distance)


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its solver, and where that is not enough, what sets it apart."""
    names = []
    for run in runs:
        own = run.provenance["settings"]
        alike = [other.provenance["settings"] for other in runs if other.solver == run.solver]
        apart = [k for k in SHOWN if any(other.get(k) != own.get(k) for other in alike)]
        names.append(" ".join([run.solver, *_shown(own, apart)]))
    repeated = {name for name in names if names.count(name) > 1}
    return [
        f"{name} #{names[: k + 1].count(name)}" if name in repeated else name
        for k, name in enumerate(names)
    ]


def _matched(runs: Sequence[Run]) -> np.ndarray:
    """Return the rows of each run at the times that all share, shape (R, times)."""
    common = []
    for time in runs[0].time:
        rows = []
        for run in runs:
            near = np.flatnonzero(np.abs(run.time - time) <= 1e-9 * max(1.0, abs(time)))
            rows.extend(near[:1].tolist())
        if len(rows) == len(runs):
            common.append(rows)
    if not common:
        raise InputError(
            "The runs have no save time in common; run them with the same --save-every and --until."
        )
    return np.array(common).T


def _prediction_distance(run: Run, base: Run, row: int, base_row: int) -> float:
    if run.prediction is None or base.prediction is None or run.x is None or base.x is None:
        return float("nan")
    one, other = run.prediction[row], base.prediction[base_row]
    if one.shape != other.shape or not np.array_equal(run.x, base.x):
        return float("nan")
    return float(np.sqrt(((one - other) ** 2).sum(axis=1).mean()))


def _table(comparison: Comparison) -> list[str]:
    runs, base = comparison.runs, comparison.reference
    names = run_names(runs)
    rows: list[list[str]] = [
        ["", *names],
        ["case", *[run.case or "own problem" for run in runs]],
        ["settings", *[_settings(run) for run in runs]],
        ["status", *[run.status for run in runs]],
        ["seconds", *[f"{run.statistics.get('seconds', np.nan):.1f}" for run in runs]],
    ]
    if np.isfinite(comparison.risk).any():
        for column, time in enumerate(comparison.time):
            risk = comparison.risk[:, column]
            rows.append([f"risk at t = {time:g}", *_relative(risk, base)])
    last = comparison.rows[:, -1]
    pairs = list(zip(runs, last, strict=True))
    for name in runs[base].energy:
        title = "free energy" if name == "total" else f"  {name} term"
        values = [run.energy[name][row] if name in run.energy else np.nan for run, row in pairs]
        rows.append([title, *[_number(value) for value in values]])
    minimum = runs[base].minimum[last[base]]
    if np.isfinite(minimum):
        above = [run.energy["total"][row] - minimum for run, row in pairs]
        rows.append([f"F - F*, F* = {minimum:.5f}", *[_number(value) for value in above]])
    rows.append(["gap >= F - F*", *[_number(run.gap[row]) for run, row in pairs]])
    rows.append(["1 - mass", *[f"{1 - run.mass[row]:.0e}" for run, row in pairs]])
    if np.isfinite(comparison.prediction_distance).any():
        rows.append(["RMS of f - f_ref", *_distances(comparison.prediction_distance, base)])
    for name, distance in comparison.distance.items():
        rows.append([f"{name} to ref", *_distances(distance, base)])
    lines = _aligned(rows)
    lines.insert(1, "-" * len(lines[0]))
    lines.append(
        f"Percentages and distances are relative to ref = {names[base]}; what stands "
        f"below the risks is at t = {comparison.time[-1]:g}; - is not defined."
    )
    lines.extend(_differences(runs, base))
    return lines


def _differences(runs: Sequence[Run], base: int) -> list[str]:
    """Return a sentence for every run that is of another problem than the reference."""
    lines: list[str] = []
    reference = runs[base].provenance
    expected = reference["parameters"]
    for name_of_run, run in zip(run_names(runs), runs, strict=True):
        found = run.provenance["parameters"]
        if _without_horizon(run.provenance["problem"]) == _without_horizon(reference["problem"]):
            continue
        other = [
            f"{name} = {found.get(name)} instead of {expected.get(name)}"
            for name in sorted({*found, *expected})
            if found.get(name) != expected.get(name)
        ]
        if run.case == runs[base].case:
            what = ", ".join(other) or "other energy, domain or schedule"
        else:
            what = f"case {run.case or 'own problem'}"
        lines.append(f"Beware: {name_of_run} solves another problem than ref ({what}).")
    return lines


def _without_horizon(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name != "horizon"}


def _settings(run: Run) -> str:
    return " ".join(_shown(run.provenance["settings"], SHOWN))


def _shown(settings: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Return the texts of settings that are given and not usual."""
    return [
        _short(name, settings[name])
        for name in names
        if settings.get(name) is not None and settings[name] != USUAL.get(name)
    ]


def _short(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "x".join(str(v) for v in value)
    if isinstance(value, str):
        return value
    before = {"time_order": "order ", "error_tolerance": "to ", "regularisation": "epsilon "}
    return f"{before.get(name, '')}{value:g}"


def _number(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:.5f}"


def _relative(values: np.ndarray, base: int) -> list[str]:
    shown = []
    for k, value in enumerate(values):
        change = f" ({(value / values[base] - 1) * 100:+.1f} %)" if k != base else ""
        shown.append(f"{value:.4f}{change}")
    return shown


def _distances(values: np.ndarray, base: int) -> list[str]:
    return ["ref" if k == base else _number(v) for k, v in enumerate(values)]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *[c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)],
            ]
        )
        for row in rows
    ]
