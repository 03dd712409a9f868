"""Laws of the extrapolation of laws and of couplings."""

import numpy as np
import pytest

from wgflow.solvers.extrapolation import extrapolated_law, in_time, law_difference


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_polynomials_are_continued_exactly(degree: int) -> None:
    """Through three points of any spacing, a parabola; through fewer, what they determine."""
    random = np.random.default_rng(degree)
    coefficients = random.normal(size=(4, degree + 1))

    def curve(time: float) -> np.ndarray:
        return coefficients @ time ** np.arange(degree + 1)

    for age in ([0.0, 0.5, 1.2], [0.0, 1.0, 2.0]):
        values = np.array([curve(-a) for a in age])
        known = np.where(np.arange(3) <= degree, age, np.inf)
        found = in_time(values, known, 0.4)
        assert found == pytest.approx(curve(0.4), abs=1e-12)


def test_far_extrapolation_uses_fewer_points() -> None:
    """One that would enlarge errors more than eight times falls back, to the last point at last."""
    values = np.array([[1.0], [0.0], [0.5]])
    age = np.array([0.0, 1.0, 2.0])
    assert in_time(values, age, 1.0) == pytest.approx(3 * 1.0 - 3 * 0.0 + 0.5)
    assert in_time(values, age, 3.0) == pytest.approx(4 * 1.0 - 3 * 0.0)
    assert in_time(values, age, 100.0) == pytest.approx(1.0)


def test_extrapolated_laws_are_laws_of_second_order() -> None:
    """With log rho_tau = log rho + tau a + tau^2 b the error of the result is of order tau^2."""
    random = np.random.default_rng(0)
    exact, first, second = random.normal(size=(3, 6, 7))
    exact -= np.log(np.exp(exact).sum())

    def law(step: float) -> np.ndarray:
        log_mass = exact + step * first + step**2 * second
        return log_mass - np.log(np.exp(log_mass).sum())

    errors = []
    for step in (0.02, 0.01):
        found = extrapolated_law(law(step), law(step / 2))
        assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-14)
        errors.append(law_difference(found, exact))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


def test_laws_far_apart_are_extrapolated_by_a_factor_of_two_at_most() -> None:
    whole, halved = np.log([0.98, 0.01, 0.01]), np.log([0.01, 0.01, 0.98])
    found = np.exp(extrapolated_law(whole, halved))
    assert found == pytest.approx(np.array([0.005, 0.01, 1.96]) / 1.975)


def test_the_difference_of_laws_lies_between_zero_and_two() -> None:
    first, second = np.array([0.0, -1e30]), np.array([-1e30, 0.0])
    assert law_difference(first, first) == 0.0
    assert law_difference(first, second) == 2.0
