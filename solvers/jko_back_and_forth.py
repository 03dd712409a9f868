"""The JKO scheme in two dimensions with the exact Wasserstein distance, through its dual."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wgflow.domain import Interval
from wgflow.energy import Entropy, PowerEntropy
from wgflow.errors import InputError
from wgflow.grid_energy import GridEnergy
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Scheme, Snapshot, State, Step
from wgflow.solvers.back_and_forth_movement import EntropyMovement, Movement, PowerMovement
from wgflow.solvers.fixed_point import FixedPoint, anderson, continued

RISE = 1e-11
"""What rounding may add to the energy in a step, relative to its size (at least 1)."""
WARM = 12
"""The most Newton steps of a movement from the potential of the one before."""
ROUGH = 1e-3
"""Tolerance, if looser, of steps on the way to a longer one."""
ASTRAY = 0.5
"""Most cells by which the map of a movement may miss the old law; smooth laws are missed by 0.1."""
FEWEST = 8
"""Least number of cells an axis."""


class BackAndForthScheme(Scheme):
    """Minimizing movements in the Wasserstein distance on a rectangle with walls.

        rho_{k+1} = argmin F(rho) + W2^2(rho, rho_k) / (2 tau),

    for d_t rho = div(rho grad (g + U'(rho))), with U an entropy or a power entropy, solved in the
    Kantorovich potential phi; g is taken at the new law, by an outer iteration on its coupling.
    Order 2 in the cell width where densities are smooth, and order 1 in the step, or 2: then the
    movement is one of tau/2, and its geodesic is followed for as long again,

        rho_{k+1} = (2 T - I)_# rho_k = (I + tau/2 grad phi)_# rho_{k+1/2},

    the implicit midpoint rule (`midpoint`). With a power entropy, whose fronts this would blur,
    doubled steps extrapolate the law to 2 rho_{tau/2,tau/2} - rho_tau, cut off at 0. With order 1
    a step that would raise F is not accepted. Jacobs, Lee and Leger, "The back-and-forth method
    for Wasserstein gradient flows", ESAIM: COCV 27 (2021); the scheme: Jordan, Kinderlehrer and
    Otto, SIAM J. Math. Anal. 29 (1998). The state is `density` (n, m).

    Parameters
    ----------
    edges
        Uniform cell edges of both axes.
    tolerance
        On the mass that the last inner iteration moves between cells, and on the couplings of g
        relative to their scale. A power entropy ends earlier, where its dual can rise no further.
    max_iterations
        The most Newton steps of a movement, and the most outer iterations.
    midpoint
        Whether steps are those of the midpoint rule, for an entropy.

    Raises
    ------
    InputError
        A domain that is not two intervals, a grid with fewer than 8 cells on an axis, internal
        energies other than entropies or one power entropy, or a power entropy beside a risk or an
        interaction.
    """

    def __init__(
        self,
        problem: Problem,
        edges: Sequence[np.ndarray],
        *,
        tolerance: float,
        max_iterations: int,
        midpoint: bool = False,
    ) -> None:
        axes = problem.domain.axes
        if len(axes) != 2 or not all(isinstance(axis, Interval) for axis in axes):
            kinds = " x ".join(type(axis).__name__ for axis in axes)
            other = "'lagrangian', 'balanced'" if len(axes) == 1 else "'balanced'"
            raise InputError(
                f"The method 'back-and-forth' is for two intervals, but the domain is {kinds}; use "
                f"the method {other} or 'entropic', or the solver finite-volume."
            )
        shape = tuple(len(edge) - 1 for edge in edges)
        if min(shape) < FEWEST:
            raise InputError(
                f"The grid of method 'back-and-forth' has shape {shape}, but must have at least "
                f"{FEWEST} cells on each axis."
            )
        self.problem, self.edges = problem, tuple(edges)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.power = _power_entropy(problem)
        self.midpoint = midpoint and self.power is None
        self.on_grid = GridEnergy(problem.energy, edges)
        if self.power is not None and self.on_grid.size > 0:
            raise InputError(
                "The method 'back-and-forth' takes a power entropy beside potentials only; with a "
                "risk or an interaction use the solver finite-volume."
            )
        first, second = (float(edge[-1] - edge[0]) / (len(edge) - 1) for edge in edges)
        self.widths = (first, second)

    def initial(self) -> State:
        """Return the initial law integrated over the cells."""
        mass = self.problem.initial.folded_masses(self.problem.domain, self.edges)
        if self.power is None and _jumps(mass):
            raise InputError(
                "The method 'back-and-forth' needs an initial law that is smooth on the scale of a "
                "cell, but this one jumps to almost nothing between two of them; use a finer "
                "shape, a smoother law, the method 'balanced' or the solver finite-volume."
            )
        return {"density": mass / mass.sum() / self.on_grid.volume}

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step."""
        spread = dt * self.problem.rate(time + dt / 2)
        mass = state["density"] * self.on_grid.volume
        mass = mass / mass.sum()
        implicit = _Implicit(self, mass, spread / 2 if self.midpoint else spread)
        end = implicit.solve()
        new, reason = end.mass, ""
        missed = 0.0
        if end.converged and isinstance(implicit.movement, EntropyMovement):
            missed = implicit.movement.missed(end)
        if missed > ASTRAY:
            # The equation is solved, but between cells, where nothing ties separate parts together.
            reason = (
                f"the map of a step of {dt:g} misses the law it came from by {missed:.1f} cells: "
                "the law is too narrow, or in parts too far apart, for this grid; use a finer "
                "grid, a higher temperature, a wider initial law or the solver finite-volume."
            )
        elif end.converged and self.midpoint:
            assert isinstance(implicit.movement, EntropyMovement)
            moved = implicit.movement.forward(implicit.field, end.potential)
            if moved is None:
                reason = (
                    f"the second half of a step of {dt:g} would fold the law over itself; use a "
                    "shorter step or time_order=1."
                )
            else:
                new = moved
        elif end.converged:
            before, after = self.on_grid.value(mass), self.on_grid.value(new)
            if after - before > RISE * max(1.0, abs(before)):
                reason = (
                    f"a step of {dt:g} would raise the energy by {after - before:.1e}: it moves "
                    "the law less than this grid resolves; use a longer step or a finer grid."
                )
        count = implicit.iterations
        if not end.converged:
            coupled = f", and its couplings have an error of {implicit.error:.1e}," * bool(
                self.on_grid.size
            )
            reason = (
                f"the movement still shifts {end.change:.1e} of the mass between cells{coupled} "
                f"after {count} Newton steps in all; use a shorter step, a finer grid, a looser "
                "tolerance or a larger max_iterations."
            )
        if reason:
            status = "not_converged" if np.isfinite(end.change) else "diverged"
            return Step(dict(state), status, iterations=count, evaluations=count, reason=reason)
        return Step({"density": new / self.on_grid.volume}, iterations=count, evaluations=count)

    def observe(self, state: State) -> Snapshot:
        """Return the law on the grid."""
        return Snapshot(GridMeasure(self.edges, state["density"] * self.on_grid.volume))

    def difference(self, first: State, second: State) -> float:
        """Return the L1 distance of two laws, between 0 and 2."""
        apart = np.abs(first["density"] - second["density"])
        return float((apart * self.on_grid.volume).sum())

    def extrapolated(self, whole: State, halved: State) -> State:
        """Return the second-order law from a step and two halves; fronts ask for a linear form."""
        density = np.maximum(2 * halved["density"] - whole["density"], 0.0)
        return {"density": density / (density * self.on_grid.volume).sum()}


class _Implicit:
    """One movement with its coupling z: the law at whose z the movement in g_z ends.

    Steps too long to be solved from where they start are reached by way of shorter ones; the map
    of one, phi tau, is the start of the next.
    """

    def __init__(self, scheme: BackAndForthScheme, mass: np.ndarray, spread: float) -> None:
        self.scheme, self.grid, self.spread, self.mass = scheme, scheme.on_grid, spread, mass
        self.iterations, self.error = 0, 0.0
        self.field = self.grid.potential
        self.known: np.ndarray | None = None
        self.movement = self._movement(spread)
        self.end = Movement(mass, np.zeros(mass.shape), 0, False, np.inf)

    def _movement(self, spread: float) -> EntropyMovement | PowerMovement:
        scheme = self.scheme
        if scheme.power is None:
            return EntropyMovement(self.mass, scheme.widths, spread, self.grid.temperature)
        return PowerMovement(self.mass, scheme.widths, spread, scheme.power)

    def solve(self) -> Movement:
        """Return the movement at the solution, or the last one."""
        grid, most = self.grid, self.scheme.max_iterations
        scale = grid.scale
        solution = continued(self._attempt, self.spread, grid.couple(self.mass) / scale, most)
        self.error = solution.error
        return dataclasses.replace(self.end, converged=solution.converged)

    def _attempt(self, spread: float, start: np.ndarray, most: int, rough: bool) -> FixedPoint:
        """Solve for z, over its scale, with a step of this length."""
        scheme, grid = self.scheme, self.grid
        self.movement = self._movement(spread)
        tolerance = max(scheme.tolerance, ROUGH) if rough else scheme.tolerance
        self.field = grid.first_variation(start * grid.scale)
        known = None if self.known is None else self.known / spread
        self._end(known, tolerance)
        empty = np.zeros((0, len(start)))
        first = FixedPoint(start, 0.0, 1, self.end.converged, empty, empty)
        if grid.size == 0 or not self.end.converged:
            self._remember(first, spread)
            return first

        def mismatch(scaled: np.ndarray) -> np.ndarray:
            if not self.end.converged:
                return np.full(grid.size, np.nan)
            self.field = grid.first_variation(scaled * grid.scale)
            self._end(self.end.potential, tolerance / 10)
            return (grid.couple(self.end.mass) - scaled * grid.scale) / grid.scale

        correction = grid.correction(self.end.mass, start * grid.scale, spread, grid.temperature)
        solution = anderson(
            mismatch,
            lambda error: correction(error * grid.scale) / grid.scale,
            start,
            tolerance,
            most,
            hurried=rough,
        )
        self._remember(solution, spread)
        return solution

    def _remember(self, solution: FixedPoint, spread: float) -> None:
        if solution.converged:
            self.known = self.end.potential * spread

    def _end(self, start: np.ndarray | None, tolerance: float) -> None:
        """Find the movement in the field, from a potential or, if need be, from the usual one."""
        most = self.scheme.max_iterations
        if start is not None:
            self.end = self.movement.solve(self.field, start, tolerance, min(most, WARM))
            self.iterations += self.end.iterations
            if self.end.converged:
                return
        usual = self.movement.start(self.field)
        self.end = self.movement.solve(self.field, usual, tolerance, most)
        self.iterations += self.end.iterations


def _jumps(mass: np.ndarray) -> bool:
    """Return whether a cell that counts has a neighbour with almost no mass."""
    high = mass > 1e-3 * mass.max()
    low = mass < 1e-9 * mass.max()
    beside = (high[1:] & low[:-1]).any() or (high[:-1] & low[1:]).any()
    return bool(beside or (high[:, 1:] & low[:, :-1]).any() or (high[:, :-1] & low[:, 1:]).any())


def _power_entropy(problem: Problem) -> PowerEntropy | None:
    """Return the power entropy of an energy, None for one with an entropy, or raise InputError."""
    internal = [
        term
        for term in problem.energy.internal
        if not (isinstance(term, Entropy) and term.temperature == 0)
    ]
    if internal and all(isinstance(term, Entropy) for term in internal):
        return None
    if len(internal) == 1 and isinstance(internal[0], PowerEntropy):
        return internal[0]
    names = " and ".join(type(term).__name__ for term in internal) or "none"
    raise InputError(
        "The method 'back-and-forth' needs an Entropy with a temperature above 0 or one "
        f"PowerEntropy, not both, but the internal energies are: {names}; use the solver "
        "finite-volume or particles."
    )
