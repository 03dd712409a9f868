"""Ten atoms on a torus, a kernel of five modes an axis, and entropy: the minimiser of F.

F(rho) = G / 2 + tau int rho log rho with G = |rho - mu|^2 in the norm of the kernel

    k(x) = prod_a (1 + 2 sum_(j <= 5) cos(j x_a) / (1 + j)) = psi(x) . psi(y)    for x - y,

psi of 121 features, mu of equal atoms, on the torus of circumference 2 pi; everything is
dimensionless. The minimiser is found by Newton's method in the residuals p = int psi d(rho - mu),
and with it the slowest rate of the flow and the fit of finitely many particles at rest. Kernel
after L. Chizat, TMLR (2022), recalled; the rest is derived here, and tested against the dual over
all cells, differences of Fourier and hot particles.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.special import logsumexp

from wgflow.measure import Measure

MODES = 5
COEFFICIENTS = (1.0, *(2 / (1 + j) for j in range(1, MODES + 1)))
"""Of cos(j x_a) in a factor of the kernel, from j = 0 on."""


def target(atoms: int = 10) -> np.ndarray:
    """Return the places of the atoms, shape (atoms, 2)."""
    return np.random.default_rng(0).uniform(-math.pi, math.pi, (atoms, 2))


def features(points: np.ndarray) -> np.ndarray:
    """Return psi at points (m, 2), shape (m, 121), with k(x - y) = psi(x) . psi(y)."""
    j = np.arange(1, MODES + 1)
    axes = []
    for x in points.T:
        angle = np.multiply.outer(x, j)
        root = np.sqrt(COEFFICIENTS[1:])
        ones = np.ones((len(x), 1))
        axes.append(np.concatenate([ones, root * np.cos(angle), root * np.sin(angle)], axis=1))
    return np.einsum("mi,mj->mij", *axes).reshape(len(points), -1)


def residual(law: Measure) -> np.ndarray:
    """Return p = int psi d(rho - mu) of a law, shape (121,)."""
    return law.integral(features) - features(target()).mean(axis=0)


class Optimum(NamedTuple):
    """The minimiser of F, from Newton's method in the 121 residuals.

    Attributes
    ----------
    value, fit
        F* and G / 2 there.
    mass
        Masses on a grid, (cells, cells).
    covariance
        Of the features under the law, (121, 121).
    """

    value: float
    fit: float
    mass: np.ndarray
    covariance: np.ndarray


def dual(p: np.ndarray, temperature: float, cells: int) -> tuple[float, np.ndarray]:
    """Return D(p) and the masses of exp(-p . psi / temperature), (cells^2,), by sums over a grid.

    D(p) = -|p|^2 / 2 - p . psi(mu) - temperature log int exp(-p . psi / temperature) is a lower
    bound of F for all residuals p, and F* for the best.
    """
    psi, mean = _tables(cells)
    exponent = -(psi @ p) / temperature
    total = float(logsumexp(exponent))
    area = (2 * math.pi / cells) ** 2
    value = -p @ p / 2 - p @ mean - temperature * (total + math.log(area))
    return float(value), np.exp(exponent - total)


@functools.cache
def _tables(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the features on a grid, and their mean over the atoms."""
    edges = np.linspace(-math.pi, math.pi, cells + 1)
    x = (edges[1:] + edges[:-1]) / 2
    points = np.stack([part.reshape(-1) for part in np.meshgrid(x, x, indexing="ij")], axis=1)
    return features(points), features(target()).mean(axis=0)


@functools.cache
def optimum(temperature: float, cells: int = 64) -> Optimum:
    """Return the minimiser of F by Newton's method on D, damped, with sums over a grid."""
    psi, mean = _tables(cells)
    p = np.zeros(psi.shape[1])
    value, mass = dual(p, temperature, cells)
    for _ in range(50):
        reached = mass @ psi
        covariance = (psi.T * mass) @ psi - np.outer(reached, reached)
        ascent = reached - mean - p
        step = np.linalg.solve(np.eye(len(p)) + covariance / temperature, ascent)
        if ascent @ step < 1e-26:
            break
        length, floor = 1.0, 1e-13 * max(1.0, abs(value))
        while length > 1e-6 and dual(p + length * step, temperature, cells)[0] < value - floor:
            length /= 2
        p = p + length * step
        value, mass = dual(p, temperature, cells)
    fit = float(((reached - mean) ** 2).sum() / 2)
    return Optimum(value, fit, mass.reshape(cells, cells), covariance)


def linear_rate(temperature: float, degree: int = 12) -> float:
    """Return the first eigenvalue s of the flow linearised at its minimiser rho*.

    A small change rho* u has the first variation v = k * (rho* u) + tau u and obeys
    d_t (rho* u) = div(rho* grad v): K v = s Q^-1 v with K = -div(rho* grad) and Q the Hessian of F,
    by Galerkin's method with the modes exp(i k . x), |k_a| <= degree.
    """
    mass = optimum(temperature).mass
    moments = np.fft.fft2(mass)

    def paired(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return int exp(-i (k - l) . x) drho* for modes k (n, 2) and l (m, 2)."""
        apart = (one[:, np.newaxis] - other) % len(mass)
        return moments[apart[..., 0], apart[..., 1]]

    trial, own = (
        np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2, indexing="ij"), axis=-1)
        for most in (degree, MODES)
    )
    trial, own = trial.reshape(-1, 2), own.reshape(-1, 2)
    root = np.sqrt(1 / (1 + np.abs(own))).prod(axis=1)
    gram = paired(trial, trial)
    mixed = paired(trial, own) * root / temperature
    inner = np.eye(len(own)) + paired(own, own) * np.multiply.outer(root, root) / temperature
    inverse = gram / temperature - mixed @ np.linalg.solve(inner, mixed.conj().T)
    stiffness = gram * (trial @ trial.T)
    # The first eigenvalue is 0: a constant v changes nothing.
    return float(eigh(stiffness, inverse, eigvals_only=True, subset_by_index=[0, 1])[1])


def particle_fit(temperature: float, count: int) -> float:
    """Return the mean of G / 2 over the law at rest of `count` particles, to order 1 / count.

    That law is exp(-m G / 2 tau) over places, and -(1/m) d/dbeta of the logarithm of its integral,
    -m beta F* - log det(I + beta C) / 2 + ..., is the mean (beta = 1 / tau, C the covariance of the
    features under rho*, which depends on beta as well).
    """
    change = 1e-3 / temperature

    def determinant(beta: float) -> float:
        covariance = optimum(1 / beta).covariance
        return float(np.linalg.slogdet(np.eye(len(covariance)) + beta * covariance)[1])

    rise = determinant(1 / temperature + change) - determinant(1 / temperature - change)
    return optimum(temperature).fit + rise / (2 * change) / (2 * count)


def annealed(time: float, horizon: float = 80.0) -> float:
    """Return the temperature 20 / (k + 1) at t = 0.08 k, and 0 after 80 % of the horizon."""
    return 20 / (time / 0.08 + 1) if time < 0.8 * horizon else 0.0


class Sample(NamedTuple):
    """What 48 runs of another code found: mean and standard deviation."""

    mean: float
    deviation: float

    def error(self, count: int) -> float:
        """Return the standard error of the difference from the mean of `count` more runs."""
        return self.deviation * math.sqrt(1 / count + 1 / 48)


ANNEALED = {
    32.0: Sample(-2.9235, 0.2121),
    64.0: Sample(-3.6988, 0.3048),
    80.0: Sample(-5.775, 1.83),
}
"""log(G / 2) of 50 annealed particles in steps of 0.08 at three times, for the horizon 80.

By plain sums over pairs in NumPy, with random numbers of its own.
"""
