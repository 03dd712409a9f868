"""Where a run goes while it is computed: into memory, or row by row into a results file."""

import dataclasses
import hashlib
import json
import os
import pathlib
import time as clock
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from wgflow import store
from wgflow.diagnostics import LAW_SAVE, Row
from wgflow.errors import FileError
from wgflow.solver import State
from wgflow.store import Attribute, Dataset
from wgflow.store.paths import CHECKPOINT

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


@dataclasses.dataclass(frozen=True)
class Held:
    """What is stored already of a run that goes on.

    Attributes
    ----------
    dataset
        The content of its file.
    rows
        How many rows count, from the first on: those before the checkpoint, which were brought to
        the disk with it. Later ones are written again, to the same bits.
    """

    dataset: Dataset
    rows: int

    @property
    def law(self) -> int:
        """The index of the save whose law is stored once, or -1."""
        mark = self.dataset.variables.get(LAW_SAVE)
        return -1 if mark is None else int(mark.data)


class _Rows:
    """What of a row goes along time, and what is kept for the end."""

    def __init__(self, dataset: Dataset, held: Held | None) -> None:
        self.dims = {name: variable.dims for name, variable in dataset.variables.items()}
        self.once: Row = {}
        self.last = -1
        self._stored = -1 if held is None else held.law
        self._fixed = {
            name: dataset.variables[name].data
            for name in ("x", "y", "weight")
            if name in dataset.variables
        }
        self._rows = {}
        if held is not None:
            for index in {0, held.rows - 1}:
                variables = held.dataset.variables
                self._rows[index] = {
                    name: variables[name].data[index] for name in self.along_time(variables)
                }
        self.latest = 0 if held is None else held.rows - 1

    def along_time(self, names: Iterable[str]) -> list[str]:
        """Return those of some variables that a row holds values of."""
        held = [name for name in names if "time" in self.dims.get(name, ())]
        return [name for name in held if name not in ("time", "recorded")]

    def take(self, index: int, row: Row) -> Row:
        """Return what is stored of a row now, and keep the rest."""
        held = {name: value for name, value in row.items() if name in self.dims}
        along = {name: held[name] for name in self.along_time(held)}
        self.once = {name: value for name, value in held.items() if name not in along}
        self.last = self.latest = index
        self._rows = {0: self._rows.get(0, along), index: along}
        return along

    def law(self) -> Row:
        """Return the law to be stored at the end, unless a later one is stored."""
        return self.once if self.last >= self._stored else {}

    def is_once(self) -> bool:
        """Return whether a law is stored once."""
        return LAW_SAVE in self.dims

    def fingerprint(self) -> str:
        """Return a checksum of the data, of the first row and of the latest."""
        total = hashlib.sha256()
        for values in (self._fixed, self._rows[0], self._rows[self.latest]):
            for name, value in sorted(values.items()):
                total.update(name.encode())
                total.update(np.ascontiguousarray(value, dtype=float).data)
        return total.hexdigest()


def fingerprint(held: Held) -> str:
    """Return the checksum that a checkpoint made after the last of these rows holds."""
    return _Rows(held.dataset, held).fingerprint()


class MemoryRecorder:
    """Keeps a run in memory.

    Parameters
    ----------
    dataset
        As `layout` returns it.
    held
        What is stored already of a run that goes on.
    """

    def __init__(self, dataset: Dataset, held: Held | None = None) -> None:
        self.dataset = dataset
        self._rows = _Rows(dataset, held)
        for name, variable in dataset.variables.items():
            variable.data = np.array(variable.data)
            if held is None or name == "time":
                continue
            old = held.dataset.variables[name].data
            if "time" in variable.dims:
                variable.data[: held.rows] = old[: held.rows]
            elif old.dtype.kind in "if":
                variable.data[...] = old

    def has(self, index: int) -> bool:
        """Return whether nothing of a row is missing."""
        stored = bool(self.dataset.variables["recorded"].data[index])
        return stored and not self._rows.is_once()

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
        for name, value in self._rows.law().items():
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
    replace
        Whether what stands there may be replaced.
    held
        What is stored of a run that goes on; with other save times the file is written anew.

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
        *,
        replace: bool = False,
        held: Held | None = None,
    ) -> None:
        self.path = pathlib.Path(path)
        self.checkpoint_path = checkpoint_path(self.path)
        self._identity = {name: dataset.attributes[name] for name in IDENTITY}
        self._rows, self._every = _Rows(dataset, held), every
        self._recorded = np.zeros(len(dataset.variables["time"].data), dtype=bool)
        self._goes_on, self._replace = held is not None, replace
        # A file that was there waits for a first step; one that was not appears with its first row.
        self._waits = held is None and replace and self.path.exists()
        self._published = False
        self._writer = self._continued(dataset, held) if held else store.Writer(self.path, dataset)
        self._unwritten = ""
        self._last_checkpoint, self._pause = clock.monotonic(), every

    def _continued(self, dataset: Dataset, held: Held) -> store.Writer:
        """Return a writer that has the rows of a file already."""
        self._recorded[: held.rows] = True
        before = held.dataset
        times = [each.variables["time"].data for each in (dataset, before)]
        if np.array_equal(times[0], times[1]):
            writer = store.Writer.reopened(self.path)
        else:
            writer = store.Writer(self.path, dataset)
            try:
                rows = np.flatnonzero(before.variables["recorded"].data == 1)
                writer.copy(self.path, int(rows[-1]) + 1)
            except BaseException:
                writer.discard()
                raise
            writer.publish()
        self._published = True
        now = {name: dataset.attributes[name] for name in ("reason", "status")}
        if dataset.attributes["versions"] != before.attributes["versions"]:
            now["versions"] = before.attributes["versions"]
            now["resumed_by"] = dataset.attributes["versions"]
        writer.attributes(now)
        return writer

    def has(self, index: int) -> bool:
        """Return whether nothing of a row is missing."""
        return bool(self._recorded[index]) and not self._rows.is_once()

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`; one that counts already stays as it is."""
        kept = self._rows.take(index, row)
        if not self._recorded[index]:
            self._writer.row(index, kept)
            self._recorded[index] = True
        if index > 0 or not self._waits:
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
        rows: dict[str, Attribute] = {
            "rows": self._rows.latest + 1,
            "fingerprint": self._rows.fingerprint(),
        }
        attributes = {**self._identity, **standing, **rows}
        try:
            self._writer.sync()
            store.write_checkpoint(self.checkpoint_path, state, attributes)
            self._unwritten = ""
        except FileError as error:
            self._unwritten = str(error)
        self._last_checkpoint = clock.monotonic()
        took = self._last_checkpoint - began
        self._pause = max(self._every, took / CHECKPOINT_SHARE if self._every else 0.0)

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes, close the file and return what it holds.

        A run that took no step leaves the file that it would have replaced.
        """
        law = self._rows.law()
        if law:
            self._writer.once(law, LAW_SAVE, self._rows.last)
        if self._unwritten:
            later = (
                "goes on from the one before" if self.checkpoint_path.exists() else "begins anew"
            )
            told = f"The last checkpoint is missing, and wgflow resume {later}: {self._unwritten}"
            reason = " ".join(filter(None, [str(attributes["reason"]), told]))
            attributes = {**attributes, "reason": reason}
        self._writer.attributes(attributes)
        self._writer.close()
        made = store.read(self._writer.place, own=True)
        self._writer.discard()
        return made

    def _publish(self) -> None:
        if self._published:
            return
        if not self._replace:
            store.check_writable(self.path)  # one that has appeared meanwhile
        self._writer.publish()
        store.remove(self.checkpoint_path)
        self._published = True

    def discard(self) -> None:
        """Remove what was made."""
        self._writer.discard()
        if self._published and not self._goes_on:
            store.remove(self.path)


def checkpoint_path(path: pathlib.Path) -> pathlib.Path:
    """Return where the checkpoint of a results file stands."""
    return path.with_name(path.name + CHECKPOINT)


def as_json(value: object) -> str:
    """Return plain data as JSON text with sorted keys, for an attribute."""
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
