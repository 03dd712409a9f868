"""What the errors of a study are measured against, and a less accurate twin that judges it."""

import dataclasses
import math
import os
from typing import Any

from wgflow.case import ALIASES, settings_of
from wgflow.comparison.problems import MOST, differences
from wgflow.convergence.rates import FINEST, SUCCESSIVE
from wgflow.convergence.variation import SAMPLING
from wgflow.errors import InputError
from wgflow.loop import solve
from wgflow.measure import GridMeasure, Measure
from wgflow.problem import Problem
from wgflow.recipe import Recipe
from wgflow.results import load
from wgflow.run import Run
from wgflow.solver import Context, Solver
from wgflow.solvers import SOLVERS, solver_type
from wgflow.solvers.finite_volume import FiniteVolume

OWN = {
    "successive": SUCCESSIVE,
    "finest": FINEST,
    "mean": "the mean over the seeds at the finest value",
}
"""References that a study takes from its own runs, in words."""
FEWEST_STEPS = 40
"""Steps of the reference for a problem without a case."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """What errors are measured against: a solver, a run, or runs of the study itself.

    Attributes
    ----------
    words
        What it is, in words.
    own
        A name in `OWN`, or None.
    solver, coarser, factor
        A solver, and the same with half the accuracy: the distance of the two times the factor
        estimates the error of the first, on the safe side. Either may be None.
    sampled
        Whether the solver draws particles, so that it runs once a seed.
    run
        A run, or None.
    """

    words: str
    own: str | None = None
    solver: Solver | None = None
    coarser: Solver | None = None
    factor: float = 1.0
    sampled: bool = False
    run: Run | None = None


def find_reference(
    given: Any, recipe: Recipe, problem: Problem, name: str, solver: Solver
) -> Reference:
    """Return the reference of a study.

    Parameters
    ----------
    given
        A solver or its name, a Run or a results file, a name in `OWN`, or None for the usual one:
        the solver of the case on a grid with the highest order, where the study's own draws
        particles.
    name, solver
        What the study varies, and its solver.

    Raises
    ------
    InputError
        It is none of these, or it cannot solve the problem.
    """
    if given is None:
        return _usual(recipe, problem, name, solver)
    if isinstance(given, str) and given in OWN:
        return Reference(OWN[given], own=given)
    if isinstance(given, Solver) or (isinstance(given, str) and given in SOLVERS):
        return _by_solver(named_solver(given, recipe), problem, name)
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        if os.sep not in path and "." not in path:
            raise InputError(
                f"The reference '{path}' is neither a solver ({', '.join(SOLVERS)}), nor "
                f"{', '.join(OWN)}, nor a results file."
            )
        return _by_run(load(path), f"the run in {path}", recipe, problem, name, solver)
    if isinstance(given, Run):
        return _by_run(given, repr(given)[1:-1], recipe, problem, name, solver)
    raise InputError(
        f"The reference is {given!r}, but must be a solver, a Run, the name of a results file, or "
        f"one of {', '.join(OWN)}."
    )


def named_solver(given: Solver | str, recipe: Recipe) -> Solver:
    """Return a solver, with the settings of the case where it is given by name.

    Raises
    ------
    InputError
        There is no such solver.
    """
    if isinstance(given, Solver):
        return given
    if not isinstance(given, str):
        raise InputError(f"The solver is {given!r}, but must be a Solver, or the name of one.")
    case = recipe.held_case()
    if case is not None:
        return case.default_solver(given)
    return solver_type(given)()  # type: ignore[call-arg]


def is_sampled(solver: Solver, problem: Problem) -> bool:
    """Return whether a solver draws particles, or raise InputError if it cannot be used."""
    return not isinstance(_start(solver, problem), GridMeasure)


def words_of(solver: Solver, *, without: str = "") -> str:
    """Return a solver and its settings, but those at their defaults and the one left out."""
    usual = {field.name: field.default for field in dataclasses.fields(solver)}
    shown = []
    for name, value in solver.settings().items():
        if name == without:
            continue
        if name == "step" or (value is not None and value != usual[name]):
            text = "x".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
            shown.append(f"{name} = {text}")
    return f"{solver.name} ({', '.join(shown)})" if shown else solver.name


def _start(solver: Solver, problem: Problem) -> Measure:
    scheme = solver.prepare(problem, 0, Context())
    return scheme.observe(scheme.initial()).measure


def _usual(recipe: Recipe, problem: Problem, name: str, solver: Solver) -> Reference:
    if is_sampled(solver, problem):
        case = recipe.held_case()
        held = {} if case is None else case.solvers
        choices = [held[kind] for kind in ("jko", "finite-volume") if kind in held]
        choices.sort(key=lambda choice: -choice.order)
        usual = FiniteVolume(problem.horizon / FEWEST_STEPS, time_order=2)
        for choice in choices or [usual]:
            try:
                return _by_solver(choice, problem, name)
            except InputError:  # no diffusion, no bounded domain, too many dimensions
                continue
    own = "mean" if name in SAMPLING else "successive"
    return Reference(OWN[own], own=own)


def _by_solver(solver: Solver, problem: Problem, varied: str) -> Reference:
    start = _start(solver, problem)
    sampled = not isinstance(start, GridMeasure)
    settings = solver.settings()
    # No step is longer than the time between two saves; there it is halved for comparison, which
    # shows at least half of its error.
    doubles = _longest(problem, 2 * solver.step) > 1.01 * _longest(problem, solver.step)
    factor = 1.0 if doubles else 2.0
    changed: dict[str, Any] = {"step": solver.step * (2.0 if doubles else 0.5)}
    if settings.get("error_tolerance") is not None:
        changed["error_tolerance"] = 4 * settings["error_tolerance"]
    for name in ("count", "width"):
        # Where a study varies something else, it is about this many particles, not about the law.
        if name in settings and varied in SAMPLING:
            changed[name] = max(1, settings[name] // 2)
    if isinstance(start, GridMeasure):
        # Errors of order h^2 double; twice the step keeps the kernels of JKO as wide as the cells.
        changed["shape"] = tuple(max(2, round(cells / math.sqrt(2))) for cells in start.shape)
    coarser = dataclasses.replace(solver, **changed)
    try:
        coarser.prepare(problem, 0, Context())
    except InputError:
        return Reference(words_of(solver), solver=solver, sampled=sampled)
    return Reference(words_of(solver), None, solver, coarser, factor, sampled)


def _longest(problem: Problem, step: float) -> float:
    return max(interval.step for interval in problem.intervals(step))


def _by_run(
    run: Run, words: str, recipe: Recipe, problem: Problem, varied: str, solver: Solver
) -> Reference:
    """Return a run as the reference, if it is one of the problem but for what is varied."""
    if [axis["name"] for axis in run.axes] != list(problem.domain.names):
        raise InputError(f"The law of {words} is on other axes than that of the problem.")
    name = ALIASES.get(varied, varied)
    value = run.provenance["parameters"].get(name)
    if value is not None and name in problem.parameters and varied not in settings_of(type(solver)):
        problem = recipe.with_parameter(name, value).problem(problem.save_times)
    # Stopped before its first step, it holds what tells one problem from another.
    own = solve(problem, solver, progress=lambda _: True, save="summary")
    apart = differences(run, own)
    if apart:
        raise InputError(
            f"The reference, {words}, solves another problem than the study "
            f"({', '.join(apart[:MOST])}); take a run of the same problem."
        )
    return Reference(words, run=run)
