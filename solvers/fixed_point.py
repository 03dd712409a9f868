"""Accelerated fixed-point iteration for the coupling of an implicit step."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.linalg import lstsq


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """The last point of an iteration, its residual in the maximum norm, and how many it took."""

    point: np.ndarray
    error: float
    iterations: int
    converged: bool


def anderson(
    residual: Callable[[np.ndarray], np.ndarray],
    correction: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    tolerance: float,
    most: int,
    depth: int = 8,
) -> FixedPoint:
    """Solve residual(x) = 0 by Anderson acceleration of x <- x + correction(residual(x)).

    Type II with a memory of `depth` steps (Walker and Ni, "Anderson acceleration for fixed-point
    iterations", SIAM J. Numer. Anal. 49, 2011). When the residual grows tenfold beyond the best
    one seen, the memory is dropped and half a correction is taken from the best point.

    Parameters
    ----------
    residual, correction
        Arrays (n,) to (n,); the correction is that of a quasi-Newton method.
    start
        Shape (n,).
    tolerance
        On the largest entry of the residual.
    most
        The largest number of residuals computed.
    """
    point = start
    points: list[np.ndarray] = []
    steps: list[np.ndarray] = []
    best, best_point, best_step = np.inf, point, np.zeros_like(start)
    damping = 1.0
    for iteration in range(1, most + 1):
        error_vector = residual(point)
        error = float(np.abs(error_vector).max(initial=0.0))
        if error <= tolerance:
            return FixedPoint(point, error, iteration, True)
        if not (error <= 10 * best and error < np.inf):  # also when it is not a number
            if best == np.inf:
                break  # the start itself gives no number: there is nothing to go back to
            points.clear()
            steps.clear()
            damping /= 2
            point = best_point + damping * best_step
            continue
        step = correction(error_vector)
        if not np.isfinite(step).all():
            step = damping * error_vector
        if error < best:
            best, best_point, best_step, damping = error, point, step, 1.0
        points.append(point)
        steps.append(step)
        del points[: -depth - 1], steps[: -depth - 1]
        point = point + step
        if len(points) > 1:
            differences = np.diff(np.array(steps), axis=0).T
            weights = lstsq(differences, step, cond=1e-14)[0]
            point = point - (np.diff(np.array(points), axis=0).T + differences) @ weights
    return FixedPoint(best_point, best, iteration, False)
