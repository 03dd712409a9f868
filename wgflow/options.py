"""What options mean: typed values, and the case and the solver that they choose."""

import argparse
import contextlib
import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from wgflow.case import ALIASES, settings_of
from wgflow.errors import InputError, unknown
from wgflow.problem import Problem
from wgflow.recipe import Recipe
from wgflow.solver import Solver
from wgflow.solvers import solver_type

POSITIONAL = ("case", "file", "name", "command")
"""Options without a flag."""
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_assignments(
    texts: Iterable[str], kinds: Mapping[str, Any], what: str, owner: str
) -> dict[str, Any]:
    """Return the values of `name=value` texts.

    Parameters
    ----------
    kinds
        Type annotation of every name allowed.
    what, owner
        For messages: "setting" and "solver jko", say.

    Raises
    ------
    InputError
        Text without an equals sign, an unknown name, a name given twice, or a value of another
        type.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"The {what} '{text}' is not of the form name=value.")
        if name not in kinds:
            raise unknown(what, name, kinds, of=owner)
        if name in values:
            raise InputError(f"The {what} '{name}' is given twice; give it once.")
        values[name] = parse(value.strip(), kinds[name], f"The {what} '{name}' of {owner}")
    return values


def parse(text: str, kind: Any, what: str) -> Any:
    """Return text as a value of an annotated type, or raise InputError."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [k for k in typing.get_args(kind) if k is not type(None)]
        if type(None) in typing.get_args(kind) and text.lower() in ("none", "default"):
            return None
        for option in options[:-1]:
            with contextlib.suppress(InputError):
                return parse(text, option, what)
        return parse(text, options[-1], what)
    if origin is tuple:
        entry = typing.get_args(kind)[0]
        return tuple(
            parse(part.strip(), entry, f"An entry of {what[0].lower()}{what[1:]}")
            for part in text.split(",")
        )
    if kind is bool:
        if text.lower() in (*_TRUE, *_FALSE):
            return text.lower() in _TRUE
        raise InputError(f"{what} is '{text}', but must be true or false.")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise InputError(f"{what} is '{text}', but must be {wanted}.") from None
    return text


def chosen(options: argparse.Namespace) -> tuple[Recipe, Solver]:
    """Return the problem and the solver of the options case, param, data, solver and set.

    Raises
    ------
    InputError
        An unknown name, or a value of another type or out of range.
    """
    named = Recipe(case=options.case)
    case = named.held_case()
    assert case is not None
    kinds = {name: parameter.kind for name, parameter in case.parameters.items()}
    kinds |= {alias: kinds[name] for alias, name in ALIASES.items() if name in kinds}
    parameters = parse_assignments(options.param, kinds, "parameter", f"case {case.name}")
    recipe = dataclasses.replace(named, parameters=parameters, data=options.data)
    name = next(iter(case.solvers)) if options.solver is None else options.solver
    allowed = settings_of(solver_type(name))
    settings = parse_assignments(options.set, allowed, "setting", f"solver {name}")
    solver = case.default_solver(name, **settings)
    shape = getattr(solver, "shape", None)
    if "shape" not in settings and shape and len(shape) != recipe.problem().domain.dimension:
        # A parameter has changed the dimension: the shape of the case is for another one.
        solver = dataclasses.replace(solver, shape=None)  # type: ignore[call-arg]
    return recipe, solver


def check_given(options: argparse.Namespace) -> None:
    """Raise InputError if an option with a flag is given as an empty text."""
    for name, value in vars(options).items():
        if name not in POSITIONAL and isinstance(value, str) and not value.strip():
            raise InputError(
                f"The option --{name.replace('_', '-')} is empty; give it a value, or leave it out."
            )


def with_times(problem: Problem, options: argparse.Namespace) -> Problem:
    """Return a problem with the horizon and the save times of the options until and save_every.

    Raises
    ------
    InputError
        One is no number, or together they are too many saves.
    """
    every = options.save_every
    if every is not None:
        every = parse(every, float, "The time --save-every")
    if options.until is not None:
        return problem.until(parse(options.until, float, "The time --until"), every)
    return problem if every is None else problem.save_every(every)
