"""Laws of the particle solver and of finite-width SGD."""

import dataclasses

import numpy as np
import pytest
from conftest import moments, network, well

import wgflow as wg
from wgflow.exact.gaussian import mean_at, variance_at
from wgflow.solvers.cloud import Cloud
from wgflow.solvers.sgd import SGDScheme


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_order_in_the_step(method: str, order: int) -> None:
    """Against x' = -k x, whose solution is exact for every particle."""
    problem = well(temperature=0.0, stiffness=2.0)
    start = problem.initial.particles(0, 20).position
    errors = []
    for step in (0.02, 0.01, 0.005):
        run = wg.solve(problem, wg.ParticleFlow(step=step, count=20, method=method))
        errors.append(np.abs(run.measure(-1).position - start * np.exp(-2)).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, order, atol=0.1)
    assert wg.ParticleFlow(method=method).order == order


def test_ornstein_uhlenbeck_moments_within_monte_carlo_error() -> None:
    """The variance of Euler-Maruyama obeys v <- (1 - k h)^2 v + 2 lambda h in expectation."""
    count, step = 20000, 0.02
    run = wg.solve(well(), wg.ParticleFlow(step=step, count=count), seed=5)
    mean, variance = moments(run.measure(-1))
    discrete = 0.25
    for _ in range(50):
        discrete = (1 - step) ** 2 * discrete + 2 * 0.2 * step
    assert abs(mean - (1 - step) ** 50) < 4 * np.sqrt(discrete / count)
    assert abs(variance - discrete) < 4 * discrete * np.sqrt(2 / count)
    assert abs(discrete - variance_at(1.0)) < 0.01 and abs(mean - mean_at(1.0)) < 0.02


def test_particles_and_grid_agree_on_a_network() -> None:
    """Both discretise one flow: predictions differ by Monte-Carlo error m^(-1/2) only."""
    problem = network()
    grid = wg.solve(problem, wg.JKO(step=0.0625, shape=(100, 100)))
    cloud = wg.solve(problem, wg.ParticleFlow(step=0.02, count=8000), seed=2)
    apart = np.sqrt(((grid.prediction - cloud.prediction) ** 2).mean(axis=(1, 2)))
    assert apart.max() < 0.03
    np.testing.assert_allclose(cloud.risk, grid.risk, rtol=0.05)


def test_energy_falls_at_the_rate_of_the_dissipation_without_noise() -> None:
    problem = network(temperature=0.0).save_every(0.05)
    run = wg.solve(problem, wg.ParticleFlow(step=0.01, count=200))
    total = run.energy["total"]
    fall = -(total[2:] - total[:-2]) / (run.time[2:] - run.time[:-2])
    np.testing.assert_allclose(fall, run.dissipation[1:-1], rtol=2e-3)
    assert (np.diff(total) < 0).all()


def test_velocity_does_not_depend_on_the_order_of_the_particles() -> None:
    problem = network()
    cloud = Cloud(problem, 300, 0)
    position = cloud.initial()
    order = np.random.default_rng(0).permutation(len(position))
    np.testing.assert_allclose(
        cloud.velocity(position[order], 0.0), cloud.velocity(position, 0.0)[order], rtol=1e-11
    )


def test_particles_stay_in_the_domain() -> None:
    problem = wg.Problem(
        energy=wg.Entropy(1.0),
        domain=wg.Domain(wg.Interval(0, 1), wg.Circle(1.0, 0.0)),
        initial=wg.Uniform((0, 0), (1, 1)),
        horizon=1.0,
    )
    run = wg.solve(problem, wg.ParticleFlow(step=0.1, count=2000))
    position = run.measure(-1).position
    assert position.min() >= 0 and position.max() <= 1
    # The uniform law is stationary: its mean and variance stay.
    assert abs(position.mean() - 0.5) < 4 * np.sqrt(1 / 12 / position.size)


def test_full_batch_noisy_sgd_is_the_particle_flow_to_the_bit() -> None:
    problem = network()
    flow = wg.solve(problem, wg.ParticleFlow(step=0.05, count=300), seed=4)
    full = wg.solve(problem, wg.SGD(step=0.05, width=300), seed=4)
    assert np.array_equal(flow.measure(-1).position, full.measure(-1).position)


def test_sgd_is_what_a_framework_does_with_learning_rate_step_over_width() -> None:
    """Plain gradient descent on the parameters of f = (1/m) sum_j a_j tanh(w_j x)."""
    problem = network(temperature=0.0)
    width, step = 40, 0.01
    run = wg.solve(problem.until(0.1), wg.SGD(step=step, width=width))
    a, w = problem.initial.particles(0, width).position.T
    x, y = run.x[:, 0], run.y[:, 0]
    for _ in range(10):
        hidden = np.tanh(np.outer(x, w))
        error = hidden @ a / width - y
        d_a = hidden.T @ error / len(x) / width + 0.05 * a / width
        d_w = ((1 - hidden**2) * x[:, None]).T @ error / len(x) * a / width + 0.05 * w / width
        a, w = a - step * width * d_a, w - step * width * d_w
    np.testing.assert_allclose(run.measure(-1).position, np.stack([a, w], 1), rtol=1e-10)


def test_minibatch_gradients_are_unbiased() -> None:
    weight = np.linspace(0.5, 1.5, 20) / 20
    for weights in (None, weight):
        problem = network(weight=weights)
        cloud = Cloud(problem, 10, 0)
        scheme = SGDScheme(cloud, wg.SGD(width=10, batch=4))
        position = scheme.initial()["position"]
        draws = np.array([scheme.gradient(position, index) for index in range(4000)])
        exact = SGDScheme(cloud, wg.SGD(width=10)).gradient(position, 0)
        error = (draws.mean(axis=0) - exact) / (draws.std(axis=0) / np.sqrt(len(draws)) + 1e-12)
        assert np.abs(error).max() < 5


def test_momentum_averages_the_velocity_and_keeps_the_speed_of_time() -> None:
    """In a constant force the position moves by step times force once the memory is full."""
    slope = wg.Potential(lambda x: 2 * x[:, 0], lambda x: np.full_like(x, 2.0))
    data = wg.Data(np.zeros(2), np.zeros(2))
    still = wg.Risk(data, wg.Neuron("tanh", outer="fixed"))
    problem = wg.Problem(still + slope, wg.Domain(wg.WholeLine()), wg.Gaussian(), 10.0)
    problem = problem.save_every(5.0)
    run = wg.solve(problem, wg.SGD(step=0.01, width=5, momentum=0.9))
    moved = run.measure(2).position - run.measure(1).position
    np.testing.assert_allclose(moved, -10.0, rtol=1e-10)
    early = run.measure(1).position - run.measure(0).position
    # 1 - 0.9^k of the force after k steps: 0.09 units of time are lost at the start.
    np.testing.assert_allclose(early, -2 * (5 - 0.09), rtol=1e-8)


def test_sgd_approaches_the_particle_flow_as_its_step_decreases() -> None:
    problem = network(temperature=0.0, horizon=4.0)
    seeds = range(24)
    flow = [wg.solve(problem, wg.ParticleFlow(0.02, 10, "heun"), k).prediction[-1] for k in seeds]
    errors = []
    for step in (0.2, 0.0125):
        runs = [wg.solve(problem, wg.SGD(step, 10, batch=1), k).prediction[-1] for k in seeds]
        errors.append(np.sqrt(np.mean(np.square(np.array(runs) - flow))))
    # The noise of the minibatches moves the predictions by the square root of the step.
    order = np.log2(errors[0] / errors[1]) / 4
    assert abs(order - 0.5) < 0.15, order


def test_fresh_draws_come_from_the_law_of_the_data() -> None:
    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = generator.uniform(-2, 2, count)
        return x, np.sin(x)

    data = wg.Data.from_law(draw, 400)
    energy = wg.Risk(data, wg.Neuron("tanh"))
    box = wg.Domain(wg.WholeLine(), wg.WholeLine())
    problem = wg.Problem(energy, box, wg.Gaussian((0.0, 0.0), 1.0), 5.0)
    fresh = wg.solve(problem, wg.SGD(step=0.02, width=100, batch=20, fresh=True))
    flow = wg.solve(problem, wg.ParticleFlow(step=0.02, count=100))
    assert np.abs(fresh.prediction[-1] - flow.prediction[-1]).max() < 0.03
    assert np.abs(flow.prediction[-1] - flow.prediction[0]).max() > 0.5


def test_a_run_that_diverges_says_so_and_keeps_what_it_saved() -> None:
    problem = well(temperature=0.0, stiffness=1e3, horizon=10.0)
    line = wg.Problem(problem.energy, wg.Domain(wg.WholeLine()), problem.initial, 10.0)
    run = wg.solve(line, wg.ParticleFlow(step=0.1, count=10, method="euler"))
    assert run.status == "diverged"
    assert "smaller than 0.1" in run.reason
    assert 1 <= len(run.time) < 11 and np.isfinite(run.energy["total"]).all()


def test_refusals() -> None:
    with pytest.raises(wg.InputError, match="'heun' does not fit a temperature of 0.2"):
        wg.solve(well(), wg.ParticleFlow(method="heun"))
    with pytest.raises(wg.InputError, match="has no noise"):
        wg.solve(well(temperature=0.0), wg.ParticleFlow(method="euler-maruyama"))
    with pytest.raises(wg.InputError, match="must be one of euler, heun"):
        wg.ParticleFlow(method="rk4")
    with pytest.raises(wg.InputError, match="no Risk term"):
        wg.solve(well(), wg.SGD())
    with pytest.raises(wg.InputError, match="fixed sample"):
        wg.solve(network(), wg.SGD(fresh=True, batch=4))
    with pytest.raises(wg.InputError, match="below 1"):
        wg.SGD(momentum=1)
    for settings in ({"count": 0}, {"count": 2.5}, {"count": True}, {"step": float("nan")}):
        with pytest.raises(wg.InputError, match="must be"):
            wg.ParticleFlow(**settings)


@pytest.mark.parametrize("solver", [wg.ParticleFlow(count=4), wg.SGD(width=4)])
def test_internal_energies_that_particles_do_not_have_are_refused(solver: wg.ParticleFlow) -> None:
    problem = network()
    with_power = dataclasses.replace(problem, energy=problem.energy + wg.PowerEntropy(2.0))
    with pytest.raises(wg.InputError, match="cannot follow the term 'power_entropy'"):
        wg.solve(with_power, solver)
