"""One step beside two half steps: a local error for adaptive steps, and a higher order."""

from typing import Protocol

import numpy as np

from wgflow.solver import Scheme, Snapshot, State, Step


class Doubles(Protocol):
    """What a scheme must offer beyond its three functions."""

    def initial(self) -> State: ...

    def advance(self, state: State, time: float, index: int, dt: float) -> Step: ...

    def observe(self, state: State) -> Snapshot: ...

    def difference(self, first: State, second: State) -> float:
        """Return a distance of the laws of two states."""

    def extrapolated(self, whole: State, halved: State) -> State:
        """Return the state of higher order from one whole step and two halves."""


class StepDoubling(Scheme):
    """Every step taken once as a whole and once as two halves.

    Parameters
    ----------
    scheme
        Takes the steps.
    order
        Of that scheme in the time step.
    extrapolate
        Whether to return the extrapolation of both results rather than that of the halves. Of a
        first-order scheme it has order 2.
    error_tolerance
        Of the local error of the halves, in the distance of the scheme; None for steps that are
        not adapted.
    """

    def __init__(
        self,
        scheme: Doubles,
        *,
        order: float,
        extrapolate: bool,
        error_tolerance: float | None = None,
    ) -> None:
        self.scheme, self.order = scheme, order
        self.extrapolate, self.error_tolerance = extrapolate, error_tolerance

    def initial(self) -> State:
        """Return the initial state of the scheme."""
        return self.scheme.initial()

    def observe(self, state: State) -> Snapshot:
        """Return what the scheme shows of a state."""
        return self.scheme.observe(state)

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of a whole step and two halves."""
        steps = [self.scheme.advance(state, time, 2 * index, dt / 2)]
        if steps[-1].status == "ok":
            middle = time + dt / 2
            steps.append(self.scheme.advance(steps[0].state, middle, 2 * index + 1, dt / 2))
        if steps[-1].status == "ok":
            steps.append(self.scheme.advance(state, time, index, dt))
        new, error = steps[-1].state, None
        if steps[-1].status == "ok":
            halved, whole = steps[1].state, steps[2].state
            new = self.scheme.extrapolated(whole, halved) if self.extrapolate else halved
            if self.error_tolerance is not None:
                apart = self.scheme.difference(whole, halved)
                error = apart / (2**self.order - 1) / self.error_tolerance
                # What is not a number is no error that can be accepted.
                error = error if np.isfinite(error) else np.inf
        return Step(
            new,
            steps[-1].status,
            error=error,
            iterations=sum(step.iterations for step in steps),
            evaluations=sum(step.evaluations for step in steps),
            reason=steps[-1].reason,
        )
