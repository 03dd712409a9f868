"""Short vectors held in registers, for Numba: every operation on them is straight-line code.

A loop over the few inputs of a neuron, or over the coefficients of a polynomial, must be gone
before LLVM looks at the long loop around it, or the long loop is not vectorised. LLVM unrolls such
loops up to a size that a dimension of about ten exceeds; here nothing is left to unroll. A short
vector is a tuple of floats, whose type carries its length and its precision, float64 or float32.
Indices are not checked.

To Numba a number written in the code is a float64, and makes float64 of all that it meets. Code for
both precisions writes `number(1.0, x)` for 1 in the precision of x.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import load_item, make_array

# An intrinsic is called without its first argument, which type checkers cannot know.
_intrinsic: Any = intrinsic


def _precision(number: Any) -> Any:
    """Return the type of float that arithmetic with this type of number is done in."""
    return number if isinstance(number, types.Float) else types.float64


def _gather(like: Any, array: Any, index_first: bool) -> Any:
    """Return signature and code generator of the tuple of array[i, c], or array[c, i], over c."""
    vector = types.UniTuple(array.dtype, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = make_array(array)(context, builder, arguments[0])
        items = []
        for number in range(like.count):
            position = context.get_constant(types.intp, number)
            pair = (arguments[1], position) if index_first else (position, arguments[1])
            pointer = cgutils.get_item_pointer(
                context, builder, array, view, pair, wraparound=False
            )
            items.append(load_item(context, builder, array, pointer))
        return context.make_tuple(builder, vector, items)

    return vector(array, types.intp, like), generate


@_intrinsic
def row(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Return (array[index, 0], array[index, 1], ...), as long as the tuple `like`."""
    return _gather(like, array, True)


@_intrinsic
def column(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Return (array[0, index], array[1, index], ...), as long as the tuple `like`."""
    return _gather(like, array, False)


@_intrinsic
def number(typing: Any, value: Any, like: Any) -> Any:
    """Return `value` in the precision of `like`; of a pair, the first is for float64."""
    result = _precision(like)
    paired = isinstance(value, types.UniTuple)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        chosen = arguments[0]
        if paired:
            chosen = cgutils.unpack_tuple(builder, chosen)[result != types.float64]
        return context.cast(builder, chosen, value.dtype if paired else value, result)

    return result(value, like), generate


@_intrinsic
def zeros(typing: Any, shape: Any, like: Any) -> Any:
    """Return as many zeros as the tuple `shape` has entries, in the precision of `like`."""
    vector = types.UniTuple(like, shape.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = context.get_constant(like, 0.0)
        return context.make_tuple(builder, vector, [zero] * shape.count)

    return vector(shape, like), generate


@_intrinsic
def dot(typing: Any, left: Any, right: Any) -> Any:
    """Return the sum of left[c] right[c]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = (cgutils.unpack_tuple(builder, argument) for argument in arguments)
        total = builder.fmul(first[0], second[0])
        for x, y in zip(first[1:], second[1:], strict=True):
            total = builder.fadd(total, builder.fmul(x, y))
        return total

    return left.dtype(left, right), generate


@_intrinsic
def add(typing: Any, total: Any, vector: Any) -> Any:
    """Return (total[0] + vector[0], total[1] + vector[1], ...) in the precision of `total`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, items = (cgutils.unpack_tuple(builder, argument) for argument in arguments)
        terms = [context.cast(builder, item, vector.dtype, total.dtype) for item in items]
        return context.make_tuple(
            builder, total, [builder.fadd(x, y) for x, y in zip(sums, terms, strict=True)]
        )

    return total(total, vector), generate


@_intrinsic
def add_scaled(typing: Any, total: Any, factor: Any, vector: Any) -> Any:
    """Return (total[0] + factor vector[0], total[1] + factor vector[1], ...)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = cgutils.unpack_tuple(builder, arguments[0])
        items = cgutils.unpack_tuple(builder, arguments[2])
        scaled = [builder.fmul(arguments[1], item) for item in items]
        return context.make_tuple(
            builder, total, [builder.fadd(x, y) for x, y in zip(sums, scaled, strict=True)]
        )

    return total(total, total.dtype, vector), generate


@_intrinsic
def polynomial(typing: Any, coefficients: Any, x: Any) -> Any:
    """Return the sum of coefficients[k] x^k, by Horner's rule, in the precision of x.

    Of a pair of tuples of coefficients, the first is for float64.
    """
    precision = _precision(x)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        chosen = arguments[0]
        if isinstance(coefficients[0], types.BaseTuple):
            chosen = cgutils.unpack_tuple(builder, chosen)[precision != types.float64]
        values = [
            context.cast(builder, value, types.float64, precision)
            for value in cgutils.unpack_tuple(builder, chosen)
        ]
        total = values[-1]
        for value in reversed(values[:-1]):
            total = builder.fadd(builder.fmul(total, arguments[1]), value)
        return total

    return precision(coefficients, precision), generate


@_intrinsic
def power_of_two(typing: Any, shifted: Any, offset: Any) -> Any:
    """Return 2^(k + offset), where the whole number k stands in the low bits of `shifted`."""
    whole, digits, bias = (
        (types.int64, 52, 1023) if shifted == types.float64 else (types.int32, 23, 127)
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], context.get_value_type(whole))
        raised = context.cast(builder, arguments[1], types.int64, whole)
        raised = builder.add(raised, context.get_constant(whole, bias))
        exponent = builder.shl(builder.add(bits, raised), context.get_constant(whole, digits))
        return builder.bitcast(exponent, context.get_value_type(shifted))

    return shifted(shifted, types.int64), generate


@_intrinsic
def to_bits(typing: Any, x: Any) -> Any:
    """Return the 64 bits of a float as a whole number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@_intrinsic
def from_bits(typing: Any, bits: Any) -> Any:
    """Return the float with these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate
