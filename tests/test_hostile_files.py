"""Laws of reading a file from anyone: one sentence or a run, nothing run, nothing followed."""

import ast
import os
import pathlib
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import network, well
from hostile import STORED, attribute, changed
from hostile_runs import GRIDS, RUNS
from refusal import refused

import wgflow as wg
from wgflow import store
from wgflow.cli import main
from wgflow.solver import Solver


def made(folder: pathlib.Path, solver: Solver, problem: wg.Problem) -> bytes:
    path = folder / "run.h5"
    wg.solve(problem, solver, output=path, replace=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Runs of a network by particles and of a flow on a grid, with three saves each."""
    folder = tmp_path_factory.mktemp("whole")
    grid = well().save_every(0.5)
    return {
        "particles": made(folder, wg.ParticleFlow(step=0.25, count=12), network()),
        "checkpoint": (folder / "run.h5.checkpoint").read_bytes(),
        "grid": made(folder, wg.FiniteVolume(step=0.25, shape=16), grid),
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", STORED)
def test_what_no_results_file_holds_is_refused(name: str, whole, capsys) -> None:
    damage, words = STORED[name]
    pathlib.Path("run.h5").write_bytes(whole["particles"])
    with h5py.File("run.h5", "r+") as file:
        damage(file)
    with pytest.raises(wg.FileError, match=words):
        store.read("run.h5")
    refused(["show", "run.h5"], capsys)


@pytest.mark.parametrize(
    ("kind", "name"), [*(("particles", n) for n in RUNS), *(("grid", n) for n in GRIDS)]
)
def test_what_is_no_whole_run_is_refused(kind: str, name: str, whole, capsys) -> None:
    damage, words = (RUNS if kind == "particles" else GRIDS)[name]
    pathlib.Path("run.h5").write_bytes(whole[kind])
    with h5py.File("run.h5", "r+") as file:
        damage(file)
    store.read("run.h5")
    with pytest.raises(wg.FileError, match=f"run.h5' does not hold a complete run: .*({words})"):
        wg.load("run.h5")
    refused(["show", "run.h5"], capsys)


@pytest.mark.parametrize("command", ["plot", "resume", "compare"])
@pytest.mark.parametrize("name", ["external link", "bomb", "references", "seed that is a text"])
def test_every_command_refuses_them(command: str, name: str, whole, capsys) -> None:
    for file in ("run.h5", "other.h5"):
        pathlib.Path(file).write_bytes(whole["particles"])
    with h5py.File("run.h5", "r+") as file:
        {**STORED, **RUNS}[name][0](file)
    refused([command, "run.h5", *(["other.h5"] if command == "compare" else [])], capsys)


@pytest.mark.parametrize("kind", ["particles", "grid"])
def test_files_cut_anywhere_are_refused(kind: str, whole) -> None:
    path = pathlib.Path("run.h5")
    for size in range(0, len(whole[kind]), 64):
        path.write_bytes(whole[kind][:size])
        with pytest.raises(wg.FileError, match="run.h5' (cannot be read|is not)"):
            wg.load(path)


FLIPS = """
import collections, io, contextlib, pathlib, random, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import wgflow as wg
from wgflow import store
from wgflow.commands.show import _show_run
from wgflow.run import read_run
generator, path, found = random.Random(5), pathlib.Path("flipped.h5"), collections.Counter()
for name in sys.argv[1:]:
    whole = pathlib.Path(name).read_bytes()
    for _ in range(250):
        content = bytearray(whole)
        for _ in range(generator.choice([1, 1, 2, 8, 64])):
            place = generator.randrange(len(content))
            flipped = content[place] ^ 1 << generator.randrange(8)
            content[place] = generator.choice([0, 255, flipped, generator.randrange(256)])
        path.write_bytes(content)
        try:
            if name.endswith("checkpoint"):
                store.read_checkpoint(path)
            else:
                run = read_run(path)
                with contextlib.redirect_stdout(io.StringIO()):
                    _show_run(run)
                for index in range(len(run.time)):
                    with contextlib.suppress(wg.InputError):
                        run.measure(index)
            found["read"] += 1
        except wg.FileError as error:
            assert "\\n" not in str(error), error
            found["refused"] += 1
print(dict(found))
"""


def test_files_with_changed_bytes_end_in_a_sentence_or_a_run(whole, folder) -> None:
    """In a process of its own, which must neither fail, nor break off, nor go on for ever."""
    for name, content in whole.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, "-X", "faulthandler", "-c", FLIPS, *whole]
    path = {**os.environ, "PYTHONPATH": str(pathlib.Path(wg.__file__).parent.parent)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env=path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    found = ast.literal_eval(done.stdout)
    assert min(found.values()) > 100 and sum(found.values()) == 250 * len(whole)


def test_a_heap_that_has_no_end_is_refused(whole) -> None:
    """HDF5 would add its sizes up for ever."""
    content = bytearray(whole["particles"])
    place = content.find(b"GCOL\x01")
    assert content[place + 16 : place + 18] == b"\x01\x00"
    content[place + 24 : place + 32] = struct.pack("<Q", 2**64 - 16)
    pathlib.Path("run.h5").write_bytes(content)
    with pytest.raises(wg.FileError, match="the place of its texts is damaged"):
        wg.load("run.h5")


def test_a_type_that_is_none_is_refused(whole) -> None:
    """HDF5 would end the process: texts that are neither a sequence nor a text."""
    content = whole["particles"].replace(b"\x19\x01\x01\x00\x10", b"\x19\x0f\x01\x00\x10")
    assert content != whole["particles"]
    pathlib.Path("run.h5").write_bytes(content)
    with pytest.raises(wg.FileError, match="is neither a text nor a number"):
        wg.load("run.h5")


@pytest.mark.parametrize("kind", ["particles", "grid"])
def test_files_of_the_version_before_are_read(kind: str, whole) -> None:
    """They have longer texts where they change, and neither `save` nor `minimum`."""
    pathlib.Path("run.h5").write_bytes(whole[kind])
    now = wg.load("run.h5")
    with h5py.File("run.h5", "r+") as file:
        for name in ("reason", "statistics"):
            held = file.attrs[name].decode()
            del file.attrs[name]
            file.attrs[name] = held
        del file.attrs["save"], file["minimum"]
    then = wg.load("run.h5")
    assert then.saved == "all" and np.isnan(then.minimum).all()
    assert then.statistics == now.statistics and then.time.tolist() == now.time.tolist()
    assert np.array_equal(then.measure(-1).mass, now.measure(-1).mass)


@pytest.mark.parametrize("case", ["evil.py", "./evil.py", "evil", "os", "motorcycle"])
def test_nothing_that_a_file_names_is_run(case: str, whole, folder, capsys) -> None:
    (folder / "evil.py").write_text("open('EVIL', 'w')\n")
    pathlib.Path("run.h5").write_bytes(whole["particles"])
    with h5py.File("run.h5", "r+") as file:
        attribute("case", case)(file)
        attribute("parameters", '{"self": 1, "data": "evil.npz", "samples": 1e300}')(file)
    assert wg.load("run.h5").problem is None
    assert main(["show", "run.h5"]) == main(["compare", "run.h5", "run.h5"]) == 0
    capsys.readouterr()
    refused(["resume", "run.h5", "--until", "9"], capsys)
    assert not (folder / "EVIL").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("position", value) for value in (np.nan, np.inf, -np.inf)),
        *((name, np.nan) for name in ("risk", "energy", "mass", "prediction", "dissipation")),
        ("recorded", 0),
    ],
)
def test_numbers_that_are_none_are_shown_as_such(name: str, value: float, whole, capsys) -> None:
    pathlib.Path("run.h5").write_bytes(whole["particles"])
    pathlib.Path("other.h5").write_bytes(whole["particles"])
    with h5py.File("run.h5", "r+") as file:
        changed(name, ..., value)(file)
    run = wg.load("run.h5")
    if name == "position":
        with pytest.raises(wg.InputError, match="save number 1 holds numbers that are not finite"):
            run.measure(1)
    assert main(["show", "run.h5"]) == 0
    capsys.readouterr()
    if name == "recorded":
        for command in (["plot", "run.h5"], ["compare", "other.h5", "run.h5"]):
            refused(command, capsys)
    else:
        assert main(["plot", "run.h5"]) == main(["compare", "other.h5", "run.h5"]) == 0


@pytest.mark.parametrize("command", ["show", "plot", "compare"])
def test_a_checkpoint_is_refused_by_the_name_of_its_run(command: str, whole, capsys) -> None:
    for name, remedy in (("run.h5.checkpoint", "name 'run.h5'"), ("other", "name that of its run")):
        pathlib.Path(name).write_bytes(whole["checkpoint"])
        words = f"'{name}' is a checkpoint, not a results file; {remedy}."
        options = [name] if command == "compare" else []
        assert words in refused([command, name, *options], capsys)
        pathlib.Path(name).unlink()


@pytest.mark.parametrize("mass", [1e308, np.inf, 0.0])
def test_masses_without_a_finite_sum_are_refused(mass: float, whole, capsys) -> None:
    pathlib.Path("run.h5").write_bytes(whole["particles"])
    with h5py.File("run.h5", "r+") as file:
        changed("particle_mass", ..., mass)(file)
        if mass > 1:
            changed("particle_mass", 0, -mass)(file)  # the sum is inf - inf, or -inf + inf
    assert "with a finite sum above 0" in refused(["plot", "run.h5"], capsys)


def test_what_is_shown_of_a_file_is_no_command_to_a_terminal(whole, capsys) -> None:
    pathlib.Path("run.h5").write_bytes(whole["particles"])
    with h5py.File("run.h5", "r+") as file:
        for name in ("parameters", "settings", "versions"):
            attribute(name, '{"a": "\\u001b[2J", "\\u001b[3J": [1, "\\u001b"]}')(file)
        attribute("reason", "\x1b[2J\nnext")(file)
    assert main(["show", "run.h5"]) == 0
    assert "\x1b" not in capsys.readouterr().out
