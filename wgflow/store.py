"""Results files: HDF5 that h5py reads, and xarray as netCDF4. The only module that imports h5py.

It knows named dimensions, variables and attributes, and nothing of solvers. What it writes was
chosen for surviving a kill at any moment: contiguous arrays allocated in full and filled with NaN
when the file is made, rows written in place, and the commit mark `recorded[k]` written last.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from wgflow.errors import FileError

FORMAT = "wgflow-run-1"
STATUS_LENGTH = 32
"""Bytes of the status attribute, fixed so that it can be overwritten in place."""

Attribute = str | int | float


@dataclasses.dataclass
class Variable:
    """An array with named dimensions.

    Attributes
    ----------
    dims
        One name an array axis.
    data
        Numbers, or strings for a coordinate of labels.
    units
        "1" where dimensionless.
    """

    dims: tuple[str, ...]
    data: np.ndarray
    long_name: str
    units: str = "1"


@dataclasses.dataclass
class Dataset:
    """Variables and attributes: the whole content of a file."""

    variables: dict[str, Variable]
    attributes: dict[str, Attribute]

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        sizes: dict[str, int] = {}
        for variable in self.variables.values():
            for name, size in zip(variable.dims, variable.data.shape, strict=True):
                if sizes.setdefault(name, size) != size:
                    raise ValueError(f"the dimension '{name}' has lengths {sizes[name]} and {size}")
        return sizes


class Writer:
    """A results file that is being written, row by row along the dimension `time`.

    Parameters
    ----------
    path
        Must not exist.
    dataset
        All variables, those along `time` filled with NaN; written at once.

    Raises
    ------
    FileError
        The file exists or cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], dataset: Dataset) -> None:
        self.path = pathlib.Path(path)
        check_writable(self.path)
        with _as_file_error(f"The file '{self.path}' cannot be written"):
            self._file = h5py.File(self.path, "x", locking=False, track_order=True)
            try:
                _write_all(self._file, dataset)
                self._file.flush()
            except BaseException:
                self._file.close()
                self.path.unlink()
                raise

    def row(self, index: int, values: Mapping[str, np.ndarray | float]) -> None:
        """Write one row of each variable given, then its commit mark."""
        with _as_file_error(f"The file '{self.path}' cannot be written"):
            for name, value in values.items():
                self._file[name][index] = value
            self._file.flush()
            self._file["recorded"][index] = 1
            self._file.flush()

    def attributes(self, values: Mapping[str, Attribute]) -> None:
        """Overwrite attributes."""
        with _as_file_error(f"The file '{self.path}' cannot be written"):
            for name, value in values.items():
                _write_attribute(self._file, name, value)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with _as_file_error(f"The file '{self.path}' cannot be written"):
            self._file.close()


def check_writable(path: pathlib.Path, replace: bool = False) -> None:
    """Raise FileError if a file at this path exists (unless `replace`) or cannot be made."""
    try:
        path.exists()
    except OSError as error:
        reason = str(error.strerror).lower()
        raise FileError(f"The file '{path}' cannot be written: {reason}.") from error
    if path.is_dir():
        raise FileError(f"The output '{path}' is a folder; give the name of a file.")
    if path.exists() and not path.is_file():
        raise FileError(f"The output '{path}' is not a regular file; choose another name.")
    if path.exists() and not replace:
        raise FileError(
            f"The file '{path}' exists already; choose another name, remove it, or pass --force "
            "(replace=True in Python)."
        )
    folder = path.parent
    if not folder.is_dir():
        raise FileError(f"The folder '{folder}' of the output does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise FileError(f"The folder '{folder}' of the output is not writable; choose another.")


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
        _as_file_error(f"The file '{target}' cannot be written"),
        renamed(target) as temporary,
        h5py.File(temporary, "x", locking=False, track_order=True) as file,
    ):
        _write_all(file, dataset)


def read(path: str | os.PathLike[str]) -> Dataset:
    """Return the whole content of a results file.

    Raises
    ------
    FileError
        The file does not exist, is not HDF5, is truncated, or is not a wgflow results file.
    """
    path = pathlib.Path(path)
    _check_readable(path)
    with _opened(path) as file:
        held = _text(file.attrs.get("format", ""))
        if held != FORMAT:
            raise FileError(
                f"The file '{path}' is HDF5 but not a results file of wgflow: its format is "
                f"'{held}', and '{FORMAT}' is expected."
            )
        attributes = {name: _plain(value) for name, value in file.attrs.items()}
        variables = {}
        for name, item in file.items():
            if isinstance(item, h5py.Dataset) and not _is_bare_dimension(item):
                variables[name] = Variable(
                    tuple(_dimension_name(item, axis) for axis in range(item.ndim)),
                    item.asstr()[...] if h5py.check_string_dtype(item.dtype) else item[...],
                    _text(item.attrs.get("long_name", "")),
                    _text(item.attrs.get("units", "1")),
                )
    return Dataset(variables, attributes)


def write_checkpoint(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Attribute],
) -> None:
    """Replace a checkpoint file in one stroke, flushed to the disk before it is renamed."""
    target = pathlib.Path(path)
    with _as_file_error(f"The file '{target}' cannot be written"), renamed(target) as temporary:
        with h5py.File(temporary, "x", locking=False) as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
            for name, value in attributes.items():
                _write_attribute(file, name, value)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())


def read_checkpoint(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, Attribute]]:
    """Return the arrays and attributes of a checkpoint file."""
    path = pathlib.Path(path)
    _check_readable(path)
    with _opened(path) as file:
        arrays = {k: v[...] for k, v in file.items() if isinstance(v, h5py.Dataset)}
        return arrays, {name: _plain(value) for name, value in file.attrs.items()}


def _check_readable(path: pathlib.Path) -> None:
    try:
        exists = path.exists()
    except OSError as error:
        reason = str(error.strerror).lower()
        raise FileError(f"The file '{path}' cannot be read: {reason}.") from error
    if not exists:
        raise FileError(f"The file '{path}' does not exist; check its name.")
    if path.is_dir():
        raise FileError(f"'{path}' is a folder, not a results file; name a file in it.")
    try:
        is_hdf5 = bool(h5py.is_hdf5(path))
        with open(path, "rb"):
            pass
    except OSError as error:
        raise FileError(f"The file '{path}' cannot be read: {error.strerror}.") from error
    if not is_hdf5:
        raise FileError(
            f"The file '{path}' is not an HDF5 file; give a file that wgflow run -o wrote."
        )


@contextlib.contextmanager
def _as_file_error(what: str) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise FileError(f"{what}: {reason}.") from error


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[h5py.File]:
    with _as_file_error(f"The file '{path}' cannot be read (it may be truncated)"):
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError:
            # HDF5 wants the locking that this process may have opened the same file with before.
            file = h5py.File(path, "r")
        with file:
            yield file


@contextlib.contextmanager
def renamed(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a temporary name in the same folder; rename on success, remove on failure."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_all(file: h5py.File, dataset: Dataset) -> None:
    for name, value in dataset.attributes.items():
        _write_attribute(file, name, value)
    sizes = dataset.sizes
    for name, variable in dataset.variables.items():
        is_text = variable.data.dtype.kind in "UO"
        kind = h5py.string_dtype() if is_text else variable.data.dtype
        values = variable.data.astype(object) if is_text else variable.data
        item = file.create_dataset(name, data=values, dtype=kind)
        item.attrs["units"], item.attrs["long_name"] = variable.units, variable.long_name
    for dim, size in sizes.items():
        if dim not in dataset.variables:
            # The netCDF4 convention for a dimension that has no coordinate variable.
            scale = file.create_dataset(dim, data=np.zeros(size, dtype=np.int8))
            scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{size:10d}")
        else:
            file[dim].make_scale(dim)
    for name, variable in dataset.variables.items():
        if name not in sizes:
            for axis, dim in enumerate(variable.dims):
                file[name].dims[axis].attach_scale(file[dim])


def _write_attribute(file: h5py.File, name: str, value: Attribute) -> None:
    if name == "status":
        fixed = h5py.string_dtype("utf-8", STATUS_LENGTH)
        if name in file.attrs:
            file.attrs.modify(name, np.array(str(value).encode(), dtype=fixed))
        else:
            file.attrs.create(name, str(value).encode(), dtype=fixed)
    elif name in file.attrs and not isinstance(value, str):
        file.attrs.modify(name, value)
    else:
        file.attrs[name] = value


def _is_bare_dimension(item: h5py.Dataset) -> bool:
    name = _text(item.attrs.get("NAME", ""))
    return name.startswith("This is a netCDF dimension but not a netCDF variable")


def _dimension_name(item: h5py.Dataset, axis: int) -> str:
    scales = item.dims[axis].keys() if not item.is_scale else []
    if item.is_scale:
        return item.name.strip("/")
    if not scales:
        return f"{item.name.strip('/')}_{axis}"
    return item.dims[axis][0].name.strip("/")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Attribute:
    if isinstance(value, bytes | str):
        return _text(value)
    return value.item() if isinstance(value, np.generic) else value
