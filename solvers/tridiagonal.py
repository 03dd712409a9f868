"""Symmetric systems that are tridiagonal, also cyclic, under a linear constraint, plus a low rank.

LAPACK's LDL^T of a tridiagonal matrix costs O(n) and tells whether the matrix is positive
definite; the last column of a cyclic matrix and a constraint are borders, whose Schur complement
tells the rest.
"""

import dataclasses

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack


@dataclasses.dataclass(frozen=True)
class Factors:
    """A factorised matrix; `factorise` makes it.

    Attributes
    ----------
    pivots, multipliers
        Of the LDL^T of the tridiagonal part, shapes (n,) and (n - 1,).
    border, bordered
        Further columns and what the inverse of the tridiagonal part makes of them, (n, b).
    complement
        Their Schur complement, (b, b).
    constrained
        Whether the last border is a constraint and no unknown.
    """

    pivots: np.ndarray
    multipliers: np.ndarray
    border: np.ndarray
    bordered: np.ndarray
    complement: np.ndarray
    constrained: bool

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Return the solutions for right sides (n,) or (n, k), with all unknowns along axis 0."""
        columns = right.reshape(len(right), -1)
        count = len(self.pivots)
        inner = _substitute(self.pivots, self.multipliers, columns[:count])
        if self.border.shape[1] == 0:
            return inner.reshape(right.shape)
        rest = columns[count:]
        if self.constrained:  # the constraint is homogeneous
            rest = np.concatenate((rest, np.zeros((1, columns.shape[1]))))
        outer = np.linalg.solve(self.complement, rest - self.border.T @ inner)
        inner -= self.bordered @ outer
        return np.concatenate((inner, outer[: len(right) - count])).reshape(right.shape)


def factorise(
    diagonal: np.ndarray, off_diagonal: np.ndarray, constraint: np.ndarray | None = None
) -> Factors | None:
    """Factorise a symmetric (cyclic) tridiagonal matrix; None if it is not positive definite.

    Parameters
    ----------
    diagonal
        Shape (n,), n >= 1.
    off_diagonal
        Shape (n - 1,); or (n,) for a cyclic matrix with n >= 2, the last entry coupling the last
        unknown to the first.
    constraint
        Shape (n,): solutions x are minimisers under constraint . x = 0, and the matrix needs to be
        positive definite on these x only. For a cyclic matrix.
    """
    count = len(diagonal)
    cyclic = len(off_diagonal) == count
    inner = count - 1 if cyclic else count
    borders = []
    if cyclic:
        column = np.zeros(inner)
        column[-1] += off_diagonal[-2]
        column[0] += off_diagonal[-1]
        borders.append(column)
    corner = np.zeros((0, 0))
    if cyclic:
        corner = diagonal[-1:, np.newaxis]
    if constraint is not None:
        borders.append(constraint[:inner])
        corner = np.array([[diagonal[-1], constraint[-1]], [constraint[-1], 0.0]])
    pivots, multipliers = diagonal[:inner], off_diagonal[: inner - 1]
    if inner > 1:  # LAPACK's wrapper takes no empty array
        pivots, multipliers, failed = lapack.dpttrf(pivots, multipliers)
        if failed:
            return None
    if not (np.isfinite(pivots).all() and (pivots > 0).all()):
        return None
    border = np.stack(borders, axis=1) if borders else np.zeros((inner, 0))
    bordered = _substitute(pivots, multipliers, border)
    complement = corner - border.T @ bordered
    # By inertia: one more positive direction with the last unknown, one negative one with a
    # constraint.
    sign = -1.0 if constraint is not None else 1.0
    if borders and not sign * np.linalg.det(complement) > 0:
        return None
    return Factors(pivots, multipliers, border, bordered, complement, constraint is not None)


def _substitute(pivots: np.ndarray, multipliers: np.ndarray, columns: np.ndarray) -> np.ndarray:
    if columns.shape[1] == 0:
        return columns
    if len(pivots) == 1:
        return columns / pivots[0]
    return lapack.dpttrs(pivots, multipliers, columns)[0]


def solve_with_features(
    factors: Factors, features: np.ndarray | None, right: np.ndarray
) -> np.ndarray:
    """Solve (T + U U^T) x = b for factors of T and features U (n, r), by Woodbury's identity.

    Parameters
    ----------
    right
        b, shape (n,).
    """
    first = factors.solve(right)
    if features is None:
        return first
    spread = factors.solve(features)
    small = features.T @ spread
    small[np.diag_indices(len(small))] += 1.0
    return first - spread @ cho_solve(cho_factor(small), features.T @ first)
