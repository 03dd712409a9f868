"""Whether a heat kernel spans the cells of a grid, which shape a step asks for, and refusals."""

import math
from collections.abc import Iterator

import numpy as np

from wgflow.errors import InputError
from wgflow.problem import Problem, SaveInterval

NARROWEST = 0.75
"""Least width of the heat kernel in cells; narrower, the variance of a step is wrong by percents
(49 % at 0.4, 5e-4 at 0.76)."""
COMFORTABLE = 0.85
"""Least width in cells for the default shape."""
MOST_CELLS = 4e6
"""Cells that the default shape does not exceed."""


def kernel_shape(problem: Problem, step: float, variance: float) -> tuple[int, ...]:
    """Return the usual shape, refined until the narrowest kernel spans its cells.

    Parameters
    ----------
    step
        The longest step.
    variance
        Of the kernel after a step of length 1.
    """
    shortest = min(spread for _, spread in _spreads(problem, step))
    width = math.sqrt(variance * shortest)
    # The check of the domain names an unbounded axis; any shape will do for that.
    windows = [axis.window or (0.0, 1.0) for axis in problem.domain.axes]
    lengths = [upper - lower for lower, upper in windows]
    usual = problem.domain.usual_shape
    cells = [
        max(float(count), COMFORTABLE * length / width)
        for count, length in zip(usual, lengths, strict=True)
    ]
    if not math.prod(cells) < MOST_CELLS:
        raise InputError(
            f"For the heat kernel of width {width:.3g} to span the cells, the grid would need "
            f"{math.prod(cells):.1e} of them; use a longer step or a higher temperature, or "
            "set the shape."
        )
    return tuple(math.ceil(count) for count in cells)


def check_kernel(
    problem: Problem, edges: tuple[np.ndarray, ...], step: float, variance: float
) -> None:
    """Raise InputError, naming what works, if the kernel of a step is too narrow for the cells.

    Parameters
    ----------
    step, variance
        As for `kernel_shape`.
    """
    for interval, spread in _spreads(problem, step):
        _check_width(problem, edges, interval, math.sqrt(variance * spread), step)


def shortest_step(problem: Problem, edges: tuple[np.ndarray, ...], variance: float) -> float:
    """Return the shortest step whose kernel spans the cells of every axis."""
    cell = max(edge[1] - edge[0] for edge in edges)
    rate = min(spread / interval.step for interval, spread in _spreads(problem, math.inf))
    return (NARROWEST * cell) ** 2 / (variance * rate)


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
    width: float,
    longest: float,
) -> None:
    """Raise InputError if a kernel of this width is too narrow for the cells of an axis.

    Parameters
    ----------
    interval
        The time between two saves, with its step tau.
    longest
        The step that was asked for.
    """
    step = interval.step
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
