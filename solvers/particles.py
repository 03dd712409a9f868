"""Interacting particles: the law rho as an empirical measure that moves with its own velocity."""

import dataclasses
from typing import ClassVar

import numpy as np

from wgflow import noise
from wgflow.errors import InputError, check_choice, check_count, check_number
from wgflow.measure import Particles
from wgflow.problem import Problem
from wgflow.solver import Context, Scheme, Snapshot, Solver, State, Step, check_no_powers

METHODS = {"euler": 1, "heun": 2, "euler-maruyama": 1}
"""Time integrators and their orders."""
BOUND = 1e10
"""Particles this far out have diverged, though their energies are still numbers."""


@dataclasses.dataclass(frozen=True)
class ParticleFlow(Solver):
    """Interacting particles,

        d theta_j = - xi(t) grad g[rho_m](theta_j) dt + sqrt(2 lambda xi(t)) dB_j,

    for the empirical measure rho_m of m particles, which approaches the flow as m^(-1/2).
    Order 1 in the step for "euler" and (weakly) for "euler-maruyama", 2 for "heun". Particles are
    reflected at interval ends and wrapped on circles after every step.

    Parameters
    ----------
    step
        The longest time step.
    count
        Number of particles m.
    method
        "euler" or "heun" without noise, "euler-maruyama" with it; by default "heun" at
        temperature 0 and "euler-maruyama" above.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, a method that does not fit the temperature.
    """

    name: ClassVar[str] = "particles"
    step: float = 1e-2
    count: int = 1000
    method: str | None = None

    def __post_init__(self) -> None:
        check_number("The step of solver particles", self.step, above=0)
        check_count("The count of solver particles", self.count)
        if self.method is not None:
            check_choice("The method of solver particles", self.method, METHODS)

    @property
    def order(self) -> float:
        """Order in the time step; 1 if the method is left to the temperature."""
        return METHODS[self.method or "euler"]

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError if the method does not fit the temperature."""
        check_no_powers(problem, self.name)
        noisy = problem.temperature > 0
        method = self.method or ("euler-maruyama" if noisy else "heun")
        if noisy != (method == "euler-maruyama"):
            remedy = (
                "use method=euler-maruyama, which draws it"
                if noisy
                else "use method=euler or method=heun, or give the problem a temperature"
            )
            raise InputError(
                f"The method '{method}' does not fit a temperature of {problem.temperature:g}, "
                f"which {'needs' if noisy else 'has no'} noise; {remedy}."
            )
        return ParticleScheme(problem, self.count, method, seed)


class ParticleScheme(Scheme):
    """The scheme of `ParticleFlow`; its state is `position`, shape (m, D)."""

    def __init__(self, problem: Problem, count: int, method: str, seed: int) -> None:
        self.problem, self.count, self.method, self.seed = problem, count, method, seed

    def initial(self) -> State:
        """Return `count` draws from the initial law, folded into the domain."""
        return {"position": initial_position(self.problem, self.seed, self.count)}

    def velocity(self, position: np.ndarray, time: float) -> np.ndarray:
        """Return - xi grad g at the particles, shape (m, D)."""
        energy = self.problem.energy
        couplings = energy.couple(Particles(position))
        return -self.problem.rate(time) * energy.gradient(position, couplings)

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step."""
        position = state["position"]
        slope = self.velocity(position, time)
        evaluations = 1
        if self.method == "heun":
            predicted = self.problem.domain.fold(position + dt * slope)
            slope = (slope + self.velocity(predicted, time + dt)) / 2
            evaluations = 2
        moved = position + dt * slope
        if self.method == "euler-maruyama":
            moved += brownian(self.problem, self.seed, index, time, dt, position.shape)
        return checked_step(self.problem, {"position": moved}, dt, evaluations)

    def observe(self, state: State) -> Snapshot:
        """Return the empirical measure."""
        return Snapshot(Particles(state["position"]))


def initial_position(problem: Problem, seed: int, count: int) -> np.ndarray:
    """Return the initial particles, shape (count, D): the same for every solver with this seed."""
    return problem.domain.fold(problem.initial.particles(seed, count).position)


def brownian(
    problem: Problem, seed: int, index: int, time: float, dt: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the increments sqrt(2 lambda xi dt) N(0, 1) of one step, shape (m, D)."""
    deviation = np.sqrt(2 * problem.temperature * problem.rate(time) * dt)
    return deviation * noise.normal(seed, noise.Stream.DYNAMICS, index, *shape)


def checked_step(problem: Problem, state: State, dt: float, evaluations: int) -> Step:
    """Fold the positions of a new state and say whether they are still within bounds."""
    if not np.abs(state["position"]).max() < BOUND:  # also when there is a NaN
        return Step(
            state,
            "diverged",
            evaluations=evaluations,
            reason=f"the particles left every bound; a step smaller than {dt:g} is needed.",
        )
    state["position"] = problem.domain.fold(state["position"])
    return Step(state, evaluations=evaluations)
