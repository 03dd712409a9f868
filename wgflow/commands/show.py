"""The commands `list` and `show`."""

import argparse
import os
import re
import shutil
import sys
import textwrap
import typing
from typing import Any

from matplotlib.figure import Figure

from wgflow.case import Case, case_from_file, find_case, list_cases
from wgflow.case_plot import case_figure
from wgflow.check import Check, Rate, to_tolerance
from wgflow.commands.progress_bar import ProgressBar
from wgflow.commands.rows import print_rows
from wgflow.errors import InputError
from wgflow.plots import check_image, save_figure
from wgflow.results import load
from wgflow.run import Run

WIDEST = 100
"""Columns of a line of text at most."""


def list_all(options: argparse.Namespace) -> int:
    """Print the named cases, one line each."""
    names = list_cases()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {find_case(name).summary}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Describe a case, and draw its figure if asked, or say what a results file holds."""
    name = options.name
    if name in list_cases():
        _describe(find_case(name), options)
    elif name.endswith(".py"):
        _describe(case_from_file(name), options)
    elif options.plot is not None:
        raise InputError(
            f"The option --plot draws the figure of a case, but '{name}' is none; draw a results "
            "file with wgflow plot FILE."
        )
    elif os.path.exists(name) or "." in name or os.sep in name:
        _show_run(load(name))
    else:
        raise InputError(
            f"'{name}' is neither a named case ({', '.join(list_cases())}) nor a file; check its "
            "name."
        )
    return 0


def _describe(case: Case, options: argparse.Namespace) -> None:
    """Print what a case is; its figure is drawn before, so that nobody waits for half a text."""
    if options.plot is not None:
        check_image(options.plot, replace=options.force)
        save_figure(_figure(case), options.plot, replace=options.force)
    _show_case(case, options.name)
    if options.plot is not None:
        print(f"\nWrote {options.plot}")


def _figure(case: Case) -> Figure:
    """Draw the figure of a case, and say meanwhile that this takes its time."""
    if case.has_figure:
        # No bar here: only the case knows how many runs it makes.
        print(f"Computing the figure of {case.name}; this may take some seconds", file=sys.stderr)
        return case_figure(case)
    with ProgressBar(f"Figure of {case.name}", quiet=False) as bar:
        try:
            return case_figure(case, progress=bar)
        except InputError:
            if bar.stop:
                raise KeyboardInterrupt from None
            raise


def _show_case(case: Case, name: str) -> None:
    print("\n\n".join(part for part in (case.name, case.description) if part))
    if case.equation:
        print("\nEquation (LaTeX):")
        for line in re.split(r"(?<=quad) ", case.equation.strip()):
            print(_filled(line, indent=2))
    print("\nParameters (--param name=value):" if case.parameters else "\nParameters: none")
    for parameter in case.parameters.values():
        print(f"  {parameter.name} = {parameter.default}  ({kind_in_words(parameter.kind)})")
    if case.takes_data:
        print("  --data FILE puts your own x and y in the place of its data")
    print("\nSolvers (--set name=value):")
    for solver_name, solver in case.solvers.items():
        settings = ", ".join(f"{k} = {v}" for k, v in solver.settings().items())
        print(_filled(f"{solver_name}: {settings}", indent=2))
    print(f"\nChecks (wgflow verify {name}):" if case.checks else "\nChecks: none")
    for check in case.checks:
        words = [check.solver] if check.solver else []
        marks = ", ".join([*words, *(["slow"] if check.slow else [])])
        print(_filled(f"{check.quantity}{f' ({marks})' if marks else ''}", indent=2))
        print(_filled(_must_be(check.reference, check.tolerance), indent=6))
        print(_filled(f"{check.kind}: {check.source}", indent=6))
        _print_error(check)
    if case.rates:
        print(f"\nRates of convergence (wgflow study {name}):")
    for rate in case.rates:
        slow = " (slow)" if rate.slow else ""
        print(_filled(f"{rate.solver} at {runs_in_words(rate)}{slow}", indent=2))
        print(_filled(_must_be(rate.expected, rate.tolerance), indent=6))
        print(_filled(rate.source, indent=6))
        _print_error(rate)
    if case.has_figure:
        print("\nFigure (--plot IMAGE):")
        for paragraph in (case.caption or "It has no caption.").split("\n\n"):
            print(_filled(paragraph, indent=2))
    print(f"\n{_filled(f'Source: {case.source}', indent=0)}")


def _must_be(reference: float, tolerance: float) -> str:
    return f"must be {to_tolerance(reference, tolerance)} +- {tolerance:.2g}"


def _print_error(held: Check | Rate) -> None:
    """Print the error that a method should make, and why."""
    if held.error is not None:
        reason = f": {held.reason}" if held.reason else ""
        print(_filled(f"should err by {held.error:.2g}{reason}", indent=6))


def _filled(text: str, *, indent: int) -> str:
    """Return a text in lines of the width of the terminal, with what follows the first hanging."""
    return textwrap.fill(
        " ".join(text.split()),
        min(shutil.get_terminal_size().columns, WIDEST),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def runs_in_words(rate: Rate) -> str:
    """Return what is varied for a rate, and what the runs share."""
    varied = f"{rate.setting} = {', '.join(map(_short, rate.values))}"
    held = {**rate.settings, **rate.parameters}
    shared = [f"{name} = {_short(value)}" for name, value in held.items()]
    shared += [f"t = {rate.time:g}"] if rate.time is not None else []
    shared += [f"{rate.seeds} seeds"] if rate.seeds is not None else []
    shared += [f"reference {rate.reference}"] if rate.reference is not None else []
    shared += [f"error of the {rate.quantity}"] if rate.quantity is not None else []
    return "; ".join([varied, *([", ".join(shared)] if shared else [])])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def kind_in_words(annotation: Any) -> str:
    """Return the type of a parameter, or the values that it may have."""
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(map(str, typing.get_args(annotation)))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _show_run(run: Run) -> None:
    held = run.provenance
    print(f"{run!r}"[1:-1])
    if run.reason:
        print(run.reason)
    rows = {
        "parameters": _pairs(held["parameters"]),
        "settings": _pairs(held["settings"]),
        "seed": held["seed"],
        "versions": _pairs(held["versions"]),
        "statistics": _pairs(run.statistics),
        "problem": "rebuilt from the case"
        if run.problem
        else "not rebuilt (a problem of one's own)",
    }
    for name, text in rows.items():
        print(f"  {name:10}  {text}")
    print("\nVariables:")
    for name, variable in run.dataset.variables.items():
        dims = ", ".join(variable.dims)
        print(f"  {name}({dims})  {variable.data.shape}  {variable.long_name}")
    print()
    print_rows(run)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{_said(k)} = {_said(v)}" for k, v in values.items() if v is not None)


def _said(value: Any) -> str:
    """Return a value of a file in a form that no terminal takes for a command."""
    text = str(value)
    return text if text.isprintable() else repr(text)
