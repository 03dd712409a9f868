"""The heat kernel on a product grid, applied to logarithms of masses.

Logarithms, because masses travel further than nine widths in the first steps of a training run,
where the kernel itself has long underflowed.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from wgflow.domain import Axis, Circle
from wgflow.kernels import log_sum_exp_rows

SMALLEST = 1e-280
"""A sum of products above this has lost nothing that counts: what underflows is below 1e-300."""
NOTHING = -690.0
"""Exponents below this are taken as the logarithm of zero in products: exp(-690) = 2e-300."""


class HeatKernel:
    """The heat semigroup on a product of axes with equal cells, normalised to keep mass.

    Parameters
    ----------
    axes, edges
        The axes of the domain, and the cell edges on each.
    variance
        2 lambda tau, the variance of the Gaussian on every axis.
    """

    def __init__(self, axes: Sequence[Axis], edges: Sequence[np.ndarray], variance: float) -> None:
        self.factors: list[tuple[np.ndarray, np.ndarray]] = []
        for axis, edge in zip(axes, edges, strict=True):
            periodic = isinstance(axis, Circle)
            log_kernel = log_heat_kernel(len(edge) - 1, edge[-1] - edge[0], variance, periodic)
            log_kernel -= logsumexp(log_kernel[len(log_kernel) // 2])
            self.factors.append((log_kernel, _exponential(log_kernel)))

    def apply(self, log_values: np.ndarray) -> np.ndarray:
        """Return log K[exp(log_values)] on the grid.

        Along an axis this is a matrix product of rows with their largest entry scaled to 1. Where
        a sum comes out below `SMALLEST` it may have lost all its terms to underflow, and is
        computed again in logarithms.
        """
        for axis, (log_kernel, kernel) in enumerate(self.factors):
            moved = np.moveaxis(log_values, axis, -1)
            rows = np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))
            largest = rows.max(axis=1, keepdims=True)
            total = _exponential(rows - largest) @ kernel.T
            lost = total < SMALLEST
            summed = np.log(np.where(lost, 1.0, total)) + largest
            if lost.any():
                log_sum_exp_rows(rows, log_kernel, out=summed, where=lost)
            log_values = np.moveaxis(summed.reshape(moved.shape), -1, axis)
        return np.ascontiguousarray(log_values)


def _exponential(exponents: np.ndarray) -> np.ndarray:
    """Return exp of exponents <= 0, and 0 for those below `NOTHING`; denormal numbers are slow."""
    return np.where(exponents < NOTHING, 0.0, np.exp(exponents))


def log_heat_kernel(cells: int, length: float, variance: float, periodic: bool) -> np.ndarray:
    """Return log K[i, j] between the centres of equal cells, up to one constant for all entries.

    On a circle the Gaussian is wrapped; on an interval it is reflected at both ends (Neumann), so
    that the uniform density stays put. Narrow kernels are summed over images, wide ones by their
    Fourier series, each where it needs a few terms only and loses no digits.

    Parameters
    ----------
    cells, length
        Number of cells, and the length of the axis.
    variance
        2 lambda tau, the variance of the Gaussian; in the units of the axis, squared.
    """
    # A reflected interval is half a circle of twice the length. Distances between centres, and
    # between centres and their images behind the walls, are whole multiples of a cell.
    period = length if periodic else 2 * length
    distance = length / cells * np.arange(2 * cells)
    if variance < (period / 2) ** 2:
        images = distance + period * np.arange(-6, 7)[:, np.newaxis]
        table = logsumexp(-(images**2) / (2 * variance), axis=0)
    else:
        frequency = 2 * np.pi / period * np.arange(1, 9)
        decay = np.exp(-(frequency**2) * variance / 2)
        table = np.log(1 + 2 * np.cos(distance[:, np.newaxis] * frequency) @ decay)
    cell = np.arange(cells)
    direct = table[np.abs(cell[:, np.newaxis] - cell)]
    if periodic:
        return direct
    return np.logaddexp(direct, table[cell[:, np.newaxis] + cell + 1])
