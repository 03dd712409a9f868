"""Quadratic forms of even kernels on a grid: convolutions by the fast transform, and matrices.

The table of the kernel holds its values at all differences of two cells; the grid is padded to
twice its length, so that no axis wraps around. A kernel that is periodic needs nothing else.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.fft import irfftn, rfftn

from wgflow.measure import grid_points

NEAR = 6
"""Cells around the singularity in which the rule of three points is not fine enough."""
GRADED, PLAIN = (24, 24, 12, 6), (6, 6, 6, 3)
"""Nodes on half an axis, in one to four dimensions, between cells that touch and nearby cells."""
MOST_CELLS = 1024
"""Cells of the largest grid whose form is tested by eigenvalues."""
BLOCK = 2**18
"""Values of the kernel that are averaged at a time."""


def is_uniform(edges: Sequence[np.ndarray]) -> bool:
    """Return whether the cells of every axis have one width, to rounding."""
    widths = [np.diff(edge) for edge in edges]
    return all(np.ptp(width) <= 1e-9 * abs(width[0]) for width in widths)


class Convolution:
    """sum_j W(x_i - x_j) mass_j on a grid, for an even kernel W.

    Parameters
    ----------
    table
        As `difference_table` returns it, shape (2 cells, ...).
    """

    def __init__(self, table: np.ndarray) -> None:
        self.padded = table.shape
        self.shape = tuple(count // 2 for count in table.shape)
        self.symbol = np.ascontiguousarray(rfftn(table).real)

    def apply(self, mass: np.ndarray) -> np.ndarray:
        """Return W * mass at the centres of all cells, in the shape of the grid."""
        field = irfftn(rfftn(mass, s=self.padded) * self.symbol, s=self.padded)
        return np.ascontiguousarray(field[tuple(slice(0, count) for count in self.shape)])

    @functools.cached_property
    def positive(self) -> bool:
        """Whether the quadratic form is surely >= 0 on masses of total zero.

        A test of the padded transform is sufficient, and for a periodic kernel sharp; one that
        reaches beyond the grid may fail it, and gets the test by eigenvalues if the grid is small.
        """
        symbol = self.symbol.reshape(-1)
        if symbol[1:].min(initial=0.0) >= -1e-12 * np.abs(symbol).max():
            return True
        cells = math.prod(self.shape)
        if cells > MOST_CELLS:
            return False
        rows = [self.apply(unit.reshape(self.shape)).reshape(-1) for unit in np.eye(cells)]
        return DenseForm(np.array(rows)).positive


class DenseForm:
    """sum_j W_ij mass_j on an axis with cells of unequal width.

    Parameters
    ----------
    matrix
        W between cells, shape (cells, cells).
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix

    def apply(self, mass: np.ndarray) -> np.ndarray:
        """Return W * mass, shape (cells,)."""
        return self.matrix @ mass

    @functools.cached_property
    def positive(self) -> bool:
        """Whether the quadratic form is >= 0 on masses of total zero, by its eigenvalues."""
        centred = self.matrix - self.matrix.mean(axis=0)
        values = np.linalg.eigvalsh(centred - centred.mean(axis=1, keepdims=True))
        return bool(values[0] >= -1e-12 * np.abs(values).max())


def difference_table(
    kernel: Callable[[np.ndarray], np.ndarray],
    edges: Sequence[np.ndarray],
    *,
    averaged: bool = False,
) -> np.ndarray:
    """Return a kernel at differences of 0, 1, ..., N - 1, -N, ..., -1 cells, shape (2 N, ...).

    Parameters
    ----------
    kernel
        W of differences (m, D), shape (m,).
    edges
        Edges of equal cells on each axis.
    averaged
        Take the mean over both cells, for a kernel that is infinite at 0.
    """
    width = np.array([edge[1] - edge[0] for edge in edges])
    steps = [np.fft.ifftshift(np.arange(1 - len(edge), len(edge) - 1)) for edge in edges]
    grids = np.meshgrid(*steps, indexing="ij")
    offset = np.stack([grid.reshape(-1) for grid in grids], axis=1).astype(float)
    if averaged:
        # A periodic kernel is singular at a whole turn, too.
        turn = np.array([len(edge) - 1 for edge in edges])
        away = np.minimum(np.abs(offset), turn - np.abs(offset)).max(axis=1)
        values, few = np.empty(len(offset)), min(len(edges), len(GRADED)) - 1
        for chosen, rule in (
            (away <= 1, _gauss_rule(GRADED[few], graded=True)),
            ((away > 1) & (away <= NEAR), _gauss_rule(PLAIN[few], graded=False)),
            (away > NEAR, _smooth_rule()),
        ):
            if chosen.any():
                values[chosen] = _hat_mean(kernel, offset[chosen], width, *rule)
    else:
        values = kernel(offset * width)
    return values.reshape(grids[0].shape)


def _hat_mean(
    kernel: Callable[[np.ndarray], np.ndarray],
    offset: np.ndarray,
    width: np.ndarray,
    nodes: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Return the mean of a kernel over pairs of cells at these offsets (m, D), shape (m,).

    The difference of two points in two cells has the density of a hat around that of the centres.
    """
    axes = len(width)
    shifts = grid_points([nodes] * axes)
    weight = grid_points([weights] * axes).prod(axis=1)
    mean = np.zeros(len(offset))
    count = max(1, BLOCK // len(offset))
    for first in range(0, len(shifts), count):
        block = slice(first, first + count)
        pairs = ((offset[:, np.newaxis] + shifts[block]) * width).reshape(-1, axes)
        mean += kernel(pairs).reshape(len(offset), -1) @ weight[block]
    return mean


def _smooth_rule() -> tuple[np.ndarray, np.ndarray]:
    """Return three nodes and weights against the hat on [-1, 1], exact to degree 5."""
    root, side = np.sqrt(2 / 5), 5 / 24
    return np.array([-root, 0.0, root]), np.array([side, 1 - 2 * side, side])


def _gauss_rule(count: int, *, graded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights against the hat on [-1, 1], from the rule of Gauss on each half.

    Graded ones crowd towards -1, 0 and 1, where a kernel is singular between cells that touch.
    """
    point, weight = np.polynomial.legendre.leggauss(count)
    rising, falling = (1 + point) / 2, (1 - point) / 2
    if graded:
        weight = weight * 140 * (rising * falling) ** 3
        rising, falling = (x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3) for x in (rising, falling))
    weight = weight / 2 * falling
    return np.concatenate((-rising[::-1], rising)), np.concatenate((weight[::-1], weight))
