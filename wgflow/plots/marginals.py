"""Each coordinate of the law over time: its density at several times, and as a heat map."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from wgflow.domain import Domain
from wgflow.errors import InputError
from wgflow.plots import bins
from wgflow.plots.law import coloured, densities, has_front, scale
from wgflow.plots.style import MOST_TIMES, TIME, evenly, nearest
from wgflow.run import Run

MOST_MARGINALS = 6
MOST_COLUMNS = 400
"""Saves in a heat map over time at most; more are narrower than a pixel."""


def size_of_marginals(run: Run) -> tuple[int, int]:
    """Return rows and columns of panels, one a coordinate."""
    count = min(len(run.axes), MOST_MARGINALS)
    return -(-count // 3), min(count, 3)


def draw_marginals(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the density of each coordinate at several times, from light to dark, or at one.

    Raises
    ------
    InputError
        No law is stored.
    """
    saves = bins.saves_with_law(run)
    chosen = evenly(saves, MOST_TIMES) if time is None else [nearest(run, saves, time)]
    for axis, panel in enumerate(_panels(area, run)):
        densities(panel, run, chosen, axis)
        panel.set_title(f"Marginal of {run.axes[axis]['name']}")


def draw_history(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the density of each coordinate over time as a heat map, a column a save.

    In one dimension this is the law itself in space and time.

    Raises
    ------
    InputError
        Fewer than two saves hold a law.
    """
    if len(bins.saves_with_law(run)) < 2:
        raise InputError(
            f"{run.label} holds a law at one save only, and its course over time takes at least "
            "two; run it with --save all."
        )
    for axis, panel in enumerate(_panels(area, run)):
        _space_time(area, panel, run, axis)


def history(run: Run, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the density of one coordinate over time, on bins that all saves share.

    Returns
    -------
    time, edges, density
        The times of the saves, (saves,); edges of the bins, (bins + 1,); (saves, bins).
    """
    saves = evenly(bins.saves_with_law(run), MOST_COLUMNS)
    laws = [run.measure(index) for index in saves]
    domain = Domain.from_description(run.axes)
    edges = bins.common_bins(laws, axis, domain.axes[axis])
    period = np.ptp(edges) if domain.periodic[axis] else None
    mass = np.array([bins.marginal(law, axis, edges, period) for law in laws])
    return run.time[saves], edges, mass / np.diff(edges)


def _space_time(area: SubFigure, panel: Axes, run: Run, axis: int) -> None:
    time, edges, density = history(run, axis)
    tops = density.max(axis=1)
    # On a linear scale a spike at one time would leave all others white.
    spiked = tops.min() < tops.max() / 3
    kind = "linear" if not spiked else "root" if has_front(run) or not run.on_grid else "log"
    # A column reaches half way to the saves beside it.
    borders = np.concatenate([time[:1], (time[1:] + time[:-1]) / 2, time[-1:]])
    coloured(area, panel, (borders, edges), density, scale(float(tops.max()), kind))
    laws = [run.measure(index) for index in bins.saves_with_law(run)]
    panel.set_ylim(*bins.in_view(laws, axis, Domain.from_description(run.axes).axes[axis]))
    name = run.axes[axis]["name"]
    title = "Law over time" if len(run.axes) == 1 else f"Marginal of {name} over time"
    panel.set(xlabel=TIME, ylabel=name, title=title)


def _panels(area: SubFigure, run: Run) -> list[Axes]:
    """Return a panel for each coordinate that is drawn."""
    rows, columns = size_of_marginals(run)
    panels = area.subplots(rows, columns, squeeze=False).ravel().tolist()
    count = min(len(run.axes), MOST_MARGINALS)
    for panel in panels[count:]:
        panel.axis("off")
    if count < len(run.axes):
        area.suptitle(f"The first {count} of {len(run.axes)} coordinates")
    return list(panels[:count])
