"""A free energy on moving cells: fixed masses, and edges as the unknowns (one dimension).

With masses m_j, edges X_0 < ... < X_N, centres x_j and widths D_j, the midpoint rule gives

    F_h(X) = sum_j m_j r(x_j) + R(s sum_j m_j phi(x_j)) + 1/2 sum_ij m_i m_j W_ij
             + sum_j D_j U(m_j / D_j),

which is the energy that is recorded for the law on these cells. Its Hessian is tridiagonal, plus
a matrix of low rank for a risk, plus a dense one for an interaction. Densities that are constant
on cells of fixed mass: Blanchet, Calvez and Carrillo, SIAM J. Numer. Anal. 46 (2008).
"""

import dataclasses
import functools

import numpy as np
from scipy.linalg import cholesky, qr

from wgflow.domain import Axis, Circle, Interval
from wgflow.energy import Couplings, Energy, Interaction, Risk
from wgflow.errors import InputError
from wgflow.lagrangian_interaction import PairEnergy
from wgflow.measure import GridMeasure

TABLE_POINTS = 256
"""Points of the window at which the tangents of a risk are compared to choose among samples."""
NEGLIGIBLE = 1e-8
"""Size, relative to the largest, of what the choice of samples leaves out; the gradient is exact,
so that this only sets how Newton converges."""
DIFFERENCE = 1e-5
"""Half the distance, relative to the window, over which the gradient of a kernel is differenced."""
NARROW = 1e-6
"""Least distance, relative to the window, over which the slope of a first variation is."""


@dataclasses.dataclass(frozen=True)
class Curvature:
    """The Hessian of F_h in all edges, T + U U^T + K.

    Attributes
    ----------
    diagonal, off_diagonal
        T, shapes (N + 1,) and (N,).
    features
        U, (N + 1, r), or None.
    dense
        K, (N + 1, N + 1), or None.
    least
        The smallest second derivative of the first variation, or 0 if that is smaller; T minus
        `least` times the mass matrix of the Wasserstein distance is positive semidefinite.
    """

    diagonal: np.ndarray
    off_diagonal: np.ndarray
    features: np.ndarray | None
    dense: np.ndarray | None
    least: float


class RiskTangents:
    """The derivative of a risk's predictions in the parameter, at few samples that tell all.

    phi'(theta; x_i) = sum_k phi'(theta; x_{i_k}) Z_ki to a relative 1e-8 (an interpolative
    decomposition by pivoted QR), so that the Hessian has low rank: Cheng, Gimbutas, Martinsson
    and Rokhlin, "On the compression of low rank matrices", SIAM J. Sci. Comput. 26 (2005).
    """

    def __init__(self, risk: Risk, window: tuple[float, float]) -> None:
        self.risk = risk
        table = self._tangents(np.linspace(*window, TABLE_POINTS), risk.inputs)
        table = table * np.sqrt(risk.data.weights)
        triangle, order = qr(table, mode="r", pivoting=True)
        size = np.abs(np.diag(triangle))
        rank = max(1, int((size > NEGLIGIBLE * size[0]).sum()))
        self.inputs = risk.inputs[order[:rank]]
        self.combination = np.empty((rank, len(order)))
        self.combination[:, order] = np.linalg.lstsq(
            triangle[:rank, :rank], triangle[:rank], rcond=None
        )[0]
        # In units of the sample chosen; what is left is sqrt(c_i) phi' of sample i.
        self.combination *= np.sqrt(risk.data.weights[order[:rank], np.newaxis])

    def _tangents(self, theta: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Return s phi' at parameters (m,) for inputs (n, d), shape (m, n)."""
        neuron = self.risk.neuron
        inner = neuron.inner(theta[:, np.newaxis])
        derivative = neuron.function.derivative(inner @ inputs.T)
        slope = derivative.T[:, :, np.newaxis] * inputs[:, np.newaxis, :]
        return self.risk.scale * neuron.pull_back_inner(inner, slope)[:, :, 0].T

    def features(self, theta: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Return V (m, r) with (V V^T)_jk = s^2 sum_i c_i loss'' phi'(theta_j) phi'(theta_k)."""
        hessian = self.risk.loss.hessian(prediction, self.risk.data.y)[:, 0, 0]
        core = (self.combination * hessian) @ self.combination.T
        core[np.diag_indices(len(core))] += 1e-15 * np.trace(core) + np.finfo(float).tiny
        return self._tangents(theta, self.inputs) @ cholesky(core, lower=True)


class LagrangianEnergy:
    """An energy as a function of the edges of cells that keep their masses.

    Parameters
    ----------
    axis
        The axis of the domain.
    edges
        The edges at the start; only their ends matter here.

    Raises
    ------
    InputError
        Nothing keeps cells apart, or a singular interaction on a circle.
    """

    def __init__(self, energy: Energy, axis: Axis, edges: np.ndarray) -> None:
        self.energy = energy
        self.pairs = [PairEnergy(term) for term in energy.terms if isinstance(term, Interaction)]
        self.terms = [term for term in energy.terms if not isinstance(term, Interaction)]
        singular = [pair.term for pair in self.pairs if pair.term.singular]
        if isinstance(axis, Circle) and singular:
            raise InputError(
                f"The interaction '{singular[0].name}' is singular, which moving cells on a circle "
                "do not cover; use a smooth kernel or the solver particles."
            )
        if not energy.diffuses and not any(pair.repulsive for pair in self.pairs):
            raise InputError(
                "The method 'lagrangian' moves cells that nothing keeps apart at temperature 0; "
                "add an Entropy or a PowerEntropy, or use the solver particles."
            )
        self.length = float(edges[-1] - edges[0])
        self.bounds = (-np.inf, np.inf)
        if isinstance(axis, Interval):
            self.bounds = (axis.lower, axis.upper)
        self.tangents: RiskTangents | None = None
        if energy.risk is not None:
            self.tangents = RiskTangents(energy.risk, (float(edges[0]), float(edges[-1])))

    def at(self, edges: np.ndarray, mass: np.ndarray) -> "Configuration":
        """Return the energy with its derivatives at edges (N + 1,) of cells with masses (N,)."""
        return Configuration(self, edges, mass)

    def within(self, points: np.ndarray) -> np.ndarray:
        """Return points moved to the nearest one of the domain."""
        return np.clip(points, *self.bounds)

    def slope(self, points: np.ndarray, couplings: Couplings) -> np.ndarray:
        """Return g' of the terms without interactions at points (m,)."""
        total = np.zeros(len(points))
        for term in self.terms:
            total += term.gradient(points[:, np.newaxis], couplings[term.name])[:, 0]
        return total


class Configuration:
    """F_h at certain edges; what is asked for twice is computed once."""

    def __init__(self, energy: LagrangianEnergy, edges: np.ndarray, mass: np.ndarray) -> None:
        self.energy, self.edges, self.mass = energy, edges, mass
        self.measure = GridMeasure((edges,), mass)
        self.width = np.diff(edges)
        self.density = mass / self.width

    @functools.cached_property
    def couplings(self) -> Couplings:
        """What all terms without interactions need to know of the law."""
        return {term.name: term.couple(self.measure) for term in self.energy.terms}

    @functools.cached_property
    def values(self) -> list[float]:
        """The values of all terms and internal energies."""
        values = [term.value(self.couplings[term.name]) for term in self.energy.terms]
        values += [pair.value(self.edges, self.mass) for pair in self.energy.pairs]
        return values + [part.value(self.measure) for part in self.energy.energy.internal]

    @property
    def value(self) -> float:
        """F_h."""
        return float(sum(self.values))

    @property
    def magnitude(self) -> float:
        """The sum of the sizes of all terms, which roundings of `value` are measured against."""
        return float(sum(abs(value) for value in self.values))

    def gradient(self) -> np.ndarray:
        """Return the derivative of F_h in all edges, (N + 1,)."""
        force = self.mass * self.energy.slope(self.measure.points[:, 0], self.couplings) / 2
        gradient = _to_edges(force, force)
        pressure = self.energy.energy.pressure(self.density)
        gradient += _to_edges(pressure, -pressure)  # d/dD of D U(m/D) is -P
        for pair in self.energy.pairs:
            gradient += pair.gradient(self.edges, self.mass)
        return gradient

    def curvature(self, reach: float = 1e-3) -> Curvature:
        """Return the second derivative of F_h in all edges.

        Parameters
        ----------
        reach
            Part of a cell, at most 1, over which the slope of the first variation is differenced.
            One takes the mean over the cell, which is finite where that slope jumps.
        """
        points = self.measure.points[:, 0]
        half_reach = np.maximum(reach * self.width, NARROW * self.energy.length) / 2
        ends = self.energy.within(points - half_reach), self.energy.within(points + half_reach)
        slopes = [self.energy.slope(end, self.couplings) for end in ends]
        second = (slopes[1] - slopes[0]) / (ends[1] - ends[0])
        bending = self.mass * second / 4
        stiffness = np.zeros_like(self.width)
        for part in self.energy.energy.internal:
            stiffness += part.pressure_derivative(self.density)
        stiffness *= self.density / self.width
        features = None
        if self.energy.tangents is not None:
            risk = self.energy.tangents.risk
            half = self.energy.tangents.features(points, self.couplings[risk.name])
            half *= self.mass[:, np.newaxis] / 2
            features = _to_edges(half, half)
        dense = None
        for pair in self.energy.pairs:
            matrix = pair.hessian(self.edges, self.mass, DIFFERENCE * self.energy.length)
            dense = matrix if dense is None else dense + matrix
        return Curvature(
            diagonal=_to_edges(bending + stiffness, bending + stiffness),
            off_diagonal=bending - stiffness,
            features=features,
            dense=dense,
            least=min(0.0, float(second.min())),
        )


def _to_edges(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Add up what cells (N, ...) give to their left and right edges, shape (N + 1, ...)."""
    total = np.zeros((len(left) + 1, *left.shape[1:]))
    total[:-1] = left
    total[1:] += right
    return total
