"""The sums over particles and data on raw arrays: checks, and the choice of a kernel."""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wgflow.kernels import fused, piecewise_linear, tiled
from wgflow.kernels.activation import Activation, as_activation
from wgflow.kernels.arguments import Array, as_array, is_on_card, precision

Precision = type[np.floating[Any]]

FUSED_DIMENSION: dict[Precision, int] = {np.float64: 12, np.float32: 14}
"""Up to so many inputs the kernels without tiles are the faster ones, measured with tanh."""


@dataclasses.dataclass(frozen=True)
class _Neurons:
    """Checked arrays of neurons and inputs, with the kernels that are to sum them.

    Attributes
    ----------
    outer, inner, inputs
        (m, k), (m, d), (n, d), all of one precision.
    shape
        Of an outer weight: () or (k,).
    """

    outer: Array
    inner: Array
    inputs: Array
    activation: Activation
    shape: tuple[int, ...]
    dtype: Precision

    @classmethod
    def checked(
        cls,
        outer: ArrayLike,
        inner: ArrayLike,
        inputs: ArrayLike,
        activation: str | Activation,
        *others: ArrayLike | None,
    ) -> "_Neurons":
        """Return the arrays in the precision that these and all others have."""
        dtype = precision(outer, inner, inputs, *others)
        inner_array = as_array("inner", inner, ("particles", "inputs"), dtype=dtype)
        particles, dimension = inner_array.shape
        outer_array = as_array("outer", outer, (particles,), (particles, "outputs"), dtype=dtype)
        return cls(
            outer_array.reshape(particles, -1),
            inner_array,
            as_array("inputs", inputs, ("data", dimension), dtype=dtype),
            as_activation(activation),
            outer_array.shape[1:],
            dtype,
        )

    @functools.cached_property
    def kernels(self) -> Any:
        """The module to use.

        It depends on the sizes, the activation, the precision and the inputs, and never on timing,
        so that a run can be repeated.
        """
        if is_on_card(self.inner):
            # Imported where there is a card: it needs Numba's compiler for it.
            return importlib.import_module("wgflow.kernels.cuda")
        (particles, dimension), outputs = self.inner.shape, self.outer.shape[1]
        size = self.activation, dimension, outputs
        mean = particles * len(self.inputs) / (particles + len(self.inputs))
        if (
            mean >= piecewise_linear.WORTHWHILE
            and piecewise_linear.supports(*size)
            and piecewise_linear.applies(self.activation, self.inputs)
        ):
            return piecewise_linear
        if dimension <= FUSED_DIMENSION[self.dtype] and fused.supports(*size):
            return fused
        return tiled

    @property
    def places(self) -> dict[str, Any]:
        """What piecewise linear predictions and velocities have in common, as keywords."""
        if self.activation.name == "linear":
            return {}
        plan = piecewise_linear.prepare(self.inputs)
        return {"plan": plan, "places": piecewise_linear.locate(self.inner, self.activation, plan)}

    def mass(self, mass: ArrayLike | None) -> Array | None:
        if mass is None:
            return None
        return as_array("mass", mass, (len(self.outer),), dtype=self.dtype)

    def residual(self, residual: ArrayLike) -> Array:
        """Return the residual (n, k)."""
        data = len(self.inputs)
        array = as_array("residual", residual, (data, *self.shape), dtype=self.dtype)
        return array.reshape(data, -1)

    def weight(self, weight: ArrayLike | None) -> Array | None:
        if weight is None:
            return None
        return as_array("weight", weight, (len(self.inputs),), dtype=self.dtype)

    def shaped(self, columns: Array) -> Array:
        """Return outer weights or predictions with one axis or two, as they were given."""
        return columns.reshape(len(columns), *self.shape)


def predict(
    outer: ArrayLike,
    inner: ArrayLike,
    inputs: ArrayLike,
    activation: str | Activation,
    mass: ArrayLike | None = None,
) -> Array:
    """Return the predictions f(x_i), the mean over particles of outer_j sigma(inner_j . x_i).

    With `mass` it is the sum of mass_j outer_j sigma(inner_j . x_i). Everything is dimensionless.
    Source: Mei, Montanari and Nguyen, A mean field view of the landscape of two-layer neural
    networks, PNAS 115 (2018).

    Float32 arrays, if all of them are, are summed in float32 and give float32; anything else is
    taken as float64. The sizes, the activation, the precision and the inputs choose the kernels.
    All of them run on Numba's number of threads, take no O(m n) memory, and give the same bits for
    any number of threads:

    * `piecewise_linear`, exact sums in O((m + n) d), for relu and ramp with one or two inputs (for
      a ramp, two with a constant column), for linear, and 16 outputs at most, from a few hundred
      particles and data on;
    * `fused`, for a named activation, up to 12 inputs (14 in float32) and 16 outputs;
    * `tiled`, with matrix products of BLAS for 512 data and 256 particles at a time, for the rest.
      It calls the functions of an activation of one's own on such tiles, from several threads at
      once.

    The first call for an activation, and for numbers of inputs and outputs in `fused`, compiles
    for a second or two.

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
    neurons = _Neurons.checked(outer, inner, inputs, activation, mass)
    prediction: Array = neurons.kernels.predict(
        neurons.outer, neurons.inner, neurons.inputs, neurons.activation, neurons.mass(mass)
    )
    return neurons.shaped(prediction)


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
    applied. With `weight` the factor 1/n becomes weight_i. Everything is dimensionless.
    Kernels, precision and source as for `predict`.

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
    neurons = _Neurons.checked(outer, inner, inputs, activation, residual, weight)
    d_outer, d_inner = neurons.kernels.velocity(
        neurons.outer,
        neurons.inner,
        neurons.inputs,
        neurons.residual(residual),
        neurons.activation,
        neurons.weight(weight),
    )
    return neurons.shaped(d_outer), d_inner


class Forward:
    """The predictions of some particles, and what their velocity can take over from them.

    The tiled kernels keep the activations, as far as they fit into 256 MiB, which spares the
    velocity its first matrix product; piecewise linear ones keep the places of the particles among
    the inputs. The results have the bits of `predict` and `velocity`. The arrays it was made from
    must not change.

    Attributes
    ----------
    prediction
        As `predict` returns it.
    keeps
        Whether anything is kept.
    """

    prediction: Array
    keeps: bool

    def __init__(self, neurons: _Neurons, mass: Array | None) -> None:
        self._neurons = neurons
        arrays = neurons.outer, neurons.inner, neurons.inputs
        activation, kernels = neurons.activation, neurons.kernels
        self._velocity: Callable[[Array, Array | None], tuple[Array, Array]]
        if kernels is tiled:
            whole = tiled.ForwardPass(*arrays, activation, tiled.KEPT_BYTES)
            self.keeps = whole.kept_strips > 0
            self.prediction = neurons.shaped(whole.predict(mass))
            self._velocity = whole.velocity
            return
        shared = neurons.places if kernels is piecewise_linear else {}
        self.keeps = bool(shared)
        self.prediction = neurons.shaped(kernels.predict(*arrays, activation, mass, **shared))
        self._velocity = lambda residual, weight: kernels.velocity(
            *arrays, residual, activation, weight, **shared
        )

    def velocity(self, residual: ArrayLike, weight: ArrayLike | None = None) -> tuple[Array, Array]:
        """Return what `velocity` returns for the same particles, in the precision of the pass.

        Raises
        ------
        InputError
            If the shapes do not match, or an array is not real.
        """
        neurons = self._neurons
        d_outer, d_inner = self._velocity(neurons.residual(residual), neurons.weight(weight))
        return neurons.shaped(d_outer), d_inner


def forward(
    outer: ArrayLike,
    inner: ArrayLike,
    inputs: ArrayLike,
    activation: str | Activation,
    mass: ArrayLike | None = None,
) -> Forward:
    """Return the predictions together with what the velocity at the same particles can share.

    Parameters, kernels and errors as for `predict`.
    """
    neurons = _Neurons.checked(outer, inner, inputs, activation, mass)
    return Forward(neurons, neurons.mass(mass))
