"""How malformed input ends: exit code 2, one sentence on the screen, nothing in the folder."""

import pathlib

import pytest

from wgflow.cli import main


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command, which must end in one sentence and leave nothing, and return the sentence."""
    before = {path.name: path.stat().st_mtime_ns for path in pathlib.Path().iterdir()}
    try:
        code = main(command)
    except SystemExit as stop:  # of argparse
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "", (out, err)
    assert err.startswith("wgflow") and err.endswith((".\n", "?\n")), err
    assert err[:-1].isprintable() and "Traceback" not in err and len(err) < 2000, err
    after = {path.name: path.stat().st_mtime_ns for path in pathlib.Path().iterdir()}
    assert after == before
    return err
