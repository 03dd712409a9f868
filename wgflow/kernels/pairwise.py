"""Compiled sums over pairs of points for radial kernels, sum_j mass_j W(x_i - y_j) and gradients.

Threads share out the targets, and one of them sums one target over the sources from first to
last, in blocks whose sums are added in double precision: the bits do not depend on the number of
threads, and no array over pairs is made. A kernel is compiled once for each form, number of axes
and precision, in less than half a second, and kept on disk by Numba (see `wgflow.kernels.fused`).
"""

import math
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic

from wgflow.kernels import logarithm as _logarithm_file, workers
from wgflow.kernels.elementary import FINGERPRINT, exponential
from wgflow.kernels.logarithm import logarithm
from wgflow.kernels.radial import Array, Profile, Radial
from wgflow.kernels.unrolled import add_scaled, column, dot, number, row, zeros

MAXIMUM_DIMENSION = 16

_LOGARITHM, _POWER, _WHOLE_POWER, _EXPONENTIAL, _TWO, _TWO_OVER_DISTANCE, _OWN = range(7)
_CODES = {
    "logarithm": _LOGARITHM,
    "power": _POWER,
    "exponential": _EXPONENTIAL,
    "two_exponentials": _TWO,
    "two_exponentials_over_distance": _TWO_OVER_DISTANCE,
    "own": _OWN,
}
_LARGEST_WHOLE = 8
"""|x|^p is computed by products for whole p up to this one, otherwise by exp and log."""

# As in the kernels for networks; sums may be reordered, NaN and infinity keep their meaning.
_REDUCTION: dict[str, Any] = {
    "nogil": True,
    "fastmath": {"reassoc", "nsz", "contract"},
    "error_model": "numpy",
}
_VECTOR = 16
"""Sources are padded to whole vectors of this many numbers (float32 with AVX-512)."""
_SPAN = 256
"""A row of sources takes an odd number of this many bytes (see `wgflow.kernels.fused`)."""
_SOURCES, _TARGETS = 1024, 64
"""Sources that are summed in one piece, and targets that a thread takes at a time."""

_FEW = 1 << 16
"""Pairs that one thread sums sooner than several have begun."""

# In the cache key of what is compiled from other files (see `wgflow.kernels.elementary`).
_FINGERPRINT = zlib.crc32(Path(_logarithm_file.__file__).read_bytes(), FINGERPRINT)

# An intrinsic is called without its first argument, which type checkers cannot know.
_intrinsic: Any = intrinsic


@_intrinsic
def _difference(typing: Any, left: Any, right: Any) -> Any:
    """Return (left[0] - right[0], ...), as long as `left`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = (cgutils.unpack_tuple(builder, argument) for argument in arguments)
        pairs = zip(first, second[: len(first)], strict=True)
        return context.make_tuple(builder, left, [builder.fsub(x, y) for x, y in pairs])

    return left(left, right), generate


@_intrinsic
def _last(typing: Any, items: Any) -> Any:
    """Return the last of a tuple of numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return cgutils.unpack_tuple(builder, arguments[0])[-1]

    return items.dtype(items), generate


class _Form(NamedTuple):
    """What a profile is compiled for; its parameters are passed.

    Attributes
    ----------
    code
        The form.
    half, odd, inverse
        Of a whole power: q^half, times sqrt(q) if `odd`, in the denominator if `inverse`.
    guarded
        Whether the form is not to be evaluated at q = 0.
    function
        One's own, compiled by Numba, or None.
    """

    code: int
    half: int = 0
    odd: bool = False
    inverse: bool = False
    guarded: bool = False
    function: Any = None


def _form(profile: Profile) -> tuple[_Form, tuple[float, ...]]:
    """Return the form of a profile, and its four parameters."""
    code, parameters = _CODES[profile.form], profile.parameters
    guarded = code in (_LOGARITHM, _POWER, _TWO_OVER_DISTANCE, _OWN)
    form = _Form(code, guarded=guarded, function=profile.compiled)
    if code == _POWER:
        whole = 2 * parameters[0]
        if whole == int(whole) and abs(whole) <= _LARGEST_WHOLE:
            half, odd = divmod(abs(int(whole)), 2)
            form = _Form(_WHOLE_POWER, half, bool(odd), whole < 0, guarded=whole < 0)
            parameters = ()
    return form, (*parameters, *(0.0,) * (4 - len(parameters)))


@njit(inline="always")
def _two_exponentials(r: float, a: float, b: float, c: float, d: float) -> float:
    first = number(a, r) * exponential(number(b, r) * r)
    return first + number(c, r) * exponential(number(d, r) * r)


@njit(inline="always")
def _evaluate(
    code: int,
    half: int,
    odd: bool,
    inverse: bool,
    function: Any,
    q: float,
    a: float,
    b: float,
    c: float,
    d: float,
) -> float:
    """Return a form at q = |x|^2."""
    if code == _LOGARITHM:
        return logarithm(q)
    elif code == _POWER:
        return exponential(number(a, q) * logarithm(q))
    elif code == _WHOLE_POWER:
        power = q**half
        if odd:
            power = power * math.sqrt(q)
        return number(1.0, q) / power if inverse else power
    elif code == _EXPONENTIAL:
        return exponential(number(a, q) * q)
    elif code == _TWO:
        return _two_exponentials(math.sqrt(q), a, b, c, d)
    elif code == _TWO_OVER_DISTANCE:
        return _two_exponentials(math.sqrt(q), a, b, c, d) / math.sqrt(q)
    else:
        return function(q)


@cache
def _sum_kernel(form: _Form, dimension: int) -> Callable[..., None]:
    """Build the kernel that adds to sums (n,) for targets (n, D) and sources (D + 1, count).

    The last row of the sources are their masses.
    """
    fingerprint = _FINGERPRINT
    code, half, odd, inverse, guarded, function = form
    place, source = (0.0,) * dimension, (0.0,) * (dimension + 1)

    @njit(cache=function is None, **_REDUCTION)
    def kernel(
        targets: Array,
        sources: Array,
        count: int,
        sums: Array,
        begin: int,
        end: int,
        at_zero: float,
        a: float,
        b: float,
        c: float,
        d: float,
    ) -> None:
        _ = fingerprint
        for first in range(0, count, _SOURCES):
            for i in range(begin, end):
                x = row(targets, i, place)
                zero, one = number(0.0, x[0]), number(1.0, x[0])
                total = zero
                for j in range(first, min(first + _SOURCES, count)):
                    y = column(sources, j, source)
                    away = _difference(x, y)
                    q = dot(away, away)
                    if guarded:
                        here = q == zero
                        q = one if here else q
                        w = _evaluate(code, half, odd, inverse, function, q, a, b, c, d)
                        w = number(at_zero, q) if here else w
                    else:
                        w = _evaluate(code, half, odd, inverse, function, q, a, b, c, d)
                    total += _last(y) * w
                sums[i] += total

    return kernel


@cache
def _gradient_kernel(form: _Form, dimension: int) -> Callable[..., None]:
    """Build the kernel that adds to sums (n, D) for targets (n, D), sources (D + 1, count)."""
    fingerprint = _FINGERPRINT
    code, half, odd, inverse, guarded, function = form
    place, source = (0.0,) * dimension, (0.0,) * (dimension + 1)

    @njit(cache=function is None, **_REDUCTION)
    def kernel(
        targets: Array,
        sources: Array,
        count: int,
        sums: Array,
        begin: int,
        end: int,
        a: float,
        b: float,
        c: float,
        d: float,
    ) -> None:
        _ = fingerprint
        for first in range(0, count, _SOURCES):
            for i in range(begin, end):
                x = row(targets, i, place)
                zero, one = number(0.0, x[0]), number(1.0, x[0])
                total = zeros(place, x[0])
                for j in range(first, min(first + _SOURCES, count)):
                    y = column(sources, j, source)
                    away = _difference(x, y)
                    q = dot(away, away)
                    if guarded:
                        q = one if q == zero else q
                    w = _evaluate(code, half, odd, inverse, function, q, a, b, c, d)
                    total = add_scaled(total, _last(y) * w, away)
                for k in range(dimension):
                    sums[i, k] += total[k]

    return kernel


def _rows(sources: Array, mass: Array) -> tuple[Array, int]:
    """Return sources and masses as rows (D + 1, ...), and the padded length to run over.

    The padding repeats the first source with mass 0, so that nothing is evaluated there that is
    not evaluated anyway.
    """
    length, axes = sources.shape
    count = _VECTOR * -(-length // _VECTOR)
    span = _SPAN // sources.itemsize
    rows = np.empty((axes + 1, span * (-(-count // span) | 1)), dtype=sources.dtype)
    rows[:axes, :length] = sources.T
    rows[axes, :length] = mass
    rows[:axes, length:] = sources[:1].T
    rows[axes, length:] = 0
    return rows, count


def supports(dimension: int) -> bool:
    """Whether there are compiled kernels in this many dimensions."""
    return dimension <= MAXIMUM_DIMENSION


def radial_sum(targets: Array, sources: Array, mass: Array, kernel: Radial) -> Array:
    """Compute what `radial_sum_reference` does, where `supports` holds.

    Pairs are computed in single precision if all arrays are float32, otherwise in double.

    Parameters
    ----------
    targets
        (n, D).
    sources
        (m, D).
    mass
        (m,).

    Returns
    -------
    (n,), float64
    """
    targets, sources, mass = _of_one_kind(targets, sources, mass)
    form, parameters = _form(kernel.value)
    compiled = _sum_kernel(form, sources.shape[1])
    sums = np.zeros(len(targets))
    _run(compiled, targets, sources, mass, sums, (kernel.at_zero, *parameters))
    return kernel.value.scale * sums


def radial_gradient(targets: Array, sources: Array, mass: Array, kernel: Radial) -> Array:
    """Compute what `radial_gradient_reference` does, where `supports` holds.

    Pairs are computed in single precision if all arrays are float32, otherwise in double.

    Parameters
    ----------
    targets
        (n, D).
    sources
        (m, D).
    mass
        (m,).

    Returns
    -------
    (n, D), float64
    """
    targets, sources, mass = _of_one_kind(targets, sources, mass)
    form, parameters = _form(kernel.slope)
    compiled = _gradient_kernel(form, sources.shape[1])
    sums = np.zeros(targets.shape)
    _run(compiled, targets, sources, mass, sums, parameters)
    return kernel.slope.scale * sums


def _of_one_kind(*arrays: Array) -> list[Array]:
    """Return the arrays as float32, if all are, or as float64, in the layout of the kernels."""
    single = all(array.dtype == np.float32 for array in arrays)
    kind = np.float32 if single else np.float64
    return [np.require(array, kind, ("C", "A", "W")) for array in arrays]


def _run(
    kernel: Callable[..., None],
    targets: Array,
    sources: Array,
    mass: Array,
    sums: Array,
    parameters: tuple[float, ...],
) -> None:
    """Share out the targets among threads; all at once where threads would cost more."""
    rows, count = _rows(sources, mass)
    few = len(targets) * count < _FEW
    size = len(targets) if few else _TARGETS

    def task(turn: int) -> None:
        begin, end = turn * size, min((turn + 1) * size, len(targets))
        kernel(targets, rows, count, sums, begin, end, *parameters)

    workers.run(lambda: task, -(-len(targets) // size))
