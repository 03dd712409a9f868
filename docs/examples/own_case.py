"""Linear neuron: a network of units w x that learns the slope of a line."""

import functools
import math

import numpy as np

import wgflow as wg

SOURCE = "Set here; the mean and the variance of the weights obey linear equations."
SOLVERS = {
    "jko": wg.JKO(step=0.05, shape=(256,)),
    "particles": wg.ParticleFlow(count=10000, step=0.01),
    "sgd": wg.SGD(width=10000, step=0.01, batch=100, fresh=True),
}


def problem(
    slope: float = 2.0, ridge: float = 0.5, temperature: float = 0.1, horizon: float = 1.0
) -> wg.Problem:
    """Units w x fitted to a line through the origin; the weights stay normal.

    x ~ N(0, 1), y = slope x; F(rho) = E (f_rho(x) - y)^2 / 2 + ridge int w^2/2 drho +
    temperature int rho log rho, from N(0, 1).

    Known: mean and variance at all times; the recursion of the mean by JKO steps.
    """
    data = wg.population(wg.NormalInputs(), lambda x: slope * x, nodes=4)
    return wg.Problem(
        energy=wg.Risk(data, wg.Neuron("linear", outer="fixed"))
        + wg.Potential.quadratic((ridge,), "ridge")
        + wg.Entropy(temperature),
        domain=wg.Domain(wg.WholeLine(window=(-5, 5)), names=("w",)),
        initial=wg.Gaussian(0.0, 1.0),
        horizon=horizon,
    )


# The formula for the pages, and closed forms for checks and figure.

EQUATION = r"""
F(\rho) = \tfrac12 \, \mathbb{E}\, (f_\rho(x) - y)^2 + \mu \int \frac{w^2}{2} \, d\rho
+ \lambda \int \rho \log \rho, \qquad f_\rho(x) = \int w x \, d\rho(w)
"""


def mean_at(time: float, slope: float = 2.0, ridge: float = 0.5) -> float:
    """Return the mean m of the weights: m' = slope - (1 + ridge) m from 0."""
    return slope / (1 + ridge) * (1 - math.exp(-(1 + ridge) * time))


def variance_at(time: float, ridge: float = 0.5, temperature: float = 0.1) -> float:
    """Return the variance of the weights: v' = 2 (temperature - ridge v) from 1."""
    limit = temperature / ridge
    return limit + (1 - limit) * math.exp(-2 * ridge * time)


# Numbers that it must reproduce, with the errors that the methods should make.


@functools.cache
def run_by(name: str) -> wg.Run:
    """Return the run by a solver of the case, which checks and figure share."""
    return wg.solve(problem(), SOLVERS[name])


def means(run: wg.Run) -> np.ndarray:
    """Return the mean of the weights at every save."""
    laws = [run.measure(k) for k in range(len(run.time))]
    return np.array([float(law.mass @ law.points[:, 0]) for law in laws])


EULER = 4 / 3 * (1 - (1 - 1.5 * 0.01) ** 100)

CHECKS = (
    wg.Check(
        quantity="mean weight at t = 1 by 20 JKO steps",
        compute=lambda: means(run_by("jko"))[-1],
        reference=4 / 3 * (1 - (1 + 1.5 * 0.05) ** -20),
        tolerance=3e-13,
        kind="exact",
        source="a JKO step solves (m+ - m) / step = slope - (1 + ridge) m+",
        error=1.3e-13,
        reason="square of Newton's last correction, 1e-7, over 13 steps of memory",
        solver="jko",
    ),
    wg.Check(
        quantity="mean weight at t = 1 of 10000 particles",
        compute=lambda: means(run_by("particles"))[-1],
        reference=EULER,
        tolerance=0.01,
        kind="exact",
        source="an Euler step changes the mean by step (slope - (1 + ridge) m)",
        error=0.0034,
        reason="standard error of initial draw and noise, sqrt((0.049 + 0.064) / m)",
        solver="particles",
    ),
    wg.Check(
        quantity="mean weight at t = 1 of a network of width 10000",
        compute=lambda: means(run_by("sgd"))[-1],
        reference=EULER,
        tolerance=0.03,
        kind="exact",
        source="an Euler step changes the mean by step (slope - (1 + ridge) m)",
        error=0.01,
        reason="batches of b: a step adds the variance step^2 2 (slope - m)^2 / b, "
        "in all 0.0094^2, to the 0.0034^2 of the particles",
        solver="sgd",
    ),
)

# Rates of convergence, and a figure.

RATES = (
    wg.Rate(
        solver="jko",
        setting="step",
        values=(0.1, 0.05, 0.025),
        expected=1.0,
        tolerance=0.1,
        source="JKO steps are implicit Euler steps, of first order",
        error=0.045,
        reason="the recursion of the mean at these steps has the slope 0.955",
        quantity="mean",
        slow=False,
    ),
)


def figure() -> list[wg.Panel]:
    """The mean of the weights over time, and their density at the end of the JKO run.

    Dashed: the closed forms.
    """
    time = np.linspace(0, 1, 101)
    law = run_by("jko").measure(-1)
    weight = np.linspace(-2, 4, 201)
    mean, variance = mean_at(1.0), variance_at(1.0)
    height = 1 / math.sqrt(2 * math.pi * variance)
    normal = height * np.exp(-((weight - mean) ** 2) / (2 * variance))
    return [
        wg.Panel(
            "Mean weight",
            "t",
            "m",
            [
                *(
                    wg.Curve(name, run_by(name).time, means(run_by(name)), "points")
                    for name in SOLVERS
                ),
                wg.Curve("exact", time, np.array([mean_at(t) for t in time]), "dashed"),
            ],
        ),
        wg.Panel(
            "Density at t = 1",
            "w",
            r"$\rho$",
            [
                wg.Curve("jko", law.centres[0], law.density),
                wg.Curve("exact", weight, normal, "dashed"),
            ],
        ),
    ]
