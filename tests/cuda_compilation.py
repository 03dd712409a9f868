"""Compile the kernels for a graphics card to PTX, its assembler, on a machine without one.

Run as a script, this writes as JSON what there is in the code of each kernel, or why nothing can
be compiled here. The simulator takes code that this refuses, and types do not exist in it.
"""

import json
import re
import sys
import types
from typing import Any

import numpy as np
from numba import cuda, types as numba_types
from numba.cuda import dispatcher

from wgflow.kernels import cuda_kernels
from wgflow.kernels.activation import NAMED

CAPABILITY = (8, 0)
PATTERNS = {
    "double": r"\.f64",
    "short arrays in memory": r"\b(?:ld|st)\.local",
    "loses nan": r"\b(?:min|max)\.f(?:32|64)",
}


def occurrences(kernel: Any, *signature: Any) -> dict[str, int]:
    """Return how often each pattern occurs in the code of a kernel for these types."""
    code, _ = cuda.compile_ptx(kernel.py_func, signature, cc=CAPABILITY)
    assert ".entry" in code
    return {name: len(re.findall(pattern, code)) for name, pattern in PATTERNS.items()}


def compile_all() -> dict[str, dict[str, int]]:
    """Return the occurrences by kernel."""
    integer, unsigned = numba_types.int64, numba_types.uint64
    found = {}
    # All activations in the precision in which most can go wrong; other kernels in one of the two.
    for real, velocities, predictions in (
        (np.float32, NAMED, ("relu",)),
        (np.float64, ("tanh",), ("erf",)),
    ):
        number = numba_types.float32 if real is np.float32 else numba_types.float64
        line, matrix, sums = (numba_types.Array(number, axes, "C") for axes in (1, 2, 3))
        knots, kind = numba_types.UniTuple(number, 4), real.__name__
        for name in velocities:
            found[f"{kind} {name} velocity"] = occurrences(
                cuda_kernels.velocity(name, 2, 1, real), *[matrix] * 4, integer, sums, knots
            )
        for name in predictions:
            found[f"{kind} {name} prediction"] = occurrences(
                cuda_kernels.prediction(name, 3, 2, real), *[matrix] * 3, integer, sums, knots
            )
        found[f"{kind} value"] = occurrences(
            cuda_kernels.value_in_place("sigmoid", real), line, knots
        )
        found[f"{kind} slope"] = occurrences(
            cuda_kernels.value_and_slope_in_place("erf", real), line, line, knots
        )
    found["float64 total"] = occurrences(cuda_kernels.total(), sums, integer, matrix)
    found["largest velocity"] = occurrences(
        cuda_kernels.velocity("quadratic", 16, 16, np.float64), *[matrix] * 4, integer, sums, knots
    )
    found["normals"] = occurrences(
        cuda_kernels.normals(), matrix, integer, integer, unsigned, unsigned, unsigned
    )
    return found


def unavailable() -> str | None:
    """Return why this machine cannot compile for a card, None if it can."""

    def probe(x: Any) -> None:
        x[0] = 1.0

    try:
        cuda.compile_ptx(probe, (numba_types.float64[::1],), cc=CAPABILITY)
    except Exception as error:  # the kinds differ between versions of Numba
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return None


if __name__ == "__main__":
    # To compile what a kernel calls, Numba asks the present card what it is capable of.
    card = types.SimpleNamespace(compute_capability=CAPABILITY)
    dispatcher.get_current_device = lambda: card
    reason = unavailable()
    result = {"unavailable": reason} if reason else compile_all()
    sys.stdout.write(json.dumps(result))
