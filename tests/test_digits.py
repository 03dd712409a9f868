"""The case digits: its data, its formulas, and what happens without scikit-learn."""

import importlib
import math
import subprocess
import sys

import numpy as np
import pytest

import wgflow as wg
from wgflow.cases import digits
from wgflow.errors import MissingPackageError
from wgflow.exact import softmax


def images(count: int = 40, classes: int = 3, inputs: int = 4) -> wg.Data:
    """Return random data of the same kind, so that most laws need no scikit-learn."""
    generator = np.random.default_rng(0)
    labels = generator.integers(classes, size=count)
    return wg.Data(generator.standard_normal((count, inputs)), np.eye(classes)[labels])


@pytest.fixture
def without_scikit_learn(monkeypatch) -> None:
    importer = importlib.import_module

    def missing(name: str, *rest: object) -> object:
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(f"No module named '{name}'")
        return importer(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    digits._split.cache_clear()


def test_the_case_is_described_without_scikit_learn(without_scikit_learn) -> None:
    assert "digits" in wg.list_cases()
    case = wg.find_case("digits")
    assert case.summary.startswith("Softmax network") and "samples" in case.parameters


def test_its_problem_needs_scikit_learn_and_says_so(without_scikit_learn) -> None:
    with pytest.raises(
        MissingPackageError, match=r"needs scikit-learn.*pip install 'wgflow\[data\]'"
    ):
        wg.get_case("digits")


def test_the_module_does_not_load_scikit_learn() -> None:
    code = "import sys, wgflow.cases.digits; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_data_of_ones_own_need_no_scikit_learn(without_scikit_learn) -> None:
    problem = wg.get_case("digits", data=images())
    assert problem.domain.dimension == 3 + 4 + 1
    run = wg.solve(problem.until(0.1, 0.1), wg.ParticleFlow(count=20, step=0.05))
    assert run.status == "finished" and run.risk[-1] < run.risk[0]


def test_parameters_are_checked() -> None:
    for given, words in (
        ({"samples": 5}, "samples is 5, but must be a whole number of at least 10"),
        ({"samples": [10]}, "samples is"),
        ({"samples": 1000.0}, "samples is 1000.0"),
    ):
        with pytest.raises(wg.InputError, match=words):
            wg.get_case("digits", **given)
    with pytest.raises(wg.InputError, match="scale is 0"):
        wg.get_case("digits", data=images(), scale=0)
    with pytest.raises(wg.InputError, match="single 1"):
        wg.get_case("digits", data=wg.Data(np.ones((2, 4)), np.ones((2, 3))))


def test_the_risk_at_the_start_is_log_k_and_a_fluctuation() -> None:
    """Second order in f: with 16 times the neurons the excess is 1/16, and so are the terms left.

    The mean over seeds is within three standard errors.
    """
    data, excess = images(), []
    problem = digits.problem(data=data, scale=1.0)
    risk = problem.energy.risk
    for count in (25, 400):
        clouds = [problem.initial.particles(seed, count) for seed in range(400)]
        found = [risk.value(risk.couple(cloud)) for cloud in clouds]
        expected = softmax.start_risk(data.x, data.y, count, 1.0)
        assert np.mean(found) == pytest.approx(expected, abs=3 * np.std(found) / math.sqrt(400))
        excess.append(expected - math.log(3))
    assert excess[0] == pytest.approx(16 * excess[1])


@pytest.mark.parametrize(
    "solver",
    [wg.ParticleFlow(count=15, step=0.1, method="euler"), wg.SGD(width=15, step=0.1)],
    ids=["particles", "sgd"],
)
def test_gradient_descent_is_that_of_its_formulas(solver) -> None:
    data = images()
    problem = digits.problem(temperature=0.0, ridge=0.1, data=data).until(0.5, 0.1)
    run = wg.solve(problem, solver)
    start = problem.initial.particles(0, 15).points
    expected = softmax.descent(start, data.x, data.y, 4.0, ridge=0.1, step=0.1, count=5)
    np.testing.assert_allclose(run.risk, expected, rtol=1e-12)
    assert expected[-1] < expected[0] - 0.1


def test_a_permutation_of_the_classes_permutes_the_network() -> None:
    """Outer weights and labels permuted alike: the same risk, and velocities permuted."""
    data, order = images(), np.array([2, 0, 1])
    other = wg.Data(data.x, data.y[:, order])
    theta = np.random.default_rng(1).standard_normal((12, 8))
    moved = theta.copy()
    moved[:, :3] = theta[:, order]
    one, two = (digits.problem(data=held).energy.risk for held in (data, other))
    first, second = one.couple(wg.Particles(theta)), two.couple(wg.Particles(moved))
    assert one.value(first) == pytest.approx(two.value(second), rel=1e-14)
    velocity = one.gradient(theta, first)
    velocity[:, :3] = velocity[:, order]
    np.testing.assert_allclose(two.gradient(moved, second), velocity, rtol=1e-12, atol=1e-14)


def test_images_are_split_once_and_centred_at_the_training_mean() -> None:
    pytest.importorskip("sklearn")
    train, test = digits.split(1000)
    assert (train.count, test.count) == (1000, 797)
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-13)
    together = np.concatenate([train.x, test.x])
    assert len(np.unique(together, axis=0)) == len(together)
    assert np.ptp(together) <= 8 and (train.y.sum(axis=0) > 80).all()
    assert digits.split(1000)[0] is train
    np.testing.assert_array_equal(digits.split(1500)[0].y[:1000], train.y)


def test_a_small_network_learns_to_read() -> None:
    """From one in ten to nine of ten of the images that it has not seen."""
    pytest.importorskip("sklearn")
    problem = wg.get_case("digits", samples=500).until(1.0, 1.0)
    test = digits.split(500)[1]
    for solver in (wg.ParticleFlow(count=200, step=0.02), wg.SGD(width=200, step=0.02, batch=50)):
        run = wg.solve(problem, solver)
        assert digits.accuracy(run, 0, test) < 0.3
        assert digits.accuracy(run, -1, test) > 0.9
