"""Compiled explicit fluxes of internal energies other than the entropy: the porous-medium equation.

With an internal energy int U(rho), its pressure P = rho U' - U and mu = g + U'(rho), the flux from
a cell of density a to the next one, of density b, in cells of width h is

    flux = -M(a, b) (mu_b - mu_a) / h,    M(a, b) = (P(b) - P(a)) / (U'(b) - U'(a)),

a mean of a and b. Without g this is the central difference of the pressure, and it vanishes where
mu is constant; the energy then falls along the flow in continuous time. To keep densities
positive, M is at most twice the density that the flux comes from. Where the density is smooth and
positive that is no bound, and the flux is of second order. Bessemoulin-Chatard, "A finite volume
scheme for convection-diffusion equations with nonlinear diffusion" (Numer. Math. 121, 2012) keeps
equilibria by a mean of the diffusion in place of this one.
"""

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numba import njit, prange

from wgflow.kernels import (
    scharfetter_gummel,
    waiting,  # noqa: F401 (for its effect)
)
from wgflow.kernels.arguments import Array
from wgflow.kernels.scharfetter_gummel import LINES, gather, line_layout, line_starts

# In the cache key of what is compiled from that file too (see `wgflow.kernels.elementary`).
_FINGERPRINT = zlib.crc32(Path(scharfetter_gummel.__file__).read_bytes())


@cache
def _power_steps(exponent: float) -> Callable[..., None]:
    power = int(exponent) if exponent == int(exponent) and exponent <= 8 else exponent

    @njit(parallel=True, cache=True, fastmath={"nsz", "contract"}, error_model="numpy")
    def power_steps(
        density: Array,
        pressure: Array,
        ratios: tuple[float, float, float],
        periodic: tuple[bool, bool, bool],
        count: int,
    ) -> None:
        n, m, length = density.shape
        first, second, third = ratios
        share = 2.0 * (first + second + third)
        for step in range(count):
            old, new = pressure[step % 2], pressure[(step + 1) % 2]
            for line in prange(n * m):
                i, j = line // m, line % m
                up = old[i - 1 if i > 0 else (n - 1 if periodic[0] else 0), j]
                down = old[i + 1 if i < n - 1 else (0 if periodic[0] else n - 1), j]
                left = old[i, j - 1 if j > 0 else (m - 1 if periodic[1] else 0)]
                right = old[i, j + 1 if j < m - 1 else (0 if periodic[1] else m - 1)]
                here, values, result = old[i, j], density[i, j], new[i, j]
                before = here[length - 1] if periodic[2] else here[0]
                after = here[0] if periodic[2] else here[length - 1]
                for k in range(1, length - 1):
                    gain = first * (up[k] + down[k]) + second * (left[k] + right[k])
                    gain += third * (here[k - 1] + here[k + 1]) - share * here[k]
                    values[k] += gain
                for k, low, high in (
                    (0, before, here[1]),
                    (length - 1, here[length - 2], after),
                ):
                    gain = first * (up[k] + down[k]) + second * (left[k] + right[k])
                    gain += third * (low + high) - share * here[k]
                    values[k] += gain
                for k in range(length):
                    result[k] = values[k] ** power

    return power_steps


def power_steps(
    density: Array,
    exponent: float,
    ratios: tuple[float, ...],
    periodic: tuple[bool, ...],
    count: int,
) -> Array:
    """Return the density after explicit Euler steps of d_t rho = factor Laplace rho^m.

    Central second differences of rho^m; monotone, hence positive and falling in every convex
    entropy, while 2 m max(rho)^(m-1) sum(ratios) <= 1. The maximum does not grow, so that one
    bound serves all steps. The same bits for any number of threads.

    Parameters
    ----------
    density
        On a uniform grid of one, two or three axes with at least 2 cells each.
    exponent
        m > 1.
    ratios
        factor tau / h^2 on each axis.
    periodic
        For each axis, whether the last cell borders on the first.
    count
        Number of steps.

    Returns
    -------
    A new array of the same shape
    """
    missing = 3 - density.ndim
    # A missing axis has one cell, whose neighbours are itself: it adds nothing.
    result = density.reshape(*([1] * missing), *density.shape).copy()
    pressure = np.empty((2, *result.shape))
    pressure[0] = result**exponent
    _power_steps(float(exponent))(
        result,
        pressure,
        (*([0.0] * missing), *map(float, ratios)),
        (*([False] * missing), *map(bool, periodic)),
        count,
    )
    return result.reshape(density.shape)


@njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)
def _face(work: Array, j: int, after: int, k: int) -> float:
    """Return h times the flux from cell j to the cell after it, in line k."""
    a, b = work[0, j, k], work[0, after, k]
    low, high = work[2, j, k], work[2, after, k]
    fall = (low + work[3, j, k]) - (high + work[3, after, k])
    mean = (a + b) / 2
    if abs(b - a) > 1e-6 * (a + b):
        mean = (work[1, after, k] - work[1, j, k]) / (high - low)
    return min(mean, 2.0 * (a if fall > 0.0 else b)) * fall


@cache
def _flux() -> Callable[..., None]:
    fingerprint = _FINGERPRINT

    @njit(parallel=True, cache=True, error_model="numpy")
    def flux(
        fields: Array,
        gain: Array,
        leaving: Array,
        inner: int,
        cells: int,
        ratio: float,
        periodic: bool,
    ) -> None:
        _ = fingerprint
        lines = fields.shape[1] // cells
        for tile in prange((lines + LINES - 1) // LINES):
            work = np.empty((4, cells, LINES))
            starts = line_starts(tile, lines, inner, cells)
            for field in range(4):
                gather(fields[field], starts, inner, work[field])
            for k in range(min(LINES, lines - tile * LINES)):
                into = _face(work, cells - 1, 0, k) if periodic else 0.0
                for j in range(cells):
                    after = 0 if j == cells - 1 else j + 1
                    inside = periodic or j < cells - 1
                    out_of = _face(work, j, after, k) if inside else 0.0
                    cell = starts[k] + j * inner
                    gain[cell] += ratio * (into - out_of)
                    lost = max(out_of, 0.0) - min(into, 0.0)
                    if lost > 0.0:
                        leaving[cell] += ratio * lost / work[0, j, k]
                    into = out_of

    return flux


def add_pressure_fluxes(
    fields: Array, axis: int, ratio: float, gain: Array, leaving: Array, periodic: bool = False
) -> None:
    """Add what the fluxes along one axis bring to the density, and the share that leaves a cell.

    An explicit step rho + gain keeps the sign of the density as long as `leaving` summed over all
    axes stays below one.

    Parameters
    ----------
    fields
        Density, pressure, U' and g, stacked: C-contiguous float64, (4, ...) on a uniform grid.
    axis
        The axis of the grid that the fluxes go along.
    ratio
        tau / h^2.
    gain, leaving
        Arrays in the shape of the grid, added to.
    periodic
        Whether the last cell borders on the first.

    Raises
    ------
    InputError
        If the arrays do not fit each other, or the axis has fewer than 2 cells.
    """
    inner, cells = line_layout(gain, leaving, axis)
    _flux()(
        fields.reshape(4, -1),
        gain.reshape(-1),
        leaving.reshape(-1),
        inner,
        cells,
        ratio,
        periodic,
    )
