"""One velocity step, predict + residual + velocity, against NumPy, PyTorch and KeOps."""

import os

import numpy as np
from competitors import Network, Work, competitors, error, reference
from measuring import Competitor, Section, Table, Target, interleaved

THREADS = int(os.environ["NUMBA_NUM_THREADS"])

TARGETS = {
    Work("tanh", "float64", 2, 4096): {"NumPy": 10.0, "PyTorch": 8.0, "KeOps": 10.0},
    Work("tanh", "float32", 2, 4096): {"NumPy": 14.0, "PyTorch": 11.0},
    Work("relu", "float64", 2, 4096): {"NumPy": 20.0, "PyTorch": 20.0},
    Work("relu", "float64", 2, 4096, public=False): {"NumPy": 20.0, "PyTorch": 20.0},
    Work("tanh", "float64", 8, 4096): {},
    Work("tanh", "float64", 40, 2048): {"NumPy": 3.5, "PyTorch": 2.5},
    Work("tanh", "float64", 200, 2048): {"NumPy": 1.7, "PyTorch": 1.3},
    Work("tanh", "float64", 784, 2048): {"NumPy": 1.05, "PyTorch": 1.05},
    Work("tanh", "float32", 784, 2048): {},
}
"""How many times faster than each competitor the library must be."""
GEMM_FRACTION = 0.7
"""Part of the speed of a matrix product that is to be reached at d = 784."""
QUICK = [Work("tanh", "float64", 2, 256), Work("tanh", "float64", 784, 256)]

NAMES = ("wgflow", "NumPy", "PyTorch", "KeOps")
KEOPS_DIMENSION = 8
"""KeOps sums over the d inputs of each pair without blocks, and is for few of them."""
EXACT = 1024
"""Particles and data on which errors are measured, against long double."""
PRODUCT = 2048
"""Size of the matrix product."""


def section(quick: bool) -> Section:
    times = Table(["one step", "m = n", *(f"{name}, ms" for name in NAMES), "wgflow, ns a pair"])
    errors = Table(["relative error", *NAMES])
    cores = Table(["cores busy", *NAMES])
    product = Table(["d = 784", "np.dot, GFlop/s", "wgflow, GFlop/s", "fraction"])
    size = 256 if quick else PRODUCT
    done = Section({"velocity": times, "errors": errors, "cores": cores, "product": product})
    for work in QUICK if quick else TARGETS:
        network = Network.drawn(work)
        entrants = competitors(
            network, work, THREADS, keops=work.dimension <= KEOPS_DIMENSION and not quick
        )
        large = work.dimension >= 784
        if large:
            entrants["product"] = matrix_product(size, work.precision, entrants["NumPy"])
        timing = interleaved(entrants, *((1, 0.0) if quick else (7,)))
        seconds = {name: timing[name].seconds for name in entrants}
        own = seconds["wgflow"]
        milliseconds = [seconds[name] * 1e3 if name in seconds else None for name in NAMES]
        times.add(work.title, work.count, *milliseconds, own / work.count**2 * 1e9)
        cores.add(work.title, *(timing[name].cores if name in timing else None for name in NAMES))
        errors.add(work.title, *measured_errors(network, work, set(entrants)))
        for name, bound in TARGETS.get(work, {}).items():
            if name in seconds:
                done.targets.append(
                    Target(f"{work.title}: times faster than {name}", seconds[name] / own, bound)
                )
        if large:
            speed = 4e-9 * work.count**2 * work.dimension / own
            fastest = 2e-9 * size**3 / seconds["product"]
            product.add(work.title, fastest, speed, speed / fastest)
            title = f"{work.title}: fraction of the speed of np.dot"
            done.targets.append(Target(title, speed / fastest, GEMM_FRACTION))
    return done


def measured_errors(network: Network, work: Work, names: set[str]) -> list[float | None]:
    """Return the error of each competitor on the first particles and data."""
    part = network.first(EXACT)
    exact = reference(part)
    entrants = competitors(part, work, THREADS, keops="KeOps" in names)
    found: list[float | None] = []
    for name in NAMES:
        if name not in entrants:
            found.append(None)
            continue
        with entrants[name].held():
            found.append(error(entrants[name].run(), exact))
    return found


def matrix_product(size: int, precision: str, like: Competitor) -> Competitor:
    """The product of two square matrices by BLAS, with the threads that NumPy has."""
    left, right = np.random.default_rng(0).standard_normal((2, size, size)).astype(precision)
    out = np.empty_like(left)
    return Competitor(lambda: np.dot(left, right, out=out), like.held)
