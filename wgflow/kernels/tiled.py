"""Sums over particles and data tile by tile, for many inputs: BLAS products and compiled passes.

A tile is the part of Z = X W^T that belongs to 512 data and 256 particles. BLAS computes it on one
thread, a compiled pass applies the activation and sums while the tile is in the cache, and a second
product, C^T X, collects the gradient. Predictions run over blocks of data in parallel, each of
which sums its particles in order, velocities the other way round. Where there are too few blocks,
the inner sum is split as well, at places that follow from the numbers of particles and data; so the
bits do not depend on the number of threads. Sums within a tile are taken in the precision of the
arrays, sums over tiles in float64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wgflow.kernels.activation import Activation, is_named
from wgflow.kernels.elementwise import accumulate, own_passes, passes
from wgflow.kernels.workers import Scratch, run

Array = NDArray[Any]

ROWS = 512
"""Data of a tile."""
COLUMNS = 256
"""Particles of a tile."""
TASKS = 8
"""Both sums are split into at least as many tasks, if there are as many tiles."""
DEPTH = 160
"""Inputs over which BLAS sums z in one go in float32. The error of a sum grows with its length, and
this one, with |z| about 28 at 784 inputs, was most of the error of the velocity."""
KEPT_BYTES = 1 << 28
"""What a forward pass keeps of its tiles at most, 256 MiB; the others are computed again."""


def supports(activation: Activation, dimension: int, outputs: int) -> bool:
    """Whether these kernels can be used: they can for all activations and sizes."""
    return True


def _blocks(count: int, length: int) -> list[slice]:
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]


def _groups(blocks: int, others: int) -> list[range]:
    """Return how `blocks` are split so that there are enough tasks beside `others` of them."""
    number = min(blocks, -(-TASKS // others))
    return [range(blocks * g // number, blocks * (g + 1) // number) for g in range(number)]


def _shaped(scratch: Array, *shape: int) -> Array:
    """Return the beginning of a flat array in this shape."""
    return scratch[: shape[0] * shape[1]].reshape(shape)


class ForwardPass:
    """Predictions, with what is kept of the tiles for the velocity at the same particles.

    Parameters
    ----------
    outer
        (m, k); all arrays are C-contiguous and of one precision.
    inner
        (m, d).
    inputs
        (n, d).
    kept_bytes
        How much may be kept.
    """

    def __init__(
        self,
        outer: Array,
        inner: Array,
        inputs: Array,
        activation: Activation,
        kept_bytes: int = 0,
    ) -> None:
        self.outer, self.inner, self.inputs = outer, inner, inputs
        self.dtype, self.outputs = outer.dtype, outer.shape[1]
        self.knots = activation.parameters or (0.0, 0.0, 1.0, 1.0)
        named = is_named(activation)
        self.passes = passes(str(activation.name)) if named else own_passes(activation)
        dimension = inputs.shape[1]
        pieces = -(-dimension // DEPTH) if self.dtype == np.float32 else 1
        self._depths = _blocks(dimension, -(-dimension // pieces))
        self.rows = _blocks(len(inputs), ROWS)
        self.strips = _blocks(len(inner), COLUMNS)
        self.tile_size = min(ROWS, len(inputs)) * min(COLUMNS, len(inner))
        # The tiles of a strip lie one below the other, those of the first strips are kept.
        self._strip_size = COLUMNS * len(inputs)
        fitting = kept_bytes // (self._strip_size * self.dtype.itemsize)
        self.kept_strips = min(len(self.strips), fitting)
        self._memory = Scratch((self.kept_strips * self._strip_size, self.dtype))

    def place(self, strip: int, block: int, scratch: Array) -> Array:
        """Return where a tile is kept, or scratch of its shape, (rows, columns)."""
        rows, columns = self.rows[block], self.strips[strip]
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if strip < self.kept_strips:
            start = strip * self._strip_size + rows.start * width
            scratch = self._memory.arrays[0][start:]
        return _shaped(scratch, height, width)

    def multiply(self, strip: int, block: int, tile: Array, scratch: Array) -> None:
        """Set a tile to z."""
        inputs, inner = self.inputs[self.rows[block]], self.inner[self.strips[strip]]
        for piece in self._depths:
            out = tile if piece.start == 0 else _shaped(scratch, *tile.shape)
            np.dot(inputs[:, piece], inner[:, piece].T, out=out)
            if out is not tile:
                accumulate(tile, out, False)

    def predict(self, mass: Array | None) -> Array:
        """Return sum_j mass_j outer_j sigma(inner_j . x_i), (n, k), and fill the kept tiles."""
        outer = self.outer
        weighted = outer / len(outer) if mass is None else outer * mass[:, np.newaxis]
        groups = _groups(len(self.strips), len(self.rows))
        totals = np.zeros((len(groups), len(self.inputs), self.outputs))
        run(lambda: _Predictor(self, weighted, groups, totals), len(groups) * len(self.rows))
        prediction: Array = totals.sum(axis=0).astype(self.dtype, copy=False)
        return prediction

    def velocity(self, residual: Array, weight: Array | None = None) -> tuple[Array, Array]:
        """Return the two gradients, (m, k) and (m, d), of sum_i c_i residual_i . phi(x_i).

        The tiles that are kept must have been filled by `predict`.
        """
        data, dimension = self.inputs.shape
        scaled = residual / data if weight is None else residual * weight[:, np.newaxis]
        groups = _groups(len(self.rows), len(self.strips))
        # Several parts are added up in float64.
        dtype = self.dtype if len(groups) == 1 else np.float64
        d_outer = np.empty((len(groups), len(self.outer), self.outputs), dtype)
        d_inner = np.empty((len(groups), len(self.outer), dimension), dtype)
        run(
            lambda: _Collector(self, scaled, groups, d_outer, d_inner),
            len(groups) * len(self.strips),
        )
        if len(groups) == 1:
            return d_outer[0], d_inner[0]
        return tuple(
            parts.sum(axis=0).astype(self.dtype, copy=False) for parts in (d_outer, d_inner)
        )


class _Predictor:
    """Adds groups of particles to the predictions of a block of data; one for each thread."""

    def __init__(
        self, source: ForwardPass, weighted: Array, groups: list[range], totals: Array
    ) -> None:
        self.source, self.weighted, self.groups, self.totals = source, weighted, groups, totals
        tile, share = source.tile_size, ROWS * source.outputs
        self.scratch = Scratch(*((size, source.dtype) for size in (tile, tile, share)))

    def __call__(self, task: int) -> None:
        source = self.source
        product, values, share = self.scratch.arrays
        group, block = divmod(task, len(source.rows))
        total = self.totals[group, source.rows[block]]
        for strip in self.groups[group]:
            tile = source.place(strip, block, product)
            source.multiply(strip, block, tile, values)
            weighted = self.weighted[source.strips[strip]]
            if source.outputs == 1:
                source.passes.sum_scalar(tile, weighted[:, 0], total[:, 0], source.knots)
                continue
            sigma = tile if source.passes.keeps_value else _shaped(values, *tile.shape)
            source.passes.activate(tile, sigma, source.knots)
            part = np.dot(sigma, weighted, out=_shaped(share, *total.shape))
            accumulate(total, part, False)


class _Collector:
    """Collects the gradients of a strip of particles over groups of data; one for each thread."""

    def __init__(
        self,
        source: ForwardPass,
        scaled: Array,
        groups: list[range],
        d_outer: Array,
        d_inner: Array,
    ) -> None:
        self.source, self.scaled, self.groups = source, scaled, groups
        self.d_outer, self.d_inner = d_outer, d_inner
        width, dtype = min(COLUMNS, len(d_outer[0])), source.dtype
        dimension, outputs = d_inner.shape[2], source.outputs
        self.scratch = Scratch(
            *[(source.tile_size, dtype)] * 3,
            (width * max(dimension, outputs), dtype),
            (width * outputs, np.float64),
            (width * dimension, np.float64),
        )

    def __call__(self, task: int) -> None:
        source, outputs = self.source, self.source.outputs
        *_, share, total_outer, total_inner = self.scratch.arrays
        group, strip = divmod(task, len(source.strips))
        columns, blocks = source.strips[strip], self.groups[group]
        d_inner = self.d_inner[group, columns]
        u = _shaped(total_outer, outputs, len(d_inner))
        u[:] = 0.0
        # One product is as exact as its sum, more of them are added in float64.
        in_place = d_inner.dtype == np.float64 or len(blocks) == 1
        v = d_inner if in_place else _shaped(total_inner, *d_inner.shape)
        for block in blocks:
            slope = self._slope(strip, block, u)
            first = block == blocks[0]
            out = v if first and v.dtype == source.dtype else _shaped(share, *v.shape)
            np.dot(slope.T, source.inputs[source.rows[block]], out=out)
            if out is not v:
                accumulate(v, out, first)
        if outputs == 1:
            np.multiply(v, source.outer[columns], out=v)
        if v is not d_inner:
            d_inner[:] = v
        self.d_outer[group, columns] = u.T

    def _slope(self, strip: int, block: int, u: Array) -> Array:
        """Add sum_i residual_i sigma(z_ij) to u (k, columns); return residual_i sigma'(z_ij).

        With k > 1 outputs, it returns (residual_i . outer_j) sigma'(z_ij), (rows, columns).
        """
        source = self.source
        product, slopes, values, share, *_ = self.scratch.arrays
        tile = source.place(strip, block, product)
        if strip >= source.kept_strips:
            source.multiply(strip, block, tile, values)
            if source.passes.keeps_value:
                source.passes.activate(tile, tile, source.knots)
        residual = self.scaled[source.rows[block]]
        slope = _shaped(slopes, *tile.shape)
        if source.outputs == 1:
            source.passes.slope_scalar(tile, residual[:, 0], u[0], slope, source.knots)
            return slope
        np.dot(residual, source.outer[source.strips[strip]].T, out=slope)
        sigma = tile if source.passes.keeps_value else _shaped(values, *tile.shape)
        source.passes.slope_vector(tile, slope, sigma, source.knots)
        # In this order, not the other one: up to twice as fast for few outputs.
        accumulate(u, np.dot(residual.T, sigma, out=_shaped(share, *u.shape)), False)
        return slope


def predict(
    outer: Array, inner: Array, inputs: Array, activation: Activation, mass: Array | None = None
) -> Array:
    """Compute what `wgflow.kernels.reference.predict` does.

    Parameters
    ----------
    outer
        (m, k); all arrays are C-contiguous and of one precision.
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
    return ForwardPass(outer, inner, inputs, activation).predict(mass)


def velocity(
    outer: Array,
    inner: Array,
    inputs: Array,
    residual: Array,
    activation: Activation,
    weight: Array | None = None,
) -> tuple[Array, Array]:
    """Compute what `wgflow.kernels.reference.velocity` does.

    Parameters
    ----------
    outer
        (m, k); all arrays are C-contiguous and of one precision.
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
    return ForwardPass(outer, inner, inputs, activation).velocity(residual, weight)
