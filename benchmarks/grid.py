"""Figures of the grid solvers: errors and what they cost, each beside what it must reach.

Run with `make bench`; it takes a few minutes. Seconds are of CPU time (all threads together), the
median of five calls after one that compiles.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

import wgflow as wg
from wgflow.exact.barenblatt import distance, jko_radius
from wgflow.exact.gaussian import jko_std

Result = TypeVar("Result")

START, STOP, FINE = 0.2, 0.4, (256, 256)


def main() -> None:
    print(f"{'figure':66}{'found':>12}{'at most':>12}")
    for function in (
        finite_volumes,
        back_and_forth_step,
        back_and_forth_second_order,
        back_and_forth_entropy,
        entropic_step,
        entropic_run,
        balanced_step,
    ):
        for title, found, bound in function():
            verdict = "" if found <= bound else "  missed"
            print(f"{title:66}{found:12.3g}{bound:12.3g}{verdict}", flush=True)


def finite_volumes() -> list[tuple[str, float, float]]:
    problem = flow()
    run, seconds = cpu(lambda: wg.solve(problem, wg.FiniteVolume(problem.horizon, FINE)))
    error = distance(run.measure(-1), STOP, 2.0, 2)
    title = "finite volumes, Barenblatt .2 -> .4 at 256^2"
    return [(f"{title}, L1", error, 1e-4), (f"{title}, CPU s", seconds, 4.0)]


def back_and_forth_step() -> list[tuple[str, float, float]]:
    problem = flow()
    step = problem.horizon / 8
    problem = problem.until(step).save_every(step)
    solver = wg.JKO(step, FINE, method="back-and-forth")
    run = wg.solve(problem, solver)
    error = distance(run.measure(-1), jko_radius(START, step, 2.0, 2), 2.0, 2)
    scheme = solver.prepare(problem, 0, wg.Context())
    state = scheme.initial()
    with wg.Context().held():
        _, seconds = cpu(lambda: scheme.advance(state, 0.0, 0, step))
    title = "back-and-forth, one Barenblatt step at 256^2"
    return [(f"{title}, L1", error, 5e-4), (f"{title}, CPU s", seconds, 3.0)]


def back_and_forth_second_order() -> list[tuple[str, float, float]]:
    problem = flow()
    solver = wg.JKO(problem.horizon / 32, FINE, method="back-and-forth", time_order=2)
    run = wg.solve(problem, solver)
    error = distance(run.measure(-1), STOP, 2.0, 2)
    title = "back-and-forth, order 2, Barenblatt .2 -> .4 in 32 steps at 256^2, L1"
    return [(title, error, 2e-3)]


def back_and_forth_entropy() -> list[tuple[str, float, float]]:
    """One step of a Gaussian in a well, against the exact JKO step."""
    step, temperature, mean, std = 0.1, 0.2, 0.5, np.array([0.9, 0.55])
    axis = wg.Interval(-5, 5)
    problem = wg.Problem(
        wg.Potential.quadratic((1.0, 1.0)) + wg.Entropy(temperature),
        wg.Domain(axis, axis),
        wg.Gaussian((mean, 0.0), std),
        step,
        save_times=(0.0, step),
    )
    law = wg.solve(problem, wg.JKO(step, FINE, method="back-and-forth")).measure(-1)
    after = [jko_std(s, 1.0, temperature, step) for s in std]
    exact = wg.Gaussian((mean / (1 + step), 0.0), after).masses(law.edges)
    error = float(np.abs(law.mass_on_grid - exact).sum())
    return [("back-and-forth, one Ornstein-Uhlenbeck step at 256^2, L1", error, 5e-4)]


def entropic_step() -> list[tuple[str, float, float]]:
    problem = wg.get_case("tanh-network").save_every(5.0)
    run, seconds = cpu(lambda: wg.solve(problem, wg.JKO(0.25, (128, 128), method="entropic")))
    milliseconds = 1000 * run.statistics["seconds"] / run.statistics["steps"]
    return [
        ("entropic, tanh-network at 128^2, step .25, ms a step", milliseconds, 40.0),
        ("   the same, CPU ms a step", 1000 * seconds / run.statistics["steps"], 40.0),
    ]


def entropic_run() -> list[tuple[str, float, float]]:
    problem = wg.get_case("motorcycle")
    solver = wg.find_case("motorcycle").solvers["jko"]
    run, seconds = cpu(lambda: wg.solve(problem, solver))
    each = run.statistics["evaluations"] / run.statistics["steps"]
    return [
        ("entropic, whole motorcycle run 144 x 76, CPU s", seconds, 10.0),
        ("   the same, pairs of kernels a step", each, 6.0),
    ]


def balanced_step() -> list[tuple[str, float, float]]:
    problem = wg.get_case("tanh-network").save_every(5.0)
    solver = wg.JKO(0.5, (112, 112), method="balanced", time_order=2)
    run, seconds = cpu(lambda: wg.solve(problem, solver))
    each = 2 * run.statistics["evaluations"] / run.statistics["steps"]  # an evaluation has two
    return [
        ("balanced midpoint, tanh-network at 112^2, step .5, kernels a step", each, 30.0),
        ("   the same, CPU ms a step", 1000 * seconds / run.statistics["steps"], np.inf),
    ]


def flow() -> wg.Problem:
    """Return the Barenblatt flow with two saves, so that steps are not cut."""
    problem = wg.get_case("porous-medium", start=START, stop=STOP)
    return dataclasses.replace(problem, save_times=(0.0, problem.horizon))


def cpu(function: Callable[[], Result]) -> tuple[Result, float]:
    """Return what a function returns, and the median CPU seconds of five calls."""
    result = function()  # compiles
    seconds = []
    for _ in range(5):
        started = time.process_time()
        result = function()
        seconds.append(time.process_time() - started)
    return result, statistics.median(seconds)


if __name__ == "__main__":
    main()
