"""A problem: an energy, the domain it lives on, an initial law and a horizon; frozen, validated."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wgflow.domain import Domain
from wgflow.energy import Energy, Internal, Risk, Term
from wgflow.errors import InputError, check_number
from wgflow.law import Law

Schedule = Callable[[float], float]

MOST_SAVES = 1_000_000
"""More save times than this are taken for a mistake."""
MOST_STEPS = 1e9
"""More steps than this between two saves are, too."""


@dataclasses.dataclass(frozen=True)
class SaveInterval:
    """Equal steps between two save times; `first` is the index of the first of them."""

    start: float
    stop: float
    first: int
    count: int

    @property
    def step(self) -> float:
        """Length of each step."""
        return (self.stop - self.start) / self.count

    def time(self, index: int) -> float:
        """Return the time at which the step of this index begins; computed, not accumulated."""
        done = index - self.first
        if done == self.count:
            return self.stop
        return self.start + (self.stop - self.start) * done / self.count


@dataclasses.dataclass(frozen=True)
class Problem:
    """The gradient flow d_t rho = xi(t) [div(rho grad g[rho]) + lambda Laplace rho].

    Parameters
    ----------
    energy
        F, a sum of terms; a single term is accepted.
    domain
        The axes of theta.
    initial
        The law at time 0.
    horizon
        The time T > 0 at which the flow ends.
    schedule
        xi(t) > 0; by default 1.
    cooling
        c(t) >= 0; by default 1. The noise at time t is that of the temperature c(t) lambda, as in
        annealing; the free energy that runs record is that of lambda. Solvers on grids take none.
    save_times
        Increasing times in [0, T] at which results are stored; 0 and T are added. By default 11
        equally spaced ones.
    case, parameters
        The named case this is and the parameters that rebuild it, or None.

    Raises
    ------
    InputError
        Parts that do not fit each other, or a horizon or save times out of range.
    """

    energy: Energy
    domain: Domain
    initial: Law
    horizon: float
    schedule: Schedule | None = None
    cooling: Schedule | None = None
    save_times: Sequence[float] | None = None
    case: str | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.energy, Term | Internal):
            object.__setattr__(self, "energy", Energy(self.energy))
        for name, kind in (("energy", Energy), ("domain", Domain), ("initial", Law)):
            if not isinstance(getattr(self, name), kind):
                raise InputError(
                    f"The {name} of a problem is {getattr(self, name)!r}, but must be of type "
                    f"{kind.__name__}."
                )
        horizon = check_number("The horizon", self.horizon, above=0)
        object.__setattr__(self, "horizon", horizon)
        object.__setattr__(self, "save_times", _save_times(self.save_times, horizon))
        dimension = self.domain.dimension
        if self.initial.dimension != dimension:
            raise InputError(
                f"The initial law has {self.initial.dimension} coordinates, but the domain has "
                f"{dimension} axes; give one coordinate an axis."
            )
        risk = self.energy.risk
        if risk is not None and risk.dimension != dimension:
            raise InputError(
                f"The neuron has {risk.dimension} parameters for these data, but the domain has "
                f"{dimension} axes ({', '.join(self.domain.names)}); give one axis a parameter."
            )
        for name in ("schedule", "cooling"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise InputError(
                    f"The {name} of a problem is {given!r}, but must be a function of time."
                )
        for time in self.save_times or ():
            self.rate(time)
            self.heat(time)

    @property
    def temperature(self) -> float:
        """The factor lambda of the entropy, or 0."""
        return self.energy.temperature

    @property
    def risk(self) -> Risk | None:
        """The risk among the terms of the energy, or None."""
        return self.energy.risk

    def rate(self, time: float) -> float:
        """Return xi(t).

        Raises
        ------
        InputError
            The schedule is not positive there.
        """
        if self.schedule is None:
            return 1.0
        return check_number(f"The schedule xi at t = {time:g}", self.schedule(time), above=0)

    def heat(self, time: float) -> float:
        """Return c(t), the factor of the temperature.

        Raises
        ------
        InputError
            The cooling is negative there.
        """
        if self.cooling is None:
            return 1.0
        return check_number(f"The cooling c at t = {time:g}", self.cooling(time), least=0)

    def intervals(self, step: float) -> list[SaveInterval]:
        """Return the save intervals, each cut into ceil(length / step) equal steps."""
        times = list(self.save_times or ())
        plan, first = [], 0
        for start, stop in itertools.pairwise(times):
            # Not divided yet: the ratio may overflow.
            if not stop - start < MOST_STEPS * step:
                raise InputError(
                    f"Steps of {step:g} between t = {start:g} and {stop:g} are over a billion; "
                    "choose a longer step."
                )
            # A ratio a rounding error above a whole number must not cost a step.
            count = max(1, math.ceil((stop - start) / step - 1e-9))
            plan.append(SaveInterval(float(start), float(stop), first, count))
            first += count
        return plan

    def until(self, horizon: float, every: float | None = None) -> "Problem":
        """Return the same problem with another horizon.

        Parameters
        ----------
        every
            Results are stored at multiples of this time. By default save times beyond the horizon
            are dropped, and a longer horizon goes on with the last spacing, or with the multiples
            of the first one where all are multiples of it.
        """
        horizon = check_number("The horizon", horizon, above=0)
        if every is not None:
            times = _multiples(every, horizon)
            return dataclasses.replace(self, horizon=horizon, save_times=times)
        times = list(self.save_times or ())
        spacing = times[-1] - times[-2]
        if not horizon - self.horizon < MOST_SAVES * spacing:
            raise InputError(
                f"The horizon {horizon:g} asks for more than a million save times, {spacing:g} "
                "apart; choose a shorter one, or set the time between saves as well (--save-every)."
            )
        more = math.ceil((horizon - self.horizon) / spacing - 1e-9)
        count, first = len(times) - 1, times[1]
        if all(t == k * first for k, t in enumerate(times[:-1])) and math.isclose(
            self.horizon, count * first, rel_tol=1e-12
        ):
            # The multiples of one spacing, to the bits that a longer horizon has from the start.
            times += [k * first for k in range(count + 1, count + more)]
        else:
            times += [self.horizon + k * spacing for k in range(1, more)]
        kept = [t for t in times if t < horizon * (1 - 1e-12)]
        return dataclasses.replace(self, horizon=horizon, save_times=kept)

    def save_every(self, spacing: float) -> "Problem":
        """Return the same problem with results stored at multiples of `spacing`."""
        return dataclasses.replace(self, save_times=_multiples(spacing, self.horizon))

    def describe(self) -> dict[str, Any]:
        """Return the problem as plain data, for the results file."""
        return {
            "domain": self.domain.describe(),
            "energy": self.energy.describe(),
            "initial": type(self.initial).__name__,
            "horizon": self.horizon,
            "schedule": "constant" if self.schedule is None else "own",
            # Left away where there is none, as in the files of versions that knew of none.
            **({} if self.cooling is None else {"cooling": "own"}),
        }


def _multiples(spacing: float, horizon: float) -> list[float]:
    """Return the multiples of a time that are before the horizon, from 0 on."""
    spacing = check_number("The spacing of the save times", spacing, above=0)
    if spacing * MOST_SAVES < horizon:
        raise InputError(
            f"A spacing of {spacing:g} gives more than a million save times up to the horizon "
            f"{horizon:g}; choose a larger one."
        )
    return [k * spacing for k in range(math.ceil(horizon / spacing - 1e-9))]


def _save_times(times: Sequence[float] | None, horizon: float) -> tuple[float, ...]:
    if times is None:
        return tuple(np.linspace(0.0, horizon, 11).tolist())
    if not isinstance(times, Iterable) or isinstance(times, str):
        raise InputError(f"The save times are {times!r}, but must be a sequence of times.")
    values = [check_number("A save time", t, least=0, most=horizon) for t in times]
    if any(b <= a for a, b in itertools.pairwise(values)):
        raise InputError(f"The save times {values} must increase.")
    tiny = 1e-12 * horizon
    inner = [t for t in values if tiny < t < horizon - tiny]
    return (0.0, *inner, horizon)
