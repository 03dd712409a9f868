"""The particles of a run: this process's share of them, their velocity and their noise."""

import numpy as np

from wgflow import noise
from wgflow.communicator import ALONE, Communicator
from wgflow.device import CPU, Device, as_device, on_host
from wgflow.errors import InputError
from wgflow.measure import Particles
from wgflow.problem import Problem
from wgflow.solver import Context, Snapshot, State, Step

PRECISIONS = ("double", "single")
"""Of the sums over pairs."""
BOUND = 1e10
"""Particles this far out have diverged, though their energies are still numbers."""


class Cloud:
    """Particles of equal mass, spread in contiguous shares over the ranks of a communicator.

    The positions of a share are an array of shape (s, D). All that one share needs of the others
    goes through the couplings: for a risk, one sum of the predictions over ranks an evaluation.

    Parameters
    ----------
    count
        Number of particles m on all ranks together.
    precision
        Of the sums over pairs, "double" or "single".
    device
        Where the positions are.

    Raises
    ------
    InputError
        Fewer particles than ranks, or a term of the energy that the device cannot take.
    """

    def __init__(
        self,
        problem: Problem,
        count: int,
        seed: int,
        communicator: Communicator = ALONE,
        precision: str = "double",
        device: Device = CPU,
    ) -> None:
        if count < communicator.size:
            raise InputError(
                f"There are {count} particles for {communicator.size} processes; use at most "
                "one process a particle."
            )
        self.problem, self.count, self.seed = problem, count, seed
        self.communicator = communicator
        self.device, self.precision = device, precision
        self.energy = problem.energy.in_precision(precision).on_device(device)
        self.share = communicator.share(count)
        self.mass = np.full(self.share.stop - self.share.start, 1.0 / count)

    @classmethod
    def of(
        cls, problem: Problem, count: int, seed: int, context: Context, precision: str
    ) -> "Cloud":
        """Return the particles of a run in its context."""
        ranks = context.communicator
        device = as_device(context.device, ranks.rank % ranks.neighbours)
        return cls(problem, count, seed, ranks, precision, device)

    def initial(self) -> np.ndarray:
        """Return the first positions: the same for every solver with this seed."""
        drawn = self.problem.initial.particles(self.seed, self.count).position
        return self.device.put(self.problem.domain.fold(drawn[self.share]))

    def held(self, state: State, distributed: frozenset[str]) -> State:
        """Return the state of a checkpoint with this rank's share of its rows, on its device."""
        return {
            name: self.device.put(array[self.share]) if name in distributed else array
            for name, array in state.items()
        }

    def measure(self, position: np.ndarray) -> Particles:
        """Return the share as a measure, whose mass is its part of the whole."""
        return Particles(position, self.mass)

    def gradient(self, position: np.ndarray) -> np.ndarray:
        """Return grad g at the particles, shape (s, D)."""
        couplings = self.energy.couple(self.measure(position), self.communicator)
        return self.energy.gradient(position, couplings)

    def velocity(self, position: np.ndarray, time: float) -> np.ndarray:
        """Return - xi grad g at the particles, shape (s, D)."""
        return -self.problem.rate(time) * self.gradient(position)

    def normal(self, stream: noise.Stream, index: int) -> np.ndarray:
        """Return standard normals for the share, which do not depend on how it is cut."""
        dimension = self.problem.domain.dimension
        first, last = self.share.start, self.share.stop
        return self.device.normal(self.seed, stream, index, last - first, dimension, first)

    def brownian(self, index: int, spread: float) -> np.ndarray:
        """Return the increments sqrt(2 lambda) B(spread), shape (s, D), of step `index`.

        Parameters
        ----------
        spread
            The integral of xi c over the step, with the cooling c.
        """
        deviation = np.sqrt(2 * self.problem.temperature * spread)
        return deviation * self.normal(noise.Stream.DYNAMICS, index)

    def fold(self, position: np.ndarray) -> np.ndarray:
        """Return positions reflected at interval ends and wrapped on circles."""
        return self.problem.domain.fold(position)

    def root_mean_square(self, vectors: np.ndarray) -> float:
        """Return sqrt((1/m) sum_j |vectors_j|^2) over the particles of all ranks."""
        total = self.communicator.sum(np.asarray(float((vectors**2).sum())))
        return float(np.sqrt(total / self.count))

    def checked_step(
        self, state: State, dt: float, evaluations: int, error: float | None = None
    ) -> Step:
        """Fold the positions of a new state and say whether they are still within bounds."""
        farthest = self.communicator.largest(float(np.abs(state["position"]).max()))
        if not farthest < BOUND:  # also when there is a NaN
            return Step(
                state,
                "diverged",
                evaluations=evaluations,
                reason=f"the particles left every bound; a step smaller than {dt:g} is needed.",
            )
        state["position"] = self.fold(state["position"])
        return Step(state, error=error, evaluations=evaluations)

    def observe(self, position: np.ndarray) -> Snapshot:
        """Return the empirical measure of the particles of all ranks."""
        held = on_host(position)
        if self.communicator.size == 1:
            return Snapshot(Particles(held))
        couplings = self.problem.energy.couple(self.measure(held), self.communicator)
        return Snapshot(Particles(self.communicator.gather(held)), couplings)
