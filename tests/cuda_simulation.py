"""What the kernels for a graphics card compute, against NumPy: errors by name.

The functions take the library of the arrays: CuPy on a card. Run as a script, with the variable
NUMBA_ENABLE_CUDASIM=1, they take `device_array` and run in Numba's simulator, one Python thread for
each thread of the card; the errors are written as JSON.
"""

import json
import sys
from typing import Any

import device_array
import numpy as np

from wgflow.kernels import cuda, cuda_kernels, philox, reference
from wgflow.kernels.activation import NAMED, Activation, as_activation, ramp

PRECISIONS = {"float64": np.float64, "float32": np.float32}
SIZES = [(2, 1), (1, 2), (3, 3), (5, 1), (3, 2), (1, 1), (2, 2), (4, 1)]
OWN = Activation(lambda z: np.where(z > 0, np.sin(z), z), lambda z: np.where(z > 0, np.cos(z), 1.0))


def sums_error(
    xp: Any,
    activation: Activation,
    precision: str,
    dimension: int = 2,
    outputs: int = 1,
    particles: int = 21,
    data: int = 11,
    weighted: bool = False,
) -> float:
    """Return the largest error of a prediction and a velocity, relative to the largest value."""
    random, real = np.random.default_rng(3), PRECISIONS[precision]
    outer, inner, inputs, residual = (
        random.standard_normal(shape).astype(real)
        for shape in (
            (particles, outputs),
            (particles, dimension),
            (data, dimension),
            (data, outputs),
        )
    )
    mass, weight = (
        random.random(count).astype(real) if weighted else None for count in (particles, data)
    )
    exact = [None if x is None else x.astype(float) for x in (mass, weight)]
    neurons = [x.astype(float) for x in (outer, inner, inputs)]
    expected = (
        reference.predict(*neurons, activation, exact[0]),
        *reference.velocity(*neurons, residual.astype(float), activation, exact[1]),
    )
    there = [None if x is None else xp.asarray(x) for x in (outer, inner, inputs, mass, weight)]
    actual = (
        cuda.predict(*there[:3], activation, there[3]),
        *cuda.velocity(*there[:3], xp.asarray(residual), activation, there[4]),
    )
    for one, other in zip(actual, expected, strict=True):
        assert isinstance(one, xp.ndarray)
        assert one.shape == other.shape
        assert one.dtype == real
    return max(
        float(np.abs(xp.asnumpy(one) - other).max() / np.abs(other).max())
        for one, other in zip(actual, expected, strict=True)
    )


def normals_error(xp: Any, first: int, count: int) -> float:
    """Return the largest difference to the processor's normals, those at the ends of a share."""
    step = 2**64 - 1, 1, 2**63 + 5, 512, first, count
    actual = cuda.standard_normals(*step, like=xp.zeros(3, dtype=np.float32))
    assert isinstance(actual, xp.ndarray)
    assert actual.shape == (count,)
    assert actual.dtype == np.float64
    return float(np.abs(xp.asnumpy(actual) - philox.standard_normals(*step)).max())


def keeps_nan(xp: Any, name: str) -> bool:
    """Whether a particle that is not a number makes all predictions so."""
    inner = xp.asarray(np.array([[1.0, 2.0], [np.nan, 0.0], [0.0, 0.0]]))
    ones = xp.asarray(np.ones((3, 1)))
    there = cuda.predict(ones, inner, inner[2:] + 1, as_activation(name))
    return bool(np.isnan(xp.asnumpy(there)).all())


def every_error(xp: Any) -> dict[str, float]:
    """Return the errors of all kernels by name; those of NaN are 0 or 1."""
    errors = {}
    for precision in PRECISIONS:
        for (name, activation), (dimension, outputs) in zip(NAMED.items(), SIZES, strict=True):
            weighted = (precision == "float32") == (dimension > 1)
            particles, data = (11, 21) if weighted else (21, 11)
            errors[f"{precision} {name}"] = sums_error(
                xp, activation, precision, dimension, outputs, particles, data, weighted
            )
        other = ramp((-0.5, 2.0), (1.0, -1.0))
        errors[f"{precision} other ramp"] = sums_error(xp, other, precision)
        for name, activation in {"tanh": NAMED["tanh"], "own": OWN}.items():
            errors[f"{precision} blocks {name}"] = sums_error(xp, activation, precision, 17, 2)
    errors["normals"] = normals_error(xp, 500, 300)
    errors["one normal"] = normals_error(xp, 0, 1)
    for name in NAMED:
        errors[f"nan {name}"] = 0.0 if keeps_nan(xp, name) else 1.0
    return errors


def begin() -> None:
    """Prepare the simulator for arrays of `device_array`, with few threads a block."""

    def launch(kernel: Any, grid: Any, *arguments: Any) -> None:
        memory = [x.host if isinstance(x, device_array.ndarray) else x for x in arguments]
        kernel[grid, cuda_kernels.THREADS](*memory)

    # The simulator's main thread waits busily; the others must not wait 5 ms for it each time.
    sys.setswitchinterval(1e-4)
    philox.words(*map(np.uint64, (1, 0, 0, 0, 0)))  # compiled before any thread waits for it
    cuda.launch = launch
    # Small enough that there are several blocks, parts of a sum, and tiles in a part.
    cuda_kernels.THREADS, cuda_kernels.BLOCKS, cuda_kernels.MOST_RESULTS = 4, 4, 2
    cuda.BLOCK = 60


def simulate() -> dict[str, float]:
    """Return the errors in the simulator, with few threads a block, and once with more."""
    begin()
    errors = every_error(device_array)
    cuda_kernels.THREADS, cuda_kernels.MOST_RESULTS = 16, 4
    for build in (cuda_kernels.prediction, cuda_kernels.velocity):
        build.cache_clear()
    errors["larger blocks"] = sums_error(device_array, NAMED["tanh"], "float64", 2, 1, 70, 65)
    return errors


if __name__ == "__main__":
    sys.stdout.write(json.dumps(simulate()))
