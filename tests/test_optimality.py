"""Laws of the certificate: identity, sandwich, and the minimum that Newton's method finds."""

import numpy as np
import pytest
from conftest import network, well

import wgflow as wg
from wgflow.optimality import Dual


def relative_entropy(mass: np.ndarray, other: np.ndarray) -> float:
    return float((mass * np.log(mass / other)).sum())


@pytest.mark.parametrize("loss", ["half_squared", "squared"])
@pytest.mark.parametrize("weighted", [False, True])
def test_identity_and_sandwich_along_a_run(loss: str, weighted: bool) -> None:
    """F - D = lambda KL(rho | rho_hat) to 1e-12, and F - F* lies between the two entropies."""
    weight = np.linspace(0.5, 1.5, 20) / 20 if weighted else None
    problem = network(loss=loss, weight=weight, horizon=5.0).save_every(0.5)
    run = wg.solve(problem, wg.JKO(step=0.5, shape=(48, 48)))
    dual = Dual(problem.energy, run.measure(0).edges)
    best = dual.maximise()
    for k in range(len(run.time)):
        mass = run.measure(k).mass_on_grid
        coupling = dual.on_grid.couple(mass)
        gibbs = np.exp(dual.gibbs(coupling)[0])
        value, lower = dual.on_grid.value(mass), dual.value(coupling)
        entropy = problem.temperature * relative_entropy(mass, gibbs)
        assert value - lower == pytest.approx(entropy, abs=1e-12)
        assert run.gap[k] == pytest.approx(entropy, abs=1e-12)
        assert value == pytest.approx(run.energy["total"][k], abs=1e-12)
        apart = problem.temperature * relative_entropy(mass, best.measure.mass_on_grid)
        assert apart - 1e-12 <= value - best.value <= run.gap[k] + 1e-12
        assert value - best.value >= -1e-13


@pytest.mark.parametrize("temperature", [0.02, 0.2])
def test_newton_finds_the_minimum(temperature: float) -> None:
    problem = network(temperature=temperature)
    dual = Dual(problem.energy, problem.domain.grid((64, 64)))
    best = dual.maximise()
    assert abs(best.gap) <= 1e-12
    assert best.iterations <= 12
    # rho* is its own Gibbs law, and no other law does better.
    coupling = dual.on_grid.couple(best.measure.mass_on_grid)
    np.testing.assert_allclose(
        np.exp(dual.gibbs(coupling)[0]), best.measure.mass_on_grid, rtol=1e-6
    )
    assert dual.gap(best.measure.mass_on_grid) <= 1e-12
    generator = np.random.default_rng(0)
    for _ in range(10):
        noisy = best.measure.mass_on_grid * np.exp(0.1 * generator.standard_normal((64, 64)))
        assert dual.on_grid.value(noisy / noisy.sum()) > best.value


def test_long_runs_end_near_the_minimum() -> None:
    """The stationary state of the entropic step has a bias of the order of the step."""
    problem = network(temperature=0.2, horizon=30.0)
    best = Dual(problem.energy, problem.domain.grid((40, 40))).maximise()
    excess = []
    for step in (0.5, 0.25):
        run = wg.solve(problem, wg.JKO(step=step, shape=(40, 40)))
        excess.append(run.energy["total"][-1] - best.value)
    assert 0 <= excess[1] < excess[0] < 1e-3


def test_without_a_risk_the_minimum_is_minus_the_logarithm_of_the_normaliser() -> None:
    problem = well()
    law = problem.initial.grid(problem.domain.grid((400,)))
    found = wg.certificate(problem, law)
    exact = -0.2 * np.log(np.sqrt(2 * np.pi * 0.2))
    assert found.minimum == pytest.approx(exact, abs=1e-10)
    assert found.dual == pytest.approx(exact, abs=1e-10)
    assert found.value - found.dual == pytest.approx(found.gap, abs=1e-12)


def test_any_coupling_gives_a_lower_bound() -> None:
    problem = network()
    dual = Dual(problem.energy, problem.domain.grid((48, 48)))
    best = dual.maximise().value
    generator = np.random.default_rng(0)
    for _ in range(20):
        assert dual.value(generator.standard_normal(dual.on_grid.size)) < best


def test_refusals() -> None:
    problem = network()
    law = problem.initial.grid(problem.domain.grid((8, 8)))
    with pytest.raises(wg.InputError, match="total mass 2, but a certificate needs 1"):
        wg.certificate(problem, wg.GridMeasure(law.edges, 2 * law.mass_on_grid))
    with pytest.raises(wg.InputError, match="has 1 axes, but the problem has 2"):
        wg.certificate(problem, wg.Gaussian().grid([np.linspace(-1, 1, 9)]))
    assert np.isnan(wg.solve(problem, wg.ParticleFlow(count=10, step=0.1)).gap).all()
