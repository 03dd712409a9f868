"""What a case must reproduce: numbers with a tolerance, and rates of convergence."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
                f"The rate of solver {self.solver} in {self.setting} has {len(self.values)} "
                "values, but needs at least two."
            )
        # The rules are those of a number that is checked.
        self.check(lambda: self.expected)

    @property
    def quantity_in_words(self) -> str:
        """What is measured, in words."""
        return f"rate of {self.solver} in {self.setting}"

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
