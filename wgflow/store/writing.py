"""Writing results files: a run row by row, or a dataset at once."""

import os
import pathlib
from collections.abc import Mapping

import h5py
import numpy as np

from wgflow.store.dataset import BARE, Attribute, Dataset, Variable, is_unfilled
from wgflow.store.paths import (
    as_file_error,
    check_space,
    check_writable,
    hidden,
    remove,
    renamed,
    sync,
)

TEXT_LENGTHS = {"status": 32, "reason": 1000, "statistics": 1000}
"""Bytes of the attributes that change; fixed, so that they are overwritten in place."""


class Writer:
    """A results file that is being written, row by row along the dimension `time`.

    It is made under a hidden name and gets its own once it is whole and `publish` is called.

    Parameters
    ----------
    path
        Where it goes; what stands there now is kept until `publish`.
    dataset
        All variables; those along `time` are `unfilled` or filled with NaN.

    Raises
    ------
    FileError
        The file cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], dataset: Dataset) -> None:
        self.path = pathlib.Path(path)
        self._hidden: pathlib.Path | None = hidden(self.path)
        with as_file_error(f"The file '{self.path}' cannot be written"):
            check_space(self.path, dataset.bytes)
            self._hidden.unlink(missing_ok=True)  # of a process that was killed
            try:
                _make(self._hidden)
                with _opened(self._hidden) as file:
                    _write_all(file, dataset)
                self._file = _opened(self._hidden)
            except BaseException:
                self._hidden.unlink(missing_ok=True)
                raise

    @classmethod
    def reopened(cls, path: str | os.PathLike[str]) -> "Writer":
        """Return a writer that goes on with a file."""
        writer = cls.__new__(cls)
        writer.path, writer._hidden = pathlib.Path(path), None
        with as_file_error(f"The file '{path}' cannot be written"):
            writer._file = _opened(writer.path)
        return writer

    @property
    def place(self) -> pathlib.Path:
        """Where the file is now."""
        return self._hidden or self.path

    def copy(self, source: str | os.PathLike[str], rows: int) -> None:
        """Copy the first rows, and all that is not along time, of a file of the same variables."""
        with (
            as_file_error(f"The file '{self.path}' cannot be written"),
            h5py.File(source, "r", locking=False) as old,
        ):
            along_time = _along_time(self._file)
            for name, item in self._file.items():
                if name == "time":
                    continue
                if name in along_time:
                    for row in range(rows):
                        item[row] = old[name][row]
                elif item.dtype.kind in "if":
                    item[...] = old[name][...]
            self._file.flush()

    def publish(self) -> None:
        """Give the file its name, in the place of what stood there."""
        if self._hidden is None:
            return
        with as_file_error(f"The file '{self.path}' cannot be written"):
            # HDF5 must not have a file open whose name changes: not every system allows it.
            self._file.close()
            sync(self._hidden)
            os.replace(self._hidden, self.path)
            self._hidden = None
            sync(self.path.parent)
            self._file = _opened(self.path)

    def row(self, index: int, values: Mapping[str, np.ndarray | float]) -> None:
        """Write one row of each variable given, then its commit mark."""
        with as_file_error(f"The file '{self.path}' cannot be written"):
            for name, value in values.items():
                self._file[name][index] = value
            self._file.flush()
            self._file["recorded"][index] = 1
            self._file.flush()

    def once(self, values: Mapping[str, np.ndarray | float], mark: str, index: int) -> None:
        """Write whole variables; the variable `mark` is -1 meanwhile and `index` afterwards."""
        with as_file_error(f"The file '{self.path}' cannot be written"):
            for number in (-1, index):
                self._file[mark][...] = number
                self._file.flush()
                if number < 0:
                    for name, value in values.items():
                        self._file[name][...] = value
                    self._file.flush()

    def attributes(self, values: Mapping[str, Attribute]) -> None:
        """Overwrite attributes; the status, which says that the others stand, comes last."""
        with as_file_error(f"The file '{self.path}' cannot be written"):
            for last in (False, True):
                for name, value in values.items():
                    if (name == "status") is last:
                        write_attribute(self._file, name, value)
                self._file.flush()

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        with as_file_error(f"The file '{self.path}' cannot be written"):
            sync(self.place)

    def close(self) -> None:
        """Close the file."""
        with as_file_error(f"The file '{self.path}' cannot be written"):
            self._file.close()

    def discard(self) -> None:
        """Close the file, and remove it if it has not got its name yet."""
        self.close()
        if self._hidden is not None:
            remove(self._hidden)


def write(path: str | os.PathLike[str], dataset: Dataset, *, replace: bool = False) -> None:
    """Write a whole dataset: under a temporary name, then renamed, so never in half.

    Raises
    ------
    FileError
        The file exists (unless `replace`) or cannot be written.
    """
    target = pathlib.Path(path)
    check_writable(target, replace)
    with (
        as_file_error(f"The file '{target}' cannot be written"),
        renamed(target) as temporary,
    ):
        _make(temporary)
        with _opened(temporary) as file:
            _write_all(file, dataset)


def _make(path: pathlib.Path) -> None:
    """Make an empty file.

    The order of names is not tracked, which would put checksums over all attributes: if a machine
    stops while one of them is overwritten, that one may be lost, but not the file.
    """
    h5py.File(path, "x", locking=False).close()


def _opened(path: pathlib.Path) -> h5py.File:
    return h5py.File(path, "r+", locking=False)


def _along_time(file: h5py.File) -> list[str]:
    """Return the names of the variables whose first dimension is time."""
    size = file["time"].shape[0]
    return [
        name
        for name, item in file.items()
        if name == "time"
        or (item.ndim and item.shape[0] == size and file["time"] in item.dims[0].values())
    ]


def _write_all(file: h5py.File, dataset: Dataset) -> None:
    for name, value in dataset.attributes.items():
        write_attribute(file, name, value)
    sizes = dataset.sizes
    for name, variable in dataset.variables.items():
        item = _create(file, name, variable)
        item.attrs["units"], item.attrs["long_name"] = variable.units, variable.long_name
    for dim, size in sizes.items():
        if dim not in dataset.variables:
            scale = file.create_dataset(dim, data=np.zeros(size, dtype=np.int8))
            scale.make_scale(f"{BARE}.{size:10d}")
        else:
            file[dim].make_scale(dim)
    for name, variable in dataset.variables.items():
        if name not in sizes:
            for axis, dim in enumerate(variable.dims):
                file[name].dims[axis].attach_scale(file[dim])


def _create(file: h5py.File, name: str, variable: Variable) -> h5py.Dataset:
    data = variable.data
    if is_unfilled(data):
        # Allocated and filled now, so that no later row can fail for lack of space.
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        early.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
        return file.create_dataset(name, data.shape, data.dtype, fillvalue=np.nan, dcpl=early)
    if data.dtype.kind in "UO":
        return file.create_dataset(name, data=data.astype(object), dtype=h5py.string_dtype())
    return file.create_dataset(name, data=data, dtype=data.dtype)


def write_attribute(file: h5py.File, name: str, value: Attribute) -> None:
    """Write one attribute, in place if it is there already and can be overwritten."""
    if name in TEXT_LENGTHS:
        length = TEXT_LENGTHS[name]
        fixed = h5py.string_dtype("utf-8", length)
        # Cut between two letters, not inside of one.
        text = str(value).encode()[:length].decode(errors="ignore").encode()
        if name in file.attrs and file.attrs.get_id(name).dtype == fixed:
            file.attrs.modify(name, np.array(text, dtype=fixed))
        else:
            file.attrs.create(name, np.array(text, dtype=fixed))
    elif name in file.attrs and not isinstance(value, str):
        file.attrs.modify(name, value)
    else:
        file.attrs[name] = value
