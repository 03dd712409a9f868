"""Laws of the losses: derivatives, and the Fenchel-Young relations with their conjugates."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from wgflow.errors import InputError
from wgflow.loss import LOSSES, Loss, as_loss

COUNT = 40


def random_targets(loss: Loss, random: np.random.Generator, outputs: int) -> np.ndarray:
    if loss.name == "logistic":
        return random.choice([-1.0, 1.0], (COUNT, outputs))
    if loss.name == "softmax":
        return np.eye(outputs)[random.integers(outputs, size=COUNT)]
    return random.normal(size=(COUNT, outputs)) * 3


def projection(loss: Loss, outputs: int) -> np.ndarray:
    """Onto the span of the residuals: those of the softmax sum to zero."""
    identity = np.eye(outputs)
    return identity - 1 / outputs if loss.name == "softmax" else identity


@pytest.fixture(params=sorted(LOSSES))
def loss(request: pytest.FixtureRequest) -> Loss:
    return as_loss(request.param)


@pytest.fixture(params=[1, 3])
def sample(request: pytest.FixtureRequest, loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(request.param)
    outputs = request.param + (loss.name == "softmax")
    return random.normal(size=(COUNT, outputs)) * 3, random_targets(loss, random, outputs)


def differences(function, at: np.ndarray, directions: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences in each direction; the new axis of directions is the second."""
    columns = []
    for shift in step * directions:
        columns.append((function(at + shift) - function(at - shift)) / (2 * step))
    return np.stack(columns, axis=1)


def test_the_derivative_is_that_of_the_value(loss: Loss, sample: tuple) -> None:
    f, y = sample
    expected = differences(lambda at: loss.value(at, y), f, np.eye(f.shape[1]))
    assert loss.derivative(f, y) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_hessian_is_the_derivative_of_the_derivative(loss: Loss, sample: tuple) -> None:
    f, y = sample
    expected = differences(lambda at: loss.derivative(at, y), f, np.eye(f.shape[1]))
    assert loss.hessian(f, y).shape == (*f.shape, f.shape[1])
    assert loss.hessian(f, y) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_conjugate_derivative_is_that_of_the_conjugate(loss: Loss, sample: tuple) -> None:
    f, y = sample
    p = loss.derivative(f / 3, y)
    directions = projection(loss, p.shape[1])
    expected = differences(lambda at: loss.conjugate(at, y), p, directions, 1e-6)
    assert loss.conjugate_derivative(p, y) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_conjugate_hessian_is_the_derivative_of_the_conjugate_derivative(
    loss: Loss, sample: tuple
) -> None:
    f, y = sample
    p = loss.derivative(f / 3, y)
    directions = projection(loss, p.shape[1])
    expected = differences(lambda at: loss.conjugate_derivative(at, y), p, directions, 1e-6)
    assert loss.conjugate_hessian(p, y).shape == (*p.shape, p.shape[1])
    assert loss.conjugate_hessian(p, y) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_two_hessians_are_inverse_to_each_other(loss: Loss, sample: tuple) -> None:
    """On the span of the residuals; off it both vanish."""
    f, y = sample
    inverse = loss.conjugate_hessian(loss.derivative(f, y), y)
    product = loss.hessian(f, y) @ inverse
    span = np.broadcast_to(projection(loss, f.shape[1]), product.shape)
    # A share s of a class errs by 1e-16 absolutely, its inverse by 1e-16 / s relatively.
    assert product == pytest.approx(span, abs=1e-16 * np.abs(inverse).max() + 1e-12)
    assert inverse @ span == pytest.approx(inverse, rel=1e-12, abs=1e-12 * np.abs(inverse).max())


def test_the_conjugate_derivative_inverts_the_derivative(loss: Loss, sample: tuple) -> None:
    f, y = sample
    p = loss.derivative(f, y)
    reached = loss.conjugate_derivative(p, y)
    # The residual of a wrong sample is near its bound, where it tells f only to 1e-16 exp|f|.
    error = 1e-15 * np.exp(np.abs(f).max() * 2)
    assert reached == pytest.approx(f @ projection(loss, f.shape[1]), rel=1e-12, abs=error)
    assert loss.derivative(reached, y) == pytest.approx(p, rel=1e-12, abs=1e-14)


def test_fenchel_young_is_an_equality_at_conjugate_pairs(loss: Loss, sample: tuple) -> None:
    """loss(f) + conjugate(p) = <p, f> where p = loss'(f)."""
    f, y = sample
    p = loss.derivative(f, y)
    both = loss.value(f, y) + loss.conjugate(p, y)
    assert both == pytest.approx((p * f).sum(axis=1), rel=1e-12, abs=1e-12)


def test_fenchel_young_is_strict_elsewhere(loss: Loss, sample: tuple) -> None:
    """loss(f) + conjugate(p) > <p, f> where p is not loss'(f)."""
    f, y = sample
    p = loss.derivative(f / 2 + np.arange(1, f.shape[1] + 1), y)
    assert (loss.value(f, y) + loss.conjugate(p, y) > (p * f).sum(axis=1) + 1e-9).all()


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 1000),
    pair=arrays(float, (2, COUNT, 3), elements=st.floats(-30, 30)),
)
def test_derivatives_and_fenchel_young_anywhere(name: str, seed: int, pair: np.ndarray) -> None:
    loss, (f, other) = as_loss(name), pair
    y = random_targets(loss, np.random.default_rng(seed), 3)
    p, q = loss.derivative(f, y), loss.derivative(other, y)
    expected = differences(lambda at: loss.value(at, y), f, np.eye(3), 1e-4)
    assert p == pytest.approx(expected, abs=1e-7)
    expected = differences(lambda at: loss.derivative(at, y), f, np.eye(3), 1e-4)
    assert loss.hessian(f, y) == pytest.approx(expected, abs=1e-7)
    size = 1e-13 * (1 + np.abs(pair).max() ** 2)
    assert loss.value(f, y) + loss.conjugate(p, y) == pytest.approx((p * f).sum(axis=1), abs=size)
    bound = (q * f).sum(axis=1)
    assert (loss.value(f, y) + loss.conjugate(q, y) >= bound - size).all()


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("half_squared", [(0.0, 1.0), (2.0, -1.5), (-3.3, 0.7)]),
        ("squared", [(0.0, 1.0), (2.0, -1.5), (-3.3, 0.7)]),
        ("logistic", [(-0.3, 1.0), (0.99, -1.0), (0.0, 1.0), (-1.0, 1.0)]),
    ],
)
def test_the_conjugate_is_the_largest_of_its_lower_bounds(name: str, pairs: list) -> None:
    """conjugate(p, y) = sup_f <p, f> - loss(f, y), here over a fine grid of f."""
    loss = as_loss(name)
    f = np.linspace(-20, 20, 40001)[:, np.newaxis]
    for p, y in pairs:
        bounds = p * f[:, 0] - loss.value(f, np.full_like(f, y))
        conjugate = loss.conjugate(np.array([[p]]), np.array([[y]]))[0]
        assert bounds.max() <= conjugate + 1e-12
        assert bounds.max() == pytest.approx(conjugate, abs=1e-5)


def test_quadratic_losses_are_those_with_an_affine_residual(loss: Loss, sample: tuple) -> None:
    f, y = sample
    middle = loss.derivative(f / 2, y)
    ends = (loss.derivative(f, y) + loss.derivative(np.zeros_like(f), y)) / 2
    assert loss.quadratic == np.allclose(middle, ends, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["half_squared", "squared"])
def test_the_squares_vanish_with_their_derivative_at_the_target(name: str) -> None:
    loss = as_loss(name)
    y = random_targets(loss, np.random.default_rng(1), 3)
    assert not loss.value(y, y).any()
    assert not loss.derivative(y, y).any()


# --- values by hand -------------------------------------------------------------------------


def test_the_two_squares_by_hand() -> None:
    f, y = np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]])
    assert as_loss("half_squared").value(f, y) == pytest.approx([2.5])
    assert as_loss("squared").value(f, y) == pytest.approx([5.0])


def test_the_logistic_loss_by_hand() -> None:
    loss, f, y = as_loss("logistic"), np.array([[0.0, np.log(3)]]), np.array([[1.0, -1.0]])
    assert loss.value(f, y) == pytest.approx([np.log(2) + np.log(4)])
    assert loss.derivative(f, y) == pytest.approx(np.array([[-0.5, 0.75]]))
    assert loss.hessian(f, y) == pytest.approx(np.array([[[0.25, 0.0], [0.0, 0.1875]]]))


def test_the_softmax_loss_by_hand() -> None:
    loss, f = as_loss("softmax"), np.log([[1.0, 2.0, 5.0]])
    y = np.array([[0.0, 1.0, 0.0]])
    assert loss.value(f, y) == pytest.approx([np.log(8 / 2)])
    assert loss.derivative(f, y) == pytest.approx(np.array([[0.125, -0.75, 0.625]]))


def test_softmax_of_two_classes_is_the_logistic_loss_of_their_difference() -> None:
    random = np.random.default_rng(1)
    f, labels = random.normal(size=(COUNT, 2)) * 5, random.integers(2, size=COUNT)
    expected = as_loss("logistic").value(f[:, [1]] - f[:, [0]], 2.0 * labels[:, None] - 1)
    assert as_loss("softmax").value(f, np.eye(2)[labels]) == pytest.approx(expected, rel=1e-12)


def test_a_constant_added_to_all_classes_changes_nothing() -> None:
    random = np.random.default_rng(2)
    loss = as_loss("softmax")
    f, y = random.normal(size=(COUNT, 4)), random_targets(loss, random, 4)
    for function in (loss.value, loss.derivative, loss.hessian):
        assert function(f + 700.0, y) == pytest.approx(function(f, y), rel=1e-11, abs=1e-12)
    assert loss.derivative(f, y).sum(axis=1) == pytest.approx(np.zeros(COUNT), abs=1e-15)


# --- far away and at the boundary -----------------------------------------------------------


@pytest.mark.parametrize("size", [40.0, 1e3, 1e5, 1e300])
def test_far_predictions_neither_overflow_nor_lose_digits(size: float) -> None:
    logistic, softmax = as_loss("logistic"), as_loss("softmax")
    near, tail = np.exp(-size), np.array([[1.0, -1.0]])
    f, y = np.array([[size], [-size]]), np.ones((2, 1))
    both = np.array([[size, 0.0], [0.0, size]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    for loss, at, slope in (
        (logistic, (f, y), np.array([[-near], [-1.0]])),
        (softmax, both, np.array([-near, -1.0])[:, None] * tail),
    ):
        assert loss.value(*at) == pytest.approx([near, size], rel=1e-13, abs=0)
        assert loss.derivative(*at) == pytest.approx(slope, rel=1e-13, abs=0)
        hessian = np.abs(loss.hessian(*at))
        assert hessian == pytest.approx(np.full_like(hessian, near), rel=1e-13, abs=0)
        p = loss.derivative(*at)
        expected = (p * at[0]).sum(axis=1) - loss.value(*at)
        assert loss.conjugate(p, at[1]) == pytest.approx(expected, rel=1e-13, abs=0)


@pytest.mark.parametrize(
    ("name", "p", "y", "expected"),
    [
        ("logistic", [0.0, -1.0], [1.0, 1.0], 0.0),
        ("logistic", [0.5, 1.0], [-1.0, -1.0], -np.log(2)),
        ("logistic", [-0.5, 1e-300], [1.0, 1.0], np.inf),
        ("logistic", [-0.5, -1 - 1e-15], [1.0, 1.0], np.inf),
        ("softmax", [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], 0.0),
        ("softmax", [1.0, -1.0, 0.0], [0.0, 1.0, 0.0], 0.0),
        ("softmax", [0.5, -0.5, 0.0], [0.0, 1.0, 0.0], -np.log(2)),
        ("softmax", [0.5, -0.4, -0.1], [0.0, 1.0, 0.0], np.inf),
        ("softmax", [0.7, -1.1, 0.4], [0.0, 1.0, 0.0], np.inf),
        ("softmax", [0.5, -0.4, 0.1], [0.0, 1.0, 0.0], np.inf),
    ],
)
def test_the_conjugate_at_and_beyond_the_boundary(
    name: str, p: list[float], y: list[float], expected: float
) -> None:
    conjugate = as_loss(name).conjugate(np.array([p]), np.array([y]))
    assert conjugate == pytest.approx([expected], rel=1e-15, abs=1e-15)


def test_at_the_boundary_the_prediction_is_infinite() -> None:
    logistic, y = as_loss("logistic"), np.array([[1.0, 1.0, -1.0]])
    at, infinite = np.array([[0.0, -1.0, 0.0]]), np.array([[np.inf, -np.inf, -np.inf]])
    assert np.array_equal(logistic.conjugate_derivative(at, y), infinite)
    assert np.isposinf(np.diagonal(logistic.conjugate_hessian(at, y)[0])).all()
    softmax, y = as_loss("softmax"), np.array([[1.0, 0.0, 0.0]])
    at, infinite = np.array([[-0.5, 0.5, 0.0]]), np.array([[np.inf, np.inf, -np.inf]])
    assert np.array_equal(softmax.conjugate_derivative(at, y), infinite)
    for loss, beyond in ((logistic, [[0.5]]), (softmax, [[-1.5, 1.5]])):
        p = np.array(beyond)
        target = np.eye(1, p.shape[1])
        assert np.isnan(loss.conjugate_derivative(p, target)).all()
        assert np.isnan(np.diagonal(loss.conjugate_hessian(p, target)[0])).all()


# --- names and targets ----------------------------------------------------------------------


def test_every_loss_knows_its_name() -> None:
    assert {name: loss.name for name, loss in LOSSES.items()} == {name: name for name in LOSSES}


def test_an_unknown_loss_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Unknown loss 'squard'; .*half_squared.*'squared'"):
        as_loss("squard")


def test_good_targets_pass(loss: Loss, sample: tuple) -> None:
    loss.check(sample[1])


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("half_squared", [0.0, np.nan], r"needs finite targets, but row 3 of y is \[ *0. +nan\]"),
        ("squared", [np.inf], r"needs finite targets, but row 3 of y is \[inf\]; remove"),
        ("logistic", [0.0], r"needs targets -1 or \+1, but row 3 of y is \[0.\]; .* 2 \* y - 1"),
        ("logistic", [1.0, 1 + 2e-16], r"row 3 of y is \[1. +1.0000000000000002\]"),
        ("logistic", [np.nan], r"row 3 of y is \[nan\]"),
        ("softmax", [0.0, 0.0], r"a single 1 and zeros, but row 3 of y is \[0. 0.\]; .*eye"),
        ("softmax", [1.0, 1.0, 0.0], r"row 3 of y is \[1. 1. 0.\]"),
        ("softmax", [0.5, 0.5], r"row 3 of y is \[0.5 0.5\]"),
        ("softmax", [2.0, -1.0], r"row 3 of y is \[ 2. -1.\]"),
        ("softmax", [1.0], r"two or more classes, but y has shape \(5, 1\); .*'logistic'"),
    ],
)
def test_bad_targets_are_refused(name: str, row: list[float], message: str) -> None:
    good = np.eye(5, len(row))
    good[:, 0] = 1.0 - good[:, 1:].sum(axis=1)
    target = np.where(good > 0, 1.0, -1.0) if name == "logistic" else good
    target[3] = row
    with pytest.raises(InputError, match=f"The loss '{name}' .*{message}"):
        as_loss(name).check(target)
