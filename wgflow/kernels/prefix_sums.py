"""Compiled parts of the sums over particles and data in O(m + n), for piecewise linear activations.

Of m particles each adds a linear function of the input at a place among the sorted inputs, and
takes it away at another; sums of such changes over all places before an input are its prediction.
Velocities are differences of such sums over the data. Arrays of sums end in four numbers, the
factors of p and of q and what rounding took away from both (Knuth's two-sum), so that nothing is
left of what is added and taken away again, to about 2^-100 of it. For inputs on a line q is 1.

Every number is summed by one thread in an order that depends on sizes only.
"""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from wgflow.kernels import waiting  # noqa: F401 (for its effect)
from wgflow.kernels.arguments import Array

Indices = NDArray[np.int32]

# Which of the sums: a relu of inputs on a line, or in the plane, or a ramp on a line.
RELU, RELU_IN_THE_PLANE, RAMP = range(3)

# Rows whose prefix sums one thread takes at a time, and particles whose places it finds.
_BLOCK = 2048
_TILE = 256

# No fast mathematics: it would cancel the errors that two-sum recovers.
_PARALLEL: dict[str, Any] = {"parallel": True, "cache": True, "error_model": "numpy"}
_small = njit(error_model="numpy", forceinline=True)


@_small
def _rises(w1: float, w2: float) -> bool:
    """Whether z grows along the sorted inputs."""
    return w1 > 0.0 or (w1 == 0.0 and w2 < 0.0)


@_small
def _above(w1: float, w2: float, points: Array, i: int, t: float, knot: int) -> bool:
    """Whether z > t, or z >= t at the second knot."""
    z = w1 * points[i, 0] + w2 * points[i, 1]
    return z >= t if knot == 1 else z > t


@_small
def _place(w1: float, w2: float, points: Array, low: int, high: int, t: float, knot: int) -> int:
    """Return how many inputs come before the first on the other side, probably in low .. high."""
    rising = _rises(w1, w2)
    # Rounding, or a large group of equal inputs, may have put it elsewhere.
    step = 1
    while low > 0 and _above(w1, w2, points, low - 1, t, knot) == rising:
        high = low - 1
        low = max(high - step, 0)
        step *= 2
    step = 1
    while high < len(points) and _above(w1, w2, points, high, t, knot) != rising:
        low = high + 1
        high = min(low + step, len(points))
        step *= 2
    while low < high:
        middle = (low + high) // 2
        if _above(w1, w2, points, middle, t, knot) == rising:
            high = middle
        else:
            low = middle + 1
    return low


@njit(error_model="numpy")
def _find_part(
    weights: Array,
    points: Array,
    table: Indices,
    map_to_buckets: tuple[float, float, float, float],
    knot: int,
    t: float,
    places: Indices,
) -> None:
    centre, spread, first, scale = map_to_buckets
    inverse, last = 1.0 / spread, float(len(table) - 2)
    buckets = np.empty(len(weights), np.int32)
    # By itself, for a loop without branches.
    for j in range(len(weights)):
        u = ((t - weights[j, 1]) / weights[j, 0] - centre) * inverse
        h = 1.0 - 1.0 / (1.0 + abs(u))
        position = ((h if u > 0.0 else -h) - first) * scale
        # In this order, so that NaN goes to the first bucket.
        buckets[j] = int(min(position if position > 0.0 else 0.0, last))
    for j in range(len(weights)):
        low, high = table[buckets[j]], table[buckets[j] + 1]
        places[j, knot] = _place(weights[j, 0], weights[j, 1], points, low, high, t, knot)


@njit(**_PARALLEL)
def find_places(
    weights: Array,
    points: Array,
    table: Indices,
    map_to_buckets: tuple[float, float, float, float],
    t0: float,
    t1: float,
    places: Indices,
) -> None:
    """Fill in where the sorted inputs change over to the other side of a knot.

    places[j, 0] is the number of inputs before the first on the other side of z > t0, and
    places[j, 1] of z >= t1. The side above is behind the place if z rises along the inputs.
    `map_to_buckets` is centre, spread, first and scale of a `wgflow.kernels.sorted_inputs.Plan`.
    """
    for tile in prange((len(weights) + _TILE - 1) // _TILE):
        own = slice(tile * _TILE, min((tile + 1) * _TILE, len(weights)))
        for knot in range(places.shape[1]):
            _find_part(
                weights[own],
                points,
                table,
                map_to_buckets,
                knot,
                t1 if knot == 1 else t0,
                places[own],
            )


# Sums are kept in four numbers: those of the factors of p and of q (or 1), and their errors.
@_small
def _add(sums: Array, i: int, o: int, first: float, second: float) -> None:
    for c in range(2):
        term = second if c == 1 else first
        old = sums[i, o, c]
        new = old + term
        part = new - old
        sums[i, o, c] = new
        sums[i, o, c + 2] += (old - (new - part)) + (term - part)


@_small
def _add_sums(sums: Array, i: int, others: Array, k: int) -> None:
    for o in range(sums.shape[1]):
        _add(sums, i, o, others[k, o, 0], others[k, o, 1])
        sums[i, o, 2] += others[k, o, 2]
        sums[i, o, 3] += others[k, o, 3]


@njit(error_model="numpy")
def _add_part(
    kind: int,
    outer: Array,
    weights: Array,
    places: Indices,
    begin: int,
    end: int,
    t0: float,
    v0: float,
    slope: float,
    rise: float,
    added: Array,
) -> None:
    """Add what particles begin .. end - 1 change at each place.

    The first row is what is there before the first place, the last one what is there if every
    particle adds its slope everywhere; row i + 1 belongs to place i.
    """
    every = len(added) - 1
    for j in range(begin, end):
        w1, w2 = weights[j, 0], weights[j, 1]
        rising = _rises(w1, w2)
        place, final = places[j, 0] + 1, places[j, -1] + 1
        for o in range(outer.shape[1]):
            a = slope * outer[j, o]
            b1, b2 = a * w1, a * (w2 - t0)
            _add(added, every, o, b1, b2)
            if kind == RAMP:
                top = rise * outer[j, o]
                _add(added, 0, o, 0.0, v0 * outer[j, o])
                _add(added, final if rising else 0, o, 0.0, top)
                if place != final:
                    _add(added, place if rising else final, o, b1, b2)
                    _add(added, final if rising else place, o, -b1, -b2)
                if not rising:
                    _add(added, final, o, 0.0, -top)
            else:
                _add(added, place if rising else 0, o, b1, b2)
                if not rising:
                    _add(added, place, o, -b1, -b2)


@njit(**_PARALLEL)
def add_particles(
    kind: int,
    outer: Array,
    weights: Array,
    places: Indices,
    t0: float,
    v0: float,
    slope: float,
    rise: float,
    added: Array,
) -> None:
    """Add what particles change at each place, (parts, places, k, 4), and gather it in part 0."""
    parts, particles = len(added), len(weights)
    for part in prange(parts):
        begin, end = part * particles // parts, (part + 1) * particles // parts
        _add_part(kind, outer, weights, places, begin, end, t0, v0, slope, rise, added[part])
    if parts > 1:
        for i in prange(added.shape[1]):
            for part in range(1, parts):
                _add_sums(added[0], i, added[part], i)


@njit(error_model="numpy")
def _run(sums: Array, begin: int, end: int) -> None:
    for i in range(begin + 1, end):
        _add_sums(sums, i, sums, i - 1)


@njit(**_PARALLEL)
def accumulate(sums: Array) -> None:
    """Replace rows by the sums of all rows up to each, (rows, k, 4)."""
    rows = len(sums)
    blocks = (rows + _BLOCK - 1) // _BLOCK
    for block in prange(blocks):
        _run(sums, block * _BLOCK, min((block + 1) * _BLOCK, rows))
    before = np.zeros((blocks, sums.shape[1], 4))
    for block in range(1, blocks):
        _add_sums(before, block, sums, block * _BLOCK - 1)
        _add_sums(before, block, before, block - 1)
    for block in prange(1, blocks):
        for i in range(block * _BLOCK, min((block + 1) * _BLOCK, rows)):
            _add_sums(sums, i, before, block)


@njit(**_PARALLEL)
def evaluate(
    sums: Array, every: Array, points: Array, signs: Array, order: Indices, prediction: Array
) -> None:
    """Fill in predictions (n, k) at the sorted inputs, from the sums of what there is (s, k, 4)."""
    for i in prange(len(points)):
        for o in range(prediction.shape[1]):
            b1, b2 = sums[i, o, 0] + sums[i, o, 2], sums[i, o, 1] + sums[i, o, 3]
            if signs[i] < 0.0:
                # x = -(p, q) is on the other side of every kink.
                b1 = (sums[i, o, 0] - every[o, 0]) + (sums[i, o, 2] - every[o, 2])
                b2 = (sums[i, o, 1] - every[o, 1]) + (sums[i, o, 3] - every[o, 3])
            prediction[order[i], o] = b1 * points[i, 0] + b2 * points[i, 1]
    # A particle with a NaN or an infinity is seen by every input.
    for o in range(prediction.shape[1]):
        unseen = 0.0 * (every[o, 0] + every[o, 1])
        for i in range(len(prediction)):
            prediction[i, o] += unseen


@njit(**_PARALLEL)
def add_inputs(points: Array, signs: Array, order: Indices, residual: Array, sums: Array) -> None:
    """Fill in c_i (p, q) behind each place, (sides, s + 1, k, 4), of x = (p, q) and -(p, q)."""
    for i in prange(len(points)):
        side = 1 if signs[i] < 0.0 else 0
        for o in range(residual.shape[1]):
            c = signs[i] * residual[order[i], o]
            sums[side, i + 1, o, 0] = c * points[i, 0]
            sums[side, i + 1, o, 1] = c * points[i, 1]


@_small
def _between(sums: Array, low: int, high: int, o: int, c: int) -> float:
    """Return the sum over the inputs low <= i < high."""
    return (sums[high, o, c] - sums[low, o, c]) + (sums[high, o, c + 2] - sums[low, o, c + 2])


@njit(**_PARALLEL)
def gather(
    kind: int,
    outer: Array,
    weights: Array,
    places: Indices,
    sums: Array,
    unseen: Array,
    t0: float,
    v0: float,
    slope: float,
    rise: float,
    d_outer: Array,
    d_weights: Array,
) -> None:
    """Fill in the gradients from the sums of c_i (p, q) before each place, (sides, s + 1, k, 4).

    `unseen` (k,) is added to every sum: NaN where a residual is not finite.
    """
    count = sums.shape[1] - 1
    for j in prange(len(weights)):
        w1, w2 = weights[j, 0], weights[j, 1]
        rising = _rises(w1, w2)
        place, final = places[j, 0], places[j, -1]
        # The inputs above the first knot, or between the knots, and those above the second.
        low, high = (place, count) if rising else (0, place)
        above, end = (final, count) if rising else (0, final)
        if kind == RAMP:
            low, high = (place, final) if rising else (final, place)
        g1 = g2 = 0.0
        for o in range(outer.shape[1]):
            v1 = _between(sums[0], low, high, o, 0)
            v2 = _between(sums[0], low, high, o, 1)
            u = 0.0
            if kind == RAMP:
                u = v0 * sums[0, count, o, 1] + rise * _between(sums[0], above, end, o, 1)
            elif kind == RELU_IN_THE_PLANE:
                # x = -(p, q) is above zero if (p, q) is not.
                below, end = (0, final) if rising else (final, count)
                v1 += _between(sums[1], below, end, o, 0)
                v2 += _between(sums[1], below, end, o, 1)
            v1, v2 = slope * v1 + unseen[o], slope * v2 + unseen[o]
            d_outer[j, o] = u + w1 * v1 + (w2 - t0) * v2
            g1 += outer[j, o] * v1
            g2 += outer[j, o] * v2
        d_weights[j, 0], d_weights[j, 1] = g1, g2
