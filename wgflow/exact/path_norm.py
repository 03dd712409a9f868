"""A relu network in the plane under a penalty on its path norm: its minimum, and the rate to it.

J(rho) = E (f_rho(x) - f*(x))^2 + mu int |a| |w| drho over laws of (a, w) in R x R^2, with f_rho(x)
= int a max(w.x, 0) drho, x ~ N(0, I) and a teacher f* of three neurons; relu being homogeneous, any
isotropic x with E |x|^2 = 2 does as well. Everything is dimensionless, and defaults are those of
the case path-norm-teacher. Derived here, and tested against quadrature, differences and the energy
of the case.
"""

import dataclasses
import functools
import math

import numpy as np
from scipy.optimize import minimize

from wgflow.energy import Potential
from wgflow.law import Law, Samples
from wgflow.measure import Measure, Particles

ANGLES, MASSES = np.array([0.35, 2.5, 4.3]), np.array([1.0, 0.7, -0.6])
"""The teacher, f*(x) = sum_k mass_k max(cos(angle_k) x_1 + sin(angle_k) x_2, 0)."""


class Balanced(Law):
    """(a, w) with a = size or -size, equally likely, and w uniform on the circle of radius size."""

    dimension = 3

    def __init__(self, size: float) -> None:
        self.size = size

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, 3)."""
        angle = generator.uniform(-math.pi, math.pi, count)
        sign = generator.choice((-1.0, 1.0), count)
        return self.size * np.stack([sign, np.cos(angle), np.sin(angle)], axis=1)


def teacher(x: np.ndarray) -> np.ndarray:
    """Return f* at inputs (n, 2), shape (n,)."""
    inner = x @ np.stack([np.cos(ANGLES), np.sin(ANGLES)])
    return np.maximum(inner, 0.0) @ MASSES


def penalty(strength: float) -> Potential:
    """Return the energy strength int |a| |w| drho; its gradient is 0 where it has kinks."""

    def value(theta: np.ndarray) -> np.ndarray:
        return strength * np.abs(theta[:, 0]) * np.linalg.norm(theta[:, 1:], axis=1)

    def gradient(theta: np.ndarray) -> np.ndarray:
        a, w = theta[:, :1], theta[:, 1:]
        length = np.linalg.norm(w, axis=1, keepdims=True)
        unit = w / np.maximum(length, np.finfo(float).tiny)
        return strength * np.concatenate([np.sign(a) * length, np.abs(a) * unit], axis=1)

    return Potential(value, gradient, "path_norm")


def kernel(angle: np.ndarray, derivative: int = 0) -> np.ndarray:
    """Return k(t) = E max(u.x, 0) max(v.x, 0) for unit vectors u, v at an angle t, x ~ N(0, I),

    (sin t + (pi - t) cos t) / (2 pi) for 0 <= t <= pi (Y. Cho and L. Saul, Kernel methods for deep
    learning, NIPS 2009; recalled), or one of its first two derivatives.
    """
    turned = _turned(angle)
    t = np.abs(turned)
    if derivative == 0:
        return (np.sin(t) + (math.pi - t) * np.cos(t)) / (2 * math.pi)
    if derivative == 1:
        return -np.sign(turned) * (math.pi - t) * np.sin(t) / (2 * math.pi)
    return (np.sin(t) - (math.pi - t) * np.cos(t)) / (2 * math.pi)


@dataclasses.dataclass(frozen=True)
class Optimum:
    """Three neurons that minimise J, as atoms of signed mass a |w| at angles.

    Attributes
    ----------
    penalty, value
        mu and J.
    angles, masses
        Shape (3,).
    """

    penalty: float
    value: float
    angles: np.ndarray
    masses: np.ndarray

    def variation(self, angle: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Return G at unit vectors of these angles (n,), or a derivative of it in the angle.

        A law is optimal just where |G| <= penalty everywhere and G = -penalty sgn(a) at its atoms.
        """
        places = np.concatenate([self.angles, ANGLES])
        charges = np.concatenate([self.masses, -MASSES])
        return 2 * kernel(angle[:, np.newaxis] - places, derivative) @ charges

    @property
    def law(self) -> Particles:
        """The three neurons, with |a| = |w| alike for all, and weights."""
        total = float(np.abs(self.masses).sum())
        theta = unit_neurons(self.angles, np.sign(self.masses))
        return Particles(math.sqrt(total) * theta, np.abs(self.masses) / total)

    @property
    def rate(self) -> float:
        """The rate at which J ends, 2 min_k sgn(a_k) G''(angle_k).

        Neurons gather at the atoms, each by angle' = -sgn(a) G'(angle), and J exceeds its minimum
        by the square of what is left. Masses and mean angles settle faster.
        """
        return 2 * float((np.sign(self.masses) * self.variation(self.angles, 2)).min())


@functools.cache
def optimum(penalty: float = 0.1) -> Optimum:
    """Return the minimum of J by a quasi-Newton method in three atoms, with the kernel itself."""

    def parts(atoms: np.ndarray) -> Optimum:
        angles, masses = np.split(atoms, 2)
        places, charges = np.concatenate([angles, ANGLES]), np.concatenate([masses, -MASSES])
        risk = charges @ kernel(places[:, np.newaxis] - places) @ charges
        return Optimum(penalty, float(risk) + penalty * np.abs(masses).sum(), angles, masses)

    def gradient(atoms: np.ndarray) -> np.ndarray:
        here = parts(atoms)
        slope = here.masses * here.variation(here.angles, 1)
        return np.concatenate([slope, here.variation(here.angles) + penalty * np.sign(here.masses)])

    start = np.concatenate([ANGLES, 0.8 * MASSES])
    found = minimize(lambda atoms: parts(atoms).value, start, jac=gradient, options={"gtol": 1e-12})
    return parts(found.x)


def near_optimum(spread: float, count: int = 1000) -> Samples:
    """Return neurons at the atoms of the minimum, those of the slowest spread in angle."""
    best = optimum()
    total = float(np.abs(best.masses).sum())
    shares = np.rint(count * np.abs(best.masses) / total).astype(int)
    sign = np.sign(best.masses)
    slowest = int((sign * best.variation(best.angles, 2)).argmin())
    angles = [np.full(share, angle) for share, angle in zip(shares, best.angles, strict=True)]
    angles[slowest] = angles[slowest] + np.linspace(-spread, spread, shares[slowest])
    angle = np.concatenate(angles)
    return Samples(math.sqrt(total) * unit_neurons(angle, np.repeat(sign, shares)))


def unit_neurons(angle: np.ndarray, a: np.ndarray | float = 1.0) -> np.ndarray:
    """Return (a, w) with unit vectors w at angles (n,), shape (n, 3)."""
    return np.stack([np.broadcast_to(a, angle.shape), np.cos(angle), np.sin(angle)], axis=1)


def mass_near(law: Measure, angle: float) -> float:
    """Return the signed mass int a |w| drho of the neurons with w within 0.3 of an angle."""
    a, *w = law.points.T
    apart = np.abs(_turned(np.arctan2(w[1], w[0]) - angle))
    return float((law.mass * a * np.hypot(*w))[apart < 0.3].sum())


def _turned(angle: np.ndarray) -> np.ndarray:
    """Return angles from -pi to pi."""
    return np.mod(angle + math.pi, 2 * math.pi) - math.pi
