"""Short vectors held in registers, for Numba: every operation on them is straight-line code.

A loop over the few inputs of a neuron, or over the coefficients of a polynomial, must be gone
before LLVM looks at the long loop around it, or the long loop is not vectorised. LLVM unrolls such
loops up to a size that a dimension of about ten exceeds; here nothing is left to unroll. A short
vector is a tuple of floats, whose type carries its length. Indices are not checked.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import load_item, make_array

# An intrinsic is called without its first argument, which type checkers cannot know.
_intrinsic: Any = intrinsic


def _gather(like: Any, array: Any, index_first: bool) -> Any:
    """Return a code generator for the tuple of array[i, c], or array[c, i], over all c."""

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
        return context.make_tuple(builder, like, items)

    return generate


@_intrinsic
def row(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Return (array[index, 0], array[index, 1], ...), as long as the tuple `like`."""
    return like(array, types.intp, like), _gather(like, array, True)


@_intrinsic
def column(typing: Any, array: Any, index: Any, like: Any) -> Any:
    """Return (array[0, index], array[1, index], ...), as long as the tuple `like`."""
    return like(array, types.intp, like), _gather(like, array, False)


@_intrinsic
def dot(typing: Any, left: Any, right: Any) -> Any:
    """Return the sum of left[c] right[c]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = (cgutils.unpack_tuple(builder, argument) for argument in arguments)
        total = builder.fmul(first[0], second[0])
        for x, y in zip(first[1:], second[1:], strict=True):
            total = builder.fadd(total, builder.fmul(x, y))
        return total

    return types.float64(left, right), generate


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

    return total(total, types.float64, vector), generate


@_intrinsic
def polynomial(typing: Any, coefficients: Any, x: Any) -> Any:
    """Return the sum of coefficients[k] x^k, by Horner's rule."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = cgutils.unpack_tuple(builder, arguments[0])
        total = values[-1]
        for value in reversed(values[:-1]):
            total = builder.fadd(builder.fmul(total, arguments[1]), value)
        return total

    return types.float64(coefficients, types.float64), generate


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
