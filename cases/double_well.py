"""Double well: diffusion over a barrier, fast inside the wells and slow between them."""

import dataclasses
import functools
import math

import numpy as np

from wgflow.check import Check, Rate
from wgflow.domain import Domain, WholeLine
from wgflow.energy import Entropy, Potential
from wgflow.errors import check_number
from wgflow.exact import double_well as exact
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.measure import GridMeasure
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow

SOURCE = (
    "H. A. Kramers, Brownian motion in a field of force and the diffusion model of chemical "
    "reactions, Physica 7 (1940), for the rate between wells; the problem is set here. The "
    "references are computed here, by quadrature and from a Schroedinger operator."
)

EQUATION = (
    r"F(\rho) = \int (x^2 - 1)^2 \, d\rho + \lambda \int \rho \log \rho, \qquad "
    r"\partial_t \rho = \nabla \cdot (\rho \, \nabla V) + \lambda \Delta \rho"
)

SOLVERS: dict[str, Solver] = {
    "particles": ParticleFlow(count=10000, step=5e-3, method="stochastic-heun"),
    "jko": JKO(step=0.02, shape=(256,), method="balanced", time_order=2),
    "finite-volume": FiniteVolume(step=0.02, shape=(256,), time_order=2),
}

METHODS = SOLVERS | {"jko, lagrangian": JKO(step=0.02, shape=(512,), time_order=2)}
"""The second JKO is on moving cells; those that reach the top of the barrier are stretched."""
BARRIER_STEPS = FiniteVolume(step=500.0, shape=(256,), time_order=2)
"""Steps that pass the barrier in as many as the wells alone take."""


def problem(
    temperature: float = 0.1, mean: float = 0.3, std: float = 0.25, horizon: float = 2.0
) -> Problem:
    """Diffusion in V = (x^2 - 1)^2 on the line, from a Gaussian beside the barrier.

    F(rho) = int (x^2 - 1)^2 drho + temperature int rho log rho, from N(mean, std^2). On grids the
    line is cut to [-2.5, 2.5] with walls.

    Known: the Gibbs law and F* = -temperature log int exp(-V / temperature) by quadrature; the law
    at all times, and its slow rate, from the eigenvalues of a Schroedinger operator. F is linear
    but for the entropy, so that the optimality gap is F - F* at all times.
    """
    well = Potential(lambda x: exact.height(x[:, 0]), exact.slope)
    return Problem(
        energy=well + Entropy(check_number("The parameter temperature", temperature, above=0)),
        domain=Domain(WholeLine(window=(-2.5, 2.5)), names=("position_1",)),
        initial=Gaussian(mean, std),
        horizon=horizon,
    )


@functools.cache
def _run(method: str) -> Run:
    return solve(problem(), METHODS[method])


def _moment(method: str, save: int, power: int) -> float:
    return float(_run(method).measure(save).integral(lambda x: x[:, 0] ** power))


def _miss_of_bound(run: Run, last: int) -> float:
    """Return the largest distance of F less the gap from F* up to a save."""
    return float(np.abs(run.energy["total"] - run.gap - exact.minimum())[: last + 1].max())


def _measured_rate() -> float:
    """Return the rate at which the mean falls between t = 5000 and 30000."""
    run = solve(problem(horizon=3e4).save_every(5e3), BARRIER_STEPS)
    return math.log(run.measure(1).mean() / run.measure(-1).mean()) / 2.5e4


def _distance_from_gibbs() -> float:
    """Return the L1 distance from the Gibbs law at cell centres after 100 steps of 5000."""
    law = solve(problem(horizon=5e5), FiniteVolume(step=5e3, shape=(256,))).measure(-1)
    assert isinstance(law, GridMeasure)
    gibbs = exact.gibbs_density(law.centres[0])
    return float(np.abs(law.mass_on_grid - law.volume * gibbs).sum())


MODES = "modes of the Schroedinger operator, sinc basis"
THIRDS = "second order: a third of the changes from twice the step, {}, and half the cells, {}"
SAMPLED = "standard error (Var x^p / m)^(1/2) of m = 10000 particles, Var x^p from the modes"
ROUNDING = "rounding of sums over 256 cells; the midpoint rule converges exponentially"
IN_WIDTH = "second order in h: a third of the change from half the cells"


def _moment_check(method: str, time: float, power: int, error: float, reason: str) -> Check:
    """Return the check of a moment at t = 0.2, amid the fast phase, or t = 2, after it."""
    words = "mean" if power == 1 else "second moment"
    return Check(
        quantity=f"{words} at t = {time:g} by {method}",
        compute=functools.partial(_moment, method, round(time / 0.2), power),
        reference=exact.moment_at(time, power),
        tolerance=2 * error,
        kind="independent",
        source=MODES,
        error=error,
        reason=reason,
        solver=method.removesuffix(", lagrangian"),
    )


def _gap_check(time: float, error: float, reason: str) -> Check:
    """Return the check of the gap amid the fast phase or after it, by finite volumes."""
    return Check(
        quantity=f"gap at t = {time:g} by finite-volume",
        compute=lambda: float(_run("finite-volume").gap[round(time / 0.2)]),
        reference=exact.excess_at(time),
        tolerance=2 * error,
        kind="independent",
        source=f"F - F* by {MODES}; the gap is F - F*, as F is linear but for the entropy",
        error=error,
        reason=reason,
        solver="finite-volume",
    )


def _lower_bound_check(method: str, until: float, error: float, reason: str) -> Check:
    """Return the check of F less the gap, which is F* for any law on the way, right or wrong."""
    return Check(
        quantity=f"largest |F - gap - F*| up to t = {until:g} by {method}",
        compute=lambda: _miss_of_bound(_run(method), round(until / 0.2)),
        reference=0.0,
        tolerance=2 * error,
        kind="exact",
        source="F* = -lambda log Z, Z by adaptive quadrature",
        error=error,
        reason=reason,
    )


CHECKS = (
    _moment_check("particles", 0.2, 1, exact.moment_error(0.2, 1, 10000), SAMPLED),
    _moment_check("particles", 0.2, 2, exact.moment_error(0.2, 2, 10000), SAMPLED),
    _moment_check("particles", 2.0, 2, exact.moment_error(2.0, 2, 10000), SAMPLED),
    _moment_check("jko", 0.2, 1, 1.7e-4, THIRDS.format(1.4e-4, 3e-5)),
    _moment_check("jko, lagrangian", 0.2, 2, 5e-5, THIRDS.format(3.4e-5, 1.6e-5)),
    _moment_check("finite-volume", 0.2, 1, 2e-4, THIRDS.format(4.6e-5, 1.5e-4)),
    _gap_check(0.2, 2e-4, THIRDS.format(1.9e-4, 1.3e-5)),
    _gap_check(1.0, 3.1e-5, THIRDS.format(1.7e-5, 1.4e-5)),
    _gap_check(2.0, 1.8e-5, THIRDS.format(1.0e-5, 8e-6)),
    _lower_bound_check("finite-volume", 2.0, 1e-14, ROUNDING),
    _lower_bound_check("jko, lagrangian", 0.2, 4.7e-6, IN_WIDTH),
    Check(
        quantity="rate over the barrier by finite-volume",
        compute=_measured_rate,
        reference=exact.relaxation_rate(),
        tolerance=2.8e-3 * exact.relaxation_rate(),
        kind="independent",
        source=MODES,
        error=1.4e-3 * exact.relaxation_rate(),
        reason="second order: (rate tau)^2 / 6 = 2.6e-4 of it in the step, and 1.2e-3 of it in h, "
        "a third of the change from half the cells",
        solver="finite-volume",
    ),
    Check(
        quantity="L1 distance from the Gibbs law at t = 5e5 by finite-volume",
        compute=_distance_from_gibbs,
        reference=0.0,
        tolerance=4e-14,
        kind="exact",
        source="rho = exp(-V / lambda) / Z at the centres of cells",
        error=2e-14,
        reason="of the mean (1 + rate tau)^-100 = 5e-15 is left; rounding of 100 steps",
        solver="finite-volume",
    ),
)

_second_order = functools.partial(
    Rate, tolerance=0.06, error=0.03, reference="successive", quantity="mean", time=0.2, slow=False
)

RATES = (
    _second_order(
        solver="finite-volume",
        setting="shape",
        values=(64, 128, 256, 512),
        expected=-2.0,
        source="Scharfetter-Gummel fluxes are of second order",
        reason="the next order in h: the slopes of two pairs of grids differ by 0.02",
    ),
    _second_order(
        solver="jko",
        setting="step",
        values=(0.04, 0.02, 0.01, 0.005),
        expected=2.0,
        source="a balanced step is of second order where g is fixed",
        reason="the next order in the step: the slopes of two pairs of steps differ by 0.01",
    ),
    Rate(
        solver="particles",
        setting="count",
        values=(250, 1000, 4000),
        expected=-0.5,
        tolerance=0.2,
        source="independent particles, sampled",
        error=0.13,
        reason="root mean squares over S = 8 seeds scatter by (2 S)^(-1/2) = 25 %; the slope over "
        "a factor 16 by 2^(1/2) 0.25 / log 16 = 0.13",
        seeds=8,
        reference="jko",
        quantity="mean",
        time=0.2,
        slow=False,
    ),
)


def figure() -> list[Panel]:
    """Diffusion in a double well from a Gaussian beside the barrier, temperature 0.1.

    Left: first two moments, with those of the modes of the Schroedinger operator dashed. Middle:
    the law after the fast phase, and the Gibbs law, which it reaches at the time 1/rate = 12762.
    Right: F - F* falls fast inside the wells, and then at twice the rate at which mass goes over
    the barrier.
    """
    run, times, moments = _run("finite-volume"), np.linspace(0, 2, 101), []
    for power, words in ((1, "mean"), (2, "second moment")):
        for method, style in (("finite-volume", "line"), ("particles", "points")):
            found = np.array([_moment(method, save, power) for save in range(len(run.time))])
            moments.append(Curve(f"{words}, {method}", run.time, found, style))
        moments.append(Curve("", times, np.vectorize(exact.moment_at)(times, power), "dashed"))
    law, cloud = run.measure(-1), _run("particles").measure(-1).points[:, 0]
    assert isinstance(law, GridMeasure)
    inside = np.abs(law.centres[0]) < 1.7
    x, density = law.centres[0][inside], law.density[inside]
    share, edges = np.histogram(cloud, 60, (-1.7, 1.7), density=True)
    laws = [
        Curve("finite volumes, t = 2", x, density),
        Curve("particles, t = 2", (edges[1:] + edges[:-1]) / 2, share, "points"),
        Curve("Gibbs law", x, exact.gibbs_density(x), "dashed"),
    ]
    late = np.geomspace(0.05, 5e4, 61).tolist()
    fall = solve(dataclasses.replace(problem(horizon=5e4), save_times=late), BARRIER_STEPS)
    both = [
        Curve("finite volumes", fall.time[1:], fall.gap[1:]),
        Curve("Schroedinger operator", late, np.vectorize(exact.excess_at)(late), "dashed"),
    ]
    return [
        Panel("Moments", "$t$", "moment", moments),
        Panel("The law", "$x$", "density", laws),
        Panel("Fast in the wells, slow over the barrier", "$t$", "$F - F^*$", both, "log", "log"),
    ]
