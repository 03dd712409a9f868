"""A study of convergence: errors by value and seed, their slope, and how far to trust it."""

import csv
import dataclasses
import io
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgflow import store
from wgflow.comparison.export import finite, numbers

FORMAT = "wgflow-study-1"
NOT_RUN = "not run"
"""The status of a run that a request to stop left out."""
SUCCESSIVE = "the next finer value with the same seed"
FINEST = "the finest value with the same seed"
"""References that bend the line, in words."""
CLEAR = 3.0
"""An error this many times that of the reference is taken for one of the solver alone."""


@dataclasses.dataclass(frozen=True)
class Study:
    """Errors of a solver at several values of one setting; `str` of it is the table.

    A run that failed, or was not made, has the error NaN. A value with such a run counts as
    incomplete: it is shown, with what its other runs say, but has no part in the slope.

    Attributes
    ----------
    label, solver, settings
        The case and the solver, and its settings in words and as plain data.
    reference
        What the errors are measured against, in words.
    quantity
        What is compared, in words.
    setting
        The name of what is varied.
    value
        Its values, shape (V,): a step as it is after cutting save intervals into equal steps, a
        shape as the geometric mean of its cells along an axis.
    seeds
        S of them.
    time
        When errors are measured, shape (T,).
    error
        Shape (V, S, T), in the unit of the quantity; all NaN at the value that is the reference.
    mean_error
        The error of the mean over the seeds, shape (V, T): what of the error averaging does not
        remove. NaN where the quantity has no mean.
    status, reason
        How each run ended, and why if early, shape (V, S); "not run" for those left out.
    seconds
        Of each run, shape (V, S).
    reference_error
        Estimate of the error of the reference itself, shape (T,); NaN where there is none.
    expected
        The slope that theory gives, or None.
    """

    label: str
    solver: str
    settings: dict[str, Any]
    reference: str
    quantity: str
    setting: str
    value: np.ndarray
    seeds: tuple[int, ...]
    time: np.ndarray
    error: np.ndarray
    mean_error: np.ndarray
    status: np.ndarray
    reason: np.ndarray
    seconds: np.ndarray
    reference_error: np.ndarray
    expected: float | None

    @property
    def complete(self) -> np.ndarray:
        """Whether every run at a value finished and has an error, shape (V,)."""
        finished = (self.status == "finished").all(axis=1)
        return finished & np.isfinite(self.error).all(axis=(1, 2))

    @property
    def root_mean_square(self) -> np.ndarray:
        """The root of the mean over the seeds of the squared error, shape (V, T)."""
        return _root_mean_square(self.error)

    @property
    def root_mean_square_error(self) -> np.ndarray:
        """The standard error of `root_mean_square` by the jackknife over the seeds, (V, T)."""
        return _jackknife(self.error, _root_mean_square)

    @property
    def slope(self) -> np.ndarray:
        """The least-squares slope of log error in log value, shape (T,).

        NaN with fewer than two complete values, or where an error is 0.
        """
        return self._slope(self.error)

    @property
    def slope_error(self) -> np.ndarray:
        """The standard error of `slope` by the jackknife over the seeds, shape (T,)."""
        return _jackknife(self.error, self._slope)

    @property
    def mean_slope(self) -> np.ndarray:
        """The slope of `mean_error`, that of a bias where it stands out, shape (T,)."""
        return self._fitted(self.mean_error)

    def _slope(self, error: np.ndarray) -> np.ndarray:
        return self._fitted(_root_mean_square(error))

    def _fitted(self, size: np.ndarray) -> np.ndarray:
        """Return the slope of sizes (V, T)."""
        kept = self.complete
        if kept.sum() < 2:
            return np.full(len(self.time), np.nan)
        place = np.log(self.value[kept])
        place = place - place.mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = place @ np.log(size[kept]) / (place @ place)
        return np.where(np.isfinite(slope), slope, np.nan)

    @property
    def outcome(self) -> str:
        """The worst that became of a run: "finished", "interrupted" or a way to fail."""
        status = {str(how) for how in self.status.ravel()}
        if status & {NOT_RUN, "interrupted"}:
            return "interrupted"
        return next(iter(sorted(status - {"finished"})), "finished")

    def __str__(self) -> str:
        return "\n".join(_table(self))

    def to_json(self) -> str:
        """Return all of it, slopes included, as JSON; NaN becomes null."""
        held = {name: getattr(self, name) for name in _names(self)}
        derived = ["root_mean_square", "root_mean_square_error"]
        derived += ["slope", "slope_error", "mean_slope"]
        held |= {name: getattr(self, name) for name in derived}
        plain = {
            name: numbers(value) if isinstance(value, np.ndarray) else finite(value)
            for name, value in held.items()
        }
        return json.dumps({"format": FORMAT, **plain}, indent=1, allow_nan=False)

    def to_csv(self) -> str:
        """Return one line a value, seed and time, with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([self.setting, "seed", "time", "error", "status", "seconds"])
        for v, value in enumerate(self.value):
            for s, seed in enumerate(self.seeds):
                run = [self.status[v, s], f"{self.seconds[v, s]:.3f}"]
                for t, time in enumerate(self.time):
                    error = float(self.error[v, s, t])
                    writer.writerow([f"{value:g}", seed, f"{time:g}", repr(error), *run])
        return text.getvalue()

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write it to a file whose ending names the format: .json or .csv.

        Raises
        ------
        FileError
            The file exists (unless `replace`), its ending is another, or it cannot be written.
        """
        path = pathlib.Path(path)
        check_name(path, replace=replace)
        text = self.to_json() + "\n" if path.suffix.lower() == ".json" else self.to_csv()
        store.write_text(path, text, "study")


def check_name(path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Raise FileError unless a study can be written to this file."""
    store.check_ending(path, (".json", ".csv"), "study", replace=replace)


def _names(study: Study) -> list[str]:
    return [field.name for field in dataclasses.fields(study)]


def _root_mean_square(error: np.ndarray) -> np.ndarray:
    """Return the root mean square over the seeds whose runs finished: (V, S, T) -> (V, T)."""
    made = np.isfinite(error)
    count = made.sum(axis=1)
    total = np.where(made, error, 0.0) ** 2
    return np.sqrt(np.where(count > 0, total.sum(axis=1), np.nan) / np.maximum(count, 1))


def _jackknife(error: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the standard error of a function of the errors (V, S, T), leaving out one seed."""
    seeds = error.shape[1]
    if seeds < 2:
        return np.full_like(function(error), np.nan)
    without = np.array([function(np.delete(error, s, axis=1)) for s in range(seeds)])
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return np.sqrt((seeds - 1) / seeds * spread)


def _table(study: Study) -> list[str]:
    last = len(study.time) - 1
    size, spread = study.root_mean_square, study.root_mean_square_error
    times = [f"t = {time:g}" for time in study.time]
    missing = (study.status != "finished").sum(axis=1)
    sampled, has_mean = len(study.seeds) > 1, bool(np.isfinite(study.mean_error).any())
    extra = [
        *(["+-"] if sampled else []),
        *(["of the mean"] if sampled and has_mean else []),
        *(["missing"] if missing.any() else []),
        "seconds",
    ]
    rows = [[study.setting, *times, *extra]]
    for v, value in enumerate(study.value):
        seconds = study.seconds[v][np.isfinite(study.seconds[v])]
        cells = {
            "+-": _number(spread[v, last]),
            "of the mean": _number(study.mean_error[v, last]),
            "missing": str(missing[v]),
            "seconds": f"{seconds.mean():.2f}" if len(seconds) else "-",
        }
        errors = [_number(error) for error in size[v]]
        rows.append([f"{value:g}", *errors, *[cells[name] for name in extra]])
    rows.append(["slope", *_signed(study.slope)])
    if "of the mean" in extra:
        between = [""] * extra.index("of the mean")
        rows[-1] += [*between, *_signed(study.mean_slope[-1:])]
    if sampled:
        rows.append(["+-", *[_signed([error])[0].lstrip("+") for error in study.slope_error]])
    if study.expected is not None:
        rows.append(["expected", *_signed([study.expected] * len(times))])
    if np.isfinite(study.reference_error).any():
        rows.append(["reference", *[_number(error) for error in study.reference_error]])
    lines = ["".join(f"{cell:>13}" for cell in row).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    lines.insert(len(study.value) + 2, lines[1])
    return [*_title(study), "", *lines, "", *_notes(study, extra)]


def _title(study: Study) -> list[str]:
    seeds = len(study.seeds)
    over = f", root mean square over {seeds} seeds" if seeds > 1 else ""
    return [study.label, f"error: {study.quantity}{over}", f"against {study.reference}"]


def _notes(study: Study, columns: Sequence[str]) -> list[str]:
    """Return what a reader of the table must know."""
    notes = []
    if "+-" in columns:
        notes.append(f"+- is the standard error over the seeds, at t = {study.time[-1]:g}.")
    if "of the mean" in columns:
        notes.append(
            "Of the mean: the error of the mean over the seeds, near error / sqrt(seeds) for pure "
            "fluctuations and near the error itself for a bias."
        )
    if np.isfinite(study.reference_error).any():
        notes.append("Reference: an estimate of its own error, on the safe side.")
    return [*notes, *beware(study)]


def beware(study: Study) -> list[str]:
    """Return a sentence for everything that speaks against the slope."""
    notes = []
    kept = study.complete
    ratios = study.value[1:] / study.value[:-1]
    if study.reference == SUCCESSIVE and np.ptp(ratios) > 0.01 * np.abs(ratios).max():
        notes.append(
            f"Beware: the values of {study.setting} are no geometric sequence, and differences of "
            "neighbours then do not have the slope of the error; take values with one ratio."
        )
    if study.reference == FINEST:
        notes.append(
            "Beware: the finest value has an error itself, which makes the line steeper; take a "
            "reference that is finer, or successive values with one ratio."
        )
    for t, time in enumerate(study.time):
        own = study.reference_error[t]
        least = study.root_mean_square[kept, t].min(initial=np.inf)
        if least < CLEAR * own:
            notes.append(
                f"Beware: at t = {time:g} the smallest error, {least:.2g}, is within a factor "
                f"{CLEAR:g} of the reference's own, estimated at {own:.2g}, which may bend the "
                "line; take a finer reference."
            )
    for v, value in enumerate(study.value):
        bad = np.flatnonzero(study.status[v] != "finished")
        if len(bad) == 0:
            continue
        first = bad[0]
        why = study.reason[v, first]
        notes.append(
            f"Beware: at {study.setting} = {value:g}, {len(bad)} of {len(study.seeds)} runs did "
            f"not finish ({study.status[v, first]}{': ' + why.rstrip('.') if why else ''}); this "
            "value has no part in the slope."
        )
    if kept.sum() < 2:
        notes.append("Beware: fewer than two values are complete, so there is no slope.")
    return notes


def _number(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:.3g}"


def _signed(values: Sequence[float] | np.ndarray) -> list[str]:
    return ["-" if not np.isfinite(value) else f"{value:+.3f}" for value in values]
