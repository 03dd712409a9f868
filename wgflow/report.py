"""A comparison as one HTML file that needs nothing else: style, tables and figures are inside.

Whatever comes from a results file is escaped; there are no scripts and no links to other places.
"""

import base64
import functools
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from html import escape

import numpy as np
from matplotlib.figure import Figure

from wgflow import store
from wgflow.comparison import Comparison
from wgflow.comparison.export import FORMAT
from wgflow.comparison.measured import ERROR_BAR, POOLED, REFERENCE
from wgflow.comparison.quantity import Quantity
from wgflow.comparison.table import cells, notes, shown, some_times, with_error
from wgflow.comparison_plot import change_figure, figure_of, time_figure
from wgflow.provenance import versions
from wgflow.report_style import STYLE

ENDINGS = (".html", ".htm")
MOST_TIMES = 60
"""Rows of a table over time; more are in the JSON."""
LONGEST = 400
"""Characters of a text of a file that are shown."""
DOTS_PER_INCH = 144


def save_report(
    comparison: Comparison, path: str | os.PathLike[str], *, replace: bool = False
) -> None:
    """Write the report of a comparison to an .html file, whole or not at all.

    Raises
    ------
    FileError
        The file exists (unless `replace`), its ending is another, or it cannot be written.
    """
    check_report(path, replace=replace)
    store.write_text(path, report(comparison), "report")


def check_report(path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Raise FileError unless a report can be written to this file."""
    store.check_ending(path, ENDINGS, "report", replace=replace)


def report(comparison: Comparison) -> str:
    """Return the report of a comparison as HTML."""
    title = _title(comparison)
    parts = {
        "results": ("Results", _results(comparison)),
        "figures": ("Figures", _figures(comparison)),
        "time": ("Over time", _over_time(comparison)),
        "runs": ("What was compared", _runs(comparison)),
        "definitions": ("Definitions", _definitions(comparison)),
    }
    links = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, (text, _) in parts.items())
    body = "\n".join(
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{text}</h2>\n{"".join(content)}</section>'
        for name, (text, content) in parts.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{_text(title)}</h1>\n<p>{_text(_summary(comparison))}</p>\n"
        f"{_warnings(comparison)}"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n</header>\n'
        f"<main>\n{body}\n</main>\n"
        f"<footer><p>Made by wgflow{_version()}; the same numbers at all common times are in the "
        f"JSON of the comparison ({FORMAT}).</p></footer>\n</body>\n</html>\n"
    )


def _version() -> str:
    own = versions()["wgflow"]
    return f" {_text(own)}" if own else ""


def _text(value: object) -> str:
    """Return a text as HTML shows it, escaped, and cut where it is endless."""
    text = str(value)
    return escape(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...").replace(
        " +- ", " &plusmn; "
    )


def _title(comparison: Comparison) -> str:
    cases = dict.fromkeys(run.case or "own problem" for run in comparison.runs)
    return f"{' and '.join(cases)}: {', '.join(comparison.names)}"


def _summary(comparison: Comparison) -> str:
    time, runs = comparison.time, len(comparison.runs)
    columns = len(comparison.columns)
    grouped = f" in {columns} columns" if columns < runs else ""
    return (
        f"{runs} runs{grouped} at {len(time)} common save times from t = {time[0]:g} to "
        f"t = {time[-1]:g}; the reference is {comparison.names[comparison.reference]}."
    )


def _warnings(comparison: Comparison) -> str:
    if not comparison.warnings:
        return ""
    rows = "".join(f"<li>{_text(text)}</li>" for text in comparison.warnings)
    return f'<div class="warnings" role="note" aria-label="Warnings"><ul>{rows}</ul></div>\n'


def _table(
    caption: str,
    head: Sequence[object],
    parts: Sequence[tuple[str, Sequence[Sequence[object]]]],
    *,
    kind: str = "numbers",
    hidden: bool = False,
) -> str:
    """Return a table: parts of rows, each row a label and one cell a column of the head.

    A hidden caption is there for those who hear the page; the others have just read a heading.
    """
    lines = "".join(f'<th scope="col">{_text(name)}</th>' for name in head[1:])
    corner = f'<th scope="col">{_text(head[0])}</th>' if head[0] else "<td></td>"
    unseen = ' class="hidden"' if hidden else ""
    text = (
        f'<div class="scroll" role="region" aria-label="{_text(caption)}" tabindex="0">\n'
        f'<table class="{kind}">\n<caption{unseen}>{_text(caption)}</caption>\n'
        f"<thead><tr>{corner}{lines}</tr></thead>\n"
    )
    for title, rows in parts:
        text += "<tbody>\n"
        if title:
            span = len(head)
            text += f'<tr><th class="part" scope="rowgroup" colspan="{span}">{_text(title)}</th>'
            text += "</tr>\n"
        for label, *held in rows:
            shown = "".join(f"<td>{_text(cell)}</td>" for cell in held)
            inner = ' class="inner"' if str(label).startswith(" ") else ""
            text += f'<tr><th scope="row"{inner}>{_text(str(label).strip())}</th>{shown}</tr>\n'
        text += "</tbody>\n"
    return text + "</table>\n</div>\n"


def _results(comparison: Comparison) -> Iterator[str]:
    parts = [
        (f"{part.title[0].upper()}{part.title[1:]}", part.rows) for part in comparison.sections()
    ]
    yield _table("The runs, their risks and their last laws", ["", *comparison.names], parts)
    for note in notes(comparison):
        yield f'<p class="faint">{_text(note)}</p>\n'


def _drawn(comparison: Comparison) -> Iterator[tuple[str, Quantity]]:
    """Yield the quantities that are followed over time."""
    for name, quantity in comparison.quantities.items():
        chosen = name in ("risk", "energy", "gap") or quantity.pooled is not None
        if chosen and np.isfinite(quantity.mean).any():
            yield name, quantity


def _figures(comparison: Comparison) -> Iterator[str]:
    names = ", ".join(comparison.names)
    yield _figure(
        functools.partial(figure_of, comparison),
        f"Panels of the comparison of {names}: risk or free energy over time, fitted function or "
        "dissipation, and the laws at their last saves.",
        "Risk or free energy, fitted function or dissipation, and the laws at the last save of "
        "each run: of several seeds the first, and the error bars of all.",
        "wide",
    )
    yield "<p>Below, every column at the common times; bars are standard errors over seeds.</p>\n"
    yield '<div class="panels">\n'
    for name, quantity in _drawn(comparison):
        title = quantity.title.strip()
        last = "; ".join(
            f"{column} {with_error(float(mean), float(error))}"
            for column, mean, error in zip(
                comparison.names, quantity.mean[:, -1], quantity.error[:, -1], strict=True
            )
        )
        yield _figure(
            functools.partial(time_figure, comparison, name),
            f"{title} over time. At t = {comparison.time[-1]:g}: {last}.",
            f"{title[0].upper()}{title[1:]} over time.",
        )
        if name == "risk":
            row = cells(quantity, -1, comparison.reference)
            changed = "; ".join(map(" ".join, zip(comparison.names, row, strict=True)))
            yield _figure(
                functools.partial(change_figure, comparison, name),
                f"Change of the risk from the reference over time. At the last: {changed}.",
                "Risk: change from the reference in percent, on a linear scale up to 5 %.",
            )
    yield "</div>\n"


def _figure(draw: Callable[[], Figure], alternative: str, caption: str, kind: str = "") -> str:
    """Return a figure whose image is inside, or a sentence where its numbers cannot be drawn."""
    image = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd numbers make an odd figure, and that is seen
            draw().savefig(image, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    except (ArithmeticError, ValueError) as error:
        return f"<p>{_text(caption)} This cannot be drawn: {_text(error)}.</p>\n"
    data = base64.b64encode(image.getvalue()).decode("ascii")
    style = f' class="{kind}"' if kind else ""
    picture = f'<img alt="{_text(alternative)}" src="data:image/png;base64,{data}">'
    if kind:
        picture = (
            f'<div class="scroll" role="region" aria-label="{_text(caption)}" tabindex="0">'
            f"{picture}</div>"
        )
    return f"<figure{style}>{picture}\n<figcaption>{_text(caption)}</figcaption></figure>\n"


def _over_time(comparison: Comparison) -> Iterator[str]:
    chosen = some_times(len(comparison.time), MOST_TIMES)
    if len(chosen) < len(comparison.time):
        yield f"<p>{len(chosen)} of {len(comparison.time)} common times.</p>\n"
    yield '<div class="tables">\n'
    for _, quantity in _drawn(comparison):
        title = quantity.title.strip()
        rows = [
            [f"{comparison.time[k]:g}", *cells(quantity, k, comparison.reference)] for k in chosen
        ]
        yield f"<div><h3>{_text(title[0].upper() + title[1:])}</h3>\n"
        yield f'<p class="faint">{_text(quantity.definition)}</p>\n'
        yield _table(f"{title} over time", ["time t", *comparison.names], [("", rows)], hidden=True)
        yield "</div>\n"
    yield "</div>\n"


def _runs(comparison: Comparison) -> Iterator[str]:
    held = [comparison.runs[column[0]] for column in comparison.columns]
    provenance = [run.provenance for run in held]
    rows = [
        ["case", *[run.case or "own problem" for run in held]],
        ["parameters", *[_pairs(p["parameters"]) for p in provenance]],
        ["solver", *[run.solver for run in held]],
        ["settings", *[_pairs(p["settings"]) for p in provenance]],
        ["energy", *[_energy(p["problem"]) for p in provenance]],
    ]
    yield _table("Each column", ["", *comparison.names], [("", rows)], kind="words")
    made = [_pairs(run.provenance["versions"]) for run in comparison.runs]
    head = ["column", "file", "seed", "status", "saves", "steps", "seconds"]
    one = len(set(made)) == 1
    rows = [
        [name, *_run(comparison, number), *([] if one else [made[number]])]
        for name, column in zip(comparison.names, comparison.columns, strict=True)
        for number in column
    ]
    yield _table("Each run", head if one else [*head, "versions"], [("", rows)], kind="words")
    if one:
        yield f"<p>Versions of all runs: {_text(made[0])}.</p>\n"


def _run(comparison: Comparison, number: int) -> list[str]:
    """Return what is said of one run beside its column and versions."""
    run = comparison.runs[number]
    statistics = run.statistics
    seconds = statistics.get("seconds")
    return [
        comparison.files[number] if comparison.files else "in memory",
        str(run.provenance["seed"]),
        f"{run.status}{': ' + run.reason if run.reason else ''}",
        f"{len(run.time)}, to t = {run.time[-1]:g}",
        str(statistics.get("steps", "-")),
        f"{seconds:.1f}" if isinstance(seconds, int | float) else "-",
    ]


def _pairs(values: dict[str, object]) -> str:
    return ", ".join(
        f"{name} = {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in values.items()
        if value is not None
    )


def _energy(problem: dict[str, object]) -> str:
    terms = problem["energy"]
    return " + ".join(str(term.get("name", "?")) for term in terms)  # type: ignore[attr-defined]


def _definitions(comparison: Comparison) -> Iterator[str]:
    yield "<dl>\n"
    sampled = any(len(column) > 1 for column in comparison.columns)
    general = {"Reference": REFERENCE, "Error bars": ERROR_BAR}
    for title, words in general.items():
        yield f"<dt>{title}</dt><dd>{_text(words)}</dd>\n"
    if sampled:
        yield f"<dt>Pooled seeds</dt><dd>{_text(POOLED)}</dd>\n"
    for quantity in shown(comparison.quantities).values():
        title = quantity.title.strip()
        yield f"<dt>{_text(title)}</dt><dd>{_text(quantity.definition)}</dd>\n"
    yield "</dl>\n"
