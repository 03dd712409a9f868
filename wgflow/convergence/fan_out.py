"""Independent tasks, side by side: in processes, on MPI ranks, in any executor, or here.

All of it goes through the interface of `concurrent.futures`. The outcomes stand in the order of the
tasks, whoever computed them.
"""

import dataclasses
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, nullcontext
from typing import Any

import numba

from wgflow.errors import InputError, MissingPackageError, check_count

EXECUTORS = ("processes", "mpi")
POLL_SECONDS = 0.1
"""How often a request to stop is looked for while workers work."""

Stop = Callable[[], bool]
"""Whether a task shall end early; a task asks now and then."""

_stop_requested: Any = None
"""In a worker process, the event that its parent sets."""


@dataclasses.dataclass(frozen=True)
class Fan:
    """Where tasks run.

    Parameters
    ----------
    workers
        Processes side by side; by default as many as there are cores. With 1, or for tasks that
        cannot be sent to a process, tasks run here, one after the other.
    executor
        "processes" (the default); "mpi" for the ranks of a program started as
        `mpiexec -n 4 python -m mpi4py.futures PROGRAM`; or any executor of `concurrent.futures`,
        which stays open.

    Raises
    ------
    InputError
        Settings out of range.
    """

    workers: int | None = None
    executor: Executor | str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_count("The number of workers", self.workers)
        named = self.executor is None or self.executor in EXECUTORS
        if not named and not isinstance(self.executor, Executor):
            raise InputError(
                f"The executor is {self.executor!r}, but must be one of {', '.join(EXECUTORS)}, or "
                "an Executor of concurrent.futures."
            )
        if self.workers is not None and self.executor not in (None, "processes"):
            raise InputError(
                f"The number of workers is {self.workers}, but belongs to the executor that was "
                "given; leave it out."
            )

    @property
    def _most(self) -> int:
        return self.workers or cores()

    def _is_local(self, tasks: Sequence[Any]) -> bool:
        """Return whether tasks run in this process, or raise InputError if they cannot move."""
        processes = self.executor is None or self.executor == "processes"
        if processes and (self._most == 1 or len(tasks) < 2):
            return True
        threads = isinstance(self.executor, ThreadPoolExecutor)
        reason = "" if threads else _cannot_move(tasks)
        if reason and self.workers is None and self.executor is None:
            return True
        if reason:
            raise InputError(
                f"A task cannot be sent to another process ({reason}); use a named case, a case "
                "file, or functions of a module, or run here with workers=1."
            )
        return False

    def run(
        self,
        function: Callable[[Any, Stop, int | None], Any],
        tasks: Sequence[Any],
        report: Callable[[int], bool | None],
    ) -> list[Any]:
        """Return the outcome of every task, None for those that a request to stop left out.

        Parameters
        ----------
        function
            Takes a task, a function that tells whether to stop early, and the number of threads to
            use (None for all of them). It must be one that a process can import.
        report
            Called often with the number of tasks done; a true return value stops all of them.

        Raises
        ------
        InputError
            Whatever a task raises; tasks that cannot be sent; a worker that was lost; or MPI that
            is not there.
        """
        if self._is_local(tasks):
            return _here(function, tasks, report)
        if isinstance(self.executor, Executor):
            return _there(self.executor, function, tasks, 1, report)
        if self.executor == "mpi":
            with _mpi_pool() as pool:
                return _there(pool, function, tasks, 1, report)
        workers = min(self._most, len(tasks))
        most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        threads = max(1, min(cores() // workers, most))
        # A spawned process shares no thread or lock with this one, as a forked one would.
        context = multiprocessing.get_context("spawn")
        event = context.Event()
        pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin, initargs=(event,)
        )
        try:
            return _there(pool, function, tasks, threads, report, held=_signals_held())
        finally:
            event.set()
            pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _here(
    function: Callable[..., Any], tasks: Sequence[Any], report: Callable[[int], bool | None]
) -> list[Any]:
    """Run tasks one after the other in this process, on all threads."""
    outcomes: list[Any] = [None] * len(tasks)
    for k, task in enumerate(tasks):
        if report(k):
            return outcomes
        outcomes[k] = function(task, lambda done=k: bool(report(done)), None)
    report(len(tasks))
    return outcomes


def _there(
    pool: Executor,
    function: Callable[..., Any],
    tasks: Sequence[Any],
    threads: int,
    report: Callable[[int], bool | None],
    held: Any = None,
) -> list[Any]:
    """Run tasks in an executor, looking for a request to stop meanwhile."""
    outcomes: list[Any] = [None] * len(tasks)
    done, stop = 0, bool(report(0))
    place: dict[Future[Any], int] = {}
    try:
        with held or nullcontext():
            for k, task in enumerate(tasks):
                place[pool.submit(_in_worker, function, task, threads)] = k
        pending = set(place)
        while pending and not stop:
            ready, pending = wait(pending, POLL_SECONDS, return_when=FIRST_COMPLETED)
            stop = bool(report(done))
            for future in ready:
                outcomes[place[future]] = future.result()
            done += len(ready)
            stop = bool(report(done)) or stop
    except BrokenExecutor as error:
        if not report(done):  # otherwise the signal that asked to stop has reached them as well
            raise InputError(
                "A worker process ended before its task did: it was killed (for lack of memory, "
                "say), or started from a script without if __name__ == '__main__':; use fewer "
                "workers, or add that line."
            ) from error
    finally:
        for future in place:
            future.cancel()
    return outcomes


def _in_worker(function: Callable[..., Any], task: Any, threads: int) -> Any:
    return None if _stopped() else function(task, _stopped, threads)


def _stopped() -> bool:
    """Return whether the parent of this worker asks to stop."""
    return _stop_requested is not None and _stop_requested.is_set()


def _begin(event: Any) -> None:
    """Prepare a worker process."""
    global _stop_requested
    _stop_requested = event
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once its parent is no more, which would never give it another task."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold SIGINT back while processes start, which inherit that: Ctrl-C is for the parent only."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cannot_move(tasks: Sequence[Any]) -> str:
    """Return why a task cannot be sent to another process, or nothing."""
    for task in tasks:
        try:
            pickle.dumps(task)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            return str(error)
    return ""


def _mpi_pool() -> Executor:
    """Return an executor on the ranks of this MPI program."""
    try:
        from mpi4py.futures import MPIPoolExecutor  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise MissingPackageError(
            "The executor mpi needs mpi4py, which is not installed; run pip install 'wgflow[mpi]'."
        ) from error
    if "mpi4py.futures" not in sys.orig_argv:
        raise InputError(
            "The executor mpi needs a program started as mpiexec -n 4 python -m mpi4py.futures "
            "PROGRAM (-m wgflow study ..., say), but this one was not."
        )
    return MPIPoolExecutor()
