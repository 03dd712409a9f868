"""Steps of the particle flow on one and two MPI ranks, one thread each: weak and strong scaling.

python benchmarks/scaling.py            # starts mpiexec itself
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np
from measuring import Section, Table

import wgflow as wg
from wgflow.communicator import world

RANKS = 2
PARTICLES = 4096
"""Particles a rank in the weak test; in the strong test, those of all ranks of the weak one."""
DATA = 4096
STEPS = 15
LAUNCHES = 2
"""Of every number of ranks, in turn."""


def section(quick: bool) -> Section:
    launcher = find_launcher()
    if launcher is None:
        absent = Table(["MPI"], [["mpiexec or mpi4py is not installed"]])
        return Section({"scaling": absent})
    share, data, steps, launches = (64, 64, 2, 1) if quick else (PARTICLES, DATA, STEPS, LAUNCHES)
    whole = RANKS * share
    # By the number of ranks and of threads of each.
    counts = {(1, 1): [share, whole], (1, RANKS): [whole], (RANKS, 1): [whole]}
    found: dict[tuple[int, int, int], list[float]] = {}
    for _ in range(launches):
        for (ranks, threads), particles in counts.items():
            times = launch(launcher, ranks, threads, particles, data, steps)
            for count, seconds in zip(particles, times, strict=True):
                found.setdefault((ranks, threads, count), []).append(seconds)
    table = Table(["ranks", "threads a rank", "m", "n", "ms a step", "efficiency, strong", "weak"])
    medians = {key: statistics.median(seconds) for key, seconds in found.items()}
    for (ranks, threads, count), seconds in medians.items():
        workers = ranks * threads
        strong = medians[1, 1, whole] / (workers * seconds) if workers > 1 else None
        weak = medians[1, 1, share] / seconds if workers > 1 else None
        table.add(ranks, threads, count, data, seconds * 1e3, strong, weak)
    return Section({"scaling": table})


def find_launcher() -> str | None:
    """Return mpiexec of this environment or of the system, None if it or mpi4py is missing."""
    try:
        import mpi4py  # noqa: F401, PLC0415 (an optional dependency)
    except ImportError:
        return None
    folders = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    return shutil.which("mpiexec", path=folders)


def launch(
    launcher: str, ranks: int, threads: int, particles: list[int], data: int, steps: int
) -> list[float]:
    """Return the seconds a step for each number of particles, on so many ranks."""
    numbers = [*particles, data, steps]
    measure = [sys.executable, __file__, "--measure", *map(str, numbers)]
    environment = os.environ | {"NUMBA_NUM_THREADS": str(threads)}
    command = [launcher, "-n", str(ranks), *measure]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(particles: list[int], data: int, steps: int) -> None:
    """Time the steps on this rank; the first one prints the median of the slowest of each."""
    ranks = world()
    seconds = []
    for count in particles:
        scheme, state = prepared(count, data, ranks)
        spent = []
        with wg.Context(communicator=ranks).held():
            for index in range(steps + 2):
                ranks.largest(0.0)  # all ranks start together
                start = time.perf_counter()
                state = scheme.advance(state, index * 1e-3, index, 1e-3).state
                spent.append(ranks.largest(time.perf_counter() - start))
        seconds.append(statistics.median(spent[2:]))
    if ranks.leads:
        print(json.dumps(seconds))


def prepared(count: int, data: int, ranks: object) -> tuple:
    draw = np.random.default_rng(0).standard_normal
    x = draw((data, 2))
    risk = wg.Risk(wg.Data(x, np.sin(x.sum(axis=1))), wg.Neuron("tanh"))
    problem = wg.Problem(
        risk + wg.Entropy(0.02), wg.Domain(*3 * [wg.WholeLine()]), wg.Gaussian(3 * (0.0,), 1.0), 1.0
    )
    solver = wg.ParticleFlow(count=count, step=1e-3)
    scheme = solver.prepare(problem, 0, wg.Context(communicator=ranks))
    return scheme, scheme.initial()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs="+", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure[:-2], *options.measure[-2:])
    else:
        folder = pathlib.Path(__file__).parent
        subprocess.run([sys.executable, str(folder / "run.py"), "scaling"], check=True)
