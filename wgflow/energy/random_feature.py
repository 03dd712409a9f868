"""Random features: units whose inner weights stay where they were drawn."""

import dataclasses
from typing import Any

import numpy as np

from wgflow.errors import InputError
from wgflow.neuron import Neuron


@dataclasses.dataclass(frozen=True)
class RandomFeature(Neuron):
    """A unit of which the outer weights alone are trained, for particles and SGD.

    The gradient of a risk in the inner weights is set to zero, so that its flow is that of the
    outer weights for fixed features (A. Rahimi and B. Recht, Random features for large-scale kernel
    machines, NIPS 2007), and the dissipation is what they dissipate. Noise and the other terms of
    an energy still act on all weights. Grids, on which a first variation moves mass along every
    axis, refuse it. Parameters are those of a `Neuron`.

    Raises
    ------
    InputError
        As for a `Neuron`, or an outer weight that is fixed as well.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outer == "fixed":
            raise InputError(
                "A RandomFeature with outer='fixed' has nothing to train; use outer='weight' or a "
                "number of outputs."
            )

    def pull_back(
        self,
        theta: np.ndarray,
        d_outer: np.ndarray,
        d_inner: np.ndarray,
        inner: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the gradient in theta, (m, D), which is zero in the inner coordinates."""
        gradient = np.zeros_like(theta)
        gradient[:, : self.outer_size] = d_outer.reshape(len(theta), self.outer_size)
        return gradient

    def describe(self) -> dict[str, Any]:
        """Return the neuron as plain data."""
        return {**super().describe(), "trained": "outer"}
