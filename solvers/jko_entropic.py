"""The entropic JKO step in the log domain (numerics: `JKO` in `wgflow.solvers.jko`)."""

import functools

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from wgflow.domain import Circle
from wgflow.grid_energy import GridEnergy
from wgflow.kernels import log_sum_exp_rows
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Scheme, Snapshot, State, Step
from wgflow.solvers.fixed_point import anderson
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
        self.epsilon = 2 * problem.temperature
        self._log_kernels = functools.lru_cache(maxsize=4)(self._make_log_kernels)

    def initial(self) -> State:
        """Return the initial law integrated over the cells."""
        mass = self.problem.initial.masses(self.edges)
        with np.errstate(divide="ignore"):
            return {"log_mass": np.maximum(np.log(mass), EMPTY)}

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one minimizing movement."""
        spread = dt * self.problem.rate(time + dt / 2)
        kernels = self._log_kernels(spread)
        log_old = state["log_mass"]

        def half_step(prediction: np.ndarray) -> np.ndarray:
            """Return log pi for g at trial predictions (n, k)."""
            g = self.on_grid.first_variation(self.on_grid.residual(prediction))
            factor = -g / self.epsilon
            return factor + _smooth(log_old - _smooth(factor, kernels), kernels)

        start = self.on_grid.predict(np.exp(log_old))
        if self.on_grid.risk is None:
            return Step({"log_mass": half_step(start)}, iterations=1)
        log_new = half_step(start)
        factors = lu_factor(self._newton_matrix(np.exp(log_new), start, spread))

        def mismatch(flat: np.ndarray) -> np.ndarray:
            nonlocal log_new
            log_new = half_step(flat.reshape(start.shape))
            return self.on_grid.predict(np.exp(log_new)).reshape(-1) - flat

        solution = anderson(
            mismatch,
            lambda error: lu_solve(factors, error),
            start.reshape(-1),
            self.tolerance * self.on_grid.scale,
            self.max_iterations,
        )
        if not solution.converged:
            status = "not_converged" if np.isfinite(solution.error) else "diverged"
            reason = (
                f"the inner iteration of the JKO step stopped at an error of {solution.error:.1e} "
                f"after {solution.iterations} iterations; use a smaller step, a looser tolerance "
                "or a larger max_iterations."
            )
        else:
            status, reason = "ok", ""
        return Step(
            {"log_mass": log_new},
            status,
            iterations=solution.iterations,
            evaluations=solution.iterations + 1,
            reason=reason,
        )

    def observe(self, state: State) -> Snapshot:
        """Return the law on the grid."""
        return Snapshot(GridMeasure(self.edges, np.exp(state["log_mass"])))

    def _newton_matrix(self, mass: np.ndarray, prediction: np.ndarray, spread: float) -> np.ndarray:
        """Return I + tau s^2 (int grad phi grad phi^T drho) diag(c) loss'', (n k, n k).

        To first order in tau a change dg of the first variation displaces mass by -tau grad dg,
        and this is how the predictions respond to their own residual.
        """
        assert self.on_grid.risk is not None
        risk = self.on_grid.risk.risk
        gram = self.on_grid.risk.gradient_gram(mass)
        curvature = risk.loss.hessian(prediction, risk.data.y)
        curvature = risk.data.weights[:, None, None] * curvature
        samples, outputs = prediction.shape
        response = np.einsum("anc,ncd->and", gram.reshape(-1, samples, outputs), curvature)
        return np.eye(gram.shape[0]) + spread * response.reshape(gram.shape)

    def _make_log_kernels(self, spread: float) -> tuple[np.ndarray, ...]:
        variance = 2 * self.problem.temperature * spread
        return tuple(
            log_heat_kernel(
                (edge[1:] + edge[:-1]) / 2,
                edge[0],
                edge[-1] - edge[0],
                variance,
                isinstance(axis, Circle),
            )
            for axis, edge in zip(self.problem.domain.axes, self.edges, strict=True)
        )


def _smooth(log_values: np.ndarray, log_kernels: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return log K[exp(log_values)], the kernel applied axis by axis."""
    for axis, log_kernel in enumerate(log_kernels):
        moved = np.moveaxis(log_values, axis, -1)
        rows = np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))
        summed = log_sum_exp_rows(rows, log_kernel).reshape(moved.shape)
        log_values = np.moveaxis(summed, -1, axis)
    return log_values
