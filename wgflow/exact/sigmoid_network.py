"""Networks of sigmoids over normal inputs: their second moment, and a quadrature for steep ones."""

import math

import numpy as np

from wgflow.populations import NormalInputs


def sigmoid_kernel(
    left: np.ndarray, right: np.ndarray, spread: float, nodes: int = 16
) -> np.ndarray:
    """Return E sigma(v_i.x) sigma(w_j.x) for x ~ N(0, spread^2 I), shape (m, n).

    sigma(z) = P(L < z) for a logistic variable L = 2 K N, with N standard normal and K of
    Kolmogorov's law (D. F. Andrews and C. L. Mallows, Scale mixtures of normal distributions, J.
    R. Stat. Soc. B 36, 1974). Given K and K' the product is the probability that two normals of
    correlation r = s^2 v.w / sqrt((s^2 |v|^2 + 4 K^2)(s^2 |w|^2 + 4 K'^2)) are positive,
    1/2 - arccos(r) / 2 pi.

    Parameters
    ----------
    left, right
        v and w, shapes (m, d) and (n, d).
    nodes
        Of the trapezoidal rule for log K and log K'; 16 leave 3e-10, 12 leave 2e-6.
    """
    logarithm = np.linspace(math.log(0.17), math.log(3.4), nodes)
    scale, terms = np.exp(logarithm), np.arange(1, 60)[:, np.newaxis]
    series = (-1.0) ** (terms - 1) * terms**2 * np.exp(-2 * terms**2 * scale**2)
    weight = 8 * scale**2 * series.sum(axis=0) * (logarithm[1] - logarithm[0])
    added = (2 * scale / spread) ** 2
    size, other_size = (left**2).sum(axis=1), (right**2).sum(axis=1)
    product, kernel = left @ right.T, np.zeros((len(left), len(right)))
    for k, share in zip(added, weight, strict=True):
        for other, other_share in zip(added, weight, strict=True):
            lengths = np.sqrt(np.multiply.outer(size + k, other_size + other))
            kernel += share * other_share * (0.5 - np.arccos(product / lengths) / (2 * np.pi))
    return kernel


def second_moment(outer: np.ndarray, inner: np.ndarray, spread: float) -> float:
    """Return E f(x)^2 of f(x) = sum_j u_j sigma(v_j.x) for x ~ N(0, spread^2 I).

    With the units of a teacher among them, of weights -u, it is the risk of a network.

    Parameters
    ----------
    outer, inner
        u and v, shapes (m,) and (m, d).
    """
    return float(outer @ sigmoid_kernel(inner, inner, spread) @ outer)


class SpiralInputs(NormalInputs):
    """x ~ N(0, std^2 I_2), with the points of a golden-angle spiral as its quadrature.

    Steep units are all but constant on either side of a line through 0, and are averaged well
    where angles are even on every ring; a tensor grid sees few angles.
    """

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return `nodes` points in all, the k-th at the quantile (k + 1/2)/nodes of |x|."""
        place = np.arange(nodes) + 0.5
        angle = np.pi * (math.sqrt(5) - 1) * place
        radius = self.std * np.sqrt(-2 * np.log1p(-place / nodes))
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return points, np.full(nodes, 1.0 / nodes)
