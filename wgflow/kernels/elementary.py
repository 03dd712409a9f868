"""Elementary functions that LLVM vectorises inside loops: exp, tanh, erf and log(1 + u), float64.

Numba's own `math.exp` and `math.tanh` are calls into the C library, one number at a time (30 ns).
These are straight-line arithmetic, always inlined, without a table or a branch: 0.5 to 2 ns a
number with AVX-512. NaN stays NaN. The errors in the docstrings are against 40-digit values;
they vary by an ulp (unit in the last place) between processors with and without a fused
multiply-add.

The argument of exp is split as x = k log(2) + r with |r| <= log(2)/2 and exp(x) = 2^k exp(r). The
whole number k comes from adding 1.5 * 2^52, which rounds to a whole number and leaves k in the low
bits of the sum; hence no function here may carry the flag 'reassoc', which would cancel the
addition.
"""

import math
import zlib
from pathlib import Path

from numba import njit

from wgflow.kernels.activation import ERROR_FUNCTION_COEFFICIENTS, ERROR_FUNCTION_END
from wgflow.kernels.unrolled import from_bits, polynomial, to_bits

_elementary = njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)

_LOG2_E = 1.0 / math.log(2.0)
_ROUNDING = 1.5 * 2.0**52
# log(2) in two parts, the first with 32 bits, so that k times it is exact for |k| <= 1100.
_LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")
_LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")

# exp(r) = 1 + r + r^2 E(r) for |r| <= log(2)/2, by the Remez exchange in 60 digits: 3.5e-18.
_EXPONENTIAL = (
    0.5000000000000012,
    0.166666666666667,
    0.04166666666651643,
    0.008333333333307377,
    0.0013888888946774916,
    0.00019841269917050567,
    2.480149017293457e-05,
    2.755721657870835e-06,
    2.763120323788646e-07,
    2.5117776864493974e-08,
)

# exp(r) = [A(r^2) + r B(r^2)] / [A(r^2) - r B(r^2)], the Pade approximant of degrees (6, 6), with
# coefficients (12 - k)! / (k! (6 - k)!): 1.8e-19 for |r| <= log(2)/2.
_PADE = tuple(
    float(math.factorial(12 - k) // (math.factorial(k) * math.factorial(6 - k))) for k in range(7)
)
_PADE_EVEN, _PADE_ODD = _PADE[::2], _PADE[1::2]

# Two halves, in x^2, because they are evaluated side by side.
_ERF_EVEN, _ERF_ODD = ERROR_FUNCTION_COEFFICIENTS[::2], ERROR_FUNCTION_COEFFICIENTS[1::2]

# log(1 + u) = 2 s + 2 s^3 L(s^2) with s = u / (2 + u) <= 1/3, by Remez in 60 digits: 4.9e-17.
_LOGARITHM = (
    0.3333333333333885,
    0.19999999998024856,
    0.1428571452899853,
    0.11111096452354849,
    0.09091407034445685,
    0.0768214780878729,
    0.06793156543097181,
    0.04951414060480823,
    0.08869870834617752,
)


def _fingerprint() -> int:
    """Return a number that changes with everything a compiled kernel inlines from elsewhere."""
    names = ("activation.py", "elementary.py", "unrolled.py")
    return zlib.crc32(b"".join(Path(__file__).with_name(name).read_bytes() for name in names))


# Numba's cache on disk watches only the file that a kernel is written in. A kernel that refers to
# this number from its closure has it in its cache key, and is compiled anew when it changes.
FINGERPRINT = _fingerprint()


@_elementary
def _split(x: float) -> tuple[float, float]:
    """Return h = 2^(k - 1) and r, where x = k log(2) + r; 2^k itself can overflow at k = 1024."""
    shifted = x * _LOG2_E + _ROUNDING
    k = shifted - _ROUNDING
    r = (x - k * _LOG_2_HIGH) - k * _LOG_2_LOW
    return from_bits((to_bits(shifted) + 1022) << 52), r


@_elementary
def exponential(x: float) -> float:
    """Return exp(x), within 2 ulp for -708 <= x; below -708 it stays at exp(-708) = 3.3e-308."""
    h, r = _split(min(max(x, -708.0), 710.0))
    p = r + r * r * polynomial(_EXPONENTIAL, r)
    return 2.0 * (h + h * p)


@_elementary
def hyperbolic_tangent(x: float) -> float:
    """Return tanh(x), within 3 ulp; exactly odd, and exactly 1 above 20."""
    h, r = _split(2.0 * min(max(x, -20.0), 20.0))
    s = 2.0 * h
    q = r * r
    a = polynomial(_PADE_EVEN, q)
    b = r * polynomial(_PADE_ODD, q)
    # (e^{2x} - 1) / (e^{2x} + 1) with e^{2x} = s (a + b) / (a - b).
    return ((s - 1.0) * a + (s + 1.0) * b) / ((s + 1.0) * a + (s - 1.0) * b)


@_elementary
def error_function(x: float) -> float:
    """Return erf(x), within 4 ulp; exactly odd, and exactly 1 above 6."""
    y = min(abs(x), ERROR_FUNCTION_END)
    q = y * y
    h, r = _split(-y * (polynomial(_ERF_EVEN, q) + y * polynomial(_ERF_ODD, q)))
    s = 2.0 * h
    p = r + r * r * polynomial(_EXPONENTIAL, r)
    # 1 - s (1 + p), in the order that keeps the relative error small near 0, where s is 1.
    return ((1.0 - s) - s * p) * (-1.0 if x < 0.0 else 1.0)


@_elementary
def logarithm_of_one_plus(u: float) -> float:
    """Return log(1 + u) for 0 <= u <= 1, within 3 ulp."""
    s = u / (2.0 + u)
    q = s * s
    return 2.0 * (s + s * (q * polynomial(_LOGARITHM, q)))
