"""Logarithmic repulsion and quadratic attraction at temperature 0: discs and semicircles.

F(rho) = 1/2 int int (|x - y|^2 / 2 - log|x - y|) drho drho. In the plane (dimension 2) a uniform
disc stays one, with the force (1 - 1/R^2) x inside; on the line (dimension 1) a semicircle law,
which is the disc seen from the side, with (1 - 2/R^2) x. Everything is dimensionless; defaults are
those of the case aggregation-disc. After A. L. Bertozzi, T. Laurent and F. Leger (2012) and
T. J. Stieltjes (1885), recalled; derived here, and tested against dissipation and minimisation.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import roots_hermite

from wgflow.law import Law
from wgflow.measure import Measure


class Disc(Law):
    """The uniform law on a disc, or on a line its projection, the semicircle law.

    Parameters
    ----------
    radius
        Of both.
    dimension
        2 or 1.
    """

    def __init__(self, radius: float, dimension: int) -> None:
        self.radius, self.dimension = radius, dimension

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return `count` independent draws, shape (count, dimension)."""
        share, turn = generator.random((2, count))
        distance, angle = self.radius * np.sqrt(share), 2 * np.pi * turn
        points = np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)
        return points[:, : self.dimension]

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        """Return the mass of each cell: exact on a line, of 16 points a cell in the plane."""
        if self.dimension == 1:
            return np.diff(self._below(edges[0]))
        parts = [np.linspace(edge[0], edge[-1], 4 * len(edge) - 3) for edge in edges]
        x, y = ((part[1:] + part[:-1]) / 2 for part in parts)
        inside = np.add.outer(x**2, y**2) < self.radius**2
        mass = inside.reshape(len(x) // 4, 4, len(y) // 4, 4).sum(axis=(1, 3))
        return mass / mass.sum()

    def _below(self, x: np.ndarray) -> np.ndarray:
        """Return the semicircle's mass below x."""
        part = np.clip(x / self.radius, -1, 1)
        return 0.5 + (part * np.sqrt(1 - part**2) + np.arcsin(part)) / np.pi


def semicircle_density(x: np.ndarray, radius: float) -> np.ndarray:
    """Return 2 (R^2 - x^2)_+^(1/2) / (pi R^2) at points, in their shape."""
    return 2 * np.sqrt(np.maximum(radius**2 - x**2, 0)) / (np.pi * radius**2)


def radius_at(time: float, dimension: int, start: float = 2.0) -> float:
    """Return R = (c + (R0^2 - c) e^(-2 t))^(1/2), c = 1 for discs and 2 for semicircles."""
    limit = 3 - dimension
    return math.sqrt(limit + (start**2 - limit) * math.exp(-2 * time))


def free_energy(radius: float, dimension: int) -> float:
    """Return F of a disc, R^2/4 - log(R)/2 + 1/8, or semicircle, R^2/8 - log(R/2)/2 + 1/8."""
    if dimension == 2:
        return radius**2 / 4 - math.log(radius) / 2 + 1 / 8
    return radius**2 / 8 - math.log(radius / 2) / 2 + 1 / 8


def jko_radius(radius: float, step: float, dimension: int) -> float:
    """Return the radius R after an exact JKO step: (1 + tau) R^2 - R_k R - c tau = 0.

    The transport between two discs, or two semicircles, is a dilation, and the force in them is
    (1 - c / R^2) x.
    """
    shrink, limit = 1 + step, 3 - dimension
    return (radius + math.sqrt(radius**2 + 4 * limit * step * shrink)) / (2 * shrink)


def second_moment_at(time: float, start: float, count: int) -> float:
    """Return the second moment of particles about their centre from that at time 0.

    M2' = -2 M2 + (N - 1) / N for N = count, exactly.
    """
    limit = (1 - 1 / count) / 2
    return limit + (start - limit) * math.exp(-2 * time)


def places_at_rest(count: int) -> np.ndarray:
    """Return where particles on a line end, increasing, shape (count,).

    x_i = (1/N) sum_j 1 / (x_i - x_j) at the zeros of the Hermite polynomial H_N over N^(1/2).
    """
    return roots_hermite(count)[0] / math.sqrt(count)


def spread(law: Measure) -> float:
    """Return int |x - centre|^2 drho, the second moment of a law about its centre."""
    return float(law.mass @ ((law.points - law.mass @ law.points) ** 2).sum(axis=1))
