"""What a solver is: frozen settings that prepare a scheme, and the scheme's three functions.

The one time loop (`wgflow.loop`) owns time, save times and status; a scheme owns nothing but the
step. Whatever shapes a future bit lives in its state, a flat dict of arrays.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from wgflow.communicator import ALONE, Communicator
from wgflow.device import NAMES
from wgflow.energy import Couplings
from wgflow.errors import InputError, check_choice, check_count
from wgflow.measure import Measure
from wgflow.problem import Problem

State = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Context:
    """Where a run computes; never part of its results.

    They have the same bits for any number of threads, and agree to rounding between numbers of
    ranks, and between the processor and a card.

    Parameters
    ----------
    threads
        Threads for the kernels; by default all cores of the machine, or NUMBA_NUM_THREADS,
        divided among the ranks that share the machine.
    communicator
        The processes (MPI ranks) over which the particles are spread; by default this one alone.
    device
        "cpu", or "cuda" for particles on a graphics card.
    """

    threads: int | None = None
    communicator: Communicator = ALONE
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.threads is not None:
            most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
            check_count("The number of threads", self.threads, most=most)
        if not isinstance(self.communicator, Communicator):
            raise InputError(
                f"The communicator is {self.communicator!r}, but must be a Communicator; wrap that "
                "of mpi4py as Ranks(communicator)."
            )
        check_choice("The device", self.device, NAMES)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the number of kernel threads, and BLAS at one thread, inside a with block.

        One BLAS thread makes matrix products the same bits everywhere, and its workers would
        otherwise spin while the kernels run.
        """
        before = numba.get_num_threads()
        numba.set_num_threads(self.threads or max(1, before // self.communicator.neighbours))
        try:
            with threadpool_limits(1, user_api="blas"):
                yield
        finally:
            numba.set_num_threads(before)


@dataclasses.dataclass(frozen=True)
class Step:
    """The outcome of one step.

    Attributes
    ----------
    state
        The new state.
    status
        "ok", "not_converged" or "diverged".
    error
        The local error in units of the tolerance, for adaptive schemes; otherwise None.
    iterations
        Inner iterations.
    evaluations
        Evaluations of the velocity field or the first variation.
    reason
        A sentence on what went wrong and what to change; empty for "ok".
    """

    state: State
    status: str = "ok"
    error: float | None = None
    iterations: int = 0
    evaluations: int = 1
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What a scheme shows of its state.

    Attributes
    ----------
    measure
        The law.
    couplings
        Its couplings, if the scheme has them at hand.
    edges_move
        Whether the edges of the grid change in time.
    """

    measure: Measure
    couplings: Couplings | None = None
    edges_move: bool = False


class Scheme:
    """One solver on one problem. Caches depend on the problem, the settings and dt only.

    Attributes
    ----------
    shortest_step
        Steps that are adapted are not made shorter than this.
    distributed
        Names of the arrays of the state whose rows are spread over the ranks.
    """

    shortest_step: float = 0.0
    distributed: frozenset[str] = frozenset()

    def initial(self) -> State:
        """Return the state at time 0."""
        raise TypeError(f"{type(self).__name__} has no initial state.")

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of step number `index` from `time` to `time + dt`.

        The state passed in is left as it is.
        """
        raise TypeError(f"{type(self).__name__} cannot advance.")

    def restored(self, state: State) -> State:
        """Return the state of a checkpoint as this scheme holds it: its share, on its device."""
        return state

    def observe(self, state: State) -> Snapshot:
        """Return the measure that the state stands for."""
        raise TypeError(f"{type(self).__name__} cannot be observed.")


@dataclasses.dataclass(frozen=True)
class Solver:
    """Settings of a scheme; a subclass is a frozen dataclass that checks them.

    Attributes
    ----------
    name
        The name on the command line and in files.
    step
        The longest time step; every save interval is cut into equal steps no longer than this,
        which a solver that adapts its step halves further.
    spreads
        Whether it can spread a run over several processes, and keep it on a graphics card.
    """

    name: ClassVar[str]
    spreads: ClassVar[bool] = False
    step: float

    @property
    def order(self) -> float:
        """The order of convergence in the time step (weak order where there is noise)."""
        raise TypeError(f"{type(self).__name__} does not state its order.")

    @property
    def error_growth(self) -> float | None:
        """Factor by which `Step.error` grows when a step is doubled; None where steps are equal."""
        return None

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError on a problem that it cannot solve."""
        raise TypeError(f"{type(self).__name__} cannot be prepared.")

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)


def check_no_cooling(problem: Problem, solver: str) -> None:
    """Raise InputError if the temperature changes with time, for a solver that holds it fixed."""
    if problem.cooling is not None:
        raise InputError(
            f"The solver {solver} holds the temperature fixed, but the problem has a cooling; "
            "leave it away, or use the solver particles or sgd."
        )


def check_no_powers(problem: Problem, solver: str) -> None:
    """Raise InputError if the energy has an internal term that particles cannot follow."""
    if problem.energy.powers:
        raise InputError(
            f"The solver {solver} cannot follow the term '{problem.energy.powers[0]}', which needs "
            "a density; use the solver finite-volume or jko."
        )
