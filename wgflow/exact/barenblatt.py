"""Barenblatt's solution of the porous medium equation, a drop that spreads with a sharp front.

F(rho) = int rho^m / (m - 1), d_t rho = Laplace rho^m in d dimensions; m is the `exponent`. The law
of radius R is proportional to (1 - |x|^2 / R^2)_+^(1/(m - 1)) and has mass one; everything is
dimensionless. After G. I. Barenblatt, Prikl. Mat. Mekh. 16 (1952), recalled; derived here, and
tested against the equation, quadrature and minimisation.
"""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv

from wgflow.exact.recursion import after
from wgflow.law import Density
from wgflow.measure import GridMeasure


def drop(radius: float, exponent: float, dimension: int) -> Density:
    """Return the law of this radius on [-1/2, 1/2]^d, integrated over cells with 4^d points."""
    power = 1 / (exponent - 1)

    def density(points: np.ndarray) -> np.ndarray:
        return np.maximum(1 - (points**2).sum(axis=1) / radius**2, 0.0) ** power

    box = [0.5] * dimension
    return Density(density, [-end for end in box], box, points=4)


def distance(law: GridMeasure, radius: float, exponent: float, dimension: int) -> float:
    """Return the L1 distance of a law on a grid from the law of this radius."""
    return law.l1_distance(drop(radius, exponent, dimension).grid(law.edges))


def density_on_line(x: np.ndarray, radius: float, exponent: float) -> np.ndarray:
    """Return the density of the law of this radius in one dimension, in the shape of x."""
    power = 1 / (exponent - 1)
    height = 1 / (_ball(0, power, 1) * radius)
    return height * np.maximum(1 - (x / radius) ** 2, 0.0) ** power


def time_of(radius: float, exponent: float, dimension: int) -> float:
    """Return the time at which a point source of unit mass has spread to this radius."""
    rate = dimension / (dimension * (exponent - 1) + 2)
    quotient = rate * (exponent - 1) / (2 * exponent * dimension)
    # The density at the centre of the drop is (quotient radius^2 / t)^power.
    power = 1 / (exponent - 1)
    height = 1 / (_ball(0, power, dimension) * radius**dimension)
    return quotient * radius**2 / height ** (1 / power)


def time_between(start: float, stop: float, exponent: float, dimension: int) -> float:
    """Return the time in which a drop spreads from one radius to another."""
    return time_of(stop, exponent, dimension) - time_of(start, exponent, dimension)


def radius_at(time: float, exponent: float, dimension: int) -> float:
    """Return the radius at a time since the point source."""
    rate = 1 / (dimension * (exponent - 1) + 2)
    return (time / time_of(1.0, exponent, dimension)) ** rate


def second_moment(radius: float, exponent: float, dimension: int) -> float:
    """Return M2 R^2, the integral of |x|^2 over the law of radius R."""
    return radius**2 * _of_unit(exponent, dimension)[0]


def free_energy(radius: float, exponent: float, dimension: int) -> float:
    """Return E1 R^(-d (m - 1)), the free energy of the law of radius R."""
    spread = dimension * (exponent - 1)
    return _of_unit(exponent, dimension)[1] * radius**-spread


def jko_radius(radius: float, step: float, exponent: float, dimension: int) -> float:
    """Return the radius s after an exact JKO step, with the profile B of radius 1 and mass 1:

    (s - radius) M2 / step = d (m - 1) E1 s^(-d (m - 1) - 1),   M2 = int |x|^2 B,
    E1 = int B^m / (m - 1).
    """
    moment, energy = _of_unit(exponent, dimension)
    spread = dimension * (exponent - 1)

    def balance(s: float) -> float:
        return (s - radius) * moment / step - spread * energy * s ** (-spread - 1)

    return float(brentq(balance, radius, 10 * radius + 10, xtol=1e-15, rtol=1e-14))


def extrapolated_jko_radius(radius: float, step: float, exponent: float, dimension: int) -> float:
    """Return the radius after a step of order 2 on moving cells, 2 s_(tau/2, tau/2) - s_tau."""
    halved = after(2, jko_radius, radius, step / 2, exponent, dimension)
    return 2 * halved - jko_radius(radius, step, exponent, dimension)


def front_quantile(beyond: float, radius: float, exponent: float) -> float:
    """Return the point beyond which that mass lies, of the law in one dimension.

    (x/R)^2 has the Beta(1/2, 1/(m - 1) + 1) law.
    """
    power = 1 / (exponent - 1)
    return radius * math.sqrt(betaincinv(0.5, power + 1, 1 - 2 * beyond))


def _of_unit(exponent: float, dimension: int) -> tuple[float, float]:
    """Return M2 and E1 of the profile of radius 1 and mass 1."""
    power = 1 / (exponent - 1)
    height = 1 / _ball(0, power, dimension)
    energy = height**exponent * _ball(0, power * exponent, dimension) / (exponent - 1)
    return height * _ball(2, power, dimension), energy


def _ball(degree: int, power: float, dimension: int) -> float:
    """Return the integral of |x|^degree (1 - |x|^2)^power over the unit ball."""
    sphere = 2 * math.pi ** (dimension / 2) / math.gamma(dimension / 2)
    half = (dimension + degree) / 2
    return sphere / 2 * math.gamma(half) * math.gamma(power + 1) / math.gamma(half + power + 1)
