"""Laws of the JKO scheme on moving cells where a law without entropy spreads into vacuum."""

import numpy as np
import pytest
from test_jko_lagrangian import Bump, energy_of, march, on, scheme, std

import wgflow as wg
from wgflow.energy import Energy, Interaction, PowerEntropy
from wgflow.exact import barenblatt
from wgflow.exact.recursion import after
from wgflow.law import Density, Law

WALLS = wg.Interval(-0.5, 0.5)


def pressure(exponent: float, axis: object, law: Law, factor: float = 1.0) -> wg.Problem:
    """Porous medium, d_t rho = factor Laplace rho^m."""
    return on(axis, Energy(PowerEntropy(exponent, factor)), law)


@pytest.mark.parametrize(("cells", "error"), [(256, 1.5e-6), (1024, 1.5e-7)])
@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0, 6.0])
def test_barenblatt_spreads_between_walls(exponent: float, cells: int, error: float) -> None:
    """32 steps from radius 0.2 to 0.4 make the radii of the exact recursion."""
    step = barenblatt.time_between(0.2, 0.4, exponent, 1) / 32
    solver = scheme(pressure(exponent, WALLS, barenblatt.drop(0.2, exponent, 1)), cells)
    state = march(solver, 32, step)
    radius = after(32, barenblatt.jko_radius, 0.2, step, exponent, 1)
    expected = np.sqrt(barenblatt.second_moment(radius, exponent, 1))
    assert std(state) == pytest.approx(expected, abs=error)
    # The vacuum up to a wall is one cell, which ends at the front.
    assert len(state["mass"]) == cells
    assert state["edges"][-2] == pytest.approx(radius, abs=5e-3 * 256 / cells)


@pytest.mark.parametrize(("exponent", "power"), [(2.0, 1), (3.0, 0.5)])
def test_barenblatt_spreads_on_a_circle(exponent: float, power: float) -> None:
    """Vacuum on both sides of the seam; second order in the width, in few iterations."""
    radius = after(4, barenblatt.jko_radius, 1.0, 0.2, exponent, 1)
    expected = np.sqrt(barenblatt.second_moment(radius, exponent, 1))
    for cells, error in ((256, 8e-5), (1024, 5e-6)):
        solver = scheme(pressure(exponent, wg.Circle(), Bump(power)), cells, max_iterations=15)
        assert std(march(solver, 4, 0.2)) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0, 6.0])
def test_a_front_that_meets_a_wall_stops_there(exponent: float) -> None:
    """A long step ends at the uniform law, in the vacuum cells too."""
    state = march(scheme(pressure(exponent, WALLS, barenblatt.drop(0.2, exponent, 1)), 256), 1, 1e4)
    assert std(state) == pytest.approx(12**-0.5, abs=1e-5)
    np.testing.assert_allclose(state["mass"] / np.diff(state["edges"]), 1, atol=0.02)


@pytest.mark.parametrize("step", [0.01, 0.1, 10.0])
@pytest.mark.parametrize("exponent", [1.5, 2.0, 3.0, 6.0])
def test_two_fronts_meet_as_at_a_wall(exponent: float, step: float) -> None:
    """Two drops are each other's mirror images: each has the law of one by a wall between them."""

    def right(points: np.ndarray) -> np.ndarray:
        return np.maximum(1 - (points[:, 0] - 0.5) ** 2 / 0.09, 0.0)

    both = Density(lambda points: right(np.abs(points)), -1, 1)
    pair = scheme(pressure(exponent, wg.WholeLine((-1, 1)), both), 400)
    halved = pressure(exponent, wg.Interval(0, 20), Density(right, 0, 1), 2 ** (1 - exponent))
    single = scheme(halved, 4000)
    states = [march(solver, 2, step) for solver in (pair, single)]
    seconds = []
    for state in states:
        left, right_end = state["edges"][:-1], state["edges"][1:]
        square = (left**2 + left * right_end + right_end**2) / 3
        seconds.append(state["mass"] @ square)
    assert seconds[0] == pytest.approx(seconds[1], rel=2e-4)


@pytest.mark.parametrize(
    ("axis", "exponent", "step", "count"),
    [(wg.Interval(-1, 1), 6.0, 1e-3, 10), (wg.Circle(), 3.0, 10.0, 1)],
)
def test_light_tails_do_not_end_the_iteration_early(
    axis: object, exponent: float, step: float, count: int
) -> None:
    """Tails are pressed together by the front; the energy is that of a much finer tolerance."""
    problem, values = pressure(exponent, axis, wg.Gaussian(0.1, 0.12)), []
    for tolerance in (1e-8, 1e-12):
        solver = scheme(problem, 256, tolerance=tolerance)
        values.append(energy_of(problem, march(solver, count, step)))
    assert values[0] == pytest.approx(values[1], rel=1e-8)


def test_a_vacuum_that_nothing_keeps_open_is_told() -> None:
    """Repulsion acts between cells that have mass: a cell without is pressed to no width."""
    energy = Interaction.logarithmic(1.0) + Interaction.quadratic(1.0, "attraction")
    solver = scheme(on(wg.Interval(-1.2, 1.2), energy, Bump(0.5)), 128)
    outcome = solver.advance(solver.initial(), 0.0, 0, 10.0)
    assert outcome.status == "not_converged"
    assert "rounding" in outcome.reason
