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
from wgflow.loop import Callback, Start, claimed, march
from wgflow.pace import Pace
from wgflow.problem import Problem
from wgflow.recorder import (
    CHECKPOINT_SECONDS,
    IDENTITY,
    FileRecorder,
    MemoryRecorder,
    Recorder,
    as_json,
    checkpoint_path,
)
from wgflow.results import rebuilt
from wgflow.run import Run, read_run
from wgflow.solver import Context, Solver, State
from wgflow.solvers import solver_type
from wgflow.store import Dataset

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
    time 0; rows that are stored already stay as they are.

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
    every = check_number("The seconds between checkpoints", checkpoint_every, least=0)
    path = pathlib.Path(path)
    store.check_readable(path)
    with claimed(path, context.communicator, replace=True):
        held = read_run(path)
        start = _start(path, held, until, problem, solver, context)
        context.communicator.largest(0)  # all have read what the first will write

        def record(dataset: Dataset, row: Row) -> Recorder:
            _check_beginning(held, row)
            if not context.communicator.leads:
                return MemoryRecorder(dataset, held.dataset)
            recorder = FileRecorder(path, dataset, every, held.dataset)
            recorder.record(0, row)
            return recorder

        return march(start, progress, record)


def standing(path: str | os.PathLike[str]) -> float:
    """Return the time from which `resume` would go on; 0 where there is no checkpoint."""
    place = checkpoint_path(pathlib.Path(path))
    return float(store.read_checkpoint(place)[1].get("time", 0.0)) if place.exists() else 0.0


def _start(
    path: pathlib.Path,
    held: Run,
    until: float | None,
    problem: Problem | str | os.PathLike[str] | None,
    solver: Solver | None,
    context: Context,
) -> Start:
    """Return what a run goes on from, or raise InputError if it cannot."""
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
        return start
    plan = Pace(full.intervals(settled.step), settled.error_growth)
    if not plan.fits(place):
        raise InputError(
            f"The run in '{path}' stands at t = {place['time']:g}, between the saves at "
            f"{place['start']:g} and {place['stop']:g}, and cannot end at {until:g}; choose a time "
            f"--until of {place['stop']:g} or later."
        )
    return dataclasses.replace(start, state=state, standing=place)


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
    same = one == other or (isinstance(one, float) and math.isnan(one) and one is not other)
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
    numbers = {k: float(v) for k, v in attributes.items() if k not in IDENTITY}
    # After a crash of the machine the rows may be older than the checkpoint.
    recorded = held.dataset.variables["recorded"].data
    done = int(numbers["save"])
    if not (recorded[: done + 1] == 1).all():
        return None, {}
    return state, numbers


def _timeless(description: Any) -> Any:
    """Return a description of a problem without its horizon, which may change."""
    return {k: v for k, v in json.loads(str(description)).items() if k != "horizon"}


def _check_beginning(held: Run, row: Row) -> None:
    """Raise InputError if the energies at time 0 are not those that the file holds.

    Functions are not compared, only what they do: a case that has changed, other data, or a
    potential that is not the one given before shows here.
    """
    variables = held.dataset.variables
    if variables["recorded"].data[0] != 1:
        return
    for name, value in row.items():
        if not name.startswith("energy") and name != "mass":
            continue
        before = float(variables[name].data[0]) if name in variables else math.nan
        if not np.isclose(before, float(value), rtol=SAME, atol=SAME, equal_nan=True):
            raise InputError(
                f"The run cannot go on: its {name} at time 0 is {before:.12g} in the file, but "
                f"{float(value):.12g} for the problem here; give what it was made with."
            )
