"""The command `run`."""

import argparse
import os
import pathlib
import sys

from wgflow.commands.exit_codes import EXIT_STATUS
from wgflow.commands.progress_bar import ProgressBar
from wgflow.commands.rows import print_rows
from wgflow.communicator import world
from wgflow.loop import solve
from wgflow.options import check_given, chosen, parse, with_times
from wgflow.run import Run
from wgflow.solver import Context


def run(options: argparse.Namespace) -> int:
    """Solve a case and write a results file."""
    check_given(options)
    recipe, solver = chosen(options)
    problem = with_times(recipe.problem(), options)
    context = context_of(options)
    seed = parse(options.seed, int, "The seed")
    case = str(problem.case)
    usual = f"{pathlib.Path(case).stem}-{solver.name}.h5"
    output = usual if options.output is None else options.output
    with ProgressBar(f"{case} by {solver.name}", quiet=options.quiet) as progress:
        made = solve(
            problem,
            solver,
            seed,
            output=output,
            progress=progress,
            context=context,
            replace=options.force,
            save=options.save,
            checkpoint_every=checkpoint_seconds(options),
        )
    return concluded(made, output, options)


def context_of(options: argparse.Namespace) -> Context:
    """Return where to compute."""
    threads = options.threads and parse(options.threads, int, "The number of threads")
    return Context(threads=threads, communicator=world(), device=options.device)


def checkpoint_seconds(options: argparse.Namespace) -> float:
    """Return the time between checkpoints."""
    return float(parse(options.checkpoint_every, float, "The seconds --checkpoint-every"))


def concluded(made: Run, output: str, options: argparse.Namespace) -> int:
    """Print what became of a run and return the exit code, also where nobody reads any more."""
    try:
        if not options.quiet:
            print_rows(made)
            seconds = made.statistics["seconds"]
            print(f"{made.status.capitalize()} in {seconds:.1f} s; wrote {output}", flush=True)
        if made.reason:
            print(f"wgflow: {made.reason}", file=sys.stderr)
        if made.status == "interrupted" and not options.quiet:
            print(f"Go on with: wgflow resume {output}", file=sys.stderr, flush=True)
    except OSError:
        with open(os.devnull, "w") as nowhere:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(nowhere.fileno(), stream.fileno())
    return EXIT_STATUS[made.status]
