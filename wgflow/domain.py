"""The space of parameters: a product of named axes, the folding of points into it, and grids."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wgflow.errors import InputError, check_count, check_number

RESERVED = frozenset(
    {"time", "recorded", "sample", "input", "output", "particle", "coordinate", "x", "y", "weight"}
    | {"prediction", "position", "particle_mass", "mass_on_grid"}
    | {"energy", "risk", "dissipation", "mass", "gap", "minimum"}
)
"""Names that the results file gives to something else."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A bounded axis [lower, upper] with walls that let nothing through."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        lower = check_number("The lower end of an interval", self.lower)
        check_number("The upper end of an interval", self.upper, above=lower)

    @property
    def window(self) -> tuple[float, float]:
        """The ends between which a grid is laid."""
        return self.lower, self.upper

    def fold(self, values: np.ndarray) -> np.ndarray:
        """Reflect values, any shape, at the two ends."""
        length = self.upper - self.lower
        offset = np.mod(values - self.lower, 2 * length)
        folded = self.lower + np.where(offset > length, 2 * length - offset, offset)
        # lower + length can be a rounding error beyond the upper end.
        folded = np.clip(folded, self.lower, self.upper)
        return np.where((values >= self.lower) & (values <= self.upper), values, folded)


@dataclasses.dataclass(frozen=True)
class Circle:
    """A periodic axis [lower, lower + period), by default [-pi, pi)."""

    period: float = 2 * math.pi
    lower: float = -math.pi

    def __post_init__(self) -> None:
        check_number("The period of a circle", self.period, above=0)
        check_number("The lower end of a circle", self.lower)

    @property
    def window(self) -> tuple[float, float]:
        """The ends between which a grid is laid: one period."""
        return self.lower, self.lower + self.period

    def fold(self, values: np.ndarray) -> np.ndarray:
        """Wrap values, any shape, into one period."""
        inside = (values >= self.lower) & (values < self.lower + self.period)
        if inside.all():
            return values
        wrapped = self.lower + np.mod(values - self.lower, self.period)
        # A value a rounding error below the lower end wraps onto the upper end itself.
        wrapped = np.where(wrapped >= self.lower + self.period, self.lower, wrapped)
        return np.where(inside, values, wrapped)


@dataclasses.dataclass(frozen=True)
class WholeLine:
    """An unbounded axis; particles move freely on it.

    Parameters
    ----------
    window
        The part of the axis on which grid solvers lay their grid, between walls that let nothing
        through; without one, grid solvers refuse the axis.
    """

    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.window is not None:
            try:
                lower, upper = self.window
            except (TypeError, ValueError):
                raise InputError(
                    f"The window of an axis is {self.window!r}, but must be a pair (lower, upper)."
                ) from None
            lower = check_number("The lower end of a window", lower)
            check_number("The upper end of a window", upper, above=lower)

    def fold(self, values: np.ndarray) -> np.ndarray:
        """Return the values as they are."""
        return values


Axis = Interval | Circle | WholeLine


MOST_CELLS = 100_000_000
"""More cells than this on an axis are taken for a mistake."""
USUAL_CELLS = {1: 256, 2: 64, 3: 32}
"""Cells an axis where nothing asks for more or fewer, by dimension."""


def check_shape(name: str, shape: object) -> tuple[int, ...] | None:
    """Return a shape, one number of cells (at least 2) or a sequence of them, as a tuple.

    None, which leaves the shape to the solver, stays None.
    """
    if shape is None:
        return None
    cells = shape if isinstance(shape, Sequence) else (shape,)
    return tuple(check_count(f"An entry of {name}", count, least=2) for count in cells)


class Domain:
    """A product of named axes.

    Parameters
    ----------
    axes
        One `Interval`, `Circle` or `WholeLine` a coordinate of the parameter.
    names
        One name an axis; they become dimensions of the results file. By default "theta", or
        "theta_0", "theta_1", ...

    Raises
    ------
    InputError
        No axis, something that is not an axis, or names that are not distinct words.
    """

    def __init__(self, *axes: Axis, names: Sequence[str] | None = None) -> None:
        for axis in axes:
            if not isinstance(axis, Interval | Circle | WholeLine):
                raise InputError(
                    f"A domain is made of Interval, Circle and WholeLine axes, not of {axis!r}."
                )
        if not axes:
            raise InputError("A domain needs at least one axis; none was given.")
        if names is None:
            single = len(axes) == 1
            names = ["theta"] if single else [f"theta_{k}" for k in range(len(axes))]
        names = tuple(names)
        if len(names) != len(axes) or len(set(map(repr, names))) != len(names):
            raise InputError(
                f"The names {names} do not fit {len(axes)} axes; give one distinct name an axis."
            )
        for name in names:
            word = isinstance(name, str) and name.isidentifier() and name not in RESERVED
            if not word or name.endswith(("_edge", "_vertex")) or name.startswith("energy_"):
                raise InputError(
                    f"An axis cannot be named {name!r}; use a word of letters, digits and "
                    f"underscores that does not begin with energy_ or end in _edge or _vertex and "
                    f"is none of "
                    f"{', '.join(sorted(RESERVED))}."
                )
        self.axes: tuple[Axis, ...] = axes
        self.names: tuple[str, ...] = names

    def __repr__(self) -> str:
        inner = ", ".join(f"{n}={a!r}" for n, a in zip(self.names, self.axes, strict=True))
        return f"Domain({inner})"

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """For each axis, whether it is a circle."""
        return tuple(isinstance(axis, Circle) for axis in self.axes)

    @property
    def usual_shape(self) -> tuple[int, ...]:
        """A usual number of cells an axis: 256, 64, 32 in one, two, three dimensions."""
        return (USUAL_CELLS.get(self.dimension, 16),) * self.dimension

    def fold(self, points: np.ndarray) -> np.ndarray:
        """Return points (m, D) reflected at interval ends and wrapped on circles."""
        folded = [axis.fold(points[:, k]) for k, axis in enumerate(self.axes)]
        return np.stack(folded, axis=1)

    def grid(self, shape: Sequence[int]) -> tuple[np.ndarray, ...]:
        """Return the edges of a uniform grid, one array of shape (cells + 1,) an axis.

        Parameters
        ----------
        shape
            Number of cells on each axis, at least 2.

        Raises
        ------
        InputError
            A wrong number of axes, or an axis that is unbounded.
        """
        try:
            cells = tuple(shape)
        except TypeError:
            raise InputError(
                f"The grid shape {shape!r} is no sequence; give one number an axis."
            ) from None
        if len(cells) != self.dimension:
            raise InputError(
                f"The grid shape {cells} has {len(cells)} entries, but the domain has "
                f"{self.dimension} axes ({', '.join(self.names)}); give one number an axis."
            )
        edges = []
        for name, axis, count in zip(self.names, self.axes, cells, strict=True):
            what = f"The number of cells on axis '{name}'"
            count = check_count(what, count, least=2, most=MOST_CELLS)
            if axis.window is None:
                raise InputError(
                    f"Axis '{name}' is unbounded and cannot carry a grid; use an Interval, a "
                    f"Circle or WholeLine(window=(lower, upper)), or a particle solver."
                )
            edges.append(np.linspace(*axis.window, count + 1))
        return tuple(edges)

    def describe(self) -> list[dict[str, Any]]:
        """Return the axes as plain data, for the results file."""
        rows = []
        for name, axis in zip(self.names, self.axes, strict=True):
            rows.append({"name": name, "kind": type(axis).__name__, **dataclasses.asdict(axis)})
        return rows

    @classmethod
    def from_description(cls, rows: list[dict[str, Any]]) -> "Domain":
        """Return the domain that `describe` wrote down.

        Raises
        ------
        InputError
            The description is not one that `describe` writes.
        """
        kinds = {"Interval": Interval, "Circle": Circle, "WholeLine": WholeLine}
        try:
            axes, names = [], []
            for row in rows:
                settings = dict(row)
                names.append(settings.pop("name"))
                kind = kinds[settings.pop("kind")]
                if settings.get("window") is not None:
                    settings["window"] = tuple(settings["window"])
                axes.append(kind(**settings))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"The description of the domain cannot be read: {error}.") from error
        return cls(*axes, names=names)
