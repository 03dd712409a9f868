"""The command `resume`."""

import argparse

from wgflow import restart, store
from wgflow.commands.progress_bar import ProgressBar
from wgflow.commands.run import checkpoint_seconds, concluded, context_of
from wgflow.options import parse
from wgflow.recorder import checkpoint_path


def resume(options: argparse.Namespace) -> int:
    """Go on with a run from its checkpoint."""
    context = context_of(options)
    until = options.until and parse(options.until, float, "The time --until")
    begun = restart.standing(options.file)
    title = f"{options.file} from t = {begun:g}"
    with ProgressBar(title, quiet=options.quiet) as progress:
        if not checkpoint_path(store.resolved(options.file)).exists():
            progress.say(
                f"There is no checkpoint beside '{options.file}': the run is computed again from "
                "t = 0, and the rows in it are kept."
            )
        run = restart.resume(
            options.file,
            until,
            problem=options.case,
            progress=progress,
            context=context,
            checkpoint_every=checkpoint_seconds(options),
        )
    return concluded(run, options.file, options)
