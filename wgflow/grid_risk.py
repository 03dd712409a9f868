"""A risk on a fixed grid: the linear map from cell masses to predictions, compressed to its rank.

The outer weights enter a unit linearly and have axes of their own; what is left to tabulate is
the activation on the grid of the inner coordinates, an array of samples times inner cells. For a
smooth activation its rank is far below the number of samples (tanh, 200 samples: 23), so that

    f = s B z,    z = int psi drho,    phi = B psi    with orthonormal columns of B (n, r).
"""

import functools
import string
from collections.abc import Sequence

import numpy as np

from wgflow.energy import RandomFeature, Risk
from wgflow.errors import InputError
from wgflow.measure import grid_points

RANK_TOLERANCE = 1e-15
"""Singular values of the response below this, relative to the largest, are rounding."""


class GridRisk:
    """The map from cell masses to predictions of a `Risk`, its transpose and its Gram matrices.

    Parameters
    ----------
    risk
        With n samples and k outputs.
    centres
        Cell centres on each axis, outer weights first.

    Attributes
    ----------
    basis
        B, shape (n, r).
    size
        r k, the length of a coupling z (flat, rank-major).

    Raises
    ------
    InputError
        A unit whose inner weights stay.
    """

    def __init__(self, risk: Risk, centres: Sequence[np.ndarray]) -> None:
        neuron = risk.neuron
        if isinstance(neuron, RandomFeature):
            raise InputError(
                "The inner weights of a RandomFeature stay, but mass on a grid moves along every "
                "axis; use the solver particles or sgd."
            )
        outer = neuron.outer_size
        self.risk = risk
        self.shape = tuple(len(c) for c in centres)
        self.outer = tuple(centres[:outer])
        self._inner = neuron.inner(grid_points(centres[outer:]))
        response = neuron.function.value(risk.inputs @ self._inner.T)  # (n, inner cells)
        self.basis = _range(response)
        self.response = self._compressed(response)  # (r, inner cells)
        self.outputs = risk.data.y.shape[1]
        self.size = len(self.response) * self.outputs

    def _compressed(self, table: np.ndarray) -> np.ndarray:
        """Return B^T of a table (n, ...); a square B is the identity."""
        return table if self.basis.shape[1] == len(self.basis) else self.basis.T @ table

    @functools.cached_property
    def _tangents(self) -> list[np.ndarray]:
        """Derivatives of psi / outer weight in each inner coordinate, (r, inner cells) each."""
        neuron, inner, inputs = self.risk.neuron, self._inner, self.risk.inputs
        derivative = neuron.function.derivative(inputs @ inner.T)
        tangents = []
        # One coordinate at a time: all at once they would not fit for many samples.
        for direction in np.eye(inner.shape[1]):
            slope = derivative * (inputs @ direction)[:, np.newaxis]
            tangents.append(self._compressed(slope))
        stacked = np.stack(tangents, axis=-1)  # (r, inner cells, inner weights)
        pulled = neuron.pull_back_inner(inner, stacked)
        return [np.ascontiguousarray(part) for part in np.moveaxis(pulled, -1, 0)]

    @property
    def scale(self) -> np.ndarray:
        """What errors of z are measured against, shape (r k,): the largest |target|, at least 1."""
        largest = max(1.0, float(np.abs(self.risk.data.y).max()))
        return np.full(self.size, largest / self.risk.scale)

    def couple(self, mass: np.ndarray) -> np.ndarray:
        """Return z = int psi drho of masses on the grid, shape (r k,)."""
        return (self.response @ self._outer_moments(mass, 1)).reshape(-1)

    def predictions(self, coupling: np.ndarray) -> np.ndarray:
        """Return f = s B z, shape (n, k)."""
        return self.risk.scale * (self.basis @ coupling.reshape(-1, self.outputs))

    def residual(self, coupling: np.ndarray) -> np.ndarray:
        """Return p_i = loss'(f_i, y_i), shape (n, k)."""
        return self.risk.residual(self.predictions(coupling))

    def value(self, coupling: np.ndarray) -> float:
        """Return the risk as a function of z."""
        return self.risk.value(self.predictions(coupling))

    def slope(self, coupling: np.ndarray) -> np.ndarray:
        """Return the derivative s B^T (c p) of the risk in z, shape (r k,)."""
        weighted = self.risk.data.weights[:, np.newaxis] * self.residual(coupling)
        return self.risk.scale * (self.basis.T @ weighted).reshape(-1)

    def curvature(self, coupling: np.ndarray) -> np.ndarray:
        """Return the second derivative s^2 B^T diag(c loss'') B in z, shape (r k, r k)."""
        hessian = self.risk.loss.hessian(self.predictions(coupling), self.risk.data.y)
        hessian = self.risk.scale**2 * self.risk.data.weights[:, None, None] * hessian
        return _gram(self.basis.T, hessian)

    def transpose(self, slope: np.ndarray) -> np.ndarray:
        """Return <psi(theta), slope> on the grid, from a slope of shape (r k,)."""
        collected = self.response.T @ slope.reshape(-1, self.outputs)  # (inner cells, k)
        if not self.outer:
            return collected.reshape(self.shape)
        total = np.zeros((*(len(a) for a in self.outer), len(collected)))
        for axis, centre in enumerate(self.outer):
            along = centre.reshape([-1 if k == axis else 1 for k in range(total.ndim)])
            total += along * collected[:, axis]
        return total.reshape(self.shape)

    def gradient_gram(self, mass: np.ndarray) -> np.ndarray:
        """Return int grad psi grad psi^T drho, shape (r k, r k)."""
        second = self._outer_moments(mass, 2)  # (inner cells, k, k)
        gram = sum(_gram(tangent, second) for tangent in self._tangents)
        if self.outer:
            count = self._outer_moments(mass, 0)
            identity = np.eye(len(self.outer))
            gram = gram + _gram(self.response, count[:, np.newaxis, np.newaxis] * identity)
        return np.asarray(gram)

    def second_moment(self, mass: np.ndarray) -> np.ndarray:
        """Return int psi psi^T drho, shape (r k, r k)."""
        return _gram(self.response, self._outer_moments(mass, 2))

    def _outer_moments(self, mass: np.ndarray, order: int) -> np.ndarray:
        """Return the moments of order 0, 1 or 2 of the outer weights in each inner cell.

        Shapes (inner cells,), (inner cells, k), (inner cells, k, k). A fixed outer weight is 1.
        """
        size = len(self.outer)
        mass = mass.reshape(*self.shape[:size], -1)
        if size == 0:
            return mass.reshape(-1, *[1] * order)
        axes = string.ascii_lowercase[:size]

        def moment(*factors: int) -> np.ndarray:
            terms = "".join("," + axes[k] for k in factors)
            weights = [self.outer[k] for k in factors]
            return np.einsum(f"{axes}v{terms}->v", mass, *weights, optimize=True)

        if order == 0:
            return moment()
        if order == 1:
            return np.stack([moment(c) for c in range(size)], axis=-1)
        rows = [np.stack([moment(c, d) for d in range(size)], axis=-1) for c in range(size)]
        return np.stack(rows, axis=-2)


def _gram(table: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return sum_v table[i, v] weight[v, c, d] table[j, v], as a matrix (i c, j d)."""
    rows, outputs = len(table), weight.shape[-1]
    gram = np.empty((rows, outputs, rows, outputs))
    for c in range(outputs):
        for d in range(outputs):
            gram[:, c, :, d] = (table * weight[:, c, d]) @ table.T
    return gram.reshape(rows * outputs, rows * outputs)


def _range(matrix: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis (n, r) of the columns of a matrix, to rounding; I if r = n.

    A randomized range finder (Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM
    Review 53, 2011) of growing width, which stays cheap where samples and cells are thousands.
    """
    rows, columns = matrix.shape
    full = min(rows, columns)
    random = np.random.default_rng(0)
    size = float(np.linalg.norm(matrix))
    width = 64
    while 2 * width < full:
        sketch = matrix @ random.standard_normal((columns, width))
        basis = np.linalg.qr(sketch)[0]
        rest = matrix - basis @ (basis.T @ matrix)
        if np.linalg.norm(rest) <= 10 * RANK_TOLERANCE * size:
            return _trimmed(basis, basis.T @ matrix)
        width *= 2
    if columns < rows:
        basis = np.linalg.qr(matrix)[0]
        return _trimmed(basis, basis.T @ matrix)
    trimmed = _trimmed(np.eye(rows), matrix) if rows <= 512 else np.eye(rows)
    return trimmed if trimmed.shape[1] < rows else np.eye(rows)


def _trimmed(basis: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return the part of an orthonormal basis that its coefficients need."""
    left, values, _ = np.linalg.svd(coefficients, full_matrices=False)
    count = max(1, int((values > RANK_TOLERANCE * values[0]).sum()))
    return basis @ left[:, :count]
