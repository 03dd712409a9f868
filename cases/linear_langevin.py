"""Linear Langevin: units w.x with ridge and noise, where the mean weight is a Gaussian process."""

import functools

import numpy as np

from wgflow.check import Check, Rate, rate_in_step
from wgflow.data import Data
from wgflow.domain import Domain, WholeLine
from wgflow.energy import Entropy, Potential, Risk
from wgflow.errors import check_count, check_number
from wgflow.exact import gaussian, ridge_regression
from wgflow.exact.recursion import after
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.neuron import Neuron
from wgflow.optimality import Dual
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers import JKO, SGD, FiniteVolume, ParticleFlow

SOURCE = (
    "Set and solved here: linear regression by a network of linear units, whose noisy gradient "
    "descent is an Ornstein-Uhlenbeck process of the mean weight."
)

EQUATION = r"""
F(\rho) = \tfrac12 \, \mathbb{E}_{x \sim N(0, S)} \Bigl( \int w \cdot x \, d\rho - w_* \cdot x
\Bigr)^2 + \frac{\mu}{2} \int |w|^2 d\rho + \lambda \int \rho \log \rho, \qquad
d \bar w = -\bigl( S (\bar w - w_*) + \mu \bar w \bigr) dt + \sqrt{2 \lambda / m} \; dB
"""

SOLVERS: dict[str, Solver] = {
    "particles": ParticleFlow(count=1000, step=0.05),
    "jko": JKO(step=0.1, shape=(96, 96)),
    "finite-volume": FiniteVolume(step=0.1, shape=(96, 96), time_order=2),
    "sgd": SGD(width=100, step=0.05, batch=10, fresh=True),
}


def problem(
    dimension: int = 2,
    decay: float = 1.0,
    target: float = 1.0,
    ridge: float = 0.5,
    temperature: float = 0.2,
    std: float = 1.0,
    horizon: float = 4.0,
) -> Problem:
    """Linear units w.x with ridge and noise: the law is Gaussian, and so is the mean weight.

    F(rho) = E (int w.x drho - w*.x)^2 / 2 + ridge int |w|^2/2 drho + temperature int rho log rho
    with x ~ N(0, S), S = diag(1, 2^-decay, 3^-decay, ...) and w* = target (1, ..., 1), from
    w ~ N(0, std^2 I). The expectation depends on S only, so that d points of covariance S stand for
    it. On grids w is cut to [-6, 6] on each axis with walls.

    Known: mean and variance of the law at all times; the law of the mean weight of m particles, and
    its stationary excess risk (temperature/2m) tr[S (S + ridge)^-1]; both after Euler steps, too.
    """
    dimension = check_count("The parameter dimension", dimension, most=1000)
    value = ridge_regression.eigenvalues(dimension, decay)
    goal = np.full(dimension, check_number("The parameter target", target))

    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.sqrt(value) * generator.standard_normal((count, dimension))
        return x, x @ goal

    x = np.diag(np.sqrt(dimension * value))
    names = [f"w_{k}" for k in range(1, dimension + 1)]
    stiffness = check_number("The parameter ridge", ridge, least=0)
    return Problem(
        energy=Risk(Data(x, x @ goal, draw=draw), Neuron("linear", outer="fixed"))
        + Potential.quadratic((stiffness,) * dimension, "ridge")
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(*(WholeLine(window=(-6.0, 6.0)) for _ in names), names=names),
        initial=Gaussian((0.0,) * dimension, check_number("The parameter std", std, above=0)),
        horizon=horizon,
    )


@functools.cache
def _standardised() -> np.ndarray:
    """Return the mean weight of 8 particles at t = 1 in 400 dimensions, as standard normals."""
    case = problem(400, decay=0.5, horizon=1.0).save_every(1.0)
    weight = solve(case, ParticleFlow(step=0.01, count=8)).measure(-1).points.mean(axis=0)
    return ridge_regression.standardised(weight, 1.0, ridge_regression.eigenvalues(400, 0.5), 8)


def _average_excess(solver: Solver, horizon: float = 400.0) -> float:
    """Return the risk averaged over saves from t = 20 on, which is the excess, since w* = 0."""
    case = problem(32, decay=0.5, target=0.0, horizon=horizon).save_every(1.0)
    return float(solve(case, solver, save="summary").risk[20:].mean())


@functools.cache
def _moments(solver: Solver, dimension: int = 2) -> tuple[float, float]:
    """Return mean and variance of the last weight at t = 2, of masses at the centres of cells."""
    law = solve(problem(dimension, horizon=2.0).save_every(2.0), solver).measure(-1)
    mean = float(law.mass @ law.points[:, -1])
    return mean, float(law.mass @ (law.points[:, -1] - mean) ** 2)


FEW, FRESH = ParticleFlow(step=0.2, count=8), SGD(step=0.2, width=8, batch=4, fresh=True)
ENTROPIC, LAGRANGIAN = JKO(step=0.1, shape=(96, 96)), JKO(step=0.2, shape=(256,))
VOLUMES, WIDTH = FiniteVolume(step=0.1, shape=(96, 96), time_order=2), 12 / 96
PLANE, MANY = ridge_regression.eigenvalues(2), ridge_regression.eigenvalues(32, 0.5)
ERROR_OF_AVERAGE = ridge_regression.error_of_average(MANY, count=8, step=0.2, saves=381)
ENTROPIC_START = gaussian.binned(1.0, WIDTH)
AVERAGED = "standard error of the time average, from the known autocorrelation of every mode"
_exact = functools.partial(Check, kind="exact")
_excess = functools.partial(
    _exact, tolerance=2.5 * ERROR_OF_AVERAGE, error=ERROR_OF_AVERAGE, reason=AVERAGED
)
_by_jko = functools.partial(_exact, solver="jko")
_by_particles = functools.partial(_exact, solver="particles")
_by_finite_volumes = functools.partial(_exact, solver="finite-volume")

CHECKS = (
    _excess(
        quantity="stationary excess risk of 8 particles, d = 32, decay = 0.5, steps of 0.2",
        compute=lambda: _average_excess(FEW),
        reference=ridge_regression.stationary_excess(MANY, 8, step=0.2),
        source="(temperature/2m) sum e/(e + ridge)/(1 - h (e + ridge)/2)",
        solver="particles",
    ),
    _excess(
        quantity="stationary excess risk of 8 neurons by SGD on batches of 4, d = 32, decay = 0.5",
        compute=lambda: _average_excess(FRESH),
        reference=ridge_regression.stationary_excess(MANY, 8, step=0.2, batch=4),
        source="second moments of a step with normal inputs",
        error=1.5 * ERROR_OF_AVERAGE,
        reason="the standard error of full batches, times 1.5 for the noise of small ones, which "
        "is the spread of six seeds, 3.7e-3",
        solver="sgd",
    ),
    _by_particles(
        quantity="mean weight at t = 1 in standard deviations, averaged over 400 coordinates",
        compute=lambda: float(_standardised().mean()),
        reference=0.0,
        tolerance=0.125,
        source="w_l (1 - e^(-(S + ridge) t))",
        error=0.05,
        reason="standard error 1/20",
    ),
    _by_particles(
        quantity="mean square of the same",
        compute=lambda: float(np.square(_standardised()).mean()),
        reference=1.0,
        tolerance=0.175,
        source="(1/m) [temperature/k + (std^2 - temperature/k) e^(-2 k t)], k = e + ridge",
        error=0.0708,
        reason="standard error sqrt(2/400)",
    ),
    _by_jko(
        quantity="mean at t = 2 by entropic JKO, 96 x 96 cells",
        compute=lambda: _moments(ENTROPIC)[0],
        reference=ridge_regression.implicit_mean(20, 0.1, PLANE)[1],
        tolerance=2e-8,
        source="one step divides the distance from w_l by 1 + (e + ridge) tau",
        error=1e-8,
        reason="tolerance of the coupling",
    ),
    _by_jko(
        quantity="variance at t = 2 by entropic JKO, 96 x 96 cells",
        compute=lambda: _moments(ENTROPIC)[1],
        reference=after(20, gaussian.entropic_jko_variance, ENTROPIC_START, 0.5, 0.2, 0.1),
        tolerance=2e-7,
        source="v/(1 + k tau)^2 + 2 lambda tau/(1 + k tau) from 1 + h^2/12",
        error=7e-8,
        reason="the tails of the first law beyond the walls, 12 phi(6) of its variance",
    ),
    _by_jko(
        quantity="variance at t = 2 by Lagrangian JKO, 256 cells",
        compute=lambda: _moments(LAGRANGIAN, 1)[1],
        reference=after(10, gaussian.jko_std, 1.0, 0.5, 0.2, 0.2) ** 2,
        tolerance=1.4e-4,
        source="(1 + k tau) s^2 - s_k s - lambda tau = 0",
        error=5.8e-5,
        reason="second order in h: a third of the change from half the cells",
    ),
    _by_finite_volumes(
        quantity="mean at t = 2 by finite volumes, 96 x 96 cells",
        compute=lambda: _moments(VOLUMES)[0],
        reference=ridge_regression.mean_at(2.0, PLANE)[1],
        tolerance=2.6e-3,
        source="w_l (1 - e^(-(S + ridge) t))",
        error=1.07e-3,
        reason="a third of the change from half the cells, 8.8e-4, and from twice the step, 1.9e-4",
    ),
    _by_finite_volumes(
        quantity="variance at t = 2 by finite volumes, 96 x 96 cells",
        compute=lambda: _moments(VOLUMES)[1],
        reference=gaussian.binned(gaussian.variance_at(2.0, 0.5, 0.2, 1.0), WIDTH),
        tolerance=3e-3,
        source="temperature/ridge + (std^2 - temperature/ridge) e^(-2 ridge t), and h^2/12",
        error=1.24e-3,
        reason="a third of the change from half the cells, 8.6e-4, and from twice the step, 3.8e-4",
    ),
    _exact(
        quantity="minimum F* on 64 x 64 cells",
        compute=lambda: Dual(problem().energy, problem().domain.grid((64, 64))).maximise().value,
        reference=ridge_regression.least_energy(PLANE),
        tolerance=5e-15,
        source="the minimizer is a Gaussian",
        error=2e-15,
        reason="rounding of a sum of 4096 terms, ten units in the last place",
    ),
)

RATES = (
    Rate(
        solver="particles",
        setting="count",
        values=(100, 400, 1600),
        expected=-0.5,
        tolerance=0.12,
        source="law of large numbers",
        error=0.045,
        reason="standard error: 32 seeds of two normal numbers give the logarithm of their size to "
        "0.09, at 3 points over log 16",
        seeds=32,
        time=2.0,
    ),
    rate_in_step(
        "jko",
        values=(0.2, 0.1, 0.05),
        order=1,
        error=0.085,
        tolerance=0.1,
        reason="the miss of the slope of w_l (1 - (1 + (S + ridge) tau)^-n) itself at these steps",
        settings={"shape": (128, 128)},
        quantity="mean",
        reference="successive",
    ),
)


def figure() -> list[Panel]:
    """Mean weight of ten particles, and excess risk of few and many.

    Left: both coordinates, with their mean and two standard deviations to both sides. Right: the
    risk in equilibrium in 32 dimensions, w* = 0, averaged over time, and the exact one.
    """
    run, paths = solve(problem(horizon=10.0).save_every(0.1), ParticleFlow(0.05, 10)), []
    weight = np.array([run.measure(k).points.mean(axis=0) for k in range(len(run.time))])
    mean = np.array([ridge_regression.mean_at(t, PLANE) for t in run.time])
    spread = np.sqrt([ridge_regression.spread_at(t, PLANE, 10) for t in run.time])
    for axis in (0, 1):
        paths.append(Curve(f"$w_{axis + 1}$", run.time, weight[:, axis]))
        for side in (-2, 0, 2):
            edge = mean[:, axis] + side * spread[:, axis]
            paths.append(Curve("", run.time, edge, "dashed"))
    counts = np.array([1, 4, 16, 64])
    found = [_average_excess(ParticleFlow(0.2, int(count)), 200.0) for count in counts]
    exact = [ridge_regression.stationary_excess(MANY, int(count), step=0.2) for count in counts]
    excess = [Curve("time average", counts, np.array(found), "points")]
    excess.append(Curve("exact", counts, np.array(exact), "dashed"))
    return [
        Panel("Mean of 10 weights", "$t$", "weight", paths),
        Panel("Equilibrium", "particles", "excess risk", excess, "log", "log"),
    ]
