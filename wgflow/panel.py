"""The figure of a case as data: panels of curves, drawn elsewhere."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wgflow.errors import InputError, check_choice

STYLES = ("line", "dashed", "points")
SCALES = ("linear", "log")


@dataclasses.dataclass(frozen=True)
class Curve:
    """Numbers over numbers, with a label for the legend.

    Attributes
    ----------
    label
        What it shows; empty for no entry in the legend.
    x, y
        Shape (n,) each; where y is NaN there is a break.
    style
        "line" or "points" for what is computed, "dashed" for what it is compared with.

    Raises
    ------
    InputError
        Another style, or x and y of different length.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    style: str = "line"

    def __post_init__(self) -> None:
        check_choice(f"The style of the curve '{self.label}'", self.style, STYLES)
        x, y = (np.asarray(values, dtype=float) for values in (self.x, self.y))
        if x.ndim != 1 or x.shape != y.shape:
            raise InputError(
                f"The curve '{self.label}' has x of shape {x.shape} and y of shape {y.shape}, but "
                "needs as many numbers of each."
            )
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)


@dataclasses.dataclass(frozen=True)
class Panel:
    """Curves that share their axes.

    Attributes
    ----------
    title, x_label, y_label
        Words; formulas stand between dollar signs.
    curves
        One or more.
    x_scale, y_scale
        "linear" or "log".
    equal
        Whether a unit is as long on both axes, as for points in a plane.

    Raises
    ------
    InputError
        Another scale, or no curve.
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    x_scale: str = "linear"
    y_scale: str = "linear"
    equal: bool = False

    def __post_init__(self) -> None:
        for name, scale in (("x", self.x_scale), ("y", self.y_scale)):
            check_choice(f"The {name} scale of the panel '{self.title}'", scale, SCALES)
        if not self.curves:
            raise InputError(f"The panel '{self.title}' has no curve, but needs at least one.")
