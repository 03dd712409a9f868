"""Ridge regression by a mean of linear units w.x under Langevin noise, a Gaussian process.

F(rho) = E (int w.x drho - w*.x)^2 / 2 + ridge int |w|^2/2 drho + lambda int rho log rho with inputs
of covariance S, of which `eigenvalue` holds the diagonal e, (d,), and w* = target (1, ..., 1). The
mean weight u of m particles (m is the `count`) is an Ornstein-Uhlenbeck process, as is gradient
descent with noise, and each particle sees it through its mean only:

    du = -(S (u - w*) + ridge u) dt + sqrt(2 lambda / m) dB.

All is dimensionless; defaults are those of the case linear-langevin. Derived here, and tested
against the equations and simulation.
"""

import math

import numpy as np

from wgflow.errors import check_number
from wgflow.exact import gaussian


def eigenvalues(dimension: int = 2, decay: float = 1.0) -> np.ndarray:
    """Return those of the covariance S of the inputs, k^-decay, (d,)."""
    check_number("The parameter decay", decay, least=0)
    return np.arange(1.0, dimension + 1) ** -decay


def ridge_solution(eigenvalue: np.ndarray, ridge: float = 0.5, target: float = 1.0) -> np.ndarray:
    """Return the weight w_l = (S + ridge)^-1 S w* of ridge regression, (d,)."""
    return eigenvalue / (eigenvalue + ridge) * target


def mean_at(
    time: float, eigenvalue: np.ndarray, ridge: float = 0.5, target: float = 1.0
) -> np.ndarray:
    """Return the mean of the law and of the mean weight, w_l (1 - e^(-(S + ridge) t)), (d,)."""
    left = np.exp(-(eigenvalue + ridge) * time)
    return ridge_solution(eigenvalue, ridge, target) * (1 - left)


def implicit_mean(
    count: int, step: float, eigenvalue: np.ndarray, ridge: float = 0.5, target: float = 1.0
) -> np.ndarray:
    """Return the mean after `count` JKO steps, w_l (1 - (1 + (S + ridge) tau)^-n), (d,).

    Implicit Euler steps, for the exact and the entropic Wasserstein distance alike.
    """
    left = (1 + (eigenvalue + ridge) * step) ** -count
    return ridge_solution(eigenvalue, ridge, target) * (1 - left)


def spread_at(
    time: float,
    eigenvalue: np.ndarray,
    count: int,
    ridge: float = 0.5,
    temperature: float = 0.2,
    std: float = 1.0,
) -> np.ndarray:
    """Return the variances of the mean weight of m particles, (d,):

    (1/m) [temperature / k + (std^2 - temperature / k) e^(-2 k t)], k = S + ridge.
    """
    limit = temperature / (eigenvalue + ridge)
    left = np.exp(-2 * (eigenvalue + ridge) * time)
    return (limit + (std**2 - limit) * left) / count


def standardised(weight: np.ndarray, time: float, eigenvalue: np.ndarray, count: int) -> np.ndarray:
    """Return the mean weight (d,) of m particles at a time less its mean, over its std."""
    spread = spread_at(time, eigenvalue, count)
    return (weight - mean_at(time, eigenvalue)) / np.sqrt(spread)


def stationary_excess(
    eigenvalue: np.ndarray,
    count: int,
    ridge: float = 0.5,
    temperature: float = 0.2,
    step: float = 0.0,
    batch: int | None = None,
) -> float:
    """Return E R(mean weight) - R(w_l) of m particles in equilibrium, R without the ridge.

    (temperature/2m) sum_k e/(e + ridge), where Euler steps h divide the mode of eigenvalue e by
    1 - h (e + ridge)/2. With fresh batches of b normal inputs, and w* = 0, the second moments q of
    the mean weight also have, by Isserlis' theorem,

        q+ = (1 - h (e + ridge))^2 q + (h^2/b) (e^2 q + e sum_j e_j q_j) + 2 temperature h / m.
    """
    rate = eigenvalue + ridge
    if batch is None:
        return temperature / (2 * count) * float((eigenvalue / rate / (1 - step * rate / 2)).sum())
    noise = step**2 / batch
    kept = np.diag((1 - step * rate) ** 2 + noise * eigenvalue**2)
    kept += noise * np.outer(eigenvalue, eigenvalue)
    gained = np.full(len(rate), 2 * temperature * step / count)
    return float(eigenvalue @ np.linalg.solve(np.eye(len(rate)) - kept, gained)) / 2


def error_of_average(
    eigenvalue: np.ndarray,
    count: int,
    step: float,
    saves: float,
    ridge: float = 0.5,
    temperature: float = 0.2,
) -> float:
    """Return the standard error of the excess risk averaged over saves a unit of time apart.

    In equilibrium after Euler steps h, full batches: a mode forgets by r = (1 - h k)^(1/h) between
    saves, and the average of n of its squares has the variance 2 v^2 (1 + r^2)/(1 - r^2)/n, v its
    own, to leading order in n.
    """
    rate = eigenvalue + ridge
    variance = temperature / count / rate / (1 - step * rate / 2)
    kept = (1 - step * rate) ** (2 / step)
    square = (eigenvalue * variance) ** 2 / 2 * (1 + kept) / (1 - kept)
    return math.sqrt(float(square.sum()) / saves)


def least_energy(
    eigenvalue: np.ndarray, ridge: float = 0.5, temperature: float = 0.2, target: float = 1.0
) -> float:
    """Return the minimum F*, that of a Gaussian of mean w_l and variances temperature / ridge."""
    mean = ridge_solution(eigenvalue, ridge, target)
    risk = float(eigenvalue @ (mean - target) ** 2) / 2
    variance = temperature / ridge
    return risk + sum(gaussian.free_energy(float(m), variance, ridge, temperature) for m in mean)
