"""The law of malformed input: exit code 2, one sentence on the screen, nothing in the folder."""

import os
import pathlib

import h5py
import pytest
from hostile import attribute, changed
from refusal import refused

import wgflow as wg

HUGE = str(10**30)
LONG = "a" * 100_000
RUN = ["run", "motorcycle", "-o", "out.h5"]
JKO = [*RUN, "--solver", "jko"]
VOLUMES = [*RUN, "--solver", "finite-volume"]
SGD = [*RUN, "--solver", "sgd"]
STUDY = ["study", "ornstein-uhlenbeck", "--vary", "count=10,20", "--workers", "1"]


def option(flag: str, *texts: str, of: tuple[str, ...] | list[str] = RUN) -> list[list[str]]:
    return [[*of, flag, text] for text in texts]


COMMANDS = [
    # Names of cases.
    *(
        ["run", name, "-o", "out.h5"]
        for name in ("", " ", "motorcyle", "Motorcycle", "motorcycle ", "a\nb", "\x1b[2J", "ünï")
    ),
    *(["run", name] for name in ("no.py", ".py", "folder.py", "../..", "/", "%s", "{}", "*")),
    ["run", "motor/cycle"],
    ["run", "wgflow.cases.motorcycle"],
    ["run", "os"],
    ["run", "a" * 300 + ".py"],
    ["run", LONG],
    *(["show", name] for name in ("", "nothing", "no.h5", "folder.py", "a\nb", "\x1b[2J.h5")),
    ["show", "a" * 300 + ".h5"],
    # Names and settings of solvers.
    *option("--solver", "", "jkoo", "JKO", "jko ", "particles,jko", "a\nb", "__init__", HUGE),
    *option("--set", "", "=", "=3", "count", "cuont=1", "count=", "count= ", "count=x", "count=1,"),
    *option("--set", "count=0", "count=-5", "count=1.5", "count=1e3", "count=nan", "count=0x10"),
    *option("--set", "count=none", "count=true", f"count={'9' * 5000}", "count=1\n2", "a\nb=1"),
    *option("--set", "step=0", "step=-1", "step=nan", "step=inf", "step=1e400", "step=1e-400"),
    *option(
        "--set", "step=1,2", "step=half", "step=", f"step={LONG}", "step=1e-320", "step=\x1b[2J"
    ),
    *option(
        "--set", "method=", "method=Heun", "method=none,", "method=\x00", "courant=0", "courant=9"
    ),
    *option("--set", "error_tolerance=-1", "error_tolerance=nan", "precision=half", "name=sgd"),
    *option("--set", "shape=8", "__class__=1", "step.real=1", "self=1", "--set"),
    [*RUN, "--set", "count=1", "--set", "count=2"],
    [*RUN, "--set", "count=1", "--set", " count =2"],
    *option("--set", "shape=", "shape=0", "shape=1,1", "shape=-8,8", "shape=8,8,8", of=JKO),
    *option(
        "--set", "shape=8x8", "shape=2.5,8", f"shape={HUGE},8", "shape=,", "shape=1e9,8", of=JKO
    ),
    *option("--set", "time_order=0", "time_order=3", "max_iterations=0", "tolerance=0", of=JKO),
    *option(
        "--set", "regularisation=3", "formula=bdf9", "method=sinkhorn", "tolerance=nan", of=JKO
    ),
    *option("--set", "shape=1", "method=spectral", "time_order=two", f"step={HUGE}x", of=VOLUMES),
    *option("--set", "batch=0", "batch=-1", "batch=1.5", "momentum=-1", "momentum=2", of=SGD),
    *option("--set", "noise=maybe", "fresh=", "fresh=2", "noise=none", "width=0", of=SGD),
    *option("--set", "fresh=true", of=SGD),
    # Parameters of cases.
    *option("--param", "", "ridge", "rigde=1", "ridge=", "ridge=x", "ridge=nan", "ridge=-1"),
    *option(
        "--param", "ridge=inf", "ridge=1e400", "scale=0", "scale=-3", "scale=1e300", "window=0"
    ),
    *option("--param", "lambda=-1", "lambda=nan", "temperature=-1e-9", "horizon=0", "horizon=-1"),
    *option("--param", "horizon=inf", "data=x.csv", "self=1", "ridge=1\n2", "\x1b[2J=1"),
    [*RUN, "--param", "lambda=1", "--param", "temperature=1"],
    [*RUN, "--param", "ridge=1", "--param", "ridge=1"],
    *option("--param", "dimension=0", "dimension=-1", "dimension=1.5", of=["run", "porous-medium"]),
    *option("--param", "dimension=1000000", "exponent=1", "stop=0", of=["run", "porous-medium"]),
    *option("--param", "start=-1", "start=9", "exponent=nan", of=["run", "porous-medium"]),
    *option("--param", "outer=x", "outer=", "samples=1", "samples=1e3", of=["run", "tanh-network"]),
    *option("--param", f"samples={HUGE}", "samples=-2", "ridge=-1", of=["run", "tanh-network"]),
    *option(
        "--param", "std=0", "std=-1", "mean=nan", "stiffness=x", of=["run", "ornstein-uhlenbeck"]
    ),
    # The other options of a run.
    *option("--seed", "", "x", "-1", "1.5", "1e3", "nan", HUGE, str(2**64), "9" * 5000, "1\n2"),
    *option("--until", "", "0", "-1", "nan", "inf", "x", "1e400", "1e300", "1,2"),
    *option("--save-every", "", "0", "-1", "nan", "inf", "x", "1e-12", "1e-320"),
    *option("--threads", "", "0", "-1", "x", "1.5", "100000", HUGE),
    *option("--save", "", "some", "ALL", "all,final"),
    *option("--device", "", "gpu", "CPU", "cuda:99"),
    *option("--checkpoint-every", "x", "-1", "nan"),
    *(
        ["run", "motorcycle", "-o", name]
        for name in ("no/out.h5", "folder.py", ".", "/", "/dev/null", "a" * 300, "text/out.h5")
    ),
    ["run", "motorcycle", "-o", "text"],
    ["run", "motorcycle", "-o", "run.h5"],
    ["run", "porous-medium", "--solver", "sgd"],
    # What follows a run.
    *(
        [command, name]
        for command in ("show", "plot", "resume")
        for name in ("no.h5", "text", "folder.py", "cut.h5", "foreign.h5", "broken.h5", "pipe")
    ),
    *(
        ["compare", "run.h5", name]
        for name in ("no.h5", "text", "cut.h5", "foreign.h5", "broken.h5")
    ),
    ["compare", "run.h5"],
    ["compare", "run.h5", "other.h5"],
    ["compare", "run.h5", "run.h5", "--reference", "other.h5"],
    *(["compare", "run.h5", "run.h5", "--plot", name] for name in ("x", "x.jpg", "no/x.png")),
    *(["compare", "run.h5", "run.h5", "--json", name] for name in ("x", "x.html", "no/x.json")),
    *(["compare", "run.h5", "run.h5", "--html", name] for name in ("x", "x.json", "no/x.html")),
    *(["plot", "run.h5", "-o", name] for name in ("x", "x.jpg", "no/x.png", "folder.py", "text")),
    *(["plot", "run.h5", "--panel", name] for name in ("", "x", "risk,", "gap", "\n")),
    *(["plot", "run.h5", "--time", name] for name in ("", "x", "nan", "inf")),
    *(["plot", "run.h5", "--animate", name] for name in ("x", "x.avi", "no/x.gif")),
    *(["plot", "run.h5", "--animate", "x.gif", "--fps", n] for n in ("0", "x", "-1", HUGE)),
    ["plot", "run.h5", "--fps", "3"],
    ["resume", "run.h5"],
    *(["resume", "run.h5", "--until", name] for name in ("x", "nan", "-1", "0", "0.01")),
    *(["resume", "run.h5", "--until", "9", "--case", name] for name in ("no.py", "broken.py", "")),
    ["resume", "stopped.h5"],
    # Studies.
    *option("--vary", "count", "=1", "cuont=1,2", "count=", "count=x", "count=1,,2", of=STUDY[:2]),
    [*STUDY, "--vary", "step=1,2"],
    [*STUDY, "--set", "count=5"],
    *option("--seeds", "0", "x", "-1", "1.5", of=STUDY),
    *option("--quantity", "", "risk", "colour", of=STUDY),
    *option("--reference", "", "nothing", "no.h5", "text", "cut.h5", of=STUDY),
    *option("--at", "", "x", "nan", "-1", ",", of=STUDY),
    *option("--workers", "0", "x", "-3", of=STUDY[:4]),
    *option("--executor", "threads", "", of=STUDY),
    *option("--plot", "x", "no/x.png", of=STUDY),
    *option("-o", "x", "x.txt", "no/x.csv", of=STUDY),
]
"""Commands in a folder that has run.h5, text, and some files that are broken."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The content of the files that the commands meet."""
    folder = tmp_path_factory.mktemp("made")
    problem = wg.get_case("ornstein-uhlenbeck").until(0.1).save_every(0.05)
    wg.solve(problem, wg.ParticleFlow(count=8, step=0.05), output=folder / "run.h5")
    held = {name.name: name.read_bytes() for name in folder.iterdir()}
    held["cut.h5"] = held["run.h5"][:5000]
    for name, damage in (
        ("broken.h5", changed("time", 1, -1.0)),
        ("other.h5", attribute("case", "another")),
        ("stopped.h5", attribute("status", "interrupted")),
        ("foreign.h5", attribute("format", "other")),
    ):
        path = folder / name
        path.write_bytes(held["run.h5"])
        with h5py.File(path, "r+") as file:
            damage(file)
            if name == "other.h5":
                del file["energy_entropy"]
        held[name] = path.read_bytes()
    held["stopped.h5.checkpoint"] = held["run.h5.checkpoint"][:3000]
    return held


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words)[:80])
def test_malformed_commands_are_refused(
    command: list[str], made: dict[str, bytes], folder: pathlib.Path, capsys
) -> None:
    for name, content in made.items():
        pathlib.Path(name).write_bytes(content)
    pathlib.Path("text").write_text("neither a figure nor a run")
    pathlib.Path("broken.py").write_text("def problem(:\n")
    pathlib.Path("folder.py").mkdir()
    os.mkfifo("pipe")
    refused(command, capsys)
