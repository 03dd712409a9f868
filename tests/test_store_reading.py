"""Laws of what cannot be read: truncated files, files of another kind, and no files."""

import pathlib
from collections.abc import Callable

import h5py
import numpy as np
import pytest
from stored import dataset

from wgflow import store
from wgflow.errors import FileError
from wgflow.store import FORMAT


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run.h5"


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
