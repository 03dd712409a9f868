"""Populations: quadratures exact to their degree, draws of the same law, one object for all."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import gammaln

import wgflow as wg

NORMAL = wg.NormalInputs
UNIFORM = wg.UniformInputs


def first(x: np.ndarray) -> np.ndarray:
    return x[:, 0]


def moment(law, degree: int, nodes: int) -> float:
    point, weight = law.quadrature(nodes)
    return float(weight @ point[:, 0] ** degree)


def double_factorial(n: int) -> float:
    return math.prod(range(n, 0, -2))


@pytest.mark.parametrize("nodes", [1, 2, 5, 12])
def test_normal_inputs_are_integrated_exactly_up_to_twice_the_nodes(nodes: int) -> None:
    """E x^2k = std^2k (2k - 1)!!; the first even degree beyond is too small by std^2q q!."""
    law = NORMAL(1, 0.7)
    for degree in range(2 * nodes):
        exact = 0.7**degree * double_factorial(degree - 1) if degree % 2 == 0 else 0.0
        scale = 0.7**degree * double_factorial(degree | 1)
        assert moment(law, degree, nodes) == pytest.approx(exact, abs=1e-12 * scale)
    beyond = 0.49**nodes * (double_factorial(2 * nodes - 1) - math.factorial(nodes))
    assert moment(law, 2 * nodes, nodes) == pytest.approx(beyond, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("nodes", [1, 3, 8])
def test_uniform_inputs_are_integrated_exactly_up_to_twice_the_nodes(nodes: int) -> None:
    law = UNIFORM((-1.0,), (3.0,))
    for degree in range(2 * nodes + 1):
        exact = (3.0 ** (degree + 1) - (-1.0) ** (degree + 1)) / (4 * (degree + 1))
        close = moment(law, degree, nodes) == pytest.approx(exact, rel=1e-13)
        assert close == (degree < 2 * nodes)


@pytest.mark.parametrize("space", [1, 2, 3, 40, 1000])
def test_lengths_are_integrated_exactly_in_their_square(space: int) -> None:
    """E |z|^2k = (2 std^2)^k Gamma(d/2 + k)/Gamma(d/2), in dimensions where that overflows too.

    The first power beyond lacks the norm q! Gamma(d/2 + q)/Gamma(d/2) of a Laguerre polynomial.
    """
    law, nodes = wg.RadialInputs(space, 1.3), 6
    point, weight = law.quadrature(nodes)
    assert point.shape == (nodes, 1) and (point > 0).all() and (weight > 0).all()
    half, size = space / 2, 2 * 1.3**2 / space  # in units in which the moments are near one
    for k in range(2 * nodes + 1):
        exact = math.exp(gammaln(half + k) - gammaln(half))
        if k == 2 * nodes:
            exact -= math.factorial(nodes) * math.exp(gammaln(half + nodes) - gammaln(half))
        found = float(weight @ (point[:, 0] / math.sqrt(space)) ** (2 * k))
        assert found == pytest.approx(exact * size**k, rel=1e-10)


@pytest.mark.parametrize("nodes", [3, 8])
def test_the_circle_is_integrated_exactly_for_low_harmonics(nodes: int) -> None:
    point, weight = wg.SphereInputs(2, 2.0).quadrature(nodes)
    assert np.linalg.norm(point, axis=1) == pytest.approx(2)
    angle = np.arctan2(point[:, 1], point[:, 0])
    for harmonic in range(1, nodes):
        assert abs(weight @ np.exp(1j * harmonic * angle)) < 1e-14
    assert weight @ np.cos(nodes * angle) == pytest.approx(1)


def test_a_product_rule_integrates_products() -> None:
    data = wg.population(UNIFORM((0, 0), (1, 2)), lambda x: x[:, 0] ** 3 * x[:, 1] ** 2, nodes=2)
    assert data.count == 4
    assert data.weights @ data.y[:, 0] == pytest.approx(1 / 4 * 4 / 3, rel=1e-14)


LAWS = {
    "normal": (NORMAL(2, 0.5), 8),
    "uniform": (UNIFORM((-1, 0), (1, 3)), 8),
    "circle": (wg.SphereInputs(2, 1.5), 64),
    "lengths": (wg.RadialInputs(7), 12),
}


def smooth(x: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(x[:, 0]), x[:, -1] ** 2], axis=1)


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_law_of_the_quadrature(name: str) -> None:
    """Means of inputs and labels over 40 000 draws, within four standard errors."""
    law, nodes = LAWS[name]
    data = wg.population(law, smooth, nodes=nodes)
    x, y = data.draw(np.random.default_rng(1), 40_000)
    assert x.shape == (40_000, law.dimension) and y.shape == (40_000, 2)
    for drawn, nodal in ((x, data.x), (x**2, data.x**2), (y, data.y), (y**2, data.y**2)):
        error = drawn.std(axis=0) / 200
        assert (np.abs(drawn.mean(axis=0) - data.weights @ nodal) <= 4 * error + 1e-12).all()


def test_the_sphere_in_more_dimensions_has_a_fixed_sample() -> None:
    data = wg.population(wg.SphereInputs(5), first, sample=2000, seed=3)
    again = wg.population(wg.SphereInputs(5), first, sample=2000, seed=3)
    other = wg.population(wg.SphereInputs(5), first, sample=2000, seed=4)
    np.testing.assert_array_equal(data.x, again.x)
    assert not np.array_equal(data.x, other.x)
    assert np.linalg.norm(data.x, axis=1) == pytest.approx(1)
    covariance = data.x.T @ data.x / 2000  # I/5 with entries that fluctuate by less than 1/5 each
    assert np.abs(covariance - np.eye(5) / 5).max() < 4 * 0.2 / math.sqrt(2000)


def test_noise_is_on_drawn_labels_only() -> None:
    """Its variance is that asked for; the quadrature has none, so that the risk is that of f."""
    data = wg.population(NORMAL(), first, nodes=8, label_noise=0.3)
    np.testing.assert_array_equal(data.y, data.x)
    x, y = data.draw(np.random.default_rng(0), 20_000)
    noise = y - x
    assert noise.std() == pytest.approx(0.3, rel=4 / math.sqrt(2 * 20_000))
    assert abs(noise.mean()) < 4 * 0.3 / math.sqrt(20_000)
    assert abs((noise * x).mean()) < 4 * 0.3 / math.sqrt(20_000)
    sample = wg.population(NORMAL(), first, sample=50, label_noise=0.3)
    assert np.ptp(sample.y - sample.x) > 0.5


def two_bumps(**size: int) -> wg.Data:
    ones: Callable[[np.ndarray], np.ndarray] = lambda x: np.ones(len(x))  # noqa: E731
    return wg.mixture([(0.25, NORMAL(1, 2.0), ones), (0.75, NORMAL(1, 0.5), first)], **size)


def test_a_mixture_weighs_its_parts() -> None:
    data = two_bumps(nodes=5)
    assert data.count == 10 and data.weights.sum() == pytest.approx(1)
    assert data.weights @ data.x[:, 0] ** 2 == pytest.approx(0.25 * 4 + 0.75 * 0.25)
    assert data.weights @ data.y[:, 0] == pytest.approx(0.25)
    x, y = data.draw(np.random.default_rng(2), 40_000)
    wide = (y[:, 0] == 1) & (x[:, 0] != 1)
    assert wide.mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 40_000))
    assert x[wide].std() == pytest.approx(2, rel=0.03)
    np.testing.assert_array_equal(y[~wide], x[~wide])


def test_a_mixture_can_be_drawn_one_by_one() -> None:
    """A part that a small batch leaves out is no error."""
    data, generator = two_bumps(nodes=3), np.random.default_rng(0)
    labels = [float(data.draw(generator, 1)[1][0, 0]) for _ in range(40)]
    assert 0 < labels.count(1.0) < 25


def network(**settings: object) -> wg.Problem:
    data = wg.population(NORMAL(), lambda x: np.sin(x[:, 0]), **settings)
    return wg.Problem(
        wg.Risk(data, wg.Neuron("tanh"))
        + wg.Potential.quadratic((0.05, 0.05), "ridge")
        + wg.Entropy(0.05),
        wg.Domain(wg.Interval(-4, 4), wg.Interval(-4, 4), names=("a", "w")),
        wg.Gaussian((0.5, 0.5), 0.7),
        0.5,
    )


def test_one_object_serves_grids_particles_and_fresh_batches() -> None:
    """The mean risk at t = 0.5 of three networks is that of the grid, within three errors.

    A network of 4000 neurons deviates by 2.2e-3 (six seeds), the grid by 1.2e-4 (order h^2); from
    t = 0 the risk falls by 4.5e-2.
    """
    problem = network(nodes=20)
    grid = wg.solve(problem, wg.FiniteVolume(step=0.05, shape=(48, 48), time_order=2))
    error = math.hypot(2.2e-3 / math.sqrt(3), 1.2e-4)
    assert grid.status == "finished" and grid.risk[-1] < grid.risk[0] - 10 * error
    for solver in (
        wg.ParticleFlow(step=0.05, count=4000),
        wg.SGD(step=0.01, width=4000, batch=200, fresh=True),
    ):
        runs = [wg.solve(problem, solver, seed) for seed in range(3)]
        found = np.mean([run.risk[-1] for run in runs])
        assert found == pytest.approx(grid.risk[-1], abs=3 * error)
        np.testing.assert_array_equal(runs[0].x, grid.x)


def test_fresh_batches_are_not_taken_from_the_nodes() -> None:
    """With noise on the labels, batches of a sample repeat its labels; fresh ones do not."""
    data = wg.population(NORMAL(), first, nodes=4, label_noise=0.1)
    fresh = data.batch(np.random.default_rng(0), 50, fresh=True)
    kept = data.batch(np.random.default_rng(0), 50, fresh=False)
    assert len(np.unique(fresh.x)) == 50 and len(np.unique(kept.x)) <= 4
    assert fresh.weights.sum() == pytest.approx(data.weights.sum())


HALF = (0.5, NORMAL(), first)
REFUSED = {
    "dimension": (lambda: NORMAL(0), "dimension of the inputs is 0"),
    "std": (lambda: NORMAL(1, -1.0), "std of the inputs is -1"),
    "box": (lambda: UNIFORM((0,), (0,)), "finite lower < upper"),
    "box without end": (lambda: UNIFORM((0,), (math.inf,)), "finite lower < upper"),
    "box of words": (lambda: UNIFORM("a", "b"), "finite lower < upper"),
    "boxes of different size": (lambda: UNIFORM((0,), (1, 2)), "on every axis"),
    "circle in one dimension": (lambda: wg.SphereInputs(1), "at least 2"),
    "radius": (lambda: wg.SphereInputs(2, 0), "radius of the inputs is 0"),
    "space": (lambda: wg.RadialInputs(0), "space of the inputs is 0"),
    "nodes and sample": (
        lambda: wg.population(NORMAL(), first, nodes=3, sample=3),
        "nodes = 3 and sample = 3; give one",
    ),
    "neither": (lambda: wg.population(NORMAL(), first), "nodes = None and sample = None"),
    "one node": (lambda: wg.population(NORMAL(), first, nodes=1), "at least 2"),
    "nodes on many axes": (lambda: wg.population(NORMAL(9), first, nodes=9), "over a million"),
    "too many nodes": (lambda: wg.population(NORMAL(), first, nodes=9999), "at most 2000"),
    "sphere": (lambda: wg.population(wg.SphereInputs(3), first, nodes=9), "size of a sample"),
    "noise": (lambda: wg.population(NORMAL(), first, nodes=3, label_noise=-1), "noise of the la"),
    "law": (lambda: wg.population(3, first, nodes=3), "a law of inputs"),
    "target": (lambda: wg.population(NORMAL(), 3, nodes=3), "a function of them"),
    "target of one number": (lambda: wg.population(NORMAL(), lambda x: 1.0, nodes=3), r"\(3, k\)"),
    "target of half": (lambda: wg.population(NORMAL(2), np.ravel, nodes=3), r"shape \(18,\) for 9"),
    "complex target": (lambda: wg.population(NORMAL(), lambda x: 1j * x, nodes=3), "real ones"),
    "no parts": (lambda: wg.mixture([], nodes=3), "positive ones of sum 1"),
    "not parts": (lambda: wg.mixture([(0.5, NORMAL())], nodes=3), "probability, law of the inp"),
    "sum": (lambda: wg.mixture([HALF], nodes=3), r"probability \[0.5\]"),
    "sign": (lambda: wg.mixture([(-1, NORMAL(), first), HALF], nodes=3), "a part is -1"),
    "dimensions": (lambda: wg.mixture([HALF, (0.5, NORMAL(2), first)], nodes=3), r"\[1, 2\]"),
    "columns": (
        lambda: wg.mixture([HALF, (0.5, NORMAL(), lambda x: np.ones((len(x), 2)))], nodes=3),
        "return 1 and 2 numbers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_gets_a_sentence(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(wg.InputError, match=words):
        make()
