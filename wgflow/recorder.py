"""What a run records at each save, and where: in memory, or row by row in a results file."""

import json
import os
import pathlib
import time as clock
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from wgflow import store
from wgflow.energy import Risk
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure
from wgflow.optimality import Dual, covering, has_certificate
from wgflow.problem import Problem
from wgflow.solver import Snapshot, State
from wgflow.store import Attribute, Dataset, Variable

Row = dict[str, np.ndarray | float]

CHECKPOINT_SECONDS = 30.0
"""Checkpoints during a run are at least this far apart; the last state always gets one."""


class Diagnostics:
    """Everything that is computed from a snapshot, the same for every solver."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._certified = has_certificate(problem.energy)
        self._dual: Dual | None = None
        self._minimum = np.nan

    def row(self, snapshot: Snapshot, time: float) -> Row:
        """Return the values to record of one snapshot."""
        energy, measure = self.problem.energy, snapshot.measure
        couplings = snapshot.couplings or energy.couple(measure)
        values = energy.values(measure, couplings)
        row: Row = {f"energy_{name}": value for name, value in values.items()}
        row["energy"] = sum(values.values())
        row["risk"] = values["risk"] if energy.risk is not None else np.nan
        periodic = self.problem.domain.periodic
        rate = self.problem.rate(time)
        row["dissipation"] = rate * energy.dissipation(measure, couplings, periodic)
        row["mass"] = float(measure.mass.sum())
        row["gap"], row["minimum"] = self._certificate(measure)
        if energy.risk is not None:
            row["prediction"] = couplings["risk"]
        if isinstance(measure, GridMeasure):
            row["mass_on_grid"] = measure.mass_on_grid
            if snapshot.edges_move:
                names = self.problem.domain.names
                row |= {f"{name}_edge": e for name, e in zip(names, measure.edges, strict=True)}
        else:
            row["position"] = measure.position
        return row

    def _certificate(self, measure: Measure) -> tuple[float, float]:
        """Return the optimality gap and F*: on a grid, for an energy known to be convex."""
        if not isinstance(measure, GridMeasure) or not self._certified:
            return np.nan, np.nan
        measure = covering(self.problem.domain, measure)
        dual = self._dual
        if dual is None or not all(map(np.array_equal, dual.on_grid.edges, measure.edges)):
            try:
                self._dual = dual = Dual(self.problem.energy, measure.edges)
            except InputError:
                # A kernel whose sign only the grid could tell, or a term that no grid takes.
                self._certified = False
                return np.nan, np.nan
            try:
                self._minimum = dual.maximise().value
            except InputError:
                self._minimum = np.nan
        return dual.gap(measure.mass_on_grid), self._minimum


def layout(
    problem: Problem, snapshot: Snapshot, row: Row, attributes: dict[str, Attribute]
) -> Dataset:
    """Return the dataset of a run before its first row: NaN along time, the rest filled in."""
    times = np.array(problem.save_times)
    variables = {
        "time": Variable(("time",), times, "mean-field time"),
        "recorded": Variable(
            ("time",), np.zeros(len(times), dtype=np.int8), "1 once the row is complete"
        ),
    }

    def along_time(name: str, dims: tuple[str, ...], long_name: str) -> None:
        shape = (len(times), *np.shape(row[name]))
        variables[name] = Variable(("time", *dims), np.full(shape, np.nan), long_name)

    for name in problem.energy.names:
        along_time(f"energy_{name}", (), f"{name} term of the free energy")
    along_time("energy", (), "free energy F")
    along_time("risk", (), "risk R")
    along_time("dissipation", (), "dissipation, -dF/dt along the flow")
    along_time("mass", (), "total mass")
    along_time("gap", (), "optimality gap F - D, an upper bound on F - F*")
    along_time("minimum", (), "minimum F* of the free energy over all laws on the grid")
    if problem.risk is not None:
        variables |= _data_variables(problem.risk)
        along_time("prediction", ("sample", "output"), "prediction f at the sample")
    names, measure = problem.domain.names, snapshot.measure
    if isinstance(measure, GridMeasure):
        for name, centre, edge in zip(names, measure.centres, measure.edges, strict=True):
            if snapshot.edges_move:
                variables[name] = Variable((name,), centre, f"cell centres of {name} at time 0")
                along_time(f"{name}_edge", (f"{name}_vertex",), f"moving cell edges of {name}")
                continue
            variables[name] = Variable((name,), centre, f"cell centres of {name}")
            variables[f"{name}_edge"] = Variable((f"{name}_vertex",), edge, f"cell edges of {name}")
        along_time("mass_on_grid", names, "mass in each cell")
    else:
        variables["coordinate"] = Variable(("coordinate",), np.array(names), "coordinate of theta")
        variables["particle_mass"] = Variable(("particle",), measure.mass, "mass of a particle")
        along_time("position", ("particle", "coordinate"), "position of a particle")
    return Dataset(variables, attributes)


def _data_variables(risk: Risk) -> dict[str, Variable]:
    data = risk.data
    return {
        "x": Variable(("sample", "input"), data.x, "inputs of the data"),
        "y": Variable(("sample", "output"), data.y, "outputs of the data"),
        "weight": Variable(("sample",), data.weights, "weight c of a sample in the risk"),
    }


class Recorder(Protocol):
    """Where a run goes while it is computed."""

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`."""

    def checkpoint_is_due(self, last: bool) -> bool:
        """Whether to store a checkpoint now; `last` says that no later one can be."""

    def checkpoint(self, state: State, time: float, index: int) -> None:
        """Store what is needed to go on from here."""

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes and return the whole dataset."""

    def discard(self) -> None:
        """Leave nothing behind."""


class MemoryRecorder:
    """Keeps a run in memory."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`."""
        for name, value in row.items():
            self.dataset.variables[name].data[index] = value
        self.dataset.variables["recorded"].data[index] = 1

    def checkpoint_is_due(self, last: bool) -> bool:
        """Return False: what is in memory is lost with the process."""
        return False

    def checkpoint(self, state: State, time: float, index: int) -> None:
        """Do nothing."""

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes and return the whole dataset."""
        self.dataset.attributes.update(attributes)
        return self.dataset

    def discard(self) -> None:
        """Do nothing."""


class FileRecorder:
    """Writes a run to a results file as it goes, and its checkpoint to a second file beside it.

    Parameters
    ----------
    path
        The results file; the checkpoint is `path` with ".checkpoint" appended.
    dataset
        As `layout` returns it.
    replace
        Whether an existing file may be overwritten.

    Raises
    ------
    FileError
        The file exists or cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], dataset: Dataset, replace: bool) -> None:
        self.path = pathlib.Path(path)
        self.checkpoint_path = checkpoint_path(self.path)
        names = ("format", "case", "parameters", "problem", "solver", "settings", "seed")
        self._identity = {name: dataset.attributes[name] for name in names}
        store.check_writable(self.path, replace)
        # What is replaced is put aside until the new run has taken a step.
        self._aside = [(p, p.with_name(f".{p.name}.{os.getpid()}.replaced")) for p in self._files]
        try:
            for file, kept in self._aside:
                if file.exists():
                    file.rename(kept)
            self._writer = store.Writer(self.path, dataset)
        except BaseException:
            self._put_back()
            raise
        self._last_checkpoint = clock.monotonic()

    @property
    def _files(self) -> tuple[pathlib.Path, pathlib.Path]:
        return self.path, self.checkpoint_path

    def record(self, index: int, row: Row) -> None:
        """Store the row of save number `index`."""
        self._writer.row(index, row)
        if index > 0:
            self._forget()

    def checkpoint_is_due(self, last: bool) -> bool:
        """Whether the last checkpoint is old, or no later one can be stored."""
        return last or clock.monotonic() - self._last_checkpoint >= CHECKPOINT_SECONDS

    def checkpoint(self, state: State, time: float, index: int) -> None:
        """Store what is needed to go on from here."""
        self._last_checkpoint = clock.monotonic()
        attributes = {**self._identity, "time": time, "index": index}
        store.write_checkpoint(self.checkpoint_path, state, attributes)

    def close(self, attributes: Mapping[str, Attribute]) -> Dataset:
        """Store the final attributes, close the file and return what it holds."""
        self._forget()
        self._writer.attributes(attributes)
        self._writer.close()
        return store.read(self.path)

    def _forget(self) -> None:
        for _, kept in self._aside:
            kept.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the files, and put back those that they replaced."""
        self._writer.close()
        for file in self._files:
            file.unlink(missing_ok=True)
        self._put_back()

    def _put_back(self) -> None:
        for file, kept in self._aside:
            if kept.exists():
                kept.rename(file)


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
