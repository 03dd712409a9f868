"""Laws of the figures of a comparison: one legend that hides nothing, titles that fit."""

import itertools

import numpy as np
import pytest
from altered_runs import altered
from conftest import network, well
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

import wgflow as wg
from wgflow.comparison_plot import change_figure, figure_of, time_figure
from wgflow.plots.side_by_side import LONG


@pytest.fixture(scope="module")
def flow() -> wg.Run:
    return wg.solve(network(), wg.ParticleFlow(count=40, step=0.25))


@pytest.fixture(scope="module")
def grid() -> wg.Run:
    return wg.solve(network(), wg.JKO(step=0.5, shape=(34, 34)))


def many(flow: wg.Run, count: int, *, long: bool) -> list[wg.Run]:
    """Return runs whose names are long or short."""
    settings = flow.provenance["settings"]
    if not long:
        return [altered(flow, settings={**settings, "step": 0.01 * k}) for k in range(1, count + 1)]
    names = [{"temperature": 0.01 * k, "window_of_data": 6.0 + k} for k in range(1, count + 1)]
    return [altered(flow, parameters=held) for held in names]


def boxes(figure: Figure) -> tuple[list[Bbox], list[Bbox], list[Bbox], Bbox]:
    """Return where the panels, their titles, all titles, and the one legend are drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    panels = [panel for panel in figure.axes if panel.get_xlabel() or panel.get_title()]
    (legend,) = figure.legends
    assert not any(panel.get_legend() for panel in figure.axes)
    titles = [panel.title.get_window_extent(renderer) for panel in panels if panel.get_title()]
    above = [] if figure.get_suptitle() == "" else [figure._suptitle.get_window_extent(renderer)]
    areas = [panel.get_window_extent(renderer) for panel in panels]
    return areas, titles, [*titles, *above], legend.get_window_extent(renderer)


def check_laid_out(figure: Figure) -> None:
    """Check that nothing hangs out of the figure and nothing covers another."""
    areas, titles, texts, legend = boxes(figure)
    width, height = figure.get_size_inches() * figure.dpi
    for box in (*texts, legend):
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
    for one, other in itertools.combinations([*texts, legend], 2):
        assert not one.overlaps(other)
    for area in areas:
        assert not any(area.overlaps(title) for title in titles)
        assert not area.overlaps(legend)
        assert area.height > 0.18 * width  # the panels keep their height


def names_in(figure: Figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize("long", [False, True])
def test_titles_and_the_legend_cover_nothing(flow, grid, count: int, long: bool) -> None:
    runs = [*many(flow, count - 1, long=long), grid]
    found = wg.compare(*runs)
    figure = figure_of(found)
    check_laid_out(figure)
    numbers = [f"({k})" for k in range(1, count + 1)]
    title = figure.axes[2].get_title().replace("\n", " ")
    if max(map(len, found.names)) > LONG:
        shown = [" ".join(pair) for pair in zip(numbers, found.names, strict=True)]
        assert title == f"Law at t = 1: (1) over ({count}) density"
    else:
        shown = found.names
        assert title == f"Law at t = 1: {shown[0]} over jko density"
    assert names_in(figure) == [*shown, "data"]
    assert (max(map(len, found.names)) > LONG) == (long and count > 2)


def test_the_figures_over_time_have_their_legend_below(flow, grid) -> None:
    for long in (False, True):
        found = wg.compare(*many(flow, 5, long=long), grid)
        for figure in (time_figure(found, "sliced_w2"), change_figure(found, "risk")):
            check_laid_out(figure)
            assert names_in(figure) == found.names[:-1]  # the reference is no distance from itself


def test_a_text_of_a_file_stays_inside_the_figure(flow, grid) -> None:
    hostile = [altered(flow, solver="x" * 500, case="$" + "y" * 500), altered(grid, solver="z^$_{")]
    check_laid_out(figure_of(wg.compare(*hostile)))
    called = ((flow, "X"), (flow, "Y"), (grid, "Z"))
    whole = [altered(run, solver=letter * LONG) for run, letter in called]
    check_laid_out(figure_of(wg.compare(*whole)))


def test_a_legend_line_is_that_of_its_run(flow, grid) -> None:
    found = wg.compare(*many(flow, 7, long=False), grid)
    figure = figure_of(found)
    for k, handle in enumerate(figure.legends[0].legend_handles[:-1]):
        line = figure.axes[0].lines[k]
        np.testing.assert_array_equal(line.get_ydata(), found.runs[k].risk)
        for name in ("color", "linestyle", "marker"):
            assert getattr(line, f"get_{name}")() == getattr(handle, f"get_{name}")()


def test_runs_that_end_at_other_times_say_so() -> None:
    solver = wg.JKO(step=0.1, shape=128)
    ends = [wg.solve(well(horizon=horizon), solver) for horizon in (0.2, 0.3)]
    figure = figure_of(wg.compare(*ends, ends[0]))
    said = [name.rpartition(", ")[2] for name in names_in(figure)]
    assert said == ["to t = 0.2", "to t = 0.3", "to t = 0.2"]
    assert figure.axes[2].get_title() == "Law at the last save of each"
    same = figure_of(wg.compare(ends[0], ends[0]))
    assert same.axes[2].get_title() == "Law at t = 0.2"
