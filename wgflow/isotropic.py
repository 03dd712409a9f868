"""Isotropic laws in R^d: the law of lengths, and labelled populations of two such laws."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import chdtr, chdtrc, chdtri

from wgflow.data import Data
from wgflow.errors import check_count, check_number
from wgflow.law import Law
from wgflow.populations import RadialInputs, mixture

FEWEST_NODES, NODES = 8, 320
"""Nodes in R^d are NODES/d, and at least FEWEST_NODES; with them risks of a ramp in a few lengths
of the order 1 are exact to 4e-8 for d = 40, 7e-7 for d = 10 and 9e-5 for d = 5."""


class Lengths(Law):
    """The law of |w| for w ~ N(0, std^2 I) in R^space.

    Raises
    ------
    InputError
        A space or a std out of range.
    """

    dimension = 1

    def __init__(self, space: int, std: float) -> None:
        self.space = check_count("The space of a law of lengths", space)
        self.std = check_number("The std of a law of lengths", std, above=0)

    def sample(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return self.std * np.sqrt(generator.chisquare(self.space, size=(count, 1)))

    def masses(self, edges: Sequence[np.ndarray]) -> np.ndarray:
        square = (np.maximum(edges[0], 0.0) / self.std) ** 2
        below, above = chdtr(self.space, square), chdtrc(self.space, square)
        # In the upper tail the complement is differenced, to keep its digits.
        mass = np.where(below[1:] < 0.5, np.diff(below), -np.diff(above))
        return np.asarray(mass / mass.sum())


@functools.cache
def two_lengths(space: int, stds: tuple[float, float]) -> Data:
    """Return the population of (|x|, y), y = 1 or -1 equally likely, x ~ N(0, std^2 I).

    Parameters
    ----------
    space
        d, or 0 for infinity, where |x| is in units of sqrt(d) and takes the two values `stds`.
    stds
        Of x for y = 1 and for y = -1.
    """
    if space == 0:
        return Data(np.array(stds), np.array([1.0, -1.0]))
    parts = [
        (0.5, RadialInputs(space, std), _labelled(y)) for std, y in zip(stds, (1, -1), strict=True)
    ]
    return mixture(parts, nodes=max(FEWEST_NODES, NODES // space))


@functools.cache
def two_spreads(space: int, stds: tuple[float, float], samples: int) -> Data:
    """Return the population of (x, y) in R^space, with a fixed sample to measure by.

    Lengths in the sample are quantiles; directions are the columns of random rotations with both
    signs. Risks are measured as well as by five times as many independent draws.

    Parameters
    ----------
    stds
        As in `two_lengths`.
    samples
        Size of the sample, rounded up to an even number.
    """
    half = math.ceil(samples / 2)
    generator = np.random.default_rng(0)
    square = (space, space)
    frames = [
        np.linalg.qr(generator.standard_normal(square))[0] for _ in range(half // (2 * space) + 1)
    ]
    direction = np.concatenate([part for frame in frames for part in (frame, -frame)])[:half]
    length = np.sqrt(chdtri(space, (np.arange(half) + 0.5) / half))
    x = [std * generator.permutation(length)[:, np.newaxis] * direction for std in stds]

    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        first = generator.integers(2, size=count) == 1
        std = np.where(first, *stds)[:, np.newaxis]
        return std * generator.standard_normal((count, space)), np.where(first, 1.0, -1.0)

    return Data(np.concatenate(x), np.repeat((1.0, -1.0), half), draw=draw)


def _labelled(label: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.full(len(x), float(label))
