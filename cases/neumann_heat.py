"""Neumann heat: a cosine between two walls, which diffusion flattens."""

import functools
import math

import numpy as np

from wgflow.check import Exact, exact_checks, rate_in_cells, rate_in_particles, rate_in_step
from wgflow.domain import Domain, Interval
from wgflow.energy import Energy, Entropy
from wgflow.errors import InputError, check_number
from wgflow.exact import cosine
from wgflow.law import Density
from wgflow.loop import solve
from wgflow.measure import grid_law
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow

SOURCE = (
    "Separation of variables: J. Fourier, Theorie analytique de la chaleur (1822). Set here; the "
    "closed forms, of the schemes too, are derived and tested here."
)

EQUATION = (
    r"F(\rho) = \lambda \int_0^1 \rho \log \rho \, dx, \qquad "
    r"\partial_t \rho = \lambda \, \partial_x^2 \rho, \quad "
    r"\partial_x \rho = 0 \text{ at } x = 0, 1"
)

SOLVERS: dict[str, Solver] = {
    "finite-volume": FiniteVolume(step=0.0025, shape=(256,), time_order=2),
    "jko": JKO(step=0.0025, shape=(256,), time_order=2),
    "particles": ParticleFlow(count=20000, step=0.01),
}


def problem(amplitude: float = 0.5, temperature: float = 1.0, horizon: float = 0.1) -> Problem:
    """Cosine density between two walls, which diffusion flattens.

    F(rho) = temperature int rho log rho on [0, 1], so that d_t rho = temperature rho'' with
    rho' = 0 at both walls, from 1 + amplitude cos(pi x).

    Known: rho = 1 + amplitude e^(-pi^2 temperature t) cos(pi x) at all times, and its free energy;
    what an implicit step of finite volumes, an entropic or a balanced step makes of the amplitude,
    and a JKO step for small ones.
    """
    amplitude = check_number("The parameter amplitude", amplitude)
    if not abs(amplitude) <= 1:
        raise InputError(
            f"The parameter amplitude is {amplitude:g}, but must be in [-1, 1]: densities are "
            "positive."
        )
    temperature = check_number("The parameter temperature", temperature, above=0)
    return Problem(
        energy=Energy(Entropy(temperature)),
        domain=Domain(Interval(0.0, 1.0), names=("position_1",)),
        initial=Density(lambda x: 1 + amplitude * np.cos(math.pi * x[:, 0]), 0.0, 1.0, 1024),
        horizon=horizon,
    )


@functools.cache
def _run(solver: Solver, amplitude: float = 0.5) -> Run:
    """Return the run to the horizon, which several checks share."""
    made = problem(amplitude)
    return solve(made.save_every(made.horizon), solver)


def _amplitude(solver: Solver, amplitude: float = 0.5) -> float:
    """Return the amplitude at the end of that run."""
    return cosine.amplitude_of(_run(solver, amplitude).measure(-1))


EXACT = cosine.amplitude_at(0.1)
VOLUMES = SOLVERS["finite-volume"]
CLOUD = ParticleFlow(count=100_000, step=0.01)
ENTROPIC_JKO = JKO(step=0.02, shape=(64,), method="entropic", tolerance=1e-12)
BALANCED_JKO = JKO(step=0.02, shape=(64,), method="balanced", tolerance=1e-12)
THIRDS = "second order: thirds of the changes from 128 cells, {}, and step 0.005, {}"

BY_FINITE_VOLUMES = {
    "amplitude after 40 implicit steps of finite volumes, 256 cells": Exact(
        compute=lambda: _amplitude(FiniteVolume(step=0.0025, shape=(256,))),
        reference=cosine.implicit_amplitude(40, 0.0025, cells=256, amplitude=0.5),
        error=1e-13,
        reason="rounding of 40 linear solves, whose condition is 1 + 4 tau/h^2 = 650",
        source="a step divides it by 1 + (4 tau/h^2) sin^2(pi h/2)",
    ),
    "amplitude at t = 0.1 by finite volumes of second order, 256 cells": Exact(
        compute=lambda: _amplitude(VOLUMES),
        reference=EXACT,
        error=2e-5,
        reason=THIRDS.format("6.9e-6", "5.1e-5"),
        source="separation of variables",
    ),
    "free energy at t = 0.1 by finite volumes of second order, 256 cells": Exact(
        compute=lambda: _run(VOLUMES).energy["total"][-1],
        reference=cosine.free_energy(EXACT),
        error=1.9e-6,
        reason=THIRDS.format("6.5e-7", "4.8e-6"),
        source="log((1 + r)/2) + 1 - r",
    ),
    "dissipation at t = 0.1 by finite volumes of second order, 256 cells": Exact(
        compute=lambda: _run(VOLUMES).dissipation[-1],
        reference=cosine.dissipation(EXACT),
        error=3.4e-5,
        reason=THIRDS.format("6.4e-6", "9.6e-5"),
        source="pi^2 a^2/(1 + r)",
    ),
}
BY_JKO = {
    "amplitude after 40 JKO steps from 0.02, 256 cells": Exact(
        compute=lambda: _amplitude(JKO(step=0.0025, shape=(256,)), amplitude=0.02),
        reference=cosine.jko_amplitude(40, 0.0025, cells=256, amplitude=0.02),
        error=4e-9,
        reason="terms of order a^3: an eighth of the difference from amplitude 0.04, 3.2e-8",
        source="implicit Euler for linear finite elements",
    ),
    "amplitude at t = 0.1 by JKO of second order, 256 cells": Exact(
        compute=lambda: _amplitude(SOLVERS["jko"]),
        reference=EXACT,
        error=1.7e-5,
        reason=THIRDS.format("3.2e-6", "4.6e-5"),
        source="separation of variables",
    ),
    "amplitude after five entropic steps of 0.02, 64 cells": Exact(
        compute=lambda: _amplitude(ENTROPIC_JKO),
        reference=EXACT,
        error=1e-14,
        reason="rounding of sums over cells, as kernels span 13 of them",
        source="the step is the reflected heat kernel itself, for any tau",
    ),
    "amplitude after five balanced steps of 0.02, 64 cells": Exact(
        compute=lambda: _amplitude(BALANCED_JKO),
        reference=EXACT,
        error=5e-12,
        reason="the inner tolerance of 1e-12 in each of five steps",
        source="the step is the reflected heat kernel itself, for any tau",
    ),
}
BY_PARTICLES = {
    "amplitude at t = 0.1 of 100000 particles": Exact(
        compute=lambda: _amplitude(CLOUD),
        reference=EXACT,
        error=math.sqrt((2 - EXACT**2) / 100_000),
        reason="standard error sqrt((2 - a^2)/m); steps folded at the walls have the exact law",
        source="separation of variables",
    ),
}
CHECKS = (
    *exact_checks("finite-volume", BY_FINITE_VOLUMES),
    *exact_checks("jko", BY_JKO),
    *exact_checks("particles", BY_PARTICLES),
)

_in_step = functools.partial(
    rate_in_step,
    values=(0.0025, 0.00125, 0.000625, 0.0003125),
    quantity="mean",
    reason="the next order: how far (1 + pi^2 tau)^(-t/tau) and its extrapolation are off",
)
CELLS = (32, 64, 128, 256)
OF_CELLS = "the next order: (pi h)^2 = 0.01 for 32 cells, of which a fit keeps a third"

RATES = (
    _in_step(solver="jko", order=1, error=0.009),
    _in_step(solver="jko", order=2, error=0.024),
    _in_step(solver="finite-volume", order=1, error=0.009),
    _in_step(solver="finite-volume", order=2, error=0.024),
    rate_in_cells("jko", CELLS, error=0.004, reason=OF_CELLS, quantity="mean"),
    rate_in_cells("finite-volume", CELLS, error=0.004, reason=OF_CELLS, quantity="mean"),
    rate_in_particles("mean", source="the standard error of a mean"),
)


def figure() -> list[Panel]:
    """A cosine flattens between walls: density by JKO on moving cells, and amplitude by all
    solvers, over the exact ones (dashed).
    """
    runs = {
        "JKO": solve(problem(), SOLVERS["jko"]),
        "finite volumes": solve(problem(), SOLVERS["finite-volume"]),
        "20000 particles": solve(problem(), SOLVERS["particles"]),
    }
    moving, place, laws = runs["JKO"], np.linspace(0.0, 1.0, 101), []
    exact = np.array([cosine.amplitude_at(time) for time in moving.time])
    for save in (0, 2, 5, 10):
        law, density = grid_law(moving.measure(save)), 1 + exact[save] * np.cos(math.pi * place)
        laws.append(Curve(f"t = {moving.time[save]:g}", law.centres[0], law.density))
        laws.append(Curve("", place, density, "dashed"))
    decay = [Curve("exact", moving.time, exact, "dashed")]
    for label, run in runs.items():
        found = [cosine.amplitude_of(run.measure(save)) for save in range(len(run.time))]
        decay.append(Curve(label, run.time, np.array(found), "points"))
    return [
        Panel("Law", "$x$", "density", laws),
        Panel("Decay of the cosine", "$t$", "amplitude", decay, y_scale="log"),
    ]
