"""What every summand of an energy has, and what a term offers beyond that."""

from typing import Any, ClassVar

import numpy as np

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
    """

    convex: bool | None = False

    def couple(self, measure: Measure) -> Coupling:
        """Return what this term needs to know of the measure."""
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
