"""Reading results files, which may come from anyone."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

import h5py

from wgflow.errors import FileError
from wgflow.store.dataset import FORMAT, Dataset
from wgflow.store.heaps import check_heaps
from wgflow.store.items import Items
from wgflow.store.paths import as_file_error

_VERSION = r"wgflow-run-(\d{1,9})"


def read(path: str | os.PathLike[str], *, own: bool = False) -> Dataset:
    """Return the whole content of a results file.

    Parameters
    ----------
    own
        Whether this process has just written it, and it need not be searched for damage.

    Raises
    ------
    FileError
        The file does not exist, is not HDF5, is truncated, or is not a wgflow results file.
    """
    path = pathlib.Path(path)
    check_readable(path, own=own)
    with opened(path) as file:
        items = Items(file, path)
        _check_format(path, items.text("format"))
        return Dataset(items.variables(), items.attributes())


def _check_format(path: pathlib.Path, held: str) -> None:
    """Raise FileError unless the format is the one that this version reads."""
    if held == FORMAT:
        return
    shown = repr(held if len(held) <= 60 else held[:57] + "...")
    version = re.fullmatch(_VERSION, held, re.ASCII)
    if version is not None:
        older = int(version[1]) < int(re.fullmatch(_VERSION, FORMAT)[1])  # type: ignore[index]
        age, remedy = ("older", "with that version") if older else ("newer", "after an update")
        raise FileError(
            f"The file '{path}' was written by {'an' if older else 'a'} {age} version of wgflow: "
            f"its format is {shown}, and this version reads '{FORMAT}'; open it {remedy}."
        )
    raise FileError(
        f"The file '{path}' is HDF5 but not a results file of wgflow: its format is {shown}, and "
        f"'{FORMAT}' is expected."
    )


def check_readable(path: pathlib.Path, *, own: bool = False) -> None:
    """Raise FileError unless there is an HDF5 file at this path that may be opened."""
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise FileError(f"The file {str(path)!r} cannot be read: {reason}.") from error
    if not exists:
        raise FileError(f"The file '{path}' does not exist; check its name.")
    if path.is_dir():
        raise FileError(f"'{path}' is a folder, not a results file; name a file in it.")
    if not path.is_file():
        raise FileError(f"'{path}' is not a regular file; name a results file.")
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
    if not own:
        check_heaps(path)


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[h5py.File]:
    """Open a file for reading inside a with block; whatever goes wrong there is a FileError."""
    with as_file_error(f"The file '{path}' cannot be read (it may be truncated)"):
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError:
            # HDF5 wants the locking that this process may have opened the same file with before.
            file = h5py.File(path, "r")
        with file:
            try:
                yield file
            except MemoryError as error:
                raise FileError(
                    f"The file '{path}' cannot be read: it needs more memory than there is."
                ) from error
