"""The logarithm of the heat kernel on the cells of one axis.

It is kept as a logarithm because masses travel further than nine widths in the first steps of a
training run, where the kernel itself has long underflowed.
"""

import numpy as np
from scipy.special import logsumexp


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
