"""Wasserstein gradient flows by particles and by JKO steps, beside the networks they describe.

Names are imported on first use (PEP 562), so that `import wgflow` takes milliseconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wgflow.case import Case, Check, find_case, get_case, list_cases
    from wgflow.comparison import Comparison, compare
    from wgflow.data import Data, read_data
    from wgflow.domain import Circle, Domain, Interval, WholeLine
    from wgflow.energy import Energy, Entropy, Potential, Risk
    from wgflow.errors import FileError, InputError
    from wgflow.kernels.activation import Activation, ramp
    from wgflow.law import Density, Gaussian, Law, Product, Samples, Uniform
    from wgflow.loop import solve
    from wgflow.measure import GridMeasure, Particles
    from wgflow.neuron import Neuron
    from wgflow.optimality import Certificate, certificate
    from wgflow.problem import Problem
    from wgflow.results import load
    from wgflow.run import Run
    from wgflow.solver import Context
    from wgflow.solvers import JKO, SGD, ParticleFlow
    from wgflow.transport import marginal_wasserstein, wasserstein

_HOMES = {
    "case": ("Case", "Check", "find_case", "get_case", "list_cases"),
    "optimality": ("Certificate", "certificate"),
    "comparison": ("Comparison", "compare"),
    "data": ("Data", "read_data"),
    "domain": ("Circle", "Domain", "Interval", "WholeLine"),
    "energy": ("Energy", "Entropy", "Potential", "Risk"),
    "errors": ("FileError", "InputError"),
    "kernels.activation": ("Activation", "ramp"),
    "law": ("Density", "Gaussian", "Law", "Product", "Samples", "Uniform"),
    "results": ("load",),
    "measure": ("GridMeasure", "Particles"),
    "neuron": ("Neuron",),
    "problem": ("Problem",),
    "run": ("Run",),
    "loop": ("solve",),
    "solver": ("Context",),
    "solvers": ("JKO", "SGD", "ParticleFlow"),
    "transport": ("marginal_wasserstein", "wasserstein"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("wgflow")
    if name not in _HOME:
        raise AttributeError(f"module 'wgflow' has no attribute '{name}'")
    # No module may be named like something public: importing it would put it in that place.
    value = getattr(importlib.import_module(f"wgflow.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
