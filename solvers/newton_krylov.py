"""Damped Newton iteration without derivatives, where an accelerated fixed point gives up."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

INEXACT = 1e-2
"""Relative residual of the linear systems."""
KRYLOV = 40
"""The most directions in which the residual is differentiated for one of them."""
SHORTEST = 1e-5
"""The iteration ends where a step must be cut to this part of it."""


@dataclasses.dataclass(frozen=True)
class Root:
    """The last point of an iteration, and the largest entry of its residual."""

    point: np.ndarray
    error: float


def newton_krylov(
    residual: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    tolerance: float,
    most: int,
) -> Root:
    """Solve residual(x) = 0 by Newton steps that GMRES computes from differences of residuals.

    Steps are halved until the norm of the residual falls (Kelley, "Solving Nonlinear Equations
    with Newton's Method", SIAM 2003). Cheap where the derivative is the identity plus a map of
    low rank, however large.

    Parameters
    ----------
    residual
        Arrays (n,) to (n,).
    start
        Shape (n,).
    tolerance
        On the largest entry of the residual.
    most
        The largest number of Newton steps.
    """
    point, error_vector = start, residual(start)
    for iteration in range(most + 1):
        error = float(np.abs(error_vector).max(initial=0.0))
        if error <= tolerance or not np.isfinite(error) or iteration == most:
            break
        step = _newton_step(residual, point, error_vector)
        length = 1.0
        trial = residual(point + step)
        # Written so that what is not a number counts as growth.
        while not np.linalg.norm(trial) < (1 - 1e-4 * length) * np.linalg.norm(error_vector):
            length /= 2
            if length < SHORTEST:
                return Root(point, error)
            trial = residual(point + length * step)
        point, error_vector = point + length * step, trial
    return Root(point, error)


def _newton_step(
    residual: Callable[[np.ndarray], np.ndarray], point: np.ndarray, error_vector: np.ndarray
) -> np.ndarray:
    """Return the solution of (derivative) step = -residual, to about a hundredth."""
    scale = np.sqrt(np.finfo(float).eps) * (1 + float(np.linalg.norm(point)))

    def derivative(direction: np.ndarray) -> np.ndarray:
        flat = direction.reshape(-1)
        length = float(np.linalg.norm(flat))
        if length == 0:
            return flat
        reach = scale / length
        return (residual(point + reach * flat) - error_vector) / reach

    size = len(point)
    operator = LinearOperator((size, size), matvec=derivative, dtype=float)
    steps = min(size, KRYLOV)
    return gmres(operator, -error_vector, rtol=INEXACT, atol=0.0, restart=steps, maxiter=1)[0]
