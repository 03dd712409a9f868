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
from stored import BAD, SEED, dataset, same

from wgflow import store
from wgflow.errors import FileError
from wgflow.store import Dataset, Variable, Writer


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


def writing(path: pathlib.Path) -> Writer:
    """A writer whose file has its name."""
    writer = Writer(path, dataset())
    writer.publish()
    return writer


def on_disk(path: pathlib.Path) -> Dataset:
    """What would be left if the writing process were killed now."""
    copy = path.with_name("killed.h5")
    shutil.copyfile(path, copy)
    return store.read(copy)


def test_rows_are_on_the_disk_as_soon_as_they_are_written(path: pathlib.Path) -> None:
    writer = writing(path)
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
    writer = writing(path)
    writer.row(0, {"risk": 0.5, "position": np.zeros((5, 2))})
    writer.close()
    assert seen == [(True, 0), (True, 1)]


@pytest.mark.parametrize(
    "values", [{"risk": 1.0, "position": np.zeros(7)}, {"risk": 1.0, "rsk": 1.0}]
)
def test_a_row_that_fails_is_not_marked(path: pathlib.Path, values: dict) -> None:
    writer = writing(path)
    with pytest.raises(FileError, match="run.h5' cannot be written: "):
        writer.row(1, values)
    writer.close()
    assert store.read(path).variables["recorded"].data.tolist() == [0, 0, 0]


def test_texts_that_change_are_cut_between_letters_and_keep_their_place(
    path: pathlib.Path,
) -> None:
    writer = writing(path)
    size = path.stat().st_size
    for text in ("ü" * 999, "short", "aü" * 999):
        writer.attributes({"reason": text, "status": text})
        held = on_disk(path).attributes
        assert text.startswith(held["reason"]) and text.startswith(held["status"])
        assert len(held["reason"].encode()) in (len(text.encode()), 999, 1000)
    writer.close()
    assert path.stat().st_size <= size + 5000


def test_attributes_are_overwritten(path: pathlib.Path) -> None:
    writer = writing(path)
    writer.attributes({"status": "not_converged", "case": "longer than before", "rate": 0.2})
    assert on_disk(path).attributes == {
        **dataset().attributes,
        "status": "not_converged",
        "case": "longer than before",
        "rate": 0.2,
    }
    writer.close()


def test_a_file_has_its_name_once_it_is_published_and_keeps_the_old_one_till_then(
    path: pathlib.Path,
) -> None:
    path.write_text("precious")
    writer = Writer(path, dataset())
    writer.row(0, {"risk": 0.5})
    assert path.read_text() == "precious"
    writer.publish()
    writer.publish()
    assert on_disk(path).variables["risk"].data[0] == 0.5
    writer.row(1, {"risk": 0.25})
    writer.discard()
    assert on_disk(path).variables["recorded"].data.tolist() == [1, 1, 0]
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["killed.h5", "run.h5"]


def test_what_is_discarded_before_it_is_published_leaves_nothing(path: pathlib.Path) -> None:
    path.write_text("precious")
    (path.parent / ".run.h5.part").write_text("of a process that was killed")
    writer = Writer(path, dataset())
    writer.row(0, {"risk": 0.5})
    writer.discard()
    assert path.read_text() == "precious" and list(path.parent.iterdir()) == [path]


def test_a_writer_goes_on_with_a_file_and_copies_rows_of_another(path: pathlib.Path) -> None:
    first = writing(path)
    for row in range(2):
        first.row(row, {"risk": 0.5 - row, "position": np.full((5, 2), row)})
    first.close()
    again = Writer.reopened(path)
    again.row(2, {"risk": 7.0})
    again.close()
    assert store.read(path).variables["risk"].data.tolist() == [0.5, -0.5, 7.0]
    other = Writer(path.with_name("longer.h5"), dataset())
    other.copy(path, 2)
    other.publish()
    other.close()
    held = store.read(path.with_name("longer.h5")).variables
    assert held["recorded"].data.tolist() == [1, 1, 0]
    assert held["risk"].data[:2].tolist() == [0.5, -0.5] and np.isnan(held["risk"].data[2])
    assert (held["position"].data[1] == 1).all()


def test_what_is_stored_once_is_marked_after_it_is_whole(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment does the mark name a save whose law is not there."""
    mark = Variable((), np.array(-1), "index of the save whose law is stored")
    writer = Writer(path, dataset(mark=mark, law=Variable(("cell",), np.zeros(2), "law")))
    writer.publish()
    seen, flush = [], h5py.File.flush

    def spy(file: h5py.File) -> None:
        flush(file)
        held = on_disk(path).variables
        seen.append((held["law"].data.tolist(), int(held["mark"].data)))

    for value, index in ((1.0, 4), (2.0, 9)):
        with monkeypatch.context() as patch:
            patch.setattr(h5py.File, "flush", spy)
            writer.once({"law": np.full(2, value)}, "mark", index)
    writer.close()
    one, two = [1.0, 1.0], [2.0, 2.0]
    assert seen[:3] == [([0.0, 0.0], -1), (one, -1), (one, 4)]
    assert seen[3:] == [(one, -1), (two, -1), (two, 9)]


def test_another_process_can_read_while_the_file_is_written(path: pathlib.Path) -> None:
    writer = writing(path)
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


def written(path: pathlib.Path, held: Dataset) -> None:
    Writer(path, held).publish()


makers = pytest.mark.parametrize("make", [store.write, written], ids=["write", "Writer"])


def test_an_existing_file_is_not_overwritten(path: pathlib.Path) -> None:
    path.write_text("precious")
    with pytest.raises(FileError, match=r"run.h5' exists already; .* --force \(replace=True"):
        store.write(path, dataset())
    assert path.read_text() == "precious"


def test_an_existing_file_is_replaced_when_asked_to(path: pathlib.Path) -> None:
    path.write_text("old")
    store.write(path, dataset(), replace=True)
    assert same(store.read(path), dataset())


@pytest.mark.parametrize("check", [store.check_writable, store.write], ids=["check", "write"])
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
    tmp_path: pathlib.Path, check: Callable, name: str, message: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=message):
        check(tmp_path / name, *([dataset()] if check is store.write else []))
    if name:
        with pytest.raises(FileError, match="cannot be written"):
            Writer(tmp_path / name, dataset())
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path: pathlib.Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(FileError, match=f"'.*{name}' is not a regular file; choose another"):
        store.write(tmp_path / name, dataset(), replace=True)


def test_a_folder_that_cannot_be_written_is_refused(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with pytest.raises(FileError, match="folder '.*' of the output is not writable; choose"):
        store.write(path, dataset())


def test_a_file_that_does_not_fit_on_the_disk_is_not_begun(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(
        FileError, match="will take 0.36 kB, but 0 kB are free there; save less often"
    ):
        Writer(path, dataset())
    assert list(path.parent.iterdir()) == []


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
