"""Laws of the c-transform and of the push-forwards on a grid."""

import numpy as np
import pytest

import wgflow as wg
from wgflow.kernels.c_transform import c_transform
from wgflow.kernels.push_forward import displacement, interpolate, push_forward

WIDTHS = (0.1, 0.07)


def centres(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates of the centres of a grid, (n, m) each."""
    x, y = (np.arange(n) * h for n, h in zip(shape, WIDTHS, strict=True))
    return tuple(np.meshgrid(x, y, indexing="ij"))


def brute_force(potential: np.ndarray, step: float) -> np.ndarray:
    """Return the minimum over the centres of every cell."""
    x, y = (part.reshape(-1) for part in centres(potential.shape))
    cost = ((x[:, None] - x) ** 2 + (y[:, None] - y) ** 2) / (2 * step)
    return (cost - potential.reshape(-1)).min(axis=1).reshape(potential.shape)


def smooth(shape: tuple[int, int]) -> np.ndarray:
    x, y = centres(shape)
    return 0.3 * np.cos(2 * x + y) + 0.2 * np.sin(1.5 * y - x) + 0.1 * x * y


@pytest.mark.parametrize("step", [1e-3, 0.05, 10.0])
def test_it_finds_the_best_centre_or_better(step: float) -> None:
    """Rough potentials: never above the minimum over all centres, and by little below."""
    potential = 0.2 * np.random.default_rng(0).standard_normal((20, 31))
    value, target = c_transform(potential, WIDTHS, step)
    coarse = brute_force(potential, step)
    assert (value <= coarse + 1e-14).all()
    # Cubic convolution overshoots what it interpolates by at most a quarter in two dimensions.
    assert (coarse - value <= 0.6 * np.ptp(potential)).all()
    assert (target >= 0).all() and (target[0] <= 19).all() and (target[1] <= 30).all()


def test_it_tends_to_the_transform_of_the_interpolant() -> None:
    """On a grid refined four times by the same interpolation brute force agrees to its spacing."""
    potential, step = smooth((16, 18)), 0.2
    value, _ = c_transform(potential, WIDTHS, step)
    fine = [np.linspace(0, n - 1, 8 * (n - 1) + 1) for n in potential.shape]
    places = np.stack(np.meshgrid(*fine, indexing="ij"))
    values = interpolate(potential, places)[0].reshape(-1)
    x, y = (place.reshape(-1) * h for place, h in zip(places, WIDTHS, strict=True))
    first, second = (part.reshape(-1, 1) for part in centres(potential.shape))
    cost = ((first - x) ** 2 + (second - y) ** 2) / (2 * step) - values
    found = cost.min(axis=1).reshape(value.shape)
    assert (value <= found + 1e-14).all()
    assert (found - value).max() <= (0.1**2 + 0.07**2) / 16**2 / step * 2


def test_parabolas_are_exact() -> None:
    """Phi = -z.A z / 2 it is z.A (I + tau A)^-1 z / 2, cross term and all."""
    x, y = centres((30, 40))
    matrix, step = np.array([[1.3, 0.4], [0.4, 0.8]]), 0.3
    place = np.stack([x - 1.3, y - 1.2])
    potential = -np.einsum("iab,ij,jab->ab", place, matrix, place) / 2
    value, target = c_transform(potential, WIDTHS, step)
    inverse = np.linalg.inv(np.eye(2) + step * matrix)
    expected = np.einsum("iab,ij,jab->ab", place, matrix @ inverse, place) / 2
    np.testing.assert_allclose(value, expected, atol=1e-13)
    reached = np.einsum("ij,jab->iab", inverse, place) + np.array([1.3, 1.2])[:, None, None]
    found = target * np.array(WIDTHS)[:, None, None]
    np.testing.assert_allclose(found, reached, atol=1e-9)


def test_order_in_the_cell_width() -> None:
    """At the same points, for a smooth potential, the error falls at least as h^3."""
    global_step, values = 0.1, []
    for cells in (33, 65, 129, 513):
        x = np.linspace(0, 2, cells)
        potential = 0.3 * np.cos(2 * x)[:, None] * np.sin(1 + x)
        value, _ = c_transform(potential, (x[1], x[1]), global_step)
        skip = (cells - 1) // 32
        values.append(value[::skip, ::skip][4:-4, 4:-4])
    errors = [np.abs(value - values[-1]).max() for value in values[:-1]]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 2.7).all(), orders


def test_constants_and_other_c_concave_potentials_are_their_double_transforms() -> None:
    value, target = c_transform(np.full((12, 9), 0.7), WIDTHS, 0.5)
    np.testing.assert_array_equal(value, -0.7)
    np.testing.assert_array_equal(target, np.indices((12, 9)))
    potential, step = smooth((24, 20)), 0.05
    pair = c_transform(c_transform(potential, WIDTHS, step)[0], WIDTHS, step)[0]
    # Up to the error of the interpolation, and away from the walls, which maps do not cross.
    assert np.abs(pair - potential)[3:-3, 3:-3].max() < 2e-5


def test_potentials_that_have_no_transform_are_refused() -> None:
    with pytest.raises(wg.InputError, match="at least 3 cells"):
        c_transform(np.zeros((2, 9)), WIDTHS, 1.0)
    with pytest.raises(wg.InputError, match="must be finite"):
        c_transform(np.full((5, 5), np.nan), WIDTHS, 1.0)
    with pytest.raises(wg.InputError, match="step of a c-transform is 0"):
        c_transform(np.zeros((5, 5)), WIDTHS, 0.0)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_splatting_keeps_mass_and_centre(parts: int) -> None:
    """Mass to rounding, and the centre of mass follows an affine map exactly."""
    mass = np.zeros((30, 40))
    mass[8:20, 10:25] = np.random.default_rng(1).random((12, 15))
    mass /= mass.sum()
    place = np.array(np.indices(mass.shape), dtype=float)
    target = 1.1 * place - 1.3
    moved = push_forward(mass, target, parts)
    assert moved.min() >= 0
    assert abs(moved.sum() - 1) < 1e-14
    for axis in (0, 1):
        expected = 1.1 * (mass * place[axis]).sum() - 1.3
        assert abs((moved * place[axis]).sum() - expected) < 1e-12


def test_pulling_back_a_gaussian_is_exact() -> None:
    """A linear map of a Gaussian, in logarithms, to rounding."""
    x, y = centres((40, 50))
    step, factor = 0.5, 0.6
    potential = factor * ((x - 2) ** 2 + (y - 1.7) ** 2) / 2
    target, least, log_determinant, inverse = displacement(potential, WIDTHS, step, 1e-10)
    log_density = -((x - 1.9) ** 2) / 0.3 - (y - 1.6) ** 2 / 0.2
    pulled = interpolate(log_density, target)[0] + log_determinant
    share = 1 - step * factor
    moved = [c + share * (z - c) for z, c in ((x, 2), (y, 1.7))]
    expected = -((moved[0] - 1.9) ** 2) / 0.3 - (moved[1] - 1.6) ** 2 / 0.2 + 2 * np.log(share)
    inner = (slice(1, -1), slice(1, -1))  # at the walls the potential is reflected
    np.testing.assert_allclose(pulled[inner], expected[inner], atol=1e-11)
    np.testing.assert_allclose(least[inner], share, atol=1e-12)
    np.testing.assert_allclose(inverse[0][inner], 1 / share, atol=1e-12)
    np.testing.assert_allclose(inverse[2][inner], 0, atol=1e-11)
