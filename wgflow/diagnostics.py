"""What a run records at each save, and the variables of its file."""

import numpy as np

from wgflow.energy import Risk
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure
from wgflow.optimality import Dual, covering, has_certificate
from wgflow.problem import Problem
from wgflow.solver import Snapshot
from wgflow.store import Attribute, Dataset, Variable, unfilled

Row = dict[str, np.ndarray | float]

SAVES = ("all", "final", "summary")
"""What a run stores: the law and the predictions at every save; the law at the last one only; or
neither, but the numbers of every save."""
LAW_SAVE = "law_save"
"""The commit mark of a law that is stored once."""


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
        row["risk"] = next((values[t.name] for t in energy.terms if t.is_risk), np.nan)
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
    problem: Problem,
    snapshot: Snapshot,
    row: Row,
    attributes: dict[str, Attribute],
    save: str = "all",
) -> Dataset:
    """Return the dataset of a run before its first row: unfilled along time, the rest filled in."""
    times = np.array(problem.save_times)
    variables = {
        "time": Variable(("time",), times, "mean-field time"),
        "recorded": Variable(
            ("time",), np.zeros(len(times), dtype=np.int8), "1 once the row is complete"
        ),
    }

    def along_time(name: str, dims: tuple[str, ...], long_name: str) -> None:
        data = unfilled((len(times), *np.shape(row[name])))
        variables[name] = Variable(("time", *dims), data, long_name)

    def law(name: str, dims: tuple[str, ...], long_name: str) -> None:
        if save == "all":
            along_time(name, dims, long_name)
        elif save == "final":
            variables[name] = Variable(dims, unfilled(np.shape(row[name])), long_name)

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
        if save != "summary":
            along_time("prediction", ("sample", "output"), "prediction f at the sample")
    if save == "final":
        index = np.array(-1, dtype=np.int64)
        variables[LAW_SAVE] = Variable((), index, "index of the save whose law is stored, or -1")
    names, measure = problem.domain.names, snapshot.measure
    if isinstance(measure, GridMeasure):
        for name, centre, edge in zip(names, measure.centres, measure.edges, strict=True):
            if snapshot.edges_move:
                variables[name] = Variable((name,), centre, f"cell centres of {name} at time 0")
                law(f"{name}_edge", (f"{name}_vertex",), f"moving cell edges of {name}")
                continue
            variables[name] = Variable((name,), centre, f"cell centres of {name}")
            variables[f"{name}_edge"] = Variable((f"{name}_vertex",), edge, f"cell edges of {name}")
        law("mass_on_grid", names, "mass in each cell")
    else:
        variables["coordinate"] = Variable(("coordinate",), np.array(names), "coordinate of theta")
        if save != "summary":
            mass = Variable(("particle",), measure.mass, "mass of a particle")
            variables["particle_mass"] = mass
        law("position", ("particle", "coordinate"), "position of a particle")
    return Dataset(variables, {**attributes, "save": save})


def _data_variables(risk: Risk) -> dict[str, Variable]:
    data = risk.data
    return {
        "x": Variable(("sample", "input"), data.x, "inputs of the data"),
        "y": Variable(("sample", "output"), data.y, "outputs of the data"),
        "weight": Variable(("sample",), data.weights, "weight c of a sample in the risk"),
    }
