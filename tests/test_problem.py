"""Laws of the problem: save times, the steps between them, other horizons, and refusals."""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from wgflow.data import Data
from wgflow.domain import Circle, Domain, Interval, WholeLine
from wgflow.energy import Energy, Entropy, Potential, Risk
from wgflow.errors import InputError
from wgflow.law import Gaussian, Uniform
from wgflow.neuron import Neuron
from wgflow.problem import Problem, SaveInterval

ENERGY = Potential.quadratic((1.0,)) + Entropy(0.2)


def make(**changes: Any) -> Problem:
    parts = {
        "energy": ENERGY,
        "domain": Domain(Interval(-8.0, 8.0)),
        "initial": Gaussian(1.0, 0.5),
        "horizon": 2.0,
    }
    return Problem(**{**parts, **changes})


def network(**changes: Any) -> Problem:
    """A relu network on data with one column: weight and angle."""
    data = Data(np.arange(5.0), np.arange(5.0))
    parts = {
        "energy": Risk(data, Neuron("relu", bias=True, chart="circle")) + Entropy(0.1),
        "domain": Domain(WholeLine(), Circle(), names=("a", "v")),
        "initial": Gaussian([0.0, 0.0], 1.0),
    }
    return make(**{**parts, **changes})


# --- save times -----------------------------------------------------------------------------


def test_by_default_there_are_eleven_equally_spaced_save_times() -> None:
    assert make().save_times == pytest.approx(np.linspace(0.0, 2.0, 11), rel=1e-15)


@pytest.mark.parametrize(
    ("given_times", "expected"),
    [
        ([], (0.0, 2.0)),
        ([0.5, 1], (0.0, 0.5, 1.0, 2.0)),
        ([0, 1.5, 2], (0.0, 1.5, 2.0)),
        (np.array([0.25]), (0.0, 0.25, 2.0)),
        ([1e-15, 1.0, 2.0 - 1e-15], (0.0, 1.0, 2.0)),
    ],
)
def test_the_start_and_the_horizon_are_always_saved_once(
    given_times: list[float], expected: tuple[float, ...]
) -> None:
    assert make(save_times=given_times).save_times == expected


@settings(deadline=None)
@given(st.floats(1e-3, 1e3), st.lists(st.floats(0.0, 1.0), max_size=6, unique=True))
def test_save_times_increase_from_zero_to_the_horizon(horizon: float, parts: list[float]) -> None:
    times = np.unique(np.multiply(sorted(parts), horizon))
    saved = make(horizon=horizon, save_times=times).save_times
    assert saved is not None
    assert (saved[0], saved[-1]) == (0.0, horizon)
    assert all(a < b for a, b in itertools.pairwise(saved))
    assert all(type(time) is float for time in saved)


# --- intervals ------------------------------------------------------------------------------

horizons, steps = st.floats(0.01, 100.0), st.floats(0.003, 3.0)


@settings(deadline=None)
@given(horizons, steps)
def test_intervals_are_cut_into_the_least_number_of_equal_steps(
    horizon: float, step: float
) -> None:
    """ceil(length / step) steps, none longer than asked for, all of one length."""
    problem = make(horizon=horizon)
    plan = problem.intervals(step)
    first = 0
    for interval, (start, stop) in zip(
        plan, itertools.pairwise(problem.save_times or ()), strict=True
    ):
        assert (interval.start, interval.stop, interval.first) == (start, stop, first)
        assert interval.step <= step * (1 + 1e-6)
        assert interval.count == 1 or (stop - start) / (interval.count - 1) > step
        assert interval.step * interval.count == pytest.approx(stop - start, rel=1e-14)
        first += interval.count


@settings(deadline=None)
@given(st.floats(0.0, 10.0), st.floats(1e-3, 10.0), st.integers(1, 60))
def test_times_are_computed_and_end_exactly_at_the_stop(
    start: float, length: float, count: int
) -> None:
    interval = SaveInterval(start, start + length, 7, count)
    times = [interval.time(7 + k) for k in range(count + 1)]
    assert times[0] == interval.start
    assert times[-1] == interval.stop
    assert all(a < b for a, b in itertools.pairwise(times))
    expected = np.linspace(interval.start, interval.stop, count + 1)
    assert times == pytest.approx(expected, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize(("step", "count"), [(0.1, 2), (0.05, 4), (0.2, 1), (0.3, 1), (0.07, 3)])
def test_a_rounding_error_costs_no_step(step: float, count: int) -> None:
    """Intervals of 0.2, some a rounding error longer, take two steps of 0.1, not three."""
    assert [interval.count for interval in make().intervals(step)] == [count] * 10


def test_one_interval_ends_where_the_next_begins() -> None:
    plan = make(save_times=[0.3, 0.7]).intervals(0.11)
    assert [interval.count for interval in plan] == [3, 4, 12]
    for interval, following in itertools.pairwise(plan):
        border = interval.first + interval.count
        assert following.first == border
        assert following.time(border) == interval.stop == interval.time(border)


# --- other horizons -------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [0.5, 1.0, 1.7, 2.0])
def test_until_an_earlier_time_drops_later_saves(horizon: float) -> None:
    """The times kept are the same to the bit, so that the run up to them is the same."""
    problem = make()
    earlier = problem.until(horizon)
    kept = [time for time in problem.save_times or () if time < horizon]
    assert earlier.horizon == horizon
    assert earlier.save_times == (*kept, horizon)


@pytest.mark.parametrize("horizon", [2.1, 3.0, 4.0, 40.0])
def test_until_a_later_time_goes_on_with_the_same_spacing(horizon: float) -> None:
    problem = make()
    later = problem.until(horizon)
    assert problem.save_times == later.save_times[:11]
    assert later.save_times[-1] == horizon
    assert max(np.diff(later.save_times)) == pytest.approx(0.2, rel=1e-9)
    assert len(later.save_times) == 1 + math.ceil(horizon / 0.2 - 1e-9)


@pytest.mark.parametrize("start", [1.0, 2.0, 0.7])
def test_until_any_time_gives_a_problem(start: float) -> None:
    """No horizon is missed by a rounding error of the save times before it."""
    problem = make(horizon=start)
    for count in range(1, 500):
        horizon = round(count * 0.01, 2)
        other = problem.until(horizon)
        assert other.save_times[-1] == horizon
        spacing = np.diff(other.save_times)
        assert spacing.min() > 1e-6 * start


def test_until_keeps_all_else() -> None:
    problem = make(schedule=lambda t: 2.0, case="ou", parameters={"mean": 1.0})
    other = problem.until(0.5)
    for name in ("energy", "domain", "initial", "schedule", "case", "parameters"):
        assert getattr(other, name) is getattr(problem, name)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        (0.5, [0, 0.5, 1, 1.5, 2]),
        (0.8, [0, 0.8, 1.6, 2]),
        (2.0, [0, 2]),
        (5, [0, 2]),
        (0.1, np.linspace(0, 2, 21)),
    ],
)
def test_save_every_saves_at_multiples_and_at_the_horizon(
    spacing: float, expected: list[float]
) -> None:
    saved = make().save_every(spacing).save_times
    assert saved == pytest.approx(expected, rel=1e-14)
    assert saved[-1] == 2.0


@settings(deadline=None)
@given(st.floats(0.1, 100.0), st.integers(1, 300))
def test_save_every_part_of_the_horizon_gives_as_many_intervals(horizon: float, parts: int) -> None:
    saved = make(horizon=horizon).save_every(horizon / parts).save_times
    assert len(saved) == parts + 1
    assert np.diff(saved) == pytest.approx(horizon / parts, rel=1e-6)


@pytest.mark.parametrize(("horizon", "every"), [(1.7, 0.5), (6.0, 0.7), (2.0, 0.1)])
def test_a_horizon_and_a_spacing_at_once_are_one_after_the_other(
    horizon: float, every: float
) -> None:
    """To the bit, but without the save times between that nobody asked for."""
    at_once = make().until(horizon, every)
    assert at_once.horizon == horizon
    assert at_once.save_times == make().until(horizon).save_every(every).save_times


def test_a_far_horizon_with_few_saves_is_a_problem() -> None:
    far = make().until(3e6, 1e5)
    assert len(far.save_times) == 31 and far.horizon == 3e6


# --- parts ----------------------------------------------------------------------------------


def test_a_single_term_is_an_energy() -> None:
    assert isinstance(make(energy=Potential.quadratic((1.0,))).energy, Energy)
    assert make(energy=Entropy(0.3)).temperature == 0.3
    assert make(energy=Potential.quadratic((1.0,))).temperature == 0.0


def test_the_risk_is_that_of_the_energy() -> None:
    problem = network()
    assert problem.risk is problem.energy.terms[0]
    assert make().risk is None


def test_the_rate_is_the_schedule() -> None:
    assert make().rate(1.3) == 1.0
    assert make(schedule=lambda t: 1 / (1 + t)).rate(1.0) == 0.5


def test_the_description_is_plain_data() -> None:
    described = json.loads(json.dumps(network().describe()))
    assert described["horizon"] == 2.0
    assert described["initial"] == "Gaussian"
    assert described["schedule"] == "constant"
    assert Domain.from_description(described["domain"]).names == ("a", "v")
    assert [term["name"] for term in described["energy"]] == ["risk", "entropy"]
    assert make(schedule=lambda t: 1.0).describe()["schedule"] == "own"


def test_a_problem_is_frozen() -> None:
    with pytest.raises(AttributeError):
        make().horizon = 3.0  # type: ignore[misc]


# --- refusals -------------------------------------------------------------------------------

REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: make(horizon=0), "horizon is 0, but must be a finite number above 0"),
    (lambda: make(horizon=-1.0), "horizon is -1.0, but must be"),
    (lambda: make(horizon=math.inf), "horizon is inf, but must be"),
    (lambda: make(horizon="2"), "horizon is '2', but must be"),
    (lambda: make(save_times=[0.5, 2.5]), "save time is 2.5, .* at least 0 and at most 2"),
    (lambda: make(save_times=[-0.5]), "save time is -0.5, .* at least 0 and at most 2"),
    (lambda: make(save_times=[math.nan]), "save time is nan, but must be"),
    (lambda: make(save_times=["1"]), "save time is '1', but must be"),
    (lambda: make(save_times=[1.0, 0.5]), r"save times \[1.0, 0.5\] must increase"),
    (lambda: make(save_times=[0.5, 0.5]), r"save times \[0.5, 0.5\] must increase"),
    (lambda: make(save_times=1.0), "save times are 1.0, but must be"),
    (lambda: make(energy=3.0), "energy of a problem is 3.0, but must be of type Energy"),
    (lambda: make(domain=Interval(0, 1)), "domain of a problem is Interval.* of type Domain"),
    (lambda: make(initial=1.0), "initial of a problem is 1.0, but must be of type Law"),
    (
        lambda: make(initial=Gaussian([0.0, 0.0])),
        "initial law has 2 coordinates, but the domain has 1 axes; give one coordinate an axis",
    ),
    (
        lambda: make(domain=Domain(Circle(), Circle())),
        "initial law has 1 coordinates, but the domain has 2 axes",
    ),
    (
        lambda: network(domain=Domain(Circle()), initial=Uniform(0.0, 1.0)),
        r"neuron has 2 parameters for these data, but the domain has 1 axes \(theta\); give one",
    ),
    (lambda: make(schedule=lambda t: 1.0 - t), "schedule xi at t = 1 is 0.0, .* above 0"),
    (lambda: make(schedule=lambda t: math.nan), "schedule xi at t = 0 is nan, but must be"),
    (lambda: make().until(0.0), "horizon is 0.0, but must be a finite number above 0"),
    (lambda: make().until(math.nan), "horizon is nan, but must be"),
    (lambda: make().save_every(0.0), "spacing of the save times is 0.0, but must be .* above 0"),
    (lambda: make().save_every(1e-7), "spacing of 1e-07 gives more than a million save times"),
    (lambda: make().until(3e5), "more than a million save times, .*--save-every"),
    (lambda: make().until(3e5, 0.2), "spacing of 0.2 gives more than a million save times"),
    (lambda: make().until(0.0, 0.2), "horizon is 0.0, but must be a finite number above 0"),
    (lambda: make().until(1.0, -0.2), "spacing of the save times is -0.2, but must be .* above 0"),
]


@pytest.mark.parametrize(("build", "message"), REFUSALS, ids=[m for _, m in REFUSALS])
def test_what_does_not_fit_is_named(build: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
