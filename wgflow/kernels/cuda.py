"""Sums over particles and data for arrays on a graphics card.

A named activation with at most 16 inputs and 16 outputs runs in a fused kernel without O(m n)
memory. The rest goes by blocks: matrix products of the arrays' own library (CuPy), and between them
one kernel for a named activation, or the functions of one's own.

Arrays come from CuPy, and what is returned are such arrays. NumPy's functions and operators are
applied to them, which CuPy takes over: nothing is ever copied to the host.
"""

from typing import Any

import numpy as np

from wgflow.errors import InputError
from wgflow.kernels.activation import Activation, is_named

try:
    from wgflow.kernels import cuda_kernels
    from wgflow.kernels.philox import GROUP, LANES
except ImportError as error:
    raise InputError(
        "The arrays are on a graphics card, for which Numba cannot compile here; install "
        "wgflow[gpu], or use NumPy arrays."
    ) from error

Array = Any

MAXIMUM_DIMENSION = 16
MAXIMUM_OUTPUTS = 16
# Pairs of a particle and a datum held at once in the products by blocks: 256 MB for two arrays.
BLOCK = 1 << 24


def supports(activation: Activation, dimension: int, outputs: int) -> bool:
    """Whether `predict` and `velocity` compute this: they compute everything."""
    return True


def predict(
    outer: Array, inner: Array, inputs: Array, activation: Activation, mass: Array | None = None
) -> Array:
    """Compute what `wgflow.kernels.reference.predict` does, on a graphics card.

    In float32 if all arrays are, else in float64.

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

    Returns
    -------
    (n, k)
    """
    outer, inner, inputs, mass = _in_one_precision(outer, inner, inputs, mass)
    weighted = outer / len(outer) if mass is None else outer * mass[:, np.newaxis]
    if not _is_fused(activation, inner.shape[1], outer.shape[1]):
        return _predict_by_blocks(weighted, inner, inputs, activation)
    data, outputs = len(inputs), outer.shape[1]
    kind = inner.shape[1], outputs, outer.dtype.type
    blocks, count, tiles = _parts(data, len(inner), *kind)
    sums = _empty(outer, (count, data, outputs))
    kernel = cuda_kernels.prediction(str(activation.name), *kind)
    knots = _knots(activation, outer)
    launch(kernel, (blocks, count), weighted, inner, inputs, tiles, sums, knots)
    return _total(sums, 0, outputs)


def velocity(
    outer: Array,
    inner: Array,
    inputs: Array,
    residual: Array,
    activation: Activation,
    weight: Array | None = None,
) -> tuple[Array, Array]:
    """Compute what `wgflow.kernels.reference.velocity` does, on a graphics card.

    In float32 if all arrays are, else in float64.

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

    Returns
    -------
    (m, k) and (m, d)
    """
    outer, inner, inputs, residual, weight = _in_one_precision(
        outer, inner, inputs, residual, weight
    )
    scaled = residual / len(residual) if weight is None else residual * weight[:, np.newaxis]
    if not _is_fused(activation, inner.shape[1], outer.shape[1]):
        return _velocity_by_blocks(outer, inner, inputs, scaled, activation)
    (particles, dimension), outputs = inner.shape, outer.shape[1]
    kind = dimension, outputs, outer.dtype.type
    blocks, count, tiles = _parts(particles, len(inputs), *kind)
    sums = _empty(outer, (count, particles, outputs + dimension))
    kernel = cuda_kernels.velocity(str(activation.name), *kind)
    knots = _knots(activation, outer)
    launch(kernel, (blocks, count), outer, inner, inputs, scaled, tiles, sums, knots)
    return _total(sums, 0, outputs), _total(sums, outputs, dimension)


def standard_normals(
    seed: int, stream: int, index: int, block: int, first: int, count: int, like: Array
) -> Array:
    """Return the normals of `wgflow.kernels.philox.standard_normals`, made where `like` lies.

    They are equal to rounding: logarithm, sine and cosine are the card's own.

    Parameters
    ----------
    like
        Any array on the card; its library makes the result.

    Returns
    -------
    (count,), float64
    """
    start, stop = first // GROUP, -(-(first + count) // GROUP)
    values = np.empty_like(like, shape=(stop - start, GROUP), dtype=np.float64, order="C")
    key = np.uint64(index), np.uint64(seed), np.uint64(stream)
    if count > 0:
        grid = _blocks(len(values) * LANES)
        launch(cuda_kernels.normals(), grid, values, start, block // GROUP, *key)
    return values.reshape(-1)[first - start * GROUP :][:count]


def launch(kernel: Any, grid: int | tuple[int, int], *arguments: Any) -> None:
    """Run a kernel on a grid of blocks."""
    kernel[grid, cuda_kernels.THREADS](*arguments)


def _in_one_precision(*arrays: Array | None) -> list[Any]:
    single = all(array is None or array.dtype == np.float32 for array in arrays)
    real = np.float32 if single else np.float64
    return [
        None if array is None else array.astype(real, order="C", copy=False) for array in arrays
    ]


def _empty(like: Array, shape: tuple[int, ...]) -> Array:
    return np.empty_like(like, shape=shape, order="C")


def _blocks(results: int) -> int:
    return -(-results // cuda_kernels.THREADS)


def _parts(results: int, terms: int, *kind: Any) -> tuple[int, int, int]:
    block = cuda_kernels.THREADS * cuda_kernels.results_a_thread(*kind)
    return cuda_kernels.parts(results, terms, block)


def _knots(activation: Activation, like: Array) -> tuple[Any, ...]:
    return tuple(map(like.dtype.type, activation.parameters or (0, 0, 1, 1)))


def _is_fused(activation: Activation, dimension: int, outputs: int) -> bool:
    return dimension <= MAXIMUM_DIMENSION and outputs <= MAXIMUM_OUTPUTS and is_named(activation)


def _total(sums: Array, first: int, columns: int) -> Array:
    result = _empty(sums, (sums.shape[1], columns))
    launch(cuda_kernels.total(), _blocks(sums.shape[1] * columns), sums, first, result)
    return result


def _slices(particles: int, data: int) -> list[slice]:
    size = max(1, BLOCK // data)
    return [slice(start, start + size) for start in range(0, particles, size)]


def _product(left: Array, right: Array) -> Array:
    """Return left right^T, row by row in memory, so that it can be changed in place as a line."""
    return np.matmul(left, right.T, out=_empty(left, (len(left), len(right))))


def _predict_by_blocks(
    weighted: Array, inner: Array, inputs: Array, activation: Activation
) -> Array:
    prediction = np.zeros_like(weighted, shape=(len(inputs), weighted.shape[1]))
    for block in _slices(len(inner), len(inputs)):
        z = _product(inputs, inner[block])
        if is_named(activation):
            kernel = cuda_kernels.value_in_place(str(activation.name), z.dtype.type)
            launch(kernel, _blocks(z.size), z.reshape(-1), _knots(activation, z))
        else:
            z = activation.value(z)
        prediction += z @ weighted[block]
    return prediction


def _velocity_by_blocks(
    outer: Array, inner: Array, inputs: Array, scaled: Array, activation: Activation
) -> tuple[Array, Array]:
    d_outer, d_inner = _empty(outer, outer.shape), _empty(inner, inner.shape)
    for block in _slices(len(inner), len(inputs)):
        z = _product(inner[block], inputs)
        slope = _product(outer[block], scaled)
        if is_named(activation):
            kernel = cuda_kernels.value_and_slope_in_place(str(activation.name), z.dtype.type)
            arguments = z.reshape(-1), slope.reshape(-1), _knots(activation, z)
            launch(kernel, _blocks(z.size), *arguments)
        else:
            slope *= activation.derivative(z)
            z = activation.value(z)
        d_outer[block] = z @ scaled
        d_inner[block] = slope @ inputs
    return d_outer, d_inner
