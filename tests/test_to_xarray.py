"""`to_xarray` shows a run as xarray shows its file, cut to the saves that were reached."""

import json
import pathlib

import h5py
import numpy as np
import pytest
import xarray
from conftest import network, well

import wgflow as wg

NETWORK, WELL = network().save_every(0.2), well().save_every(0.2)
RUNS = {
    "grid": (NETWORK, wg.JKO(step=0.2, shape=(56, 60))),
    "finite-volume": (WELL, wg.FiniteVolume(step=0.1, shape=(64,))),
    "moving edges": (WELL, wg.JKO(step=0.05, shape=(96,), method="lagrangian")),
    "particles": (NETWORK, wg.ParticleFlow(count=30, step=0.1)),
    "sgd": (NETWORK, wg.SGD(width=30, step=0.1)),
}


@pytest.fixture(scope="module", params=[f"{k}, {e}" for k in RUNS for e in ("whole", "stopped")])
def path(request: pytest.FixtureRequest, tmp_path_factory) -> pathlib.Path:
    """A file of each kind of run: finished, and stopped after the first save beyond the start."""
    kind, ending = request.param.split(", ")
    problem, solver = RUNS[kind]
    stop = None if ending == "whole" else lambda progress: progress.time >= 0.3
    path = tmp_path_factory.mktemp("runs") / "run.h5"
    run = wg.solve(problem, solver, output=path, progress=stop)
    assert (len(run.time) < len(problem.save_times)) == (ending == "stopped")
    return path


def test_it_is_identical_to_the_file_where_rows_are_recorded(path: pathlib.Path) -> None:
    """Names, dimensions, coordinates, attributes (units, long_name) and values."""
    run = wg.load(path).to_xarray()
    with xarray.open_dataset(path, engine="h5netcdf") as file:
        xarray.testing.assert_identical(run, file.isel(time=file.recorded == 1).load())
        assert dict(run.dtypes) == dict(file.dtypes)
    assert (run.recorded == 1).all()
    assert not np.isnan(run.mass).any()


def test_a_run_in_memory_is_identical_to_its_file(tmp_path: pathlib.Path) -> None:
    for kind, (problem, solver) in RUNS.items():
        run = wg.solve(problem, solver)
        run.save(tmp_path / f"{kind}.h5")
        loaded = wg.load(tmp_path / f"{kind}.h5")
        xarray.testing.assert_identical(run.to_xarray(), loaded.to_xarray())


def test_coordinates_are_the_time_the_cells_and_the_names_of_coordinates(
    path: pathlib.Path,
) -> None:
    run = wg.load(path)
    dataset = run.to_xarray()
    np.testing.assert_array_equal(dataset.time, run.time)
    names = [axis["name"] for axis in run.axes]
    if not run.on_grid:
        assert set(dataset.coords) == {"time", "coordinate"}
        assert dataset.coordinate.values.tolist() == names
        one = dataset.position.sel(coordinate=names[-1]).isel(time=-1)
        np.testing.assert_array_equal(one, run.measure(-1).position[:, -1])
        return
    assert set(dataset.coords) == {"time", *names}
    for name, centre in zip(names, run.measure(0).centres, strict=True):
        np.testing.assert_array_equal(dataset[name], centre)
    for k in range(len(run.time)):
        law = run.measure(k)
        np.testing.assert_array_equal(dataset.mass_on_grid.isel(time=k), law.mass_on_grid)
        for name, edge in zip(names, law.edges, strict=True):
            held = dataset[f"{name}_edge"]
            held = held.isel(time=k) if "time" in held.dims else held
            np.testing.assert_array_equal(held, edge)


def test_it_is_written_as_netcdf_and_read_again(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run = wg.load(path).to_xarray()
    run.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as again:
        xarray.testing.assert_identical(run, again.load())


def test_attributes_are_text_and_numbers(path: pathlib.Path) -> None:
    run = wg.load(path)
    attributes = run.to_xarray().attrs
    assert {type(value) for value in attributes.values()} <= {str, int, float}
    assert attributes["solver"] == run.solver and attributes["status"] == run.status
    assert attributes["seed"] == 0
    assert json.loads(attributes["settings"]) == run.provenance["settings"]


def test_changing_it_leaves_the_run_as_it_is(path: pathlib.Path) -> None:
    run = wg.load(path)
    dataset = run.to_xarray()
    kept = {name: held.data.copy() for name, held in run.dataset.variables.items()}
    for name in dataset.data_vars:
        dataset[name].values[...] = 7
    dataset.attrs["status"] = "changed"
    for name, data in kept.items():
        np.testing.assert_array_equal(run.dataset.variables[name].data, data)
    assert run.status != "changed"


def test_a_file_without_a_recorded_row_gives_no_save(path: pathlib.Path, tmp_path) -> None:
    empty = tmp_path / "empty.h5"
    empty.write_bytes(path.read_bytes())
    with h5py.File(empty, "r+", locking=False) as file:
        file["recorded"][...] = 0
    dataset = wg.load(empty).to_xarray()
    assert dataset.sizes["time"] == 0
    assert dataset.energy.dims == ("time",)


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("save", ["final", "summary"])
def test_a_run_that_stores_less_shows_what_it_stores(
    kind: str, save: str, tmp_path: pathlib.Path
) -> None:
    problem, solver = RUNS[kind]
    run = wg.solve(problem, solver, output=tmp_path / "run.h5", save=save)
    dataset = run.to_xarray()
    with xarray.open_dataset(tmp_path / "run.h5", engine="h5netcdf") as file:
        xarray.testing.assert_identical(dataset, file.load())
    np.testing.assert_array_equal(dataset.time, problem.save_times)
    law = "mass_on_grid" if run.on_grid else "position"
    if save == "summary":
        assert law not in dataset and "prediction" not in dataset
        return
    held = run.measure(-1)
    expected = held.mass_on_grid if run.on_grid else held.position
    np.testing.assert_array_equal(dataset[law], expected)
    assert "time" not in dataset[law].dims
