"""Laws of moments and of statistics over seeds, on the line and on the circle."""

import numpy as np
import pytest

import wgflow as wg
from wgflow.comparison.laws import moments, pooled
from wgflow.comparison.quantity import over_seeds

LINE = wg.Domain(wg.Interval(-3, 3))
PERIOD = 3.0
CIRCLE = wg.Domain(wg.Circle(lower=-1.0, period=PERIOD))


def on_circle(places: np.ndarray) -> tuple[float, float]:
    return tuple(moments(wg.Particles(np.asarray(places, dtype=float)[:, None]), CIRCLE)[0])


def test_moments_on_a_line_are_mean_and_standard_deviation() -> None:
    places, mass = np.array([[-1.0], [0.5], [2.0]]), np.array([0.5, 0.25, 0.25])
    mean, std = moments(wg.Particles(places, mass), LINE)[0]
    assert mean == pytest.approx(0.125)
    assert std == pytest.approx(np.sqrt(mass @ (places[:, 0] - 0.125) ** 2))


def test_moments_of_a_grid_are_those_of_its_density() -> None:
    (edge,) = LINE.grid([3])
    mean, std = moments(wg.GridMeasure([edge], np.full(3, 1 / 3)), LINE)[0]
    assert mean == pytest.approx(0, abs=1e-15)
    assert std == pytest.approx(6 / np.sqrt(12))
    (edge,) = CIRCLE.grid([4])
    law = wg.GridMeasure([edge], np.array([0.0, 0.0, 1.0, 0.0]))
    fine = np.linspace(*edge[2:4], 20001)
    assert moments(law, CIRCLE)[0] == pytest.approx(on_circle((fine[1:] + fine[:-1]) / 2), rel=1e-8)


def test_on_a_circle_a_turn_moves_the_mean_and_keeps_the_spread() -> None:
    places = np.array([-0.9, -0.5, 1.8])  # across the cut at -1
    mean, spread = on_circle(places)
    assert -1 <= mean < 2
    for turn in (0.3, 1.0, 5.0):
        other, same = on_circle(places + turn)
        assert same == pytest.approx(spread)
        assert (other - mean - turn) / PERIOD == pytest.approx(
            round((other - mean - turn) / PERIOD), abs=1e-12
        )


def test_a_narrow_law_has_the_spread_of_the_line_and_a_uniform_one_no_direction() -> None:
    generator = np.random.default_rng(0)
    places = 0.4 + 1e-3 * generator.standard_normal(1000)
    mean, spread = on_circle(places)
    assert mean == pytest.approx(places.mean(), abs=1e-8)
    assert spread == pytest.approx(places.std(), rel=1e-4)
    (edge,) = CIRCLE.grid([8])
    mean, spread = moments(wg.GridMeasure([edge], np.full(8, 1 / 8)), CIRCLE)[0]
    assert np.isnan(mean)
    assert spread == pytest.approx(np.sqrt(2) * PERIOD / (2 * np.pi))


def test_the_mean_over_seeds_on_a_circle_goes_the_shorter_way() -> None:
    values = np.array([[1.9], [-0.9], [-0.7]])  # 1.9, 2.1 and 2.3 with the period 3
    (circle,) = CIRCLE.axes
    assert isinstance(circle, wg.Circle)
    held = over_seeds("", "", values, [(0, 1, 2)], circle=circle)
    assert held.mean[0, 0] == pytest.approx(-0.9)
    assert held.error[0, 0] == pytest.approx(0.2 / np.sqrt(3))


def test_the_pooled_law_has_the_mean_of_all_integrals() -> None:
    generator = np.random.default_rng(1)
    clouds = [wg.Particles(generator.normal(size=(n, 1)), np.full(n, 1 / n)) for n in (5, 8)]
    together = pooled(clouds)
    assert together is not None
    expected = np.mean([cloud.integral(np.sin) for cloud in clouds])
    assert together.integral(np.sin)[0] == pytest.approx(expected)
    assert pooled([clouds[0], None]) is None
