"""What the schemes that diffuse by a heat kernel share: their state and their inner iteration."""

import functools

import numpy as np

from wgflow.grid_energy import GridEnergy
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Scheme, Snapshot, State, Step
from wgflow.solvers.extrapolation import extrapolated_law, in_time, law_difference
from wgflow.solvers.fixed_point import FixedPoint, Map, anderson, continued, preconditioned
from wgflow.solvers.heat_kernel import HeatKernel

EMPTY = -1e30
"""Stands for the logarithm of zero mass; finite, so that sums of exponentials stay numbers."""
REMEMBERED = 3
"""Couplings of past steps, from which the start of the next inner iteration is extrapolated."""
DEPTH = 8
"""Memory of the inner iteration."""
ROUGH = 1e-3
"""Tolerance, if looser, of steps on the way to a longer one."""


class Movement:
    """One implicit step, as an equation for its coupling z and for a function on the grid.

    The function, the tilt, is what normalises the step; it has size 0 in a step that needs none.
    A point of the equation is the flat tilt followed by z over its scale.

    Parameters
    ----------
    on_grid, kernel
        The energy, and the heat kernel of the step.
    log_old
        Log masses that the step starts from.
    relaxation
        The correction of the tilt in units of its defect.
    tilted
        Whether there is a tilt.
    """

    def __init__(
        self,
        on_grid: GridEnergy,
        kernel: HeatKernel,
        log_old: np.ndarray,
        *,
        relaxation: float = 1.0,
        tilted: bool = True,
    ) -> None:
        self.on_grid, self.kernel, self.log_old = on_grid, kernel, log_old
        self.relaxation = relaxation
        self.tilt_shape = log_old.shape if tilted else (0,)
        self.tilt_size = log_old.size if tilted else 0
        self.old = np.exp(log_old)
        self.coupling_old = on_grid.couple(self.old)
        # What the last residual left behind:
        self.log_new = log_old
        self.tilt = np.zeros(self.tilt_shape)
        self.defect = np.zeros(self.tilt_shape)
        self.mismatch = np.zeros(on_grid.size)
        self.last_point: np.ndarray | None = None

    def move(self, tilt: np.ndarray, coupling: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log masses of the new law, and the defect of the tilt, for trial values.

        It may leave behind a better tilt.
        """
        raise TypeError(f"{type(self).__name__} does not move a law.")

    def relevance(self) -> np.ndarray:
        """Return masses, in total 1, by which the defect of the tilt is weighed."""
        return np.exp(self.log_new)

    def error(self) -> float:
        """Return the error of the last residual."""
        worst = np.abs(self.mismatch).max(initial=0.0)
        if self.tilt_size:
            worst = max(worst, (self.relevance() * np.abs(self.defect)).sum())
        return float(worst)

    def join(self, tilt: np.ndarray, coupling: np.ndarray) -> np.ndarray:
        """Return the point of a tilt and a coupling."""
        return np.concatenate([tilt.reshape(-1), coupling / self.on_grid.scale])

    def split(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tilt and coupling of a point."""
        tilt = point[: self.tilt_size].reshape(self.tilt_shape)
        return tilt, point[self.tilt_size :] * self.on_grid.scale

    def residual(self, point: np.ndarray) -> np.ndarray:
        """Return defect and mismatch at a point; 0 at the solution."""
        if self.last_point is None or not np.array_equal(self.last_point, point):
            self.last_point = point
            self.tilt, coupling = self.split(point)
            self.log_new, self.defect = self.move(self.tilt, coupling)
            reached = self.on_grid.couple(np.exp(self.log_new))
            self.mismatch = (reached - coupling) / self.on_grid.scale
        return np.concatenate([self.defect.reshape(-1), self.mismatch])

    def correction(self, of_mismatch: Map) -> Map:
        """Return the correction of a point, from that of z over its scale."""
        size = self.tilt_size

        def correct(residual: np.ndarray) -> np.ndarray:
            return np.concatenate([self.relaxation * residual[:size], of_mismatch(residual[size:])])

        return correct

    def weight(self) -> np.ndarray | float:
        """Return what corrections are multiplied by before their squares are summed."""
        if self.tilt_size == 0:
            return 1.0
        count = len(self.mismatch)
        rest = np.full(count, 1 / np.sqrt(max(count, 1)))
        return np.concatenate([np.sqrt(self.relevance()).reshape(-1), rest])

    def finished(self) -> np.ndarray:
        """Return log masses of the new law at the last residual, which is small."""
        return self.log_new


class KernelScheme(Scheme):
    """A scheme whose state is a law in log masses, and what the next inner iteration starts from.

    Those are the last couplings z with how long ago they were, the last tilt with its step, and
    how the mismatch of z changed with z in the last inner iteration.

    Parameters
    ----------
    tolerance
        On the mismatch of z relative to its scale, and on the mean defect of the tilt.
    max_iterations
        The most residuals computed in a step.
    variance
        Of the heat kernel, for a step of length 1.
    exponent
        What a long step divides the first variation by: it ends near exp(-g / exponent).
    """

    def __init__(
        self,
        problem: Problem,
        edges: tuple[np.ndarray, ...],
        *,
        tolerance: float,
        max_iterations: int,
        variance: float,
        exponent: float,
    ) -> None:
        self.problem, self.edges = problem, edges
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.exponent = exponent
        self.on_grid = GridEnergy(problem.energy, edges)
        self.kernel = functools.lru_cache(maxsize=16)(
            lambda spread: HeatKernel(problem.domain.axes, edges, variance * spread)
        )

    def movement(self, log_old: np.ndarray, spread: float) -> Movement:
        """Return the equation of a step."""
        raise TypeError(f"{type(self).__name__} has no equation for a step.")

    def initial(self) -> State:
        """Return the initial law integrated over the cells."""
        return self.state_at(self.problem.initial.folded_masses(self.problem.domain, self.edges))

    def state_at(self, mass: np.ndarray) -> State:
        """Return the state of a law, given by masses on the grid, with an empty memory."""
        with np.errstate(divide="ignore"):
            log_mass = np.maximum(np.log(mass), EMPTY)
        movement = self.movement(log_mass, 1.0)
        couplings = np.zeros((REMEMBERED, self.on_grid.size))
        couplings[0] = movement.coupling_old
        return {
            "log_mass": log_mass,
            "coupling": couplings,
            "coupling_age": np.array([0.0] + [np.inf] * (REMEMBERED - 1)),
            "tilt": np.zeros(movement.tilt_shape),
            "tilt_spread": np.zeros(()),
            "moves": np.zeros((DEPTH, self.on_grid.size)),
            "turns": np.zeros((DEPTH, self.on_grid.size)),
        }

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step."""
        spread = dt * self.problem.rate(time + dt / 2)
        movement = self.movement(state["log_mass"], spread)
        tilt = self.first_tilt(state["tilt"], float(state["tilt_spread"]), spread)
        coupling = in_time(state["coupling"], state["coupling_age"], spread)
        start = movement.join(tilt, coupling)
        first = True

        def solve(at: float, point: np.ndarray, most: int, rough: bool) -> FixedPoint:
            nonlocal movement, first
            if not first:
                movement = self.movement(state["log_mass"], at)
            law = movement.old
            if not first or np.isinf(state["coupling_age"][1]):
                # There is no telling how far the law will move: start from where it first goes.
                movement.residual(point)
                law = np.exp(movement.log_new)
            hurried, first = first or rough, False
            return anderson(
                movement.residual,
                movement.correction(self._correction(law, at, state)),
                point,
                max(self.tolerance, ROUGH) if rough else self.tolerance,
                most,
                DEPTH,
                measure=lambda _: movement.error(),
                weight=movement.weight,
                hurried=hurried,
            )

        solution = continued(solve, spread, start, self.max_iterations)
        if not solution.converged:
            movement = self.movement(state["log_mass"], spread)
        movement.residual(solution.point)
        status, reason = "ok", ""
        if not solution.converged:
            status = "not_converged" if np.isfinite(solution.error) else "diverged"
            reason = (
                f"the inner iteration of the JKO step stopped at an error of {solution.error:.1e} "
                f"after {solution.iterations} iterations; use a smaller step, a looser tolerance "
                "or a larger max_iterations."
            )
        return Step(
            self._remember(state, movement, solution, spread),
            status,
            iterations=solution.iterations,
            evaluations=solution.iterations,
            reason=reason,
        )

    def first_tilt(self, tilt: np.ndarray, spread_before: float, spread: float) -> np.ndarray:
        """Return the tilt to start from, given that of the step before and its length."""
        return tilt

    def observe(self, state: State) -> Snapshot:
        """Return the law on the grid."""
        return Snapshot(GridMeasure(self.edges, np.exp(state["log_mass"])))

    def difference(self, first_state: State, second_state: State) -> float:
        """Return the L1 distance of two laws, between 0 and 2."""
        return law_difference(first_state["log_mass"], second_state["log_mass"])

    def extrapolated(self, whole: State, halved: State) -> State:
        """Return the state after two half steps, its law extrapolated with that of a whole one."""
        log_mass = extrapolated_law(whole["log_mass"], halved["log_mass"])
        coupling = halved["coupling"].copy()
        coupling[0] = self.on_grid.couple(np.exp(log_mass))
        return {**halved, "log_mass": log_mass, "coupling": coupling}

    def _correction(self, law: np.ndarray, spread: float, state: State) -> Map:
        """Return the quasi-Newton map at a law for the mismatch of z, both over the scale of z."""
        scale = self.on_grid.scale
        exact = self.on_grid.correction(law, self.on_grid.couple(law), spread, self.exponent)

        def scaled(error: np.ndarray) -> np.ndarray:
            return exact(error * scale) / scale

        return preconditioned(scaled, state["moves"], state["turns"])

    def _remember(
        self, state: State, movement: Movement, solution: FixedPoint, spread: float
    ) -> State:
        """Return the new state."""
        log_mass = movement.finished()
        coupling, age = np.roll(state["coupling"], 1, axis=0), np.roll(state["coupling_age"], 1)
        coupling[0] = self.on_grid.couple(np.exp(log_mass))
        age = age + spread
        age[0] = 0.0
        moves, turns = np.zeros_like(state["moves"]), np.zeros_like(state["turns"])
        if movement.tilt_size == 0:
            count = len(solution.moves)
            moves[:count], turns[:count] = solution.moves, solution.turns
        return {
            "log_mass": log_mass,
            "coupling": coupling,
            "coupling_age": age,
            "tilt": movement.tilt,
            "tilt_spread": np.array(spread),
            "moves": moves,
            "turns": turns,
        }
