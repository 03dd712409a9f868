"""Tanh network: the standard small network on which all solvers are set against each other."""

import functools
from typing import Literal

import numpy as np

from wgflow.check import Check
from wgflow.data import Data
from wgflow.domain import Domain, Interval
from wgflow.energy import Entropy, Potential, Risk
from wgflow.errors import check_count, check_number
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.neuron import Neuron
from wgflow.optimality import Dual
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow
from wgflow.solvers.sgd import SGD

SOURCE = "Set here: a noisy sine seen through a hundred and fifty samples."

SOLVERS: dict[str, Solver] = {
    "jko": JKO(step=0.25, shape=(112, 112), method="balanced", time_order=2),
    "finite-volume": FiniteVolume(step=0.25, shape=(128, 128), time_order=2),
    "particles": ParticleFlow(count=20000, step=1e-2),
    "sgd": SGD(width=4000, step=2e-3, batch=50),
}


def problem(
    temperature: float = 0.02,
    ridge: float = 0.02,
    samples: int = 150,
    outer: Literal["weight", "fixed"] = "weight",
    horizon: float = 5.0,
    data: Data | None = None,
) -> Problem:
    """Tanh network a tanh(w x) fitted to a noisy sine, in a square.

    x ~ U(-3, 3), y = sin(1.5 x) + 0.1 N(0, 1), drawn once from a fixed seed; F(rho) = (1/n) sum_i
    (f_rho(x_i) - y_i)^2 / 2 + ridge int (a^2 + w^2)/2 drho + temperature int rho log rho on
    [-5, 5]^2, from N(0, I). With outer = fixed the weight a is 1 and theta = w in [-5, 5].

    Known: the risk at t = 5 is 0.2104, F there is 0.1821, and the minimum F* is 0.1521.
    """
    samples = check_count("The parameter samples", samples, least=2, most=100_000)
    risk = Risk(data or _sine(samples), Neuron("tanh", outer=outer))
    names = ("a", "w") if outer == "weight" else ("w",)
    stiffness = check_number("The parameter ridge", ridge, least=0)
    return Problem(
        energy=risk
        + Potential.quadratic((stiffness,) * len(names), "ridge")
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(*(Interval(-5.0, 5.0) for _ in names), names=names),
        initial=Gaussian((0.0,) * len(names), 1.0),
        horizon=horizon,
    )


def _sine(count: int) -> Data:
    generator = np.random.default_rng(0)
    x = np.sort(generator.uniform(-3, 3, count))
    return Data(x, np.sin(1.5 * x) + 0.1 * generator.standard_normal(count))


def _minimum() -> float:
    case = problem()
    return Dual(case.energy, case.domain.grid((128, 128))).maximise().value


def _risk_by(name: str) -> float:
    return float(solve(problem(), SOLVERS[name]).risk[-1])


CHECKS = (
    Check(
        quantity="minimum F* on 128 x 128 cells",
        compute=_minimum,
        reference=0.1520992853,
        tolerance=1e-10,
        kind="independent",
        source="damped Newton on the dual by a separate code",
    ),
    *(
        Check(
            quantity=f"risk at t = 5 by {name}",
            compute=functools.partial(_risk_by, name),
            reference=0.210367,
            tolerance=1e-4,
            kind="independent",
            source="explicit finite volumes by a separate code, 128^2 and 256^2 extrapolated",
        )
        for name in ("jko", "finite-volume")
    ),
)
