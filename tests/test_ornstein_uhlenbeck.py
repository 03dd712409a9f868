"""The case with closed forms, as it is shipped."""

import pytest

from wgflow.cases.ornstein_uhlenbeck import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.quantity)
def test_every_check_of_the_case_holds(check) -> None:
    assert abs(check.compute() - check.reference) <= check.tolerance
