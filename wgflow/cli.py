"""The command `wgflow`: the only place that prints, shows progress, handles signals and exits.

Exit codes: 0 done; 1 the run diverged or did not converge; 2 bad input; 130 interrupted.
"""

import argparse
import dataclasses
import io
import os
import pathlib
import signal
import sys
import types
import typing
from collections.abc import Sequence
from typing import Any, NoReturn

EXIT_STATUS = {"finished": 0, "not_converged": 1, "diverged": 1, "interrupted": 130}
BAD_INPUT = 2
STUDY_OPTIONS = (
    ("--vary", "NAME=VALUES", "a setting or parameter and its values, as in count=100,400,1600"),
    ("--solver", "NAME", "particles, jko, finite-volume or sgd; by default the first of the case"),
    ("--seeds", "COUNT", "runs at each value (default 8; 1 on a grid)"),
    ("--reference", "WHAT", "solver, results file, successive, finest or mean (default: a grid)"),
    ("--quantity", "NAME", "prediction, risk, energy, mean, variance or wasserstein"),
    ("--at", "TIMES", "when errors are measured (default: at the horizon); runs end with the last"),
    ("--data", "FILE", ".npz or .csv with x and y for the case's data"),
    ("--workers", "COUNT", "processes side by side (default: one a core)"),
    ("--executor", "KIND", "processes or mpi"),
    ("--plot", "IMAGE", "draw the figure to .png, .pdf or .svg"),
)
STUDY_LISTS = (
    ("--param", "a parameter of the case"),
    ("--set", "a setting of the solver"),
    ("--reference-set", "a setting of the reference, where it is a solver"),
)
FAILED = 1


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        sentence = message[0].upper() + message[1:]
        self.exit(BAD_INPUT, f"{self.prog}: {sentence}; see {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
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
    if options.command is not _run:
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
        return int(options.command(options))
    except InputError as error:
        print(f"wgflow: {error}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError:
        print("wgflow: This needs more memory than there is; use a smaller size.", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_STATUS["interrupted"]
    except BrokenPipeError:
        # The reader of a pipe has gone (wgflow list | head); nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wgflow",
        description="Solve Wasserstein gradient flows by particles, JKO steps, finite volumes and "
        "SGD, and compare the runs.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the named cases")
    listing.set_defaults(command=_list)

    show = commands.add_parser("show", help="describe a case, or what a results file holds")
    show.add_argument(
        "name", metavar="CASE|FILE", help="a named case, a case file or a results file"
    )
    show.set_defaults(command=_show)

    run = commands.add_parser("run", help="solve a case and write a results file")
    run.add_argument("case", metavar="CASE", help="a named case, or a case file ending in .py")
    run.add_argument(
        "--solver", help="particles, jko, finite-volume or sgd; by default the first of the case"
    )
    run.add_argument("-o", "--output", metavar="FILE", help="by default CASE-SOLVER.h5")
    run.add_argument("--force", action="store_true", help="overwrite an existing output")
    run.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the case"
    )
    run.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the solver"
    )
    run.add_argument("--data", metavar="FILE", help=".npz or .csv with x and y for the case's data")
    run.add_argument("--seed", default="0", help="fixes every bit of the result (default 0)")
    run.add_argument("--until", metavar="TIME", help="end at this time")
    run.add_argument("--save-every", metavar="TIME", help="store results at multiples of this time")
    run.add_argument("--threads", metavar="COUNT", help="threads for the kernels")
    run.add_argument(
        "--device", default="cpu", help="cpu, or cuda for particles on a graphics card"
    )
    run.add_argument("--quiet", action="store_true", help="print nothing but errors")
    run.set_defaults(command=_run)

    compare = commands.add_parser("compare", help="set runs of one problem side by side")
    compare.add_argument("files", nargs="+", metavar="FILE")
    compare.add_argument("--plot", metavar="IMAGE", help="draw the figure to .png, .pdf or .svg")
    compare.add_argument("--force", action="store_true", help="overwrite an existing image")
    compare.set_defaults(command=_compare)

    study = commands.add_parser("study", help="measure a rate of convergence")
    study.add_argument("case", metavar="CASE", help="a named case, or a case file ending in .py")
    for flag, metavar, text in STUDY_OPTIONS:
        varied = flag == "--vary"
        action = "append" if varied else "store"
        study.add_argument(flag, metavar=metavar, help=text, required=varied, action=action)
    for flag, text in STUDY_LISTS:
        study.add_argument(flag, action="append", default=[], metavar="NAME=VALUE", help=text)
    study.add_argument("-o", "--output", metavar="FILE", help="write all errors, .json or .csv")
    study.add_argument("--force", action="store_true", help="overwrite existing files")
    study.add_argument("--quiet", action="store_true", help="print nothing but errors")
    study.set_defaults(command=_study)

    plot = commands.add_parser("plot", help="draw one run")
    plot.add_argument("file", metavar="FILE")
    plot.add_argument("-o", "--output", metavar="IMAGE", help="by default FILE with ending .png")
    plot.add_argument("--force", action="store_true", help="overwrite an existing image")
    plot.set_defaults(command=_plot)
    return parser


def _list(options: argparse.Namespace) -> int:
    from wgflow.case import find_case, list_cases  # noqa: PLC0415

    names = list_cases()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {find_case(name).summary}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from wgflow.case import case_from_file, find_case, list_cases  # noqa: PLC0415
    from wgflow.errors import InputError  # noqa: PLC0415
    from wgflow.results import load  # noqa: PLC0415

    name = options.name
    if name in list_cases():
        _show_case(find_case(name))
    elif name.endswith(".py"):
        _show_case(case_from_file(name))
    elif pathlib.Path(name).exists() or "." in name or os.sep in name:
        _show_run(load(name))
    else:
        raise InputError(
            f"'{name}' is neither a named case ({', '.join(list_cases())}) nor a file; check its "
            "name."
        )
    return 0


def _show_case(case: Any) -> None:
    print(f"{case.name}\n\n{case.description}\n\nParameters (--param name=value):")
    for parameter in case.parameters.values():
        print(f"  {parameter.name} = {parameter.default}  ({_kind(parameter.kind)})")
    if case.takes_data:
        print("  --data FILE puts your own x and y in the place of its data")
    print("\nSolvers (--set name=value):")
    for name, solver in case.solvers.items():
        settings = ", ".join(f"{k} = {v}" for k, v in solver.settings().items())
        print(f"  {name}: {settings}")
    print("\nChecks:")
    for check in case.checks:
        print(
            f"  {check.quantity} = {check.reference:g} +- {check.tolerance:.2g} "
            f"({check.kind}: {check.source})"
        )
    print(f"\nSource: {case.source}")


def _kind(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(map(str, typing.get_args(annotation)))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _show_run(run: Any) -> None:
    held = run.provenance
    print(f"{run!r}"[1:-1])
    if run.reason:
        print(run.reason)
    rows = {
        "parameters": _pairs(held["parameters"]),
        "settings": _pairs(held["settings"]),
        "seed": held["seed"],
        "versions": _pairs(held["versions"]),
        "statistics": _pairs(run.statistics),
        "problem": "rebuilt from the case"
        if run.problem
        else "not rebuilt (a problem of one's own)",
    }
    for name, text in rows.items():
        print(f"  {name:10}  {text}")
    print("\nVariables:")
    for name, variable in run.dataset.variables.items():
        dims = ", ".join(variable.dims)
        print(f"  {name}({dims})  {variable.data.shape}  {variable.long_name}")
    print()
    _print_rows(run)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{k} = {v}" for k, v in values.items() if v is not None)


def _print_rows(run: Any) -> None:
    columns = {
        "t": run.time,
        "risk": run.risk,
        "free energy": run.energy["total"],
        "gap": run.gap,
    }
    print("".join(f"{name:>14}" for name in columns))
    for row in zip(*columns.values(), strict=True):
        print("".join("             -" if v != v else f"{v:14.6g}" for v in row))


def _run(options: argparse.Namespace) -> int:
    from wgflow.communicator import world  # noqa: PLC0415
    from wgflow.loop import solve  # noqa: PLC0415
    from wgflow.options import chosen, parse  # noqa: PLC0415
    from wgflow.solver import Context  # noqa: PLC0415

    recipe, solver = chosen(options)
    problem = recipe.problem()
    if options.until is not None:
        problem = problem.until(parse(options.until, float, "The time --until"))
    if options.save_every is not None:
        problem = problem.save_every(parse(options.save_every, float, "The time --save-every"))
    threads = options.threads and parse(options.threads, int, "The number of threads")
    context = Context(threads=threads, communicator=world(), device=options.device)
    seed = parse(options.seed, int, "The seed")
    case = str(problem.case)
    output = options.output or f"{pathlib.Path(case).stem}-{solver.name}.h5"
    with _Progress(f"{case} by {solver.name}", quiet=options.quiet) as progress:
        run = solve(
            problem,
            solver,
            seed,
            output=output,
            progress=progress,
            context=context,
            replace=options.force,
        )
    if not options.quiet:
        _print_rows(run)
        print(f"{run.status.capitalize()} in {run.statistics['seconds']:.1f} s; wrote {output}")
    if run.reason:
        print(f"wgflow: {run.reason}", file=sys.stderr)
    return EXIT_STATUS[run.status]


def _compare(options: argparse.Namespace) -> int:
    from wgflow.comparison import compare  # noqa: PLC0415
    from wgflow.results import load  # noqa: PLC0415

    runs = [load(path) for path in options.files]
    print(compare(*runs))
    if options.plot:
        from wgflow.plots import comparison_figure, save_figure  # noqa: PLC0415

        save_figure(comparison_figure(runs), options.plot, replace=options.force)
        print(f"Wrote {options.plot}")
    return 0


def _study(options: argparse.Namespace) -> int:
    from wgflow.study_command import study_of  # noqa: PLC0415

    with _Progress(f"Study of {options.case}", quiet=options.quiet, unit=" runs") as progress:
        study = study_of(options, lambda at: progress.show(at.done, at.runs))
    if not options.quiet:
        print(study)
    if options.output:
        study.save(options.output, replace=options.force)
    # One that was interrupted may have nothing to draw yet.
    image = options.plot if study.outcome != "interrupted" or study.complete.any() else None
    if image:
        from wgflow.plots import save_figure  # noqa: PLC0415
        from wgflow.rate_plot import study_figure  # noqa: PLC0415

        save_figure(study_figure(study), image, replace=options.force)
    written = [name for name in (options.output, image) if name]
    if written and not options.quiet:
        print(f"Wrote {' and '.join(written)}")
    return EXIT_STATUS[study.outcome]


def _plot(options: argparse.Namespace) -> int:
    from wgflow.plots import run_figure, save_figure  # noqa: PLC0415
    from wgflow.results import load  # noqa: PLC0415

    run = load(options.file)
    output = options.output or str(pathlib.Path(options.file).with_suffix(".png"))
    save_figure(run_figure(run), output, replace=options.force)
    print(f"Wrote {output}")
    return 0


@dataclasses.dataclass
class _Progress:
    """A progress bar that is also where signals arrive: SIGINT and SIGTERM end the run cleanly."""

    title: str
    quiet: bool
    unit: str = " steps"
    stop: bool = False
    _bar: Any = None
    _previous: dict[int, Any] = dataclasses.field(default_factory=dict)

    def __enter__(self) -> "_Progress":
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
        return self.show(progress.step, progress.steps)

    def show(self, done: int, total: int) -> bool:
        """Show how much is done, and return whether a signal asks to stop."""
        if not self.quiet:
            if self._bar is None:
                from tqdm import tqdm  # noqa: PLC0415

                self._bar = tqdm(total=total, desc=self.title, unit=self.unit, mininterval=0.2)
                self._bar.set_postfix_str("compiling kernels on first use")
            elif done > 0 and self._bar.n == 0:
                self._bar.set_postfix_str("")
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        return self.stop
