"""Laws of the interaction energy: for particles and grids, its closed forms and its convexity."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from random_laws import cloud

from wgflow.domain import Circle, Domain, WholeLine
from wgflow.energy import Energy, Entropy, Interaction, Potential
from wgflow.errors import InputError
from wgflow.law import Gaussian, Uniform
from wgflow.loop import solve
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.problem import Problem
from wgflow.solvers import ParticleFlow


def bump_value(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2).sum(axis=1)) + 0.1 * x[:, 0] * x[:, -1]


def bump_gradient(x: np.ndarray) -> np.ndarray:
    gradient = -2 * x * np.exp(-(x**2).sum(axis=1, keepdims=True))
    gradient[:, 0] += 0.1 * x[:, -1]
    gradient[:, -1] += 0.1 * x[:, 0]
    return gradient


KERNELS = {
    "smooth": Interaction(bump_value, bump_gradient),
    "quadratic": Interaction.quadratic(1.7),
    "logarithmic": Interaction.logarithmic(-0.6),
}
AGGREGATION = Energy(
    Interaction.quadratic(1.0, "attraction"), Interaction.logarithmic(1.0, "repulsion")
)


def value(energy: Interaction | Energy, measure: Measure) -> float:
    if isinstance(energy, Interaction):
        return energy.value(energy.couple(measure))
    return sum(energy.values(measure, energy.couple(measure)).values())


# --- particles ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_gradient_is_the_derivative_of_the_particle_energy(name: str, dimension: int) -> None:
    """A particle of mass m_j feels the derivative of F in theta_j divided by m_j."""
    term, law = KERNELS[name], cloud(1, 7, weighted=True, dimension=dimension)
    gradient = term.gradient(law.points, term.couple(law))
    for index in np.ndindex(law.position.shape):
        shift = np.zeros_like(law.position)
        shift[index] = 1e-6
        up, down = (value(term, Particles(law.position + s, law.mass)) for s in (shift, -shift))
        slope = (up - down) / 2e-6 / law.mass[index[0]]
        assert slope == pytest.approx(gradient[index], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_the_first_variation_is_the_derivative_in_the_mass(name: str) -> None:
    term, law = KERNELS[name], cloud(2, 9, weighted=True, dimension=2)
    g = term.first_variation(law.points, term.couple(law))
    for j in range(9):
        change = 1e-4 * np.eye(9)[j] * law.mass[j]
        up, down = (value(term, Particles(law.position, law.mass + s)) for s in (change, -change))
        assert (up - down) / (2e-4 * law.mass[j]) == pytest.approx(g[j], rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(KERNELS)), st.integers(0, 10**6), st.integers(1, 12))
def test_order_and_place_of_the_particles_do_not_matter(name: str, seed: int, count: int) -> None:
    term, law = KERNELS[name], cloud(seed, count, weighted=True, dimension=2)
    order = np.random.default_rng(seed).permutation(count)
    permuted = Particles(law.position[order], law.mass[order])
    shifted = Particles(law.position + np.array([3.0, -2.0]), law.mass)
    expected, scale = value(term, law), 1e-12 * (1 + abs(value(term, law)))
    assert value(term, permuted) == pytest.approx(expected, abs=scale)
    assert value(term, shifted) == pytest.approx(expected, abs=100 * scale)
    gradient = term.gradient(law.points, term.couple(law))
    again = term.gradient(permuted.points, term.couple(permuted))
    size = 1e-12 * (1 + np.abs(gradient).max())
    assert again == pytest.approx(gradient[order], abs=size)
    # Forces between pairs are equal and opposite.
    assert law.mass @ gradient == pytest.approx(np.zeros(2), abs=count * size)


def test_many_particles_are_summed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    term, law = KERNELS["smooth"], cloud(3, 23, dimension=2)
    whole = term.gradient(law.points, term.couple(law)), value(term, law)
    monkeypatch.setattr("wgflow.energy.pair_sums.BLOCK", 50)
    assert term.gradient(law.points, term.couple(law)) == pytest.approx(whole[0], rel=1e-13)
    assert value(term, law) == pytest.approx(whole[1], rel=1e-14)


def test_a_singular_kernel_does_not_act_on_its_own_particle() -> None:
    term = Interaction.logarithmic(2.0)
    pair = Particles(np.array([[0.0, 0.0], [3.0, 4.0]]))
    # 1/2 sum_ij m_i m_j W without i = j: two pairs of mass 1/4 each.
    assert value(term, pair) == pytest.approx(-2 * np.log(5) / 4, rel=1e-15)
    gradient = term.gradient(pair.points, term.couple(pair))
    assert gradient[0] == pytest.approx(np.array([3.0, 4.0]) / 25, rel=1e-14)
    alone = Particles(np.zeros((1, 2)))
    assert value(term, alone) == 0.0
    assert not term.gradient(alone.points, term.couple(alone)).any()
    assert value(Interaction.logarithmic(0.0), pair) == 0.0


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("count", [2, 50])
def test_second_moment_of_the_aggregation_flow(dimension: int, count: int) -> None:
    """W = |x|^2/2 - log|x|: M2' = -2 M2 + (N - 1)/N for any centred particles."""
    position = cloud(4, count, dimension=dimension).position
    law = Particles(position - position.mean(axis=0))
    velocity = -AGGREGATION.gradient(law.points, AGGREGATION.couple(law))
    moment = law.mass @ (law.points**2).sum(axis=1)
    change = 2 * law.mass @ (law.points * velocity).sum(axis=1)
    assert change == pytest.approx(-2 * moment + (count - 1) / count, rel=1e-12)


def test_second_moment_of_the_drift_of_keller_and_segel() -> None:
    """W = (M / 2 pi) log|x| in the plane: the drift changes M2 by -(M / 2 pi)(N - 1)/N."""
    term, law = Interaction.logarithmic(-7.0 / (2 * np.pi)), cloud(5, 40, dimension=2)
    velocity = -term.gradient(law.points, term.couple(law))
    change = 2 * law.mass @ (law.points * velocity).sum(axis=1)
    assert change == pytest.approx(-7.0 / (2 * np.pi) * 39 / 40, rel=1e-12)


def test_particles_run_to_the_moment_that_the_flow_prescribes() -> None:
    problem = Problem(
        energy=AGGREGATION,
        domain=Domain(WholeLine(), WholeLine()),
        initial=Uniform((-1.5, -0.5), (0.5, 0.5)),
        horizon=1.0,
    )
    run = solve(problem, ParticleFlow(step=0.01, count=30))
    centred = [(law.position - law.position.mean(axis=0)) for law in map(run.measure, range(11))]
    moments = np.array([(x**2).sum(axis=1).mean() for x in centred])
    # The centre stays, so the centred moment obeys the same equation.
    limit = 29 / 30 / 2
    expected = limit + (moments[0] - limit) * np.exp(-2 * run.time)
    assert moments == pytest.approx(expected, rel=1e-3)
    assert np.diff(run.energy["total"]).max() < 0
    assert run.energy["total"] == pytest.approx(
        run.energy["attraction"] + run.energy["repulsion"], rel=1e-14
    )


# --- grids ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smooth", "quadratic"])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_a_grid_sees_its_cells_as_particles_at_their_centres(name: str, dimension: int) -> None:
    edges = [np.linspace(-1, 1 + k, 5 + k) for k in range(dimension)]
    mass = np.random.default_rng(0).uniform(size=[len(edge) - 1 for edge in edges])
    law = GridMeasure(edges, mass / mass.sum())
    points, term = Particles(law.points, law.mass), KERNELS[name]
    assert value(term, law) == pytest.approx(value(term, points), rel=1e-13)
    assert term.first_variation(law.points, term.couple(law)) == pytest.approx(
        term.first_variation(law.points, term.couple(points)), rel=1e-12
    )
    elsewhere = np.full((2, dimension), 0.3)
    assert term.first_variation(elsewhere, term.couple(law)) == pytest.approx(
        term.first_variation(elsewhere, term.couple(points)), rel=1e-14
    )


def semicircle(edges: np.ndarray, radius: float) -> GridMeasure:
    """Exact masses of the semicircle law."""
    x = np.clip(edges / radius, -1, 1)
    return GridMeasure([edges], np.diff(x * np.sqrt(1 - x**2) + np.arcsin(x)) / np.pi)


def disc(edges: np.ndarray, radius: float, *, finer: int = 16) -> GridMeasure:
    """Masses of the uniform disc, counted on a finer grid."""
    cells = len(edges) - 1
    x = edges[0] + (edges[1] - edges[0]) / finer * (np.arange(cells * finer) + 0.5)
    inside = np.add.outer(x**2, x**2) < radius**2
    mass = inside.reshape(cells, finer, cells, finer).sum(axis=(1, 3))
    return GridMeasure([edges, edges], mass / mass.sum())


@pytest.mark.parametrize("radius", [1.0, 1.7])
def test_energy_of_the_semicircle(radius: float) -> None:
    """F = R^2/8 - log(R/2)/2 + 1/8 for W = x^2/2 - log|x|, to second order in h."""
    exact = radius**2 / 8 - np.log(radius / 2) / 2 + 1 / 8
    errors = []
    for cells in (50, 100, 200):
        law = semicircle(np.linspace(-2, 1.9, cells + 1), radius)
        errors.append(value(AGGREGATION, law) - exact)
    assert abs(errors[-1]) < 1e-4
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx([2, 2], abs=0.25)


@pytest.mark.parametrize("radius", [1.0, 1.7])
def test_energy_of_the_uniform_disc(radius: float) -> None:
    """F = R^2/4 - log(R)/2 + 1/8 in the plane."""
    exact = radius**2 / 4 - np.log(radius) / 2 + 1 / 8
    errors = []
    for cells in (16, 32, 64):
        law = disc(np.linspace(-2, 2, cells + 1), radius)
        errors.append(abs(value(AGGREGATION, law) - exact))
    assert errors[0] > 2.5 * errors[1] > 6 * errors[2]
    assert errors[-1] < 4e-4


def test_cells_of_unequal_width_converge_to_the_same_energy() -> None:
    """Graded cells on the support alone: a matrix of exact means takes the place of the transform.

    The centres of the cells carry the attraction, so that the order is that of the midpoint rule.
    """
    errors = []
    for cells in (50, 100, 200):
        law = semicircle(np.sin(np.linspace(-np.pi / 2, np.pi / 2, cells + 1)), 1.0)
        errors.append(abs(value(AGGREGATION, law) - (0.25 + np.log(2) / 2)))
    assert errors[-1] < 1e-4
    assert np.log2(np.array(errors[:-1]) / errors[1:]).min() > 1.8


def test_the_grid_is_looked_at_again_when_it_changes() -> None:
    term = Interaction.logarithmic(1.0)
    first = semicircle(np.linspace(-2, 2, 41), 1.0)
    kept = term.on_grid(first.edges)
    assert term.on_grid([edge.copy() for edge in first.edges]) is kept
    assert term.on_grid([first.edges[0] * 2]) is not kept
    # |x| doubles: the energy falls by log(2) / 2.
    doubled = GridMeasure([first.edges[0] * 2], first.mass_on_grid)
    assert value(term, doubled) == pytest.approx(value(term, first) - np.log(2) / 2, abs=1e-12)


# --- convexity ------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_convexity_of_the_named_kernels(sign: int) -> None:
    """The variance is concave in the law, the logarithmic energy convex."""
    assert Interaction.quadratic(sign).convex == (sign < 0)
    assert Interaction.logarithmic(sign).convex == (sign > 0)
    energy = Entropy(0.1) + Interaction.quadratic(sign) + Potential.quadratic((1.0,))
    assert energy.convex == (sign < 0)
    unknown = energy + Interaction(bump_value, bump_gradient, "own")
    assert unknown.convex is (None if sign < 0 else False)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["quadratic", "logarithmic"]), st.integers(1, 2))
def test_convex_kernels_are_convex_along_mixtures(seed: int, name: str, dimension: int) -> None:
    term = Interaction.quadratic(-1.0) if name == "quadratic" else Interaction.logarithmic(1.0)
    random, shape = np.random.default_rng(seed), (9,) * dimension
    edges = [np.linspace(0, 1 + k, 10) for k in range(dimension)]
    one, two = (random.dirichlet(np.full(9**dimension, 0.3)).reshape(shape) for _ in range(2))
    middle, first, second = (
        value(term, GridMeasure(edges, mass)) for mass in ((one + two) / 2, one, two)
    )
    assert middle <= (first + second) / 2 + 1e-13


# --- refusals -------------------------------------------------------------------------------


def test_bad_interactions_are_refused() -> None:
    with pytest.raises(InputError, match="two functions, value and gradient, and a name, not of 3"):
        Interaction(3, bump_gradient)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="strength of an interaction is nan, but must be a finite"):
        Interaction.quadratic(np.nan)
    with pytest.raises(InputError, match="strength of an interaction is 'a'"):
        Interaction.logarithmic("a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give each its own name"):
        Interaction.quadratic(1.0) + Interaction.logarithmic(1.0)
    law = cloud(0, 4, dimension=2)
    wrong = Interaction(lambda x: x, lambda x: x[:, 0])
    with pytest.raises(InputError, match=r"array of shape \(16, 2\) .* shape \(16,\)"):
        value(wrong, law)
    with pytest.raises(InputError, match=r"array of shape \(16,\) .* shape \(16, 2\)"):
        wrong.gradient(law.points, wrong.couple(law))


def test_grids_that_do_not_fit_are_refused() -> None:
    uneven = [np.array([0.0, 0.2, 1.0]), np.linspace(0, 1, 3)]
    with pytest.raises(InputError, match="needs cells of equal width on every axis.*uniform grid"):
        Interaction.quadratic(1.0).on_grid(uneven)
    pole = Interaction(lambda x: 1 / np.abs(x[:, 0]) ** 0.5, np.zeros_like, singular=True)
    with pytest.raises(InputError, match="needs its antiderivative"):
        pole.on_grid(uneven[:1])


def test_an_interaction_describes_itself() -> None:
    kinds = [KERNELS[name].describe() for name in ("smooth", "quadratic", "logarithmic")]
    assert kinds == [
        {"kind": "Interaction", "singular": False},
        {"kind": "Interaction", "quadratic": 1.7},
        {"kind": "Interaction", "logarithmic": -0.6},
    ]


def test_on_a_circle_particles_attract_through_the_seam() -> None:
    """-cos(x - y) on a circle: particles on both sides of the seam meet across it."""
    kernel = Interaction(lambda x: -np.cos(x[:, 0]), np.sin)
    problem = Problem(
        energy=kernel,
        domain=Domain(Circle()),
        initial=Gaussian(0.0, 0.5),
        horizon=8.0,
    )
    run = solve(problem, ParticleFlow(step=0.05, count=20))
    spread = np.abs(np.exp(1j * run.measure(-1).position).mean())
    assert spread == pytest.approx(1.0, abs=1e-4)
    assert run.energy["total"][-1] == pytest.approx(-0.5, abs=1e-4)
