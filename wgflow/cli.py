"""The command `wgflow`: the only place, with `wgflow.commands`, that prints and exits.

Exit codes: 0 done; 1 the run diverged or did not converge, or a check does not hold; 2 bad input;
130 interrupted.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from wgflow.commands.exit_codes import BAD_INPUT, FAILED, INTERRUPTED
from wgflow.parser import parser

COMMANDS = {
    "list": ("show", "list_all"),
    "show": ("show", "show"),
    "run": ("run", "run"),
    "resume": ("resume", "resume"),
    "compare": ("compare", "compare"),
    "study": ("study", "study"),
    "verify": ("verify", "verify"),
    "plot": ("plot", "plot"),
}
"""The module and the function of each command; it is imported when it is called."""
SHARED = ("run", "resume")
"""Commands that several ranks do together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = parser().parse_args(arguments)
    # What follows imports the library, which takes longer than `--help` should.
    from wgflow.communicator import launched  # noqa: PLC0415

    # Under mpi4py.futures the program runs on one rank, and the others wait for its tasks.
    alone = launched() == 1 or "mpi4py.futures" in sys.orig_argv
    return _command(options) if alone else _on_ranks(options)


def _on_ranks(options: argparse.Namespace) -> int:
    """Run a command in one of several processes; the first one speaks for all."""
    from wgflow.communicator import world  # noqa: PLC0415
    from wgflow.errors import InputError  # noqa: PLC0415

    try:
        ranks = world()
    except InputError as error:
        print(f"wgflow: {error}", file=sys.stderr)
        return BAD_INPUT
    if options.command not in SHARED:
        # Nothing to share: the first process does it, the others have nothing to do.
        return _command(options) if ranks.leads else 0
    screen, said = sys.stderr, io.StringIO()
    if not ranks.leads:
        options.quiet = True
        sys.stderr = said
    try:
        code = _command(options)
        stopped = code == BAD_INPUT
    except Exception:
        sys.excepthook(*sys.exc_info())
        code, stopped = FAILED, True
    # What stopped one rank, a full disk say, would leave the others waiting for it for ever.
    if stopped and not ranks.meets(seconds=5.0):
        if not ranks.leads:  # What all ranks have to say is said by the first.
            print(f"In process {ranks.rank}: {said.getvalue()}", file=screen, flush=True)
        ranks.abort(code)
    return code


def _command(options: argparse.Namespace) -> int:
    """Run a command and return the exit code."""
    from wgflow.errors import InputError  # noqa: PLC0415

    try:
        module, function = COMMANDS[options.command]
        command = importlib.import_module(f"wgflow.commands.{module}")
        return int(getattr(command, function)(options))
    except InputError as error:
        print(f"wgflow: {error}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError:
        print("wgflow: This needs more memory than there is; use a smaller size.", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("wgflow: Stopped at once; what was saved is kept.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone (wgflow list | head); nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
