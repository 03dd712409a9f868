"""Ornstein-Uhlenbeck: a Gaussian in a quadratic well, with everything known in closed form."""

import math

from wgflow.check import Check
from wgflow.domain import Domain, WholeLine
from wgflow.energy import Entropy, Potential
from wgflow.errors import check_number
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow

SOURCE = (
    "L. S. Ornstein and G. E. Uhlenbeck, On the theory of the Brownian motion, Phys. Rev. 36 "
    "(1930); its law is a gradient flow after R. Jordan, D. Kinderlehrer and F. Otto, SIAM J. "
    "Math. Anal. 29 (1998)."
)

SOLVERS: dict[str, Solver] = {
    "particles": ParticleFlow(count=10000, step=1e-2),
    "jko": JKO(step=0.05, shape=(512,)),
    "finite-volume": FiniteVolume(step=0.05, shape=(512,), time_order=2),
}


def problem(
    stiffness: float = 1.0,
    temperature: float = 0.2,
    mean: float = 1.0,
    std: float = 0.5,
    horizon: float = 2.0,
) -> Problem:
    """Gaussian in a quadratic well on the line; mean and variance known at all times.

    F(rho) = int stiffness x^2/2 drho + temperature int rho log rho, from N(mean, std^2). On grids
    the line is cut to [-8, 8] with walls.

    Known: the mean decays as e^(-k t), the variance goes to temperature/k as e^(-2 k t); the Gibbs
    law is N(0, temperature/k); entropic JKO steps obey a closed recursion.
    """
    stiffness = check_number("The parameter stiffness", stiffness, above=0)
    return Problem(
        energy=Potential.quadratic((stiffness,))
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(WholeLine(window=(-8.0, 8.0)), names=("position_1",)),
        initial=Gaussian(mean, std),
        horizon=horizon,
    )


def mean_at(time: float, stiffness: float = 1.0, mean: float = 1.0) -> float:
    """Return the mean of the flow."""
    return mean * math.exp(-stiffness * time)


def variance_at(
    time: float, stiffness: float = 1.0, temperature: float = 0.2, std: float = 0.5
) -> float:
    """Return the variance of the flow."""
    limit = temperature / stiffness
    return limit + (std**2 - limit) * math.exp(-2 * stiffness * time)


def jko_std(std: float, stiffness: float, temperature: float, step: float) -> float:
    """Return the standard deviation s after one exact JKO step, per axis:

    (1 + k tau) s^2 - s_k s - lambda tau = 0.
    """
    shrink = 1 + stiffness * step
    return (std + math.sqrt(std**2 + 4 * temperature * step * shrink)) / (2 * shrink)


def entropic_jko_variance(
    variance: float, stiffness: float, temperature: float, step: float
) -> float:
    """Return the variance after one entropic step, v/(1 + k tau)^2 + 2 lambda tau/(1 + k tau)."""
    shrink = 1 + stiffness * step
    return variance / shrink**2 + 2 * temperature * step / shrink


def _mean_by_jko() -> float:
    settings = SOLVERS["jko"]
    law = solve(problem(), settings).measure(-1)
    return float(law.mass @ law.points[:, 0])


def _recursion(count: int, step: float) -> float:
    return (1 + step) ** -count


CHECKS = (
    Check(
        quantity="mean at t = 2 by 40 JKO steps",
        compute=_mean_by_jko,
        reference=_recursion(40, 0.05),
        tolerance=1e-8,
        kind="exact",
        source="one JKO step divides the mean by 1 + k tau",
    ),
)
