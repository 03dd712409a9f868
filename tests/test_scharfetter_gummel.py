"""Laws of the compiled finite-volume fluxes: Scharfetter-Gummel sweeps and pressure fluxes."""

from decimal import Decimal, localcontext

import numba
import numpy as np
import pytest

from wgflow.errors import InputError
from wgflow.kernels.porous_medium import add_pressure_fluxes, power_steps
from wgflow.kernels.scharfetter_gummel import add_fluxes, bernoulli, implicit_sweep

RATIO, TEMPERATURE = 1.7, 0.3
SHAPES = [(7,), (2,), (40,), (5, 6), (2, 33), (9, 4, 5)]

both = pytest.mark.parametrize("periodic", [False, True], ids=["walls", "circle"])


def random_fields(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(len(shape))
    return random.random(shape), random.normal(size=shape)


def lines(values: np.ndarray, axis: int) -> np.ndarray:
    """All lines along an axis as columns."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def flux_matrix(g: np.ndarray, periodic: bool) -> np.ndarray:
    """The definition: column j holds what a unit of mass in cell j loses and hands on."""
    cells = len(g)
    matrix = np.zeros((cells, cells))
    for j in range(cells if periodic else cells - 1):
        after = (j + 1) % cells
        z = (g[after] - g[j]) / TEMPERATURE
        ahead, back = RATIO * z / np.expm1(z), RATIO * -z / np.expm1(-z)
        matrix[j, j] -= ahead
        matrix[after, j] += ahead
        matrix[after, after] -= back
        matrix[j, after] += back
    return matrix


@numba.njit
def evaluated(sizes: np.ndarray) -> np.ndarray:
    values = np.empty_like(sizes)
    for k in range(len(sizes)):
        values[k] = bernoulli(sizes[k])
    return values


def test_the_bernoulli_function_is_exact_to_a_few_ulp() -> None:
    near_one = np.nextafter(1.0, [0.0, 2.0])
    sizes = np.concatenate([np.linspace(0.01, 3, 200), np.logspace(-12, 2.84, 200), near_one])
    with localcontext() as context:
        context.prec = 60
        exact = [float(Decimal(z) / (Decimal(z).exp() - 1)) for z in sizes.tolist()]
    np.testing.assert_allclose(evaluated(sizes), exact, rtol=6 * np.finfo(float).eps)
    assert evaluated(np.zeros(1))[0] == 1.0
    assert 0 <= evaluated(np.array([1e5]))[0] < 1e-300


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_a_sweep_solves_the_linear_system_of_every_line(
    shape: tuple[int, ...], periodic: bool
) -> None:
    mass, g = random_fields(shape)
    before = mass.copy()
    for axis in range(len(shape)):
        found = lines(implicit_sweep(mass, g, axis, RATIO, TEMPERATURE, periodic), axis)
        for k, (column, potential) in enumerate(
            zip(lines(mass, axis).T, lines(g, axis).T, strict=True)
        ):
            system = np.eye(shape[axis]) - flux_matrix(potential, periodic)
            np.testing.assert_allclose(found[:, k], np.linalg.solve(system, column), rtol=1e-12)
    np.testing.assert_array_equal(mass, before)


@both
@pytest.mark.parametrize("shape", SHAPES)
def test_explicit_fluxes_are_the_same_matrix(shape: tuple[int, ...], periodic: bool) -> None:
    mass, g = random_fields(shape)
    for axis in range(len(shape)):
        gain, leaving = np.ones(shape), np.ones(shape)
        add_fluxes(mass, g, axis, RATIO, TEMPERATURE, gain, leaving, periodic)
        columns = zip(lines(mass, axis).T, lines(g, axis).T, strict=True)
        for k, (column, potential) in enumerate(columns):
            matrix = flux_matrix(potential, periodic)
            np.testing.assert_allclose(lines(gain, axis)[:, k] - 1, matrix @ column, atol=1e-12)
            np.testing.assert_allclose(lines(leaving, axis)[:, k] - 1, -np.diag(matrix), rtol=1e-12)


@both
@pytest.mark.parametrize("ratio", [1e-3, 1.0, 1e6])
def test_the_gibbs_law_does_not_move_where_g_spans_hundreds(ratio: float, periodic: bool) -> None:
    """Every mass stays to a small relative error, down to e^-600 of the largest."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    g = 90 * (1 - np.cos(angle))
    law = np.exp(-g / TEMPERATURE)
    swept = implicit_sweep(law, g, 0, ratio, TEMPERATURE, periodic)
    np.testing.assert_allclose(swept, law, rtol=1e-12)


@both
def test_mass_is_kept_to_rounding_and_stays_positive(periodic: bool) -> None:
    random = np.random.default_rng(0)
    mass, g = np.zeros((30, 40)), random.normal(size=(30, 40))
    mass[3, 5] = 1.0
    for step in range(1000):
        mass = implicit_sweep(mass, g, step % 2, 10.0 ** (step % 9 - 2), TEMPERATURE, periodic)
        assert step == 0 or mass.min() > 0
    assert abs(mass.sum() - 1) <= 1e-13


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    mass, g = random_fields((40, 50))
    results = []
    before = numba.get_num_threads()
    for threads in (1, before):
        numba.set_num_threads(threads)
        results.append(implicit_sweep(mass, g, 1, RATIO, TEMPERATURE, True))
        results.append(power_steps(mass, 2.0, (0.05, 0.05), (False, True), 5))
    numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])


def test_refusals() -> None:
    mass, g = random_fields((5, 6))
    with pytest.raises(InputError, match=r"must be one of the 2 axes"):
        implicit_sweep(mass, g, 2, RATIO, TEMPERATURE)
    with pytest.raises(InputError, match=r"at least 2 cells"):
        implicit_sweep(mass[:, :1].copy(), g[:, :1].copy(), 1, RATIO, TEMPERATURE)
    with pytest.raises(InputError, match=r"g has shape \(6, 5\)"):
        implicit_sweep(mass, g.T, 0, RATIO, TEMPERATURE)


def neighbours(values: np.ndarray, axis: int, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """The values in the cells before and after; beyond a wall the cell itself."""
    widths = [(1, 1) if k == axis else (0, 0) for k in range(values.ndim)]
    padded = np.pad(values, widths, mode="wrap" if periodic else "edge")
    count = values.shape[axis]
    before = np.take(padded, range(count), axis)
    return before, np.take(padded, range(2, count + 2), axis)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 1.5])
@pytest.mark.parametrize("shape", [(9,), (6, 7), (4, 2, 5)])
def test_power_steps_are_central_differences(shape: tuple[int, ...], exponent: float) -> None:
    density, _ = random_fields(shape)
    ratios, periodic = (0.03, 0.02, 0.01)[: len(shape)], (True, False, True)[: len(shape)]
    expected = density
    for _ in range(3):
        pressure, change = expected**exponent, np.zeros(shape)
        for axis, (ratio, wraps) in enumerate(zip(ratios, periodic, strict=True)):
            before, after = neighbours(pressure, axis, wraps)
            change += ratio * (before + after - 2 * pressure)
        expected = expected + change
    found = power_steps(density, exponent, ratios, periodic, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert found.sum() == pytest.approx(density.sum(), rel=1e-14)


def pressure_change(
    density: np.ndarray, g: np.ndarray, axis: int, periodic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What the pressure fluxes of U = rho^3 / 2 bring to a density, and the share that leaves."""
    gain, leaving = np.zeros_like(density), np.zeros_like(density)
    fields = np.stack([density, density**3, 1.5 * density**2, g])
    add_pressure_fluxes(fields, axis, 1.0, gain, leaving, periodic)
    return gain, leaving


@both
@pytest.mark.parametrize("axis", [0, 1])
def test_pressure_fluxes_are_central_without_a_drift(axis: int, periodic: bool) -> None:
    density, _ = random_fields((6, 9))
    density[2:4, 3] = 0
    gain, _ = pressure_change(density, np.zeros_like(density), axis, periodic)
    before, after = neighbours(density**3, axis, periodic)
    np.testing.assert_allclose(gain, before + after - 2 * density**3, atol=1e-14)


@both
def test_a_strong_drift_moves_the_mean_of_two_densities(periodic: bool) -> None:
    """The mean (P - P') / (U' - U'), not the density upwind, where the two differ by little."""
    random = np.random.default_rng(0)
    density, g = 1 + random.random(60), 1e4 * random.random(60)
    gain, _ = pressure_change(density, g, 0, periodic)
    after, g_after = np.roll(density, -1), np.roll(g, -1)
    mean = (after**3 - density**3) / (1.5 * (after**2 - density**2))
    flux = density**3 - after**3 + mean * (g - g_after)
    flux[-1] *= periodic
    np.testing.assert_allclose(gain, np.roll(flux, 1) - flux, rtol=1e-9, atol=1e-9)


@both
def test_pressure_fluxes_keep_equilibria_mass_and_sign(periodic: bool) -> None:
    """With U' + g constant where rho > 0, and g above the constant elsewhere, nothing moves."""
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    g = 1 - np.cos(angle)
    gain, _ = pressure_change(np.sqrt(np.maximum(1.3 - g, 0) / 1.5), g, 0, periodic)
    np.testing.assert_allclose(gain, 0, atol=1e-15)
    density, g = random_fields((50,))
    density[20:25] = 0
    gain, leaving = pressure_change(density, 10 * g, 0, periodic)
    assert abs(gain.sum()) <= 1e-13
    stepped = density + gain / leaving.max()
    assert stepped.min() >= -1e-15
    assert (density + 4 * gain / leaving.max()).min() < 0
