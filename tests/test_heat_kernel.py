"""Laws of the heat kernel on the cells of an interval (Neumann) and of a circle."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from wgflow.domain import Circle, Interval
from wgflow.errors import InputError
from wgflow.kernels import log_sum_exp_rows
from wgflow.solvers.heat_kernel import SMALLEST, HeatKernel, log_heat_kernel

LOWER, LENGTH = -1.0, 2.5
WIDTHS = [1.2, 2.0, 5.0, 8.1, 16.2, 20.0, 38.0, 60.0, 63.0, 65.0, 200.0]
"""In cells of a grid of 64; the form changes at 32 on the circle and at 64 on the interval."""

both = pytest.mark.parametrize("periodic", [False, True], ids=["interval", "circle"])


def centres(cells: int) -> np.ndarray:
    return LOWER + (np.arange(cells) + 0.5) * LENGTH / cells


def log_kernel(variance: float, periodic: bool, cells: int = 64) -> np.ndarray:
    return log_heat_kernel(cells, LENGTH, variance, periodic)


def kernel(variance: float, periodic: bool, cells: int = 64) -> np.ndarray:
    """The kernel as a matrix whose rows sum to one."""
    values = np.exp(log_kernel(variance, periodic, cells))
    return values / values[0].sum()


def variance_of(width: float, cells: int = 64) -> float:
    return (width * LENGTH / cells) ** 2


def by_many_images(variance: float, periodic: bool, cells: int = 64) -> np.ndarray:
    """The definition: a Gaussian and all its images, far more of them than are needed."""
    offset = centres(cells) - LOWER
    period = LENGTH if periodic else 2 * LENGTH
    turns = np.arange(-60, 61) * period
    terms = [-((offset[:, None] - offset + turn) ** 2) / (2 * variance) for turn in turns]
    if not periodic:
        terms += [-((offset[:, None] + offset + turn) ** 2) / (2 * variance) for turn in turns]
    return logsumexp(np.array(terms), axis=0)


@both
@pytest.mark.parametrize("cells", [16, 64, 144])
@pytest.mark.parametrize("width", WIDTHS)
def test_all_rows_sum_to_the_same(periodic: bool, cells: int, width: float) -> None:
    """The uniform density stays put, for kernels of at least 1.2 cells."""
    rows = np.exp(log_kernel(variance_of(width, cells), periodic, cells)).sum(axis=1)
    assert np.ptp(rows) <= 1e-10 * rows.mean()


@both
@pytest.mark.parametrize("width", [0.3, *WIDTHS])
def test_the_kernel_is_symmetric_to_rounding(periodic: bool, width: float) -> None:
    values = log_kernel(variance_of(width), periodic)
    assert values.shape == (64, 64)
    assert values == pytest.approx(values.T, rel=1e-14, abs=1e-14)


@both
@pytest.mark.parametrize(
    ("first", "second"), [(1.5, 1.5), (1.5, 6.0), (5.0, 20.0), (20.0, 30.0), (30.0, 70.0)]
)
def test_two_steps_are_one_of_the_summed_variance(
    periodic: bool, first: float, second: float
) -> None:
    """K_s K_t = K_(s + t): diffusion is exact for any step.

    The product sums a Gaussian of variance s t / (s + t) over cells, which by Poisson's formula
    is off by 2 exp(-2 pi^2 s t / (s + t)), in cells.
    """
    s, t = variance_of(first), variance_of(second)
    twice = kernel(s, periodic) @ kernel(t, periodic)
    narrow = (first * second) ** 2 / (first**2 + second**2)
    tolerance = 2.1 * math.exp(-2 * math.pi**2 * narrow) + 1e-12
    assert twice == pytest.approx(kernel(s + t, periodic), rel=tolerance, abs=1e-14)


@both
@pytest.mark.parametrize("width", [0.4, *WIDTHS])
def test_the_kernel_agrees_with_many_images_up_to_a_constant(periodic: bool, width: float) -> None:
    variance = variance_of(width)
    difference = log_kernel(variance, periodic) - by_many_images(variance, periodic)
    assert np.ptp(difference) <= 1e-12 * max(1.0, np.abs(log_kernel(variance, periodic)).max())


@both
def test_images_and_fourier_series_agree_where_one_takes_over(periodic: bool) -> None:
    """The form changes where the variance is the square of half a period."""
    switch = (LENGTH / 2 if periodic else LENGTH) ** 2
    images = log_kernel(np.nextafter(switch, 0.0), periodic)
    series = log_kernel(switch, periodic)
    assert not np.array_equal(images, series), "the two forms are compared, not one with itself"
    assert np.ptp(images - series) <= 1e-13


@both
@pytest.mark.parametrize("wave", [1, 2, 3])
@pytest.mark.parametrize("width", WIDTHS)
def test_cosines_decay_as_under_diffusion(periodic: bool, wave: int, width: float) -> None:
    """cos(k pi x / L) has the eigenvalue exp(-k^2 pi^2 variance / (2 L^2)); even k on a circle."""
    k = 2 * wave if periodic else wave
    variance = variance_of(width)
    cosine = np.cos(k * np.pi * (centres(64) - LOWER) / LENGTH)
    eigenvalue = math.exp(-((k * math.pi / LENGTH) ** 2) * variance / 2)
    # At 1.2 cells the sum over cells itself is off by about 1e-11.
    tolerance = 1e-10 if width < 1.5 else 1e-13
    assert kernel(variance, periodic) @ cosine == pytest.approx(eigenvalue * cosine, abs=tolerance)


@both
def test_the_variance_in_the_middle_is_that_of_the_gaussian(periodic: bool) -> None:
    variance = variance_of(3.0)
    row = kernel(variance, periodic)[32]
    place = centres(64) - centres(64)[32]
    assert row @ place == pytest.approx(0.0, abs=1e-12)
    assert row @ place**2 == pytest.approx(variance, rel=1e-12)


@both
@pytest.mark.parametrize("far", [9, 20, 40])
def test_far_entries_keep_relative_accuracy(periodic: bool, far: int) -> None:
    """Masses travel many widths, where the kernel itself has long underflowed."""
    cells, spacing = 200, LENGTH / 200
    variance = (2.0 * spacing) ** 2
    values = log_kernel(variance, periodic, cells)
    row = 100 - far  # neither end of the jump of 2 far cells is near a wall
    jump = values[row, row + 2 * far] - values[row, row]
    assert jump == pytest.approx(-(far**2) / 2, rel=1e-12)


def test_the_wall_doubles_the_kernel_beside_it() -> None:
    """Next to a wall the image is half a cell behind it."""
    spacing = LENGTH / 64
    variance = variance_of(2.0)
    values = log_kernel(variance, periodic=False)
    expected = math.log1p(math.exp(-(spacing**2) / (2 * variance)))
    assert values[0, 0] - values[32, 32] == pytest.approx(expected, rel=1e-12)


def test_the_circle_has_no_end() -> None:
    """Every row is the first one, turned; the cells on both sides of the seam are neighbours."""
    for width in (2.0, 50.0):
        values = log_kernel(variance_of(width), periodic=True)
        turned = np.stack([np.roll(values[0], k) for k in range(64)])
        assert values == pytest.approx(turned, rel=1e-12, abs=1e-13)


@both
def test_a_very_wide_kernel_is_uniform(periodic: bool) -> None:
    assert kernel(1e6, periodic) == pytest.approx(1 / 64, rel=1e-12)


def cylinder(width: float, shape: tuple[int, int] = (40, 30)) -> HeatKernel:
    """The kernel on an interval of length 2.5 times a circle, `width` cells wide on the first."""
    edges = [np.linspace(LOWER, LOWER + LENGTH, shape[0] + 1), np.linspace(0, 1, shape[1] + 1)]
    return HeatKernel(
        [Interval(LOWER, LOWER + LENGTH), Circle(1.0, 0.0)], edges, (width * LENGTH / shape[0]) ** 2
    )


def by_definition(log_values: np.ndarray, width: float) -> np.ndarray:
    """The kernel applied in logarithms throughout."""
    rows, columns = log_values.shape
    first = log_heat_kernel(rows, LENGTH, (width * LENGTH / rows) ** 2, periodic=False)
    second = log_heat_kernel(columns, 1.0, (width * LENGTH / rows) ** 2, periodic=True)
    first -= logsumexp(first[rows // 2])
    second -= logsumexp(second[columns // 2])
    once = logsumexp(log_values[:, np.newaxis, :] + second, axis=2)
    return logsumexp(once.T[:, np.newaxis, :] + first, axis=2).T


@pytest.mark.parametrize("width", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("height", [1.0, 100.0, 1e3, 1e4, 1e6])
def test_the_kernel_is_applied_to_any_range_of_logarithms(width: float, height: float) -> None:
    """Products of matrices serve where they lose nothing; the rest is summed in logarithms."""
    x, y = np.linspace(-1, 1, 40)[:, np.newaxis], np.linspace(-1, 1, 30)
    log_values = height * (np.sin(4 * x) * np.cos(3 * y) - x**2)
    found = cylinder(width).apply(log_values)
    expected = by_definition(log_values, width)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-13 * max(1.0, height / 1e2))


def test_both_ways_of_summing_are_tested() -> None:
    """Some sums of the test above are far below what a product can hold, and others are not."""
    narrow = log_heat_kernel(40, LENGTH, (0.3 * LENGTH / 40) ** 2, periodic=False)
    assert (narrow < math.log(SMALLEST)).any()
    assert (narrow > math.log(SMALLEST)).any()


@pytest.mark.parametrize("depth", [640.0, 688.0, 690.5, 692.0, 705.0, 740.0])
def test_terms_that_underflow_are_not_lost_beside_others_that_do_not(depth: float) -> None:
    """Two terms of about exp(-depth), one small by the kernel and one by the masses."""
    cells, far = 64, 20
    for share in (-2.0, -0.5, 0.5, 2.0):
        variance = (far / cells) ** 2 / (2 * (depth + share))
        kernel = HeatKernel([Interval(0, 1)], [np.linspace(0, 1, cells + 1)], variance)
        log_values = np.full(cells, -depth)
        log_values[32] = 0.0
        logarithms = log_heat_kernel(cells, 1.0, variance, periodic=False)
        logarithms -= logsumexp(logarithms[32])
        expected = logsumexp(log_values + logarithms, axis=1)
        np.testing.assert_allclose(kernel.apply(log_values), expected, rtol=1e-14, atol=1e-12)


def test_logarithms_of_nothing_stay_so() -> None:
    """Empty cells are -1e30; what spreads into them from afar is tiny but a number."""
    log_values = np.full((40, 30), -1e30)
    assert (cylinder(1.0).apply(log_values) < -1e29).all()
    log_values[3, 4] = 0.0
    found = cylinder(0.3).apply(log_values)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, by_definition(log_values, 0.3), rtol=1e-13, atol=1e-13)


def test_applying_the_kernel_keeps_mass_and_is_symmetric() -> None:
    """<f, K g> = <K f, g> and <1, K f> = <1, f>; the kernel is at least 2 cells wide."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 40, 30))
    kernel = cylinder(3.0)
    one, other = np.exp(kernel.apply(first)), np.exp(kernel.apply(second))
    assert (np.exp(second) * one).sum() == pytest.approx((np.exp(first) * other).sum(), rel=1e-13)
    assert one.sum() == pytest.approx(np.exp(first).sum(), rel=1e-11)


def test_selected_entries_are_summed_and_the_others_left() -> None:
    random = np.random.default_rng(0)
    values, kernel = random.normal(size=(5, 7)), random.normal(size=(4, 7))
    where = random.uniform(size=(5, 4)) < 0.5
    out = np.full((5, 4), 9.0)
    log_sum_exp_rows(values, kernel, out=out, where=where)
    expected = np.where(where, log_sum_exp_rows(values, kernel), 9.0)
    assert np.array_equal(out, expected)
    with pytest.raises(InputError, match="bool"):
        log_sum_exp_rows(values, kernel, where=where[:2])
