"""What the pages take from the code, so that it is written once.

The directive `command` runs a `wgflow` command and shows what it prints, `settings` tabulates the
settings of a solver, `risks` sets measured risks beside the references of the case `motorcycle`,
`measured` shows a table of the file that `make bench` writes.
Docstrings are written for the terminal; `typeset` makes reStructuredText of them.
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

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

import wgflow
from wgflow.cases.motorcycle import RISK
from wgflow.cli import main


class Command(Directive):
    """The command line given and its output."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the command and what it prints as one block of text."""
        line = self.arguments[0]
        printed = io.StringIO()
        os.environ["COLUMNS"] = "88"
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main(line.split()[1:])
        text = f"$ {line}\n{printed.getvalue().rstrip()}"
        return [nodes.literal_block(text, text, language="text")]


class _Table(Directive):
    """A table whose cells are reStructuredText."""

    def table(self, rows: list[list[str]]) -> list[nodes.Node]:
        """Return a table whose first row is the header."""
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in rows:
            lines += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(row)]
        parent = nodes.container()
        self.state.nested_parse(StringList(lines, source="from_code"), 0, parent)
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


class Risks(_Table):
    """Rows `time jko particles sgd` of measured risks, beside the reference of the case."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table of risks."""
        rows = [["t", "independent code", "``jko``", "``particles``", "``sgd``"]]
        for line in self.content:
            time, *measured = line.split()
            reference = RISK.get(float(time))
            rows.append([time, "" if reference is None else f"{reference:.4f}", *measured])
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


def typeset(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Show indented formulas as they are, and take | and * outside code for what they are."""
    if what == "property":  # Napoleon would take what stands before a colon for a type.
        lines[0] = lines[0].replace(": ", " -- ", 1)
    made: list[str] = []
    in_formula = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not in_formula and made and not made[-1]:
            in_formula = True
            made += ["::", ""]
        elif line and not indented:
            in_formula = False
        # The mark of a list at the beginning of a line stays one.
        mark = re.match(r"\s*\* ", line)
        start = mark.group() if mark else ""
        parts = line.removeprefix(start).split("`")
        if not in_formula:
            parts[::2] = [re.sub(r"([|*])", r"\\\1", part) for part in parts[::2]]
        made.append(start + "`".join(parts))
    lines[:] = made


def setup(app: Any) -> dict[str, bool]:
    """Register the directives."""
    app.connect("autodoc-process-docstring", typeset, priority=400)  # before Napoleon
    app.add_directive("command", Command)
    app.add_directive("settings", Settings)
    app.add_directive("risks", Risks)
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": False}
