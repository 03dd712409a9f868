"""The dissipation of a law on a grid."""

from collections.abc import Sequence

import numpy as np

from wgflow.measure import GridMeasure


def face_dissipation(
    measure: GridMeasure,
    potential: np.ndarray,
    chemical: np.ndarray,
    pressure: np.ndarray,
    periodic: Sequence[bool],
) -> float:
    """Return sum over faces of M(rho, rho') (mu' - mu)^2 / h^2 times the volume between centres.

    The mobility M = (P' - P) / (U'(rho') - U'(rho)) of the pressure P and the chemical potential
    U' makes the flux of the internal energy alone the difference of the pressure; for an entropy
    it is the logarithmic mean of the two densities.

    Parameters
    ----------
    potential
        mu = g + U'(rho), the whole first variation, in the shape of the grid.
    chemical, pressure
        U'(rho) and P(rho) there; log rho and rho without an internal energy.
    periodic
        For each axis, whether its last cell borders on its first.
    """
    total = 0.0
    for axis, (edge, wraps) in enumerate(zip(measure.edges, periodic, strict=True)):
        width, centre = np.diff(edge), measure.centres[axis]
        distance = np.diff(centre)
        if wraps:
            distance = np.append(distance, (width[0] + width[-1]) / 2)
        jumps = []
        for field in (measure.density, pressure, chemical, potential):
            moved = np.moveaxis(field, axis, -1)
            following = np.roll(moved, -1, axis=-1) if wraps else moved[..., 1:]
            jumps.append((moved if wraps else moved[..., :-1], following))
        (a, b), (pressure_a, pressure_b), (chemical_a, chemical_b), (mu_a, mu_b) = jumps
        rise = pressure_b - pressure_a
        close = np.abs(rise) <= 1e-6 * (pressure_a + pressure_b)
        mean = np.where(close, (a + b) / 2, rise / np.where(close, 1.0, chemical_b - chemical_a))
        slope = (mu_b - mu_a) / distance
        area = np.moveaxis(measure.volume, axis, -1) / width
        area = area if wraps else area[..., :-1]
        total += float((mean * slope**2 * distance * area).sum())
    return total
