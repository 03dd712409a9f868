"""Wasserstein gradient flows by particles, JKO steps and finite volumes, beside networks.

Names are imported on first use (PEP 562), so that `import wgflow` takes milliseconds.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wgflow.case import (
        Case as Case,
        find_case as find_case,
        get_case as get_case,
        list_cases as list_cases,
    )
    from wgflow.check import Check as Check, Rate as Rate
    from wgflow.comparison import Comparison as Comparison, compare as compare
    from wgflow.convergence import Study as Study, study as study
    from wgflow.data import Data as Data, read_data as read_data
    from wgflow.domain import (
        Circle as Circle,
        Domain as Domain,
        Interval as Interval,
        WholeLine as WholeLine,
    )
    from wgflow.energy import (
        ArcCosineRisk as ArcCosineRisk,
        Energy as Energy,
        Entropy as Entropy,
        Interaction as Interaction,
        Potential as Potential,
        PowerEntropy as PowerEntropy,
        RandomFeature as RandomFeature,
        Risk as Risk,
    )
    from wgflow.errors import (
        FileError as FileError,
        InputError as InputError,
        MissingPackageError as MissingPackageError,
    )
    from wgflow.kernels.activation import Activation as Activation, ramp as ramp
    from wgflow.law import (
        Density as Density,
        Gaussian as Gaussian,
        Law as Law,
        Product as Product,
        Samples as Samples,
        Uniform as Uniform,
    )
    from wgflow.loop import solve as solve
    from wgflow.measure import GridMeasure as GridMeasure, Particles as Particles
    from wgflow.neuron import Neuron as Neuron
    from wgflow.optimality import Certificate as Certificate, certificate as certificate
    from wgflow.panel import Curve as Curve, Panel as Panel
    from wgflow.populations import (
        NormalInputs as NormalInputs,
        RadialInputs as RadialInputs,
        SphereInputs as SphereInputs,
        UniformInputs as UniformInputs,
        mixture as mixture,
        population as population,
    )
    from wgflow.problem import Problem as Problem
    from wgflow.restart import resume as resume
    from wgflow.results import load as load
    from wgflow.run import Run as Run
    from wgflow.solver import Context as Context
    from wgflow.solvers import (
        JKO as JKO,
        SGD as SGD,
        FiniteVolume as FiniteVolume,
        ParticleFlow as ParticleFlow,
    )
    from wgflow.transport import (
        marginal_wasserstein as marginal_wasserstein,
        wasserstein as wasserstein,
    )
    from wgflow.verification import Verification as Verification, verify as verify

_HOMES = {
    "case": ("Case", "find_case", "get_case", "list_cases"),
    "check": ("Check", "Rate"),
    "optimality": ("Certificate", "certificate"),
    "comparison": ("Comparison", "compare"),
    "convergence": ("Study", "study"),
    "data": ("Data", "read_data"),
    "domain": ("Circle", "Domain", "Interval", "WholeLine"),
    "energy": (
        "ArcCosineRisk",
        "Energy",
        "Entropy",
        "Interaction",
        "Potential",
        "PowerEntropy",
        "RandomFeature",
        "Risk",
    ),
    "errors": ("FileError", "InputError", "MissingPackageError"),
    "kernels.activation": ("Activation", "ramp"),
    "law": ("Density", "Gaussian", "Law", "Product", "Samples", "Uniform"),
    "results": ("load",),
    "restart": ("resume",),
    "measure": ("GridMeasure", "Particles"),
    "neuron": ("Neuron",),
    "panel": ("Curve", "Panel"),
    "populations": (
        "NormalInputs",
        "RadialInputs",
        "SphereInputs",
        "UniformInputs",
        "mixture",
        "population",
    ),
    "problem": ("Problem",),
    "run": ("Run",),
    "loop": ("solve",),
    "solver": ("Context",),
    "solvers": ("FiniteVolume", "JKO", "SGD", "ParticleFlow"),
    "transport": ("marginal_wasserstein", "wasserstein"),
    "verification": ("Verification", "verify"),
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
