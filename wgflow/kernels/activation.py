"""Activations: a value and a derivative of NumPy arrays, and the eight that have names.

Neither Numba nor SciPy is imported here, so that a problem can be described without their cost.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wgflow.errors import InputError, check_number, unknown

ArrayFunction = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# erf(x) = 1 - exp(-x P(x)) on [0, 6], beyond which erf is 1 to rounding; these are the coefficients
# of P, lowest first: the Remez exchange in 60 digits for -log(erfc(x)) / x, weighted so that the
# relative error of erf is levelled, which comes out at 7.1e-17 for degree 22.
ERROR_FUNCTION_END = 6.0
ERROR_FUNCTION_COEFFICIENTS = (
    1.1283791670955126,
    0.6366197723676116,
    0.102772603300059,
    -0.01912844696304638,
    -0.00020919523045740348,
    0.0016962105307010706,
    -0.0005901468152605491,
    2.595521094870832e-05,
    6.429000637596891e-05,
    -2.9323534826170124e-05,
    2.7958602186387133e-06,
    3.564688683458884e-06,
    -2.4297999557285224e-06,
    8.537157283258819e-07,
    -1.7409285702474065e-07,
    8.370126792655843e-09,
    7.783134021304769e-09,
    -3.1533676749826858e-09,
    6.811525751800594e-10,
    -9.54914401421201e-11,
    8.722000899548831e-12,
    -4.75544133532464e-13,
    1.18016341267882e-14,
)


@dataclass(frozen=True)
class Activation:
    """The function sigma of a neuron sigma(w . x), with its derivative.

    Activations are equal when their functions, names and parameters are. The named ones run in
    compiled kernels; one's own, given by `value` and `derivative` alone, is called on parts of the
    sums, from several threads at once.

    Parameters
    ----------
    value, derivative
        Map a float64 array to one of the same shape; dimensionless.
    name
        The name of a named activation, None for one's own.
    parameters
        The numbers that a named activation depends on: the knots (t0, v0, t1, v1) of a ramp.

    Raises
    ------
    InputError
        If `value` or `derivative` cannot be called.
    """

    value: ArrayFunction
    derivative: ArrayFunction
    name: str | None = None
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field in ("value", "derivative"):
            given = getattr(self, field)
            if not callable(given):
                raise InputError(
                    f"The {field} of an activation is {given!r}, but must be a function of arrays."
                )

    def __repr__(self) -> str:
        if self.name is None:
            return f"Activation(value={self.value!r}, derivative={self.derivative!r})"
        return f"Activation({self.name!r}, parameters={self.parameters!r})"


def _relu(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(z, 0.0)


def _relu_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return (z > 0.0).astype(np.float64)


def _tanh_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 - np.tanh(z) ** 2


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(-np.abs(z))
    return np.where(z < 0.0, e, 1.0) / (1.0 + e)


def _sigmoid_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(-np.abs(z))
    return e / (1.0 + e) ** 2


def _softplus(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _erf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.minimum(np.abs(z), ERROR_FUNCTION_END)
    p = np.full_like(x, ERROR_FUNCTION_COEFFICIENTS[-1])
    for coefficient in ERROR_FUNCTION_COEFFICIENTS[-2::-1]:
        p *= x
        p += coefficient
    return np.copysign(np.expm1(-x * p), z)


def _erf_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2.0 / math.sqrt(math.pi) * np.exp(-(z**2))


def _quadratic_derivative(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2.0 * z


def _linear(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return z


@dataclass(frozen=True)
class _Ramp:
    """The straight line through two knots, constant beyond them.

    A class and not a closure, so that equal ramps compare equal and can be pickled.
    """

    t0: float
    v0: float
    t1: float
    v1: float

    @property
    def slope(self) -> float:
        return (self.v1 - self.v0) / (self.t1 - self.t0)

    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.v0 + self.slope * (np.clip(z, self.t0, self.t1) - self.t0)


@dataclass(frozen=True)
class _RampDerivative(_Ramp):
    def __call__(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where((z > self.t0) & (z < self.t1), self.slope, 0.0)


def ramp(
    left: tuple[float, float] = (0.0, 0.0), right: tuple[float, float] = (1.0, 1.0)
) -> Activation:
    """Return the piecewise linear activation through two knots, constant outside them.

    Its derivative is 0 at the knots. Source: the activation of Mei, Montanari and Nguyen,
    A mean field view of the landscape of two-layer neural networks, PNAS 115 (2018).

    Parameters
    ----------
    left, right
        The knots (t, value), with `left` before `right`; dimensionless.

    Raises
    ------
    InputError
        If a knot is not a pair of finite numbers, or if they are not in increasing order.
    """
    for name, knot in (("left", left), ("right", right)):
        if not isinstance(knot, tuple | list) or len(knot) != 2:
            raise InputError(
                f"The {name} knot of a ramp is {knot!r}, but must be a pair (t, value)."
            )
    knots = tuple(
        check_number(f"The {name} of a ramp", number)
        for name, number in (
            ("first position", left[0]),
            ("first value", left[1]),
            ("second position", right[0]),
            ("second value", right[1]),
        )
    )
    t0, v0, t1, v1 = knots
    if not t0 < t1:
        raise InputError(
            f"The knots of a ramp lie at {t0!r} and {t1!r}, but the left one must come first."
        )
    return Activation(_Ramp(*knots), _RampDerivative(*knots), "ramp", (t0, v0, t1, v1))


NAMED: dict[str, Activation] = {
    str(activation.name): activation
    for activation in (
        Activation(_relu, _relu_derivative, "relu"),
        Activation(np.tanh, _tanh_derivative, "tanh"),
        Activation(_sigmoid, _sigmoid_derivative, "sigmoid"),
        Activation(_softplus, _sigmoid, "softplus"),
        Activation(_erf, _erf_derivative, "erf"),
        ramp(),
        Activation(np.square, _quadratic_derivative, "quadratic"),
        Activation(_linear, np.ones_like, "linear"),
    )
}


def is_named(activation: Activation) -> bool:
    """Whether the functions are this library's; someone's own may go by the same name."""
    if activation.name == "ramp" and len(activation.parameters) == 4:
        value, derivative = (kind(*activation.parameters) for kind in (_Ramp, _RampDerivative))
        return activation.value == value and activation.derivative == derivative
    return activation.name is not None and activation == NAMED.get(activation.name)


def as_activation(activation: str | Activation) -> Activation:
    """Return the activation of that name, or the one given.

    Raises
    ------
    InputError
        If the name is none of relu, tanh, sigmoid, softplus, erf, ramp, quadratic and linear, or
        if what is given is neither a name nor an Activation.
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str) and activation in NAMED:
        return NAMED[activation]
    raise unknown("activation", activation, NAMED)
