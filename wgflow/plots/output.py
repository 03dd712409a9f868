"""The file of a figure: checked before there is a figure, and written in one stroke."""

import pathlib

import numpy as np
from matplotlib.figure import Figure

from wgflow import store
from wgflow.errors import FileError

ENDINGS = (".png", ".pdf", ".svg")


def save_figure(figure: Figure, path: str | pathlib.Path, *, replace: bool = False) -> None:
    """Write a figure to a file whose ending names the format: .png, .pdf or .svg.

    Raises
    ------
    FileError
        The file exists (unless `replace`), its ending is another, or it cannot be written.
    """
    path = pathlib.Path(path)
    check_image(path, replace=replace)
    try:
        with store.renamed(path) as temporary, np.errstate(all="ignore"):
            figure.savefig(temporary, dpi=150, format=path.suffix[1:].lower())
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"The figure '{path}' cannot be written: {reason}.") from error
    except FileError:
        raise
    except (ValueError, ArithmeticError) as error:
        # Numbers near the largest there are, in a file of anyone, have axes without ticks.
        raise FileError(
            f"The figure '{path}' cannot be drawn, because its numbers are too large or its titles "
            "no text."
        ) from error


def check_image(path: str | pathlib.Path, *, replace: bool = False) -> None:
    """Raise FileError unless a figure can be written to this file."""
    store.check_ending(path, ENDINGS, "figure", replace=replace)
