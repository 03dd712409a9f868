"""A hundred thousand particles and data: time and memory, and sums in less than O(m n)."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import processes
from competitors import Gradients, Network, Work, error, kernel_step, wgflow_step
from measuring import SHORT_GAP, Competitor, Section, Table, interleaved, once

import wgflow as wg
from wgflow.kernels import panels

THREADS = int(os.environ["NUMBA_NUM_THREADS"])
MEMORY = [
    Work("tanh", "float64", 2, 25_000),
    Work("tanh", "float64", 2, 100_000),
    Work("relu", "float64", 2, 100_000),
    Work("tanh", "float64", 40, 20_000),
]
NEAR_LINEAR = 100_000
TOLERANCES = (1e-6, 1e-11)
"""Of sums that are not exact."""
INTERACTION = 4096
STATUS = pathlib.Path("/proc/self/status")


def section(quick: bool) -> Section:
    works = [Work("tanh", "float64", 2, 1000)] if quick else MEMORY
    near = near_linear(1000 if quick else NEAR_LINEAR)
    pairs = interaction(*((256, 1) if quick else (INTERACTION, 5)))
    return Section({"memory": memory(works), "near_linear": near, "interaction": pairs})


def memory(works: list[Work]) -> Table:
    table = Table(
        ["one step", "m = n", "s", "ns a pair", "MB of inputs", "MB beyond", "MB, one m x n matrix"]
    )
    for work in works:
        seconds, inputs, beyond = processes.measured(__file__, work)
        pairs = work.count**2
        width = np.dtype(work.precision).itemsize
        matrix = pairs * width / 1e6
        table.add(work.title, work.count, seconds, seconds / pairs * 1e9, inputs, beyond, matrix)
    return table


def measure(work: Work) -> tuple[float, float, float | None]:
    """Return seconds, megabytes of the inputs, and by how much the peak of memory lies above."""
    network = Network.drawn(work)
    arrays = network.outer, network.inner, network.inputs, network.labels
    with wg.Context(threads=THREADS).held():
        wgflow_step(Network.drawn(dataclasses.replace(work, count=1000)))  # compiles
        before = reset_peak()
        start = time.perf_counter()
        wgflow_step(network)
        seconds = time.perf_counter() - start
    beyond = None if before is None else (kilobytes("VmHWM") - before) / 1e3
    return seconds, sum(array.nbytes for array in arrays) / 1e6, beyond


def reset_peak() -> int | None:
    """Start the peak of memory anew and return what is taken now, in kB; None but on Linux."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
        return kilobytes("VmRSS")
    except OSError:
        return None


def kilobytes(name: str) -> int:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def near_linear(count: int) -> Table:
    """Time sums that do not run over all pairs against the fused kernels, which do."""
    table = Table(["one step", "m = n", "all pairs, ms", "fast, ms", "times faster", "difference"])
    plane = Network.drawn(Work("relu", "float64", 2, count))
    line = plane.biased("tanh")
    works: dict[str, tuple[Network, dict[str, Callable[[Network], Gradients]]]] = {
        "relu, inputs (x, y)": (plane, {"exact": wgflow_step}),
        "relu, inputs (x, 1)": (plane.biased("relu"), {"exact": wgflow_step}),
        "ramp, inputs (x, 1)": (plane.biased(wg.ramp()), {"exact": wgflow_step}),
        "tanh, inputs (x, 1)": (
            line,
            {f"within {t:g}": partial(kernel_step, module=panels, tolerance=t) for t in TOLERANCES},
        ),
    }
    held = wg.Context(threads=THREADS).held
    for title, (network, fast_steps) in works.items():
        once(Competitor(partial(kernel_step, network.first(100)), held))  # compiles
        seconds, exact = once(Competitor(partial(kernel_step, network), held))
        for kind, step in fast_steps.items():
            fast = Competitor(partial(step, network), held)
            short = interleaved({kind: fast}, 7, SHORT_GAP)[kind].seconds
            _, found = once(fast)
            difference = error(found, exact)
            row = f"{title}, {kind}", count, seconds * 1e3, short * 1e3, seconds / short
            table.add(*row, difference)
    return table


def interaction(count: int, rounds: int) -> Table:
    """Time the gradient of an interaction in the plane against NumPy with all pairs at once."""
    table = Table(
        ["gradient of W * rho, D = 2", "m", "wgflow, ms", "NumPy, ms", "times faster", "difference"]
    )
    points = np.random.default_rng(0).standard_normal((count, 2))
    law = wg.Particles(points)
    for name, term in {
        "quadratic": wg.Interaction.quadratic(1.0),
        "logarithmic": wg.Interaction.logarithmic(1.0),
        "power, p = 3": wg.Interaction.power(1.0, 3.0),
        "Gaussian": wg.Interaction.gaussian(1.0, 0.5),
        "Morse": wg.Interaction.morse(2.0, 0.5, 1.0, 1.0),
    }.items():

        def own(term: wg.Interaction = term) -> np.ndarray:
            return term.gradient(points, term.couple(law))

        def plain(term: wg.Interaction = term) -> np.ndarray:
            pairs = (points[:, np.newaxis] - points).reshape(-1, 2)
            values = term.kernel_gradient(pairs).reshape(count, count, 2)
            values[range(count), range(count)] = 0.0
            return values.sum(axis=1) / count

        held = wg.Context(threads=THREADS).held
        entrants = {"own": Competitor(own, held), "NumPy": Competitor(plain)}
        timing = interleaved(entrants, rounds, SHORT_GAP)
        seconds, other = timing["own"].seconds, timing["NumPy"].seconds
        difference = error((own(),), (plain(),))
        table.add(name, count, seconds * 1e3, other * 1e3, other / seconds, difference)
    return table


if __name__ == "__main__":
    processes.main(measure)
