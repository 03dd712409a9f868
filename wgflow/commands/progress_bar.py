"""The progress bar of the commands, and what they do on a signal."""

import dataclasses
import signal
import sys
import types
from typing import Any

from tqdm import tqdm

from wgflow.store.paths import as_size

LARGE = 1e8
"""Bytes from which the size of the results is told before the run."""


@dataclasses.dataclass
class ProgressBar:
    """A progress bar that is also where signals arrive: SIGINT and SIGTERM end the run cleanly.

    A screen that is gone, or a log on a disk that is full, ends the bar and not the run.
    """

    title: str
    quiet: bool
    unit: str = " steps"
    stop: bool = False
    _bar: Any = None
    _told: bool = False
    _previous: dict[int, Any] = dataclasses.field(default_factory=dict)

    def __enter__(self) -> "ProgressBar":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        try:
            if self._bar is not None:
                self._bar.close()
        except OSError:
            self._bar.disable = True

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        if self.stop:
            raise KeyboardInterrupt  # asked twice: do not wait for the end of the step
        self.stop = True

    def __call__(self, progress: Any) -> bool:
        if progress.size >= LARGE and not self._told:
            self._told = True
            self.say(f"The results take about {as_size(progress.size)}.")
        return self.show(progress.step, progress.steps)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        if not self.quiet:
            try:
                tqdm.write(text, file=sys.stderr)
            except OSError:
                self.quiet = True

    def show(self, done: int, total: int) -> bool:
        """Show how much is done, and return whether a signal asks to stop."""
        if not self.quiet:
            try:
                self._draw(done, total)
            except OSError:
                self.quiet = True
                if self._bar is not None:
                    self._bar.disable = True
        return self.stop

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, desc=self.title, unit=self.unit, mininterval=0.2)
            self._bar.set_postfix_str("compiling kernels on first use")
        elif done > 0 and self._bar.n == 0:
            self._bar.set_postfix_str("")
        self._bar.total = total
        self._bar.update(done - self._bar.n)
