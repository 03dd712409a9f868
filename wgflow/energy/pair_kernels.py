"""The kernels of interactions: their values, their sums over a law, and what is known of them."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgflow.energy.pair_sums import (
    MOST_MODES,
    BlockSums,
    Kernel,
    ModeSums,
    MomentSums,
    PairSums,
    RadialSums,
)
from wgflow.errors import InputError, check_number
from wgflow.kernels import radial
from wgflow.kernels.own_profile import own_profile
from wgflow.kernels.trigonometric import Series

Summation = Callable[[np.ndarray, np.ndarray], PairSums]
"""From points (m, D) and masses (m,) to W * rho."""


@dataclasses.dataclass(frozen=True)
class PairKernel:
    """An even kernel W.

    Attributes
    ----------
    value
        W at differences (m, D), shape (m,).
    gradient
        Its gradient, shape (m, D).
    sums, single_sums
        W * rho for a law, in double precision, and in single if that differs.
    singular
        Whether W is infinite at 0.
    antiderivative
        A function (m,) to (m,) whose second derivative is W on a line.
    pole
        For W that grows as |x|^-pole at 0: pole; it is integrable in more than `pole` dimensions.
    convex
        Whether the interaction is a convex function of the law; None where a grid must tell.
    strength
        Of W = strength |x|^2 / 2; 0 for other kernels.
    description
        The kernel as plain data.
    """

    value: Kernel
    gradient: Kernel
    sums: Summation
    description: dict[str, Any]
    single_sums: Summation | None = None
    singular: bool = False
    antiderivative: Kernel | None = None
    pole: float = 0.0
    convex: bool | None = None
    strength: float = 0.0


def of_functions(
    value: Kernel, gradient: Kernel, singular: bool, antiderivative: Kernel | None
) -> PairKernel:
    """Return the kernel that two functions of arrays define."""
    return PairKernel(
        value,
        gradient,
        functools.partial(BlockSums, value, gradient, singular),
        {"singular": singular},
        singular=singular,
        antiderivative=antiderivative,
    )


def _of_radial(kernel: radial.Radial, description: dict[str, Any], **known: Any) -> PairKernel:
    return PairKernel(
        kernel.at,
        kernel.gradient_at,
        functools.partial(RadialSums, kernel, False),
        description,
        # The numbers in a function of one's own are double precision.
        single_sums=None if kernel.own else functools.partial(RadialSums, kernel, True),
        **known,
    )


def quadratic(strength: float) -> PairKernel:
    """Return strength |x|^2 / 2."""
    factor = check_number("The strength of an interaction", strength)
    return PairKernel(
        lambda x: factor * (x**2).sum(axis=1) / 2,
        lambda x: factor * x,
        functools.partial(MomentSums, factor),
        {"quadratic": factor},
        # 1/2 int int |x - y|^2 / 2 is half the variance, a concave function of the law.
        convex=factor <= 0,
        strength=factor,
    )


def logarithmic(strength: float) -> PairKernel:
    """Return -strength log |x|."""
    factor = check_number("The strength of an interaction", strength)

    def antiderivative(x: np.ndarray) -> np.ndarray:
        size = np.abs(x)
        safe = np.maximum(size, np.finfo(float).tiny)
        return -factor * (size**2 / 2 * np.log(safe) - 3 * size**2 / 4)

    return _of_radial(
        radial.logarithmic(factor),
        {"logarithmic": factor},
        singular=True,
        antiderivative=antiderivative,
        # -log |x| is conditionally positive definite in every dimension.
        convex=factor >= 0,
    )


def power(strength: float, exponent: float) -> PairKernel:
    """Return strength |x|^p / p for p = exponent."""
    factor = check_number("The strength of an interaction", strength)
    p = check_number("The exponent of an interaction", exponent)
    if p == 0:
        raise InputError(
            "The exponent of an interaction is 0, but must not be; the limit of |x|^p / p is "
            "log |x|: use Interaction.logarithmic with the opposite strength."
        )

    def antiderivative(x: np.ndarray) -> np.ndarray:
        return factor * np.abs(x) ** (p + 2) / (p * (p + 1) * (p + 2))

    return _of_radial(
        radial.power(factor, p),
        {"power": factor, "exponent": p},
        singular=p < 0,
        antiderivative=antiderivative if p > -1 else None,
        pole=max(0.0, -p),
        # For p <= 2, -|x|^p / p is positive definite on masses of total zero, wherever it is
        # integrable (Schoenberg 1938; for p < 0 the kernel of Riesz). For p > 2 the form is -2/p
        # at two points of masses 1, -1, but (2 2^p - 8)/p at three of masses 1, -2, 1.
        convex=factor <= 0 if p <= 2 else factor == 0,
    )


def gaussian(strength: float, length: float) -> PairKernel:
    """Return strength exp(-|x|^2 / (2 length^2))."""
    factor = check_number("The strength of an interaction", strength)
    length = check_number("The length of an interaction", length, above=0)
    return _of_radial(
        radial.gaussian(factor, length),
        {"gaussian": factor, "length": length},
        convex=factor >= 0,  # its Fourier transform is positive
    )


def morse(
    repulsion: float, repulsion_length: float, attraction: float, attraction_length: float
) -> PairKernel:
    """Return repulsion exp(-|x| / l_r) - attraction exp(-|x| / l_a)."""
    r = check_number("The repulsion of an interaction", repulsion, least=0)
    l_r = check_number("The repulsion_length of an interaction", repulsion_length, above=0)
    a = check_number("The attraction of an interaction", attraction, least=0)
    l_a = check_number("The attraction_length of an interaction", attraction_length, above=0)
    # The Fourier transform of exp(-|x| / l) is a constant times l^D / (1 + l^2 k^2)^((D + 1) / 2).
    # The quotient of the two is monotone in k, so that its ends decide: l_r^D r >= l_a^D a and
    # r / l_r >= a / l_a. If l_r >= l_a the second implies the first; without the first, a bounded
    # domain may still be too small to see it.
    convex = None
    if r / l_r < a / l_a:
        convex = False
    elif l_r >= l_a or a == 0:
        convex = True
    return _of_radial(
        radial.morse(r, l_r, a, l_a),
        {"repulsion": r, "repulsion_length": l_r, "attraction": a, "attraction_length": l_a},
        convex=convex,
    )


def own_radial(
    profile: Callable[[float], float],
    slope: Callable[[float], float],
    singular: bool,
    antiderivative: Kernel | None,
) -> PairKernel:
    """Return w(|x|^2) for functions of one's own, w and its derivative."""
    value, change = own_profile("profile", profile), own_profile("slope", slope)
    at_zero = 0.0 if singular else float(value(np.zeros(1))[0])
    if not math.isfinite(at_zero):
        raise InputError(
            f"The profile of a radial interaction is {at_zero} at 0, which a kernel without pole "
            "is not; give singular=True."
        )
    return _of_radial(
        radial.Radial(value, dataclasses.replace(change, scale=2.0), at_zero),
        {"radial": profile.__name__, "singular": singular},
        singular=singular,
        antiderivative=antiderivative,
    )


def trigonometric(coefficients: Sequence[float], strength: float, period: float) -> PairKernel:
    """Return strength prod_a sum_k c_k cos(2 pi k x_a / period)."""
    factor = check_number("The strength of an interaction", strength)
    period = check_number("The period of an interaction", period, above=0)
    numbers = [check_number("A coefficient of an interaction", c) for c in coefficients]
    if not numbers:
        raise InputError(
            "An interaction has no coefficients, but needs at least one; give c_0, ..., c_K."
        )
    series = Series(np.array(numbers), factor, period)

    def sums(points: np.ndarray, mass: np.ndarray) -> PairSums:
        if series.mode_count(points.shape[1]) > MOST_MODES:
            return BlockSums(series.at, series.gradient_at, False, points, mass)
        return ModeSums(series, points, mass)

    return PairKernel(
        series.at,
        series.gradient_at,
        sums,
        {"trigonometric": numbers, "strength": factor, "period": period},
        # The form is a sum of squares of moments; their weights are products of coefficients.
        convex=True if factor >= 0 and min(numbers) >= 0 else None,
    )
