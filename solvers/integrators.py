"""Explicit time integrators of the particle system, with and without noise.

A method turns the state of a cloud at one time into that at the next. `increments` are those of
the Brownian motion, or 0.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from wgflow.solver import State
from wgflow.solvers.cloud import Cloud

REFRESHED = 8
"""The most steps between two estimates of the spectral radius."""
TRAVELLED = 1.0
"""The sum of xi dt times the radius between two estimates, at most: particles that move in a time
of order 1 / radius change it."""
FIRST_ITERATIONS = 12
"""Power iterations before the first step."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Where a method arrives.

    Attributes
    ----------
    state
        The new state, with positions not yet folded.
    evaluations
        Of the velocity.
    difference
        Root-mean-square distance of the particles of the two orders of an embedded pair, which
        bounds the W2 distance of their laws; None for other methods.
    """

    state: State
    evaluations: int
    difference: float | None = None


Advance = Callable[[Cloud, State, float, float, np.ndarray | float], Outcome]


def euler(
    cloud: Cloud, state: State, time: float, dt: float, increments: np.ndarray | float
) -> Outcome:
    """Take a step of Euler's method; with noise it is Euler-Maruyama's."""
    position = state["position"]
    moved = position + dt * cloud.velocity(position, time) + increments
    return Outcome({**state, "position": moved}, 1)


def heun(
    cloud: Cloud, state: State, time: float, dt: float, increments: np.ndarray | float
) -> Outcome:
    """Take a step of Heun's method,

        X = x + dt v(t, x) + dW,    x+ = x + dt [v(t, x) + v(t + dt, X)] / 2 + dW.

    Of order 2; with noise, which is additive here, of weak order 2 and strong order 1. Source:
    Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, section 15.1.
    """
    position = state["position"]
    slope = cloud.velocity(position, time)
    predicted = cloud.fold(position + dt * slope + increments)
    slope = (slope + cloud.velocity(predicted, time + dt)) / 2
    return Outcome({**state, "position": position + dt * slope + increments}, 2)


def bogacki_shampine(
    cloud: Cloud, state: State, time: float, dt: float, increments: np.ndarray | float
) -> Outcome:
    """Take a step of the embedded pair of orders 3 and 2 of Bogacki and Shampine.

    The last velocity of a step is the first of the next one, and is kept in the state as `slope`.
    Source: Bogacki and Shampine, A 3(2) pair of Runge-Kutta formulas (Appl. Math. Lett. 2, 1989).
    """
    position, first = state["position"], state["slope"]
    second = cloud.velocity(cloud.fold(position + dt / 2 * first), time + dt / 2)
    third = cloud.velocity(cloud.fold(position + 3 * dt / 4 * second), time + 3 * dt / 4)
    moved = position + dt * (2 / 9 * first + 1 / 3 * second + 4 / 9 * third)
    last = cloud.velocity(cloud.fold(moved), time + dt)
    # The formula of order 2 has the weights 7/24, 1/4, 1/3, 1/8.
    difference = dt * (-5 / 72 * first + second / 12 + third / 9 - last / 8)
    apart = cloud.root_mean_square(difference)
    return Outcome({**state, "position": moved, "slope": last}, 3, apart)


@dataclasses.dataclass(frozen=True)
class Method:
    """A time integrator.

    Attributes
    ----------
    order
        In the time step; the weak order with noise.
    noisy
        Whether it is for positive temperature, rather than for temperature 0.
    embedded
        Whether it estimates the error of a step.
    """

    advance: Advance
    order: int
    noisy: bool
    embedded: bool = False


METHODS = {
    "euler": Method(euler, 1, noisy=False),
    "heun": Method(heun, 2, noisy=False),
    "bogacki-shampine": Method(bogacki_shampine, 3, noisy=False, embedded=True),
    "euler-maruyama": Method(euler, 1, noisy=True),
    "stochastic-heun": Method(heun, 2, noisy=True),
}


def spectral_radius(
    cloud: Cloud, position: np.ndarray, direction: np.ndarray, iterations: int
) -> tuple[np.ndarray, float]:
    """Estimate the spectral radius of the Jacobian of grad g in all particles at once.

    By power iterations with one-sided differences of grad g. The Jacobian is symmetric, so that
    every iterate is a lower bound that grows towards the radius.

    Parameters
    ----------
    direction
        Where to begin, of root-mean-square 1, shape (s, D).

    Returns
    -------
    The last direction, and the radius
    """
    size = max(1.0, cloud.root_mean_square(position))
    # The square root of the unit of rounding of the sums.
    single = cloud.precision == "single"
    offset = np.sqrt(np.finfo(np.float32 if single else np.float64).eps) * size
    base, radius = cloud.gradient(position), 0.0
    for _ in range(iterations):
        change = (cloud.gradient(position + offset * direction) - base) / offset
        radius = cloud.root_mean_square(change)
        if not (np.isfinite(radius) and radius > 0):
            return direction, radius
        direction = change / radius
    return direction, radius
