"""The one time loop: it owns time, the index of the step, the save times and the status.

It computes all diagnostics from what the scheme shows of its state, and never prints.
"""

import contextlib
import dataclasses
import os
import pathlib
import time as clock
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from wgflow import store
from wgflow.communicator import Communicator
from wgflow.device import on_host
from wgflow.diagnostics import SAVES, Diagnostics, Row, layout
from wgflow.errors import FileError, InputError, check_choice, check_number
from wgflow.noise import check_seed
from wgflow.pace import Pace
from wgflow.problem import Problem
from wgflow.provenance import versions
from wgflow.recorder import CHECKPOINT_SECONDS, FileRecorder, MemoryRecorder, Recorder, as_json
from wgflow.run import Run
from wgflow.solver import Context, Scheme, Solver, State, Step
from wgflow.store import Attribute, Dataset


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
    size
        Bytes of all that the run stores; 0 before that is known.
    """

    step: int
    steps: int
    time: float
    horizon: float
    size: int = 0


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
    save: str = "all",
    checkpoint_every: float = CHECKPOINT_SECONDS,
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
        Called with a `Progress` (step, steps, time, horizon, size) before the first step and after
        every step; a true return value ends the run as "interrupted".
    context
        Where to compute.
    save
        "all" stores the law and the predictions at every save; "final" the law at the last save
        only; "summary" neither, but the numbers of every save.
    checkpoint_every
        Seconds between the checkpoints of a file, at least; 0 makes one after every step.

    Raises
    ------
    InputError
        The solver cannot solve this problem, or something given is out of range; nothing is
        written then.
    FileError
        The output exists, cannot be written, or is being written by another run.

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
    if output is not None and not isinstance(output, str | os.PathLike):
        raise InputError(f"The output is {output!r}, but must be the name of a file.")
    if progress is not None and not callable(progress):
        raise InputError(f"The progress is {progress!r}, but must be a function of a Progress.")
    place = None if output is None else store.resolved(output)
    check_choice("What to save", save, SAVES)
    every = check_number("The seconds between checkpoints", checkpoint_every, least=0)

    def record(dataset: Dataset, row: Row) -> Recorder:
        if place is None or not context.communicator.leads:
            return MemoryRecorder(dataset)
        return FileRecorder(place, dataset, every, replace=replace)

    run = Start(problem, solver, seed, context, save)
    with claimed(place, context.communicator, replace=replace):
        return march(run, progress, record)


@dataclasses.dataclass(frozen=True)
class Start:
    """What a run is made of, and where it begins.

    Attributes
    ----------
    state, standing
        Of a checkpoint from which it goes on; None at time 0.
    """

    problem: Problem
    solver: Solver
    seed: int
    context: Context
    save: str = "all"
    state: State | None = None
    standing: Mapping[str, float] = dataclasses.field(default_factory=dict)


@contextlib.contextmanager
def claimed(output: pathlib.Path | None, ranks: Communicator, *, replace: bool) -> Iterator[None]:
    """Hold the right to write a file inside a with block; every rank fails where the first does.

    Raises
    ------
    FileError
        It exists (unless `replace`), cannot be written, or another run writes it.
    """
    lock, failure = None, None
    if output is not None and ranks.leads:
        try:
            store.check_writable(output, replace)
            lock = store.Lock(output)
            store.check_writable(output, replace)
            store.check_run(output)
        except FileError as error:
            failure = str(error)
    try:
        failure = ranks.broadcast(failure)
        if failure is not None:
            raise FileError(failure)
        yield
    finally:
        if lock is not None:
            lock.release()


def march(run: Start, progress: Callback | None, record: Callable[[Dataset, Row], Recorder]) -> Run:
    """Solve a problem from where it begins and return the run.

    Parameters
    ----------
    record
        Takes the layout of the run and the row of time 0, and returns where the run goes.
    """
    problem, solver, context = run.problem, run.solver, run.context
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
    with context.held():
        scheme = solver.prepare(problem, run.seed, context)
        pace = Pace(problem.intervals(solver.step), solver.error_growth, scheme.shortest_step)
        loop = _Loop(problem, scheme, pace, progress, ranks)
        stop, _ = loop.report(0.0)
        state = scheme.initial()
        if run.state is not None:
            _check_alike(run.state, state, scheme.distributed if ranks.size > 1 else frozenset())
        snapshot = scheme.observe(state)
        row = loop.diagnostics.row(snapshot, 0.0)
        dataset = layout(problem, snapshot, row, _attributes(run), run.save)
        loop.size = dataset.bytes
        stop = loop.report(0.0)[0] or stop
        recorder = record(dataset, row)
        try:
            if run.state is None:
                recorder.record(0, row)
            else:
                state = scheme.restored(run.state)
                loop.stand(run.standing)
            status, reason = "interrupted", "Stopped on request before the first step."
            if loop.steps_done:
                reason = f"Stopped on request at t = {loop.pace.time:g}."
            if not stop:
                status, reason = loop.march(recorder, state)
        except BaseException as error:
            # Nothing half-written: a file without a single step is removed, any other closed.
            if loop.steps_done == 0:
                recorder.discard()
            else:
                reason = f"An error ended the run: {str(error) or type(error).__name__}."
                if isinstance(error, KeyboardInterrupt):
                    reason = f"Stopped at once after t = {loop.pace.time:g}."
                recorder.close(loop.final("interrupted", reason))
            raise
        return Run(recorder.close(loop.final(status, reason)), problem)


def _check_alike(held: State, expected: State, shared: frozenset[str]) -> None:
    """Raise InputError unless a state has the arrays of another; of those shared, a row is one."""

    def shapes(state: State) -> dict[str, tuple[object, ...]]:
        return {k: (v.dtype, v.ndim, v.shape[k in shared :]) for k, v in state.items()}

    broken = any(v.dtype.kind == "f" and np.isnan(v).any() for v in held.values())
    if broken or shapes(held) != shapes(expected):
        raise InputError(
            "The state in the checkpoint is not one of this solver on this problem; remove the "
            "checkpoint, and the run begins again at time 0."
        )


TOO_SHORT = (
    "the error of a step is above its tolerance, and the step cannot be halved any more; use a "
    "larger error_tolerance or a finer grid."
)
COUNTS = ("steps", "rejected_steps", "evaluations", "inner_iterations")


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
        self.counts = dict.fromkeys(COUNTS, 0)
        self.size = 0
        self._started = clock.monotonic()

    @property
    def steps_done(self) -> int:
        """Steps done, which is the index of the next one."""
        return self.counts["steps"]

    @property
    def seconds(self) -> float:
        """Seconds that the run has taken, those before its checkpoint included."""
        return round(clock.monotonic() - self._started, 3)

    def stand(self, standing: Mapping[str, float]) -> None:
        """Go to where a checkpoint was made."""
        self.pace.stand(standing)
        self.counts = {name: int(standing[name]) for name in COUNTS}
        self._started -= standing["seconds"]

    def report(self, time: float, due: bool = False) -> tuple[bool, bool]:
        """Tell the callback where the run stands.

        Returns
        -------
        Whether the callback of any rank asks to stop, and whether a checkpoint is due.
        """
        stop = False
        if self.progress is not None:
            done, horizon = self.steps_done, self.problem.horizon
            standing = Progress(done, done + self.pace.left, time, horizon, self.size)
            stop = bool(self.progress(standing))
        asked = self.ranks.largest(2 * stop + due)
        return asked >= 2, asked >= 1

    def checkpoint(self, recorder: Recorder, state: State, time: float) -> None:
        """Store what is needed to go on from here, gathered from all ranks."""
        parts = self.scheme.distributed
        held = {name: on_host(array) for name, array in state.items()}
        whole = {k: self.ranks.gather(v) if k in parts else v for k, v in held.items()}
        standing = {**self.pace.standing, **self.counts, "time": time, "seconds": self.seconds}
        recorder.checkpoint(whole, standing)

    def march(self, recorder: Recorder, state: State) -> tuple[str, str]:
        """Take all steps; return the status and, for a run that stopped early, the reason."""
        pace = self.pace
        while True:
            stop = due = False
            while not pace.done:
                time = pace.time
                outcome = self.scheme.advance(state, time, self.steps_done, pace.step)
                self.counts["evaluations"] += outcome.evaluations
                self.counts["inner_iterations"] += outcome.iterations
                if not self._accepted(outcome):
                    if pace.halve():
                        self.counts["rejected_steps"] += 1
                        continue
                    self.checkpoint(recorder, state, time)
                    status = "not_converged" if outcome.status == "ok" else outcome.status
                    return status, f"At t = {time:g}: {outcome.reason or TOO_SHORT}"
                pace.forward(outcome.error)
                self.counts["steps"] += 1
                state = outcome.state
                stop, due = self.report(pace.time, recorder.checkpoint_is_due())
                if not pace.done and (stop or due):
                    self.checkpoint(recorder, state, pace.time)
                if not pace.done and stop:
                    return "interrupted", f"Stopped on request at t = {pace.time:g}."
            if not self.ranks.broadcast(recorder.has(pace.save + 1)):
                snapshot = self.scheme.observe(state)
                row = self.diagnostics.row(snapshot, pace.time)
                recorder.record(pace.save + 1, row)
            if stop or due or pace.last:
                self.checkpoint(recorder, state, pace.time)
            if pace.last:
                return "finished", ""
            if stop:
                return "interrupted", f"Stopped on request at t = {pace.time:g}."
            pace.enter(pace.save + 1)

    @staticmethod
    def _accepted(outcome: Step) -> bool:
        return outcome.status == "ok" and (outcome.error is None or outcome.error <= 1)

    def final(self, status: str, reason: str) -> dict[str, Attribute]:
        """Return the attributes that are known at the end only."""
        statistics = {**self.counts, "seconds": self.seconds}
        return {"status": status, "reason": reason, "statistics": as_json(statistics)}


def _attributes(run: Start) -> dict[str, Attribute]:
    problem, solver = run.problem, run.solver
    return {
        "format": store.FORMAT,
        "case": problem.case or "",
        "parameters": as_json(dict(problem.parameters)),
        "problem": as_json(problem.describe()),
        "solver": solver.name,
        "settings": as_json(solver.settings()),
        "seed": np.uint64(run.seed),  # type: ignore[dict-item]
        "versions": as_json(versions()),
        "status": "running",
        "reason": "",
        "statistics": as_json({}),
    }
