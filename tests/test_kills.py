"""Runs that are killed lose nothing and end with the bits of runs that were not."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

if not hasattr(os, "fork"):
    pytest.skip("processes are forked and killed", allow_module_level=True)

HERE = pathlib.Path(__file__).parent
RUNS = ("particles", "adapted", "sgd", "jko", "lagrangian", "finite-volume")


def killed(chains: int, seed: int, name: str, counts: list[dict[str, int]]) -> dict[str, int]:
    """Return what became of chains of kills; the harness itself is in killed_runs.py."""
    done = subprocess.run(
        [sys.executable, HERE / "killed_runs.py", str(chains), str(seed), name],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count = json.loads(done.stdout)
    counts.append(count)
    return count


def assert_nothing_lost(count: dict[str, int]) -> None:
    for name in ("lost", "unreadable", "other_bits", "litter"):
        assert count[name] == 0, count


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_goes_on_to_the_same_bits(name: str, kill_counts) -> None:
    count = killed(1, 5, name, kill_counts)
    assert count["random"] + count["effects"] > 0
    assert_nothing_lost(count)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_many_kills_lose_nothing(name: str, kill_counts) -> None:
    """Two hundred and more over all runs, at random moments and in the middle of a write."""
    count = killed(18, 11, name, kill_counts)
    assert count["random"] >= 5 and count["effects"] >= 15
    assert_nothing_lost(count)
