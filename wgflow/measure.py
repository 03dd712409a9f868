"""The two faces of the law rho: a cloud of weighted particles, and masses on the cells of a grid.

Both offer `points` (m, D) and `mass` (flat, (m,)), which is all that a sum over rho needs.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from wgflow.device import is_on_card
from wgflow.errors import InputError


class Particles:
    """A discrete law, sum_j mass_j delta(position_j).

    Parameters
    ----------
    position
        Shape (m, D).
    mass
        Shape (m,), positive; by default 1/m each.

    Raises
    ------
    InputError
        Shapes that do not fit, no particle, or a negative mass.
    """

    def __init__(self, position: np.ndarray, mass: np.ndarray | None = None) -> None:
        try:
            # Positions on a graphics card stay there.
            self.position = position if is_on_card(position) else np.asarray(position, dtype=float)
        except (TypeError, ValueError) as error:
            raise InputError(f"Particle positions must be numbers: {error}.") from error
        if self.position.ndim != 2 or self.position.size == 0:
            raise InputError(
                f"Particle positions have shape {self.position.shape}, but must be (m, D) with "
                "at least one particle."
            )
        count = len(self.position)
        self.mass = np.full(count, 1.0 / count) if mass is None else np.asarray(mass, dtype=float)
        if self.mass.shape != (count,) or not (self.mass >= 0).all():
            raise InputError(
                f"Particle masses must be {count} numbers >= 0, one a particle, but have shape "
                f"{self.mass.shape} and smallest value {self.mass.min(initial=np.inf):g}."
            )

    @property
    def points(self) -> np.ndarray:
        """The positions, shape (m, D)."""
        return self.position

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return self.position.shape[1]

    def integral(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the integral of a function (m, D) -> (m, ...) against the law."""
        return np.tensordot(self.mass, function(self.position), axes=1)

    def mean(self, axis: int = 0) -> float:
        """Return the mean of a coordinate, of a law of mass one."""
        return float(self.mass @ self.position[:, axis])

    def variance(self, axis: int = 0) -> float:
        """Return the variance of a coordinate, of a law of mass one."""
        return float(self.mass @ (self.position[:, axis] - self.mean(axis)) ** 2)


class GridMeasure:
    """Masses on the cells of a rectangular grid, with constant density in each cell.

    Parameters
    ----------
    edges
        For each axis the increasing cell edges, shape (cells + 1,).
    mass
        Mass in each cell, one array axis an axis of the grid, >= 0.

    Raises
    ------
    InputError
        Shapes that do not fit, edges that do not increase, or a negative mass.
    """

    def __init__(self, edges: Sequence[np.ndarray], mass: np.ndarray) -> None:
        self.edges = tuple(np.asarray(edge, dtype=float) for edge in edges)
        self.mass_on_grid = np.asarray(mass, dtype=float)
        if not self.edges or any(edge.ndim != 1 or len(edge) < 2 for edge in self.edges):
            raise InputError("A grid needs at least one axis, and at least one cell on each.")
        shape = tuple(len(edge) - 1 for edge in self.edges)
        if self.mass_on_grid.shape != shape:
            raise InputError(
                f"The masses have shape {self.mass_on_grid.shape}, but the edges make a grid of "
                f"shape {shape}."
            )
        if not all((np.diff(edge) > 0).all() for edge in self.edges):
            raise InputError("The edges of a grid must increase along every axis.")
        if not (self.mass_on_grid >= 0).all():
            raise InputError(
                f"The masses of a grid must be numbers >= 0, but the smallest is "
                f"{self.mass_on_grid.min():g}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells on each axis."""
        return self.mass_on_grid.shape

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.edges)

    @property
    def mass(self) -> np.ndarray:
        """The masses as a flat array, in the order of `points`."""
        return self.mass_on_grid.reshape(-1)

    @functools.cached_property
    def centres(self) -> tuple[np.ndarray, ...]:
        """Cell centres on each axis."""
        return cell_centres(self.edges)

    @functools.cached_property
    def points(self) -> np.ndarray:
        """Centres of all cells, shape (cells, D), the last axis running fastest."""
        return grid_points(self.centres)

    @functools.cached_property
    def volume(self) -> np.ndarray:
        """Volume of each cell, in the shape of the grid."""
        return cell_volume(self.edges)

    @property
    def density(self) -> np.ndarray:
        """Mass divided by volume, in the shape of the grid."""
        return self.mass_on_grid / self.volume

    def marginal(self, axis: int) -> np.ndarray:
        """Return the masses summed over all other axes."""
        others = tuple(k for k in range(self.dimension) if k != axis % self.dimension)
        return self.mass_on_grid.sum(axis=others)

    def integral(self, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return the midpoint sum of a function (m, D) -> (m, ...) against the law."""
        return np.tensordot(self.mass, function(self.points), axes=1)

    def mean(self, axis: int = 0) -> float:
        """Return the mean of a coordinate, of a law of mass one."""
        return float(self.marginal(axis) @ self.centres[axis])

    def variance(self, axis: int = 0) -> float:
        """Return the variance of a coordinate, of a law of mass one with constant density on cells.

        A cell of width h adds h^2 / 12 to the square of the distance of its centre.
        """
        centred = (self.centres[axis] - self.mean(axis)) ** 2
        within = np.diff(self.edges[axis]) ** 2 / 12
        return float(self.marginal(axis) @ (centred + within))

    def quantile(self, level: float, axis: int = 0) -> float:
        """Return the point below which that mass lies along an axis, linear within each cell."""
        below = np.append(0.0, np.cumsum(self.marginal(axis)))
        return float(np.interp(level, below, self.edges[axis]))

    def l1_distance(self, other: "GridMeasure") -> float:
        """Return the integral of |rho - other| for a law on the same grid.

        Raises
        ------
        InputError
            The other law is on another grid.
        """
        if self.shape != other.shape or not all(map(np.array_equal, self.edges, other.edges)):
            raise InputError(
                f"The laws are on two grids, of shapes {self.shape} and {other.shape}; put both on "
                "one, as with law.grid(edges)."
            )
        return float(np.abs(self.mass_on_grid - other.mass_on_grid).sum())


Measure = Particles | GridMeasure


def grid_law(law: Measure) -> GridMeasure:
    """Return a law that must be on a grid as such.

    Raises
    ------
    InputError
        It is a cloud of particles.
    """
    if not isinstance(law, GridMeasure):
        raise InputError(
            f"The law is a cloud of {len(law.position)} particles, but must be on a grid; use "
            "solver jko or finite-volume."
        )
    return law


def cell_centres(edges: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return the cell centres on each axis."""
    return tuple((edge[1:] + edge[:-1]) / 2 for edge in edges)


def grid_points(centres: Sequence[np.ndarray]) -> np.ndarray:
    """Return all points of a product grid, shape (cells, D), the last axis running fastest."""
    return np.stack([c.reshape(-1) for c in np.meshgrid(*centres, indexing="ij")], axis=1)


def cell_volume(edges: Sequence[np.ndarray]) -> np.ndarray:
    """Return the volume of each cell of a product grid, in the shape of the grid."""
    return functools.reduce(np.multiply.outer, [np.diff(edge) for edge in edges])
