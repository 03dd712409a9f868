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
    places = np.repeat([-0.9, -0.5, 1.8], 20)  # across the cut at -1
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


def test_a_direction_that_chance_may_have_made_is_none_and_the_spread_stays() -> None:
    generator = np.random.default_rng(2)
    for count in (100, 1000):
        even = -1 + PERIOD * generator.random((500, count))
        held = np.array([on_circle(places) for places in even])
        assert np.isnan(held[:, 0]).mean() > 0.99  # 1 - exp(-9) of all
        np.testing.assert_allclose(held[:, 1], np.sqrt(2) * PERIOD / (2 * np.pi), rtol=0.2)
    # r = 0.4 at the one end of the circle, by a part of the particles or of the mass.
    even = -1 + PERIOD * (np.arange(60) + 0.5) / 60
    assert on_circle(np.append(even, np.full(40, 0.7)))[0] == pytest.approx(0.7)
    few = np.append(-1 + PERIOD * (np.arange(6) + 0.5) / 6, np.full(4, 0.7))
    assert np.isnan(on_circle(few)[0])
    places, mass = np.append(even, 0.7)[:, None], np.append(np.full(60, 0.01), 0.4)
    assert np.isnan(moments(wg.Particles(places, mass), CIRCLE)[0, 0])  # one particle has it all


def test_a_grid_has_a_direction_from_a_resultant_of_two_hundredths() -> None:
    (edge,) = CIRCLE.grid([400])
    angle = 2 * np.pi * (np.arange(400) + 0.5) / 400
    for resultant, known in ((0.019, False), (0.021, True)):
        law = wg.GridMeasure([edge], (1 + 2 * resultant * np.cos(angle - 2)) / 400)
        mean, spread = moments(law, CIRCLE)[0]
        assert np.isfinite(mean) == known
        assert spread == pytest.approx(PERIOD / (2 * np.pi) * np.sqrt(2 * (1 - resultant)), 1e-4)
        if known:
            assert mean == pytest.approx(-1 + 2 / (2 * np.pi) * PERIOD)


def test_a_row_without_any_direction_stands_in_the_table_and_is_explained() -> None:
    case = wg.get_case("motorcycle").until(0.1)
    runs = [wg.solve(case, wg.ParticleFlow(count=40, step=0.1), seed=seed) for seed in (0, 1)]
    found = wg.compare(*runs)
    (mean,) = [line for line in str(found).splitlines() if line.startswith("mean of v")]
    assert mean.split()[3:] == ["-"]
    assert "A mean direction is not defined where" in str(found)
    assert found.to_dict()["quantities"]["mean_v"]["values"] == [[None, None]] * 2
    assert np.isfinite(found.last["spread_v"].values).all()


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
