"""Which runs are compared, at which of their saves, and which of them are seeds of one another."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence

import numpy as np

from wgflow.comparison.naming import run_names
from wgflow.domain import Domain
from wgflow.errors import InputError
from wgflow.run import Run

SAME_TIME = 1e-9
"""Times that differ by no more, relative to themselves or to 1, are one."""


@dataclasses.dataclass(frozen=True, eq=False)
class Matched:
    """R runs in C columns, at the save times that all of them share.

    Attributes
    ----------
    runs
        The runs, in the order in which they were given.
    files
        What each was read from, or an empty tuple.
    columns
        For each column its runs, as numbers into `runs` by increasing seed: the seeds of one
        particle solver with one problem and one set of settings are one column, and every other
        run is one by itself.
    reference
        Number of the column that the others are compared with.
    time
        The common save times, shape (times,).
    rows
        For each run, the index of its save at each common time, shape (R, times).
    """

    runs: tuple[Run, ...]
    files: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    reference: int
    time: np.ndarray
    rows: np.ndarray

    @property
    def base(self) -> Run:
        """The first run of the reference."""
        return self.runs[self.columns[self.reference][0]]

    @functools.cached_property
    def domain(self) -> Domain:
        """The space that the laws live on."""
        return Domain.from_description(self.base.axes)

    @functools.cached_property
    def names(self) -> list[str]:
        """A name for each column."""
        return run_names([self.runs[column[0]] for column in self.columns])


def matched(runs: Sequence[Run], files: Sequence[str], reference: int | None) -> Matched:
    """Return the runs in their columns, at their common times.

    Raises
    ------
    InputError
        Fewer than two runs, laws on other axes, or no save time in common.
    """
    if len(runs) < 2:
        raise InputError(
            f"A comparison needs at least two runs, but {len(runs)} was given; name another."
        )
    for run in runs:
        if not isinstance(run, Run):
            raise InputError(
                f"A comparison is made of Run objects, not of {run!r}; wgflow.load reads a file."
            )
    if files and len(files) != len(runs):
        raise InputError(f"There are {len(files)} files for {len(runs)} runs; give one a run.")
    called = [f"'{name}'" for name in files] or [repr(run) for run in runs]
    for run, name in zip(runs, called, strict=True):
        if len(run.time) == 0:
            raise InputError(
                f"{name} holds no save yet, so that there is nothing to compare; wait for its "
                "first save or leave it out."
            )
    if reference is not None and reference not in range(len(runs)):
        raise InputError(
            f"The reference is run number {reference}, but must be one of 0 to {len(runs) - 1}."
        )
    _check_axes(runs, called)
    rows = _matched_rows(runs)
    columns = seed_columns(runs)
    if reference is None:
        reference = next((k for k, run in enumerate(runs) if run.on_grid), 0)
    base = next(k for k, column in enumerate(columns) if reference in column)
    return Matched(tuple(runs), tuple(files), columns, base, runs[0].time[rows[0]], rows)


def _check_axes(runs: Sequence[Run], called: Sequence[str]) -> None:
    spaces = [_space(run) for run in runs]
    for space, name in zip(spaces, called, strict=True):
        if space != spaces[0]:
            raise InputError(
                f"{name} has laws on the axes {', '.join(space)} and {called[0]} has them on the "
                f"different axes {', '.join(spaces[0])}, which cannot be compared; choose runs of "
                "one case."
            )


def _space(run: Run) -> list[str]:
    """Return each axis in words, as far as a distance of two laws depends on it."""
    described = []
    for axis in Domain.from_description(run.axes).describe():
        circle = axis["kind"] == "Circle"
        kind = f" on a circle of period {axis['period']:g}" if circle else ""
        described.append(f"{axis['name']}{kind}")
    return described


def seed_columns(runs: Sequence[Run]) -> tuple[tuple[int, ...], ...]:
    """Return the columns: particle runs that agree in everything but the seed share one.

    A seed that occurs again is no independent run; it goes to a further column.
    """
    places: dict[str, list[dict[int, int]]] = {}
    order: list[dict[int, int]] = []
    for number, run in enumerate(runs):
        seed = int(run.provenance["seed"])
        alike = places.setdefault(f"grid {number}" if run.on_grid else _identity(run), [])
        free = (c for c in alike if seed not in c)
        column = next((c for c in free if _same_plan(run, runs[next(iter(c.values()))])), None)
        if column is None:
            column = {}
            alike.append(column)
            order.append(column)
        column[seed] = number
    return tuple(tuple(column[seed] for seed in sorted(column)) for column in order)


def _identity(run: Run) -> str:
    """Return a text that two runs share if they differ in seed and save times only."""
    held = run.provenance
    described = {k: held[k] for k in ("case", "parameters", "problem", "solver", "settings")}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in ("x", "y", "weight"):  # the data are no part of the description
        variable = run.dataset.variables.get(name)
        if variable is not None:
            digest.update(f"{name} {variable.data.shape} {variable.data.dtype}".encode())
            digest.update(np.ascontiguousarray(variable.data).tobytes())
    return digest.hexdigest()


def _same_plan(run: Run, other: Run) -> bool:
    """Return whether two runs plan the same save times, which shape the steps.

    Those of a run that was extended may differ by rounding.
    """
    own, its = (held.dataset.variables["time"].data for held in (run, other))
    return own.shape == its.shape and bool(_same_time(own, its).all())


def _same_time(time: np.ndarray, other: np.ndarray | float) -> np.ndarray:
    return np.abs(time - other) <= SAME_TIME * np.maximum(1.0, np.abs(other))


def _matched_rows(runs: Sequence[Run]) -> np.ndarray:
    """Return the rows of each run at the times that all share, shape (R, times)."""
    common = []
    for time in runs[0].time:
        rows = []
        for run in runs:
            near = np.flatnonzero(_same_time(run.time, time))
            rows.extend(near[:1].tolist())
        if len(rows) == len(runs):
            common.append(rows)
    if not common:
        raise InputError(
            "The runs have no save time in common; run them with the same --save-every and --until."
        )
    return np.array(common).T
