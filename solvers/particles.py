"""Interacting particles: the law rho as an empirical measure that moves with its own velocity."""

import dataclasses
from typing import ClassVar

import numpy as np

from wgflow.errors import InputError, check_choice, check_count, check_number
from wgflow.noise import Stream
from wgflow.problem import Problem
from wgflow.solver import Context, Scheme, Snapshot, Solver, State, Step, check_no_powers
from wgflow.solvers.cloud import PRECISIONS, Cloud
from wgflow.solvers.integrators import (
    FIRST_ITERATIONS,
    METHODS,
    REFRESHED,
    TRAVELLED,
    spectral_radius,
)


@dataclasses.dataclass(frozen=True)
class ParticleFlow(Solver):
    """Interacting particles,

        d theta_j = - xi(t) grad g[rho_m](theta_j) dt + sqrt(2 lambda xi(t)) dB_j,

    for the empirical measure rho_m of m particles, which approaches the flow as m^(-1/2).
    Particles are reflected at interval ends and wrapped on circles after every step; where many
    are reflected, the order in the step drops to that of the reflection (1, or 1/2 with noise).

    Parameters
    ----------
    step
        The longest time step.
    count
        Number of particles m.
    method
        Without noise "euler" (order 1), "heun" (2) or "bogacki-shampine" (3, with an embedded
        error estimate); with noise "euler-maruyama" (weak order 1) or "stochastic-heun" (2). By
        default "heun" at temperature 0, or "bogacki-shampine" if there is an `error_tolerance`,
        and "euler-maruyama" above.
    error_tolerance
        Of "bogacki-shampine": if given, steps are halved and doubled so that the two orders
        differ by no more in the root mean square over particles, a bound on W2.
    courant
        If given, steps of the other methods are halved and doubled so that xi dt times the
        spectral radius of the velocity's Jacobian is no more. Explicit methods are stable below
        2; 0.5 is usual. The radius comes from a power iteration that goes on at every eighth step,
        and sooner where steps are long for it; it depends on the past of the path only, so that
        noise stays unbiased.
    precision
        "double", or "single" for sums over pairs in float32; positions stay float64.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, a method that does not fit the temperature.
    """

    name: ClassVar[str] = "particles"
    spreads: ClassVar[bool] = True
    step: float = 1e-2
    count: int = 1000
    method: str | None = None
    error_tolerance: float | None = None
    courant: float | None = None
    precision: str = "double"

    def __post_init__(self) -> None:
        check_number("The step of solver particles", self.step, above=0)
        check_count("The count of solver particles", self.count)
        if self.method is not None:
            check_choice("The method of solver particles", self.method, METHODS)
        if self.error_tolerance is not None:
            check_number("The error_tolerance of solver particles", self.error_tolerance, above=0)
            if self.method is not None and not METHODS[self.method].embedded:
                raise InputError(
                    f"The method '{self.method}' does not estimate its error, which an "
                    "error_tolerance needs; use method=bogacki-shampine, or courant in its place."
                )
        if self.courant is not None:
            check_number("The courant number of solver particles", self.courant, above=0, most=2)
            if self.embedded:
                raise InputError(
                    "The method 'bogacki-shampine' takes its steps from an error_tolerance, not "
                    f"from a courant number ({self.courant:g}); give one of them."
                )
        check_choice("The precision of solver particles", self.precision, PRECISIONS)

    @property
    def embedded(self) -> bool:
        """Whether the method estimates its own error, as far as the settings tell."""
        return self.error_tolerance is not None or (
            self.method is not None and METHODS[self.method].embedded
        )

    @property
    def order(self) -> float:
        """Order in the time step; 1 if the method is left to the temperature."""
        return METHODS[self.method or ("bogacki-shampine" if self.embedded else "euler")].order

    @property
    def error_growth(self) -> float | None:
        """Growth of the error of a step that is doubled; None for equal steps."""
        if self.error_tolerance is not None:
            return 8.0
        return None if self.courant is None else 2.0

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError if the method does not fit the temperature."""
        check_no_powers(problem, self.name)
        noisy = problem.temperature > 0
        usual = "euler-maruyama" if noisy else "heun"
        method = self.method or ("bogacki-shampine" if self.embedded else usual)
        if noisy and METHODS[method].embedded:
            raise InputError(
                "The method 'bogacki-shampine' judges its steps by the smoothness of the path, "
                f"and at a temperature of {problem.temperature:g} no path is smooth; use "
                "method=stochastic-heun or euler-maruyama, with courant for steps that adapt."
            )
        if noisy != METHODS[method].noisy:
            remedy = (
                "use method=euler-maruyama or method=stochastic-heun, which draw it"
                if noisy
                else "use method=euler, heun or bogacki-shampine, or give the problem a temperature"
            )
            raise InputError(
                f"The method '{method}' does not fit a temperature of {problem.temperature:g}, "
                f"which {'needs' if noisy else 'has no'} noise; {remedy}."
            )
        cloud = Cloud.of(problem, self.count, seed, context, self.precision)
        return ParticleScheme(cloud, method, self.error_tolerance, self.courant)


class ParticleScheme(Scheme):
    """The scheme of `ParticleFlow`.

    Its state is `position`, shape (s, D), this rank's share; for an embedded pair also `slope`,
    the velocity there; for a courant number also `direction` (s, D) and `radius`, those of the
    power iteration, and `since`, the steps and the sum of xi dt radius after the last one.
    """

    def __init__(
        self,
        cloud: Cloud,
        method: str,
        error_tolerance: float | None = None,
        courant: float | None = None,
    ) -> None:
        self.cloud, self.method = cloud, METHODS[method]
        self.error_tolerance, self.courant = error_tolerance, courant
        self.distributed = frozenset({"position", "slope", "direction"})

    def initial(self) -> State:
        """Return `count` draws from the initial law, folded into the domain."""
        cloud = self.cloud
        state = {"position": cloud.initial()}
        if self.method.embedded:
            state["slope"] = cloud.velocity(state["position"], 0.0)
        if self.courant is not None:
            direction = cloud.normal(Stream.PROJECTION, 0)
            direction /= cloud.root_mean_square(direction)
            direction, radius = spectral_radius(
                cloud, state["position"], direction, FIRST_ITERATIONS
            )
            state |= {
                "direction": direction,
                "radius": np.array(radius),
                "since": np.zeros(2),
            }
        return state

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step."""
        problem = self.cloud.problem
        rates = [problem.rate(time), problem.rate(time + dt)]
        error, evaluations = None, 0
        if self.courant is not None:
            since, travelled = state["since"]
            if since >= REFRESHED or travelled >= TRAVELLED:
                direction, radius = spectral_radius(
                    self.cloud, state["position"], state["direction"], 1
                )
                state = {**state, "direction": direction, "radius": np.array(radius)}
                since = travelled = 0.0
                evaluations += 2
            number = dt * max(rates) * float(state["radius"])
            state = {**state, "since": np.array([since + 1, travelled + number])}
            error = number / self.courant
            error = error if np.isfinite(error) else np.inf
            if error > 1:
                # Known before any noise is drawn: a rejected step does not bias what follows.
                return Step(state, error=error, evaluations=evaluations)
        increments: np.ndarray | float = 0.0
        if self.method.noisy:
            # The integral of xi c over the step, to the order of the method.
            first, last = rates[0] * problem.heat(time), rates[1] * problem.heat(time + dt)
            spread = dt * (first if self.method.order == 1 else (first + last) / 2)
            increments = self.cloud.brownian(index, spread)
        outcome = self.method.advance(self.cloud, state, time, dt, increments)
        if self.error_tolerance is not None and outcome.difference is not None:
            error = outcome.difference / self.error_tolerance
            # What is not a number is no error that can be accepted.
            error = error if np.isfinite(error) else np.inf
        return self.cloud.checked_step(outcome.state, dt, evaluations + outcome.evaluations, error)

    def restored(self, state: State) -> State:
        """Return this rank's share of the state of a checkpoint."""
        return self.cloud.held(state, self.distributed)

    def observe(self, state: State) -> Snapshot:
        """Return the empirical measure."""
        return self.cloud.observe(state["position"])
