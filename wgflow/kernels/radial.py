"""Radial interaction kernels W(x) = w(|x|^2), and their sums over pairs of points in NumPy.

With q = |x|^2 the gradient is grad W(x) = 2 w'(q) x. Both w and 2 w' are profiles, a scale times
one of a few forms; `wgflow.kernels.pairwise` compiles them, and is tested against the sums here.

A particle does not act on itself where W is infinite at 0: two points at distance 0 contribute
nothing there, nor ever to a gradient.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK = 1 << 16
"""Pairs of points held at once."""


def _logarithm(square: Array) -> Array:
    return np.log(square)


def _power(square: Array, exponent: float) -> Array:
    return square**exponent


def _exponential(square: Array, rate: float) -> Array:
    return np.exp(rate * square)


def _two_exponentials(
    square: Array, weight: float, rate: float, other_weight: float, other_rate: float
) -> Array:
    distance = np.sqrt(square)
    return weight * np.exp(rate * distance) + other_weight * np.exp(other_rate * distance)


def _two_exponentials_over_distance(square: Array, *parameters: float) -> Array:
    return _two_exponentials(square, *parameters) / np.sqrt(square)


FORMS: dict[str, Callable[..., Array]] = {
    "logarithm": _logarithm,
    "power": _power,
    "exponential": _exponential,
    "two_exponentials": _two_exponentials,
    "two_exponentials_over_distance": _two_exponentials_over_distance,
}
"""log q, q^a, exp(a q), a exp(b r) + c exp(d r) with r = sqrt(q), and the last one divided by r."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """A function of the squared distance q: a scale times a form.

    Attributes
    ----------
    form
        A name in `FORMS`, or "own" for a function of one's own.
    parameters
        a, b, c, d of the form.
    function
        One's own function, of arrays.
    compiled
        The same for Numba, of numbers.
    """

    form: str
    scale: float = 1.0
    parameters: tuple[float, ...] = ()
    function: Callable[[Array], Array] | None = None
    compiled: Any = None

    def __call__(self, square: Array) -> Array:
        """Return the profile at squared distances, any shape; infinite or NaN where it is."""
        function = self.function or FORMS[self.form]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self.scale * function(square, *self.parameters)


@dataclasses.dataclass(frozen=True)
class Radial:
    """A radial kernel.

    Attributes
    ----------
    value
        w, with W(x) = w(|x|^2).
    slope
        2 w', with grad W(x) = slope(|x|^2) x.
    at_zero
        What a point contributes at its own place: w(0), or 0 where that is infinite.
    """

    value: Profile
    slope: Profile
    at_zero: float = 0.0

    @property
    def own(self) -> bool:
        """Whether its profiles are functions of one's own."""
        return self.value.form == "own"

    def at(self, differences: Array) -> Array:
        """Return W at differences (n, D), shape (n,); infinite where it is."""
        return self.value((differences**2).sum(axis=1))

    def gradient_at(self, differences: Array) -> Array:
        """Return grad W at differences (n, D), shape (n, D); 0 at difference 0."""
        square = (differences**2).sum(axis=1)
        return np.where(square == 0, 0.0, self.slope(square))[:, np.newaxis] * differences


def logarithmic(strength: float) -> Radial:
    """Return W(x) = -strength log |x|."""
    return Radial(Profile("logarithm", -strength / 2), Profile("power", -strength, (-1.0,)))


def power(strength: float, exponent: float) -> Radial:
    """Return W(x) = strength |x|^p / p for an exponent p that is not 0."""
    return Radial(
        Profile("power", strength / exponent, (exponent / 2,)),
        Profile("power", strength, (exponent / 2 - 1,)),
    )


def gaussian(strength: float, length: float) -> Radial:
    """Return W(x) = strength exp(-|x|^2 / (2 length^2))."""
    rate = -1 / (2 * length**2)
    return Radial(
        Profile("exponential", strength, (rate,)),
        Profile("exponential", 2 * rate * strength, (rate,)),
        at_zero=strength,
    )


def morse(
    repulsion: float, repulsion_length: float, attraction: float, attraction_length: float
) -> Radial:
    """Return W(x) = repulsion exp(-|x|/l_r) - attraction exp(-|x|/l_a)."""
    near, far = -1 / repulsion_length, -1 / attraction_length
    return Radial(
        Profile("two_exponentials", 1.0, (repulsion, near, -attraction, far)),
        Profile(
            "two_exponentials_over_distance", 1.0, (near * repulsion, near, -far * attraction, far)
        ),
        at_zero=repulsion - attraction,
    )


def _blocks(targets: Array, sources: Array) -> Iterator[tuple[slice, Array]]:
    """Yield rows of the targets with their squared distances from the sources."""
    rows = max(1, BLOCK // len(sources))
    for first in range(0, len(targets), rows):
        block = slice(first, first + rows)
        square = np.zeros((len(targets[block]), len(sources)))
        for axis in range(sources.shape[1]):
            square += np.subtract.outer(targets[block, axis], sources[:, axis]) ** 2
        yield block, square


def radial_sum_reference(targets: Array, sources: Array, mass: Array, kernel: Radial) -> Array:
    """Return sum_j mass_j W(x_i - y_j) at targets x_i.

    Parameters
    ----------
    targets
        (n, D).
    sources
        (m, D).
    mass
        (m,).

    Returns
    -------
    (n,)
    """
    out = np.empty(len(targets))
    for rows, square in _blocks(targets, sources):
        values = kernel.value(square)
        values[square == 0] = kernel.at_zero
        out[rows] = values @ mass
    return out


def radial_gradient_reference(targets: Array, sources: Array, mass: Array, kernel: Radial) -> Array:
    """Return sum_j mass_j grad W(x_i - y_j) at targets x_i, without points at distance 0.

    Parameters
    ----------
    targets
        (n, D).
    sources
        (m, D).
    mass
        (m,).

    Returns
    -------
    (n, D)
    """
    out = np.empty(targets.shape)
    for rows, square in _blocks(targets, sources):
        slope = kernel.slope(square)
        slope[square == 0] = 0.0
        slope *= mass
        for axis in range(targets.shape[1]):
            difference = np.subtract.outer(targets[rows, axis], sources[:, axis])
            out[rows, axis] = (slope * difference).sum(axis=1)
    return out
