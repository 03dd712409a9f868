"""An energy on a fixed grid, where predictions are a linear map of the cell masses.

A grid solver or a certificate applies the same map hundreds of times, so it is set up once. The
outer weights enter a unit linearly and have axes of their own; what is left to tabulate is the
activation on the grid of the inner coordinates, an array of samples times inner cells.
"""

import functools
import string
from collections.abc import Sequence

import numpy as np

from wgflow.energy import Energy, Potential, Risk, negative_entropy
from wgflow.errors import InputError
from wgflow.measure import cell_centres, cell_volume, grid_points


class GridRisk:
    """The map from cell masses to predictions of a `Risk`, its transpose and its Gram matrices.

    Parameters
    ----------
    risk
        With n samples and k outputs.
    centres
        Cell centres on each axis, outer weights first.
    """

    def __init__(self, risk: Risk, centres: Sequence[np.ndarray]) -> None:
        neuron = risk.neuron
        size = neuron.outer_size
        self.risk = risk
        self.shape = tuple(len(c) for c in centres)
        self.outer = tuple(centres[:size])
        coordinates = grid_points(centres[size:])
        self._inner = neuron.inner(coordinates)
        self.response = neuron.function.value(risk.inputs @ self._inner.T)  # (n, inner cells)

    @functools.cached_property
    def _tangents(self) -> list[np.ndarray]:
        """Derivatives of the activation in each inner coordinate, (n, inner cells) each."""
        neuron, inner, inputs = self.risk.neuron, self._inner, self.risk.inputs
        derivative = neuron.function.derivative(inputs @ inner.T)
        slope = derivative[:, :, np.newaxis] * inputs[:, np.newaxis, :]
        tangent = neuron.pull_back_inner(inner, slope)  # (n, inner cells, coordinates)
        return [np.ascontiguousarray(part) for part in np.moveaxis(tangent, -1, 0)]

    def predict(self, mass: np.ndarray) -> np.ndarray:
        """Return f = s sum over cells of mass * phi, shape (n, k), for masses on the grid."""
        return self.risk.scale * (self.response @ self._outer_moments(mass, 1))

    def transpose(self, weighted_residual: np.ndarray) -> np.ndarray:
        """Return s sum_i <c_i p_i, phi(theta; x_i)> on the grid, from c_i p_i of shape (n, k)."""
        collected = self.risk.scale * (self.response.T @ weighted_residual)  # (inner cells, k)
        if not self.outer:
            return collected.reshape(self.shape)
        total = np.zeros((*(len(a) for a in self.outer), len(collected)))
        for axis, centre in enumerate(self.outer):
            along = centre.reshape([-1 if k == axis else 1 for k in range(total.ndim)])
            total += along * collected[:, axis]
        return total.reshape(self.shape)

    def gradient_gram(self, mass: np.ndarray) -> np.ndarray:
        """Return s^2 int grad phi grad phi^T drho, shape (n k, n k), sample-major."""
        second = self._outer_moments(mass, 2)  # (inner cells, k, k)
        gram = sum(self._gram(tangent, second) for tangent in self._tangents)
        if self.outer:
            count = self._outer_moments(mass, 0)
            identity = np.eye(len(self.outer))
            gram = gram + self._gram(self.response, count[:, np.newaxis, np.newaxis] * identity)
        return self.risk.scale**2 * np.asarray(gram)

    def second_moment(self, mass: np.ndarray) -> np.ndarray:
        """Return s^2 int phi phi^T drho, shape (n k, n k), sample-major."""
        return self.risk.scale**2 * self._gram(self.response, self._outer_moments(mass, 2))

    @staticmethod
    def _gram(table: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return sum_v table[i, v] weight[v, c, d] table[j, v], as a matrix (i c, j d)."""
        samples, outputs = len(table), weight.shape[-1]
        gram = np.empty((samples, outputs, samples, outputs))
        for c in range(outputs):
            for d in range(outputs):
                gram[:, c, :, d] = (table * weight[:, c, d]) @ table.T
        return gram.reshape(samples * outputs, samples * outputs)

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


class GridEnergy:
    """An energy made of at most one risk, potentials and an entropy, on a fixed grid.

    Parameters
    ----------
    energy
        Its terms are evaluated at cell centres.
    edges
        Cell edges on each axis.

    Raises
    ------
    InputError
        A term that this form does not cover.
    """

    def __init__(self, energy: Energy, edges: Sequence[np.ndarray]) -> None:
        self.energy, self.edges = energy, tuple(edges)
        centres = cell_centres(edges)
        self.volume = cell_volume(edges)
        self.temperature = energy.temperature
        points = grid_points(centres)
        self.potential = np.zeros(self.volume.shape)
        self.risk: GridRisk | None = None
        for term in energy.terms:
            if isinstance(term, Potential):
                values = term.first_variation(points, np.zeros(()))
                bad = ~np.isfinite(values)
                if bad.any():
                    raise InputError(
                        f"The term '{term.name}' is not finite at {points[bad][0]}; a grid needs a "
                        "finite value at the centre of every cell."
                    )
                self.potential = self.potential + values.reshape(self.volume.shape)
            elif isinstance(term, Risk) and self.risk is None:
                self.risk = GridRisk(term, centres)
            else:
                raise InputError(
                    f"The term '{term.name}' cannot be put on a grid; a grid takes one risk and "
                    "potentials."
                )

    @property
    def scale(self) -> float:
        """The largest |target|, at least 1, that errors of predictions are measured against."""
        if self.risk is None:
            return 1.0
        return max(1.0, float(np.abs(self.risk.risk.data.y).max()))

    def predict(self, mass: np.ndarray) -> np.ndarray:
        """Return the predictions (n, k) of masses on the grid, (0, 1) without a risk."""
        return np.zeros((0, 1)) if self.risk is None else self.risk.predict(mass)

    def residual(self, prediction: np.ndarray) -> np.ndarray:
        """Return p_i = loss'(f_i, y_i), shape (n, k)."""
        return prediction if self.risk is None else self.risk.risk.residual(prediction)

    def first_variation(self, residual: np.ndarray) -> np.ndarray:
        """Return g = r + s sum_i c_i <p_i, phi> on the grid, from residuals p (n, k)."""
        if self.risk is None:
            return self.potential
        weights = self.risk.risk.data.weights[:, np.newaxis]
        return self.potential + self.risk.transpose(weights * residual)

    def value(self, mass: np.ndarray) -> float:
        """Return F of masses on the grid."""
        total = float((mass * self.potential).sum())
        if self.risk is not None:
            total += self.risk.risk.value(self.risk.predict(mass))
        return total + self.temperature * negative_entropy(mass, self.volume)
