"""What became of the checks of cases: numbers beside their references, as a table and as JSON."""

import collections
import dataclasses
import json
import math
import os
import textwrap
from collections.abc import Sequence
from typing import Any

from wgflow import store
from wgflow.check import Check
from wgflow.comparison.export import finite
from wgflow.errors import one_line
from wgflow.provenance import versions

FORMAT = "wgflow-verification-1"
PASS, FAIL, ERROR, SKIPPED = VERDICTS = "pass", "fail", "error", "skipped"
WIDTH = 110
"""Characters of a line of the table."""
COLUMNS = {"computed": 13, "reference": 13, "difference": 11, "tolerance": 10, "verdict": 8}
MOST_DIGITS = 7
"""Digits after the point that a column has room for."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a check.

    Attributes
    ----------
    case
        The name of the case, or its file.
    check
        What was asked for: quantity, reference, tolerance, kind, source, error, reason, solver.
    computed
        The number found; NaN if its computation ended in an error.
    seconds
        That it took; runs that several checks share count for the first of them.
    message
        A sentence on that error, or empty.
    skipped
        Whether that error is an optional package that is not installed.
    """

    case: str
    check: Check
    computed: float
    seconds: float
    message: str = ""
    skipped: bool = False

    @property
    def difference(self) -> float:
        """The number found less the reference."""
        return self.computed - self.check.reference

    @property
    def verdict(self) -> str:
        """Whether it is within the tolerance, "pass" or "fail" (as NaN), or why it is not known."""
        if self.message:
            return SKIPPED if self.skipped else ERROR
        return PASS if abs(self.difference) <= self.check.tolerance else FAIL

    def __str__(self) -> str:
        check = self.check
        told = f"{self.verdict.upper()} {self.case}, {one_line(check.quantity)}"
        if self.message:
            return f"{told}: {self.message}"
        expected = "" if check.error is None else f"; the error should be {check.error:.2g}"
        reason = f", {one_line(check.reason)}" if check.reason else ""
        return (
            f"{told} is {_digits(self.computed, check.tolerance)} and must be "
            f"{_digits(check.reference, check.tolerance)} +- {check.tolerance:.2g}{expected}"
            f"{reason}."
        )


@dataclasses.dataclass(frozen=True)
class Verification:
    """What became of the checks of some cases; `str` of it is the table.

    Attributes
    ----------
    results
        One a check that was made, case by case.
    planned
        How many checks there were to make; more than there are results if it was stopped.
    seconds
        From beginning to end.
    """

    results: Sequence[Result]
    planned: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every check holds, but for those skipped, and none was left out."""
        return not self.failures and self.complete

    @property
    def complete(self) -> bool:
        """Whether no check was left out by a request to stop."""
        return len(self.results) == self.planned

    @property
    def failures(self) -> list[Result]:
        """The results of checks that do not hold, or that ended in an error."""
        return [result for result in self.results if result.verdict in (FAIL, ERROR)]

    @property
    def skipped(self) -> list[Result]:
        """The results of checks that need an optional package which is not installed."""
        return [result for result in self.results if result.verdict == SKIPPED]

    @property
    def counts(self) -> dict[str, int]:
        """How many results have each verdict, and how many checks were not run."""
        verdicts = [result.verdict for result in self.results]
        counted = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
        return {**counted, "not run": self.planned - len(self.results)}

    @property
    def summary(self) -> str:
        """The table in one line: "86 checks over 19 cases: 86 pass, 0 fail, 143 s"."""
        cases = len({result.case for result in self.results})
        told = [
            f"{count} {what}"
            for what, count in self.counts.items()
            if count > 0 or what in (PASS, FAIL)
        ]
        return (
            f"{_counted(len(self.results), 'check')} over {_counted(cases, 'case')}: "
            f"{', '.join(told)}, {self.seconds:.0f} s"
        )

    def __str__(self) -> str:
        notes = [*_left_out(self.skipped), *map(str, self.failures)]
        told = [line for note in notes for line in _indented(note, "", "  ")]
        return "\n".join([*_table(self.results), *told, self.summary])

    def to_json(self) -> str:
        """Return all of it as JSON; numbers that are not finite become null."""
        held = {
            "format": FORMAT,
            "passed": self.passed,
            "planned": self.planned,
            "counts": self.counts,
            "seconds": self.seconds,
            "versions": versions(),
            "results": [_plain(result) for result in self.results],
        }
        return json.dumps(finite(held), indent=1, allow_nan=False)

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write it to a .json file.

        Raises
        ------
        FileError
            The file exists (unless `replace`), its ending is another, or it cannot be written.
        """
        check_name(path, replace=replace)
        store.write_text(path, self.to_json() + "\n", "verification")


def check_name(path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Raise FileError unless a verification can be written to this file."""
    store.check_ending(path, (".json",), "verification", replace=replace)


def _plain(result: Result) -> dict[str, Any]:
    check = result.check
    return {
        "case": result.case,
        "quantity": check.quantity,
        "computed": result.computed,
        "reference": check.reference,
        "difference": result.difference,
        "tolerance": check.tolerance,
        "verdict": result.verdict,
        "message": result.message,
        "kind": check.kind,
        "source": check.source,
        "error": check.error,
        "reason": check.reason,
        "solver": check.solver,
        "slow": check.slow,
        "seconds": result.seconds,
    }


def _table(results: Sequence[Result]) -> list[str]:
    """Return the lines of the table: two or more a check, under the name of its case."""
    room = WIDTH - sum(COLUMNS.values())
    head = " " * room + "".join(f"{name:>{width}}" for name, width in COLUMNS.items())
    lines = [head, "-" * len(head)]
    for number, result in enumerate(results):
        if number == 0 or results[number - 1].case != result.case:
            lines.append(result.case)
        check = result.check
        cells = dict.fromkeys(COLUMNS, "-") | {
            "reference": _digits(check.reference, check.tolerance),
            "tolerance": f"{check.tolerance:.2g}",
            "verdict": result.verdict,
        }
        if not result.message:
            cells["computed"] = _digits(result.computed, check.tolerance)
            cells["difference"] = f"{result.difference:+.1e}"
        numbers = "".join(f"{cells[name]:>{width}}" for name, width in COLUMNS.items())
        first, *more = textwrap.wrap(one_line(check.quantity), room - 4) or [""]
        lines.append(f"  {first:<{room - 2}}{numbers}")
        lines += [f"    {text}" for text in more]
        lines += _indented(f"{check.kind}: {one_line(check.source)}", "      ")
    return [*lines, lines[1]]


def _left_out(results: Sequence[Result]) -> list[str]:
    """Return a sentence for each case and package that is missing."""
    counts = collections.Counter((result.case, result.message) for result in results)
    return [
        f"SKIPPED {case}, {_counted(count, 'check')}: {message}"
        for (case, message), count in counts.items()
    ]


def _indented(text: str, first: str, more: str | None = None) -> list[str]:
    rest = first if more is None else more
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _digits(value: float, tolerance: float) -> str:
    """Return a number with as many digits as a tolerance of two has, or six of them."""
    digits = 1 - math.floor(math.log10(tolerance)) if tolerance > 0 else MOST_DIGITS + 1
    plain = 0 <= digits <= MOST_DIGITS and abs(value) < 1e3
    return f"{value:.{digits}f}" if plain else f"{value:.6g}"
