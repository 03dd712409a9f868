"""The comparison of runs: all numbers at all common times, as a table and as plain data."""

import dataclasses
import functools
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from wgflow import store
from wgflow.comparison.export import plain
from wgflow.comparison.matching import Matched, matched
from wgflow.comparison.measured import Progress, measured, recorded
from wgflow.comparison.problems import warnings
from wgflow.comparison.quantity import Quantity
from wgflow.comparison.table import WIDTH, Section, sections, text_of
from wgflow.run import Run


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison(Matched):
    """Runs at the save times that all of them share; `str` of it is the table.

    Particle runs that differ in nothing but their seed share a column, in which a number is the
    mean over the seeds, with its standard error.

    Attributes
    ----------
    runs
        The runs, R of them.
    files
        What each was read from, or an empty tuple.
    columns
        For each of C columns its runs, as numbers into `runs` by increasing seed.
    reference
        Number of the column the others are compared with.
    time
        The common save times, shape (times,).
    rows
        For each run, the index of its save at each common time, shape (R, times).
    progress
        Called with the number of times done and of all while distances are computed at all times.
    """

    progress: Progress | None = None

    def __str__(self) -> str:
        return self.table()

    @functools.cached_property
    def recorded(self) -> dict[str, Quantity]:
        """What the runs have recorded (risk, energies, gap), by name, at all common times."""
        return recorded(self, range(len(self.time)))

    @functools.cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Everything that is compared, by name, at all common times; computed when first read."""
        return {**self.recorded, **measured(self, range(len(self.time)), self.progress)}

    @functools.cached_property
    def last(self) -> dict[str, Quantity]:
        """Everything that is compared, by name, at the last common time."""
        index = [len(self.time) - 1]
        return {**recorded(self, index), **measured(self, index)}

    @functools.cached_property
    def warnings(self) -> list[str]:
        """A sentence on everything that speaks against reading the numbers as they stand."""
        return warnings(self)

    @property
    def risk(self) -> np.ndarray:
        """The risk, shape (R, times)."""
        return self.recorded["risk"].values

    @property
    def prediction_distance(self) -> np.ndarray:
        """Root mean square of the difference of the predictions, shape (R, times)."""
        return self.quantities["prediction_rms"].values

    @property
    def distance(self) -> dict[str, np.ndarray]:
        """By name, the Wasserstein distance of the laws and of each marginal, (R, times) each."""
        names = [k for k in self.quantities if k.startswith(("w2", "sliced_w2"))]
        kept = [self.quantities[name] for name in names]
        return {held.title.removesuffix(" to ref"): held.values for held in kept}

    def sections(self) -> list[Section]:
        """Return the table as rows of cells, in parts."""
        return sections(self, self.last, self.recorded["risk"])

    def table(self, width: int = WIDTH) -> str:
        """Return the table in blocks of columns of at most this many characters."""
        return text_of(self, self.sections(), self.warnings, width)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data; what is not defined is None."""
        return plain(self, self.quantities, self.warnings)

    def to_json(self) -> str:
        """Return everything as JSON; what is not defined is null."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write it to a .json file, whole or not at all.

        Raises
        ------
        FileError
            The file exists (unless `replace`), its ending is another, or it cannot be written.
        """
        store.check_ending(path, (".json",), "comparison", replace=replace)
        store.write_text(path, self.to_json() + "\n", "comparison")


def compare(
    *runs: Run,
    reference: int | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
) -> Comparison:
    """Return a comparison of two or more runs of one problem.

    Runs of different problems can be compared where their laws live on the same axes; the table
    then says in what they differ. Functions of one's own are in no file, and that they are the
    same is for the reader to see to.

    Parameters
    ----------
    reference
        Number of the run with which the others are compared; by default the first on a grid, or
        else the first.
    files
        What each run was read from, for the reader of a report.
    progress
        Called with the number of times done and of all while `quantities` is computed, where each
        law takes some 0.1 s (4000 particles, 144 x 76 cells).

    Raises
    ------
    InputError
        Fewer than two runs, laws on other axes, or no save time in common.
    """
    held = matched(runs, [os.fspath(name) for name in files], reference)
    fields = {field.name: getattr(held, field.name) for field in dataclasses.fields(held)}
    return Comparison(**fields, progress=progress)
