"""Every named case says what it must, and every number that it must reproduce is reproduced.

The same numbers, and the rates of convergence besides, are what `wgflow verify --all` computes.
"""

import pytest

import wgflow as wg
from wgflow.case import Case
from wgflow.check import Check, Rate
from wgflow.solver import Context
from wgflow.solvers import SOLVERS

CASES = [wg.find_case(name) for name in wg.list_cases()]
FAST, SLOW = (
    [
        pytest.param(check, id=f"{case.name}: {check.quantity}")
        for case in CASES
        for check in case.checks
        if check.slow is slow
    ]
    for slow in (False, True)
)
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.mark.parametrize("check", FAST)
def test_every_check_of_a_case_holds(check: Check) -> None:
    assert abs(check.compute() - check.reference) <= check.tolerance


@pytest.mark.slow
@pytest.mark.parametrize("check", SLOW)
def test_every_slow_check_of_a_case_holds(check: Check) -> None:
    assert abs(check.compute() - check.reference) <= check.tolerance


@each_case
def test_a_case_says_where_it_comes_from_and_what_it_is(case: Case) -> None:
    assert case.summary.endswith(".") and "Known:" in case.description
    assert case.source.strip()
    assert case.equation.strip() and "$" not in case.equation


@each_case
def test_every_reference_has_a_source_and_every_tolerance_a_reason(case: Case) -> None:
    assert len(case.checks) >= 3
    held: list[Check | Rate] = [*case.checks, *case.rates]
    for one in held:
        words = one.quantity if isinstance(one, Check) else one.quantity_in_words
        assert one.error is not None, words
        assert one.reason.strip() and one.source.strip(), words
    names = [check.quantity for check in case.checks]
    assert len(set(names)) == len(names)


@each_case
def test_every_solver_of_a_case_has_a_fast_check(case: Case) -> None:
    """And those that checks and rates name are solvers."""
    named = {one.solver for one in (*case.checks, *case.rates)}
    assert named <= {*SOLVERS, ""}
    fast = {check.solver for check in case.checks if not check.slow}
    assert set(case.solvers) <= fast


@each_case
def test_every_solver_of_a_case_takes_its_problem(case: Case) -> None:
    problem = case.problem()
    for solver in case.solvers.values():
        solver.prepare(problem, 0, Context())


@each_case
def test_a_figure_has_a_caption(case: Case) -> None:
    assert case.has_figure and case.caption
