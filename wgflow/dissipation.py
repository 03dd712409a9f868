"""The dissipation of a law on a grid."""

from collections.abc import Sequence

import numpy as np

from wgflow.measure import GridMeasure


def face_dissipation(
    measure: GridMeasure, g: np.ndarray, temperature: float, periodic: Sequence[bool]
) -> float:
    """Return sum over faces of L(rho, rho') (mu' - mu)^2 / h^2 times the volume between centres.

    With the chemical potential mu = g + lambda log rho and the logarithmic mean
    L(a, b) = (a - b) / (log a - log b). At temperature zero L stays the mean of the densities.
    """
    density = np.maximum(measure.density, np.finfo(float).tiny)
    logarithm = np.log(density)
    total = 0.0
    for axis, (edge, wraps) in enumerate(zip(measure.edges, periodic, strict=True)):
        width, centre = np.diff(edge), measure.centres[axis]
        distance = np.diff(centre)
        if wraps:
            distance = np.append(distance, (width[0] + width[-1]) / 2)
        jumps = []
        for field in (density, logarithm, g):
            moved = np.moveaxis(field, axis, -1)
            following = np.roll(moved, -1, axis=-1) if wraps else moved[..., 1:]
            jumps.append((moved if wraps else moved[..., :-1], following))
        (a, b), (log_a, log_b), (g_a, g_b) = jumps
        close = np.abs(log_b - log_a) < 1e-6
        gap = np.where(close, 1.0, log_b - log_a)
        mean = np.where(close, (a + b) / 2, (b - a) / gap)
        slope = (g_b - g_a + temperature * (log_b - log_a)) / distance
        area = np.moveaxis(measure.volume, axis, -1) / width
        area = area if wraps else area[..., :-1]
        total += float((mean * slope**2 * distance * area).sum())
    return total
