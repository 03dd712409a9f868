"""Texts that are written whole or not at all."""

import os
import pathlib
from collections.abc import Sequence

from wgflow import store
from wgflow.errors import FileError


def check_ending(
    path: str | os.PathLike[str], endings: Sequence[str], what: str, *, replace: bool
) -> None:
    """Raise FileError unless a text can be written to a file with one of these endings."""
    path = pathlib.Path(path)
    if path.suffix.lower() not in endings:
        raise FileError(
            f"The {what} '{path}' ends in '{path.suffix}', but must end in {' or '.join(endings)}."
        )
    store.check_writable(path, replace)


def write_text(path: str | os.PathLike[str], text: str, what: str) -> None:
    """Write a text to a file, whole or not at all.

    Raises
    ------
    FileError
        It cannot be written.
    """
    try:
        with store.renamed(pathlib.Path(path)) as temporary:
            pathlib.Path(temporary).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"The {what} '{path}' cannot be written: {error.strerror}.") from error
