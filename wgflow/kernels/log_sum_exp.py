"""Compiled log-sum-exp of rows against a kernel: a heat kernel applied to logarithms."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from wgflow.errors import InputError
from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.arguments import Array, as_array
from wgflow.kernels.elementary import FINGERPRINT, exponential


# The largest element is found several lanes at a time only if NaN needs no care; the flag stays in
# here. A NaN among the entries still reaches the result, through the exponential.
@njit(fastmath={"nnan", "nsz"}, error_model="numpy", forceinline=True)
def _largest(values: Array, kernel: Array, i: int, j: int) -> float:
    largest = values[i, 0] + kernel[j, 0]
    for k in range(1, values.shape[1]):
        largest = max(largest, values[i, k] + kernel[j, k])
    return largest


# Apart, without leave to reorder: value - largest first would cancel what the kernel adds.
@njit(error_model="numpy", forceinline=True)
def _term(value: float, shift: float, largest: float) -> float:
    return exponential((value + shift) - largest)


@cache
def _compiled() -> Callable[[Array, Array, Array, Array], None]:
    fingerprint = FINGERPRINT

    @njit(
        parallel=True,
        cache=True,
        fastmath={"reassoc", "nsz", "contract"},
        error_model="numpy",
    )
    def log_sum_exp(values: Array, kernel: Array, where: Array, out: Array) -> None:
        _ = fingerprint
        for i in prange(values.shape[0]):
            for j in range(kernel.shape[0]):
                if not where[i, j]:
                    continue
                largest = _largest(values, kernel, i, j)
                total = 0.0
                for k in range(values.shape[1]):
                    total += _term(values[i, k], kernel[j, k], largest)
                out[i, j] = largest + math.log(total)

    return log_sum_exp


def log_sum_exp_rows(
    values: ArrayLike,
    kernel: ArrayLike,
    out: Array | None = None,
    where: np.ndarray | None = None,
) -> Array:
    """Return out[i, j] = log sum_k exp(values[i, k] + kernel[j, k]).

    The largest exponent is subtracted first, so the result is finite for finite entries; an entry
    of -1e300 stands in for the logarithm of zero, and a row of them gives about -1e300. Parallel
    over i, with the same bits for any number of threads. Dimensionless. Source: the definition;
    `wgflow.kernels.reference.log_sum_exp_rows_reference` writes it out.

    Parameters
    ----------
    values
        (n, l).
    kernel
        (p, l).
    out
        (n, p), C-contiguous float64, apart from `values` and `kernel` in memory; None for a new
        array.
    where
        (n, p) of bool: the entries to compute; the others of `out` stay as they are. None for all.

    Returns
    -------
    (n, p), `out` where it is given

    Raises
    ------
    InputError
        If the shapes do not match, an array is empty or not real, or `out` cannot be written to.
    """
    value_array = as_array("values", values, ("rows", "terms"))
    kernel_array = as_array("kernel", kernel, ("columns", value_array.shape[1]))
    shape = (len(value_array), len(kernel_array))
    if out is None:
        out = np.empty(shape)
    elif out.shape != shape or out.dtype != np.float64 or not out.flags.carray:
        raise InputError(
            f"out has shape {out.shape} and type {out.dtype}, but must be a writeable, contiguous "
            f"float64 array of shape {shape}."
        )
    elif np.may_share_memory(out, value_array) or np.may_share_memory(out, kernel_array):
        raise InputError("out shares memory with values or kernel, but must be an array apart.")
    if where is None:
        where = np.ones(shape, dtype=bool)
    elif where.shape != shape or where.dtype != bool:
        raise InputError(
            f"where has shape {where.shape} and type {where.dtype}, but must be a bool array of "
            f"shape {shape}."
        )
    _compiled()(value_array, kernel_array, where, out)
    return out
