"""The default case: the numbers of its table, and what the certificate says along it."""

import numpy as np
import pytest

import wgflow as wg
from wgflow.cases.motorcycle import CHECKS, RISK, SOLVERS
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


@pytest.mark.parametrize("name", ["particles", "sgd"])
def test_particles_and_sgd_follow_the_grid_early(name: str, motorcycle_grid: wg.Run) -> None:
    """Within 3 % of the table from t = 2 on, with the default settings of the case."""
    problem = wg.get_case("motorcycle").until(2.0)
    run = wg.solve(problem, SOLVERS[name])
    assert run.risk[-1] == pytest.approx(RISK[2], rel=0.03)


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


@pytest.mark.slow
def test_every_check_of_the_case_holds() -> None:
    """The whole table by JKO, to the last save at t = 20."""
    run = wg.solve(wg.get_case("motorcycle"), SOLVERS["jko"])
    found = dict(zip(run.time.tolist(), run.risk, strict=True))
    for check, time in zip(CHECKS, RISK, strict=True):
        assert abs(found[time] - check.reference) <= check.tolerance, check.quantity


@pytest.mark.slow
@pytest.mark.parametrize("name", ["particles", "sgd"])
def test_particles_and_sgd_follow_the_table_to_the_end(name: str) -> None:
    run = wg.solve(wg.get_case("motorcycle"), SOLVERS[name])
    found = dict(zip(run.time.tolist(), run.risk, strict=True))
    for time, risk in RISK.items():
        assert found[time] == pytest.approx(risk, rel=0.03)
