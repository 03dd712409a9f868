"""Convex losses: value, derivative, second derivative and conjugate, one class a loss.

Predictions f and targets y have shape (n, k); the conjugate is taken in the prediction:
conjugate(p, y) = sup_f <p, f> - loss(f, y). Where no prediction has the residual p, the conjugate
is +inf, save at the boundary of such p; its derivatives are meant for the interior.
"""

from typing import Protocol

import numpy as np
from scipy.special import expit, logit, xlog1py, xlogy

from wgflow.errors import InputError, unknown

# Residuals of the softmax loss sum to zero but for the roundings of their sums.
_SUM_TOLERANCE = 1e-12


class Loss(Protocol):
    """What the energies and the certificate ask of a loss."""

    name: str

    quadratic: bool
    """Whether the residual is affine in the prediction."""

    def check(self, target: np.ndarray) -> None:
        """Raise InputError unless the loss is defined for the targets."""

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

    quadratic = True

    def __init__(self, name: str, curvature: float) -> None:
        self.name, self.curvature = name, curvature

    def check(self, target: np.ndarray) -> None:
        _check_rows(
            self.name,
            target,
            np.isfinite(target).all(axis=1),
            "finite targets",
            "remove or replace that row",
        )

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


class _Logistic:
    """sum_k log(1 + exp(-y_k f_k)) with targets -1 or +1.

    With q = -p y, entry by entry, the conjugate is sum_k q log q + (1 - q) log(1 - q) for q in
    [0, 1] and +inf otherwise. Its derivatives are infinite at q = 0 and 1, and NaN outside.
    """

    name = "logistic"
    quadratic = False

    def check(self, target: np.ndarray) -> None:
        _check_rows(
            self.name,
            target,
            (np.abs(target) == 1).all(axis=1),
            "targets -1 or +1",
            "write the two classes as -1 and +1: 2 * y - 1 where they are 0 and 1",
        )

    def value(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.logaddexp(0.0, -target * prediction).sum(axis=1)

    def derivative(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        return -target * expit(-target * prediction)

    def hessian(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        return _diagonal(expit(prediction) * expit(-prediction))

    def conjugate(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        share = -residual * target
        inside = ((share >= 0) & (share <= 1)).all(axis=1)
        share = np.clip(share, 0.0, 1.0)
        return np.where(
            inside, (xlogy(share, share) + xlog1py(1 - share, -share)).sum(axis=1), np.inf
        )

    def conjugate_derivative(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        return -target * logit(-residual * target)

    def conjugate_hessian(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        share = -residual * target + 0.0  # the inverse of -0.0 has the wrong sign
        share = np.where((share >= 0) & (share <= 1), share, np.nan)
        with np.errstate(divide="ignore"):
            return _diagonal(1 / (share * (1 - share)))


class _Softmax:
    """log sum_k exp(f_k) - <y, f> with one-hot targets, the cross-entropy of the softmax of f.

    A constant added to f changes nothing, so residuals sum to zero and the hessian is singular.
    With q = p + y the conjugate is sum_k q log q for q >= 0 of sum 1 (to 1e-12) and +inf
    otherwise. Its derivative is the prediction of mean zero, its hessian the pseudo-inverse of
    the hessian there; where a q is zero they are infinite or NaN, and outside NaN.
    """

    name = "softmax"
    quadratic = False

    def check(self, target: np.ndarray) -> None:
        if target.shape[1] < 2:
            raise InputError(
                "The loss 'softmax' needs targets with one column for each of two or more classes, "
                f"but y has shape {target.shape}; write class c as row c of numpy.eye(classes), or "
                "use 'logistic' for two classes -1 and +1."
            )
        _check_rows(
            self.name,
            target,
            ((target == 0) | (target == 1)).all(axis=1) & (target.sum(axis=1) == 1),
            "rows with a single 1 and zeros",
            "write class c as row c of numpy.eye(classes)",
        )

    def value(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        margin = prediction - (prediction * target).sum(axis=1, keepdims=True)
        # log1p of all but the largest keeps a small loss to its last digits.
        largest = margin.argmax(axis=1)[:, np.newaxis]
        top = np.take_along_axis(margin, largest, axis=1)
        rest = np.exp(margin - top)
        np.put_along_axis(rest, largest, 0.0, axis=1)
        return top[:, 0] + np.log1p(rest.sum(axis=1))

    def derivative(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        # Share minus 1 would lose a small residual of the right class: it is minus the others.
        others = np.where(target > 0, 0.0, _shares(prediction))
        return others - target * others.sum(axis=1, keepdims=True)

    def hessian(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        share = _shares(prediction)
        # The diagonal s (1 - s) is minus the sum of the others in its row, which cannot cancel.
        identity = np.eye(share.shape[1])
        others = share[:, :, np.newaxis] * share[:, np.newaxis, :] * (1 - identity)
        return identity * others.sum(axis=2, keepdims=True) - others

    def conjugate(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        share = residual + target
        inside = (share >= 0).all(axis=1) & (np.abs(residual.sum(axis=1)) <= _SUM_TOLERANCE)
        right = xlog1py(share, residual)
        terms = np.where(target > 0, right, xlogy(share, share))
        return np.where(inside, terms.sum(axis=1), np.inf)

    def conjugate_derivative(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(target > 0, np.log1p(residual), np.log(residual))
            return np.where(logs == -np.inf, logs, logs - logs.mean(axis=1, keepdims=True))

    def conjugate_hessian(self, residual: np.ndarray, target: np.ndarray) -> np.ndarray:
        # With P the projection to sum zero it is P diag(1 / q) P.
        share = residual + target
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / np.where(share >= 0, share, np.nan)
            mean = inverse.mean(axis=1)[:, np.newaxis, np.newaxis]
            pairs = (inverse[:, :, np.newaxis] + inverse[:, np.newaxis, :] - mean) / share.shape[1]
            return _diagonal(inverse) - pairs


def _shares(prediction: np.ndarray) -> np.ndarray:
    """Return exp(f_k) / sum_j exp(f_j), (n, k)."""
    weight = np.exp(prediction - prediction.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def _diagonal(values: np.ndarray) -> np.ndarray:
    """Return diagonal matrices (n, k, k) of values (n, k), infinite ones too."""
    matrices = np.zeros((*values.shape, values.shape[1]))
    entries = np.arange(values.shape[1])
    matrices[:, entries, entries] = values
    return matrices


def _check_rows(name: str, target: np.ndarray, good: np.ndarray, needed: str, remedy: str) -> None:
    if good.all():
        return
    row = int(np.argmin(good))
    shown = np.array2string(target[row], floatmode="unique", threshold=8, max_line_width=10**6)
    raise InputError(f"The loss '{name}' needs {needed}, but row {row} of y is {shown}; {remedy}.")


LOSSES: dict[str, Loss] = {
    "half_squared": _Quadratic("half_squared", 1.0),
    "squared": _Quadratic("squared", 2.0),
    "logistic": _Logistic(),
    "softmax": _Softmax(),
}


def as_loss(name: str) -> Loss:
    """Return the loss of this name, or raise InputError with the names there are."""
    if not isinstance(name, str) or name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]
