"""What every summand of an energy has, and what a term offers beyond that."""

from typing import Any, ClassVar

import numpy as np

from wgflow.communicator import ALONE, Communicator
from wgflow.device import Device
from wgflow.errors import InputError
from wgflow.measure import Measure

Coupling = Any
"""What a term needs to know of a measure: the predictions of a risk, the measure itself, ..."""
Couplings = dict[str, Coupling]


class Summand:
    """Something that can be added up to an `Energy`."""

    name: str
    total: ClassVar[type[Any]]
    """The class of sums, `Energy`; it sets itself here, as it stands above its parts."""

    def __add__(self, other: Any) -> Any:
        return self.total(self) + other

    def describe(self) -> dict[str, Any]:
        """Return the summand as plain data, for the results file."""
        return {"kind": type(self).__name__}


class Term(Summand):
    """A part of the energy that sees rho through a coupling.

    Attributes
    ----------
    convex
        Whether the term is a convex function of rho (along mixtures); None where only a grid can
        tell. A term of one's own is taken for one that is not, and gets no certificate.
    is_risk
        Whether the value of the term is a risk, which runs record as theirs.
    """

    convex: bool | None = False
    is_risk: bool = False

    def in_precision(self, precision: str) -> "Term":
        """Return the term with its sums over pairs in "single" or "double" precision.

        A term that has no such sums, or computes them in double precision only, is returned as it
        is.
        """
        return self

    def on_device(self, device: Device) -> "Term":
        """Return the term for particles on a device.

        Couplings are on the host in any case; points, first variations and gradients are where the
        particles are.

        Raises
        ------
        InputError
            The term cannot be evaluated there.
        """
        if device.name == "cpu":
            return self
        raise InputError(
            f"The term '{self.name}' cannot be evaluated on the device {device.name}; use "
            "device=cpu."
        )

    def couple(self, measure: Measure, communicator: Communicator = ALONE) -> Coupling:
        """Return what this term needs to know of the measure.

        Parameters
        ----------
        communicator
            The ranks over which the particles are spread; `measure` is this rank's share, whose
            masses are those of the whole.
        """
        raise TypeError(f"{type(self).__name__} does not say what it couples to.")

    def value(self, coupling: Coupling) -> float:
        """Return the value of the term."""
        raise TypeError(f"{type(self).__name__} has no value.")

    def first_variation(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        """Return the first variation at points (m, D), shape (m,)."""
        raise TypeError(f"{type(self).__name__} has no first variation.")

    def gradient(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        """Return the gradient of the first variation at points (m, D), shape (m, D)."""
        raise TypeError(f"{type(self).__name__} has no gradient.")
