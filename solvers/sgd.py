"""Finite-width training: the network whose mean-field limit the other solvers compute."""

import dataclasses
from typing import ClassVar

import numpy as np

from wgflow import noise
from wgflow.errors import InputError, check_count, check_flag, check_number
from wgflow.measure import Particles
from wgflow.problem import Problem
from wgflow.solver import Context, Scheme, Snapshot, Solver, State, Step, check_no_powers
from wgflow.solvers.particles import brownian, checked_step, initial_position


@dataclasses.dataclass(frozen=True)
class SGD(Solver):
    """(Noisy) stochastic gradient descent on a network of finite width m,

        v <- beta v - (1 - beta) grad g_batch(theta_j),
        theta_j <- theta_j + eta xi v + sqrt(2 lambda eta xi) N(0, 1),   time t = eta * iterations,

    for f = (s/m) sum_j phi(theta_j; x). A framework differentiates the risk in theta_j, which is
    grad g / m, so that its learning rate is eta m. SGD approaches the particle flow with order 1
    in eta. Momentum beta averages the velocity, so that it does not change the speed of time.

    Parameters
    ----------
    step
        eta, in units of mean-field time.
    width
        Number of neurons m.
    batch
        Samples a step, drawn independently; by default all of the data are used.
    momentum
        beta in [0, 1).
    noise
        Whether the Langevin noise of the problem's temperature is added.
    fresh
        Whether each batch is drawn afresh from the law of the data, not from the sample.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, a problem without a risk, or fresh draws from data
        that are a fixed sample.
    """

    name: ClassVar[str] = "sgd"
    step: float = 1e-3
    width: int = 1000
    batch: int | None = None
    momentum: float = 0.0
    noise: bool = True
    fresh: bool = False

    def __post_init__(self) -> None:
        check_number("The step of solver sgd", self.step, above=0)
        check_count("The width of solver sgd", self.width)
        if self.batch is not None:
            check_count("The batch of solver sgd", self.batch)
        momentum = check_number("The momentum of solver sgd", self.momentum, least=0)
        if momentum >= 1:
            raise InputError(
                f"The momentum of solver sgd is {momentum:g}, but must be below 1; 0.9 is usual."
            )
        check_flag("The noise of solver sgd", self.noise)
        check_flag("The fresh setting of solver sgd", self.fresh)

    @property
    def order(self) -> float:
        """Weak order in the step."""
        return 1.0

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError if there is no network to train."""
        check_no_powers(problem, self.name)
        if problem.risk is None:
            raise InputError(
                "The solver sgd trains a network, but the energy has no Risk term; use the solver "
                "particles."
            )
        if self.fresh and problem.risk.data.draw is None:
            raise InputError(
                "The setting fresh=true needs data with a law to draw from, but these are a fixed "
                "sample; use fresh=false."
            )
        if self.fresh and self.batch is None:
            raise InputError(
                "The setting fresh=true needs a batch size; set batch to a whole number."
            )
        return SGDScheme(problem, self, seed)


class SGDScheme(Scheme):
    """The scheme of `SGD`; its state is `position` and, with momentum, `velocity`, (m, D)."""

    def __init__(self, problem: Problem, settings: SGD, seed: int) -> None:
        self.problem, self.settings, self.seed = problem, settings, seed

    def initial(self) -> State:
        """Return the same neurons that `ParticleFlow` starts from with this seed, at rest."""
        position = initial_position(self.problem, self.seed, self.settings.width)
        if self.settings.momentum > 0:
            return {"position": position, "velocity": np.zeros_like(position)}
        return {"position": position}

    def gradient(self, position: np.ndarray, index: int) -> np.ndarray:
        """Return grad g_batch at the neurons, shape (m, D)."""
        measure = Particles(position)
        total = np.zeros_like(position)
        for term in self.problem.energy.terms:
            if term is self.problem.risk and self.settings.batch is not None:
                draw = noise.generator(self.seed, noise.Stream.BATCH, index)
                data = self.problem.risk.data.batch(
                    draw, self.settings.batch, fresh=self.settings.fresh
                )
                batch = self.problem.risk.on(data)
                total += batch.gradient(position, batch.couple(measure))
            else:
                total += term.gradient(position, term.couple(measure))
        return total

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one iteration."""
        position, momentum = state["position"], self.settings.momentum
        new: State = {}
        slope = -self.gradient(position, index)
        if momentum > 0:
            slope = momentum * state["velocity"] + (1 - momentum) * slope
            new["velocity"] = slope
        new["position"] = position + dt * self.problem.rate(time) * slope
        if self.settings.noise and self.problem.temperature > 0:
            new["position"] += brownian(self.problem, self.seed, index, time, dt, position.shape)
        return checked_step(self.problem, new, dt, 1)

    def observe(self, state: State) -> Snapshot:
        """Return the empirical measure of the neurons."""
        return Snapshot(Particles(state["position"]))
