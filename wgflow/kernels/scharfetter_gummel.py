"""Compiled Scharfetter-Gummel sweeps: drift and diffusion of cell masses along one axis of a grid.

The flux from a cell to the next, of equal widths h, is exact for a constant drift between their
centres (Scharfetter and Gummel, "Large-signal analysis of a silicon Read diode oscillator", IEEE
Trans. Electron Devices 16, 1969):

    flux = (lambda / h^2) [B(z) m - B(-z) m'],   z = (g' - g) / lambda,   B(z) = z / (e^z - 1).

It vanishes where m'/m = e^-z, so masses proportional to exp(-g / lambda) do not move. Everything
is dimensionless.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.special import zeta

from wgflow.errors import InputError
from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.arguments import Array
from wgflow.kernels.elementary import FINGERPRINT, exponential
from wgflow.kernels.unrolled import polynomial

# Lines of cells worked on side by side: two vectors of AVX-512, four of AVX2.
LINES = 16

# (z/2) coth(z/2) = sum_k B_2k z^2k / (2k)!, with B_2k / (2k)! = -2 zeta(2k) (-1)^k / (2 pi)^2k.
_EVEN = (
    1.0,
    *(-2.0 * float(zeta(2 * k)) * (-1) ** k / (2 * math.pi) ** (2 * k) for k in range(1, 12)),
)


@njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)
def bernoulli(size: float) -> float:
    """Return B(z) = z / (e^z - 1) for z >= 0, within 6 ulp; B(-z) = B(z) + z has no cancellation.

    Above 708 it goes on as z e^-708, which is no more than 1e-300 away.
    """
    near = polynomial(_EVEN, min(size * size, 1.0)) - 0.5 * size
    far = max(size, 1.0)
    return near if size < 1.0 else far / (exponential(far) - 1.0)


@njit(error_model="numpy")
def line_starts(tile: int, lines: int, inner: int, cells: int) -> NDArray[np.int64]:
    """Return where the lines of a tile begin in the flat array (outer, cells, inner).

    The last line of all stands in for those that a tile lacks.
    """
    starts = np.empty(LINES, np.int64)
    for k in range(LINES):
        line = min(tile * LINES + k, lines - 1)
        starts[k] = (line // inner) * cells * inner + line % inner
    return starts


@njit(error_model="numpy")
def gather(flat: Array, starts: NDArray[np.int64], inner: int, out: Array) -> None:
    """Copy lines of cells side by side, out (cells, LINES)."""
    for j in range(len(out)):
        for k in range(LINES):
            out[j, k] = flat[starts[k] + j * inner]


@njit(fastmath={"nsz", "contract"}, error_model="numpy")
def _rates(
    g: Array, ratio: float, temperature: float, periodic: bool, ahead: Array, back: Array
) -> None:
    """Fill in the rates at which mass goes over the face after cell j, and comes back over it.

    All arrays are flat, (cells LINES,), for one long loop.
    """
    inverse = 1.0 / temperature
    inside = len(g) - LINES
    for i in range(inside):
        z = (g[i + LINES] - g[i]) * inverse
        low = ratio * bernoulli(abs(z))
        ahead[i] = low + ratio * max(-z, 0.0)
        back[i] = low + ratio * max(z, 0.0)
    for k in range(LINES):
        ahead[inside + k] = 0.0
        back[inside + k] = 0.0
        if periodic:
            z = (g[k] - g[inside + k]) * inverse
            low = ratio * bernoulli(abs(z))
            ahead[inside + k] = low + ratio * max(-z, 0.0)
            back[inside + k] = low + ratio * max(z, 0.0)


# Cells are eliminated from the first to the one before last; the last one, their neighbour around
# the circle, is kept to the end. An elimination hands on what a cell sends to its two remaining
# neighbours, so that only positive numbers are added and multiplied: every mass comes out with a
# small relative error, and the sum is kept to rounding (Grassmann, Taksar and Heyman, "Regenerative
# analysis and steady state distributions for Markov chains", Operations Research 33, 1985).
# Several short loops with few arrays each, because LLVM would not vectorise one with all of them.
@njit(fastmath={"nsz", "contract"}, error_model="numpy")
def _solve(mass: Array, ahead: Array, back: Array, share: Array, periodic: bool) -> None:
    """Replace mass m by the solution n of n_j + (flux out of cell j at n) = m_j.

    All arrays are (cells, LINES).
    """
    end, lines = len(mass) - 1, mass.shape[1]
    stay, to_last = np.ones(lines), back[end].copy()
    for j in range(end):
        for k in range(lines):
            part = 1.0 / (stay[k] + ahead[j, k] + to_last[k])
            share[j, k] = part
            onto = back[j, k] * part
            back[j, k] = onto
            stay[k] = 1.0 + onto * stay[k]
            to_last[k] *= onto
    for j in range(end):
        for k in range(lines):
            settled = mass[j, k] * share[j, k]
            mass[j, k] = settled
            mass[j + 1, k] += ahead[j, k] * settled
    if periodic:
        _close(mass, ahead, back, share, stay)
    for k in range(lines):
        mass[end, k] /= stay[k]
    for j in range(end - 1, -1, -1):
        for k in range(lines):
            if periodic:
                mass[j, k] += share[j, k] * mass[end, k]
            mass[j, k] += back[j, k] * mass[j + 1, k]


@njit(fastmath={"nsz", "contract"}, error_model="numpy")
def _close(mass: Array, ahead: Array, back: Array, share: Array, stay: Array) -> None:
    """Add what the last cell of a circle exchanges with every cell before it.

    `share` becomes what a cell receives of the last one's mass, `stay` what stays in the last.
    """
    end, lines = len(mass) - 1, mass.shape[1]
    to_last, from_last = back[end].copy(), ahead[end].copy()
    kept = np.ones(lines)
    for j in range(end):
        for k in range(lines):
            mass[end, k] += to_last[k] * mass[j, k]
            onward = ahead[j, k] * share[j, k]
            share[j, k] *= from_last[k]
            stay[k] += share[j, k] * kept[k]
            kept[k] = 1.0 + back[j, k] * kept[k]
            to_last[k] *= back[j, k]
            from_last[k] *= onward


@cache
def _sweep() -> Callable[..., None]:
    fingerprint = FINGERPRINT

    @njit(parallel=True, cache=True, error_model="numpy")
    def sweep(
        mass: Array,
        g: Array,
        out: Array,
        inner: int,
        cells: int,
        ratio: float,
        temperature: float,
        periodic: bool,
    ) -> None:
        _ = fingerprint
        lines = len(mass) // cells
        for tile in prange((lines + LINES - 1) // LINES):
            work = np.empty((4, cells, LINES))
            flat = work.reshape(4, -1)
            starts = line_starts(tile, lines, inner, cells)
            gather(mass, starts, inner, work[0])
            gather(g, starts, inner, work[1])
            _rates(flat[1], ratio, temperature, periodic, flat[2], flat[3])
            _solve(work[0], work[2], work[3], work[1], periodic)
            for j in range(cells):
                for k in range(min(LINES, lines - tile * LINES)):
                    out[starts[k] + j * inner] = work[0, j, k]

    return sweep


@cache
def _flux() -> Callable[..., None]:
    fingerprint = FINGERPRINT

    @njit(parallel=True, cache=True, error_model="numpy")
    def flux(
        mass: Array,
        g: Array,
        gain: Array,
        leaving: Array,
        inner: int,
        cells: int,
        ratio: float,
        temperature: float,
        periodic: bool,
    ) -> None:
        _ = fingerprint
        lines = len(mass) // cells
        for tile in prange((lines + LINES - 1) // LINES):
            work = np.empty((4, cells, LINES))
            flat = work.reshape(4, -1)
            starts = line_starts(tile, lines, inner, cells)
            gather(mass, starts, inner, work[0])
            gather(g, starts, inner, work[1])
            _rates(flat[1], ratio, temperature, periodic, flat[2], flat[3])
            for j in range(cells):
                before = cells - 1 if j == 0 else j - 1
                after = 0 if j == cells - 1 else j + 1
                for k in range(min(LINES, lines - tile * LINES)):
                    cell = starts[k] + j * inner
                    out_of = work[2, j, k] + work[3, before, k]
                    into = work[2, before, k] * work[0, before, k]
                    into += work[3, j, k] * work[0, after, k]
                    gain[cell] += into - out_of * work[0, j, k]
                    leaving[cell] += out_of

    return flux


def line_layout(mass: Array, g: Array, axis: int) -> tuple[int, int]:
    """Return the number of entries between neighbours, and the number of cells on the axis."""
    for name, array in (("mass", mass), ("g", g)):
        if array.shape != mass.shape or array.dtype != np.float64 or not array.flags.carray:
            raise InputError(
                f"{name} has shape {array.shape} and type {array.dtype}, but must be a writeable, "
                f"contiguous float64 array of shape {mass.shape}."
            )
    if not -mass.ndim <= axis < mass.ndim or mass.shape[axis] < 2:
        raise InputError(
            f"The axis is {axis}, but must be one of the {mass.ndim} axes of an array of shape "
            f"{mass.shape}, with at least 2 cells on it."
        )
    axis %= mass.ndim
    return math.prod(mass.shape[axis + 1 :]), mass.shape[axis]


def implicit_sweep(
    mass: Array, g: Array, axis: int, ratio: float, temperature: float, periodic: bool = False
) -> Array:
    """Return the masses after one implicit Euler step of the fluxes along one axis.

    The masses n solve n_j + flux_{j+1/2}(n) - flux_{j-1/2}(n) = m_j on every line of cells, with
    the flux of this module times tau. Their sum is that of m to rounding, they are positive where
    m >= 0 is not zero throughout a line (or underflow), and exp(-g / lambda) is a fixed point.
    The same bits for any number of threads.

    Parameters
    ----------
    mass, g
        Cell masses and the first variation without the entropy, C-contiguous float64 of one shape.
    axis
        The axis that the fluxes go along.
    ratio
        lambda tau / h^2.
    temperature
        lambda > 0.
    periodic
        Whether the last cell borders on the first.

    Returns
    -------
    A new array of the same shape

    Raises
    ------
    InputError
        If the arrays do not have one shape, or the axis fewer than 2 cells.
    """
    inner, cells = line_layout(mass, g, axis)
    out = np.empty_like(mass)
    _sweep()(
        mass.reshape(-1), g.reshape(-1), out.reshape(-1), inner, cells, ratio, temperature, periodic
    )
    return out


def add_fluxes(
    mass: Array,
    g: Array,
    axis: int,
    ratio: float,
    temperature: float,
    gain: Array,
    leaving: Array,
    periodic: bool = False,
) -> None:
    """Add what the fluxes along one axis bring to every cell, and the share that leaves it.

    An explicit step m + gain is a convex combination of the masses, and so keeps their sign, as
    long as `leaving` summed over all axes stays below one.

    Parameters
    ----------
    mass, g, axis, temperature, periodic
        As in `implicit_sweep`.
    ratio
        lambda tau / h^2.
    gain, leaving
        Arrays of the same shape, added to.

    Raises
    ------
    InputError
        As in `implicit_sweep`.
    """
    inner, cells = line_layout(mass, g, axis)
    _flux()(
        mass.reshape(-1),
        g.reshape(-1),
        gain.reshape(-1),
        leaving.reshape(-1),
        inner,
        cells,
        ratio,
        temperature,
        periodic,
    )
