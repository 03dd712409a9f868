"""Laws of the compiled sums over pairs: they are the sums in NumPy, at any size, and fast forms."""

import math
import tracemalloc
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from numba import njit
from random_laws import cloud

from wgflow.errors import InputError
from wgflow.kernels import pairwise, radial
from wgflow.kernels.logarithm import logarithm
from wgflow.kernels.own_profile import own_profile
from wgflow.kernels.trigonometric import Series

KERNELS = {
    "logarithm": radial.logarithmic(1.3),
    "odd pole": radial.power(-0.7, -1.0),
    "fractional": radial.power(1.1, 0.5),
    "cubic": radial.power(1.1, 3.0),
    "gaussian": radial.gaussian(-2.0, 0.7),
    "morse": radial.morse(1.0, 0.3, 0.6, 1.5),
}
CASES = [(name, 2) for name in KERNELS] + [("logarithm", 1), ("gaussian", 3), ("logarithm", 7)]


def law(count: int, dimension: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of which two coincide, and masses."""
    drawn = cloud(seed, count, weighted=True, dimension=dimension)
    drawn.position[count // 2] = drawn.position[0]
    return drawn.position, drawn.mass


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_logarithm_is_accurate_to_an_ulp(kind: type) -> None:
    """For all magnitudes and near 1; one more for the error of what is compared with."""

    @njit(error_model="numpy")
    def apply(x):
        y = np.empty_like(x)
        for i in range(x.size):
            y[i] = logarithm(x[i])
        return y

    random, about = np.random.default_rng(0), np.finfo(kind)
    low, high = np.log10(float(about.smallest_subnormal)), np.log10(float(about.max))
    near = 10.0 ** random.uniform(np.log10(about.eps), -1, 20_000)
    ends = [about.smallest_subnormal, about.smallest_normal, about.max, 1.0]
    spread = 10.0 ** random.uniform(low, high, 50_000)
    every = [spread, 1 + near, 1 - near, random.uniform(0.5, 2.0, 50_000), ends]
    x = np.concatenate(every).astype(kind)
    found, expected = apply(x), np.log(x.astype(float))
    assert found.dtype == kind
    size = np.spacing(np.abs(expected).astype(kind)).astype(float)
    assert (np.abs(found - expected) / size).max() <= (2 if kind == np.float64 else 1)
    assert np.array_equal(apply(kind([np.inf, np.nan])), [np.inf, np.nan], equal_nan=True)


@pytest.mark.parametrize(("name", "dimension"), CASES)
def test_compiled_sums_are_those_of_numpy(name: str, dimension: int) -> None:
    """For fewer and for more sources than one block, and targets that are some of them."""
    for count in (1, 15, 1500):
        sources, mass = law(count, dimension)
        targets = np.concatenate((sources[: count // 3], sources[:7] + 0.3))
        kernel = KERNELS[name]
        found = pairwise.radial_sum(targets, sources, mass, kernel)
        expected = radial.radial_sum_reference(targets, sources, mass, kernel)
        assert relative_error(found, expected) < 4e-15
        found = pairwise.radial_gradient(targets, sources, mass, kernel)
        expected = radial.radial_gradient_reference(targets, sources, mass, kernel)
        assert relative_error(found, expected) < 1e-14


@pytest.mark.parametrize("exponent", [-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 2.5])
def test_a_power_is_what_it_says(exponent: float) -> None:
    """|x|^p / p and its derivative on a line, for the exponents with forms of their own too."""
    kernel, one = radial.power(3.0, exponent), np.ones(1)
    x = np.array([[0.3], [-1.7], [40.0]])
    value = pairwise.radial_sum(x, np.zeros((1, 1)), one, kernel)
    assert value == pytest.approx(3 * np.abs(x[:, 0]) ** exponent / exponent, rel=1e-14)
    slope = pairwise.radial_gradient(x, np.zeros((1, 1)), one, kernel)
    assert slope == pytest.approx(3 * np.abs(x) ** (exponent - 1) * np.sign(x), rel=1e-14)


@pytest.mark.parametrize("name", ["logarithm", "odd pole", "fractional", "morse"])
def test_points_at_one_place_do_not_act_on_each_other(name: str) -> None:
    """A pole or a cusp exerts no force at distance 0, and a pole contributes no energy there."""
    kernel, place, mass = KERNELS[name], np.full((3, 2), 0.7), np.array([0.2, 0.3, 0.5])
    assert not pairwise.radial_gradient(place, place, mass, kernel).any()
    alone = 0.4 if name == "morse" else 0.0  # what exp(-0) - 0.6 exp(-0) is
    assert pairwise.radial_sum(place, place, mass, kernel) == pytest.approx(np.full(3, alone))


def test_a_number_that_is_none_reaches_every_sum() -> None:
    sources, mass = law(20, 2)
    sources[3, 1] = np.nan
    for name in ("logarithm", "gaussian"):
        assert np.isnan(pairwise.radial_sum(sources, sources, mass, KERNELS[name])).all()
        assert np.isnan(pairwise.radial_gradient(sources, sources, mass, KERNELS[name])).all()


@pytest.mark.parametrize(("name", "dimension"), [("logarithm", 2), ("fractional", 2), ("morse", 2)])
def test_pairs_of_float32_are_summed_to_its_precision(name: str, dimension: int) -> None:
    """However many they are, as every 1024 go to a total in float64."""
    sources, mass = (array.astype(np.float32) for array in law(5000, dimension))
    targets, kernel = sources[:40], KERNELS[name]
    double = [array.astype(float) for array in (targets, sources, mass)]
    found = pairwise.radial_sum(targets, sources, mass, kernel)
    error = relative_error(found, radial.radial_sum_reference(*double, kernel))
    assert 1e-9 < error < 3e-7
    found = pairwise.radial_gradient(targets, sources, mass, kernel)
    error = relative_error(found, radial.radial_gradient_reference(*double, kernel))
    assert 1e-9 < error < 1e-6
    # Another precision among the arguments makes all of them float64.
    mixed = pairwise.radial_sum(targets, sources, double[2], kernel)
    assert np.array_equal(mixed, pairwise.radial_sum(*double, kernel))


@pytest.fixture
def threads() -> Iterator[tuple[int, int]]:
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two processors")
    before = numba.get_num_threads()
    yield (1, 2)
    numba.set_num_threads(before)


@pytest.mark.parametrize("single", [False, True])
def test_the_bits_do_not_depend_on_the_number_of_threads(
    single: bool, threads: tuple[int, int]
) -> None:
    sources, mass = law(1501, 2)
    arrays = [a.astype(np.float32 if single else float) for a in (sources[:801], sources, mass)]
    results = []
    for count in threads:
        numba.set_num_threads(count)
        sums = [
            f(*arrays, KERNELS["gaussian"]) for f in (pairwise.radial_sum, pairwise.radial_gradient)
        ]
        results.append([array.tobytes() for array in sums])
    assert results[0] == results[1]


def test_nothing_of_the_size_of_all_pairs_is_made() -> None:
    """Memory grows with the number of points: less than 200 bytes each for 2 axes."""
    sources, mass = law(6000, 2)
    pairwise.radial_gradient(sources, sources, mass, KERNELS["logarithm"])
    tracemalloc.start()
    pairwise.radial_gradient(sources, sources, mass, KERNELS["logarithm"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * len(sources)


# --- a profile of one's own -----------------------------------------------------------------


def test_a_profile_of_ones_own_is_compiled_into_the_sums() -> None:
    """exp(-q / 2 l^2) written in Python is the named kernel, its exp replaced by the fast one."""
    length = 0.7

    def profile(q: float) -> float:
        return math.exp(-q / (2 * length**2))

    def slope(q: float) -> float:
        return -np.exp(-q / (2 * length**2)) / length**2

    own = radial.Radial(own_profile("profile", profile), own_profile("slope", slope), at_zero=1.0)
    sources, mass = law(300, 2)
    named = radial.gaussian(1.0, length)
    for compiled, reference in (
        (pairwise.radial_sum, radial.radial_sum_reference),
        (pairwise.radial_gradient, radial.radial_gradient_reference),
    ):
        found = compiled(sources, sources, mass, own)
        assert relative_error(found, compiled(sources, sources, mass, named)) < 1e-15
        assert relative_error(found, reference(sources, sources, mass, own)) < 1e-14


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (3, "3 is no Python function"),
        (lambda q: open(q), "open"),  # noqa: SIM115
        (lambda q: str(q), "returns"),
        (lambda q: 1j * q, "it returns complex128"),
        (lambda q, r: q, "1 argument types given, but function takes 2"),
        (lambda q: missing(q), "name 'missing' is not defined"),  # noqa: F821
    ],
)
def test_what_cannot_be_compiled_is_refused(function: object, message: str) -> None:
    with pytest.raises(
        InputError, match=rf"The slope of .* cannot be compiled: .*{message}.*; give"
    ):
        own_profile("slope", function)  # type: ignore[arg-type]


# --- trigonometric kernels ------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_sums_over_modes_are_sums_over_pairs(
    dimension: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With blocks that do not divide the number of points."""
    monkeypatch.setattr("wgflow.kernels.trigonometric.BLOCK", 1000)
    series = Series(np.array([0.7, -0.4, 0.3]), 1.9, 2.5)
    sources, mass = law(83, dimension)
    targets = law(31, dimension, seed=1)[0]
    pairs = (targets[:, np.newaxis] - sources).reshape(-1, dimension)
    moments = series.moments(sources, mass)
    assert moments.shape == (5,) * dimension
    assert moments.size == series.mode_count(dimension)
    expected = series.at(pairs).reshape(31, 83) @ mass
    assert series.sum(targets, moments) == pytest.approx(expected, abs=1e-14)
    expected = np.tensordot(series.gradient_at(pairs).reshape(31, 83, -1), mass, axes=(1, 0))
    assert series.sum_gradient(targets, moments) == pytest.approx(expected, abs=1e-13)


def test_the_kernel_of_a_series_is_its_product_of_cosines() -> None:
    """The kernel of Chizat's torus, prod (1 + 2 sum_k cos(k x) / (1 + k)), and its gradient."""
    degree = np.arange(1, 6)
    series = Series(np.concatenate(([1.0], 2 / (1 + degree))), 1.0, 2 * np.pi)
    x = np.random.default_rng(0).uniform(-9, 9, (40, 2))
    factor = 1 + (2 * np.cos(x[:, :, np.newaxis] * degree) / (1 + degree)).sum(axis=2)
    slope = -(2 * degree * np.sin(x[:, :, np.newaxis] * degree) / (1 + degree)).sum(axis=2)
    assert series.at(x) == pytest.approx(factor.prod(axis=1), abs=1e-12)
    expected = np.stack((slope[:, 0] * factor[:, 1], factor[:, 0] * slope[:, 1]), axis=1)
    assert series.gradient_at(x) == pytest.approx(expected, abs=1e-11)
