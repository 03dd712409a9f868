"""Interaction energies, 1/2 int int W(x - y) drho drho."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgflow.convolution import Convolution, DenseForm, difference_table, is_uniform
from wgflow.energy.term import Term
from wgflow.errors import InputError, check_number
from wgflow.measure import GridMeasure, Measure

Kernel = Callable[[np.ndarray], np.ndarray]
BLOCK = 2**21
"""Pairs of points whose differences are held at a time."""


class Interaction(Term):
    """The interaction energy 1/2 int int W(x - y) drho(x) drho(y) of an even kernel W.

    On an axis that is a circle W must have its period. A singular kernel is averaged over pairs
    of cells on a grid, and a particle does not act on itself.

    Parameters
    ----------
    value
        W at differences (m, D), shape (m,).
    gradient
        Its gradient, shape (m, D).
    name
        Names the term in the results.
    singular
        Whether W is infinite at 0 (and integrable there).
    antiderivative
        For a singular kernel on a line: a function (m,) to (m,) whose second derivative is W.

    Raises
    ------
    InputError
        Something that is not a function.
    """

    convex: bool | None = None
    strength: float = 0.0
    """Of W = strength |x|^2 / 2; 0 for other kernels."""

    def __init__(
        self,
        value: Kernel,
        gradient: Kernel,
        name: str = "interaction",
        *,
        singular: bool = False,
        antiderivative: Kernel | None = None,
    ) -> None:
        if not (callable(value) and callable(gradient) and isinstance(name, str)):
            raise InputError(
                "An interaction is made of two functions, value and gradient, and a name, not of "
                f"{value!r}, {gradient!r} and {name!r}."
            )
        self.name, self.singular, self.antiderivative = name, singular, antiderivative
        self._value, self._gradient = value, gradient
        self._description: dict[str, Any] = {"kind": "Interaction", "singular": singular}
        self._last: tuple[tuple[np.ndarray, ...], Convolution | DenseForm] | None = None

    @classmethod
    def quadratic(cls, strength: float, name: str = "interaction") -> "Interaction":
        """Return W(x) = strength |x|^2 / 2, attractive where the strength is positive."""
        factor = check_number("The strength of an interaction", strength)
        term = cls(lambda x: factor * (x**2).sum(axis=1) / 2, lambda x: factor * x, name)
        # 1/2 int int |x - y|^2 / 2 is half the variance, a concave function of the law.
        term.convex = factor <= 0
        term.strength = factor
        term._description = {"kind": "Interaction", "quadratic": factor}
        return term

    @classmethod
    def logarithmic(cls, strength: float, name: str = "interaction") -> "Interaction":
        """Return W(x) = -strength log |x|, repulsive where the strength is positive."""
        factor = check_number("The strength of an interaction", strength)

        def value(x: np.ndarray) -> np.ndarray:
            with np.errstate(divide="ignore", invalid="ignore"):
                return -factor / 2 * np.log((x**2).sum(axis=1))

        def gradient(x: np.ndarray) -> np.ndarray:
            with np.errstate(divide="ignore", invalid="ignore"):
                return -factor * x / (x**2).sum(axis=1, keepdims=True)

        def antiderivative(x: np.ndarray) -> np.ndarray:
            size = np.abs(x)
            safe = np.maximum(size, np.finfo(float).tiny)
            return -factor * (size**2 / 2 * np.log(safe) - 3 * size**2 / 4)

        term = cls(value, gradient, name, singular=True, antiderivative=antiderivative)
        # -log |x| is conditionally positive definite in every dimension.
        term.convex = factor >= 0
        term._description = {"kind": "Interaction", "logarithmic": factor}
        return term

    def kernel(self, differences: np.ndarray) -> np.ndarray:
        """Return W at differences (m, D), shape (m,)."""
        return self._checked(differences, self._value, differences.shape[:1])

    def kernel_gradient(self, differences: np.ndarray) -> np.ndarray:
        """Return grad W at differences (m, D), shape (m, D)."""
        return self._checked(differences, self._gradient, differences.shape)

    def _checked(self, differences: np.ndarray, function: Kernel, shape: tuple) -> np.ndarray:
        values = np.asarray(function(differences), dtype=float)
        if values.shape != shape:
            raise InputError(
                f"The term '{self.name}' gives an array of shape {values.shape} for differences of "
                f"shape {differences.shape}, but must give one of shape {shape}."
            )
        return values

    def cell_matrix(self, edges: np.ndarray) -> np.ndarray:
        """Return W between the cells of one axis, (cells, cells): at centres, or averaged."""
        if not self.singular:
            centre = (edges[1:] + edges[:-1]) / 2
            pairs = (centre[:, np.newaxis] - centre).reshape(-1, 1)
            return self.kernel(pairs).reshape(len(centre), len(centre))
        if self.antiderivative is None:
            raise InputError(
                f"The kernel of '{self.name}' is singular; on cells of unequal width it needs its "
                "antiderivative, a function whose second derivative is the kernel."
            )
        second = self.antiderivative((edges[:, np.newaxis] - edges).reshape(-1))
        second = second.reshape(len(edges), len(edges))
        width = np.diff(edges)
        return -np.diff(np.diff(second, axis=0), axis=1) / np.multiply.outer(width, width)

    def on_grid(self, edges: Sequence[np.ndarray]) -> Convolution | DenseForm:
        """Return the map mass -> W * mass on a grid.

        Raises
        ------
        InputError
            Cells of unequal width in more than one dimension.
        """
        # Most grids are the same as the last one, in every save of a run for example.
        if self._last is None or not _equal(self._last[0], edges):
            self._last = tuple(edges), self._new_form(edges)
        return self._last[1]

    def _new_form(self, edges: Sequence[np.ndarray]) -> Convolution | DenseForm:
        if is_uniform(edges):
            return Convolution(difference_table(self.kernel, edges, averaged=self.singular))
        if len(edges) == 1:
            return DenseForm(self.cell_matrix(edges[0]))
        raise InputError(
            f"The interaction '{self.name}' needs cells of equal width on every axis in more than "
            "one dimension; use a uniform grid."
        )

    def couple(self, measure: Measure) -> "InteractionCoupling":
        return InteractionCoupling(self, measure)

    def value(self, coupling: "InteractionCoupling") -> float:
        return float(coupling.measure.mass @ coupling.field_at_home) / 2

    def first_variation(self, points: np.ndarray, coupling: "InteractionCoupling") -> np.ndarray:
        if points is coupling.measure.points:
            return coupling.field_at_home
        return self._summed(points, coupling.measure, self.kernel, 1)

    def gradient(self, points: np.ndarray, coupling: "InteractionCoupling") -> np.ndarray:
        return self._summed(points, coupling.measure, self.kernel_gradient, 2)

    def _summed(
        self, points: np.ndarray, measure: Measure, function: Kernel, axes: int
    ) -> np.ndarray:
        """Return sum_j mass_j function(x - x_j) at points (m, D), without what is not finite."""
        sources, mass = measure.points, measure.mass
        out = np.empty(points.shape[:axes])
        rows = max(1, BLOCK // len(sources))
        for first in range(0, len(points), rows):
            block = points[first : first + rows]
            pairs = (block[:, np.newaxis] - sources).reshape(-1, points.shape[1])
            values = function(pairs).reshape(len(block), len(sources), *out.shape[1:])
            if self.singular:
                values[~np.isfinite(values)] = 0.0  # a particle does not act on itself
            out[first : first + rows] = np.tensordot(values, mass, axes=(1, 0))
        return out

    def describe(self) -> dict[str, Any]:
        return self._description


def _equal(edges: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(edges) == len(other) and all(map(np.array_equal, edges, other))


class InteractionCoupling:
    """What an interaction needs to know of a law: the law, and W * rho at its own points."""

    def __init__(self, term: Interaction, measure: Measure) -> None:
        self.term, self.measure = term, measure

    @functools.cached_property
    def field_at_home(self) -> np.ndarray:
        """W * rho at the points of the law, shape (m,)."""
        measure = self.measure
        if not isinstance(measure, GridMeasure):
            return self.term._summed(measure.points, measure, self.term.kernel, 1)
        return self.term.on_grid(measure.edges).apply(measure.mass_on_grid).reshape(-1)
