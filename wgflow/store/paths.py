"""Where files may be written, how they get their name, and what went wrong with one."""

import contextlib
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from wgflow.errors import FileError, InputError

UNITS = {"GB": 1e9, "MB": 1e6, "kB": 1e3}


def check_writable(path: pathlib.Path, replace: bool = False) -> None:
    """Raise FileError if a file at this path exists (unless `replace`) or cannot be made."""
    try:
        path.exists()
    except OSError as error:
        raise FileError(f"The file '{path}' cannot be written: {_reason(error)}.") from error
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


CHECKPOINT = ".checkpoint"
"""What the name of a checkpoint has at its end."""


def resolved(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return where a file is written: what a link points to, or the path itself."""
    place = pathlib.Path(path)
    with as_file_error(f"The file '{path}' cannot be written"):
        return pathlib.Path(os.path.realpath(place)) if place.is_symlink() else place


def check_run(path: pathlib.Path) -> None:
    """Raise FileError if a run and its checkpoint cannot have these names.

    What a run that was killed has left there under hidden names is removed; the lock is held.
    """
    place = path.with_name(path.name + CHECKPOINT)
    if path.name.endswith(CHECKPOINT):
        raise FileError(
            f"The output '{path}' ends in {CHECKPOINT}, as checkpoints do; choose another name."
        )
    with as_file_error(f"The file '{path}' cannot be written"):
        if place.is_dir():
            raise FileError(
                f"'{place}' is a folder, but the checkpoint of '{path}' goes there; choose another "
                "name."
            )
        for file in (path, place):
            hidden(file).unlink(missing_ok=True)


def as_size(size: float) -> str:
    """Return a number of bytes as text, rounded to two digits."""
    name, unit = next(((name, unit) for name, unit in UNITS.items() if size >= unit), ("kB", 1e3))
    return f"{float(f'{size / unit:.2g}'):g} {name}"


def check_space(path: pathlib.Path, size: int) -> None:
    """Raise FileError if a file of this many bytes does not fit where it shall be written."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise FileError(
            f"The file '{path}' will take {as_size(size)}, but {as_size(free)} are free there; "
            "save less often, or less of each save (--save final or summary)."
        )


def hidden(target: pathlib.Path) -> pathlib.Path:
    """Return the name under which the holder of the lock of a file makes it.

    One that a process which was killed has left there is overwritten by the next.
    """
    return target.with_name(f".{target.name}.part")


def remove(path: pathlib.Path) -> None:
    """Remove a file if it is there."""
    with as_file_error(f"The file '{path}' cannot be removed"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def renamed(target: pathlib.Path, temporary: pathlib.Path | None = None) -> Iterator[pathlib.Path]:
    """Give a temporary name in the same folder; rename on success, remove on failure.

    Parameters
    ----------
    temporary
        By default a name that no other process uses.
    """
    temporary = temporary or target.with_name(f".{target.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: pathlib.Path) -> None:
    """Wait until the content of a file or the names in a folder are on the disk."""
    # Not every system opens a folder, or brings one to the disk.
    with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def as_file_error(what: str) -> Iterator[None]:
    """Turn whatever HDF5 and the system say into one sentence that begins with `what`."""
    try:
        yield
    except InputError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise FileError(f"{what}: {_reason(error)}.") from error


def _reason(error: BaseException) -> str:
    """Return why, in the words of the system where there are some."""
    text = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    number = getattr(error, "errno", None)
    inside = re.search(r"errno = (\d+)", text)  # HDF5 hides the number in its message
    if number is None and inside is not None:
        number = int(inside.group(1))
    if number is None or number not in _KNOWN:
        return text if number is None else os.strerror(number).lower()
    return _KNOWN[number]


_KNOWN = {
    28: "no space is left on the device; free some, or save less (--save final or summary)",
    122: "the quota of the disk is used up; free some, or save less (--save final or summary)",
    27: "it would be larger than is allowed; save less (--save final or summary)",
}
