"""The command `study`."""

import argparse
import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from wgflow.case import ALIASES, settings_of
from wgflow.commands.exit_codes import EXIT_STATUS, FAILED
from wgflow.commands.progress_bar import ProgressBar
from wgflow.convergence import case_rates, rate_study
from wgflow.convergence.case_rates import MeasuredRate
from wgflow.convergence.rates import Study, check_name
from wgflow.convergence.reference import named_solver
from wgflow.errors import InputError, unknown
from wgflow.options import check_given, chosen, parse, parse_assignments
from wgflow.plots import check_image, save_figure
from wgflow.rate_plot import rates_figure, study_figure
from wgflow.recipe import Recipe
from wgflow.solver import Solver
from wgflow.solvers import SOLVERS

ONLY_WITH_VARY = ("seeds", "reference", "quantity", "at", "data", "param", "set", "reference_set")
"""Options that say what a rate which a case declares says itself."""


def study(options: argparse.Namespace) -> int:
    """Measure a rate of convergence, or all that the case declares."""
    return _study_one(options) if options.vary else _study_declared(options)


def _study_one(options: argparse.Namespace) -> int:
    """Measure the rate that the options describe."""
    with ProgressBar(f"Study of {options.case}", quiet=options.quiet, unit=" runs") as bar:
        made = _study_of(options, functools.partial(_show, bar))
    # One that was interrupted may have nothing to draw yet.
    drawn = made.outcome != "interrupted" or made.complete.any()
    _conclude(
        options,
        str(made),
        lambda path: made.save(path, replace=options.force),
        (lambda: study_figure(made)) if drawn else None,
    )
    return EXIT_STATUS[made.outcome]


def _study_declared(options: argparse.Namespace) -> int:
    """Measure the rates that the case declares, and hold them to what is expected."""
    _check_files(options)
    useless = [f"--{name.replace('_', '-')}" for name in ONLY_WITH_VARY if getattr(options, name)]
    if useless:
        raise InputError(
            f"Without --vary the rates that the case declares are measured as it declares them; "
            f"leave out {' and '.join(useless)}, or say what to vary, as in --vary "
            "step=0.4,0.2,0.1."
        )
    case = Recipe(case=options.case).held_case()
    assert case is not None
    rates = case_rates.declared(case, options.solver)
    workers = options.workers and parse(options.workers, int, "The number of workers")
    measured: list[MeasuredRate] = []
    for number, rate in enumerate(rates, 1):
        title = f"Rate {number} of {len(rates)}, {rate.solver} in {rate.setting}"
        with ProgressBar(title, quiet=options.quiet, unit=" runs") as bar:
            shown = functools.partial(_show, bar)
            made = case_rates.measure(
                case, rate, workers=workers, executor=options.executor, progress=shown
            )
        measured.append(MeasuredRate(rate, made))
        if bar.stop:
            break
    tables = [f"{one.study}\n" for one in measured]
    drawn = [one for one in measured if (one.study.error > 0).any()]
    _conclude(
        options,
        "\n".join([*tables, case_rates.summary(measured)]),
        lambda path: case_rates.save(case.name, measured, path, replace=options.force),
        (lambda: rates_figure(drawn)) if drawn else None,
    )
    if len(measured) < len(rates) or "interrupted" in [one.study.outcome for one in measured]:
        return EXIT_STATUS["interrupted"]
    return 0 if all(one.holds for one in measured) else FAILED


def _show(bar: ProgressBar, at: rate_study.StudyProgress) -> bool:
    return bar.show(at.done, at.runs)


def _conclude(
    options: argparse.Namespace,
    text: str,
    save: Callable[[str], None],
    draw: Callable[[], Figure] | None,
) -> None:
    """Write the files asked for and print what was found."""
    written: list[str] = []
    try:
        if options.output is not None:
            save(options.output)
            written.append(options.output)
        if options.plot is not None and draw is not None:
            save_figure(draw(), options.plot, replace=options.force)
            written.append(options.plot)
    finally:
        # After the files, which do not wait for a reader, and also where one cannot be written.
        if not options.quiet:
            print(text)
            if written:
                print(f"Wrote {' and '.join(written)}")


def _check_files(options: argparse.Namespace) -> None:
    """Raise InputError if an option is empty or a file cannot be written."""
    check_given(options)
    if options.output is not None:
        check_name(options.output, replace=options.force)
    if options.plot is not None:
        check_image(options.plot, replace=options.force)


def _study_of(options: argparse.Namespace, progress: rate_study.Callback) -> Study:
    """Run the study.

    Raises
    ------
    InputError
        Something given is unknown or out of range, or a file exists already; nothing is run then.
    """
    _check_files(options)
    recipe, solver = chosen(options)
    times = options.at and [parse(t.strip(), float, "A time") for t in options.at.split(",")]
    return rate_study.study(
        recipe,
        solver,
        _values(_varied(options), recipe, solver),
        seeds=options.seeds and parse(options.seeds, int, "The number of seeds"),
        reference=_reference(options, recipe),
        quantity=options.quantity,
        times=times,
        workers=options.workers and parse(options.workers, int, "The number of workers"),
        executor=options.executor,
        progress=progress,
    )


def _varied(options: argparse.Namespace) -> str:
    """Return the one text of --vary, which names nothing that is set as well."""
    texts: list[str] = options.vary
    names = [text.partition("=")[0].strip() for text in texts]
    if len(texts) > 1:
        raise InputError(
            f"A study varies one setting, but here are {len(texts)}, {', '.join(names)}; leave one "
            "--vary."
        )
    given = [text.partition("=")[0].strip() for text in (*options.set, *options.param)]
    if names[0] in given:
        raise InputError(f"'{names[0]}' is varied and set; leave out one of the two.")
    return texts[0]


def _values(text: str, recipe: Recipe, solver: Solver) -> dict[str, list[Any]]:
    """Return the values of `name=value,value`; entries of a shape are joined by x."""
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals or not values.strip():
        raise InputError(f"What is varied is '{text}', but must be of the form name=value,value.")
    case = recipe.held_case()
    kinds = settings_of(type(solver))
    if case is not None:
        kinds = {key: parameter.kind for key, parameter in case.parameters.items()} | kinds
        kinds |= {alias: kinds[held] for alias, held in ALIASES.items() if held in kinds}
    kind = kinds.get(name)
    if kind is None:
        other = [key for key, solver_kind in SOLVERS.items() if name in settings_of(solver_kind)]
        if other:
            raise InputError(
                f"'{name}' is a setting of {' and '.join(other)}, but the solver is "
                f"{solver.name}; add --solver {other[0]}."
            )
        raise unknown("setting", name, kinds, of=f"solver {solver.name} and case {recipe.case}")
    return {
        name: [_one(part.strip(), kind, f"The value of '{name}'") for part in values.split(",")]
    }


def _one(text: str, kind: Any, what: str) -> Any:
    shape = any(typing.get_origin(part) is tuple for part in typing.get_args(kind))
    if not shape or "x" in text:
        return parse(text.replace("x", ",") if shape else text, kind, what)
    return parse(text, int, what)


def _reference(options: argparse.Namespace, recipe: Recipe) -> Any:
    name, texts = options.reference, options.reference_set
    if not texts:
        return name
    if name not in SOLVERS:
        raise InputError(
            f"Settings of the reference need --reference with the name of a solver "
            f"({', '.join(SOLVERS)}), but it is {name or 'left out'}."
        )
    settings = parse_assignments(
        texts, settings_of(SOLVERS[name]), "setting", f"the reference {name}"
    )
    return dataclasses.replace(named_solver(name, recipe), **settings)
