"""The processes (MPI ranks) that share the particles of a run, or the only one.

Each rank holds a contiguous share of the particles, and every sum over particles goes through a
communicator. Code that is written for one works alone: `ALONE` does nothing.
"""

import math
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from wgflow.errors import MissingPackageError

LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MPI_LOCALNRANKS")
"""Variables in which a launcher (mpiexec, srun) tells a process how many of them there are."""


class Communicator:
    """The ranks of a run; this one is the only one.

    Attributes
    ----------
    rank, size
        The number of this process, from 0, and how many there are.
    neighbours
        How many of them share this machine.
    """

    rank: int = 0
    size: int = 1
    neighbours: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return which of `count` particles this rank holds: contiguous, as even as can be."""
        first, last = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, last)

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of the arrays of all ranks, on every rank."""
        return array

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all ranks one below the other, on every rank."""
        return rows

    def largest(self, value: float) -> float:
        """Return the largest value of any rank, not finite if one of them is, on every rank."""
        return value

    def broadcast(self, value: Any) -> Any:
        """Return the object that rank 0 holds."""
        return value

    def meets(self, seconds: float) -> bool:
        """Return whether all ranks call this within that time."""
        return True

    def abort(self, code: int) -> None:
        """End all ranks with this exit code, as this one cannot go on."""


ALONE = Communicator()
"""One process."""


class Ranks(Communicator):
    """The ranks of an MPI communicator; its methods are called by all of them together.

    Sums have the same bits for the same number of ranks.

    Parameters
    ----------
    communicator
        Of mpi4py, MPI.COMM_WORLD say.
    """

    def __init__(self, communicator: Any) -> None:
        self._mpi = _mpi()
        self._world = communicator
        self.rank, self.size = communicator.Get_rank(), communicator.Get_size()
        nearby = communicator.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.neighbours = nearby.Get_size()
        nearby.Free()

    def sum(self, array: np.ndarray) -> np.ndarray:
        total = np.empty_like(array, order="C")
        self._world.Allreduce(np.ascontiguousarray(array), total)
        return total

    def gather(self, rows: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(rows)
        counts = np.array(self._world.allgather(rows.shape[0]))
        out = np.empty((int(counts.sum()), *rows.shape[1:]), rows.dtype)
        width = math.prod(rows.shape[1:])
        self._world.Allgatherv(rows, (out, counts * width))
        return out

    def largest(self, value: float) -> float:
        # MPI leaves open whether NaN is larger than a number.
        most = np.empty(1)
        mine = np.array([np.inf if np.isnan(value) else float(value)])
        self._world.Allreduce(mine, most, self._mpi.MAX)
        return float(most[0])

    def broadcast(self, value: Any) -> Any:
        return self._world.bcast(value)

    def meets(self, seconds: float) -> bool:
        request = self._world.Ibarrier()
        until = time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def abort(self, code: int) -> None:
        self._world.Abort(code)


def _mpi() -> Any:
    """Return the MPI module of mpi4py, whose import starts MPI."""
    try:
        from mpi4py import MPI  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise MissingPackageError(
            f"{launched()} processes were started together, but mpi4py is not installed; run "
            "pip install 'wgflow[mpi]', or start one process."
        ) from error
    return MPI


def launched(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of processes that a launcher has started together with this one."""
    sizes = [environment.get(name, "") for name in LAUNCHERS]
    return max([int(size) for size in sizes if size.isdigit()], default=1)


def world() -> Communicator:
    """Return all processes of this launch.

    Raises
    ------
    MissingPackageError
        There are several, and mpi4py is not installed.
    """
    return ALONE if launched() == 1 else Ranks(_mpi().COMM_WORLD)
