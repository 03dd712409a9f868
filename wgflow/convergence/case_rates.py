"""The rates of convergence that a case declares, measured: studies and what they are held to."""

import csv
import dataclasses
import io
import json
import math
import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import Executor

from wgflow import store
from wgflow.case import Case, list_cases
from wgflow.check import Rate
from wgflow.comparison.export import finite
from wgflow.convergence.rate_study import Callback, study
from wgflow.convergence.rates import Study
from wgflow.errors import InputError
from wgflow.recipe import Recipe
from wgflow.solvers import solver_type

FORMAT = "wgflow-rates-1"


@dataclasses.dataclass(frozen=True)
class MeasuredRate:
    """A rate that a case declares, and the study that measured it.

    Attributes
    ----------
    rate
        What is declared.
    study
        What was measured.
    """

    rate: Rate
    study: Study

    @property
    def name(self) -> str:
        """What is refined, in words."""
        return self.rate.quantity_in_words.removeprefix("rate of ")

    @property
    def observed(self) -> float:
        """The slope at the last time; NaN if fewer than two values are complete."""
        return float(self.study.slope[-1])

    @property
    def error(self) -> float:
        """Its standard error over the seeds; NaN with one seed."""
        return float(self.study.slope_error[-1])

    @property
    def holds(self) -> bool:
        """Whether every run finished and the slope is within the tolerance of the expected one."""
        near = abs(self.observed - self.rate.expected) <= self.rate.tolerance
        return self.study.outcome == "finished" and near

    @property
    def verdict(self) -> str:
        """Whether it holds, in a word or two."""
        if self.study.outcome != "finished":
            return self.study.outcome.replace("_", " ")
        return "holds" if self.holds else "FAILS"


def measure(
    case: Case,
    rate: Rate,
    *,
    workers: int | None = None,
    executor: Executor | str | None = None,
    progress: Callback | None = None,
) -> Study:
    """Measure a rate as a case declares it; the slope that counts is `slope[-1]`.

    The solver has the settings of the case, changed by those of the rate; the expected slope of the
    study is that of the rate.

    Parameters
    ----------
    case
        A named case, or one from a file.
    workers, executor, progress
        As in `wgflow.study`.

    Raises
    ------
    InputError
        The rate names a solver, a setting or a parameter that there is not, or one out of range.
    """
    recipe = Recipe(case=_place(case), parameters=dict(rate.parameters))
    solver = case.default_solver(rate.solver, **rate.settings)
    shape = getattr(solver, "shape", None)
    if "shape" not in rate.settings and shape and len(shape) != _dimension(recipe):
        # A parameter has changed the dimension: the shape of the case is for another one.
        solver = dataclasses.replace(solver, shape=None)  # type: ignore[call-arg]
    found = study(
        recipe,
        solver,
        {rate.setting: rate.values},
        seeds=rate.seeds,
        reference=rate.reference,
        quantity=rate.quantity,
        times=None if rate.time is None else [rate.time],
        workers=workers,
        executor=executor,
        progress=progress,
    )
    return dataclasses.replace(found, expected=rate.expected)


def declared(case: Case, solver: str | None = None) -> Sequence[Rate]:
    """Return the rates of a case, or those of one solver.

    Raises
    ------
    InputError
        There is none, or no such solver.
    """
    if solver is not None:
        solver_type(solver)  # which knows what it may be
    found = [rate for rate in case.rates if solver in (None, rate.solver)]
    if not found:
        which = "" if solver is None else f" of the solver {solver}"
        raise InputError(
            f"The case '{case.name}' declares no rate of convergence{which}; say what to vary, as "
            "in --vary step=0.4,0.2,0.1."
        )
    return found


def summary(measured: Sequence[MeasuredRate]) -> str:
    """Return a table of rates: observed, expected, tolerance, verdict."""
    width = max(len("rate"), *(len(one.name) for one in measured))
    titles: tuple[str, ...] = ("observed", "+-", "expected", "tolerance")
    rows = [("rate", titles, "verdict")]
    for one in measured:
        numbers = (one.observed, one.error, one.rate.expected, one.rate.tolerance)
        pairs = zip(numbers, ("+.3f", ".3f", "+.3f", ".3f"), strict=True)
        shown = tuple("-" if math.isnan(number) else format(number, how) for number, how in pairs)
        rows.append((one.name, shown, one.verdict))
    lines = [
        f"{name:<{width}}" + "".join(f"{cell:>11}" for cell in cells) + f"   {verdict}"
        for name, cells, verdict in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def to_json(case: str, measured: Sequence[MeasuredRate]) -> str:
    """Return rates with their studies as JSON; NaN becomes null.

    An entry of "rates" holds what is declared and observed, and as "study" what `Study.to_json`
    gives.
    """
    entries = [
        {
            "solver": one.rate.solver,
            "setting": one.rate.setting,
            "observed": one.observed,
            "observed_error": one.error,
            "expected": one.rate.expected,
            "tolerance": one.rate.tolerance,
            "verdict": one.verdict,
            "source": one.rate.source,
            "reason": one.rate.reason,
            "study": json.loads(one.study.to_json()),
        }
        for one in measured
    ]
    held = {"format": FORMAT, "case": case, "rates": entries}
    return json.dumps(finite(held), indent=1, allow_nan=False)


def to_csv(measured: Sequence[MeasuredRate]) -> str:
    """Return one line a rate, value, seed and time, with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["solver", "setting", "value", "seed", "time", "error", "status", "seconds"])
    for one in measured:
        rows = list(csv.reader(io.StringIO(one.study.to_csv())))
        writer.writerows([one.rate.solver, one.rate.setting, *row] for row in rows[1:])
    return text.getvalue()


def save(
    case: str,
    measured: Sequence[MeasuredRate],
    path: str | os.PathLike[str],
    *,
    replace: bool = False,
) -> None:
    """Write rates to a file whose ending names the format: .json or .csv.

    Raises
    ------
    FileError
        The file exists (unless `replace`), its ending is another, or it cannot be written.
    """
    path = pathlib.Path(path)
    store.check_ending(path, (".json", ".csv"), "study", replace=replace)
    as_json = path.suffix.lower() == ".json"
    text = to_json(case, measured) + "\n" if as_json else to_csv(measured)
    store.write_text(path, text, "study")


def _place(case: Case) -> str:
    """Return what another process finds a case by: its name, or the path of its file."""
    return case.name if case.name in list_cases() or case.file is None else case.file


def _dimension(recipe: Recipe) -> int:
    return recipe.problem().domain.dimension
