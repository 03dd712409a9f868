"""What the pages take from the code, so that it is written once.

The directive `command` runs a `wgflow` command and shows what it prints, `settings` tabulates the
settings of a solver, `cases` lists the named cases, `measured` shows a table of the file that
`make bench` writes.
"""

import contextlib
import dataclasses
import inspect
import io
import json
import os
import pathlib
import re
from typing import Any

from case_pages import FOLDER
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from typesetting import sentence, table, typeset

import wgflow
from wgflow.case import find_case, list_cases
from wgflow.cli import main


class Command(Directive):
    """The command line given and its output."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the command and what it prints as one block of text."""
        line = self.arguments[0]
        printed, said = io.StringIO(), io.StringIO()
        os.environ["COLUMNS"] = "88"
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            try:
                code = main(line.split()[1:])
            except SystemExit as end:
                code = end.code
        if code:
            raise self.error(f"{line} ends with {code}: {said.getvalue()}")
        text = f"$ {line}\n{printed.getvalue().rstrip()}"
        return [nodes.literal_block(text, text, language="text")]


class _Table(Directive):
    """A table whose cells are reStructuredText."""

    def table(self, rows: list[list[str]]) -> list[nodes.Node]:
        """Return a table whose first row is the header."""
        parent = nodes.container()
        self.state.nested_parse(StringList(table(rows), source="from_code"), 0, parent)
        return parent.children


class Settings(_Table):
    """The settings of a solver: default, and meaning from its docstring."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table of settings."""
        solver = getattr(wgflow, self.arguments[0])
        meaning = _parameters(inspect.getdoc(solver) or "")
        rows = [["setting", "default", "meaning"]]
        for field in dataclasses.fields(solver):
            rows.append([f"``{field.name}``", f"``{field.default}``", meaning[field.name]])
        return self.table(rows)


def _parameters(docstring: str) -> dict[str, str]:
    """Return name and description of each entry of the section Parameters."""
    section = re.split(r"^(?:Parameters|Raises)\n-+\n", docstring, flags=re.MULTILINE)[1]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line and not line.startswith(" "):
            name = line.strip()
            found[name] = ""
        elif line:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


class Cases(_Table):
    """The named cases, with a link to the page of each."""

    def run(self) -> list[nodes.Node]:
        """Return the table of the cases."""
        rows = [["case", "", "solvers", "checks"]]
        for case in map(find_case, list_cases()):
            link = f":doc:`{case.name} <{FOLDER}/{case.name}>`"
            solvers = ", ".join(f"``{name}``" for name in case.solvers)
            numbers = str(len(case.checks) + len(case.rates))
            rows.append([link, sentence(case.summary), solvers, numbers])
        return self.table(rows)


MEASURED = pathlib.Path(__file__).parent / "tables" / "benchmarks.json"


class Measured(_Table):
    """A table of the benchmarks, or `machine`, on which they ran, or `targets` and the verdicts."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        name = self.arguments[0]
        held = json.loads(MEASURED.read_text())
        if name == "machine":
            return self.table([["", ""], *([k, _cell(v)] for k, v in held["machine"].items())])
        if name == "targets":
            return self.table(
                [["quantity", "found", "target", ""], *map(_verdict, held["targets"])]
            )
        table = held["tables"][name]
        return self.table([table["header"], *([_cell(v) for v in row] for row in table["rows"])])


def _verdict(target: dict[str, Any]) -> list[str]:
    bound = f"at {'least' if target['at_least'] else 'most'} {_cell(target['bound'])}"
    verdict = "met" if target["met"] else "**missed**"
    return [target["quantity"], _cell(target["found"]), bound, verdict]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return re.sub(r"([|*])", r"\\\1", value) if isinstance(value, str) else f"{value:g}"


def docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make reStructuredText of a docstring."""
    if what == "property":  # Napoleon would take what stands before a colon for a type.
        lines[0] = lines[0].replace(": ", " -- ", 1)
    lines[:] = typeset(lines)


def setup(app: Any) -> dict[str, bool]:
    """Register the directives."""
    app.connect("autodoc-process-docstring", docstring, priority=400)  # before Napoleon
    app.add_directive("command", Command)
    app.add_directive("settings", Settings)
    app.add_directive("cases", Cases)
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": False}
