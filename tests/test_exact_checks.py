"""What the builders of checks and rates state: margins, and what theory expects."""

import math

import numpy as np
import pytest

from wgflow.check import (
    Exact,
    exact_checks,
    rate_in_cells,
    rate_in_particles,
    rate_in_step,
)
from wgflow.errors import InputError

NUMBER = Exact(compute=lambda: 1.0, reference=1.0, error=0.01, reason="rounding", source="algebra")


@pytest.mark.parametrize(
    ("solver", "margin"), [("jko", 2), ("finite-volume", 2), ("sgd", 2), ("", 2), ("particles", 3)]
)
def test_a_number_may_miss_by_twice_its_error_and_one_of_particles_by_three_times(
    solver: str, margin: int
) -> None:
    one, two = exact_checks(solver, {"mean": NUMBER, "variance": NUMBER._replace(reference=2.0)})
    assert one.tolerance == margin * 0.01
    assert (one.quantity, one.reference, one.kind, one.solver) == ("mean", 1.0, "exact", solver)
    assert (one.source, one.error, one.reason) == ("algebra", 0.01, "rounding")
    assert (two.quantity, two.reference) == ("variance", 2.0)
    assert one.compute is NUMBER.compute and not one.slow
    (own,) = exact_checks(solver, {"mean": NUMBER._replace(tolerance=0.012, slow=True)})
    assert own.tolerance == 0.012 and own.slow


def test_a_number_must_be_one() -> None:
    with pytest.raises(InputError, match="reference of the check 'mean'"):
        exact_checks("jko", {"mean": NUMBER._replace(reference=math.nan)})


def test_rates_expect_the_order_and_allow_twice_the_error() -> None:
    step = rate_in_step("jko", (0.2, 0.1), 2, error=0.03, reason="next order", quantity="mean")
    assert (step.expected, step.tolerance, step.settings) == (2, 0.06, {"time_order": 2})
    cells = rate_in_cells("jko", (16, 32), error=0.03, reason="next order", tolerance=0.05)
    assert (cells.setting, cells.expected, cells.tolerance) == ("shape", -2.0, 0.05)


def test_the_error_of_the_rate_of_particles_is_that_of_drawn_errors() -> None:
    """The slope of 4000 studies of Monte Carlo with 40 seeds, each error a normal number."""
    rate = rate_in_particles("mean", "the standard error of a mean")
    place = np.log(rate.values)
    place = place - place.mean()
    error = np.random.default_rng(1).standard_normal((4000, len(place), rate.seeds))
    size = np.sqrt((error**2).mean(axis=2)) / np.sqrt(rate.values)
    slope = np.log(size) @ place / (place @ place)
    assert slope.mean() == pytest.approx(rate.expected, abs=2e-3)
    assert slope.std() == pytest.approx(rate.error, rel=0.05)
    assert rate.tolerance == 2 * rate.error
