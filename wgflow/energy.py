"""Free energies F(rho): a sum of terms, each of which sees rho only through its coupling.

    F(rho) = sum_i c_i loss(f_rho(x_i), y_i) + int r drho + lambda int rho log rho,
    f_rho(x) = s int phi(theta; x) drho(theta).

The coupling of the risk is the predictions f_rho(x_i), that of a potential its integral. Values,
first variations and gradients all start from couplings, so that a solver computes them once, or
hands in a trial coupling that no measure has yet. Internal energies (entropies) depend on the
density itself and have a value on a grid only. Everything is dimensionless.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgflow.data import Data
from wgflow.dissipation import face_dissipation
from wgflow.errors import InputError, check_number
from wgflow.kernels import predict, velocity
from wgflow.loss import Loss, as_loss
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.neuron import Neuron

Coupling = np.ndarray
Couplings = dict[str, Coupling]


class _Summand:
    """Something that can be added up to an `Energy`."""

    name: str

    def __add__(self, other: "_Summand | Energy") -> "Energy":
        return Energy(self) + other

    def describe(self) -> dict[str, Any]:
        """Return the term as plain data, for the results file."""
        return {"kind": type(self).__name__}


class Term(_Summand):
    """A part of the energy that sees rho through a coupling."""

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


class Risk(Term):
    """The risk of a mean-field network, R(rho) = sum_i c_i loss(f_rho(x_i), y_i).

    Parameters
    ----------
    data
        The sample with its weights c_i.
    neuron
        The unit phi.
    loss
        "half_squared" (|f - y|^2 / 2) or "squared" (|f - y|^2).
    scale
        The factor s in f_rho = s int phi drho.

    Raises
    ------
    InputError
        An unknown loss, or data whose columns do not fit the neuron.
    """

    def __init__(
        self, data: Data, neuron: Neuron, loss: str = "half_squared", scale: float = 1.0
    ) -> None:
        if not isinstance(data, Data) or not isinstance(neuron, Neuron):
            raise InputError(
                f"A risk is made of a Data and a Neuron object, not of {data!r} and {neuron!r}."
            )
        self.name = "risk"
        self.data, self.neuron = data, neuron
        self.loss: Loss = as_loss(loss)
        self.scale = check_number("The scale of a risk", scale, above=0, most=1e12)
        self.dimension = neuron.dimension(data.x.shape[1])
        if data.y.shape[1] != neuron.outputs:
            raise InputError(
                f"The data have {data.y.shape[1]} columns of y, but the neuron has "
                f"{neuron.outputs} outputs; set outer to the number of outputs."
            )

    @functools.cached_property
    def inputs(self) -> np.ndarray:
        """Inputs of the inner product, shape (n, d) with the bias column if there is one."""
        return self.neuron.inputs(self.data.x)

    def on(self, data: Data) -> "Risk":
        """Return the risk on other data, a minibatch say."""
        risk = object.__new__(Risk)
        risk.__dict__.update(self.__dict__)
        risk.__dict__.pop("inputs", None)
        risk.data = data
        return risk

    def predict(self, measure: Measure, x: np.ndarray) -> np.ndarray:
        """Return the predictions f_rho at other inputs x (n, d), shape (n, k)."""
        outer, inner = self.neuron.split(measure.points)
        summed = predict(
            outer, inner, self.neuron.inputs(x), self.neuron.function, mass=measure.mass
        )
        return self.scale * summed.reshape(len(x), -1)

    def couple(self, measure: Measure) -> Coupling:
        outer, inner = self.neuron.split(measure.points)
        summed = predict(outer, inner, self.inputs, self.neuron.function, mass=measure.mass)
        return self.scale * summed.reshape(self.data.count, -1)

    def residual(self, prediction: np.ndarray) -> np.ndarray:
        """Return p_i = loss'(f_i, y_i), shape (n, k)."""
        return self.loss.derivative(prediction, self.data.y)

    def value(self, coupling: Coupling) -> float:
        losses = self.loss.value(coupling, self.data.y)
        if self.data.weight is None:
            return float(losses.mean())
        return float(self.data.weight @ losses)

    def first_variation(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        # s sum_i c_i <p_i, phi(theta; x_i)> is a prediction with data and particles exchanged:
        # the outer weights contract with what each point collects.
        outer, _, (d_outer, _) = self._velocity(points, coupling)
        return (outer * d_outer).reshape(len(points), -1).sum(axis=1)

    def gradient(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        _, inner, (d_outer, d_inner) = self._velocity(points, coupling)
        return self.neuron.pull_back(points, d_outer, d_inner, inner)

    def _velocity(
        self, points: np.ndarray, coupling: Coupling
    ) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Return outer and inner weights, and the gradients in them."""
        outer, inner = self.neuron.split(points)
        residual = self.scale * self.residual(coupling)
        if not isinstance(self.neuron.outer, int):
            residual = residual[:, 0]
        gradients = velocity(
            outer, inner, self.inputs, residual, self.neuron.function, weight=self.data.weight
        )
        return outer, inner, gradients

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "Risk",
            "loss": self.loss.name,
            "scale": self.scale,
            "neuron": self.neuron.describe(),
            "samples": self.data.count,
        }


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

        def fitting(x: np.ndarray) -> np.ndarray:
            if x.shape[1] != len(factor):
                raise InputError(
                    f"The stiffness {factor.tolist()} has {len(factor)} entries, but the domain "
                    f"has {x.shape[1]} axes; give one number an axis."
                )
            return x

        term = cls(
            lambda x: (factor * fitting(x) ** 2).sum(axis=1) / 2,
            lambda x: factor * fitting(x),
            name,
        )
        term._description = {"kind": "Potential", "stiffness": factor.tolist()}
        return term

    def couple(self, measure: Measure) -> Coupling:
        return np.asarray(measure.mass @ self._checked(measure.points, self._value, 1))

    def value(self, coupling: Coupling) -> float:
        return float(coupling)

    def first_variation(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        return self._checked(points, self._value, 1)

    def gradient(self, points: np.ndarray, coupling: Coupling) -> np.ndarray:
        return self._checked(points, self._gradient, 2)

    def _checked(
        self, points: np.ndarray, function: Callable[[np.ndarray], np.ndarray], axes: int
    ) -> np.ndarray:
        values = np.asarray(function(points), dtype=float)
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


def negative_entropy(mass: np.ndarray, volume: np.ndarray) -> float:
    """Return int rho log rho of masses in cells of these volumes, with 0 log 0 = 0."""
    inside = mass > 0
    return float(mass[inside] @ np.log(mass[inside] / volume[inside]))


class Entropy(_Summand):
    """The entropy lambda int rho log rho; its flow is lambda Laplace rho.

    Parameters
    ----------
    temperature
        The factor lambda >= 0.
    """

    def __init__(self, temperature: float) -> None:
        self.name = "entropy"
        self.temperature = check_number("The temperature", temperature, least=0)

    def value(self, measure: GridMeasure) -> float:
        """Return the value for a density that is constant on each cell."""
        return self.temperature * negative_entropy(measure.mass_on_grid, measure.volume)

    def describe(self) -> dict[str, Any]:
        return {"kind": "Entropy", "temperature": self.temperature}


@dataclasses.dataclass(frozen=True, init=False)
class Energy:
    """A sum of terms and internal energies; written `risk + potential + entropy`."""

    terms: tuple[Term, ...]
    internal: tuple[Entropy, ...]

    def __init__(self, *summands: _Summand) -> None:
        for summand in summands:
            if not isinstance(summand, Term | Entropy):
                raise InputError(f"An energy is a sum of terms, and {summand!r} is none.")
        terms = tuple(s for s in summands if isinstance(s, Term))
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "internal", tuple(s for s in summands if isinstance(s, Entropy)))
        names = self.names
        if len(set(names)) != len(names):
            raise InputError(
                f"The terms of an energy are named {', '.join(names)}; give each its own name."
            )
        if not all(name.isidentifier() for name in names) or "total" in names:
            raise InputError(
                f"The terms {', '.join(names)} must be named by single words other than 'total'."
            )

    def __add__(self, other: "_Summand | Energy") -> "Energy":
        more = (*other.terms, *other.internal) if isinstance(other, Energy) else (other,)
        return Energy(*self.terms, *self.internal, *more)

    @property
    def names(self) -> list[str]:
        """Names of all terms, internal ones last."""
        return [s.name for s in (*self.terms, *self.internal)]

    @property
    def temperature(self) -> float:
        """The factor lambda of the entropy, or 0."""
        return sum(s.temperature for s in self.internal)

    @property
    def risk(self) -> Risk | None:
        """The risk, or None."""
        return next((term for term in self.terms if isinstance(term, Risk)), None)

    def couple(self, measure: Measure) -> Couplings:
        """Return the coupling of every term."""
        return {term.name: term.couple(measure) for term in self.terms}

    def values(self, measure: Measure, couplings: Couplings) -> dict[str, float]:
        """Return the value of every term; internal ones are NaN for particles."""
        values = {term.name: term.value(couplings[term.name]) for term in self.terms}
        for entropy in self.internal:
            if entropy.temperature == 0:
                values[entropy.name] = 0.0
            elif isinstance(measure, GridMeasure):
                values[entropy.name] = entropy.value(measure)
            else:
                values[entropy.name] = float("nan")
        return values

    def first_variation(self, points: np.ndarray, couplings: Couplings) -> np.ndarray:
        """Return the first variation g without the entropy, at points (m, D), shape (m,)."""
        total = np.zeros(len(points))
        for term in self.terms:
            total += term.first_variation(points, couplings[term.name])
        return total

    def gradient(self, points: np.ndarray, couplings: Couplings) -> np.ndarray:
        """Return grad g at points (m, D), shape (m, D)."""
        total = np.zeros(points.shape)
        for term in self.terms:
            total += term.gradient(points, couplings[term.name])
        return total

    def dissipation(
        self, measure: Measure, couplings: Couplings, periodic: Sequence[bool]
    ) -> float:
        """Return int |grad (g + lambda log rho)|^2 drho, the rate at which F falls.

        On a grid this is the sum over faces with the logarithmic mean of the two densities; for
        particles at positive temperature, whose density is unknown, it is NaN.

        Parameters
        ----------
        periodic
            For each axis, whether its last cell borders on its first.
        """
        if isinstance(measure, Particles):
            if self.temperature > 0:
                return float("nan")
            return float(measure.mass @ (self.gradient(measure.points, couplings) ** 2).sum(axis=1))
        g = self.first_variation(measure.points, couplings).reshape(measure.shape)
        return face_dissipation(measure, g, self.temperature, periodic)

    def describe(self) -> list[dict[str, Any]]:
        """Return the terms as plain data, for the results file."""
        return [{"name": s.name, **s.describe()} for s in (*self.terms, *self.internal)]
