"""A solver of one's own: particles by the explicit midpoint rule, and its order measured."""

import dataclasses
import math
from typing import ClassVar

import numpy as np

import wgflow as wg
from wgflow.errors import check_count, check_number
from wgflow.solver import Scheme, Snapshot, Solver, State, Step
from wgflow.solvers.cloud import Cloud


@dataclasses.dataclass(frozen=True)
class Midpoint(Solver):
    """Particles moved by -grad g, with the explicit midpoint rule; order 2, no noise."""

    name: ClassVar[str] = "midpoint"
    step: float = 1e-2
    count: int = 1000

    def __post_init__(self) -> None:
        check_number("The step of solver midpoint", self.step, above=0)
        check_count("The count of solver midpoint", self.count)

    @property
    def order(self) -> float:
        return 2.0

    def prepare(self, problem: wg.Problem, seed: int, context: wg.Context) -> Scheme:
        if problem.temperature > 0:
            raise wg.InputError("The solver midpoint has no noise; use the solver particles.")
        return MidpointScheme(Cloud(problem, self.count, seed))


class MidpointScheme(Scheme):
    """The scheme of `Midpoint`; its state is `position`, shape (m, D)."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def initial(self) -> State:
        return {"position": self.cloud.initial()}

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        start = state["position"]
        half = self.cloud.fold(start + dt / 2 * self.cloud.velocity(start, time))
        moved = start + dt * self.cloud.velocity(half, time + dt / 2)
        return self.cloud.checked_step({"position": moved}, dt, evaluations=2)

    def observe(self, state: State) -> Snapshot:
        return self.cloud.observe(state["position"])


problem = wg.Problem(
    energy=wg.Potential.quadratic((1.0,)),
    domain=wg.Domain(wg.WholeLine()),
    initial=wg.Gaussian(mean=1.0, std=0.5),
    horizon=1.0,
)


def error(step: float) -> float:
    """Return the largest error at the horizon, where the exact flow is x e^-1."""
    run = wg.solve(problem, Midpoint(step=step, count=100))
    exact = run.measure(0).position * math.exp(-1)
    return float(np.abs(run.measure(-1).position - exact).max())


measured_order = math.log2(error(0.1) / error(0.05))
assert abs(measured_order - 2) < 0.1
