"""Laws made ready for a picture: marginals on common bins, points of equal mass, what is in view.

Everything here is arrays; what is drawn from them stands in the modules of the panels.
"""

from collections.abc import Sequence

import numpy as np

from wgflow.domain import Axis, Circle
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.plots.style import LARGEST
from wgflow.run import Run

MOST_POINTS = 4000
"""Points drawn at most; more hide each other."""
MOST_BINS = 100
TAIL = 1e-3
"""The part of the particles at each end that may lie out of view."""
THIN = 1e-5
"""Cells at the ends with less than this part of the mass lie out of view."""


def saves_with_law(run: Run) -> np.ndarray:
    """Return the numbers of the saves whose law is stored and is made of finite numbers.

    Raises
    ------
    InputError
        There is none.
    """
    held = []
    for index in range(len(run.time)):
        try:
            run.measure(index)
        except InputError as error:
            reason = error
        else:
            held.append(index)
    if not held:
        raise reason
    return np.array(held)


def marginal(law: Measure, axis: int, edges: np.ndarray, period: float | None = None) -> np.ndarray:
    """Return the mass of one coordinate in bins, shape (bins,).

    The mass of a grid is spread evenly over each cell, and that of a particle lies in one bin.
    Mass beyond the bins is left out.

    Parameters
    ----------
    edges
        Of the bins, increasing, shape (bins + 1,).
    period
        Of a circle, whose cells may have moved beyond the bins.
    """
    if isinstance(law, GridMeasure):
        return overlap(law.edges[axis], edges, period) @ law.marginal(axis)
    return np.histogram(law.position[:, axis], bins=edges, weights=law.mass)[0]


def plane(law: GridMeasure, first: int, second: int) -> np.ndarray:
    """Return the density of two coordinates of a grid, shape (cells of first, cells of second)."""
    others = tuple(k for k in range(law.dimension) if k not in (first, second))
    mass = law.mass_on_grid.sum(axis=others)
    mass = mass if first < second else mass.T
    return mass / np.multiply.outer(np.diff(law.edges[first]), np.diff(law.edges[second]))


def overlap(cells: np.ndarray, bins: np.ndarray, period: float | None = None) -> np.ndarray:
    """Return which part of each cell lies in each bin, shape (bins, cells), from their edges."""
    parts = np.zeros((len(bins) - 1, len(cells) - 1))
    for turn in (0.0,) if period is None else (-period, 0.0, period):
        edges = cells + turn
        lower = np.maximum.outer(bins[:-1], edges[:-1])
        upper = np.minimum.outer(bins[1:], edges[1:])
        parts += np.maximum(upper - lower, 0.0) / np.diff(edges)
    return parts


def common_bins(laws: Sequence[Measure], axis: int, on: Axis) -> np.ndarray:
    """Return edges of bins for one coordinate of several laws: those of their grid if they agree.

    Cells that move, and particles, are sorted into equal bins over what is in view.
    """
    grids = [law.edges[axis] for law in laws if isinstance(law, GridMeasure)]
    same = len(grids) == len(laws) and all(np.array_equal(grids[0], edges) for edges in grids)
    # The cells of a circle that have moved reach beyond its ends.
    if same and not (isinstance(on, Circle) and grids[0][0] != on.lower):
        return grids[0]
    low, high = in_view(laws, axis, on)
    most = max(len(law.mass) for law in laws)
    # Rice's rule: as many bins as twice the cube root of the number of points.
    count = 3 * MOST_BINS if grids else int(np.clip(2 * most ** (1 / 3), 8, MOST_BINS))
    return np.linspace(low, high, count + 1)


def in_view(laws: Sequence[Measure], axis: int, on: Axis) -> tuple[float, float]:
    """Return the ends between which almost all mass of one coordinate lies, in any of the laws.

    Raises
    ------
    InputError
        They are too large for an axis.
    """
    if isinstance(on, Circle):
        return on.window
    ends: list[float] = []
    for law in laws:
        if isinstance(law, GridMeasure):
            edges, mass = law.edges[axis], law.marginal(axis)
            held = np.flatnonzero(mass > THIN * mass.sum())
            if len(held):
                ends += [edges[held[0]], edges[held[-1] + 1]]
            else:
                ends += [edges[0], edges[-1]]
        else:
            ends += np.quantile(law.position[:, axis], [TAIL, 1 - TAIL]).tolist()
    low, high = min(ends), max(ends)
    if not max(abs(low), abs(high)) < LARGEST:
        raise InputError("The law has coordinates that are too large to be drawn.")
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return low - 0.5, high + 0.5  # all in one place
    return float(low), float(high)


def even_points(law: Measure, most: int = MOST_POINTS) -> np.ndarray:
    """Return at most so many points that carry equal parts of the mass, shape (points, D).

    Particles of equal mass are themselves such points, and evenly chosen ones are returned where
    they are too many. Otherwise the mass is laid end to end and cut into `most` equal parts, each
    of which gives the point at its middle; a point in a cell is placed within it by an additive
    recurrence (Kronecker's), so that cells do not show as dots.
    """
    mass = law.mass
    equal = isinstance(law, Particles) and (mass == mass[0]).all()
    if equal and len(mass) <= most:
        return law.points
    if not mass.sum() > 0:
        raise InputError("The law has no mass; there is no point to draw.")
    if equal:
        return law.points[(2 * np.arange(most) + 1) * len(mass) // (2 * most)]
    total = np.cumsum(mass)
    middles = (np.arange(most) + 0.5) / most * total[-1]
    chosen = np.minimum(np.searchsorted(total, middles), len(mass) - 1)
    points = law.points[chosen]
    if isinstance(law, GridMeasure):
        cell = np.unravel_index(chosen, law.shape)
        width = np.stack([np.diff(e)[i] for e, i in zip(law.edges, cell, strict=True)], axis=1)
        # Powers of the root of x^(D + 1) = x + 1, a number that is hard to approximate.
        root = _root(law.dimension)
        steps = root ** -np.arange(1.0, law.dimension + 1)
        points = points + ((0.5 + np.outer(np.arange(most), steps)) % 1 - 0.5) * width
    return points


def _root(dimension: int) -> float:
    """Return the positive root of x^(D + 1) = x + 1."""
    root = 1.5
    for _ in range(50):
        root = (1 + root) ** (1 / (dimension + 1))
    return root
