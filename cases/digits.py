"""Digits: a softmax network on real images, in 75 dimensions, where only particles can go."""

import functools
import importlib
import math
from typing import Any

import numpy as np

from wgflow.check import Check, Rate
from wgflow.data import Data
from wgflow.domain import Domain, WholeLine
from wgflow.energy import Entropy, Potential, Risk
from wgflow.errors import MissingPackageError, check_count, check_number
from wgflow.exact import balance, softmax
from wgflow.law import Gaussian
from wgflow.loop import solve
from wgflow.neuron import Neuron
from wgflow.panel import Curve, Panel
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.solver import Solver
from wgflow.solvers.particles import ParticleFlow
from wgflow.solvers.sgd import SGD

SOURCE = (
    "Data: E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI Machine "
    "Learning Repository (1998), of which scikit-learn holds 1797 images of 8 x 8 pixels. The "
    "problem is set here."
)

EQUATION = (
    r"F(\rho) = \frac{1}{n} \sum_i \Big( \log \sum_c e^{f_c(x_i)} - f_{y_i}(x_i) \Big) "
    r"+ \mu \int \frac{|\theta|^2}{2} \, d\rho + \lambda \int \rho \log \rho, \quad "
    r"f(x) = s \int a \, (w \cdot x + b)_+ \, d\rho(a, w, b), \qquad "
    r"\partial_t \rho = \nabla \cdot (\rho \nabla g_\rho) + \lambda \Delta \rho"
)

SOLVERS: dict[str, Solver] = {
    "particles": ParticleFlow(count=1000, step=0.02),
    "sgd": SGD(width=1000, step=0.02, batch=50),
}

CLASSES, IMAGES = 10, 1797


def problem(
    temperature: float = 1e-4,
    ridge: float = 1e-3,
    scale: float = 4.0,
    samples: int = 1000,
    horizon: float = 10.0,
    data: Data | None = None,
) -> Problem:
    """Softmax network that learns handwritten digits of 8 x 8 pixels; needs scikit-learn.

    The unit is a relu(w.x + b) with ten outer weights, theta = (a, w, b) in R^75; F(rho) is the
    mean cross-entropy of the softmax of f = scale int unit drho + ridge int |theta|^2/2 drho +
    temperature int rho log rho. `samples` images are for training, the others for testing; pixels
    (0 to 16) are centred at the mean training image and divided by 4. At the start a ~ N(0, I)
    and (w, b) ~ N(0, I/64). Data of one's own, y one-hot, may have any number of columns.

    Known: the risk at the start, log 10 up to O(scale/sqrt(m)); the rate at which F falls; and the
    flow of a small network step by step, from its formulas in NumPy.
    """
    data = split(samples)[0] if data is None else data
    inputs, classes = data.x.shape[1], data.y.shape[1]
    neuron = Neuron("relu", outer=classes, bias=True)
    risk = Risk(data, neuron, "softmax", check_number("The parameter scale", scale, above=0))
    size = classes + inputs + 1
    stiffness = (check_number("The parameter ridge", ridge, least=0),) * size
    return Problem(
        energy=risk
        + Potential.quadratic(stiffness, "ridge")
        + Entropy(check_number("The parameter temperature", temperature, least=0)),
        domain=Domain(*[WholeLine()] * size, names=_names(classes, inputs)),
        initial=Gaussian(0.0, [1.0] * classes + [1 / math.sqrt(inputs)] * (inputs + 1)),
        horizon=horizon,
    )


def _names(classes: int, inputs: int) -> list[str]:
    return [
        *(f"a_{c}" for c in range(classes)),
        *(f"w_{k}" for k in range(1, inputs + 1)),
        "bias",
    ]


def split(samples: int = 1000) -> tuple[Data, Data]:
    """Return training and test images, x (n, 64) and one-hot y (n, 10), in a fixed random order.

    Raises
    ------
    InputError
        scikit-learn is not installed, or the number of training images is out of range.
    """
    return _split(check_count("The parameter samples", samples, least=10, most=IMAGES - 10))


@functools.cache
def _split(samples: int) -> tuple[Data, Data]:
    images, labels = _scikit_learn("datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(IMAGES)
    train, test = order[:samples], order[samples:]
    x, y = (images - images[train].mean(axis=0)) / 4, np.eye(CLASSES)[labels]
    return Data(x[train], y[train]), Data(x[test], y[test])


def _scikit_learn(module: str) -> Any:
    """Return a module of scikit-learn, which is optional and not loaded before it is needed."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingPackageError(
            "The case 'digits' needs scikit-learn, which is not installed; run pip install "
            "'wgflow[data]'."
        ) from error


def accuracy(run: Run, index: int, data: Data) -> float:
    """Return the share of images that the network at one save takes for what they are."""
    assert run.problem is not None and run.problem.risk is not None
    found = run.problem.risk.predict(run.measure(index), data.x)
    return float((found.argmax(axis=1) == data.y.argmax(axis=1)).mean())


def _start_risk_miss() -> float:
    """Return the mean risk of 400 neurons at t = 0 over 100 seeds, minus its expectation."""
    case, data, cloud = problem(samples=200), split(200)[0], ParticleFlow(count=400, step=0.02)
    runs = [solve(case, cloud, seed, progress=lambda _: True) for seed in range(100)]
    found = np.mean([run.risk[0] for run in runs])
    return float(found - softmax.start_risk(data.x, data.y, 400, 4.0))


def _descent_miss(solver: Solver) -> float:
    """Return the largest difference of 20 risks of 40 neurons from those of NumPy."""
    case, data = problem(samples=100, temperature=0.0), split(100)[0]
    run = solve(case.until(0.4, 0.02), solver)
    start = case.initial.particles(0, 40).points
    expected = softmax.descent(start, data.x, data.y, 4.0, ridge=1e-3, step=0.02, count=20)
    return float(np.abs(run.risk - expected).max())


def _energy_miss() -> float:
    """Return F(0) - F(0.4) minus the dissipated energy, without noise, by trapezoids of 0.01."""
    case = problem(samples=300, temperature=0.0).until(0.4, 0.01)
    run = solve(case, ParticleFlow(count=200, step=0.01))
    return balance.energy_miss(run.time, run.energy["total"], run.dissipation)


def _growth_by_noise(solver: Solver, seed: int) -> float:
    """Return that of mean |theta|^2 up to t = 0.4, at a temperature of 0.01."""
    case = problem(samples=300, temperature=0.01).until(0.4, 0.01)
    run = solve(case, solver, seed)
    assert case.risk is not None and run.prediction is not None
    points = np.array([run.measure(save).points for save in range(len(run.time))])
    residual = np.array([case.risk.residual(output) for output in run.prediction])
    return balance.growth_by_noise(run.time, points, run.prediction, residual, 2, 1e-3)


def _batch_miss() -> float:
    """Return the mean over 8 seeds of the risk by SGD minus that of the same 200 particles."""
    case = problem(samples=300).until(0.4, 0.4)
    batches, cloud = SGD(width=200, step=0.01, batch=50), ParticleFlow(count=200, step=0.01)
    by_sgd = np.mean([solve(case, batches, seed).risk[-1] for seed in range(8)])
    by_particles = np.mean([solve(case, cloud, seed).risk[-1] for seed in range(8)])
    return float(by_sgd - by_particles)


@functools.cache
def _training(name: str, seed: int = 0) -> Run:
    """Return a run with the default settings, which the figure shares."""
    return solve(problem(), SOLVERS[name], seed)


def _trained_miss() -> float:
    """Return the risk at t = 10 by SGD minus that of the same particles, mean of two seeds."""
    runs = [[_training(name, seed) for name in ("sgd", "particles")] for seed in (0, 1)]
    return float(np.mean([sgd.risk[-1] - flow.risk[-1] for sgd, flow in runs]))


def _descent_check(words: str, solver: Solver) -> Check:
    return Check(
        quantity=f"risks in 20 noiseless steps of 40 neurons by {words}, minus those by NumPy",
        compute=lambda: _descent_miss(solver),
        reference=0.0,
        tolerance=3e-14,
        kind="independent",
        source="the derivatives written out for this network",
        error=1e-14,
        reason="rounding: 1.1e-16 each in sums of 100 and of 65 numbers and in 20 steps",
        solver=solver.name,
    )


def _growth_check(words: str, solver: Solver, seed: int) -> Check:
    return Check(
        quantity=f"growth of mean |theta|^2 up to t = 0.4 by noise, of 400 neurons by {words}",
        compute=lambda: _growth_by_noise(solver, seed),
        reference=2 * 0.01 * 75 * 0.4,
        tolerance=0.1,
        kind="exact",
        source="d/dt int |theta|^2 drho = 2 lambda D - 2 int theta . grad g drho",
        error=0.05,
        reason="standard error of the noise along theta, 2 sqrt(2 lambda t M2 / m) = 0.03; and "
        "order 1 in the step: step x dissipated energy, 0.02",
        solver=solver.name,
    )


CHECKS = (
    Check(
        quantity="risk of 400 neurons at t = 0, mean of 100 seeds, minus its expectation",
        compute=_start_risk_miss,
        reference=0.0,
        tolerance=6e-3,
        kind="exact",
        source="log 10 + 9/20 of the variance of an output, which is of order scale^2/m",
        error=2.2e-3,
        reason="standard error: deviation 0.022, of order scale/sqrt(m), over sqrt(100)",
    ),
    _descent_check("Euler's method", ParticleFlow(count=40, step=0.02, method="euler")),
    _descent_check("SGD on all images", SGD(width=40, step=0.02, batch=None)),
    Check(
        quantity="F(0) - F(0.4) minus the dissipated energy, without noise",
        compute=_energy_miss,
        reference=0.0,
        tolerance=1e-2,
        kind="exact",
        source="dF/dt = -mean |grad g|^2 for a gradient flow",
        error=5e-3,
        reason="order step^2 of Heun's method and of the trapezoids: a third of the change from "
        "steps twice as long",
        solver="particles",
    ),
    # Of one seed the two would have the same noise.
    _growth_check("particles", ParticleFlow(count=400, step=0.01), seed=0),
    _growth_check("SGD on all images", SGD(width=400, step=0.01, batch=None), seed=1),
    Check(
        quantity="risk at t = 0.4 by SGD, batch 50, minus that of the particles it starts from",
        compute=_batch_miss,
        reference=0.0,
        tolerance=0.014,
        kind="independent",
        source="SGD approaches the particle flow as the step goes to 0",
        error=0.007,
        reason="order 1 in the step, by the noise of batches: half the change from steps twice as "
        "long, 5e-3; standard error over 8 seeds, 2e-3",
        solver="sgd",
    ),
    Check(
        quantity="risk at t = 10 by SGD minus that of particles, default settings",
        compute=_trained_miss,
        reference=0.0,
        tolerance=2e-3,
        kind="independent",
        source="SGD approaches the particle flow as the step goes to 0",
        error=1e-3,
        reason="deviation over seeds, 7e-4, and as much of the step: the change to half the step",
        solver="sgd",
        slow=True,
    ),
)

RATES = (
    Rate(
        solver="sgd",
        setting="batch",
        values=(10, 20, 40, 80, 160),
        expected=-0.5,
        tolerance=0.1,
        source="noise of a mean over independent draws, against the particles it starts from",
        error=0.05,
        reason="standard error by the jackknife over 6 seeds, 0.03, and the part of order 1/batch",
        parameters={"samples": 300},
        seeds=6,
        reference="particles",
        time=0.5,
    ),
    Rate(
        solver="particles",
        setting="count",
        values=(100, 200, 400, 800),
        expected=-0.5,
        tolerance=0.1,
        source="fluctuations of a mean of independent particles about its limit",
        error=0.05,
        reason="standard error by the jackknife over 8 seeds, 0.015, and of the mean of 800 "
        "neurons, which is the reference: a quarter of the smallest error",
        parameters={"samples": 300},
        seeds=8,
        time=0.5,
    ),
)


def figure() -> list[Panel]:
    """Risk and accuracy while a network of 1000 neurons learns handwritten digits.

    On the training images and on those kept for testing, by particles and by SGD with batches of
    50; dashed the test accuracy of a linear classifier, scikit-learn's logistic regression with its
    defaults, for comparison.
    """
    train, test = split()
    linear = _scikit_learn("linear_model").LogisticRegression(max_iter=2000)
    linear.fit(train.x, train.y.argmax(axis=1))
    level = linear.score(test.x, test.y.argmax(axis=1))
    runs = {"particles": _training("particles"), "SGD": _training("sgd")}
    time = runs["SGD"].time
    training = [Curve(f"{name}, training", time, run.risk) for name, run in runs.items()]
    testing = [Curve(f"{name}, test", time, _risk_on(test, run)) for name, run in runs.items()]
    reading = []
    for name, run in runs.items():
        share = [accuracy(run, index, test) for index in range(1, len(time))]
        reading.append(Curve(name, time[1:], np.array(share)))
    reading.append(Curve("linear classifier", time[[1, -1]], np.full(2, level), "dashed"))
    return [
        Panel("Risk", "$t$", "cross-entropy", [*training, *testing], y_scale="log"),
        Panel("Accuracy on test images", "$t$", "share", reading),
    ]


def _risk_on(data: Data, run: Run) -> np.ndarray:
    """Return the risk on other data at every save."""
    assert run.problem is not None and run.problem.risk is not None
    risk = run.problem.risk
    saves = [risk.predict(run.measure(index), data.x) for index in range(len(run.time))]
    return np.array([risk.on(data).value(prediction) for prediction in saves])
