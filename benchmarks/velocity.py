"""How much faster the compiled kernels are than NumPy, as ratios of medians measured in one run.

Run with `make bench`. The competitors take turns, with idle gaps between them, and BLAS is held at
one thread, as it is inside `solve`.
"""

import statistics
import time
from collections.abc import Callable

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from wgflow.kernels import as_activation, fused, reference

REPEATS = 7
PROBLEMS = [("tanh", 2), ("relu", 2), ("tanh", 8), ("tanh", 16)]


def seconds(function: Callable[[], object]) -> float:
    time.sleep(0.02)
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    size = 4096
    generator = np.random.default_rng(0)
    print(f"m = n = {size}, float64, {numba.get_num_threads()} threads, median of {REPEATS}")
    print(f"{'activation':12}{'d':>4}{'NumPy, ms':>12}{'compiled, ms':>14}{'ratio':>8}")
    for name, dimension in PROBLEMS:
        activation = as_activation(name)
        outer = generator.standard_normal((size, 1))
        inner = generator.standard_normal((size, dimension))
        inputs = generator.standard_normal((size, dimension))
        residual = generator.standard_normal((size, 1))

        def evaluate(
            module: object,
            outer: np.ndarray = outer,
            inner: np.ndarray = inner,
            inputs: np.ndarray = inputs,
            residual: np.ndarray = residual,
            activation: object = activation,
        ) -> None:
            module.predict(outer, inner, inputs, activation)
            module.velocity(outer, inner, inputs, residual, activation)

        times: dict[str, list[float]] = {"NumPy": [], "compiled": []}
        with threadpool_limits(1, user_api="blas"):
            for repeat in range(REPEATS + 1):
                for label, module in (("NumPy", reference), ("compiled", fused)):
                    spent = seconds(lambda module=module: evaluate(module))
                    if repeat:  # the first round compiles
                        times[label].append(spent)
        slow, fast = (statistics.median(times[label]) for label in ("NumPy", "compiled"))
        print(f"{name:12}{dimension:4}{slow * 1e3:12.1f}{fast * 1e3:14.1f}{slow / fast:8.1f}")


if __name__ == "__main__":
    main()
