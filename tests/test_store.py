"""Laws of the results file: what goes in comes out, and nothing is ever half there."""

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from wgflow import store
from wgflow.errors import FileError
from wgflow.store import FORMAT, Dataset, Variable, Writer

SEED = 2**64 - 1


def dataset(**more: Variable) -> Dataset:
    """A file of three saves, as a run of a small network lays it out."""
    random = np.random.default_rng(0)
    return Dataset(
        {
            "time": Variable(("time",), np.array([0.0, 0.1, 0.3]), "mean-field time", "s"),
            "recorded": Variable(("time",), np.zeros(3, dtype=np.int8), "1 once complete"),
            "risk": Variable(("time",), np.full(3, np.nan), "risk R"),
            "x": Variable(("sample", "input"), random.random((4, 2)), "inputs"),
            "coordinate": Variable(("coordinate",), np.array(["a", "φ"]), "names"),
            "position": Variable(
                ("time", "particle", "coordinate"), np.full((3, 5, 2), np.nan), "positions"
            ),
            **more,
        },
        {"format": FORMAT, "status": "running", "seed": np.uint64(SEED), "rate": 0.1, "case": "ü"},
    )


BAD = Variable(("other",), np.array([{}, 1], dtype=object), "cannot be stored")


def same(first: Dataset, second: Dataset) -> bool:
    assert first.attributes == second.attributes
    assert first.variables.keys() == second.variables.keys()
    for name, one in first.variables.items():
        other = second.variables[name]
        for part in ("dims", "long_name", "units"):
            assert getattr(one, part) == getattr(other, part)
        assert one.data.shape == other.data.shape
        assert np.array_equal(one.data, other.data, equal_nan=one.data.dtype.kind == "f")
    return True


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run.h5"


# --- round trip -----------------------------------------------------------------------------


def test_what_is_written_is_read(path: pathlib.Path) -> None:
    store.write(path, dataset())
    held = store.read(str(path))
    assert same(dataset(), held)
    assert held.sizes == {"time": 3, "sample": 4, "input": 2, "particle": 5, "coordinate": 2}
    assert held.attributes["seed"] == SEED
    assert held.variables["recorded"].data.dtype == np.int8
    assert held.variables["position"].data.dtype == np.float64
    assert [type(text) for text in held.variables["coordinate"].data] == [str, str]


def test_what_is_read_can_be_written_again(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    store.write(path, dataset())
    store.write(tmp_path / "copy.h5", store.read(path))
    assert same(store.read(path), store.read(tmp_path / "copy.h5"))


def test_long_attributes_are_kept(path: pathlib.Path) -> None:
    """Settings as JSON may be longer than the 64 kB of an object header."""
    held = dataset()
    held.attributes["settings"] = "long " * 40_000
    store.write(path, held)
    assert store.read(path).attributes["settings"] == "long " * 40_000


def test_h5py_sees_dimension_scales_with_names_and_units(path: pathlib.Path) -> None:
    store.write(path, dataset())
    with h5py.File(path, "r") as file:
        for name, variable in dataset().variables.items():
            assert file[name].attrs["units"] == variable.units
            assert file[name].attrs["long_name"] == variable.long_name
        for name in ("time", "sample", "input", "particle", "coordinate"):
            assert file[name].is_scale
        for axis, dim in enumerate(("time", "particle", "coordinate")):
            assert file["position"].dims[axis][0] == file[dim]
        assert file["position"].chunks is None, "contiguous: survives every kill"


def test_xarray_opens_the_file_with_named_dimensions(path: pathlib.Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    store.write(path, dataset())
    with xarray.open_dataset(path, engine="h5netcdf") as opened:
        assert dict(opened.sizes) == dataset().sizes
        for name, variable in dataset().variables.items():
            assert opened[name].dims == variable.dims
            assert opened[name].attrs["long_name"] == variable.long_name
        assert set(opened.coords) == {"time", "coordinate"}
        assert opened["coordinate"].values.tolist() == ["a", "φ"]
        assert np.array_equal(opened["x"].values, dataset().variables["x"].data)
        assert opened.attrs["case"] == "ü"


# --- the writer -----------------------------------------------------------------------------


def on_disk(path: pathlib.Path) -> Dataset:
    """What would be left if the writing process were killed now."""
    copy = path.with_name("killed.h5")
    shutil.copyfile(path, copy)
    return store.read(copy)


def test_rows_are_on_the_disk_as_soon_as_they_are_written(path: pathlib.Path) -> None:
    writer = Writer(path, dataset())
    assert same(on_disk(path), dataset())
    for index in range(3):
        writer.row(index, {"risk": 0.5 - index, "position": np.full((5, 2), index)})
        held = on_disk(path).variables
        assert held["recorded"].data.tolist() == [1] * (index + 1) + [0] * (2 - index)
        assert held["risk"].data[: index + 1].tolist() == [0.5, -0.5, -1.5][: index + 1]
        assert np.isnan(held["position"].data[index + 1 :]).all()
        assert (held["position"].data[index] == index).all()
    writer.close()
    assert store.read(path).variables["recorded"].data.tolist() == [1, 1, 1]


def test_a_row_is_marked_after_it_is_whole(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment does the disk hold a mark without its row."""
    seen, flush = [], h5py.File.flush

    def spy(file: h5py.File) -> None:
        flush(file)
        held = on_disk(path).variables
        seen.append((bool(np.isfinite(held["risk"].data[0])), int(held["recorded"].data[0])))

    monkeypatch.setattr(h5py.File, "flush", spy)
    writer = Writer(path, dataset())
    writer.row(0, {"risk": 0.5, "position": np.zeros((5, 2))})
    writer.close()
    assert seen == [(False, 0), (True, 0), (True, 1)]


@pytest.mark.parametrize(
    "values", [{"risk": 1.0, "position": np.zeros(7)}, {"risk": 1.0, "rsk": 1.0}]
)
def test_a_row_that_fails_is_not_marked(path: pathlib.Path, values: dict) -> None:
    writer = Writer(path, dataset())
    with pytest.raises(FileError, match="run.h5' cannot be written: "):
        writer.row(1, values)
    writer.close()
    assert store.read(path).variables["recorded"].data.tolist() == [0, 0, 0]


def test_attributes_are_overwritten(path: pathlib.Path) -> None:
    writer = Writer(path, dataset())
    writer.attributes({"status": "not_converged", "case": "longer than before", "rate": 0.2})
    assert on_disk(path).attributes == {
        **dataset().attributes,
        "status": "not_converged",
        "case": "longer than before",
        "rate": 0.2,
    }
    writer.close()


def test_another_process_can_read_while_the_file_is_written(path: pathlib.Path) -> None:
    writer = Writer(path, dataset())
    writer.row(0, {"risk": 0.5})
    code = (
        "import sys; from wgflow import store; held = store.read(sys.argv[1]).variables; "
        "sys.exit(int(10 * held['risk'].data[0]) + int(held['recorded'].data.sum()))"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 6
    writer.row(1, {"risk": 0.25})
    writer.close()
    assert store.read(path).variables["recorded"].data.tolist() == [1, 1, 0]


# --- where a file can be made ---------------------------------------------------------------

makers = pytest.mark.parametrize("make", [store.write, Writer], ids=["write", "Writer"])


@makers
def test_an_existing_file_is_not_overwritten(path: pathlib.Path, make: Callable) -> None:
    path.write_text("precious")
    with pytest.raises(FileError, match=r"run.h5' exists already; .* --force \(replace=True"):
        make(path, dataset())
    assert path.read_text() == "precious"


def test_an_existing_file_is_replaced_when_asked_to(path: pathlib.Path) -> None:
    path.write_text("old")
    store.write(path, dataset(), replace=True)
    assert same(store.read(path), dataset())


@makers
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/run.h5", "folder '.*missing' of the output does not exist; make it first"),
        ("", "is a folder; give the name of a file"),
        ("file/run.h5", "folder '.*file' of the output does not exist"),
        ("a" * 300, "cannot be written: .*name too long"),
    ],
)
def test_impossible_outputs_are_refused(
    tmp_path: pathlib.Path, make: Callable, name: str, message: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=message):
        make(tmp_path / name, dataset())


@makers
def test_a_folder_that_cannot_be_written_is_refused(
    path: pathlib.Path, make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with pytest.raises(FileError, match="folder '.*' of the output is not writable; choose"):
        make(path, dataset())


@makers
@pytest.mark.parametrize(
    "extra",
    [BAD, Variable(("time", "b"), np.zeros(3), ""), Variable(("sample",), np.zeros(9), "")],
    ids=["objects", "too many dimensions", "two lengths of one dimension"],
)
def test_a_failed_write_leaves_no_file(path: pathlib.Path, make: Callable, extra: Variable) -> None:
    with pytest.raises(FileError, match="run.h5' cannot be written: .+[^.]\\.$"):
        make(path, dataset(extra=extra))
    assert list(path.parent.iterdir()) == []


def test_a_failed_write_keeps_the_file_that_it_would_replace(path: pathlib.Path) -> None:
    store.write(path, dataset())
    with pytest.raises(FileError, match="cannot be written"):
        store.write(path, dataset(extra=BAD), replace=True)
    assert same(store.read(path), dataset())
    assert list(path.parent.iterdir()) == [path]


# --- what cannot be read --------------------------------------------------------------------


@pytest.mark.parametrize("reader", [store.read, store.read_checkpoint])
@pytest.mark.parametrize("part", [8, 9, 40, 96, 500, 0.25, 0.5, 0.9, -1])
def test_truncated_files_are_refused(path: pathlib.Path, reader: Callable, part: float) -> None:
    store.write(path, dataset())
    whole = path.read_bytes()
    path.write_bytes(whole[: part if isinstance(part, int) else int(part * len(whole))])
    with pytest.raises(FileError, match=r"run.h5' cannot be read \(it may be truncated\): .+\.$"):
        reader(path)


@pytest.mark.parametrize("reader", [store.read, store.read_checkpoint])
@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"time,risk\n0,1\n", b"CDF\x01" * 30])
def test_files_of_another_kind_are_refused(
    path: pathlib.Path, reader: Callable, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(FileError, match="run.h5' is not an HDF5 file; give a file that wgflow"):
        reader(path)


@pytest.mark.parametrize("held", ["", "other-run-3", 7])
def test_hdf5_files_of_another_kind_are_refused(path: pathlib.Path, held: str | int) -> None:
    with h5py.File(path, "w") as file:
        file["risk"] = np.zeros(3)
        if held:
            file.attrs["format"] = held
    message = f"is HDF5 but not a results file of wgflow: its format is '{held}', and '{FORMAT}'"
    with pytest.raises(FileError, match=message):
        store.read(path)


@pytest.mark.parametrize("reader", [store.read, store.read_checkpoint])
def test_missing_files_and_folders_are_refused(path: pathlib.Path, reader: Callable) -> None:
    with pytest.raises(FileError, match="file '.*run.h5' does not exist; check its name"):
        reader(path)
    with pytest.raises(FileError, match="is a folder, not a results file; name a file in it"):
        reader(path.parent)
    with pytest.raises(FileError, match="cannot be read: .*name too long"):
        reader(path.with_name("a" * 300))


# --- checkpoints ----------------------------------------------------------------------------

STATE = {
    "position": np.random.default_rng(1).normal(size=(5, 2)),
    "index": np.array(7),
    "count": np.array([2**63], dtype=np.uint64),
    "none": np.empty((0, 3)),
}


def test_checkpoints_are_read_back_to_the_bit(path: pathlib.Path) -> None:
    attributes = {"solver": "jko", "seed": np.uint64(SEED), "time": 0.1 + 0.2, "index": 3}
    store.write_checkpoint(path, STATE, attributes)
    arrays, held = store.read_checkpoint(path)
    assert held == attributes
    assert arrays.keys() == STATE.keys()
    for name, array in STATE.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


def test_a_checkpoint_is_replaced_in_one_stroke(path: pathlib.Path) -> None:
    """Who has the old one open goes on reading it whole; no other file is left."""
    store.write_checkpoint(path, STATE, {"index": 1})
    with open(path, "rb") as old:
        before = path.read_bytes()
        store.write_checkpoint(path, {"position": np.zeros(1000)}, {"index": 2})
        assert old.read() == before
    assert store.read_checkpoint(path)[1] == {"index": 2}
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_that_fails_keeps_the_one_before(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_checkpoint(path, STATE, {"index": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match="run.h5' cannot be written"):
        store.write_checkpoint(path, {"position": np.zeros(3), "bad": BAD.data}, {"index": 2})
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(FileError, match="No space left"):
            patch.setattr(os, name, full)
            store.write_checkpoint(path, {"position": np.zeros(3)}, {"index": 2})
    assert store.read_checkpoint(path)[1] == {"index": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_in_a_missing_folder_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match="missing/run.h5' cannot be written"):
        store.write_checkpoint(tmp_path / "missing" / "run.h5", STATE, {})
