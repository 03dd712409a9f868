"""What a case must reproduce: numbers with a tolerance, and rates of convergence."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from wgflow.errors import InputError, check_choice, check_number

KINDS = ("exact", "published", "independent")
"""Where a reference may come from: a formula, a source that was read, a computation of its own."""
MARGIN = 3.0
"""A tolerance is at most this many times the error that the method should make."""


@dataclasses.dataclass(frozen=True)
class Check:
    """A number that a case must reproduce.

    Attributes
    ----------
    quantity
        What is computed, in words.
    compute
        Computes it.
    reference, tolerance
        The number it is compared with, and the largest allowed absolute difference.
    kind
        "exact" (a formula), "published" (read in the source) or "independent" (computed by other
        means).
    source
        Where the reference comes from.
    error
        The absolute error that the method should make with these settings; the tolerance is at
        most three times as large.
    reason
        Where the size of that error comes from, in words.
    solver
        The name of the solver whose result this is; empty where there is none.
    slow
        Whether it takes longer than about ten seconds.

    Raises
    ------
    InputError
        An attribute of the wrong type, another kind, or a tolerance that is too loose.
    """

    quantity: str
    compute: Callable[[], float]
    reference: float
    tolerance: float
    kind: str
    source: str
    error: float | None = None
    reason: str = ""
    solver: str = ""
    slow: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.quantity, str) or not callable(self.compute):
            raise InputError(
                f"A check has the quantity {self.quantity!r} and the function {self.compute!r}, "
                "but needs words and a function without arguments."
            )
        what = f"of the check '{self.quantity}'"
        check_number(f"The reference {what}", self.reference)
        check_number(f"The tolerance {what}", self.tolerance, least=0)
        check_choice(f"The kind {what}", self.kind, KINDS)
        if self.error is not None:
            check_number(f"The error {what}", self.error, least=0)
            if self.tolerance > MARGIN * self.error * (1 + 1e-9):
                raise InputError(
                    f"The tolerance {what} is {self.tolerance:g}, but may be at most three times "
                    f"the error that the method should make, {self.error:g}."
                )


class Exact(NamedTuple):
    """A number that is known by a formula; its attributes are those of a `Check`."""

    compute: Callable[[], float]
    reference: float
    error: float
    reason: str
    source: str
    tolerance: float | None = None
    slow: bool = False


def exact_checks(solver: str, numbers: Mapping[str, Exact]) -> tuple[Check, ...]:
    """Return the checks of numbers of one solver that are known by formulas.

    A number may miss its reference by twice the error that the method should make, unless it has a
    tolerance of its own; one of particles by three times, since their error is a standard error,
    which a normal number exceeds twofold for one seed in 22, and threefold for one in 370.

    Parameters
    ----------
    solver
        The name of the solver whose results these are; empty where there is none.
    numbers
        By what is computed, in words.

    Raises
    ------
    InputError
        As for a `Check`.
    """
    margin = 3 if solver == "particles" else 2
    return tuple(
        Check(
            quantity=quantity,
            compute=number.compute,
            reference=number.reference,
            tolerance=margin * number.error if number.tolerance is None else number.tolerance,
            kind="exact",
            source=number.source,
            error=number.error,
            reason=number.reason,
            solver=solver,
            slow=number.slow,
        )
        for quantity, number in numbers.items()
    )


@dataclasses.dataclass(frozen=True)
class Rate:
    """A rate of convergence that a solver must show on a case.

    Attributes
    ----------
    solver
        Its name; its settings are those of the case.
    setting
        What is refined: a setting of the solver.
    values
        Its values, two or more.
    expected, tolerance
        The slope of log error in log value that theory gives, and the largest allowed difference.
    source
        Where the expected slope comes from.
    error, reason
        As those of a `Check`.
    settings, parameters
        Other settings of the solver and parameters of the case, for these runs.
    seeds, reference, quantity, time
        As in `wgflow.study`; a time of None is the horizon.
    slow
        Whether it takes longer than about ten seconds.

    Raises
    ------
    InputError
        Fewer than two values, or a tolerance that is too loose.
    """

    solver: str
    setting: str
    values: Sequence[Any]
    expected: float
    tolerance: float
    source: str
    error: float | None = None
    reason: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: int | None = None
    reference: str | None = None
    quantity: str | None = None
    time: float | None = None
    slow: bool = True

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise InputError(
                f"The {self.quantity_in_words} has the values {list(self.values)}, but needs at "
                "least two."
            )
        # The rules are those of a number that is checked.
        self.check(lambda: self.expected)

    @property
    def quantity_in_words(self) -> str:
        """What is measured, in words."""
        fixed = {**self.settings, **self.parameters}
        with_these = ", ".join(f"{name} = {value}" for name, value in fixed.items())
        words = f"rate of {self.solver} in {self.setting}"
        return f"{words} with {with_these}" if with_these else words

    def check(self, compute: Callable[[], float]) -> Check:
        """Return the check that a measured slope is the expected one."""
        return Check(
            quantity=self.quantity_in_words,
            compute=compute,
            reference=self.expected,
            tolerance=self.tolerance,
            kind="exact",
            source=self.source,
            error=self.error,
            reason=self.reason,
            solver=self.solver,
            slow=self.slow,
        )


def rate_in_step(
    solver: str, values: Sequence[float], order: int, error: float, reason: str, **others: Any
) -> Rate:
    """Return the rate of a scheme of this order in its step.

    Parameters
    ----------
    others
        Of a `Rate`; by default the tolerance is twice the error, and the settings ask for this
        order in time.
    """
    usual: dict[str, Any] = {
        "tolerance": 2 * error,
        "source": "the order of the scheme in the step",
        "settings": {"time_order": order},
    }
    return Rate(solver, "step", values, order, error=error, reason=reason, **(usual | others))


def rate_in_cells(
    solver: str, values: Sequence[Any], error: float, reason: str, **others: Any
) -> Rate:
    """Return the rate of a scheme of second order in the width of cells, over cells on an axis.

    Parameters
    ----------
    others
        Of a `Rate`; by default the tolerance is twice the error.
    """
    usual: dict[str, Any] = {"tolerance": 2 * error, "source": "the order of the scheme in h"}
    return Rate(solver, "shape", values, -2.0, error=error, reason=reason, **(usual | others))


def rate_in_particles(quantity: str, source: str, **others: Any) -> Rate:
    """Return the rate of Monte Carlo, -1/2 in the number of particles, over 40 seeds.

    The logarithm of a root mean square over s seeds has the standard deviation 1/sqrt(2 s), and the
    slope over 100, 1000 and 10000 particles is a difference of two over ln(100); a rate may miss
    by twice that.

    Parameters
    ----------
    others
        Of a `Rate`.
    """
    return Rate(
        solver="particles",
        setting="count",
        values=(100, 1000, 10000),
        expected=-0.5,
        tolerance=0.068,
        source=source,
        error=0.034,
        reason="40 seeds fix a root mean square to 1/sqrt(80), two of them a slope over ln(100)",
        quantity=quantity,
        seeds=40,
        **others,
    )


def to_tolerance(number: float, tolerance: float) -> str:
    """Return a number with as many digits as its tolerance tells apart, and at least four."""
    digits = 4
    while digits < 16 and abs(float(f"{number:.{digits}g}") - number) > tolerance / 10:
        digits += 1
    return f"{number:.{digits}g}"
