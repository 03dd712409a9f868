"""Going on with a run from its results file and its checkpoint, to the bits of one never stopped.

The case of a run is found by its name and made again from the parameters and the data in the file;
what cannot be made from plain data (functions, a case file) has to be given again, and is held
against the file. Nothing in a file is executed.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wgflow import store
from wgflow.case import case_from_file
from wgflow.diagnostics import Row
from wgflow.errors import FileError, InputError, check_number
from wgflow.loop import COUNTS, Callback, Start, claimed, march
from wgflow.pace import Pace
from wgflow.problem import Problem
from wgflow.recorder import (
    CHECKPOINT_SECONDS,
    IDENTITY,
    FileRecorder,
    Held,
    MemoryRecorder,
    Recorder,
    as_json,
    checkpoint_path,
    fingerprint,
)
from wgflow.results import rebuilt
from wgflow.run import Run, read_run
from wgflow.solver import Context, Solver, State
from wgflow.solvers import solver_type
from wgflow.store import Dataset

STANDING = (
    *("save", "place", "count", "start", "stop", "level", "last_step", "time", "seconds", "rows"),
    *COUNTS,
)
"""The numbers of a checkpoint, all >= 0."""
LARGEST, FINEST = 2.0**53, 64
"""Of these numbers, and how often a step can have been halved."""
SAME = 1e-9
"""Relative difference up to which the energies at time 0 of two problems are those of one."""


def resume(
    path: str | os.PathLike[str],
    until: float | None = None,
    *,
    problem: Problem | str | os.PathLike[str] | None = None,
    solver: Solver | None = None,
    progress: Callback | None = None,
    context: Context | None = None,
    checkpoint_every: float = CHECKPOINT_SECONDS,
) -> Run:
    """Go on with a run that was stopped or killed, and return the whole run.

    It ends with the bits of a run that was never stopped. Without a checkpoint it begins again at
    time 0. Rows after the checkpoint are computed and written again, to the same bits.

    Parameters
    ----------
    path
        The results file; the checkpoint stands beside it.
    until
        A new horizon; one beyond the old one extends a run, also one that is finished, at the last
        spacing of its save times.
    problem
        The problem, where the file does not name a case: as it was given to `solve`, or the path
        of the case file. Its horizon and save times are those of the file.
    solver
        The solver, where it is none of wgflow.
    progress, context, checkpoint_every
        As in `solve`.

    Raises
    ------
    InputError
        The run has nothing left to do or has failed, or the problem or the solver given is not
        that of the file; the message names the difference.
    FileError
        The file or its checkpoint cannot be read, or is being written by another run.
    """
    context = context or Context()
    if not isinstance(context, Context):
        raise InputError(f"The context is {context!r}, but must be a Context object.")
    if not isinstance(problem, Problem | str | os.PathLike | None):
        raise InputError(
            f"The problem is {problem!r}, but must be a Problem, or the path of a case file."
        )
    every = check_number("The seconds between checkpoints", checkpoint_every, least=0)
    path = store.resolved(path)
    store.check_readable(path)
    with claimed(path, context.communicator, replace=True):
        if path.stat().st_nlink > 1:
            raise FileError(
                f"The file '{path}' has several names (hard links), under which others may write "
                "it; go on with a copy."
            )
        held = read_run(path)
        start, stored = _start(path, held, until, problem, solver, context)
        context.communicator.largest(0)  # all have read what the first will write

        def record(dataset: Dataset, row: Row) -> Recorder:
            _check_beginning(path, held, dataset, row)
            if not context.communicator.leads:
                return MemoryRecorder(dataset, stored)
            return FileRecorder(path, dataset, every, held=stored)

        return march(start, progress, record)


def standing(path: str | os.PathLike[str]) -> float:
    """Return the time from which `resume` would go on; 0 where there is no checkpoint."""
    path = store.resolved(path)
    store.check_readable(path)
    place = checkpoint_path(path)
    time = store.read_checkpoint(place)[1].get("time") if place.exists() else 0.0
    return float(time) if isinstance(time, int | float) else 0.0


def _start(
    path: pathlib.Path,
    held: Run,
    until: float | None,
    problem: Problem | str | os.PathLike[str] | None,
    solver: Solver | None,
    context: Context,
) -> tuple[Start, Held]:
    """Return what a run goes on from, and what is stored of it, or raise InputError."""
    if held.status in ("diverged", "not_converged"):
        raise InputError(
            f"The run in '{path}' has {'diverged' if held.status == 'diverged' else 'failed'} "
            f"({held.reason.rstrip('.')}) and would do so again; run it anew with other settings."
        )
    full = _problem(path, held, problem)
    full = _extended(path, held, full, until)
    settled = _solver(path, held, solver)
    start = Start(full, settled, held.provenance["seed"], context, held.saved)
    state, place = _checkpoint(path, held)
    if not place:
        # Whatever the file holds beyond may not have reached the disk before a machine stopped.
        return start, Held(held.dataset, 1)
    plan = Pace(full.intervals(settled.step), settled.error_growth)
    if not plan.fits(place):
        if until is None:
            raise _damaged(checkpoint_path(path), "place")
        raise InputError(
            f"The run in '{path}' stands at t = {place['time']:g}, between the saves at "
            f"{place['start']:g} and {place['stop']:g}, and cannot end at {until:g}; choose a time "
            f"--until of {place['stop']:g} or later."
        )
    stored = Held(held.dataset, int(place["rows"]))
    return dataclasses.replace(start, state=state, standing=place), stored


def _problem(
    path: pathlib.Path, held: Run, given: Problem | str | os.PathLike[str] | None
) -> Problem:
    """Return the problem of a run, made from its case or given."""
    if isinstance(given, Problem):
        times = held.dataset.variables["time"].data.tolist()
        made = dataclasses.replace(given, horizon=times[-1], save_times=times)
    elif given is not None:
        made = rebuilt(held, case_from_file(pathlib.Path(given)))
    elif held.case is None:
        raise InputError(
            f"The run in '{path}' is of a problem of one's own, whose functions no file holds; go "
            "on from Python with wgflow.resume(path, problem=...)."
        )
    elif held.case.endswith(".py"):
        raise InputError(
            f"The run in '{path}' is of the case file '{held.case}', which is run only when it is "
            f"named: add --case {held.case} (problem='{held.case}' in Python)."
        )
    else:
        made = rebuilt(held)
    described = {
        "case": held.case or "",
        "parameters": held.provenance["parameters"],
        "problem": held.provenance["problem"],
    }
    now = {
        "case": made.case or "",
        "parameters": json.loads(as_json(dict(made.parameters))),
        "problem": json.loads(as_json(made.describe())),
    }
    _check_same(path, described, now)
    return made


def _solver(path: pathlib.Path, held: Run, given: Solver | None) -> Solver:
    """Return the solver of a run, made from its settings or given."""
    settings = held.provenance["settings"]
    if given is not None:
        if not isinstance(given, Solver):
            raise InputError(f"The solver is {given!r}, but must be a Solver object.")
        now = {"solver": given.name, "settings": json.loads(as_json(given.settings()))}
        _check_same(path, {"solver": held.solver, "settings": settings}, now)
        return given
    kind: Callable[..., Solver] = solver_type(held.solver)
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    except TypeError as error:
        raise InputError(
            f"The settings of the solver {held.solver} in '{path}' are not those of this version "
            f"({error}); go on with the version that wrote the file."
        ) from error


def _check_same(path: pathlib.Path, held: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError that names the first thing in which two descriptions differ."""
    for name, value in held.items():
        place, one, other = _difference(name, value, now[name])
        if place:
            raise InputError(
                f"The run in '{path}' cannot go on: its {place} is {_short(one)} in the file, but "
                f"{_short(other)} here; give what it was made with, or run it anew."
            )


def _difference(name: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """Return where two plain values differ first, and the values there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys((*one, *other)):
            found = _difference(f"{name} {key}", one.get(key), other.get(key))
            if found[0]:
                return found
        return "", None, None
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (first, second) in enumerate(zip(one, other, strict=True), 1):
            label = first.get("name", number) if isinstance(first, Mapping) else number
            found = _difference(f"{name} {label}", first, second)
            if found[0]:
                return found
        return "", None, None
    both_nan = all(isinstance(v, float) and math.isnan(v) for v in (one, other))
    same = one == other or both_nan
    return ("", None, None) if same else (name, one, other)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _extended(path: pathlib.Path, held: Run, problem: Problem, until: float | None) -> Problem:
    """Return the problem with the new horizon, if there is anything left to do."""
    reached = float(held.time[-1]) if len(held.time) else 0.0
    if until is None:
        if held.status == "finished":
            raise InputError(
                f"The run in '{path}' is finished at t = {reached:g}; give a later time --until to "
                "extend it."
            )
        return problem
    until = check_number("The time --until", until, above=0)
    if abs(until - problem.horizon) <= 1e-12 * problem.horizon:
        until = problem.horizon
    if until < reached or (until == reached and held.status == "finished"):
        raise InputError(
            f"The run in '{path}' has reached t = {reached:g} already, but shall end at {until:g}; "
            "choose a later time --until."
        )
    return problem if until == problem.horizon else problem.until(until)


def _checkpoint(path: pathlib.Path, held: Run) -> tuple[State | None, dict[str, float]]:
    """Return the state of the checkpoint and where it stands; nothing if there is none to use."""
    place = checkpoint_path(path)
    if not place.exists():
        return None, {}
    state, attributes = store.read_checkpoint(place)
    for name in IDENTITY:
        one, other = held.dataset.attributes.get(name), attributes.get(name)
        if name == "problem":
            one, other = _timeless(one), _timeless(other)
        if one != other:
            raise FileError(
                f"The checkpoint '{place}' belongs to another run: its {name} is not that of "
                f"'{path}'; remove it, and the run begins again at time 0."
            )
    numbers = {name: _number(place, name, attributes.get(name)) for name in STANDING}
    if not (numbers["last_step"] > 0 and numbers["level"] <= FINEST):
        raise _damaged(place, "last step")
    if numbers["place"] > numbers["count"] * 2 ** numbers["level"]:
        raise _damaged(place, "place")
    # After a crash of the machine the rows may be older than the checkpoint.
    recorded = held.dataset.variables["recorded"].data
    rows = int(numbers["rows"])
    if not 1 <= rows <= len(recorded):
        raise _damaged(place, "number of rows")
    if not (recorded[:rows] == 1).all():
        return None, {}
    if attributes.get("fingerprint") != fingerprint(Held(held.dataset, rows)):
        raise FileError(
            f"The checkpoint '{place}' belongs to another run: the data or the rows of '{path}' "
            "are not those that it was made after; remove it, and the run begins again at time 0."
        )
    return state, numbers


def _number(place: pathlib.Path, name: str, value: object) -> float:
    """Return a number of a checkpoint, or raise FileError if it is none."""
    if not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise _damaged(place, name)
    return float(value)


def _damaged(place: pathlib.Path, name: str) -> FileError:
    return FileError(
        f"The checkpoint '{place}' is damaged: its {name} is none of a run; remove it, and the run "
        "begins again at time 0."
    )


def _timeless(description: Any) -> Any:
    """Return a description of a problem without its horizon, which may change."""
    try:
        held = json.loads(str(description))
    except (ValueError, RecursionError):
        return description
    if not isinstance(held, dict):
        return description
    return {k: v for k, v in held.items() if k != "horizon"}


def _check_beginning(path: pathlib.Path, held: Run, dataset: Dataset, row: Row) -> None:
    """Raise InputError if the data and the row of time 0 are not those that the file holds.

    Functions are not compared, only what they do at time 0: a case that has changed, other data,
    or a potential that is not the one given before shows here.
    """
    variables = held.dataset.variables
    if set(variables) != set(dataset.variables):
        names = sorted(set(variables) ^ set(dataset.variables))
        raise FileError(
            f"The run in '{path}' cannot go on: its variables are not those of this version "
            f"({', '.join(names)}); go on with the version that wrote it."
        )
    for name in ("x", "y", "weight"):
        if name in dataset.variables:
            one, other = (each.variables[name].data for each in (held.dataset, dataset))
            if not np.array_equal(one, other):
                raise InputError(
                    f"The run in '{path}' cannot go on: the data {name} in the file are not those "
                    "of the problem here; give what it was made with."
                )
    if variables["recorded"].data[0] != 1:
        return
    for name, value in row.items():
        if name not in variables or "time" not in variables[name].dims:
            continue
        before, now = variables[name].data[0], np.asarray(value, dtype=float)
        # An array of the size of its largest entry: small ones are sums that may cancel.
        size = float(np.abs(now[np.isfinite(now)]).max(initial=0.0))
        if not np.allclose(before, now, rtol=SAME, atol=SAME * max(1.0, size), equal_nan=True):
            shown = "not that of"
            if now.ndim == 0:
                shown = f"{float(before):.12g} in the file, but {float(now):.12g} for"
            raise InputError(
                f"The run in '{path}' cannot go on: its {name} at time 0 is {shown} the problem "
                "here; give what it was made with."
            )
