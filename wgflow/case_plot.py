"""The figure of a case: the panels that it declares, drawn; or else the overview of a run."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from wgflow.case import Case
from wgflow.errors import InputError
from wgflow.loop import Progress, solve
from wgflow.panel import Curve, Panel
from wgflow.plots import MARKERS, run_figure
from wgflow.plots.style import colour, shades

WIDTH, HEIGHT = 3.8, 3.4
"""Inches of a panel."""
COLUMNS = 3
REFERENCE = "0.15"
"""The grey of what is compared with."""
DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (9, 3)))
FEW, MANY = 40, 400
"""Up to `FEW` points are marked large and hollow; beyond `MANY` they are dots."""
CLEAR = 4.0
"""Pixels between a legend and what is drawn beside it."""
FEW_DECADES = 100.0
"""The ratio of the ends of a logarithmic axis up to which more than decades are labelled."""
FAMILY = 10
"""Lines without a label, from which they are thin."""
LETTERS = 40
"""Letters of a title in a line."""
LONG, SEEN = 22, 4.0
"""Letters of a label from which it has a line of its own; least size of a mark in a legend."""


def case_figure(case: Case, *, progress: Callable[[Progress], bool | None] | None = None) -> Figure:
    """Return the figure of a case, which takes a run or more to compute.

    Parameters
    ----------
    progress
        Called once a step where the case declares no figure: the overview of a run by its first
        solver is drawn then. A true return value ends that run.

    Raises
    ------
    InputError
        What the case declares is no figure, or the run did not get to its end.
    """
    if case.has_figure:
        return panels_figure(case.figure(), case.name)
    solver = next(iter(case.solvers.values()))
    run = solve(case.problem(), solver, progress=progress)
    if run.status != "finished":
        raise InputError(
            f"The case '{case.name}' has no figure of its own, and its run by {solver.name} is "
            f"{run.status.replace('_', ' ')}: {run.reason}"
        )
    return run_figure(run)


def panels_figure(panels: Sequence[Panel], title: str = "") -> Figure:
    """Return a figure of panels, in rows of at most three.

    What is computed is in colours, as lines or points; what it is compared with is dashed and dark,
    and lies on top. Curves with the same label share a style and an entry of the legend, and one
    without a label has the style of the one before it. Lines labelled with three times or more
    ("t = 0.5") go from light to dark. A legend that would cover a curve stands below its panel.

    Raises
    ------
    InputError
        No panel, or a logarithmic axis without a number above 0.
    """
    if not panels:
        raise InputError("There are no panels to draw; a figure needs at least one.")
    columns = 2 if len(panels) in (2, 4) else min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    size = max(WIDTH * columns, 1.4 * WIDTH), HEIGHT * rows + (0.3 if title else 0.0)
    figure = Figure(figsize=size, layout="constrained")
    if title:
        figure.suptitle(title, parse_math=False)
    areas = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for area, panel in zip(areas, panels, strict=False):
        _draw(area, panel)
    for area in areas[len(panels) :]:
        area.remove()
    _clear_legends(figure)
    return figure


def _draw(area: Axes, panel: Panel) -> None:
    """Draw the curves of a panel, its labels and its legend."""
    for axis, scale, values in (
        ("x", panel.x_scale, [curve.x for curve in panel.curves]),
        ("y", panel.y_scale, [curve.y for curve in panel.curves]),
    ):
        if scale == "log" and not any((numbers > 0).any() for numbers in values):
            raise InputError(
                f"The {axis} axis of the panel '{panel.title}' is logarithmic, but no number on it "
                "is above 0."
            )
    # What has no logarithm is left out; by default a line would fall to the lower edge there.
    masked: dict[str, Any] = {"linear": {}, "log": {"nonpositive": "mask"}}
    area.set_xscale(panel.x_scale, **masked[panel.x_scale])
    area.set_yscale(panel.y_scale, **masked[panel.y_scale])
    title = panel.title if "$" in panel.title else textwrap.fill(panel.title, LETTERS)
    area.set_title(title, fontsize=10)
    area.set(xlabel=panel.x_label, ylabel=panel.y_label)
    if panel.equal:
        area.set_aspect("equal", adjustable="datalim")
    for curve, style in zip(panel.curves, _styles(panel.curves), strict=True):
        area.plot(curve.x, curve.y, **style)
    for side, scale in ((area.xaxis, panel.x_scale), (area.yaxis, panel.y_scale)):
        if scale == "log":
            _label_decades(side)
    area.grid(alpha=0.3)
    _add_legend(area)


def _label_decades(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade where there are few of them, and round numbers within one.

    The usual labels of all minor ticks overlap in a small panel.
    """
    low, high = axis.get_view_interval()
    if high < FEW_DECADES * low:
        within = high < 5 * low
        axis.set_major_locator(MaxNLocator(4) if within else LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def _styles(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return what Matplotlib is told of each curve."""
    computed = list(dict.fromkeys(c.label for c in curves if c.style != "dashed" and c.label))
    compared = list(dict.fromkeys(c.label for c in curves if c.style == "dashed" and c.label))
    colours = _colours(curves, computed)
    thin = sum(c.style == "line" and not c.label for c in curves) > FAMILY
    last = {"dashed": 0, "computed": 0}
    made: list[dict[str, Any]] = []
    for curve in curves:
        role, known = ("dashed", compared) if curve.style == "dashed" else ("computed", computed)
        number = last[role] = known.index(curve.label) if curve.label else last[role]
        if curve.style == "dashed":
            dashes = DASHES[number % len(DASHES)]
            style = {"color": REFERENCE, "linestyle": dashes, "lw": 1.3, "zorder": 3}
        elif curve.style == "line":
            width = 0.7 if thin and not curve.label else 2.0
            style = {"color": colours[number], "lw": width, "zorder": 2}
        else:
            marker = MARKERS[number % len(MARKERS)]
            style = _points(len(curve.x), colours[number], marker)
        made.append({**style, "label": curve.label or "_nolegend_"})
    return made


def _colours(curves: Sequence[Curve], computed: Sequence[str]) -> list[str]:
    """Return the colour of each label of what is computed, or one colour if there are none."""
    lines = {curve.label for curve in curves if curve.style == "line" and curve.label}
    times = [label for label in computed if label in lines]
    if len(times) < 3 or not all(label.startswith("t = ") for label in times):
        return [colour(number) for number in range(max(len(computed), 1))]
    # The first colour is that of the times.
    others = [label for label in computed if label not in lines]
    by_label = dict(zip(times, shades(len(times)), strict=True))
    by_label |= {label: colour(number + 1) for number, label in enumerate(others)}
    return [by_label[label] for label in computed]


def _points(count: int, chosen: str, marker: str) -> dict[str, Any]:
    """Return how points are marked: the more, the smaller, and a cloud below lines."""
    style: dict[str, Any] = {"color": chosen, "marker": marker, "linestyle": "none"}
    if count <= FEW:
        return {**style, "ms": 6, "fillstyle": "none", "markeredgewidth": 1.4, "zorder": 4}
    size, alpha, order = (3, 0.7, 2.5) if count <= MANY else (2, 0.4, 1.5)
    return {**style, "ms": size, "alpha": alpha, "markeredgewidth": 0, "zorder": order}


def _add_legend(area: Axes, *, below: bool = False) -> None:
    """Give a panel its legend, with one entry a label, where there are labels."""
    handles, labels = area.get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    if not entries:
        return
    columns = 1 if max(map(len, entries)) > LONG else 2
    where: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, -0.17),
        "frameon": False,
        "ncols": min(len(entries), columns),
    }
    legend = area.legend(
        list(entries.values()), list(entries), fontsize=8, **(where if below else {})
    )
    for handle in legend.legend_handles:
        if isinstance(handle, Line2D) and handle.get_markersize() < SEEN:
            handle.set(markersize=SEEN, alpha=1.0)


def _clear_legends(figure: Figure) -> None:
    """Move legends that cover something below their panels."""
    for _ in figure.axes:  # A legend below makes the panels of its row smaller.
        figure.draw_without_rendering()
        covered = [area for area in figure.axes if _is_covered(area)]
        if not covered:
            return
        for area in covered:
            _add_legend(area, below=True)


def _is_covered(area: Axes) -> bool:
    """Return whether the legend of a panel lies on something that is drawn there."""
    legend = area.get_legend()
    if legend is None:
        return False
    box = Bbox.intersection(legend.get_window_extent().padded(CLEAR), area.bbox)
    return box is not None and any(box.count_contains(_drawn(line)) > 0 for line in area.lines)


def _drawn(line: Line2D) -> np.ndarray:
    """Return points of a line on the screen, (n, 2), those between its vertices included."""
    places = line.get_transform().transform(line.get_xydata())
    if line.get_linestyle() == "None" or len(places) < 2:
        return places[np.isfinite(places).all(axis=1)]
    part = np.linspace(0, 1, 50)[:, np.newaxis, np.newaxis]
    between = (places[:-1] + part * (places[1:] - places[:-1])).reshape(-1, 2)
    return between[np.isfinite(between).all(axis=1)]
