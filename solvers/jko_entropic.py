"""The entropic JKO step in the log domain (numerics: `JKO` in `wgflow.solvers.jko`)."""

import functools

import numpy as np
from scipy.linalg import lu_factor, lu_solve
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
        movement = Movement(self.on_grid, state["log_mass"], self.log_kernels(spread))
        start = self.on_grid.predict(np.exp(state["log_mass"]))
        if self.on_grid.risk is None:
            return Step({"log_mass": movement.end(start)})
        tolerance = self.tolerance * self.on_grid.scale

        def accelerated(first: np.ndarray) -> FixedPoint:
            law = np.exp(movement.end(first))
            factors = lu_factor(self._newton_matrix(law, first, spread))
            return anderson(
                lambda flat: movement.mismatch(flat.reshape(start.shape)).reshape(-1),
                lambda error: lu_solve(factors, error),
                first.reshape(-1),
                tolerance,
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
            {"log_mass": movement.end(solution.point.reshape(start.shape))},
            status,
            iterations=movement.evaluations,
            evaluations=movement.evaluations,
            reason=reason,
        )

    def observe(self, state: State) -> Snapshot:
        """Return the law on the grid."""
        return Snapshot(GridMeasure(self.edges, np.exp(state["log_mass"])))

    def _newton_matrix(self, mass: np.ndarray, prediction: np.ndarray, spread: float) -> np.ndarray:
        """Return I + H diag(c) loss'', (n k, n k), for the response H of the predictions.

        A change dg of the first variation displaces mass by -tau grad dg in a short step, hence
        A = tau s^2 int grad phi grad phi^T drho; in a long one, which forgets where it started,
        it reweights the law by exp(-dg / epsilon), hence B = Cov(s phi) / epsilon, which bounds
        the response for any step (total variance). H is their parallel sum A (A + B)^-1 B, which
        is the smaller of the two where they differ much.
        """
        assert self.on_grid.risk is not None
        risk = self.on_grid.risk.risk
        response = spread * self.on_grid.risk.gradient_gram(mass)
        mean = self.on_grid.risk.predict(mass).reshape(-1)
        bound = self.on_grid.risk.second_moment(mass) - np.outer(mean, mean)
        bound /= 2 * self.problem.temperature
        total = response + bound
        # Samples with equal inputs make both singular in the same directions.
        total[np.diag_indices(len(total))] += 1e-15 * np.trace(total) + np.finfo(float).tiny
        response = response @ np.linalg.solve(total, bound)
        curvature = risk.loss.hessian(prediction, risk.data.y)
        curvature = risk.data.weights[:, None, None] * curvature
        samples, outputs = prediction.shape
        blocks = response.reshape(-1, samples, outputs)
        product = np.einsum("anc,ncd->and", blocks, curvature).reshape(response.shape)
        return np.eye(len(product)) + product

    def _make_log_kernels(self, spread: float) -> tuple[np.ndarray, ...]:
        variance = 2 * self.problem.temperature * spread
        return tuple(
            log_heat_kernel(len(edge) - 1, edge[-1] - edge[0], variance, isinstance(axis, Circle))
            for axis, edge in zip(self.problem.domain.axes, self.edges, strict=True)
        )


class Movement:
    """One minimizing movement from a law, as a function of trial predictions (n, k)."""

    def __init__(
        self, on_grid: GridEnergy, log_old: np.ndarray, log_kernels: tuple[np.ndarray, ...]
    ) -> None:
        self.on_grid, self.log_old, self.log_kernels = on_grid, log_old, log_kernels
        self.epsilon = 2 * on_grid.temperature
        self.evaluations = 0
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def _pair(self, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log pi at a residual p, and log K[exp(-g_p / epsilon)]."""
        self.evaluations += 1
        factor = -self.on_grid.first_variation(residual) / self.epsilon
        spread = _smooth(factor, self.log_kernels)
        return factor + _smooth(self.log_old - spread, self.log_kernels), spread

    def end(self, prediction: np.ndarray) -> np.ndarray:
        """Return log pi, the law that the movement ends at if these predictions are right."""
        if self._last is None or not np.array_equal(self._last[0], prediction):
            pair = self._pair(self.on_grid.residual(prediction))
            self._last = (prediction.copy(), pair[0])
        return self._last[1]

    def mismatch(self, prediction: np.ndarray) -> np.ndarray:
        """Return the predictions of that law less the trial ones; 0 at the solution."""
        return self.on_grid.predict(np.exp(self.end(prediction))) - prediction

    def climb(self, prediction: np.ndarray, most: int) -> np.ndarray:
        """Return predictions near the solution, by L-BFGS on the dual of the movement,

            D(p) = - sum_i c_i loss*(p_i; y_i) - epsilon int log K[exp(-g_p / epsilon)] drho_k,

        a concave function whose gradient is c (f_pi - loss*'(p)).
        """
        assert self.on_grid.risk is not None
        risk = self.on_grid.risk.risk
        weights, target, loss = risk.data.weights[:, np.newaxis], risk.data.y, risk.loss
        root = np.sqrt(np.maximum(weights, np.finfo(float).tiny))
        old = np.exp(self.log_old)

        def descent(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            residual = scaled.reshape(target.shape) / root
            log_new, spread = self._pair(residual)
            value = -(weights[:, 0] @ loss.conjugate(residual, target))
            value -= self.epsilon * (old * spread).sum()
            reached = self.on_grid.predict(np.exp(log_new))
            slope = weights * (reached - loss.conjugate_derivative(residual, target)) / root
            return -value, -slope.reshape(-1)

        found = minimize(
            descent,
            (root * self.on_grid.residual(prediction)).reshape(-1),
            jac=True,
            method="L-BFGS-B",
            options={"maxcor": 20, "gtol": 1e-13, "ftol": 0.0, "maxiter": most, "maxfun": 2 * most},
        )
        return loss.conjugate_derivative(found.x.reshape(target.shape) / root, target)


def _smooth(log_values: np.ndarray, log_kernels: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return log K[exp(log_values)], the kernel applied axis by axis."""
    for axis, log_kernel in enumerate(log_kernels):
        moved = np.moveaxis(log_values, axis, -1)
        rows = np.ascontiguousarray(moved.reshape(-1, moved.shape[-1]))
        summed = log_sum_exp_rows(rows, log_kernel).reshape(moved.shape)
        log_values = np.moveaxis(summed, -1, axis)
    return log_values
