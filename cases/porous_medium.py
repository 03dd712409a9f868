"""Porous medium: the Barenblatt solution, a spreading drop with a sharp front."""

import math

import numpy as np
from scipy.optimize import brentq

from wgflow.check import Check
from wgflow.domain import Domain, Interval
from wgflow.energy import Energy, PowerEntropy
from wgflow.errors import InputError, check_count, check_number
from wgflow.law import Density
from wgflow.loop import solve
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO

SOURCE = (
    "G. I. Barenblatt, On some unsteady motions of a liquid and gas in a porous medium, Prikl. "
    "Mat. Mekh. 16 (1952); as a gradient flow: F. Otto, The geometry of dissipative evolution "
    "equations: the porous medium equation, Comm. PDE 26 (2001)."
)

SOLVERS: dict[str, Solver] = {
    "finite-volume": FiniteVolume(step=1e-4, shape=(128, 128)),
    "jko": JKO(step=1e-4, shape=(96, 96), time_order=2),
}


def problem(
    exponent: float = 2.0,
    dimension: int = 2,
    start: float = 0.2,
    stop: float = 0.4,
) -> Problem:
    """Barenblatt drop of unit mass in a box, from one radius to another.

    F(rho) = int rho^m / (m - 1), so that d_t rho = Laplace rho^m, on [-1/2, 1/2]^d. The time of the
    run begins at 0, where the drop has the radius `start`; the run ends at the radius `stop`.

    Known: the solution at all times, rho = t^-a (C - q |x|^2 t^(-2 a/d))_+^(1/(m-1)) with
    a = d/(d (m - 1) + 2) and q = a (m - 1)/(2 m d); a JKO step keeps the profile and changes its
    radius by a scalar equation.
    """
    exponent = check_number("The parameter exponent", exponent, above=1, most=20)
    dimension = check_count("The parameter dimension", dimension, most=3)
    stop = check_number("The parameter stop", stop, above=0, most=0.5)
    if not 0 < check_number("The parameter start", start) < stop:
        raise InputError(f"The parameter start is {start:g}, but must be in (0, stop = {stop:g}).")
    names = [f"position_{k}" for k in range(1, dimension + 1)]
    return Problem(
        energy=Energy(PowerEntropy(exponent)),
        domain=Domain(*(Interval(-0.5, 0.5) for _ in names), names=names),
        initial=drop(start, exponent, dimension),
        horizon=time_of(stop, exponent, dimension) - time_of(start, exponent, dimension),
    )


def drop(radius: float, exponent: float, dimension: int) -> Density:
    """Return the Barenblatt law of this radius, integrated over cells with 4^d points each."""
    power = 1 / (exponent - 1)

    def density(points: np.ndarray) -> np.ndarray:
        return np.maximum(1 - (points**2).sum(axis=1) / radius**2, 0.0) ** power

    box = [0.5] * dimension
    return Density(density, [-end for end in box], box, points=4)


def time_of(radius: float, exponent: float, dimension: int) -> float:
    """Return the time at which a point source of unit mass has spread to this radius."""
    rate = dimension / (dimension * (exponent - 1) + 2)
    quotient = rate * (exponent - 1) / (2 * exponent * dimension)
    # The density at the centre of the drop is (quotient radius^2 / t)^power.
    power = 1 / (exponent - 1)
    height = 1 / (_ball(0, power, dimension) * radius**dimension)
    return quotient * radius**2 / height ** (1 / power)


def radius_at(time: float, exponent: float, dimension: int) -> float:
    """Return the radius at a time since the point source."""
    rate = 1 / (dimension * (exponent - 1) + 2)
    return (time / time_of(1.0, exponent, dimension)) ** rate


def jko_radius(radius: float, step: float, exponent: float, dimension: int) -> float:
    """Return the radius s after an exact JKO step, with the profile B of radius 1 and mass 1:

    (s - radius) M2 / step = d (m - 1) E1 s^(-d (m - 1) - 1),   M2 = int |x|^2 B,
    E1 = int B^m / (m - 1).
    """
    power, spread = 1 / (exponent - 1), dimension * (exponent - 1)
    height = 1 / _ball(0, power, dimension)
    moment = height * _ball(2, power, dimension)
    energy = height**exponent * _ball(0, power * exponent, dimension) / (exponent - 1)

    def balance(s: float) -> float:
        return (s - radius) * moment / step - spread * energy * s ** (-spread - 1)

    return float(brentq(balance, radius, 10 * radius + 10, xtol=1e-15, rtol=1e-14))


def _ball(degree: int, power: float, dimension: int) -> float:
    """Return the integral of |x|^degree (1 - |x|^2)^power over the unit ball."""
    sphere = 2 * math.pi ** (dimension / 2) / math.gamma(dimension / 2)
    half = (dimension + degree) / 2
    return sphere / 2 * math.gamma(half) * math.gamma(power + 1) / math.gamma(half + power + 1)


def distance(law: GridMeasure, radius: float, exponent: float, dimension: int) -> float:
    """Return the L1 distance of a law on a grid from the Barenblatt law of this radius."""
    exact = drop(radius, exponent, dimension).masses(law.edges)
    return float(np.abs(law.mass_on_grid - exact).sum())


def _distance_by(name: str) -> float:
    law = solve(problem(), SOLVERS[name]).measure(-1)
    assert isinstance(law, GridMeasure)
    return distance(law, 0.4, 2.0, 2)


CHECKS = (
    Check(
        quantity="L1 distance from the Barenblatt law by finite volumes, 128 x 128 cells",
        compute=lambda: _distance_by("finite-volume"),
        reference=0.0,
        tolerance=4e-4,
        kind="exact",
        source="Barenblatt's solution",
    ),
    Check(
        quantity="L1 distance from the Barenblatt law by JKO, 96 x 96 cells",
        compute=lambda: _distance_by("jko"),
        reference=0.0,
        tolerance=4e-3,
        kind="exact",
        source="Barenblatt's solution",
    ),
)
