"""One quantity of all runs at several times, with its mean and standard error over seeds."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wgflow.domain import Circle

Columns = Sequence[Sequence[int]]


@dataclasses.dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of R runs in C columns, at some of the common times.

    Attributes
    ----------
    title, definition
        What it is called, and what it is, in a sentence.
    values
        Of each run, shape (R, times); NaN where it is not defined.
    mean
        Of each column, over its seeds, shape (C, times); NaN unless it is defined for all.
    error
        The standard error of that mean, s / sqrt(n) with the sample standard deviation s of n
        seeds, shape (C, times); NaN for a single run.
    pooled
        Of the mean of the laws of each column, shape (C, times), for distances; otherwise None.
    change
        How a difference from the reference is shown: "percent", "absolute" or "".
    """

    title: str
    definition: str
    values: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    pooled: np.ndarray | None = None
    change: str = ""

    @np.errstate(over="ignore", invalid="ignore")
    def difference(self, reference: int) -> np.ndarray:
        """Return the mean less that of a column, shape (C, times)."""
        return self.mean - self.mean[reference]


@np.errstate(over="ignore", invalid="ignore")
def over_seeds(
    title: str,
    definition: str,
    values: np.ndarray,
    columns: Columns,
    *,
    circle: Circle | None = None,
    pooled: np.ndarray | None = None,
    change: str = "",
) -> Quantity:
    """Return a quantity with its statistics.

    On a circle, values (R, times) of a column are first brought within half a period of their mean
    direction, and their mean is wrapped again.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    mean = np.full((len(columns), values.shape[1]), np.nan)
    error = mean.copy()
    for number, column in enumerate(columns):
        own = values[list(column)]
        if len(own) == 1:
            mean[number] = own[0]
            continue
        own = own if circle is None else _unwrapped(own, circle.period)
        middle = own.mean(axis=0)
        mean[number] = middle if circle is None else circle.fold(middle)
        error[number] = own.std(axis=0, ddof=1) / np.sqrt(len(own))
    return Quantity(title, definition, values, mean, error, pooled, change)


def _unwrapped(angles: np.ndarray, period: float) -> np.ndarray:
    turn = 2 * np.pi / period
    centre = np.angle(np.exp(1j * angles * turn).mean(axis=0)) / turn
    return centre + np.mod(angles - centre + period / 2, period) - period / 2
