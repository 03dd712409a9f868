"""Laws of the pictures of a law: no mass is lost, no point invented, and rays give the network."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as some

import wgflow as wg
from wgflow.plots import bins, run_figure
from wgflow.plots.law import scale
from wgflow.plots.marginals import history
from wgflow.plots.rays import MOST_RAYS, rays_of


def circle(solver: wg.JKO | wg.FiniteVolume) -> wg.Run:
    """Return a drop on a circle that moves across its ends."""
    problem = wg.Problem(
        energy=wg.Potential(value=lambda v: np.cos(v[:, 0]), gradient=lambda v: -np.sin(v))
        + wg.Entropy(0.3),
        domain=wg.Domain(wg.Circle(), names=("v",)),
        initial=wg.Gaussian(2.0, 0.5),
        horizon=1.0,
    )
    return wg.solve(problem, solver)


@pytest.fixture(scope="module")
def drop() -> wg.Run:
    """A drop on a line whose cells move."""
    problem = wg.get_case("porous-medium", dimension=1).until(1e-3)
    return wg.solve(problem, wg.JKO(step=5e-4, shape=32))


def relu(
    outer: str | int, activation: str = "relu", outputs: int = 1, solver: object = None
) -> wg.Run:
    """Return a network with two inputs, a bias and a scale, by 40 particles."""
    generator = np.random.default_rng(2)
    x = generator.standard_normal((25, 2))
    y = generator.standard_normal((25, outputs))
    neuron = wg.Neuron(activation, outer=outer, bias=True)
    dimension = neuron.dimension(2)
    problem = wg.Problem(
        energy=wg.Energy(wg.Risk(wg.Data(x, y), neuron, scale=1.5)),
        domain=wg.Domain(*[wg.WholeLine()] * dimension),
        initial=wg.Gaussian((0.1,) * dimension, 1.0),
        horizon=0.1,
    )
    return wg.solve(problem, wg.ParticleFlow(count=40, step=0.05))


@given(some.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_mass_goes_from_cells_to_bins_without_loss(seed: int) -> None:
    """Also on a circle, whose cells begin anywhere; and first moments of the parts are right."""
    generator = np.random.default_rng(seed)
    cells = np.concatenate([[0.0], np.sort(generator.uniform(0, 1, 8)), [1.0]])
    shared = np.linspace(0, 1, 14)
    assert bins.overlap(cells, shared).sum(axis=0) == pytest.approx(1)
    turned = bins.overlap(cells + generator.uniform(0, 1), shared, period=1.0)
    assert turned.sum(axis=0) == pytest.approx(1)
    fine = np.linspace(0, 1, 2001)
    middle = (fine[1:] + fine[:-1]) / 2
    centre = (cells[1:] + cells[:-1]) / 2
    assert middle @ bins.overlap(cells, fine) == pytest.approx(centre, abs=1e-3)


def test_the_picture_over_time_holds_the_mass_of_every_save(drop) -> None:
    staying = circle(wg.FiniteVolume(step=0.1, shape=32))
    turning = circle(wg.JKO(step=0.1, shape=32))
    assert turning.measure(-1).edges[0][-1] > np.pi + 0.1
    for run, mean in ((drop, True), (staying, False), (turning, False)):
        time, edges, density = history(run, 0)
        np.testing.assert_array_equal(time, run.time)
        mass = density * np.diff(edges)
        assert mass.sum(axis=1) == pytest.approx(run.mass, rel=1e-4)
        centres = (edges[1:] + edges[:-1]) / 2
        for k, row in enumerate(mass):
            law = run.measure(k)
            wave = (lambda z: z**2) if mean else np.cos
            assert row @ wave(centres) == pytest.approx(law.mass @ wave(law.points[:, 0]), abs=0.02)


def test_cells_that_have_moved_across_the_ends_of_a_circle_are_drawn_between_them() -> None:
    run = circle(wg.JKO(step=0.1, shape=32))
    (panel,) = run_figure(run, ["law"]).axes
    for index, steps in zip((0, -1), (panel.patches[0], panel.patches[-1]), strict=True):
        density, edges, _ = steps.get_data()
        assert (edges[0], edges[-1]) == pytest.approx((-np.pi, np.pi))
        assert density @ np.diff(edges) == pytest.approx(1)
        centres, law = (edges[1:] + edges[:-1]) / 2, run.measure(index)
        mean = density * np.diff(edges) @ np.sin(centres)
        assert mean == pytest.approx(law.mass @ np.sin(law.points[:, 0]), abs=0.02)


def test_a_heat_map_shows_the_density_it_is_given(drop) -> None:
    figure = run_figure(drop, ["history"])
    panel = figure.axes[0]
    (image,) = panel.collections
    np.testing.assert_allclose(image.get_array(), history(drop, 0)[2].T)
    borders = image.get_coordinates()[0, :, 0]
    assert (borders[0], borders[-1]) == (drop.time[0], drop.time[-1])
    law = wg.GridMeasure([np.arange(4.0), np.arange(3.0) / 2], np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(bins.plane(law, 0, 1), law.density)
    np.testing.assert_array_equal(bins.plane(law, 1, 0), law.density.T)


def test_each_pair_of_three_coordinates_has_a_picture_of_its_marginal() -> None:
    problem = wg.Problem(
        energy=wg.Potential.quadratic((1.0, 1.0, 1.0)) + wg.Entropy(0.2),
        domain=wg.Domain(*[wg.Interval(-4, 4)] * 3),
        initial=wg.Gaussian((1.0, 0.0, 0.0), 0.5),
        horizon=0.1,
    )
    run = wg.solve(problem, wg.FiniteVolume(step=0.1, shape=(12, 10, 8)))
    panels = [panel for panel in run_figure(run, ["law"]).axes if panel.get_xlabel()]
    assert [(p.get_xlabel(), p.get_ylabel()) for p in panels] == [
        ("theta_0", "theta_1"),
        ("theta_0", "theta_2"),
        ("theta_1", "theta_2"),
    ]
    mass = run.measure(-1).mass_on_grid.sum(axis=1)
    expected = mass / np.multiply.outer(np.full(12, 8 / 12), np.full(8, 1.0))
    (image,) = panels[1].collections
    np.testing.assert_allclose(image.get_array(), np.clip(expected, image.norm.vmin, None).T)
    assert image.norm.vmax == pytest.approx(expected.max())


def test_scales_reach_from_nothing_to_the_peak() -> None:
    for kind, lowest in (("log", 2e-4), ("linear", 0.0), ("root", 0.0)):
        norm = scale(2.0, kind)
        assert (norm.vmin, norm.vmax) == (pytest.approx(lowest), 2.0)
    assert scale(2.0, "root")(0.5) == pytest.approx(0.5)
    assert scale(0.0, "log").vmin > 0


def test_few_particles_are_drawn_as_they_are_and_many_are_chosen_evenly() -> None:
    position = np.random.default_rng(0).standard_normal((1000, 2))
    cloud = wg.Particles(position)
    assert bins.even_points(cloud) is cloud.points
    chosen = bins.even_points(cloud, 100)
    np.testing.assert_array_equal(chosen, position[5::10])


def test_points_of_a_grid_lie_where_its_mass_lies() -> None:
    edges = np.linspace(0, 1, 6)
    mass = np.outer([0, 0.5, 0, 0.5, 0], [0, 0, 1, 0, 0])
    points = bins.even_points(wg.GridMeasure([edges, edges], mass), 600)
    column = np.floor(points[:, 0] * 5).astype(int)
    assert sorted(set(column)) == [1, 3]
    assert (np.floor(points[:, 1] * 5) == 2).all()
    assert (column == 1).sum() == 300
    # Within a cell they are spread evenly, as the density is constant there.
    inside = points * 5 % 1
    assert inside.mean(axis=0) == pytest.approx(0.5, abs=0.02)
    assert inside.var(axis=0) == pytest.approx(1 / 12, abs=0.01)
    heavy = wg.Particles(np.array([[0.0], [1.0], [2.0]]), np.array([0.25, 0.0, 0.75]))
    assert np.bincount(bins.even_points(heavy, 8)[:, 0].astype(int)).tolist() == [2, 0, 6]


def test_a_cloud_shows_the_particles() -> None:
    run = wg.solve(wg.get_case("motorcycle", horizon=0.1), wg.ParticleFlow(count=60, step=0.05))
    (panel,) = run_figure(run, ["law"], time=0.0).axes
    np.testing.assert_array_equal(panel.lines[0].get_xydata(), run.measure(0).position)


@pytest.mark.parametrize(
    ("outer", "activation"), [("weight", "relu"), (2, "relu"), ("weight", "quadratic")]
)
def test_rays_and_their_signs_are_the_network(outer: str | int, activation: str) -> None:
    """f(x) = scale sum_j m_j sign_j s(<r_j, x>): nothing of a neuron is lost in its ray."""
    outputs = outer if isinstance(outer, int) else 1
    run = relu(outer, activation, outputs)
    x = np.column_stack([run.x, np.ones(len(run.x))])
    value = (lambda z: np.maximum(z, 0)) if activation == "relu" else np.square
    for output in range(outputs):
        rays = rays_of(run, -1, output)
        predicted = 1.5 * value(x @ rays.tip.T) @ (rays.mass * rays.sign)
        np.testing.assert_allclose(predicted, run.prediction[-1][:, output], rtol=1e-9, atol=1e-12)


def test_on_the_circle_a_ray_has_the_angle_v_and_the_length_a() -> None:
    problem = wg.get_case("motorcycle", horizon=0.1)
    run = wg.solve(problem, wg.ParticleFlow(count=60, step=0.05))
    a, v = run.measure(-1).position.T
    (panel,) = run_figure(run, ["rays"]).axes
    for kept, name in ((a > 0, "a > 0"), (a < 0, "a < 0")):
        (dots,) = [drawn for drawn in panel.lines if drawn.get_label() == name]
        tips = np.abs(a[kept])[:, np.newaxis] * np.column_stack([np.cos(v), np.sin(v)])[kept]
        np.testing.assert_allclose(dots.get_xydata(), tips, atol=1e-12)
    starts = np.concatenate([c.get_segments() for c in panel.collections])[:, 0]
    assert len(starts) == 60
    assert not starts.any()
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("|a| cos v", "|a| sin v")
    on_grid = wg.solve(problem, wg.FiniteVolume(step=0.05, shape=(48, 24)))
    rays = rays_of(on_grid, -1, most=MOST_RAYS)
    assert len(rays.tip) == MOST_RAYS
    assert rays.mass.sum() == pytest.approx(1)
    run_figure(on_grid, ["rays"]).draw_without_rendering()


def test_every_output_has_its_rays() -> None:
    figure = run_figure(relu(2, outputs=2), ["rays"])
    shown = [panel.get_title() for panel in figure.axes]
    assert shown == [f"Neurons at t = 0.1, output {k} of 2 (2 of 3 weights)" for k in (1, 2)]
