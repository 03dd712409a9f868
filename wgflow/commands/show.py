"""The commands `list` and `show`."""

import argparse
import os
import typing
from typing import Any

from wgflow.case import Case, case_from_file, find_case, list_cases
from wgflow.errors import InputError
from wgflow.results import load
from wgflow.run import Run


def list_all(options: argparse.Namespace) -> int:
    """Print the named cases, one line each."""
    names = list_cases()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {find_case(name).summary}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Describe a case, or what a results file holds."""
    name = options.name
    if name in list_cases():
        _show_case(find_case(name))
    elif name.endswith(".py"):
        _show_case(case_from_file(name))
    elif os.path.exists(name) or "." in name or os.sep in name:
        _show_run(load(name))
    else:
        raise InputError(
            f"'{name}' is neither a named case ({', '.join(list_cases())}) nor a file; check its "
            "name."
        )
    return 0


def _show_case(case: Case) -> None:
    print(f"{case.name}\n\n{case.description}\n\nParameters (--param name=value):")
    for parameter in case.parameters.values():
        print(f"  {parameter.name} = {parameter.default}  ({_kind(parameter.kind)})")
    if case.takes_data:
        print("  --data FILE puts your own x and y in the place of its data")
    print("\nSolvers (--set name=value):")
    for name, solver in case.solvers.items():
        settings = ", ".join(f"{k} = {v}" for k, v in solver.settings().items())
        print(f"  {name}: {settings}")
    print("\nChecks:")
    for check in case.checks:
        print(
            f"  {check.quantity} = {check.reference:g} +- {check.tolerance:.2g} "
            f"({check.kind}: {check.source})"
        )
    print(f"\nSource: {case.source}")


def _kind(annotation: Any) -> str:
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


def print_rows(run: Run) -> None:
    """Print the numbers of every save."""
    columns = {
        "t": run.time,
        "risk": run.risk,
        "free energy": run.energy["total"],
        "gap": run.gap,
    }
    print("".join(f"{name:>14}" for name in columns))
    for row in zip(*columns.values(), strict=True):
        print("".join("             -" if v != v else f"{v:14.6g}" for v in row))
