"""The JKO scheme on a grid: implicit Euler steps in the Wasserstein metric."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from wgflow.errors import InputError, check_count, check_number
from wgflow.problem import Problem, SaveInterval
from wgflow.solver import Context, Scheme, Solver
from wgflow.solvers.jko_entropic import EntropicScheme

NARROWEST = 0.75
"""Least width of the heat kernel in cells; narrower, the variance of a step is wrong by percents
(49 % at 0.4, 5e-4 at 0.76)."""
COMFORTABLE = 0.85
"""Least width in cells for the default shape."""
DEFAULT_CELLS = {1: 256, 2: 64, 3: 32}
"""Cells an axis of the default shape where the kernel does not ask for more, by dimension."""
MOST_CELLS = 4e6
"""Cells that the default shape does not exceed."""


@dataclasses.dataclass(frozen=True)
class JKO(Solver):
    """The entropic JKO scheme on a uniform grid, with the diffusion as the regulariser.

    One step solves, with epsilon = 2 lambda and K the heat kernel of variance 2 lambda tau,

        pi = exp(-g_p / epsilon) K[ rho_k / K[exp(-g_p / epsilon)] ],    p = loss'(f_pi, y),

    the entropic minimizing movement of the energy without its entropy; the residual p is taken
    at the new time. Order 1 in the step; mass is exact, densities stay positive, and the
    diffusion alone is exact for any step. Cuturi, "Sinkhorn distances" (NeurIPS 2013) and Peyre,
    "Entropic approximation of Wasserstein gradient flows" (SIAM J. Imaging Sci. 2015) introduce
    entropic steps; Jordan, Kinderlehrer and Otto (SIAM J. Math. Anal. 1998) the scheme.

    Parameters
    ----------
    step
        The longest time step tau.
    shape
        Cells on each axis; by default 256, 64 or 32 in one, two or three dimensions, or as many
        as the kernel needs to span 0.85 cells.
    tolerance
        Of the inner iteration: on the predictions, relative to the largest target (at least 1).
    max_iterations
        The most inner iterations a step may take.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, a temperature of 0, an unbounded axis, or a kernel
        narrower than 0.75 cells.
    """

    name: ClassVar[str] = "jko"
    step: float = 0.25
    shape: tuple[int, ...] | None = None
    tolerance: float = 1e-8
    max_iterations: int = 200

    def __post_init__(self) -> None:
        check_number("The step of solver jko", self.step, above=0)
        if self.shape is not None:
            cells = self.shape if isinstance(self.shape, Sequence) else (self.shape,)
            for count in cells:
                check_count("An entry of the shape of solver jko", count, least=2)
            object.__setattr__(self, "shape", tuple(int(count) for count in cells))
        check_number("The tolerance of solver jko", self.tolerance, above=0)
        check_count("The max_iterations of solver jko", self.max_iterations)

    @property
    def order(self) -> float:
        """Order in the time step."""
        return 1.0

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError if the grid or the energy does not allow it."""
        if problem.temperature <= 0:
            raise InputError(
                "The solver jko needs a temperature above 0 (its kernel is the diffusion), but "
                "the problem has 0; add an Entropy term or use the solver particles."
            )
        shape = self.shape
        if shape is None:
            shape = self._default_shape(problem)
        edges = problem.domain.grid(shape)
        for interval, spread in _spreads(problem, self.step):
            _check_width(problem, edges, interval, spread, self.step)
        return EntropicScheme(problem, edges, self.tolerance, self.max_iterations)

    def _default_shape(self, problem: Problem) -> tuple[int, ...]:
        """Return a usual shape, refined until the narrowest kernel spans its cells."""
        shortest = min(spread for _, spread in _spreads(problem, self.step))
        width = math.sqrt(2 * problem.temperature * shortest)
        usual = DEFAULT_CELLS.get(problem.domain.dimension, 16)
        # The check of the domain names an unbounded axis; any shape will do for that.
        windows = [axis.window or (0.0, 1.0) for axis in problem.domain.axes]
        lengths = [upper - lower for lower, upper in windows]
        cells = [max(float(usual), COMFORTABLE * length / width) for length in lengths]
        if not math.prod(cells) < MOST_CELLS:
            raise InputError(
                f"For the heat kernel of width {width:.3g} to span the cells, the grid would need "
                f"{math.prod(cells):.1e} of them; use a longer step or a higher temperature, or "
                "set the shape."
            )
        return tuple(math.ceil(count) for count in cells)


def _spreads(problem: Problem, longest: float) -> Iterator[tuple[SaveInterval, float]]:
    """Give tau xi of every distinct step of a run, xi taken in the middle of the step."""
    for interval in problem.intervals(longest):
        count = 1 if problem.schedule is None else interval.count
        for index in range(interval.first, interval.first + count):
            middle = interval.time(index) + interval.step / 2
            yield interval, interval.step * problem.rate(middle)


def _check_width(
    problem: Problem,
    edges: tuple[np.ndarray, ...],
    interval: SaveInterval,
    spread: float,
    longest: float,
) -> None:
    """Raise InputError if the kernel of variance 2 lambda spread is too narrow for the cells.

    Parameters
    ----------
    interval
        The time between two saves, with its step tau.
    spread, longest
        tau xi, and the step that was asked for.
    """
    step = interval.step
    width = math.sqrt(2 * problem.temperature * spread)
    for name, edge in zip(problem.domain.names, edges, strict=True):
        cell = edge[1] - edge[0]
        if not width > 1e-6 * cell:
            raise InputError(
                f"The temperature {problem.temperature:g} and steps of {step:g} make the heat "
                f"kernel {width:.1e} wide, which no grid resolves; use the solver particles."
            )
        if width < NARROWEST * cell * (1 - 1e-9):
            longer = math.ceil(step * (NARROWEST * cell / width) ** 2 * 1e4) / 1e4
            finer = math.ceil(NARROWEST * (edge[-1] - edge[0]) / width)
            cut, remedy = "", f"use step={longer:g} or longer"
            if step < longest * (1 - 1e-9):
                cut = f" (step={longest:g}, cut to divide the time between two saves)"
            if longer > interval.stop - interval.start:
                remedy += f" and store results at least {longer:g} apart (--save-every)"
            raise InputError(
                f"With steps of {step:g}{cut} the heat kernel is {width:.3g} wide, "
                f"{width / cell:.2f} cells of axis '{name}' ({len(edge) - 1} cells), but must span "
                f"at least {NARROWEST} cells; {remedy}, or use at least {finer} cells on that axis."
            )
