"""Initial laws: draw particles from them, or integrate them over the cells of a grid."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr

from wgflow import noise
from wgflow.domain import Domain, Interval, WholeLine
from wgflow.errors import InputError, check_count
from wgflow.measure import GridMeasure, Particles, cell_centres, cell_volume, grid_points

IMAGES = 2
"""Lengths of an axis beyond either end from which mass is folded back onto a grid."""


class Law:
    """A probability law on R^D; a subclass gives `dimension`, `sample` and `masses`."""

    dimension: int

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return `count` independent draws, shape (count, dimension)."""
        raise TypeError(f"{type(self).__name__} cannot be sampled.")

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        """Return the mass of each cell of a grid, scaled to a sum of one.

        What the law puts outside the grid is left out before scaling, so that a law cut by the
        walls of a window keeps its shape inside.
        """
        raise TypeError(f"{type(self).__name__} cannot be integrated over cells.")

    def folded_masses(self, domain: Domain, edges: Sequence[np.ndarray]) -> np.ndarray:
        """Return the cell masses on a grid of a domain, scaled to a sum of one.

        What lies beyond the ends of an interval is reflected and what lies beyond a circle is
        wrapped, up to two lengths of the axis away, as particles are; a window of the whole line
        cuts.

        Parameters
        ----------
        edges
            As `domain.grid` returns them.
        """
        _check_axes(self, edges)
        copies = range(-IMAGES, IMAGES + 1)
        folding = [not isinstance(axis, WholeLine) for axis in domain.axes]
        mirrors = [isinstance(axis, Interval) for axis in domain.axes]
        extended = list(edges)
        for k, edge in enumerate(edges):
            if folding[k]:
                offset, length = edge - edge[0], edge[-1] - edge[0]
                mirrored = length - offset[::-1]
                pieces = [
                    edge[0] + j * length + (mirrored if mirrors[k] and j % 2 else offset)[:-1]
                    for j in copies
                ]
                extended[k] = np.concatenate([*pieces, [edge[0] + (IMAGES + 1) * length]])
        mass = self.masses(extended)
        for k in range(len(edges)):
            if folding[k]:
                parts = np.split(mass, len(copies), axis=k)
                if mirrors[k]:
                    parts = [
                        np.flip(p, k) if j % 2 else p for j, p in zip(copies, parts, strict=True)
                    ]
                mass = np.sum(parts, axis=0)
        return mass

    def particles(self, seed: int, count: int) -> Particles:
        """Return `count` particles of equal mass; the first ones do not depend on `count`."""
        count = check_count("The number of particles", count)
        noise.check_seed(seed)
        position = np.empty((count, self.dimension))
        for block, part in enumerate(noise.blocks(count)):
            draw = noise.generator(seed, noise.Stream.INITIAL, 0, block)
            # A whole block is drawn even where fewer are kept: draws may be ordered by column.
            position[part] = self.sample(draw, noise.BLOCK)[: part.stop - part.start]
        return Particles(position)

    def grid(self, edges: Sequence[np.ndarray]) -> GridMeasure:
        """Return the law on a grid."""
        return GridMeasure(edges, self.masses(edges))


def _check_axes(law: Law, edges: Sequence[np.ndarray]) -> None:
    if len(edges) != law.dimension:
        raise InputError(
            f"The grid has {len(edges)} axes, but the law {type(law).__name__} has "
            f"{law.dimension} coordinates; give one axis a coordinate."
        )


def _normalised(mass: np.ndarray, law: Law) -> np.ndarray:
    total = mass.sum()
    if not (np.isfinite(total) and total > 0):
        raise InputError(
            f"The initial law {type(law).__name__} puts no mass on the grid; move the law or the "
            "ends of the domain."
        )
    return mass / total


class _Separable(Law):
    """A law with independent coordinates, each of which knows its mass between two points."""

    def cell_masses(self, axis: int, edge: np.ndarray) -> np.ndarray:
        """Return the mass of one coordinate between consecutive edges, shape (cells,)."""
        raise TypeError(f"{type(self).__name__} cannot be integrated over cells.")

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        _check_axes(self, edges)
        cells = [self.cell_masses(axis, edge) for axis, edge in enumerate(edges)]
        return _normalised(functools.reduce(np.multiply.outer, cells), self)


class Gaussian(_Separable):
    """Independent normal coordinates.

    Parameters
    ----------
    mean, std
        Numbers (one dimension) or arrays of shape (D,); they are broadcast against each other.
    """

    def __init__(self, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0):
        mean_array, std_array = np.broadcast_arrays(*_vectors(mean=mean, std=std))
        self.mean, self.std = mean_array.copy(), std_array.copy()
        self.dimension = len(self.mean)
        if not (self.std > 0).all():
            raise InputError(f"The std of a Gaussian law is {std!r}, but must be above 0.")

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return self.mean + self.std * generator.standard_normal((count, self.dimension))

    def cell_masses(self, axis: int, edge: np.ndarray) -> np.ndarray:
        z = (edge - self.mean[axis]) / self.std[axis]
        # Above the mean the complement is differenced, to keep the digits of that tail.
        return np.where(z[:-1] > 0, ndtr(-z[:-1]) - ndtr(-z[1:]), ndtr(z[1:]) - ndtr(z[:-1]))


class Uniform(_Separable):
    """Independent coordinates, each uniform between `lower` and `upper` (numbers or (D,))."""

    def __init__(self, lower: float | Sequence[float], upper: float | Sequence[float]):
        low, high = np.broadcast_arrays(*_vectors(lower=lower, upper=upper))
        self.lower, self.upper = low.copy(), high.copy()
        self.dimension = len(self.lower)
        if not (self.lower < self.upper).all():
            raise InputError(f"A uniform law needs lower < upper, but got {lower!r} and {upper!r}.")

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return generator.uniform(self.lower, self.upper, size=(count, self.dimension))

    def cell_masses(self, axis: int, edge: np.ndarray) -> np.ndarray:
        low, high = self.lower[axis], self.upper[axis]
        return np.diff(np.clip((edge - low) / (high - low), 0.0, 1.0))


class Product(Law):
    """Independent blocks of coordinates, each with a law of its own."""

    def __init__(self, *laws: Law) -> None:
        if not laws or not all(isinstance(law, Law) for law in laws):
            raise InputError("A product needs at least one law, and only laws.")
        self.laws = laws
        self.dimension = sum(law.dimension for law in laws)

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return np.concatenate([law.sample(generator, count) for law in self.laws], axis=1)

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        _check_axes(self, edges)
        mass, start = np.ones(()), 0
        for law in self.laws:
            part = law.masses(edges[start : start + law.dimension])
            mass, start = np.multiply.outer(mass, part), start + law.dimension
        return mass


class Samples(Law):
    """The law of given points, shape (m, D); drawn from with replacement."""

    def __init__(self, position: np.ndarray) -> None:
        self.position = Particles(position).position
        if not np.isfinite(self.position).all():
            raise InputError("The points of a Samples law must all be finite.")
        self.dimension = self.position.shape[1]

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return self.position[generator.integers(len(self.position), size=count)]

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        _check_axes(self, edges)
        counts, _ = np.histogramdd(self.position, bins=list(edges))
        return _normalised(counts, self)


class Density(Law):
    """A law with a density that need not be normalised, on a box.

    Cells get their masses by the midpoint rule, or where the density has kinks by its composite
    form with several points a cell and axis. Draws come from the density made constant on the
    cells of a grid of the box, so that they are exact up to the square of its cell width.

    Parameters
    ----------
    function
        Density, (m, D) -> (m,), finite and >= 0.
    lower, upper
        Ends of the box, numbers (one dimension) or (D,).
    resolution
        Cells an axis of the grid used for drawing.
    points
        Points a cell and axis at which the density is evaluated.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        lower: float | Sequence[float],
        upper: float | Sequence[float],
        resolution: int = 256,
        points: int = 1,
    ) -> None:
        box = Uniform(lower, upper)
        self.points = check_count("The points of a density", points)
        self.function, self.lower, self.upper = function, box.lower, box.upper
        self.dimension = box.dimension
        self.resolution = check_count("The resolution of a density", resolution, least=2)

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        _check_axes(self, edges)
        # Outside of the box the function need not be defined, and cells there cost nothing.
        kept = []
        for edge, low, high in zip(edges, self.lower, self.upper, strict=True):
            first = max(int(np.searchsorted(edge, low, side="right")) - 1, 0)
            last = min(int(np.searchsorted(edge, high, side="left")), len(edge) - 1)
            kept.append(slice(first, max(last, first)))
        mass = np.zeros([len(edge) - 1 for edge in edges])
        within = [edge[k.start : k.stop + 1] for edge, k in zip(edges, kept, strict=True)]
        mass[tuple(kept)] = self._masses_within(within)
        return _normalised(mass, self)

    def _masses_within(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        """Return masses, not normalised, of cells that reach into the box."""
        finer = [_divided(edge, self.points) for edge in edges]
        points = grid_points(cell_centres(finer))
        inside = ((points >= self.lower) & (points <= self.upper)).all(axis=1)
        found = np.asarray(self.function(points[inside]), dtype=float)
        if found.shape != (inside.sum(),) or not (np.isfinite(found) & (found >= 0)).all():
            raise InputError(
                "The function of a Density law must return one finite number >= 0 a point."
            )
        values = np.zeros(len(points))
        values[inside] = found
        volume = cell_volume(finer)
        mass = values.reshape(volume.shape) * volume
        for axis, edge in enumerate(edges):
            mass = np.add.reduceat(mass, np.arange(len(edge) - 1) * self.points, axis=axis)
        return mass

    @functools.cached_property
    def _table(self) -> np.ndarray:
        box = zip(self.lower, self.upper, strict=True)
        return self.masses([np.linspace(low, high, self.resolution + 1) for low, high in box])

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        cells = generator.choice(self._table.size, size=count, p=self._table.reshape(-1))
        corner = np.stack(np.unravel_index(cells, self._table.shape), axis=1)
        width = (self.upper - self.lower) / self.resolution
        return self.lower + (corner + generator.random((count, self.dimension))) * width


def _divided(edge: np.ndarray, parts: int) -> np.ndarray:
    """Return edges with every cell cut into equal parts."""
    fractions = np.arange(parts) / parts
    inner = edge[:-1, np.newaxis] + np.diff(edge)[:, np.newaxis] * fractions
    return np.append(inner.reshape(-1), edge[-1])


def _vectors(**values: float | Sequence[float]) -> list[np.ndarray]:
    arrays = []
    for name, value in values.items():
        try:
            array = np.atleast_1d(np.asarray(value, dtype=float))
        except (TypeError, ValueError):
            array = np.empty(0)
        if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
            raise InputError(
                f"The {name} of an initial law is {value!r}, but must be a finite number or one "
                "finite number a coordinate."
            )
        arrays.append(array)
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        lengths = " and ".join(f"{k} has {len(a)}" for k, a in zip(values, arrays, strict=True))
        raise InputError(
            f"In an initial law {lengths} coordinates; give as many of each."
        ) from None
    return arrays
