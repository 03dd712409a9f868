"""One minimizing movement in two dimensions for a fixed potential energy, by its dual.

    min over rho of int V drho + int U(rho) + W2^2(rho, mu) / (2 tau)
        = max over phi of J(phi) = int phi^c dmu - U*(-phi),    rho = (U')^-1(C - V - phi),

with C such that rho has mass 1. At the maximum mu is the push-forward of rho by the optimal map
T(y) = y - tau grad phi(y). Both solvers take Newton steps, and wherever one of them leaves the
potentials of optimal maps they go back by phi <- phi^cc, the move of the back-and-forth method.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.fft import dctn, idctn
from scipy.optimize import brentq
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from wgflow.energy import PowerEntropy
from wgflow.kernels.c_transform import c_transform
from wgflow.kernels.push_forward import displacement, interpolate, push_forward

Widths = tuple[float, float]

TINY = 1e-300
"""Stands for a density of 0 in a logarithm."""
EMPTY = 1e-9
"""Cells with less mass need not keep the map monotone."""
MONOTONE = 0.3
"""Least eigenvalue of the Jacobian of the map that an iteration starts from."""
KEPT = 0.1
"""Share of the least eigenvalue that a step leaves in every cell that is not empty."""
SHORTEST = 0.1
"""Shortest share of a Newton step; a map that this makes fold is mended by phi <- phi^cc."""
FLOOR = 1e-10
"""What smaller eigenvalues are taken for."""
FOLDED = 0.05
"""The same for the map that continues a geodesic: below it the map is refused."""
PARTS = 5
"""Pieces an axis that a cell is cut into before its mass is splatted."""
MOBILE, STIFF = 1e-2, 1e-1
"""What the metric of a power entropy has outside of the support, relative to its largest values."""
GAP = 1e-6
"""Predicted gain of J, relative to what the movement gains, at which it counts as solved."""
PATIENCE, STALLED = 20, 1e-3
"""The same after so many steps, or where J has stopped rising: its maximum on a grid is a kink."""
SETTLED = 1e-4
"""The most mass that the last of so many steps may have moved between cells."""


@dataclasses.dataclass(frozen=True)
class Movement:
    """Where an iteration stopped.

    Attributes
    ----------
    mass
        The new masses, positive or zero with sum 1, (n, m).
    potential
        phi, (n, m).
    iterations
        Newton steps.
    converged
        Whether it met its tolerance.
    change
        Mass that the last step moved between cells.
    """

    mass: np.ndarray
    potential: np.ndarray
    iterations: int
    converged: bool
    change: float


def _convexified(potential: np.ndarray, widths: Widths, spread: float) -> np.ndarray:
    """Return phi^cc, the least potential of an optimal map above phi."""
    return c_transform(c_transform(potential, widths, spread)[0], widths, spread)[0]


class EntropyMovement:
    """The movement with U = lambda rho log rho, in logarithms.

    Solves the Monge-Ampere equation of the optimal map,

        -(V + phi) / lambda = log mu(y - tau grad phi) + log det(I - tau D^2 phi),

    by Newton's method, with steps so short that the map stays monotone; it is quadratic, and tails
    are as accurate as the middle. Loeper and Rapetti, "Numerical solution of the Monge-Ampere
    equation by a Newton's algorithm", C. R. Acad. Sci. Paris, Ser. I 340 (2005).

    Parameters
    ----------
    mass
        mu, (n, m).
    widths
        Cell widths.
    spread
        tau.
    temperature
        lambda > 0.
    """

    def __init__(self, mass: np.ndarray, widths: Widths, spread: float, temperature: float) -> None:
        self.mass, self.widths, self.spread = mass, widths, spread
        self.temperature = temperature
        self.log_old = np.log(np.maximum(mass / math.prod(widths), TINY))

    def start(self, field: np.ndarray) -> np.ndarray:
        """Return the potential at which rho is mu, scaled down until its map is well monotone."""
        phi = -(field + self.temperature * self.log_old)
        while self._least(phi).min() < MONOTONE:
            phi = phi / 2
        return phi

    def solve(self, field: np.ndarray, start: np.ndarray, tolerance: float, most: int) -> Movement:
        """Return the movement in the potential V = field, (n, m).

        Parameters
        ----------
        start
            phi to start from.
        tolerance
            On the mass that the last step moves between cells.
        most
            The largest number of Newton steps.
        """
        phi, change = start, np.inf
        log_new, mass = self._law(field, phi)
        for iteration in range(1, most + 1):
            target, least, log_determinant, inverse = displacement(
                phi, self.widths, self.spread, FLOOR
            )
            log_old, *slopes = interpolate(self.log_old, target)
            error = log_new - log_old - log_determinant
            error -= float((mass * error).sum())
            step = self._newton_step(error, inverse, slopes)
            if not np.isfinite(step).all():
                return Movement(mass, phi, iteration, False, np.inf)
            # The least eigenvalue is a concave function of phi: this share keeps it positive.
            inside = np.maximum(mass, self._law(field, phi + step)[1]) > EMPTY
            after = self._least(phi + step)
            bound = inside & (after < KEPT * least) & (least > 0)
            rest = (1 - KEPT) * least[bound] / (least - after)[bound]
            share = float(rest.min(initial=1.0))
            phi = phi + max(share, SHORTEST) * step
            if (self._least(phi) <= 0)[inside].any():
                phi = _convexified(phi, self.widths, self.spread)
            old = mass
            log_new, mass = self._law(field, phi)
            change = float(np.abs(mass - old).sum())
            if change <= tolerance:
                return Movement(mass, phi, iteration, True, change)
        return Movement(mass, phi, most, False, change)

    def missed(self, movement: Movement) -> float:
        """Return how far its map carries the new law from mu, in cells of the worse marginal."""
        target = displacement(movement.potential, self.widths, self.spread, FLOOR)[0]
        apart = push_forward(movement.mass, target, 1) - self.mass
        return max(float(np.abs(np.cumsum(apart.sum(axis=1 - k))).sum()) for k in (0, 1))

    def _least(self, phi: np.ndarray) -> np.ndarray:
        """Return the least eigenvalue of I - tau D^2 phi in every cell."""
        return displacement(phi, self.widths, self.spread, FLOOR)[1]

    def _law(self, field: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return -(V + phi)/lambda with its constant, a log density, and the masses."""
        log_law = -(field + phi) / self.temperature
        log_law -= log_law.max()
        mass = np.exp(log_law)
        total = mass.sum()
        return log_law - math.log(total * _volume(self)), mass / total

    def _newton_step(
        self, error: np.ndarray, inverse: np.ndarray, slopes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Solve delta/lambda - tau B : D^2 delta - tau grad log mu . grad delta = error.

        B is the inverse of I - tau D^2 phi; differences are central, and reflected at the walls.
        """
        index = np.pad(np.arange(error.size).reshape(error.shape), 1, mode="edge")
        centre = np.full(error.shape, 1 / self.temperature)
        rows, columns, values = [], [], []

        def couple(first: int, second: int, value: np.ndarray) -> None:
            n, m = error.shape
            rows.append(index[1:-1, 1:-1].reshape(-1))
            columns.append(
                index[1 + first : n + 1 + first, 1 + second : m + 1 + second].reshape(-1)
            )
            values.append(value.reshape(-1))

        for axis in (0, 1):
            ahead = (1, 0) if axis == 0 else (0, 1)
            factor = self.spread / self.widths[axis] ** 2
            diffusion, drift = factor * inverse[axis], factor * slopes[axis] / 2
            centre += 2 * diffusion
            couple(*ahead, -diffusion - drift)
            couple(-ahead[0], -ahead[1], -diffusion + drift)
        mixed = -self.spread * inverse[2] / (2 * math.prod(self.widths))
        for first, second in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            couple(first, second, first * second * mixed)
        couple(0, 0, centre)
        matrix = coo_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
            shape=(error.size, error.size),
        )
        try:
            factors = splu(matrix.tocsc())
        except RuntimeError:  # exactly singular
            return np.full(error.shape, np.nan)
        return np.asarray(factors.solve(error.reshape(-1))).reshape(error.shape)

    def forward(self, field: np.ndarray, potential: np.ndarray) -> np.ndarray | None:
        """Return the masses of (I + tau grad phi)_# rho, or None where that map folds over.

        With rho and phi at the end of a movement of tau, this continues the geodesic from mu
        through rho for as long again.
        """
        log_law, mass = self._law(field, potential)
        _, least, log_determinant, _ = displacement(potential, self.widths, -self.spread, FOLDED)
        if (least < FOLDED)[mass > EMPTY].any():
            return None
        # The inverse map is where the c-transform of -phi is reached.
        origin = c_transform(-potential, self.widths, self.spread)[1]
        log_moved = interpolate(log_law - log_determinant, origin)[0]
        moved = np.exp(log_moved - log_moved.max())
        return np.asarray(moved / moved.sum())


def _volume(movement: "EntropyMovement | PowerMovement") -> float:
    return math.prod(movement.widths)


class PowerMovement:
    """The movement with a power entropy, whose laws have compact supports.

    The residual is rho less the push-forward of mu by its optimal map, which the c-transform of
    phi gives; every step is a Newton step in the metric

        (U*)''(-phi) - tau div(rho B grad),

    by conjugate gradients in the H1 metric. Where mu stays the push-forward is exact, so that
    equilibria are kept; J is concave, but on a grid it has kinks, and its gradient does not vanish
    at its maximum: the iteration ends where J can rise no further. Jacobs, Lee and Leger, "The
    back-and-forth method for Wasserstein gradient flows", ESAIM: COCV 27 (2021).

    Parameters
    ----------
    mass, widths, spread
        As of `EntropyMovement`.
    entropy
        U.
    """

    def __init__(
        self, mass: np.ndarray, widths: Widths, spread: float, entropy: PowerEntropy
    ) -> None:
        self.mass, self.widths, self.spread, self.entropy = mass, widths, spread, entropy
        centres = np.array(np.indices(mass.shape), dtype=float)
        self.still = mass - push_forward(mass, centres, PARTS)
        waves = [
            (2 - 2 * np.cos(np.pi * np.arange(n) / n)) / h**2
            for n, h in zip(mass.shape, widths, strict=True)
        ]
        self.waves = np.add.outer(*waves)

    def start(self, field: np.ndarray) -> np.ndarray:
        """Return the potential at which rho is mu, made that of an optimal map."""
        phi = -(field + self.entropy.derivative(self.mass / _volume(self)))
        return _convexified(phi, self.widths, self.spread)

    def solve(self, field: np.ndarray, start: np.ndarray, tolerance: float, most: int) -> Movement:
        """Return the movement in the potential V = field, as `EntropyMovement.solve` does."""
        phi, before, change = start, self.mass, np.inf
        # F of mu, up to what J leaves out too.
        energy = float((self.mass * field).sum())
        density = self.mass / _volume(self)
        energy += float(self.entropy.density_value(density).sum()) * _volume(self)
        values: list[float] = []
        best: tuple[float, np.ndarray, np.ndarray] = (-np.inf, before, phi)
        for iteration in range(1, most + 1):
            mass = self._law(field, phi)
            dual, residual = self._dual(field, phi, mass)
            change = float(np.abs(mass - before).sum())
            values.append(dual)
            if dual > best[0]:
                best = (dual, mass, phi)
            if change <= tolerance:
                return Movement(mass, phi, iteration, True, change)
            step = self._newton_step(mass, phi, residual)
            gain = float((step * residual).sum()) / 2
            moved = energy - best[0]
            if gain <= GAP * moved + 1e-14 * abs(energy):
                return Movement(mass, phi, iteration, True, change)
            stalled = len(values) > 3 and best[0] - max(values[:-3]) < GAP * moved
            if stalled:
                return Movement(best[1], best[2], iteration, gain <= STALLED * moved, change)
            if iteration >= PATIENCE and gain <= STALLED * moved and change <= SETTLED:
                return Movement(best[1], best[2], iteration, True, change)
            phi = phi + step
            if not np.isfinite(phi).all():
                break
            least = displacement(phi, self.widths, self.spread, FLOOR)[1]
            if (least < 0)[mass > 1e-6 * mass.max()].any():
                phi = _convexified(phi, self.widths, self.spread)
            before = mass
        return Movement(best[1], best[2], most, False, change)

    def _law(self, field: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Return the masses of (U')^-1(C - V - phi), with C such that they add up to 1."""
        level, volume = -(field + phi), _volume(self)
        highest = level.max()
        peak = float(self.entropy.derivative(np.array(1 / volume)))

        def excess(constant: float) -> float:
            density = self.entropy.inverse_derivative(level - highest + constant)
            return float(density.sum()) * volume - 1

        constant = brentq(excess, 0.0, peak * (1 + 1e-9), xtol=1e-15 * peak, rtol=1e-14)
        mass = self.entropy.inverse_derivative(level - highest + constant)
        return np.asarray(mass / mass.sum())

    def _dual(
        self, field: np.ndarray, phi: np.ndarray, mass: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J and its gradient, rho less the push-forward of mu."""
        transform, target = c_transform(phi, self.widths, self.spread)
        pushed = self.still + push_forward(self.mass, target, PARTS)
        density = mass / _volume(self)
        conjugate = -float((mass * (field + phi)).sum())
        conjugate -= float(self.entropy.density_value(density).sum()) * _volume(self)
        return float((self.mass * transform).sum()) - conjugate, mass - pushed

    def _newton_step(
        self, mass: np.ndarray, phi: np.ndarray, residual: np.ndarray, tolerance: float = 0.03
    ) -> np.ndarray:
        """Solve the linear system of a Newton step by preconditioned conjugate gradients."""
        density = mass / _volume(self)
        # 1 / U'' = rho / P', bounded where the support ends.
        inner = np.maximum(density, MOBILE * density.max())
        stiffness = inner / self.entropy.pressure_derivative(inner)
        floor = STIFF * float(stiffness.max())
        stiffness = (np.where(mass > 0, stiffness, 0.0) + floor) * _volume(self)
        inverse = displacement(phi, self.widths, self.spread, 0.1)[3]
        mobility = mass + MOBILE * mass.max()
        faces = []
        for axis in (0, 1):
            along = np.moveaxis(mobility * inverse[axis], axis, 0)
            faces.append(self.spread / self.widths[axis] ** 2 * (along[1:] + along[:-1]) / 2)
        typical = math.exp(float(np.log(stiffness).mean()))
        spectrum = typical + self.spread * math.sqrt(MOBILE) * mass.max() * self.waves

        def applied(x: np.ndarray) -> np.ndarray:
            out = stiffness * x
            for axis in (0, 1):
                flux = faces[axis] * np.diff(np.moveaxis(x, axis, 0), axis=0)
                total = np.moveaxis(out, axis, 0)
                total[1:] += flux
                total[:-1] -= flux
            return out

        x, left = np.zeros_like(residual), residual.copy()
        preconditioned = idctn(dctn(left) / spectrum)
        direction, weight = preconditioned, float((left * preconditioned).sum())
        enough = tolerance**2 * weight
        for _ in range(100):
            if not weight > enough:
                break
            image = applied(direction)
            length = weight / float((direction * image).sum())
            x = x + length * direction
            left = left - length * image
            preconditioned = idctn(dctn(left) / spectrum)
            previous, weight = weight, float((left * preconditioned).sum())
            direction = preconditioned + weight / previous * direction
        return x
