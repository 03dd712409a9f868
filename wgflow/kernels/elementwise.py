"""Compiled passes over a tile, data times particles: activations, derivatives, and sums of them.

A tile holds z = x_i . w_j and is overwritten by what the velocity needs of it: sigma(z) where the
derivative follows from it (tanh, sigmoid, relu, linear), z itself elsewhere. Each pass is compiled
for one activation, in about half a second, and kept on disk by Numba; it runs without Python's
lock. The activation is a number in the closure, whose branch Numba prunes.
"""

import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wgflow.kernels import fused
from wgflow.kernels.activation import Activation
from wgflow.kernels.elementary import FINGERPRINT
from wgflow.kernels.fused import (
    _CODES,
    _LINEAR,
    _RELU,
    _SIGMOID,
    _TANH,
    _activate,
    _differentiate,
)
from wgflow.kernels.reference import evaluate
from wgflow.kernels.unrolled import number

Array = NDArray[np.float64]

_PASS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "fastmath": {"reassoc", "nsz", "contract"},
    "error_model": "numpy",
}
# The formulas of the activations are inlined from there.
_FINGERPRINT = FINGERPRINT ^ zlib.crc32(Path(fused.__file__).read_bytes())
_ROWS = 64
"""Rows that are summed in the precision of the tile, before the sum goes to a float64 total."""


class Passes(NamedTuple):
    """The passes for one activation, on tiles (rows, columns); the last argument are its knots.

    Attributes
    ----------
    keeps_value
        Whether a tile is overwritten by sigma(z).
    sum_scalar
        (tile, outer (columns,), total (rows,), knots): overwrite the tile and add
        sum_j outer_j sigma(z_ij) to a float64 total.
    activate
        (tile, values, knots): overwrite the tile, and values by sigma(z); they are the same array
        if `keeps_value`.
    slope_scalar
        (tile, residual (rows,), total (columns,), slope, knots): add sum_i residual_i sigma(z_ij)
        to a float64 total, and set slope to residual_i sigma'(z_ij).
    slope_vector
        (tile, slope, values, knots): multiply slope by sigma'(z) and set values to sigma(z); they
        are the tile itself if `keeps_value`.
    """

    keeps_value: bool
    sum_scalar: Callable[..., None]
    activate: Callable[..., None]
    slope_scalar: Callable[..., None]
    slope_vector: Callable[..., None]


@njit(inline="always")
def _slope_from(code: int, kept: float, t0: float, v0: float, t1: float, v1: float) -> float:
    """Return sigma'(z) from what is kept of z."""
    if code == _TANH:
        return number(1.0, kept) - kept * kept
    elif code == _SIGMOID:
        return kept * (number(1.0, kept) - kept)
    else:
        # relu and linear: their values have the sign of z.
        return _differentiate(code, kept, t0, v0, t1, v1)


@njit(inline="always")
def _value_from(
    code: int, keeps_value: bool, kept: float, t0: float, v0: float, t1: float, v1: float
) -> float:
    """Return sigma(z) from what is kept of z."""
    if keeps_value:
        return kept
    else:
        return _activate(code, kept, t0, v0, t1, v1)


@cache
def passes(name: str) -> Passes:
    """Return the passes for the activation of this name; they are compiled on first use."""
    fingerprint = _FINGERPRINT
    code = _CODES[name]
    keeps_value = code in (_RELU, _TANH, _SIGMOID, _LINEAR)
    rows_at_once = _ROWS

    @njit(**_PASS)
    def sum_scalar(tile: Array, outer: Array, total: Array, knots: tuple[float, ...]) -> None:
        _ = fingerprint
        t0, v0, t1, v1 = knots
        for i in range(tile.shape[0]):
            part = number(0.0, tile[i, 0])
            for j in range(tile.shape[1]):
                sigma = _activate(code, tile[i, j], t0, v0, t1, v1)
                if keeps_value:
                    tile[i, j] = sigma
                part += outer[j] * sigma
            total[i] += part

    @njit(**_PASS)
    def activate(tile: Array, values: Array, knots: tuple[float, ...]) -> None:
        _ = fingerprint
        t0, v0, t1, v1 = knots
        # Two names for one array would keep LLVM from computing several numbers at a time.
        target = tile if keeps_value else values
        for i in range(tile.shape[0]):
            for j in range(tile.shape[1]):
                target[i, j] = _activate(code, tile[i, j], t0, v0, t1, v1)

    @njit(**_PASS)
    def slope_scalar(
        tile: Array, residual: Array, total: Array, slope: Array, knots: tuple[float, ...]
    ) -> None:
        _ = fingerprint
        t0, v0, t1, v1 = knots
        part = np.empty(tile.shape[1], tile.dtype)
        for start in range(0, tile.shape[0], rows_at_once):
            part[:] = 0.0
            for i in range(start, min(start + rows_at_once, tile.shape[0])):
                r = residual[i]
                for j in range(tile.shape[1]):
                    kept = tile[i, j]
                    part[j] += r * _value_from(code, keeps_value, kept, t0, v0, t1, v1)
                    slope[i, j] = r * _slope_from(code, kept, t0, v0, t1, v1)
            for j in range(tile.shape[1]):
                total[j] += part[j]

    @njit(**_PASS)
    def slope_vector(tile: Array, slope: Array, values: Array, knots: tuple[float, ...]) -> None:
        _ = fingerprint
        t0, v0, t1, v1 = knots
        for i in range(tile.shape[0]):
            for j in range(tile.shape[1]):
                kept = tile[i, j]
                slope[i, j] *= _slope_from(code, kept, t0, v0, t1, v1)
                if not keeps_value:
                    values[i, j] = _activate(code, kept, t0, v0, t1, v1)

    return Passes(keeps_value, sum_scalar, activate, slope_scalar, slope_vector)


@njit(**_PASS)
def accumulate(total: Array, part: Array, first: bool) -> None:
    """Add a part to a float64 total, arrays (rows, columns), or begin the total with it."""
    if first:
        for i in range(total.shape[0]):
            for j in range(total.shape[1]):
                total[i, j] = part[i, j]
    else:
        for i in range(total.shape[0]):
            for j in range(total.shape[1]):
                total[i, j] += part[i, j]


def own_passes(activation: Activation) -> Passes:
    """Return the passes for an activation of one's own, in NumPy."""

    def sum_scalar(tile: Array, outer: Array, total: Array, knots: tuple[float, ...]) -> None:
        total += evaluate(activation.value, "value", tile) @ outer

    def activate(tile: Array, values: Array, knots: tuple[float, ...]) -> None:
        values[:] = evaluate(activation.value, "value", tile)

    def slope_scalar(
        tile: Array, residual: Array, total: Array, slope: Array, knots: tuple[float, ...]
    ) -> None:
        total += residual @ evaluate(activation.value, "value", tile)
        derivative = evaluate(activation.derivative, "derivative", tile)
        np.multiply(derivative, residual[:, np.newaxis], out=slope)

    def slope_vector(tile: Array, slope: Array, values: Array, knots: tuple[float, ...]) -> None:
        values[:] = evaluate(activation.value, "value", tile)
        slope *= evaluate(activation.derivative, "derivative", tile)

    return Passes(False, sum_scalar, activate, slope_scalar, slope_vector)
