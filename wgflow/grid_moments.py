"""Quadratic interactions on a fixed grid, which see a law through its first moments only."""

import functools
from collections.abc import Sequence

import numpy as np

from wgflow.measure import grid_points


class GridMoments:
    """The interaction of W = strength |x|^2 / 2 as a function of z = (mass, mean, second moment).

        1/2 int int W(x - y) drho drho = strength/2 (z_0 z_{D+1} - |z_1, ..., z_D|^2)

    Coordinates are taken from the middle of the grid, where they lose the fewest digits.

    Parameters
    ----------
    strength
        Positive where it attracts.
    centres
        Cell centres on each axis.

    Attributes
    ----------
    size
        D + 2, the length of z.
    """

    def __init__(self, strength: float, centres: Sequence[np.ndarray]) -> None:
        self.shape = tuple(len(c) for c in centres)
        self.points = grid_points([c - (c[0] + c[-1]) / 2 for c in centres])  # (cells, D)
        dimension = len(centres)
        self.size = dimension + 2
        self._form = np.diag([0.0, *[-strength] * dimension, 0.0])
        self._form[0, -1] = self._form[-1, 0] = strength / 2

    @functools.cached_property
    def _features(self) -> np.ndarray:
        """The functions 1, x_1, ..., x_D, |x|^2 on the cells, shape (D + 2, cells)."""
        square = (self.points**2).sum(axis=1)
        return np.stack([np.ones(len(square)), *self.points.T, square])

    @property
    def scale(self) -> np.ndarray:
        """What errors of z are measured against, shape (D + 2,)."""
        reach = float(np.abs(self.points).max())
        return np.array([1.0, *[reach] * (self.size - 2), reach**2])

    def couple(self, mass: np.ndarray) -> np.ndarray:
        """Return z of masses on the grid, shape (D + 2,)."""
        return self._features @ mass.reshape(-1)

    def value(self, coupling: np.ndarray) -> float:
        """Return the interaction energy."""
        return float(coupling @ self._form @ coupling) / 2

    def slope(self, coupling: np.ndarray) -> np.ndarray:
        """Return its derivative in z, shape (D + 2,)."""
        return self._form @ coupling

    def curvature(self, coupling: np.ndarray) -> np.ndarray:
        """Return its second derivative in z, shape (D + 2, D + 2)."""
        return self._form

    def transpose(self, slope: np.ndarray) -> np.ndarray:
        """Return slope_0 + <slope_1..D, x> + slope_{D+1} |x|^2 on the grid."""
        return (slope @ self._features).reshape(self.shape)

    def second_moment(self, mass: np.ndarray) -> np.ndarray:
        """Return int psi psi^T drho of the functions of z, shape (D + 2, D + 2)."""
        return (self._features * mass.reshape(-1)) @ self._features.T

    def gradient_gram(self, mass: np.ndarray) -> np.ndarray:
        """Return int grad psi grad psi^T drho, shape (D + 2, D + 2)."""
        total, *mean, square = self.couple(mass)
        gram = np.diag([0.0, *[total] * len(mean), 4 * square])
        gram[1:-1, -1] = gram[-1, 1:-1] = 2 * np.array(mean)
        return gram
