"""Random numbers that depend on what they are for, never on the order in which they are drawn.

Every number comes from the counter-based generator Philox, keyed by the seed and a stream, with
a counter made of the step and a block of 256 particles. The same seed therefore gives the same
bits for any number of threads and after a restart, and particles drawn first do not change when
more are added. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011).
"""

import enum

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


def normal(seed: int, stream: Stream, index: int, count: int, dimension: int) -> np.ndarray:
    """Return standard normals of shape (count, dimension) for the particles of one step."""
    values = np.empty((count, dimension))
    source = generator(seed, stream, index)
    philox = source.bit_generator
    state = philox.state
    for block, particles in enumerate(blocks(count)):
        # Setting the counter gives what `generator` gives for this block, in an eighth of the time.
        state["state"]["counter"][2] = block
        philox.state = state
        source.standard_normal(out=values[particles])
    return values
