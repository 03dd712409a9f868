"""Laws of doubled steps: the order of extrapolation, and steps that follow their error."""

import dataclasses
import itertools

import numpy as np
import pytest
from conftest import moments, network, well

import wgflow as wg
from wgflow.exact.gaussian import mean_at, variance_at
from wgflow.solver import Context, Scheme, Snapshot, State, Step
from wgflow.solvers.step_doubling import StepDoubling


class Decay(Scheme):
    """Implicit Euler for x' = -x, whose errors are known."""

    def initial(self) -> State:
        return {"x": np.ones(1)}

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        return Step({"x": state["x"] / (1 + dt)}, iterations=1)

    def observe(self, state: State) -> Snapshot:
        return Snapshot(wg.Particles(state["x"][:, None]))

    def difference(self, first: State, second: State) -> float:
        return float(abs(first["x"] - second["x"])[0])

    def extrapolated(self, whole: State, halved: State) -> State:
        return {"x": 2 * halved["x"] - whole["x"]}


def test_the_error_is_that_of_the_halves_and_extrapolation_removes_it() -> None:
    """The estimate tends to the error of two half steps, and the extrapolation is of order 2."""
    ratios, errors = [], []
    for dt in (0.1, 0.05, 0.025):
        plain = StepDoubling(Decay(), order=1, extrapolate=False, error_tolerance=1.0)
        step = plain.advance(plain.initial(), 0.0, 0, dt)
        assert step.iterations == 3
        ratios.append(step.error / (step.state["x"][0] - np.exp(-dt)))
        better = StepDoubling(Decay(), order=1, extrapolate=True)
        state = better.advance(better.initial(), 0.0, 0, dt).state
        errors.append(abs(state["x"][0] - np.exp(-dt)))
    assert ratios == pytest.approx([1, 1, 1], abs=0.1)
    assert abs(ratios[2] - 1) < abs(ratios[0] - 1) / 3
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("method", ["entropic", "lagrangian"])
def test_extrapolated_steps_are_of_second_order(method: str) -> None:
    """The error of the mean, which the cell width does not touch."""
    problem, errors = well().save_every(1.0), []
    for step in (0.1, 0.05, 0.025):
        settings = wg.JKO(step=step, shape=512, method=method, time_order=2)
        mean, _ = moments(wg.solve(problem, settings).measure(-1))
        errors.append(abs(mean - mean_at(1.0)))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[1] >= 1.9, orders


def test_extrapolated_laws_keep_mass_and_sign() -> None:
    run = wg.solve(network(), wg.JKO(step=0.5, shape=(48, 48), time_order=2, method="entropic"))
    assert np.abs(run.mass - 1).max() <= 1e-12
    assert all(run.measure(k).mass.min() >= 0 for k in range(len(run.time)))


@pytest.mark.parametrize(
    "solver",
    [
        wg.JKO(step=1.0, shape=512, method="lagrangian"),
        wg.JKO(step=1.0, shape=512, method="balanced"),
        wg.FiniteVolume(step=1.0, shape=512),
    ],
    ids=lambda solver: f"{solver.name} {solver.method}",
)
def test_adapted_steps_follow_the_tolerance(solver: wg.JKO) -> None:
    """A hundredth of the tolerance of a first-order step takes ten times the steps."""
    problem = dataclasses.replace(well(), save_times=(0.0, 1.0))
    errors, counts = [], []
    for tolerance in (4e-3, 4e-4, 4e-5):
        run = wg.solve(problem, dataclasses.replace(solver, error_tolerance=tolerance))
        assert run.status == "finished", run.reason
        mean, variance = moments(run.measure(-1))
        errors.append(abs(mean - mean_at(1.0)) + abs(variance - variance_at(1.0)))
        counts.append(run.statistics["steps"])
    assert errors[2] < errors[0] / 4
    assert counts[0] < counts[1] < counts[2] <= 20 * counts[0]
    assert run.statistics["rejected_steps"] <= 10


def test_adapted_steps_grow_towards_equilibrium() -> None:
    """The flow slows down, and so fewer and fewer steps are taken."""
    problem = well(horizon=8.0).save_every(1.0)
    taken: list[float] = []
    settings = wg.JKO(step=1.0, shape=256, error_tolerance=1e-3)
    wg.solve(problem, settings, progress=lambda p: taken.append(p.time) and None)
    steps = np.diff(taken)
    assert steps[0] < 0.2
    assert steps[-1] > 4 * steps[0]
    assert taken[-1] == 8.0


def test_an_adapted_run_is_the_chain_of_its_accepted_steps() -> None:
    """Rejected trials leave no trace in the state."""
    problem = dataclasses.replace(network(), save_times=(0.0, 1.0))
    settings = wg.FiniteVolume(step=1.0, shape=(24, 24), error_tolerance=3e-3)
    times: list[float] = []
    run = wg.solve(problem, settings, progress=lambda p: times.append(p.time) and None)
    assert run.statistics["rejected_steps"] > 0
    scheme = settings.prepare(problem, 0, Context())
    state = scheme.initial()
    with Context().held():
        for index, (time, after) in enumerate(itertools.pairwise(times)):
            state = scheme.advance(state, time, index, after - time).state
    np.testing.assert_allclose(
        scheme.observe(state).measure.mass, run.measure(-1).mass, rtol=1e-9, atol=1e-15
    )


def test_a_tolerance_that_cannot_be_met_ends_the_run_with_a_sentence() -> None:
    settings = wg.JKO(step=0.1, shape=128, method="entropic", error_tolerance=1e-9)
    run = wg.solve(well(), settings)
    assert run.status == "not_converged"
    assert "cannot be halved any more; use a larger error_tolerance" in run.reason
