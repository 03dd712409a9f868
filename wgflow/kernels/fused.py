"""Compiled sums over particles and data for a named activation and few inputs.

Two pure reductions without intermediate arrays: predictions run over data in parallel and over
particles inside, velocities over particles in parallel and over data inside. One thread sums one
result from first to last, so the bits do not depend on the number of threads.

Arrays of float32 are computed with in float32 and give float32, in 0.3 to 0.5 of the time. However
many terms there are, no digits are lost in summing them: every 512 terms the sums, of which each
lane of a vector has its own, go to a total in float64. With 4096 and with 100 000 terms alike, two
inputs and any activation, the largest error measured is 0.8 eps = 1e-7 of the sum of the absolute
values of the terms. Where terms cancel, a result has fewer digits accordingly.

A kernel is compiled once for each activation, number of inputs, number of outputs and precision, in
about a second and a half, and kept on disk by Numba. The functions that build kernels close over
numbers only: a compiled function in the closure would make every cache key unique. The activation
is a whole number, whose branch Numba prunes when it inlines `_activate`, before anything is
compiled.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.activation import Activation, is_named
from wgflow.kernels.elementary import (
    FINGERPRINT,
    error_function,
    exponential,
    hyperbolic_tangent,
    logarithm_of_one_plus,
)
from wgflow.kernels.unrolled import add, add_scaled, column, dot, number, row, zeros

Array = NDArray[np.floating[Any]]

MAXIMUM_DIMENSION = 16
MAXIMUM_OUTPUTS = 16

_RELU, _TANH, _SIGMOID, _SOFTPLUS, _ERF, _RAMP, _QUADRATIC, _LINEAR = range(8)
_CODES = {
    "relu": _RELU,
    "tanh": _TANH,
    "sigmoid": _SIGMOID,
    "softplus": _SOFTPLUS,
    "erf": _ERF,
    "ramp": _RAMP,
    "quadratic": _QUADRATIC,
    "linear": _LINEAR,
}
_TWO_OVER_ROOT_PI = 1.1283791670955126

# Sums may be reordered, so that they can be taken several lanes at a time; NaN and infinity keep
# their meaning, so that a run that diverges is seen to.
_REDUCTION: dict[str, Any] = {
    "parallel": True,
    "cache": True,
    "fastmath": {"reassoc", "nsz", "contract"},
    "error_model": "numpy",
}

# In bytes: loops run over whole vectors (AVX-512), a row takes an odd number of spans.
_VECTOR = 64
_SPAN = 256

# So many terms are summed in the precision of the arrays.
_CHUNK = 512


@njit(inline="always")
def _activate(code: int, z: float, t0: float, v0: float, t1: float, v1: float) -> float:
    """Return sigma(z), in the precision of z."""
    zero, one = number(0.0, z), number(1.0, z)
    if code == _RELU:
        return max(z, zero)
    elif code == _TANH:
        return hyperbolic_tangent(z)
    elif code == _SIGMOID:
        e = exponential(-abs(z))
        return (e if z < zero else one) / (one + e)
    elif code == _SOFTPLUS:
        return max(z, zero) + logarithm_of_one_plus(exponential(-abs(z)))
    elif code == _ERF:
        return error_function(z)
    elif code == _RAMP:
        slope, left, right = number((v1 - v0) / (t1 - t0), z), number(t0, z), number(t1, z)
        return number(v0, z) + slope * (min(max(z, left), right) - left)
    elif code == _QUADRATIC:
        return z * z
    else:
        return z


@njit(inline="always")
def _differentiate(code: int, z: float, t0: float, v0: float, t1: float, v1: float) -> float:
    """Return sigma'(z); what it shares with sigma(z) is computed once, by LLVM's elimination."""
    zero, one = number(0.0, z), number(1.0, z)
    if code == _RELU:
        return one if z > zero else zero
    elif code == _TANH:
        s = hyperbolic_tangent(z)
        return one - s * s
    elif code == _SIGMOID:
        e = exponential(-abs(z))
        return e / ((one + e) * (one + e))
    elif code == _SOFTPLUS:
        e = exponential(-abs(z))
        return (e if z < zero else one) / (one + e)
    elif code == _ERF:
        return number(_TWO_OVER_ROOT_PI, z) * exponential(-z * z)
    elif code == _RAMP:
        slope, left, right = number((v1 - v0) / (t1 - t0), z), number(t0, z), number(t1, z)
        return slope if left < z < right else zero
    elif code == _QUADRATIC:
        return z + z
    else:
        return one


@cache
def _prediction_kernel(code: int, dimension: int, outputs: int) -> Callable[..., None]:
    """Build the kernel for outer (k, count), inner (d, count), inputs (n, d), prediction (n, k)."""
    fingerprint, chunk = FINGERPRINT, _CHUNK
    zeros_inner = (0.0,) * dimension
    zeros_outer = (0.0,) * outputs

    @njit(**_REDUCTION)
    def kernel(
        outer: Array,
        inner: Array,
        count: int,
        inputs: Array,
        prediction: Array,
        t0: float,
        v0: float,
        t1: float,
        v1: float,
    ) -> None:
        _ = fingerprint
        for i in prange(inputs.shape[0]):
            x = row(inputs, i, zeros_inner)
            total = zeros_outer
            for start in range(0, count, chunk):
                f = zeros(zeros_outer, x[0])
                for j in range(start, min(start + chunk, count)):
                    z = dot(column(inner, j, zeros_inner), x)
                    sigma = _activate(code, z, t0, v0, t1, v1)
                    f = add_scaled(f, sigma, column(outer, j, zeros_outer))
                total = add(total, f)
            for o in range(outputs):
                prediction[i, o] = total[o]

    return kernel


@cache
def _velocity_kernel(code: int, dimension: int, outputs: int) -> Callable[..., None]:
    """Build the kernel for outer (m, k), inner (m, d), inputs (d, count), residual (k, count)."""
    fingerprint, chunk = FINGERPRINT, _CHUNK
    zeros_inner = (0.0,) * dimension
    zeros_outer = (0.0,) * outputs

    @njit(**_REDUCTION)
    def kernel(
        outer: Array,
        inner: Array,
        inputs: Array,
        residual: Array,
        count: int,
        d_outer: Array,
        d_inner: Array,
        t0: float,
        v0: float,
        t1: float,
        v1: float,
    ) -> None:
        _ = fingerprint
        for j in prange(inner.shape[0]):
            a = row(outer, j, zeros_outer)
            w = row(inner, j, zeros_inner)
            total_outer, total_inner = zeros_outer, zeros_inner
            for start in range(0, count, chunk):
                u, v = zeros(zeros_outer, a[0]), zeros(zeros_inner, a[0])
                for i in range(start, min(start + chunk, count)):
                    x = column(inputs, i, zeros_inner)
                    r = column(residual, i, zeros_outer)
                    z = dot(w, x)
                    u = add_scaled(u, _activate(code, z, t0, v0, t1, v1), r)
                    # A single outer weight is a factor of the sum, and is applied to it below.
                    p = r[0] if outputs == 1 else dot(r, a)
                    v = add_scaled(v, p * _differentiate(code, z, t0, v0, t1, v1), x)
                total_outer, total_inner = add(total_outer, u), add(total_inner, v)
            for o in range(outputs):
                d_outer[j, o] = total_outer[o]
            for c in range(dimension):
                d_inner[j, c] = (a[0] if outputs == 1 else 1.0) * total_inner[c]

    return kernel


def _rows(columns: Array, factor: Array | float | None = None) -> tuple[Array, int]:
    """Return the columns as rows, times `factor`, lengthened by zeros, and the length to run over.

    The zeros spare the loops a remainder; they add nothing to a sum, as every term has a factor
    among them. A row takes an odd number of 256 bytes: rows a multiple of 4096 bytes apart would
    compete for the same lines of the cache, and take up to four times as long at d = 16.
    """
    length, width = columns.shape
    vector, span = _VECTOR // columns.itemsize, _SPAN // columns.itemsize
    count = vector * -(-length // vector)
    rows = np.zeros((width, span * (-(-length // span) | 1)), columns.dtype)
    if factor is None:
        rows[:, :length] = columns.T
    else:
        np.multiply(columns.T, factor, out=rows[:, :length])
    return rows, count


def supports(activation: Activation, dimension: int, outputs: int) -> bool:
    """Whether there is a compiled kernel: a named activation, not too many inputs and outputs."""
    return dimension <= MAXIMUM_DIMENSION and outputs <= MAXIMUM_OUTPUTS and is_named(activation)


def _parameters(activation: Activation) -> tuple[float, ...]:
    return activation.parameters or (0.0, 0.0, 1.0, 1.0)


def predict(
    outer: Array, inner: Array, inputs: Array, activation: Activation, mass: Array | None = None
) -> Array:
    """Compute what `wgflow.kernels.reference.predict` does, where `supports` holds.

    The arrays are all float64 or all float32, and so is the result.

    Parameters
    ----------
    outer
        (m, k).
    inner
        (m, d).
    inputs
        (n, d), C-contiguous.
    mass
        (m,) or None.

    Returns
    -------
    (n, k)
    """
    kernel = _prediction_kernel(_CODES[str(activation.name)], inner.shape[1], outer.shape[1])
    outer_rows, count = _rows(outer, 1.0 / len(outer) if mass is None else mass)
    inner_rows, _ = _rows(inner)
    prediction = np.empty((inputs.shape[0], outer.shape[1]), inputs.dtype)
    kernel(outer_rows, inner_rows, count, inputs, prediction, *_parameters(activation))
    return prediction


def velocity(
    outer: Array,
    inner: Array,
    inputs: Array,
    residual: Array,
    activation: Activation,
    weight: Array | None = None,
) -> tuple[Array, Array]:
    """Compute what `wgflow.kernels.reference.velocity` does, where `supports` holds.

    The arrays are all float64 or all float32, and so are the results.

    Parameters
    ----------
    outer
        (m, k), C-contiguous.
    inner
        (m, d), C-contiguous.
    inputs
        (n, d).
    residual
        (n, k).
    weight
        (n,) or None.

    Returns
    -------
    (m, k) and (m, d)
    """
    kernel = _velocity_kernel(_CODES[str(activation.name)], inner.shape[1], outer.shape[1])
    residual_rows, count = _rows(residual, 1.0 / len(residual) if weight is None else weight)
    input_rows, _ = _rows(inputs)
    d_outer = np.empty_like(outer)
    d_inner = np.empty_like(inner)
    kernel(
        outer, inner, input_rows, residual_rows, count, d_outer, d_inner, *_parameters(activation)
    )
    return d_outer, d_inner
