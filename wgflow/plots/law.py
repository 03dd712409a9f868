"""The law at a time: a density on a line, a heat map or a cloud of each pair of coordinates."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize, PowerNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from wgflow.domain import Domain
from wgflow.measure import GridMeasure, Measure
from wgflow.plots import bins
from wgflow.plots.style import (
    COLOURS,
    LARGEST,
    LINES,
    MOST_TIMES,
    at,
    colour,
    evenly,
    nearest,
    shades,
)
from wgflow.run import Run

DECADES = 4
"""A density is shown down to this many decades below its peak; the tails carry no mass to show."""
MOST_COORDINATES = 3
"""Coordinates of which every pair is drawn."""


def draw_law(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the law: at several times on a line, otherwise at the one chosen, or the last.

    In the plane a density is a heat map and particles are a cloud; in more dimensions there is one
    of each pair of the first three coordinates.

    Raises
    ------
    InputError
        No law is stored.
    """
    saves = bins.saves_with_law(run)
    domain = Domain.from_description(run.axes)
    if domain.dimension == 1:
        several = time is None
        chosen = evenly(saves, MOST_TIMES) if several else [nearest(run, saves, time or 0.0)]
        densities(area.subplots(), run, chosen)
        return
    index = int(saves[-1]) if time is None else nearest(run, saves, time)
    law = run.measure(index)
    pairs = pairs_of(domain.dimension)
    rows, columns = size_of_law(run)
    panels = area.subplots(rows, columns, squeeze=False).ravel()
    title = f"Law at {at(run.time[index])}"
    for panel, pair in zip(panels, pairs, strict=False):
        picture(area, panel, run, law, pair)
        if len(pairs) == 1:
            panel.set_title(title)
    for panel in panels[len(pairs) :]:
        panel.axis("off")
    if len(pairs) > 1:
        more = domain.dimension > MOST_COORDINATES
        some = f", first {MOST_COORDINATES} of {domain.dimension} coordinates" if more else ""
        area.suptitle(title + some)


def pairs_of(dimension: int) -> list[tuple[int, int]]:
    """Return the pairs of coordinates that are drawn."""
    return list(itertools.combinations(range(min(dimension, MOST_COORDINATES)), 2))


def size_of_law(run: Run) -> tuple[int, int]:
    """Return rows and columns of the pictures that the law of a run takes."""
    count = max(len(pairs_of(len(run.axes))), 1)
    return -(-count // 3), min(count, 3)


def has_front(run: Run) -> bool:
    """Return whether the law may vanish outside a front: a power entropy and no entropy."""
    terms = run.provenance["problem"]["energy"]
    powers = any(term["kind"] == "PowerEntropy" for term in terms)
    return powers and not any(term.get("temperature") for term in terms)


def picture(
    figure: Figure | SubFigure,
    panel: Axes,
    run: Run,
    law: Measure,
    pair: tuple[int, int] = (0, 1),
    tint: str = COLOURS[0],
    beneath: tuple[Run, Measure] | None = None,
) -> None:
    """Draw two coordinates of a law in more than one dimension.

    Parameters
    ----------
    beneath
        Another run and its law on a grid, drawn under a cloud.
    """
    for source, drawn in (beneath, (run, law)) if beneath is not None else ((run, law),):
        if isinstance(drawn, GridMeasure):
            linear = scale(float(bins.plane(drawn, *pair).max()), "linear")
            heat_map(figure, panel, drawn, pair, linear if has_front(source) else None)
        else:
            draw_cloud(panel, bins.even_points(drawn)[:, pair], tint)
    domain = Domain.from_description(run.axes)
    panel.set(xlabel=domain.names[pair[0]], ylabel=domain.names[pair[1]])
    frame(panel, [law if beneath is None else beneath[1]], domain, pair)


def draw_cloud(panel: Axes, points: np.ndarray, tint: str) -> Line2D:
    """Draw the two columns of points as dots, which are the smaller the more there are."""
    size = 3.0 if len(points) <= 500 else 1.5
    (dots,) = panel.plot(
        points[:, 0], points[:, 1], ".", ms=size, alpha=0.7, color=tint, rasterized=True
    )
    return dots


def heat_map(
    figure: Figure | SubFigure | None,
    panel: Axes,
    law: GridMeasure,
    pair: tuple[int, int],
    norm: Normalize | None = None,
) -> QuadMesh:
    """Draw the density of two coordinates.

    Parameters
    ----------
    figure
        Where a bar of the colours is added beside the panel; None for none.
    norm
        The scale; by default a logarithmic one below the highest density.
    """
    density = bins.plane(law, *pair)
    norm = scale(float(density.max()), "log") if norm is None else norm
    return coloured(figure, panel, (law.edges[pair[0]], law.edges[pair[1]]), density, norm)


def scale(peak: float, kind: str) -> Normalize:
    """Return the scale of a heat map from a density of 0 to its peak.

    Parameters
    ----------
    kind
        "log", over four decades below the peak; "linear"; or "root", in which the colour is that of
        the square root, so that a front shows and so does what a high peak turns into.
    """
    peak = peak if 1 / LARGEST < peak < LARGEST else 1.0
    if kind == "log":
        return LogNorm(peak * 10.0**-DECADES, peak)
    return Normalize(0.0, peak) if kind == "linear" else PowerNorm(0.5, 0.0, peak)


def coloured(
    figure: Figure | SubFigure | None,
    panel: Axes,
    edges: tuple[np.ndarray, np.ndarray],
    density: np.ndarray,
    norm: Normalize,
) -> QuadMesh:
    """Draw a heat map of a density, shape (cells across, cells up)."""
    shown = np.clip(density, norm.vmin, None)  # white below, where a logarithm has no place
    image = panel.pcolormesh(*edges, shown.T, norm=norm, cmap="Greys", rasterized=True)
    if figure is not None:
        figure.colorbar(image, ax=panel, label="density")
    return image


def frame(panel: Axes, laws: Sequence[Measure], domain: Domain, pair: tuple[int, int]) -> None:
    """Show the part of the plane that holds the mass of the laws."""
    ends = []
    for axis in pair:
        low, high = bins.in_view(laws, axis, domain.axes[axis])
        cloudy = not isinstance(laws[0], GridMeasure) and not domain.periodic[axis]
        margin = 0.05 * (high - low) if cloudy else 0.0
        ends.append((low - margin, high + margin))
    panel.set(xlim=ends[0], ylim=ends[1])
    width, height = np.ptp(panel.get_xlim()), np.ptp(panel.get_ylim())
    if 0.8 < width / height < 1.25:
        panel.set_aspect("equal")  # so that what is round looks round


def densities(panel: Axes, run: Run, saves: Sequence[int] | np.ndarray, axis: int = 0) -> None:
    """Draw the density of one coordinate at several saves, from light to dark."""
    laws = [run.measure(index) for index in saves]
    domain = Domain.from_description(run.axes)
    for index, law, shade in zip(saves, laws, shades(len(laws)), strict=True):
        edges, density = profile(law, domain, axis)
        panel.stairs(density, edges, baseline=None, color=shade, label=at(run.time[index]), lw=1.5)
    _along(panel, laws, domain, axis)
    panel.set_title("Law")


def profile(law: Measure, domain: Domain, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return edges and density of one coordinate: of the cells, or of bins for particles."""
    edges = bins.common_bins([law], axis, domain.axes[axis])
    period = np.ptp(edges) if domain.periodic[axis] else None
    return edges, bins.marginal(law, axis, edges, period) / np.diff(edges)


def laws_on_line(
    panel: Axes, runs: Sequence[Run], names: Sequence[str], drawn: Sequence[int]
) -> None:
    """Draw the last laws in one dimension of those runs that are drawn, in one panel."""
    laws = [runs[k].measure(-1) for k in drawn]
    domain = Domain.from_description(runs[0].axes)
    for k, law in zip(drawn, laws, strict=True):
        edges, density = profile(law, domain)
        label = f"{names[k]}, {at(runs[k].time[-1])}"
        if isinstance(law, GridMeasure):
            style = LINES[k % len(LINES)]
            panel.stairs(
                density, edges, baseline=None, label=label, color=colour(k), linestyle=style
            )
        else:
            panel.stairs(density, edges, fill=True, color=colour(k), alpha=0.4, label=label)
    _along(panel, laws, domain, 0)
    panel.set_title("Law")


def _along(panel: Axes, laws: Sequence[Measure], domain: Domain, axis: int) -> None:
    low, high = bins.in_view(laws, axis, domain.axes[axis])
    margin = 0.0 if domain.periodic[axis] else 0.05 * (high - low)
    panel.set_xlim(low - margin, high + margin)
    panel.set_ylim(bottom=0)
    panel.set(xlabel=domain.names[axis], ylabel="density")
    panel.grid(alpha=0.3)
    panel.legend()
