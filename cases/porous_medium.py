"""Porous medium: the Barenblatt solution, a spreading drop with a sharp front."""

import functools
import math

import numpy as np

from wgflow.check import Exact, exact_checks, rate_in_cells, rate_in_step
from wgflow.domain import Domain, Interval, WholeLine
from wgflow.energy import Energy, PowerEntropy
from wgflow.errors import InputError, check_count, check_flag, check_number
from wgflow.exact import barenblatt
from wgflow.exact.recursion import after
from wgflow.loop import solve
from wgflow.measure import grid_law
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO

SOURCE = (
    "G. I. Barenblatt, On some unsteady motions of a liquid and gas in a porous medium, Prikl. "
    "Mat. Mekh. 16 (1952); as a gradient flow: F. Otto, The geometry of dissipative evolution "
    "equations: the porous medium equation, Comm. PDE 26 (2001). Cited from memory; the closed "
    "forms are derived and tested here."
)

EQUATION = r"F(\rho) = \frac{1}{m - 1} \int \rho^m, \qquad \partial_t \rho = \Delta \rho^m"

SOLVERS: dict[str, Solver] = {
    "finite-volume": FiniteVolume(step=1e-4, shape=(128, 128)),
    "jko": JKO(step=1e-4, shape=(96, 96), time_order=2),
}


def problem(
    exponent: float = 2.0,
    dimension: int = 2,
    start: float = 0.2,
    stop: float = 0.4,
    walls: bool = True,
) -> Problem:
    """Barenblatt drop of unit mass in a box, from one radius to another.

    F(rho) = int rho^m / (m - 1), so that d_t rho = Laplace rho^m, on [-1/2, 1/2]^d. The time of the
    run begins at 0, where the drop has the radius `start`; the run ends at the radius `stop`. The
    drop never reaches the walls; with walls=false they are left out, and moving cells, which then
    hold no vacuum, follow the front.

    Known: the solution at all times, rho = t^-a (C - q |x|^2 t^(-2 a/d))_+^(1/(m-1)) with
    a = d/(d (m - 1) + 2) and q = a (m - 1)/(2 m d), its free energy and second moment; a JKO step
    keeps the profile and changes its radius by a scalar equation.
    """
    exponent = check_number("The parameter exponent", exponent, above=1, most=20)
    dimension = check_count("The parameter dimension", dimension, most=3)
    stop = check_number("The parameter stop", stop, above=0, most=0.5)
    if not 0 < check_number("The parameter start", start) < stop:
        raise InputError(f"The parameter start is {start:g}, but must be in (0, stop = {stop:g}).")
    check_flag("The parameter walls", walls)
    axis = Interval(-0.5, 0.5) if walls else WholeLine(window=(-0.5, 0.5))
    names = [f"position_{k}" for k in range(1, dimension + 1)]
    return Problem(
        energy=Energy(PowerEntropy(exponent)),
        domain=Domain(*[axis] * dimension, names=names),
        initial=barenblatt.drop(start, exponent, dimension),
        horizon=barenblatt.time_between(start, stop, exponent, dimension),
    )


EXPONENTS = (1.5, 2.0, 3.0)
LINE_VOLUMES = FiniteVolume(step=1e-3, shape=(256,))
LINE_JKO = {m: JKO(barenblatt.time_between(0.2, 0.4, m, 1) / 32, (1024,)) for m in EXPONENTS}
LINE_RADIUS = {m: after(32, barenblatt.jko_radius, 0.2, LINE_JKO[m].step, m, 1) for m in EXPONENTS}
PLANE_VOLUMES = FiniteVolume(step=1e-3, shape=(256, 256))
PLANE_STEP = barenblatt.time_between(0.2, 0.4, 2.0, 2) / 32
PLANE_RADIUS = barenblatt.jko_radius(0.2, PLANE_STEP, 2.0, 2)
PLANE_JKO = JKO(PLANE_STEP, shape=(256, 256))
PLANE_JKO_2 = JKO(PLANE_STEP, shape=(256, 256), time_order=2)


@functools.cache
def _run(solver: Solver, exponent: float, dimension: int = 1, steps: int = 0) -> Run:
    """Return the run to the horizon, or of so many steps; one axis goes without walls for JKO."""
    walls = dimension > 1 or isinstance(solver, FiniteVolume)
    made = problem(exponent, dimension, walls=walls)
    if steps:
        made = made.until(solver.step * steps)
    return solve(made.save_every(made.horizon), solver)


def _distance(
    solver: Solver, radius: float, exponent: float, dimension: int = 1, steps: int = 0
) -> float:
    """Return the L1 distance of the law at its end from the Barenblatt law of a radius."""
    law = grid_law(_run(solver, exponent, dimension, steps).measure(-1))
    return barenblatt.distance(law, radius, exponent, dimension)


def _front_of_volumes(exponent: float) -> float:
    """Return the point beyond which 0.001 of the mass is, by finite volumes on the line."""
    return grid_law(_run(LINE_VOLUMES, exponent).measure(-1)).quantile(1 - 1e-3)


def _front_of_jko(exponent: float) -> float:
    """Return the end of the last cell after 32 JKO steps on the line."""
    return grid_law(_run(LINE_JKO[exponent], exponent).measure(-1)).edges[0][-1]


def _std_of_jko(exponent: float) -> float:
    """Return the standard deviation after 32 JKO steps on the line."""
    return math.sqrt(_run(LINE_JKO[exponent], exponent).measure(-1).variance())


BARENBLATT = "Barenblatt's solution"
RECURSION = "JKO keeps the profile: (s - s_k) M2/tau = d (m - 1) E1 s^(-d (m - 1) - 1)"
THIRD = "second order in h: a third of the change from {} cells, {}"
HALF = "order 1.6 in h, by 64 and 128 cells: half of the change from 128 x 128 cells, 7.3e-4"

BY_FINITE_VOLUMES, BY_JKO = {}, {}
for m, change in ((1.5, 1.7e-4), (2.0, 1.47e-4), (3.0, 2.26e-4)):
    name = f"L1 distance from the Barenblatt law by finite volumes, m = {m:g}, 256 cells"
    BY_FINITE_VOLUMES[name] = Exact(
        compute=functools.partial(_distance, LINE_VOLUMES, 0.4, m),
        reference=0.0,
        error=change / 3,
        reason=THIRD.format(128, change),
        source=BARENBLATT,
    )
for m, change in ((1.5, 2.54e-4), (2.0, 3.94e-4), (3.0, 8.03e-4)):
    name = f"front by finite volumes, where 0.001 of the mass is beyond, m = {m:g}, 256 cells"
    BY_FINITE_VOLUMES[name] = Exact(
        compute=functools.partial(_front_of_volumes, m),
        reference=barenblatt.front_quantile(1e-3, 0.4, m),
        error=change / 3,
        reason=THIRD.format(128, change),
        source="quantile of the Barenblatt law",
    )
BY_FINITE_VOLUMES |= {
    "second moment by finite volumes, m = 2, 256 cells": Exact(
        compute=lambda: _run(LINE_VOLUMES, 2.0).measure(-1).variance(),
        reference=barenblatt.second_moment(0.4, 2.0, 1),
        error=3.2e-6,
        reason=THIRD.format(128, 9.57e-6),
        source="M2 R^2",
    ),
    "free energy by finite volumes, m = 2, 256 cells": Exact(
        compute=lambda: _run(LINE_VOLUMES, 2.0).energy["total"][-1],
        reference=barenblatt.free_energy(0.4, 2.0, 1),
        error=4.5e-5,
        reason=THIRD.format(128, 1.33e-4),
        source="E1 R^(-d (m - 1))",
    ),
    "L1 distance from the Barenblatt law by finite volumes in the plane, 256 x 256 cells": Exact(
        compute=lambda: _distance(PLANE_VOLUMES, 0.4, 2.0, dimension=2),
        reference=0.0,
        error=6.2e-5,
        reason=THIRD.format("128 x 128", 1.85e-4),
        source=BARENBLATT,
        tolerance=1e-4,
    ),
}
for m, change in ((1.5, 2.6e-7), (2.0, 2.4e-7), (3.0, 2.5e-7)):
    BY_JKO[f"standard deviation after 32 JKO steps, m = {m:g}, 1024 cells"] = Exact(
        compute=functools.partial(_std_of_jko, m),
        reference=math.sqrt(barenblatt.second_moment(LINE_RADIUS[m], m, 1)),
        error=change / 3,
        reason=THIRD.format(512, change),
        source=RECURSION,
    )
for m, change in ((1.5, 5.6e-4), (2.0, 2.5e-4), (3.0, 1.1e-4)):
    BY_JKO[f"front after 32 JKO steps, m = {m:g}, 1024 cells"] = Exact(
        compute=functools.partial(_front_of_jko, m),
        reference=LINE_RADIUS[m],
        error=change,
        reason=f"first order in h, the width of the last cell: the change from 512, {change:.2g}",
        source=RECURSION,
    )
BY_JKO |= {
    "L1 distance from the exact JKO law after 32 steps, m = 2, 1024 cells": Exact(
        compute=lambda: _distance(LINE_JKO[2.0], LINE_RADIUS[2.0], 2.0),
        reference=0.0,
        error=2e-6,
        reason=THIRD.format(512, 6.0e-6),
        source=RECURSION,
    ),
    "L1 distance from an exact JKO step in the plane by back-and-forth, 256 x 256 cells": Exact(
        compute=lambda: _distance(PLANE_JKO, PLANE_RADIUS, 2.0, dimension=2, steps=1),
        reference=0.0,
        error=3.6e-4,
        reason=HALF,
        source=RECURSION,
        tolerance=5e-4,
    ),
    "L1 distance from the Barenblatt law by 32 JKO steps of second order, 256 x 256 cells": Exact(
        compute=lambda: _distance(PLANE_JKO_2, 0.4, 2.0, dimension=2),
        reference=0.0,
        error=6.9e-4,
        reason="the order at fronts is about 1.5: half of the changes from 16 steps, 8.6e-4, and "
        "from 128 x 128 cells, 4.4e-4",
        source=BARENBLATT,
        tolerance=1.4e-3,
        slow=True,
    ),
}
CHECKS = (
    *exact_checks("finite-volume", BY_FINITE_VOLUMES),
    *exact_checks("jko", BY_JKO),
)

SPAN, LINE = barenblatt.time_between(0.2, 0.4, 2.0, 1), {"dimension": 1, "walls": False}
_in_step = functools.partial(
    rate_in_step,
    solver="jko",
    values=[SPAN / steps for steps in (64, 128, 256, 512)],
    quantity="variance",
    reason="the next order: how far the slope of the closed recursions is off",
    parameters=LINE,
)
_in_cells = functools.partial(
    rate_in_cells, values=(128, 256, 512, 1024), quantity="variance", error=0.05, parameters=LINE
)

RATES = (
    _in_step(order=1, error=0.013, tolerance=0.0221, settings={"shape": (512,), "time_order": 1}),
    _in_step(order=2, error=0.056, tolerance=0.0952, settings={"shape": (512,), "time_order": 2}),
    _in_cells(
        solver="jko",
        reason="the place of the fronts in their cells",
        settings={"step": SPAN / 16, "time_order": 1},
    ),
    _in_cells(
        solver="finite-volume",
        reason="the place of the fronts in their cells: the slopes of pairs scatter by 0.08",
    ),
)


def figure() -> list[Panel]:
    """A drop spreads on the line: its density by finite volumes over Barenblatt's solution (dashed)
    for m = 2, and its front by JKO on moving cells for three exponents, over the exact radius.
    """
    run, place = solve(problem(dimension=1), LINE_VOLUMES), np.linspace(-0.45, 0.45, 361)
    laws, fronts = [], []
    for save in (0, 1, 3, 10):
        law, time = grid_law(run.measure(save)), run.time[save]
        radius = barenblatt.radius_at(time + barenblatt.time_of(0.2, 2.0, 1), 2.0, 1)
        density = barenblatt.density_on_line(place, radius, 2.0)
        laws.append(Curve(f"t = {time:.4f}", law.centres[0], law.density))
        laws.append(Curve("", place, density, "dashed"))
    for m in EXPONENTS:
        line, start = problem(m, 1, walls=False), barenblatt.time_of(0.2, m, 1)
        moving = solve(line, JKO(line.horizon / 40, (512,), time_order=2))
        found = [grid_law(moving.measure(k)).edges[0][-1] for k in range(len(moving.time))]
        radii = [barenblatt.radius_at(start + time, m, 1) for time in moving.time]
        share = moving.time / line.horizon
        fronts.append(Curve(f"m = {m:g}", share, np.array(found), "points"))
        fronts.append(Curve("", share, np.array(radii), "dashed"))
    return [
        Panel("Law", "$x$", "density", laws),
        Panel("Front", "share of the run", "radius", fronts),
    ]
