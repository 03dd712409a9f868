"""The dual of a relu network on the cylinder of outer weights and angles.

F(rho) = (1/2n) sum_i (f_rho(x_i) - y_i)^2 + mu int a^2/2 drho + lambda int rho log rho over laws of
(a, v) in R x circle, f_rho(x) = s int a (cos(v) x + sin v)_+ drho, with ridge mu, temperature
lambda and scale s; x and y are (n,), everything is dimensionless, and defaults are those of the
case motorcycle. The integral over a is in closed form, the one over v a sum over 2048 angles, exact
to 1e-5. Derived here by convex duality, and tested against differences and the dual on grids.
"""

import math

import numpy as np
from scipy.optimize import minimize

ANGLES = 2048


def lower_bound(
    residual: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    scale: float = 20.0,
    temperature: float = 0.01,
    ridge: float = 0.01,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return D(p), a lower bound on F at any residual p (n,), its gradient and its Hessian,

        D(p) = -|p|^2/2n - p.y/n - lambda log int exp(-(a c(v) + mu a^2/2) / lambda) da dv,
        c(v) = (s/n) sum_i p_i (cos(v) x_i + sin v)_+ .

    Over all a in R the integral is sqrt(2 pi lambda/mu) exp(c^2 / 2 lambda mu), and the law in a is
    N(-c/mu, lambda/mu).
    """
    unit, count = _units(x), len(x)
    force = scale / count * (residual @ unit)
    exponent = force**2 / (2 * temperature * ridge)
    law = 2 * math.pi / ANGLES * np.exp(exponent - exponent.max())
    total = law.sum()
    law /= total
    log_integral = math.log(total) + exponent.max()
    log_integral += 0.5 * math.log(2 * math.pi * temperature / ridge)
    value = -(residual @ residual) / (2 * count) - residual @ y / count - temperature * log_integral
    mean, second = -force / ridge, temperature / ridge + (force / ridge) ** 2
    prediction = scale * unit @ (law * mean)
    covariance = scale**2 * (unit * (law * second)) @ unit.T - np.outer(prediction, prediction)
    hessian = -np.eye(count) / count - covariance / (temperature * count**2)
    return float(value), (prediction - y - residual) / count, hessian


def minimum(
    x: np.ndarray,
    y: np.ndarray,
    scale: float = 20.0,
    temperature: float = 0.01,
    ridge: float = 0.01,
) -> float:
    """Return F*, the maximum of `lower_bound`, by Newton's method in a trust region."""
    best = minimize(
        lambda p: tuple(-part for part in lower_bound(p, x, y, scale, temperature, ridge)[:2]),
        np.zeros(len(x)),
        jac=True,
        hess=lambda p: -lower_bound(p, x, y, scale, temperature, ridge)[2],
        method="trust-exact",
        options={"gtol": 1e-9},
    )
    return float(-best.fun)


def _units(x: np.ndarray) -> np.ndarray:
    """Return (cos(v) x_i + sin v)_+ at equally spaced angles v, shape (n, angles)."""
    angle = 2 * math.pi / ANGLES * np.arange(ANGLES)
    return np.maximum(np.cos(angle) * x[:, np.newaxis] + np.sin(angle), 0)
