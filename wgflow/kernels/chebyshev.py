"""Compiled Chebyshev series on panels of a line: their values at points, and the transpose of that.

On the panel of centre c and half-width h a series is sum_q C_q T_q(s), s = (x - c) / h. Points are
sorted, so that those of one panel lie together. A panel is summed by one thread from its first
point to its last, so the bits do not depend on the number of threads.
"""

import math
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.arguments import Array

Indices = NDArray[np.int64]

_LANES = 16
_SERIAL: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}}
_PARALLEL: dict[str, Any] = {"parallel": True, "cache": True, **_SERIAL}


def nodes(count: int) -> Array:
    """Return the zeros of T_count, in [-1, 1]."""
    return np.cos(math.pi * (np.arange(count) + 0.5) / count)


def coefficients_from_values(count: int) -> Array:
    """Return the matrix (count, count) from values at the nodes to Chebyshev coefficients."""
    angle = math.pi * (np.arange(count) + 0.5) / count
    matrix = np.cos(np.outer(np.arange(count), angle)) * (2.0 / count)
    matrix[0] *= 0.5
    return matrix


# Lanes are points side by side, so that the recurrences run on vectors.
@njit(**_SERIAL)
def _coordinates(points: Array, begin: int, end: int, centre: float, half: float, s: Array) -> None:
    for lane in range(_LANES):
        s[lane] = (points[min(begin + lane, end - 1), 0] - centre) / half


@njit(**_SERIAL)
def _evaluate_series(
    series: Array, points: Array, begin: int, end: int, centre: float, half: float, values: Array
) -> None:
    """Add a series (nodes, k) at the points begin .. end - 1 to values, by Clenshaw's rule."""
    count, outputs = series.shape
    s, now, before = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for first in range(begin, end, _LANES):
        _coordinates(points, first, end, centre, half, s)
        for o in range(outputs):
            for lane in range(_LANES):
                now[lane] = before[lane] = 0.0
            for q in range(count - 1, 0, -1):
                c = series[q, o]
                for lane in range(_LANES):
                    later = now[lane]
                    now[lane] = c + 2.0 * s[lane] * later - before[lane]
                    before[lane] = later
            for lane in range(min(_LANES, end - first)):
                values[first + lane, o] += series[0, o] + s[lane] * now[lane] - before[lane]


@njit(**_PARALLEL)
def evaluate(
    series: Array,
    starts: Indices,
    centres: Array,
    half: float,
    points: Array,
    values: Array,
) -> None:
    """Add the series of all panels (panels, nodes, k) at the sorted points to values (n, k)."""
    for panel in prange(len(series)):
        begin, end = starts[panel], starts[panel + 1]
        _evaluate_series(series[panel], points, begin, end, centres[panel], half, values)


@njit(**_SERIAL)
def _moments_of_panel(
    residual: Array, points: Array, begin: int, end: int, centre: float, half: float, moments: Array
) -> None:
    """Fill in sum_i r_i T_q(s_i) over the points begin .. end - 1, (nodes, k)."""
    count, outputs = moments.shape
    s, now, before = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    sums, r = np.zeros((count, outputs, _LANES)), np.zeros((outputs, _LANES))
    for first in range(begin, end, _LANES):
        _coordinates(points, first, end, centre, half, s)
        for lane in range(_LANES):
            # T_0 = 1 and T_-1 = T_1 = s.
            now[lane], before[lane] = 1.0, s[lane]
            for o in range(outputs):
                r[o, lane] = residual[first + lane, o] if first + lane < end else 0.0
        for q in range(count):
            for o in range(outputs):
                for lane in range(_LANES):
                    sums[q, o, lane] += r[o, lane] * now[lane]
            for lane in range(_LANES):
                later = now[lane]
                now[lane] = 2.0 * s[lane] * later - before[lane]
                before[lane] = later
    for q in range(count):
        for o in range(outputs):
            for lane in range(_LANES):
                moments[q, o] += sums[q, o, lane]


@njit(**_PARALLEL)
def find_moments(
    residual: Array,
    starts: Indices,
    centres: Array,
    half: float,
    points: Array,
    moments: Array,
) -> None:
    """Fill in the moments (panels, nodes, k) of the residuals (n, k) at the sorted points."""
    for panel in prange(len(moments)):
        begin, end = starts[panel], starts[panel + 1]
        _moments_of_panel(residual, points, begin, end, centres[panel], half, moments[panel])
