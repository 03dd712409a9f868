"""Isotropic Gaussians: the reduction to lengths, its unit, and a separate code for its flow."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import gammaincinv

import wgflow as wg
from wgflow.cases import isotropic_gaussians as case
from wgflow.energy import Potential
from wgflow.exact import two_gaussians
from wgflow.isotropic import Lengths, two_lengths, two_spreads
from wgflow.kernels.radial_ramp import RampMean, radial_ramp
from wgflow.measure import Particles

RAMP = wg.ramp(two_gaussians.LEFT, two_gaussians.RIGHT)


@pytest.mark.parametrize("dimension", [5, 40])
def test_the_unit_is_the_mean_of_the_ramp_over_directions(dimension: int) -> None:
    """h(z) = E sigma(z u) by quadrature over the density (1 - u^2)^((d - 3)/2) of a coordinate."""
    mean = RampMean(two_gaussians.LEFT, two_gaussians.RIGHT, dimension)
    weight = quad(lambda u: (1 - u * u) ** ((dimension - 3) / 2), -1, 1)[0]
    for z in (0.3, 0.7, 1.6, 5.0, 30.0):
        knots = [t / z for t in (0.5, 1.5) if t < z]
        exact = quad(
            lambda u, z=z: (
                (1 - u * u) ** ((dimension - 3) / 2) * float(RAMP.value(np.array(z * u)))
            ),
            -1,
            1,
            points=knots or None,
        )[0]
        assert float(mean.value(np.array(z))) == pytest.approx(exact / weight, abs=1e-9)


def test_the_unit_of_infinite_dimension_is_a_mean_over_normal_numbers() -> None:
    mean = RampMean(two_gaussians.LEFT, two_gaussians.RIGHT, 0)
    for z in (0.2, 1.0, 4.0):
        density = lambda g, z=z: np.exp(-g * g / 2) * float(RAMP.value(np.array(z * g)))  # noqa: E731
        exact = quad(density, -9, 9, points=[0.5 / z, 1.5 / z])[0] / np.sqrt(2 * np.pi)
        assert float(mean.value(np.array(z))) == pytest.approx(exact, abs=1e-8)
    # Coordinates of the sphere of radius sqrt(d) are normal in the limit.
    z = np.linspace(0, 6, 20)
    far = RampMean(two_gaussians.LEFT, two_gaussians.RIGHT, 10_000).value(100 * z)
    np.testing.assert_allclose(far, mean.value(z), atol=2e-3)


@pytest.mark.parametrize(("dimension", "bound"), [(5, 1e-8), (40, 1e-11), (1000, 1e-9)])
def test_the_table_of_the_unit_and_its_slope(dimension: int, bound: float) -> None:
    mean = RampMean(two_gaussians.LEFT, two_gaussians.RIGHT, dimension)
    unit = radial_ramp(two_gaussians.LEFT, two_gaussians.RIGHT, dimension)
    z = np.concatenate([np.linspace(-120, 120, 4001), [0.0, 0.5, 1.5, 1e9]])
    np.testing.assert_allclose(unit.value(z), mean.value(z), atol=bound * 10)
    z = z[np.abs(z) > 1e-3]
    step = 1e-5
    slope = (mean.value(z + step) - mean.value(z - step)) / (2 * step)
    near = np.abs(z) < 200
    np.testing.assert_allclose(unit.derivative(z)[near], slope[near], atol=2e-4)
    assert unit is radial_ramp(two_gaussians.LEFT, two_gaussians.RIGHT, dimension)


def test_knots_and_dimensions_out_of_range_are_refused() -> None:
    with pytest.raises(wg.InputError, match="left knot of a radial ramp is at 0"):
        radial_ramp((0.0, 0.0), (1.0, 1.0), 3)
    with pytest.raises(wg.InputError, match="must be 0 or at least 2"):
        radial_ramp(two_gaussians.LEFT, two_gaussians.RIGHT, 1)
    with pytest.raises(wg.InputError, match="dimension is 4 for the radial model"):
        case.problem(dimension=4)
    with pytest.raises(wg.InputError, match="dimension is 0 for the full model"):
        case.problem(model="full", dimension=0)
    with pytest.raises(wg.InputError, match="difference is 1"):
        case.problem(difference=1.0)


def test_the_law_of_lengths_has_the_masses_of_its_draws() -> None:
    law = Lengths(40, 0.8 / 40**0.5)
    edges = np.linspace(0.4, 1.2, 9)
    drawn = np.linalg.norm(np.random.default_rng(1).normal(0, law.std, (20_000, 40)), axis=1)
    for part in (drawn, law.sample(np.random.default_rng(2), 20_000)[:, 0]):
        share = np.histogram(part, edges)[0] / len(part)
        np.testing.assert_allclose(law.masses([edges]), share / share.sum(), atol=0.015)
    # The law is not symmetric: its tails are one-sided sums of many small masses.
    tails = law.masses([np.array([0.0, 0.1, 0.2, 1.8, 2.0])])
    assert (tails > 0).all()


def test_full_and_radial_risks_agree_for_an_isotropic_law() -> None:
    """Neurons on orthonormal frames of a few lengths see the sample as their lengths see |x|."""
    full, radial = case.problem(model="full"), case.problem()
    generator = np.random.default_rng(3)
    frames = [np.linalg.qr(generator.standard_normal((40, 40)))[0] for _ in range(100)]
    direction = np.concatenate([part for frame in frames for part in (frame, -frame)])
    length = np.tile([0.6, 1.4, 2.2, 3.0], len(direction) // 4)[:, np.newaxis]
    both = (full, length * direction), (radial, length)
    risks = [p.risk.value(p.risk.couple(Particles(points))) for p, points in both]
    assert risks[0] == pytest.approx(risks[1], rel=4e-3)


def test_the_sample_is_balanced_and_fresh_draws_have_its_moments() -> None:
    data = two_spreads(10, (1.8, 0.2), 4000)
    assert data.y.mean() == 0
    x, y = data.draw(np.random.default_rng(0), 40_000)
    for label, std in ((1.0, 1.8), (-1.0, 0.2)):
        held, fresh = data.x[data.y[:, 0] == label], x[y == label]
        assert (held**2).sum(axis=1).mean() == pytest.approx(10 * std**2, rel=1e-3)
        assert (fresh**2).sum(axis=1).mean() == pytest.approx(10 * std**2, rel=0.02)
        np.testing.assert_allclose(held.T @ held / len(held) / std**2, np.eye(10), atol=0.1)
    assert (y == 1).mean() == pytest.approx(0.5, abs=0.01)


def test_the_risk_at_the_start_in_both_ways() -> None:
    """Lengths by quantiles and the unit h, against normal inner products and q."""
    for dimension in (10, 40, 200):
        data = two_lengths(dimension, (1.8, 0.2))
        unit = radial_ramp(two_gaussians.LEFT, two_gaussians.RIGHT, dimension).value
        f = unit(np.outer(data.x[:, 0], quantiles(4000, dimension))).mean(axis=1)
        risk = data.weights @ (f - data.y[:, 0]) ** 2
        assert risk == pytest.approx(two_gaussians.risk_at_start(dimension), abs=1e-4)


def quantiles(count: int, dimension: int = 40) -> np.ndarray:
    """Return equally likely lengths of neurons at the start."""
    level = (np.arange(count) + 0.5) / count
    return 0.8 / dimension**0.5 * np.sqrt(2 * gammaincinv(dimension / 2, level))


@pytest.fixture(scope="module")
def separate() -> np.ndarray:
    """The risk at the times of the table, by quantiles and an embedded Runge-Kutta pair."""
    data = two_lengths(40, (1.8, 0.2))
    x, y, weight = data.x[:, 0], data.y[:, 0], data.weights
    unit = radial_ramp(two_gaussians.LEFT, two_gaussians.RIGHT, 40)

    def residual(r: np.ndarray) -> np.ndarray:
        return unit.value(np.outer(x, r)).mean(axis=1) - y

    def velocity(time: float, r: np.ndarray) -> np.ndarray:
        return -2 * (weight * residual(r) * x) @ unit.derivative(np.outer(x, r))

    times = list(two_gaussians.RISK)
    path = solve_ivp(velocity, (0, 20), quantiles(800), t_eval=times, rtol=1e-5, atol=1e-8)
    return np.array([weight @ residual(r) ** 2 for r in path.y.T])


def test_the_table_is_that_of_a_flow_of_quantiles(separate: np.ndarray) -> None:
    np.testing.assert_allclose(separate, list(two_gaussians.RISK.values()), atol=7e-4)


def test_full_and_radial_flows_agree_with_noise() -> None:
    """Noise in R^d pushes lengths out by temperature (d - 1)/r, which the area stands for."""
    heat = 0.01
    radial = wg.solve(
        case.problem(temperature=heat, horizon=1.0), wg.JKO(step=0.05, shape=(128,)), save="summary"
    )
    solver = wg.SGD(width=800, step=0.01, batch=200, fresh=True)
    full = case.problem(model="full", temperature=heat, horizon=1.0)
    trained = np.mean([wg.solve(full, solver, seed, save="summary").risk[-1] for seed in (0, 1)])
    # Without the area they are 0.05 apart.
    assert trained == pytest.approx(radial.risk[-1], abs=0.012)
    bare = case.problem(temperature=heat, horizon=1.0)
    energy = wg.Energy(
        *(term for term in bare.energy.terms if not isinstance(term, Potential)),
        *bare.energy.internal,
    )
    bare = dataclasses.replace(bare, energy=energy)
    without = wg.solve(bare, wg.JKO(step=0.05, shape=(128,)), save="summary").risk[-1]
    assert abs(trained - without) > 3 * abs(trained - radial.risk[-1])


@pytest.mark.parametrize("difference", [0.2, 0.4, 0.47])
def test_one_length_is_optimal_below_the_threshold(difference: float) -> None:
    assert difference < two_gaussians.one_length_threshold()
    assert case._excess(difference) > 0
    assert case._excess(0.5) < 0


def test_the_least_risk_of_one_length() -> None:
    """It is 0 at the threshold, and above it the flow gets lower than any one length."""
    threshold = two_gaussians.one_length_threshold()
    assert two_gaussians.least_risk_of_one_length(threshold) == pytest.approx(0, abs=1e-12)
    problem = case.problem(dimension=0, difference=0.8, temperature=0.0, horizon=20.0)
    run = wg.solve(problem, wg.ParticleFlow(count=200, step=0.05), save="summary")
    assert run.risk[-1] < 0.9 * two_gaussians.least_risk_of_one_length(0.8)


def test_the_description_of_the_problem_in_other_dimensions() -> None:
    assert case.problem(dimension=0).risk.data.count == 2
    assert case.problem(dimension=10).risk.data.count == 64
    full = case.problem(model="full", dimension=6, samples=31)
    assert full.domain.dimension == 6
    assert full.risk.data.count == 32


def test_a_grid_on_forty_axes_is_refused_for_their_number() -> None:
    with pytest.raises(wg.InputError, match="has 40 axes, too many for a grid of 16 cells on each"):
        wg.solve(case.problem(model="full"), wg.JKO(step=0.1))
