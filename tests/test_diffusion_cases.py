"""Laws of the closed forms of heat, Ornstein-Uhlenbeck and porous-medium flows themselves."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import solve_banded
from scipy.optimize import fsolve, minimize, minimize_scalar

import wgflow as wg
from wgflow.check import Rate
from wgflow.exact import barenblatt as porous, cosine, gaussian as wells
from wgflow.exact.recursion import after

STEPS = [
    pytest.param(stiffness, temperature, step, id=f"{stiffness}-{temperature}-{step}")
    for stiffness, temperature, step in ((0.0, 1.0, 0.1), (1.0, 0.2, 0.05), (2.0, 0.7, 3.0))
]


def least(function: Callable[[np.ndarray], float], start: list[float]) -> np.ndarray:
    options = {"xatol": 1e-11, "fatol": 1e-15, "maxiter": 4000, "maxfev": 4000}
    return minimize(function, start, method="Nelder-Mead", options=options).x


def slope(steps: list[float], values: list[float]) -> float:
    """Return the rate of a study whose errors are differences to the next finer value."""
    place = np.log(steps[:-1])
    place = place - place.mean()
    return float(place @ np.log(np.abs(np.diff(values))) / (place @ place))


@pytest.mark.parametrize(("stiffness", "temperature", "step"), STEPS)
def test_a_jko_step_of_a_gaussian_minimises_its_functional(
    stiffness: float, temperature: float, step: float
) -> None:
    def functional(law: np.ndarray) -> float:
        mean, std = law[0], math.exp(law[1])
        apart = (mean - 1.0) ** 2 + (std - 0.5) ** 2
        return wells.free_energy(mean, std**2, stiffness, temperature) + apart / (2 * step)

    mean, log_std = least(functional, [0.9, -0.6])
    assert mean == pytest.approx(1 / (1 + stiffness * step), abs=1e-7)
    expected = wells.jko_std(0.5, stiffness, temperature, step)
    assert math.exp(log_std) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("stiffness", "temperature", "step"), STEPS)
def test_an_entropic_step_minimises_its_functional_over_couplings(
    stiffness: float, temperature: float, step: float
) -> None:
    """The sum of int |x - y|^2/(2 tau) dpi, 2 lambda int pi log pi and int V; y = c x + N(0, n)."""
    variance = 0.25

    def functional(coupling: np.ndarray) -> float:
        slope, noise = coupling[0], math.exp(coupling[1])
        moved = (1 - slope) ** 2 * variance + noise
        new = slope**2 * variance + noise
        return moved / (2 * step) + stiffness * new / 2 - temperature * math.log(noise)

    contraction, log_noise = least(functional, [0.8, -1.0])
    expected = wells.entropic_jko_variance(variance, stiffness, temperature, step)
    assert contraction**2 * variance + math.exp(log_noise) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("step", [0.05, 0.5])
def test_a_balanced_step_is_that_of_the_symmetrically_scaled_kernel(step: float) -> None:
    """Where u K[u] = G by plain iteration on a grid, and rho+ = u K[rho / K[u]]."""
    x = np.linspace(-4, 4, 401)
    kernel = np.exp(-((x[:, np.newaxis] - x) ** 2) / (4 * 0.2 * step))
    gibbs = np.exp(-(x**2) / 0.4)
    scaling = np.ones_like(x)
    for _ in range(300):
        scaling = np.sqrt(scaling * gibbs / (kernel @ scaling))
    law = np.exp(-(x**2) / (2 * 0.3))
    moved = scaling * (kernel @ (law / (kernel @ scaling)))
    expected = wells.balanced_jko_variance(0.3, 1.0, 0.2, step)
    assert moved @ x**2 / moved.sum() == pytest.approx(expected, abs=1e-8)
    flown = wells.variance_at(math.asinh(step), 1.0, 0.2, math.sqrt(0.3))
    assert expected == pytest.approx(flown, rel=1e-12)


@pytest.mark.parametrize("stiffness", [0.5, 2.0])
def test_the_gibbs_law_is_at_rest(stiffness: float) -> None:
    """Under the flow and in exact and balanced steps, but not in entropic ones."""
    variance, step = 0.2 / stiffness, 0.3
    assert wells.variance_at(1.0, stiffness, 0.2, math.sqrt(variance)) == pytest.approx(variance)
    assert wells.jko_std(variance**0.5, stiffness, 0.2, step) ** 2 == pytest.approx(variance)
    assert wells.balanced_jko_variance(variance, stiffness, 0.2, step) == pytest.approx(variance)
    biased = variance * (1 + stiffness * step) / (1 + stiffness * step / 2)
    assert wells.entropic_jko_variance(biased, stiffness, 0.2, step) == pytest.approx(biased)


def test_the_free_energy_of_a_gaussian_falls_by_its_dissipation() -> None:
    """F by quadrature, and -dF/dt = k^2 (m^2 + v) - 2 k lambda + lambda^2/v along the flow."""
    mean, variance, stiffness, temperature = 0.7, 0.3, 2.0, 0.2

    def density(x: float) -> float:
        return float(wells.density(np.array(x), mean, variance))

    def integrand(x: float) -> float:
        return density(x) * (stiffness * x**2 / 2 + temperature * math.log(density(x)))

    expected = quad(integrand, -5, 7)[0]
    assert wells.free_energy(mean, variance, stiffness, temperature) == pytest.approx(expected)

    def flow(time: float) -> float:
        there = wells.mean_at(time, stiffness, mean)
        spread = wells.variance_at(time, stiffness, temperature, math.sqrt(variance))
        return wells.free_energy(there, spread, stiffness, temperature)

    rate = stiffness**2 * (mean**2 + variance) - 2 * stiffness * temperature
    rate += temperature**2 / variance
    assert (flow(-1e-5) - flow(1e-5)) / 2e-5 == pytest.approx(rate, rel=1e-7)


def bdf2_std(count: int, step: float) -> float:
    """Return the std of BDF2 for the Ornstein-Uhlenbeck flow: quantiles of Gaussians are linear."""
    before, std = 0.5, wells.extrapolated_jko_std(0.5, 1.0, 0.2, step)
    for _ in range(count - 1):
        anchor = (4 * std - before) / 3
        before, std = std, wells.jko_std(anchor, 1.0, 0.2, 2 * step / 3)
    return std


def recursion(case: str, rate: Rate) -> Callable[[int, float], float]:
    """Return the closed form of what a rate in the step observes, by steps and their length."""
    second = rate.settings.get("time_order") == 2
    if case == "porous-medium":
        radius = porous.extrapolated_jko_radius if second else porous.jko_radius
        return lambda n, step: after(n, radius, 0.2, step, 2.0, 1) ** 2
    if case == "neumann-heat":

        def contraction(step: float) -> float:
            whole, halved = 1 / (1 + math.pi**2 * step), 1 / (1 + math.pi**2 * step / 2)
            return 2 * halved**2 - whole if second else whole

        return lambda n, step: contraction(step) ** n
    if rate.settings.get("formula") == "bdf2":
        return lambda n, step: bdf2_std(n, step) ** 2
    of_flow = (1.0, 0.2) if case == "ornstein-uhlenbeck" else (0.0, 1.0)
    if rate.settings.get("method") == "balanced":
        balanced = wells.balanced_jko_variance
        return lambda n, step: after(n, balanced, 0.25, *of_flow, step)
    std = wells.extrapolated_jko_std if second else wells.jko_std
    return lambda n, step: after(n, std, 0.5, *of_flow, step) ** 2


@pytest.mark.parametrize("case", ["heat", "ornstein-uhlenbeck", "neumann-heat", "porous-medium"])
def test_rates_allow_for_what_the_closed_recursions_are_off(case: str) -> None:
    """The slope of the recursions misses the order by the error that the rate states."""
    horizon, found = wg.get_case(case).horizon, 0
    if case == "porous-medium":
        horizon = wg.get_case(case, dimension=1).horizon
    for rate in wg.find_case(case).rates:
        if rate.setting != "step" or rate.solver != "jko":
            continue
        closed = recursion(case, rate)
        values = [closed(round(horizon / step), step) for step in rate.values]
        off = abs(slope(list(rate.values), values) - rate.expected)
        assert off <= rate.error, rate
        assert rate.error <= max(1.2 * off, 0.001), rate
        found += 1
    assert found >= 2


def test_the_law_between_walls_is_the_folded_gaussian() -> None:
    """The cosine series of the variance against images, and against the uniform law at the end."""
    domain = wg.Domain(wg.Interval(-1.5, 1.5))
    edges = np.linspace(-1.5, 1.5, 2001)
    for time in (0.1, 0.5):
        law = wg.Gaussian(0.0, wells.heat_variance_at(time) ** 0.5)
        measure = wg.GridMeasure([edges], law.folded_masses(domain, [edges]))
        found = measure.variance()
        assert found == pytest.approx(wells.walled_heat_variance_at(time, 1.5), abs=1e-6)
    assert wells.walled_heat_variance_at(50.0, 1.5) == pytest.approx(0.75)
    assert wells.walled_heat_variance_at(0.1, 50.0) == pytest.approx(wells.heat_variance_at(0.1))


def test_moments_of_implicit_finite_volumes_obey_their_recursion() -> None:
    """Steps of (1 - tau Laplace_h), solved here, from a binned Gaussian far from the ends."""
    step, edges = 0.02, np.linspace(-12, 12, 97)
    width, x = edges[1] - edges[0], (edges[1:] + edges[:-1]) / 2
    mass = wg.Gaussian(0.0, 0.5).masses([edges])
    ratio = step / width**2
    banded = np.full((3, len(x)), -ratio)
    banded[1] = 1 + 2 * ratio
    banded[1, [0, -1]] = 1 + ratio
    for _ in range(10):
        mass = solve_banded((1, 1), banded, mass)
    measure = wg.GridMeasure([edges], mass)
    assert measure.variance() == pytest.approx(wells.on_cells(0.25 + 0.4, width), rel=1e-12)
    assert mass @ x**4 == pytest.approx(wells.implicit_fourth_moment(10, step, width), rel=1e-12)
    exact = 3 * wells.heat_variance_at(0.2) ** 2
    assert wells.implicit_fourth_moment(10**5, 2e-6, 1e-3) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("amplitude", [0.1, -0.5, 0.95])
def test_free_energy_and_dissipation_of_the_cosine(amplitude: float) -> None:
    """By quadrature; and the free energy falls by the dissipation."""

    def density(x: float) -> float:
        return 1 + amplitude * math.cos(math.pi * x)

    def information(x: float) -> float:
        return (math.pi * amplitude * math.sin(math.pi * x)) ** 2 / density(x)

    expected = quad(lambda x: density(x) * math.log(density(x)), 0, 1)[0]
    assert cosine.free_energy(amplitude) == pytest.approx(expected, rel=1e-10)
    assert cosine.dissipation(amplitude) == pytest.approx(quad(information, 0, 1)[0])
    ahead, before = (cosine.amplitude_at(t, amplitude) for t in (1e-6, -1e-6))
    if abs(before) < 1:
        fall = cosine.free_energy(before) - cosine.free_energy(ahead)
        assert fall / 2e-6 == pytest.approx(cosine.dissipation(amplitude), rel=1e-6)


def test_a_jko_step_of_a_small_cosine_on_moving_cells_minimises_its_functional() -> None:
    """Where the derivative of sum m log(m/w) + W2^2/(2 tau) in the edges is 0, up to order a^3."""
    cells, step, misses = 8, 0.02, []
    old = np.linspace(0, 1, cells + 1)
    for amplitude in (0.02, 0.04):
        mass = (1 + amplitude * np.cos(np.pi * (old[1:] + old[:-1]) / 2)) / cells

        def derivative(inner: np.ndarray, mass: np.ndarray = mass) -> np.ndarray:
            edges = np.concatenate(([0.0], inner, [1.0]))
            density, moved = mass / np.diff(edges), edges - old
            pull = mass[:-1] * (moved[:-2] + 2 * inner - 2 * old[1:-1])
            pull += mass[1:] * (moved[2:] + 2 * inner - 2 * old[1:-1])
            return np.diff(density) + pull / (6 * step)

        edges = np.concatenate(([0.0], fsolve(derivative, old[1:-1], xtol=1e-14), [1.0]))
        found = cosine.amplitude_of(wg.GridMeasure([edges], mass))
        misses.append(found - cosine.jko_amplitude(1, step, cells, amplitude))
    assert abs(misses[1]) < 5e-3 * 0.04**3
    assert misses[1] / misses[0] == pytest.approx(8, rel=0.1)


def test_amplitudes_of_both_schemes_tend_to_the_flow() -> None:
    """At first order in the step, once cells are fine."""
    exact = cosine.amplitude_at(0.1)
    for closed in (cosine.implicit_amplitude, cosine.jko_amplitude):
        misses = [closed(n, 0.1 / n, 10**5, 0.5) - exact for n in (1000, 2000)]
        assert misses[1] < 1e-4
        assert misses[0] / misses[1] == pytest.approx(2, rel=0.01)


DROPS = [(1.5, 1), (2.0, 1), (3.0, 1), (2.0, 2), (2.5, 3)]


@pytest.mark.parametrize(("exponent", "dimension"), DROPS)
def test_the_barenblatt_law_solves_the_porous_medium_equation(
    exponent: float, dimension: int
) -> None:
    """d_t rho = Laplace rho^m within the drop, by differences, with mass 1 for all radii."""
    power = 1 / (exponent - 1)
    ball = math.pi ** (dimension / 2) / math.gamma(dimension / 2 + 1)

    def profile(distance: float, radius: float) -> float:
        return max(1 - (distance / radius) ** 2, 0.0) ** power

    unit = quad(lambda r: profile(r, 1.0) * dimension * ball * r ** (dimension - 1), 0, 1)[0]

    def density(distance: float, time: float) -> float:
        radius = porous.radius_at(time, exponent, dimension)
        return profile(distance, radius) / (unit * radius**dimension)

    time, small = porous.time_of(0.3, exponent, dimension), 1e-4
    assert porous.radius_at(time, exponent, dimension) == pytest.approx(0.3)
    for r in (0.05, 0.15):
        forward, here, back = (density(r + d, time) ** exponent for d in (small, 0.0, -small))
        laplace = (forward - 2 * here + back) / small**2
        laplace += (dimension - 1) / r * (forward - back) / (2 * small)
        change = density(r, time * (1 + small)) - density(r, time * (1 - small))
        assert change / (2 * small * time) == pytest.approx(laplace, rel=1e-5)

    def moment(degree: int, of: float) -> float:
        area = dimension * ball
        return quad(
            lambda r: area * r ** (dimension - 1 + degree) * density(r, time) ** of, 0, 0.3
        )[0]

    assert moment(2, 1) == pytest.approx(porous.second_moment(0.3, exponent, dimension))
    found = moment(0, exponent) / (exponent - 1)
    assert found == pytest.approx(porous.free_energy(0.3, exponent, dimension))
    if dimension == 1:
        on_line = porous.density_on_line(np.array([0.1, 0.4]), 0.3, exponent)
        assert on_line == pytest.approx([density(0.1, time), 0.0])
        front = porous.front_quantile(0.01, 0.3, exponent)
        assert quad(lambda r: density(r, time), front, 0.3)[0] == pytest.approx(0.01)


@pytest.mark.parametrize(("exponent", "dimension"), DROPS)
def test_a_jko_step_of_the_barenblatt_law_minimises_its_functional(
    exponent: float, dimension: int
) -> None:
    """Among dilations, to which W2 is M2 (s - r)^2; recursions tend to the flow, at their order."""
    start, unit = 0.2, porous.second_moment(1.0, exponent, dimension)
    whole = porous.time_of(0.4, exponent, dimension) - porous.time_of(start, exponent, dimension)

    def functional(radius: float) -> float:
        apart = unit * (radius - start) ** 2 / (2 * whole)
        return porous.free_energy(radius, exponent, dimension) + apart

    found = minimize_scalar(functional, bounds=(start, 1.0), options={"xatol": 1e-10}).x
    assert porous.jko_radius(start, whole, exponent, dimension) == pytest.approx(found, abs=1e-6)
    for advance, order in ((porous.jko_radius, 1), (porous.extrapolated_jko_radius, 2)):
        misses = [
            after(n, advance, start, whole / n, exponent, dimension) - 0.4 for n in (400, 800)
        ]
        assert math.log2(misses[0] / misses[1]) == pytest.approx(order, abs=0.15)
        assert abs(misses[1]) < 5e-3


def test_the_well_is_stiffer_along_the_second_axis() -> None:
    """The minimum of F in the plane is a sum over axes with k = 1 and 2."""
    problem = wg.get_case("ornstein-uhlenbeck", dimension=2)
    run = wg.solve(problem.until(0.1), wg.FiniteVolume(0.1, (160, 160)))
    least = -0.1 * sum(math.log(2 * math.pi * 0.2 / k) for k in (1.0, 2.0))
    assert run.minimum[-1] == pytest.approx(least, abs=1e-10)


@pytest.mark.parametrize(
    ("case", "parameters", "words"),
    [
        ("heat", {"temperature": 0.0}, "temperature is 0.0, but must be a finite number above 0"),
        ("heat", {"window": -1.0}, "window is -1.0"),
        ("heat", {"walls": 2}, "walls is 2, but must be true or false"),
        ("neumann-heat", {"amplitude": 1.5}, r"amplitude is 1.5, but must be in \[-1, 1\]"),
        ("ornstein-uhlenbeck", {"dimension": 4}, "dimension is 4"),
        ("ornstein-uhlenbeck", {"anisotropy": 0.0}, "anisotropy is 0.0"),
        ("porous-medium", {"walls": "no"}, "walls is 'no'"),
    ],
)
def test_parameters_out_of_range_are_refused(
    case: str, parameters: dict[str, object], words: str
) -> None:
    with pytest.raises(wg.InputError, match=words):
        wg.get_case(case, **parameters)
