"""Motorcycle: a relu network on real data, on the cylinder of outer weights and angles."""

import functools
import importlib.resources
import math

from wgflow.check import Check
from wgflow.data import Data, read_data
from wgflow.domain import Circle, Domain, WholeLine
from wgflow.energy import Entropy, Potential, Risk
from wgflow.errors import check_number
from wgflow.law import Gaussian, Product, Uniform
from wgflow.loop import solve
from wgflow.neuron import Neuron
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow
from wgflow.solvers.sgd import SGD

SOURCE = (
    "Data: B. W. Silverman, Some aspects of the spline smoothing approach to non-parametric "
    "regression curve fitting, J. R. Stat. Soc. B 47 (1985): head acceleration of a helmet in a "
    "simulated motorcycle crash, 133 values. The problem is set here."
)

SOLVERS: dict[str, Solver] = {
    "particles": ParticleFlow(count=4000, step=2e-3),
    "jko": JKO(step=0.25, shape=(144, 76), method="entropic"),
    "finite-volume": FiniteVolume(step=0.1, shape=(144, 76), time_order=2),
    "sgd": SGD(width=4000, step=5e-4, batch=32),
}

RISK = {
    2: 0.1444,
    4: 0.1281,
    6: 0.1197,
    8: 0.1147,
    10: 0.1114,
    12: 0.1091,
    14: 0.1075,
    16: 0.1064,
    18: 0.1055,
    20: 0.1048,
}
"""Risk at these times from an independent code: entropic JKO, 192 x 96 cells, step 0.125."""


def problem(
    temperature: float = 0.01,
    ridge: float = 0.01,
    scale: float = 20.0,
    window: float = 6.0,
    horizon: float = 20.0,
    data: Data | None = None,
) -> Problem:
    """Relu network fitted to head accelerations in a motorcycle crash (133 values).

    The unit is a max(cos(v) x + sin(v), 0): inner weight and bias lie on the unit circle, so that
    theta = (a, v) lives on a cylinder with the flat metric. F(rho) = (1/n) sum_i
    (f_rho(x_i) - y_i)^2 / 2 + ridge int a^2/2 drho + temperature int rho log rho, with
    f_rho = scale int unit drho and both columns of the data standardised. At the start a ~ N(0, 1)
    and v is uniform. On grids a is cut to [-window, window] with walls; particles are free.

    Known: risk 0.5 at the start on the grid (0.5 + 100/m on average for m particles); the risk at
    t = 2, 4, ..., 20 from an independent code; the minimum F* = 0.0902 from its dual.
    """
    window = check_number("The parameter window", window, above=0)
    with importlib.resources.as_file(importlib.resources.files("wgflow.cases")) as folder:
        sample = data or read_data(folder / "data" / "motorcycle.csv")
    risk = Risk(
        sample.standardised(),
        Neuron("relu", outer="weight", bias=True, chart="circle"),
        loss="half_squared",
        scale=check_number("The parameter scale", scale, above=0),
    )
    return Problem(
        energy=risk
        + Potential.quadratic((check_number("The parameter ridge", ridge, least=0), 0), "ridge")
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(WholeLine(window=(-window, window)), Circle(), names=("a", "v")),
        initial=Product(Gaussian(0.0, 1.0), Uniform(-math.pi, math.pi)),
        horizon=horizon,
        save_times=_save_times(horizon),
    )


def _save_times(horizon: float) -> list[float] | None:
    """Return every second unit of time, and a few early ones, where most of the risk is lost."""
    if not check_number("The horizon", horizon, above=0, most=1e6) >= 4:
        return None
    later = [2.0 * k for k in range(1, math.ceil(horizon / 2))]
    return [0.25, 0.5, 1.0, *later]


def _risk_by_jko(time: float) -> float:
    return float(solve(problem(horizon=time), SOLVERS["jko"]).risk[-1])


CHECKS = tuple(
    Check(
        quantity=f"risk at t = {time} by JKO",
        compute=functools.partial(_risk_by_jko, time),
        reference=reference,
        tolerance=0.01 * reference,
        kind="independent",
        source="entropic JKO by a separate code, 192 x 96 cells, step 0.125",
    )
    for time, reference in RISK.items()
)
