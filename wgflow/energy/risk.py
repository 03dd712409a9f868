"""The risk of a mean-field network."""

import functools
from typing import Any

import numpy as np

from wgflow.communicator import ALONE, Communicator
from wgflow.data import Data
from wgflow.device import CPU, Device, on_host
from wgflow.energy.term import Coupling, Term
from wgflow.errors import InputError, check_choice, check_number
from wgflow.kernels import Forward, forward, predict, velocity
from wgflow.loss import Loss, as_loss
from wgflow.measure import Measure
from wgflow.neuron import Neuron

PRECISIONS = {"single": np.float32, "double": np.float64}
"""In which the sums over pairs of a particle and a sample may be taken."""
_CACHES = ("inputs", "_summed_inputs", "_summed_weight", "_pass")


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

    Attributes
    ----------
    precision
        "double", or "single" where the sums over pairs of a particle and a sample are taken in
        float32; what goes in and comes out is float64 in either case.

    Raises
    ------
    InputError
        An unknown loss, or data whose columns do not fit the neuron or the loss.
    """

    convex = True
    is_risk = True
    precision = "double"
    _device: Device = CPU
    _pass: tuple[np.ndarray, Forward] | None = None

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

    @functools.cached_property
    def _summed_inputs(self) -> np.ndarray:
        return self._placed(self.inputs)

    @functools.cached_property
    def _summed_weight(self) -> np.ndarray | None:
        return None if self.data.weight is None else self._placed(self.data.weight)

    def _rounded(self, array: np.ndarray) -> np.ndarray:
        """Return the array in the precision of sums over pairs."""
        return array.astype(PRECISIONS[self.precision], copy=False)

    def _placed(self, array: np.ndarray) -> np.ndarray:
        """Return an array of the host in that precision, where the particles are."""
        placed: np.ndarray = self._device.put(self._rounded(array))
        return placed

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes without what is computed from them."""
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def _copy(self) -> "Risk":
        risk = object.__new__(Risk)
        risk.__dict__.update(self.__getstate__())
        return risk

    def on(self, data: Data) -> "Risk":
        """Return the risk on other data, a minibatch say."""
        risk = self._copy()
        risk.data = data
        return risk

    def in_precision(self, precision: str) -> "Risk":
        """Return the risk with its sums over pairs in "single" or "double" precision.

        It is the risk itself where that is its precision, and a copy otherwise.

        Raises
        ------
        InputError
            Another precision.
        """
        check_choice("The precision of a risk", precision, PRECISIONS)
        if precision == self.precision:
            return self
        risk = self._copy()
        risk.precision = precision
        return risk

    def on_device(self, device: Device) -> "Risk":
        if device is self._device:
            return self
        risk = self._copy()
        risk._device = device
        return risk

    def predict(self, measure: Measure, x: np.ndarray) -> np.ndarray:
        """Return the predictions f_rho at other inputs x (n, d), shape (n, k)."""
        outer, inner = map(self._rounded, self.neuron.split(measure.points))
        inputs, mass = self._placed(self.neuron.inputs(x)), self._placed(measure.mass)
        summed = on_host(predict(outer, inner, inputs, self.neuron.function, mass=mass))
        return self.scale * summed.reshape(len(x), -1).astype(float, copy=False)

    def couple(self, measure: Measure, communicator: Communicator = ALONE) -> Coupling:
        self._pass = None  # Its memory is used again.
        # What is kept must not change with the caller's array.
        points = measure.points.copy()
        outer, inner = map(self._rounded, self.neuron.split(points))
        computed = forward(
            outer,
            inner,
            self._summed_inputs,
            self.neuron.function,
            mass=self._placed(measure.mass),
        )
        if computed.keeps:
            self._pass = points, computed
        summed = communicator.sum(on_host(computed.prediction).astype(float, copy=False))
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
        residual = self._placed(self.scale * self.residual(coupling))
        if not isinstance(self.neuron.outer, int):
            residual = residual[:, 0]
        # The last coupling most often was computed at the same points, which costs nothing to see.
        # Read once: another thread may couple the same risk meanwhile.
        kept = self._pass
        if kept is not None and np.array_equal(kept[0], points):
            gradients = kept[1].velocity(residual, self._summed_weight)
        else:
            gradients = velocity(
                self._rounded(outer),
                self._rounded(inner),
                self._summed_inputs,
                residual,
                self.neuron.function,
                weight=self._summed_weight,
            )
        d_outer, d_inner = (part.astype(float, copy=False) for part in gradients)
        return outer, inner, (d_outer, d_inner)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "Risk",
            "loss": self.loss.name,
            "scale": self.scale,
            "neuron": self.neuron.describe(),
            "samples": self.data.count,
        }
