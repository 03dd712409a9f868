"""A softmax network of relu neurons written out in NumPy: its gradient steps, and its start.

f(x) = (s/m) sum_j a_j max(w_j . x + b_j, 0) with a_j in R^k for classes k, theta = (a, w, b) (m, k
+ d + 1), the mean cross-entropy of softmax(f) as risk, plus mu mean |theta_j|^2/2. Inputs are x (n,
d) and labels y (n, k), one-hot; everything is dimensionless. Derived here, and tested against runs
and the law of large numbers.
"""

import math

import numpy as np


def start_risk(x: np.ndarray, y: np.ndarray, count: int, scale: float) -> float:
    """Return the mean of the risk of m neurons at the start, up to O(scale^4 / m^2).

    Outputs at x are independent, centred, of variance v = (scale^2/m) E relu(w.x + b)^2 =
    scale^2 (|x|^2 + 1) / (2 m d), for (w, b) ~ N(0, I/d). To second order log sum_c exp(f_c) is
    log k + mean f + (mean f^2 - (mean f)^2) / 2, whose mean is log k + v (1 - 1/k) / 2.
    """
    classes, inputs = y.shape[1], x.shape[1]
    variance = scale**2 * ((x**2).sum(axis=1) + 1) / (2 * count * inputs)
    return math.log(classes) + (1 - 1 / classes) / 2 * float(variance.mean())


def descent(
    theta: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    scale: float,
    ridge: float,
    step: float,
    count: int,
) -> np.ndarray:
    """Return the risk before each of `count` gradient steps at temperature 0, and after them.

    theta_j <- theta_j - step grad g(theta_j), with the derivatives written out.
    """
    inputs, classes, found = np.column_stack([x, np.ones(len(x))]), y.shape[1], []
    for _ in range(count + 1):
        outer, inner = theta[:, :classes], theta[:, classes:]
        pre = inputs @ inner.T
        output = scale * np.maximum(pre, 0) @ outer / len(theta)
        weight = np.exp(output)
        share = weight / weight.sum(axis=1, keepdims=True)
        found.append(-np.log((share * y).sum(axis=1)).mean())
        slope = scale * (share - y) / len(x)
        grad_outer = np.maximum(pre, 0).T @ slope
        grad_inner = ((pre > 0) * (slope @ outer.T)).T @ inputs
        theta = theta - step * (np.hstack([grad_outer, grad_inner]) + ridge * theta)
    return np.array(found)
