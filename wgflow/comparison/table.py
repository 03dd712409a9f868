"""The table of a comparison: rows of cells in parts, and their text for a terminal."""

import dataclasses
import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from wgflow.comparison.matching import Matched
from wgflow.comparison.measured import DIRECTION, ERROR_BAR
from wgflow.comparison.naming import printable, seed_list, shown_settings
from wgflow.comparison.quantity import Quantity
from wgflow.run import Run

WIDTH = 110
"""Characters of a line, beyond which columns go to another block."""
MOST_TIMES = 12
"""Times at which the risk is shown."""
ROUNDING = 1e-12
"""A mass within this of one is one."""
UNDEFINED = "-"
PLUS_MINUS = " +- "


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the table: a title, and rows of a label and one cell a column."""

    title: str
    rows: list[list[str]]


def sections(matched: Matched, last: Mapping[str, Quantity], risk: Quantity) -> list[Section]:
    """Return the parts of the table from the quantities at the last time and the risk at all."""
    base = matched.reference
    parts = [Section("runs", _described(matched))]
    if np.isfinite(risk.mean).any():
        chosen = some_times(len(matched.time), MOST_TIMES)
        times = [matched.time[k] for k in chosen]
        rows = [
            [f"risk at t = {time:g}", *cells(risk, k, base)]
            for time, k in zip(times, chosen, strict=True)
        ]
        parts.append(Section("risk", rows))
    rest = Section(f"at t = {matched.time[-1]:g}", [])
    for name, quantity in shown(last).items():
        if name == "risk":
            continue
        if name == "mass_lost" and np.nanmax(np.abs(quantity.values)) < ROUNDING:
            continue
        rest.rows.append([quantity.title, *cells(quantity, 0, base)])
        if quantity.pooled is not None and any(len(column) > 1 for column in matched.columns):
            together = [
                number(value) if len(column) > 1 else ""
                for value, column in zip(quantity.pooled[:, 0], matched.columns, strict=True)
            ]
            together[base] = ""
            if any(together):
                rest.rows.append(["  of pooled seeds", *together])
    return [*parts, rest]


def shown(quantities: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return what is defined for a column: also a mean that is not, where there is a spread."""
    kept = {}
    for name, quantity in quantities.items():
        held = quantities.get(name.replace("mean_", "spread_", 1), quantity)
        if np.isfinite(held.mean).any():
            kept[name] = quantity
    return kept


def some_times(count: int, most: int) -> list[int]:
    """Return at most `most` numbers of times, evenly spread, with the first and the last."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def _described(matched: Matched) -> list[list[str]]:
    """Return what each column is of."""
    groups = [[matched.runs[k] for k in column] for column in matched.columns]
    rows = [
        ["case", *[printable(runs[0].case or "own problem") for runs in groups]],
        [
            "settings",
            *[_settings(runs[0]) for runs in groups],
        ],
        ["seed", *[_seeds(runs) for runs in groups]],
        ["status", *[", ".join(sorted({printable(r.status) for r in runs})) for runs in groups]],
    ]
    seconds = [np.mean([_seconds(run) for run in runs]) for runs in groups]
    rows.append(["seconds a run", *["-" if math.isnan(s) else f"{s:.1f}" for s in seconds]])
    return rows


def _settings(run: Run) -> str:
    return printable(" ".join(shown_settings(run.provenance["settings"])))


def _seconds(run: Run) -> float:
    value = run.statistics.get("seconds", math.nan)
    return float(value) if isinstance(value, int | float) else math.nan


def _seeds(runs: Sequence[Run]) -> str:
    seeds = [run.provenance["seed"] for run in runs]
    return str(seeds[0]) if len(seeds) == 1 else f"{seed_list(seeds)} ({len(seeds)} runs)"


def cells(quantity: Quantity, time: int, reference: int) -> list[str]:
    """Return one cell a column: the mean, its standard error, the change from the reference.

    The reference is at no distance from itself.
    """
    base = quantity.mean[reference, time]
    texts = []
    for c, (value, error) in enumerate(
        zip(quantity.mean[:, time], quantity.error[:, time], strict=True)
    ):
        text = with_error(float(value), float(error))
        if c != reference and np.isfinite(value) and np.isfinite(base):
            text += _change(float(value), float(base), quantity.change)
        texts.append(text)
    if quantity.pooled is not None and np.isfinite(base):
        texts[reference] = "ref"
    return texts


def _change(value: float, base: float, kind: str) -> str:
    if kind == "percent" and base != 0:
        percent = (value / base - 1) * 100
        return f" ({percent:+.1f} %)" if abs(percent) < 1e5 else f" ({percent:+.0e} %)"
    if kind == "absolute":
        return f" ({value - base:+.2g})"
    return ""


def number(value: float) -> str:
    """Return a number in five digits after the point, or in powers of ten beyond those."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:.5f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.2e}"


def with_error(value: float, error: float) -> str:
    """Return a number and its error bar of two digits, "0.1285 +- 0.0012"."""
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return number(value) + (f"{PLUS_MINUS}0" if error == 0 and math.isfinite(value) else "")
    digits = 1 - math.floor(math.log10(error))
    if not 0 <= digits <= 8 or abs(value) >= 1e6:
        return f"{value:.3e}{PLUS_MINUS}{error:.1e}"
    return f"{value:.{digits}f}{PLUS_MINUS}{error:.{digits}f}"


def text_of(matched: Matched, parts: Sequence[Section], warnings: Sequence[str], width: int) -> str:
    """Return the table in blocks of whole columns, and what a reader of it must know."""
    names = matched.names
    rows = [["", *names], *[row for part in parts for row in part.rows]]
    rules = [1]
    for part in parts[:-1]:
        rules.append(rules[-1] + len(part.rows))
    widths = [max(len(row[column]) for row in rows) for column in range(len(names) + 1)]
    lines: list[str] = []
    for block in _blocks(widths, width):
        shown = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *[row[column].rjust(widths[column]) for column in block],
                ]
            )
            for row in rows
        ]
        for place in reversed(rules):
            shown.insert(place, "-" * len(shown[0]))
        lines += [*shown, ""]
    for note in [*notes(matched), *warnings]:
        lines += textwrap.wrap(note, width)
    return "\n".join(lines)


def _blocks(widths: Sequence[int], width: int) -> list[list[int]]:
    """Return the numbers of the columns in each block; one that is too wide stands alone."""
    blocks: list[list[int]] = [[]]
    used = widths[0]
    for column in range(1, len(widths)):
        if blocks[-1] and used + 2 + widths[column] > width:
            blocks.append([])
            used = widths[0]
        blocks[-1].append(column)
        used += 2 + widths[column]
    return blocks


def notes(matched: Matched) -> list[str]:
    """Return what the signs of the table mean."""
    count = len(matched.time)
    some = f", {MOST_TIMES} of {count} common times for the risk" if count > MOST_TIMES else ""
    base = matched.names[matched.reference]
    held = [
        f"Changes in brackets and distances are relative to ref = {base}; what names no time is "
        f"at t = {matched.time[-1]:g}{some}; - is not defined."
    ]
    if any(matched.domain.periodic):
        held.append(DIRECTION)
    return [*held, ERROR_BAR] if any(len(column) > 1 for column in matched.columns) else held
