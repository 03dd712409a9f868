"""Single neuron: a wide relu network learns one relu neuron, on the population itself."""

import dataclasses
import functools
from typing import Any, Literal

import numpy as np
from scipy.integrate import simpson

from wgflow.check import Check, rate_in_step
from wgflow.domain import Domain, WholeLine
from wgflow.energy import ArcCosineRisk, Energy, RandomFeature
from wgflow.errors import check_choice, check_count, check_number
from wgflow.exact import neurons, random_features
from wgflow.law import Gaussian, Product, Samples
from wgflow.loop import solve
from wgflow.neuron import Neuron
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.solver import Solver
from wgflow.solvers import SGD, ParticleFlow

SOURCE = (
    "C. Ma, L. Wu and W. E, The quenching-activation behavior of the gradient descent dynamics for "
    "two-layer neural network models, arXiv:2006.14450 (2020); setting read in L. Wu's lectures, "
    "Training neural networks beyond the kernel regime (2021), which leave the law of the inputs "
    "and the loss open: x ~ N(0, I) and half the square are set here."
)
EQUATION = r"""
F(\rho) = \tfrac12\,\mathbb{E}_{x\sim N(0,I_d)}\bigl(f_\rho(x)-\max(x_1,0)\bigr)^2,\qquad
f_\rho(x) = s\int a\,\max(b\cdot x,0)\,d\rho(a,b),\qquad
\partial_t\rho = \frac1s\,\nabla\cdot\Bigl(\rho\,\nabla\frac{\delta F}{\delta\rho}\Bigr)
"""
SOLVERS: dict[str, Solver] = {"particles": ParticleFlow(count=100, step=0.1)}
HALF_STEP = ParticleFlow(count=100, step=0.05)
SUM: dict[str, Any] = {"dimension": 200, "scale": 100.0}
MEAN_FIELD: dict[str, Any] = {"dimension": 100, "scale": 1.0}
"""Parameters of the plain sum of 100 neurons and of the mean-field network of 50."""
Times = tuple[float, ...]
EVERY_STEP: Times = tuple(0.1 * k for k in range(1, 200))


def problem(
    dimension: int = 200,
    scale: float = 100.0,
    trained: Literal["all", "outer"] = "all",
    risk: Literal["population", "sample"] = "population",
    samples: int = 2000,
    horizon: float = 200.0,
) -> Problem:
    """One relu neuron learnt by a hundred; gradient flow of the population risk, a = 0 at first.

    F(rho) = E (f_rho(x) - max(x_1, 0))^2 / 2 for x ~ N(0, I) in closed form, f_rho = scale times
    the mean of a max(b.x, 0), from a = 0 and b ~ N(0, I/dimension). With scale = count the network
    is the plain sum of its neurons and time is that of gradient descent on it; scale = 1 is the
    mean-field network (dimension 100, 50 neurons in the source). With trained = outer the inner
    weights stay: the random-feature model. With risk = sample the population is a fixed sample
    instead, or for SGD fresh draws.

    Known: F(0) = 1/4; a_j^2 - |b_j|^2 stands still; the random-feature flow is linear and solved
    by the Gram matrix; both flows agree up to t^2 and separate as t^3; then the sum quenches all
    neurons but a few, while the mean-field network keeps many.
    """
    dimension = check_count("The parameter dimension", dimension, least=2, most=10_000)
    scale = check_number("The parameter scale", scale, above=0)
    check_choice("The parameter trained", trained, ("all", "outer"))
    check_choice("The parameter risk", risk, ("population", "sample"))
    exact = population_risk(dimension, scale, trained)
    names = ("a", *(f"b_{k}" for k in range(1, dimension + 1)))
    return Problem(
        energy=Energy(exact if risk == "population" else exact.on_sample(samples)),
        domain=Domain(*(WholeLine() for _ in names), names=names),
        initial=Product(Samples(np.zeros((1, 1))), Gaussian((0.0,) * dimension, dimension**-0.5)),
        horizon=horizon,
        # In this time the inner weights of a plain sum move as under gradient descent.
        schedule=lambda _: 1 / scale,
    )


def population_risk(dimension: int, scale: float, trained: str = "all") -> ArcCosineRisk:
    """Return F of these parameters, the risk over all inputs."""
    neuron = Neuron("relu") if trained == "all" else RandomFeature("relu")
    return ArcCosineRisk(np.ones(1), np.eye(1, dimension), scale, neuron)


@functools.cache
def _run(time: float, solver: Solver, seed: int = 0, saves: Times = (), **given: Any) -> Run:
    case = dataclasses.replace(problem(**given), horizon=time, save_times=saves)
    return solve(case, solver, seed=seed)


def _mean_field() -> Run:
    """Return the run of the mean-field network up to t = 20, saved at every step."""
    return _run(20.0, ParticleFlow(count=50, step=0.1), saves=EVERY_STEP, **MEAN_FIELD)


def _change_of_balance() -> float:
    return neurons.change_of_balance(_mean_field().measure(0), _mean_field().measure(-1))


def energy_mismatch(run: Run) -> float:
    """Return F(0) - F(T) minus the time integral of the dissipation (Simpson's rule)."""
    return float(run.risk[0] - run.risk[-1] - simpson(run.dissipation, x=run.time))


def _random_feature_miss() -> float:
    """Return the risk of the random-feature model at t = 20 minus that of the recursion."""
    run = _run(20.0, ParticleFlow(count=100, step=0.1), trained="outer")
    exact = random_features.relu_risk(population_risk(**SUM), run.measure(0), 20.0, step=0.1)
    return float(run.risk[-1]) - exact


def _separation_ratio(time: float) -> float:
    """Return (R_features - R) / C t^3 at a time."""
    solver = ParticleFlow(count=50, step=time / 8, method="bogacki-shampine")
    network = _run(time, solver, **MEAN_FIELD)
    features = _run(time, solver, trained="outer", **MEAN_FIELD)
    rate = random_features.separation(population_risk(**MEAN_FIELD), network.measure(0))
    return float(features.risk[-1] - network.risk[-1]) / (rate * time**3)


def _active(seeds: int, time: float, solver: ParticleFlow, **parameters: Any) -> float:
    """Return how many neurons are active at a time, on average over seeds."""
    laws = [_run(time, solver, seed, **parameters).measure(-1) for seed in range(seeds)]
    return float(np.mean([neurons.active_neurons(law) for law in laws]))


def _excess_of_sgd() -> float:
    """Return the risk at t = 4 by SGD on fresh samples minus that of the flow, over four seeds."""
    risk, excess = population_risk(**SUM), []
    sgd = SGD(step=0.05, width=100, batch=1000, fresh=True)
    for seed in range(4):
        law = _run(4.0, sgd, seed, risk="sample", samples=2).measure(-1)
        flow = _run(4.0, HALF_STEP, seed)
        excess.append(risk.value(risk.couple(law)) - flow.risk[-1])
    return float(np.mean(excess))


_exactly = functools.partial(Check, kind="exact", solver="particles")
_independently = functools.partial(
    Check,
    kind="independent",
    source="the same neurons by SciPy's DOP853 at 1e-9 on a separate gradient, by the chain rule "
    "through b_i . b_j",
    solver="particles",
)
CHECKS = (
    Check(
        quantity="risk at t = 0",
        compute=lambda: _run(20.0, HALF_STEP).risk[0],
        reference=0.25,
        tolerance=3e-15,
        kind="exact",
        source="E max(x_1, 0)^2 / 2 = 1/4, as a = 0",
        error=1e-15,
        reason="rounding of a hundred sums",
    ),
    _exactly(
        quantity="risk of random features at t = 20 minus that of Heun's recursion in closed form",
        compute=_random_feature_miss,
        reference=0.0,
        tolerance=3e-15,
        source="(1 - mu h + (mu h)^2 / 2)^n for each eigenvalue mu of the Gram matrix",
        error=1e-15,
        reason="rounding of a hundred sums of a risk of 0.13",
    ),
    _exactly(
        quantity="risk of random features minus that of the network, over C t^3, as t goes to 0",
        compute=lambda: 2 * _separation_ratio(0.05) - _separation_ratio(0.1),
        reference=1.0,
        tolerance=1e-3,
        source="C = (2/3) (s/m) sum_j c_j^2 |grad c_j|^2, derived here",
        error=3.6e-4,
        reason="linear extrapolation: a quarter of what it misses from times twice as long",
    ),
    _exactly(
        quantity="largest change of a_j^2 - |b_j|^2 up to t = 20, mean-field",
        compute=_change_of_balance,
        reference=0.0,
        tolerance=2e-5,
        source="conserved, as relu is homogeneous",
        error=6.9e-6,
        reason="third order in the step: an eighth of the change with the step 0.2, 5.5e-5",
    ),
    _exactly(
        quantity="F(0) - F(20) minus the integral of the dissipation, mean-field",
        compute=lambda: energy_mismatch(_mean_field()),
        reference=0.0,
        tolerance=1.6e-4,
        source="dF/dt = -(1/s) int |grad g|^2 drho",
        error=5.6e-5,
        reason="second order in the step: a quarter of that with the step 0.2, 2.26e-4",
    ),
    _independently(
        quantity="risk of the sum at t = 20",
        compute=lambda: _run(20.0, HALF_STEP).risk[-1],
        reference=4.9652128667e-2,
        tolerance=1e-6,
        error=3.4e-7,
        reason="second order in the step: 4/3 of the change with half the step, 2.5e-7",
    ),
    _independently(
        quantity="risk of the mean-field network at t = 20",
        compute=lambda: _mean_field().risk[-1],
        reference=3.2092126911e-3,
        tolerance=1.8e-6,
        error=6e-7,
        reason="second order in the step: a third of the change with twice the step, 1.8e-6",
    ),
    _independently(
        quantity="active neurons of 50 of the mean-field network at t = 100, four seeds",
        compute=lambda: _active(4, 100.0, ParticleFlow(count=50, step=0.5), **MEAN_FIELD),
        reference=22.999045,
        tolerance=0.2,
        error=0.09,
        reason="second order in the step: 4/3 of the change with half the step, 0.067",
    ),
    _independently(
        quantity="active neurons of 100 of the sum at t = 200, three seeds",
        compute=lambda: _active(3, 200.0, ParticleFlow(count=100, step=0.1)),
        reference=1.749942,
        tolerance=2.4e-4,
        error=8.4e-5,
        reason="second order in the step: 4/3 of the change with half the step, 6.3e-5",
        slow=True,
    ),
    Check(
        quantity="risk at t = 4 by SGD on fresh samples minus that of the flow, four seeds",
        compute=_excess_of_sgd,
        reference=0.0,
        tolerance=4.2e-4,
        kind="independent",
        source="the flow of the population risk from the same neurons",
        error=1.4e-4,
        reason="standard error 2.8e-4 / sqrt(4): the spread of ten seeds with this step and batch",
        solver="sgd",
        slow=True,
    ),
)
RATES = (
    rate_in_step(
        solver="particles",
        values=(0.2, 0.1, 0.05),
        order=2,
        tolerance=0.09,
        source="Heun's method is of order 2",
        error=0.03,
        reason="mu h = 0.03 for the largest eigenvalue mu = 0.16 at first and h = 0.2",
        settings={"count": 50},
        parameters=MEAN_FIELD,
        seeds=2,
        reference="successive",
        quantity="energy",
        time=5.0,
        slow=False,
    ),
)


def figure() -> list[Panel]:
    """The risk of the network and of its random features, which agree at first (dashed the closed
    form), and the magnitudes |a||b| of all neurons: for the plain sum of a hundred neurons (200
    inputs), in which all rise and then all but a few are quenched, and for the mean-field network
    (50 neurons, 100 inputs).
    """
    times, panels = np.geomspace(0.2, 200.0, 41), []
    saves = tuple(times.tolist())
    for title, solver, parameters in (
        ("Plain sum", ParticleFlow(count=100, step=0.1), SUM),
        ("Mean-field network", ParticleFlow(count=50, step=0.5), MEAN_FIELD),
    ):
        network = _run(200.0, solver, saves=saves, **parameters)
        features = _run(200.0, solver, saves=saves, trained="outer", **parameters)
        risk, start = population_risk(**parameters), network.measure(0)
        exact = np.array([random_features.relu_risk(risk, start, time) for time in times])
        sizes = np.array([neurons.magnitudes(network.measure(k)) for k in range(1, 42)])
        risks = (
            Curve("network", times, network.risk[1:]),
            Curve("random features", times, features.risk[1:]),
            Curve("random features, exact", times, exact, "dashed"),
        )
        paths = [Curve("", times, size) for size in sizes.T]
        panels.append(Panel(title, "$t$", "risk", risks, x_scale="log", y_scale="log"))
        panels.append(Panel(f"{title}, neurons", "$t$", "$|a_j||b_j|$", paths, x_scale="log"))
    return panels
