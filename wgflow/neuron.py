"""How a parameter theta becomes a unit phi(theta; x) = outer * activation(<inner, x>).

A parameter holds the outer weights first (none, one, or one an output), then the coordinates of
the inner weights in a chart: the weights themselves, or an angle on the unit circle.
"""

import dataclasses
from typing import Any

import numpy as np

from wgflow.errors import InputError, check_choice, check_count, check_flag
from wgflow.kernels.activation import Activation, as_activation


@dataclasses.dataclass(frozen=True)
class Neuron:
    """A unit of a two-layer network.

    Parameters
    ----------
    activation
        The name of one of the eight built in, or an `Activation` of one's own.
    outer
        "weight": one trained outer weight; "fixed": the outer weight is 1 and not trained; a
        whole number k: one trained outer weight for each of k outputs.
    bias
        Whether a constant 1 is appended to the inputs.
    chart
        "euclidean": the inner weights are coordinates themselves; "circle": there are two inner
        weights, (cos v, sin v), and the coordinate is the angle v.

    Raises
    ------
    InputError
        A setting that is not among those above.
    """

    activation: str | Activation = "tanh"
    outer: str | int = "weight"
    bias: bool = False
    chart: str = "euclidean"

    def __post_init__(self) -> None:
        as_activation(self.activation)
        if isinstance(self.outer, str):
            check_choice("The outer weight of a neuron", self.outer, ("weight", "fixed"))
        else:
            outer = check_count("The number of outer weights of a neuron", self.outer)
            object.__setattr__(self, "outer", outer)
        check_flag("The bias of a neuron", self.bias)
        check_choice("The chart of a neuron", self.chart, ("euclidean", "circle"))

    @property
    def function(self) -> Activation:
        """The activation itself."""
        return as_activation(self.activation)

    @property
    def outputs(self) -> int:
        """Number of outputs k."""
        return self.outer if isinstance(self.outer, int) else 1

    @property
    def outer_size(self) -> int:
        """Number of coordinates that are outer weights."""
        return 0 if self.outer == "fixed" else self.outputs

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Return the inputs of the inner product, (n, d) or with the constant 1, (n, d + 1)."""
        return np.column_stack([x, np.ones(len(x))]) if self.bias else x

    def dimension(self, inputs: int) -> int:
        """Return the number of coordinates of theta for data with `inputs` columns.

        Raises
        ------
        InputError
            The circle chart with other than two inner weights.
        """
        inner = inputs + self.bias
        if self.chart == "circle":
            if inner != 2:
                raise InputError(
                    f"The circle chart has two inner weights, but the data give {inner} (columns "
                    "of x and the bias); use one column with a bias or two without."
                )
            inner = 1
        return self.outer_size + inner

    def inner(self, coordinates: np.ndarray) -> np.ndarray:
        """Return inner weights (m, d) from their chart coordinates."""
        if self.chart == "circle":
            return np.concatenate([np.cos(coordinates), np.sin(coordinates)], axis=1)
        return coordinates

    def pull_back_inner(self, inner: np.ndarray, d_inner: np.ndarray) -> np.ndarray:
        """Return gradients in the chart from those in the inner weights, (..., m, d).

        Parameters
        ----------
        inner
            The inner weights themselves, (m, d); on the circle (cos v, sin v).
        """
        if self.chart == "circle":
            cosine, sine = inner[:, 0], inner[:, 1]
            return (cosine * d_inner[..., 1] - sine * d_inner[..., 0])[..., np.newaxis]
        return d_inner

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return outer weights (m,) or (m, k), and inner weights (m, d), of parameters (m, D)."""
        size = self.outer_size
        if size == 0:
            outer = np.ones_like(theta[:, 0])
        else:
            outer = theta[:, :size] if isinstance(self.outer, int) else theta[:, 0]
        return outer, self.inner(theta[:, size:])

    def pull_back(
        self,
        theta: np.ndarray,
        d_outer: np.ndarray,
        d_inner: np.ndarray,
        inner: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the gradient in theta, (m, D), from those in the outer and inner weights.

        Parameters
        ----------
        inner
            The inner weights that `split` gave, to spare computing them again.
        """
        size = self.outer_size
        inner = self.inner(theta[:, size:]) if inner is None else inner
        d_chart = self.pull_back_inner(inner, d_inner)
        if size == 0:
            return d_chart
        return np.concatenate([d_outer.reshape(len(theta), size), d_chart], axis=1)

    def describe(self) -> dict[str, Any]:
        """Return the neuron as plain data; an activation of one's own only by the word "own"."""
        function = self.function
        return {
            "activation": function.name or "own",
            "activation_parameters": list(function.parameters),
            "outer": self.outer,
            "bias": self.bias,
            "chart": self.chart,
        }
