"""Laws of runs on several processes: the same numbers as one, and nobody is left waiting."""

import os
import pathlib
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

import wgflow as wg
from wgflow.communicator import ALONE, Communicator, launched, world

MPIEXEC = pathlib.Path(sysconfig.get_path("scripts")) / "mpiexec"
needs_mpi = pytest.mark.skipif(not MPIEXEC.exists(), reason="mpi4py and mpich are not installed")
RUN = (
    "run",
    "tanh-network",
    "--solver",
    "particles",
    "--until",
    "0.2",
    "--save-every",
    "0.1",
    "--quiet",
    "--force",
)
SGD = ("--solver", "sgd", "--set", "width=500", "--set", "batch=16", "--set", "step=0.01")


def mpiexec(ranks: int, *arguments: str, folder: pathlib.Path, seconds: float = 60) -> object:
    return subprocess.run(
        [MPIEXEC, "-n", str(ranks), sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        check=False,
    )


def command(ranks: int, *arguments: str, folder: pathlib.Path) -> object:
    return mpiexec(ranks, "-m", "wgflow", *arguments, folder=folder)


@pytest.mark.parametrize("count", [1, 7, 256, 1000])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_cut_the_particles_without_gap_or_overlap(count: int, size: int) -> None:
    shares = []
    for rank in range(size):
        communicator = Communicator()
        communicator.rank, communicator.size = rank, size
        shares.append(communicator.share(count))
    joined = np.concatenate([np.arange(count)[share] for share in shares])
    np.testing.assert_array_equal(joined, np.arange(count))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_a_process_that_nobody_launched_with_others_is_alone() -> None:
    assert launched({}) == 1 and launched({"PMI_SIZE": "3"}) == 3
    assert launched({"OMPI_COMM_WORLD_SIZE": "2", "PMIX_SIZE": "no"}) == 2
    assert world() is ALONE


def test_a_context_takes_communicators_only() -> None:
    with pytest.raises(wg.InputError, match=r"wrap that of mpi4py as Ranks"):
        wg.Context(communicator=3)


@needs_mpi
@pytest.mark.parametrize(
    "settings",
    [("--set", "count=600", "--set", "step=0.02"), SGD],
    ids=["particles", "sgd"],
)
def test_two_ranks_give_what_one_gives(settings: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    """To rounding; to the bit when repeated, on any number of threads. The noise is the same."""
    for name, ranks, threads in (("one", 1, "2"), ("two", 2, "1"), ("again", 2, "2")):
        done = command(
            ranks, *RUN, *settings, "--threads", threads, "-o", f"{name}.h5", folder=tmp_path
        )
        assert done.returncode == 0, done.stderr
    one, two, again = (wg.load(tmp_path / f"{name}.h5") for name in ("one", "two", "again"))
    np.testing.assert_array_equal(one.measure(0).position, two.measure(0).position)
    np.testing.assert_allclose(two.measure(-1).position, one.measure(-1).position, atol=1e-11)
    np.testing.assert_allclose(two.risk, one.risk, rtol=1e-12)
    np.testing.assert_array_equal(two.measure(-1).position, again.measure(-1).position)
    np.testing.assert_array_equal(two.risk, again.risk)
    checkpoints = [
        wg.store.read_checkpoint(tmp_path / f"{name}.h5.checkpoint")[0] for name in ("one", "two")
    ]
    assert checkpoints[0]["position"].shape == checkpoints[1]["position"].shape


@needs_mpi
def test_a_wrong_input_is_said_once_and_ends_all_ranks(tmp_path: pathlib.Path) -> None:
    done = command(2, "run", "tanh-network", "--solver", "jko", folder=tmp_path)
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert done.stderr.count("runs in one process, but 2 were started together") == 1, done.stderr
    (tmp_path / "there.h5").write_text("")
    done = command(2, *RUN[:4], "-o", "there.h5", folder=tmp_path)
    assert done.returncode == 2 and done.stderr.count("wgflow:") == 1, done.stderr
    done = command(2, *RUN[:4], "--set", "count=1", folder=tmp_path)
    assert done.returncode == 2 and "use at most one process a particle" in done.stderr


RESUMED = """
import sys
import wgflow as wg
from wgflow.communicator import world

context = wg.Context(communicator=world())
solver = wg.ParticleFlow(count=301, step=0.05, **SETTINGS)
problem = wg.get_case("tanh-network").until(1.0)
if sys.argv[1] == "stop":
    stop = lambda p: p.step == 7
    run = wg.solve(problem, solver, 3, output="run.h5", progress=stop, context=context)
    assert run.status == "interrupted"
    wg.solve(problem, solver, 3, output="whole.h5", context=context)
else:
    run = wg.resume("run.h5", context=context)
    assert run.status == "finished" and run.has_law(0) and run.has_law(-1)
"""


@needs_mpi
@pytest.mark.parametrize(
    ("settings", "sizes"), [("{'courant': 0.02}", (2,)), ("{'method': 'stochastic-heun'}", (2, 3))]
)
def test_two_ranks_go_on_to_the_same_bits(
    settings: str, sizes: tuple[int, ...], tmp_path: pathlib.Path
) -> None:
    """And a run of two ranks goes on with three to the same numbers."""
    script = RESUMED.replace("SETTINGS", settings)
    assert mpiexec(2, "-c", script, "stop", folder=tmp_path).returncode == 0
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    whole = wg.load(tmp_path / "whole.h5")
    for ranks in sizes:
        for name, content in held.items():
            (tmp_path / name).write_bytes(content)
        done = mpiexec(ranks, "-c", script, "resume", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        run = wg.load(tmp_path / "run.h5")
        compared = np.testing.assert_array_equal if ranks == 2 else np.testing.assert_allclose
        for k in range(len(whole.time)):
            compared(run.measure(k).position, whole.measure(k).position)
        compared(run.risk, whole.risk)


SCRIPT = """
import numpy as np
import wgflow as wg
from wgflow.communicator import world

ranks = world()
x = np.linspace(-2, 2, 20)
energy = wg.Risk(wg.Data(x, np.sin(x)), wg.Neuron("tanh"))
energy = energy + wg.Interaction.quadratic(0.5) + wg.Potential.quadratic((0.1, 0.1), "ridge")
problem = wg.Problem(
    energy, wg.Domain(wg.WholeLine(), wg.WholeLine()), wg.Gaussian((0.0, 0.0), 1.0), 1.0
)
for settings in ({"error_tolerance": 1e-4}, {"courant": 0.2}):
    solver = wg.ParticleFlow(count=31, step=0.5, **settings)
    spread = wg.solve(problem, solver, context=wg.Context(communicator=ranks))
    alone = wg.solve(problem, solver)
    assert spread.statistics["steps"] == alone.statistics["steps"]
    np.testing.assert_allclose(
        spread.measure(-1).position, alone.measure(-1).position, atol=1e-10
    )
    for name in alone.energy:
        np.testing.assert_allclose(spread.energy[name], alone.energy[name], rtol=1e-10)
    np.testing.assert_allclose(spread.dissipation, alone.dissipation, rtol=1e-9)
stopped = wg.solve(
    problem,
    wg.ParticleFlow(count=31, step=0.01),
    progress=lambda p: ranks.rank == 1 and p.step == 3,
    context=wg.Context(communicator=ranks),
)
assert stopped.status == "interrupted" and stopped.statistics["steps"] == 3
assert ranks.largest(float("nan") if ranks.rank == 1 else 0.0) == np.inf
print("all well")
"""


@needs_mpi
def test_adapted_steps_interactions_and_stopping_are_agreed_on(tmp_path: pathlib.Path) -> None:
    """Two and three ranks, with one process beside them on every rank."""
    for ranks in (2, 3):
        done = mpiexec(ranks, "-c", SCRIPT, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("all well") == ranks


@needs_mpi
def test_a_rank_that_fails_alone_does_not_leave_the_others_waiting(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "bad.py").write_text(BAD_CASE)
    done = command(2, "run", "bad.py", "--solver", "particles", folder=tmp_path)
    assert done.returncode != 0


BAD_CASE = '''
"""Bad: a potential that fails in one process only."""
import wgflow as wg
from wgflow.communicator import world

SOURCE = "none"
SOLVERS = {"particles": wg.ParticleFlow(count=10, step=0.1)}
CHECKS = ()


def problem(horizon: float = 1.0) -> wg.Problem:
    """A potential whose gradient fails on the second rank."""
    def gradient(x):
        if world().rank == 1:
            raise RuntimeError("only here")
        return x
    return wg.Problem(
        wg.Potential(lambda x: (x**2).sum(1) / 2, gradient),
        wg.Domain(wg.WholeLine()), wg.Gaussian(), horizon,
    )
'''
