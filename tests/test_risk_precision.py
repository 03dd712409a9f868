"""The risk in single precision, over ranks, and with the pass that its velocity shares."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import wgflow as wg
from wgflow.communicator import Communicator
from wgflow.energy import Risk
from wgflow.errors import InputError

NEURONS = [
    (wg.Neuron("tanh"), 20),
    (wg.Neuron("softplus", outer=3, bias=True), 20),
    (wg.Neuron("sigmoid", outer="fixed"), 2),
]


def sample(inputs: int, outputs: int, count: int = 40, seed: int = 0) -> wg.Data:
    generator = np.random.default_rng(seed)
    return wg.Data(
        generator.standard_normal((count, inputs)),
        generator.standard_normal((count, outputs)),
        generator.uniform(0.1, 1.0, count),
    )


def cloud(risk: Risk, count: int = 30, seed: int = 1) -> wg.Particles:
    generator = np.random.default_rng(seed)
    mass = generator.random(count)
    return wg.Particles(generator.standard_normal((count, risk.dimension)) / 2, mass / mass.sum())


def sums(risk: Risk, measure: wg.Particles) -> tuple[np.ndarray, ...]:
    coupling = risk.couple(measure)
    points = measure.points
    return coupling, risk.gradient(points, coupling), risk.first_variation(points, coupling)


def assert_same_bits(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> None:
    assert len(one) == len(other)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("neuron", "inputs"), NEURONS)
def test_single_precision_changes_sums_by_its_rounding(neuron: wg.Neuron, inputs: int) -> None:
    """Results stay float64, differ from double precision, and by about 1e-7 of the largest."""
    risk = wg.Risk(sample(inputs, neuron.outputs), neuron, scale=1.7)
    single = risk.in_precision("single")
    measure = cloud(risk)
    for rounded, exact in zip(sums(single, measure), sums(risk, measure), strict=True):
        assert rounded.dtype == np.float64
        error = np.max(np.abs(rounded - exact)) / np.max(np.abs(exact))
        assert 0 < error < 2e-6
    x = np.random.default_rng(2).standard_normal((5, inputs))
    rounded, exact = single.predict(measure, x), risk.predict(measure, x)
    assert rounded.dtype == np.float64
    assert 0 < np.max(np.abs(rounded - exact)) < 2e-6 * np.max(np.abs(exact))
    assert single.describe() == risk.describe()


def test_the_precision_can_be_taken_back_and_is_kept_by_a_minibatch() -> None:
    """Double again has the bits of the risk itself; other data are not mistaken for the old."""
    neuron, inputs = NEURONS[0]
    risk, other = wg.Risk(sample(inputs, 1), neuron), sample(inputs, 1, seed=5)
    measure = cloud(risk)
    single = risk.in_precision("single")
    expected = sums(risk, measure)
    sums(single, measure)
    assert_same_bits(sums(single.in_precision("double"), measure), expected)
    fresh = wg.Risk(other, neuron).in_precision("single")
    assert_same_bits(sums(single.on(other), measure), sums(fresh, measure))
    energy = (risk + wg.Entropy(0.1)).in_precision("single")
    assert energy.risk is not None
    assert_same_bits(sums(energy.risk, measure), sums(single, measure))


def test_another_precision_is_refused_in_a_sentence() -> None:
    risk = wg.Risk(sample(2, 1), wg.Neuron("tanh"))
    with pytest.raises(InputError, match="risk is 'half', but must be one of single, double"):
        risk.in_precision("half")


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize(("neuron", "inputs"), NEURONS)
def test_a_shared_pass_does_not_change_the_velocity(
    neuron: wg.Neuron, inputs: int, precision: str
) -> None:
    """The bits after coupling the same points, other points, or points that have changed since."""
    risk = wg.Risk(sample(inputs, neuron.outputs), neuron).in_precision(precision)
    measure, other = cloud(risk), cloud(risk, seed=3)
    coupling = risk.couple(measure)
    copied = copy.deepcopy(risk)
    assert copied._pass is None
    expected = (copied.gradient(measure.points, coupling),)
    assert_same_bits((risk.gradient(measure.points, coupling),), expected)
    assert_same_bits((risk.gradient(measure.points.copy(), coupling),), expected)
    risk.couple(other)
    assert_same_bits((risk.gradient(measure.points, coupling),), expected)
    moved = measure.points.copy()
    risk.couple(wg.Particles(moved, measure.mass))
    moved[:, -1] += 1.0
    assert_same_bits((risk.gradient(moved, coupling),), (copied.gradient(moved, coupling),))


def test_a_risk_is_pickled_without_what_it_keeps() -> None:
    """A process of a study gets the data, not the activations of the last step."""
    risk = wg.Risk(sample(20, 1), wg.Neuron("tanh")).in_precision("single")
    measure = cloud(risk)
    before = len(pickle.dumps(risk))
    expected = sums(risk, measure)
    data = pickle.dumps(risk)
    assert len(data) == before
    assert_same_bits(sums(pickle.loads(data), measure), expected)


class Half(Communicator):
    """The first of two ranks; what the other one has to say is known beforehand."""

    size = 2

    def __init__(self, others: np.ndarray) -> None:
        self.others = others

    def sum(self, array: np.ndarray) -> np.ndarray:
        assert array.dtype == np.float64
        return array + self.others


@pytest.mark.parametrize("precision", ["single", "double"])
def test_predictions_are_summed_over_ranks(precision: str) -> None:
    """Two shares of the particles couple to what all of them couple to."""
    neuron, inputs = NEURONS[1]
    risk = wg.Risk(sample(inputs, 3), neuron, scale=1.7).in_precision(precision)
    whole = cloud(risk)
    one, two = (
        wg.Particles(whole.position[part], whole.mass[part])
        for part in (slice(None, 11), slice(11, None))
    )
    others = risk.couple(two) / risk.scale
    expected = risk.couple(whole)
    tolerance = 1e-14 if precision == "double" else 1e-6
    np.testing.assert_allclose(
        risk.couple(one, Half(others)), expected, rtol=0, atol=tolerance * np.abs(expected).max()
    )


def test_two_threads_may_use_one_risk_at_once() -> None:
    """Each gets the gradient of its own particles, though the activations kept are the other's."""
    generator = np.random.default_rng(0)
    data = wg.Data(generator.standard_normal((200, 16)), generator.standard_normal(200))
    risk = wg.Risk(data, wg.Neuron("tanh"))
    clouds = [wg.Particles(generator.standard_normal((150, 17))) for _ in range(2)]

    def gradient(cloud: wg.Particles) -> np.ndarray:
        return risk.gradient(cloud.points, risk.couple(cloud))

    alone = [gradient(cloud) for cloud in clouds]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(gradient, clouds * 50))
    for number, result in enumerate(found):
        np.testing.assert_allclose(result, alone[number % 2], rtol=1e-9, atol=1e-12)


def test_what_is_kept_does_not_change_with_the_array_of_the_caller() -> None:
    generator = np.random.default_rng(1)
    data = wg.Data(generator.standard_normal((600, 2)), generator.standard_normal(600))
    risk = wg.Risk(data, wg.Neuron("relu", outer="fixed"))
    points = generator.standard_normal((900, 2))
    before = points.copy()
    coupling = risk.couple(wg.Particles(points))
    points += 0.3
    fresh = wg.Risk(data, wg.Neuron("relu", outer="fixed"))
    np.testing.assert_allclose(
        risk.gradient(before, coupling), fresh.gradient(before, coupling), rtol=1e-10
    )
