"""The logarithm of the heat kernel on the cells of one axis.

It is kept as a logarithm because masses travel further than nine widths in the first steps of a
training run, where the kernel itself has long underflowed.
"""

import numpy as np
from scipy.special import logsumexp


def log_heat_kernel(
    centres: np.ndarray, lower: float, length: float, variance: float, periodic: bool
) -> np.ndarray:
    """Return log K[i, j] for unit steps in x_i - x_j, up to a constant that every row shares.

    On a circle the Gaussian is wrapped; on an interval it is reflected at both ends (Neumann), so
    that the uniform density stays put. Narrow kernels are summed over images, wide ones by their
    Fourier series, each where it needs a few terms only and loses no digits.

    Parameters
    ----------
    centres
        Cell centres, shape (N,), equally spaced.
    lower, length
        Of the axis.
    variance
        2 lambda tau, the variance of the Gaussian; in the units of the axis, squared.
    """
    offset = centres - lower
    # A reflected interval is half a circle of twice the length.
    period = length if periodic else 2 * length
    separations = [offset[:, None] - offset[None, :]]
    if not periodic:
        separations.append(offset[:, None] + offset[None, :])
    if variance < (period / 2) ** 2:
        images = period * np.arange(-6, 7)[:, None, None]
        distance = np.concatenate([s + images for s in separations])
        return logsumexp(-(distance**2) / (2 * variance), axis=0)
    frequency = 2 * np.pi / period * np.arange(1, 9)
    decay = np.exp(-(frequency**2) * variance / 2)
    waves = sum(np.cos(s[..., None] * frequency) @ decay for s in separations)
    return np.log(1 + 2 * np.asarray(waves) / len(separations))
