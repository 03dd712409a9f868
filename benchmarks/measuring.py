"""What the benchmarks share: how competitors are timed, and what a section hands back."""

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

GAP = 0.35
"""Seconds of rest before each call: threads of OpenBLAS spin for 0.1 s after their work."""
SHORT_GAP = 0.05
"""The same where wgflow is alone, which holds BLAS at one thread."""


WAKING = 0.1
"""Seconds of calls before the one that is timed."""


@dataclasses.dataclass(frozen=True)
class Competitor:
    """A function to be timed, and what holds its threads while it runs."""

    run: Callable[[], Any]
    held: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext


@dataclasses.dataclass(frozen=True)
class Timing:
    """Median seconds of a call, and the median number of cores that it kept busy."""

    seconds: float
    cores: float


def interleaved(
    competitors: Mapping[str, Competitor],
    rounds: int,
    gap: float = GAP,
    waking: float = WAKING,
) -> dict[str, Timing]:
    """Time all competitors in turn, `rounds` times after a first one that is discarded.

    The threads of all of them sleep in the gaps, and where cores sleep as well the system may wake
    two threads on one core and part them only tens of milliseconds later. A run, which makes one
    step after another, meets that once; so calls are made for a while before one is timed.
    """
    wall: dict[str, list[float]] = {name: [] for name in competitors}
    cores: dict[str, list[float]] = {name: [] for name in competitors}
    for turn in range(rounds + 1):
        for name, competitor in competitors.items():
            with competitor.held():
                time.sleep(gap)
                until = time.perf_counter() + waking
                while turn and time.perf_counter() < until:
                    competitor.run()
                processor, start = time.process_time(), time.perf_counter()
                competitor.run()
                spent = time.perf_counter() - start
                busy = time.process_time() - processor
            if turn:
                wall[name].append(spent)
                cores[name].append(busy / spent)
    return {
        name: Timing(statistics.median(wall[name]), statistics.median(cores[name]))
        for name in competitors
    }


def once(competitor: Competitor) -> tuple[float, Any]:
    """Return the seconds of one call, and what it returns."""
    with competitor.held():
        start = time.perf_counter()
        result = competitor.run()
        return time.perf_counter() - start, result


@dataclasses.dataclass
class Table:
    """A table of the page: numbers, text, or None where there is nothing to show."""

    header: Sequence[str]
    rows: list[list[float | str | None]] = dataclasses.field(default_factory=list)

    def add(self, *cells: float | str | None) -> None:
        self.rows.append(list(cells))


@dataclasses.dataclass(frozen=True)
class Target:
    """A number found, and what it must reach."""

    quantity: str
    found: float
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.found >= self.bound if self.at_least else self.found <= self.bound


@dataclasses.dataclass
class Section:
    """What one benchmark hands back."""

    tables: dict[str, Table] = dataclasses.field(default_factory=dict)
    targets: list[Target] = dataclasses.field(default_factory=list)


def rounded(value: Any, digits: int = 3) -> Any:
    """Return a number with `digits` significant digits, and anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int) or value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def cell(value: Any) -> str:
    """Return how a number, a text or None is shown."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:g}"
