"""Numbers that sum up the neurons of a network; a point (a, b) is an outer weight and inner ones.

Sums over neurons are weighted by their size: |a_j| |b_j|, which is all that scaling a relu neuron
inside out leaves, or |a_j| for units that are not homogeneous.
"""

import numpy as np

from wgflow.measure import Measure


def magnitudes(measure: Measure) -> np.ndarray:
    """Return |a_j| |b_j|, shape (m,)."""
    size: np.ndarray = np.linalg.norm(measure.points[:, 1:], axis=1)
    return np.abs(measure.points[:, 0]) * size


def active_neurons(measure: Measure) -> float:
    """Return (sum_j p_j)^2 / sum_j p_j^2 of the magnitudes: how many neurons carry the function."""
    size = magnitudes(measure)
    return float(size.sum() ** 2 / (size**2).sum())


def change_of_balance(first: Measure, last: Measure) -> float:
    """Return the largest change of a_j^2 - |b_j|^2, which stands still along the flow of relus.

    As c(b) = E (f - f*) max(b.x, 0) is homogeneous, a a' = - a c = - a b . grad c = b . b'.
    """
    before, after = (
        law.points[:, 0] ** 2 - (law.points[:, 1:] ** 2).sum(axis=1) for law in (first, last)
    )
    return float(np.abs(after - before).max())


def share_in_plane(measure: Measure) -> float:
    """Return sum_j p_j |(b_j1, b_j2)| / |b_j| over sum_j p_j, with the magnitudes p_j."""
    size, inner = magnitudes(measure), measure.points[:, 1:]
    within = np.hypot(inner[:, 0], inner[:, 1]) / np.linalg.norm(inner, axis=1)
    return float(size @ within / size.sum())


def share_on_lines(measure: Measure, directions: np.ndarray, degrees: float) -> float:
    """Return the share of sum_j |a_j| whose b_j, in the plane, is near one of some lines through 0.

    Sigmoids on either side of 0 count alike: a sigma(-z) = a - a sigma(z).

    Parameters
    ----------
    directions
        Of the lines, shape (k, 2).
    degrees
        The largest angle from a line.
    """
    angle = np.arctan2(measure.points[:, 2], measure.points[:, 1])
    apart = angle[:, np.newaxis] - np.arctan2(directions[:, 1], directions[:, 0])
    nearest = np.abs((apart + np.pi / 2) % np.pi - np.pi / 2).min(axis=1)
    weight = np.abs(measure.points[:, 0])
    return float(weight[nearest < np.radians(degrees)].sum() / weight.sum())


def share_of_small(measure: Measure, least: float) -> float:
    """Return the share of neurons, each counted once, with |a| below `least`."""
    return float(np.mean(np.abs(measure.points[:, 0]) < least))
