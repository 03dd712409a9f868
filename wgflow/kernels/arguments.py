"""Checks of the arrays that a user hands to a kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wgflow.errors import InputError

Array = NDArray[np.float64]


def as_array(name: str, value: Any, *layouts: tuple[int | str, ...]) -> Array:
    """Return `value` as a writeable, C-contiguous float64 array of one of the given layouts.

    It is `value` itself where that is such an array, and is not to be written to.

    Parameters
    ----------
    layouts
        Allowed shapes. A number is a length that an axis must have; a word stands for any length
        of at least one, and names the axis in the message.

    Raises
    ------
    InputError
        If `value` is not an array of real numbers with one of these shapes.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must be an array of numbers, but its rows differ.") from error
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"{name} holds elements of type {array.dtype}, but must hold real numbers."
        )
    for layout in layouts:
        if array.ndim == len(layout) and all(
            length == expected if isinstance(expected, int) else length > 0
            for length, expected in zip(array.shape, layout, strict=True)
        ):
            if array.dtype == np.float64 and array.flags.carray:
                return array
            # To Numba a read-only or unaligned array is another type, for which it compiles anew.
            return np.require(array, np.float64, ("C", "A", "W"))
    allowed = " or ".join(
        "(" + ", ".join(map(str, layout)) + ("," if len(layout) == 1 else "") + ")"
        for layout in layouts
    )
    raise InputError(
        f"{name} has shape {array.shape}, but must have shape {allowed}, without empty axes."
    )
