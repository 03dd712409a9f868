"""Measured rates of convergence: a solver at several values of one setting, with many seeds."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from os import PathLike
from typing import Any

import numpy as np

from wgflow.convergence.fan_out import Fan, Stop
from wgflow.convergence.quantities import (
    QUANTITIES,
    Observed,
    check_quantity,
    distance,
    length,
    observe,
)
from wgflow.convergence.rates import FINEST, NOT_RUN, SUCCESSIVE, Study
from wgflow.convergence.reference import (
    Reference,
    find_reference,
    is_sampled,
    named_solver,
    words_of,
)
from wgflow.convergence.variation import SAMPLING, Variant, expected_rate, variants
from wgflow.domain import Domain
from wgflow.errors import InputError, check_count, check_number
from wgflow.loop import solve
from wgflow.noise import check_seed
from wgflow.problem import Problem
from wgflow.recipe import Recipe
from wgflow.run import Run
from wgflow.solver import Context, Solver

USUAL_SEEDS = 8

Key = tuple[str, int, int]
"""A run of the study ("run") or of its reference ("reference", "coarser"): kind, value, seed."""


@dataclasses.dataclass(frozen=True)
class StudyProgress:
    """Where a study stands: runs done, and runs in all, those of the reference included."""

    done: int
    runs: int


Callback = Callable[[StudyProgress], bool | None]
"""Called often; a true return value ends the study with the runs that are done."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One run of a study, as plain data for another process."""

    recipe: Recipe
    solver: Solver
    seed: int
    times: tuple[float, ...]
    quantity: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is kept of a run; nothing is observed of one that did not finish."""

    status: str = NOT_RUN
    reason: str = ""
    seconds: float = math.nan
    observed: Observed | None = None


def study(
    problem: Problem | Recipe | str | PathLike[str],
    solver: Solver | str,
    vary: Mapping[str, Iterable[Any]],
    *,
    seeds: int | Iterable[int] | None = None,
    reference: Solver | Run | str | PathLike[str] | None = None,
    quantity: str | None = None,
    times: Iterable[float] | None = None,
    workers: int | None = None,
    executor: Executor | str | None = None,
    progress: Callback | None = None,
) -> Study:
    """Measure how fast a solver converges as one setting is refined.

    The solver runs once for each value and seed; the slope of the error in the value, both
    logarithmic, is the rate. Runs are independent and fan out; results have the same bits for any
    number of workers.

    Parameters
    ----------
    problem
        A problem, or a case by its name or file. Problems of named cases go to other processes by
        name; functions of one's own that cannot go there make the study run here, one run after
        the other.
    solver
        A solver, or its name for the settings that the case gives it.
    vary
        One setting of the solver, or else one parameter of the case, and its values, as in
        {"count": [100, 400, 1600]}. A shape may be one number of cells for all axes.
    seeds
        How many (0, 1, ...), or which ones; by default 8 where particles are drawn, and 1 on a
        grid.
    reference
        A solver or its name; a run or a results file; or "successive" (the next finer value with
        the same seed), "finest" (the finest one) or "mean" (of the seeds at the finest value). By
        default, for particles, the JKO or finite-volume solver of the case, that of higher order,
        or for one's own problem finite volumes; where no grid can be used "mean" for count and
        width; "successive" otherwise. A solver also runs with half of its accuracy, so that its own
        error is known.
    quantity
        "prediction", "risk", "energy", "mean", "variance" or "wasserstein" (sliced in more than
        one dimension); by default the first with a network and the last without.
    times
        When errors are measured; by default at the horizon. Runs end with the last.
    workers, executor
        As in `Fan`: processes, one a core, by default; "mpi"; or an executor of one's own.
    progress
        Called often; a true return value ends the study.

    Raises
    ------
    InputError
        A setting that is unknown, out of range or does not fit the problem; a reference that did
        not finish; or tasks that cannot be sent to the workers asked for.
    """
    fan = Fan(workers, executor)
    recipe = Recipe.of(problem)
    solver = named_solver(solver, recipe)
    moments = _times(times, recipe.problem())
    recipe = dataclasses.replace(recipe, horizon=moments[-1])
    base = recipe.problem(moments)
    name, points = variants(recipe, solver, vary, moments)
    sampled = is_sampled(points[0].solver, points[0].recipe.problem(moments))
    numbers = _seeds(seeds, sampled)
    quantity = check_quantity(quantity, base, particles=sampled)
    expected = [expected_rate(name, point, moments) for point in points][-1]
    yardstick = find_reference(reference, recipe, base, name, points[-1].solver)

    if yardstick.words in (SUCCESSIVE, FINEST) and len(points) < 3:
        raise InputError(
            f"Errors against {yardstick.words} need at least three values of '{name}', but "
            f"{len(points)} were given; give one more, or another reference."
        )
    if quantity == "prediction" and yardstick.solver is None:
        _check_inputs(name, [base, *(point.recipe.problem(moments) for point in points)])
    # What a run lacks is found before there are runs to be lost.
    held = None if yardstick.run is None else observe(quantity, yardstick.run, moments)
    plan = _Plan(name, points, numbers, yardstick, moments, quantity)
    tasks = plan.tasks()
    tell = progress or (lambda _: None)
    found = fan.run(
        measure, list(tasks.values()), lambda done: tell(StudyProgress(done, len(tasks)))
    )
    outcomes = {key: out or Outcome() for key, out in zip(tasks, found, strict=True)}
    runs = [[outcomes["run", v, s] for s in range(len(numbers))] for v in range(len(points))]
    errors = _Errors(plan, outcomes, base.domain, held)
    case = base.case or "own problem"
    return Study(
        label=f"{case} by {words_of(points[0].solver, without=name)}",
        solver=solver.name,
        settings={key: held for key, held in solver.settings().items() if key != name},
        reference=yardstick.words,
        quantity=QUANTITIES[quantity].words,
        setting=name,
        value=np.array([point.size for point in points]),
        seeds=numbers,
        time=np.array(moments),
        error=errors.error,
        mean_error=errors.mean_error,
        status=np.array([[run.status for run in row] for row in runs]),
        reason=np.array([[run.reason for run in row] for row in runs]),
        seconds=np.array([[run.seconds for run in row] for row in runs]),
        reference_error=errors.reference_error(expected),
        expected=expected,
    )


def measure(task: Task, stop: Stop, threads: int | None) -> Outcome:
    """Make one run and return what a study keeps of it."""
    problem = task.recipe.problem(task.times)
    run = solve(
        problem,
        task.solver,
        task.seed,
        progress=lambda _: stop(),
        context=Context(threads=threads),
    )
    finished = run.status == "finished"
    observed = observe(task.quantity, run, task.times) if finished else None
    return Outcome(run.status, run.reason, float(run.statistics["seconds"]), observed)


def _check_inputs(name: str, problems: Iterable[Problem]) -> None:
    """Raise InputError unless the networks of all problems predict at the same inputs."""
    inputs = [problem.risk.data.x for problem in problems if problem.risk is not None]
    if any(not np.array_equal(x, inputs[0]) for x in inputs):
        raise InputError(
            f"The parameter '{name}' changes the inputs of the data, so that predictions have no "
            "common reference; give a solver as reference, or another quantity."
        )


def _times(given: Iterable[float] | None, problem: Problem) -> tuple[float, ...]:
    if given is None:
        return (problem.horizon,)
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise InputError(f"The times are {given!r}, but must be a sequence of times.")
    times = [check_number("A time", time, above=0) for time in given]
    if not times or any(b <= a for a, b in itertools.pairwise(times)):
        raise InputError(f"The times {times} must increase, and there must be at least one.")
    return tuple(times)


def _seeds(given: int | Iterable[int] | None, sampled: bool) -> tuple[int, ...]:
    if given is None:
        given = USUAL_SEEDS if sampled else 1
    if not isinstance(given, Iterable) or isinstance(given, str):
        return tuple(range(check_count("The number of seeds", given)))
    seeds = tuple(check_seed(seed) for seed in given)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"The seeds {seeds} must be different, and there must be at least one.")
    return seeds


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The runs of a study."""

    name: str
    points: list[Variant]
    seeds: tuple[int, ...]
    reference: Reference
    times: tuple[float, ...]
    quantity: str

    def tasks(self) -> dict[Key, Task]:
        """Return all runs, the longest first, so that no worker is left with one at the end."""
        made: dict[Key, Task] = {}
        for v in reversed(range(len(self.points))):
            for s, seed in enumerate(self.seeds):
                for kind, solver in self._solvers(v):
                    key = ("run", v, s) if kind == "run" else self.reference_key(kind, v, s)
                    task = Task(self.points[v].recipe, solver, seed, self.times, self.quantity)
                    made.setdefault(key, task)
        return made

    def _solvers(self, v: int) -> list[tuple[str, Solver]]:
        pairs = (("reference", self.reference.solver), ("coarser", self.reference.coarser))
        found = [(kind, solver) for kind, solver in pairs if solver is not None]
        return [*found, ("run", self.points[v].solver)]

    def reference_key(self, kind: str, v: int, s: int) -> Key:
        """Return the one run of the reference that counts for this value and seed."""
        problems_differ = self.points[v].recipe is not self.points[0].recipe
        return kind, v if problems_differ else 0, s if self.reference.sampled else 0


class _Errors:
    """The errors of all runs of a study.

    Attributes
    ----------
    error
        Shape (V, S, T).
    mean_error
        Shape (V, T).
    """

    def __init__(
        self,
        plan: _Plan,
        outcomes: Mapping[Key, Outcome],
        domain: Domain,
        held: Observed | None,
    ) -> None:
        self.plan, self.outcomes, self.domain = plan, outcomes, domain
        values, seeds, times = len(plan.points), len(plan.seeds), len(plan.times)
        self._held = held
        self._mean = self._mean_at_finest() if plan.reference.own == "mean" else None
        self.error = np.full((values, seeds, times), np.nan)
        self.mean_error = np.full((values, times), np.nan)
        for v in range(values):
            differences: list[np.ndarray] = []
            for s in range(seeds):
                one, other = outcomes["run", v, s].observed, self._reference(v, s)
                if one is None or other is None:
                    continue
                self.error[v, s] = distance(plan.quantity, one, other, domain)
                if not isinstance(one, list) and not isinstance(other, list):
                    differences.append(one - other)
            if len(differences) == seeds:
                self.mean_error[v] = length(plan.quantity, np.mean(differences, axis=0))

    def _reference(self, v: int, s: int) -> Observed | None:
        own, last = self.plan.reference.own, len(self.plan.points) - 1
        if own is None and self.plan.reference.solver is None:
            return self._held
        if own is None:
            outcome = self.outcomes[self.plan.reference_key("reference", v, s)]
            if outcome.status not in ("finished", "interrupted", NOT_RUN):
                raise InputError(
                    f"The reference, {self.plan.reference.words}, did not finish: {outcome.reason}"
                )
            return outcome.observed
        if v == last:
            return None
        if own == "mean":
            return self._mean
        return self.outcomes["run", v + 1 if own == "successive" else last, s].observed

    def _finest(self) -> list[Observed]:
        last, seeds = len(self.plan.points) - 1, len(self.plan.seeds)
        found = [self.outcomes["run", last, s].observed for s in range(seeds)]
        return [observed for observed in found if observed is not None]

    def _mean_at_finest(self) -> np.ndarray | None:
        found = self._finest()
        arrays = [one for one in found if isinstance(one, np.ndarray)]
        return np.mean(arrays, axis=0) if len(arrays) == len(self.plan.seeds) else None

    def reference_error(self, rate: float | None) -> np.ndarray:
        """Return an estimate of the error of the reference, shape (T,); NaN without one."""
        unknown = np.full(len(self.plan.times), np.nan)
        reference, name = self.plan.reference, self.plan.quantity
        if reference.own == "finest":
            # Richardson: e(h) = C h^p gives e(h') from e(h) - e(h'), at the two finest values.
            if rate is None or self.plan.name in SAMPLING:
                return unknown
            sizes = [point.size for point in self.plan.points[-2:]]
            factor = abs((sizes[0] / sizes[1]) ** rate - 1)
            return np.sqrt((self.error[-2] ** 2).mean(axis=0)) / factor
        if self._mean is not None:
            seeds = len(self.plan.seeds)
            parts = [distance(name, one, self._mean, self.domain) for one in self._finest()]
            return np.sqrt((np.square(parts)).mean(axis=0) / max(seeds - 1, 1))
        if reference.coarser is None:
            return unknown
        found = []
        for key, outcome in self.outcomes.items():
            one = self.outcomes[("reference", *key[1:])].observed if key[0] == "coarser" else None
            if one is not None and outcome.observed is not None:
                found.append(distance(name, one, outcome.observed, self.domain))
        return reference.factor * np.max(found, axis=0) if found else unknown
