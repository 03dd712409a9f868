"""What a file holds: arrays with named dimensions, and attributes."""

import dataclasses

import numpy as np

FORMAT = "wgflow-run-1"

BARE = "This is a netCDF dimension but not a netCDF variable"
"""The netCDF4 convention for a dimension that has no coordinate variable."""

Attribute = str | int | float


@dataclasses.dataclass
class Variable:
    """An array with named dimensions.

    Attributes
    ----------
    dims
        One name an array axis.
    data
        Numbers, or strings for a coordinate of labels.
    units
        "1" where dimensionless.
    """

    dims: tuple[str, ...]
    data: np.ndarray
    long_name: str
    units: str = "1"


@dataclasses.dataclass
class Dataset:
    """Variables and attributes: the whole content of a file."""

    variables: dict[str, Variable]
    attributes: dict[str, Attribute]

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        sizes: dict[str, int] = {}
        for variable in self.variables.values():
            for name, size in zip(variable.dims, variable.data.shape, strict=True):
                if sizes.setdefault(name, size) != size:
                    raise ValueError(f"the dimension '{name}' has lengths {sizes[name]} and {size}")
        return sizes

    @property
    def bytes(self) -> int:
        """Bytes of all arrays together, which is the size of the file but for some kilobytes."""
        return sum(variable.data.nbytes for variable in self.variables.values())


def unfilled(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of NaN of this shape that takes no memory and cannot be written to.

    It stands for what a run will fill: a file allocates it without its ever being in memory.
    """
    return np.broadcast_to(np.float64(np.nan), shape)


def is_unfilled(data: np.ndarray) -> bool:
    """Return whether an array is one that `unfilled` made."""
    return data.size > 1 and not any(data.strides) and bool(np.isnan(data.flat[0]))
