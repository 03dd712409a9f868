"""The run that a solver returns: what was recorded at each save, and where it came from."""

import json
import os
from typing import Any

import numpy as np

from wgflow import store
from wgflow.errors import FileError, InputError
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.problem import Problem
from wgflow.store import Dataset


class Run:
    """A run: what was recorded at each save time, and where it came from.

    All arrays run along the save times that were reached. Everything is dimensionless; what is
    not defined for a run (the entropy of particles, the risk of a flow without a network) is NaN.
    """

    def __init__(self, dataset: Dataset, problem: Problem | None = None) -> None:
        _check(dataset)
        self.dataset = dataset
        self.problem = problem
        self._rows = np.flatnonzero(dataset.variables["recorded"].data == 1)

    def __repr__(self) -> str:
        reached = f"t = {self.time[-1]:g}" if len(self.time) else "the start"
        return f"<Run of {self.label}: {self.status}, {len(self.time)} saves up to {reached}>"

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
        return str(self.dataset.attributes.get("reason", ""))

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
        """Whether the law is stored as masses on a grid; otherwise it is particles."""
        return "mass_on_grid" in self.dataset.variables

    def measure(self, index: int) -> Measure:
        """Return the law at save number `index`; -1 is the last.

        Raises
        ------
        InputError
            There is no such save.
        """
        saves = len(self._rows)
        if not isinstance(index, int | np.integer) or not -saves <= index < saves:
            raise InputError(f"There is no save number {index}; the run has {saves} of them.")
        held, row = self.dataset.variables, self._rows[index]
        if not self.on_grid:
            return Particles(held["position"].data[row], held["particle_mass"].data)
        edges = [held[f"{axis['name']}_edge"] for axis in self.axes]
        places = [edge.data[row] if edge.dims[0] == "time" else edge.data for edge in edges]
        return GridMeasure(places, held["mass_on_grid"].data[row])

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
        """Return the run as an xarray.Dataset; needs the extra `data`.

        Raises
        ------
        InputError
            xarray is not installed.
        """
        try:
            import xarray  # noqa: PLC0415 (an optional dependency)
        except ImportError as error:
            raise InputError(
                "to_xarray needs xarray, which is not installed; run pip install 'wgflow[data]'."
            ) from error
        variables = {
            name: (held.dims, held.data, {"units": held.units, "long_name": held.long_name})
            for name, held in self.dataset.variables.items()
        }
        return xarray.Dataset(variables, attrs=dict(self.dataset.attributes))


def read_run(path: str | os.PathLike[str]) -> Run:
    """Return the run in a results file, without its problem.

    Raises
    ------
    FileError
        The file cannot be read or does not hold a run.
    """
    dataset = store.read(path)
    try:
        run = Run(dataset)
        for name in ("parameters", "settings", "versions", "problem", "statistics"):
            run._attribute(name)
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(f"The file '{path}' does not hold a complete run: {error}.") from error
    return run


def _check(dataset: Dataset) -> None:
    """Raise FileError unless the variables that every run has are there and fit."""
    times = len(dataset.variables["time"].data) if "time" in dataset.variables else 0
    for name in ("time", "recorded", "energy", "risk", "dissipation", "mass", "gap"):
        held = dataset.variables.get(name)
        if held is None or held.data.shape != (times,) or times == 0:
            raise FileError(f"The variable '{name}' of a run is missing or has a wrong shape")
    if not {"position", "mass_on_grid"} & set(dataset.variables):
        raise FileError("The run holds neither particle positions nor masses on a grid")
    for name in ("case", "solver", "seed", "status"):
        if name not in dataset.attributes:
            raise FileError(f"The attribute '{name}' of a run is missing")
