"""Approximate sums over particles and data for smooth activations of inputs on a line.

With inputs (x, c), c constant, a prediction f(x) = sum_j a_j sigma(w_j1 x + w_j2 c) is a smooth
function of x alone, which Chebyshev interpolation on panels of half-width h, max |w_j1| h <= OMEGA,
follows to a tolerance. Predictions at its nodes and gradients from there come from the fused
kernels, so the time is O(m nodes + n) instead of O(m n). Particles go in groups by the size of
|w_j1|, each with its own panels; a group whose panels would need about as many nodes as there are
data is summed exactly.

    F = Phi a at the nodes,   f = L F,   R = L^T r,   (u, V) = the exact velocity for (nodes, R)

so the velocity is the gradient of the approximate prediction, and a flow descends the approximate
energy. Panels change when a weight passes a power of two, which moves predictions within the
tolerance.

*Error.* |f_i - exact| <= tolerance sum_j |a_j|, mass included, beside rounding: a panel has so many
nodes that one unit sigma(w x + b) is met to half the tolerance for every b and |w| h <= OMEGA, as
measured on a grid of b and x. Errors of many units rarely add up: with 100000 particles they were
less than a thousandth of that.

Source: Trefethen, Approximation Theory and Approximation Practice, SIAM 2013, chapters 3 and 8.
"""

import functools
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wgflow.errors import InputError, check_number
from wgflow.kernels import fused
from wgflow.kernels.activation import Activation
from wgflow.kernels.arguments import Array
from wgflow.kernels.chebyshev import coefficients_from_values, evaluate, find_moments, nodes
from wgflow.kernels.sorted_inputs import Plan, can_be_sorted, plan_for, varying_column

SMOOTH = ("tanh", "sigmoid", "softplus", "erf")

WORTHWHILE = 2.5
"""Data per node from which interpolation takes less time than the exact sum."""

OMEGA = 2.8
"""Largest |w| h; half of it takes more than half of the nodes a panel, and twice nearly twice."""

# What applying an interpolation to one input costs, in evaluations of a unit.
_APPLICATION = 10.0
# Sizes of |w| above the least one, by powers of two, that are told apart.
_MOST_LEVELS = 200


@dataclass(frozen=True, eq=False)
class _Panels:
    """Panels with data: the first datum of each and the end, and their centres."""

    starts: NDArray[np.int64]
    centres: Array
    half_width: float


def supports(activation: Activation, dimension: int, outputs: int) -> bool:
    """Whether there is an approximate sum: a smooth named activation, one or two inputs."""
    return (
        dimension <= 2
        and activation.name in SMOOTH
        and fused.supports(activation, dimension, outputs)
    )


def applies(inputs: NDArray[Any]) -> bool:
    """Whether the inputs are finite and one column at most varies; where `supports` holds."""
    return can_be_sorted(inputs) and varying_column(inputs) is not None


def unit_error(activation: Activation, omega: float, count: int) -> float:
    """Return the largest error of interpolating s -> sigma(omega s + b) on [-1, 1], over all b."""
    shift = np.linspace(-omega - 6.0, omega + 6.0, 121)[:, np.newaxis]
    s = np.cos(np.linspace(0.0, math.pi, 6 * count + 1))
    matrix = np.polynomial.chebyshev.chebvander(s, count - 1) @ coefficients_from_values(count)
    at_nodes = activation.value(omega * nodes(count) + shift)
    return float(np.max(np.abs(at_nodes @ matrix.T - activation.value(omega * s + shift))))


@functools.lru_cache(maxsize=64)
def node_count(activation: Activation, tolerance: float) -> int:
    """Return how many nodes a panel needs for half the tolerance at weights |w| h <= OMEGA.

    That is 2 to 64 nodes for the smooth activations and tolerances of at least 1e-12.
    """
    count = 2
    while unit_error(activation, OMEGA, count) > 0.5 * tolerance:
        count += 1
    return count


_known: weakref.WeakKeyDictionary[Plan, dict[float, _Panels]] = weakref.WeakKeyDictionary()


def _panels(plan: Plan, half_width: float) -> _Panels:
    """Return the panels of that half-width from the first point on, without the empty ones."""
    known = _known.setdefault(plan, {})
    if half_width not in known:
        x = plan.points[:, 0]
        number = np.floor((x - x[0]) / (2.0 * half_width))
        first = np.flatnonzero(np.diff(number, prepend=-1.0))
        centres = x[0] + (2.0 * number[first] + 1.0) * half_width
        known[half_width] = _Panels(np.append(first, len(x)), centres, half_width)
    return known[half_width]


@dataclass(frozen=True)
class _Sums:
    """The inputs and the resolution of one call, and the groups of its particles."""

    plan: Plan
    count: int

    @classmethod
    def of(
        cls, inputs: Array, activation: Activation, tolerance: float, plan: Plan | None
    ) -> "_Sums":
        tolerance = check_number("The tolerance of a sum", tolerance, least=1e-12, most=0.1)
        if activation.name not in SMOOTH:
            raise InputError(
                f"A sum is approximated for {', '.join(SMOOTH)}, but not for {activation!r}; use "
                "the exact one."
            )
        plan = plan_for(inputs) if plan is None else plan
        if not plan.on_a_line or plan.inputs.shape != inputs.shape:
            raise InputError(
                f"A sum over inputs of shape {inputs.shape} is approximated if one column varies "
                "and the plan is one of these inputs; use the exact sum."
            )
        return cls(plan, node_count(activation, tolerance))

    def groups(self, slope: Array) -> Iterator[tuple[Any, _Panels | None]]:
        """Yield which particles have which panels, or None for those to be summed exactly."""
        x, data = self.plan.points[:, 0], len(self.plan.points)
        width = float(x[-1] - x[0])
        # |w| <= 2^level; one panel serves the lowest one and all below.
        lowest = math.floor(math.log2(2.0 * OMEGA / width)) if 1e-200 < width < 1e200 else 0
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.ceil(np.log2(np.abs(slope)))
        level = np.clip(np.where(np.isnan(level), np.inf, level) - lowest, 0.0, _MOST_LEVELS)
        whole = level.astype(np.int64)
        counts = np.bincount(whole)
        found: list[int] = np.flatnonzero(counts).tolist()
        done, gathered = -1, 0
        for own, following in zip(found, [*found[1:], -1], strict=True):
            if own == _MOST_LEVELS:
                break
            panels = _panels(self.plan, OMEGA * 2.0 ** -(own + lowest))
            size = self.count * len(panels.centres)
            if WORTHWHILE * size > data:
                break
            gathered += int(counts[own])
            # Fewer nodes for these, or one application less by joining the next ones.
            after = min(data, size * 2 ** (following - own)) if following > 0 else math.inf
            if gathered * (after - size) < _APPLICATION * data:
                continue
            yield self._members(whole, done, own), panels
            done, gathered = own, 0
        if found[-1] > done:
            yield self._members(whole, done, found[-1]), None

    @staticmethod
    def _members(level: NDArray[np.int64], above: int, most: int) -> Any:
        chosen = (level > above) & (level <= most)
        return slice(None) if chosen.all() else chosen

    def at_nodes(self, panels: _Panels) -> Array:
        """Return the nodes of all panels as inputs (nodes, 2)."""
        x = panels.centres[:, np.newaxis] + panels.half_width * nodes(self.count)
        return np.column_stack([x.ravel(), np.ones(x.size)])


def _double(array: NDArray[Any]) -> Array:
    return np.ascontiguousarray(array, np.float64)


def predict(
    outer: NDArray[Any],
    inner: NDArray[Any],
    inputs: NDArray[Any],
    activation: Activation,
    mass: NDArray[Any] | None = None,
    *,
    tolerance: float,
    plan: Plan | None = None,
) -> NDArray[Any]:
    """Approximate `wgflow.kernels.reference.predict` where `supports` and `applies` hold.

    Parameters
    ----------
    outer
        (m, k).
    inner
        (m, d).
    inputs
        (n, d).
    mass
        (m,) or None.
    tolerance
        Largest error of a prediction, relative to sum_j |mass_j outer_j|; 1e-12 to 0.1.
    plan
        What `wgflow.kernels.sorted_inputs.prepare` returns for these inputs, to save time.

    Returns
    -------
    (n, k), float32 if all arrays are, otherwise float64

    Raises
    ------
    InputError
        Another activation, inputs of which two columns vary or that are not finite, a plan for
        other inputs, or a tolerance out of range.
    """
    dtype = np.result_type(outer, inner, inputs, *([] if mass is None else [mass]))
    outer, inner, inputs = _double(outer), _double(inner), _double(inputs)
    sums = _Sums.of(inputs, activation, tolerance, plan)
    weights = sums.plan.turned(inner)
    share = np.full(len(outer), 1.0 / len(outer)) if mass is None else _double(mass)
    values = np.zeros((len(inputs), outer.shape[1]))
    for own, panels in sums.groups(weights[:, 0]):
        part = outer[own], weights[own]
        if panels is None:
            values += fused.predict(*part, sums.plan.points, activation, share[own])
            continue
        at_nodes = fused.predict(*part, sums.at_nodes(panels), activation, share[own])
        series = np.einsum(
            "cq,pqo->pco",
            coefficients_from_values(sums.count),
            at_nodes.reshape(len(panels.centres), sums.count, -1),
        )
        evaluate(series, panels.starts, panels.centres, panels.half_width, sums.plan.points, values)
    prediction = np.empty_like(values)
    prediction[sums.plan.order] = values
    return prediction.astype(dtype, copy=False)


def velocity(
    outer: NDArray[Any],
    inner: NDArray[Any],
    inputs: NDArray[Any],
    residual: NDArray[Any],
    activation: Activation,
    weight: NDArray[Any] | None = None,
    *,
    tolerance: float,
    plan: Plan | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the gradient of what `predict` returns, as `wgflow.kernels.reference.velocity` does.

    The part in the outer weights has the error of a prediction, relative to the sum of
    |weight_i residual_i|; that in the inner ones about ten times as much (measured, for inputs
    and weights of order one), as the derivative of an approximation has.

    Parameters
    ----------
    outer
        (m, k).
    inner
        (m, d).
    inputs
        (n, d).
    residual
        (n, k).
    weight
        (n,) or None.
    tolerance, plan
        As in `predict`.

    Returns
    -------
    (m, k) and (m, d), float32 if all arrays are, otherwise float64

    Raises
    ------
    InputError
        As in `predict`.
    """
    dtype = np.result_type(outer, inner, inputs, residual, *([] if weight is None else [weight]))
    outer, inner, inputs, residual = (_double(a) for a in (outer, inner, inputs, residual))
    c = residual / len(residual) if weight is None else residual * _double(weight)[:, np.newaxis]
    sums = _Sums.of(inputs, activation, tolerance, plan)
    weights, points = sums.plan.turned(inner), sums.plan.points
    c = c[sums.plan.order]
    d_outer, d_weights = np.empty(outer.shape), np.empty((len(inner), 2))
    for own, panels in sums.groups(weights[:, 0]):
        places, at_places = points, c
        if panels is not None:
            moments = np.zeros((len(panels.centres), sums.count, outer.shape[1]))
            find_moments(c, panels.starts, panels.centres, panels.half_width, points, moments)
            places = sums.at_nodes(panels)
            matrix = coefficients_from_values(sums.count)
            at_places = np.einsum("cq,pco->pqo", matrix, moments).reshape(len(places), -1)
        d_outer[own], d_weights[own] = fused.velocity(
            outer[own], weights[own], places, at_places, activation, np.ones(len(places))
        )
    d_inner = sums.plan.turned_back(d_weights)
    return d_outer.astype(dtype, copy=False), d_inner.astype(dtype, copy=False)
