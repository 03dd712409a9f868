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
MOST_CELLS = 3e5
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
    if not math.prod(usual) < MOST_CELLS:
        raise InputError(
            f"The problem has {len(usual)} axes, too many for a grid of {usual[0]} cells on each; "
            "use the solver particles, or set the shape."
        )
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
    interval, spread = min(_spreads(problem, step), key=lambda found: found[1])
    width = math.sqrt(variance * spread)
    cells = {
        name: edge[1] - edge[0] for name, edge in zip(problem.domain.names, edges, strict=True)
    }
    narrow = [name for name in cells if width < NARROWEST * cells[name] * (1 - 1e-9)]
    if not narrow:
        return
    name = max(narrow, key=lambda name: cells[name])
    if not width > 1e-6 * cells[name]:
        raise InputError(
            f"The temperature {problem.temperature:g} and steps of {interval.step:g} make the heat "
            f"kernel {width:.1e} wide, which no grid resolves; use the solver particles."
        )
    cut = ""
    if interval.step < step * (1 - 1e-9):
        cut = f" (step={step:g}, cut to divide the time between two saves)"
    counts = dict(zip(problem.domain.names, (len(edge) - 1 for edge in edges), strict=True))
    finer = " and ".join(
        f"at least {math.ceil(NARROWEST * counts[k] * cells[k] / width * (1 - 1e-9))} cells on "
        f"axis '{k}'"
        for k in narrow
    )
    raise InputError(
        f"With steps of {interval.step:g}{cut} the heat kernel is {width:.3g} wide, "
        f"{width / cells[name]:.2f} cells of axis '{name}' ({counts[name]} cells), but must span "
        f"at least {NARROWEST} cells; "
        f"{_longer_steps(problem, edges, variance)}use {finer}."
    )


def _longer_steps(problem: Problem, edges: tuple[np.ndarray, ...], variance: float) -> str:
    """Return the words that name the shortest steps wide enough, or none if the run is too short.

    All steps between two saves are equal, so that those that the saves allow are few.
    """
    shortest = shortest_step(problem, edges, variance)
    least = (NARROWEST * max(edge[1] - edge[0] for edge in edges)) ** 2 / variance

    def works(changed: Problem, step: str) -> bool:
        return min(spread for _, spread in _spreads(changed, float(step))) >= least * (1 - 1e-9)

    intervals = problem.intervals(math.inf)
    for _ in range(20):
        parts = [math.floor(i.step / shortest * (1 + 1e-9)) for i in intervals]
        if min(parts) == 0:
            break
        longest = max(i.step / count for i, count in zip(intervals, parts, strict=True))
        if works(problem, step := _rounded_up(longest)):
            return f"use step={step} or longer, or "
        shortest *= 1.25  # where a schedule makes some steps shorter than they are on average
    saves = math.floor(problem.horizon / shortest * (1 + 1e-9))
    # The last of equal spacings that were rounded up is shorter than the others.
    for count in range(saves, max(0, saves - 3), -1):
        apart = _rounded_up(problem.horizon / count)
        if works(problem.save_every(float(apart)), apart):
            return f"use step={apart} or longer and store results every {apart} (--save-every), or "
    return ""


def _rounded_up(number: float) -> str:
    """Return a number with five digits, not below it."""
    unit = 10.0 ** (math.floor(math.log10(number)) - 4)
    return f"{math.ceil(number / unit * (1 - 1e-9)) * unit:.5g}"


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
