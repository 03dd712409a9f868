"""Laws of the exact distance in more than one dimension, by the optimal plan between atoms."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from random_laws import CYLINDER, PERIOD, cloud
from scipy import optimize

from wgflow import transport
from wgflow.domain import Circle, Domain, Interval, WholeLine
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.transport import marginal_wasserstein, wasserstein

TORUS = Domain(Circle(period=PERIOD), Circle(period=2.0))


def exact(first: Measure, second: Measure, domain: Domain | None = None) -> float:
    return wasserstein(first, second, domain=domain, method="exact")


def product(*axes: Particles) -> Particles:
    """The product of laws on lines."""
    places = np.meshgrid(*[axis.position[:, 0] for axis in axes], indexing="ij")
    masses = np.meshgrid(*[axis.mass for axis in axes], indexing="ij")
    position = np.stack([place.reshape(-1) for place in places], axis=1)
    return Particles(position, np.prod(masses, axis=0).reshape(-1))


def by_assignment(first: Particles, second: Particles, domain: Domain) -> float:
    """The distance of clouds of equal weights, by images in the periods next to this one."""
    square = np.zeros((len(first.mass), len(second.mass)))
    for k, axis in enumerate(domain.axes):
        gap = first.position[:, None, k] - second.position[None, :, k]
        turns = np.arange(-3, 4) * (axis.period if isinstance(axis, Circle) else 0.0)
        square += np.min([(gap + turn) ** 2 for turn in turns], axis=0)
    return math.sqrt(square[optimize.linear_sum_assignment(square)].mean())


# --- known answers --------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1e-7, 0.3, 40.0])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_translation_moves_by_its_length(length: float, unit: float) -> None:
    """In any unit: what the plan is found by has an absolute tolerance."""
    law = cloud(1, 60, weighted=True, dimension=3)
    shift = length * np.array([2.0, -3.0, 6.0]) / 7
    order = np.random.default_rng(1).permutation(60)
    first = Particles(unit * law.position, law.mass)
    second = Particles(unit * (law.position + shift)[order], law.mass[order])
    assert exact(first, second) == pytest.approx(unit * length, rel=1e-8)


def test_the_gradient_of_a_convex_function_is_the_optimal_map() -> None:
    """Brenier: y = A x + b with A symmetric and positive definite, whatever the law of x."""
    law = cloud(2, 200, weighted=True, dimension=2)
    image = law.position @ np.array([[1.5, 0.6], [0.6, 0.4]]) + np.array([0.2, -0.7])
    expected = math.sqrt(law.mass @ ((image - law.position) ** 2).sum(axis=1))
    assert exact(law, Particles(image, law.mass)) == pytest.approx(expected, rel=1e-12)


def test_gaussians_on_grids_converge_with_order_two() -> None:
    """W2^2 = |m1 - m2|^2 + sum_k (s1_k - s2_k)^2 for Gaussians of independent coordinates."""
    exactly = math.sqrt(0.7**2 + 0.1**2 + 0.2**2 + 0.2**2)
    errors = []
    for cells in (16, 32):
        edges = (np.linspace(-4, 4, cells + 1),) * 2
        laws = []
        for mean, spread in (((0.3, 0.1), (0.8, 0.5)), ((-0.4, 0.2), (0.6, 0.7))):
            points = GridMeasure(edges, np.ones((cells, cells))).points
            mass = np.exp(-(((points - mean) / spread) ** 2).sum(axis=1) / 2)
            mass[mass < 1e-9] = 0.0
            laws.append(GridMeasure(edges, (mass / mass.sum()).reshape(cells, cells)))
        errors.append(abs(exact(*laws) - exactly))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert errors[1] < 0.02


@pytest.mark.parametrize("domain", [Domain(WholeLine(), Interval(-1, 2)), CYLINDER, TORUS])
def test_the_squares_of_products_add_up(domain: Domain) -> None:
    first = product(cloud(1, 9, weighted=True), cloud(2, 7))
    second = product(cloud(3, 8), cloud(4, 6, weighted=True))
    marginals = [marginal_wasserstein(first, second, k, domain=domain) for k in (0, 1)]
    assert exact(first, second, domain) == pytest.approx(math.hypot(*marginals), rel=1e-9)


@pytest.mark.parametrize("domain", [Domain(WholeLine(), WholeLine()), CYLINDER, TORUS])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_equal_weights_agree_with_assignment(domain: Domain, count: int) -> None:
    first, second = (cloud(seed, count, dimension=2) for seed in (5, 6))
    expected = by_assignment(first, second, domain)
    assert exact(first, second, domain) == pytest.approx(expected, rel=1e-10)


def test_in_one_dimension_it_is_the_distance_by_quantiles() -> None:
    first, second = cloud(7, 30, weighted=True), cloud(8, 20)
    expected = wasserstein(first, second)
    assert exact(first, second) == expected
    flat = [
        Particles(np.append(law.position, np.full_like(law.position, 0.4), axis=1), law.mass)
        for law in (first, second)
    ]
    assert exact(*flat) == pytest.approx(expected, rel=1e-10)


# --- circles --------------------------------------------------------------------------------


def test_short_way_across_the_seam_of_a_circle() -> None:
    first = Particles(np.array([[-PERIOD / 2 + 0.01, 0.0]]))
    second = Particles(np.array([[PERIOD / 2 - 0.02 + 3 * PERIOD, 0.04]]))
    assert exact(first, second, CYLINDER) == pytest.approx(0.05, rel=1e-12)
    assert exact(first, second) > PERIOD


@pytest.mark.parametrize("angle", [0.4, -1.3, 31.7])
def test_rotation_of_both_changes_nothing(angle: float) -> None:
    first, second = cloud(1, 30, weighted=True, dimension=2), cloud(2, 20, dimension=2)
    turn = np.array([angle, 0.0])
    turned = [Particles(law.position + turn, law.mass) for law in (first, second)]
    expected = exact(first, second, CYLINDER)
    assert exact(*turned, CYLINDER) == pytest.approx(expected, rel=1e-11)


def test_small_clouds_on_a_large_circle() -> None:
    """The period, however long, does not set the precision."""
    law = cloud(3, 20, dimension=2)
    domain = Domain(Circle(period=1e9), Circle(period=1e9))
    shifted = Particles(law.position + np.array([0.03, 0.04]), law.mass)
    assert exact(law, shifted, domain) == pytest.approx(0.05, rel=1e-9)


# --- laws of a distance ---------------------------------------------------------------------


def test_neither_order_nor_splitting_changes_a_law() -> None:
    law, other = cloud(1, 40, weighted=True, dimension=2), cloud(2, 30, dimension=2)
    order = np.random.default_rng(1).permutation(120)
    parts = Particles(np.repeat(law.position, 3, axis=0)[order], np.repeat(law.mass / 3, 3)[order])
    # The rounding of the masses, 1e-16, is the square of the distance that they are moved by.
    assert exact(law, parts) == pytest.approx(0.0, abs=1e-7)
    assert exact(parts, other) == pytest.approx(exact(law, other), rel=1e-12)


def test_grid_cells_are_atoms_at_centres_and_empty_ones_do_not_count() -> None:
    edges = (np.linspace(0, 1, 101), np.linspace(0, 2, 101))
    mass = np.zeros((100, 100))
    mass[10:20, 30:40] = np.random.default_rng(1).dirichlet(np.ones(100)).reshape(10, 10)
    law, moved = GridMeasure(edges, mass), GridMeasure(edges, np.roll(mass, (5, 20), axis=(0, 1)))
    assert exact(law, moved) == pytest.approx(math.hypot(0.05, 0.4), rel=1e-12)
    inside = mass.reshape(-1) > 0
    atoms = Particles(law.points[inside], law.mass[inside])
    assert exact(law, atoms) == 0.0


laws = st.builds(
    cloud, st.integers(0, 1000), st.integers(1, 12), weighted=st.booleans(), dimension=st.just(2)
)


@settings(max_examples=60, deadline=None)
@given(first=laws, second=laws, third=laws, domain=st.sampled_from([None, CYLINDER, TORUS]))
def test_axioms_and_the_sliced_distance_below(
    first: Particles, second: Particles, third: Particles, domain: Domain | None
) -> None:
    there = exact(first, second, domain)
    assert exact(first, first, domain) == pytest.approx(0.0, abs=1e-7)
    assert exact(second, first, domain) == pytest.approx(there, rel=1e-10)
    onward = exact(second, third, domain)
    assert exact(first, third, domain) <= there + onward + 1e-10
    assert wasserstein(first, second, domain=domain, method="sliced") <= there + 1e-10


def test_total_mass_is_normalised() -> None:
    first, second = cloud(8, 9, weighted=True, dimension=2), cloud(9, 4, dimension=2)
    heavy = Particles(first.position, 5 * first.mass), Particles(second.position, 5 * second.mass)
    assert exact(*heavy) == pytest.approx(exact(first, second), rel=1e-12)


# --- methods and refusals -------------------------------------------------------------------


def test_the_method_by_default_is_sliced_in_more_dimensions_and_exact_in_one() -> None:
    plane = cloud(1, 9, dimension=2), cloud(2, 7, dimension=2)
    assert wasserstein(*plane) == wasserstein(*plane, method="sliced") < exact(*plane)
    line = cloud(1, 9), cloud(2, 7)
    assert wasserstein(*line) == exact(*line)
    # On a line every direction is +1 or -1, and slices lose nothing.
    assert wasserstein(*line, method="sliced") == pytest.approx(exact(*line), rel=1e-12)


@pytest.mark.parametrize("method", ["sinkhorn", 2])
def test_an_unknown_method_is_refused(method: object) -> None:
    with pytest.raises(InputError, match=r"The method is .*, but must be one of exact, sliced"):
        wasserstein(cloud(1, 3), cloud(2, 3), method=method)


def test_too_many_points_are_refused() -> None:
    first, second = cloud(1, 5001, dimension=2), cloud(2, 5000, dimension=2)
    sentence = "between 5001 and 5000 points .* takes 25005000 pairs, .* 5000 points each; coarsen"
    with pytest.raises(InputError, match=sentence):
        exact(first, second)


def test_without_pot_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    laws = cloud(1, 3, dimension=2), cloud(2, 3, dimension=2)
    with pytest.raises(InputError, match=r"needs POT, .* pip install 'wgflow\[data\]' or"):
        exact(*laws)
    assert wasserstein(*laws) > 0


def test_a_plan_that_is_not_optimal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_MOST_PIVOTS", 3)
    with pytest.raises(InputError, match="No optimal plan between 50 and 40 points was found"):
        exact(cloud(1, 50, dimension=2), cloud(2, 40, dimension=2))
