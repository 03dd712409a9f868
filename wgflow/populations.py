"""Populations: data whose law is known, drawn afresh for SGD and integrated for all else.

A population is a `Data` object. Its sample is a quadrature of the law of the inputs where there is
one, or else a fixed sample of it, and its `draw` gives fresh pairs; so that particles and grids see
the population, and SGD may draw from it, through one object.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import roots_hermitenorm, roots_legendre

from wgflow.data import Data
from wgflow.errors import InputError, check_count, check_number

MOST_NODES, MOST_GAUSS_NODES = 1_000_000, 2000
"""Of a quadrature in all, and of a Gauss rule on one axis."""
Target = Callable[[np.ndarray], np.ndarray]
"""The outputs (n,) or (n, k) at inputs (n, d)."""


@runtime_checkable
class InputLaw(Protocol):
    """A law of inputs x in R^d."""

    @property
    def dimension(self) -> int:
        """The dimension d."""

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
        point, weight = roots_hermitenorm(_gauss(nodes))
        return _tensor([self.std * point] * self.dimension, [weight] * self.dimension)


@dataclasses.dataclass(frozen=True)
class UniformInputs:
    """x uniform in a box; with q nodes an axis polynomials of degree 2 q - 1 are exact."""

    lower: Sequence[float] = (-1.0,)
    upper: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        ends = [np.atleast_1d(np.asarray(end)) for end in (self.lower, self.upper)]
        lower, upper = ends
        good = lower.ndim == 1 and lower.shape == upper.shape and lower.size > 0
        good = good and all(end.dtype.kind in "iuf" for end in ends)
        if not good or not np.isfinite(ends).all() or not (lower < upper).all():
            raise InputError(
                f"Uniform inputs need finite lower < upper on every axis, but got {self.lower!r} "
                f"and {self.upper!r}."
            )
        object.__setattr__(self, "lower", tuple(map(float, lower)))
        object.__setattr__(self, "upper", tuple(map(float, upper)))

    @property
    def dimension(self) -> int:
        """Number of axes."""
        return len(self.lower)

    def draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """Return independent draws, (count, d)."""
        return generator.uniform(self.lower, self.upper, size=(count, self.dimension))

    def quadrature(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the tensor product of Gauss-Legendre rules."""
        point, weight = roots_legendre(_gauss(nodes))
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
        """Return the generalised Gauss-Laguerre rule for t = x^2 / 2 std^2, (nodes, 1).

        The law of t has the density t^a e^-t / Gamma(a + 1), a = d/2 - 1. The points are the
        eigenvalues of the Jacobi matrix of its orthogonal polynomials, the weights the squares of
        the first entries of its eigenvectors (Golub and Welsch, "Calculation of Gauss quadrature
        rules", 1969), which neither overflow nor underflow in high dimensions.
        """
        k, power = np.arange(_gauss(nodes)), self.space / 2 - 1
        half, vectors = eigh_tridiagonal(2 * k + 1 + power, np.sqrt(k * (k + power))[1:])
        weight = vectors[0] ** 2
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
        Neither or both of `nodes` and `sample`, a law that has no quadrature, or a target that
        does not return a number, or k of them, an input.
    """
    spread = check_number("The noise of the labels", label_noise, least=0)
    _check_part(inputs, target)

    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = inputs.draw(generator, count)
        y = _labels(target, x)
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
        dimension or with targets of different size, or neither or both of `nodes` and `sample`.
    """
    if not isinstance(parts, Sequence) or not all(
        isinstance(part, Sequence) and len(part) == 3 for part in parts
    ):
        raise InputError(
            "A mixture is made of parts (probability, law of the inputs, target), as in "
            "[(0.5, NormalInputs(), f), (0.5, NormalInputs(), g)]."
        )
    for probability, law, target in parts:
        check_number("The probability of a part", probability, above=0)
        _check_part(law, target)
    share = np.array([probability for probability, _, _ in parts])
    dimensions = {law.dimension for _, law, _ in parts}
    if not parts or abs(share.sum() - 1) > 1e-12 or len(dimensions) > 1:
        raise InputError(
            f"A mixture has parts of probability {share.tolist()} in dimensions "
            f"{sorted(dimensions)}, but needs positive ones of sum 1 in one dimension."
        )
    (dimension,) = dimensions

    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        part = generator.choice(len(parts), size=count, p=share)
        x, labels = np.empty((count, dimension)), []
        for k, (_, law, target) in enumerate(parts):
            rows = part == k
            x[rows] = law.draw(generator, int(rows.sum()))
            if rows.any():
                labels.append((rows, _labels(target, x[rows])))
        y = np.empty((count, _columns_of([label for _, label in labels])))
        for rows, label in labels:
            y[rows] = label
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
    count = check_count("The nodes of a population", nodes, least=2, most=MOST_NODES)
    x, y, weight = [], [], []
    for probability, law, target in parts:
        point, share = law.quadrature(count)
        x.append(point)
        y.append(_labels(target, point))
        weight.append(probability * share)
    _columns_of(y)
    return Data(np.concatenate(x), np.concatenate(y), np.concatenate(weight), draw=draw)


def _check_part(inputs: Any, target: Any) -> None:
    if not isinstance(inputs, InputLaw) or not callable(target):
        raise InputError(
            f"A population is made of a law of inputs, as NormalInputs(), and a function of them, "
            f"not of {inputs!r} and {target!r}."
        )


def _labels(target: Target, x: np.ndarray) -> np.ndarray:
    """Return the outputs at inputs (n, d) as an array (n, k), or raise InputError."""
    y = np.asarray(target(x))
    if y.ndim not in (1, 2) or len(y) != len(x) or y.dtype.kind not in "biuf":
        raise InputError(
            f"The target returned {y.dtype} numbers of shape {y.shape} for {len(x)} inputs, but "
            f"must return real ones of shape ({len(x)},) or ({len(x)}, k)."
        )
    return y.astype(float).reshape(len(x), -1)


def _columns_of(labels: Sequence[np.ndarray]) -> int:
    """Return the number of columns that all parts of a mixture have."""
    columns = sorted({label.shape[1] for label in labels})
    if len(columns) > 1:
        raise InputError(
            f"The targets of a mixture return {' and '.join(map(str, columns))} numbers an input, "
            "but must all return as many."
        )
    return columns[0]


def _gauss(nodes: int) -> int:
    """Return the number of nodes of a Gauss rule, or raise InputError."""
    return check_count("The nodes of a Gauss rule", nodes, most=MOST_GAUSS_NODES)


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
