"""Verification notices a broken solver: every case fails whose checks are results of that solver.

Each test loads a case afresh from its file, so that no run is left over from a solver that works,
breaks one solver in this process, and makes the fast checks which say that they are its results,
until one fails.
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wgflow as wg
from wgflow.case import Case, case_from_file
from wgflow.solver import Solver
from wgflow.solvers.cloud import Cloud
from wgflow.solvers.sgd import SGDScheme

CASES = pathlib.Path(__file__).parent.parent / "cases"
Breaks = Callable[[pytest.MonkeyPatch], None]
Rule = Callable[[wg.Problem, Solver | None], bool]
"""Takes the problem of a case, and the settings that it gives the solver."""
COUNTS = 1e-5
"""A lower temperature is there for the sake of the grid, and no result depends on it."""
REFUSED = "the altered problem is refused, which shows nothing of the case"


def scaled(owner: type, method: str, factor: float) -> Breaks:
    """Return what multiplies the result of a method by a factor."""
    original = getattr(owner, method)
    return lambda patch: patch.setattr(
        owner, method, lambda *given: factor * original(*given), raising=True
    )


def misread(solver: type[Solver], change: Callable[[wg.Problem], wg.Problem]) -> Breaks:
    """Return what makes a solver solve another problem than it is given."""
    original = solver.prepare

    def prepare(self: Solver, problem: wg.Problem, *given: object) -> object:
        try:
            return original(self, change(problem), *given)
        except wg.InputError as error:
            raise AssertionError(REFUSED) from error

    return lambda patch: patch.setattr(solver, "prepare", prepare)


def hotter(problem: wg.Problem) -> wg.Problem:
    """Return the problem with internal energies twice as large."""
    internal = [
        wg.Entropy(2 * part.temperature)
        if isinstance(part, wg.Entropy)
        else wg.PowerEntropy(part.exponent, 2 * part.factor)
        for part in problem.energy.internal
    ]
    return dataclasses.replace(problem, energy=wg.Energy(*problem.energy.terms, *internal))


def faster(problem: wg.Problem) -> wg.Problem:
    """Return the problem with the whole velocity twice as large."""
    return dataclasses.replace(problem, schedule=lambda time: 2 * problem.rate(time))


def drifts(problem: wg.Problem, solver: Solver | None) -> bool:
    """Return whether anything but diffusion moves the law."""
    return bool(problem.energy.terms)


def turns_back(problem: wg.Problem, solver: Solver | None) -> bool:
    """Return whether the reversed flow can be followed.

    Particles that repel each other from close by fall into each other then, in ever shorter steps
    where those are adapted.
    """
    terms = problem.energy.terms
    singular = any(isinstance(term, wg.Interaction) and term.singular for term in terms)
    adapted = getattr(solver, "error_tolerance", None) is not None
    return bool(terms) and not (singular and adapted)


def heated(problem: wg.Problem, solver: Solver | None) -> bool:
    return problem.temperature > COUNTS and getattr(solver, "noise", True)


def diffuses(problem: wg.Problem, solver: Solver | None) -> bool:
    return problem.temperature > COUNTS or bool(problem.energy.powers)


def moves(problem: wg.Problem, solver: Solver | None) -> bool:
    return True


MUTATIONS: dict[tuple[str, str], tuple[Breaks, Rule]] = {
    ("particles", "velocity reversed"): (scaled(Cloud, "velocity", -1), turns_back),
    ("particles", "velocity doubled"): (scaled(Cloud, "velocity", 2), drifts),
    ("particles", "half the variance of noise"): (
        scaled(Cloud, "brownian", math.sqrt(0.5)),
        heated,
    ),
    ("sgd", "gradient reversed"): (scaled(SGDScheme, "gradient", -1), drifts),
    ("sgd", "gradient doubled"): (scaled(SGDScheme, "gradient", 2), drifts),
    ("sgd", "half the variance of noise"): (scaled(Cloud, "brownian", math.sqrt(0.5)), heated),
    ("jko", "entropy doubled"): (misread(wg.JKO, hotter), diffuses),
    ("jko", "speed doubled"): (misread(wg.JKO, faster), moves),
    ("finite-volume", "entropy doubled"): (misread(wg.FiniteVolume, hotter), diffuses),
    ("finite-volume", "speed doubled"): (misread(wg.FiniteVolume, faster), moves),
}
"""How a solver is broken, and the cases in which that must show."""


def fast_checks(case: Case, solver: str) -> list[wg.Check]:
    return [check for check in case.checks if check.solver == solver and not check.slow]


def concerned() -> Iterator[Any]:
    """Yield every case, and every way to break a solver that must show in it."""
    for name in wg.list_cases():
        case = wg.find_case(name)
        try:
            problem = case.problem()
        except wg.InputError as error:  # it needs a package that is not there
            yield pytest.param(name, "", "", id=name, marks=pytest.mark.skip(reason=str(error)))
            continue
        for (solver, how), (_, shows) in MUTATIONS.items():
            if fast_checks(case, solver) and shows(problem, case.solvers.get(solver)):
                yield pytest.param(name, solver, how, id=f"{name}: {solver}, {how}")


@pytest.mark.parametrize(("name", "solver", "how"), list(concerned()))
def test_a_broken_solver_fails(
    name: str, solver: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_from_file(CASES / f"{name.replace('-', '_')}.py")
    case.checks = fast_checks(case, solver)
    breaks, _ = MUTATIONS[solver, how]
    breaks(monkeypatch)
    found = wg.verify(case, progress=lambda at: any(r.verdict != "pass" for r in at.results))
    assert found.failures, found
    assert not any(REFUSED in result.message for result in found.failures), found
