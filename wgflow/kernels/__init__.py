"""Sums over particles and data on raw arrays.

`reference` holds the formulas in NumPy, `fused` and `tiled` the kernels for few and for many
inputs, `dispatch` the choice between them, `log_sum_exp` the heat kernel in logarithms. The names
below are imported on first use, so that importing this package does not import Numba.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wgflow.kernels.activation import Activation, as_activation, ramp
    from wgflow.kernels.dispatch import Forward, forward, predict, velocity
    from wgflow.kernels.log_sum_exp import log_sum_exp_rows

__all__ = [
    "Activation",
    "Forward",
    "as_activation",
    "forward",
    "log_sum_exp_rows",
    "predict",
    "ramp",
    "velocity",
]

_HOMES = {
    "Activation": "activation",
    "as_activation": "activation",
    "ramp": "activation",
    "Forward": "dispatch",
    "forward": "dispatch",
    "predict": "dispatch",
    "velocity": "dispatch",
    "log_sum_exp_rows": "log_sum_exp",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
