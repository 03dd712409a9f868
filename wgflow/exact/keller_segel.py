"""Diffusion against logarithmic attraction in the plane (Keller-Segel), through second moments.

F(rho) = int rho log rho + (mass / 4 pi) int int log|x - y| drho drho of a probability law rho, the
density of cells divided by their mass, and M2 = int |x|^2 drho; everything is dimensionless. After
A. Blanchet, J. Dolbeault and B. Perthame, Electron. J. Differ. Equ. 44 (2006), recalled; derived
here, and tested against dilations and clouds of particles.
"""

import math

import numpy as np

from wgflow.measure import Measure


def moment_rate(mass: float, count: float = math.inf) -> float:
    """Return the rate of M2, 4 - (mass / 2 pi)(N - 1) / N, on average for N = count particles.

    Diffusion adds 2 in each of two dimensions, and pairs give -int int (x - y) . grad W(x - y).
    """
    return 4 - mass / (2 * math.pi) * (1 - 1 / count)


def blow_up_time(mass: float, std: float) -> float:
    """Return the time M2(0) / (4 (mass / 8 pi - 1)) before which the law must blow up."""
    rate = moment_rate(mass)
    return math.inf if rate >= 0 else -2 * std**2 / rate


def gaussian_energy(mass: float, std: float) -> float:
    """Return F of N(0, std^2 I) = (mass / 8 pi)(log(4 std^2) - gamma) - 1 - log(2 pi std^2).

    E log|x - y|^2 = log(4 std^2) - gamma, as |x - y|^2 / 4 std^2 has the exponential law.
    """
    attraction = mass / (8 * math.pi) * (math.log(4 * std**2) - float(np.euler_gamma))
    return attraction - 1 - math.log(2 * math.pi * std**2)


def growth_error(mass: float, std: float, time: float, count: int) -> float:
    """Return the standard deviation of M2(time) - M2(0) for `count` particles.

    dM2 = rate dt + (2 sqrt 2 / N) sum_j x_j . dB_j, hence the variance (8 / N) int M2 dt.
    """
    integral = 2 * std**2 * time + moment_rate(mass, count) * time**2 / 2
    return math.sqrt(8 * integral / count)


def second_moment(law: Measure) -> float:
    """Return int |x|^2 drho of a law; on a grid of the centres of cells."""
    return float(law.mass @ (law.points**2).sum(axis=1))
