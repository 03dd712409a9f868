"""The c-transform for the quadratic cost on a grid, and the cubic interpolation it is refined by.

    phi^c(x) = min_y |x - y|^2 / (2 tau) - phi(y)

is found among the cell centres in O(N), axis by axis, from lower envelopes of parabolas
(Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions", Theory of Computing 8,
2012), and then between them by Newton's method on the cubic convolution of phi, which reproduces
parabolas (Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans.
Acoustics, Speech, Signal Process. 29, 1981). Beyond its outer centres phi goes on as a parabola.
"""

import math
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from wgflow.errors import InputError, check_number
from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.arguments import Array, as_array

# For the cache keys of kernels in other files that inline the interpolation.
FINGERPRINT = zlib.crc32(Path(__file__).read_bytes())

_small = njit(error_model="numpy", forceinline=True)
Weights = tuple[float, float, float, float]

NEWTON_STEPS = 30
HALVINGS = 20
FLATTEST = 0.05
"""Least curvature of a Newton step between centres, in units of that of the cost."""


@_small
def cubic(t: float) -> Weights:
    """Return the weights of cubic convolution of the values at -1, 0, 1, 2, for t in [0, 1]."""
    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


@_small
def cubic_slope(t: float) -> Weights:
    """Return the derivatives of `cubic`."""
    return (
        (-1.5 * t + 2.0) * t - 0.5,
        (4.5 * t - 5.0) * t,
        (-4.5 * t + 4.0) * t + 0.5,
        (1.5 * t - 1.0) * t,
    )


@_small
def _cubic_curvature(t: float) -> Weights:
    return (-3.0 * t + 2.0, 9.0 * t - 5.0, -9.0 * t + 4.0, 3.0 * t - 1.0)


@_small
def weighted(padded: Array, i: int, j: int, first: Weights, second: Weights) -> float:
    """Return the sum of 4 x 4 values around cell (i, j) of a padded field with these weights."""
    total = 0.0
    for k in range(4):
        row = padded[i + k]
        total += first[k] * (
            second[0] * row[j]
            + second[1] * row[j + 1]
            + second[2] * row[j + 2]
            + second[3] * row[j + 3]
        )
    return total


@_small
def cell_of(position: float, cells: int) -> int:
    """Return the cell whose centre is next below a position in cells, with one centre above."""
    return min(max(math.floor(position), 0), cells - 2)


@cache
def _envelope():  # type: ignore[no-untyped-def]
    @njit(parallel=True, cache=True, error_model="numpy")
    def envelope(values: Array, factor: float, least: Array, where: NDArray[np.int64]) -> None:
        # least[i, j] = min_k factor (j - k)^2 + values[i, k], reached at k = where[i, j]
        rows, cells = values.shape
        for i in prange(rows):
            apex = np.empty(cells, np.int64)
            begin = np.empty(cells + 1)
            top = 0
            apex[0], begin[0], begin[1] = 0, -np.inf, np.inf
            for k in range(1, cells):
                while True:
                    last = apex[top]
                    rise = (values[i, k] - values[i, last]) / (2.0 * factor * (k - last))
                    crossing = rise + 0.5 * (k + last)
                    if crossing > begin[top] or top == 0:
                        break
                    top -= 1
                top += 1
                apex[top], begin[top], begin[top + 1] = k, crossing, np.inf
            top = 0
            for j in range(cells):
                while begin[top + 1] < j:
                    top += 1
                k = apex[top]
                least[i, j] = factor * (j - k) ** 2 + values[i, k]
                where[i, j] = k

    return envelope


@cache
def _refined():  # type: ignore[no-untyped-def]
    @njit(parallel=True, cache=True, error_model="numpy")
    def refined(
        wide: Array,
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        factors: tuple[float, float],
        value: Array,
        target: Array,
    ) -> None:
        n, m = first.shape
        a, b = factors
        for i in prange(n):
            for j in range(m):
                x, y = float(first[i, j]), float(second[i, j])
                low_x, high_x = max(x - 1.0, 0.0), min(x + 1.0, n - 1.0)
                low_y, high_y = max(y - 1.0, 0.0), min(y + 1.0, m - 1.0)
                best = a * (i - x) ** 2 + b * (j - y) ** 2
                best -= wide[first[i, j] + 1, second[i, j] + 1]
                for _ in range(NEWTON_STEPS):
                    k, r = cell_of(x, n), cell_of(y, m)
                    u, v = cubic(x - k), cubic(y - r)
                    du, dv = cubic_slope(x - k), cubic_slope(y - r)
                    slope_x = 2.0 * a * (x - i) - weighted(wide, k, r, du, v)
                    slope_y = 2.0 * b * (y - j) - weighted(wide, k, r, u, dv)
                    free_x = not ((x <= low_x and slope_x > 0) or (x >= high_x and slope_x < 0))
                    free_y = not ((y <= low_y and slope_y > 0) or (y >= high_y and slope_y < 0))
                    xx = 2.0 * a - weighted(wide, k, r, _cubic_curvature(x - k), v)
                    yy = 2.0 * b - weighted(wide, k, r, u, _cubic_curvature(y - r))
                    xx, yy = max(xx, FLATTEST * 2.0 * a), max(yy, FLATTEST * 2.0 * b)
                    xy = -weighted(wide, k, r, du, dv) if free_x and free_y else 0.0
                    largest = math.sqrt(0.9 * xx * yy)
                    xy = min(max(xy, -largest), largest)
                    determinant = xx * yy - xy * xy
                    step_x = -(yy * slope_x - xy * slope_y) / determinant if free_x else 0.0
                    step_y = -(xx * slope_y - xy * slope_x) / determinant if free_y else 0.0
                    if abs(step_x) + abs(step_y) < 1e-10:
                        break
                    found = False
                    for _ in range(HALVINGS):
                        p = min(max(x + step_x, low_x), high_x)
                        q = min(max(y + step_y, low_y), high_y)
                        k, r = cell_of(p, n), cell_of(q, m)
                        trial = a * (i - p) ** 2 + b * (j - q) ** 2
                        trial -= weighted(wide, k, r, cubic(p - k), cubic(q - r))
                        if trial <= best:
                            found = True
                            break
                        step_x, step_y = 0.5 * step_x, 0.5 * step_y
                    if not found:
                        break
                    best, x, y = trial, p, q
                value[i, j] = best
                target[0, i, j], target[1, i, j] = x, y

    return refined


def padded(field: Array) -> Array:
    """Return a field (n, m) with one more cell on each side, (n + 2, m + 2), by parabolas."""
    n, m = field.shape
    wide = np.empty((n + 2, m + 2))
    wide[1:-1, 1:-1] = field
    for side in (wide[:, 1:-1], wide.T):
        side[0] = 3 * side[1] - 3 * side[2] + side[3]
        side[-1] = 3 * side[-2] - 3 * side[-3] + side[-4]
    return wide


def c_transform(potential: Array, widths: tuple[float, float], step: float) -> tuple[Array, Array]:
    """Return phi^c at the cell centres, and where the minimum is reached.

    Never above |x - y|^2 / (2 tau) - phi(y) at any centre y; exact where phi is a parabola and its
    minimum lies between the outer centres, otherwise of order 3 in the cell width. The same
    bits for any number of threads.

    Parameters
    ----------
    potential
        phi at the centres, (n, m), at least 3 cells an axis.
    widths
        Cell widths on the two axes.
    step
        tau > 0.

    Returns
    -------
    phi^c (n, m), and the minimisers (2, n, m) in cells: 0 at the first centre of an axis

    Raises
    ------
    InputError
        A potential that is no matrix, is smaller than 3 x 3 or not finite; a step that is not
        positive.
    """
    phi = as_array("potential", potential, ("rows", "columns"))
    check_number("The step of a c-transform", step, above=0)
    if min(phi.shape) < 3 or not np.isfinite(phi).all():
        raise InputError(
            f"The potential of a c-transform has shape {phi.shape} and values between "
            f"{phi.min()} and {phi.max()}, but must be finite with at least 3 cells an axis."
        )
    n, m = phi.shape
    first, second = (width**2 / (2 * step) for width in widths)
    rows, columns = np.empty((n, m)), np.empty((m, n))
    along, across = np.empty((n, m), np.int64), np.empty((m, n), np.int64)
    _envelope()(-phi, second, rows, along)
    _envelope()(np.ascontiguousarray(rows.T), first, columns, across)
    nearest = np.ascontiguousarray(across.T)
    along = along[nearest, np.arange(m)]
    value, target = np.empty((n, m)), np.empty((2, n, m))
    _refined()(padded(phi), nearest, along, (first, second), value, target)
    return value, target
