"""Laws of the losses: derivatives, and the Fenchel-Young relations with their conjugates."""

import numpy as np
import pytest

from wgflow.errors import InputError
from wgflow.loss import LOSSES, Loss, as_loss

COUNT = 40


@pytest.fixture(params=sorted(LOSSES))
def loss(request: pytest.FixtureRequest) -> Loss:
    return as_loss(request.param)


@pytest.fixture(params=[1, 3])
def sample(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(request.param)
    return tuple(random.normal(size=(2, COUNT, request.param)) * 3)


def differences(function, at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences in each column; the new axis of columns is the second."""
    columns = []
    for shift in step * np.eye(at.shape[1]):
        columns.append((function(at + shift) - function(at - shift)) / (2 * step))
    return np.stack(columns, axis=1)


def test_the_derivative_is_that_of_the_value(loss: Loss, sample: tuple) -> None:
    f, y = sample
    expected = differences(lambda at: loss.value(at, y), f)
    assert loss.derivative(f, y) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_hessian_is_the_derivative_of_the_derivative(loss: Loss, sample: tuple) -> None:
    f, y = sample
    expected = differences(lambda at: loss.derivative(at, y), f)
    assert loss.hessian(f, y).shape == (*f.shape, f.shape[1])
    assert loss.hessian(f, y) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_conjugate_derivative_is_that_of_the_conjugate(loss: Loss, sample: tuple) -> None:
    p, y = sample
    expected = differences(lambda at: loss.conjugate(at, y), p)
    assert loss.conjugate_derivative(p, y) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_conjugate_hessian_is_the_derivative_of_the_conjugate_derivative(
    loss: Loss, sample: tuple
) -> None:
    p, y = sample
    expected = differences(lambda at: loss.conjugate_derivative(at, y), p)
    assert loss.conjugate_hessian(p, y).shape == (*p.shape, p.shape[1])
    assert loss.conjugate_hessian(p, y) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_two_hessians_are_inverse_to_each_other(loss: Loss, sample: tuple) -> None:
    f, y = sample
    product = loss.hessian(f, y) @ loss.conjugate_hessian(loss.derivative(f, y), y)
    assert product == pytest.approx(np.broadcast_to(np.eye(f.shape[1]), product.shape), abs=1e-12)


def test_the_conjugate_derivative_inverts_the_derivative(loss: Loss, sample: tuple) -> None:
    f, y = sample
    assert loss.conjugate_derivative(loss.derivative(f, y), y) == pytest.approx(f, rel=1e-12)
    assert loss.derivative(loss.conjugate_derivative(f, y), y) == pytest.approx(f, rel=1e-12)


def test_fenchel_young_is_an_equality_at_conjugate_pairs(loss: Loss, sample: tuple) -> None:
    """loss(f) + conjugate(p) = <p, f> where p = loss'(f)."""
    f, y = sample
    p = loss.derivative(f, y)
    both = loss.value(f, y) + loss.conjugate(p, y)
    assert both == pytest.approx((p * f).sum(axis=1), rel=1e-12, abs=1e-12)


def test_fenchel_young_is_strict_elsewhere(loss: Loss, sample: tuple) -> None:
    """loss(f) + conjugate(p) > <p, f> where p is not loss'(f)."""
    f, y = sample
    p = loss.derivative(f, y) + np.random.default_rng(0).normal(size=f.shape)
    assert (loss.value(f, y) + loss.conjugate(p, y) > (p * f).sum(axis=1) + 1e-9).all()


def test_the_conjugate_is_the_largest_of_its_lower_bounds(loss: Loss) -> None:
    """conjugate(p, y) = sup_f <p, f> - loss(f, y), here over a fine grid of f."""
    f = np.linspace(-20, 20, 40001)[:, np.newaxis]
    for p, y in [(0.0, 1.0), (2.0, -1.5), (-3.3, 0.7)]:
        bounds = p * f[:, 0] - loss.value(f, np.full_like(f, y))
        conjugate = loss.conjugate(np.array([[p]]), np.array([[y]]))[0]
        assert bounds.max() <= conjugate + 1e-12
        assert bounds.max() == pytest.approx(conjugate, abs=1e-5)


def test_the_loss_vanishes_with_its_derivative_at_the_target(loss: Loss, sample: tuple) -> None:
    _, y = sample
    assert not loss.value(y, y).any()
    assert not loss.derivative(y, y).any()


def test_the_two_squares_by_hand() -> None:
    f, y = np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]])
    assert as_loss("half_squared").value(f, y) == pytest.approx([2.5])
    assert as_loss("squared").value(f, y) == pytest.approx([5.0])


def test_every_loss_knows_its_name() -> None:
    assert {name: loss.name for name, loss in LOSSES.items()} == {name: name for name in LOSSES}


def test_an_unknown_loss_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Unknown loss 'squard'; .*half_squared.*'squared'"):
        as_loss("squard")
