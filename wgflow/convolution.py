"""Quadratic forms of even kernels on a grid: convolutions by the fast transform, and matrices.

The table of the kernel holds its values at all differences of two cells; the grid is padded to
twice its length, so that no axis wraps around. A kernel that is periodic needs nothing else.
"""

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.fft import irfftn, rfftn

NEAR = 6
"""Cells around the singularity in which a kernel is averaged by a graded rule."""


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

        The test, on the padded transform, is sufficient, and for a periodic kernel sharp.
        """
        symbol = self.symbol.reshape(-1)
        return bool(symbol[1:].min(initial=0.0) >= -1e-12 * np.abs(symbol).max())


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
        near = np.abs(offset).max(axis=1) <= NEAR
        values = np.empty(len(offset))
        values[near] = _hat_mean(kernel, offset[near], width, *_graded_rule())
        values[~near] = _hat_mean(kernel, offset[~near], width, *_smooth_rule())
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
    mean = np.zeros(len(offset))
    for index in itertools.product(range(len(nodes)), repeat=len(width)):
        picked = list(index)
        mean += np.prod(weights[picked]) * kernel((offset + nodes[picked]) * width)
    return mean


def _smooth_rule() -> tuple[np.ndarray, np.ndarray]:
    """Return three nodes and weights against the hat on [-1, 1], exact to degree 5."""
    root, side = np.sqrt(2 / 5), 5 / 24
    return np.array([-root, 0.0, root]), np.array([side, 1 - 2 * side, side])


def _graded_rule(count: int = 24, grading: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights against the hat on [-1, 1], graded towards -1, 0 and 1.

    There a kernel is singular at the offsets that are whole numbers of cells.
    """
    point, weight = np.polynomial.legendre.leggauss(count)
    rising, falling = ((1 + point) / 2) ** grading, ((1 - point) / 2) ** grading
    place = rising / (rising + falling)
    slope = 2 * grading * place * (1 - place) / (1 - point**2)
    weight = weight * slope * (1 - place)
    return np.concatenate((-place[::-1], place)), np.concatenate((weight[::-1], weight))
