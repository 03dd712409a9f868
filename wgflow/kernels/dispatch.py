"""The sums over particles and data on raw arrays: checks, and the choice of a kernel."""

from typing import Any

from numpy.typing import ArrayLike

from wgflow.kernels import fused, reference
from wgflow.kernels.activation import Activation, as_activation
from wgflow.kernels.arguments import Array, as_array


def _check_neurons(outer: ArrayLike, inner: ArrayLike, inputs: ArrayLike) -> tuple[Array, ...]:
    inner_array = as_array("inner", inner, ("particles", "inputs"))
    particles, dimension = inner_array.shape
    outer_array = as_array("outer", outer, (particles,), (particles, "outputs"))
    return outer_array, inner_array, as_array("inputs", inputs, ("data", dimension))


def _kernels(activation: Activation, dimension: int, outputs: int) -> Any:
    """Return the module whose `predict` and `velocity` to use."""
    return fused if fused.supports(activation, dimension, outputs) else reference


def predict(
    outer: ArrayLike,
    inner: ArrayLike,
    inputs: ArrayLike,
    activation: str | Activation,
    mass: ArrayLike | None = None,
) -> Array:
    """Return the predictions f(x_i), the mean over particles of outer_j sigma(inner_j . x_i).

    With `mass` it is the sum of mass_j outer_j sigma(inner_j . x_i). A named activation with at
    most 16 inputs and 16 outputs runs in a compiled kernel without O(m n) memory, the rest in NumPy
    by blocks; the first call for an activation and these two numbers compiles for a second or two.
    Everything is dimensionless. Source: Mei, Montanari and Nguyen, A mean field
    view of the landscape of two-layer neural networks, PNAS 115 (2018).

    Parameters
    ----------
    outer
        (m,) or (m, k): the outer weights of m particles.
    inner
        (m, d): their inner weights.
    inputs
        (n, d).
    activation
        A name (relu, tanh, sigmoid, softplus, erf, ramp, quadratic, linear) or an Activation.
    mass
        (m,), or None for 1/m each.

    Returns
    -------
    (n,) or (n, k), as `outer` has one axis or two

    Raises
    ------
    InputError
        If the shapes do not match, an array is empty or not real, or the activation is unknown.
    """
    chosen = as_activation(activation)
    outer_array, inner_array, input_array = _check_neurons(outer, inner, inputs)
    particles, dimension = inner_array.shape
    mass_array = None if mass is None else as_array("mass", mass, (particles,))
    outer_columns = outer_array.reshape(particles, -1)
    kernels = _kernels(chosen, dimension, outer_columns.shape[1])
    prediction: Array = kernels.predict(outer_columns, inner_array, input_array, chosen, mass_array)
    return prediction.reshape(len(input_array), *outer_array.shape[1:])


def velocity(
    outer: ArrayLike,
    inner: ArrayLike,
    inputs: ArrayLike,
    residual: ArrayLike,
    activation: str | Activation,
    weight: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Return (1/n) sum_i residual_i . d phi(theta_j; x_i) / d theta_j, for phi = outer sigma(z).

    Here z = inner_j . x_i and theta = (outer, inner). The parts are
    d_outer_j = (1/n) sum_i residual_i sigma(z) and
    d_inner_j = (1/n) sum_i (residual_i . outer_j) sigma'(z) x_i: no sign is changed and no scale is
    applied. With `weight` the factor 1/n becomes weight_i. Everything is dimensionless. Kernels,
    limits and source as for `predict`.

    Parameters
    ----------
    outer
        (m,) or (m, k): the outer weights of m particles.
    inner
        (m, d): their inner weights.
    inputs
        (n, d).
    residual
        (n,) or (n, k), as `outer` has one axis or two.
    activation
        A name (relu, tanh, sigmoid, softplus, erf, ramp, quadratic, linear) or an Activation.
    weight
        (n,), or None for 1/n each.

    Returns
    -------
    d_outer with the shape of `outer`, and d_inner (m, d)

    Raises
    ------
    InputError
        If the shapes do not match, an array is empty or not real, or the activation is unknown.
    """
    chosen = as_activation(activation)
    outer_array, inner_array, input_array = _check_neurons(outer, inner, inputs)
    particles, dimension = inner_array.shape
    data = len(input_array)
    residual_array = as_array("residual", residual, (data, *outer_array.shape[1:]))
    weight_array = None if weight is None else as_array("weight", weight, (data,))
    outer_columns = outer_array.reshape(particles, -1)
    d_outer, d_inner = _kernels(chosen, dimension, outer_columns.shape[1]).velocity(
        outer_columns,
        inner_array,
        input_array,
        residual_array.reshape(data, -1),
        chosen,
        weight_array,
    )
    return d_outer.reshape(outer_array.shape), d_inner
