"""What happens to a results file when the disk, another writer or a reader is in the way."""

import errno
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import h5py
import numpy as np
import pytest
import xarray
from conftest import network

import wgflow as wg
from wgflow import recorder, store
from wgflow.cli import main
from wgflow.store import checkpoint, items, paths

SGD = wg.SGD(step=0.05, width=300, batch=4)
ROOT = pathlib.Path(__file__).parent.parent
RUN = ("run", "tanh-network", "--solver", "particles", "--until", "1", "--quiet", "-o", "run.h5")


def command(*arguments: str, before: str = "", folder: pathlib.Path) -> subprocess.CompletedProcess:
    """Run the command in a process of its own, after some statements."""
    code = f"import sys\n{before}\nfrom wgflow.cli import main\nsys.exit(main({list(arguments)!r}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- a full disk ------------------------------------------------------------------------------

QUOTA = "import resource, signal\nresource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_a_quota_at_the_start_ends_with_a_sentence_and_leaves_nothing(tmp_path) -> None:
    done = command(*RUN, before=QUOTA.format(100_000), folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "wgflow: The file 'run.h5' cannot be written: it would be larger than is allowed; save "
        "less (--save final or summary).\n"
    )
    assert names(tmp_path) == []


@pytest.fixture
def small_disk():
    """Yield a folder on a disk of one megabyte."""
    folder = tempfile.mkdtemp()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if not mounted or mounted.returncode != 0:
        os.rmdir(folder)
        pytest.skip("may not mount a small disk here")
    yield pathlib.Path(folder)
    subprocess.run(["umount", folder], check=True)
    os.rmdir(folder)


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(small_disk) -> None:
    problem = network().save_every(0.01)
    with pytest.raises(wg.FileError, match=r"will take 4.9 MB, but 1 MB are free .*--save final"):
        wg.solve(problem, wg.SGD(step=0.05, width=3000), output=small_disk / "run.h5")
    assert names(small_disk) == []
    run = wg.solve(
        problem, wg.SGD(step=0.05, width=3000), output=small_disk / "run.h5", save="final"
    )
    assert run.status == "finished" and run.has_law(-1)


def test_a_disk_that_fills_up_during_a_run_loses_nothing(small_disk) -> None:
    """All rows have their place already; what finds none is the checkpoint."""
    path = small_disk / "run.h5"

    def fill(progress: object) -> None:
        if progress.step == 7:
            with open(small_disk / "filler", "wb") as file:
                file.write(b"\0" * (shutil.disk_usage(small_disk).free - 4096))

    run = wg.solve(network(), SGD, seed=3, output=path, progress=fill, checkpoint_every=0)
    assert run.status == "finished"
    assert (
        "resume goes on from the one before" in run.reason
        and "no space is left on the device" in run.reason
    )
    whole = wg.solve(network(), SGD, seed=3)
    np.testing.assert_array_equal(wg.load(path).measure(-1).position, whole.measure(-1).position)
    assert names(small_disk) == ["filler", "run.h5", "run.h5.checkpoint"]
    # The checkpoint before is whole, and the run goes on from it once there is room.
    assert store.read_checkpoint(small_disk / "run.h5.checkpoint")[1]["steps"] == 6
    (small_disk / "filler").unlink()
    longer = wg.resume(path, 1.5, problem=network())
    expected = wg.solve(network().until(1.5), SGD, seed=3)
    np.testing.assert_array_equal(longer.measure(-1).position, expected.measure(-1).position)


def test_a_checkpoint_that_fails_is_tried_again(tmp_path, monkeypatch) -> None:
    calls = []

    def fails_once(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.EIO, "no matter")

    monkeypatch.setattr(os, "fsync", fails_once)
    run = wg.solve(network(), SGD, output=tmp_path / "run.h5", checkpoint_every=0)
    assert run.status == "finished" and run.reason == ""
    assert store.read_checkpoint(tmp_path / "run.h5.checkpoint")[1]["steps"] == 20


def test_checkpoints_take_little_of_the_time(tmp_path, monkeypatch) -> None:
    """A disk on which each takes a second gets one in twenty seconds, not one a step."""
    clock = [0.0]
    monkeypatch.setattr(recorder.clock, "monotonic", lambda: clock[0])
    written = []

    def slow(path: object, state: object, attributes: dict) -> None:
        clock[0] += 1.0
        written.append(attributes["steps"])

    monkeypatch.setattr(store, "write_checkpoint", slow)

    def second(progress: object) -> None:
        clock[0] += 1.0

    run = wg.solve(
        network().until(5.0), SGD, output=tmp_path / "run.h5", progress=second, checkpoint_every=1
    )
    assert run.statistics["steps"] == 100
    assert 5 <= len(written) <= 7 and written[-1] == 100


# --- places that cannot be written or read ----------------------------------------------------


@pytest.mark.parametrize("place", ["/proc/run.h5", "/sys/run.h5", "missing/run.h5", "."])
def test_places_where_no_file_can_be_made(place: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    if place[0] == "/" and not pathlib.Path(place).parent.is_dir():
        pytest.skip("no such folder here")
    assert main([*RUN[:-1], place]) == 2
    said = capsys.readouterr().err
    assert said.startswith("wgflow: The ") and said.count("\n") == 1
    assert "Errno" not in said and "HDF5" not in said and names(tmp_path) == []


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(paths.os, "access", lambda folder, mode: False)
    with pytest.raises(wg.FileError, match="is not writable; choose another"):
        wg.solve(network(), SGD, output=tmp_path / "run.h5")
    assert names(tmp_path) == []


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SGD, output=path)

    def denied(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(wg.FileError, match=r"(?i)run.h5' cannot be read: permission denied\.$"):
        wg.load(path)


def test_a_missing_file_is_refused_by_every_command(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["show"], ["resume"], ["plot"], ["compare", "other.h5"]):
        assert main([*arguments, "missing.h5"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("wgflow: The file '") and "does not exist; check its name" in said
    assert names(tmp_path) == []


# --- another writer ---------------------------------------------------------------------------


def test_a_file_has_one_writer(tmp_path) -> None:
    """Neither a second run nor a resumption touches it, and a reader is not barred."""
    path = tmp_path / "run.h5"
    refused = []

    def second(progress: object) -> None:
        if progress.step == 12:
            for writer in (
                lambda: wg.solve(network(), SGD, output=path, replace=True),
                lambda: wg.resume(path, problem=network()),
                lambda: wg.resume(path, 5.0, problem=network()),
            ):
                with pytest.raises(wg.FileError, match="is being written by another run; wait"):
                    writer()
                refused.append(writer)
            assert wg.load(path).status == "running"
            done = command("resume", str(path), folder=tmp_path)
            assert done.returncode == 2 and "being written by another run" in done.stderr

    run = wg.solve(network(), SGD, seed=3, output=path, progress=second)
    assert len(refused) == 3
    np.testing.assert_array_equal(run.risk, wg.solve(network(), SGD, seed=3).risk)
    assert names(tmp_path) == ["run.h5", "run.h5.checkpoint"]


def test_the_lock_of_a_process_that_is_no_more_bars_nobody(tmp_path) -> None:
    path = tmp_path / "run.h5"
    code = (
        "import os, pathlib, sys; from wgflow import store; "
        "lock = store.Lock(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code, path], env=env, check=False).returncode == -9
    assert names(tmp_path) == [".run.h5.lock"]
    assert wg.solve(network(), SGD, output=path).status == "finished"
    assert names(tmp_path) == ["run.h5", "run.h5.checkpoint"]


def test_a_run_that_fails_gives_its_lock_back(tmp_path) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(wg.InputError):
        wg.solve(network(), wg.SGD(step=1e-12, width=3), output=path)
    assert wg.solve(network(), SGD, output=path).status == "finished"


# --- a reader ---------------------------------------------------------------------------------


def test_a_reader_never_meets_an_error_or_a_torn_row(tmp_path) -> None:
    """A hundred looks by h5py, xarray and wgflow while another process writes."""
    path = tmp_path / "run.h5"
    code = (
        "import os, sys, time; sys.path.insert(0, sys.argv[2]); from conftest import network; "
        "import wgflow as wg; wg.solve(network().save_every(2e-3), wg.SGD(step=2e-3, width=800), "
        "output=sys.argv[1], checkpoint_every=0.1, "
        "progress=lambda p: time.sleep(0.01) or os.path.exists('enough'))"
    )
    here = str(pathlib.Path(__file__).parent)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    writer = subprocess.Popen([sys.executable, "-c", code, path, here], env=env, cwd=tmp_path)
    looks, rows = 0, []
    last: dict[int, bytes] = {}
    while writer.poll() is None:
        if not path.exists():
            time.sleep(0.01)
            continue
        if looks % 2:
            with h5py.File(path, "r") as file:
                recorded = np.flatnonzero(file["recorded"][:])
                risk = file["risk"][:][recorded]
                law = {int(k): file["position"][k] for k in recorded[-2:]}
        else:
            with xarray.open_dataset(path, engine="h5netcdf") as opened:
                recorded = np.flatnonzero(opened["recorded"].values)
                risk = opened["risk"].values[recorded]
                law = {int(k): opened["position"][k].values for k in recorded[-2:]}
        assert recorded.tolist() == list(range(len(recorded)))
        assert np.isfinite(risk).all()
        for k, position in law.items():
            assert np.isfinite(position).all(), "a torn row"
            assert last.setdefault(k, position.tobytes()) == position.tobytes()
        if looks % 10 == 0:
            assert len(wg.load(path).time) >= len(recorded)
        rows.append(len(recorded))
        looks += 1
        if looks == 100:
            (tmp_path / "enough").touch()
    assert writer.returncode == 0
    assert wg.load(path).status == "interrupted"
    assert looks >= 100 and len(set(rows)) > 20, (looks, len(set(rows)))


def test_the_checkpoint_is_always_whole(tmp_path) -> None:
    """Its name never stands for half a file: it is made under another one and renamed."""
    path = tmp_path / "state"
    seen = []
    write = os.replace

    def replace(source: object, target: object) -> None:
        seen.append((pathlib.Path(source).name, store.read_checkpoint(source)[1]))
        write(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths.os, "replace", replace)
        for k in range(3):
            checkpoint.write_checkpoint(path, {"position": np.full(9, k)}, {"steps": k})
    assert seen == [(".state.part", {"steps": k}) for k in range(3)]
    assert json.dumps(store.read_checkpoint(path)[1]) == '{"steps": 2}'


def test_a_run_larger_than_the_memory_is_read_as_it_is_looked_at(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.h5"
    whole = wg.solve(network(), SGD, seed=3)
    monkeypatch.setattr(items, "MAPPED", 2000)
    run = wg.solve(network(), SGD, seed=3, output=path)
    assert isinstance(run.dataset.variables["position"].data.base, np.memmap)
    assert not isinstance(run.risk.base, np.memmap)
    for k in range(len(whole.time)):
        np.testing.assert_array_equal(run.measure(k).position, whole.measure(k).position)
    # What is mapped stays what it was when the file gets another content.
    wg.solve(network(), SGD, seed=4, output=path, replace=True)
    np.testing.assert_array_equal(run.measure(-1).position, whole.measure(-1).position)
    assert not np.array_equal(wg.load(path).measure(-1).position, whole.measure(-1).position)


def noted(name: str, call: Callable, done: list[str]) -> Callable:
    def called(*arguments: object) -> None:
        done.append(name)
        call(*arguments)

    return called


def test_rows_are_on_the_disk_before_the_checkpoint_that_counts_on_them(
    tmp_path, monkeypatch
) -> None:
    done = []
    for owner, name in ((store.Writer, "row"), (store.Writer, "sync"), (store, "write_checkpoint")):
        monkeypatch.setattr(owner, name, noted(name, getattr(owner, name), done))
    wg.solve(network(), SGD, output=tmp_path / "run.h5", checkpoint_every=0)
    assert done.count("row") == 3 and done.count("write_checkpoint") == 20
    for before, after in itertools.pairwise(done):
        assert after != "write_checkpoint" or before == "sync"


def test_a_run_is_said_to_have_ended_after_all_else_is_said(tmp_path, monkeypatch) -> None:
    path, seen = tmp_path / "run.h5", []
    flush = h5py.File.flush

    def looked(file: h5py.File) -> None:
        flush(file)
        if path.exists():
            copy = tmp_path / "copy.h5"
            shutil.copyfile(path, copy)
            run = wg.load(copy)
            law = len(run.time) > 0 and run.has_law(-1)
            seen.append((run.status, bool(run.statistics), law))

    monkeypatch.setattr(h5py.File, "flush", looked)
    wg.solve(network(), SGD, output=path, save="final")
    assert seen[-1] == ("finished", True, True)
    assert ("running", True, True) in seen and ("running", False, False) in seen
    assert not any(status == "finished" and (not told or not law) for status, told, law in seen)
