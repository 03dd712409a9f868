"""Compiled maps of densities on two-dimensional grids, forward by splatting and back by pulling.

Positions are in cells: 0 at the first centre of an axis. For the map T(y) = y - tau grad phi(y)

    (T^-1)_# mu (y) = mu(T(y)) det(I - tau D^2 phi(y))

is second order where densities are smooth and keeps their tails in logarithms, but conserves mass
only to that order; splatting conserves mass, but is rough.
"""

import math
from functools import cache

import numpy as np
from numba import njit, prange

from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.arguments import Array
from wgflow.kernels.c_transform import (
    FINGERPRINT,
    cell_of,
    cubic,
    cubic_slope,
    padded,
    weighted,
)

BEYOND = 3.0
"""Cells beyond an outer centre up to which a field is continued, linearly from the wall on."""


@cache
def _displaced():  # type: ignore[no-untyped-def]
    @njit(parallel=True, cache=True, error_model="numpy")
    def displaced(
        phi: Array,
        factors: tuple[float, float, float],
        floor: float,
        target: Array,
        least: Array,
        log_determinant: Array,
        inverse: Array,
    ) -> None:
        n, m = phi.shape
        a, b, c = factors
        for i in prange(n):
            up, down = max(i - 1, 0), min(i + 1, n - 1)
            for j in range(m):
                left, right = max(j - 1, 0), min(j + 1, m - 1)
                target[0, i, j] = i - 0.5 * a * (phi[down, j] - phi[up, j])
                target[1, i, j] = j - 0.5 * b * (phi[i, right] - phi[i, left])
                xx = 1.0 - a * (phi[down, j] + phi[up, j] - 2.0 * phi[i, j])
                yy = 1.0 - b * (phi[i, right] + phi[i, left] - 2.0 * phi[i, j])
                xy = phi[down, right] + phi[up, left] - phi[down, left] - phi[up, right]
                xy *= -0.25 * c
                middle, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
                radius = math.sqrt(half * half + xy * xy)
                least[i, j] = middle - radius
                high, low = max(middle + radius, floor), max(middle - radius, floor)
                log_determinant[i, j] = math.log(high) + math.log(low)
                # I - tau D^2 phi, its eigenvalues raised to the floor, inverted.
                mean = 0.5 * (1.0 / high + 1.0 / low)
                tilt = 0.5 * (1.0 / high - 1.0 / low) / radius if radius > 1e-14 else 0.0
                inverse[0, i, j] = mean + tilt * half
                inverse[1, i, j] = mean - tilt * half
                inverse[2, i, j] = tilt * xy

    return displaced


def displacement(
    potential: Array, widths: tuple[float, float], step: float, floor: float
) -> tuple[Array, Array, Array, Array]:
    """Return T(y) = y - tau grad phi(y) at the centres of a box with walls, and its Jacobian.

    By central differences; phi is reflected at the walls, as maps of a box onto itself keep them.

    Parameters
    ----------
    potential
        phi, C-contiguous, (n, m).
    widths
        Cell widths on the two axes.
    step
        tau, of either sign.
    floor
        Eigenvalues of the Jacobian below it are raised to it, in its determinant and inverse.

    Returns
    -------
    T in cells (2, n, m), the least eigenvalue of I - tau D^2 phi (n, m), the logarithm of its
    determinant (n, m), and the entries (0, 0), (1, 1) and (0, 1) of its inverse (3, n, m)
    """
    factors = (step / widths[0] ** 2, step / widths[1] ** 2, step / (widths[0] * widths[1]))
    target, inverse = np.empty((2, *potential.shape)), np.empty((3, *potential.shape))
    least, log_determinant = np.empty(potential.shape), np.empty(potential.shape)
    _displaced()(potential, factors, floor, target, least, log_determinant, inverse)
    return target, least, log_determinant, inverse


@cache
def _interpolated():  # type: ignore[no-untyped-def]
    fingerprint = FINGERPRINT

    @njit(parallel=True, cache=True, error_model="numpy")
    def interpolated(field: Array, target: Array, out: Array) -> None:
        _ = fingerprint
        n, m = field.shape[0] - 2, field.shape[1] - 2
        for i in prange(target.shape[1]):
            for j in range(target.shape[2]):
                x = min(max(target[0, i, j], -BEYOND), n - 1.0 + BEYOND)
                y = min(max(target[1, i, j], -BEYOND), m - 1.0 + BEYOND)
                p, q = min(max(x, -0.5), n - 0.5), min(max(y, -0.5), m - 0.5)
                k, r = cell_of(p, n), cell_of(q, m)
                u, v = cubic(p - k), cubic(q - r)
                along = weighted(field, k, r, cubic_slope(p - k), v)
                across = weighted(field, k, r, u, cubic_slope(q - r))
                value = weighted(field, k, r, u, v) + (x - p) * along + (y - q) * across
                out[0, i, j], out[1, i, j], out[2, i, j] = value, along, across

    return interpolated


def interpolate(field: Array, target: Array) -> Array:
    """Return a field (n, m) and its slopes a cell, (3, p, q), at positions in cells (2, p, q).

    By cubic convolution.
    """
    out = np.empty((3, *target.shape[1:]))
    _interpolated()(padded(field), target, out)
    return out


@cache
def _splatted():  # type: ignore[no-untyped-def]
    fingerprint = FINGERPRINT

    # One thread: cells of different rows add to the same cell.
    @njit(cache=True, error_model="numpy")
    def splatted(mass: Array, target: Array, parts: int, out: Array) -> None:
        _ = fingerprint
        n, m = mass.shape
        for i in range(n):
            for j in range(m):
                share = mass[i, j] / (parts * parts)
                if share <= 0.0:
                    continue
                for a in range(parts):
                    s = (a + 0.5) / parts - 0.5
                    k = min(max(i + (1 if s > 0 else -1), 0), n - 1)
                    s = abs(s)
                    for b in range(parts):
                        t = (b + 0.5) / parts - 0.5
                        r = min(max(j + (1 if t > 0 else -1), 0), m - 1)
                        t = abs(t)
                        x = (1 - s) * ((1 - t) * target[0, i, j] + t * target[0, i, r])
                        x += s * ((1 - t) * target[0, k, j] + t * target[0, k, r])
                        y = (1 - s) * ((1 - t) * target[1, i, j] + t * target[1, i, r])
                        y += s * ((1 - t) * target[1, k, j] + t * target[1, k, r])
                        x, y = min(max(x, 0.0), n - 1.0), min(max(y, 0.0), m - 1.0)
                        p, q = cell_of(x, n), cell_of(y, m)
                        x, y = x - p, y - q
                        out[p, q] += share * (1 - x) * (1 - y)
                        out[p + 1, q] += share * x * (1 - y)
                        out[p, q + 1] += share * (1 - x) * y
                        out[p + 1, q + 1] += share * x * y

    return splatted


def push_forward(mass: Array, target: Array, parts: int) -> Array:
    """Return the masses (n, m) moved to positions in cells (2, n, m), shared among 4 cells each.

    Every cell is split into `parts` x `parts`, whose positions are interpolated.
    """
    out = np.zeros(mass.shape)
    _splatted()(mass, target, parts, out)
    return out
