"""The lengths of the steps between two saves: equal, or halved and doubled by their errors.

Steps are dyadic parts of the equal ones, so that every time is computed, not accumulated, and a
scheme that caches something for a step length meets few of them.
"""

import math
from collections.abc import Mapping

from wgflow.problem import SaveInterval

MOST_HALVINGS = 30
"""Steps shorter than this many halvings of the first are given up."""
SAFETY = 0.8
"""A step is doubled where this part of the tolerance is expected to hold then."""


class Pace:
    """Where a run stands in a save interval, and how long its next step is.

    Parameters
    ----------
    plan
        The save intervals with the longest steps allowed.
    growth
        Factor by which the error of a step grows when it is doubled; None for equal steps.
    shortest
        Steps are not halved below this length.
    """

    def __init__(
        self, plan: list[SaveInterval], growth: float | None, shortest: float = 0.0
    ) -> None:
        self.plan, self.growth, self.shortest = plan, growth, shortest
        self.level = 0
        self._save = self._place = 0
        self._last = math.inf

    @property
    def standing(self) -> dict[str, float]:
        """Where the run stands, as plain numbers that `stand` takes."""
        interval = self._interval
        return {
            "save": self._save,
            "place": self._place,
            "level": self.level,
            "last_step": self._last,
            "start": interval.start,
            "stop": interval.stop,
            "count": interval.count,
        }

    def fits(self, standing: Mapping[str, float]) -> bool:
        """Return whether the save interval of a run that stood there is one of this plan."""
        save = int(standing["save"])
        if not 0 <= save < len(self.plan):
            return False
        interval = self.plan[save]
        held = [standing[name] for name in ("start", "stop", "count")]
        return held == [interval.start, interval.stop, interval.count]

    def stand(self, standing: Mapping[str, float]) -> None:
        """Go to where a run stood."""
        self._save, self._place = int(standing["save"]), int(standing["place"])
        self.level, self._last = int(standing["level"]), float(standing["last_step"])

    @property
    def save(self) -> int:
        """The number of the save interval under way."""
        return self._save

    @property
    def last(self) -> bool:
        """Whether the interval under way is the last one."""
        return self._save == len(self.plan) - 1

    def enter(self, save: int) -> None:
        """Go to the beginning of the interval with this number."""
        self._save, self._place = save, 0
        # The step that was good before, in the unit of this interval.
        ratio = self._interval.step / self._last
        adapts = self.growth is not None and ratio > 1
        self.level = math.ceil(math.log2(ratio) - 1e-9) if adapts else 0
        while self.level > 0 and self._too_short(self.step):
            self.level -= 1

    @property
    def _interval(self) -> SaveInterval:
        return self.plan[self._save]

    @property
    def _parts(self) -> int:
        return self._interval.count << self.level

    def _time(self, place: int) -> float:
        if place == self._parts:
            return self._interval.stop
        start, stop = self._interval.start, self._interval.stop
        return start + (stop - start) * place / self._parts

    @property
    def done(self) -> bool:
        """Whether the end of the interval is reached."""
        return self._place == self._parts

    @property
    def time(self) -> float:
        """The time at which the next step begins."""
        return self._time(self._place)

    @property
    def step(self) -> float:
        """The length of the next step."""
        return self._interval.step / (1 << self.level)

    @property
    def left(self) -> int:
        """Steps to the end of the run, should their length not change."""
        following = sum(interval.count for interval in self.plan[self._save + 1 :])
        return self._parts - self._place + (following << self.level)

    def halve(self) -> bool:
        """Halve the next step; return whether it is allowed to be that short."""
        if self.growth is None or self.level == MOST_HALVINGS or self._too_short(self.step / 2):
            return False
        self.level += 1
        self._place *= 2
        return True

    def _too_short(self, step: float) -> bool:
        return step < self.shortest * (1 - 1e-9)

    def forward(self, error: float | None) -> None:
        """Go on after a step with this error, in units of the tolerance."""
        self._last = self.step
        self._place += 1
        if self.growth is None or error is None or self.level == 0 or self._place % 2:
            return
        if error * self.growth <= SAFETY:
            self.level -= 1
            self._place //= 2
