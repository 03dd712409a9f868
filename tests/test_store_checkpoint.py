"""Laws of checkpoints: whole or not there, and read back to the bit or refused."""

import os
import pathlib

import h5py
import numpy as np
import pytest
from refusal import refused
from stored import BAD, SEED

import wgflow as wg
from wgflow import store
from wgflow.errors import FileError


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run.h5"


STATE = {
    "position": np.random.default_rng(1).normal(size=(5, 2)),
    "index": np.array(7),
    "count": np.array([2**63], dtype=np.uint64),
    "none": np.empty((0, 3)),
}


def test_checkpoints_are_read_back_to_the_bit(path: pathlib.Path) -> None:
    attributes = {"solver": "jko", "seed": np.uint64(SEED), "time": 0.1 + 0.2, "index": 3}
    store.write_checkpoint(path, STATE, attributes)
    arrays, held = store.read_checkpoint(path)
    assert held == attributes
    assert arrays.keys() == STATE.keys()
    for name, array in STATE.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


def test_a_checkpoint_is_replaced_in_one_stroke(path: pathlib.Path) -> None:
    """Who has the old one open goes on reading it whole; no other file is left."""
    store.write_checkpoint(path, STATE, {"index": 1})
    with open(path, "rb") as old:
        before = path.read_bytes()
        store.write_checkpoint(path, {"position": np.zeros(1000)}, {"index": 2})
        assert old.read() == before
    assert store.read_checkpoint(path)[1] == {"index": 2}
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_that_fails_keeps_the_one_before(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_checkpoint(path, STATE, {"index": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match="run.h5' cannot be written"):
        store.write_checkpoint(path, {"position": np.zeros(3), "bad": BAD.data}, {"index": 2})
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(FileError, match="no space is left"):
            patch.setattr(os, name, full)
            store.write_checkpoint(path, {"position": np.zeros(3)}, {"index": 2})
    assert store.read_checkpoint(path)[1] == {"index": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_checkpoint_in_a_missing_folder_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match="missing/run.h5' cannot be written"):
        store.write_checkpoint(tmp_path / "missing" / "run.h5", STATE, {})


def test_a_checkpoint_whose_content_is_not_what_was_written_is_refused(path: pathlib.Path) -> None:
    store.write_checkpoint(path, STATE, {"index": 1})
    whole = path.read_bytes()
    for change in ("position", "index", "attribute", "name", "checksum"):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            if change == "position":
                file["position"][0, 0] = np.nextafter(file["position"][0, 0], 9)
            elif change == "index":
                file["index"][...] = 8
            elif change == "attribute":
                file.attrs["index"] = 2
            elif change == "name":
                file.move("none", "nothing")
            else:
                del file.attrs["checksum"]
        with pytest.raises(FileError, match="damaged: .* remove it|no checksum: .* remove it"):
            store.read_checkpoint(path)


NUMBERS = ("save", "place", "count", "start", "level", "last_step", "steps", "seconds")
WRONG = {
    **{f"{name} {value}": ({}, {name: value}) for name in NUMBERS for value in (-1, "a", 1e300)},
    **{f"{name} NaN": ({}, {name: float("nan")}) for name in NUMBERS},
    "another seed": ({}, {"seed": 9}),
    "a problem that is no JSON": ({}, {"problem": "{"}),
    "a problem that is a list": ({}, {"problem": "[]"}),
    "no positions": ({"position": None}, {}),
    "fewer positions": ({"position": np.zeros((3, 1))}, {}),
    "more coordinates": ({"position": np.zeros((8, 2))}, {}),
    "whole numbers": ({"position": np.zeros((8, 1), int)}, {}),
    "a number": ({"position": np.array(1.0)}, {}),
    "texts": ({"position": np.full((8, 1), b"a")}, {}),
    "more arrays": ({"more": np.zeros(3)}, {}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_checkpoint_of_anyone_is_refused(
    name: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Its checksum is right, and what it says is not what the run can go on from."""
    monkeypatch.chdir(path.parent)
    problem = wg.get_case("ornstein-uhlenbeck").until(0.2)
    solver = wg.ParticleFlow(count=8, step=0.05)
    wg.solve(problem, solver, output=path, progress=lambda at: at.step == 2)
    place = path.with_name("run.h5.checkpoint")
    state, attributes = store.read_checkpoint(place)
    arrays, others = WRONG[name]
    state = {k: v for k, v in {**state, **arrays}.items() if v is not None}
    store.write_checkpoint(place, state, {**attributes, **others})
    words = refused(["resume", "run.h5", "--quiet"], capsys)
    assert "checkpoint" in words and ("remove" in words or "is not read" in words)
