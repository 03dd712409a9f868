"""The figure of several runs side by side."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from wgflow.comparison import run_names
from wgflow.comparison.naming import printable
from wgflow.errors import InputError
from wgflow.plots.course import lines, risks
from wgflow.plots.fit import fits
from wgflow.plots.law import laws_on_line, picture
from wgflow.plots.style import LINES, MARKERS, at, check_saves, colour, note
from wgflow.run import Run

LONG = 30
"""Characters of a name beyond which titles show its number, and the legend both."""
LETTERS = 11
"""Characters in an inch of a legend."""
BESIDE = 8
"""Characters that the line beside a name and the space between columns take."""
LEGEND_LINE = 0.2
"""Inches of a line of a legend."""
TITLE = 44
"""Characters in a line of the title of a panel, of two in a row."""


def comparison_figure(runs: Sequence[Run]) -> Figure:
    """Return a figure of several runs: risk or energy, the fit or dissipation, and the laws.

    Laws in one dimension share a panel. In more, each cloud is drawn over the density of the first
    run on a grid; without clouds, each density has a panel. Runs whose last law is not stored have
    a sentence there. One legend below all panels tells the runs apart; where a name is long, titles
    have numbers.

    Raises
    ------
    InputError
        A run holds no save.
    """
    check_saves(runs)
    names, tags = numbered(run_names(runs))
    drawn = _laws(runs)
    on_line = len(runs[0].axes) == 1
    laws = 1 if on_line else len(drawn)
    figure = Figure(figsize=(11, 4.2 * (1 + (laws + 1) // 2)), layout="constrained")
    figure.suptitle(printable(runs[0].case or "own problem"))
    panels = figure.subplots(1 + (laws + 1) // 2, 2).ravel()
    has_risk = all(np.isfinite(run.risk).any() for run in runs)
    if has_risk:
        risks(panels[0], runs, names)
        for k, drawn_risk in enumerate(panels[0].lines):
            drawn_risk.set_linestyle(LINES[k % len(LINES)])  # as in the other panels
    else:
        lines(panels[0], [run.energy["total"] for run in runs], runs, names)
        panels[0].set(ylabel="free energy F", title="Free energy")
    curves = [k for k, run in enumerate(runs) if _is_curve(run)]
    if has_risk and curves:
        fits(panels[1], runs, names, curves)
        _dated(panels[1], [runs[k] for k in curves])
    else:
        lines(panels[1], [run.dissipation for run in runs], runs, names)
        panels[1].set(ylabel="dissipation", title="Dissipation")
        if any((run.dissipation > 0).any() for run in runs):
            panels[1].set_yscale("log")
    if on_line:
        _on_line(panels[2], runs, names)
    else:
        grid = next((k for k, run in enumerate(runs) if run.on_grid and _has_law(run)), None)
        for panel, k in zip(panels[2:], drawn, strict=False):
            _in_plane(figure, panel, runs, tags, k, None if runs[k].on_grid else grid)
    for panel in panels[2 + laws :]:
        panel.axis("off")
    if len(set(_ends(runs))) > 1:
        names = [f"{name}, to {end}" for name, end in zip(names, _ends(runs), strict=True)]
    _one_legend(figure, panels, names, marked=has_risk)
    return figure


def numbered(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names for the legend and for the titles, with numbers where one is long."""
    if max(map(len, names)) <= LONG:
        return list(names), list(names)
    tags = [f"({k})" for k in range(1, len(names) + 1)]
    return [f"{tag} {name}" for tag, name in zip(tags, names, strict=True)], tags


def legend_below(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """Put a legend below all panels, in as many columns as its names allow, and make room."""
    width, height = figure.get_size_inches()
    line = int(width * LETTERS)
    texts = [textwrap.fill(name, line - BESIDE) for name in names]
    longest = max(len(part) for text in texts for part in text.splitlines())
    columns = max(1, min(len(texts), line // (longest + BESIDE)))
    lines = max(text.count("\n") + 1 for text in texts) * -(-len(texts) // columns)
    figure.set_size_inches(width, height + LEGEND_LINE * (lines + 1))
    held = figure.legend(handles, texts, loc="outside lower center", ncols=columns)
    for text in held.get_texts():
        text.set_parse_math(False)


def _one_legend(
    figure: Figure, panels: Sequence[Axes], names: Sequence[str], *, marked: bool
) -> None:
    """Replace the legends of the panels by one of the runs, and of the data."""
    handles: list[Artist] = []
    for k in range(len(names)):
        sample = Line2D([], [], color=colour(k), markersize=5, fillstyle="none")
        mark = MARKERS[k % len(MARKERS)] if marked else "none"
        sample.set(linestyle=LINES[k % len(LINES)], marker=mark)
        handles.append(sample)
    labels = list(names)
    data = [line for line in panels[1].lines if line.get_label() == "data"]
    if data:
        handles.append(data[0])
        labels.append("data")
    for panel in panels:
        held = panel.get_legend()
        if held is not None:
            held.remove()
        panel.set_title(textwrap.fill(panel.get_title(), TITLE), parse_math=False)
    legend_below(figure, handles, labels)


def _dated(panel: Axes, runs: Sequence[Run]) -> None:
    """Add to a title the time of the last saves that are drawn."""
    ends = _ends(runs)
    when = ends[0] if len(set(ends)) == 1 else "the last save of each"
    panel.set_title(f"{panel.get_title()} at {when}")


def _ends(runs: Sequence[Run]) -> list[str]:
    return [at(run.time[-1]) for run in runs]


def _laws(runs: Sequence[Run]) -> list[int]:
    """Return which runs have a panel for their law: the clouds, or without any, all."""
    clouds = [k for k, run in enumerate(runs) if not run.on_grid and _has_law(run)]
    return clouds or list(range(len(runs)))


def _has_law(run: Run) -> bool:
    try:
        run.measure(-1)
    except InputError:
        return False
    return True


def _is_curve(run: Run) -> bool:
    return run.x is not None and run.x.shape[1] == 1 and run.prediction is not None


def _on_line(panel: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    held = [k for k, run in enumerate(runs) if _has_law(run)]
    if held:
        laws_on_line(panel, runs, names, held)
        _dated(panel, [runs[k] for k in held])
    else:
        note(panel, "The files of these runs hold no law; run them with --save all or final.")


def _in_plane(
    figure: Figure,
    panel: Axes,
    runs: Sequence[Run],
    tags: Sequence[str],
    k: int,
    grid: int | None,
) -> None:
    run = runs[k]
    try:
        law = run.measure(-1)
    except InputError as error:
        note(panel, str(error))
        return
    beneath = None if grid is None else (runs[grid], runs[grid].measure(-1))
    picture(figure, panel, run, law, tint=colour(k), beneath=beneath)
    title = f"Law at {at(run.time[-1])}: {tags[k]}"
    if grid is not None:
        title += f" over {tags[grid]} density"
    if len(run.axes) > 2:
        title += f" (two of {len(run.axes)} coordinates)"
    panel.set_title(title)
