"""Interaction energies of moving cells with fixed masses, and their derivatives in the edges.

A smooth kernel acts between centres. A singular one is averaged over pairs of cells: with G'' = W
and q_i = rho_{i-1} - rho_i, the fall of the density at edge i (zero outside),

    1/2 int int W drho drho = -1/2 sum_ij q_i q_j G(X_i - X_j).
"""

from collections.abc import Callable

import numpy as np

from wgflow.energy import Interaction

RELATIVE_STEP = 0.006
"""Spacing, relative to the argument, of the difference quotient for G'; of sixth order, it is exact
to 6e-14 for x^2 log x, where truncation and rounding are equal."""


class PairEnergy:
    """The energy 1/2 sum_ij m_i m_j W_ij of an interaction as a function of the edges (N + 1,).

    W_ij is what the interaction itself uses for cells of unequal width, of order 2 in the width.
    Costs O(N^2) time and memory.
    """

    def __init__(self, term: Interaction) -> None:
        self.term = term

    @property
    def repulsive(self) -> bool:
        """Whether the kernel is infinite at 0 and keeps cells apart."""
        return self.term.singular and bool(self.term.kernel(np.full((1, 1), 1e-300))[0] > 0)

    def value(self, edges: np.ndarray, mass: np.ndarray) -> float:
        """Return the energy."""
        return float(mass @ (self.term.cell_matrix(edges) @ mass)) / 2

    def gradient(self, edges: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """Return its derivative in the edges, (N + 1,)."""
        if self.term.singular:
            return self._singular(edges, mass)[0]
        centre = (edges[1:] + edges[:-1]) / 2
        force = mass * (self._slope(centre) @ mass) / 2
        return np.concatenate((force, [0.0])) + np.concatenate(([0.0], force))

    def hessian(self, edges: np.ndarray, mass: np.ndarray, reach: float) -> np.ndarray:
        """Return its second derivative in the edges, (N + 1, N + 1).

        Parameters
        ----------
        reach
            Half the distance over which the gradient of a smooth kernel is differenced.
        """
        if self.term.singular:
            return self._singular(edges, mass, second=True)[1]
        centre = (edges[1:] + edges[:-1]) / 2
        second = self._slope(centre, reach) - self._slope(centre, -reach)
        second *= -np.multiply.outer(mass, mass) / (2 * reach)
        second = (second + second.T) / 2
        second[np.diag_indices(len(mass))] -= second.sum(axis=1)
        total = np.zeros((len(edges), len(edges)))
        for rows in (slice(0, -1), slice(1, None)):
            for columns in (slice(0, -1), slice(1, None)):
                total[rows, columns] += second / 4
        return total

    def _slope(self, centre: np.ndarray, offset: float = 0.0) -> np.ndarray:
        """Return W'(x_i - x_j + offset), (N, N)."""
        pairs = (centre[:, np.newaxis] - centre + offset).reshape(-1, 1)
        return self.term.kernel_gradient(pairs).reshape(len(centre), len(centre))

    def _singular(
        self, edges: np.ndarray, mass: np.ndarray, *, second: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient and, if `second`, Hessian of -1/2 q^T G q.

        A displacement xi changes q by Q xi with Q = -J^T diag(rho/D) J, where J takes differences
        along cells; Q is symmetric.
        """
        assert self.term.antiderivative is not None
        width = np.diff(edges)
        density = mass / width
        rate = density / width
        fall = -np.diff(density, prepend=0.0, append=0.0)
        upper = np.triu_indices(len(edges), 1)
        distance = edges[upper[1]] - edges[upper[0]]
        levels = np.full((len(edges), len(edges)), self.term.antiderivative(np.zeros(1))[0])
        levels[upper] = levels.T[upper] = self.term.antiderivative(distance)
        slopes = np.zeros_like(levels)
        slopes[upper] = -_derivative(self.term.antiderivative, distance)
        slopes -= slopes.T  # odd: G'(X_i - X_j)
        field, drag = levels @ fall, slopes @ fall

        def through(columns: np.ndarray) -> np.ndarray:
            """Return Q times columns (N + 1, ...)."""
            jumps = np.diff(columns, axis=0)
            jumps *= rate.reshape(-1, *[1] * (jumps.ndim - 1))
            zero = np.zeros((1, *jumps.shape[1:]))
            return np.diff(jumps, axis=0, prepend=zero, append=zero)

        gradient = -through(field) - fall * drag
        if not second:
            return gradient, levels
        mixed = through(np.diag(drag) - slopes * fall)
        hessian = through(through(levels).T) + mixed + mixed.T
        kernel = np.zeros_like(levels)
        kernel[upper] = self.term.kernel(distance[:, np.newaxis])
        kernel += kernel.T
        hessian += np.diag(fall * (kernel @ fall)) - kernel * np.multiply.outer(fall, fall)
        bending = 2 * rate / width * np.diff(field)
        cells = np.arange(len(mass))
        hessian[cells, cells] += bending
        hessian[cells + 1, cells + 1] += bending
        hessian[cells, cells + 1] -= bending
        hessian[cells + 1, cells] -= bending
        return gradient, -hessian


def _derivative(function: Callable[[np.ndarray], np.ndarray], argument: np.ndarray) -> np.ndarray:
    """Return the derivative of a function at arguments > 0, by a quotient of sixth order."""
    step = RELATIVE_STEP * argument
    total = np.zeros_like(argument)
    for count, weight in ((1, 45.0), (2, -9.0), (3, 1.0)):
        total += weight * (function(argument + count * step) - function(argument - count * step))
    return total / (60 * step)
