"""The sum of all terms, the free energy F."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from wgflow.communicator import ALONE, Communicator
from wgflow.device import Device
from wgflow.dissipation import face_dissipation
from wgflow.energy.internal import Entropy, Internal
from wgflow.energy.risk import Risk
from wgflow.energy.term import Couplings, Summand, Term
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure, Particles


@dataclasses.dataclass(frozen=True, init=False)
class Energy:
    """A sum of terms and internal energies; written `risk + potential + entropy`."""

    terms: tuple[Term, ...]
    internal: tuple[Internal, ...]

    def __init__(self, *summands: Summand) -> None:
        for summand in summands:
            if not isinstance(summand, Term | Internal):
                raise InputError(f"An energy is a sum of terms, and {summand!r} is none.")
        terms = tuple(s for s in summands if isinstance(s, Term))
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "internal", tuple(s for s in summands if isinstance(s, Internal)))
        names = self.names
        if len(set(names)) != len(names):
            raise InputError(
                f"The terms of an energy are named {', '.join(names)}; give each its own name."
            )
        if not all(name.isidentifier() for name in names) or "total" in names:
            raise InputError(
                f"The terms {', '.join(names)} must be named by single words other than 'total'."
            )

    def __add__(self, other: "Summand | Energy") -> "Energy":
        more = (*other.terms, *other.internal) if isinstance(other, Energy) else (other,)
        return Energy(*self.terms, *self.internal, *more)

    @property
    def names(self) -> list[str]:
        """Names of all terms, internal ones last."""
        return [s.name for s in (*self.terms, *self.internal)]

    @property
    def temperature(self) -> float:
        """The factor lambda of the entropy, or 0."""
        return sum(s.temperature for s in self.internal if isinstance(s, Entropy))

    @property
    def risk(self) -> Risk | None:
        """The risk, or None."""
        return next((term for term in self.terms if isinstance(term, Risk)), None)

    @property
    def diffuses(self) -> bool:
        """Whether there is an internal energy, an entropy of positive temperature or another."""
        return self.temperature > 0 or bool(self.powers)

    @property
    def powers(self) -> list[str]:
        """Names of the internal energies other than the entropy."""
        return [s.name for s in self.internal if not isinstance(s, Entropy)]

    @property
    def convex(self) -> bool | None:
        """Whether F is a convex function of rho (along mixtures); None where a grid must tell."""
        known = [term.convex for term in self.terms]
        return False if False in known else None if None in known else True

    def in_precision(self, precision: str) -> "Energy":
        """Return the energy with all sums over pairs in "single" or "double" precision."""
        return Energy(*(term.in_precision(precision) for term in self.terms), *self.internal)

    def on_device(self, device: Device) -> "Energy":
        """Return the energy for particles on a device.

        Raises
        ------
        InputError
            A term that cannot be evaluated there.
        """
        return Energy(*(term.on_device(device) for term in self.terms), *self.internal)

    def couple(self, measure: Measure, communicator: Communicator = ALONE) -> Couplings:
        """Return the coupling of every term.

        Parameters
        ----------
        communicator
            The ranks over which the particles are spread, each with its share as `measure`.
        """
        # A term of one's own need not know of ranks as long as there is one.
        ranks = () if communicator.size == 1 else (communicator,)
        return {term.name: term.couple(measure, *ranks) for term in self.terms}

    def values(self, measure: Measure, couplings: Couplings) -> dict[str, float]:
        """Return the value of every term; internal ones are NaN for particles."""
        values = {term.name: term.value(couplings[term.name]) for term in self.terms}
        for internal in self.internal:
            if isinstance(internal, Entropy) and internal.temperature == 0:
                values[internal.name] = 0.0
            elif isinstance(measure, GridMeasure):
                values[internal.name] = internal.value(measure)
            else:
                values[internal.name] = float("nan")
        return values

    def pressure(self, density: np.ndarray) -> np.ndarray:
        """Return the pressure of all internal energies, whose Laplacian is their flow."""
        return sum((s.pressure(density) for s in self.internal), np.zeros_like(density))

    def first_variation(self, points: np.ndarray, couplings: Couplings) -> np.ndarray:
        """Return the first variation g without internal energies, at points (m, D), shape (m,)."""
        total = np.zeros_like(points[:, 0])
        for term in self.terms:
            total += term.first_variation(points, couplings[term.name])
        return total

    def gradient(self, points: np.ndarray, couplings: Couplings) -> np.ndarray:
        """Return grad g at points (m, D), shape (m, D)."""
        total = np.zeros_like(points)
        for term in self.terms:
            total += term.gradient(points, couplings[term.name])
        return total

    def dissipation(
        self, measure: Measure, couplings: Couplings, periodic: Sequence[bool]
    ) -> float:
        """Return int |grad (g + U'(rho))|^2 drho, the rate at which F falls.

        On a grid this is a sum over faces (see `face_dissipation`); for particles under an
        internal energy, whose density is unknown, it is NaN.

        Parameters
        ----------
        periodic
            For each axis, whether its last cell borders on its first.
        """
        if isinstance(measure, Particles):
            if self.diffuses:
                return float("nan")
            return float(measure.mass @ (self.gradient(measure.points, couplings) ** 2).sum(axis=1))
        g = self.first_variation(measure.points, couplings).reshape(measure.shape)
        density = np.maximum(measure.density, np.finfo(float).tiny)
        if not self.diffuses:
            return face_dissipation(measure, g, np.log(density), density, periodic)
        chemical = sum((i.derivative(density) for i in self.internal), np.zeros(()))
        return face_dissipation(measure, g + chemical, chemical, self.pressure(density), periodic)

    def describe(self) -> list[dict[str, Any]]:
        """Return the terms as plain data, for the results file."""
        return [{"name": s.name, **s.describe()} for s in (*self.terms, *self.internal)]


Summand.total = Energy
