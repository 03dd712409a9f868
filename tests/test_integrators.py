"""Laws of the time integrators of particles: order, error estimates, stable steps."""

import dataclasses
import functools

import numpy as np
import pytest
from conftest import network, well

import wgflow as wg
from wgflow.solvers.cloud import Cloud
from wgflow.solvers.integrators import METHODS, spectral_radius
from wgflow.solvers.particles import ParticleScheme


def on_a_line(problem: wg.Problem, **changes: object) -> wg.Problem:
    axes = [wg.WholeLine() for _ in range(problem.domain.dimension)]
    return dataclasses.replace(problem, domain=wg.Domain(*axes), **changes)


def final(problem: wg.Problem, **settings: object) -> np.ndarray:
    return wg.solve(problem, wg.ParticleFlow(**settings)).measure(-1).position


@functools.cache
def smooth_problem(scheduled: bool) -> tuple[wg.Problem, np.ndarray]:
    """Return a network without noise, and where its particles end."""
    schedule = (lambda t: 1.0 + np.cos(3 * t) / 2) if scheduled else None
    problem = on_a_line(network(temperature=0.0, horizon=2.0), schedule=schedule)
    return problem, final(problem, count=30, step=5e-3, method="bogacki-shampine")


@pytest.mark.parametrize("method", [name for name, m in METHODS.items() if not m.noisy])
@pytest.mark.parametrize("scheduled", [False, True])
def test_order_on_a_network(method: str, scheduled: bool) -> None:
    """Of the positions, against a solution with far shorter steps; with a schedule as well."""
    problem, exact = smooth_problem(scheduled)
    errors = [
        np.abs(final(problem, count=30, step=step, method=method) - exact).max()
        for step in (0.1, 0.05, 0.025)
    ]
    order = np.log2(errors[-2] / errors[-1])
    assert abs(order - METHODS[method].order) < 0.15, errors
    assert wg.ParticleFlow(method=method).order == METHODS[method].order


def moments_of_a_step(method: str, step: float, stiffness: float = 1.0) -> tuple[float, float]:
    """Return a and b of x+ = a x + b N(0, 1), which a step of a linear flow is."""
    problem = on_a_line(well(stiffness=stiffness))
    scheme = ParticleScheme(Cloud(problem, 4, seed=1), method)
    ends = [
        scheme.advance({"position": np.full((4, 1), start)}, 0.0, 0, step).state["position"]
        for start in (0.0, 1.0)
    ]
    normals = scheme.cloud.brownian(0, 1.0) / np.sqrt(2 * problem.temperature)
    np.testing.assert_allclose(np.ptp(ends[0] / normals), 0, atol=1e-12)
    return float(ends[1][0, 0] - ends[0][0, 0]), float(ends[0][0, 0] / normals[0, 0])


@pytest.mark.parametrize(("method", "order"), [("euler-maruyama", 1), ("stochastic-heun", 2)])
def test_weak_order_of_the_moments_of_an_ornstein_uhlenbeck_flow(method: str, order: int) -> None:
    """A step of a linear flow is x+ = a x + b N, whose moments follow without any sampling."""
    errors = []
    for step in (0.1, 0.05, 0.025):
        a, b = moments_of_a_step(method, step)
        mean, variance = 1.0, 0.25
        for _ in range(round(1 / step)):
            mean, variance = a * mean, a**2 * variance + b**2
        exact = 0.2 + (0.25 - 0.2) * np.exp(-2)
        errors.append((abs(mean - np.exp(-1)), abs(variance - exact)))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert (np.abs(orders - order) < 0.25).all(), orders
    assert wg.ParticleFlow(method=method).order == order


def test_noise_of_a_step_has_the_integral_of_the_schedule() -> None:
    """With xi = 1 + t a step from t to t + h spreads particles by 2 lambda (h + t h + h^2/2)."""
    problem = wg.Problem(
        wg.Entropy(0.3), wg.Domain(wg.WholeLine()), wg.Gaussian(), 1.0, schedule=lambda t: 1 + t
    )
    scheme = ParticleScheme(Cloud(problem, 5, seed=0), "stochastic-heun")
    moved = scheme.advance({"position": np.zeros((5, 1))}, 0.5, 3, 0.1).state["position"]
    unit = scheme.cloud.brownian(3, 1.0)
    np.testing.assert_allclose(moved / unit, np.sqrt(0.1 + 0.05 + 0.005), rtol=1e-12)


def test_adapted_steps_keep_their_tolerance_and_are_fewer() -> None:
    """A stiff start and a slow end: the error per unit time is that of the tolerance."""
    base = network(temperature=0.0, horizon=5.0)
    problem = on_a_line(base, schedule=lambda t: 1 + 30 * np.exp(-10 * t))
    exact = final(problem, count=20, step=5e-3, method="bogacki-shampine")
    errors, steps = [], []
    for tolerance in (1e-3, 1e-5):
        solver = wg.ParticleFlow(count=20, step=1.0, error_tolerance=tolerance)
        run = wg.solve(problem, solver)
        assert run.status == "finished"
        errors.append(np.sqrt(((run.measure(-1).position - exact) ** 2).sum(axis=1).mean()))
        steps.append(run.statistics["steps"])
    assert errors[0] < 10e-3 and errors[1] < 10e-5, errors
    # Equal steps as short as the shortest of these would be over a thousand.
    assert steps[0] < steps[1] < 200, steps


def test_steps_that_are_too_long_to_be_stable_are_found_by_the_error() -> None:
    """An explicit method would blow up at step 1 with stiffness 100."""
    problem = on_a_line(well(temperature=0.0, stiffness=100.0))
    run = wg.solve(problem, wg.ParticleFlow(count=10, step=1.0, error_tolerance=1e-4))
    assert run.status == "finished" and run.statistics["rejected_steps"] > 0
    assert np.abs(run.measure(-1).position).max() < 1e-3


def test_the_last_velocity_of_an_embedded_step_is_the_first_of_the_next() -> None:
    problem = network(temperature=0.0)
    scheme = ParticleScheme(Cloud(problem, 20, seed=0), "bogacki-shampine")
    state = scheme.initial()
    for index in range(3):
        state = scheme.advance(state, 0.1 * index, index, 0.1).state
    np.testing.assert_array_equal(state["slope"], scheme.cloud.velocity(state["position"], 0.3))


def test_spectral_radius_is_that_of_the_jacobian_of_all_particles() -> None:
    problem = on_a_line(network(temperature=0.0))
    cloud = Cloud(problem, 12, seed=0)
    position = cloud.initial()
    jacobian = np.empty((position.size, position.size))
    for k in range(position.size):
        offset = np.zeros(position.size)
        offset[k] = 1e-5
        ends = [cloud.gradient(position + s * offset.reshape(position.shape)) for s in (1, -1)]
        jacobian[:, k] = ((ends[0] - ends[1]) / 2e-5).reshape(-1)
    np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-8)
    exact = np.abs(np.linalg.eigvalsh(jacobian)).max()
    start = np.random.default_rng(0).standard_normal(position.shape)
    start /= cloud.root_mean_square(start)
    estimates = [spectral_radius(cloud, position, start, n)[1] for n in (2, 5, 12, 60)]
    assert estimates == sorted(estimates)
    np.testing.assert_allclose(estimates[-1], exact, rtol=1e-4)
    assert estimates[2] > 0.8 * exact


@pytest.mark.parametrize("temperature", [0.0, 0.2])
@pytest.mark.parametrize("stiffness", [3.0, 100.0])
def test_a_courant_number_gives_the_longest_dyadic_step_that_keeps_it(
    temperature: float, stiffness: float
) -> None:
    problem = on_a_line(well(temperature=temperature, stiffness=stiffness)).save_every(1.0)
    run = wg.solve(problem, wg.ParticleFlow(count=50, step=1.0, courant=0.5))
    assert run.status == "finished"
    halvings = np.ceil(np.log2(stiffness / 0.5))
    assert run.statistics["steps"] == 2**halvings


def test_a_courant_number_follows_the_schedule() -> None:
    """Where xi falls from 64 to 1, steps grow 64 times longer."""
    problem = on_a_line(
        well(temperature=0.0, stiffness=1.0, horizon=2.0), schedule=lambda t: 64.0 if t < 1 else 1.0
    ).save_every(1.0)
    run = wg.solve(problem, wg.ParticleFlow(count=10, step=1.0, method="euler", courant=1.1))
    assert 64 + 1 <= run.statistics["steps"] <= 64 + 20


def test_refusals() -> None:
    noisy, still = well(), well(temperature=0.0)
    with pytest.raises(wg.InputError, match="no path is smooth; use method=stochastic-heun"):
        wg.solve(noisy, wg.ParticleFlow(error_tolerance=1e-3))
    with pytest.raises(wg.InputError, match="no path is smooth"):
        wg.solve(noisy, wg.ParticleFlow(method="bogacki-shampine"))
    with pytest.raises(wg.InputError, match="has no noise"):
        wg.solve(still, wg.ParticleFlow(method="stochastic-heun"))
    with pytest.raises(wg.InputError, match="does not estimate its error"):
        wg.ParticleFlow(method="heun", error_tolerance=1e-3)
    with pytest.raises(wg.InputError, match="give one of them"):
        wg.ParticleFlow(error_tolerance=1e-3, courant=0.5)
    for settings in ({"courant": 3}, {"error_tolerance": 0}, {"precision": "half"}):
        with pytest.raises(wg.InputError, match="must be"):
            wg.ParticleFlow(**settings)


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_long_steps_are_stable_where_particles_meet_and_the_force_grows_stiff(method: str) -> None:
    """A cloud that collapses under a Gaussian attraction: the radius grows four times in time 1."""
    plane = wg.Domain(wg.WholeLine(), wg.WholeLine())
    start = wg.Gaussian((0.0, 0.0), 1.0)
    energy = wg.Interaction.gaussian(-20.0, 1.0)
    problem = wg.Problem(energy, plane, start, 1.0, save_times=(0, 1))
    lowest = wg.solve(problem, wg.ParticleFlow(5e-3, 200, method)).energy["total"][-1]
    long = wg.solve(problem, wg.ParticleFlow(0.2, 200, method, courant=1.5))
    assert abs(long.energy["total"][-1] - lowest) < 0.02 * abs(lowest)
