"""How a problem is made again, in another process: by the name of its case, or as it is."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wgflow.case import Case, case_from_file, find_case
from wgflow.data import Data
from wgflow.errors import InputError
from wgflow.problem import Problem

PROBES = 16
"""Particles on which two problems must do the same to be taken for one."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A problem as plain data: what a process needs to make it.

    The functions of most problems cannot be sent to another process, but the name of a case, the
    file of a case and its parameters can.

    Parameters
    ----------
    case
        A named case, or the path of a case file ending in .py; None for a problem of one's own.
    parameters
        Parameters of the case that are set.
    data
        One's own data, or a file of them, in the place of the case's.
    horizon
        The horizon, where it is not that of the case.
    own
        The problem itself, where it does not come from a case.
    """

    case: str | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Data | str | os.PathLike[str] | None = None
    horizon: float | None = None
    own: Problem | None = None

    @classmethod
    def of(cls, given: "Problem | Recipe | str | os.PathLike[str]") -> "Recipe":
        """Return the recipe of a problem, or of a case given by its name or its file.

        A problem that was changed after it left its case is taken as it is.

        Raises
        ------
        InputError
            What is given is none of these.
        """
        if isinstance(given, Recipe):
            return given
        if isinstance(given, str | os.PathLike):
            return cls(case=os.fspath(given))
        if not isinstance(given, Problem):
            raise InputError(
                f"The problem is {given!r}, but must be a Problem, or the name or file of a case."
            )
        parameters = dict(given.parameters)
        taken = parameters.pop("data", None) is not None and given.risk is not None
        data = given.risk.data if taken and given.risk is not None else None
        recipe = cls(given.case, parameters, data, given.horizon)
        try:
            unchanged = given.case is not None and _same(recipe.problem(given.save_times), given)
        except InputError:  # a case file, or a case that is not there any more
            unchanged = False
        return recipe if unchanged else cls(own=given)

    def held_case(self) -> Case | None:
        """Return the case, or None for a problem of one's own."""
        if self.case is None:
            return None
        return case_from_file(self.case) if self.case.endswith(".py") else find_case(self.case)

    def problem(self, times: Sequence[float] | None = None) -> Problem:
        """Return the problem, with results stored at 0 and at these times if they are given.

        Raises
        ------
        InputError
            There is no such case, or a parameter or a time is out of range.
        """
        case = self.held_case()
        if case is None:
            assert self.own is not None
            problem = self.own
        else:
            problem = case.problem(data=self.data, **self.parameters)  # type: ignore[arg-type]
        if self.horizon is not None:
            problem = problem.until(self.horizon, None if times is None else self.horizon)
        if times is not None:
            problem = dataclasses.replace(problem, save_times=times)
        return problem

    def with_parameter(self, name: str, value: Any) -> "Recipe":
        """Return the recipe with one parameter of the case set."""
        return dataclasses.replace(self, parameters={**self.parameters, name: value})


def _same(one: Problem, other: Problem) -> bool:
    """Return whether two problems are described alike and move a few particles alike."""
    if one.describe() != other.describe() or one.save_times != other.save_times:
        return False
    if [one.rate(t) for t in one.save_times or ()] != [other.rate(t) for t in one.save_times or ()]:
        return False
    clouds = [problem.initial.particles(0, PROBES) for problem in (one, other)]
    if not np.array_equal(clouds[0].position, clouds[1].position):
        return False
    forces = [
        problem.energy.gradient(cloud.points, problem.energy.couple(cloud))
        for problem, cloud in zip((one, other), clouds, strict=True)
    ]
    return np.array_equal(forces[0], forces[1])
