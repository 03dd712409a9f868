"""The command `wgflow verify`: its table, its file, its exit codes, and how it is stopped."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import wgflow as wg
from wgflow.cli import main

ROOT = pathlib.Path(__file__).parent.parent
HEAD = """
import time
import wgflow as wg

SOURCE, SOLVERS = "made up", {"particles": wg.ParticleFlow(step=0.1, count=10)}


def problem(horizon: float = 0.1):
    well = wg.Potential.quadratic((1.0,))
    return wg.Problem(well, wg.Domain(wg.WholeLine()), wg.Gaussian(1.0, 0.5), horizon)


def endless():
    with open("begun", "a") as file:
        file.write(".")
    time.sleep(60)


def check(quantity, compute, **more):
    return wg.Check(quantity, compute, 1.0, 0.1, "exact", "a formula", **more)

"""
LACKING = """
from wgflow.errors import MissingPackageError


def lacking():
    raise MissingPackageError("This needs POT; run pip install pot.")


CHECKS = (check('far', lacking), check('one', lambda: 1), check('wide', lacking))
"""
CASES = {
    "good.py": "CHECKS = (check('one', lambda: 1), check('late', lambda: 2, slow=True))",
    "bad.py": "CHECKS = (check('one', lambda: 1), check('two', lambda: 2))",
    "long.py": "CHECKS = (check('one', lambda: 1), check('endless', endless))",
    "empty.py": "CHECKS = ()",
    "other.py": "CHECKS = ('mass', 1.0)",
    "broken.py": "CHECKS = (chekc('one', lambda: 1),)",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    for name, text in CASES.items():
        pathlib.Path(name).write_text(f"{HEAD}\n{text}\n")
    return tmp_path


def test_what_holds_exits_with_zero_and_what_does_not_with_one(capsys) -> None:
    assert main(["verify", "good.py"]) == 0
    out, err = capsys.readouterr()
    assert "good.py" in out and "exact: a formula" in out
    assert "1 check over 1 case: 1 pass, 0 fail, 0 s\n" in out
    assert "1/1" in err and "good.py: one" in err  # the progress bar
    assert main(["verify", "good.py", "bad.py", "--workers", "1"]) == 1
    out, _ = capsys.readouterr()
    assert "FAIL bad.py, two is 2.00 and must be 1.00 +- 0.1.\n" in out
    assert "3 checks over 2 cases: 2 pass, 1 fail, 0 s\n" in out


def test_all_means_the_slow_ones_too(capsys) -> None:
    assert main(["verify", "good.py", "--all", "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err == "wgflow: 2 checks over 1 case: 1 pass, 1 fail, 0 s\n"
    assert main(["verify", "good.py", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_missing_package_is_no_failure(capsys) -> None:
    """As on a plain install, which has no scikit-learn."""
    pathlib.Path("good.py").write_text(f"{HEAD}\n{LACKING}\n")
    assert main(["verify", "good.py"]) == 0
    out, _ = capsys.readouterr()
    assert "SKIPPED good.py, 2 checks: This needs POT; run pip install pot.\n" in out
    assert "3 checks over 1 case: 1 pass, 0 fail, 2 skipped, 0 s\n" in out
    assert main(["verify", "good.py", "bad.py", "--quiet", "--workers", "1"]) == 1
    _, err = capsys.readouterr()
    assert err == "wgflow: 5 checks over 2 cases: 2 pass, 1 fail, 2 skipped, 0 s\n"


def test_a_named_case_is_verified_and_no_other_is_imported(folder) -> None:
    """The command is the function."""
    code = (
        "import sys\nfrom wgflow.cli import main\n"
        "assert main(['verify', 'ornstein-uhlenbeck', '--json', 'found.json', '--quiet']) == 0\n"
        "print([name for name in sys.modules if name.startswith('wgflow.cases.')])\n"
        "print('matplotlib' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split("\n")[:2] == ["['wgflow.cases.ornstein_uhlenbeck']", "False"]
    held = json.loads(pathlib.Path("found.json").read_text())
    found = wg.verify("ornstein-uhlenbeck")
    assert [entry["computed"] for entry in held["results"]] == [r.computed for r in found.results]
    assert {entry["case"] for entry in held["results"]} == {"ornstein-uhlenbeck"}


def test_the_table_is_printed_although_the_file_cannot_be_written(monkeypatch, capsys) -> None:
    def full(*_: object, **__: object) -> None:
        raise wg.FileError("The verification 'a.json' cannot be written: no space.")

    monkeypatch.setattr(wg.Verification, "save", full)
    assert main(["verify", "bad.py", "--json", "a.json"]) == 2
    out, err = capsys.readouterr()
    assert "2 checks over 1 case" in out and "Wrote" not in out
    assert err.endswith("wgflow: The verification 'a.json' cannot be written: no space.\n")


def test_the_exit_code_and_the_file_are_there_although_nobody_reads(folder) -> None:
    """As with `wgflow verify ... | head -0`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-u", "-m", "wgflow", "verify", "bad.py", "--json", "a.json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert json.loads(pathlib.Path("a.json").read_text())["passed"] is False


REFUSED = {
    "unknown case": (["heet"], ["Unknown case 'heet'", "ornstein-uhlenbeck"]),
    "no such file": (["here.py"], ["'here.py' does not exist"]),
    "no case": (["broken.py"], ["'broken.py' ends in an error", "NameError", "chekc"]),
    "no checks": (["empty.py"], ["'empty.py' has no check to make", "give it CHECKS"]),
    "other things": (["other.py"], ["'CHECKS'", "must be a sequence of Check"]),
    "one of two": (["good.py", "empty.py"], ["'empty.py' has no check"]),
    "workers": (["good.py", "--workers", "some"], ["workers is 'some'", "whole number"]),
    "no workers": (["good.py", "--workers", "0"], ["workers is 0", "at least 1"]),
    "ending": (["good.py", "--json", "a.txt"], ["'a.txt'", "must end in .json"]),
    "empty name": (["good.py", "--json", ""], ["--json is empty"]),
    "existing file": (["good.py", "--json", "held.json"], ["'held.json' exists already"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_gets_one_sentence_and_exit_code_two(name: str, capsys) -> None:
    pathlib.Path("held.json").write_text("mine")
    given, parts = REFUSED[name]
    assert main(["verify", *given]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("wgflow: ") and err.count("\n") == 1
    for part in parts:
        assert part in err
    assert pathlib.Path("held.json").read_text() == "mine"


def started(*cases: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, and wait for the check that never ends."""
    command = [sys.executable, "-m", "wgflow", "verify", *cases, "--workers", "2"]
    process = subprocess.Popen(
        [*command, "--json", "a.json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    begun, until = pathlib.Path("begun"), time.monotonic() + 60
    while not begun.exists() or len(begun.read_text()) < len(cases):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    return process


def test_an_interrupted_verification_shows_what_is_done(folder) -> None:
    """Ctrl-C reaches the whole process group; the workers leave it to their parent."""
    pathlib.Path("longer.py").write_text(pathlib.Path("long.py").read_text())
    process = started("long.py", "longer.py")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    assert "2 checks over 2 cases: 2 pass, 0 fail, 2 not run" in out
    assert json.loads(pathlib.Path("a.json").read_text())["counts"]["not run"] == 2
    until = time.monotonic() + 10
    while _alive(process.pid):
        assert time.monotonic() < until, "a worker is left"
        time.sleep(0.1)


def test_a_second_interrupt_ends_a_check_that_is_made_here(folder) -> None:
    process = started("long.py")
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in err
    assert "1 check over 1 case: 1 pass, 0 fail, 1 not run" in out


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
