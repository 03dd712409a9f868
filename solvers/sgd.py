"""Finite-width training: the network whose mean-field limit the other solvers compute."""

import dataclasses
from typing import ClassVar

import numpy as np

from wgflow import noise
from wgflow.energy import Energy
from wgflow.errors import InputError, check_choice, check_count, check_flag, check_number
from wgflow.problem import Problem
from wgflow.solver import Context, Scheme, Snapshot, Solver, State, Step, check_no_powers
from wgflow.solvers.cloud import PRECISIONS, Cloud


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
    precision
        "double", or "single" for sums over pairs in float32; positions stay float64.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, a problem without a risk, or fresh draws from data
        that are a fixed sample.
    """

    name: ClassVar[str] = "sgd"
    spreads: ClassVar[bool] = True
    step: float = 1e-3
    width: int = 1000
    batch: int | None = None
    momentum: float = 0.0
    noise: bool = True
    fresh: bool = False
    precision: str = "double"

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
        check_choice("The precision of solver sgd", self.precision, PRECISIONS)

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
        cloud = Cloud.of(problem, self.width, seed, context, self.precision)
        return SGDScheme(cloud, self)


class SGDScheme(Scheme):
    """The scheme of `SGD`.

    Its state is `position` and, with momentum, `velocity`, both (s, D), this rank's share.
    """

    def __init__(self, cloud: Cloud, settings: SGD) -> None:
        self.cloud, self.settings = cloud, settings
        self.distributed = frozenset({"position", "velocity"})

    def initial(self) -> State:
        """Return the same neurons that `ParticleFlow` starts from with this seed, at rest."""
        position = self.cloud.initial()
        if self.settings.momentum > 0:
            return {"position": position, "velocity": np.zeros_like(position)}
        return {"position": position}

    def gradient(self, position: np.ndarray, index: int) -> np.ndarray:
        """Return grad g_batch at the neurons, shape (s, D)."""
        cloud, batch = self.cloud, self.settings.batch
        risk = cloud.energy.risk
        if batch is None or risk is None:
            return cloud.gradient(position)
        draw = noise.generator(cloud.seed, noise.Stream.BATCH, index)
        data = risk.data.batch(draw, batch, fresh=self.settings.fresh)
        terms = (risk.on(data) if term is risk else term for term in cloud.energy.terms)
        on_batch = Energy(*terms, *cloud.energy.internal)
        couplings = on_batch.couple(cloud.measure(position), cloud.communicator)
        return on_batch.gradient(position, couplings)

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one iteration."""
        position, momentum = state["position"], self.settings.momentum
        problem, new = self.cloud.problem, State()
        rate = problem.rate(time)
        slope = -self.gradient(position, index)
        if momentum > 0:
            slope = momentum * state["velocity"] + (1 - momentum) * slope
            new["velocity"] = slope
        new["position"] = position + dt * rate * slope
        if self.settings.noise and problem.temperature > 0:
            new["position"] += self.cloud.brownian(index, dt * rate * problem.heat(time))
        return self.cloud.checked_step(new, dt, 1)

    def restored(self, state: State) -> State:
        """Return this rank's share of the state of a checkpoint."""
        return self.cloud.held(state, self.distributed)

    def observe(self, state: State) -> Snapshot:
        """Return the empirical measure of the neurons."""
        return self.cloud.observe(state["position"])
