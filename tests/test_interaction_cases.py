"""Laws of the closed forms of the cases with wells and interactions, apart from any solver."""

import math

import numpy as np
import pytest

from wgflow.cases import (
    aggregation_disc as disc_case,
    double_well as well_case,
    keller_segel as chemotaxis_case,
    torus_langevin as torus_case,
)
from wgflow.errors import InputError
from wgflow.exact import aggregation, double_well, keller_segel, torus_langevin
from wgflow.loop import solve
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.optimality import Dual
from wgflow.problem import Problem
from wgflow.solvers import ParticleFlow


def value(problem: Problem, law: Measure) -> float:
    return sum(problem.energy.values(law, problem.energy.couple(law)).values())


# --- double well ----------------------------------------------------------------------------


def test_modes_begin_at_the_start_and_end_at_the_gibbs_law() -> None:
    start = [1.0, 0.3, 0.25**2 + 0.3**2]
    assert [double_well.moment_at(0.0, p) for p in range(3)] == pytest.approx(start, abs=1e-7)
    gibbs = [double_well.gibbs_integral(p) / double_well.gibbs_integral() for p in (2, 4)]
    end = [double_well.moment_at(3e5, p) for p in (1, 2, 3, 4)]
    assert end == pytest.approx([0.0, gibbs[0], 0.0, gibbs[1]], abs=1e-7)
    assert double_well.excess_at(3e5) == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("time", [0.1, 0.5, 2.0])
def test_moments_of_the_modes_obey_the_equation(time: float) -> None:
    """d/dt E x = -E V'(x) and d/dt E x^2 = 2 lambda - 2 E x V'(x), V' = 4 x^3 - 4 x."""
    moment = [double_well.moment_at(time, p) for p in range(5)]
    slope = [
        (double_well.moment_at(time + 1e-4, p) - double_well.moment_at(time - 1e-4, p)) / 2e-4
        for p in (1, 2)
    ]
    exact = [4 * (moment[1] - moment[3]), 0.2 + 8 * (moment[2] - moment[4])]
    assert slope == pytest.approx(exact, abs=1e-6)


def test_the_slow_rate_is_that_of_kramers_at_low_temperatures() -> None:
    """(V''(1) |V''(0)|)^(1/2) / pi exp(-1 / lambda), up to a relative error of order lambda."""
    errors = []
    for temperature in (0.1, 0.05):
        kramers = math.sqrt(8 * 4) / math.pi * math.exp(-1 / temperature)
        errors.append(1 - double_well.relaxation_rate(temperature) / kramers)
    assert 0 < errors[1] < 0.6 * errors[0] < 0.05


def test_the_excess_falls_at_twice_the_slow_rate() -> None:
    times = (4e4, 5e4)
    first, second = (double_well.excess_at(time) for time in times)
    rate = math.log(first / second) / (times[1] - times[0])
    assert rate == pytest.approx(2 * double_well.relaxation_rate(), rel=2e-3)


# --- aggregation ----------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2])
def test_discs_lose_energy_at_the_rate_of_their_dissipation(dimension: int) -> None:
    """dF/dt = -int |v|^2 drho for v = -(1 - c / R^2) x."""
    time, step = 0.3, 1e-5
    radius = aggregation.radius_at(time, dimension)
    ends = [aggregation.radius_at(time + s, dimension) for s in (-step, step)]
    fall = np.diff([aggregation.free_energy(end, dimension) for end in ends])[0] / (2 * step)
    pull = 1 - (3 - dimension) / radius**2
    moment = radius**2 / (2 if dimension == 2 else 4)
    assert fall == pytest.approx(-(pull**2) * moment, rel=1e-8)


@pytest.mark.parametrize("dimension", [1, 2])
def test_jko_steps_of_a_disc_go_to_its_flow(dimension: int) -> None:
    errors = []
    for count in (100, 200):
        radius = disc_case.START
        for _ in range(count):
            radius = aggregation.jko_radius(radius, 1 / count, dimension)
        errors.append(radius - aggregation.radius_at(1.0, dimension))
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.02)
    rest = math.sqrt(3 - dimension)
    assert aggregation.jko_radius(rest, 0.7, dimension) == pytest.approx(rest, rel=1e-14)


@pytest.mark.parametrize("dimension", [1, 2])
def test_a_step_of_the_disc_minimises_energy_and_distance(dimension: int) -> None:
    """W2^2 between discs of radius R and S is (R - S)^2 times the second moment at radius 1."""
    start, step = 1.7, 0.4
    moment = 0.5 if dimension == 2 else 0.25

    def objective(radius: float) -> float:
        movement = (radius - start) ** 2 * moment / (2 * step)
        return aggregation.free_energy(radius, dimension) + movement

    best = aggregation.jko_radius(start, step, dimension)
    slope = (objective(best + 1e-5) - objective(best - 1e-5)) / 2e-5
    assert slope == pytest.approx(0.0, abs=1e-9)
    assert objective(best) < min(objective(best - 0.1), objective(best + 0.1))


def test_the_departure_of_the_second_moment_is_that_of_the_steps_of_a_disc() -> None:
    """A disc stays one in steps of R' = 1/R - R; those of Bogacki and Shampine, 1/20 long."""
    radius, departures = disc_case.START, []
    for step in range(1, 41):
        first = 1 / radius - radius
        second = 1 / (radius + first / 40) - (radius + first / 40)
        third = 1 / (radius + 3 * second / 80) - (radius + 3 * second / 80)
        radius += (2 * first + 3 * second + 4 * third) / 180
        departures.append(abs(radius**2 - aggregation.radius_at(step / 20, 2) ** 2) / 2)
    (check,) = (check for check in disc_case.CHECKS if "departure" in check.quantity)
    assert max(departures) == pytest.approx(check.error, rel=0.01)
    assert check.compute() == pytest.approx(check.error, rel=0.05)


@pytest.mark.parametrize("dimension", [1, 2])
def test_draws_and_cells_of_a_disc_are_one_law(dimension: int) -> None:
    law = aggregation.Disc(1.5, dimension)
    points = law.sample(np.random.default_rng(0), 40000)
    assert points.shape == (40000, dimension)
    edges = [np.linspace(-1.6, 1.6, 9)] * dimension
    drawn = np.histogramdd(points, edges)[0] / 40000
    # Three standard errors of a cell, and for the plane the points counted in its cells.
    assert np.abs(drawn - law.masses(edges)).max() < 3 * 0.5 / 200 + 0.005 * (dimension - 1)
    moment = aggregation.spread(Particles(points))
    assert moment == pytest.approx(1.5**2 / (2 if dimension == 2 else 4), rel=0.01)


def test_energy_of_cells_of_a_disc() -> None:
    problem = disc_case.problem()
    edges = problem.domain.grid((64, 64))
    law = GridMeasure(edges, aggregation.Disc(2.0, 2).masses(edges))
    assert value(problem, law) == pytest.approx(aggregation.free_energy(2.0, 2), abs=1e-3)


def test_particles_rest_at_hermite_zeros() -> None:
    zeros = aggregation.places_at_rest(30)
    law, energy = Particles(zeros[:, np.newaxis]), disc_case.problem(dimension=1).energy
    assert energy.gradient(law.points, energy.couple(law)) == pytest.approx(0.0, abs=1e-13)
    assert aggregation.spread(law) == pytest.approx(
        aggregation.second_moment_at(100.0, 1.0, 30), rel=1e-13
    )


# --- Keller-Segel ---------------------------------------------------------------------------


@pytest.mark.parametrize("mass", [3.0, 8 * math.pi, 40.0])
def test_dilations_of_a_gaussian_show_the_second_moment(mass: float) -> None:
    """For N(0, s^2 I) s dF/ds = -M2' / 2: moving along x is what makes M2 grow."""
    std = 0.7
    ends = [keller_segel.gaussian_energy(mass, std + s) for s in (-1e-5, 1e-5)]
    slope = (ends[1] - ends[0]) / 2e-5
    assert std * slope == pytest.approx(-keller_segel.moment_rate(mass) / 2, abs=1e-8)


def test_the_critical_mass_divides_growth_from_blow_up() -> None:
    assert keller_segel.moment_rate(8 * math.pi) == pytest.approx(0.0, abs=1e-14)
    assert keller_segel.blow_up_time(chemotaxis_case.BELOW, 0.5) == math.inf
    time = keller_segel.blow_up_time(10 * math.pi, 0.6)
    assert 2 * 0.6**2 + time * keller_segel.moment_rate(10 * math.pi) == pytest.approx(0.0)


def test_the_growth_of_a_cloud_scatters_as_predicted() -> None:
    """Over 64 seeds the standard deviation is known to 9 %; no attraction, as this is its size."""
    problem = chemotaxis_case.problem(0.0, horizon=0.3).save_every(0.3)
    growth = []
    for seed in range(64):
        run = solve(problem, ParticleFlow(count=40, step=0.02), seed)
        ends = [keller_segel.second_moment(run.measure(save)) for save in (0, -1)]
        growth.append(ends[1] - ends[0])
    error = keller_segel.growth_error(0.0, 0.5, 0.3, 40)
    assert np.std(growth, ddof=1) == pytest.approx(error, rel=0.25)
    assert np.mean(growth) == pytest.approx(1.2, abs=3 * error / 8)


# --- torus ----------------------------------------------------------------------------------


def test_features_make_the_kernel_and_the_fit() -> None:
    points = np.random.default_rng(1).uniform(-4, 4, (7, 2))
    psi = torus_langevin.features(points)
    pairs = (points[:, np.newaxis] - points).reshape(-1, 2)
    kernel = torus_case.KERNEL.kernel(pairs).reshape(7, 7)
    assert psi @ psi.T == pytest.approx(kernel, abs=1e-13)
    law, energy = Particles(points), torus_case.problem(temperature=0.0).energy
    residual = torus_langevin.residual(law)
    values = energy.values(law, energy.couple(law))
    assert sum(values.values()) == pytest.approx(residual @ residual / 2, abs=1e-13)


@pytest.mark.parametrize("temperature", [0.1, 0.3])
def test_both_duals_have_one_optimum(temperature: float) -> None:
    """One in the 121 residuals, one in the masses of all cells; the same sums over cells."""
    problem = torus_case.problem(temperature)
    found = Dual(problem.energy, problem.domain.grid((32, 32))).maximise()
    own = torus_langevin.optimum(temperature, 32)
    assert found.value == pytest.approx(own.value, abs=1e-12)
    assert np.abs(found.measure.mass_on_grid - own.mass).sum() < 1e-6


def test_the_first_eigenvalue_by_differences_of_fourier() -> None:
    """The same linear flow on 25 x 25 points: div(rho grad (k * d + tau d / rho)), all modes."""
    count, temperature = 25, 0.3
    apart = np.subtract.outer(np.arange(count), np.arange(count))
    with np.errstate(divide="ignore"):
        single = (-1.0) ** apart / (2 * np.sin(np.pi * apart / count))
    np.fill_diagonal(single, 0.0)
    gradient = [np.kron(single, np.eye(count)), np.kron(np.eye(count), single)]
    edges = np.linspace(-np.pi, np.pi, count + 1)
    centre = (edges[1:] + edges[:-1]) / 2
    psi = torus_langevin.features(
        np.stack(np.meshgrid(centre, centre, indexing="ij"), -1).reshape(-1, 2)
    )
    mass = torus_langevin.optimum(temperature, count).mass.reshape(-1)
    mobility = sum(part.T @ (mass[:, np.newaxis] * part) for part in gradient)
    hessian = psi @ psi.T + np.diag(temperature / mass)
    rates = np.sort(np.linalg.eigvals(mobility @ hessian).real)
    assert rates[:2] == pytest.approx([0.0, torus_langevin.linear_rate(temperature)], abs=2e-4)


def test_hot_particles_are_independent() -> None:
    """The fit of m draws of the uniform law exceeds its own by (k(0) - 1) / 2 m."""
    excess = torus_langevin.particle_fit(1e3, 50) - torus_langevin.optimum(1e3).fit
    at_zero = float(torus_case.KERNEL.kernel(np.zeros((1, 2)))[0])
    assert excess == pytest.approx((at_zero - 1) / 100, rel=2e-3)


def annealed_logarithms(seeds: int) -> np.ndarray:
    """Return log(G / 2) at t = 32, 64 and 80, shape (3, seeds), by sums over modes exp(i k . x)."""
    generator = np.random.default_rng(5)
    k = np.arange(-5, 6)
    weight = np.multiply.outer(1 / (1 + np.abs(k)), 1 / (1 + np.abs(k)))
    atoms = np.exp(-1j * torus_langevin.target()[..., np.newaxis] * k)
    wanted = atoms[:, 0].T @ atoms[:, 1] / len(atoms)
    x, found = generator.uniform(-np.pi, np.pi, (seeds, 50, 2)), []
    for iteration in range(1001):
        first, second = (np.exp(1j * x[..., axis, np.newaxis] * k) for axis in (0, 1))
        residual = np.conj(np.swapaxes(first, 1, 2) @ second) / 50 - wanted
        if iteration in (400, 800, 1000):
            found.append(np.log((weight * np.abs(residual) ** 2).sum(axis=(1, 2)) / 2))
        pulls = [
            ((1j * k * first) @ (weight * residual) * second).sum(axis=2).real,
            (first @ (weight * residual) * (1j * k * second)).sum(axis=2).real,
        ]
        temperature = 20 / (iteration + 1) if iteration < 800 else 0.0
        noise = generator.standard_normal(x.shape)
        x = x - 0.08 * np.stack(pulls, axis=2) + math.sqrt(2 * temperature * 0.08) * noise
    return np.array(found)


def test_annealed_particles_by_sums_over_modes() -> None:
    """What the case is checked against, by a third code: means within three standard errors."""
    found = annealed_logarithms(24)
    for sample, logarithms in zip(torus_langevin.ANNEALED.values(), found, strict=True):
        assert logarithms.mean() == pytest.approx(sample.mean, abs=3 * sample.error(24))
        assert np.std(logarithms, ddof=1) == pytest.approx(sample.deviation, rel=0.5)


def test_noise_of_an_annealed_run_is_as_published() -> None:
    """20 / (k + 1) at t = 0.08 k up to 80 % of the horizon, whatever temperature is recorded."""
    for temperature in (0.1, 0.5):
        problem = torus_case.problem(temperature, annealed=True)
        assert problem.horizon == 80.0
        noise = [problem.heat(0.08 * k) * problem.temperature for k in (0, 1, 400, 799, 800, 1000)]
        assert noise == pytest.approx([20, 10, 20 / 401, 20 / 800, 0, 0], rel=1e-12)
    short = torus_case.problem(horizon=10.0, annealed=True)
    assert short.heat(7.9) > 0.0 == short.heat(8.1)
    with pytest.raises(InputError, match="holds the temperature fixed"):
        solve(problem, torus_case.SOLVERS["finite-volume"])


# --- parameters -----------------------------------------------------------------------------


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="parameter temperature is 0"):
        well_case.problem(temperature=0.0)
    with pytest.raises(InputError, match="parameter dimension is 3, .* at most 2"):
        disc_case.problem(dimension=3)
    with pytest.raises(InputError, match="parameter mass is -1"):
        chemotaxis_case.problem(mass=-1.0)
    with pytest.raises(InputError, match="parameter atoms is 0"):
        torus_case.problem(atoms=0)
    with pytest.raises(InputError, match="temperature of an annealed run is 0.0, .* above 0"):
        torus_case.problem(temperature=0.0, annealed=True)
    with pytest.raises(InputError, match="parameter annealed is 1"):
        torus_case.problem(annealed=1)  # type: ignore[arg-type]
