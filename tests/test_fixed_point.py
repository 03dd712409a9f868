"""Laws of the accelerated fixed-point iteration."""

from collections.abc import Callable, Collection

import numpy as np
import pytest

from wgflow.solvers.fixed_point import FixedPoint, anderson, continued, preconditioned

Map = Callable[[np.ndarray], np.ndarray]


class Counted:
    """A residual that counts its calls, remembers its points, and fails at some of them."""

    def __init__(
        self, residual: Map, failures: Collection[int] = (), failure: float = np.nan
    ) -> None:
        self.residual, self.failures, self.failure = residual, failures, failure
        self.points: list[np.ndarray] = []

    def __call__(self, point: np.ndarray) -> np.ndarray:
        self.points.append(point.copy())
        if len(self.points) in self.failures:
            return np.full_like(point, self.failure)
        return self.residual(point)


def unchanged(residual: np.ndarray) -> np.ndarray:
    return residual


def linear(size: int, seed: int) -> tuple[Map, np.ndarray]:
    """A random linear residual b - A x and its root."""
    random = np.random.default_rng(seed)
    matrix = np.eye(size) + 0.5 * random.normal(size=(size, size)) / np.sqrt(size)
    root = random.normal(size=size)
    return (lambda x: matrix @ (root - x)), root


def contraction(size: int = 40, rate: float = 0.95, seed: int = 0) -> Map:
    """The residual of x <- M x + b with a spectral radius of `rate`."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(size, size))
    matrix *= rate / np.abs(np.linalg.eigvals(matrix)).max()
    offset = random.normal(size=size)
    return lambda x: offset + matrix @ x - x


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_linear_problems_take_one_residual_more_than_unknowns(size: int, seed: int) -> None:
    """With a memory of n steps the root is found by n + 1 residuals; one more confirms it."""
    residual, root = linear(size, seed)
    solution = anderson(residual, unchanged, np.zeros(size), 1e-10, 50, depth=size)
    assert solution.converged
    assert solution.iterations <= size + 2
    assert solution.point == pytest.approx(root, abs=1e-8)


def test_a_contraction_is_solved_faster_than_by_plain_iteration() -> None:
    residual, start = contraction(), np.zeros(40)
    plain = anderson(residual, unchanged, start, 1e-10, 1000, depth=0)
    fast = anderson(residual, unchanged, start, 1e-10, 1000)
    assert plain.converged
    assert fast.converged
    assert fast.iterations < plain.iterations / 2
    assert fast.point == pytest.approx(plain.point, abs=1e-8)


def test_without_memory_the_iteration_is_the_plain_one() -> None:
    residual = contraction(size=5, rate=0.5)
    counted = Counted(residual)
    anderson(counted, unchanged, np.ones(5), 1e-6, 100, depth=0)
    point = np.ones(5)
    for seen in counted.points:
        assert np.array_equal(seen, point)
        point = point + residual(point)


def test_a_nonlinear_problem_converges_to_its_root() -> None:
    """X = cos x in each entry."""
    solution = anderson(lambda x: np.cos(x) - x, unchanged, np.zeros(3), 1e-13, 50)
    assert solution.converged
    assert solution.point == pytest.approx(0.7390851332151607, abs=1e-12)


def test_the_correction_is_what_moves_the_point() -> None:
    """With the exact inverse as correction a linear problem takes one step."""
    residual, root = linear(6, 1)
    matrix = np.stack([residual(root - unit) for unit in np.eye(6)], axis=1)
    solution = anderson(residual, lambda r: np.linalg.solve(matrix, r), np.zeros(6), 1e-10, 50)
    assert solution.converged
    assert solution.iterations == 2


def test_the_error_is_the_largest_entry_of_the_residual_at_the_point() -> None:
    residual = contraction()
    for most in (1, 5, 300):
        solution = anderson(residual, unchanged, np.zeros(40), 1e-6, most)
        assert solution.error == np.abs(residual(solution.point)).max()
        assert solution.converged == (solution.error <= 1e-6)


def test_a_start_that_solves_the_problem_is_returned_at_once() -> None:
    residual, root = linear(4, 2)
    solution = anderson(residual, unchanged, root, 1e-10, 50)
    assert solution.iterations == 1
    assert np.array_equal(solution.point, root)


def test_non_convergence_is_reported_with_the_best_point() -> None:
    """x^2 + 1 has no root; the best point seen is the one of smallest residual."""
    counted = Counted(lambda x: 1 + x**2)
    solution = anderson(counted, lambda r: -r, np.array([0.3]), 1e-10, 30)
    assert not solution.converged
    assert solution.iterations == len(counted.points) == 30
    assert solution.error == min(1 + float(point[0]) ** 2 for point in counted.points)
    assert solution.error == 1 + float(solution.point[0]) ** 2


def test_no_more_residuals_are_computed_than_allowed() -> None:
    for most in (1, 2, 7):
        counted = Counted(contraction())
        solution = anderson(counted, unchanged, np.zeros(40), 1e-12, most)
        assert len(counted.points) == solution.iterations == most
        assert not solution.converged


@pytest.mark.parametrize("failure", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("failures", [(2,), (3, 4), (5, 6, 7, 8, 9, 10), range(3, 60)])
def test_residuals_that_are_no_numbers_are_survived(
    failures: Collection[int], failure: float
) -> None:
    """The memory is dropped and shorter steps are tried from the best point."""
    counted = Counted(contraction(), failures, failure)
    solution = anderson(counted, unchanged, np.zeros(40), 1e-10, 400)
    assert solution.converged
    assert np.isfinite(solution.point).all()


@pytest.mark.parametrize("failure", [np.nan, np.inf, 1e6])
def test_a_failure_halves_the_correction_from_the_best_point(failure: float) -> None:
    """Half of it, then a quarter; a residual that grows tenfold is a failure as well."""
    residual = contraction(size=5, rate=0.5)
    counted = Counted(residual, (3, 4), failure)
    anderson(counted, unchanged, np.ones(5), 1e-10, 6)
    best = counted.points[1]
    assert counted.points[3] == pytest.approx(best + residual(best) / 2, rel=1e-14)
    assert counted.points[4] == pytest.approx(best + residual(best) / 4, rel=1e-14)


@pytest.mark.parametrize("failure", [np.nan, 1e6])
def test_a_failure_drops_the_memory(failure: float) -> None:
    """The step after it is a plain one, as the first step of all is."""
    residual = contraction(size=5, rate=0.5)
    counted = Counted(residual, (4,), failure)
    anderson(counted, unchanged, np.ones(5), 1e-10, 7)
    after = counted.points[4]
    assert counted.points[5] == pytest.approx(after + residual(after), rel=1e-14)


@pytest.mark.parametrize("failure", [np.nan, np.inf])
def test_a_residual_that_never_is_a_number_ends_without_convergence(failure: float) -> None:
    start = np.ones(3)
    solution = anderson(lambda x: np.full_like(x, failure), unchanged, start, 1e-10, 20)
    assert not solution.converged
    assert not solution.error <= 1e-10
    assert np.array_equal(solution.point, start)


@pytest.mark.parametrize("failures", [(1,), (2,), (3, 4)])
def test_corrections_that_are_no_numbers_are_survived(failures: Collection[int]) -> None:
    correction = Counted(unchanged, failures)
    solution = anderson(contraction(), correction, np.zeros(40), 1e-10, 400)
    assert np.isfinite(solution.point).all()
    assert np.isfinite(solution.error)


def test_an_overshooting_correction_is_damped() -> None:
    """Log x = 1 by corrections twenty times too long, which leave the domain of the logarithm."""

    def residual(x: np.ndarray) -> np.ndarray:
        return 1 - np.log(x, where=x > 0, out=np.full_like(x, np.nan))

    solution = anderson(residual, lambda r: 20 * r, np.array([1.0]), 1e-10, 100)
    assert solution.converged
    assert solution.point == pytest.approx([np.e], rel=1e-9)


def test_the_start_is_not_changed() -> None:
    start = np.zeros(40)
    anderson(contraction(), unchanged, start, 1e-10, 200)
    assert not start.any()


def test_the_error_is_what_the_measure_says() -> None:
    residual = contraction()
    solution = anderson(
        residual, unchanged, np.zeros(40), 1e-6, 300, measure=lambda r: float((r**2).sum())
    )
    assert solution.converged
    assert solution.error == pytest.approx((residual(solution.point) ** 2).sum())


def test_weights_decide_which_entries_are_made_small_first() -> None:
    """Least squares over the weighted entries alone solve those in as many steps as they are."""
    first, root = linear(2, 3)
    rest = contraction(size=6, rate=0.9)

    def residual(x: np.ndarray) -> np.ndarray:
        return np.concatenate([first(x[:2]), rest(x[2:])])

    weight = np.array([1.0] * 2 + [1e-9] * 6)
    solution = anderson(residual, unchanged, np.zeros(8), 1e-14, 4, weight=lambda: weight)
    assert solution.point[:2] == pytest.approx(root, abs=1e-6)
    plain = anderson(residual, unchanged, np.zeros(8), 1e-14, 4)
    assert np.abs(plain.point[:2] - root).max() > 1e-3


def test_a_hurried_iteration_gives_up_early() -> None:
    residual = contraction(rate=0.999)
    slow = anderson(residual, lambda r: r / 50, np.zeros(40), 1e-10, 500, 0, hurried=True)
    assert not slow.converged
    assert slow.iterations < 40
    quick = anderson(contraction(rate=0.5), unchanged, np.zeros(40), 1e-10, 500, hurried=True)
    assert quick.converged


def test_changes_are_returned_and_make_a_correction_better() -> None:
    """What one iteration has seen of a linear residual solves another on the same space."""
    residual, root = linear(5, 4)
    seen = anderson(residual, unchanged, np.zeros(5), 1e-12, 50)
    for move, turn in zip(seen.moves, seen.turns, strict=True):
        assert turn == pytest.approx(residual(move) - residual(np.zeros(5)), abs=1e-12)
    padded = [np.vstack([changes, np.zeros((2, 5))]) for changes in (seen.moves, seen.turns)]
    better = preconditioned(unchanged, *padded)
    again = anderson(residual, better, root + 1.0, 1e-9, 50)
    assert again.iterations <= 3
    assert again.point == pytest.approx(root, abs=1e-8)
    nothing = preconditioned(unchanged, np.zeros((3, 5)), np.zeros((3, 5)))
    assert nothing is unchanged


def test_a_far_solution_is_reached_by_way_of_smaller_parameters() -> None:
    """X = p tanh(4 - x^3)-like: from 0 the plain iteration for p = 40 does not converge."""

    def solve(parameter: float, start: np.ndarray, most: int, rough: bool) -> FixedPoint:
        tolerance = 1e-3 if rough else 1e-10
        slope = 1 + 3 * parameter * start**2
        return anderson(
            lambda x: parameter * (1 - x**3) - x,
            lambda r: r / slope,
            start,
            tolerance,
            most,
            0,
            hurried=True,
        )

    assert not solve(40.0, np.zeros(1), 300, False).converged
    solution = continued(solve, 40.0, np.zeros(1), 300)
    assert solution.converged
    x = float(solution.point[0])
    assert 40.0 * (1 - x**3) == pytest.approx(x, abs=1e-8)
    assert solution.iterations <= 300
    short = continued(solve, 40.0, np.zeros(1), 5)
    assert not short.converged
    assert short.iterations <= 5
