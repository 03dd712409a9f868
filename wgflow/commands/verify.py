"""The command `verify`."""

import argparse
import os
import sys
import time
from typing import TextIO

from wgflow.commands.exit_codes import FAILED, INTERRUPTED
from wgflow.commands.progress_bar import ProgressBar
from wgflow.options import check_given, parse
from wgflow.verification import Verification, VerificationProgress, check_name, verify as verified

SHOWN = 50
"""Characters of the check at hand that stand beside the bar."""


class _Bar(ProgressBar):
    """A progress bar that names the check at hand and keeps what is found."""

    found = VerificationProgress((), 0)
    _shown = ""

    def follow(self, at: VerificationProgress) -> bool:
        """Show where the verification stands, and return whether a signal asks to stop."""
        self.found = at
        stop = self.show(len(at.results), at.planned)
        if self._bar is not None and at.case:
            text = f"{at.case}: {at.quantity}"
            cut = text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
            if cut != self._shown:
                self._shown = cut
                self._bar.set_postfix_str(cut)
        return stop


def verify(options: argparse.Namespace) -> int:
    """Compute the numbers that cases must reproduce, and print them beside their references."""
    check_given(options)
    if options.json is not None:
        check_name(options.json, replace=options.force)
    workers = options.workers and parse(options.workers, int, "The number of workers")
    begun = time.perf_counter()
    bar = _Bar("Verifying", quiet=options.quiet, unit=" checks")
    with bar:
        try:
            found = verified(
                options.cases or None, slow=options.all, workers=workers, progress=bar.follow
            )
        except KeyboardInterrupt:  # asked twice
            seconds = time.perf_counter() - begun
            found = Verification(bar.found.results, bar.found.planned, seconds)
    text = str(found)
    try:
        if options.json is not None:
            found.save(options.json, replace=options.force)
            text += f"\nWrote {options.json}"
    finally:
        # After the file, which does not wait for a reader, and also where it cannot be written.
        if not options.quiet:
            _say(text, sys.stdout)
        elif found.failures:
            _say(f"wgflow: {found.summary}", sys.stderr)
    if not found.complete:
        return INTERRUPTED
    return 0 if found.passed else FAILED


def _say(text: str, stream: TextIO) -> None:
    """Print a text; where nobody reads any more, the exit code tells."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
