"""Accelerated fixed-point iteration for the coupling of an implicit step."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

Map = Callable[[np.ndarray], np.ndarray]

PATIENCE = 12
"""Residuals within which a hurried iteration must halve its error."""
SHORTEST_STEP = 1 / 64
"""In units of the correction."""
LONGEST, SHORTEST = 16.0, 1.05
"""Ratios between one parameter and the next of `continued`: the first tried, and the last."""
DEPENDENT = 1e-12
"""Share of the largest eigenvalue of a Gram matrix below which changes count as dependent."""


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """The outcome of an iteration.

    Attributes
    ----------
    point, error
        The last point, or the best one without convergence, and the error there.
    iterations
        The number of residuals computed.
    converged
        Whether the error is within the tolerance.
    moves, turns
        The last changes of the point and of the residual, one a row, (m, n) each.
    """

    point: np.ndarray
    error: float
    iterations: int
    converged: bool
    moves: np.ndarray
    turns: np.ndarray


def largest_entry(residual: np.ndarray) -> float:
    """Return the maximum norm."""
    return float(np.abs(residual).max(initial=0.0))


def anderson(
    residual: Map,
    correction: Map,
    start: np.ndarray,
    tolerance: float,
    most: int,
    depth: int = 8,
    *,
    measure: Callable[[np.ndarray], float] = largest_entry,
    weight: Callable[[], np.ndarray | float] = lambda: 1.0,
    hurried: bool = False,
) -> FixedPoint:
    """Solve residual(x) = 0 by Anderson acceleration of x <- x + correction(residual(x)).

    Type II with a memory of `depth` steps (Walker and Ni, "Anderson acceleration for fixed-point
    iterations", SIAM J. Numer. Anal. 49, 2011). When the error grows tenfold beyond the best one
    seen, the memory is dropped and half a correction is taken from the best point; steps become
    whole again, twice as long each time, as the error falls.

    Parameters
    ----------
    residual, correction
        Arrays (n,) to (n,); the correction is that of a quasi-Newton method.
    start
        Shape (n,).
    tolerance
        On the error of the residual.
    most
        The largest number of residuals computed.
    depth
        The number of steps remembered.
    measure
        The error of the residual computed last; by default its largest entry.
    weight
        Returns what corrections (n,) are multiplied by in the least squares, as of the residual
        computed last; by default 1.
    hurried
        Give up when the error is not halved within `PATIENCE` residuals.
    """
    point = start
    last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # point, step, residual
    moves: list[np.ndarray] = []
    bends: list[np.ndarray] = []
    turns: list[np.ndarray] = []
    best, best_point, best_step = np.inf, point, np.zeros_like(start)
    damping, goal, patience = 1.0, np.inf, PATIENCE
    iteration, converged = 0, False
    while iteration < most and not converged:
        iteration += 1
        vector = residual(point)
        error = measure(vector)
        converged = error <= tolerance
        patience -= 1
        if error <= goal / 2:
            goal, patience = error, PATIENCE
        if hurried and patience < 0 and not converged:
            break
        if not (error <= 10 * best and error < np.inf):  # also when it is not a number
            if best == np.inf:
                break  # the start itself gives no number: there is nothing to go back to
            for memory in (moves, bends, turns):
                memory.clear()
            last = None
            damping = max(damping / 2, SHORTEST_STEP)
            point = best_point + damping * best_step
            continue
        step = vector if converged else correction(vector)
        if not np.isfinite(step).all():
            step = damping * vector
        if error <= best:
            best, best_point, best_step = error, point, step
            damping = min(1.0, 2 * damping)
        if last is not None and depth > 0:
            moves.append(point - last[0])
            bends.append(step - last[1])
            turns.append(vector - last[2])
            del moves[:-depth], bends[:-depth], turns[:-depth]
        if converged:
            break
        last = (point, step, vector)
        point = point + damping * step
        if moves:
            share = _least_squares(np.array(bends), step, weight())
            point = point - share @ (np.array(moves) + damping * np.array(bends))
    empty = np.zeros((0, len(start)))
    return FixedPoint(
        best_point,
        best,
        iteration,
        converged,
        np.array(moves) if moves else empty,
        np.array(turns) if turns else empty,
    )


def preconditioned(correction: Map, moves: np.ndarray, turns: np.ndarray) -> Map:
    """Return a correction made better by how a similar residual has been seen to change.

    It is what an Anderson step would do with that memory, and the iteration itself starts on top
    of it with a memory of its own, in which old changes do not mix with new ones.

    Parameters
    ----------
    correction
        Arrays (n,) to (n,).
    moves, turns
        Changes of a point and of the residual there, one a row, (m, n); rows of zeros are none.
    """
    known = turns.any(axis=1)
    if not known.any():
        return correction
    moves = moves[known]
    bends = np.array([correction(turn) for turn in turns[known]])

    def better(error: np.ndarray) -> np.ndarray:
        step = correction(error)
        return step - _least_squares(bends, step, 1.0) @ (moves + bends)

    return better


def continued(
    solve: Callable[[float, np.ndarray, int, bool], FixedPoint],
    parameter: float,
    start: np.ndarray,
    most: int,
) -> FixedPoint:
    """Solve an equation at a parameter, by way of smaller parameters if need be.

    From a start that is too far away, the parameter is divided by `LONGEST` until the iteration
    converges, then followed back up.

    Parameters
    ----------
    solve
        Takes the parameter, a start, the most residuals, and whether the solution is only a rough
        one on the way (which may be hurried and inexact).
    parameter
        The start solves the equation at 0.
    start
        Shape (n,).
    most
        The largest number of residuals computed in all.
    """
    used = 0

    def attempt(at: float, point: np.ndarray, rough: bool) -> FixedPoint:
        nonlocal used
        solution = solve(at, point, most - used, rough)
        used += solution.iterations
        return dataclasses.replace(solution, iterations=used)

    solution = attempt(parameter, start, False)
    reached, point, upper, ratio = 0.0, start, parameter, LONGEST
    while not solution.converged and used < most and ratio > SHORTEST:
        # Go down until a parameter is solved, then up again, in shorter steps where one fails.
        goal = upper / LONGEST if reached == 0 else min(ratio * reached, parameter)
        last = goal == parameter
        found = attempt(goal, point, not last)
        if found.converged:
            reached, point, ratio = goal, found.point, min(ratio**1.5, LONGEST)
        elif reached == 0:
            upper = goal
        else:
            ratio = math.sqrt(ratio)
        if last:
            solution = found
    return dataclasses.replace(solution, iterations=used)


def _least_squares(rows: np.ndarray, target: np.ndarray, weight: np.ndarray | float) -> np.ndarray:
    """Return coefficients (m,) of the combination of rows (m, n) that is nearest to a target (n,).

    By the Gram matrix of the normalised rows, which is fast for long rows, with one refinement,
    which makes up for its squared condition number.
    """
    weighted = rows * weight
    length = np.sqrt(np.einsum("ij,ij->i", weighted, weighted))
    length[length == 0] = 1.0
    weighted /= length[:, np.newaxis]
    value, vector = np.linalg.eigh(weighted @ weighted.T)
    kept = value > DEPENDENT * value[-1]
    vector = vector[:, kept]
    rest = target * weight
    total = np.zeros(len(rows))
    for _ in range(2):
        share = vector @ ((vector.T @ (weighted @ rest)) / value[kept])
        total += share
        rest = rest - share @ weighted
    return total / length
