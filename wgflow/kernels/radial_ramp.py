"""The mean of a ramp over directions, a unit that sees only the length of inputs and weights.

With sigma the ramp through two knots and u_1 a coordinate of a uniform point of the sphere in R^d,

    h(z) = E sigma(z u_1),    so that    E_Q sigma(<Q w, x>) = h(|w| |x|) over rotations Q,

and q(z) = E sigma(z G) with G ~ N(0, 1) in the limit of infinite d, for z scaled by sqrt(d).
"""

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, ndtr

from wgflow.errors import InputError, check_count
from wgflow.kernels.activation import Activation, ramp

CELLS = 8192
"""Of the table in 1/z; the value is then exact to 1e-13 for d = 40, and to 4e-8 for d = 2, where it
has square roots at the knots."""
Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class RampMean:
    """h and its derivative in closed form, at z in any shape.

    A ramp is a difference of two functions max(t - a, 0), a > 0. With p the density of u_1 at 0,

        E max(z u_1 - a, 0) = z S(a/z) - a P(u_1 > a/z),    S(s) = E u_1 1(u_1 > s),

    where S(s) = p (1 - s^2)^((d-1)/2) / (d - 1) and P(u_1 > s) = I_{1-s^2}((d-1)/2, 1/2) / 2 with
    the incomplete beta function I; in the limit S and P are the normal density and tail.

    Parameters
    ----------
    left, right
        The knots (t, value) of the ramp, with 0 < t.
    dimension
        d of at least 2, or 0 for infinity.
    """

    left: tuple[float, float]
    right: tuple[float, float]
    dimension: int

    @property
    def steepness(self) -> float:
        """The slope of the ramp."""
        return (self.right[1] - self.left[1]) / (self.right[0] - self.left[0])

    @functools.cached_property
    def density(self) -> float:
        """p, the density of u_1 (or G) at 0."""
        if self.dimension == 0:
            return 1 / math.sqrt(2 * math.pi)
        return math.exp(-betaln((self.dimension - 1) / 2, 0.5))

    def value(self, z: Array) -> Array:
        """Return h(z)."""
        size = np.abs(z)
        excess = [
            size * self._mean_above(size, knot) - knot * self._part_above(size, knot)
            for knot in (self.left[0], self.right[0])
        ]
        return self.left[1] + self.steepness * (excess[0] - excess[1])

    def slope(self, z: Array) -> Array:
        """Return h'(z)."""
        size = np.abs(z)
        above = [self._mean_above(size, knot) for knot in (self.left[0], self.right[0])]
        return np.sign(z) * self.steepness * (above[0] - above[1])

    def _ratio(self, size: Array, knot: float) -> Array:
        """Return knot / |z|, at most 1 on the sphere."""
        return knot / np.maximum(size, knot if self.dimension else np.finfo(float).tiny)

    def _mean_above(self, size: Array, knot: float) -> Array:
        """Return S(knot / |z|)."""
        square = np.minimum(self._ratio(size, knot), 1e3) ** 2
        if self.dimension == 0:
            return self.density * np.exp(-square / 2)
        power = (self.dimension - 1) / 2
        return self.density / (2 * power) * (1 - square) ** power

    def _part_above(self, size: Array, knot: float) -> Array:
        """Return P(u_1 > knot / |z|)."""
        ratio = self._ratio(size, knot)
        if self.dimension == 0:
            return ndtr(-ratio)
        return betainc((self.dimension - 1) / 2, 0.5, 1 - ratio**2) / 2


class _Table:
    """h as cubic Hermite polynomials in 1/|z|, in which it is smooth up to infinity."""

    def __init__(self, mean: RampMean) -> None:
        self.mean = mean
        # Below the left knot h is constant, which is where the table ends.
        step = 1 / (mean.left[0] * CELLS)
        z = 1 / (step * np.arange(1, CELLS + 1))
        middle = (mean.left[1] + mean.right[1]) / 2
        fall = mean.density * (mean.right[1] - mean.left[1]) * (mean.left[0] + mean.right[0]) / 2
        value = np.append(middle, mean.value(z))
        slope = step * np.append(-fall, -(z**2) * mean.slope(z))
        rise = np.diff(value)
        first, last = slope[:-1], slope[1:]
        self.scale = 1 / step
        # Highest power of the place within a cell first.
        self.coefficients = (
            first + last - 2 * rise,
            3 * rise - 2 * first - last,
            first,
            value[:-1],
        )

    def __call__(self, z: Array) -> Array:
        place = self.scale / np.maximum(np.abs(z), self.mean.left[0])
        cell = np.minimum(place.astype(np.intp), CELLS - 1)
        place -= cell
        total = self.coefficients[0].take(cell)
        for coefficient in self.coefficients[1:]:
            total *= place
            total += coefficient.take(cell)
        return total


@functools.cache
def radial_ramp(
    left: tuple[float, float], right: tuple[float, float], dimension: int
) -> Activation:
    """Return h as an activation, its value from a table for finite d.

    Parameters
    ----------
    left, right
        The knots (t, value) of the ramp, with 0 < t.
    dimension
        d of at least 2, or 0 for infinity.

    Raises
    ------
    InputError
        Knots or a dimension out of range.
    """
    ramp(left, right)
    if left[0] <= 0:
        raise InputError(f"The left knot of a radial ramp is at {left[0]:g}, but must be above 0.")
    if check_count("The dimension of a radial ramp", dimension, least=0) == 1:
        raise InputError("The dimension of a radial ramp is 1, but must be 0 or at least 2.")
    mean = RampMean(left, right, dimension)
    return Activation(_Table(mean) if dimension else mean.value, mean.slope)
