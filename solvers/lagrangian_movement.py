"""One minimising movement of cells with fixed masses: Newton's method on the edges.

Minimises over edges X the objective F_h(X) + S(X) / (2 tau), where, with the displacement d of
the edges from those of an anchor,

    S(X) = sum_j m_j (d_j^2 + d_j d_{j+1} + d_{j+1}^2) / 3

is the squared Wasserstein distance of the two laws: cells of equal mass face each other, and
quantile functions are linear on them (Villani, "Topics in Optimal Transportation", AMS 2003, 2.2).
"""

import dataclasses

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from wgflow.domain import Axis, Circle, Interval
from wgflow.lagrangian_energy import Configuration, Curvature, LagrangianEnergy
from wgflow.solvers.tridiagonal import factorise, solve_with_features

ROUNDING = 4e-15
"""Rounding of the objective, relative to the sum of the sizes of its terms."""
SHRINKING = 0.1
"""Part of itself below which no width falls in a plain Newton step."""
SUFFICIENT = 1e-4
"""Part of the fall that the slope promises which a step must achieve (Armijo)."""
SHARP = 1e-3
"""Correction, relative to the window, from which on the second derivative is taken more locally."""
PATIENCE = 12
"""Iterations over which a stalling objective is watched."""
FLAT_PART = 1e-3
"""Part of the size of the energy that counts as its whole fall where that is less."""
HALVINGS = 40
"""The most halvings of a Newton step."""


@dataclasses.dataclass(frozen=True)
class Ends:
    """Which edges are free: all but the ends ("pinned"), all but the last ("cyclic"), or all.

    On a circle the last edge is the first one a period later.
    """

    kind: str

    @classmethod
    def of(cls, axis: Axis) -> "Ends":
        """Return the ends that fit an axis."""
        if isinstance(axis, Interval):
            return cls("pinned")
        return cls("cyclic" if isinstance(axis, Circle) else "free")

    def contract(self, derivative: np.ndarray) -> np.ndarray:
        """Return the derivative in the free edges from that in all edges, along axis 0."""
        if self.kind == "pinned":
            return derivative[1:-1]
        if self.kind == "free":
            return derivative
        free = derivative[:-1].copy()
        free[0] += derivative[-1]
        return free

    def extend(self, step: np.ndarray) -> np.ndarray:
        """Return the displacement of all edges from that of the free ones."""
        if self.kind == "pinned":
            return np.concatenate(([0.0], step, [0.0]))
        return np.append(step, step[0]) if self.kind == "cyclic" else step

    def coupled(self, off_diagonal: np.ndarray) -> np.ndarray:
        """Return what couples neighbouring free edges, as `factorise` takes it."""
        return off_diagonal[1:-1] if self.kind == "pinned" else off_diagonal

    def matrix(self, off_diagonal: np.ndarray, count: int) -> np.ndarray:
        """Return the off-diagonal part in `count` free edges as a full matrix."""
        coupling = self.coupled(off_diagonal)
        full = np.zeros((count, count))
        first = np.arange(len(coupling))
        np.add.at(full, (first, (first + 1) % count), coupling)
        return full + full.T


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Where Newton's method ended.

    Attributes
    ----------
    edges
        Shape (N + 1,).
    correction
        The length of the last correction, as a Wasserstein distance.
    """

    edges: np.ndarray
    correction: float
    iterations: int
    converged: bool


def square(displacement: np.ndarray, mass: np.ndarray) -> float:
    """Return S for displacements (N + 1,) of the edges of cells with masses (N,)."""
    left, right = displacement[:-1], displacement[1:]
    return float(mass @ (left**2 + left * right + right**2)) / 3


class Movement:
    """The objective of one movement, and its minimisation.

    Parameters
    ----------
    old
        Edges (N + 1,) of the law before the step.
    anchor
        Edges from which the distance is measured, those of `old` by default; they need not
        increase.
    spread
        tau.

    Notes
    -----
    On a circle cells may also slide along the law: each then takes the place of a neighbour, the
    law hardly changes, and over a long step the error of the cells outweighs what the distance
    charges for it. S exceeds the squared distance then. It equals it just where shifting the
    levels of one quantile function against the other does not pay (Delon, Salomon and Sobolevski,
    SIAM J. Appl. Math. 70, 2010): S is convex in that shift, with a slope at 0 of
    -2 sum_j (d_j + d_{j+1})/2 D_j, where D are the widths of the new cells or, since the
    difference telescopes, of the old ones. That makes it a linear constraint on d, which the exact
    minimiser obeys by itself; the movement keeps it.
    """

    def __init__(
        self,
        energy: LagrangianEnergy,
        ends: Ends,
        mass: np.ndarray,
        old: np.ndarray,
        spread: float,
        anchor: np.ndarray | None = None,
    ) -> None:
        self.energy, self.ends, self.mass, self.old = energy, ends, mass, old
        self.anchor, self.spread = old if anchor is None else anchor, spread
        # Without entropy, light cells in the way of a front are pressed to its density.
        self.presses = energy.energy.temperature == 0
        self.constraint: np.ndarray | None = None
        if ends.kind == "cyclic":
            width = np.diff(old)
            normal = (width + np.roll(width, 1)) / 2
            self.constraint = normal / np.sqrt(normal @ normal)
        # The matrix of S / 2, the inertia of the cells.
        padded = np.concatenate(([0.0], mass, [0.0]))
        self.inertia = (padded[1:] + padded[:-1]) / 3, mass / 6

    def distance(self, configuration: Configuration) -> float:
        """Return S / (2 tau)."""
        return square(configuration.edges - self.anchor, self.mass) / (2 * self.spread)

    def objective(self, configuration: Configuration) -> float:
        """Return F_h + S / (2 tau)."""
        return configuration.value + self.distance(configuration)

    def minimise(self, start: np.ndarray, tolerance: float, flat: float, most: int) -> Outcome:
        """Minimise from these edges until a correction is shorter than `tolerance`.

        The last correction is made as well, so that the error left is its square, and the law
        must then be at rest (`_rests`): corrections are also short while a cell that was pressed
        too far opens again. The objective never rises beyond its rounding. Where the first
        variation has kinks (relu), cells come to sit on them and corrections stop shrinking: the
        iteration also ends when PATIENCE iterations have lowered the objective by at most `flat`
        of its whole fall, unless it is still pressing cells together.
        """
        here = self.energy.at(start, self.mass)
        objective, shift, correction = self.objective(here), 0.0, np.inf
        history, stiffening = [objective], 0.0
        for iteration in range(1, most + 1):
            gradient = self.ends.contract(here.gradient() + self._pull(here.edges - self.anchor))
            reach = float(np.clip(correction / (SHARP * self.energy.length), 1e-3, 1.0))
            free, shift = self._direction(here.curvature(reach), gradient, shift, stiffening)
            step = self.ends.extend(free)
            promised = -float(gradient @ free)
            pressing = self.presses and (np.diff(step) < (SHRINKING - 1) * here.width).any()
            correction = square(step, self.mass) ** 0.5
            noise = ROUNDING * (here.magnitude + self.distance(here))
            # A shifted matrix is stiffer: Newton's own step may be longer by this factor.
            small = correction * (1 + shift * self.spread) <= tolerance or promised <= noise
            part = 1.0
            for _ in range(HALVINGS):
                there = self._moved(here, part * step)
                if there is not None:
                    reached = self.objective(there)
                    if reached <= objective - SUFFICIENT * part * promised + noise:
                        break
                part /= 2
            else:
                if small and self._rests(here, tolerance):
                    return Outcome(here.edges, correction, iteration, True)
                # A kink is near: take means over cells again, and a stiffer matrix.
                correction, stiffening = np.inf, max(4 * stiffening, 1 / self.spread)
                continue
            here, objective, stiffening = there, min(objective, reached), 0.0
            history.append(objective)
            fall = history[-PATIENCE - 1 :][0] - objective
            whole = max(history[0] - objective, FLAT_PART * here.magnitude)
            stalled = len(history) > PATIENCE and fall <= flat * whole and not pressing
            if stalled or (small and self._rests(here, tolerance)):
                return Outcome(here.edges, correction, iteration, True)
        return Outcome(here.edges, correction, most, False)

    def _rests(self, here: Configuration, tolerance: float) -> bool:
        """Return whether the objective has no slope along the movement from the old edges.

        Where the energy is convex the objective curves along it at least as S / (2 tau) does, so
        that slope tau / length bounds how far off along it the minimum is, as a Wasserstein
        distance. The slope needs no Hessian, and a stiff cell hardly takes part in it.
        """
        movement = here.edges - self.old
        slope = float(movement @ (here.gradient() + self._pull(here.edges - self.anchor)))
        noise = ROUNDING * (here.magnitude + self.distance(here))
        length = square(movement, self.mass) ** 0.5
        return abs(slope) <= max(tolerance * length / self.spread, noise)

    def _moved(self, here: Configuration, step: np.ndarray) -> Configuration | None:
        """Return the energy at the moved edges, or None if these do not increase.

        A width is linear in the step down to a tenth and then goes on as a hyperbola: a cell under
        a steady force has its density linear in the step. The emptiest cells, which are pressed to
        a small part of their width, would otherwise hold back all others.
        """
        change = np.diff(step) / here.width
        edges = here.edges + step
        if not (change > SHRINKING - 1).all():
            steep = np.maximum(SHRINKING - 1 - change, 0.0) / SHRINKING
            factor = np.where(steep > 0, SHRINKING / (1 + steep), 1 + change)
            if self.presses:
                # Beyond the highest density a light cell would be so stiff that the rounding of
                # its force and of the Hessian hides those of all other cells.
                least = np.minimum(SHRINKING, here.density / here.density.max())
                factor = np.maximum(factor, least)
            bent = np.concatenate(([0.0], np.cumsum(here.width * factor)))
            if self.ends.kind == "free":
                # What the bending does to the mean displacement is taken back.
                bent += self._mean(edges - bent)
            else:
                bent *= self.energy.length / bent[-1]
                bent += here.edges[0]
                if self.constraint is not None:
                    bent -= self.constraint @ (bent - self.old)[:-1] / self.constraint.sum()
            edges = bent
        if self.ends.kind == "pinned":
            edges[0], edges[-1] = here.edges[0], here.edges[-1]
        if self.ends.kind == "cyclic":
            edges[-1] = edges[0] + self.energy.length
        if not (np.diff(edges) > 0).all():
            return None
        return self.energy.at(edges, self.mass)

    def _mean(self, displacement: np.ndarray) -> float:
        return float(self.mass @ (displacement[1:] + displacement[:-1])) / 2

    def _pull(self, displacement: np.ndarray) -> np.ndarray:
        """Return the derivative of S / (2 tau) in all edges."""
        diagonal, off_diagonal = self.inertia
        pull = diagonal * displacement
        pull[:-1] += off_diagonal * displacement[1:]
        pull[1:] += off_diagonal * displacement[:-1]
        return pull / self.spread

    def _direction(
        self, curvature: Curvature, gradient: np.ndarray, last: float, least: float
    ) -> tuple[np.ndarray, float]:
        """Return a direction of descent in the free edges, and the shift it took.

        The Hessian gets `shift` times the inertia, as if tau were shorter, until it is positive
        definite. A shift of minus the least second derivative of the first variation always does,
        save for an interaction. `last` is the shift before, `least` the smallest one allowed.
        """
        shift = least
        while True:
            free = self._solve(curvature, gradient, 1 / self.spread + shift)
            if free is not None and np.isfinite(free).all() and gradient @ free < 0:
                return free, shift
            if not gradient.any():
                return np.zeros_like(gradient), shift
            shift = max(4 * shift, last / 4, -curvature.least / 64, 1e-3 / self.spread)

    def _solve(
        self, curvature: Curvature, gradient: np.ndarray, weight: float
    ) -> np.ndarray | None:
        """Return -(Hessian + weight inertia)^-1 gradient, or None if that is not a descent."""
        ends = self.ends
        diagonal = ends.contract(curvature.diagonal + weight * self.inertia[0])
        off_diagonal = curvature.off_diagonal + weight * self.inertia[1]
        features = curvature.features
        if features is not None:
            features = ends.contract(features)
        if curvature.dense is None:
            factors = factorise(diagonal, ends.coupled(off_diagonal), self.constraint)
            return None if factors is None else -solve_with_features(factors, features, gradient)
        matrix = ends.contract(ends.contract(curvature.dense).T)
        matrix = matrix + ends.matrix(off_diagonal, len(diagonal))
        matrix[np.diag_indices(len(diagonal))] += diagonal
        if features is not None:
            matrix += features @ features.T
        if self.constraint is not None:
            # Where the constraint holds this adds nothing, and the matrix may be indefinite
            # elsewhere.
            matrix += np.trace(matrix) * np.multiply.outer(self.constraint, self.constraint)
        # Masses of tails are small: scaled to a unit diagonal, Cholesky meets no underflow.
        size = np.diag(matrix)
        if not (size > 0).all():
            return None
        root = np.sqrt(size)
        try:
            factor = cho_factor(matrix / np.multiply.outer(root, root), lower=True)
        except LinAlgError:
            return None
        step = -cho_solve(factor, gradient / root) / root
        if self.constraint is not None:
            normal = cho_solve(factor, self.constraint / root) / root
            step -= normal * (self.constraint @ step) / (self.constraint @ normal)
        return step
