"""A fault harness: runs that are killed, and killed again when resumed, and what is left of them.

A program of its own, because it forks: `python killed_runs.py CHAINS SEED [RUN ...]` prints a line
of counts. A chain is a run that is killed up to three times, by a signal at a random moment or by
itself in the middle of its n-th effect on the disk, and is resumed until it ends.
"""

import io
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable

import h5py
import numpy as np
import xarray
from conftest import network, well

import wgflow as wg
from wgflow.store import checkpoint, writing

RUNS: dict[str, tuple[Callable[[], wg.Problem], object]] = {
    "particles": (network, wg.ParticleFlow(step=0.02, count=300)),
    "adapted": (
        lambda: network(temperature=0.0),
        wg.ParticleFlow(step=0.5, count=100, error_tolerance=1e-5),
    ),
    "sgd": (network, wg.SGD(step=0.02, width=300, batch=4, momentum=0.5)),
    "jko": (
        lambda: network(temperature=0.5),
        wg.JKO(step=0.125, shape=(40, 36), method="balanced"),
    ),
    "lagrangian": (well, wg.JKO(step=0.05, shape=(60,), error_tolerance=1e-4)),
    "finite-volume": (network, wg.FiniteVolume(step=0.05, shape=(24, 20))),
}
LONGER = 1.375
"""Where a run to t = 1 is extended to when it is finished."""
ASIDE = ("statistics", "versions", "resumed_by")
"""Attributes that are not bits of the result: one may commit while this runs."""
SAVE = {"sgd": "final", "finite-volume": "summary"}


def problem(name: str) -> wg.Problem:
    return RUNS[name][0]().save_every(0.125)


class Effects:
    """Counts effects on the disk and ends this process in the middle of one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0

    def due(self) -> bool:
        self.count += 1
        return self.count == self.fatal

    def wrap(self, function: Callable) -> Callable:
        def counted(*arguments: object, **named: object) -> object:
            if self.due():
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return counted

    def file(self, path: object, mode: str, **_: object) -> h5py.File:
        """Open as HDF5 a file each of whose writes is counted."""
        return h5py.File(Counted(path, mode, self), mode)

    def install(self) -> None:
        for name in ("replace", "fsync", "unlink"):
            setattr(os, name, self.wrap(getattr(os, name)))
        writing.h5py = Seen(self.file)
        checkpoint.open = lambda path, mode: Counted(path, mode.replace("b", ""), self)


class Seen:
    """The module h5py with another File."""

    def __init__(self, file: Callable) -> None:
        self.File = file

    def __getattr__(self, name: str) -> object:
        return getattr(h5py, name)


class Counted(io.FileIO):
    def __init__(self, path: object, mode: str, effects: Effects) -> None:
        super().__init__(path, mode)
        self.effects = effects

    def write(self, data: object) -> int:
        if self.effects.due():
            # Half of it reaches the disk.
            super().write(bytes(data)[: len(bytes(data)) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        if self.effects.due():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().truncate(size)


def child(work: Callable[[], None], delay: float | None = None) -> bool:
    """Do work in a process of its own, killed after a delay; return whether it came to its end."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    if delay is not None:
        time.sleep(delay)
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "a process ended in an error"
        return True
    assert os.WTERMSIG(status) == signal.SIGKILL, f"a process ended by signal {status}"
    return False


def go(name: str, path: pathlib.Path, fatal: int | None, rows: pathlib.Path) -> None:
    """Run, or go on; every row that the writer has acknowledged is noted."""
    log = os.open(rows, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    row = writing.Writer.row

    def noted(self: object, index: int, values: object) -> None:
        row(self, index, values)
        os.write(log, b"%d\n" % index)

    writing.Writer.row = noted
    if fatal is not None:
        Effects(fatal).install()
    context = wg.Context(threads=1)
    options = {"context": context, "checkpoint_every": 0}
    if not path.exists():
        save = SAVE.get(name, "all")
        wg.solve(problem(name), RUNS[name][1], seed=3, output=path, save=save, **options)
    elif wg.load(path).status != "finished":
        wg.resume(path, problem=problem(name), **options)
    if wg.load(path).time[-1] < LONGER:
        wg.resume(path, LONGER, problem=problem(name), **options)


def check(path: pathlib.Path, whole: pathlib.Path, rows: pathlib.Path, count: Counter) -> None:
    """Count the acknowledged rows that are not there with the bits of the whole run."""
    seen = {int(k) for k in rows.read_text().split()} if rows.exists() else set()
    try:
        with h5py.File(path, "r") as one, h5py.File(whole, "r") as other:
            recorded = np.flatnonzero(one["recorded"][:]).tolist()
            size = other["time"].shape
            names = [k for k, v in other.items() if v.shape[:1] == size and k != "recorded"]
            torn = [
                k
                for k in recorded
                if any(one[name][k].tobytes() != other[name][k].tobytes() for name in names)
            ]
            energy = one["energy"][:][recorded]
        with xarray.open_dataset(path, engine="h5netcdf") as opened:
            read = opened["energy"].values[opened["recorded"].values == 1]
    except Exception:
        traceback.print_exc()
        count["unreadable"] += 1
        return
    count["lost"] += len(seen - set(recorded)) + len(torn)
    count["lost"] += not np.array_equal(read, energy, equal_nan=True)


def same(path: pathlib.Path, whole: pathlib.Path) -> bool:
    """Return whether two finished files hold the same bits, the seconds apart."""
    with h5py.File(path, "r") as one, h5py.File(whole, "r") as other:
        counts = [json.loads(bytes(file.attrs["statistics"]).decode()) for file in (one, other)]
        for count in counts:
            del count["seconds"]
        files = (one, other)
        texts = [{k: str(v) for k, v in f.attrs.items() if k not in ASIDE} for f in files]
        arrays = all(one[k][...].tobytes() == other[k][...].tobytes() for k in other)
        alike = counts[0] == counts[1] and texts[0] == texts[1]
        return list(one) == list(other) and arrays and alike


def chain(
    name: str,
    folder: pathlib.Path,
    whole: pathlib.Path,
    length: tuple[float, int],
    draw: np.random.Generator,
    count: Counter,
) -> None:
    """Kill a run up to three times and let it come to its end."""
    path, rows = folder / "run.h5", folder / "rows"
    seconds, effects = length
    for attempt in range(3):
        if draw.random() < 0.4:
            delay = float(draw.uniform(0.05, 0.9 * seconds))
            ended = child(lambda: go(name, path, None, rows), delay)
            count["random"] += not ended
        else:
            fatal = int(draw.integers(1, max(2, effects // (attempt + 1))))
            ended = child(lambda fatal=fatal: go(name, path, fatal, rows))
            count["effects"] += not ended
        if path.exists():
            check(path, whole, rows, count)
        if ended:
            break
    if not ended:
        assert child(lambda: go(name, path, None, rows))
    check(path, whole, rows, count)
    count["other_bits"] += not same(path, whole)
    # Only the lock of a process that is no more may be left; it bars nobody.
    left = sorted(p.name for p in folder.iterdir() if p.name != ".run.h5.lock")
    count["litter"] += left != ["rows", "run.h5", "run.h5.checkpoint"]


def effects_of(name: str, path: pathlib.Path) -> int:
    """Return how many effects on the disk an undisturbed run has."""
    reader, writer = os.pipe()

    def work() -> None:
        effects = Effects(-1)
        effects.install()
        go(name, path, None, path.with_suffix(".rows"))
        os.write(writer, str(effects.count).encode())

    assert child(work)
    return int(os.read(reader, 20))


def main(chains: int, seed: int, names: list[str]) -> None:
    draw = np.random.default_rng(seed)
    count = Counter(random=0, effects=0, lost=0, unreadable=0, other_bits=0, litter=0)
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            whole = pathlib.Path(place, "whole.h5")
            counted = effects_of(name, pathlib.Path(place, "counted.h5"))
            began = time.monotonic()
            log = whole.with_suffix(".rows")
            assert child(lambda name=name, whole=whole, log=log: go(name, whole, None, log))
            seconds = time.monotonic() - began
            for number in range(chains):
                folder = pathlib.Path(place, str(number))
                folder.mkdir()
                chain(name, folder, whole, (seconds, counted), draw, count)
    json.dump(count, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or list(RUNS))
