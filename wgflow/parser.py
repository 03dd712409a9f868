"""The options of the command `wgflow`. Importing this loads nothing heavy."""

import argparse
from typing import NoReturn

from wgflow.commands.exit_codes import BAD_INPUT
from wgflow.errors import one_line

STUDY_OPTIONS = (
    ("--vary", "NAME=VALUES", "a setting or parameter and its values, as in count=100,400,1600"),
    (
        "--solver",
        "NAME",
        "particles, jko, finite-volume or sgd; by default the first of the case, or without --vary "
        "all that it declares a rate of",
    ),
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


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        sentence = one_line(message[0].upper() + message[1:])
        self.exit(BAD_INPUT, f"{self.prog}: {sentence}; see {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = _Parser(
        prog="wgflow",
        description="Solve Wasserstein gradient flows by particles, JKO steps, finite volumes and "
        "SGD, and compare the runs.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="list the named cases")
    listing.set_defaults(command="list")

    show = commands.add_parser("show", help="describe a case, or what a results file holds")
    show.add_argument(
        "name", metavar="CASE|FILE", help="a named case, a case file or a results file"
    )
    show.add_argument(
        "--plot", metavar="IMAGE", help="draw the figure of the case to .png, .pdf or .svg"
    )
    show.add_argument("--force", action="store_true", help="overwrite an existing image")
    show.set_defaults(command="show")

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
    run.add_argument(
        "--save",
        default="all",
        help="all (the default), final (the law at the last save only) or summary (numbers only)",
    )
    _add_running(run)
    run.set_defaults(command="run")

    resume = commands.add_parser("resume", help="go on with a run that was stopped, or extend it")
    resume.add_argument(
        "file", metavar="FILE", help="the results file; its checkpoint is beside it"
    )
    resume.add_argument("--until", metavar="TIME", help="end at this time, which extends the run")
    resume.add_argument(
        "--case", metavar="FILE.py", help="the case file that the run was made with, if any"
    )
    _add_running(resume)
    resume.set_defaults(command="resume")

    compare = commands.add_parser("compare", help="set runs of one problem side by side")
    compare.add_argument("files", nargs="+", metavar="FILE")
    compare.add_argument(
        "--reference", metavar="FILE", help="what the others are compared with: one of the files"
    )
    compare.add_argument("--json", metavar="FILE", help="write all numbers at all times to .json")
    compare.add_argument("--plot", metavar="IMAGE", help="draw the figure to .png, .pdf or .svg")
    compare.add_argument("--html", metavar="FILE", help="write a report with all of it to .html")
    compare.add_argument("--force", action="store_true", help="overwrite existing files")
    compare.set_defaults(command="compare")

    study = commands.add_parser(
        "study",
        help="measure a rate of convergence",
        description="Measure a rate of convergence; without --vary, all rates that the case "
        "declares.",
    )
    study.add_argument("case", metavar="CASE", help="a named case, or a case file ending in .py")
    for flag, metavar, text in STUDY_OPTIONS:
        action = "append" if flag == "--vary" else "store"
        study.add_argument(flag, metavar=metavar, help=text, action=action)
    for flag, text in STUDY_LISTS:
        study.add_argument(flag, action="append", default=[], metavar="NAME=VALUE", help=text)
    study.add_argument("-o", "--output", metavar="FILE", help="write all errors, .json or .csv")
    study.add_argument("--force", action="store_true", help="overwrite existing files")
    study.add_argument("--quiet", action="store_true", help="print nothing but errors")
    study.set_defaults(command="study")

    verify = commands.add_parser("verify", help="check cases against the numbers that are known")
    verify.add_argument(
        "cases", nargs="*", metavar="CASE", help="named cases or case files; by default all named"
    )
    verify.add_argument(
        "--all", action="store_true", help="also the slow checks and the rates of convergence"
    )
    verify.add_argument("--json", metavar="FILE", help="write every number to .json")
    verify.add_argument("--force", action="store_true", help="overwrite an existing file")
    verify.add_argument(
        "--workers", metavar="COUNT", help="processes side by side (default: one a core)"
    )
    verify.add_argument("--quiet", action="store_true", help="print nothing but errors")
    verify.set_defaults(command="verify")

    plot = commands.add_parser("plot", help="draw one run")
    plot.add_argument("file", metavar="FILE")
    plot.add_argument(
        "-o",
        "--output",
        metavar="IMAGE",
        help=".png, .pdf or .svg; by default named like FILE and the panels, with ending .png",
    )
    plot.add_argument(
        "--panel",
        action="append",
        default=[],
        metavar="NAME",
        help="draw this panel only, or several (NAME,NAME): risk, energy, dissipation, gap, law, "
        "marginals, history, fit, rays",
    )
    plot.add_argument(
        "--time", metavar="TIME", help="draw law, marginals, fit and rays at the save nearest to it"
    )
    plot.add_argument("--animate", metavar="MOVIE", help="write a movie of the law, .mp4 or .gif")
    plot.add_argument("--fps", metavar="COUNT", help="frames a second of the movie (default 10)")
    plot.add_argument("--force", action="store_true", help="overwrite existing files")
    plot.add_argument("--quiet", action="store_true", help="print nothing but errors")
    plot.set_defaults(command="plot")
    return top


def _add_running(command: argparse.ArgumentParser) -> None:
    """Add the options on where and how a run is computed."""
    command.add_argument(
        "--checkpoint-every",
        default="30",
        metavar="SECONDS",
        help="least time between checkpoints (default 30)",
    )
    command.add_argument("--threads", metavar="COUNT", help="threads for the kernels")
    command.add_argument(
        "--device", default="cpu", help="cpu, or cuda for particles on a graphics card"
    )
    command.add_argument("--quiet", action="store_true", help="print nothing but errors")
