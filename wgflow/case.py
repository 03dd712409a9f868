"""Named cases: problems with parameters, default solvers and checks, one module each.

A case module is data and functions: `SOURCE` (where the setting comes from), `SOLVERS` (the
settings each solver starts from), `CHECKS`, and `problem(**parameters)`, whose signature declares
the parameters, their types and defaults, and whose docstring says what the case is. It may have
`EQUATION` (the free energy, in LaTeX), `RATES` (of convergence) and `figure()`, which returns
panels of curves and whose docstring is their caption.
"""

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import os
import pathlib
import pkgutil
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wgflow.check import Check, Rate
from wgflow.data import Data, read_data
from wgflow.errors import InputError, unknown
from wgflow.panel import Panel
from wgflow.problem import Problem
from wgflow.solver import Solver
from wgflow.solvers import solver_type

ALIASES = {"lambda": "temperature"}
"""Names of parameters that users of the field write but Python cannot."""
FOLDER = pathlib.Path(__file__).parent / "cases"


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a case: its name, type and default."""

    name: str
    kind: Any
    default: Any


class Case:
    """A case module, checked.

    Parameters
    ----------
    name
        The name users give, with hyphens.
    module
        Holds `SOURCE`, `SOLVERS`, `CHECKS` and `problem`, and may hold `EQUATION`, `RATES` and
        `figure`.

    Raises
    ------
    InputError
        The module lacks one of the four, or one of them is of the wrong type.
    """

    def __init__(self, name: str, module: types.ModuleType) -> None:
        for part in ("SOURCE", "SOLVERS", "CHECKS", "problem"):
            if not hasattr(module, part):
                raise InputError(
                    f"The case '{name}' does not define '{part}'; a case needs SOURCE, SOLVERS, "
                    "CHECKS and a function problem."
                )
        for part in ("SOURCE", "EQUATION"):
            if not isinstance(getattr(module, part, ""), str):
                raise InputError(f"The part '{part}' of the case '{name}' must be a text.")
        good = callable(module.problem) and isinstance(module.SOLVERS, Mapping) and module.SOLVERS
        if not good or not all(isinstance(s, Solver) for s in module.SOLVERS.values()):
            raise InputError(
                f"The case '{name}' needs a function problem, and in SOLVERS at least one solver, "
                "as {'particles': ParticleFlow()}."
            )
        for solver, settings in module.SOLVERS.items():
            if settings.name != solver:
                raise InputError(
                    f"SOLVERS of the case '{name}' has the solver {settings.name} under the name "
                    f"{solver!r}; write '{settings.name}'."
                )
        for parameter in inspect.signature(module.problem).parameters.values():
            if parameter.default is inspect.Parameter.empty:
                raise InputError(
                    f"The parameter '{parameter.name}' of the case '{name}' has no default; every "
                    "parameter of problem needs one."
                )
        self.checks: Sequence[Check] = _all_of(name, "CHECKS", Check, module.CHECKS)
        self.rates: Sequence[Rate] = _all_of(name, "RATES", Rate, getattr(module, "RATES", ()))
        # A solver that the case does not list starts from its defaults.
        solvers = [check.solver for check in self.checks] + [rate.solver for rate in self.rates]
        for solver in filter(None, solvers):
            solver_type(solver)
        self.equation: str = getattr(module, "EQUATION", "")
        self._figure: Callable[[], Sequence[Panel]] | None = getattr(module, "figure", None)
        self.name = name
        self.file: str | None = getattr(module, "__file__", None)
        self.source: str = module.SOURCE
        self.solvers: Mapping[str, Solver] = module.SOLVERS
        self._problem: Callable[..., Problem] = module.problem
        self.description = inspect.getdoc(module.problem) or inspect.getdoc(module) or ""

    @property
    def summary(self) -> str:
        """The first line of the description."""
        return self.description.splitlines()[0] if self.description else ""

    @property
    def has_figure(self) -> bool:
        """Whether the case says what to draw."""
        return self._figure is not None

    @property
    def caption(self) -> str:
        """What its figure shows, in words."""
        return inspect.getdoc(self._figure) or ""

    def figure(self) -> Sequence[Panel]:
        """Return the panels of its figure, which may take a run or more to compute."""
        if self._figure is None:
            raise InputError(
                f"The case '{self.name}' has no figure; it defines no function figure."
            )
        return _all_of(self.name, "figure", Panel, self._figure())

    @property
    def takes_data(self) -> bool:
        """Whether the data of the case can be replaced by one's own."""
        return "data" in inspect.signature(self._problem).parameters

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that can be set, by name."""
        hints = typing.get_type_hints(self._problem)
        signature = inspect.signature(self._problem).parameters
        return {
            name: Parameter(name, hints.get(name, type(held.default)), held.default)
            for name, held in signature.items()
            if name != "data"
        }

    def problem(self, /, *, data: Data | str | pathlib.Path | None = None, **given: Any) -> Problem:
        """Return the problem with some of its parameters set.

        Parameters
        ----------
        data
            One's own data, or the name of a .npz or .csv file, in the place of the case's.

        Raises
        ------
        InputError
            An unknown parameter, or a value of the wrong type or range.
        """
        allowed = self.parameters
        values: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for name, value in given.items():
            full = ALIASES.get(name, name)
            if full not in allowed:
                raise unknown("parameter", name, allowed, of=f"case {self.name}")
            if full in values:
                other = next(word for word in (name, spelled[full]) if word != full)
                raise InputError(
                    f"The parameter '{full}' is given twice, once as '{other}'; give it once."
                )
            values[full], spelled[full] = value, name
        extra: dict[str, Any] = {}
        if data is not None:
            if not self.takes_data:
                raise InputError(
                    f"The case '{self.name}' has no data to replace; leave the data away."
                )
            if not isinstance(data, Data | str | pathlib.Path):
                raise InputError(f"The data are {data!r}, but must be a Data object or a file.")
            extra["data"] = data if isinstance(data, Data) else read_data(data)
        made = self._problem(**values, **extra)
        if not isinstance(made, Problem):
            raise InputError(
                f"The function problem of the case '{self.name}' returned {made!r}, but must "
                "return a Problem."
            )
        recorded = {name: values.get(name, held.default) for name, held in allowed.items()}
        if data is not None:
            recorded["data"] = "own" if isinstance(data, Data) else str(data)
        return dataclasses.replace(made, case=self.name, parameters=recorded)

    def default_solver(self, name: str, /, **settings: Any) -> Solver:
        """Return a solver with the settings of this case, some of them changed.

        Raises
        ------
        InputError
            An unknown solver or setting, or a value of the wrong type or range.
        """
        kind = solver_type(name)
        start = self.solvers.get(name) or kind()  # type: ignore[call-arg]
        allowed = settings_of(kind)
        for setting in settings:
            if setting not in allowed:
                raise unknown("setting", setting, allowed, of=f"solver {name}")
        return dataclasses.replace(start, **settings)


def _all_of(case: str, part: str, kind: type, given: Any) -> Sequence[Any]:
    """Return what was given as a tuple, or raise InputError unless it holds this kind only."""
    if not isinstance(given, Sequence) or not all(isinstance(entry, kind) for entry in given):
        raise InputError(
            f"The part '{part}' of the case '{case}' must be a sequence of {kind.__name__} "
            f"objects, but is {_in_words(given)}."
        )
    return tuple(given)


def _in_words(given: Any) -> str:
    """Return the type of what was given, and of the entries of a sequence."""
    words = f"of type {type(given).__name__}"
    if isinstance(given, Sequence) and not isinstance(given, str):
        words += f" with {', '.join(sorted({type(entry).__name__ for entry in given}))}"
    return words


def settings_of(kind: type[Solver]) -> dict[str, Any]:
    """Return the type annotation of every setting of a solver, by name."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def list_cases() -> list[str]:
    """Return the names of all cases."""
    found = pkgutil.iter_modules([str(FOLDER)])
    return sorted(module.name.replace("_", "-") for module in found)


def find_case(name: str) -> Case:
    """Return a case by name, or raise InputError with the names there are."""
    if name not in list_cases():
        if os.path.exists(name):
            raise InputError(f"'{name}' is not a case file; the name of one ends in .py.")
        raise unknown("case", name, list_cases())
    module = importlib.import_module(f"wgflow.cases.{name.replace('-', '_')}")
    return Case(name, module)


def case_from_file(path: str | pathlib.Path) -> Case:
    """Run a Python file of one's own and return the case that it defines.

    Raises
    ------
    InputError
        There is no such file, it ends in an error, or it does not define a case.
    """
    path = pathlib.Path(path)
    if not os.path.isfile(path):  # which takes a name that no file can have for one that is missing
        raise InputError(f"The case file '{path}' does not exist; check its name.")
    spec = importlib.util.spec_from_file_location(f"wgflow_case_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"The case file '{path}' is not a Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    with _errors_of_file(path):
        spec.loader.exec_module(module)
    for part in ("problem", "figure"):
        made = getattr(module, part, None)
        if callable(made):
            vars(module)[part] = _errors_of_file(path)(made)
    return Case(path.name, module)


@contextlib.contextmanager
def _errors_of_file(path: pathlib.Path) -> Iterator[None]:
    """Turn errors in a case file into sentences that name the line."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        line = getattr(error, "lineno", None) or _line_in(error, path)
        try:
            words = str(error)
        except Exception:  # the file's own, which may do anything
            words = ""
        told = f"{type(error).__name__}{': ' if words else ''}{words}"
        raise InputError(
            f"The case file '{path}' ends in an error at line {line}: {told}."
        ) from error


def _line_in(error: BaseException, path: pathlib.Path) -> int | str:
    """Return the last line of a file in the traceback of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if pathlib.Path(f.filename).resolve() == path.resolve()]
    return lines[-1] if lines and lines[-1] is not None else "?"


def get_case(
    name: str, *, data: Data | str | pathlib.Path | None = None, **parameters: Any
) -> Problem:
    """Return the problem of a named case.

    Parameters
    ----------
    name
        One of `list_cases()`.
    data
        One's own data, or a .npz or .csv file, in the place of the case's.
    parameters
        Parameters of the case; `lambda` is understood as `temperature`.

    Raises
    ------
    InputError
        An unknown name or parameter, or a value out of range.
    """
    return find_case(name).problem(data=data, **parameters)
