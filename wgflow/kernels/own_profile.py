"""A radial profile of one's own, a Python function of one number, compiled into the sums.

Its calls of exp, log, tanh and erf, from `math` or NumPy, are replaced by the functions of this
package that LLVM vectorises, which are exact to a few ulp and more than ten times as fast.
"""

import builtins
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import float64, njit, types as numba_types, vectorize
from numba.core.errors import NumbaError

from wgflow.errors import InputError
from wgflow.kernels.elementary import error_function, exponential, hyperbolic_tangent
from wgflow.kernels.logarithm import logarithm
from wgflow.kernels.radial import Profile

_VECTORISED = {
    "exp": exponential,
    "log": logarithm,
    "tanh": hyperbolic_tangent,
    "erf": error_function,
}
_MODULES = (math, np)


def _replacement(value: Any, names: tuple[str, ...]) -> Any:
    """Return what stands for a global name of a function that mentions `names`."""
    if any(value is module for module in _MODULES):
        module = types.ModuleType(value.__name__)
        for name in names:
            if hasattr(value, name):
                setattr(module, name, _VECTORISED.get(name, getattr(value, name)))
        return module
    for name, vectorised in _VECTORISED.items():
        if any(value is getattr(module, name, None) for module in _MODULES):
            return vectorised
    return value


def _with_vectorised_calls(function: types.FunctionType) -> types.FunctionType:
    names = function.__code__.co_names
    changed = {
        name: _replacement(function.__globals__[name], names)
        for name in names
        if name in function.__globals__
    }
    return types.FunctionType(
        function.__code__,
        {**changed, "__builtins__": builtins},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def own_profile(role: str, function: Callable[[float], float]) -> Profile:
    """Return the profile that a Python function of one number defines.

    Parameters
    ----------
    role
        What the function is, for the message.

    Raises
    ------
    InputError
        Something that Numba cannot compile to a function from one number to one.
    """
    plain = getattr(function, "py_func", function)  # what @njit was put on
    try:
        if not isinstance(plain, types.FunctionType):
            raise TypeError(f"{plain!r} is no Python function")
        compiled = njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)(
            _with_vectorised_calls(plain)
        )
        compiled.compile((float64,))
        result = compiled.nopython_signatures[0].return_type
        if not isinstance(result, numba_types.Float | numba_types.Integer):
            raise TypeError(f"it returns {result}")
        arrays = vectorize([float64(float64)])(plain)
    except (NumbaError, TypeError) as error:
        raise InputError(
            f"The {role} of a radial interaction cannot be compiled: {_reason(error)}; give a "
            "function from one number to one that uses arithmetic and math, or give "
            "Interaction(value, gradient) two functions of arrays."
        ) from error
    return Profile("own", function=arrays, compiled=compiled)


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Failed in")]
    return lines[0].rstrip(".")[:120]
