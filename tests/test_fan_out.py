"""Laws of runs side by side: the same bits wherever they run, and nothing is lost in silence."""

import dataclasses
import os
import pathlib
import pickle
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from conftest import network

import wgflow as wg
from wgflow.convergence.fan_out import Fan
from wgflow.recipe import Recipe, _same

MPIEXEC = pathlib.Path(sysconfig.get_path("scripts")) / "mpiexec"
needs_mpi = pytest.mark.skipif(not MPIEXEC.exists(), reason="mpi4py and mpich are not installed")


def small(**options: object) -> wg.Study:
    return wg.study(
        "tanh-network",
        wg.ParticleFlow(0.05),
        {"count": [10, 300]},
        seeds=3,
        times=[0.1],
        reference=wg.FiniteVolume(0.1, (16, 16)),
        **options,
    )


def same(one: wg.Study, other: wg.Study) -> bool:
    numbers = ("error", "mean_error", "reference_error", "value")
    alike = [np.array_equal(getattr(one, k), getattr(other, k), equal_nan=True) for k in numbers]
    return all(alike) and one.status.tolist() == other.status.tolist()


def test_results_do_not_depend_on_where_the_runs_are_made() -> None:
    here = small(workers=1)
    assert np.isfinite(here.error).all() and len(set(here.error.ravel())) == 6
    assert same(small(workers=2), here)
    with ThreadPoolExecutor(3) as threads:
        assert same(small(executor=threads), here)


@needs_mpi
def test_the_ranks_of_mpi_make_the_same_study(tmp_path: pathlib.Path) -> None:
    """Rank 0 runs the command, the others its tasks."""
    program = ["-m", "wgflow", "study", "tanh-network", "--solver", "particles", "--quiet"]
    options = ["--vary", "count=10,20", "--seeds", "2", "--set", "step=0.1", "--at", "0.1"]
    command = ["-m", "mpi4py.futures", *program, *options, "--executor", "mpi", "-o", "study.csv"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    kept = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    ranks = [MPIEXEC, "-n", "2", sys.executable]
    done = subprocess.run([*ranks, *command], timeout=60, check=False, **kept)
    assert done.returncode == 0, done.stderr
    rows = [row.rsplit(",", 1)[0] for row in (tmp_path / "study.csv").read_text().split()]
    flow, values = wg.ParticleFlow(0.1), {"count": [10, 20]}
    here = wg.study("tanh-network", flow, values, seeds=2, times=[0.1], workers=1)
    assert rows == [row.rsplit(",", 1)[0] for row in here.to_csv().split()]


@needs_mpi
def test_mpi_started_the_wrong_way_is_refused(tmp_path: pathlib.Path) -> None:
    command = ["-m", "wgflow", "study", "tanh-network", "--vary", "count=10,20", "--solver"]
    done = subprocess.run(
        [MPIEXEC, "-n", "2", sys.executable, *command, "particles", "--executor", "mpi"],
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "python -m mpi4py.futures" in done.stderr


def own() -> wg.Problem:
    well = wg.Potential(lambda x: (x**2).sum(axis=1) / 2, lambda x: x)
    return wg.Problem(well, wg.Domain(wg.WholeLine()), wg.Gaussian(), 0.1)


def test_functions_that_cannot_be_sent_run_here_or_are_refused() -> None:
    flow, values = wg.ParticleFlow(0.05), {"count": [10, 20]}
    here = wg.study(own(), flow, values, seeds=2)
    assert here.outcome == "finished"
    with ThreadPoolExecutor(2) as threads:
        assert same(wg.study(own(), flow, values, seeds=2, executor=threads), here)
    with pytest.raises(wg.InputError, match="cannot be sent .* workers=1"):
        wg.study(own(), flow, values, seeds=2, workers=2)


def die(task: int, stop: object, threads: int | None) -> int:
    if task == 1:
        os._exit(1)
    return task


def wait_for_stop(task: int, stop: object, threads: int | None) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if stop():
            return "stopped"
        time.sleep(0.01)
    return "never"


def square(task: int, stop: object, threads: int | None) -> int:
    if task == 3:
        raise wg.InputError("Three cannot be squared.")
    return task**2


def test_a_lost_worker_is_reported() -> None:
    with (
        ProcessPoolExecutor(2) as pool,
        pytest.raises(wg.InputError, match="ended before its task did"),
    ):
        Fan(executor=pool).run(die, [0, 1, 2], lambda done: None)


def test_workers_stop_when_they_are_asked_to() -> None:
    started = time.monotonic()
    seen = Fan(workers=2).run(wait_for_stop, [0, 1], lambda done: time.monotonic() > started + 2)
    assert seen == [None, None] and time.monotonic() < started + 30


def test_outcomes_stand_in_the_order_of_the_tasks_and_errors_come_through() -> None:
    with ProcessPoolExecutor(2) as pool:
        assert Fan(executor=pool).run(square, [5, 1, 4], lambda done: None) == [25, 1, 16]
        with pytest.raises(wg.InputError, match="Three cannot"):
            Fan(executor=pool).run(square, [1, 3], lambda done: None)
        assert pool.submit(abs, -1).result() == 1  # an executor of one's own stays open
    counts = []
    Fan(workers=1).run(square, [1, 2], counts.append)
    assert counts[0] == 0 and counts[-1] == 2


@pytest.mark.parametrize("name", wg.list_cases())
def test_a_named_case_travels_by_name(name: str) -> None:
    problem = wg.get_case(name).until(0.5 * wg.get_case(name).horizon)
    recipe = pickle.loads(pickle.dumps(Recipe.of(problem)))
    assert recipe.case == name and recipe.own is None
    again = recipe.problem(problem.save_times)
    assert again.describe() == problem.describe() and again.save_times == problem.save_times


def test_a_case_that_was_changed_does_not_travel_by_name() -> None:
    problem = wg.get_case("tanh-network", temperature=0.1)
    assert Recipe.of(problem).parameters["temperature"] == 0.1
    steeper = problem.risk + wg.Potential.quadratic((0.1, 0.1), "ridge") + wg.Entropy(0.1)
    changes = [
        {"initial": wg.Gaussian((0.1, 0.0), 1.0)},
        {"energy": steeper},
        {"schedule": lambda time: 2.0},
        {"energy": network().energy},
    ]
    mirrored = wg.Data(problem.risk.data.x, -problem.risk.data.y)
    rest = wg.Potential.quadratic((0.02, 0.02), "ridge") + wg.Entropy(0.1)
    changes.append({"energy": problem.risk.on(mirrored) + rest})
    assert changes[-1]["energy"].describe() == problem.energy.describe()
    for change in changes:
        recipe = Recipe.of(dataclasses.replace(problem, **change))
        assert recipe.case is None and recipe.own is not None
    free = wg.Problem(wg.Entropy(1.0), wg.Domain(wg.Interval(0, 1)), wg.Uniform(0, 1), 1.0)
    assert _same(free, free)
    assert not _same(free, dataclasses.replace(free, initial=wg.Uniform(0, 0.5)))
    paces = [dataclasses.replace(free, schedule=lambda t, k=k: 1 + k * t) for k in (1, 2)]
    assert not _same(*paces)
    data = wg.Data(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    with_data = pickle.loads(pickle.dumps(Recipe.of(wg.get_case("tanh-network", data=data))))
    assert with_data.case == "tanh-network"
    np.testing.assert_array_equal(with_data.problem().risk.data.y, data.y)
