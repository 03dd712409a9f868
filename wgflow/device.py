"""Where the particles of a run live: in the memory of the machine, or on a graphics card.

On a card the positions are arrays of CuPy, and so is everything with a row a particle. NumPy's
functions and operators are applied to them, which CuPy takes over. What has a row a datum,
predictions and residuals, is small beside that and comes to the host.
"""

import importlib
from typing import Any

import numpy as np

from wgflow import noise
from wgflow.errors import InputError, MissingPackageError, unknown
from wgflow.kernels.arguments import is_on_card

__all__ = ["CPU", "Card", "Device", "as_device", "is_on_card", "on_host"]

NAMES = ("cpu", "cuda")


class Device:
    """The memory of the machine, with arrays of NumPy."""

    name = "cpu"

    def put(self, array: np.ndarray) -> Any:
        """Return an array of the host on this device."""
        return array

    def normal(
        self, seed: int, stream: noise.Stream, index: int, count: int, dimension: int, first: int
    ) -> Any:
        """Return the numbers of `noise.normal` on this device."""
        return noise.normal(seed, stream, index, count, dimension, first)


CPU = Device()


class Card(Device):
    """A graphics card.

    Parameters
    ----------
    arrays
        CuPy, or a module that stands for it.
    """

    name = "cuda"

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays

    def put(self, array: np.ndarray) -> Any:
        return self.arrays.asarray(array)

    def normal(
        self, seed: int, stream: noise.Stream, index: int, count: int, dimension: int, first: int
    ) -> Any:
        # Equal to those of the host to rounding: the card has its own logarithm, sine and cosine.
        # Imported late, as it needs Numba's compiler for cards.
        cuda = importlib.import_module("wgflow.kernels.cuda")
        drawn = cuda.standard_normals(
            seed,
            int(stream),
            index,
            noise.BLOCK * dimension,
            first * dimension,
            count * dimension,
            like=self.arrays.empty(0),
        )
        return drawn.reshape(count, dimension)


def on_host(array: Any) -> np.ndarray:
    """Return an array in NumPy, copied from the card if it lies there."""
    return np.asarray(array.get()) if is_on_card(array) else array


def as_device(name: str, number: int = 0) -> Device:
    """Return the device of that name.

    Parameters
    ----------
    number
        Of the process among those that share the machine: cards are dealt out in turn.

    Raises
    ------
    InputError
        Another name, no CuPy, or no card.
    """
    if name not in NAMES:
        raise unknown("device", name, NAMES)
    if name == "cpu":
        return CPU
    try:
        cupy = importlib.import_module("cupy")
        cards = cupy.cuda.runtime.getDeviceCount()
    except ImportError as error:
        raise MissingPackageError(
            "The device cuda needs CuPy, which is not installed; run pip install 'wgflow[gpu]', or "
            "use device=cpu."
        ) from error
    except Exception as error:
        raise InputError(
            f"The device cuda needs a graphics card and its driver ({error}); use device=cpu."
        ) from error
    cupy.cuda.Device(number % cards).use()
    return Card(cupy)
