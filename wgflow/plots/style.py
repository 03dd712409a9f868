"""What all figures share: colours, shades for times, labels, and a sentence in an empty panel.

Colours are those of Okabe and Ito, told apart by most readers and in grey.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from wgflow.errors import InputError
from wgflow.run import Run

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", ":", "-.")
TIME = "mean-field time t"
LARGEST = 1e300
"""Beyond it, or below its inverse, numbers overflow where ticks and colours are computed."""
MOST_TIMES = 5
"""Times drawn in one panel at most, from light to dark."""


def colour(index: int) -> str:
    """Return the colour of the run or term with this number."""
    return COLOURS[index % len(COLOURS)]


def shades(count: int, base: str = COLOURS[0]) -> list[str]:
    """Return a colour for each of several times, from light to the colour itself."""
    strength = np.linspace(0.3, 1.0, count) if count > 1 else np.ones(1)
    pure = np.array(to_rgb(base))
    return [to_hex(1 - part * (1 - pure)) for part in strength]


def at(time: float) -> str:
    """Return a time for a title or a legend."""
    return f"t = {time:.4g}"


def evenly(indices: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """Return at most so many of the indices: the first, the last and even steps between them."""
    chosen = np.asarray(indices)
    if len(chosen) <= most:
        return chosen
    return chosen[np.round(np.linspace(0, len(chosen) - 1, most)).astype(int)]


def nearest(run: Run, saves: np.ndarray, time: float) -> int:
    """Return the save among these whose time is nearest."""
    return int(saves[np.abs(run.time[saves] - time).argmin()])


def note(panel: Axes, sentence: str) -> None:
    """Write a sentence where there is nothing to draw."""
    panel.axis("off")
    text = textwrap.fill(sentence, 42)
    panel.text(0.5, 0.5, text, ha="center", va="center", transform=panel.transAxes, color="0.3")


def check_saves(runs: Sequence[Run]) -> None:
    """Raise InputError unless every run holds a save."""
    for run in runs:
        if len(run.time) == 0:
            raise InputError(f"{run!r} holds no save yet; there is nothing to draw.")
