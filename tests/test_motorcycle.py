"""The default case: the numbers of its table, and what the certificate says along it."""

import numpy as np
import pytest

import wgflow as wg
from wgflow.cases.motorcycle import CHECKS, RISK, SOLVERS
from wgflow.exact import balance
from wgflow.exact.relu_dual import lower_bound, minimum
from wgflow.optimality import Dual


def test_energy_falls_at_every_step_and_mass_stays(motorcycle_grid: wg.Run) -> None:
    assert motorcycle_grid.status == "finished"
    assert np.diff(motorcycle_grid.energy["total"]).max() < 0
    assert np.abs(motorcycle_grid.mass - 1).max() <= 1e-12


def test_grid_risk_is_that_of_an_independent_code(motorcycle_grid: wg.Run) -> None:
    found = dict(zip(motorcycle_grid.time.tolist(), motorcycle_grid.risk, strict=True))
    assert found[0.0] == pytest.approx(0.5, abs=1e-3)
    for time in (2, 4, 6):
        assert found[time] == pytest.approx(RISK[time], rel=0.01)


def test_the_gap_bounds_the_distance_to_the_minimum(motorcycle_grid: wg.Run) -> None:
    problem = motorcycle_grid.problem
    best = Dual(problem.energy, motorcycle_grid.measure(0).edges).maximise()
    assert abs(best.gap) < 1e-12
    assert best.value == pytest.approx(0.0902, abs=2e-4)
    excess = motorcycle_grid.energy["total"] - best.value
    assert (excess >= 0).all()
    assert (motorcycle_grid.gap >= excess).all()


def test_the_gap_is_that_of_the_dual_even_where_the_gibbs_law_underflows(
    motorcycle_grid: wg.Run,
) -> None:
    """F - D computed by itself; early in the run the Gibbs law is below the smallest double."""
    dual = Dual(motorcycle_grid.problem.energy, motorcycle_grid.measure(0).edges)
    assert np.exp(dual.gibbs(_coupling(dual, motorcycle_grid, 0))[0]).min() == 0
    for save in (0, 1, 8, 24):
        value = motorcycle_grid.energy["total"][save]
        lower = dual.value(_coupling(dual, motorcycle_grid, save))
        assert motorcycle_grid.gap[save] == pytest.approx(value - lower, rel=1e-12)


def _coupling(dual: Dual, run: wg.Run, save: int) -> np.ndarray:
    return dual.on_grid.couple(run.measure(save).mass_on_grid)


def test_the_edge_of_the_window_carries_little_mass(motorcycle_grid: wg.Run) -> None:
    marginal = motorcycle_grid.measure(-1).marginal(0)
    assert marginal[0] + marginal[-1] < 1e-5


def test_user_data_take_the_place_of_the_data_of_the_case() -> None:
    data = wg.Data(np.linspace(5, 9, 12), np.linspace(0, 1, 12) ** 2)
    problem = wg.get_case("motorcycle", data=data)
    assert problem.risk.data.count == 12
    np.testing.assert_allclose(problem.risk.data.x.std(axis=0), 1)
    assert problem.parameters["data"] == "own"


def test_parameters_are_checked() -> None:
    with pytest.raises(wg.InputError, match=r"Unknown parameter 'temprature'.*'temperature'"):
        wg.get_case("motorcycle", temprature=1.0)
    with pytest.raises(wg.InputError, match="parameter temperature is -1"):
        wg.get_case("motorcycle", temperature=-1)
    with pytest.raises(wg.InputError, match=r"Unknown case 'motorcyle'.*'motorcycle'"):
        wg.get_case("motorcyle")
    with pytest.raises(wg.InputError, match="has no data to replace"):
        wg.get_case("ornstein-uhlenbeck", data=wg.Data(np.zeros(2), np.ones(2)))


def test_the_lower_bound_is_a_concave_function_with_the_derivatives_it_returns() -> None:
    """Central differences, order h^2, along a direction; the maximum is F*, below F of any law."""
    data = wg.get_case("motorcycle").risk.data
    x, y = data.x[:, 0], data.y[:, 0]
    generator = np.random.default_rng(3)
    place, step = 0.3 * generator.standard_normal(133), generator.standard_normal(133)
    value, gradient, hessian = lower_bound(place, x, y)
    ahead, behind = (lower_bound(place + h * step, x, y) for h in (1e-4, -1e-4))
    assert (ahead[0] - behind[0]) / 2e-4 == pytest.approx(gradient @ step, rel=1e-6)
    change = (ahead[1] - behind[1]) / 2e-4
    np.testing.assert_allclose(change, hessian @ step, atol=1e-6 * np.abs(change).max())
    assert np.linalg.eigvalsh(hessian).max() < 0
    assert value < minimum(x, y)


def test_growth_by_noise_is_2_lambda_d_t_for_a_network_that_is_solved_by_hand() -> None:
    """One unit u = 1, so that a follows a' = y - (1 + mu) a, and an Ornstein-Uhlenbeck process."""
    time, ridge, label, rate = np.linspace(0, 1, 2001), 0.3, 2.0, 1.3
    weight = (label + (1.3 * 0.7 - label) * np.exp(-rate * time)) / rate
    output = weight[:, np.newaxis, np.newaxis]
    found = balance.growth_by_noise(time, output, output, output - label, 1, ridge)
    assert found == pytest.approx(0, abs=1e-6)
    temperature, dimension = 0.4, 3
    moment = temperature * dimension / ridge * (1 - np.exp(-2 * ridge * time))
    points = np.sqrt(moment / dimension)[:, np.newaxis, np.newaxis] * np.ones((1, 5, dimension))
    found = balance.growth_by_noise(time, points, 0 * output, output, 1, ridge)
    assert found == pytest.approx(2 * temperature * dimension * 1, rel=1e-6)


def test_every_solver_has_a_fast_check() -> None:
    fast = {check.solver for check in CHECKS if not check.slow}
    assert set(SOLVERS) <= fast
    assert all(check.error and check.reason for check in CHECKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["particles", "sgd"])
def test_particles_and_sgd_follow_the_table_to_the_end(name: str) -> None:
    run = wg.solve(wg.get_case("motorcycle"), SOLVERS[name])
    found = dict(zip(run.time.tolist(), run.risk, strict=True))
    for time, risk in RISK.items():
        assert found[time] == pytest.approx(risk, rel=0.03)
