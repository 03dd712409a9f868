"""The entropic JKO step in the log domain (numerics: `JKO` in `wgflow.solvers.jko`)."""

import functools

import numpy as np
from scipy.optimize import minimize

from wgflow.domain import Circle
from wgflow.grid_energy import GridEnergy
from wgflow.kernels import log_sum_exp_rows
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Scheme, Snapshot, State, Step
from wgflow.solvers.fixed_point import FixedPoint, anderson
from wgflow.solvers.heat_kernel import log_heat_kernel

EMPTY = -1e30
"""Stands for the logarithm of zero mass; finite, so that sums of exponentials stay numbers."""


class EntropicScheme(Scheme):
    """The scheme of `JKO`; its state is `log_mass`, the logarithm of the cell masses.

    The logarithm keeps tails that the masses themselves cannot hold: g / epsilon spans hundreds.
    """

    def __init__(
        self,
        problem: Problem,
        edges: tuple[np.ndarray, ...],
        tolerance: float,
        max_iterations: int,
    ) -> None:
        self.problem, self.edges = problem, edges
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.on_grid = GridEnergy(problem.energy, edges)
        self.log_kernels = functools.lru_cache(maxsize=4)(self._make_log_kernels)

    def initial(self) -> State:
        """Return the initial law integrated over the cells."""
        mass = self.problem.initial.folded_masses(self.problem.domain, self.edges)
        with np.errstate(divide="ignore"):
            return {"log_mass": np.maximum(np.log(mass), EMPTY)}

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one minimizing movement."""
        spread = dt * self.problem.rate(time + dt / 2)
        grid = self.on_grid
        movement = Movement(grid, state["log_mass"], self.log_kernels(spread))
        start = grid.couple(np.exp(state["log_mass"]))
        if grid.size == 0:
            return Step({"log_mass": movement.end(start)})

        def accelerated(first: np.ndarray) -> FixedPoint:
            law = np.exp(movement.end(first))
            correction = grid.correction(law, first, spread, 2 * grid.temperature)
            return anderson(
                lambda scaled: movement.mismatch(scaled * grid.scale) / grid.scale,
                lambda error: correction(error * grid.scale) / grid.scale,
                first / grid.scale,
                self.tolerance,
                self.max_iterations,
            )

        solution = accelerated(start)
        if not solution.converged:
            # Very long steps: climb the dual of the step, which is concave, then finish as before.
            solution = accelerated(movement.climb(start, self.max_iterations))
        status, reason = "ok", ""
        if not solution.converged:
            status = "not_converged" if np.isfinite(solution.error) else "diverged"
            reason = (
                f"the inner iteration of the JKO step stopped at an error of {solution.error:.1e} "
                f"after {movement.evaluations} iterations; use a smaller step, a looser tolerance "
                "or a larger max_iterations."
            )
        return Step(
            {"log_mass": movement.end(solution.point * grid.scale)},
            status,
            iterations=movement.evaluations,
            evaluations=movement.evaluations,
            reason=reason,
        )

    def observe(self, state: State) -> Snapshot:
        """Return the law on the grid."""
        return Snapshot(GridMeasure(self.edges, np.exp(state["log_mass"])))

    def _make_log_kernels(self, spread: float) -> tuple[np.ndarray, ...]:
        variance = 2 * self.problem.temperature * spread
        return tuple(
            log_heat_kernel(len(edge) - 1, edge[-1] - edge[0], variance, isinstance(axis, Circle))
            for axis, edge in zip(self.problem.domain.axes, self.edges, strict=True)
        )


class Movement:
    """One minimizing movement from a law, as a function of a trial coupling z."""

    def __init__(
        self, on_grid: GridEnergy, log_old: np.ndarray, log_kernels: tuple[np.ndarray, ...]
    ) -> None:
        self.on_grid, self.log_old, self.log_kernels = on_grid, log_old, log_kernels
        self.epsilon = 2 * on_grid.temperature
        self.evaluations = 0
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def _pair(self, coupling: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log pi at a coupling z, and log K[exp(-g_z / epsilon)]."""
        self.evaluations += 1
        factor = -self.on_grid.first_variation(coupling) / self.epsilon
        spread = _smooth(factor, self.log_kernels)
        return factor + _smooth(self.log_old - spread, self.log_kernels), spread

    def end(self, coupling: np.ndarray) -> np.ndarray:
        """Return log pi, the law that the movement ends at if this coupling is right."""
        if self._last is None or not np.array_equal(self._last[0], coupling):
            self._last = (coupling.copy(), self._pair(coupling)[0])
        return self._last[1]

    def mismatch(self, coupling: np.ndarray) -> np.ndarray:
        """Return the coupling of that law less the trial one; 0 at the solution."""
        return self.on_grid.couple(np.exp(self.end(coupling))) - coupling

    def climb(self, coupling: np.ndarray, most: int) -> np.ndarray:
        """Return a coupling near the solution, by L-BFGS on the dual of the movement,

            D(z) = E(z) - <E'(z), z> - epsilon int log K[exp(-g_z / epsilon)] drho_k,

        whose gradient is E''(z) (z[pi] - z).
        """
        grid, old = self.on_grid, np.exp(self.log_old)

        def descent(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            trial = scaled * grid.scale
            log_new, spread = self._pair(trial)
            value = grid.coupled_value(trial) - float(grid.slope(trial) @ trial)
            value -= self.epsilon * float((old * spread).sum())
            ascent = grid.hessian(trial)(grid.couple(np.exp(log_new)) - trial)
            return -value, -ascent * grid.scale

        found = minimize(
            descent,
            coupling / grid.scale,
            jac=True,
            method="L-BFGS-B",
            options={"maxcor": 20, "gtol": 1e-13, "ftol": 0.0, "maxiter": most, "maxfun": 2 * most},
        )
        return found.x * grid.scale


def _smooth(log_values: np.ndarray, log_kernels: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return log K[exp(log_values)], the kernel applied axis by axis."""
    for axis, log_kernel in enumerate(log_kernels):
        moved = np.moveaxis(log_values, axis, -1)
        rows = np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))
        summed = log_sum_exp_rows(rows, log_kernel).reshape(moved.shape)
        log_values = np.moveaxis(summed, -1, axis)
    return log_values
