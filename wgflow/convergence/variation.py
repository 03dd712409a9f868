"""The values of the one thing that a study varies: a setting of its solver, or a parameter."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wgflow.case import ALIASES, settings_of
from wgflow.errors import InputError, unknown
from wgflow.problem import Problem
from wgflow.recipe import Recipe
from wgflow.solver import Context, Solver
from wgflow.solvers.sgd import SGD

SMALLER_IS_FINER = ("step", "tolerance", "error_tolerance", "courant")
LARGER_IS_FINER = ("count", "width", "shape", "batch", "samples")
SAMPLING = ("count", "width", "batch")
"""Settings whose error is that of a mean of so many draws."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One value of what is varied: its size, and the problem and solver that it makes."""

    size: float
    recipe: Recipe
    solver: Solver


def variants(
    recipe: Recipe, solver: Solver, vary: Mapping[str, Iterable[Any]], times: Sequence[float]
) -> tuple[str, list[Variant]]:
    """Return the name of what is varied, and its values from coarse to fine.

    Settings known to be finer where larger (or smaller) are sorted, others keep their order.

    Raises
    ------
    InputError
        Not one name with at least two different positive numbers, or an unknown name.
    """
    if not isinstance(vary, Mapping) or len(vary) != 1:
        raise InputError(
            f"What is varied is {vary!r}, but must be one setting with its values, as in "
            "{'count': [100, 400, 1600]}."
        )
    ((name, values),) = vary.items()
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"The values of '{name}' are {values!r}, but must be a list of numbers.")
    make = _maker(recipe, solver, name)
    made = [make(value) for value in values]
    found = [
        dataclasses.replace(variant, size=_size(name, value, variant, times))
        for value, variant in zip(values, made, strict=True)
    ]
    sizes = [variant.size for variant in found]
    if len(sizes) < 2:
        raise InputError(
            f"A rate needs at least two values of '{name}', but {len(sizes)} was given."
        )
    for size in sizes:
        if sizes.count(size) > 1:
            cut = " once save intervals are cut into equal steps" if name == "step" else ""
            raise InputError(
                f"The values of '{name}' must differ, but {size:g} comes twice{cut}; give each "
                "once."
            )
    if name in LARGER_IS_FINER:
        found.sort(key=lambda variant: variant.size)
    elif name in SMALLER_IS_FINER:
        found.sort(key=lambda variant: -variant.size)
    return name, found


def _maker(recipe: Recipe, solver: Solver, name: str) -> Any:
    """Return the function that makes the variant of a value, its size left open."""
    settings = settings_of(type(solver))
    case = recipe.held_case()
    parameters = {} if case is None else case.parameters
    if name in settings:
        axes = recipe.problem().domain.dimension

        def setting(value: Any) -> Variant:
            if name == "shape" and isinstance(value, int | np.integer):
                value = (int(value),) * axes
            changed = dataclasses.replace(solver, **{name: value})
            return Variant(math.nan, recipe, changed)

        return setting
    name = ALIASES.get(name, name)
    if name not in parameters:
        of = f"solver {solver.name}" + (f" and case {case.name}" if case is not None else "")
        raise unknown("setting", name, [*settings, *parameters], of=of)
    if name == "horizon":
        raise InputError("The horizon cannot be varied; give the times of the errors instead.")
    return lambda value: Variant(math.nan, recipe.with_parameter(name, value), solver)


def _size(name: str, value: Any, variant: Variant, times: Sequence[float]) -> float:
    """Return the number that stands for a value in the fit of the rate."""
    if name == "step":
        plan = _problem(variant, times).intervals(variant.solver.step)
        return max(interval.step for interval in plan)
    entries = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    numbers = [
        float(v)
        for v in entries
        if isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool)
    ]
    if len(numbers) < len(entries) or not all(0 < v < math.inf for v in numbers) or not numbers:
        raise InputError(
            f"The value {value!r} of '{name}' has no place on a logarithmic axis; give positive "
            "numbers."
        )
    return float(math.prod(numbers) ** (1 / len(numbers)))


def _problem(variant: Variant, times: Sequence[float]) -> Problem:
    return variant.recipe.problem(times)


def expected_rate(name: str, variant: Variant, times: Sequence[float]) -> float | None:
    """Return the slope that theory gives for errors in a setting, or None.

    Raises
    ------
    InputError
        The solver cannot solve the problem.
    """
    solver = variant.solver
    scheme = solver.prepare(_problem(variant, times), 0, Context())
    if name in SAMPLING:
        return -0.5
    if name != "step" or solver.error_growth is not None:
        return None
    if isinstance(solver, SGD) and solver.batch is not None:
        # The draws of the batches move all neurons together, by the root of the step.
        return 0.5
    # A method that is left to the solver is known once it is prepared.
    order = getattr(getattr(scheme, "method", None), "order", None)
    return float(solver.order if order is None else order)
