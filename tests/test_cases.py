"""Every number that a named case must reproduce; the motorcycle case has tests of its own."""

import pytest

import wgflow as wg
from wgflow.check import Check

CHECKS = [
    pytest.param(check, id=f"{name}: {check.quantity}")
    for name in wg.list_cases()
    if name != "motorcycle"
    for check in wg.find_case(name).checks
]


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_of_a_case_holds(check: Check) -> None:
    assert abs(check.compute() - check.reference) <= check.tolerance
