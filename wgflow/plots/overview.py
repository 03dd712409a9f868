"""The figure of one run: the panels that there are by name, and which of them are usual."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure

from wgflow.errors import InputError, check_number, unknown
from wgflow.plots.course import draw_dissipation, draw_energy, draw_gap, draw_risk
from wgflow.plots.fit import draw_fit, size_of_fit
from wgflow.plots.law import draw_law, size_of_law
from wgflow.plots.marginals import draw_history, draw_marginals, size_of_marginals
from wgflow.plots.rays import draw_rays, neuron_of, size_of_rays
from wgflow.plots.style import check_saves, note
from wgflow.run import Run

Draw = Callable[[SubFigure, Run, float | None], None]
COLUMNS = 3
WIDTH, HEIGHT = 4.6, 3.8
"""Inches of a panel."""


def _one(run: Run) -> tuple[int, int]:
    return 1, 1


@dataclasses.dataclass(frozen=True)
class Panel:
    """A panel that can be asked for by name.

    Attributes
    ----------
    draw
        Draws a run into an area, at the save nearest to a time where that is meant; raises
        InputError where the run does not have what is drawn.
    size
        Returns rows and columns of axes that a run takes.
    timed
        Whether it can be drawn at one time.
    """

    draw: Draw
    size: Callable[[Run], tuple[int, int]] = _one
    timed: bool = False


PANELS = {
    "risk": Panel(draw_risk),
    "energy": Panel(draw_energy),
    "dissipation": Panel(draw_dissipation),
    "gap": Panel(draw_gap),
    "law": Panel(draw_law, size_of_law, timed=True),
    "marginals": Panel(draw_marginals, size_of_marginals, timed=True),
    "history": Panel(draw_history, size_of_marginals),
    "fit": Panel(draw_fit, size_of_fit, timed=True),
    "rays": Panel(draw_rays, size_of_rays, timed=True),
}


def check_panels(panels: Sequence[str], time: float | None = None) -> None:
    """Raise InputError unless these are names of panels, each given once.

    Of panels that are asked for at a time, at least one must be of those that show a time; none at
    all are an overview, which has some.
    """
    for k, name in enumerate(panels):
        if name not in PANELS:
            raise unknown("panel", name, PANELS)
        if name in panels[:k]:
            raise InputError(f"The panel '{name}' is asked for twice; name it once.")
    if time is not None and panels and not any(PANELS[name].timed for name in panels):
        timed = ", ".join(name for name, panel in PANELS.items() if panel.timed)
        raise InputError(
            f"A time was given, but no panel that shows the run at a time ({timed}); add one, or "
            "leave the time out."
        )


def run_figure(
    run: Run, panels: Sequence[str] | None = None, *, time: float | None = None
) -> Figure:
    """Return a figure of one run.

    Parameters
    ----------
    panels
        Names of what to draw: risk, energy, dissipation, gap, law, marginals, history, fit, rays.
        By default an overview, with a sentence in the place of what the run does not have.
    time
        Laws, fits and rays are drawn at the save nearest to this time; by default at several times
        or at the last.

    Raises
    ------
    InputError
        The run holds no save, a name is not one of the panels, none of them shows a time that is
        given, or the run does not have what a panel asked for by name shows.
    """
    if time is not None:
        time = check_number("The time of a figure", time)
    check_panels(panels or (), time)
    check_saves([run])
    names = list(panels) if panels else usual_panels(run)
    rows = _rows([(name, PANELS[name].size(run)) for name in names])
    heights = [max(size[0] for _, size in row) for row in rows]
    widest = max(sum(size[1] for _, size in row) for row in rows)
    size = max(WIDTH * widest, 1.3 * WIDTH), HEIGHT * sum(heights) + 0.4
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(f"{run.label} ({run.status})", parse_math=False)
    # A file of anyone may hold the largest numbers there are; what overflows is left out.
    with np.errstate(all="ignore"):
        _draw(figure, run, rows, heights, time, strict=bool(panels))
    return figure


def _draw(
    figure: Figure,
    run: Run,
    rows: list[list[tuple[str, tuple[int, int]]]],
    heights: list[int],
    time: float | None,
    *,
    strict: bool,
) -> None:
    """Draw rows of panels; what a run does not have is an error, or else a sentence."""
    bands = np.ravel(figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False))
    for band, row in zip(bands, rows, strict=True):
        widths = [size[1] for _, size in row]
        areas = np.ravel(band.subfigures(1, len(row), width_ratios=widths, squeeze=False))
        for area, (name, _) in zip(areas, row, strict=True):
            try:
                PANELS[name].draw(area, run, time)
            except InputError as error:
                if strict:
                    raise
                area.clear()
                note(area.subplots(), str(error))


def usual_panels(run: Run) -> list[str]:
    """Return the names of the panels of an overview."""
    has_gap = (run.gap > 0).any()
    if np.isfinite(run.risk).any():
        third = "gap" if has_gap else "rays" if _has_rays(run) else "history"
        # Whatever takes several columns of axes comes last.
        rest = sorted((third, "fit", "law"), key=lambda name: PANELS[name].size(run)[1])
        return ["risk", "energy", "dissipation", *rest]
    return ["energy", "dissipation", *(["gap"] if has_gap else []), "law", "history"]


def _has_rays(run: Run) -> bool:
    try:
        neuron_of(run)
    except InputError:
        return False
    return True


def _rows(sizes: list[tuple[str, tuple[int, int]]]) -> list[list[tuple[str, tuple[int, int]]]]:
    """Return the panels in rows of at most three columns of axes, in their order."""
    widths = [size[1] for _, size in sizes]
    columns = 2 if sum(widths) in (2, 4) and max(widths) <= 2 else COLUMNS
    rows: list[list[tuple[str, tuple[int, int]]]] = [[]]
    for item in sizes:
        if rows[-1] and sum(size[1] for _, size in rows[-1]) + item[1][1] > columns:
            rows.append([])
        rows[-1].append(item)
    return rows
