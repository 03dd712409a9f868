"""Laws of the initial laws: masses, sampling, and particles that do not depend on their number."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from wgflow.domain import Axis, Circle, Domain, Interval, WholeLine
from wgflow.errors import InputError
from wgflow.law import Density, Gaussian, Law, Product, Samples, Uniform
from wgflow.measure import GridMeasure
from wgflow.noise import BLOCK

COUNT = 20_000


def bump(points: np.ndarray) -> np.ndarray:
    """A density on [0, 2] that is not normalised, 3 x^2 + 1, times 1 + |y| on a second axis."""
    return np.prod([(3 * points[:, 0] ** 2 + 1), *(1 + np.abs(points[:, 1:].T))], axis=0)


def bump_cdf(x: np.ndarray) -> np.ndarray:
    return (x**3 + x) / 10


LAWS: dict[str, Law] = {
    "gaussian": Gaussian(1.0, 0.5),
    "gaussian 2-D": Gaussian([0.0, -3.0], [1.0, 0.1]),
    "uniform": Uniform(-1.0, 3.0),
    "uniform 2-D": Uniform([0.0, 5.0], [1.0, 5.5]),
    "product": Product(Gaussian(0.0, 1.0), Uniform(-math.pi, math.pi)),
    "samples": Samples(np.random.default_rng(0).normal(size=(30, 2))),
    "density": Density(bump, 0.0, 2.0),
    "density 2-D": Density(bump, [0.0, 0.0], [2.0, 1.0], resolution=32),
    "flat density": Density(lambda x: np.ones(len(x)), [0.0, 2.0], [1.0, 5.0], resolution=2),
}

each = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
MARGINALS: list[tuple[str, int, Callable[[np.ndarray], np.ndarray]]] = [
    ("gaussian", 0, stats.norm(1.0, 0.5).cdf),
    ("gaussian 2-D", 0, stats.norm(0.0, 1.0).cdf),
    ("gaussian 2-D", 1, stats.norm(-3.0, 0.1).cdf),
    ("uniform", 0, stats.uniform(-1.0, 4.0).cdf),
    ("uniform 2-D", 1, stats.uniform(5.0, 0.5).cdf),
    ("product", 0, stats.norm.cdf),
    ("product", 1, stats.uniform(-math.pi, 2 * math.pi).cdf),
    ("density", 0, bump_cdf),
    ("density 2-D", 0, bump_cdf),
    ("density 2-D", 1, lambda y: (y + y**2 / 2) / 1.5),
    ("flat density", 1, stats.uniform(2.0, 3.0).cdf),
]
known = pytest.mark.parametrize(("name", "axis", "cdf"), MARGINALS)


def box(law: Law, cells: int = 9) -> list[np.ndarray]:
    """Unequal edges on each axis from -4 to 7."""
    random = np.random.default_rng(1)
    inner = np.sort(random.uniform(-4, 7, (law.dimension, cells - 1)), axis=1)
    return [np.concatenate([[-4.0], edge, [7.0]]) for edge in inner]


# --- masses ---------------------------------------------------------------------------------


@each
def test_masses_are_a_probability_on_the_grid(law: Law) -> None:
    mass = law.masses(box(law))
    assert mass.shape == (9,) * law.dimension
    assert mass.sum() == pytest.approx(1.0, rel=1e-14)
    assert (mass >= 0).all()
    assert np.array_equal(law.grid(box(law)).mass_on_grid, mass)


@known
def test_masses_are_differences_of_the_distribution_function(
    name: str, axis: int, cdf: Callable
) -> None:
    law = LAWS[name]
    lower, upper = (0.0, 2.0 - axis) if isinstance(law, Density) else (-30.0, 30.0)
    edges = [np.linspace(lower, upper, 4001 if k == axis else 3) for k in range(law.dimension)]
    if name == "density 2-D":
        edges[1 - axis] = np.linspace(0.0, 1.0 + axis, 401)
    if name == "flat density":
        edges = [np.linspace(0.0, 1.0, 3), np.linspace(2.0, 5.0, 7)]
    mass = law.grid(edges).marginal(axis)
    # The midpoint rule of a density is off by its second derivative, here 6 h^2 / 24.
    tolerance = 1e-5 if isinstance(law, Density) else 1e-13
    assert np.cumsum(mass) == pytest.approx(cdf(edges[axis][1:]), abs=tolerance)


def test_masses_of_a_density_have_order_two() -> None:
    law, errors = Density(bump, 0.0, 2.0), []
    for cells in (20, 40, 80):
        edge = np.linspace(0.0, 2.0, cells + 1)
        errors.append(np.abs(np.cumsum(law.masses([edge])) - bump_cdf(edge[1:])).max())
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx([2.0, 2.0], abs=0.05)


def test_masses_of_a_flat_density_are_the_volumes_of_unequal_cells() -> None:
    edges = [np.array([0.0, 0.1, 0.3, 1.0]), np.array([2.0, 4.0, 5.0])]
    expected = np.multiply.outer([0.1, 0.2, 0.7], [2 / 3, 1 / 3])
    assert LAWS["flat density"].masses(edges) == pytest.approx(expected, rel=1e-14)


def test_tails_keep_relative_accuracy() -> None:
    """Each cell against quadrature of exp(-(z^2 - a^2) / 2), up to 37 widths on both sides."""
    edge = np.arange(-38.0, 39.0)
    mass = Gaussian(2.0, 0.5).masses([2.0 + 0.5 * edge])
    for k, a in enumerate(edge[38:-1]):
        scaled, _ = integrate.quad(lambda z, a=a: math.exp((a - z) * (a + z) / 2), a, a + 1)
        expected = scaled * math.exp(-(a**2) / 2) / math.sqrt(2 * math.pi)
        assert mass[38 + k] == pytest.approx(expected, rel=1e-11)
        assert mass[37 - k] == pytest.approx(expected, rel=1e-11)


def test_the_middle_cells_keep_relative_accuracy_when_narrow() -> None:
    width = 1e-6
    edge = 5.0 + width * np.arange(3)
    fine = np.concatenate([[-40.0], edge, [40.0]])
    mass = Gaussian(0.0, 1.0).masses([fine])
    expected = width * stats.norm.pdf(edge[:-1] + width / 2)
    assert mass[1:3] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("law", [Gaussian(0.0, 1.0), Uniform(-2.0, 2.0)])
def test_a_cut_law_keeps_its_shape_inside(law: Law) -> None:
    whole = np.linspace(-8.0, 8.0, 65)
    part = whole[34:50]
    inside = law.masses([whole])[34:49]
    assert law.masses([part]) == pytest.approx(inside / inside.sum(), rel=1e-12)


def test_a_law_cut_in_its_far_tail_keeps_its_shape() -> None:
    """Nearly all mass of a law cut at 20 widths stands next to the wall."""
    edge = np.linspace(20.0, 21.0, 11)
    scaled = np.diff(stats.norm.sf(edge)) / -(stats.norm.sf(20.0) - stats.norm.sf(21.0))
    assert Gaussian().masses([edge]) == pytest.approx(scaled, rel=1e-10)


def test_a_product_is_the_outer_product() -> None:
    laws = Gaussian([0.0, 1.0], 1.0), Uniform(-1.0, 2.0), Density(bump, 0.0, 2.0)
    product = Product(*laws)
    edges = box(product)
    parts = [laws[0].masses(edges[:2]), laws[1].masses(edges[2:3]), laws[2].masses(edges[3:])]
    expected = functools.reduce(np.multiply.outer, parts)
    assert product.dimension == 4
    assert product.masses(edges) == pytest.approx(expected, rel=1e-13)


def test_coordinates_of_a_gaussian_are_independent() -> None:
    law = LAWS["gaussian 2-D"]
    edges = box(law)
    parts = [Gaussian(0.0, 1.0).masses(edges[:1]), Gaussian(-3.0, 0.1).masses(edges[1:])]
    assert law.masses(edges) == pytest.approx(np.multiply.outer(*parts), rel=1e-13)


def test_masses_of_samples_are_counts() -> None:
    law = Samples([[0.1], [0.1], [0.9], [2.5], [-7.0]])
    assert law.masses([np.array([0.0, 0.5, 1.0, 3.0])]) == pytest.approx([0.5, 0.25, 0.25])


# --- sampling -------------------------------------------------------------------------------


@known
def test_samples_follow_the_distribution_function(name: str, axis: int, cdf: Callable) -> None:
    values = LAWS[name].sample(np.random.default_rng(2), COUNT)[:, axis]
    assert stats.kstest(values, cdf).pvalue > 1e-3


@each
def test_means_of_samples_are_those_of_the_masses(law: Law) -> None:
    """Sampling and integration are two views of one law: mean and variance on each axis."""
    drawn = law.sample(np.random.default_rng(3), COUNT)
    assert drawn.shape == (COUNT, law.dimension)
    fine = 4000 if law.dimension == 1 else 700
    grid = law.grid([np.linspace(-8.0, 8.0, fine + 1)] * law.dimension)
    mean = grid.integral(lambda points: points)
    variance = grid.integral(lambda points: (points - mean) ** 2)
    # A cell of 0.023 moves points by half as much and adds its variance to that of points.
    coarse = 16.0 / fine
    error = np.sqrt(variance / COUNT)
    assert np.abs(drawn.mean(axis=0) - mean).max() < coarse / 2 + 4.5 * error.max()
    spread = np.sqrt(2 / COUNT) * variance
    assert (np.abs(drawn.var(axis=0) - variance) < coarse * (1 + variance) + 4.5 * spread).all()


@pytest.mark.parametrize(
    "name", ["gaussian 2-D", "uniform 2-D", "product", "density 2-D", "flat density"]
)
def test_coordinates_are_drawn_independently(name: str) -> None:
    one, other = LAWS[name].sample(np.random.default_rng(4), COUNT).T
    assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / math.sqrt(COUNT)


def test_a_density_that_is_no_product_is_drawn_by_its_cells() -> None:
    """Counts on a coarse grid against the masses, by chi squared; a ring is far from a product."""

    def ring(points: np.ndarray) -> np.ndarray:
        return np.exp(-8 * (np.hypot(*points.T) - 1.0) ** 2)

    law = Density(ring, [-2.0, -1.0], [2.0, 2.0], resolution=64)
    drawn = law.sample(np.random.default_rng(5), COUNT)
    assert (drawn >= [-2.0, -1.0]).all()
    assert (drawn <= [2.0, 2.0]).all()
    coarse = [np.linspace(-2.0, 2.0, 9), np.linspace(-1.0, 2.0, 9)]
    counts, _, _ = np.histogram2d(*drawn.T, bins=coarse)
    fine = law.masses([np.linspace(-2.0, 2.0, 65), np.linspace(-1.0, 2.0, 65)])
    expected = fine.reshape(8, 8, 8, 8).sum(axis=(1, 3)) * COUNT
    assert stats.chisquare(counts.ravel(), expected.ravel()).pvalue > 1e-3


def test_a_density_has_no_mass_outside_its_box() -> None:
    law = Density(lambda x: np.ones(len(x)), 0.0, 1.0)
    assert law.masses([np.array([-1.0, 0.0, 1.0, 2.0])]) == pytest.approx([0.0, 1.0, 0.0])


def test_a_density_is_asked_inside_its_box_only() -> None:
    """Outside of it, the function need not be defined."""

    def half_circle(points: np.ndarray) -> np.ndarray:
        assert (np.abs(points) <= 1.0).all()
        return np.sqrt(1 - points[:, 0] ** 2)

    mass = Density(half_circle, -1.0, 1.0).masses([np.linspace(-3.0, 3.0, 13)])
    assert mass.sum() == pytest.approx(1.0, rel=1e-14)
    assert np.flatnonzero(mass).tolist() == [4, 5, 6, 7]


def test_samples_are_drawn_evenly_and_with_replacement() -> None:
    law = Samples([[0.0], [1.0], [2.0], [3.0]])
    drawn = law.sample(np.random.default_rng(6), COUNT)[:, 0]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert stats.chisquare(counts).pvalue > 1e-3


# --- particles ------------------------------------------------------------------------------


@each
def test_first_particles_do_not_depend_on_the_count(law: Law) -> None:
    most = law.particles(5, 2 * BLOCK + 90).position
    for count in (1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1):
        particles = law.particles(5, count)
        assert np.array_equal(particles.position, most[:count])
        assert np.array_equal(particles.mass, np.full(count, 1 / count))


@each
def test_particles_of_other_seeds_and_blocks_are_others(law: Law) -> None:
    first, second = law.particles(0, 3 * BLOCK).position, law.particles(1, 3 * BLOCK).position
    assert not np.array_equal(first, second)
    if not isinstance(law, Samples):
        assert not np.isin(first, second).any()
        assert len(np.unique(first)) == first.size


@known
def test_particles_follow_the_law(name: str, axis: int, cdf: Callable) -> None:
    values = LAWS[name].particles(8, 5000).position[:, axis]
    assert stats.kstest(values, cdf).pvalue > 1e-3


# --- refusals -------------------------------------------------------------------------------

UNIT = [np.linspace(0.0, 1.0, 3)]
REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: Gaussian(0.0, 0.0), "std of a Gaussian law is 0.0, but must be above 0"),
    (lambda: Gaussian(0.0, [1.0, -1.0]), r"std of a Gaussian law is \[1.0, -1.0\], but must be"),
    (lambda: Gaussian(math.nan), "mean of an initial law is nan, but must be a finite number"),
    (lambda: Gaussian(0.0, math.inf), "std of an initial law is inf, but must be a finite"),
    (lambda: Gaussian([[0.0]]), r"mean of an initial law is \[\[0.0\]\], but must be"),
    (lambda: Gaussian("a"), "mean of an initial law is 'a', but must be a finite number"),
    (lambda: Gaussian([]), r"mean of an initial law is \[\], but must be"),
    (lambda: Gaussian([0.0, 1.0], [1.0, 1.0, 1.0]), "mean has 2 and std has 3 coordinates; give"),
    (lambda: Uniform(1.0, 1.0), "uniform law needs lower < upper, but got 1.0 and 1.0"),
    (lambda: Uniform([0.0, 2.0], 1.0), r"lower < upper, but got \[0.0, 2.0\] and 1.0"),
    (lambda: Uniform(0.0, [1.0, math.nan]), "upper of an initial law is"),
    (lambda: Product(), "at least one law"),
    (lambda: Product(Gaussian(), 3.0), "at least one law, and only laws"),
    (lambda: Samples([1.0, 2.0]), r"shape \(2,\), but must be \(m, D\)"),
    (lambda: Samples([[math.nan]]), "points of a Samples law must all be finite"),
    (lambda: Density(bump, 1.0, 0.0), "needs lower < upper, but got 1.0 and 0.0"),
    (lambda: Density(bump, 0.0, 1.0, resolution=1), "resolution of a density is 1, .* at least 2"),
    (lambda: Density(lambda x: -x[:, 0], 0.0, 1.0).masses(UNIT), "finite number >= 0 a point"),
    (lambda: Density(lambda x: x, 0.0, 1.0).masses(UNIT), "finite number >= 0 a point"),
    (lambda: Density(lambda x: x[:, 0] / 0, 0.0, 1.0).masses(UNIT), "finite number >= 0 a point"),
    (lambda: Density(lambda x: 0 * x[:, 0], 0.0, 1.0).masses(UNIT), "Density puts no mass on the"),
    (lambda: Gaussian(1e4).masses(UNIT), "Gaussian puts no mass on the grid; move the law or"),
    (lambda: Uniform(2.0, 3.0).masses(UNIT), "Uniform puts no mass on the grid; move the law"),
    (lambda: Samples([[2.0]]).masses(UNIT), "Samples puts no mass on the grid; move the law"),
    (lambda: Gaussian().masses(UNIT * 2), "2 axes.* 1 coordinate"),
    (lambda: Gaussian([0.0, 0.0]).masses(UNIT), "1 axes.* 2 coordinate"),
    (lambda: Product(Gaussian()).masses(UNIT * 2), "2 axes.* 1 coordinate"),
    (lambda: Gaussian().particles(0, 0), "number of particles is 0, .* at least 1"),
    (lambda: Gaussian().particles(0, -3), "number of particles is -3, .* at least 1"),
    (lambda: Gaussian().particles(-1, 3), "seed is -1, but must be a whole number"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[m for _, m in REFUSALS])
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_what_is_refused_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


# --- folding into a domain ------------------------------------------------------------------


@pytest.mark.parametrize("axis", [Interval(0.0, 4.0), Circle(), WholeLine(window=(-1.0, 2.0))])
@pytest.mark.parametrize(
    "law", [Gaussian(0.5, 1.0), Gaussian(3.0, 0.5), Uniform(-0.5, 5.5), Samples([[4.0], [0.2]])]
)
def test_the_law_on_a_grid_is_that_of_folded_particles(axis: Axis, law: Law) -> None:
    """Reflected at the ends of an interval, wrapped on a circle; a window cuts what is outside."""
    domain = Domain(axis)
    (edge,) = domain.grid((12,))
    mass = law.folded_masses(domain, (edge,))
    drawn = domain.fold(law.particles(3, 40000).position)[:, 0]
    counts, _ = np.histogram(drawn, edge)
    if not counts.sum():
        pytest.skip("the law puts nothing into the window")
    assert mass.sum() == pytest.approx(1.0, rel=1e-12)
    assert mass == pytest.approx(counts / counts.sum(), abs=2.4 / math.sqrt(counts.sum()))


def test_folding_by_axis_is_a_product() -> None:
    domain = Domain(Interval(0.0, 1.0), WholeLine(window=(-2.0, 2.0)), Circle(1.0, 0.0))
    edges = domain.grid((4, 5, 6))
    laws = [Gaussian(0.2, 0.5), Gaussian(), Gaussian(0.9, 0.2)]
    parts = [
        law.folded_masses(Domain(axis), (edge,))
        for law, axis, edge in zip(laws, domain.axes, edges, strict=True)
    ]
    expected = np.einsum("i,j,k->ijk", *parts)
    assert Product(*laws).folded_masses(domain, edges) == pytest.approx(expected, rel=1e-13)


def test_folding_mirrors_cells_of_unequal_width() -> None:
    """On [0, 1], what a law puts on [1, 2] is seen in a mirror."""
    edge = np.array([0.0, 0.1, 0.4, 1.0])
    mass = Uniform(1.0, 1.5).folded_masses(Domain(Interval(0.0, 1.0)), (edge,))
    assert mass == pytest.approx([0.0, 0.0, 1.0])
    mass = Uniform(-0.3, 0.0).folded_masses(Domain(Interval(0.0, 1.0)), (edge,))
    assert mass == pytest.approx([1 / 3, 2 / 3, 0.0])


@pytest.mark.parametrize("dimension", [1, 2])
def test_more_points_a_cell_integrate_a_kink_better(dimension: int) -> None:
    """The masses of max(1 - |x|, 0) on one axis, known cell by cell; more points lose less."""
    box = [2.0] * dimension
    edges = [np.linspace(-2, 2, 11)] * dimension
    beyond = (1 - np.minimum(np.abs(edges[0]), 1)) ** 2 / 2
    exact = np.diff(np.where(edges[0] < 0, beyond, 1 - beyond))
    errors = []
    for points in (1, 3, 9):
        law = Density(
            lambda x: np.maximum(1 - abs(x[:, 0]), 0.0), [-2.0] * dimension, box, points=points
        )
        marginal = GridMeasure(edges, law.masses(edges)).marginal(0)
        errors.append(np.abs(marginal - exact).max())
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
