"""Repeated steps of a recursion in one number."""

from collections.abc import Callable


def after(count: int, advance: Callable[..., float], start: float, *of_step: float) -> float:
    """Return what so many steps make of a number.

    Parameters
    ----------
    advance
        Takes the number before a step and `of_step`, returns the number after it.
    """
    for _ in range(count):
        start = advance(start, *of_step)
    return start
