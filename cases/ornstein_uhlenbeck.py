"""Ornstein-Uhlenbeck: a Gaussian in a quadratic well, with everything known in closed form."""

import functools
import math

import numpy as np

from wgflow.check import Exact, exact_checks, rate_in_cells, rate_in_particles, rate_in_step
from wgflow.domain import Domain, Interval, WholeLine
from wgflow.energy import Entropy, Potential
from wgflow.errors import check_count, check_flag, check_number
from wgflow.exact import gaussian
from wgflow.exact.recursion import after
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.measure import grid_law
from wgflow.optimality import Dual
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow

SOURCE = (
    "G. E. Uhlenbeck and L. S. Ornstein, On the theory of the Brownian motion, Phys. Rev. 36 "
    "(1930); its law is a gradient flow after R. Jordan, D. Kinderlehrer and F. Otto, SIAM J. "
    "Math. Anal. 29 (1998). Cited from memory; the closed forms are derived and tested here."
)

EQUATION = (
    r"F(\rho) = \int \sum_j \frac{k_j x_j^2}{2} \, d\rho + \lambda \int \rho \log \rho, \qquad "
    r"\partial_t \rho = \sum_j \partial_j (k_j x_j \rho) + \lambda \Delta \rho"
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
    dimension: int = 1,
    anisotropy: float = 2.0,
    window: float = 8.0,
    walls: bool = False,
) -> Problem:
    """Gaussian in a quadratic well; mean, variance and free energy known at all times.

    F(rho) = int sum_j k_j x_j^2/2 drho + temperature int rho log rho, from N(mean, std^2) on every
    axis, with k_1 = stiffness and each further one `anisotropy` times the one before. On grids the
    line is cut to [-window, window] with walls; with walls=true particles are reflected there too.

    Known: each mean decays as e^(-k t), each variance goes to temperature/k as e^(-2 k t); the
    Gibbs law is N(0, temperature/k), F* = -temperature/2 sum_j log(2 pi temperature/k_j); JKO,
    entropic and balanced steps obey closed recursions.
    """
    stiffness = check_number("The parameter stiffness", stiffness, above=0)
    dimension = check_count("The parameter dimension", dimension, most=3)
    anisotropy = check_number("The parameter anisotropy", anisotropy, above=0, most=1e6)
    window = check_number("The parameter window", window, above=0)
    check_flag("The parameter walls", walls)
    end = Interval(-window, window) if walls else WholeLine(window=(-window, window))
    return Problem(
        energy=Potential.quadratic([stiffness * anisotropy**j for j in range(dimension)])
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(*[end] * dimension, names=[f"position_{j + 1}" for j in range(dimension)]),
        initial=Gaussian([mean] * dimension, std),
        horizon=horizon,
    )


@functools.cache
def _run(solver: Solver, horizon: float = 2.0, dimension: int = 1, window: float = 8.0) -> Run:
    """Return the run up to the horizon, with walls where the method needs them."""
    walls = isinstance(solver, JKO) and solver.method == "back-and-forth"
    made = problem(horizon=horizon, dimension=dimension, window=window, walls=walls)
    return solve(made.save_every(horizon), solver)


def _distance(run: Run, exact: Gaussian) -> float:
    """Return the L1 distance of the law at the end of a run from a Gaussian."""
    law = grid_law(run.measure(-1))
    return law.l1_distance(exact.grid(law.edges))


def _entropic(axis: int, stiffness: float) -> Exact:
    """Return the variance along an axis after 20 entropic steps of 0.1, on cells 1/6 wide."""
    start = gaussian.binned(0.25, 1 / 6)
    masses = after(20, gaussian.entropic_jko_variance, start, stiffness, 0.2, 0.1)
    return Exact(
        compute=lambda: _run(ENTROPIC_JKO, 2.0, 2).measure(-1).variance(axis),
        reference=gaussian.binned(masses, 1 / 6),
        error=1e-11,
        reason="aliases of the kernel, 2 exp(-2 pi^2 1.44) = 9e-13 a step, over ten that count",
        source="entropic recursion v+ = v/(1 + k tau)^2 + 2 lambda tau/(1 + k tau) on every axis",
    )


FINE_JKO = JKO(step=0.05, shape=(4096,))
ENTROPIC_JKO = JKO(step=0.1, shape=(96, 96), method="entropic")
BALANCED_JKO = JKO(step=0.1, shape=(512,), method="balanced", tolerance=1e-12)
BACK_AND_FORTH = JKO(step=0.1, shape=(256, 256), method="back-and-forth")
LONG_STEP = FiniteVolume(step=1e7, shape=(512,))
PLANE_VOLUMES = FiniteVolume(step=0.025, shape=(192, 192), time_order=2)
CLOUD = ParticleFlow(count=20000, step=0.05)
JKO_STD = after(10, gaussian.jko_std, 0.5, 1.0, 0.2, 0.05)
PLANE_STDS = [gaussian.jko_std(0.5, stiffness, 0.2, 0.1) for stiffness in (1.0, 2.0)]
PLANE_LAW = Gaussian((1 / 1.1, 1 / 1.2), PLANE_STDS)
BALANCED_START = gaussian.binned(0.25, 1 / 32)
BALANCED_VARIANCE = after(20, gaussian.balanced_jko_variance, BALANCED_START, 1.0, 0.2, 0.1)
MEAN, VARIANCE = gaussian.mean_at(2.0), gaussian.variance_at(2.0)
EULER_VARIANCE = after(40, gaussian.euler_maruyama_variance, 0.25, 1.0, 0.2, 0.05)
LEAST_ENERGY = -0.1 * math.log(2 * math.pi * 0.2)
OF_MODES = "lambda/2 sum_n (c_n/(n k tau))^2 for the modes at t = 0, c_n^2 = 5, 13.8, 27.6, ..."
EULER = "a step multiplies the mean by 1 - k h and makes (1 - k h)^2 v + 2 lambda h of v"

BY_JKO = {
    "mean after 10 JKO steps of 0.05": Exact(
        compute=lambda: _run(FINE_JKO, 0.5).measure(-1).mean(),
        reference=1.05**-10,
        error=2.6e-13,
        reason="the square of Newton's last correction, at most 1.6e-7, in each of ten steps",
        source="a JKO step divides the mean by 1 + k tau",
    ),
    "standard deviation after 10 JKO steps of 0.05, 4096 cells": Exact(
        compute=lambda: math.sqrt(_run(FINE_JKO, 0.5).measure(-1).variance()),
        reference=JKO_STD,
        error=9e-7,
        reason="second order in h: a third of the change from 2048 cells, 2.70e-6",
        source="JKO recursion (1 + k tau) s+^2 - s s+ - lambda tau = 0",
    ),
    "free energy after 10 JKO steps of 0.05, 4096 cells": Exact(
        compute=lambda: _run(FINE_JKO, 0.5).energy["total"][-1],
        reference=gaussian.free_energy(1.05**-10, JKO_STD**2, 1.0, 0.2),
        error=1.26e-8,
        reason="second order in h: a third of the change from 2048 cells, 3.78e-8",
        source="F of a Gaussian after the JKO recursion",
    ),
    "variance after 20 entropic steps of 0.1, k = 1, kernel 1.2 cells wide": _entropic(0, 1.0),
    "variance after 20 entropic steps of 0.1, k = 2, kernel 1.2 cells wide": _entropic(1, 2.0),
    "variance after 20 balanced steps of 0.1, 512 cells": Exact(
        compute=lambda: _run(BALANCED_JKO).measure(-1).variance(),
        reference=gaussian.binned(BALANCED_VARIANCE, 1 / 32),
        error=5e-12,
        reason="the inner tolerance of 1e-12 over the 1/(1 - c^2) = 5 steps that count",
        source="a balanced step is the exact flow over the time asinh(k tau)/k",
    ),
    "L1 distance from a JKO step of 0.1 in the plane by back-and-forth, 256 x 256 cells": Exact(
        compute=lambda: _distance(_run(BACK_AND_FORTH, 0.1, 2, window=4.0), PLANE_LAW),
        reference=0.0,
        error=6.7e-5,
        reason="second order in h: a third of the change from 128 x 128 cells, 2.0e-4",
        source="JKO recursion on every axis",
    ),
}
BY_FINITE_VOLUMES = {
    "free energy at t = 2 by finite volumes, 512 cells": Exact(
        compute=lambda: _run(SOLVERS["finite-volume"]).energy["total"][-1],
        reference=gaussian.free_energy(MEAN, VARIANCE, stiffness=1.0, temperature=0.2),
        error=4.5e-5,
        reason="second order: thirds of the changes from 256 cells, 9.0e-5, and step 0.1, 4.6e-5",
        source="F of a Gaussian whose mean and variance solve linear equations",
    ),
    "variance along the stiff axis (k = 2) at t = 1 by finite volumes, 192 x 192 cells": Exact(
        compute=lambda: _run(PLANE_VOLUMES, 1.0, 2, window=4.0).measure(-1).variance(axis=1),
        reference=gaussian.variance_at(1.0, stiffness=2.0),
        error=3.9e-4,
        reason="second order: thirds of the changes from 96 cells, 9.2e-4, and step 0.05, 2.6e-4",
        source="the variance solves a linear equation on every axis",
    ),
    "L1 distance of the stationary law of finite volumes from the Gibbs law, 512 cells": Exact(
        compute=lambda: _distance(_run(LONG_STEP, 1e7), Gaussian(0.0, math.sqrt(0.2))),
        reference=0.0,
        error=2e-4,
        reason="second order in h: a third of the change from 256 cells, 5.9e-4",
        source="Gibbs law N(0, lambda/k)",
    ),
    "optimality gap after an implicit step of 1e7 by finite volumes": Exact(
        compute=lambda: _run(LONG_STEP, 1e7).gap[-1],
        reference=0.0,
        error=2.5e-14,
        reason=OF_MODES,
        source="the gap of the Gibbs law is 0",
    ),
}
BY_THE_DUAL = {
    "minimum F* on 512 cells by the dual": Exact(
        compute=lambda: Dual(problem().energy, problem().domain.grid((512,))).maximise().value,
        reference=LEAST_ENERGY,
        error=1e-14,
        reason="rounding of 512 terms; the sum over cells itself is exact for a Gaussian",
        source="F* = -lambda/2 log(2 pi lambda/k)",
    ),
}
BY_PARTICLES = {
    "mean at t = 2 of 20000 particles, 40 steps of Euler-Maruyama": Exact(
        compute=lambda: _run(CLOUD).measure(-1).mean(),
        reference=0.95**40,
        error=math.sqrt(EULER_VARIANCE / 20000),
        reason="sqrt(v/m), standard error",
        source=EULER,
    ),
    "variance at t = 2 of 20000 particles, 40 steps of Euler-Maruyama": Exact(
        compute=lambda: _run(CLOUD).measure(-1).variance(),
        reference=EULER_VARIANCE,
        error=math.sqrt(1e-4) * EULER_VARIANCE,
        reason="sqrt(2/m) v, standard error",
        source=EULER,
    ),
}
CHECKS = (
    *exact_checks("jko", BY_JKO),
    *exact_checks("finite-volume", BY_FINITE_VOLUMES),
    *exact_checks("", BY_THE_DUAL),
    *exact_checks("particles", BY_PARTICLES),
)

_in_step = functools.partial(
    rate_in_step,
    solver="jko",
    values=(0.025, 0.0125, 0.00625, 0.003125),
    quantity="variance",
    reason="the next order: how far the slope of the closed recursions is off",
)
CELLS = (128, 256, 512, 1024)
OF_CELLS = "the next order: h^2/s^2 = 0.06 for 128 cells, of which a fit keeps a third"

RATES = (
    _in_step(order=1, error=0.013),
    _in_step(order=2, error=0.045),
    _in_step(order=2, error=0.008, settings={"time_order": 2, "formula": "bdf2"}),
    _in_step(order=2, error=0.001, settings={"method": "balanced", "tolerance": 1e-12}),
    rate_in_cells("jko", CELLS, error=0.02, reason=OF_CELLS, quantity="variance"),
    rate_in_cells("finite-volume", CELLS, error=0.02, reason=OF_CELLS, quantity="variance"),
    rate_in_particles(
        "variance",
        source="the standard error of a variance is sqrt(2/m) v",
        settings={"method": "stochastic-heun", "step": 0.05},
    ),
)


def figure() -> list[Panel]:
    """Mean, variance and free energy of the flow by three solvers, over the closed forms (dashed).

    The free energy of particles, which have no density, is left out; that of JKO steps of 0.25 is
    above the flow, as they are of first order.
    """
    time = np.linspace(0.0, 2.0, 101)
    flow = np.array([(gaussian.mean_at(t), gaussian.variance_at(t)) for t in time])
    free = np.array([gaussian.free_energy(m, v, 1.0, 0.2) for m, v in flow])
    means = [Curve("flow", time, flow[:, 0], "dashed")]
    variances = [Curve("flow", time, flow[:, 1], "dashed")]
    energies = [Curve("flow", time, free - LEAST_ENERGY, "dashed")]
    runs = {
        "JKO, steps of 0.25": solve(problem().save_every(0.25), JKO(0.25, (512,))),
        "finite volumes": solve(problem(), SOLVERS["finite-volume"]),
        "10000 particles": solve(problem(), SOLVERS["particles"]),
    }
    for label, run in runs.items():
        laws = [run.measure(save) for save in range(len(run.time))]
        found = np.array([(law.mean(), law.variance()) for law in laws])
        means.append(Curve(label, run.time, found[:, 0], "points"))
        variances.append(Curve(label, run.time, found[:, 1], "points"))
        if run.on_grid:
            energies.append(Curve(label, run.time, run.energy["total"] - LEAST_ENERGY, "points"))
    return [
        Panel("Mean", "$t$", "mean", means),
        Panel("Variance", "$t$", "variance", variances),
        Panel("Free energy above its minimum", "$t$", "$F - F^*$", energies, y_scale="log"),
    ]
