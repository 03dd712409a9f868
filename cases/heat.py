"""Heat: a Gaussian that spreads by diffusion alone."""

import functools
import math

import numpy as np

from wgflow.check import Exact, exact_checks, rate_in_cells, rate_in_particles, rate_in_step
from wgflow.domain import Domain, Interval, WholeLine
from wgflow.energy import Energy, Entropy
from wgflow.errors import check_flag, check_number
from wgflow.exact import gaussian
from wgflow.exact.recursion import after
from wgflow.law import Gaussian
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
    "J. Fourier, Theorie analytique de la chaleur (1822); as the gradient flow of the entropy: R. "
    "Jordan, D. Kinderlehrer and F. Otto, The variational formulation of the Fokker-Planck "
    "equation, SIAM J. Math. Anal. 29 (1998). Cited from memory; the closed forms are derived and "
    "tested here."
)

EQUATION = (
    r"F(\rho) = \lambda \int \rho \log \rho, \qquad \partial_t \rho = \lambda \, \partial_x^2 \rho"
)

SOLVERS: dict[str, Solver] = {
    "jko": JKO(step=0.0125, shape=(512,), time_order=2),
    "finite-volume": FiniteVolume(step=0.0125, shape=(512,), time_order=2),
    "particles": ParticleFlow(count=20000, step=0.05),
}


def problem(
    temperature: float = 1.0,
    mean: float = 0.0,
    std: float = 0.5,
    horizon: float = 0.5,
    window: float = 8.0,
    walls: bool = False,
) -> Problem:
    """Gaussian that spreads by diffusion alone, on the line or between walls.

    F(rho) = temperature int rho log rho, so that d_t rho = temperature rho'', from N(mean, std^2).
    On grids the line is cut to [-window, window] with walls; with walls=true particles are
    reflected there too.

    Known: the variance grows by 2 temperature t, exactly so in any number of entropic and balanced
    steps, and of steps of implicit finite volumes; a JKO step makes
    [s + sqrt(s^2 + 4 temperature tau)]/2 of the standard deviation s. Between walls the law is the
    Gaussian folded at them.
    """
    window = check_number("The parameter window", window, above=0)
    check_flag("The parameter walls", walls)
    axis = Interval(-window, window) if walls else WholeLine(window=(-window, window))
    return Problem(
        energy=Energy(Entropy(check_number("The parameter temperature", temperature, above=0))),
        domain=Domain(axis, names=("position_1",)),
        initial=Gaussian(mean, std),
        horizon=horizon,
    )


@functools.cache
def _run(solver: Solver, window: float = 8.0, walls: bool = False) -> Run:
    """Return the run to the horizon, which several checks share."""
    made = problem(window=window, walls=walls)
    return solve(made.save_every(made.horizon), solver)


FINE_JKO = JKO(step=0.025, shape=(4096,))
ENTROPIC_JKO = JKO(step=0.1, shape=(128,), method="entropic", tolerance=1e-12)
BALANCED_JKO = JKO(step=0.1, shape=(128,), method="balanced", tolerance=1e-12)
IMPLICIT_VOLUMES = FiniteVolume(step=0.01, shape=(512,))
CLOUD = ParticleFlow(count=100_000, step=0.1)
JKO_STD = after(20, gaussian.jko_std, 0.5, 0.0, 1.0, 0.025)
EXACT_VARIANCE = gaussian.heat_variance_at(0.5)
WALLED_VARIANCE = gaussian.walled_heat_variance_at(0.5, wall=1.5)
THIRD = "second order in h: a third of the change from {} cells, {}"
THIRDS = "second order: thirds of the changes from {} cells, {}, and step 0.025, {}"

BY_JKO = {
    "standard deviation after 20 JKO steps of 0.025, 4096 cells": Exact(
        compute=lambda: math.sqrt(_run(FINE_JKO).measure(-1).variance()),
        reference=JKO_STD,
        error=6e-7,
        reason=THIRD.format(2048, "1.78e-6"),
        source="JKO recursion s+^2 - s s+ - lambda tau = 0",
    ),
    "free energy after 20 JKO steps of 0.025, 4096 cells": Exact(
        compute=lambda: _run(FINE_JKO).energy["total"][-1],
        reference=gaussian.free_energy(0.0, JKO_STD**2, 0.0, 1.0),
        error=7.3e-7,
        reason=THIRD.format(2048, "2.20e-6"),
        source="F of a Gaussian, -lambda log(2 pi e v)/2, after the JKO recursion",
    ),
    "variance at t = 0.5 by 40 JKO steps of second order, 512 cells": Exact(
        compute=lambda: _run(SOLVERS["jko"]).measure(-1).variance(),
        reference=after(40, gaussian.extrapolated_jko_std, 0.5, 0.0, 1.0, 0.0125) ** 2,
        error=8.5e-5,
        reason=THIRD.format(256, "2.54e-4"),
        source="extrapolation of the JKO recursion, 2 s_(tau/2, tau/2) - s_tau",
    ),
    "variance at t = 0.5 by five entropic steps on [-12, 12], 128 cells": Exact(
        compute=lambda: _run(ENTROPIC_JKO, 12.0).measure(-1).variance(),
        reference=gaussian.on_cells(EXACT_VARIANCE, 24 / 128),
        error=1e-14,
        reason="rounding of sums over cells, as kernels span 2.4 of them",
        source="the step is the heat kernel itself, for any tau",
    ),
    "variance at t = 0.5 by five balanced steps on [-12, 12], 128 cells": Exact(
        compute=lambda: _run(BALANCED_JKO, 12.0).measure(-1).variance(),
        reference=gaussian.on_cells(EXACT_VARIANCE, 24 / 128),
        error=5e-12,
        reason="the inner tolerance of 1e-12 in each of five steps",
        source="the step is the heat kernel itself, for any tau",
    ),
    "variance between walls at -1.5 and 1.5 at t = 0.5 by JKO of second order, 512 cells": Exact(
        compute=lambda: _run(SOLVERS["jko"], 1.5, walls=True).measure(-1).variance(),
        reference=WALLED_VARIANCE,
        error=5.5e-5,
        reason=THIRDS.format(256, "1.2e-5", "1.5e-4"),
        source="the Gaussian folded at the walls, by its cosine series",
    ),
}
BY_FINITE_VOLUMES = {
    "variance after 50 implicit steps of finite volumes on [-16, 16], 512 cells": Exact(
        compute=lambda: _run(IMPLICIT_VOLUMES, 16.0).measure(-1).variance(),
        reference=gaussian.on_cells(EXACT_VARIANCE, 1 / 16),
        error=1e-13,
        reason="rounding of 50 linear solves",
        source="the second difference of x^2 is 2, so that each step adds 2 lambda tau",
    ),
    "fourth moment after 50 implicit steps of finite volumes on [-16, 16], 512 cells": Exact(
        compute=lambda: float(
            _run(IMPLICIT_VOLUMES, 16.0).measure(-1).integral(lambda x: x[:, 0] ** 4)
        ),
        reference=gaussian.implicit_fourth_moment(50, 0.01, 1 / 16),
        error=1e-12,
        reason="rounding of 50 linear solves, where x^4 weighs the tails",
        source="M4+ = M4 + tau (12 M2+ + 2 h^2)",
    ),
    "free energy at t = 0.5 by finite volumes, 512 cells": Exact(
        compute=lambda: _run(SOLVERS["finite-volume"]).energy["total"][-1],
        reference=gaussian.free_energy(0.0, EXACT_VARIANCE, 0.0, 1.0),
        error=1e-4,
        reason=THIRDS.format(256, "9.7e-5", "2.1e-4"),
        source="F of a Gaussian, -lambda log(2 pi e v)/2",
    ),
    "dissipation at t = 0.5 by finite volumes, 512 cells": Exact(
        compute=lambda: _run(SOLVERS["finite-volume"]).dissipation[-1],
        reference=1 / EXACT_VARIANCE,
        error=1.6e-4,
        reason=THIRDS.format(256, "1.6e-4", "3.3e-4"),
        source="-dF/dt = lambda^2 / v, Fisher's information",
    ),
}
BY_PARTICLES = {
    "variance at t = 0.5 of 100000 particles": Exact(
        compute=lambda: _run(CLOUD).measure(-1).variance(),
        reference=EXACT_VARIANCE,
        error=math.sqrt(2 / 100_000) * EXACT_VARIANCE,
        reason="standard error sqrt(2/m) v; increments without drift have the exact law",
        source="v = s^2 + 2 lambda t",
    ),
    "variance between walls at -1.5 and 1.5 at t = 0.5 of 100000 particles": Exact(
        compute=lambda: _run(CLOUD, 1.5, walls=True).measure(-1).variance(),
        reference=WALLED_VARIANCE,
        error=math.sqrt(0.9 / 100_000) * WALLED_VARIANCE,
        reason="standard error sqrt((M4/v^2 - 1)/m) v with M4/v^2 = 1.9; folding is exact, too",
        source="the Gaussian folded at the walls, by its cosine series",
    ),
}
CHECKS = (
    *exact_checks("jko", BY_JKO),
    *exact_checks("finite-volume", BY_FINITE_VOLUMES),
    *exact_checks("particles", BY_PARTICLES),
)

STEPS, CELLS = (0.0125, 0.00625, 0.003125, 0.0015625), (128, 256, 512, 1024)
OF_RECURSION = "the next order: how far the slope of the closed recursions is off"
OF_STEPS = "the next order: half of what steps twice as long are off"
OF_CELLS = "the next order: h^2/s^2 = 0.06 for 128 cells, of which a fit keeps a third"
_in_step_of_volumes = functools.partial(
    rate_in_step, "finite-volume", STEPS, reason=OF_STEPS, quantity="wasserstein"
)

RATES = (
    rate_in_step("jko", STEPS, 1, error=0.014, reason=OF_RECURSION, quantity="variance"),
    rate_in_step("jko", STEPS, 2, error=0.045, reason=OF_RECURSION, quantity="variance"),
    _in_step_of_volumes(order=1, error=0.014, tolerance=0.0252),
    _in_step_of_volumes(order=2, error=0.11, tolerance=0.198),
    rate_in_cells("jko", CELLS, error=0.02, reason=OF_CELLS, quantity="variance"),
    rate_in_cells("finite-volume", CELLS, error=0.02, reason=OF_CELLS, quantity="variance"),
    rate_in_particles("variance", source="the standard error of a variance is sqrt(2/m) v"),
)


def figure() -> list[Panel]:
    """A Gaussian spreads, by finite volumes over the exact law (dashed); its variance by all
    solvers; and the error of that variance at t = 0.5 for JKO steps of both orders, over their
    closed recursions (dashed).
    """
    runs = {
        "JKO": solve(problem(), SOLVERS["jko"]),
        "finite volumes": solve(problem(), SOLVERS["finite-volume"]),
        "20000 particles": solve(problem(), SOLVERS["particles"]),
    }
    grid, place, laws = runs["finite volumes"], np.linspace(-4.0, 4.0, 161), []
    exact = np.array([gaussian.heat_variance_at(time) for time in grid.time])
    for save in (0, 2, 10):
        law = grid_law(grid.measure(save))
        near = np.abs(law.centres[0]) < 4
        density = gaussian.density(place, 0.0, exact[save])
        laws.append(Curve(f"t = {grid.time[save]:g}", law.centres[0][near], law.density[near]))
        laws.append(Curve("", place, density, "dashed"))
    spread = [Curve("exact", grid.time, exact, "dashed")]
    for label, run in runs.items():
        variance = np.array([run.measure(k).variance() for k in range(len(run.time))])
        spread.append(Curve(label, run.time, variance, "points"))
    counts, orders = np.array([10, 20, 40, 80]), []
    for order, advance in ((1, gaussian.jko_std), (2, gaussian.extrapolated_jko_std)):
        ends = [_run(JKO(0.5 / n, (2048,), time_order=order)).measure(-1) for n in counts]
        computed = np.array([law.variance() for law in ends])
        closed = np.array([after(n, advance, 0.5, 0.0, 1.0, 0.5 / n) ** 2 for n in counts])
        missed, known = (np.abs(found - EXACT_VARIANCE) for found in (computed, closed))
        orders.append(Curve(f"order {order}", 0.5 / counts, missed, "points"))
        orders.append(Curve("", 0.5 / counts, known, "dashed"))
    return [
        Panel("Law", "$x$", "density", laws),
        Panel("Variance", "$t$", "variance", spread),
        Panel("JKO steps", r"step $\tau$", "error of the variance", orders, "log", "log"),
    ]
