"""Threads, BLAS at one thread each, and memory used again, for sums that are taken tile by tile.

A compiled kernel brings its own threads. Matrix products come from NumPy's BLAS, so that tiles of
them are shared out among Python threads here; BLAS and compiled code run without Python's lock.
"""

import contextlib
import functools
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Task = Callable[[int], None]

ALIGNMENT = 64
"""Bytes of a cache line and of the longest vectors."""
SPARE_BYTES = 5 << 26
"""Memory that is kept for the next call while nobody uses it, 320 MiB at most."""


class _Blas:
    """NumPy's BLAS, held at one thread as long as anyone asks for it.

    Its own threads would wait for work by spinning, and take the cores from the workers. Looking
    for the library takes milliseconds and is done once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before: list[int] = []

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold BLAS at one thread inside a with block, in microseconds."""
        with self._lock:
            if self._holders == 0:
                self._before = [library.num_threads for library in self._libraries]
                self._set([1] * len(self._before))
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0:
                    self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        for library, count, before in zip(self._libraries, counts, self._before, strict=True):
            if before != 1:
                library.set_num_threads(count)


_blas = _Blas()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, numba.config.NUMBA_NUM_THREADS), "wgflow")  # type: ignore[attr-defined]


def run(prepare: Callable[[], Task], count: int) -> None:
    """Do the tasks 0, ..., count - 1, by as many threads as compiled kernels use.

    A thread that is free takes the next task, so that which of them does it is left to chance:
    no result may depend on it. BLAS is held at one thread.

    Parameters
    ----------
    prepare
        Called once by every thread, returns what it calls with the numbers of its tasks; the two
        share what memory they need.
    """
    numbers = itertools.count()

    def work() -> None:
        task = prepare()
        # Taking a number is one step under Python's lock.
        while (number := next(numbers)) < count:
            task(number)

    with _blas.held():
        others = min(numba.get_num_threads(), count) - 1
        helpers = [_pool().submit(work) for _ in range(others)]
        try:
            work()
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()


class Memory:
    """Blocks of memory that are used again: the first touch of fresh memory costs as much as tanh.

    Attributes
    ----------
    spare
        Blocks in nobody's use, the one last used at the end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.spare: list[NDArray[np.uint8]] = []

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return a block of at least `size` bytes, to be given back."""
        with self._lock:
            # One that fits, and not one many times too large.
            fitting = [k for k, b in enumerate(self.spare) if size <= len(b) <= 2 * size + 2**20]
            if fitting:
                return self.spare.pop(min(fitting, key=lambda k: len(self.spare[k])))
        return np.empty(size, np.uint8)

    def give_back(self, block: NDArray[np.uint8]) -> None:
        """Take a block back, to which nobody may refer any more."""
        with self._lock:
            self.spare.append(block)
            while sum(map(len, self.spare)) > SPARE_BYTES:
                self.spare.pop(0)


memory = Memory()


class Scratch:
    """Flat arrays in memory that is used again, as long as this object lives.

    Parameters
    ----------
    sizes
        Length and type of each array.

    Attributes
    ----------
    arrays
        They begin cache lines, and hold what others left in them.
    """

    def __init__(self, *sizes: tuple[int, Any]) -> None:
        lengths = [size * np.dtype(dtype).itemsize for size, dtype in sizes]
        starts = [0]
        for length in lengths:
            starts.append(starts[-1] + ALIGNMENT * -(-length // ALIGNMENT))
        block = memory.take(starts[-1] + ALIGNMENT)
        weakref.finalize(self, memory.give_back, block)
        lines = block[-block.ctypes.data % ALIGNMENT :]
        self.arrays: list[NDArray[Any]] = [
            lines[start : start + length].view(dtype)
            for start, length, (_, dtype) in zip(starts[:-1], lengths, sizes, strict=True)
        ]


if hasattr(os, "register_at_fork"):
    # A child process has none of the threads of its parent.
    os.register_at_fork(after_in_child=_pool.cache_clear)
