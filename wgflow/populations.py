"""Populations: data whose law is known, drawn afresh for SGD and integrated for all else.

A population is a `Data` object. Its sample is a quadrature of the law of the inputs where there is
one, or else a fixed sample of it, and its `draw` gives fresh pairs; so that particles and grids see
the population, and SGD may draw from it, through one object.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from scipy.special import roots_genlaguerre, roots_hermitenorm, roots_legendre

from wgflow.data import Data
from wgflow.errors import InputError, check_count, check_number

MOST_NODES = 1_000_000
Target = Callable[[np.ndarray], np.ndarray]
"""The outputs (n,) or (n, k) at inputs (n, d)."""


class InputLaw(Protocol):
    """A law of inputs x in R^d."""

    dimension: int

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, d)."""

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points (n, d) and weights (n,) of sum one; `nodes` of them an axis."""


@dataclasses.dataclass(frozen=True)
class NormalInputs:
    """x ~ N(0, std^2 I); with q nodes an axis polynomials of degree 2 q - 1 are exact."""

    dimension: int = 1
    std: float = 1.0

    def __post_init__(self) -> None:
        check_count("The dimension of the inputs", self.dimension)
        check_number("The std of the inputs", self.std, above=0)

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, d)."""
        return self.std * generator.standard_normal((count, self.dimension))

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the tensor product of Gauss-Hermite rules."""
        point, weight = roots_hermitenorm(nodes)
        return _tensor([self.std * point] * self.dimension, [weight] * self.dimension)


@dataclasses.dataclass(frozen=True)
class UniformInputs:
    """x uniform in a box; with q nodes an axis polynomials of degree 2 q - 1 are exact."""

    lower: Sequence[float] = (-1.0,)
    upper: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        ends = list(zip(self.lower, self.upper, strict=False))
        if len(self.lower) != len(self.upper) or not ends or not all(a < b for a, b in ends):
            raise InputError(
                f"Uniform inputs need lower < upper on every axis, but got {self.lower!r} and "
                f"{self.upper!r}."
            )

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.lower)

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, d)."""
        return generator.uniform(self.lower, self.upper, size=(count, self.dimension))

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the tensor product of Gauss-Legendre rules."""
        point, weight = roots_legendre(nodes)
        points = [
            a + (b - a) * (point + 1) / 2 for a, b in zip(self.lower, self.upper, strict=True)
        ]
        return _tensor(points, [weight] * self.dimension)


@dataclasses.dataclass(frozen=True)
class SphereInputs:
    """x uniform on the sphere of a radius in R^d; a quadrature exists on the circle, d = 2."""

    dimension: int = 2
    radius: float = 1.0

    def __post_init__(self) -> None:
        check_count("The dimension of the inputs", self.dimension, least=2)
        check_number("The radius of the inputs", self.radius, above=0)

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, d)."""
        x = generator.standard_normal((count, self.dimension))
        return self.radius * x / np.linalg.norm(x, axis=1, keepdims=True)

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return equally spaced points on the circle, exact for harmonics below `nodes`."""
        if self.dimension != 2:
            raise InputError(
                f"There is no quadrature on the sphere in {self.dimension} dimensions; give the "
                "size of a sample instead."
            )
        angle = 2 * np.pi * np.arange(nodes) / nodes
        x = self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return x, np.full(nodes, 1.0 / nodes)


@dataclasses.dataclass(frozen=True)
class RadialInputs:
    """x = |z| for z ~ N(0, std^2 I) in R^d, the chi law: one coordinate, >= 0.

    With q nodes polynomials in x^2 of degree 2 q - 1 are exact.
    """

    space: int
    std: float = 1.0
    dimension: int = dataclasses.field(default=1, init=False)

    def __post_init__(self) -> None:
        check_count("The dimension of the space of the inputs", self.space)
        check_number("The std of the inputs", self.std, above=0)

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, 1)."""
        return self.std * np.sqrt(generator.chisquare(self.space, size=(count, 1)))

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the generalised Gauss-Laguerre rule for x^2 / 2 std^2, (nodes, 1)."""
        half, weight = roots_genlaguerre(nodes, self.space / 2 - 1)
        return self.std * np.sqrt(2 * half)[:, np.newaxis], weight / weight.sum()


def population(
    inputs: InputLaw,
    target: Target,
    *,
    nodes: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    label_noise: float = 0.0,
) -> Data:
    """Return the population of inputs of a law, labelled by a target function.

    Parameters
    ----------
    nodes
        Integrate by the quadrature of the law with this many nodes an axis.
    sample
        Measure by a fixed sample of this size instead.
    seed
        Of that sample.
    label_noise
        The standard deviation of the normal noise on drawn labels. Quadratures leave it out: of a
        quadratic loss it adds a constant to the risk, and nothing to the flow.

    Raises
    ------
    InputError
        Neither or both of `nodes` and `sample`, or a law that has no quadrature.
    """
    spread = check_number("The noise of the labels", label_noise, least=0)

    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = inputs.draw(generator, count)
        y = np.asarray(target(x), dtype=float).reshape(count, -1)
        if spread > 0:
            y = y + spread * generator.standard_normal(y.shape)
        return x, y

    return _known(draw, [(1.0, inputs, target)], nodes, sample, seed)


def mixture(
    parts: Sequence[tuple[float, InputLaw, Target]],
    *,
    nodes: int | None = None,
    sample: int | None = None,
    seed: int = 0,
) -> Data:
    """Return a mixture of populations: (probability, law of the inputs, target) of each part.

    Parameters
    ----------
    nodes, sample, seed
        As in `population`; `nodes` are those of each part.

    Raises
    ------
    InputError
        No part, probabilities that are not positive or do not sum to one, parts of different
        dimension, or neither or both of `nodes` and `sample`.
    """
    share = np.array([probability for probability, _, _ in parts])
    dimensions = {law.dimension for _, law, _ in parts}
    if not parts or not (share > 0).all() or abs(share.sum() - 1) > 1e-12 or len(dimensions) > 1:
        raise InputError(
            f"A mixture has parts of probability {share.tolist()} in dimensions "
            f"{sorted(dimensions)}, but needs positive ones of sum 1 in one dimension."
        )

    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        part = generator.choice(len(parts), size=count, p=share)
        x = np.empty((count, dimensions.copy().pop()))
        y = None
        for k, (_, law, target) in enumerate(parts):
            rows = part == k
            x[rows] = law.draw(generator, int(rows.sum()))
            label = np.asarray(target(x[rows]), dtype=float).reshape(int(rows.sum()), -1)
            y = np.empty((count, label.shape[1])) if y is None else y
            y[rows] = label
        assert y is not None
        return x, y

    return _known(draw, parts, nodes, sample, seed)


def _known(
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]],
    parts: Sequence[tuple[float, InputLaw, Target]],
    nodes: int | None,
    sample: int | None,
    seed: int,
) -> Data:
    if (nodes is None) == (sample is None):
        raise InputError(
            f"A population has nodes = {nodes} and sample = {sample}; give one of the two, nodes "
            "where the law has a quadrature."
        )
    if sample is not None:
        return Data.from_law(draw, sample, seed)
    count = check_count("The nodes of a population", nodes, least=2)
    x, y, weight = [], [], []
    for probability, law, target in parts:
        point, share = law.quadrature(count)
        x.append(point)
        y.append(np.asarray(target(point), dtype=float).reshape(len(point), -1))
        weight.append(probability * share)
    return Data(np.concatenate(x), np.concatenate(y), np.concatenate(weight), draw=draw)


def _tensor(
    points: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the product of rules on axes: points (n, d), and weights (n,) scaled to sum one."""
    if np.prod([float(len(point)) for point in points]) > MOST_NODES:
        raise InputError(
            f"{len(points[0])} nodes on each of {len(points)} axes are over a million points; use "
            "fewer, or give the size of a sample instead."
        )
    grid = np.meshgrid(*points, indexing="ij")
    x = np.stack([axis.reshape(-1) for axis in grid], axis=1)
    product = functools.reduce(np.multiply.outer, weights).reshape(-1)
    return x, product / product.sum()
