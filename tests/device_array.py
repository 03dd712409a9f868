"""A double of an array on a graphics card: a NumPy array that behaves as CuPy's arrays do.

It computes, but refuses to be mixed with NumPy arrays and to become one unless asked (`get`,
`asnumpy`), as an array on a card does; results of no axes are arrays too. Code that runs with it
may run with CuPy: it stays where the arrays are. This module stands for CuPy itself (`asarray`,
`empty`, `zeros`, ...), and has everything else from NumPy, whose functions know the double.
"""

import sys
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

REFUSAL = "Implicit conversion to a NumPy array is not allowed; use get() or asnumpy()."

# What CuPy's arrays have, and code on the particles may use.
# fmt: off
METHODS = (
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumsum", "dot", "fill",
    "flatten", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "reshape", "sort",
    "squeeze", "std", "sum", "swapaxes", "take", "transpose", "var", "view",
)
ATTRIBUTES = ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides", "flags")
# What NumPy has and CuPy 14 has not; older ones lack more of the newest names.
MISSING = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "block", "concat", "einsum_path",
    "geomspace", "histogram_bin_edges", "insert", "matvec", "nanpercentile", "nanquantile",
    "permute_dims", "pow", "spacing", "unstack", "vecdot", "vecmat",
)
# fmt: on


class DeviceArray(NDArrayOperatorsMixin):
    """An array "on the device"; `host` is the memory that it stands for, for tests only."""

    __slots__ = ("host",)
    __array_priority__ = 100

    def __init__(self, host: np.ndarray) -> None:
        assert isinstance(host, np.ndarray)
        self.host = host

    def get(self) -> np.ndarray:
        """Return a copy in NumPy."""
        return self.host.copy()

    def __array__(self, *arguments: Any, **keywords: Any) -> np.ndarray:
        raise TypeError(REFUSAL)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        _check_known(ufunc)
        return _wrapped(getattr(ufunc, method)(*_unwrapped(inputs), **_unwrapped(keywords)))

    def __array_function__(self, function: Any, types: Any, inputs: Any, keywords: Any) -> Any:
        _check_known(function)
        return _wrapped(function(*_unwrapped(inputs), **_unwrapped(keywords)))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return dict(self.host.__array_interface__)

    @property
    def T(self) -> "DeviceArray":
        return DeviceArray(self.host.T)

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self.host, name)
        if name not in METHODS:
            raise AttributeError(f"an array on a device has no attribute {name!r}")

        def method(*inputs: Any, **keywords: Any) -> Any:
            return _wrapped(getattr(self.host, name)(*_unwrapped(inputs), **_unwrapped(keywords)))

        return method

    def __getitem__(self, key: Any) -> "DeviceArray":
        return _wrapped(self.host[_unwrapped(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[_unwrapped(key)] = _unwrapped(value)

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (self[number] for number in range(len(self)))

    # Asked for one number, a device waits and hands it over.
    def item(self) -> Any:
        return self.host.item()

    def __float__(self) -> float:
        return float(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __index__(self) -> int:
        return self.host.__index__()

    def __bool__(self) -> bool:
        return bool(self.host)

    def __repr__(self) -> str:
        return f"on device: {self.host!r}"


def _check_known(function: Any) -> None:
    if function.__name__ in MISSING:
        raise TypeError(f"CuPy has no {function.__name__}.")


def _unwrapped(value: Any) -> Any:
    """Replace the doubles within by their memory, and refuse NumPy arrays."""
    if isinstance(value, DeviceArray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}: the other arrays are on the device.")
    if isinstance(value, tuple | list):
        return type(value)(_unwrapped(part) for part in value)
    if isinstance(value, dict):
        return {name: _unwrapped(part) for name, part in value.items()}
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple | list):
        return type(value)(_wrapped(part) for part in value)
    return value


ndarray = DeviceArray


def asarray(value: Any, dtype: Any = None) -> DeviceArray:
    """Return the value on the device: the way there is always open."""
    host = value.host if isinstance(value, DeviceArray) else value
    same = isinstance(value, DeviceArray) and (dtype is None or host.dtype == dtype)
    return value if same else DeviceArray(np.array(host, dtype=dtype))


def asnumpy(value: DeviceArray) -> np.ndarray:
    return value.get()


def get_array_module(*values: Any) -> Any:
    """Return this module or NumPy, as CuPy's function of that name does."""
    return sys.modules[__name__] if any(isinstance(value, DeviceArray) for value in values) else np


def _creating(name: str) -> Any:
    def create(*arguments: Any, **keywords: Any) -> DeviceArray:
        return DeviceArray(getattr(np, name)(*arguments, **keywords))

    create.__name__ = name
    return create


array = asarray
empty, zeros, ones, full, arange, linspace, eye = map(
    _creating, ("empty", "zeros", "ones", "full", "arange", "linspace", "eye")
)


def __getattr__(name: str) -> Any:
    if name in MISSING:
        raise AttributeError(f"CuPy has no {name}.")
    return getattr(np, name)
