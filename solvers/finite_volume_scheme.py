"""Steps of the finite-volume schemes on a grid (numerics: `FiniteVolume`)."""

import numpy as np

from wgflow.grid_energy import GridEnergy
from wgflow.kernels.scharfetter_gummel import implicit_sweep
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Scheme, Snapshot, State, Step
from wgflow.solvers.extrapolation import extrapolated_law
from wgflow.solvers.fixed_point import anderson
from wgflow.solvers.newton_krylov import Root, newton_krylov

SMALLEST = float(np.finfo(float).tiny)
"""Stands for a mass of zero where its logarithm is taken."""
PATIENCE = 40
"""Accelerated iterations after which Newton's method takes over."""
NEWTON_STEPS = 50
"""The most steps it may take; they end earlier where the mismatch does not fall any more."""


class GridScheme(Scheme):
    """What the schemes share; the state is `mass`, the masses of the cells.

    Parameters
    ----------
    problem, edges
        The problem, and a uniform grid of its domain.
    """

    def __init__(self, problem: Problem, edges: tuple[np.ndarray, ...]) -> None:
        self.problem, self.edges = problem, edges
        self.on_grid = GridEnergy(problem.energy, edges)
        self.periodic = problem.domain.periodic
        self.widths = tuple(float(edge[-1] - edge[0]) / (len(edge) - 1) for edge in edges)

    def initial(self) -> State:
        """Return the initial law integrated over the cells."""
        return {"mass": self.problem.initial.folded_masses(self.problem.domain, self.edges)}

    def observe(self, state: State) -> Snapshot:
        """Return the law on the grid."""
        return Snapshot(GridMeasure(self.edges, state["mass"]))

    def difference(self, first: State, second: State) -> float:
        """Return the L1 distance of two laws."""
        return float(np.abs(first["mass"] - second["mass"]).sum())

    def extrapolated(self, whole: State, halved: State) -> State:
        """Return a law of second order from one whole step and from two of half the length.

        In logarithms: masses stay positive, and an equilibrium that both leave where it is stays.
        """
        logs = (np.log(np.maximum(s["mass"], SMALLEST)) for s in (whole, halved))
        return {"mass": np.exp(extrapolated_law(*logs))}


def _normalised(mass: np.ndarray) -> np.ndarray:
    # The sweeps keep the sum to rounding; over many thousands of steps that would add up.
    return mass / mass.sum()


class ImplicitScheme(GridScheme):
    """Implicit sweeps along one axis after the other, with g at the coupling of the new law."""

    def __init__(
        self,
        problem: Problem,
        edges: tuple[np.ndarray, ...],
        *,
        tolerance: float,
        max_iterations: int,
    ) -> None:
        super().__init__(problem, edges)
        self.tolerance, self.max_iterations = tolerance, max_iterations

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step."""
        spread = dt * self.problem.rate(time + dt / 2)
        movement = Movement(self, state["mass"], spread)
        if self.on_grid.size == 0:
            return Step({"mass": _normalised(movement.end(np.zeros(0)))})
        solution = movement.solve(self.tolerance, self.max_iterations)
        status, reason = "ok", ""
        if not solution.error <= self.tolerance:
            status = "not_converged" if np.isfinite(solution.error) else "diverged"
            reason = (
                f"the inner iteration of the finite-volume step stopped at a relative error of "
                f"{solution.error:.1e} after {movement.evaluations} iterations; use a smaller "
                "step, a looser tolerance or a larger max_iterations."
            )
        return Step(
            {"mass": _normalised(movement.end(solution.point))},
            status,
            iterations=movement.evaluations,
            evaluations=movement.evaluations,
            reason=reason,
        )

    def moved(self, mass: np.ndarray, g: np.ndarray, spread: float) -> np.ndarray:
        """Return the masses after one implicit sweep along every axis."""
        temperature = self.on_grid.temperature
        for axis, (width, periodic) in enumerate(zip(self.widths, self.periodic, strict=True)):
            ratio = temperature * spread / width**2
            mass = implicit_sweep(mass, g, axis, ratio, temperature, periodic)
        return mass


class Movement:
    """One implicit step from a law, as a function of the coupling at its end.

    Couplings are relative to their scale here.
    """

    def __init__(self, scheme: ImplicitScheme, mass: np.ndarray, spread: float) -> None:
        self.scheme, self.mass, self.spread = scheme, mass, spread
        self.on_grid, self.scale = scheme.on_grid, scheme.on_grid.scale
        self.evaluations = 0
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def end(self, coupling: np.ndarray) -> np.ndarray:
        """Return the law that the step ends at if that is its coupling."""
        if self._last is None or not np.array_equal(self._last[0], coupling):
            self.evaluations += 1
            g = self.on_grid.first_variation(coupling * self.scale)
            self._last = (coupling.copy(), self.scheme.moved(self.mass, g, self.spread))
        return self._last[1]

    def mismatch(self, coupling: np.ndarray) -> np.ndarray:
        """Return the coupling of that law less the one given; 0 at the solution."""
        return self.on_grid.couple(self.end(coupling)) / self.scale - coupling

    def solve(self, tolerance: float, most: int) -> Root:
        """Return the coupling that the step ends at."""
        start = self.on_grid.couple(self.mass) / self.scale
        correction = self.on_grid.correction(
            self.end(start), start * self.scale, self.spread, self.on_grid.temperature
        )
        found = anderson(
            self.mismatch,
            lambda error: correction(error * self.scale) / self.scale,
            start,
            tolerance,
            min(most, PATIENCE),
        )
        if not found.converged and most > PATIENCE:
            # Long steps at low temperatures, from a law that knows nothing of the next one.
            return newton_krylov(self.mismatch, start, tolerance, NEWTON_STEPS)
        return Root(found.point, found.error)
