"""Random numbers that depend on what they are for, never on the order in which they are drawn.

Every number comes from the counter-based generator Philox, keyed by the seed and a stream, with
a counter made of the step and a block of 256 particles. The same seed therefore gives the same
bits for any number of threads and after a restart, and particles drawn first do not change when
more are added. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011).
"""

import enum
import importlib

import numpy as np

from wgflow.errors import check_count

BLOCK = 256
"""Particles that share one generator."""


class Stream(enum.IntEnum):
    """What random numbers are for; one independent sequence each."""

    INITIAL = 0
    DYNAMICS = 1
    BATCH = 2
    DATA = 3
    PROJECTION = 4


def check_seed(seed: int) -> int:
    """Return the seed as an int in [0, 2^64), or raise InputError."""
    return check_count("The seed", seed, least=0, most=2**64 - 1)


def generator(seed: int, stream: Stream, index: int = 0, block: int = 0) -> np.random.Generator:
    """Return the generator of one block of one stream at one step.

    Parameters
    ----------
    seed
        In [0, 2^64).
    index
        Number of the step.
    block
        Number of the block of 256 particles.
    """
    counter = np.array([0, 0, block, index], dtype=np.uint64)
    key = np.array([seed, int(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def blocks(count: int) -> list[slice]:
    """Return the slices that cut `count` particles into blocks of 256."""
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def normal(
    seed: int, stream: Stream, index: int, count: int, dimension: int, first: int = 0
) -> np.ndarray:
    """Return standard normals, shape (count, dimension), for the particles from `first` on.

    Every number is made from two words of its block's generator, as `block_normals` says, so that
    any share of the particles can be computed alone, on any thread or processor.

    Parameters
    ----------
    seed
        In [0, 2^64).
    index
        Number of the step.
    first
        Number of the first particle.
    """
    # Not imported above, so that a problem can be described without the cost of Numba.
    philox = importlib.import_module("wgflow.kernels.philox")
    values: np.ndarray = philox.standard_normals(
        seed, int(stream), index, BLOCK * dimension, first * dimension, count * dimension
    )
    return values.reshape(count, dimension)


def block_normals(seed: int, stream: Stream, index: int, block: int, dimension: int) -> np.ndarray:
    """Return the normals of one block of particles, shape (256, dimension), in plain NumPy.

    This is the definition of what `normal` computes in compiled code, equal to rounding. The words
    of the block's generator come in fours, and 32 fours, number l of each being w[:, l], make 128
    normals, which fill the block row by row:

        sqrt(-2 log u_0) cos(2 pi v_1), sqrt(-2 log u_0) sin(2 pi v_1),
        sqrt(-2 log u_2) cos(2 pi v_3), sqrt(-2 log u_2) sin(2 pi v_3),

    32 of each, where u_l = (w_l / 2^11 + 1) / 2^53 and v_l = (w_l / 2^11) / 2^53 in whole numbers:
    u is never 0. Source: Box and Muller, "A note on the generation of random normal deviates",
    Annals of Mathematical Statistics 29 (1958).
    """
    draw = generator(seed, stream, index, block).bit_generator
    words = draw.random_raw(BLOCK * dimension).reshape(2 * dimension, 32, 2, 2)
    upper = (words >> np.uint64(11)).astype(np.float64)
    radius = np.sqrt(-2 * np.log((upper[..., 0] + 1) * 2.0**-53))
    angle = 2 * np.pi * 2.0**-53 * upper[..., 1]
    normals = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return normals.transpose(0, 2, 3, 1).reshape(BLOCK, dimension)
