"""The command `wgflow study`: what it prints and writes, how it refuses, and how it is stopped."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

import wgflow as wg
from wgflow.cli import main

ROOT = pathlib.Path(__file__).parent.parent
STUDY = ["study", "tanh-network", "--solver", "particles", "--workers", "1"]
QUICK = [*STUDY, "--set", "step=0.1", "--at", "0.1,0.2", "--seeds", "2"]
GRID = ["--reference", "finite-volume", "--reference-set", "shape=16,16"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_prints_its_table_and_writes_its_files(capsys) -> None:
    files = ["-o", "study.json", "--plot", "study.png"]
    assert main([*QUICK, *GRID, "--vary", "count=20,40,80", *files]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tanh-network by particles (step = 0.1)\n")
    assert "against finite-volume (step = 0.25, shape = 16x16, time_order = 2)" in out
    for part in ("t = 0.1", "slope", "expected", "of the mean", "Wrote study.json and study.png"):
        assert part in out
    assert "8 runs" not in out and "8/8" in err  # six runs, the reference and its coarser twin
    held = json.loads(pathlib.Path("study.json").read_text())
    assert held["value"] == [20, 40, 80] and held["time"] == [0.1, 0.2]
    assert pathlib.Path("study.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_is_the_function(capsys) -> None:
    options = ["--param", "lambda=0.1", "--quantity", "risk", "--vary", "step=0.1,0.05"]
    assert main([*STUDY, *options, "--seeds", "2", "--at", "0.2", "-o", "study.csv", *GRID]) == 0
    found = wg.study(
        wg.get_case("tanh-network", temperature=0.1),
        wg.find_case("tanh-network").solvers["particles"],
        {"step": [0.1, 0.05]},
        seeds=2,
        times=[0.2],
        quantity="risk",
        reference=wg.FiniteVolume(0.25, (16, 16), time_order=2),
        workers=1,
    )
    rows = [row.rsplit(",", 1)[0] for row in pathlib.Path("study.csv").read_text().split()]
    assert rows == [row.rsplit(",", 1)[0] for row in found.to_csv().split()]


def test_a_shape_is_varied_on_one_axis_or_on_all(capsys) -> None:
    command = ["study", "tanh-network", "--solver", "finite-volume", "--at", "0.25", "--quiet"]
    shapes = ["--vary", "shape=12,16x25,24", "-o", "study.json", "--workers", "1"]
    assert main([*command, *shapes]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(pathlib.Path("study.json").read_text())["value"] == [12, 20, 24]


def test_a_failed_run_exits_with_one(capsys) -> None:
    pathlib.Path("steep.py").write_text(
        '"""A steep well, which Euler steps that are too long leave."""\n'
        "import wgflow as wg\n"
        "SOURCE, CHECKS = 'made up', ()\n"
        "SOLVERS = {'particles': wg.ParticleFlow(count=20, method='euler')}\n"
        "def problem(power: int = 4):\n"
        "    well = wg.Potential(lambda x: (x**power).sum(1), lambda x: power * x**(power - 1))\n"
        "    return wg.Problem(well, wg.Domain(wg.WholeLine()), wg.Gaussian(1.0, 0.5), 10.0)\n"
    )
    command = ["study", "steep.py", "--vary", "step=2,0.02,0.01,0.005", "--seeds", "2"]
    assert main([*command, "--workers", "1"]) == 1
    assert "2 of 2 runs did not finish (diverged" in capsys.readouterr().out


def test_the_files_are_written_although_nobody_reads_the_table(folder) -> None:
    """As with `wgflow study ... | head -0`."""
    command = [*QUICK, *GRID, "--vary", "count=20,40", "-o", "study.json", "--plot", "study.png"]
    reader, writer = os.pipe()
    os.close(reader)
    study = subprocess.run(
        [sys.executable, "-u", "-m", "wgflow", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert study.returncode == 0 and "Traceback" not in study.stderr
    assert json.loads(pathlib.Path("study.json").read_text())["value"] == [20, 40]
    assert pathlib.Path("study.png").read_bytes()[:4] == b"\x89PNG"


def test_the_table_is_printed_although_a_file_cannot_be_written(monkeypatch, capsys) -> None:
    def full(*_: object, **__: object) -> None:
        raise wg.FileError("The figure 'study.png' cannot be written: no space.")

    monkeypatch.setattr("wgflow.commands.study.save_figure", full)
    files = ["-o", "study.csv", "--plot", "study.png"]
    assert main([*QUICK, *GRID, "--vary", "count=20,40", *files]) == 2
    out, err = capsys.readouterr()
    assert "slope" in out and "Wrote study.csv\n" in out
    assert err.endswith("wgflow: The figure 'study.png' cannot be written: no space.\n")


def test_a_run_of_another_problem_is_no_reference(capsys) -> None:
    made = ["--solver", "finite-volume", "--set", "shape=12,12", "--until", "0.2", "-o", "ref.h5"]
    other = ["--save-every", "0.1", "--param", "lambda=0.2", "--quiet"]
    assert main(["run", "tanh-network", *made, *other]) == 0
    command = [*QUICK, "--vary", "count=20,40", "--reference", "ref.h5"]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == "" and "another problem than the study (temperature = 0.2 instead of 0.0" in err
    assert main([*command, "--param", "temperature=0.2"]) == 0
    assert "against the run in ref.h5" in capsys.readouterr().out


VARY = [*QUICK, "--vary", "count=20,40"]
REFUSED = {
    "nothing varied": ([*QUICK, "--vary", "count"], ["'count'", "name=value,value"]),
    "unknown setting": ([*QUICK, "--vary", "cuont=1,2"], ["cuont", "did you mean 'count'"]),
    "unknown parameter": ([*VARY, "--param", "rigde=1"], ["rigde", "ridge"]),
    "value of the wrong type": ([*QUICK, "--vary", "count=1,x"], ["'x'", "whole number"]),
    "two settings": ([*VARY, "--vary", "step=0.1,0.2"], ["varies one setting", "count, step"]),
    "varied and set": ([*VARY, "--set", "count=3"], ["'count' is varied and set"]),
    "a setting of another solver": (
        ["study", "tanh-network", "--vary", "count=20,40"],
        ["a setting of particles", "--solver particles"],
    ),
    "one value": ([*QUICK, "--vary", "count=5"], ["at least two"]),
    "seeds": ([*VARY, "--seeds", "some"], ["'some'", "whole number"]),
    "times": ([*VARY, "--at", "1,zwei"], ["'zwei'", "a number"]),
    "workers": ([*VARY, "--workers", "0"], ["workers is 0", "at least 1"]),
    "reference": ([*VARY, "--reference", "jok"], ["jok", "successive"]),
    "settings without a reference": ([*VARY, "--reference-set", "step=1"], ["left out"]),
    "settings of a file": (
        [*VARY, "--reference", "run.h5", "--reference-set", "step=1"],
        ["run.h5", "name of a solver"],
    ),
    "setting of the reference": ([*VARY, *GRID, "--reference-set", "stpe=1"], ["stpe", "step"]),
    "executor": ([*VARY, "--executor", "cloud"], ["cloud", "mpi"]),
    "output": ([*VARY, "-o", "study.txt"], ["study.txt", ".json or .csv"]),
    "image": ([*VARY, "--plot", "study.gif"], [".gif", ".png, .pdf or .svg"]),
    **{
        f"empty {flag}": ([*VARY, flag, ""], [flag, "is empty"])
        for flag in ("--output", "--plot", "--at", "--seeds", "--workers", "--reference", "--data")
    },
    "the same parameter by two names": (
        [*VARY, "--param", "temperature=0.2", "--param", "lambda=0.1"],
        ["'temperature' is given twice, once as 'lambda'"],
    ),
    "existing output": ([*VARY, "-o", "held.json"], ["held.json", "exists already"]),
    "existing image": ([*VARY, "--plot", "held.png"], ["held.png", "exists already"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_gets_one_sentence_and_exit_code_two(name: str, capsys) -> None:
    for held in ("held.json", "held.png"):
        pathlib.Path(held).write_text("mine")
    command, parts = REFUSED[name]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("wgflow: ") and err.count("\n") == 1
    for part in parts:
        assert part in err
    assert sorted(path.name for path in pathlib.Path().iterdir()) == ["held.json", "held.png"]


def workers(parent: int) -> list[str]:
    """Return the command lines of a process's workers; `ps` would cut them at 80 columns."""
    lines = (" ".join(child.cmdline()) for child in psutil.Process(parent).children())
    return [line for line in lines if "spawn_main" in line]


def left_after(group: int, seconds: float) -> list[psutil.Process]:
    """Return the processes of a group that are still there after a while."""
    until = time.monotonic() + seconds
    while True:
        left = [process for process in psutil.process_iter() if _group(process.pid) == group]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)


def _group(process: int) -> int | None:
    try:
        return os.getpgid(process)
    except OSError:  # it has gone meanwhile
        return None


def test_an_interrupted_study_stops_its_workers_and_shows_what_is_done(folder) -> None:
    """Ctrl-C reaches the whole process group; the workers leave it to their parent."""
    command = [
        "study",
        "tanh-network",
        "--solver",
        "particles",
        "--workers",
        "2",
        "--plot",
        "a.png",
    ]
    study = subprocess.Popen(
        [sys.executable, "-m", "wgflow", *command, "--vary", "count=10,50000"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while len(workers(study.pid)) < 2:
        assert time.monotonic() < until, "no two workers were seen"
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(study.pid, signal.SIGINT)
    out, err = study.communicate(timeout=60)
    assert study.returncode == 130
    assert "8 of 8 runs did not finish (not run)" in out
    assert "Traceback" not in err
    assert left_after(study.pid, seconds=10) == []
