"""What every gradient flow keeps: the balance of its free energy, and that of a second moment.

Integrals over time are trapezoids between the saves of a run, of second order in their distance;
everything is dimensionless. The balances are derived here by integration by parts.
"""

import numpy as np


def energy_miss(time: np.ndarray, energy: np.ndarray, dissipation: np.ndarray) -> float:
    """Return the energy lost from the first save to the last, minus the integral of -dF/dt.

    All arrays are (saves,); it is 0 for dF/dt = -int |grad (g + lambda log rho)|^2 drho.
    """
    return float(energy[0] - energy[-1] - np.trapezoid(dissipation, time))


def growth_by_noise(
    time: np.ndarray,
    points: np.ndarray,
    output: np.ndarray,
    residual: np.ndarray,
    degree: float,
    ridge: float,
) -> float:
    """Return the part of the growth of M2 = int |theta|^2 drho that comes from noise, 2 lambda D t.

    For the risk of units that are homogeneous of degree k in the D coordinates theta, the mean over
    data of a loss of slope p at the output f, and a ridge mu int |theta|^2/2 drho,

        d/dt M2 = 2 lambda D - 2 int theta . grad g drho = 2 lambda D - 2 (k mean_i <p_i, f_i>
        + mu M2) .

    Parameters
    ----------
    time, points
        Of the saves, shape (saves,), and theta there, shape (saves, m, D).
    output, residual
        f and p at the data, shape (saves, n, outputs).
    """
    moment = np.square(points).sum(axis=2).mean(axis=1)
    paired = (residual * output).sum(axis=2).mean(axis=1)
    lost = 2 * (degree * paired + ridge * moment)
    return float(moment[-1] - moment[0] + np.trapezoid(lost, time))
