"""The sums over particles and data in plain NumPy, as they are written in the formulas.

Every other kernel is tested against these. Arguments are arrays of one precision, which is that of
the results, and are not checked here.
"""

import numpy as np
from numpy.typing import NDArray

from wgflow.errors import InputError
from wgflow.kernels.activation import Activation, ArrayFunction

Array = NDArray[np.float64]

# Pairs of a particle and a datum held at once: 32 MB an array.
BLOCK = 1 << 22


def _blocks(particles: int, data: int) -> list[slice]:
    size = max(1, BLOCK // max(1, data))
    return [slice(start, start + size) for start in range(0, particles, size)]


def evaluate(function: ArrayFunction, name: str, z: Array) -> Array:
    """Return a function of an activation at z, in its shape.

    Raises
    ------
    InputError
        If the function does not keep the shape.
    """
    result = np.asarray(function(z))
    if result.shape != z.shape:
        raise InputError(
            f"The {name} of the activation turned an array of shape {z.shape} into one of shape "
            f"{result.shape}, but must keep the shape."
        )
    return result


def predict(
    outer: Array, inner: Array, inputs: Array, activation: Activation, mass: Array | None = None
) -> Array:
    """Return f(x_i) = sum_j mass_j outer_j sigma(inner_j . x_i), with mass_j = 1/m by default.

    Parameters
    ----------
    outer
        (m, k).
    inner
        (m, d).
    inputs
        (n, d).
    mass
        (m,) or None.

    Returns
    -------
    (n, k)

    Raises
    ------
    InputError
        If the activation does not keep the shape of its argument.
    """
    weighted = outer / len(outer) if mass is None else outer * mass[:, np.newaxis]
    prediction = np.zeros((len(inputs), outer.shape[1]), outer.dtype)
    for block in _blocks(len(inner), len(inputs)):
        z = inputs @ inner[block].T
        prediction += evaluate(activation.value, "value", z) @ weighted[block]
    return prediction


def velocity(
    outer: Array,
    inner: Array,
    inputs: Array,
    residual: Array,
    activation: Activation,
    weight: Array | None = None,
) -> tuple[Array, Array]:
    """Return the two gradients of sum_i c_i residual_i . phi(theta_j; x_i), phi = outer sigma(z).

    With z = inner_j . x_i and c_i = weight_i, 1/n by default, they are
    d_outer_j = sum_i c_i residual_i sigma(z) and
    d_inner_j = sum_i c_i (residual_i . outer_j) sigma'(z) x_i.

    Parameters
    ----------
    outer
        (m, k).
    inner
        (m, d).
    inputs
        (n, d).
    residual
        (n, k).
    weight
        (n,) or None.

    Returns
    -------
    (m, k) and (m, d)

    Raises
    ------
    InputError
        If the activation does not keep the shape of its argument.
    """
    scaled = residual / len(residual) if weight is None else residual * weight[:, np.newaxis]
    d_outer = np.empty_like(outer)
    d_inner = np.empty_like(inner)
    for block in _blocks(len(inner), len(inputs)):
        z = inner[block] @ inputs.T
        d_outer[block] = evaluate(activation.value, "value", z) @ scaled
        slope = evaluate(activation.derivative, "derivative", z)
        d_inner[block] = (outer[block] @ scaled.T * slope) @ inputs
    return d_outer, d_inner


def log_sum_exp_rows_reference(values: Array, kernel: Array) -> Array:
    """Return out[i, j] = log sum_k exp(values[i, k] + kernel[j, k]), finite for finite entries.

    Parameters
    ----------
    values
        (n, l).
    kernel
        (p, l).

    Returns
    -------
    (n, p)
    """
    out = np.empty((len(values), len(kernel)))
    for i, line in enumerate(values):
        exponents = line + kernel
        largest = exponents.max(axis=1)
        out[i] = largest + np.log(np.exp(exponents - largest[:, np.newaxis]).sum(axis=1))
    return out
