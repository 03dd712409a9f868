"""Checks of the arrays that a user hands to a kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wgflow.errors import InputError

Array = NDArray[np.float64]


def is_on_card(array: Any) -> bool:
    """Whether an array lies on a graphics card."""
    return hasattr(array, "__cuda_array_interface__")


def precision(*values: Any) -> type[np.floating[Any]]:
    """Return float32 if all that is given, and not None, are float32 arrays; otherwise float64."""
    types = {getattr(value, "dtype", None) for value in values if value is not None}
    return np.float32 if types == {np.dtype(np.float32)} else np.float64


def as_array(
    name: str,
    value: Any,
    *layouts: tuple[int | str, ...],
    dtype: type[np.floating[Any]] = np.float64,
) -> Array:
    """Return `value` as a writeable, C-contiguous array of floats of one of the given layouts.

    It is `value` itself where that is such an array, and is not to be written to. An array on a
    graphics card stays there.

    Parameters
    ----------
    layouts
        Allowed shapes. A number is a length that an axis must have; a word stands for any length
        of at least one, and names the axis in the message.
    dtype
        Of the array returned.

    Raises
    ------
    InputError
        If `value` is not an array of real numbers with one of these shapes.
    """
    try:
        array = value if is_on_card(value) else np.asarray(value)
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
            if is_on_card(array):
                return array.astype(dtype, order="C", copy=False)
            if array.dtype == dtype and array.flags.carray:
                return array
            # To Numba a read-only or unaligned array is another type, for which it compiles anew.
            return np.require(array, dtype, ("C", "A", "W"))
    allowed = " or ".join(
        "(" + ", ".join(map(str, layout)) + ("," if len(layout) == 1 else "") + ")"
        for layout in layouts
    )
    raise InputError(
        f"{name} has shape {array.shape}, but must have shape {allowed}, without empty axes."
    )
