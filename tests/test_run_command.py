"""The commands `run` and `resume`: what they say, and what is left when they are stopped."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import wgflow as wg
from wgflow.cli import main
from wgflow.commands import progress_bar

ROOT = pathlib.Path(__file__).parent.parent
RUN = ["run", "tanh-network", "--solver", "sgd"]
TIMES = ["--until", "1", "--save-every", "0.5"]
STEPS = ["--set", "step=1e-5", "--set", "width=40", "--until", "1", "--save-every", "0.01"]
SHORT = [*RUN, "--set", "width=40", "--set", "step=0.1", *TIMES]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("save", "laws", "predictions"),
    [("all", [True] * 3, True), ("final", [False, False, True], True), ("summary", [False] * 3, 0)],
)
def test_what_is_saved(save: str, laws: list[bool], predictions: bool, capsys) -> None:
    assert main([*SHORT, "-o", "run.h5", "--save", save, "--quiet"]) == 0
    run = wg.load("run.h5")
    assert run.saved == save and not run.on_grid
    assert [run.has_law(k) for k in range(3)] == laws
    assert (run.prediction is not None) == predictions
    assert np.isfinite(run.risk).all() and run.x is not None
    for k, there in enumerate(laws):
        if not there:
            with pytest.raises(wg.InputError, match=r"is not stored .* run again with --save all"):
                run.measure(k)
    for command in (["show"], ["plot"], ["compare", "run.h5"]):
        assert main([*command, "run.h5"]) == 0, capsys.readouterr().err


def test_less_is_smaller() -> None:
    sizes = []
    for save in ("all", "final", "summary"):
        run = [*RUN, "--set", "width=5000", "--set", "step=0.1", *TIMES, "--quiet"]
        assert main([*run, "-o", f"{save}.h5", "--save", save]) == 0
        sizes.append(pathlib.Path(f"{save}.h5").stat().st_size)
    whole = 5000 * 2 * 8
    assert sizes[0] - sizes[1] == pytest.approx(2 * whole, rel=0.05)
    assert sizes[1] - sizes[2] > whole


def test_a_wrong_save_is_refused(capsys, folder: pathlib.Path) -> None:
    assert main([*SHORT, "--save", "some"]) == 2
    assert "must be one of all, final, summary" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_the_size_of_a_large_run_is_told_before_it_starts(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress_bar, "LARGE", 1e3)
    assert main([*SHORT, "-o", "run.h5"]) == 0
    said = capsys.readouterr().err
    size = pathlib.Path("run.h5").stat().st_size
    told = float(said.split("The results take about ")[1].split(" kB.")[0])
    assert 0.2 * size < told * 1e3 < size, "names and units take most of so small a file"
    monkeypatch.setattr(progress_bar, "LARGE", 1e9)
    assert main([*SHORT, "-o", "again.h5"]) == 0
    assert "The results take" not in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_how_it_goes_on(number: int, capsys, folder) -> None:
    command = [*RUN, *STEPS, "-o", "run.h5"]
    run = subprocess.Popen(
        [sys.executable, "-m", "wgflow", *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while run.poll() is None and not (folder / "run.h5").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.2)
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Interrupted in" in out and "Stopped on request at t =" in err
    assert "Go on with: wgflow resume run.h5" in err
    stopped = wg.load("run.h5")
    assert stopped.status == "interrupted"
    assert (folder / "run.h5.checkpoint").exists()
    reached = stopped.statistics["steps"]
    problem = stopped.problem
    again = wg.resume("run.h5", progress=lambda progress: progress.step == reached + 500)
    assert again.statistics["steps"] == reached + 500 and problem is not None


def test_a_resumed_run_starts_its_bar_where_it_stands(capsys) -> None:
    assert main([*SHORT, "-o", "run.h5"]) == 0
    capsys.readouterr()
    assert main(["resume", "run.h5", "--until", "1.5"]) == 0
    out, err = capsys.readouterr()
    assert "run.h5 from t = 1" in err
    assert "Finished in" in out and "1.5" in out
    assert main(["resume", "run.h5"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "wgflow: The run in 'run.h5' is finished at t = 1.5; give a later time --until to extend "
        "it.\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--until", "x"], "--until is 'x', but must be a number"),
        (["--until", "nan"], "--until is nan"),
        (["--until", "-1"], "--until is -1"),
        (["--until", "0.5"], "has reached t = 1 already"),
        (["--until", "1e9"], "asks for more than a million save times"),
        (["--until", "2", "--case", "other.py"], "case file 'other.py' does not exist"),
        (["--until", "2", "--threads", "0"], "number of threads is 0"),
        (["--until", "2", "--device", "tpu"], "device is 'tpu'"),
        (["--until", "2", "--checkpoint-every", "often"], "--checkpoint-every is 'often'"),
        (["--until", "2", "--checkpoint-every", "-3"], "seconds between checkpoints is -3"),
    ],
)
def test_wrong_options_of_resume(options: list[str], message: str, capsys, folder) -> None:
    assert main([*SHORT, "-o", "run.h5", "--quiet"]) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert main(["resume", "run.h5", *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1, err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_screen_that_takes_nothing_does_not_end_a_run(stream: str, folder: pathlib.Path) -> None:
    with open("/dev/full", "w") as full:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full}
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "wgflow", *SHORT, "-o", "run.h5"]
        assert subprocess.run(command, env=env, check=False, **streams).returncode == 0
    assert wg.load("run.h5").status == "finished"


def test_a_reader_that_leaves_does_not_end_a_run(folder: pathlib.Path) -> None:
    """As in wgflow run ... 2>&1 | head -c 20, also where the run is stopped meanwhile."""
    run = subprocess.Popen(
        [sys.executable, "-m", "wgflow", *RUN, *STEPS, "-o", "run.h5"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    run.stdout.read(20)
    run.stdout.close()
    until = time.monotonic() + 60
    while run.poll() is None and not (folder / "run.h5").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1.0)
    assert run.poll() is None, "the bar has ended the run"
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 130
    stopped = wg.load("run.h5")
    assert stopped.status == "interrupted" and stopped.reason.startswith("Stopped on request at")


def test_a_run_without_its_checkpoint_says_that_it_begins_again(capsys, folder) -> None:
    assert main([*SHORT, "-o", "run.h5", "--quiet"]) == 0
    (folder / "run.h5.checkpoint").unlink()
    assert main(["resume", "run.h5", "--until", "1.5"]) == 0
    assert "no checkpoint beside 'run.h5': the run is computed again" in capsys.readouterr().err


def test_an_empty_name_is_refused(capsys, folder: pathlib.Path) -> None:
    assert main([*SHORT, "-o", ""]) == 2
    assert "The option --output is empty; give it a value" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
