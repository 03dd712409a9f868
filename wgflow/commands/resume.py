"""The command `resume`."""

import argparse

from wgflow import restart, store
from wgflow.commands.progress_bar import ProgressBar
from wgflow.commands.run import checkpoint_seconds, concluded, context_of
from wgflow.loop import Progress
from wgflow.options import check_given, parse
from wgflow.recorder import checkpoint_path


def resume(options: argparse.Namespace) -> int:
    """Go on with a run from its checkpoint."""
    check_given(options)
    context = context_of(options)
    until = options.until and parse(options.until, float, "The time --until")
    begun = restart.standing(options.file)
    untold = not checkpoint_path(store.resolved(options.file)).exists()
    with ProgressBar(f"{options.file} from t = {begun:g}", quiet=options.quiet) as bar:

        def progress(at: Progress) -> bool:
            nonlocal untold
            if untold and at.step > 0:  # once nothing has been refused
                untold = False
                bar.say(
                    f"There is no checkpoint beside '{options.file}': the run is computed again "
                    "from t = 0, and the rows in it are kept."
                )
            return bar(at)

        run = restart.resume(
            options.file,
            until,
            problem=options.case,
            progress=progress,
            context=context,
            checkpoint_every=checkpoint_seconds(options),
        )
    return concluded(run, options.file, options)
