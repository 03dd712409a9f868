"""Laws of the figure of a case: what each style of curve becomes, and that nothing is covered."""

import itertools
import pathlib

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import wgflow as wg
from wgflow.case import case_from_file
from wgflow.case_plot import case_figure, panels_figure
from wgflow.cli import main
from wgflow.panel import STYLES, Curve, Panel

OWN = pathlib.Path(__file__).parent.parent / "docs" / "examples" / "own_case.py"
X = np.linspace(0.1, 1, 10)


def panel(*curves: Curve, **options: object) -> Panel:
    return Panel("Title", "x", "y", curves or [Curve("line", X, X)], **options)


def drawn(*curves: Curve, **options: object) -> Axes:
    (area,) = panels_figure([panel(*curves, **options)]).axes
    return area


def labels(area: Axes) -> list[str]:
    legend = area.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_what_is_computed_is_coloured_and_what_it_is_compared_with_dashed_above_it() -> None:
    line, points, dashed = drawn(*(Curve(style, X, X, style) for style in STYLES)).lines
    styles = dict(zip(STYLES, (line, points, dashed), strict=True))
    assert styles["line"].get_linestyle() == "-" and styles["line"].get_marker() == "None"
    assert styles["points"].get_linestyle() == "None" and styles["points"].get_marker() != "None"
    assert styles["dashed"].is_dashed()
    grey = to_rgb(styles["dashed"].get_color())
    assert max(grey) == min(grey) < 0.3
    assert styles["line"].get_color() != styles["points"].get_color()
    assert styles["line"].get_zorder() < styles["dashed"].get_zorder()


def test_a_label_has_one_style_and_one_entry_and_none_keeps_the_style_before_it() -> None:
    curves = [Curve(label, X, k * X) for k, label in enumerate(["a", "b", "", "a"])]
    area = drawn(*curves, Curve("exact", X, X, "dashed"), Curve("exact", X, -X, "dashed"))
    a, b, none, again, exact, other = area.lines
    assert a.get_color() == again.get_color() != b.get_color() == none.get_color()
    assert exact.get_linestyle() == other.get_linestyle()
    assert labels(area) == ["a", "b", "exact"]


def test_two_references_are_told_apart_by_their_dashes() -> None:
    one, two = drawn(Curve("one", X, X, "dashed"), Curve("two", X, -X, "dashed")).lines
    assert one._dash_pattern != two._dash_pattern


def test_times_go_from_light_to_dark() -> None:
    curves = [Curve(f"t = {time}", X, X + time) for time in (0, 1, 2)]
    brightness = [sum(to_rgb(line.get_color())) for line in drawn(*curves).lines]
    assert brightness == sorted(brightness, reverse=True) and len(set(brightness)) == 3


def test_labels_titles_and_scales_are_those_of_the_panel() -> None:
    area = drawn(x_scale="log", y_scale="log")
    assert (area.get_title(), area.get_xlabel(), area.get_ylabel()) == ("Title", "x", "y")
    assert area.get_xscale() == area.get_yscale() == "log"


def test_equal_axes_have_units_of_one_length() -> None:
    area = drawn(Curve("", X, 100 * X), equal=True)
    area.figure.draw_without_rendering()
    (a, b), (c, d) = area.transData.transform([(0, 0), (1, 1)])
    assert abs(c - a) == pytest.approx(abs(d - b), rel=1e-9)


def test_what_has_no_logarithm_is_left_out() -> None:
    area = drawn(Curve("", X, np.where(X > 0.5, X, -X)), y_scale="log")
    (line,) = area.lines
    places = line.get_transform().transform(line.get_xydata())
    assert (np.isnan(places[:, 1]) == (X <= 0.5)).all()  # or it would fall to the lower edge
    assert area.get_ylim()[0] > 0.3
    with pytest.raises(wg.InputError, match="y axis of the panel 'Title' is logarithmic"):
        drawn(Curve("", X, -X), y_scale="log")


@pytest.mark.parametrize("ratio", [1.5, 8.0, 40.0, 1e3])
def test_the_labels_of_a_logarithmic_axis_do_not_overlap(ratio: float) -> None:
    x = np.geomspace(0.006, 0.006 * ratio, 5)
    area = panels_figure([panel(Curve("", x, x), x_scale="log")] * 3).axes[0]
    area.figure.draw_without_rendering()
    ticks = [*area.xaxis.get_major_ticks(), *area.xaxis.get_minor_ticks()]
    boxes = sorted(
        (tick.label1.get_window_extent() for tick in ticks if tick.label1.get_text()),
        key=lambda box: box.x0,
    )
    inside = [box for box in boxes if area.bbox.x0 <= (box.x0 + box.x1) / 2 <= area.bbox.x1]
    assert inside
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(inside))


def test_a_large_family_of_lines_without_labels_is_thin() -> None:
    family = [Curve("", X, k * X) for k in range(20)]
    *thin, thick = drawn(*family, Curve("mean", X, 10 * X)).lines
    assert {line.get_linewidth() < 1 for line in thin} == {True} and thick.get_linewidth() == 2
    assert {line.get_linewidth() for line in drawn(*family[:3]).lines} == {2}


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2))])
def test_panels_stand_in_rows(count: int, shape: tuple[int, int]) -> None:
    areas = panels_figure([panel()] * count, "name").axes
    assert len(areas) == count
    grid = areas[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == shape


def test_no_panels_are_refused() -> None:
    with pytest.raises(wg.InputError, match="at least one"):
        panels_figure([])


def covered(figure: Figure) -> list[int]:
    """Return how many pixels are drawn on, without the legends, where each legend stands."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")
    boxes = []
    for area in figure.axes:
        area.grid(False)
        if area.get_legend() is not None:
            boxes.append(area.get_legend().get_window_extent())
            area.get_legend().remove()
    canvas.draw()
    dark = np.asarray(canvas.buffer_rgba())[::-1, :, :3].min(axis=2) < 200
    return [int(dark[int(b.y0) : int(b.y1), int(b.x0) : int(b.x1)].sum()) for b in boxes]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("count", [1, 4])
def test_no_legend_lies_on_a_curve_or_a_label(style: str, count: int) -> None:
    generator = np.random.default_rng(count)
    where = np.linspace(0, 1, 30)
    curves = [
        Curve(f"curve {k} of some", where, generator.standard_normal(30), style)
        for k in range(count)
    ]
    figure = panels_figure([panel(*curves), panel(Curve("one", where, where**2, style))], "two")
    assert covered(figure) == [0, 0]


CASE = """
import wgflow as wg
SOURCE, CHECKS = "made up", ()
SOLVERS = {"jko": wg.JKO(step=0.1, shape=(32,), max_iterations=ITERATIONS)}
def problem():
    domain = wg.Domain(wg.Interval(-4, 4))
    return wg.Problem(wg.Energy(wg.Entropy(0.2)), domain, wg.Gaussian(0.0, 0.5), 0.2)
"""


def test_a_case_without_a_figure_gets_the_overview_of_its_first_solver(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "plain.py"
    path.write_text(CASE.replace("ITERATIONS", "200"))
    steps = []
    figure = case_figure(case_from_file(path), progress=lambda at: steps.append(at.step))
    assert "jko" in figure.get_suptitle() and max(steps) == 10
    path.write_text(CASE.replace("ITERATIONS", "1"))
    with pytest.raises(wg.InputError, match="plain.py.*not converged"):
        case_figure(case_from_file(path))


def test_the_command_draws_the_figure_of_a_case_once(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.py").write_text(CASE.replace("ITERATIONS", "200"))
    assert main(["show", "plain.py", "--plot", "figure.png"]) == 0
    assert pathlib.Path("figure.png").read_bytes()[:4] == b"\x89PNG"
    out, err = capsys.readouterr()
    assert "Wrote figure.png" in out and "10/10" in err
    assert main(["show", "plain.py", "--plot", "figure.png"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["show", "plain.py", "--plot", "figure.png", "--force"]) == 0
    assert main(["show", "plain.py", "--plot", "figure.bmp"]) == 2
    assert main(["show", "run.h5", "--plot", "figure.svg"]) == 2
    assert "wgflow plot" in capsys.readouterr().err
    assert sorted(path.suffix for path in tmp_path.glob("figure*")) == [".png"]


def test_show_prints_all_that_a_case_declares(capsys) -> None:
    assert main(["show", str(OWN)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    case = case_from_file(OWN)
    for check in case.checks:
        for part in (check.quantity, check.source, check.reason, f"{check.tolerance:.2g}"):
            assert part in text
    for part in (case.equation, case.caption, case.source, "step = 0.1, 0.05, 0.025"):
        assert " ".join(part.split()) in text
    assert "1.0194491359192 +- 3e-13" in text  # with the digits that the tolerance tells apart


@pytest.mark.slow
@pytest.mark.parametrize("name", wg.list_cases())
def test_every_named_case_has_a_figure_of_numbers_with_a_caption(name: str) -> None:
    case = wg.find_case(name)
    assert case.has_figure and case.caption
    panels = case.figure()
    for curve in (curve for panel in panels for curve in panel.curves):
        assert np.isfinite(curve.x).all() and np.isfinite(curve.y).any()
    figure = panels_figure(panels, name)
    assert not any(covered(figure))
