"""Where a run goes while it is computed: into memory, or row by row into a results file."""

import json
import os
import pathlib
import time as clock
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from wgflow import store
from wgflow.diagnostics import LAW_SAVE, Row
from wgflow.errors import FileError
from wgflow.solver import State
from wgflow.store import Attribute, Dataset

CHECKPOINT_SECONDS = 30.0
"""Checkpoints during a run are this far apart by default; the last state always gets one."""
CHECKPOINT_SHARE = 0.05
"""Nor do they take more than this share of the time."""
IDENTITY = ("format", "case", "parameters", "problem", "solver", "settings", "seed")
"""The attributes that tell to which run a checkpoint belongs."""


class Recorder(Protocol):
    """Where a run goes while it is computed."""

    def has(self, index: int) -> bool:
        """Whether all of save number `index` is stored, by this process or one before."""

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`."""

    def checkpoint_is_due(self) -> bool:
        """Whether the last checkpoint is old."""

    def checkpoint(self, state: State, standing: Mapping[str, Attribute]) -> None:
        """Store what is needed to go on from here."""

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes and return the whole dataset."""

    def discard(self) -> None:
        """Leave nothing behind."""


class _Rows:
    """What of a row goes along time, and what is kept for the end."""

    def __init__(self, dataset: Dataset) -> None:
        self.dims = {name: variable.dims for name, variable in dataset.variables.items()}
        self.once: Row = {}
        self.last = -1
        self.most = len(dataset.variables["time"].data) - 1

    def take(self, index: int, row: Row) -> Row:
        """Return what is stored of a row now, and keep the rest."""
        held = {name: value for name, value in row.items() if name in self.dims}
        self.once = {k: value for k, value in held.items() if "time" not in self.dims[k]}
        self.last = index
        return {k: value for k, value in held.items() if k not in self.once}

    def needs(self, index: int) -> bool:
        """Return whether the law of this save is stored at the end."""
        return LAW_SAVE in self.dims and index == self.most


class MemoryRecorder:
    """Keeps a run in memory.

    Parameters
    ----------
    dataset
        As `layout` returns it.
    held
        What is stored already of a run that goes on.
    """

    def __init__(self, dataset: Dataset, held: Dataset | None = None) -> None:
        self.dataset = dataset
        self._rows = _Rows(dataset)
        for name, variable in dataset.variables.items():
            variable.data = np.array(variable.data)
            if held is not None and "time" in variable.dims and name != "time":
                rows = _rows_done(held)
                variable.data[:rows] = held.variables[name].data[:rows]

    def has(self, index: int) -> bool:
        """Return whether nothing of a row is missing."""
        stored = bool(self.dataset.variables["recorded"].data[index])
        return stored and not self._rows.needs(index)

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`."""
        for name, value in self._rows.take(index, row).items():
            self.dataset.variables[name].data[index] = value
        self.dataset.variables["recorded"].data[index] = 1

    def checkpoint_is_due(self) -> bool:
        """Return False: what is in memory is lost with the process."""
        return False

    def checkpoint(self, state: State, standing: Mapping[str, Attribute]) -> None:
        """Do nothing."""

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes and return the whole dataset."""
        for name, value in self._rows.once.items():
            self.dataset.variables[name].data[...] = value
            self.dataset.variables[LAW_SAVE].data[...] = self._rows.last
        self.dataset.attributes.update(attributes)
        return self.dataset

    def discard(self) -> None:
        """Do nothing."""


class FileRecorder:
    """Writes a run to a results file as it goes, and its checkpoint to a second file beside it.

    What stood under their names is kept until the new run has taken a step or made a checkpoint.

    Parameters
    ----------
    path
        The results file; the checkpoint is `path` with ".checkpoint" appended.
    dataset
        As `layout` returns it.
    every
        Seconds between checkpoints, at least.
    held
        The file as it is, of a run that goes on; with other save times, it is written anew.

    Raises
    ------
    FileError
        The file cannot be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        dataset: Dataset,
        every: float = CHECKPOINT_SECONDS,
        held: Dataset | None = None,
    ) -> None:
        self.path = pathlib.Path(path)
        self.checkpoint_path = checkpoint_path(self.path)
        self._identity = {name: dataset.attributes[name] for name in IDENTITY}
        self._rows, self._every = _Rows(dataset), every
        self._recorded = np.zeros(len(dataset.variables["time"].data), dtype=bool)
        self._replaces = held is None and self.path.exists()
        self._started = held is not None
        if held is None:
            self._writer = store.Writer(self.path, dataset)
        else:
            self._writer = self._continued(dataset, held)
        if not self._replaces:
            self._writer.publish()
        if held is None and not self._replaces:
            self.checkpoint_path.unlink(missing_ok=True)  # of a run whose file was removed
        self._unwritten = ""
        self._last_checkpoint, self._pause = clock.monotonic(), every

    def _continued(self, dataset: Dataset, held: Dataset) -> store.Writer:
        """Return a writer that has the rows of a file already."""
        rows = _rows_done(held)
        self._recorded[:rows] = held.variables["recorded"].data[:rows] == 1
        times = [each.variables["time"].data for each in (dataset, held)]
        if np.array_equal(times[0], times[1]):
            writer = store.Writer.reopened(self.path)
            changing = {name: dataset.attributes[name] for name in ("status", "reason")}
            writer.attributes(changing)
            return writer
        writer = store.Writer(self.path, dataset)
        try:
            writer.copy(self.path, rows)
        except BaseException:
            writer.discard()
            raise
        return writer

    def has(self, index: int) -> bool:
        """Return whether nothing of a row is missing."""
        return bool(self._recorded[index]) and not self._rows.needs(index)

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`; one that is stored already stays as it is."""
        kept = self._rows.take(index, row)
        if not self._recorded[index]:
            self._writer.row(index, kept)
            self._recorded[index] = True
        if index > 0:
            self._publish()

    def checkpoint_is_due(self) -> bool:
        """Return whether the last checkpoint is old."""
        return clock.monotonic() - self._last_checkpoint >= self._pause

    def checkpoint(self, state: State, standing: Mapping[str, Attribute]) -> None:
        """Store what is needed to go on from here.

        A disk that is full ends no run whose results have their place on it already: the
        checkpoint before is kept, and the reason says so.
        """
        began = clock.monotonic()
        self._publish()
        try:
            self._writer.sync()
            store.write_checkpoint(self.checkpoint_path, state, {**self._identity, **standing})
            self._unwritten = ""
        except FileError as error:
            self._unwritten = str(error)
        self._last_checkpoint = clock.monotonic()
        took = self._last_checkpoint - began
        self._pause = max(self._every, took / CHECKPOINT_SHARE if self._every else 0.0)

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes, close the file and return what it holds."""
        self._publish()
        if self._rows.once:
            self._writer.once(self._rows.once, LAW_SAVE, self._rows.last)
        if self._unwritten:
            reasons = [str(attributes["reason"]), f"The run cannot go on later: {self._unwritten}"]
            attributes = {**attributes, "reason": " ".join(filter(None, reasons))}
        self._writer.attributes(attributes)
        self._writer.close()
        return store.read(self.path)

    def _publish(self) -> None:
        if self._replaces:
            self._writer.publish()
            # One of the same run would do no harm, and one of another run is refused.
            self.checkpoint_path.unlink(missing_ok=True)
            self._replaces = False

    def discard(self) -> None:
        """Remove what was made."""
        self._writer.discard()
        if not self._replaces and not self._started:
            self.path.unlink(missing_ok=True)


def _rows_done(held: Dataset) -> int:
    """Return how many rows, from the first on, hold all that are recorded."""
    return int(np.flatnonzero(held.variables["recorded"].data == 1).max(initial=-1)) + 1


def checkpoint_path(path: pathlib.Path) -> pathlib.Path:
    """Return where the checkpoint of a results file stands."""
    return path.with_name(path.name + ".checkpoint")


def as_json(value: object) -> str:
    """Return plain data as JSON text with sorted keys, for an attribute."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
