"""Gaussians under diffusion: in a quadratic well (Ornstein-Uhlenbeck) and without one (heat).

F(rho) = int k x^2/2 drho + lambda int rho log rho with stiffness k and temperature lambda on every
axis, where everything stays Gaussian: flows, JKO steps of three kinds, Euler-Maruyama; k = 0 is the
heat equation. Numbers are those of one coordinate and dimensionless. Defaults are those of the
cases ornstein-uhlenbeck and heat. Derived here, and tested against minimisation and quadrature.
"""

import math

import numpy as np

from wgflow.exact.recursion import after


def density(x: np.ndarray, mean: float, variance: float) -> np.ndarray:
    """Return the density of N(mean, variance) at points, in their shape."""
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def mean_at(time: float, stiffness: float = 1.0, mean: float = 1.0) -> float:
    """Return the mean of the flow in a well, m e^(-k t)."""
    return mean * math.exp(-stiffness * time)


def variance_at(
    time: float, stiffness: float = 1.0, temperature: float = 0.2, std: float = 0.5
) -> float:
    """Return the variance of the flow in a well, lambda/k + (s^2 - lambda/k) e^(-2 k t)."""
    limit = temperature / stiffness
    return limit + (std**2 - limit) * math.exp(-2 * stiffness * time)


def heat_variance_at(time: float, temperature: float = 1.0, std: float = 0.5) -> float:
    """Return the variance of the flow without a well, s^2 + 2 lambda t."""
    return std**2 + 2 * temperature * time


def walled_heat_variance_at(time: float, wall: float, temperature: float = 1.0) -> float:
    """Return the variance between walls at -W and W without a well, from N(0, 1/4) folded at them.

    Folding keeps the mean of cos(j pi x/W), exp(-(j pi/W)^2 v/2) for N(0, v), and

        x^2 = W^2/3 + (4 W^2/pi^2) sum_j (-1)^j cos(j pi x/W)/j^2    for |x| <= W.
    """
    variance, order = heat_variance_at(time, temperature), np.arange(1, 200)
    mode = np.exp(-((order * math.pi / wall) ** 2) * variance / 2)
    series = ((-1.0) ** order * mode / order**2).sum()
    return wall**2 / 3 + 4 * (wall / math.pi) ** 2 * float(series)


def free_energy(mean: float, variance: float, stiffness: float, temperature: float) -> float:
    """Return F of a Gaussian, k (m^2 + v)/2 - lambda log(2 pi e v)/2; a sum over axes."""
    spread = math.log(2 * math.pi * math.e * variance)
    return stiffness * (mean**2 + variance) / 2 - temperature * spread / 2


def jko_std(std: float, stiffness: float, temperature: float, step: float) -> float:
    """Return the standard deviation s after one exact JKO step, per axis:

    (1 + k tau) s^2 - s_k s - lambda tau = 0.
    """
    shrink = 1 + stiffness * step
    return (std + math.sqrt(std**2 + 4 * temperature * step * shrink)) / (2 * shrink)


def extrapolated_jko_std(std: float, stiffness: float, temperature: float, step: float) -> float:
    """Return the standard deviation after a step of order 2, 2 s_(tau/2, tau/2) - s_tau."""
    halved = after(2, jko_std, std, stiffness, temperature, step / 2)
    return 2 * halved - jko_std(std, stiffness, temperature, step)


def entropic_jko_variance(
    variance: float, stiffness: float, temperature: float, step: float
) -> float:
    """Return the variance after one entropic step, v/(1 + k tau)^2 + 2 lambda tau/(1 + k tau)."""
    shrink = 1 + stiffness * step
    return variance / shrink**2 + 2 * temperature * step / shrink


def balanced_jko_variance(
    variance: float, stiffness: float, temperature: float, step: float
) -> float:
    """Return the variance after one balanced step, c^2 v + (1 - c^2) lambda/k.

    The step is the exact flow over the time asinh(k tau)/k, in which means shrink by
    c = sqrt(1 + k^2 tau^2) - k tau.
    """
    shrink = math.hypot(1, stiffness * step) - stiffness * step
    return shrink**2 * variance + (1 - shrink**2) * temperature / stiffness


def euler_maruyama_variance(
    variance: float, stiffness: float, temperature: float, step: float
) -> float:
    """Return the variance after one step of Euler-Maruyama, (1 - k h)^2 v + 2 lambda h."""
    return (1 - stiffness * step) ** 2 * variance + 2 * temperature * step


def binned(variance: float, width: float) -> float:
    """Return v + h^2/12, the variance of a Gaussian whose cell masses lie at the cell centres.

    Sheppard's correction, exact but for exp(-2 pi^2 v/h^2).
    """
    return variance + width**2 / 12


def on_cells(variance: float, width: float) -> float:
    """Return v + h^2/6, the variance of a Gaussian whose cell masses are spread over their cells.

    Once for the masses at the centres, and once for the constant density of each cell.
    """
    return binned(binned(variance, width), width)


def implicit_fourth_moment(count: int, step: float, width: float) -> float:
    """Return int x^4 after steps of implicit finite volumes with k = 0, lambda = 1, from N(0, 1/4).

    The second difference of x^4 on a grid is 12 x^2 + 2 h^2, that of x^2 is 2; hence

        M2+ = M2 + 2 tau,    M4+ = M4 + tau (12 M2+ + 2 h^2)

    exactly, from M2 = s^2 + h^2/12 and M4 = 3 s^4 + s^2 h^2/2 + h^4/80 (Sheppard's corrections).
    """
    second, fourth = binned(0.25, width), 3 / 16 + width**2 / 8 + width**4 / 80
    for _ in range(count):
        second += 2 * step
        fourth += step * (12 * second + 2 * width**2)
    return fourth
