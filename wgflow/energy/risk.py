"""The risk of a mean-field network."""

import functools
from typing import Any

import numpy as np

from wgflow.data import Data
from wgflow.energy.term import Coupling, Term
from wgflow.errors import InputError, check_number
from wgflow.kernels import predict, velocity
from wgflow.loss import Loss, as_loss
from wgflow.measure import Measure
from wgflow.neuron import Neuron


class Risk(Term):
    """The risk of a mean-field network, R(rho) = sum_i c_i loss(f_rho(x_i), y_i).

    Parameters
    ----------
    data
        The sample with its weights c_i.
    neuron
        The unit phi.
    loss
        "half_squared" (|f - y|^2 / 2), "squared" (|f - y|^2), "logistic" (y = -1 or 1) or
        "softmax" (y one-hot).
    scale
        The factor s in f_rho = s int phi drho.

    Raises
    ------
    InputError
        An unknown loss, or data whose columns do not fit the neuron or the loss.
    """

    convex = True

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
        self.loss.check(data.y)
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
