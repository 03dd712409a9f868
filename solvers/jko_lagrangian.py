"""The JKO scheme in one dimension on moving cells, with the exact Wasserstein distance."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from wgflow.domain import Circle, Interval, WholeLine
from wgflow.errors import InputError
from wgflow.lagrangian_energy import LagrangianEnergy
from wgflow.measure import GridMeasure
from wgflow.problem import Problem
from wgflow.solver import Scheme, Snapshot, State, Step
from wgflow.solvers.lagrangian_movement import Ends, Movement, square
from wgflow.transport import wasserstein

EMPTY = 1e-12
"""Mass of the emptiest cell. Between others it may be pressed to their density; with less mass its
width would then be lost in the rounding of its edges."""
RESOLVED = 256
"""Least width of a cell after a step, in spacings of doubles at the edges."""
TAIL = 1e-30
"""Mass of the emptiest cell in the tails of a line under an entropy: nothing presses on it."""
FEWEST = 4
"""Least number of cells that an initial law fills, by 1 / sum mass^2."""
CROWDED = 0.1
"""Part of its width after two half steps that extrapolation must leave a cell."""


class LagrangianScheme(Scheme):
    """Minimising movements of cells that keep their masses; exact W2 on line, interval and circle.

        X_{k+1} = argmin F_h(X) + W2^2(X, X_k) / (2 tau),

    for d_t rho = div(rho grad (g + U'(rho))). Order 2 in the cell width where densities are smooth
    (cells start with equal widths; equal masses would give order 1), and order 1 in the step, where
    F never rises. Order 2 by doubled steps, which extrapolate the quantiles, 2 X_{tau/2,tau/2} -
    X_tau, or by BDF2: the movement with step 2 tau/3 from the edges (4 X_k - X_{k-1})/3 (in general
    with the coefficients for unequal steps), whose first step is extrapolated. Matthes and
    Plazotta, "A variational formulation of the BDF2 method for metric gradient flows", ESAIM: M2AN
    53 (2019). The scheme: Jordan, Kinderlehrer and Otto, SIAM J. Math. Anal. 29
    (1998); in Lagrangian form: Kinderlehrer and Walkington, ESAIM: M2AN 33 (1999). The state is
    `edges` (N + 1,), on a circle those of one period, which may lie anywhere, and `mass` (N,).

    Parameters
    ----------
    edges
        Starting edges, uniform, (N + 1,). On a line whose outer cells are empty they are laid
        anew over the part that is not; without entropy also on an interval, where one cell then
        reaches to each wall.
    tolerance
        On the last correction of Newton's method, as a Wasserstein distance relative to the
        length of the grid; the error left is its square. Where the first variation has kinks
        (relu), on what a dozen iterations still take off the objective, relative to its fall.
    max_iterations
        The most Newton iterations of a movement.
    bdf2
        Whether steps are those of BDF2.

    Raises
    ------
    InputError
        More than one dimension, an energy in which nothing keeps cells apart, or a singular
        interaction on a circle.
    """

    def __init__(
        self,
        problem: Problem,
        edges: np.ndarray | Sequence[np.ndarray],
        *,
        tolerance: float,
        max_iterations: int,
        bdf2: bool = False,
    ) -> None:
        if problem.domain.dimension != 1:
            raise InputError(
                f"The method 'lagrangian' is for one dimension, but the domain has "
                f"{problem.domain.dimension}; use the method 'entropic' or 'back-and-forth'."
            )
        self.problem, self.axis = problem, problem.domain.axes[0]
        self.edges = np.asarray(edges, dtype=float).reshape(-1)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.bdf2 = bdf2
        self.ends = Ends.of(self.axis)
        self.energy = LagrangianEnergy(problem.energy, self.axis, self.edges)

    def initial(self) -> State:
        """Return the starting edges with the initial law integrated over their cells.

        Without entropy a vacuum is one cell, and the other cells go where the law is.
        """
        edges, mass = self.edges, self._masses(self.edges)
        least = np.full(len(mass), EMPTY)
        if self.problem.temperature == 0:
            if not isinstance(self.axis, Circle):
                edges, mass = self._laid_anew(edges, mass, EMPTY)
            edges, mass = without_empty_neighbours(edges, mass)
            least = np.full(len(mass), EMPTY)
        elif isinstance(self.axis, WholeLine):
            edges, mass = self._laid_anew(edges, mass, TAIL)
            outside = np.minimum(np.cumsum(mass), np.cumsum(mass[::-1])[::-1])
            least[outside < EMPTY] = TAIL
        filled_cells = 1 / float(mass @ mass)
        if filled_cells < FEWEST:
            raise InputError(
                f"The initial law fills {filled_cells:.1f} of {len(mass)} cells, too few for cells "
                "that keep their masses: all later detail would be lost; use a finer shape, or "
                "the method 'balanced' or the solver finite-volume."
            )
        # A cell without mass would have neither inertia nor a density.
        mass = np.maximum(mass, least)
        state = {"edges": edges.copy(), "mass": mass / mass.sum()}
        if self.bdf2:
            state |= {"previous_edges": edges.copy(), "previous_step": np.zeros(())}
        return state

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step."""
        spread = dt * self.problem.rate(time + dt / 2)
        solve = _Solves(self, state["mass"])
        old = state["edges"]
        if not self.bdf2:
            return solve.step({**state, "edges": solve(old, old, spread)})
        before = float(state["previous_step"])
        if before > 0:
            ratio = spread / before
            past = state["previous_edges"]
            anchor = old + ratio**2 / (1 + 2 * ratio) * (old - past)
            new = solve(anchor, old, spread * (1 + ratio) / (1 + 2 * ratio))
        else:
            first = solve(old, old, spread / 2)
            halved = solve(first, first, spread / 2)
            new = extrapolate(solve(old, old, spread), halved, self.ends)
        kept = {"previous_edges": old, "previous_step": np.array(spread)}
        return solve.step({**state, "edges": new, **kept})

    def observe(self, state: State) -> Snapshot:
        """Return the law, on a circle with its first edge in the period of the domain."""
        edges = state["edges"]
        if isinstance(self.axis, Circle):
            turns = np.floor((edges[0] - self.axis.lower) / self.axis.period)
            edges = edges - turns * self.axis.period
        return Snapshot(GridMeasure((edges,), state["mass"]), edges_move=True)

    def difference(self, first: State, second: State) -> float:
        """Return the Wasserstein distance of two states of one run, which share their masses."""
        if isinstance(self.axis, Circle):
            laws = [self.observe(state).measure for state in (first, second)]
            return wasserstein(*laws, domain=self.problem.domain)
        return square(second["edges"] - first["edges"], first["mass"]) ** 0.5

    def extrapolated(self, whole: State, halved: State) -> State:
        """Return the second-order state from one step and two half steps of first order."""
        return {**halved, "edges": extrapolate(whole["edges"], halved["edges"], self.ends)}

    def _masses(self, edges: np.ndarray) -> np.ndarray:
        return self.problem.initial.folded_masses(self.problem.domain, (edges,))

    def _laid_anew(
        self, edges: np.ndarray, mass: np.ndarray, empty: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return as many cells with their masses, laid over the part that is not empty.

        Beyond it a line is left out, where cells would only be pushed along, and an interval has
        one cell up to each wall.
        """
        # Twice, as an outer cell that is filled in part is found again on the finer grid.
        for _ in range(2):
            filled = np.flatnonzero(mass > empty)
            if len(filled) == len(mass):
                break
            first, last = edges[filled[0]], edges[filled[-1] + 1]
            walls = [self.axis.lower, self.axis.upper] if isinstance(self.axis, Interval) else []
            before, after = [x for x in walls if x < first], [x for x in walls if x > last]
            inner = np.linspace(first, last, len(edges) - len(before) - len(after))
            edges = np.concatenate((before, inner, after))
            mass = self._masses(edges)
        return edges, mass


def without_empty_neighbours(edges: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells, (N + 1,) and (N,), with those of each vacuum made one.

    Without entropy an empty cell rests until a front reaches it. One of mass e is then pushed on,
    with k - 1 others before it, and pressed to the width e (tau / (k e d))^(1/m), if the pressure
    is rho^m and steps have the length d: so small a part of what it was that Newton's method
    overshoots, to widths that rounding does not resolve. A single cell, up to a wall or to another
    front, gives way, and is pressed only when the two meet.
    """
    empty = mass <= EMPTY
    first = np.flatnonzero(np.append(True, ~(empty[1:] & empty[:-1])))
    return np.append(edges[first], edges[-1]), np.add.reduceat(mass, first)


def extrapolate(whole: np.ndarray, halved: np.ndarray, ends: Ends) -> np.ndarray:
    """Return the edges 2 halved - whole, (N + 1,), in their order.

    Both edges of a cell that this would leave less than a tenth of its width in `halved` stay as
    they are there.
    """
    correction = halved - whole
    least = CROWDED * np.diff(halved)
    while True:
        edges = halved + correction
        crowded = (np.diff(edges) < least) & (np.diff(correction) != 0)
        if not crowded.any():
            return edges
        correction[:-1][crowded] = correction[1:][crowded] = 0.0
        if ends.kind == "cyclic" and (correction[0] == 0 or correction[-1] == 0):
            correction[0] = correction[-1] = 0.0


@dataclasses.dataclass
class _Solves:
    """The movements of one step: callable, and counting."""

    scheme: LagrangianScheme
    mass: np.ndarray
    iterations: int = 0
    reason: str = ""

    def __call__(self, anchor: np.ndarray, start: np.ndarray, spread: float) -> np.ndarray:
        """Return the edges after a movement; `start` is where its iteration starts."""
        scheme = self.scheme
        movement = Movement(scheme.energy, scheme.ends, self.mass, start, spread, anchor)
        tolerance = scheme.tolerance * scheme.energy.length
        outcome = movement.minimise(start, tolerance, scheme.tolerance, scheme.max_iterations)
        self.iterations += outcome.iterations
        width = float(np.diff(outcome.edges).min())
        if not outcome.converged:
            self.reason = (
                f"Newton's method stopped with a correction of {outcome.correction:.1e} after "
                f"{outcome.iterations} iterations; use a smaller step, a looser tolerance or "
                "a larger max_iterations."
            )
        elif width < RESOLVED * np.spacing(np.abs(outcome.edges).max()):
            self.reason = (
                f"A cell was pressed to a width of {width:.1e}, which rounding does not resolve; "
                "use an initial law without vacuum, a smaller step or the solver finite-volume."
            )
        return outcome.edges

    def step(self, state: State) -> Step:
        """Return the outcome of the whole step."""
        count = self.iterations
        status = "not_converged" if self.reason else "ok"
        return Step(state, status, iterations=count, evaluations=count, reason=self.reason)
