"""Laws of the figures of runs: what they draw is what the run holds, on scales that show it."""

import copy
import dataclasses
import re

import numpy as np
import pytest
from conftest import network
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import wgflow as wg
from wgflow.cli import main
from wgflow.parser import parser
from wgflow.plots import PANELS, comparison_figure, run_figure, save_figure
from wgflow.plots.course import fall_of_energy


@pytest.fixture(scope="module")
def drops() -> list[wg.Run]:
    """Barenblatt drops on a line, by cells that move and by cells that stay."""
    problem = wg.get_case("porous-medium", dimension=1).until(1e-3)
    solvers = (wg.JKO(step=5e-4, shape=32), wg.FiniteVolume(step=5e-4, shape=32))
    return [wg.solve(problem, solver) for solver in solvers]


@pytest.fixture(scope="module")
def grid() -> wg.Run:
    """A small tanh network on a grid."""
    solver = wg.FiniteVolume(step=0.05, shape=(32, 32))
    return wg.solve(network(horizon=0.2).save_every(0.05), solver)


@pytest.fixture(scope="module")
def cloud() -> wg.Run:
    """The same network by particles at zero temperature."""
    return wg.solve(network(temperature=0, horizon=0.2), wg.ParticleFlow(count=50, step=0.05))


def changed(run: wg.Run, **arrays: np.ndarray) -> wg.Run:
    """Return the run with other values of some variables."""
    dataset = copy.deepcopy(run.dataset)
    for name, values in arrays.items():
        dataset.variables[name] = dataclasses.replace(dataset.variables[name], data=values)
    return wg.Run(dataset)


def titles(figure: Figure) -> list[str]:
    return [panel.get_title() for panel in figure.axes]


def legend(panel: Axes) -> list[str]:
    return [text.get_text() for text in panel.get_legend().get_texts()]


def named(figure: Figure) -> list[str]:
    """Return the names in the one legend of a comparison."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line(panel: Axes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what the line with this label is drawn through."""
    (found,) = [drawn for drawn in panel.lines if drawn.get_label() == name]
    return found.get_xdata(), found.get_ydata()


def sentences(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for p in figure.axes for text in p.texts)


def test_risk_and_energies_are_drawn_as_they_are_recorded(grid) -> None:
    risk, energy = run_figure(grid, ["risk", "energy"]).axes
    np.testing.assert_array_equal(line(risk, grid.solver), (grid.time, grid.risk))
    for name, values in grid.energy.items():
        np.testing.assert_array_equal(line(energy, name), (grid.time, values))
    assert risk.get_xlabel() == energy.get_xlabel() == "mean-field time t"


def test_the_deviation_vanishes_where_the_dissipation_is_minus_dF_dt(grid) -> None:
    """F = e^(-r t) with dissipation r e^(-r t): the logarithmic mean makes it exact."""
    time = np.array([0.0, 0.1, 0.5, 1.5, 4.0])
    falling = changed(
        grid, time=time, energy=3 + np.exp(-2 * time), dissipation=2 * np.exp(-2 * time)
    )
    middle, fall, deviation = fall_of_energy(falling)
    np.testing.assert_allclose(middle, [0.05, 0.3, 1.0, 2.75])
    assert fall[0] == pytest.approx((1 - np.exp(-0.2)) / 0.1)
    assert np.abs(deviation).max() < 1e-12


def test_dissipation_is_drawn_against_the_fall_of_the_energy(grid) -> None:
    panel, below = run_figure(grid, ["dissipation"]).axes
    _, fall, deviation = fall_of_energy(grid)
    np.testing.assert_array_equal(line(panel, "-dF/dt between saves")[1], fall)
    np.testing.assert_array_equal(line(panel, "dissipation")[1], grid.dissipation)
    np.testing.assert_array_equal(below.lines[0].get_ydata(), 100 * deviation)
    assert np.abs(deviation).max() < 0.05  # of this solver at this step


def test_the_gap_lies_above_what_it_bounds(grid) -> None:
    (panel,) = run_figure(grid, ["gap"]).axes
    gap, excess = line(panel, "optimality gap")[1], line(panel, "F - F*")[1]
    np.testing.assert_array_equal(excess, grid.energy["total"] - grid.minimum)
    assert (gap >= excess).all()


def test_a_fit_is_drawn_at_several_times_from_light_to_dark(grid) -> None:
    (panel,) = run_figure(grid, ["fit"]).axes
    order = np.argsort(grid.x[:, 0])
    curves = [drawn for drawn in panel.lines if drawn.get_label().startswith("t = ")]
    assert [curve.get_label() for curve in curves] == [f"t = {t:.4g}" for t in grid.time]
    for curve, values in zip(curves, grid.prediction, strict=True):
        np.testing.assert_array_equal(curve.get_ydata(), values[order, 0])
    brightness = [sum(to_rgb(curve.get_color())) for curve in curves]
    assert (np.diff(brightness) < 0).all()


def test_the_time_chooses_the_nearest_save(grid) -> None:
    figure = run_figure(grid, ["law", "fit"], time=0.11)
    assert "Law at t = 0.1" in titles(figure)
    (fit,) = [panel for panel in figure.axes if panel.get_title() == "Fitted function"]
    assert legend(fit) == ["data", "t = 0.1"]


def many_inputs(loss: str, y: np.ndarray) -> wg.Run:
    x = np.random.default_rng(0).standard_normal((len(y), 2))
    neuron = wg.Neuron("tanh", outer=y.shape[1])
    problem = wg.Problem(
        energy=wg.Energy(wg.Risk(wg.Data(x, y), neuron, loss=loss)),
        domain=wg.Domain(*[wg.WholeLine()] * (2 + y.shape[1])),
        initial=wg.Gaussian((0.0,) * (2 + y.shape[1]), 1.0),
        horizon=0.1,
    )
    return wg.solve(problem, wg.ParticleFlow(count=20, step=0.1))


def test_many_inputs_are_drawn_as_prediction_against_target_for_each_output() -> None:
    run = many_inputs("half_squared", np.random.default_rng(1).standard_normal((30, 2)))
    panels = run_figure(run, ["fit"]).axes
    assert len(panels) == 2
    for output, panel in enumerate(panels):
        target, values = line(panel, "t = 0.1")
        np.testing.assert_array_equal(target, run.y[:, output])
        np.testing.assert_array_equal(values, run.prediction[-1][:, output])


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_classes_are_drawn_by_the_probability_of_the_right_one(loss: str) -> None:
    kind = np.random.default_rng(1).integers(3, size=60)
    y = np.eye(3)[kind] if loss == "softmax" else 2.0 * (kind[:, np.newaxis] > 0) - 1
    run = many_inputs(loss, y)
    (panel,) = run_figure(run, ["fit"]).axes
    f = run.prediction[-1]
    if loss == "softmax":
        right = (np.exp(f) / np.exp(f).sum(axis=1, keepdims=True))[np.arange(60), kind]
        part = (f.argmax(axis=1) == kind).mean()
    else:
        right, part = 1 / (1 + np.exp(-y * f)), (y * f > 0).mean()
    share = np.histogram(right, bins=np.linspace(0, 1, 21))[0] / right.size
    np.testing.assert_allclose(panel.patches[-1].get_data().values, 100 * share)
    assert legend(panel)[-1] == f"t = 0.1: {100 * part:.3g} % right"


def test_an_overview_shows_each_thing_once(drops, grid, cloud) -> None:
    for run in (*drops, grid, cloud):
        shown = [title for title in titles(run_figure(run)) if title]
        assert len(set(shown)) == len(shown)
        assert "Free energy F and its terms" in shown
    assert "Law over time" in titles(run_figure(drops[0]))
    assert {"Risk", "Optimality gap", "Fitted function"} < set(titles(run_figure(grid)))


def test_a_risk_that_hardly_changes_has_ticks(grid) -> None:
    panel = run_figure(grid, ["risk"]).axes[0]
    low, high = panel.get_ylim()
    assert sum(low <= tick <= high for tick in panel.get_yticks()) >= 3


def test_runs_that_hold_little_are_drawn_with_a_sentence_for_what_is_missing(
    grid, cloud, drops
) -> None:
    for run in (grid, cloud, *drops):
        first = np.zeros_like(run.dataset.variables["recorded"].data)
        first[0] = 1
        run_figure(changed(run, recorded=first)).draw_without_rendering()
    summary = wg.solve(network(horizon=0.1), wg.FiniteVolume(step=0.1), save="summary")
    figure = run_figure(summary)
    figure.draw_without_rendering()
    assert "is not stored" in sentences(figure) and "no predictions" in sentences(figure)
    final = wg.solve(network(horizon=0.1), wg.FiniteVolume(step=0.1), save="final")
    assert "Law at t = 0.1" in titles(run_figure(final, time=0.0))


def test_rows_that_are_not_numbers_are_left_out(grid, cloud) -> None:
    """As of a run that diverged after its first save."""
    names = ("risk", "energy", "dissipation", "gap", "prediction", "mass_on_grid", "position")
    for run in (grid, cloud):
        variables = run.dataset.variables
        held = {name: variables[name].data.copy() for name in names if name in variables}
        for values in held.values():
            values[1:] = np.nan
        figure = run_figure(changed(run, **held))
        figure.draw_without_rendering()
        assert "Law at t = 0" in titles(figure)


def test_what_a_run_does_not_have_is_refused_by_name(drops, grid, cloud) -> None:
    for run, panel, part in (
        (drops[0], "risk", "no network"),
        (drops[0], "fit", "no network"),
        (drops[0], "rays", "no network"),
        (drops[0], "gap", "no optimality gap"),
        (grid, "rays", "relu, linear, quadratic"),
        (grid, "density", "risk"),
    ):
        with pytest.raises(wg.InputError, match=part):
            run_figure(run, [panel])
    with pytest.raises(wg.InputError, match="twice"):
        run_figure(grid, ["risk", "risk"])
    with pytest.raises(wg.InputError, match="finite number"):
        run_figure(grid, ["law"], time=np.nan)
    noisy = wg.solve(network(horizon=0.1), wg.ParticleFlow(count=20, step=0.1))
    with pytest.raises(wg.InputError, match="temperature above 0"):
        run_figure(noisy, ["dissipation"])


def test_a_time_is_refused_where_no_panel_shows_one(grid) -> None:
    for panels in (["risk"], ["history", "energy"]):
        with pytest.raises(wg.InputError, match=r"at a time \(law, marginals, fit, rays\)"):
            run_figure(grid, panels, time=0.1)
    run_figure(grid, ["risk", "fit"], time=0.1)


def test_entropic_steps_have_a_line_on_why_the_energy_falls_less() -> None:
    problem = network(horizon=0.5)
    steps = {"step": 0.25, "shape": (48, 48)}
    for solver, said in (
        (wg.JKO(**steps, method="entropic"), True),
        (wg.JKO(**steps), True),  # the usual method in the plane
        (wg.JKO(**steps, method="balanced"), False),
        (wg.FiniteVolume(**steps), False),
    ):
        panel = run_figure(wg.solve(problem, solver), ["dissipation"]).axes[-1]
        assert ("lower for entropic steps" in panel.get_xlabel()) == said


@pytest.mark.parametrize("value", [1e308, -1.7e308, np.inf, 1e-320])
@pytest.mark.parametrize(
    ("name", "panels"),
    [
        ("risk", ["risk"]),
        ("energy", ["energy", "dissipation", "gap"]),
        ("dissipation", ["dissipation"]),
        ("mass_on_grid", ["law", "history"]),
        ("prediction", ["fit"]),
    ],
)
def test_numbers_at_the_ends_of_what_there_is_end_in_a_figure_or_a_sentence(
    name: str, panels: list[str], value: float, grid, tmp_path
) -> None:
    """Without a warning, which pytest takes for an error."""
    held = grid.dataset.variables[name].data
    last = held.copy()
    last[-1] = value
    for values in (last, np.full_like(held, value)):
        try:
            save_figure(run_figure(changed(grid, **{name: values}), panels), tmp_path / "a.svg")
        except wg.InputError as error:
            told = "too large|is a finite number|not finite|no risk|numbers >= 0"
            assert re.search(told, str(error))
        (tmp_path / "a.svg").unlink(missing_ok=True)


@pytest.mark.parametrize("value", [1e308, -1.7e308])
def test_a_law_that_is_too_far_out_is_a_sentence(value: float, cloud) -> None:
    far = np.full_like(cloud.dataset.variables["position"].data, value)
    for positions in (far, far * np.where(np.arange(far.shape[1]) % 2, 1, -1)[:, np.newaxis]):
        run = changed(cloud, position=positions)
        for panel in ("law", "marginals", "history"):
            with pytest.raises(wg.InputError, match="too large to be drawn"):
                run_figure(run, [panel])
        assert "too large to be drawn" in sentences(run_figure(run))


def test_the_help_names_every_panel() -> None:
    commands = parser()._subparsers._group_actions[0].choices
    text = " ".join(commands["plot"].format_help().split())
    assert ", ".join(PANELS) in text


def test_the_command_draws_chosen_panels_and_refuses_before_it_writes(
    grid, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    grid.save("run.h5")
    assert main(["plot", "run.h5", "--panel", "risk,law", "--time", "0.1"]) == 0
    assert capsys.readouterr().out == "Wrote run-risk-law.png\n"
    for options, part in (
        (["--panel", "risk,law"], "--force"),
        (["--panel", "rays"], "tanh"),
        (["--panel", "riks"], "did you mean 'risk'"),
        (["--time", "soon"], "must be a number"),
        (["--time", "nan"], "finite"),
        (["--panel", "risk", "--time", "1"], "law, marginals, fit, rays"),
        (["-o", ""], "--output is empty"),
        (["--animate", ""], "--animate is empty"),
        (["--animate", "law.gif", "--fps", ""], "--fps is empty"),
        (["--fps", "5"], "--animate"),
        (["-o", "run.txt"], ".png"),
    ):
        assert main(["plot", "run.h5", *options]) == 2
        said = capsys.readouterr().err
        assert part in said and said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-risk-law.png", "run.h5"]


def test_laws_on_a_line_share_a_panel_that_shows_where_they_have_mass(drops) -> None:
    figure = comparison_figure(drops)
    panel = figure.axes[2]
    assert named(figure) == ["jko", "finite-volume"]
    assert panel.get_title() == "Law at t = 0.001"
    radius = max(abs(end) for end in panel.get_xlim())
    assert 0.2 < radius < 0.4  # of a box that ends at 0.5
    low, high = panel.dataLim.intervalx
    assert low < -0.2 and high > 0.2


def test_runs_of_one_solver_are_named_by_what_sets_them_apart(drops) -> None:
    problem = wg.get_case("porous-medium", dimension=1).until(1e-3)
    second = wg.solve(problem, wg.JKO(step=5e-4, shape=32, time_order=2))
    assert named(comparison_figure([drops[0], second])) == ["jko", "jko order 2"]


def test_every_density_in_the_plane_has_a_panel_and_a_front_a_linear_scale() -> None:
    problem = wg.get_case("porous-medium").until(2e-4)
    runs = [wg.solve(problem, wg.FiniteVolume(step=1e-4, shape=(n, n))) for n in (16, 24)]
    figure = comparison_figure(runs)
    names = ["finite-volume 16x16", "finite-volume 24x24"]
    assert titles(figure)[2:4] == [f"Law at t = 0.0002: {name}" for name in names]
    for panel in figure.axes[2:4]:
        assert panel.collections[0].norm.vmin == 0
        assert panel.get_aspect() == 1


def test_a_comparison_without_laws_says_so(grid) -> None:
    summary = wg.solve(network(horizon=0.1), wg.FiniteVolume(step=0.1), save="summary")
    assert "is not stored" in sentences(comparison_figure([summary, summary]))
    mixed = comparison_figure([grid, summary])
    assert sum(title.startswith("Law at t = 0.2") for title in titles(mixed)) == 1
    fits = [drawn.get_label() for drawn in mixed.axes[1].lines]
    assert fits == ["data", "finite-volume 32x32 step 0.05, t = 0.2"]
    assert "is not stored" in sentences(mixed)
