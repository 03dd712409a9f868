"""Files that are not HDF5: their endings, and texts that are written whole or not at all."""

import os
import pathlib
from collections.abc import Sequence

from wgflow.errors import FileError
from wgflow.store.paths import check_writable, renamed


def check_ending(
    path: str | os.PathLike[str], endings: Sequence[str], what: str, *, replace: bool = False
) -> None:
    """Raise FileError unless a file with one of these endings can be written at this path.

    Parameters
    ----------
    what
        What is written, for the message: "figure", say.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() not in endings:
        *others, last = endings
        allowed = f"{', '.join(others)} or {last}" if others else last
        raise FileError(f"The {what} '{path}' ends in '{path.suffix}', but must end in {allowed}.")
    check_writable(path, replace)


def write_text(path: str | os.PathLike[str], text: str, what: str) -> None:
    """Write a text to a file, whole or not at all.

    Raises
    ------
    FileError
        It cannot be written.
    """
    try:
        with renamed(pathlib.Path(path)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"The {what} '{path}' cannot be written: {error.strerror}.") from error
