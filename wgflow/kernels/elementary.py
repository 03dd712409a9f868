"""Elementary functions that LLVM vectorises inside loops: exp, tanh, erf and log(1 + u).

Numba's own `math.exp` and `math.tanh` are calls into the C library, one number at a time (30 ns).
These are straight-line arithmetic, always inlined, without a table or a branch: with AVX-512, 0.5
to 2 ns a float64 and 0.2 to 0.5 ns a float32. The result has the precision of the argument. NaN
stays NaN. The errors in the docstrings are against 30-digit values in float64, and over all numbers
in float32; they vary by an ulp (unit in the last place) between processors with and without a fused
multiply-add.

The argument of exp is split as x = k log(2) + r with |r| <= log(2)/2 and exp(x) = 2^k exp(r). The
whole number k comes from adding 1.5 * 2^52 (2^23 in float32), which rounds to a whole number and
leaves k in the low bits of the sum; hence no function here may carry the flag 'reassoc', which
would cancel the addition.

All coefficients come from the Remez exchange in 60 digits, weighted so that the relative error of
the function is levelled; after each is the error with them. Those for float32 were rounded one
after the other, with the others fitted anew.
"""

import math
import zlib
from pathlib import Path

from numba import njit

from wgflow.kernels.activation import ERROR_FUNCTION_COEFFICIENTS, ERROR_FUNCTION_END
from wgflow.kernels.unrolled import number, polynomial, power_of_two

_elementary = njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)

# Of every pair, the first is for float64 and the second for float32.
_LOG_2 = math.log(2.0)
_ROUNDING = (1.5 * 2.0**52, 1.5 * 2.0**23)

# log(2) in two parts, the first so short that k times it is exact for every k that occurs.
_LOG_2_HIGH = float.fromhex("0x1.62e42feep-1")
_LOG_2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_HIGH = (_LOG_2_HIGH, float.fromhex("0x1.62e4p-1"))
_LOW = (_LOG_2_LOW, _LOG_2 - float.fromhex("0x1.62e4p-1"))

# From here to there exp is computed: 2^(k - 1) is a normal number, and exp has become infinite.
_LEAST, _GREATEST = (-708.0, -86.9), (710.0, 89.0)

# exp(r) = 1 + r + r^2 E(r) for |r| <= log(2)/2: 3.5e-18, 3.2e-9.
_EXPONENTIAL = (
    (
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
    ),
    (0.49999994, 0.16666517, 0.041668102, 0.0083691925, 0.0013838903),
)

# tanh(r) = r + r^3 T(r^2) for |r| <= log(2)/4: 4.1e-18, 1.7e-10; and where tanh has become 1.
_TANGENT = (
    (
        -0.3333333333333249,
        0.1333333333278472,
        -0.053968252783272413,
        0.021869370789513776,
        -0.008857310851802823,
        0.0034448597676912515,
    ),
    (-0.33333322, 0.13331142, -0.05271529),
)
_SATURATED = (20.0, 10.0)

# erf(x) = 1 - exp(-x P(x)), in float32 up to 4: 5.2e-8. Two halves of P, in x^2, because they are
# evaluated side by side.
_ERROR_FUNCTION_SINGLE = (
    1.1283792,
    0.636615,
    0.10283348,
    -0.019408708,
    0.0003925366,
    0.0010420966,
    -0.00025520197,
    2.6752027e-06,
    4.529515e-06,
)
_ERF_EVEN = (ERROR_FUNCTION_COEFFICIENTS[::2], _ERROR_FUNCTION_SINGLE[::2])
_ERF_ODD = (ERROR_FUNCTION_COEFFICIENTS[1::2], _ERROR_FUNCTION_SINGLE[1::2])
_ERF_END = (ERROR_FUNCTION_END, 4.0)

# log(1 + u) = 2 s + 2 s^3 L(s^2) with s = u / (2 + u) <= 1/3: 4.9e-17, 4.5e-9.
_LOGARITHM = (
    (
        0.3333333333333885,
        0.19999999998024856,
        0.1428571452899853,
        0.11111096452354849,
        0.09091407034445685,
        0.0768214780878729,
        0.06793156543097181,
        0.04951414060480823,
        0.08869870834617752,
    ),
    (0.3333321, 0.20010719, 0.14001511, 0.1400341),
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
    """Return h = 2^(k - 1) and r, where x = k log(2) + r; 2^k itself can overflow at the end."""
    shifted = x * number(1.0 / _LOG_2, x) + number(_ROUNDING, x)
    k = shifted - number(_ROUNDING, x)
    r = (x - k * number(_HIGH, x)) - k * number(_LOW, x)
    return power_of_two(shifted, -1), r


@_elementary
def exponential(x: float) -> float:
    """Return exp(x), within 2 ulp.

    Below -708 it stays at exp(-708) = 3.3e-308, in float32 below -86.9 at 1.8e-38.
    """
    h, r = _split(min(max(x, number(_LEAST, x)), number(_GREATEST, x)))
    p = r + r * r * polynomial(_EXPONENTIAL, r)
    half = h + h * p
    return half + half


@_elementary
def hyperbolic_tangent(x: float) -> float:
    """Return tanh(x), within 3 ulp; exactly odd, and exactly 1 above 20, in float32 above 10."""
    one = number(1.0, x)
    y = min(max(x, -number(_SATURATED, x)), number(_SATURATED, x))
    # y = k log(2)/2 + r; the slope of tanh falls faster with k than the error of k log(2)/2 grows.
    shifted = y * number(2.0 / _LOG_2, x) + number(_ROUNDING, x)
    k = shifted - number(_ROUNDING, x)
    r = y - k * number(_LOG_2 / 2.0, x)
    q = r * r
    t = r + r * q * polynomial(_TANGENT, q)
    # The addition theorem, with (s - 1) / (s + 1) = tanh(k log(2)/2).
    s = power_of_two(shifted, 0)
    return ((s - one) + (s + one) * t) / ((s + one) + (s - one) * t)


@_elementary
def error_function(x: float) -> float:
    """Return erf(x), within 4 ulp; exactly odd, and exactly 1 above 6, in float32 above 4."""
    one = number(1.0, x)
    y = min(abs(x), number(_ERF_END, x))
    q = y * y
    h, r = _split(-y * (polynomial(_ERF_EVEN, q) + y * polynomial(_ERF_ODD, q)))
    s = h + h
    p = r + r * r * polynomial(_EXPONENTIAL, r)
    # 1 - s (1 + p), in the order that keeps the relative error small near 0, where s is 1.
    return ((one - s) - s * p) * (-one if x < number(0.0, x) else one)


@_elementary
def logarithm_of_one_plus(u: float) -> float:
    """Return log(1 + u) for 0 <= u <= 1, within 3 ulp."""
    two = number(2.0, u)
    s = u / (two + u)
    q = s * s
    return two * (s + s * (q * polynomial(_LOGARITHM, q)))
