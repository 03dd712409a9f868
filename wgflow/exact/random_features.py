"""Random features: fixed units phi_j whose outer weights alone are trained, a linear flow.

For the half-squared loss, the network (s/m) sum_j a_j phi_j and a time in which a_j moves by minus
m/s times the derivative of the risk in it (the schedule xi = 1/s),

    da/dt = c - (s/m) K a,    K_ij = E phi_i phi_j,    c_j = E f* phi_j,    a = 0 at t = 0.

The model is that of A. Rahimi and B. Recht, Random features for large-scale kernel machines, NIPS
(2007); the forms are derived here and tested against integration of the equation.
"""

import numpy as np

from wgflow.energy.arc_cosine import ArcCosineRisk, arc_cosine_kernel
from wgflow.measure import Measure


def risk_decrease(
    gram: np.ndarray, correlation: np.ndarray, scale: float, time: float, step: float = 0.0
) -> float:
    """Return how much the risk has fallen since the outer weights were zero.

    In the eigenvectors of (s/m) K, of eigenvalues mu,

        R(0) - R(t) = (s/2m) sum_k c_k^2 (1 - e^(-2 mu_k t)) / mu_k.

    Parameters
    ----------
    gram, correlation
        K and c, shapes (m, m) and (m,).
    scale
        s.
    step
        If positive, that of Heun's method, which has 1 - mu h + (mu h)^2 / 2 for e^(-mu h).
    """
    factor = scale / len(gram)
    rate, direction = np.linalg.eigh(factor * gram)
    if step > 0:
        growth = 1 - rate * step + (rate * step) ** 2 / 2
        done = 1 - growth ** (2 * round(time / step))
    else:
        done = -np.expm1(-2 * rate * time)
    return float(factor / 2 * ((direction.T @ correlation) ** 2 * done / rate).sum())


def relu_risk(risk: ArcCosineRisk, start: Measure, time: float, step: float = 0.0) -> float:
    """Return the risk at a time of relu random features whose outer weights are 0 at first.

    Parameters
    ----------
    risk
        Tells the teacher and the scale.
    start
        The law at t = 0, of equal masses, which has the inner weights.
    step
        As of `risk_decrease`.
    """
    inner = start.points[:, 1:]
    gram = arc_cosine_kernel(inner, inner)
    correlation, _ = risk.teacher_correlation(inner)
    return risk.at_rest - risk_decrease(gram, correlation, risk.scale, time, step)


def separation(risk: ArcCosineRisk, start: Measure) -> float:
    """Return C in R_features(t) - R(t) = C t^3 + O(t^4) for outer weights that are 0 at first.

    R is the risk of the relu network of which all weights are trained. With
    c(b) = E f* max(b.x, 0), a_j = c_j t and b_j' = a_j grad c_j at first, so that b_j has moved by
    c_j grad c_j t^2/2 and a_j gains c_j |grad c_j|^2 t^3/6. To this order R falls by
    E f* df, and C = (2/3) (s/m) sum_j c_j^2 |grad c_j|^2.

    Parameters
    ----------
    risk
        Tells the teacher and the scale.
    start
        The law at t = 0, of equal masses, which has the inner weights b.
    """
    correlation, slope = risk.teacher_correlation(start.points[:, 1:])
    rises = correlation**2 @ (slope**2).sum(axis=1)
    return float(2 / 3 * risk.scale / len(correlation) * rises)
