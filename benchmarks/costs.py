"""What is paid beside the sums: compiling, noise, and each option of a step."""

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import processes
from competitors import Network, Work, wgflow_step
from measuring import SHORT_GAP, Competitor, Section, Table, interleaved

import wgflow as wg
from wgflow import kernels, noise

THREADS = int(os.environ["NUMBA_NUM_THREADS"])
COUNT = 4096
FIRST_CALLS = [
    Work("tanh", "float64", 2, 64),
    Work("tanh", "float32", 2, 64),
    Work("relu", "float64", 2, 64),
    Work("tanh", "float64", 40, 64),
]
ACTIVATIONS = ("relu", "sigmoid", "softplus", "erf", "quadratic", "linear")


def section(quick: bool) -> Section:
    count, rounds = (256, 1) if quick else (COUNT, 7)
    first = first_calls(FIRST_CALLS[:1], 1) if quick else first_calls(FIRST_CALLS, 3)
    tables = {"options": options(count, rounds), "noise": noise_share(count, rounds)}
    return Section({"first": first, **tables})


def first_calls(works: list[Work], repeats: int) -> Table:
    """Time the first step in a new process, with an empty cache and with a filled one."""
    table = Table(["first step", "compiled, s", "from disk, s", "start and imports, s"])
    for work in works:
        with tempfile.TemporaryDirectory() as cache:
            compiled, _ = first_call(work, cache)
            loaded = [first_call(work, cache) for _ in range(repeats)]
        medians = [statistics.median(column) for column in zip(*loaded, strict=True)]
        table.add(work.title, compiled, *medians)
    return table


def first_call(work: Work, cache: str) -> tuple[float, float]:
    """Return the seconds of the first step in a new process, and of all before and after it."""
    start = time.perf_counter()
    step = processes.measured(__file__, work, NUMBA_CACHE_DIR=cache)
    return step, time.perf_counter() - start - step


def options(count: int, rounds: int) -> Table:
    """Time a step with each option against the plain one: tanh f64, d = 2."""
    network = Network.drawn(Work("tanh", "float64", 2, count))
    single = Network.drawn(Work("tanh", "float32", 2, count))
    wide = Network.drawn(Work("tanh", "float64", 40, count))
    draw = np.random.default_rng(1)
    mass, weight = draw.uniform(size=(2, count)) / count
    outer, labels = draw.standard_normal((2, count, 4))
    several = dataclasses.replace(network, outer=outer, labels=labels)
    held = wg.Context(threads=THREADS).held
    runs: dict[str, Callable[[], object]] = {
        "plain: tanh f64, d = 2": partial(wgflow_step, network),
        "float32": partial(wgflow_step, single),
        "masses and weights": partial(apart, network, mass, weight),
        "four outputs": partial(wgflow_step, several),
        **{
            f"{name} in place of tanh": partial(
                wgflow_step, dataclasses.replace(network, activation=name)
            )
            for name in ACTIVATIONS
        },
        "d = 40": partial(wgflow_step, wide),
        "d = 40, predict and velocity apart": partial(apart, wide),
    }
    entrants = {name: Competitor(run, held) for name, run in runs.items()}
    entrants["one thread"] = Competitor(runs["plain: tanh f64, d = 2"], wg.Context(threads=1).held)
    timing = interleaved(entrants, rounds, SHORT_GAP)
    plain = timing["plain: tanh f64, d = 2"].seconds
    table = Table(["option", "ms", "ns a pair", "of the plain step"])
    for name, found in timing.items():
        table.add(name, found.seconds * 1e3, found.seconds / count**2 * 1e9, found.seconds / plain)
    return table


def apart(
    network: Network, mass: np.ndarray | None = None, weight: np.ndarray | None = None
) -> None:
    """Take a step by two functions that know nothing of each other."""
    arrays = network.outer, network.inner, network.inputs
    residual = kernels.predict(*arrays, network.activation, mass=mass) - network.labels
    kernels.velocity(*arrays, residual, network.activation, weight=weight)


def noise_share(count: int, rounds: int) -> Table:
    """Time the noise of one step beside the step: tanh f64, d = 2, three parameters a particle."""
    network = Network.drawn(Work("tanh", "float64", 2, count))
    held = wg.Context(threads=THREADS).held
    entrants = {
        "step": Competitor(lambda: wgflow_step(network), held),
        "noise": Competitor(lambda: noise.normal(0, noise.Stream.DYNAMICS, 7, count, 3), held),
    }
    timing = interleaved(entrants, rounds, SHORT_GAP)
    step, drawn = timing["step"].seconds, timing["noise"].seconds
    table = Table(["noise", "m = n", "us", "ns a normal", "of a step"])
    table.add("tanh f64, d = 2", count, drawn * 1e6, drawn / (3 * count) * 1e9, drawn / step)
    return table


def measure(work: Work) -> float:
    """Return the seconds of the first step."""
    network = Network.drawn(work)
    with wg.Context(threads=THREADS).held():
        start = time.perf_counter()
        wgflow_step(network)
        return time.perf_counter() - start


if __name__ == "__main__":
    processes.main(measure)
