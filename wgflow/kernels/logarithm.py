"""The natural logarithm as straight-line arithmetic that LLVM vectorises inside loops.

The argument is split as x = 2^k m with m in [sqrt(1/2), sqrt(2)) by its bits. With f = m - 1, which
is exact, and s = f / (2 + f), so that |s| <= 0.172,

    log(m) = f - s (f - 2 s^2 L(s^2)),    log(x) = k log(2) + log(m).

As in `wgflow.kernels.elementary`, no function here may carry the flag 'reassoc'.
"""

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from wgflow.kernels.elementary import _HIGH, _LOW
from wgflow.kernels.unrolled import number, polynomial

# An intrinsic is called without its first argument, which type checkers cannot know.
_intrinsic: Any = intrinsic

# log(m) = 2 s + 2 s^3 L(s^2), by the Remez exchange in 60 digits: 1.2e-18 relative to 2 s in
# float64, 8.1e-10 in float32.
_LOGARITHM = (
    (
        0.3333333333333367,
        0.19999999999707338,
        0.14285714371194005,
        0.11111099286578859,
        0.09091782163503512,
        0.07657025269735923,
        0.07397974873252054,
    ),
    (0.33333388, 0.19988771, 0.14935864),
)


@_intrinsic
def _split(typing: Any, x: Any) -> Any:
    """Return k and m in the precision of x."""
    double = x == types.float64
    kind: Any = np.float64 if double else np.float32
    whole = types.int64 if double else types.int32
    like = np.int64 if double else np.int32
    digits, bias, lift = (52, 1023, 54.0) if double else (23, 127, 25.0)
    # The exponent is counted from sqrt(1/2), and made positive.
    shift = int(kind(1.0).view(like)) - int(np.sqrt(kind(0.5)).view(like))
    # A whole number in the low bits of 2^digits adds itself to it.
    counter = int(kind(2.0**digits).view(like))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def integer(value: int) -> Any:
            return context.get_constant(whole, value)

        def floating(value: float) -> Any:
            return context.get_constant(x, value)

        bits_type, float_type = context.get_value_type(whole), context.get_value_type(x)
        least_normal = floating(2.0 ** (1 - bias))
        subnormal = builder.fcmp_ordered("<", arguments[0], least_normal)
        lifted = builder.fmul(arguments[0], floating(2.0**lift))
        bits = builder.bitcast(builder.select(subnormal, lifted, arguments[0]), bits_type)
        exponent = builder.lshr(builder.add(bits, integer(shift)), integer(digits))
        power = builder.shl(builder.sub(exponent, integer(bias)), integer(digits))
        counted = builder.bitcast(builder.or_(exponent, integer(counter)), float_type)
        start = 2.0**digits + bias
        origin = builder.select(subnormal, floating(start + lift), floating(start))
        k = builder.fsub(counted, origin)
        m = builder.bitcast(builder.sub(bits, power), float_type)
        return context.make_tuple(builder, signature.return_type, [k, m])

    return types.UniTuple(x, 2)(x), generate


@njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)
def logarithm(x: float) -> float:
    """Return log(x) for x > 0, within 1 ulp; infinity and NaN stay what they are."""
    two = number(2.0, x)
    k, m = _split(x)
    f = m - number(1.0, x)
    s = f / (two + f)
    q = s * s
    series = two * (q * polynomial(_LOGARITHM, q))
    value = k * number(_HIGH, x) + (f - (s * (f - series) - k * number(_LOW, x)))
    return value if x < number(math.inf, x) else x
