"""Kernels for a graphics card: sums over particles and data, activations, and normals.

A kernel is built for an activation, numbers of inputs and outputs, and the type `real` of all its
numbers, which it closes over: loops up to them have constant length, so that short arrays become
registers. Every number in a kernel goes through `real`, since a bare one has 64 bits and would
give them to the arithmetic of 32 bits around it.

In a sum over pairs a thread has a few results in registers and goes through all terms of its part,
which its block loads tile by tile into shared memory; so each result is summed from first to last,
in parts that depend on sizes only, and its bits do not depend on the schedule of the card.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba.cuda
import numpy as np

from wgflow.kernels.philox import LANES, words

# Their annotations describe the host's side, not what a kernel sees, and not all settings.
cuda: Any = numba.cuda
config: Any = numba.config
# Numba would warn of every grid that does not fill a card, but small problems are no mistake.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

THREADS = 128
"""Threads of a block; they share a tile of as many terms."""
BLOCKS = 1024
"""Blocks that fill a card: fewer results than that are summed in parts, side by side."""
MOST_RESULTS = 4
"""Results of a thread: each number that it reads from a tile serves so many pairs."""
REGISTERS = 96
"""Registers of 32 bits that they may take; a thread has 255."""

Array = Any
"""An array on the card, or in NumPy for the simulator."""
Knots = tuple[Any, Any, Any, Any]
Kernel = Any


def results_a_thread(dimension: int, outputs: int, real: Any) -> int:
    """Return how many results a thread has; those of a velocity need the most registers."""
    registers = 2 * (dimension + outputs) * (real(0).itemsize // 4)
    return max(1, min(MOST_RESULTS, REGISTERS // registers))


def parts(results: int, terms: int, results_a_block: int) -> tuple[int, int, int]:
    """Return the blocks for all results, the parts of each sum, and the tiles of a part."""
    blocks, tiles = -(-results // results_a_block), -(-terms // THREADS)
    length = -(-tiles // min(tiles, max(1, BLOCKS // blocks)))
    return blocks, -(-tiles // length), length


@cache
def activation(name: str, real: Any) -> Callable[[Any, Knots], tuple[Any, Any]]:
    """Build the function of z, and of the knots of a ramp, that returns sigma(z) and sigma'(z).

    There are comparisons where min and max would do, because these lose NaN on a card.
    """
    zero, one, two, two_over_root_pi = map(real, (0, 1, 2, 2 / math.sqrt(math.pi)))

    def relu(z: Any, knots: Knots) -> tuple[Any, Any]:
        return (zero, zero) if z <= zero else (z, one)

    def tanh(z: Any, knots: Knots) -> tuple[Any, Any]:
        s = math.tanh(z)
        return s, one - s * s

    def sigmoid(z: Any, knots: Knots) -> tuple[Any, Any]:
        e = math.exp(-abs(z))
        return (e if z < zero else one) / (one + e), e / ((one + e) * (one + e))

    def softplus(z: Any, knots: Knots) -> tuple[Any, Any]:
        e = math.exp(-abs(z))
        positive = zero if z < zero else z
        return positive + math.log1p(e), (e if z < zero else one) / (one + e)

    def erf(z: Any, knots: Knots) -> tuple[Any, Any]:
        return math.erf(z), two_over_root_pi * math.exp(-z * z)

    def ramp(z: Any, knots: Knots) -> tuple[Any, Any]:
        t0, v0, t1, v1 = knots
        slope = (v1 - v0) / (t1 - t0)
        within = t0 if z < t0 else (t1 if z > t1 else z)
        return v0 + slope * (within - t0), slope if z > t0 and z < t1 else zero

    def quadratic(z: Any, knots: Knots) -> tuple[Any, Any]:
        return z * z, two * z

    def linear(z: Any, knots: Knots) -> tuple[Any, Any]:
        return z, one

    forms = (relu, tanh, sigmoid, softplus, erf, ramp, quadratic, linear)
    function: Callable[[Any, Knots], tuple[Any, Any]] = cuda.jit(device=True)(
        {form.__name__: form for form in forms}[name]
    )
    return function


@cache
def prediction(name: str, dimension: int, outputs: int, real: Any) -> Kernel:
    """Build the sum over particles, for a grid of (blocks of data, parts of the particles).

    Its arguments: outer (m, k), with the mass in it; inner (m, d); inputs (n, d); the tiles of a
    part; the sums (parts, n, k), to be filled; the knots.
    """
    both, threads, width, zero = activation(name, real), THREADS, dimension + outputs, real(0)
    results = results_a_thread(dimension, outputs, real)

    @cuda.jit
    def kernel(
        outer: Array, inner: Array, inputs: Array, tiles: int, sums: Array, knots: Knots
    ) -> None:
        tile = cuda.shared.array((threads, width), real)
        x = cuda.local.array((results, dimension), real)
        f = cuda.local.array((results, outputs), real)
        thread, part = cuda.threadIdx.x, cuda.blockIdx.y
        first = cuda.blockIdx.x * results * threads + thread
        for b in range(results):
            i = first + b * threads
            # Beyond the last datum a thread computes what nobody reads, as the others need it.
            i = i if i < inputs.shape[0] else inputs.shape[0] - 1
            for c in range(dimension):
                x[b, c] = inputs[i, c]
            for o in range(outputs):
                f[b, o] = zero
        for number in range(part * tiles, (part + 1) * tiles):
            j = number * threads + thread
            # Zeros add nothing, and spare the loop below an end that varies.
            for c in range(dimension):
                tile[thread, c] = inner[j, c] if j < inner.shape[0] else zero
            for o in range(outputs):
                tile[thread, dimension + o] = outer[j, o] if j < outer.shape[0] else zero
            cuda.syncthreads()
            # Numba's range costs as much as the arithmetic in here.
            q = 0
            while q < threads:
                for b in range(results):
                    z = zero
                    for c in range(dimension):
                        z += tile[q, c] * x[b, c]
                    sigma, _ = both(z, knots)
                    for o in range(outputs):
                        f[b, o] += sigma * tile[q, dimension + o]
                q += 1
            cuda.syncthreads()
        for b in range(results):
            i = first + b * threads
            if i < inputs.shape[0]:
                for o in range(outputs):
                    sums[part, i, o] = f[b, o]

    return kernel


@cache
def velocity(name: str, dimension: int, outputs: int, real: Any) -> Kernel:
    """Build the sum over data, for a grid of (blocks of particles, parts of the data).

    Its arguments: outer (m, k); inner (m, d); inputs (n, d); residual (n, k), with the weight in
    it; the tiles of a part; the sums (parts, m, k + d), to be filled; the knots.
    """
    both, threads, width, zero = activation(name, real), THREADS, dimension + outputs, real(0)
    results = results_a_thread(dimension, outputs, real)

    @cuda.jit
    def kernel(
        outer: Array,
        inner: Array,
        inputs: Array,
        residual: Array,
        tiles: int,
        sums: Array,
        knots: Knots,
    ) -> None:
        tile = cuda.shared.array((threads, width), real)
        a = cuda.local.array((results, outputs), real)
        w = cuda.local.array((results, dimension), real)
        u = cuda.local.array((results, outputs), real)
        v = cuda.local.array((results, dimension), real)
        thread, part = cuda.threadIdx.x, cuda.blockIdx.y
        first = cuda.blockIdx.x * results * threads + thread
        for b in range(results):
            j = first + b * threads
            j = j if j < inner.shape[0] else inner.shape[0] - 1
            for o in range(outputs):
                a[b, o] = outer[j, o]
                u[b, o] = zero
            for c in range(dimension):
                w[b, c] = inner[j, c]
                v[b, c] = zero
        for number in range(part * tiles, (part + 1) * tiles):
            i = number * threads + thread
            for c in range(dimension):
                tile[thread, c] = inputs[i, c] if i < inputs.shape[0] else zero
            for o in range(outputs):
                tile[thread, dimension + o] = residual[i, o] if i < inputs.shape[0] else zero
            cuda.syncthreads()
            q = 0
            while q < threads:
                for b in range(results):
                    z = zero
                    for c in range(dimension):
                        z += w[b, c] * tile[q, c]
                    sigma, slope = both(z, knots)
                    product = zero
                    for o in range(outputs):
                        u[b, o] += sigma * tile[q, dimension + o]
                        product += a[b, o] * tile[q, dimension + o]
                    product *= slope
                    for c in range(dimension):
                        v[b, c] += product * tile[q, c]
                q += 1
            cuda.syncthreads()
        for b in range(results):
            j = first + b * threads
            if j < inner.shape[0]:
                for o in range(outputs):
                    sums[part, j, o] = u[b, o]
                for c in range(dimension):
                    sums[part, j, outputs + c] = v[b, c]

    return kernel


@cache
def total() -> Kernel:
    """Build the sum over parts: of sums (parts, rows, columns), from column `first` on."""

    @cuda.jit
    def kernel(sums: Array, first: int, result: Array) -> None:
        place = cuda.grid(1)
        row = place // result.shape[1]
        if row < result.shape[0]:
            column = place - row * result.shape[1]
            value = sums[0, row, first + column]
            for part in range(1, sums.shape[0]):
                value += sums[part, row, first + column]
            result[row, column] = value

    return kernel


@cache
def value_in_place(name: str, real: Any) -> Kernel:
    """Build z <- sigma(z), for z (N,)."""
    both = activation(name, real)

    @cuda.jit
    def kernel(z: Array, knots: Knots) -> None:
        place = cuda.grid(1)
        if place < z.shape[0]:
            z[place], _ = both(z[place], knots)

    return kernel


@cache
def value_and_slope_in_place(name: str, real: Any) -> Kernel:
    """Build z <- sigma(z) together with factor <- factor sigma'(z), for z and factor (N,)."""
    both = activation(name, real)

    @cuda.jit
    def kernel(z: Array, factor: Array, knots: Knots) -> None:
        place = cuda.grid(1)
        if place < z.shape[0]:
            z[place], slope = both(z[place], knots)
            factor[place] *= slope

    return kernel


@cuda.jit(device=True)
def _radius(word: Any) -> float:
    return math.sqrt(-2.0 * math.log(np.float64((word >> np.uint64(11)) + np.uint64(1)) * 2.0**-53))


@cuda.jit(device=True)
def _angle(word: Any) -> float:
    return 2.0 * math.pi * (np.float64(word >> np.uint64(11)) * 2.0**-53)


@cache
def normals() -> Kernel:
    """Build what fills (groups, 128) with the groups of normals from number `first` of one step.

    One thread makes the four normals of one counter, and 32 threads those of one group. The words
    are those of `philox.words`, which is compiled for the card as well.
    """

    @cuda.jit
    def kernel(
        values: Array, first: int, groups_a_block: int, index: Any, seed: Any, stream: Any
    ) -> None:
        place = cuda.grid(1)
        row = place // LANES
        if row < values.shape[0]:
            lane = place - row * LANES
            block = (first + row) // groups_a_block
            group = first + row - block * groups_a_block
            a, b, c, d = words(
                np.uint64(LANES * group + lane + 1), np.uint64(block), index, seed, stream
            )
            length, angle = _radius(np.uint64(a)), _angle(np.uint64(b))
            values[row, lane] = length * math.cos(angle)
            values[row, LANES + lane] = length * math.sin(angle)
            length, angle = _radius(np.uint64(c)), _angle(np.uint64(d))
            values[row, 2 * LANES + lane] = length * math.cos(angle)
            values[row, 3 * LANES + lane] = length * math.sin(angle)

    return kernel
