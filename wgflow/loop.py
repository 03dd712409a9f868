"""The one time loop: it owns time, the index of the step, the save times and the status.

It computes all diagnostics from what the scheme shows of its state, and never prints.
"""

import dataclasses
import os
import pathlib
import time as clock
from collections.abc import Callable

import numpy as np

from wgflow import store
from wgflow.communicator import Communicator
from wgflow.device import on_host
from wgflow.errors import FileError, InputError
from wgflow.noise import check_seed
from wgflow.pace import Pace
from wgflow.problem import Problem
from wgflow.provenance import versions
from wgflow.recorder import (
    Diagnostics,
    FileRecorder,
    MemoryRecorder,
    Recorder,
    as_json,
    layout,
)
from wgflow.run import Run
from wgflow.solver import Context, Scheme, Snapshot, Solver, State, Step


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run stands; what a progress callback gets after every step.

    Attributes
    ----------
    step, steps
        Steps done, and steps in all (expected, where their length is adapted); step 0 comes
        before the kernels have been compiled.
    time, horizon
        Mean-field time reached, and the end.
    """

    step: int
    steps: int
    time: float
    horizon: float


Callback = Callable[[Progress], bool | None]
"""Called after every step; a true return value ends the run as "interrupted"."""


def solve(
    problem: Problem,
    solver: Solver,
    seed: int = 0,
    *,
    output: str | os.PathLike[str] | None = None,
    progress: Callback | None = None,
    context: Context | None = None,
    replace: bool = False,
) -> Run:
    """Solve a problem and return the run.

    Parameters
    ----------
    seed
        Fixes every bit of the result, for any number of threads.
    output
        A results file to be written as the run goes; it must not exist unless `replace`. Its
        checkpoint stands beside it. Without it, the run is kept in memory.
    progress
        Called after every step.
    context
        Where to compute.

    Raises
    ------
    InputError
        The solver cannot solve this problem, or something given is out of range; nothing is
        written then.
    FileError
        The output exists or cannot be written.

    Notes
    -----
    With several ranks in the context every one of them calls `solve` with the same arguments and
    gets the whole run; the first one writes the file, and any rank's callback may end the run.
    """
    context = context or Context()
    given = (("problem", problem, Problem), ("solver", solver, Solver))
    for name, value, kind in (*given, ("context", context, Context)):
        if not isinstance(value, kind):
            raise InputError(f"The {name} is {value!r}, but must be a {kind.__name__} object.")
    seed = check_seed(seed)
    ranks = context.communicator
    if ranks.size > 1 and not solver.spreads:
        raise InputError(
            f"The solver {solver.name} runs in one process, but {ranks.size} were started "
            "together; start one, which uses all cores."
        )
    if context.device != "cpu" and not solver.spreads:
        raise InputError(
            f"The solver {solver.name} runs on the device cpu only, not on {context.device}."
        )
    if output is not None:
        _check_output(pathlib.Path(output), replace, ranks)
    started = clock.monotonic()
    with context.held():
        scheme = solver.prepare(problem, seed, context)
        pace = Pace(problem.intervals(solver.step), solver.error_growth, scheme.shortest_step)
        loop = _Loop(problem, scheme, pace, progress, ranks)
        stop = loop.report(0, 0.0)
        state = scheme.initial()
        snapshot = scheme.observe(state)
        row = loop.diagnostics.row(snapshot, 0.0)
        dataset = layout(problem, snapshot, row, _attributes(problem, solver, seed))
        recorder: Recorder = (
            FileRecorder(output, dataset, replace)
            if output is not None and ranks.leads
            else MemoryRecorder(dataset)
        )
        try:
            recorder.record(0, row)
            status, reason = "interrupted", "Stopped on request before the first step."
            if not stop:
                status, reason = loop.march(recorder, state)
        except BaseException as error:
            # Nothing half-written: a file without a single step is removed, any other closed.
            if loop.steps_done == 0:
                recorder.discard()
            else:
                reason = f"An error ended the run: {error or type(error).__name__}"
                recorder.close(loop.final("interrupted", reason, started))
            raise
        return Run(recorder.close(loop.final(status, reason, started)), problem)


def _check_output(path: pathlib.Path, replace: bool, ranks: Communicator) -> None:
    """Raise FileError on every rank where the first one cannot write this file."""
    failure = None
    if ranks.leads:
        try:
            store.check_writable(path, replace)
        except FileError as error:
            failure = str(error)
    failure = ranks.broadcast(failure)
    if failure is not None:
        raise FileError(failure)


TOO_SHORT = (
    "the error of a step is above its tolerance, and the step cannot be halved any more; use a "
    "larger error_tolerance or a finer grid."
)


class _Loop:
    """The time loop of one run."""

    def __init__(
        self,
        problem: Problem,
        scheme: Scheme,
        pace: Pace,
        progress: Callback | None,
        ranks: Communicator,
    ) -> None:
        self.problem, self.scheme, self.pace, self.progress = problem, scheme, pace, progress
        self.ranks = ranks
        self.diagnostics = Diagnostics(problem)
        self.steps_done = self.rejected = self.evaluations = self.iterations = 0

    def report(self, done: int, time: float) -> bool:
        """Tell the callback where the run stands; return whether that of any rank asks to stop."""
        stop = False
        if self.progress is not None:
            steps = done + self.pace.left
            stop = bool(self.progress(Progress(done, steps, time, self.problem.horizon)))
        return self.ranks.largest(stop) > 0

    def checkpoint(
        self, recorder: Recorder, state: State, time: float, index: int, *, last: bool
    ) -> None:
        """Store what is needed to go on from here, gathered from all ranks, if it is time to."""
        if self.ranks.broadcast(recorder.checkpoint_is_due(last)):
            parts = self.scheme.distributed
            held = {name: on_host(array) for name, array in state.items()}
            whole = {k: self.ranks.gather(v) if k in parts else v for k, v in held.items()}
            recorder.checkpoint(whole, time, index)

    def march(self, recorder: Recorder, state: State) -> tuple[str, str]:
        """Take all steps; return the status and, for a run that stopped early, the reason."""
        pace = self.pace
        for save, interval in enumerate(pace.plan, 1):
            pace.enter(save - 1)
            while not pace.done:
                time, index = pace.time, self.steps_done
                outcome = self.scheme.advance(state, time, index, pace.step)
                self._count(outcome)
                if not self._accepted(outcome):
                    if pace.halve():
                        self.rejected += 1
                        continue
                    self.checkpoint(recorder, state, time, index, last=True)
                    status = "not_converged" if outcome.status == "ok" else outcome.status
                    return status, f"At t = {time:g}: {outcome.reason or TOO_SHORT}"
                pace.forward(outcome.error)
                self.steps_done += 1
                state, reached = outcome.state, pace.time
                stop = self.report(self.steps_done, reached)
                if pace.done:
                    snapshot: Snapshot = self.scheme.observe(state)
                    recorder.record(save, self.diagnostics.row(snapshot, interval.stop))
                    last = save == len(pace.plan)
                    self.checkpoint(recorder, state, reached, self.steps_done, last=last)
                if stop and pace.left:
                    self.checkpoint(recorder, state, reached, self.steps_done, last=True)
                    return "interrupted", f"Stopped on request at t = {reached:g}."
        return "finished", ""

    @staticmethod
    def _accepted(outcome: Step) -> bool:
        return outcome.status == "ok" and (outcome.error is None or outcome.error <= 1)

    def _count(self, outcome: Step) -> None:
        self.evaluations += outcome.evaluations
        self.iterations += outcome.iterations

    def final(self, status: str, reason: str, started: float) -> dict[str, store.Attribute]:
        """Return the attributes that are known at the end only."""
        statistics = {
            "steps": self.steps_done,
            "rejected_steps": self.rejected,
            "evaluations": self.evaluations,
            "inner_iterations": self.iterations,
            "seconds": round(clock.monotonic() - started, 3),
        }
        return {"status": status, "reason": reason, "statistics": as_json(statistics)}


def _attributes(problem: Problem, solver: Solver, seed: int) -> dict[str, store.Attribute]:
    return {
        "format": store.FORMAT,
        "case": problem.case or "",
        "parameters": as_json(dict(problem.parameters)),
        "problem": as_json(problem.describe()),
        "solver": solver.name,
        "settings": as_json(solver.settings()),
        "seed": np.uint64(seed),  # type: ignore[dict-item]
        "versions": as_json(versions()),
        "status": "running",
        "reason": "",
        "statistics": as_json({}),
    }
