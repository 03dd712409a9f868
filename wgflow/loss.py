"""Convex losses: value, derivative, second derivative and conjugate, one class a loss.

Predictions f and targets y have shape (n, k); the conjugate is taken in the prediction:
conjugate(p, y) = sup_f <p, f> - loss(f, y).
"""

from typing import Protocol

import numpy as np

from wgflow.errors import unknown


class Loss(Protocol):
    """What the energies and the certificate ask of a loss."""

    name: str

    def value(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the loss of each sample, (n,)."""

    def derivative(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the residual p = d loss / d prediction, (n, k)."""

    def hessian(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the second derivative in the prediction, (n, k, k)."""

    def conjugate(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the conjugate of each sample, (n,)."""

    def conjugate_derivative(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the prediction whose residual this is, (n, k)."""

    def conjugate_hessian(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the second derivative of the conjugate, (n, k, k)."""


class _Quadratic:
    """curvature |f - y|^2 / 2."""

    def __init__(self, name: str, curvature: float) -> None:
        self.name, self.curvature = name, curvature

    def value(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        return self.curvature * ((prediction - target) ** 2).sum(axis=1) / 2

    def derivative(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        return self.curvature * (prediction - target)

    def hessian(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        identity = np.eye(prediction.shape[1])
        return np.broadcast_to(self.curvature * identity, (*prediction.shape, len(identity)))

    def conjugate(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        return (residual**2 / (2 * self.curvature) + residual * target).sum(axis=1)

    def conjugate_derivative(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        return target + residual / self.curvature

    def conjugate_hessian(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        return self.hessian(residual, target) / self.curvature**2


LOSSES: dict[str, Loss] = {
    "half_squared": _Quadratic("half_squared", 1.0),
    "squared": _Quadratic("squared", 2.0),
}


def as_loss(name: str) -> Loss:
    """Return the loss of this name, or raise InputError with the names there are."""
    if not isinstance(name, str) or name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]
