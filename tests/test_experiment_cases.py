"""Laws of the cases after published experiments: closed forms of populations, random features."""

import pathlib

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

import wgflow as wg
from wgflow.cases import circle_target, four_sigmoids, single_neuron
from wgflow.communicator import Communicator
from wgflow.data import Data
from wgflow.energy import ArcCosineRisk, RandomFeature, Risk
from wgflow.energy.arc_cosine import arc_cosine_kernel
from wgflow.errors import InputError
from wgflow.exact import neurons, random_features
from wgflow.exact.sigmoid_network import SpiralInputs, sigmoid_kernel
from wgflow.loop import solve
from wgflow.measure import Particles
from wgflow.neuron import Neuron
from wgflow.populations import NormalInputs, SphereInputs, population
from wgflow.solvers.particles import ParticleFlow
from wgflow.solvers.sgd import SGD


def network(seed: int, count: int, dimension: int) -> Particles:
    generator = np.random.default_rng(seed)
    mass = generator.uniform(0.5, 1.5, count)
    return Particles(generator.standard_normal((count, 1 + dimension)), mass / mass.sum())


def teacher(dimension: int, scale: float = 1.7, neuron: Neuron | None = None) -> ArcCosineRisk:
    inner = np.random.default_rng(9).standard_normal((3, dimension))
    return ArcCosineRisk(np.array([1.0, -0.5, 0.8]), inner, scale, neuron)


# --- the population risk of relu networks ----------------------------------------------------


@pytest.mark.parametrize("dimension", [2, 5])
def test_the_kernel_is_the_mean_of_a_product_of_relus(dimension: int) -> None:
    """In the plane of two vectors E |x|^2 = 2, and the angle is integrated numerically."""
    one, other = np.random.default_rng(1).standard_normal((2, dimension))
    size, other_size = np.linalg.norm(one), np.linalg.norm(other)
    angle = np.arccos(one @ other / size / other_size)
    # Both are positive for angles of x between angle - pi/2 and pi/2.
    overlap, _ = quad(lambda t: np.cos(t) * np.cos(t - angle), angle - np.pi / 2, np.pi / 2)
    expected = 2 * size * other_size * overlap / (2 * np.pi)
    assert arc_cosine_kernel(one[None], other[None])[0, 0] == pytest.approx(expected, rel=1e-12)
    assert arc_cosine_kernel(one[None], one[None])[0, 0] == pytest.approx(size**2 / 2, rel=1e-14)
    assert arc_cosine_kernel(one[None], -2 * one[None])[0, 0] == pytest.approx(0.0, abs=1e-14)


def test_a_population_on_a_sphere_has_the_same_risk() -> None:
    """Inputs on the circle of radius sqrt(2), integrated, against N(0, I) in closed form."""
    exact, law = teacher(2), network(2, 6, 2)
    data = population(SphereInputs(2, np.sqrt(2)), exact.teacher, nodes=2**14)
    sampled = Risk(data, Neuron("relu"), scale=exact.scale)
    found, expected = exact.couple(law), sampled.couple(law)
    assert exact.value(found) == pytest.approx(sampled.value(expected), rel=1e-7)
    points = network(3, 4, 2).points
    assert exact.first_variation(points, found) == pytest.approx(
        sampled.first_variation(points, expected), abs=1e-6
    )
    # The derivative of relu jumps, so that this converges as 1/nodes.
    assert exact.gradient(points, found) == pytest.approx(
        sampled.gradient(points, expected), abs=1e-3
    )


def test_the_gradient_is_the_derivative_of_the_risk() -> None:
    """A particle of mass m_j feels the derivative of R in theta_j divided by m_j."""
    term, law = teacher(3), network(4, 5, 3)
    gradient = term.gradient(law.points, term.couple(law))
    for index in np.ndindex(law.position.shape):
        shift = np.zeros_like(law.position)
        shift[index] = 1e-6
        up, down = (
            term.value(term.couple(Particles(law.position + s, law.mass))) for s in (shift, -shift)
        )
        slope = (up - down) / 2e-6 / law.mass[index[0]]
        assert slope == pytest.approx(gradient[index], rel=1e-6, abs=1e-7)


def test_a_network_that_is_its_teacher_has_no_risk_and_stands_still() -> None:
    term = teacher(4, scale=3.0)
    law = Particles(np.column_stack([term.outer, term.inner]))
    coupling = term.couple(law)
    assert term.value(coupling) == pytest.approx(0.0, abs=1e-15)
    assert term.gradient(law.points, coupling) == pytest.approx(np.zeros((3, 5)), abs=1e-14)


def test_the_risk_of_a_run_is_that_of_the_population() -> None:
    """The value of its only term, which starts at E f*^2 / 2 as a = 0, and falls."""
    problem = single_neuron.problem(dimension=3, scale=5.0).until(0.2, 0.1)
    run = solve(problem, ParticleFlow(count=5, step=0.1))
    assert (run.risk == run.energy["population_risk"]).all()
    assert run.risk[0] == pytest.approx(0.25)
    assert run.risk[-1] < run.risk[1] < 0.25


def test_an_inner_weight_of_zero_contributes_nothing() -> None:
    term, law = teacher(3), network(5, 4, 3)
    with_zero = np.concatenate([law.position, [[2.0, 0.0, 0.0, 0.0]]])
    more = Particles(with_zero, np.append(law.mass, 1.0))
    assert term.value(term.couple(more)) == term.value(term.couple(law))
    assert np.isfinite(term.gradient(with_zero, term.couple(more))).all()


class FirstOfTwo(Communicator):
    """The first of two ranks; the rows of the second are known beforehand."""

    size = 2

    def __init__(self, second: Particles) -> None:
        self.second = second

    def gather(self, rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, self.second.position if rows.ndim == 2 else self.second.mass])


def test_a_share_of_the_particles_feels_all_of_them() -> None:
    term, law = teacher(3), network(6, 7, 3)
    first, second = (Particles(law.position[k], law.mass[k]) for k in (slice(3), slice(3, 7)))
    found, expected = term.couple(first, FirstOfTwo(second)), term.couple(law)
    assert term.value(found) == term.value(expected)
    assert (term.gradient(first.points, found) == term.gradient(first.points, expected)).all()


@pytest.mark.parametrize(
    ("outer", "inner", "neuron", "said"),
    [
        ([1.0], [1.0, 0.0], None, "shape (2,)"),
        ([1.0, 2.0], [[1.0, 0.0]], None, "(M, d)"),
        ([1.0], [[1.0, 0.0]], Neuron("tanh"), "closed form"),
        ([1.0], [[1.0, 0.0]], Neuron("relu", outer="fixed"), "closed form"),
        ([1.0], [[1.0, 0.0]], Neuron("relu", bias=True), "bias"),
    ],
)
def test_what_has_no_closed_form_is_refused(
    outer: list, inner: list, neuron: Neuron | None, said: str
) -> None:
    with pytest.raises(InputError, match=".") as caught:
        ArcCosineRisk(np.array(outer), np.array(inner), neuron=neuron)
    assert said in str(caught.value)


# --- random features -------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["particles", "sgd"])
def test_random_features_move_their_outer_weights_only(by: str) -> None:
    """As the network does at first, when outer weights are zero and inner ones have no force."""
    given = {"dimension": 5, "scale": 8.0, "samples": 50}
    risk = "population" if by == "particles" else "sample"
    solver = (
        ParticleFlow(count=8, step=0.1, method="euler")
        if by == "particles"
        else SGD(width=8, step=0.1, batch=20, fresh=True)
    )
    runs = [
        solve(single_neuron.problem(**given, risk=risk, trained=trained).until(0.4, 0.1), solver)
        for trained in ("outer", "all")
    ]
    first, second, last = (runs[0].measure(k).points for k in (0, 1, -1))
    assert (first[:, 1:] == last[:, 1:]).all()
    assert np.abs(last[:, 0]).min() > 1e-3
    assert (second == runs[1].measure(1).points).all()
    assert (runs[1].measure(-1).points[:, 1:] != first[:, 1:]).all()


def test_the_risk_of_random_features_falls_as_its_equation_says() -> None:
    """da/dt = c - (s/m) K a, integrated to 1e-10, for a random kernel."""
    generator = np.random.default_rng(7)
    features, scale = generator.standard_normal((5, 8)), 3.0
    gram, correlation = features @ features.T, generator.standard_normal(5)
    factor = scale / 5
    path = solve_ivp(
        lambda _, a: correlation - factor * gram @ a, (0, 2), np.zeros(5), rtol=1e-10, atol=1e-12
    )
    a = path.y[:, -1]
    lost = factor * (correlation @ a) - factor**2 / 2 * (a @ gram @ a)
    found = random_features.risk_decrease(gram, correlation, scale, 2.0)
    assert found == pytest.approx(lost, rel=1e-8)


def test_the_dissipation_of_random_features_is_that_of_their_outer_weights() -> None:
    free, fixed, law = teacher(3), teacher(3, neuron=RandomFeature("relu")), network(8, 5, 3)
    all_of_it = free.gradient(law.points, free.couple(law))
    part = fixed.gradient(law.points, fixed.couple(law))
    assert (part[:, 0] == all_of_it[:, 0]).all() and not part[:, 1:].any()


def plane(unit: Neuron) -> wg.Problem:
    """Return a problem that a grid takes, but for the unit; cells need a temperature."""
    axis = wg.Interval(-2.0, 2.0)
    data = Data(np.linspace(-1, 1, 5)[:, np.newaxis], np.ones((5, 1)))
    energy = Risk(data, unit) + wg.Entropy(1.0)
    start = wg.Uniform((-2, -2), (2, 2))
    return wg.Problem(energy, wg.Domain(axis, axis), start, horizon=0.1).save_every(0.1)


@pytest.mark.parametrize(
    "solver",
    [
        wg.FiniteVolume(step=0.1, shape=(8, 8)),
        wg.JKO(step=0.1, shape=(8, 8), method="entropic"),
        wg.JKO(step=0.1, shape=(8, 8), method="balanced"),
        wg.JKO(step=0.1, shape=(8, 8), method="back-and-forth"),
    ],
)
def test_grids_refuse_random_features(solver: wg.JKO | wg.FiniteVolume) -> None:
    """They take the same unit where all its weights are trained."""
    solver.prepare(plane(Neuron("relu")), 0, wg.Context())
    with pytest.raises(InputError, match="RandomFeature stay, but mass on a grid"):
        solver.prepare(plane(RandomFeature("relu")), 0, wg.Context())


def test_a_random_feature_without_an_outer_weight_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to train"):
        RandomFeature("relu", outer="fixed")


@pytest.mark.parametrize("risk", ["population", "sample"])
def test_a_run_of_random_features_goes_on_from_its_file(risk: str, tmp_path: pathlib.Path) -> None:
    """Made again from its case; the file tells that the inner weights stay."""
    given = {"dimension": 4, "scale": 6.0, "risk": risk, "samples": 40, "trained": "outer"}
    solver, path = ParticleFlow(count=6, step=0.1), tmp_path / "run.h5"
    whole = solve(wg.get_case("single-neuron", **given).until(0.8, 0.4), solver)
    solve(
        wg.get_case("single-neuron", **given).until(0.8, 0.4),
        solver,
        output=path,
        progress=lambda at: at.step == 3,
    )
    (term,) = wg.load(path).provenance["problem"]["energy"]
    assert term["neuron"]["trained"] == "outer"
    for run in (wg.resume(path), wg.load(path)):
        assert run.measure(-1).points.tobytes() == whole.measure(-1).points.tobytes()
        assert run.risk.tobytes() == whole.risk.tobytes()
    with pytest.raises(InputError, match="trained"):
        free = wg.get_case("single-neuron", **{**given, "trained": "all"}).until(1.0)
        wg.resume(path, until=1.0, problem=free)


# --- the cases -------------------------------------------------------------------------------


def test_a_sampled_population_is_the_population_within_its_error() -> None:
    exact = single_neuron.problem(dimension=4, scale=3.0)
    sampled = single_neuron.problem(dimension=4, scale=3.0, risk="sample", samples=40_000)
    law = network(10, 6, 4)
    coupling = sampled.risk.couple(law)
    losses = (coupling - sampled.risk.data.y)[:, 0] ** 2 / 2
    expected = exact.energy.terms[0].value(exact.energy.terms[0].couple(law))
    assert losses.mean() == pytest.approx(expected, abs=3 * losses.std() / 200)


@pytest.mark.parametrize("case", [single_neuron, circle_target])
def test_unknown_ways_to_train_and_to_measure_are_refused(case) -> None:
    for given in ({"trained": "inner"}, {"risk": "test"}, {"scale": 0.0}, {"dimension": 1}):
        with pytest.raises(InputError):
            case.problem(**given)


def test_the_teacher_on_the_circle_is_the_length_in_its_plane() -> None:
    """64 angles leave the harmonics 64 l of a relu, relative 2/((64 l)^2 - 1) and of one sign."""
    x = np.random.default_rng(11).standard_normal((200, 3))
    exact = circle_target.target(x)
    found = circle_target.problem(dimension=3).energy.terms[0].teacher(x)
    most = 2 * sum(1 / ((64 * order) ** 2 - 1) for order in range(1, 1000))
    assert most / 2 < np.abs(found / exact - 1).max() < most


def test_active_neurons_and_shares_of_plain_laws() -> None:
    points = np.array([[2.0, 0.0, 3.0], [-3.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    assert neurons.active_neurons(Particles(points)) == pytest.approx(2.0)
    tilted = np.array([[1.0, 3.0, 0.0, 4.0], [1.0, 0.0, 5.0, 0.0]])
    assert neurons.share_in_plane(Particles(tilted)) == pytest.approx((3 + 5) / 10)
    on_lines = np.array([[3.0, -1.0, -2.0], [1.0, -1.0, 1.0], [-2.0, 0.5, 0.01]])
    assert neurons.share_on_lines(Particles(on_lines), four_sigmoids.TEACHER, 5.0) == pytest.approx(
        5 / 6
    )
    small = Particles(np.array([[0.05, 1, 1], [-0.2, 1, 1]]))
    assert neurons.share_of_small(small, least=0.1) == 0.5


# --- the population risk of sigmoid networks -------------------------------------------------


def test_the_kernel_of_sigmoids_is_their_mean_over_normal_inputs() -> None:
    """By a tensor Gauss-Hermite rule, for inputs of spread 1."""
    weights = np.random.default_rng(12).standard_normal((4, 2))
    x, share = NormalInputs(2).quadrature(60)
    values = 1 / (1 + np.exp(-x @ weights.T))
    expected = values.T @ (share[:, np.newaxis] * values)
    found = sigmoid_kernel(weights, weights, spread=1.0, nodes=20)
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_kernel_of_steep_sigmoids_is_that_of_steps() -> None:
    """(pi - angle)/2 pi + O(s^-2), but 1/2 - 1/(sqrt(2 pi) s |v|) of a unit with itself."""
    weights = four_sigmoids.TEACHER
    size = np.linalg.norm(weights, axis=1)
    cosine = weights @ weights.T / np.multiply.outer(size, size)
    steps = (np.pi - np.arccos(np.clip(cosine, -1, 1))) / (2 * np.pi)
    misses = []
    for spread in (100.0, 200.0):
        np.fill_diagonal(steps, 0.5 - 1 / (np.sqrt(2 * np.pi) * spread * size))
        kernel = sigmoid_kernel(weights, weights, spread)
        misses.append(np.abs(kernel - steps).max())
    assert misses[0] < 1e-4
    assert misses[0] / misses[1] == pytest.approx(4.0, abs=0.3)


def test_the_spiral_is_even_in_angle_on_every_ring() -> None:
    """The first moments and the covariance, and no harmonic up to 40 on the outer half."""
    x, share = SpiralInputs(2, 100.0).quadrature(4096)
    assert share.sum() == pytest.approx(1.0)
    assert np.abs(share @ x).max() < 0.1
    assert (share * x.T) @ x == pytest.approx(1e4 * np.eye(2), abs=20)
    angle = np.arctan2(x[2048:, 1], x[2048:, 0])
    for harmonic in range(1, 41):
        assert abs(np.exp(1j * harmonic * angle).mean()) < 0.02


def test_fresh_labels_are_noisy_and_nodes_are_not() -> None:
    data: Data = four_sigmoids.problem(nodes=64).risk.data
    assert data.y[:, 0] == pytest.approx(four_sigmoids.target(data.x), abs=1e-15)
    x, y = data.draw(np.random.default_rng(13), 20_000)
    noise = y[:, 0] - four_sigmoids.target(x)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert x.std() == pytest.approx(100.0, rel=0.02)
