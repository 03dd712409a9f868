"""An energy on a fixed grid, where what its terms depend on is a linear map of the cell masses.

A grid solver or a certificate applies the same maps hundreds of times, so they are set up once:

    F(rho) = E(z) + int V drho + internal energies,    z = couple(rho),    g = V + couple^T E'(z),

with the predictions of a risk in z, compressed to their rank, and the masses themselves where
there are interactions. Every implicit scheme is an equation for z.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from wgflow.energy import Energy, Interaction, Potential, Risk
from wgflow.errors import InputError
from wgflow.grid_risk import GridRisk
from wgflow.measure import GridMeasure, cell_centres, cell_volume, grid_points


class GridEnergy:
    """An energy made of at most one risk, potentials, interactions and internal energies.

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
        self.volume = cell_volume(edges)
        self.temperature = energy.temperature
        points = grid_points(cell_centres(edges))
        self.potential = np.zeros(self.volume.shape)
        self.risk: GridRisk | None = None
        self.interactions: list[Callable[[np.ndarray], np.ndarray]] = []
        convex = []
        for term in energy.terms:
            known = term.convex
            if isinstance(term, Potential):
                self.potential = self.potential + self._tabulated(term, points)
            elif isinstance(term, Risk) and self.risk is None:
                self.risk = GridRisk(term, cell_centres(edges))
            elif isinstance(term, Interaction):
                form = term.on_grid(edges)
                self.interactions.append(form.apply)
                known = form.positive if known is None else known
            else:
                raise InputError(
                    f"The term '{term.name}' cannot be put on a grid; a grid takes one risk, "
                    "potentials and interactions."
                )
            convex.append(known)
        self.convex = all(convex)
        self._risk_size = 0 if self.risk is None else self.risk.size

    def _tabulated(self, term: Potential, points: np.ndarray) -> np.ndarray:
        values = term.first_variation(points, np.zeros(()))
        bad = ~np.isfinite(values)
        if bad.any():
            raise InputError(
                f"The term '{term.name}' is not finite at {points[bad][0]}; a grid needs a finite "
                "value at the centre of every cell."
            )
        return values.reshape(self.volume.shape)

    @property
    def size(self) -> int:
        """Length of the coupling z."""
        return self._risk_size + (self.volume.size if self.interactions else 0)

    @property
    def scale(self) -> np.ndarray:
        """What errors of z are measured against, shape (size,).

        The largest |target| (at least 1) for predictions, and the mean mass of a cell.
        """
        parts = []
        if self.risk is not None:
            largest = max(1.0, float(np.abs(self.risk.risk.data.y).max()))
            parts.append(np.full(self._risk_size, largest / self.risk.risk.scale))
        if self.interactions:
            parts.append(np.full(self.volume.size, 1.0 / self.volume.size))
        return np.concatenate(parts) if parts else np.zeros(0)

    def couple(self, mass: np.ndarray) -> np.ndarray:
        """Return z of masses on the grid, shape (size,); linear in the masses."""
        parts = [] if self.risk is None else [self.risk.couple(mass)]
        if self.interactions:
            parts.append(mass.reshape(-1))
        return np.concatenate(parts) if parts else np.zeros(0)

    def coupled_value(self, coupling: np.ndarray) -> float:
        """Return E(z)."""
        total = 0.0
        if self.risk is not None:
            total += self.risk.value(coupling[: self._risk_size])
        if self.interactions:
            total += float(coupling[self._risk_size :] @ self._field(coupling)) / 2
        return total

    def slope(self, coupling: np.ndarray) -> np.ndarray:
        """Return E'(z), shape (size,)."""
        parts = [] if self.risk is None else [self.risk.slope(coupling[: self._risk_size])]
        if self.interactions:
            parts.append(self._field(coupling))
        return np.concatenate(parts) if parts else np.zeros(0)

    def _field(self, coupling: np.ndarray) -> np.ndarray:
        """Return W * rho of all interactions, flat, from the masses in z."""
        mass = coupling[self._risk_size :].reshape(self.volume.shape)
        return np.asarray(sum(apply(mass) for apply in self.interactions)).reshape(-1)

    def first_variation(self, coupling: np.ndarray) -> np.ndarray:
        """Return g = V + couple^T E'(z) on the grid, without internal energies."""
        return self.potential + self.transpose(self.slope(coupling))

    def hessian(self, coupling: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the linear map E''(z), from arrays (size,) to arrays (size,)."""
        size = self._risk_size
        curvature = None if self.risk is None else self.risk.curvature(coupling[:size])

        def apply(change: np.ndarray) -> np.ndarray:
            parts = [] if curvature is None else [curvature @ change[:size]]
            if self.interactions:
                parts.append(self._field(change))
            return np.concatenate(parts) if parts else change

        return apply

    def transpose(self, slope: np.ndarray) -> np.ndarray:
        """Return couple^T of a slope (size,), on the grid."""
        total = np.zeros(self.volume.shape)
        if self.risk is not None:
            total = total + self.risk.transpose(slope[: self._risk_size])
        if self.interactions:
            total = total + slope[self._risk_size :].reshape(total.shape)
        return total

    def value(self, mass: np.ndarray) -> float:
        """Return F of masses on the grid."""
        measure = GridMeasure(self.edges, mass)
        internal = sum(term.value(measure) for term in self.energy.internal)
        return (
            self.coupled_value(self.couple(mass)) + float((mass * self.potential).sum()) + internal
        )

    def correction(
        self,
        mass: np.ndarray,
        coupling: np.ndarray,
        spread: float,
        epsilon: float,
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the quasi-Newton map from an error of z to a step of z, for an implicit step.

        The error is z[rho_z] - z, where rho_z is where the step ends if its coupling is z. A
        change dg of the first variation displaces mass by -tau grad dg in a short step, hence the
        response A = tau int grad psi grad psi^T drho of z; in a long one, which forgets where it
        started, it reweights the law by exp(-dg / epsilon), hence B = Cov(psi) / epsilon, which
        bounds the response for any step (total variance). The map solves (I + H E'') step = error
        with H their parallel sum A (A + B)^-1 B, the smaller of the two where they differ much.

        Parameters
        ----------
        mass, coupling
            The law and the coupling at which the map is taken.
        spread
            The step tau times the schedule.
        epsilon
            What a long step divides g by in the exponent, for example the temperature.
        """
        if self.risk is None:
            return lambda error: error
        size = self._risk_size
        response = spread * self.risk.gradient_gram(mass)
        mean = coupling[:size]
        bound = (self.risk.second_moment(mass) - np.outer(mean, mean)) / epsilon
        total = response + bound
        # Directions in which no parameter acts make both singular.
        total[np.diag_indices(size)] += 1e-15 * np.trace(total) + np.finfo(float).tiny
        response = response @ np.linalg.solve(total, bound)
        matrix = np.eye(size) + response @ self.risk.curvature(coupling[:size])
        factors = lu_factor(matrix)

        def step(error: np.ndarray) -> np.ndarray:
            solved = error.copy()
            solved[:size] = lu_solve(factors, error[:size])
            return solved

        return step
