"""Laws of the two faces of rho: the order of cells, volumes, densities, marginals, integrals."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Particles, cell_volume, grid_law, grid_points

SHAPES = [(1,), (7,), (3, 4), (2, 3, 4)]


def grid_measure(shape: tuple[int, ...], seed: int = 0) -> GridMeasure:
    """A random probability on a grid of unequal cells."""
    random = np.random.default_rng(seed)
    edges = [np.cumsum(random.uniform(0.1, 1.0, count + 1)) - 1.0 for count in shape]
    mass = random.random(shape)
    return GridMeasure(edges, mass / mass.sum())


@pytest.fixture(params=SHAPES, ids=str)
def grid(request: pytest.FixtureRequest) -> GridMeasure:
    return grid_measure(request.param)


def test_points_are_centres_with_the_last_axis_running_fastest(grid: GridMeasure) -> None:
    """points[k] is the centre of the cell whose mass is mass[k]."""
    cells = itertools.product(*(range(count) for count in grid.shape))
    for k, cell in enumerate(cells):
        centre = [(edge[i] + edge[i + 1]) / 2 for edge, i in zip(grid.edges, cell, strict=True)]
        assert grid.points[k] == pytest.approx(centre, rel=1e-15)
        assert grid.mass[k] == grid.mass_on_grid[cell]
    assert grid.points.shape == (grid.mass.size, grid.dimension)


def test_volume_is_the_product_of_the_widths(grid: GridMeasure) -> None:
    for cell in itertools.product(*(range(count) for count in grid.shape)):
        widths = [edge[i + 1] - edge[i] for edge, i in zip(grid.edges, cell, strict=True)]
        assert grid.volume[cell] == pytest.approx(np.prod(widths), rel=1e-14)
    whole = np.prod([edge[-1] - edge[0] for edge in grid.edges])
    assert grid.volume.sum() == pytest.approx(whole, rel=1e-13)
    assert np.array_equal(grid.volume, cell_volume(grid.edges))


def test_density_times_volume_is_mass(grid: GridMeasure) -> None:
    assert grid.density.shape == grid.volume.shape == grid.shape == grid.mass_on_grid.shape
    assert grid.density * grid.volume == pytest.approx(grid.mass_on_grid, rel=1e-14)


def test_marginals_are_the_sums_over_all_other_axes(grid: GridMeasure) -> None:
    for axis in range(grid.dimension):
        expected = np.moveaxis(grid.mass_on_grid, axis, 0).reshape(grid.shape[axis], -1).sum(1)
        assert grid.marginal(axis) == pytest.approx(expected, rel=1e-14)
        assert grid.marginal(axis).sum() == pytest.approx(1.0, rel=1e-14)


def test_axes_of_marginals_count_from_the_end_as_well(grid: GridMeasure) -> None:
    for axis in range(grid.dimension):
        assert np.array_equal(grid.marginal(axis - grid.dimension), grid.marginal(axis))


def test_the_integral_on_a_grid_is_the_midpoint_sum(grid: GridMeasure) -> None:
    def function(points: np.ndarray) -> np.ndarray:
        return np.sin(points).prod(axis=1)

    pairs = zip(grid.points, grid.mass, strict=True)
    expected = sum(mass * np.sin(point).prod() for point, mass in pairs)
    assert grid.integral(function) == pytest.approx(expected, rel=1e-13)
    assert grid.integral(lambda points: np.ones(len(points))) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("measure", [grid_measure((3, 4)), Particles(np.arange(8).reshape(4, 2))])
def test_integrals_of_arrays_keep_their_shape(measure: GridMeasure | Particles) -> None:
    means = measure.integral(lambda points: points)
    assert means == pytest.approx(measure.mass @ measure.points, rel=1e-14)
    seconds = measure.integral(lambda points: points[:, :, np.newaxis] * points[:, np.newaxis])
    assert seconds.shape == (2, 2)
    assert seconds == pytest.approx((measure.points.T * measure.mass) @ measure.points, rel=1e-13)


def test_the_integral_of_a_linear_function_is_exact_on_a_grid() -> None:
    """The midpoint rule is exact for a constant density and a linear function in each cell."""
    edges = np.array([0.0, 0.3, 1.0, 2.0])
    uniform = GridMeasure([edges], np.diff(edges) / 2)
    assert uniform.integral(lambda points: 3 * points[:, 0] - 1) == pytest.approx(2.0, rel=1e-14)


def test_a_grid_measure_need_not_have_mass_one() -> None:
    assert GridMeasure([[0.0, 1.0, 2.0]], [2.0, 0.0]).mass.sum() == 2.0


def test_masses_in_any_memory_order_are_flattened_in_the_order_of_points() -> None:
    mass = np.arange(12.0).reshape(3, 4)
    edges = [np.arange(4.0), np.arange(5.0)]
    assert np.array_equal(
        GridMeasure(edges, np.asfortranarray(mass)).mass, GridMeasure(edges, mass).mass
    )


def test_grid_points_by_hand() -> None:
    points = grid_points([np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])])
    assert points.tolist() == [[0, 5], [0, 6], [0, 7], [1, 5], [1, 6], [1, 7]]


# --- particles ------------------------------------------------------------------------------


def test_particles_have_equal_masses_by_default() -> None:
    particles = Particles(np.zeros((8, 3)))
    assert np.array_equal(particles.mass, np.full(8, 0.125))
    assert particles.dimension == 3


def test_the_integral_against_particles_is_the_weighted_sum() -> None:
    particles = Particles([[1.0, 2.0], [3.0, 4.0]], [0.25, 0.5])
    assert particles.integral(lambda points: points[:, 0] ** 2) == 0.25 + 0.5 * 9
    assert np.array_equal(particles.points, particles.position)


def test_particles_may_have_no_mass() -> None:
    assert Particles([[0.0], [1.0]], [0.0, 1.0]).mass[0] == 0.0


def test_particles_may_diverge() -> None:
    """A run that diverges is reported by its status, not by an error of the measure."""
    assert np.isnan(Particles([[np.nan]]).position).all()


# --- refusals -------------------------------------------------------------------------------

EDGES = [np.array([0.0, 1.0, 2.0])]

REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: Particles([1.0, 2.0]), r"positions have shape \(2,\), but must be \(m, D\)"),
    (lambda: Particles(3.0), r"positions have shape \(\), but must be"),
    (lambda: Particles(np.empty((0, 2))), r"shape \(0, 2\).*at least one particle"),
    (lambda: Particles(np.empty((2, 0))), r"positions have shape \(2, 0\)"),
    (lambda: Particles([["a"]]), "positions .* numbers"),
    (lambda: Particles([[0.0], [1.0]], [1.0]), r"masses must be 2 numbers >= 0.*shape \(1,\)"),
    (lambda: Particles([[0.0]], [[1.0]]), r"masses must be 1 numbers >= 0.*shape \(1, 1\)"),
    (lambda: Particles([[0.0], [1.0]], [1.0, -0.5]), "smallest value -0.5"),
    (lambda: Particles([[0.0], [1.0]], [1.0, np.nan]), "smallest value nan"),
    (lambda: Particles([[0.0], [1.0]], []), r"have shape \(0,\)"),
    (lambda: GridMeasure(EDGES, [1.0]), r"shape \(1,\), but the edges make .* shape \(2,\)"),
    (lambda: GridMeasure(EDGES, [[0.5, 0.5]]), r"shape \(1, 2\), but the edges .* \(2,\)"),
    (lambda: GridMeasure(EDGES * 2, [0.5, 0.5]), r"shape \(2,\), but the edges .* \(2, 2\)"),
    (lambda: GridMeasure([[0.0, 1.0, 1.0]], [0.5, 0.5]), "edges of a grid must increase"),
    (lambda: GridMeasure([[0.0, 2.0, 1.0]], [0.5, 0.5]), "edges of a grid must increase"),
    (lambda: GridMeasure([[0.0, np.nan, 1.0]], [0.5, 0.5]), "edges of a grid must increase"),
    (lambda: GridMeasure(EDGES, [1.5, -0.5]), "must be numbers >= 0, but the smallest is -0.5"),
    (lambda: GridMeasure([], 1.0), "at least one axis"),
    (lambda: GridMeasure([[1.0]], []), "at least one cell"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[m for _, m in REFUSALS])
def test_what_is_refused_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("shape", [(7,), (3, 4)])
def test_mean_and_variance_on_a_grid_are_those_of_its_density(shape: tuple[int, ...]) -> None:
    """By many particles in each cell, spread evenly along the axis."""
    grid, fine = grid_measure(shape), 400
    for axis, edge in enumerate(grid.edges):
        within = (np.arange(fine) + 0.5) / fine
        place = (edge[:-1, np.newaxis] + np.diff(edge)[:, np.newaxis] * within).reshape(-1, 1)
        cloud = Particles(place, np.repeat(grid.marginal(axis) / fine, fine))
        assert grid.mean(axis) == pytest.approx(cloud.mean(), rel=1e-12)
        assert grid.variance(axis) == pytest.approx(cloud.variance(), rel=1e-4)
        for cell in (0, 1):
            level = float(cloud.mass[: cell * fine + fine // 2].sum())
            assert grid.quantile(level, axis) == pytest.approx(edge[cell : cell + 2].mean())


def test_mean_and_variance_of_particles_weigh_them() -> None:
    cloud = Particles(np.array([[0.0, 1.0], [0.0, 5.0]]), np.array([0.25, 0.75]))
    assert (cloud.mean(1), cloud.variance(1)) == (4.0, 3.0)
    assert (cloud.mean(), cloud.variance()) == (0.0, 0.0)


def test_l1_distance_adds_what_the_masses_differ() -> None:
    edges = [np.array([0.0, 1.0, 3.0])]
    one, other = (GridMeasure(edges, np.array(mass)) for mass in ([0.5, 0.5], [0.75, 0.25]))
    assert one.l1_distance(other) == 0.5
    moved = GridMeasure([np.array([0.0, 2.0, 3.0])], np.array([0.5, 0.5]))
    with pytest.raises(InputError, match="on two grids"):
        one.l1_distance(moved)
    assert grid_law(one) is one
    with pytest.raises(InputError, match="cloud of 2 particles, but must be on a grid"):
        grid_law(Particles(np.zeros((2, 1))))
