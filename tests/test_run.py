"""Laws of the loop and of what it returns: bits, status, files, and what is refused."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import h5py
import numba
import numpy as np
import pytest
import xarray
from conftest import network, well
from threadpoolctl import threadpool_info

import wgflow as wg
from wgflow import store
from wgflow.loop import Progress

SOLVERS = {
    "particles": wg.ParticleFlow(count=300, step=0.05),
    "jko": wg.JKO(step=0.25, shape=(48, 52)),
    "sgd": wg.SGD(width=300, step=0.05, batch=7, momentum=0.5),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_same_bits_on_one_and_two_threads(name: str) -> None:
    counts = (1, min(2, numba.config.NUMBA_NUM_THREADS))
    runs = [
        wg.solve(network(), SOLVERS[name], seed=3, context=wg.Context(threads=threads))
        for threads in counts
    ]
    for variable in ("position", "mass_on_grid", "prediction", "energy", "dissipation"):
        first, second = (run.dataset.variables.get(variable) for run in runs)
        if first is not None and second is not None:
            assert first.data.tobytes() == second.data.tobytes(), variable


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core only")
def test_a_context_holds_its_threads_and_one_for_blas() -> None:
    before = numba.get_num_threads()
    for threads in (1, 2):
        with wg.Context(threads=threads).held():
            assert numba.get_num_threads() == threads
            pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
            assert pools and all(pool["num_threads"] == 1 for pool in pools)
        assert numba.get_num_threads() == before


@pytest.mark.parametrize("name", ["particles", "sgd"])
def test_another_seed_gives_other_bits_and_the_same_seed_the_same(name: str) -> None:
    runs = [wg.solve(network(), SOLVERS[name], seed=seed) for seed in (3, 3, 4)]
    assert np.array_equal(runs[0].measure(-1).position, runs[1].measure(-1).position)
    assert not np.array_equal(runs[0].measure(-1).position, runs[2].measure(-1).position)


@pytest.mark.parametrize("name", SOLVERS)
def test_file_memory_and_saved_copy_hold_the_same_run(name: str, tmp_path) -> None:
    direct = wg.solve(network(), SOLVERS[name], seed=1)
    written = wg.solve(network(), SOLVERS[name], seed=1, output=tmp_path / "direct.h5")
    direct.save(tmp_path / "saved.h5")
    loaded = wg.load(tmp_path / "saved.h5")
    for run in (written, loaded):
        assert run.dataset.variables.keys() == direct.dataset.variables.keys()
        for key, variable in direct.dataset.variables.items():
            other = run.dataset.variables[key]
            assert other.dims == variable.dims and other.units == variable.units
            np.testing.assert_array_equal(other.data, variable.data)
        assert run.provenance == direct.provenance
        assert run.status == "finished"
    assert loaded.problem is None  # a problem of one's own holds functions
    assert repr(loaded) == repr(direct)


def test_a_named_case_is_rebuilt_from_its_file(tmp_path) -> None:
    problem = wg.get_case("motorcycle", **{"lambda": 0.02}).until(0.1)
    wg.solve(problem, wg.SGD(step=0.05, width=5), output=tmp_path / "run.h5")
    again = wg.load(tmp_path / "run.h5").problem
    assert again is not None
    assert again.temperature == 0.02 and again.horizon == 0.1
    assert again.save_times == problem.save_times
    assert again.describe()["energy"] == problem.describe()["energy"]
    np.testing.assert_array_equal(again.risk.data.x, problem.risk.data.x)


def test_a_problem_changed_after_it_left_its_case_is_not_taken_for_the_case(tmp_path) -> None:
    problem = wg.get_case("ornstein-uhlenbeck").until(0.1)
    other = wg.Potential.quadratic((4.0,)) + wg.Entropy(0.2)
    for changed in ({"energy": other}, {"schedule": lambda time: 2.0}):
        path = tmp_path / f"{next(iter(changed))}.h5"
        wg.solve(dataclasses.replace(problem, **changed), wg.ParticleFlow(count=5), output=path)
        assert wg.load(path).problem is None


def test_a_full_disk_at_the_start_keeps_the_file_that_was_to_be_replaced(
    tmp_path, monkeypatch
) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SOLVERS["sgd"], output=path)
    kept = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(*arguments: object) -> None:
        raise wg.FileError("The file cannot be written: no space left on device.")

    monkeypatch.setattr(store, "Writer", full)
    with pytest.raises(wg.FileError, match="no space"):
        wg.solve(network(), SOLVERS["sgd"], output=path, replace=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == kept


def test_a_stop_before_the_first_step_takes_none() -> None:
    run = wg.solve(network(), SOLVERS["sgd"], progress=lambda progress: True)
    assert run.status == "interrupted" and run.statistics["steps"] == 0
    assert run.time.tolist() == [0.0]


def test_a_named_case_with_data_of_ones_own_is_rebuilt_with_these(tmp_path) -> None:
    data = wg.Data(np.linspace(0, 3, 9), np.linspace(1, 2, 9) ** 2)
    problem = wg.get_case("motorcycle", data=data).until(0.1)
    wg.solve(problem, wg.SGD(step=0.05, width=5), output=tmp_path / "run.h5")
    again = wg.load(tmp_path / "run.h5").problem
    np.testing.assert_array_equal(again.risk.data.x, problem.risk.data.x)
    np.testing.assert_array_equal(again.risk.data.y, problem.risk.data.y)


@pytest.mark.parametrize("name", SOLVERS)
def test_h5py_and_xarray_see_named_dimensions_and_units(name: str, tmp_path) -> None:
    path = tmp_path / "run.h5"
    run = wg.solve(network(), SOLVERS[name], output=path)
    law = ("time", "a", "w") if name == "jko" else ("time", "particle", "coordinate")
    held = "mass_on_grid" if name == "jko" else "position"
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset[held].dims == law
        assert dataset["prediction"].dims == ("time", "sample", "output")
        assert not {"sample", "particle"} & set(dataset.coords)  # dimensions without labels
        assert dataset["risk"].attrs["units"] == "1"
        assert dataset.attrs["solver"] == name and dataset.attrs["format"] == "wgflow-run-1"
        assert dataset.attrs["status"] == "finished"
        np.testing.assert_array_equal(dataset["risk"].values, run.risk)
    with h5py.File(path) as file:
        assert [dim[0].name.strip("/") for dim in file[held].dims] == list(law)
        assert all("units" in file[key].attrs for key in run.dataset.variables)
        assert file["recorded"][:].all()
        assert json.loads(file.attrs["settings"])["step"] == SOLVERS[name].step
    assert run.to_xarray()[held].dims == law


def test_progress_is_told_every_step_and_can_stop_the_run(tmp_path) -> None:
    seen: list[Progress] = []

    def stop_at_seven(progress: Progress) -> bool:
        seen.append(progress)
        return progress.step == 7

    path = tmp_path / "run.h5"
    run = wg.solve(network(), SOLVERS["particles"], output=path, progress=stop_at_seven)
    assert [p.step for p in seen] == [0, *range(8)], "before compiling, with the size, and steps"
    assert seen[0].size == 0 and seen[1].size == seen[-1].size > 1e4
    assert run.status == "interrupted" and run.time.tolist() == [0.0]
    state, attributes = store.read_checkpoint(tmp_path / "run.h5.checkpoint")
    assert attributes["steps"] == 7 and attributes["time"] == pytest.approx(0.35)
    # The checkpoint is the state after seven steps, to the bit.
    until = dataclasses.replace(network(), horizon=0.5, save_times=None)
    assert until.intervals(0.05)[6].stop == pytest.approx(0.35)
    assert state["position"].shape == (300, 2)


def test_an_error_in_the_first_step_leaves_no_file(tmp_path) -> None:
    bad = wg.Potential(lambda x: x[:, 0], lambda x: x[:, 0], "bad")
    broken = dataclasses.replace(network(), energy=network().energy + bad)
    with pytest.raises(wg.InputError, match="The gradient of the term 'bad' has shape"):
        wg.solve(broken, wg.ParticleFlow(count=10), output=tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_only_once_the_new_run_has_taken_a_step(tmp_path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SOLVERS["sgd"], output=path)
    kept = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    bad = wg.Potential(lambda x: x[:, 0], lambda x: x[:, 0], "bad")
    broken = dataclasses.replace(network(), energy=network().energy + bad)
    with pytest.raises(wg.InputError):
        wg.solve(broken, wg.ParticleFlow(count=10), output=path, replace=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == kept
    wg.solve(network(), SOLVERS["particles"], output=path, replace=True)
    assert wg.load(path).solver == "particles"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.h5", "run.h5.checkpoint"]


def test_a_file_can_be_loaded_while_it_is_open_elsewhere(tmp_path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SOLVERS["sgd"], output=path)
    with h5py.File(path), xarray.open_dataset(path, engine="h5netcdf"):
        assert wg.load(path).status == "finished"


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (wg.JKO(step=0.001, shape=(8, 8)), "kernel"),
        (wg.ParticleFlow(method="euler"), "noise"),
    ],
)
def test_a_refused_problem_leaves_no_file(solver, message: str, tmp_path) -> None:
    with pytest.raises(wg.InputError, match=message):
        wg.solve(network(), solver, output=tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept(tmp_path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("precious")
    with pytest.raises(wg.FileError, match="exists already"):
        wg.solve(network(), SOLVERS["sgd"], output=path)
    assert path.read_text() == "precious"
    wg.solve(network(), SOLVERS["sgd"], output=path, replace=True)
    assert wg.load(path).status == "finished"


def test_a_diverging_run_keeps_what_it_saved(tmp_path) -> None:
    steep = well(temperature=0.0, stiffness=1e3, horizon=10.0)
    line = dataclasses.replace(steep, domain=wg.Domain(wg.WholeLine()))
    path = tmp_path / "run.h5"
    run = wg.solve(line, wg.ParticleFlow(step=0.1, count=10), output=path)
    assert run.status == "diverged" == wg.load(path).status
    assert len(run.time) >= 1
    with h5py.File(path) as file:
        recorded = file["recorded"][:]
        assert recorded.sum() == len(run.time) < len(recorded)
        assert np.isnan(file["energy"][:][recorded == 0]).all()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(wg.InputError, match="The solver is 'jko', but must be a Solver object"):
        wg.solve(network(), "jko")
    with pytest.raises(wg.InputError, match="The seed is -1"):
        wg.solve(network(), SOLVERS["sgd"], seed=-1)
    with pytest.raises(wg.InputError, match="number of threads is 1000"):
        wg.Context(threads=1000)
    with pytest.raises(wg.InputError, match="no save number 9; the run has 3"):
        wg.solve(network(), SOLVERS["sgd"]).measure(9)


def test_a_file_that_lacks_a_variable_is_refused(tmp_path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SOLVERS["sgd"], output=path)
    with h5py.File(path, "r+") as file:
        del file["risk"]
    with pytest.raises(wg.FileError, match="'risk'"):
        wg.load(path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_as_interrupted(number: signal.Signals, tmp_path) -> None:
    path = tmp_path / "run.h5"
    command = [sys.executable, "-m", "wgflow", "run", "ornstein-uhlenbeck", "-o", str(path)]
    settings = ["--solver", "particles", "--set", "step=1e-5", "--save-every", "1e-3", "--quiet"]
    with subprocess.Popen([*command, *settings], stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if path.exists() and _saved(path) > 2:
                break
            time.sleep(0.05)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130, complaint
    run = wg.load(path)
    assert run.status == "interrupted" and len(run.time) > 2
    assert "Stopped on request" in complaint


def _saved(path) -> int:
    try:
        return len(wg.load(path).time)
    except wg.FileError:
        return 0  # not there in full yet
