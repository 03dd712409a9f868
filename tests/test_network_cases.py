"""Closed forms of the networks with exact answers: each against its definition."""

import itertools
import math

import numpy as np
import pytest

import wgflow as wg
from wgflow.cases import circle_neuron, linear_langevin, quadratic_neuron
from wgflow.exact import arc_cosine, riccati, ridge_regression
from wgflow.measure import GridMeasure, Particles
from wgflow.transport import wasserstein

ROUNDING = 1e-12


# Quadratic neuron


@pytest.mark.parametrize("dimension", [1, 3])
def test_the_risk_of_quadratic_neurons_depends_on_their_second_moments(dimension: int) -> None:
    weight = np.random.default_rng(0).standard_normal((20, dimension))
    law, risk = Particles(weight), quadratic_neuron.problem(dimension, target=0.7).risk
    assert risk is not None
    target = riccati.target_moments(0.7, dimension)
    expected = riccati.risk_of(riccati.second_moments(law), target)
    assert risk.value(risk.couple(law)) == pytest.approx(expected, rel=ROUNDING)


def test_the_velocity_of_quadratic_neurons_is_linear_in_them() -> None:
    """It is - G w - ridge w with G = 4 A + 2 tr(A) I."""
    weight = np.random.default_rng(0).standard_normal((20, 3))
    law, energy = Particles(weight), quadratic_neuron.problem(3, ridge=0.3).energy
    apart = riccati.second_moments(law) - riccati.target_moments(dimension=3)
    drift = 4 * apart + (2 * np.trace(apart) + 0.3) * np.eye(3)
    found = energy.gradient(weight, energy.couple(law))
    np.testing.assert_allclose(found, weight @ drift, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("ridge", "temperature"), [(0.0, 0.0), (0.1, 0.2), (2.0, 0.0)])
def test_the_closed_second_moment_is_that_of_the_riccati_equation(
    ridge: float, temperature: float
) -> None:
    for start, time in itertools.product((0.01, 0.5, 3.0), (0.1, 1.0)):
        known = riccati.moment_at(time, start, 1.3, ridge, temperature)
        target = riccati.target_moments(1.3)
        begin = np.array([[start]])
        found = riccati.moments_at(time, begin, target, ridge, temperature)
        assert known == pytest.approx(found[0, 0], rel=1e-11)


def test_without_ridge_and_noise_the_second_moment_is_logistic() -> None:
    known = riccati.moment_at(0.3, 0.2, 1.5, 0.0, 0.0)
    expected = 1.5 / (1 + (1.5 / 0.2 - 1) * math.exp(-12 * 1.5 * 0.3))
    assert known == pytest.approx(expected, rel=ROUNDING)


def energy_of_gaussian(moment: float) -> float:
    """F of N(0, moment) for target 1, ridge 0.1 and temperature 0.2, by its terms."""
    entropy = -0.5 * math.log(2 * math.pi * math.e * moment)
    risk = riccati.risk_of(np.array([[moment]]), np.eye(1))
    return risk + 0.1 * moment / 2 + 0.2 * entropy


def test_no_gaussian_has_less_energy_than_the_minimum() -> None:
    best = riccati.fixed_points()[0]
    assert energy_of_gaussian(best) == pytest.approx(riccati.least_energy(), rel=ROUNDING)
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert energy_of_gaussian(factor * best) > riccati.least_energy()


@pytest.mark.parametrize("step", [1e-3, 0.1, 10.0, 1e3])
def test_a_jko_step_of_a_gaussian_minimises_its_functional(step: float) -> None:
    """W2 between centred Gaussians is the difference of their standard deviations."""

    def functional(std: float) -> float:
        return energy_of_gaussian(std**2) + (std - 0.4) ** 2 / (2 * step)

    best = riccati.jko_std(0.4, step)
    assert all(functional(best * factor) > functional(best) for factor in (0.5, 0.999, 1.001, 2))


def test_the_fluctuation_is_that_of_the_start_carried_by_the_flow() -> None:
    """The start has m Var = 2 s^4, and the flow the derivative dM(t)/dM_0."""
    ahead, behind = (
        riccati.moment_at(0.2, 0.16 + change, ridge=0.0, temperature=0.0)
        for change in (1e-5, -1e-5)
    )
    derivative = (ahead - behind) / 2e-5
    expected = 2 * 0.4**4 * derivative**2
    assert riccati.fluctuation(0.2) == pytest.approx(expected, rel=1e-7)


def test_a_step_of_gradient_descent_is_that_of_the_second_moment() -> None:
    """Exactly so for any law: the gradient 6 (m - m*) w is linear in w."""
    case = quadratic_neuron.problem(target=1.3, ridge=0.0, temperature=0.0)
    weight = np.random.default_rng(0).standard_normal((20, 1))
    stepped = weight - 0.01 * case.energy.gradient(weight, case.energy.couple(Particles(weight)))
    before, after = (riccati.second_moments(Particles(w))[0, 0] for w in (weight, stepped))
    assert riccati.descent_moment(before, 0.01, 1.3) == pytest.approx(after, rel=ROUNDING)


def test_fresh_batches_leave_what_the_moments_of_their_inputs_say() -> None:
    """The logarithm of 1 - 4 h m* B, B the mean of x^4, over 10000 batches of normal x.

    Its part linear in B - 3, whose mean is known to be 0, is taken off, to leave the curvature.
    """
    step, batch, target = 2e-3, 500, 1.3
    x = np.random.default_rng(0).standard_normal((10000, batch))
    pull, kept = 4 * step * target * np.mean(x**4, axis=1), 1 - 12 * step * target
    left = np.log(1 - pull)
    mean, std = riccati.log_decay_by_batches(1, step, batch, target)
    curved = left + (pull - 12 * step * target) / kept
    # A square of a normal number over 10000 batches has a relative standard error of 0.014.
    assert curved.mean() - math.log(kept) == pytest.approx(mean - math.log(kept), rel=0.06)
    assert left.std() == pytest.approx(std, rel=0.03)
    nine = riccati.log_decay_by_batches(9, step, batch, target)
    assert nine == pytest.approx((9 * mean, 3 * std), rel=ROUNDING)


# Linear Langevin


def test_the_points_of_the_linear_network_and_its_draws_have_the_covariance() -> None:
    data = linear_langevin.problem(4, decay=0.5).energy.risk.data  # type: ignore[union-attr]
    value = ridge_regression.eigenvalues(4, 0.5)
    np.testing.assert_allclose(data.x.T * data.weights @ data.x, np.diag(value), atol=ROUNDING)
    assert data.draw is not None
    x, y = data.draw(np.random.default_rng(0), 40000)
    # The standard error of an entry is at most sqrt(2/40000).
    np.testing.assert_allclose(x.T @ x / len(x), np.diag(value), atol=0.03)
    np.testing.assert_allclose(y, x.sum(axis=1))


def test_mean_and_spread_of_the_mean_weight_solve_their_equations() -> None:
    """Those are u' = - S (u - w*) - ridge u and v' = - 2 (S + ridge) v + 2 temperature / m."""
    value, change = ridge_regression.eigenvalues(3), 1e-6
    mean = [ridge_regression.mean_at(t, value) for t in (0.5 - change, 0.5, 0.5 + change)]
    slope = -value * (mean[1] - 1.0) - 0.5 * mean[1]
    np.testing.assert_allclose((mean[2] - mean[0]) / (2 * change), slope, atol=1e-8)
    spread = [ridge_regression.spread_at(t, value, 7) for t in (0.5 - change, 0.5, 0.5 + change)]
    slope = -2 * (value + 0.5) * spread[1] + 2 * 0.2 / 7
    np.testing.assert_allclose((spread[2] - spread[0]) / (2 * change), slope, atol=1e-8)
    np.testing.assert_allclose(ridge_regression.spread_at(0.0, value, 7), np.full(3, 1 / 7))


def test_the_stationary_excess_risk_is_the_limit_of_the_spread() -> None:
    value = ridge_regression.eigenvalues(3)
    limit = value @ ridge_regression.spread_at(100.0, value, 7) / 2
    assert ridge_regression.stationary_excess(value, 7) == pytest.approx(limit, rel=ROUNDING)


def test_euler_steps_and_large_batches_have_their_stationary_excess_risk() -> None:
    """v+ = (1 - h k)^2 v + 2 temperature h / m stands still; so does the limit of large batches."""
    value, step = ridge_regression.eigenvalues(3), 0.3
    spread = np.zeros(3)
    for _ in range(300):
        spread = (1 - step * (value + 0.5)) ** 2 * spread + 2 * 0.2 * step / 7
    found = ridge_regression.stationary_excess(value, 7, step=step)
    assert found == pytest.approx(value @ spread / 2, rel=ROUNDING)
    large = ridge_regression.stationary_excess(value, 7, step=step, batch=10**9)
    assert large == pytest.approx(found, rel=1e-8)


def after_a_batch(square: np.ndarray, value: np.ndarray, step: float, batch: int) -> np.ndarray:
    """Second moments after a step on fresh normal inputs, w* = 0, without noise."""
    kept = (1 - step * (value + 0.5)) ** 2 * square
    return kept + step**2 / batch * (value**2 * square + value * (value @ square))


def test_fresh_batches_add_to_the_second_moments_what_normal_inputs_give() -> None:
    """One step of 4e5 networks from one weight."""
    value, weight, step, batch = ridge_regression.eigenvalues(2), np.array([1.0, -2.0]), 0.3, 3
    x = np.sqrt(value) * np.random.default_rng(0).standard_normal((400_000, batch, 2))
    gradient = ((x @ weight)[..., np.newaxis] * x).mean(axis=1) + 0.5 * weight
    square = np.square(weight - step * gradient)
    expected = after_a_batch(weight**2, value, step, batch)
    allowed = 4 * square.std(axis=0) / math.sqrt(len(square))
    assert (np.abs(square.mean(axis=0) - expected) < allowed).all()


def test_fresh_batches_have_their_stationary_excess_risk() -> None:
    value, square = ridge_regression.eigenvalues(3), np.zeros(3)
    for _ in range(1000):
        square = after_a_batch(square, value, 0.3, 3) + 2 * 0.2 * 0.3 / 7
    found = ridge_regression.stationary_excess(value, 7, step=0.3, batch=3)
    assert found == pytest.approx(value @ square / 2, rel=ROUNDING)


def test_the_standard_error_of_an_average_is_that_of_its_autoregression() -> None:
    """Of u^2 e/2 with u+ = (1 - h k) u + sqrt(2 lambda h / m) N(0, 1), over 400 runs."""
    value, step, saves = np.array([1.0]), 0.2, 200
    generator, rate = np.random.default_rng(0), 1.5
    mode = generator.standard_normal(400) * math.sqrt(0.2 / 8 / rate / (1 - step * rate / 2))
    total = np.zeros(400)
    for _ in range(saves):
        total += mode**2 / 2
        for _ in range(5):
            noise = generator.standard_normal(400)
            mode = (1 - step * rate) * mode + math.sqrt(2 * 0.2 * step / 8) * noise
    known = ridge_regression.error_of_average(value, 8, step, saves)
    # The standard error of a standard deviation over 400 runs is 1/sqrt(800) = 0.035 of it.
    assert np.std(total / saves) == pytest.approx(known, rel=0.12)


def test_the_mean_weight_standardised_at_the_start_is_its_sum_over_the_root() -> None:
    value, weight = ridge_regression.eigenvalues(3), np.array([0.1, -0.2, 0.3])
    found = ridge_regression.standardised(weight, 0.0, value, 4)
    np.testing.assert_allclose(found, 2 * weight)


def test_the_minimum_of_the_linear_network_is_least_among_gaussians() -> None:
    value = ridge_regression.eigenvalues(2)

    def energy(mean: np.ndarray, variance: float) -> float:
        risk = float(value @ (mean - 1) ** 2) / 2
        spread = -math.log(2 * math.pi * math.e * variance)
        return risk + 0.25 * float(mean @ mean) + 0.5 * variance + 0.2 * spread

    best, least = ridge_regression.ridge_solution(value), ridge_regression.least_energy(value)
    assert energy(best, 0.4) == pytest.approx(least, rel=ROUNDING)
    for shift, factor in ((0.01, 1.0), (-0.01, 1.0), (0.0, 1.02), (0.0, 0.98)):
        assert energy(best + shift, 0.4 * factor) > least


# Circle neuron


def kernel(angle: np.ndarray) -> np.ndarray:
    """k(t) = (sin t + (pi - t) cos t) / 2 pi for t in [0, pi], the arc-cosine kernel over 2."""
    near = np.abs(np.mod(angle + math.pi, 2 * math.pi) - math.pi)
    return (np.sin(near) + (math.pi - near) * np.cos(near)) / (2 * math.pi)


def test_the_modes_of_the_kernel_are_its_fourier_coefficients() -> None:
    angle = 2 * math.pi * np.arange(4096) / 4096
    found = 2 * np.fft.rfft(kernel(angle)).real[:9] / 4096
    expected = [2 * arc_cosine.kernel_mode(0), *map(arc_cosine.kernel_mode, range(1, 9))]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_risk_of_the_circle_is_that_of_the_kernel() -> None:
    """R = (1/2) int int k d(rho - rho*) d(rho - rho*) = (1/8) sum_n kappa_n a_n^2."""
    problem = circle_neuron.problem(2, 0.7, nodes=2048)
    law = problem.initial.grid(problem.domain.grid((2048,)))
    assert problem.risk is not None
    expected = arc_cosine.kernel_mode(2) * 0.7**2 / 8
    assert problem.risk.value(problem.risk.couple(law)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", [1, 2, 4])
def test_small_waves_of_the_spectral_solution_decay_at_their_rates(mode: int) -> None:
    left = arc_cosine.amplitudes_at(5.0, mode, 1e-4, 1e-3)[mode - 1] / 1e-4
    rate = arc_cosine.decay_rate(mode, 1e-3)
    assert left == pytest.approx(math.exp(-5 * rate), rel=1e-7)


def test_draws_shift_the_rate_by_the_mode_at_twice_the_number() -> None:
    """First-order change of the rate with the amplitude of mode 2n, by the spectral solution."""
    time, count, left = 8.0, 20000, []
    for second in (-1e-3, 1e-3):
        start = np.zeros(16)
        start[0], start[1] = 1e-4, second
        left.append(arc_cosine.flow(time, start)[0] / 1e-4)
    shift = (math.log(left[0]) - math.log(left[1])) / time / 2e-3 * math.sqrt(2 / count)
    expected = abs(shift) / arc_cosine.decay_rate(1)
    assert arc_cosine.error_of_drawn_rate(1, count, time) == pytest.approx(expected, rel=1e-3)


def test_odd_modes_alone_stand_still_and_even_ones_vanish() -> None:
    odd = arc_cosine.amplitudes_at(50.0, 3, 0.9)
    np.testing.assert_allclose(odd, 0.9 * (np.arange(1, 65) == 3), atol=1e-12)
    distances = [
        arc_cosine.distance_to_uniform(arc_cosine.amplitudes_at(time, 2, 0.8))
        for time in (0.0, 10.0, 100.0, 1000.0)
    ]
    assert distances[0] == pytest.approx(0.8 / math.sqrt(8), rel=1e-6)
    assert all(b < 0.5 * a for a, b in itertools.pairwise(distances))


def test_the_spectral_solution_has_converged_and_ends_with_mode_3() -> None:
    coarse, fine = (arc_cosine.amplitudes_at(400.0, 1, 0.5, highest=n) for n in (32, 64))
    np.testing.assert_allclose(coarse, fine[:32], atol=1e-8)
    assert abs(fine[0]) < 1e-6 and fine[2] == pytest.approx(0.041, abs=5e-4)


def test_the_distance_to_uniform_is_w2() -> None:
    amplitudes = np.array([0.3, -0.2, 0.1])
    edge = np.linspace(-math.pi, math.pi, 2049)
    number = np.arange(1, 4)
    below = edge + np.sin(np.outer(edge, number)) @ (amplitudes / number)
    law = GridMeasure([edge], np.diff(below) / (2 * math.pi))
    uniform = GridMeasure([edge], np.full(2048, 1 / 2048))
    found = wasserstein(law, uniform, domain=wg.Domain(wg.Circle()))
    assert arc_cosine.distance_to_uniform(amplitudes) == pytest.approx(found, rel=1e-5)


def test_particles_of_a_wave_stand_at_its_quantiles_or_are_drawn() -> None:
    wave = circle_neuron.problem(3, 0.8, start="quantiles").initial
    angle = wave.particles(0, 100).position[:, 0]
    below = (angle + 0.8 / 3 * np.sin(3 * angle) + math.pi) / (2 * math.pi)
    np.testing.assert_allclose(below, (np.arange(100) + 0.5) / 100, atol=ROUNDING)
    drawn = circle_neuron.problem(3, 0.8).initial.particles(0, 40000)
    # The amplitude of draws has a standard error of about sqrt(2/40000).
    assert arc_cosine.amplitude_of(drawn, 3) == pytest.approx(0.8, abs=0.025)


# Tanh network


def test_full_batches_are_the_particle_flow_to_the_bit() -> None:
    problem = wg.get_case("tanh-network").until(0.5)
    flow = wg.solve(problem, wg.ParticleFlow(0.1, 50)).measure(-1)
    descent = wg.solve(problem, wg.SGD(0.1, 50)).measure(-1)
    assert np.array_equal(flow.points, descent.points)


@pytest.mark.parametrize(
    ("case", "parameters"),
    [
        ("quadratic-neuron", {"target": 0.0}),
        ("quadratic-neuron", {"dimension": 7}),
        ("linear-langevin", {"decay": -1.0}),
        ("circle-neuron", {"amplitude": 1.1}),
        ("circle-neuron", {"start": "random"}),
        ("tanh-network", {"samples": 1}),
    ],
)
def test_parameters_out_of_range_are_refused_in_a_sentence(
    case: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(wg.InputError, match=f"The parameter {next(iter(parameters))}"):
        wg.get_case(case, **parameters)
