"""Interaction energies, 1/2 int int W(x - y) drho drho."""

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgflow.communicator import ALONE, Communicator
from wgflow.convolution import Convolution, DenseForm, difference_table, is_uniform
from wgflow.energy import pair_kernels
from wgflow.energy.pair_kernels import PairKernel
from wgflow.energy.pair_sums import Kernel, PairSums
from wgflow.energy.term import Term
from wgflow.errors import InputError, check_choice
from wgflow.measure import GridMeasure, Measure, Particles


class Interaction(Term):
    """The interaction energy 1/2 int int W(x - y) drho(x) drho(y) of an even kernel W.

    On an axis that is a circle W must have its period. A singular kernel is averaged over pairs
    of cells on a grid, and a particle does not act on itself. For particles, named kernels are
    summed by compiled code in O(m^2) time and O(m) memory, or faster where the sum factors; the
    two functions given here are called on arrays of pairs.

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

    strength: float
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
        self._set(pair_kernels.of_functions(value, gradient, singular, antiderivative), name)
        # Sums check what the functions return.
        checked = pair_kernels.of_functions(self.kernel, self.kernel_gradient, singular, None)
        self._sums = checked.sums

    def _set(self, kernel: PairKernel, name: str) -> None:
        self.name, self._kernel = name, kernel
        self.singular, self.antiderivative = kernel.singular, kernel.antiderivative
        self.convex, self.strength = kernel.convex, kernel.strength
        self._sums = kernel.sums
        self._last: tuple[tuple[np.ndarray, ...], Convolution | DenseForm] | None = None

    @classmethod
    def _of(cls, kernel: PairKernel, name: str) -> "Interaction":
        term = cls.__new__(cls)
        term._set(kernel, name)
        return term

    @classmethod
    def quadratic(cls, strength: float, name: str = "interaction") -> "Interaction":
        """Return W(x) = strength |x|^2 / 2, attractive where the strength is positive.

        Particles cost O(m): W * rho follows from the moments of the law.
        """
        return cls._of(pair_kernels.quadratic(strength), name)

    @classmethod
    def logarithmic(cls, strength: float, name: str = "interaction") -> "Interaction":
        """Return W(x) = -strength log |x|, repulsive where the strength is positive."""
        return cls._of(pair_kernels.logarithmic(strength), name)

    @classmethod
    def power(cls, strength: float, exponent: float, name: str = "interaction") -> "Interaction":
        """Return W(x) = strength |x|^p / p, attractive where the strength is positive.

        The force is strength |x|^(p - 1). The limit of p to 0 is `logarithmic` of the opposite
        strength, up to a constant. For p < 0 the kernel is singular; grids of D axes need p > -D.

        Parameters
        ----------
        exponent
            p, not 0.

        Raises
        ------
        InputError
            Parameters that are not numbers, or p = 0.
        """
        return cls._of(pair_kernels.power(strength, exponent), name)

    @classmethod
    def gaussian(cls, strength: float, length: float, name: str = "interaction") -> "Interaction":
        """Return W(x) = strength exp(-|x|^2 / (2 length^2)), repulsive for a positive strength.

        Raises
        ------
        InputError
            Parameters that are not numbers, or a length that is not positive.
        """
        return cls._of(pair_kernels.gaussian(strength, length), name)

    @classmethod
    def morse(
        cls,
        repulsion: float,
        repulsion_length: float,
        attraction: float,
        attraction_length: float,
        name: str = "interaction",
    ) -> "Interaction":
        """Return W(x) = R exp(-|x| / l_R) - A exp(-|x| / l_A).

        Parameters
        ----------
        repulsion, attraction
            R and A, at least 0.
        repulsion_length, attraction_length
            l_R and l_A, positive.

        Raises
        ------
        InputError
            Parameters out of range.
        """
        kernel = pair_kernels.morse(repulsion, repulsion_length, attraction, attraction_length)
        return cls._of(kernel, name)

    @classmethod
    def radial(
        cls,
        profile: Callable[[float], float],
        slope: Callable[[float], float],
        name: str = "interaction",
        *,
        singular: bool = False,
        antiderivative: Kernel | None = None,
    ) -> "Interaction":
        """Return W(x) = w(|x|^2) for a function w of one's own that is compiled into the sums.

        Numba compiles it anew in every process, in a few seconds. Calls of exp, log, tanh and erf
        of `math` or NumPy run vectorised, within 4 ulp. Sums stay in double precision.

        Parameters
        ----------
        profile
            w, a Python function from one number to one.
        slope
            Its derivative w', so that grad W(x) = 2 w'(|x|^2) x.
        singular, antiderivative
            As for `Interaction`.

        Raises
        ------
        InputError
            Functions that Numba cannot compile.
        """
        return cls._of(pair_kernels.own_radial(profile, slope, singular, antiderivative), name)

    @classmethod
    def trigonometric(
        cls,
        coefficients: Sequence[float],
        strength: float = 1.0,
        period: float = 2 * math.pi,
        name: str = "interaction",
    ) -> "Interaction":
        """Return W(x) = strength prod_a sum_k c_k cos(2 pi k x_a / period), for circles.

        Particles cost O(m) times (2 K + 1)^D, as the sum over pairs factors over modes.

        Parameters
        ----------
        coefficients
            c_0, ..., c_K.

        Raises
        ------
        InputError
            Parameters that are not numbers, no coefficient, or a period that is not positive.
        """
        return cls._of(pair_kernels.trigonometric(coefficients, strength, period), name)

    def in_precision(self, precision: str) -> "Interaction":
        """Return the term with its compiled sums over pairs in "single" or "double" precision.

        Functions of one's own stay in double precision, and so do the sums of `quadratic` and
        `trigonometric`, which do not run over pairs.

        Raises
        ------
        InputError
            Another precision.
        """
        check_choice("The precision of an interaction", precision, ("single", "double"))
        if self._kernel.single_sums is None:
            return self
        term = copy.copy(self)
        single = precision == "single"
        term._sums = self._kernel.single_sums if single else self._kernel.sums
        return term

    def kernel(self, differences: np.ndarray) -> np.ndarray:
        """Return W at differences (m, D), shape (m,)."""
        return self._checked(differences, self._kernel.value, differences.shape[:1])

    def kernel_gradient(self, differences: np.ndarray) -> np.ndarray:
        """Return grad W at differences (m, D), shape (m, D)."""
        return self._checked(differences, self._kernel.gradient, differences.shape)

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
            Cells of unequal width in more than one dimension, or a kernel that is not integrable.
        """
        # Most grids are the same as the last one, in every save of a run for example.
        last = self._last  # read once: another thread may put another form there
        if last is None or not _equal(last[0], edges):
            self._last = last = tuple(edges), self._new_form(edges)
        return last[1]

    def _new_form(self, edges: Sequence[np.ndarray]) -> Convolution | DenseForm:
        if self._kernel.pole >= len(edges):
            raise InputError(
                f"The kernel of '{self.name}' grows as |x|^-{self._kernel.pole:g}, which is not "
                f"integrable in {len(edges)} dimensions; use a weaker one, or a particle solver."
            )
        if is_uniform(edges):
            return Convolution(difference_table(self.kernel, edges, averaged=self.singular))
        if len(edges) == 1:
            return DenseForm(self.cell_matrix(edges[0]))
        raise InputError(
            f"The interaction '{self.name}' needs cells of equal width on every axis in more than "
            "one dimension; use a uniform grid."
        )

    def couple(self, measure: Measure, communicator: Communicator = ALONE) -> "InteractionCoupling":
        if communicator.size > 1 and isinstance(measure, Particles):
            position = communicator.gather(measure.position)
            measure = Particles(position, communicator.gather(measure.mass))
        return InteractionCoupling(self, measure)

    def value(self, coupling: "InteractionCoupling") -> float:
        return float(coupling.measure.mass @ coupling.field_at_home) / 2

    def first_variation(self, points: np.ndarray, coupling: "InteractionCoupling") -> np.ndarray:
        if points is coupling.measure.points:
            return coupling.field_at_home
        return coupling.sums.field(points)

    def gradient(self, points: np.ndarray, coupling: "InteractionCoupling") -> np.ndarray:
        return coupling.sums.gradient(points)

    def describe(self) -> dict[str, Any]:
        return {"kind": "Interaction", **self._kernel.description}


def _equal(edges: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(edges) == len(other) and all(map(np.array_equal, edges, other))


class InteractionCoupling:
    """What an interaction needs to know of a law: the law, and W * rho at its own points.

    The law is that of all ranks; each computes what it is asked for, without communication.
    """

    def __init__(self, term: Interaction, measure: Measure) -> None:
        self.term, self.measure = term, measure

    @functools.cached_property
    def sums(self) -> PairSums:
        """The sums over the points of the law."""
        return self.term._sums(self.measure.points, self.measure.mass)

    @functools.cached_property
    def field_at_home(self) -> np.ndarray:
        """W * rho at the points of the law, shape (m,)."""
        measure = self.measure
        if not isinstance(measure, GridMeasure):
            return self.sums.field(measure.points)
        return self.term.on_grid(measure.edges).apply(measure.mass_on_grid).reshape(-1)
