"""Quadratic neuron: units (w.x)^2 and Gaussian inputs, where second moments obey a closed flow."""

import functools

import numpy as np

from wgflow.check import Check, rate_in_step
from wgflow.domain import Domain, WholeLine
from wgflow.energy import Entropy, Potential, Risk
from wgflow.errors import check_count, check_number
from wgflow.exact import riccati
from wgflow.exact.recursion import after
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.neuron import Neuron
from wgflow.optimality import Dual
from wgflow.panel import Curve, Panel
from wgflow.populations import NormalInputs, population
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers import JKO, SGD, FiniteVolume, ParticleFlow

SOURCE = (
    "Set and solved here; quadratic activations as in S. Sarao Mannelli, E. Vanden-Eijnden and "
    "L. Zdeborova, Optimization and generalization of shallow neural networks with quadratic "
    "activation functions, NeurIPS (2020), which is recalled, not read."
)

EQUATION = r"""
F(\rho) = \tfrac12 \, \mathbb{E}_{x \sim N(0, I)} \Bigl( \int (w \cdot x)^2 d\rho - x^T M_* x
\Bigr)^2 + \frac{\mu}{2} \int |w|^2 d\rho + \lambda \int \rho \log \rho, \qquad
\dot M = -(G M + M G) - 2 \mu M + 2 \lambda I, \quad
G = 4 (M - M_*) + 2 \, \mathrm{tr}(M - M_*) I, \quad M = \int w w^T d\rho
"""

SOLVERS: dict[str, Solver] = {
    "particles": ParticleFlow(count=10000, step=5e-3),
    "jko": JKO(step=0.02, shape=(256,), time_order=2),
    "finite-volume": FiniteVolume(step=0.005, shape=(256,), time_order=2),
    "sgd": SGD(width=1000, step=1e-3, batch=256, fresh=True),
}


def problem(
    dimension: int = 1,
    target: float = 1.0,
    ridge: float = 0.1,
    temperature: float = 0.2,
    std: float = 0.4,
    horizon: float = 0.5,
) -> Problem:
    """Quadratic neuron (w.x)^2, x Gaussian: the second moments of the weights obey a closed flow.

    F(rho) = E (int (w.x)^2 drho - x.M* x)^2 / 2 + ridge int |w|^2/2 drho + temperature int rho log
    rho with x ~ N(0, I) and M* = target diag(1, 1/2, 1/3, ...), from w ~ N(0, std^2 I).
    A quadrature of 3 nodes is exact for it. On grids w is cut to [-6, 6] on each axis with walls.

    Known: R = |A|^2 + (tr A)^2 / 2 (Frobenius norm) for A = M - M* and the second moments M, which
    obey a Riccati equation, at temperature 0 for any number of particles; with dimension = 1 in
    closed form. Gaussian laws stay Gaussian, in JKO steps too.
    """
    dimension = check_count("The parameter dimension", dimension, most=6)
    entries = np.diag(riccati.target_moments(target, dimension))
    data = population(NormalInputs(dimension), lambda x: np.square(x) @ entries, nodes=3)
    stiffness = check_number("The parameter ridge", ridge, least=0)
    names = [f"w_{k}" for k in range(1, dimension + 1)] if dimension > 1 else ["w"]
    return Problem(
        energy=Risk(data, Neuron("quadratic", outer="fixed"))
        + Potential.quadratic([stiffness] * dimension, "ridge")
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(*(WholeLine(window=(-6.0, 6.0)) for _ in names), names=names),
        initial=Gaussian((0.0,) * dimension, check_number("The parameter std", std, above=0)),
        horizon=horizon,
    )


def _moments(case: Problem, solver: Solver, seed: int = 0) -> np.ndarray:
    """Return the second moment of the first weight at all saves of a run."""
    run = solve(case, solver, seed)
    return np.array([riccati.second_moments(run.measure(k))[0, 0] for k in range(len(run.time))])


def _last_moment(solver: Solver, horizon: float = 0.5) -> float:
    return _moments(problem(horizon=horizon).save_every(horizon), solver)[-1]


def _fluctuations(case: Problem, step: float, seeds: int) -> np.ndarray:
    """Return 500 times the variance of the second moment of 500 particles, at all saves."""
    flow = ParticleFlow(step=step, count=500)
    return 500 * np.var([_moments(case, flow, seed) for seed in range(seeds)], axis=0)


def _miss_of_particles() -> float:
    start, stop = _moments(_bare().save_every(0.5), PRECISE)
    return stop - riccati.moment_at(0.5, start, ridge=0.0, temperature=0.0)


def _miss_in_space() -> float:
    run = solve(problem(3, temperature=0.0).save_every(0.5), PRECISE)
    start, stop = (riccati.second_moments(run.measure(save)) for save in (0, -1))
    exact = riccati.moments_at(0.5, start, riccati.target_moments(dimension=3), ridge=0.1)
    return np.abs(stop - exact).max()


def _miss_of_descent() -> float:
    start, stop = _moments(_bare().save_every(0.5), SGD(step=0.01, width=100))
    return stop - after(50, riccati.descent_moment, start, 0.01)


def _decay_by_batches() -> float:
    start, stop = _moments(_bare(std=1.0, horizon=1.0).save_every(1.0), BATCHES)
    return np.log((1 / stop - 1) / (1 / start - 1))


_bare = functools.partial(problem, ridge=0.0, temperature=0.0)
BATCHES = SGD(step=2e-3, width=1000, batch=1000, fresh=True)
DECAY, ERROR_OF_DECAY = riccati.log_decay_by_batches(500, step=2e-3, batch=1000)
PRECISE = ParticleFlow(step=2.5e-4, count=100, method="bogacki-shampine")
THIRD_ORDER = "third order in the step: a seventh of the change from a step twice as long"
_exact = functools.partial(Check, kind="exact")
_by_sgd = functools.partial(Check, kind="exact", solver="sgd")
_miss_by_particles = functools.partial(Check, reference=0.0, reason=THIRD_ORDER, solver="particles")

CHECKS = (
    _miss_by_particles(
        quantity="second moment of 100 particles at t = 0.5, error",
        compute=_miss_of_particles,
        tolerance=1e-10,
        kind="exact",
        source="m*/(1 + (m*/m_0 - 1) e^(-12 m* t)) from the second moment drawn",
        error=3.5e-11,
    ),
    _miss_by_particles(
        quantity="second moments of 100 particles at t = 0.5, d = 3, largest error",
        compute=_miss_in_space,
        tolerance=7e-11,
        kind="independent",
        source="Riccati equation of the second moments by a Runge-Kutta method of order 8",
        error=2.5e-11,
    ),
    *(
        _exact(
            quantity=f"second moment of 10000 weights in equilibrium by {solver.name}",
            compute=functools.partial(_last_moment, solver, 1.0),
            reference=riccati.fixed_points()[0],
            tolerance=7e-3,
            source="root of 6 m^2 - (6 m* - ridge) m - temperature",
            error=2.54e-3,
            reason="standard error: m Var = 2 temperature m / (12 m - 6 m* + ridge), small noise",
            solver=solver.name,
        )
        for solver in (ParticleFlow(5e-3, 10000, "stochastic-heun"), SGD(5e-3, 10000))
    ),
    _exact(
        quantity="500 Var of the second moment of 500 particles at t = 0.2, 400 seeds",
        compute=lambda: _fluctuations(_bare(horizon=0.2).save_every(0.2), 0.02, 400)[-1],
        reference=riccati.fluctuation(0.2),
        tolerance=0.02,
        source="2 s^4 (m(t)/m_0)^4 e^(-24 m* t)",
        error=9.6e-3,
        reason="standard error of a variance, sqrt(2/399) of it",
        solver="particles",
        slow=True,
    ),
    _exact(
        quantity="second moment after 10 JKO steps of 0.05, 256 cells",
        compute=lambda: _last_moment(JKO(step=0.05, shape=(256,))),
        reference=after(10, riccati.jko_std, 0.4, 0.05) ** 2,
        tolerance=1.2e-4,
        source="one JKO step of a centred Gaussian, a cubic equation",
        error=4.7e-5,
        reason="second order in h: a third of the change from half the cells",
        solver="jko",
    ),
    _exact(
        quantity="second moment at t = 0.5 by finite volumes, 512 cells",
        compute=lambda: _last_moment(FiniteVolume(step=0.005, shape=(512,), time_order=2)),
        reference=riccati.moment_at(0.5, 0.16),
        tolerance=1.5e-4,
        source="Riccati equation of the second moment, in closed form",
        error=6e-5,
        reason="second order in h and in the step: a third of the change from half the cells, "
        "5.4e-5, and of that from twice the step, 6e-6",
        solver="finite-volume",
    ),
    _by_sgd(
        quantity="second moment after 50 steps of full-batch SGD, error",
        compute=_miss_of_descent,
        reference=0.0,
        tolerance=1.5e-14,
        source="m <- m (1 - 6 step (m - m*))^2 from the second moment drawn",
        error=5.5e-15,
        reason="rounding of 50 steps, 1.1e-16 each",
    ),
    _by_sgd(
        quantity="log decay of m*/m - 1 in 500 steps of SGD on fresh batches",
        compute=_decay_by_batches,
        reference=DECAY,
        tolerance=2.5 * ERROR_OF_DECAY,
        source="mean of the logarithm of a step, with the moments of x^4",
        error=ERROR_OF_DECAY,
        reason="standard error: sqrt(500) times the standard deviation of the logarithm of a step",
    ),
    _exact(
        quantity="minimum F* on 128 cells",
        compute=lambda: Dual(problem().energy, problem().domain.grid((128,))).maximise().value,
        reference=riccati.least_energy(),
        tolerance=1.5e-9,
        source="the minimizer is a Gaussian",
        error=5.3e-10,
        reason="what the walls cut off, temperature times the tails of the Gaussian beyond them",
    ),
)

RATES = (
    rate_in_step(
        "jko",
        values=(0.00625, 0.003125, 0.0015625),
        order=2,
        error=0.075,
        reason="the next power of the step: half the miss of the slope at steps twice as long",
        quantity="variance",
        reference="successive",
    ),
)


def figure() -> list[Panel]:
    """Second moment of the weights and its fluctuations, with their closed forms (dashed).

    Left: 100 particles at temperature 0; finite volumes and JKO steps of 0.05 at temperature 0.2.
    Right: variance over 100 runs of 500 particles without ridge and noise, times 500.
    """
    time, saves = np.linspace(0.0, 0.5, 101), np.linspace(0.0, 0.5, 11)
    cold = _moments(problem(temperature=0.0), ParticleFlow(step=0.005, count=100))
    recursion = np.array([after(n, riccati.jko_std, 0.4, 0.05) ** 2 for n in range(11)])
    moments = [
        Curve("particles, temperature 0", saves, cold, "points"),
        Curve("", time, np.vectorize(riccati.moment_at)(time, cold[0], temperature=0.0), "dashed"),
        Curve("finite volumes", saves, _moments(problem(), SOLVERS["finite-volume"]), "points"),
        Curve("", time, np.vectorize(riccati.moment_at)(time, 0.16), "dashed"),
        Curve("JKO, steps of 0.05", saves, _moments(problem(), JKO(0.05, (256,))), "points"),
        Curve("", saves, recursion, "dashed"),
    ]
    found = Curve("500 particles", saves, _fluctuations(_bare(), 0.025, 100), "points")
    fluctuations = [found, Curve("limit", time, np.vectorize(riccati.fluctuation)(time), "dashed")]
    return [
        Panel("Second moment", "$t$", r"$\int w^2 d\rho$", moments),
        Panel("Fluctuations", "$t$", r"$m\,\mathrm{Var} \int w^2 d\rho_m$", fluctuations),
    ]
