"""Second moments of units (w.x)^2 with standard normal inputs, which obey a Riccati equation.

F(rho) = R + ridge int |w|^2/2 drho + lambda int rho log rho with the temperature lambda and

    R = E (int (w.x)^2 drho - x.M* x)^2 / 2 = |A|^2 + (tr A)^2 / 2,   A = M - M*,   M = int w w^T,

in the Frobenius norm. The velocity -G w - ridge w, G = 4 A + 2 tr(A) I, is linear in w, so that
centred Gaussians stay so and the second moments M determine everything; m is M in one dimension and
m* is the `target`. All is dimensionless; defaults are those of the case quadratic-neuron. Derived
here, and tested against networks, minimisation and simulation.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from wgflow.errors import check_number
from wgflow.measure import Measure


def second_moments(law: Measure) -> np.ndarray:
    """Return the second moments (d, d) of particles, or of masses in the middle of cells."""
    return law.points.T @ (law.mass[:, np.newaxis] * law.points)


def target_moments(target: float = 1.0, dimension: int = 1) -> np.ndarray:
    """Return the matrix M* of the target x.M* x, (d, d): target diag(1, 1/2, ..., 1/d)."""
    largest = check_number("The parameter target", target, above=0)
    return largest * np.diag(1.0 / np.arange(1, dimension + 1))


def risk_of(moments: np.ndarray, target: np.ndarray) -> float:
    """Return the risk |A|^2 + (tr A)^2 / 2, A = M - M*, which is E (x.A x)^2 / 2 for normal x."""
    apart = moments - target
    return float(np.square(apart).sum() + np.trace(apart) ** 2 / 2)


def moments_at(
    time: float, start: np.ndarray, target: np.ndarray, ridge: float = 0.0, temperature: float = 0.0
) -> np.ndarray:
    """Return the second moments (d, d) of the flow from those at time 0.

    M' = -(G M + M G) - 2 ridge M + 2 temperature I, G = 4 A + 2 tr(A) I, A = M - M*, integrated by
    a Runge-Kutta method of order 8 with errors of about 1e-13.
    """
    identity = np.eye(len(target))

    def slope(_: float, flat: np.ndarray) -> np.ndarray:
        moments = flat.reshape(target.shape)
        apart = moments - target
        drift = 4 * apart + (2 * np.trace(apart) + ridge) * identity
        rate = -(drift @ moments + moments @ drift) + 2 * temperature * identity
        return rate.reshape(-1)

    found = solve_ivp(slope, (0, time), start.reshape(-1), "DOP853", rtol=1e-13, atol=1e-15)
    return found.y[:, -1].reshape(target.shape)


def fixed_points(
    target: float = 1.0, ridge: float = 0.1, temperature: float = 0.2
) -> tuple[float, float]:
    """Return the roots of 6 m^2 - (6 m* - ridge) m - temperature, in one dimension.

    The first, larger one is the second moment of the minimizer.
    """
    half = (6 * target - ridge) / 12
    root = math.sqrt(half**2 + temperature / 6)
    return half + root, half - root


def moment_at(
    time: float, start: float, target: float = 1.0, ridge: float = 0.1, temperature: float = 0.2
) -> float:
    """Return the second moment of the flow in one dimension, m' = -12 (m - a) (m - b):

    (m - a)/(m - b) = (m_0 - a)/(m_0 - b) e^(-12 (a - b) t), a and b its fixed points. Without ridge
    and temperature it is m* / (1 + (m*/m_0 - 1) e^(-12 m* t)).
    """
    upper, lower = fixed_points(target, ridge, temperature)
    ratio = (start - upper) / (start - lower) * math.exp(-12 * (upper - lower) * time)
    return (upper - lower * ratio) / (1 - ratio)


def fluctuation(time: float, std: float = 0.4, target: float = 1.0) -> float:
    """Return the limit of n Var of the second moment of n particles, without ridge and noise:

    2 s^4 (m(t)/m_0)^4 e^(-24 m* t) with m_0 = s^2, from the derivative of m(t) in m_0.
    """
    now = moment_at(time, std**2, target, 0.0, 0.0)
    return 2 * std**4 * (now / std**2) ** 4 * math.exp(-24 * target * time)


def least_energy(target: float = 1.0, ridge: float = 0.1, temperature: float = 0.2) -> float:
    """Return the minimum F* in one dimension, that of a Gaussian:

    F = 3 (m - m*)^2 / 2 + ridge m / 2 - (temperature / 2) log(2 pi e m).
    """
    m = fixed_points(target, ridge, temperature)[0]
    entropy = -0.5 * math.log(2 * math.pi * math.e * m)
    return 1.5 * (m - target) ** 2 + ridge * m / 2 + temperature * entropy


def jko_std(
    std: float, step: float, target: float = 1.0, ridge: float = 0.1, temperature: float = 0.2
) -> float:
    """Return the standard deviation s after an exact JKO step of a centred Gaussian on the line:

    (s - s_k)/tau + (6 (s^2 - m*) + ridge) s - temperature/s = 0, its positive root.
    """

    def balance(s: float) -> float:
        drift = 6 * (s**2 - target) + ridge
        return s * (s - std) + step * (drift * s**2 - temperature)

    most = std + math.sqrt(target + temperature) + 1
    return float(brentq(balance, 1e-12, most, xtol=1e-15, rtol=1e-15))


def descent_moment(moment: float, step: float, target: float = 1.0) -> float:
    """Return m (1 - 6 h (m - m*))^2, the second moment after a step h of gradient descent.

    In one dimension, without ridge and noise: the step multiplies every weight by 1 - 6 h (m - m*).
    """
    return moment * (1 - 6 * step * (moment - target)) ** 2


def log_decay_by_batches(
    count: int, step: float, batch: int, target: float = 1.0
) -> tuple[float, float]:
    """Return mean and standard deviation of the log of what fresh batches leave of m*/m - 1.

    After `count` steps h, each of which multiplies it by 1 - 4 h m* B for small h, without ridge
    and noise. B, the mean of x^4 over a batch of b, has mean 3 and variance 96/b; to first order in
    that variance.
    """
    kept = 1 - 12 * step * target
    mean = math.log(kept) - 768 * (step * target) ** 2 / batch / kept**2
    std = 4 * step * target * math.sqrt(96 / batch) / kept
    return count * mean, math.sqrt(count) * std
