"""A run of particles goes on from its checkpoint to the bits of one that was not interrupted."""

import pathlib

import numpy as np
import pytest
from conftest import network

import wgflow as wg
from wgflow import store
from wgflow.solver import Solver, State

NOISE = {"step": 0.05, "count": 300}
BATCHES = {"step": 0.05, "width": 300, "batch": 4}


@pytest.mark.parametrize(
    ("solver", "temperature"),
    [
        (wg.ParticleFlow(**NOISE), 0.05),
        (wg.ParticleFlow(**NOISE, method="stochastic-heun"), 0.05),
        (wg.ParticleFlow(**NOISE, precision="single"), 0.05),
        (wg.ParticleFlow(**NOISE, method="bogacki-shampine"), 0.0),
        (wg.SGD(**BATCHES), 0.05),
        (wg.SGD(**BATCHES, momentum=0.9), 0.0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_run_goes_on_from_its_checkpoint_to_the_same_bits(
    solver: Solver, temperature: float, tmp_path: pathlib.Path
) -> None:
    problem = network(temperature=temperature)
    whole = wg.solve(problem, solver, seed=3)
    path = tmp_path / "run.h5"
    cut = wg.solve(
        problem,
        solver,
        seed=3,
        output=path,
        progress=lambda progress: progress.step == 7,
        context=wg.Context(threads=1),
    )
    assert cut.status == "interrupted"
    state, attributes = store.read_checkpoint(path.with_name("run.h5.checkpoint"))
    assert attributes["steps"] == 7
    ended = goes_on(problem, solver, state, 7)
    np.testing.assert_array_equal(ended["position"], whole.measure(-1).position)


def goes_on(problem: wg.Problem, solver: Solver, state: State, done: int) -> State:
    """Take the steps from number `done` on."""
    context = wg.Context()
    with context.held():
        scheme = solver.prepare(problem, 3, context)
        for interval in problem.intervals(solver.step):
            for index in range(max(done, interval.first), interval.first + interval.count):
                step = scheme.advance(state, interval.time(index), index, interval.step)
                assert step.status == "ok"
                state = step.state
    return state
