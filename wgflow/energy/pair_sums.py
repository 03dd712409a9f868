"""Ways to sum an interaction over the points of a law: (W * rho)(x) and its gradient.

Each is made of the points (m, D) and masses (m,) of the law, and is asked at other points (n, D).
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from wgflow.kernels import pairwise
from wgflow.kernels.radial import Radial, radial_gradient_reference, radial_sum_reference
from wgflow.kernels.trigonometric import Series

Kernel = Callable[[np.ndarray], np.ndarray]
BLOCK = 2**15
"""Pairs of points whose differences are held at a time; more would leave the cache."""
MOST_MODES = 2**20
"""Modes of a trigonometric kernel beyond which pairs are summed."""


class PairSums(Protocol):
    """W * rho for one law."""

    def field(self, points: np.ndarray) -> np.ndarray:
        """Return (W * rho)(x) at points (n, D), shape (n,)."""

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Return its gradient, shape (n, D)."""


class BlockSums:
    """Sums of functions of one's own in NumPy, a block of pairs at a time: O(n m).

    Parameters
    ----------
    value, gradient
        W at differences (k, D), shape (k,), and its gradient, shape (k, D).
    singular
        Whether to leave out what is not finite: a particle does not act on itself.
    """

    def __init__(
        self,
        value: Kernel,
        gradient: Kernel,
        singular: bool,
        points: np.ndarray,
        mass: np.ndarray,
    ) -> None:
        self._value, self._gradient, self._singular = value, gradient, singular
        self._points, self._mass = points, mass

    def field(self, points: np.ndarray) -> np.ndarray:
        return self._summed(points, self._value, np.empty(len(points)))

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return self._summed(points, self._gradient, np.empty(points.shape))

    def _summed(self, points: np.ndarray, function: Kernel, out: np.ndarray) -> np.ndarray:
        rows = max(1, BLOCK // len(self._points))
        for first in range(0, len(points), rows):
            block = points[first : first + rows]
            pairs = (block[:, np.newaxis] - self._points).reshape(-1, points.shape[1])
            values = function(pairs).reshape(len(block), len(self._points), *out.shape[1:])
            if self._singular:
                values = np.where(np.isfinite(values), values, 0.0)
            out[first : first + rows] = np.tensordot(values, self._mass, axes=(1, 0))
        return out


class MomentSums:
    """Sums of W = strength |x|^2 / 2 from the mass M, the mean c and the spread V of the law: O(m).

    (W * rho)(x) = strength (M |x - c|^2 + V) / 2 with V = int |y - c|^2 drho(y).
    """

    def __init__(self, strength: float, points: np.ndarray, mass: np.ndarray) -> None:
        # From a point of the law, so that nothing is lost where the law is far from 0. Sums along
        # rows of coordinates are taken in pairs, which keeps their rounding small.
        self._origin = points[0]
        rows = np.ascontiguousarray((points - self._origin).T)
        total = mass.sum() or 1.0
        self._factor = strength * total
        self._mean = (rows * mass).sum(axis=1) / total
        rows -= self._mean[:, np.newaxis]
        self._spread = (rows**2 * mass).sum(axis=1).sum() / total

    def _from_mean(self, points: np.ndarray) -> np.ndarray:
        return points - self._origin - self._mean

    def field(self, points: np.ndarray) -> np.ndarray:
        return self._factor / 2 * ((self._from_mean(points) ** 2).sum(axis=1) + self._spread)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return self._factor * self._from_mean(points)


class RadialSums:
    """Compiled sums over pairs for a radial kernel: O(n m) time, O(n + m) memory.

    Parameters
    ----------
    single
        Whether pairs are computed in float32, from differences with the mean of the law. Points
        nearer than about 1e-7 of the extent of the law are then at one place.
    """

    def __init__(self, kernel: Radial, single: bool, points: np.ndarray, mass: np.ndarray) -> None:
        self._kernel, self._single = kernel, single
        self._centre = points.mean(axis=0) if single else None
        self._points, self._mass = self._placed(points), mass
        if single:
            self._mass = mass.astype(np.float32)

    def _placed(self, points: np.ndarray) -> np.ndarray:
        return (points - self._centre).astype(np.float32) if self._single else points

    def field(self, points: np.ndarray) -> np.ndarray:
        compiled = pairwise.supports(points.shape[1])
        summed = pairwise.radial_sum if compiled else radial_sum_reference
        return summed(self._placed(points), self._points, self._mass, self._kernel)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        compiled = pairwise.supports(points.shape[1])
        summed = pairwise.radial_gradient if compiled else radial_gradient_reference
        return summed(self._placed(points), self._points, self._mass, self._kernel)


class ModeSums:
    """Sums of a trigonometric kernel through its modes: O(n + m) times their number."""

    def __init__(self, series: Series, points: np.ndarray, mass: np.ndarray) -> None:
        self._series, self._moments = series, series.moments(points, mass)

    def field(self, points: np.ndarray) -> np.ndarray:
        return self._series.sum(points, self._moments)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return self._series.sum_gradient(points, self._moments)
