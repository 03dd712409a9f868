"""Errors whose messages are sentences, and the checks that raise them.

A message names the value, what is allowed and the remedy, because it is all that a user of the
command line sees.
"""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any

LONGEST = 1000
"""Characters of a message; a longer one is cut in the middle."""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message is one sentence."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class FileError(InputError):
    """A file cannot be read or written; the message names it and the reason."""


class MissingPackageError(InputError):
    """An optional package is not installed; the message says how to install it."""


def one_line(text: str) -> str:
    """Return a text that may hold anything as one line that no terminal takes for a command."""
    words = " ".join(line.strip() for line in text.splitlines())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 205]} ... {line[-200:]}"


def unknown(kind: str, name: object, allowed: Iterable[str], *, of: str = "") -> InputError:
    """Return the error for a name that is not among those allowed, with the nearest one.

    Parameters
    ----------
    kind
        What is named, as in "case" or "setting".
    of
        What it would belong to, as in "solver jko".
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    owner = f" of {of}" if of else ""
    choices = ", ".join(names) if names else "none"
    return InputError(f"Unknown {kind} '{name}'{owner}; allowed are {choices}{hint}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
) -> float:
    """Return a finite float that is > `above`, >= `least` and <= `most`, or raise InputError."""
    limits = []
    if above > -math.inf:
        limits.append(f"above {above:g}")
    if least > -math.inf:
        limits.append(f"at least {least:g}")
    if most < math.inf:
        limits.append(f"at most {most:g}")
    allowed = "a finite number" + (" " + " and ".join(limits) if limits else "")
    try:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        good = real and math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        good = False
    if not good or not (value > above and value >= least and value <= most):
        raise InputError(f"{name} is {_shown(value)}, but must be {allowed}.")
    return float(value)


def check_count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Return an integer that is >= `least` and <= `most`, or raise InputError."""
    allowed = f"a whole number of at least {least}"
    if most is not None:
        allowed += f" and at most {most}"
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not good or value < least or (most is not None and value > most):
        raise InputError(f"{name} is {_shown(value)}, but must be {allowed}.")
    return int(value)


def check_choice(name: str, value: object, allowed: Iterable[str]) -> None:
    """Raise InputError unless `value` is one of the names in `allowed`."""
    choices = list(allowed)
    if value not in choices:
        raise InputError(f"{name} is {_shown(value)}, but must be one of {', '.join(choices)}.")


def check_flag(name: str, value: object) -> None:
    """Raise InputError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {_shown(value)}, but must be true or false.")
