"""Standard normals from the counter-based generator Philox4x64-10, compiled.

The words are bit for bit those of `numpy.random.Philox`. Source of the generator and its constants:
Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Two words make
two independent normals, without a branch or a rejected draw (Box and Muller, "A note on the
generation of random normal deviates", Annals of Mathematical Statistics 29, 1958):

    sqrt(-2 log u) cos(2 pi v)  and  sqrt(-2 log u) sin(2 pi v),   u in (0, 1], v in [0, 1),

from the upper 53 bits of each word: u = (upper + 1) / 2^53 is never 0, v = upper / 2^53. The
smallest u bounds a normal by 8.57, which one in 10^17 would exceed.

`wgflow.noise` says which word makes which number, and holds the same formulas in NumPy.
"""

import math
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads
from numpy.typing import NDArray

from wgflow.kernels import logarithm as logarithm_file, waiting  # noqa: F401 (for its effect)
from wgflow.kernels.elementary import FINGERPRINT
from wgflow.kernels.logarithm import logarithm
from wgflow.kernels.unrolled import from_bits, polynomial, to_bits

LANES = 32
"""Counters of a group; their words of one kind lie side by side, so that loops vectorise."""
GROUP = 4 * LANES
"""Normals of a group."""
# To wake the other threads takes about as long as to fill this many groups.
_WORTH_THREADS = 512

# Numba computes in floats where a signed number meets an unsigned one: all of these are unsigned.
_MULTIPLIERS = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_HALVES = tuple((multiplier & _LOW, multiplier >> _HALF) for multiplier in _MULTIPLIERS)
_BELOW_UPPER_53 = np.uint64(11)

# sin(pi f / 2) = f S(f^2) and cos(pi f / 2) = 1 + f^2 C(f^2) for |f| <= 1/2, by the Remez exchange
# in 60 digits: 3.2e-18 and 6.1e-20.
_SINE = (
    1.5707963267948966,
    -0.6459640975062443,
    0.07969262624604308,
    -0.004681754132342262,
    0.0001604411507521089,
    -3.5986433882446756e-06,
    5.633938483009824e-08,
)
_COSINE = (
    -1.2337005501361697,
    0.25366950790104714,
    -0.02086348076331817,
    0.0009192602742368791,
    -2.520203696171001e-05,
    4.710612286370464e-07,
    -6.321258921033039e-09,
)

# To the fingerprint belongs every other file that the kernel inlines.
_FINGERPRINT = zlib.crc32(Path(logarithm_file.__file__).read_bytes(), FINGERPRINT)

_integer = njit(forceinline=True)
_elementary = njit(fastmath={"nsz", "contract"}, error_model="numpy", forceinline=True)


@_integer
def _high_product(low: np.uint64, high: np.uint64, b: np.uint64) -> np.uint64:
    """Return the upper 64 bits of (low + 2^32 high) b, from products of halves.

    Vectors have an instruction for such a product, but none for one of 128 bits: that would be 1.3
    times slower. The halves are arguments lest LLVM recognise the whole and make it of 128 bits.
    """
    b_low, b_high = b & _LOW, b >> _HALF
    middle = high * b_low + (low * b_low >> _HALF)
    carried = low * b_high + (middle & _LOW)
    return high * b_high + (middle >> _HALF) + (carried >> _HALF)


@_integer
def _round(
    a: np.uint64,
    b: np.uint64,
    c: np.uint64,
    d: np.uint64,
    seed: np.uint64,
    stream: np.uint64,
    number: int,
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    times = np.uint64(number)
    return (
        _high_product(*_HALVES[1], c) ^ b ^ (seed + times * _WEYL[0]),
        _MULTIPLIERS[1] * c,
        _high_product(*_HALVES[0], a) ^ d ^ (stream + times * _WEYL[1]),
        _MULTIPLIERS[0] * a,
    )


@_integer
def words(
    counter: np.uint64, block: np.uint64, index: np.uint64, seed: np.uint64, stream: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the four words of counter (counter, 0, block, index) under key (seed, stream)."""
    a, b, c, d = counter, np.uint64(0), block, index
    # Written out, as a loop in here would keep the loop around it from being vectorised.
    a, b, c, d = _round(a, b, c, d, seed, stream, 0)
    a, b, c, d = _round(a, b, c, d, seed, stream, 1)
    a, b, c, d = _round(a, b, c, d, seed, stream, 2)
    a, b, c, d = _round(a, b, c, d, seed, stream, 3)
    a, b, c, d = _round(a, b, c, d, seed, stream, 4)
    a, b, c, d = _round(a, b, c, d, seed, stream, 5)
    a, b, c, d = _round(a, b, c, d, seed, stream, 6)
    a, b, c, d = _round(a, b, c, d, seed, stream, 7)
    a, b, c, d = _round(a, b, c, d, seed, stream, 8)
    return _round(a, b, c, d, seed, stream, 9)


@_elementary
def radius(word: np.uint64) -> float:
    """Return sqrt(-2 log u), within 2 ulp."""
    return math.sqrt(-2.0 * logarithm(float(np.int64(word >> _BELOW_UPPER_53) + 1) * 2.0**-53))


@_elementary
def direction(word: np.uint64) -> tuple[float, float]:
    """Return cos(2 pi v) and sin(2 pi v), within 2 ulp."""
    upper = np.int64(word >> _BELOW_UPPER_53)
    # The nearest quarter of the turn, and what is left of v, in quarters and without rounding.
    quarter = (upper + (1 << 50)) >> 51
    f = float(upper - (quarter << 51)) * 2.0**-51
    q = f * f
    sine = f * polynomial(_SINE, q)
    cosine = 1.0 + q * polynomial(_COSINE, q)
    is_odd = (quarter & 1) != 0
    x = sine if is_odd else cosine
    y = cosine if is_odd else sine
    # The cosine is negative in quarters 1 and 2, the sine in 2 and 3: flip the sign bit.
    return (
        from_bits(to_bits(x) ^ (((quarter + 1) & 2) << 62)),
        from_bits(to_bits(y) ^ ((quarter & 2) << 62)),
    )


@cache
def _kernel() -> Callable[..., None]:
    """Build the kernel that fills (groups, 128) with the groups from number `first` of one step."""
    fingerprint = _FINGERPRINT

    @njit(parallel=True, cache=True, fastmath={"nsz", "contract"}, error_model="numpy")
    def kernel(
        values: NDArray[np.float64],
        first: int,
        groups_a_block: int,
        index: np.uint64,
        seed: np.uint64,
        stream: np.uint64,
    ) -> None:
        _ = fingerprint
        for row in prange(values.shape[0]):
            block, group = divmod(first + row, groups_a_block)
            for lane in range(LANES):
                # NumPy counts up before it draws, hence the 1.
                a, b, c, d = words(
                    np.uint64(LANES * group + lane + 1), np.uint64(block), index, seed, stream
                )
                length = radius(a)
                x, y = direction(b)
                values[row, lane] = length * x
                values[row, LANES + lane] = length * y
                length = radius(c)
                x, y = direction(d)
                values[row, 2 * LANES + lane] = length * x
                values[row, 3 * LANES + lane] = length * y

    return kernel


def standard_normals(
    seed: int, stream: int, index: int, block: int, first: int, count: int
) -> NDArray[np.float64]:
    """Return the normals first .. first + count - 1 of one step, shape (count,).

    Parameters
    ----------
    seed, stream
        The key, each in [0, 2^64).
    index
        Number of the step.
    block
        Normals of a block, a multiple of 128; every block has a counter of its own.
    """
    start, stop = first // GROUP, -(-(first + count) // GROUP)
    values = np.empty((stop - start, GROUP))
    step = np.uint64(index), np.uint64(seed), np.uint64(stream)
    threads = get_num_threads()
    try:
        if len(values) < _WORTH_THREADS:
            set_num_threads(1)
        _kernel()(values, start, block // GROUP, *step)
    finally:
        set_num_threads(threads)
    return values.reshape(-1)[first - start * GROUP :][:count]
