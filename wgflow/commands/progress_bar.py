"""The progress bar of the commands, and what they do on a signal."""

import dataclasses
import signal
import sys
import types
from typing import Any

from tqdm import tqdm

LARGE = 1e8
"""Bytes from which the size of the results is told before the run."""


@dataclasses.dataclass
class ProgressBar:
    """A progress bar that is also where signals arrive: SIGINT and SIGTERM end the run cleanly."""

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
        if self._bar is not None:
            self._bar.close()

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        if self.stop:
            raise KeyboardInterrupt  # asked twice: do not wait for the end of the step
        self.stop = True

    def __call__(self, progress: Any) -> bool:
        if progress.size >= LARGE and not self.quiet and not self._told:
            self._told = True
            tqdm.write(f"The results take about {_size(progress.size)}.", file=sys.stderr)
        return self.show(progress.step, progress.steps)

    def show(self, done: int, total: int) -> bool:
        """Show how much is done, and return whether a signal asks to stop."""
        if not self.quiet:
            if self._bar is None:
                self._bar = tqdm(total=total, desc=self.title, unit=self.unit, mininterval=0.2)
                self._bar.set_postfix_str("compiling kernels on first use")
            elif done > 0 and self._bar.n == 0:
                self._bar.set_postfix_str("")
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        return self.stop


def _size(size: float) -> str:
    """Return a number of bytes as text."""
    unit, name = (1e9, "GB") if size >= 1e9 else (1e6, "MB")
    return f"{size / unit:.2g} {name}"
