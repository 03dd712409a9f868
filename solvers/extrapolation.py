"""Extrapolation in the step size and in time, for schemes on a fixed grid."""

import numpy as np
from scipy.special import logsumexp

LARGEST = np.log(2.0)
"""The most that extrapolation changes the logarithm of a mass by."""
ROUGHEST = 8.0
"""Largest sum of the absolute weights of an extrapolation in time: rounding and roughness grow by
as much. Parabolas through equal steps have 7."""


def law_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the L1 distance, between 0 and 2, of two laws given by log masses, any shape."""
    return float(np.abs(np.exp(first) - np.exp(second)).sum())


def extrapolated_law(whole: np.ndarray, halved: np.ndarray) -> np.ndarray:
    """Return log masses, in total 1, without the first-order error of a step.

    From a whole step and two halves, 2 log rho_halved - log rho_whole, with the difference of the
    two clipped to log 2: positive, and of second order where they are close.

    Parameters
    ----------
    whole, halved
        Log masses, of one shape.
    """
    log_mass = halved + np.clip(halved - whole, -LARGEST, LARGEST)
    return log_mass - logsumexp(log_mass)


def in_time(values: np.ndarray, age: np.ndarray, ahead: float) -> np.ndarray:
    """Return where a curve goes, by the polynomial through its last points, shape (n,).

    Points are left out, the oldest first, until the weights are at most `ROUGHEST` in all.

    Parameters
    ----------
    values
        Points, the newest first, (m, n).
    age
        How long ago they were, increasing from 0, (m,); infinite where there is none.
    ahead
        How far the point to return lies in the future.
    """
    count = int(np.isfinite(age).sum())
    while True:
        node = age[:count]
        others = ~np.eye(count, dtype=bool)
        factor = (ahead + node) / np.where(others, node - node[:, np.newaxis], 1.0)
        weight = np.prod(np.where(others, factor, 1.0), axis=1)
        if count == 1 or np.abs(weight).sum() <= ROUGHEST:
            return np.asarray(weight @ values[:count])
        count -= 1
