"""The run that a solver returns: what was recorded at each save, and where it came from."""

import json
import os
from typing import Any

import numpy as np

from wgflow import store
from wgflow.errors import FileError, InputError, MissingPackageError
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.problem import Problem
from wgflow.run_format import check_run
from wgflow.store import Dataset
from wgflow.store.checkpoint import CHECKSUM
from wgflow.store.paths import CHECKPOINT


class Run:
    """A run: what was recorded at each save time, and where it came from.

    All arrays run along the save times that were reached. Everything is dimensionless; what is
    not defined for a run (the entropy of particles, the risk of a flow without a network) is NaN.
    """

    def __init__(self, dataset: Dataset, problem: Problem | None = None) -> None:
        check_run(dataset)
        self.dataset = dataset
        self.problem = problem
        self._rows = np.flatnonzero(dataset.variables["recorded"].data == 1)

    def __repr__(self) -> str:
        reached = f"t = {self.time[-1]:g}" if len(self.time) else "the start"
        return f"<Run of {self.label}: {self.status}, {len(self.time)} saves up to {reached}>"

    @property
    def saved(self) -> str:
        """What is stored: "all", "final" (one law) or "summary" (no law, no predictions)."""
        return str(self.dataset.attributes.get("save", "all"))

    def _along_time(self, name: str) -> np.ndarray:
        return self.dataset.variables[name].data[self._rows]

    def _attribute(self, name: str) -> Any:
        return json.loads(str(self.dataset.attributes[name]))

    @property
    def label(self) -> str:
        """The case and the solver, for a title."""
        return f"{self.case or 'own problem'} by {self.solver}"

    @property
    def case(self) -> str | None:
        """The name of the case, or None."""
        return str(self.dataset.attributes["case"]) or None

    @property
    def solver(self) -> str:
        """The name of the solver."""
        return str(self.dataset.attributes["solver"])

    @property
    def status(self) -> str:
        """How it ended: "finished", "interrupted", "not_converged" or "diverged".

        "running" in the file of a run that has not ended, or was killed.
        """
        return str(self.dataset.attributes["status"])

    @property
    def reason(self) -> str:
        """A sentence on why it stopped early, or an empty string."""
        held = str(self.dataset.attributes.get("reason", ""))
        return "".join(letter if letter.isprintable() else " " for letter in held)

    @property
    def time(self) -> np.ndarray:
        """The save times reached, shape (saves,)."""
        return self._along_time("time")

    @property
    def risk(self) -> np.ndarray:
        """The risk R, shape (saves,)."""
        return self._along_time("risk")

    @property
    def energy(self) -> dict[str, np.ndarray]:
        """Each term of the free energy and their sum `total`, shape (saves,) each."""
        prefix = "energy_"
        terms = {
            name.removeprefix(prefix): self._along_time(name)
            for name in self.dataset.variables
            if name.startswith(prefix)
        }
        return {**terms, "total": self._along_time("energy")}

    @property
    def dissipation(self) -> np.ndarray:
        """The dissipation, equal to -dF/dt along the exact flow, shape (saves,)."""
        return self._along_time("dissipation")

    @property
    def mass(self) -> np.ndarray:
        """The total mass, shape (saves,)."""
        return self._along_time("mass")

    @property
    def gap(self) -> np.ndarray:
        """The optimality gap, an upper bound on F - F*, shape (saves,)."""
        return self._along_time("gap")

    @property
    def minimum(self) -> np.ndarray:
        """F* on the grid, shape (saves,); NaN where there is no certificate."""
        if "minimum" not in self.dataset.variables:  # a file of an earlier version
            return np.full(len(self._rows), np.nan)
        return self._along_time("minimum")

    @property
    def x(self) -> np.ndarray | None:
        """Inputs of the data, shape (n, d), or None without a network."""
        held = self.dataset.variables.get("x")
        return None if held is None else held.data

    @property
    def y(self) -> np.ndarray | None:
        """Outputs of the data, shape (n, k), or None without a network."""
        held = self.dataset.variables.get("y")
        return None if held is None else held.data

    @property
    def prediction(self) -> np.ndarray | None:
        """Predictions at the data, shape (saves, n, k), or None without a network."""
        return self._along_time("prediction") if "prediction" in self.dataset.variables else None

    @property
    def axes(self) -> list[dict[str, Any]]:
        """The axes of theta as plain data: name, kind, ends."""
        return list(self._attribute("problem")["domain"])

    @property
    def on_grid(self) -> bool:
        """Whether the law is a law on a grid; otherwise it is particles."""
        return f"{self.axes[0]['name']}_edge" in self.dataset.variables

    def _row(self, index: int) -> int:
        """Return the row of a save in the file."""
        saves = len(self._rows)
        if not isinstance(index, int | np.integer) or not -saves <= index < saves:
            raise InputError(f"There is no save number {index}; the run has {saves} of them.")
        return int(self._rows[index])

    def has_law(self, index: int) -> bool:
        """Return whether the law at save number `index` is stored; -1 is the last.

        Raises
        ------
        InputError
            There is no such save.
        """
        row, held = self._row(index), self.dataset.variables
        law = held.get("mass_on_grid" if self.on_grid else "position")
        if law is None:
            return False
        return "time" in law.dims or int(held["law_save"].data) == row

    def measure(self, index: int) -> Measure:
        """Return the law at save number `index`; -1 is the last.

        Raises
        ------
        InputError
            There is no such save, or its law is not stored.
        """
        row, held = self._row(index), self.dataset.variables
        if not self.has_law(index):
            stored = {"final": "that of the last save of a run that has ended", "all": "none"}
            raise InputError(
                f"The law at save number {index} is not stored (the run was saved with save="
                f"{self.saved}, which keeps {stored.get(self.saved, 'none')}); run again with "
                "--save all (save='all' in Python)."
            )

        def at_save(name: str) -> np.ndarray:
            variable = held[name]
            return variable.data[row] if "time" in variable.dims else variable.data

        if not self.on_grid:
            position, mass = at_save("position"), held["particle_mass"].data
            _check_finite(index, position)
            return Particles(position, mass)
        edges = [at_save(f"{axis['name']}_edge") for axis in self.axes]
        _check_finite(index, at_save("mass_on_grid"), *edges)
        return GridMeasure(edges, at_save("mass_on_grid"))

    @property
    def statistics(self) -> dict[str, float]:
        """Steps, evaluations of the velocity, inner iterations, and seconds."""
        return dict(self._attribute("statistics"))

    @property
    def provenance(self) -> dict[str, Any]:
        """Case, parameters, solver, settings, seed, versions and revision of the project."""
        names = ("parameters", "settings", "versions", "problem")
        parts = {name: self._attribute(name) for name in names}
        return {
            "case": self.case,
            "solver": self.solver,
            "seed": int(self.dataset.attributes["seed"]),
            **parts,
        }

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write the run to one HDF5 file.

        Raises
        ------
        FileError
            The file exists (unless `replace`) or cannot be written.
        """
        store.write(path, self.dataset, replace=replace)

    def to_xarray(self) -> Any:
        """Return the saves that were reached as an xarray.Dataset; needs the extra `data`.

        It equals what xarray.open_dataset(file, engine="h5netcdf") shows of the same run where
        `recorded` is 1: a file holds a row for every planned save, and those to come are NaN. What
        is named like its dimension is a coordinate: the time, the cell centres of each axis, or the
        names of the coordinates of particles. Attributes are text and numbers, as netCDF allows;
        json.loads reads `parameters`, `problem`, `settings`, `versions` and `statistics`. The
        arrays are copies, and `to_netcdf` writes them.

        Raises
        ------
        MissingPackageError
            xarray is not installed.
        """
        try:
            import xarray  # noqa: PLC0415 (an optional dependency)
        except ImportError as error:
            raise MissingPackageError(
                "to_xarray needs xarray, which is not installed; run pip install 'wgflow[data]'."
            ) from error
        variables = {}
        for name, held in self.dataset.variables.items():
            along_time = held.dims[:1] == ("time",)
            data = held.data[self._rows] if along_time else held.data.copy()
            variables[name] = held.dims, data, {"units": held.units, "long_name": held.long_name}
        return xarray.Dataset(variables, attrs=dict(self.dataset.attributes))


def read_run(path: str | os.PathLike[str]) -> Run:
    """Return the run in a results file, without its problem.

    Raises
    ------
    FileError
        The file cannot be read or does not hold a run.
    """
    dataset = store.read(path)
    if CHECKSUM in dataset.attributes:
        name = os.fspath(path).removesuffix(CHECKPOINT)
        remedy = f"name '{name}'" if name != os.fspath(path) else "name that of its run"
        raise FileError(f"The file '{path}' is a checkpoint, not a results file; {remedy}.")
    try:
        return Run(dataset)
    except FileError as error:
        raise FileError(f"The file '{path}' does not hold a complete run: {error}.") from error


def _check_finite(index: int, *arrays: np.ndarray) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise InputError(f"The law at save number {index} holds numbers that are not finite.")
