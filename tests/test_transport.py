"""Laws of the Wasserstein distances: exact values, independent solvers, and metric axioms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from random_laws import CIRCLE, LINE, PERIOD, cloud, grid_law, moved
from scipy import optimize, special

from wgflow.domain import Domain, Interval
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.transport import wasserstein


def cost(first: np.ndarray, second: np.ndarray, domain: Domain) -> np.ndarray:
    """Squared distances (m, n) of points (m,) and (n,), along the shorter arc on the circle."""
    gap = np.abs(first[:, None] - second[None, :])
    if domain.periodic[0]:
        gap = np.mod(gap, PERIOD)
        gap = np.minimum(gap, PERIOD - gap)
    return gap**2


def by_assignment(first: np.ndarray, second: np.ndarray, domain: Domain) -> float:
    table = cost(first, second, domain)
    return math.sqrt(table[optimize.linear_sum_assignment(table)].mean())


def by_linear_program(first: Particles, second: Particles, domain: Domain) -> float:
    m, n = len(first.mass), len(second.mass)
    table = cost(first.position[:, 0], second.position[:, 0], domain)
    marginals = np.vstack([np.kron(np.eye(m), np.ones(n)), np.kron(np.ones(m), np.eye(n))])
    # One of the m + n marginal conditions follows from the others.
    masses = np.concatenate([first.mass, second.mass])
    plan = optimize.linprog(table.reshape(-1), A_eq=marginals[:-1], b_eq=masses[:-1])
    assert plan.status == 0
    return math.sqrt(plan.fun)


# --- the line -------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-0.7, 1e-3, 40.0])
@pytest.mark.parametrize("measure", [cloud(0, 57, weighted=True), grid_law(0, 40)])
def test_translation_moves_by_its_length(measure: Measure, shift: float) -> None:
    assert wasserstein(measure, moved(measure, shift)) == pytest.approx(abs(shift), rel=1e-12)


def test_scaling_a_uniform_law() -> None:
    # Quantiles t and 3 t: the integral of (2 t)^2 is 4 / 3.
    first = GridMeasure([np.linspace(0, 1, 8)], np.full(7, 1 / 7))
    second = GridMeasure([np.linspace(0, 3, 12)], np.full(11, 1 / 11))
    assert wasserstein(first, second) == pytest.approx(math.sqrt(4 / 3), rel=1e-13)


def test_gaussians_on_grids_converge_with_order_two() -> None:
    (mean, spread), (other_mean, other_spread) = (0.3, 1.0), (-0.5, 0.6)
    exact = math.hypot(mean - other_mean, spread - other_spread)
    errors = []
    for cells in (50, 100, 200, 400):
        edges = np.linspace(-9, 9, cells + 1)
        laws = []
        for centre, width in ((mean, spread), (other_mean, other_spread)):
            mass = np.diff(special.ndtr((edges - centre) / width))
            laws.append(GridMeasure([edges], mass / mass.sum()))
        errors.append(abs(wasserstein(*laws) - exact))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(2.0, abs=0.1)
    assert errors[-1] < 1e-3


def test_far_tails_of_little_mass_count() -> None:
    # Masses far below the rounding of one still pull their distance.
    far = Particles(np.array([[0.0], [1e6]]), np.array([1 - 1e-12, 1e-12]))
    assert wasserstein(far, Particles(np.zeros((1, 1)))) == pytest.approx(1.0, rel=1e-3)


# --- the line and the circle ----------------------------------------------------------------


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
@pytest.mark.parametrize("count", [1, 2, 7, 60])
@pytest.mark.parametrize("seed", range(5))
def test_equal_weights_agree_with_assignment(domain: Domain, count: int, seed: int) -> None:
    first, second = cloud(seed, count), cloud(seed + 100, count)
    expected = by_assignment(first.position[:, 0], second.position[:, 0], domain)
    assert wasserstein(first, second, domain=domain) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
@pytest.mark.parametrize("seed", range(10))
def test_unequal_weights_agree_with_linear_program(domain: Domain, seed: int) -> None:
    first = cloud(seed, 5, weighted=True)
    second = cloud(seed + 100, 7, weighted=True)
    expected = by_linear_program(first, second, domain)
    assert wasserstein(first, second, domain=domain) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
def test_grids_agree_with_assignment_of_their_quantiles(domain: Domain) -> None:
    count = 600
    levels = (np.arange(count) + 0.5) / count
    laws = [grid_law(3, 9), grid_law(4, 14)]
    samples = []
    for law in laws:
        end = np.cumsum(law.mass)
        cell = np.searchsorted(end, levels)
        back = (end[cell] - levels) / law.mass[cell] * np.diff(law.edges[0])[cell]
        samples.append(law.edges[0][cell + 1] - back)
    expected = by_assignment(samples[0], samples[1], domain)
    assert wasserstein(*laws, domain=domain) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
def test_particles_at_centres_of_a_grid(domain: Domain) -> None:
    # A cell of length h has variance h^2 / 12 about its centre.
    law = grid_law(5, 30)
    atoms = Particles(law.points, law.mass)
    expected = math.sqrt(np.sum(law.mass * np.diff(law.edges[0]) ** 2) / 12)
    assert wasserstein(law, atoms, domain=domain) == pytest.approx(expected, rel=1e-12)
    assert wasserstein(atoms, law, domain=domain) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
def test_splitting_does_not_change_a_law(domain: Domain) -> None:
    law, other = grid_law(6, 10), cloud(6, 20)
    edges = np.sort(np.concatenate([law.edges[0], law.centres[0]]))
    halves = GridMeasure([edges], np.repeat(law.mass / 2, 2))
    twins = Particles(np.repeat(other.position, 3, axis=0))
    assert wasserstein(law, halves, domain=domain) == pytest.approx(0.0, abs=1e-12)
    assert wasserstein(other, twins, domain=domain) == pytest.approx(0.0, abs=1e-12)
    assert wasserstein(halves, twins, domain=domain) == pytest.approx(
        wasserstein(law, other, domain=domain), rel=1e-12
    )


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
def test_order_of_many_weighted_particles_does_not_matter(domain: Domain) -> None:
    # Sums of mass in another order round differently; the distance stays zero all the same.
    law = cloud(7, 3000, weighted=True)
    order = np.random.default_rng(7).permutation(3000)
    shuffled = Particles(law.position[order], law.mass[order])
    assert wasserstein(law, shuffled, domain=domain) == pytest.approx(0.0, abs=1e-12)
    # Two places; at the first a plain sum loses the light atoms where the heavy one comes first.
    position = np.append(np.zeros(20001), 1.0)[:, None]
    mass = np.concatenate([[1.0], np.full(20000, 9e-17), [1.0]])
    first, second = Particles(position, mass), Particles(position[::-1], mass[::-1])
    assert wasserstein(first, second, domain=domain) == pytest.approx(0.0, abs=1e-12)


def test_total_mass_is_normalised() -> None:
    first, second = cloud(8, 9, weighted=True), cloud(9, 4)
    heavy = Particles(first.position, 5 * first.mass), Particles(second.position, 5 * second.mass)
    expected = wasserstein(first, second)
    assert wasserstein(*heavy) == pytest.approx(expected, rel=1e-13)
    slightly = Particles(first.position, (1 + 5e-7) * first.mass)
    assert wasserstein(slightly, second) == pytest.approx(expected, rel=1e-13)


def test_walls_do_not_change_the_distance() -> None:
    first, second = cloud(1, 9), grid_law(1, 9)
    walls = Domain(Interval(-1.0, 2.0))
    assert wasserstein(first, second, domain=walls) == wasserstein(first, second)


# --- the circle -----------------------------------------------------------------------------


def test_antipodal_atoms_are_half_a_period_apart() -> None:
    first, second = Particles(np.array([[-0.9]])), Particles(np.array([[-0.9 + PERIOD / 2]]))
    assert wasserstein(first, second, domain=CIRCLE) == pytest.approx(PERIOD / 2, rel=1e-13)


@pytest.mark.parametrize("cells", [2, 7, 64])
@pytest.mark.parametrize("place", [-1.0, 0.123, 1.999])
def test_atom_against_uniform_law(cells: int, place: float) -> None:
    uniform = GridMeasure(CIRCLE.grid((cells,)), np.full(cells, 1 / cells))
    distance = wasserstein(Particles(np.array([[place]])), uniform, domain=CIRCLE)
    assert distance == pytest.approx(PERIOD / (2 * math.sqrt(3)), rel=1e-13)


@pytest.mark.parametrize("angle", [0.4, -1.3, 2.9, 3 * PERIOD, 31.7])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (cloud(1, 30, weighted=True), cloud(2, 20)),
        (grid_law(1, 12), cloud(2, 20)),
        (grid_law(1, 12), grid_law(2, 15)),
    ],
)
def test_rotation_of_both_changes_nothing(first: Measure, second: Measure, angle: float) -> None:
    expected = wasserstein(first, second, domain=CIRCLE)
    rotated = moved(first, angle), moved(second, angle)
    assert wasserstein(*rotated, domain=CIRCLE) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("law", [cloud(3, 40, weighted=True), grid_law(3, 40)])
def test_full_turns_of_one_change_nothing(law: Measure) -> None:
    for turns in (-3, 1, 2):
        turned = moved(law, turns * PERIOD)
        assert wasserstein(law, turned, domain=CIRCLE) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("place", [-0.9, 0.3, 1.9])
def test_on_a_short_arc_the_circle_is_a_line(place: float) -> None:
    arc = 0.49 * PERIOD
    first = grid_law(4, 12, lower=place, upper=place + arc)
    second = Particles(place + arc * np.random.default_rng(4).random((25, 1)))
    expected = wasserstein(first, second)
    assert wasserstein(first, second, domain=CIRCLE) == pytest.approx(expected, rel=1e-12)
    assert wasserstein(second, first, domain=CIRCLE) == pytest.approx(expected, rel=1e-12)


def test_short_way_across_the_seam() -> None:
    first, second = Particles(np.array([[-0.99]])), Particles(np.array([[1.98]]))
    assert wasserstein(first, second, domain=CIRCLE) == pytest.approx(0.03, rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_many_particles_agree_with_the_best_cyclic_shift(seed: int) -> None:
    # With equal weights the best plan pairs sorted particles in cyclic order, and the cost is
    # convex in the shift of the order (Delon, Salomon, Sobolevski 2010). At the best shift all
    # levels coincide up to rounding, so that rounding as large as that would add up.
    count = 20000
    random = np.random.default_rng(seed)
    first = np.sort(CIRCLE.fold(random.normal(0.0, 0.5, (count, 1)))[:, 0])
    second = np.sort(CIRCLE.fold(random.normal(0.7, 0.3, (count, 1)))[:, 0])
    lifted = np.concatenate([second - PERIOD, second, second + PERIOD])

    def shifted(shift: int) -> float:
        return float(np.mean((first - lifted[count + shift : 2 * count + shift]) ** 2))

    lower, upper = -count, count
    while upper - lower > 1:
        middle = (lower + upper) // 2
        if shifted(middle) < shifted(middle + 1):
            upper = middle
        else:
            lower = middle
    expected = math.sqrt(min(shifted(lower), shifted(upper)))
    laws = Particles(first[:, None]), Particles(second[:, None])
    assert wasserstein(*laws, domain=CIRCLE) == pytest.approx(expected, rel=1e-13)


# --- the axioms of a metric -----------------------------------------------------------------

COORDINATES = st.floats(-4.0, 4.0, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def particle_laws(draw: st.DrawFn) -> Particles:
    positions = draw(st.lists(COORDINATES, min_size=1, max_size=6))
    weights = draw(
        st.lists(st.integers(1, 20), min_size=len(positions), max_size=len(positions)).map(np.array)
    )
    return Particles(np.array(positions)[:, None], weights / weights.sum())


@st.composite
def grid_laws(draw: st.DrawFn) -> GridMeasure:
    weights = np.array(draw(st.lists(st.integers(0, 20), min_size=2, max_size=6)))
    weights[draw(st.integers(0, len(weights) - 1))] += 1
    return GridMeasure(CIRCLE.grid((len(weights),)), weights / weights.sum())


LAWS = st.one_of(particle_laws(), grid_laws())


@pytest.mark.parametrize("domain", [LINE, CIRCLE])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(first=LAWS, second=LAWS, third=LAWS)
def test_metric_axioms(domain: Domain, first: Measure, second: Measure, third: Measure) -> None:
    there = wasserstein(first, second, domain=domain)
    assert wasserstein(first, first, domain=domain) == pytest.approx(0.0, abs=1e-12)
    assert wasserstein(second, first, domain=domain) == pytest.approx(there, rel=1e-12, abs=1e-12)
    onward = wasserstein(second, third, domain=domain)
    assert wasserstein(first, third, domain=domain) <= there + onward + 1e-12
