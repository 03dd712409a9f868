"""An energy on a fixed grid, where what its terms depend on is a linear map of the cell masses.

A grid solver or a certificate applies the same maps hundreds of times, so they are set up once:

    F(rho) = E(z) + int V drho + internal energies,    z = couple(rho),    g = V + couple^T E'(z),

with the predictions of a risk in z, compressed to their rank, the first moments where there are
quadratic interactions, and the masses themselves where there are others. Every implicit scheme is
an equation for z.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from wgflow.energy import Energy, Interaction, Potential, Risk
from wgflow.errors import InputError
from wgflow.grid_moments import GridMoments
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
        centres = cell_centres(edges)
        points = grid_points(centres)
        self.potential = np.zeros(self.volume.shape)
        self.risk: GridRisk | None = None
        self.blocks: list[GridRisk | GridMoments] = []
        self.interactions: list[Callable[[np.ndarray], np.ndarray]] = []
        convex = []
        for term in energy.terms:
            known = term.convex
            if isinstance(term, Potential):
                self.potential = self.potential + self._tabulated(term, points)
            elif isinstance(term, Risk) and self.risk is None:
                self.risk = GridRisk(term, centres)
                self.blocks.append(self.risk)
            elif isinstance(term, Interaction) and term.strength == 0:
                form = term.on_grid(edges)
                self.interactions.append(form.apply)
                known = form.positive if known is None else known
            elif not isinstance(term, Interaction):
                raise InputError(
                    f"The term '{term.name}' cannot be put on a grid; a grid takes one risk, "
                    "potentials and interactions."
                )
            convex.append(known)
        self.convex = all(convex)
        strength = sum(t.strength for t in energy.terms if isinstance(t, Interaction))
        if strength != 0:
            self.blocks.append(GridMoments(strength, centres))

    def _tabulated(self, term: Potential, points: np.ndarray) -> np.ndarray:
        values = term.first_variation(points, np.zeros(()))
        bad = ~np.isfinite(values)
        if bad.any():
            raise InputError(
                f"The term '{term.name}' is not finite at {points[bad][0]}; a grid needs a finite "
                "value at the centre of every cell."
            )
        return values.reshape(self.volume.shape)

    @functools.cached_property
    def _ends(self) -> np.ndarray:
        """Where the parts of the blocks end in z."""
        return np.cumsum([block.size for block in self.blocks])

    @functools.cached_property
    def size(self) -> int:
        """Length of the coupling z."""
        blocks = sum(block.size for block in self.blocks)
        return blocks + (self.volume.size if self.interactions else 0)

    def _parts(self, coupling: np.ndarray) -> list[np.ndarray]:
        """Return what each block has of z, and the masses (or nothing) at its end."""
        return np.split(coupling, self._ends)

    @functools.cached_property
    def scale(self) -> np.ndarray:
        """What errors of z are measured against, shape (size,).

        The largest |target| (at least 1) for predictions, and the mean mass of a cell.
        """
        parts = [block.scale for block in self.blocks]
        if self.interactions:
            parts.append(np.full(self.volume.size, 1.0 / self.volume.size))
        return np.concatenate([np.zeros(0), *parts])

    def couple(self, mass: np.ndarray) -> np.ndarray:
        """Return z of masses on the grid, shape (size,); linear in the masses."""
        parts = [block.couple(mass) for block in self.blocks]
        if self.interactions:
            parts.append(mass.reshape(-1))
        return np.concatenate([np.zeros(0), *parts])

    def coupled_value(self, coupling: np.ndarray) -> float:
        """Return E(z)."""
        *parts, mass = self._parts(coupling)
        total = sum(b.value(part) for b, part in zip(self.blocks, parts, strict=True))
        return total + float(mass @ self._field(mass)) / 2

    def slope(self, coupling: np.ndarray) -> np.ndarray:
        """Return E'(z), shape (size,)."""
        *parts, mass = self._parts(coupling)
        slopes = [b.slope(part) for b, part in zip(self.blocks, parts, strict=True)]
        return np.concatenate([*slopes, self._field(mass)])

    def _field(self, mass: np.ndarray) -> np.ndarray:
        """Return W * rho of the interactions that need all masses, flat, from flat masses."""
        if not self.interactions:
            return mass
        on_grid = mass.reshape(self.volume.shape)
        return np.asarray(sum(apply(on_grid) for apply in self.interactions)).reshape(-1)

    def first_variation(self, coupling: np.ndarray) -> np.ndarray:
        """Return g = V + couple^T E'(z) on the grid, without internal energies."""
        return self.potential + self.transpose(self.slope(coupling))

    def hessian(self, coupling: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the linear map E''(z), from arrays (size,) to arrays (size,)."""
        *parts, _ = self._parts(coupling)
        curvatures = [b.curvature(part) for b, part in zip(self.blocks, parts, strict=True)]

        def apply(change: np.ndarray) -> np.ndarray:
            *changes, mass = self._parts(change)
            products = [c @ part for c, part in zip(curvatures, changes, strict=True)]
            return np.concatenate([*products, self._field(mass)])

        return apply

    def transpose(self, slope: np.ndarray) -> np.ndarray:
        """Return couple^T of a slope (size,), on the grid."""
        *parts, field = self._parts(slope)
        total = np.zeros(self.volume.shape)
        for block, part in zip(self.blocks, parts, strict=True):
            total = total + block.transpose(part)
        return total + field.reshape(total.shape) if self.interactions else total

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
        *parts, _ = self._parts(coupling)
        solves = []
        for block, part in zip(self.blocks, parts, strict=True):
            response = spread * block.gradient_gram(mass)
            bound = (block.second_moment(mass) - np.outer(part, part)) / epsilon
            total = response + bound
            # Directions in which no parameter acts make both singular.
            total[np.diag_indices(len(total))] += 1e-15 * np.trace(total) + np.finfo(float).tiny
            response = response @ np.linalg.solve(total, bound)
            matrix = np.eye(len(total)) + response @ block.curvature(part)
            if isinstance(block, GridMoments) and np.linalg.eigvals(matrix).real.min() < 0.1:
                matrix = np.eye(len(total))  # attraction that the estimate does not resolve
            solves.append(functools.partial(lu_solve, lu_factor(matrix)))

        def step(error: np.ndarray) -> np.ndarray:
            *errors, mass = self._parts(error)
            steps = [solve(part) for solve, part in zip(solves, errors, strict=True)]
            return np.concatenate([*steps, mass])

        return step
