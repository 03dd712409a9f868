"""Laws of the time steps: equal ones, and dyadic ones that follow the error."""

import numpy as np
import pytest

from wgflow.pace import MOST_HALVINGS, Pace
from wgflow.problem import SaveInterval


def plan(count: int = 3) -> list[SaveInterval]:
    return [SaveInterval(0.0, 0.3, 0, count), SaveInterval(0.3, 1.0, count, 2)]


def test_equal_steps_are_those_of_the_plan_to_the_bit() -> None:
    pace = Pace(plan(), None)
    for save, interval in enumerate(pace.plan):
        pace.enter(save)
        for index in range(interval.first, interval.first + interval.count):
            assert (pace.time, pace.step) == (interval.time(index), interval.step)
            assert pace.left == 5 - index
            pace.forward(None)
        assert pace.done and pace.time == interval.stop
    assert not pace.halve()


def walk(limit: float, growth: float = 4.0, order: int = 1) -> tuple[list[float], int]:
    """Return the step lengths where errors are (step / limit)^(order + 1), and the rejections."""
    pace, steps, rejected = Pace(plan(), growth), [], 0
    times = []
    for save in range(2):
        pace.enter(save)
        while not pace.done:
            error = (pace.step / limit) ** (order + 1)
            if error > 1:
                assert pace.halve()
                rejected += 1
                continue
            times.append(pace.time)
            steps.append(pace.step)
            pace.forward(error)
    assert np.all(np.diff([*times, 1.0]) == pytest.approx(steps, rel=1e-12))
    assert sum(steps) == pytest.approx(1.0, rel=1e-12)
    return steps, rejected


@pytest.mark.parametrize("limit", [10.0, 0.2, 0.05, 0.001])
def test_steps_stay_below_the_limit_and_within_a_factor_of_four_of_it(limit: float) -> None:
    steps, rejected = walk(limit)
    assert max(steps) <= limit
    assert min(steps) > min(limit, 0.1) / 4
    assert rejected < 12


def test_a_step_grows_again_when_errors_fall() -> None:
    pace = Pace([SaveInterval(0.0, 1.0, 0, 1)], 4.0)
    pace.enter(0)
    for _ in range(6):
        assert pace.halve()
    steps = []
    while not pace.done:
        steps.append(pace.step)
        pace.forward(0.0)
    assert steps == [1 / 64, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2]


def test_a_new_interval_goes_on_with_the_step_before() -> None:
    pace = Pace([SaveInterval(0.0, 1.0, 0, 1), SaveInterval(1.0, 1.3, 1, 1)], 4.0)
    pace.enter(0)
    for _ in range(3):
        pace.halve()
    while not pace.done:
        pace.forward(0.9)
    pace.enter(1)
    assert pace.step == pytest.approx(0.075)
    assert pace.left == 4


def test_halving_ends_at_the_shortest_step_allowed() -> None:
    for shortest, halvings in ((0.0, MOST_HALVINGS), (0.1, 3)):
        pace = Pace([SaveInterval(0.0, 1.0, 0, 1)], 4.0, shortest)
        pace.enter(0)
        count = 0
        while pace.halve():
            count += 1
        assert count == halvings


def test_no_interval_begins_with_a_step_below_the_shortest() -> None:
    plan = [SaveInterval(0.0, 0.3, 0, 1), SaveInterval(0.3, 1.3, 1, 1)]
    pace = Pace(plan, 4.0, 0.3)
    pace.enter(0)
    pace.forward(0.9)
    pace.enter(1)
    assert pace.step == 0.5
