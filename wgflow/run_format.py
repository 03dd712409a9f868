"""What a dataset must hold to be a run: the variables, dimensions and attributes of the format.

A file that has passed may be drawn, compared and shown without any of them failing: what they rely
on is checked here, and the values of a law when it is asked for.
"""

import json
import math
from typing import Any

import numpy as np

from wgflow.domain import Domain
from wgflow.errors import FileError, InputError
from wgflow.neuron import Neuron
from wgflow.store import Dataset

JSON_ATTRIBUTES = ("parameters", "settings", "versions", "problem", "statistics")
STATUSES = ("running", "finished", "interrupted", "not_converged", "diverged")
SAVED = ("all", "final", "summary")
DEEPEST = 32
"""Values within values in an attribute; what reads them goes down by recursion."""
NUMBERS = ("energy", "risk", "dissipation", "mass", "gap")
"""Recorded at every save of every run."""
DATA = {"x": ("sample", "input"), "y": ("sample", "output"), "weight": ("sample",)}


def check_run(dataset: Dataset) -> None:
    """Raise FileError, with what is wrong in it, unless a dataset is a run."""
    checks = _Checks(dataset)
    try:
        checks.attributes()
        domain = checks.problem()
        checks.times()
        checks.data()
        checks.law(domain)
    except InputError as error:
        raise FileError(str(error).rstrip(".")) from error


class _Checks:
    def __init__(self, dataset: Dataset) -> None:
        self._variables, self._attributes = dataset.variables, dataset.attributes

    def _json(self, name: str) -> dict[str, Any]:
        text = self._text(name)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the attribute '{name}' is not JSON") from error
        if not isinstance(value, dict):
            raise InputError(f"the attribute '{name}' is not a JSON object")
        if _is_deep(value):
            raise InputError(f"the attribute '{name}' is nested too deeply")
        return value

    def _text(self, name: str) -> str:
        value = self._attributes.get(name)
        if not isinstance(value, str):
            raise InputError(
                f"the attribute '{name}' is {'missing' if value is None else 'not a text'}"
            )
        return value

    def attributes(self) -> None:
        """Check all attributes but the problem."""
        for name in ("case", "solver"):
            if not self._text(name).isprintable():
                raise InputError(f"the attribute '{name}' holds characters that cannot be printed")
        saved = self._attributes.get("save", "all")
        for name, value, allowed in (
            ("status", self._text("status"), STATUSES),
            ("save", saved, SAVED),
        ):
            if value not in allowed:
                raise InputError(
                    f"the attribute '{name}' is {_shown(value)}, but must be one of "
                    f"{', '.join(allowed)}"
                )
        seed = self._attributes.get("seed")
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
            raise InputError(f"the seed is {_shown(seed)}, but must be a whole number >= 0")
        if "reason" in self._attributes:
            self._text("reason")
        for name in JSON_ATTRIBUTES:
            self._json(name)
        for name, value in self._json("statistics").items():
            if not _is_number(value):
                raise InputError(f"the statistics hold {_shown(name)}, which is not a number")

    def problem(self) -> Domain:
        """Check the description of the problem and return its domain."""
        problem = self._json("problem")
        domain = Domain.from_description(problem.get("domain"))  # type: ignore[arg-type]
        terms = problem.get("energy")
        if not isinstance(terms, list) or not all(map(_is_term, terms)):
            raise InputError("the description of the energy cannot be read")
        named = {f"energy_{term['name']}" for term in terms}
        held = {name for name in self._variables if name.startswith("energy_")}
        if named != held:
            raise InputError(
                f"the variable {_shown(min(named ^ held))} does not fit the description of the "
                "energy"
            )
        for term in terms:
            if term["kind"] == "Risk" and "x" in self._variables:
                self._check_neuron(term, domain)
        return domain

    def _check_neuron(self, term: dict[str, Any], domain: Domain) -> None:
        told, x = term.get("neuron"), self._array("x", ("sample", "input"))
        told = told if isinstance(told, dict) else {}
        words = (term.get("loss"), told.get("activation"))
        good = all(isinstance(word, str) for word in words)
        try:
            # The activation may be one's own, which is known by its name only.
            parts = [told[name] for name in ("outer", "bias", "chart")]
            good = good and Neuron("tanh", *parts).dimension(x.shape[1]) == domain.dimension
        except (KeyError, InputError):
            good = False
        if not good:
            raise InputError("the description of the network cannot be read or does not fit")

    def _array(self, name: str, *allowed: tuple[str, ...], kinds: str = "f") -> np.ndarray:
        """Return a variable that has one of these lists of dimensions."""
        variable = self._variables.get(name)
        if variable is None:
            raise InputError(f"the variable '{name}' is missing")
        if variable.dims not in allowed:
            wanted = " or ".join(f"({', '.join(dims)})" for dims in allowed)
            raise InputError(
                f"the variable '{name}' has the dimensions ({', '.join(variable.dims)}), but must "
                f"have {wanted}"
            )
        if variable.data.dtype.kind not in kinds:
            raise InputError(f"the variable '{name}' holds values of another type than it must")
        return variable.data

    def times(self) -> None:
        """Check what is recorded at every save."""
        time = self._array("time", ("time",))
        if not (len(time) and np.isfinite(time).all() and time[0] >= 0 and _increases(time)):
            raise InputError("the times are not numbers >= 0 that increase")
        recorded = self._array("recorded", ("time",), kinds="iu")
        if not np.isin(recorded, (0, 1)).all():
            raise InputError("the variable 'recorded' holds other values than 0 and 1")
        terms = [name for name in self._variables if name.startswith("energy_")]
        older = [name for name in ("minimum",) if name in self._variables]
        for name in (*NUMBERS, *terms, *older):
            self._array(name, ("time",))
        try:
            Dataset(self._variables, {}).sizes  # noqa: B018 (it checks them)
        except ValueError as error:
            raise InputError(str(error)) from error

    def data(self) -> None:
        """Check the data of a network and its predictions."""
        if not {*DATA, "prediction"} & self._variables.keys():
            return
        for name, dims in DATA.items():
            if not np.isfinite(self._array(name, dims)).all():
                raise InputError(f"the variable '{name}' holds numbers that are not finite")
        if (self._variables["weight"].data < 0).any():
            raise InputError("the variable 'weight' holds negative numbers")
        if not self._variables["x"].data.size or not self._variables["y"].data.size:
            raise InputError("the data of the network are empty")
        if "prediction" in self._variables:
            self._array("prediction", ("time", "sample", "output"))

    def law(self, domain: Domain) -> None:
        """Check the shape of the law; where there are none of its values, it is a summary."""
        names = domain.names
        on_grid = f"{names[0]}_edge" in self._variables
        law = "mass_on_grid" if on_grid else "position"
        if law not in self._variables:
            if self._attributes.get("save", "all") != "summary":
                raise InputError(
                    "there are neither positions of particles nor masses on cells with their edges"
                )
            if not on_grid:
                return
        if on_grid:
            self._grid(names)
        else:
            held = self._array("position", *_with_time("particle", "coordinate"))
            if held.shape[-1] != domain.dimension or not held.shape[-2]:
                raise InputError(
                    f"the positions have {held.shape[-1]} coordinates of {held.shape[-2]} "
                    f"particles, but the domain has {domain.dimension} axes"
                )
            mass = self._array("particle_mass", ("particle",))
            with np.errstate(over="ignore", invalid="ignore"):
                total = mass.sum()
            if not ((mass >= 0).all() and 0 < total < np.inf):
                raise InputError(
                    "the masses of the particles are not numbers >= 0 with a finite sum above 0"
                )
        if law in self._variables and "time" not in self._variables[law].dims:
            index = int(self._array("law_save", (), kinds="i"))
            if not -1 <= index < len(self._variables["time"].data):
                raise InputError(f"the law is that of save number {index}, which is not there")

    def _grid(self, names: tuple[str, ...]) -> None:
        for name in names:
            edges = self._array(f"{name}_edge", *_with_time(f"{name}_vertex"))
            centres = self._array(name, (name,))
            if edges.shape[-1] != len(centres) + 1 or len(centres) < 1:
                raise InputError(f"'{name}' has {len(centres)} cells, but {edges.shape[-1]} edges")
            if edges.ndim == 1 and not (_increases(edges) and np.isfinite(edges).all()):
                # Edges that move are checked where they are used, as the masses are.
                raise InputError(f"the edges of '{name}' do not increase")
        if "mass_on_grid" in self._variables:
            self._array("mass_on_grid", *_with_time(*names))


def _with_time(*dims: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return ("time", *dims), dims


def _increases(values: np.ndarray) -> bool:
    return bool((values[1:] > values[:-1]).all())


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        inner = [v.values() if isinstance(v, dict) else v for v in level if _holds(v)]
        level = [entry for values in inner for entry in values]
    return bool(level)


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)


def _is_number(value: Any) -> bool:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return good and abs(value) < 2**63 and math.isfinite(value)


def _is_term(term: Any) -> bool:
    """Return whether a value describes a term of the energy."""
    if not isinstance(term, dict):
        return False
    words = (term.get("name"), term.get("kind"))
    temperature = term.get("temperature")
    return all(isinstance(word, str) for word in words) and (
        temperature is None or _is_number(temperature)
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
