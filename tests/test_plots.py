"""Laws of the figures: every run is drawn under a name of its own, on scales that show it."""

import numpy as np
import pytest
from conftest import network
from matplotlib.figure import Figure

import wgflow as wg
from wgflow.plots import comparison_figure, run_figure


@pytest.fixture(scope="module")
def drops() -> list[wg.Run]:
    """Barenblatt drops on a line, by cells that move and by cells that stay."""
    problem = wg.get_case("porous-medium", dimension=1).until(1e-3)
    solvers = (wg.JKO(step=5e-4, shape=32), wg.FiniteVolume(step=5e-4, shape=32))
    return [wg.solve(problem, solver) for solver in solvers]


def titles(figure: Figure) -> list[str]:
    return [panel.get_title() for panel in figure.axes]


def legend(panel) -> list[str]:
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_a_run_without_a_risk_shows_its_energies_once_and_two_laws(drops) -> None:
    figure = run_figure(drops[1])
    assert titles(figure).count("Free energy and its terms") == 1
    assert legend(figure.axes[2]) == ["finite-volume, t = 0"]
    assert legend(figure.axes[3]) == ["finite-volume, t = 0.001"]


def test_laws_on_a_line_share_a_panel_that_shows_where_they_have_mass(drops) -> None:
    panel = comparison_figure(drops).axes[2]
    assert legend(panel) == ["jko, t = 0.001", "finite-volume, t = 0.001"]
    radius = max(abs(end) for end in panel.get_xlim())
    assert 0.2 < radius < 0.4  # of a box that ends at 0.5
    low, high = panel.dataLim.intervalx
    assert low < -0.2 and high > 0.2


def test_runs_of_one_solver_are_named_by_what_sets_them_apart(drops) -> None:
    problem = wg.get_case("porous-medium", dimension=1).until(1e-3)
    second = wg.solve(problem, wg.JKO(step=5e-4, shape=32, time_order=2))
    panel = comparison_figure([drops[0], second]).axes[0]
    assert legend(panel) == ["jko", "jko order 2"]


def test_every_density_in_the_plane_has_a_panel_and_a_front_a_linear_scale() -> None:
    problem = wg.get_case("porous-medium").until(2e-4)
    runs = [wg.solve(problem, wg.FiniteVolume(step=1e-4, shape=(n, n))) for n in (16, 24)]
    figure = comparison_figure(runs)
    names = ["finite-volume 16x16", "finite-volume 24x24"]
    assert titles(figure)[2:4] == [f"Law at t = 0.0002: {name}" for name in names]
    for panel in figure.axes[2:4]:
        assert panel.collections[0].norm.vmin == 0
        assert panel.get_aspect() == 1


def test_a_risk_that_hardly_changes_has_ticks() -> None:
    run = wg.solve(network().until(0.02), wg.FiniteVolume(step=0.02, shape=(32, 32)))
    panel = run_figure(run).axes[0]
    low, high = panel.get_ylim()
    assert sum(low <= tick <= high for tick in panel.get_yticks()) >= 3


def test_three_dimensions_say_that_two_are_shown() -> None:
    problem = wg.Problem(
        energy=wg.Potential.quadratic((1.0, 1.0, 1.0)) + wg.Entropy(0.2),
        domain=wg.Domain(*[wg.Interval(-4, 4)] * 3),
        initial=wg.Gaussian((1.0, 0.0, 0.0), 0.5),
        horizon=0.1,
    )
    figure = run_figure(wg.solve(problem, wg.FiniteVolume(step=0.1, shape=(12, 12, 12))))
    shown = [panel for panel in figure.axes if "two of 3 coordinates" in panel.get_title()]
    assert len(shown) == 2
    assert np.isfinite([panel.get_xlim() for panel in shown]).all()
