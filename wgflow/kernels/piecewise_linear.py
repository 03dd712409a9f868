"""Exact sums over particles and data in O(m + n), for relu, ramp and linear and few inputs.

A weight w splits the sorted inputs (`wgflow.kernels.sorted_inputs`) at one place for every knot of
the activation. With a_j = mass outer, c_i = weight residual, and sigma(z) = slope z + offset on the
piece where z = w_j . x_i lies,

    f_i = sum_j a_j (slope w_j . x_i + offset)
    u_j = sum_i c_i (slope w_j . x_i + offset),    V_j = sum_i c_i slope x_i

f is a prefix sum over the places of what the particles change there, u and V are differences of
prefix sums of c_i x_i and c_i. A place is found by a table and by signs of z at the inputs beside
it; particles are never sorted.

*Rounding.* Sums are carried with their rounding errors, as if in twice the precision: what remains
is a few 2^-53 of the result, of the two products that z is made of, and 2^-100 of the largest
terms that other inputs see. That is mostly less than the error of the formula in NumPy.

*Ties.* Signs are those of fl(fl(w1 p) + fl(w2 q)). On a line this is monotone in p: every pair is
on the side that it says, z = 0 and the knots of a ramp included, where the derivative is 0. (What
the formula makes of such a pair depends on the order in which BLAS adds, and on whether it rounds
the products.) In the plane that is certain if |z| > 2^-51 (|w1 p| + |w2 q|), or if the products and
their sum are exact (whole numbers, say). A pair nearer to a kink may be taken to be on its other
side, which changes a prediction by rounding, but V_j by a term c_i x_i.

*Bits* do not depend on the number of threads, nor on what was computed before.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wgflow.errors import InputError
from wgflow.kernels import prefix_sums
from wgflow.kernels.activation import Activation, is_named
from wgflow.kernels.arguments import Array
from wgflow.kernels.prefix_sums import RAMP, RELU, RELU_IN_THE_PLANE
from wgflow.kernels.sorted_inputs import Plan, can_be_sorted, plan_for, varying_column

Indices = NDArray[np.int32]

MAXIMUM_DIMENSION = 2
MAXIMUM_OUTPUTS = 16

WORTHWHILE = 400.0
"""m n / (m + n) from which a prediction and a velocity take less time than in the fused kernels.

Measured on one thread for one output: 130 to 200 if the inputs have been sorted before, 240 to 450
if not, for one input and for two, with equal sizes and with one of them 100000.
"""

# Particles are summed in so many parts at most, and no part holds fewer.
_MOST_PARTS = 16
_LEAST_PART = 4096


def supports(activation: Activation, dimension: int, outputs: int) -> bool:
    """Whether there is a kernel: relu or ramp and at most two inputs, or linear."""
    if not is_named(activation) or outputs > MAXIMUM_OUTPUTS:
        return False
    if activation.name == "linear":
        return True
    return activation.name in ("relu", "ramp") and dimension <= MAXIMUM_DIMENSION


def applies(activation: Activation, inputs: NDArray[Any]) -> bool:
    """Whether these inputs allow it, where `supports` holds: an answer for a whole data set, O(n).

    They must be finite; and one of two columns be constant (a bias, say) for a ramp, whose levels
    w . x > t do not go through the origin, so that no order of directions serves them all.
    """
    if activation.name == "linear":
        return True
    return can_be_sorted(inputs) and (
        activation.name == "relu" or varying_column(inputs) is not None
    )


def prepare(inputs: NDArray[Any]) -> Plan:
    """Return the sorted inputs, in O(n log n), which calls below look for by themselves as well.

    The last few are kept and recognised by the values of the inputs, in O(n).

    Parameters
    ----------
    inputs
        (n, 1) or (n, 2).

    Raises
    ------
    InputError
        If there are other than one or two columns, or a NaN or an infinity.
    """
    return plan_for(_double(inputs))


def _double(array: NDArray[Any]) -> Array:
    return np.ascontiguousarray(array, np.float64)


def _settings(activation: Activation, plan: Plan) -> tuple[int, tuple[float, ...]]:
    """Return which sums they are, and t0, t1, v0, slope and rise."""
    if activation.name == "ramp":
        if not plan.on_a_line:
            raise InputError(
                "A ramp of inputs with two columns that vary has no fast sum; use the fused "
                "kernels, or one column with a bias."
            )
        t0, v0, t1, v1 = activation.parameters
        return RAMP, (t0, t1, v0, (v1 - v0) / (t1 - t0), v1 - v0)
    return (RELU if plan.on_a_line else RELU_IN_THE_PLANE), (0.0, 0.0, 0.0, 1.0, 0.0)


def locate(inner: NDArray[Any], activation: Activation, plan: Plan) -> Indices:
    """Return where the knots of each particle lie among the sorted inputs, (m, 1) or (m, 2).

    Both `predict` and `velocity` need it, a third of their time, and compute it if it is not given.

    Parameters
    ----------
    inner
        (m, d).

    Raises
    ------
    InputError
        A ramp where two columns vary.
    """
    kind, (t0, t1, *_) = _settings(activation, plan)
    weights = plan.turned(_double(inner))
    places = np.empty((len(weights), 1 if kind == RELU else 2), np.int32)
    map_to_buckets = (plan.centre, plan.spread, plan.first, plan.scale)
    prefix_sums.find_places(weights, plan.points, plan.table, map_to_buckets, t0, t1, places)
    return places


def _prepared(
    inner: Array, inputs: Array, activation: Activation, plan: Plan | None, places: Indices | None
) -> tuple[Plan, Indices]:
    plan = plan_for(inputs) if plan is None else plan
    if plan.inputs.shape != inputs.shape:
        raise InputError(
            f"The plan is one of inputs of shape {plan.inputs.shape}, but theirs is {inputs.shape}."
        )
    return plan, locate(inner, activation, plan) if places is None else places


def _parts(particles: int, data: int) -> int:
    """Return into how many parts particles go, each of which takes memory and time of O(n)."""
    return max(1, min(_MOST_PARTS, particles // _LEAST_PART, particles // (2 * data)))


def predict(
    outer: NDArray[Any],
    inner: NDArray[Any],
    inputs: NDArray[Any],
    activation: Activation,
    mass: NDArray[Any] | None = None,
    plan: Plan | None = None,
    places: Indices | None = None,
) -> NDArray[Any]:
    """Compute what `wgflow.kernels.reference.predict` does, where `supports` and `applies` hold.

    A NaN or an infinity among the weights makes every prediction NaN that depends on it.

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
    plan, places
        What `prepare` and `locate` return for these inputs and inner weights, to save time.

    Returns
    -------
    (n, k), float32 if all arrays are, otherwise float64

    Raises
    ------
    InputError
        A ramp where two columns vary, inputs that are not finite, or a plan for other inputs.
    """
    dtype = np.result_type(outer, inner, inputs, *([] if mass is None else [mass]))
    outer, inner, inputs = _double(outer), _double(inner), _double(inputs)
    weighted = outer / len(outer) if mass is None else outer * _double(mass)[:, np.newaxis]
    if activation.name == "linear":
        with np.errstate(over="ignore", invalid="ignore"):
            slope = np.einsum("jc,jo->co", inner, weighted)
            return np.einsum("ic,co->io", inputs, slope).astype(dtype, copy=False)
    plan, places = _prepared(inner, inputs, activation, plan, places)
    kind, (t0, _, *values) = _settings(activation, plan)
    # In the first row what is there before the first place, in the last one what all add together.
    rows = 1 + (len(plan.points) + 1) + 1
    added = np.zeros((_parts(len(outer), rows), rows, outer.shape[1], 4))
    prefix_sums.add_particles(kind, weighted, plan.turned(inner), places, t0, *values, added)
    sums, whole = added[0, :-1], added[0, -1]
    prefix_sums.accumulate(sums)
    prediction = np.zeros((len(inputs), outer.shape[1]))
    prefix_sums.evaluate(sums[1:], whole, plan.points, plan.signs, plan.order, prediction)
    return prediction.astype(dtype, copy=False)


def velocity(
    outer: NDArray[Any],
    inner: NDArray[Any],
    inputs: NDArray[Any],
    residual: NDArray[Any],
    activation: Activation,
    weight: NDArray[Any] | None = None,
    plan: Plan | None = None,
    places: Indices | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Compute what `wgflow.kernels.reference.velocity` does, where `supports` and `applies` hold.

    A NaN or an infinity among residual and weight makes all of it NaN that depends on it.

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
    plan, places
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
    if activation.name == "linear":
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = np.einsum("ic,io->co", inputs, c)
            d_outer = np.einsum("jc,co->jo", inner, gradient)
            d_inner = np.einsum("jo,co->jc", outer, gradient)
        return d_outer.astype(dtype, copy=False), d_inner.astype(dtype, copy=False)
    plan, places = _prepared(inner, inputs, activation, plan, places)
    kind, (t0, _, *values) = _settings(activation, plan)
    # Apart for the inputs (p, q) and those that are -(p, q).
    sums = np.zeros(
        (2 if kind == RELU_IN_THE_PLANE else 1, len(plan.points) + 1, outer.shape[1], 4)
    )
    prefix_sums.add_inputs(plan.points, plan.signs, plan.order, c, sums)
    for side in sums:
        prefix_sums.accumulate(side)
    with np.errstate(over="ignore", invalid="ignore"):
        unseen = 0.0 * c.sum(axis=0)
    d_outer, d_weights = np.empty(outer.shape), np.empty((len(inner), 2))
    prefix_sums.gather(
        kind,
        outer,
        plan.turned(inner),
        places,
        sums,
        unseen,
        t0,
        *values,
        d_outer,
        d_weights,
    )
    d_inner = plan.turned_back(d_weights)
    return d_outer.astype(dtype, copy=False), d_inner.astype(dtype, copy=False)
