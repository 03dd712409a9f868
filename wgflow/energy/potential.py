"""Potential energies, linear in the law."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgflow.communicator import ALONE, Communicator
from wgflow.device import Device, is_on_card, on_host
from wgflow.energy.term import Coupling, Term
from wgflow.errors import InputError, check_number
from wgflow.measure import Measure


class Potential(Term):
    """A potential energy, int r drho.

    Parameters
    ----------
    value
        r at points (m, D), shape (m,).
    gradient
        Its gradient, shape (m, D).
    name
        Names the term in the results.
    """

    convex = True
    _stiffness: np.ndarray | None = None

    def __init__(
        self,
        value: Callable[[np.ndarray], np.ndarray],
        gradient: Callable[[np.ndarray], np.ndarray],
        name: str = "potential",
    ) -> None:
        if not (callable(value) and callable(gradient) and isinstance(name, str)):
            raise InputError(
                "A potential is made of two functions, value and gradient, and a name, not of "
                f"{value!r}, {gradient!r} and {name!r}."
            )
        self.name = name
        self._value, self._gradient = value, gradient
        self._description: dict[str, Any] = {"kind": "Potential"}

    @classmethod
    def quadratic(cls, stiffness: Sequence[float], name: str = "potential") -> "Potential":
        """Return r(theta) = sum_k stiffness_k theta_k^2 / 2, shape of stiffness (D,)."""
        if isinstance(stiffness, float | int):
            raise InputError(f"The stiffness is {stiffness}, but must be one number an axis.")
        factor = np.array([check_number("A stiffness", k, least=0) for k in stiffness])
        return cls._with_stiffness(factor, factor, name)

    @classmethod
    def _with_stiffness(cls, stiffness: np.ndarray, factor: Any, name: str) -> "Potential":
        """Return the quadratic potential whose `factor` is the stiffness where the points are."""

        def fitting(x: np.ndarray) -> np.ndarray:
            if x.shape[1] != len(factor):
                raise InputError(
                    f"The stiffness {stiffness.tolist()} has {len(factor)} entries, but the domain "
                    f"has {x.shape[1]} axes; give one number an axis."
                )
            return x

        term = cls(
            lambda x: (factor * fitting(x) ** 2).sum(axis=1) / 2,
            lambda x: factor * fitting(x),
            name,
        )
        term._stiffness = stiffness
        term._description = {"kind": "Potential", "stiffness": stiffness.tolist()}
        return term

    def on_device(self, device: Device) -> "Potential":
        if self._stiffness is None:
            # Functions of arrays work on those of a card, unless they mix them with others.
            return self
        return self._with_stiffness(self._stiffness, device.put(self._stiffness), self.name)

    def couple(self, measure: Measure, communicator: Communicator = ALONE) -> Coupling:
        values = on_host(self._checked(measure.points, self._value, 1))
        return communicator.sum(np.asarray(measure.mass @ values))

    def value(self, coupling: Coupling) -> float:
        return float(coupling)

    def first_variation(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        return self._checked(points, self._value, 1)

    def gradient(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        return self._checked(points, self._gradient, 2)

    def _checked(
        self, points: np.ndarray, function: Callable[[np.ndarray], np.ndarray], axes: int
    ) -> np.ndarray:
        try:
            found = function(points)
            values = found if is_on_card(found) else np.asarray(found, dtype=float)
        except TypeError as error:
            if not is_on_card(points):
                raise
            raise InputError(
                f"The functions of the term '{self.name}' cannot be applied to arrays on a "
                f"graphics card ({error}); use NumPy's functions of their argument and numbers "
                "only, or device=cpu."
            ) from error
        expected = points.shape[:axes]
        if values.shape != expected:
            part = "value" if axes == 1 else "gradient"
            raise InputError(
                f"The {part} of the term '{self.name}' has shape {values.shape} for points of "
                f"shape {points.shape}, but must have shape {expected}."
            )
        return values

    def describe(self) -> dict[str, Any]:
        return self._description
