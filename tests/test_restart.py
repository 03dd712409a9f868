"""A run that was stopped goes on to the bits of one that was not, or says why it cannot."""

import dataclasses
import json
import pathlib
from collections.abc import Callable

import h5py
import numpy as np
import pytest
from conftest import network, well

import wgflow as wg
from wgflow import store
from wgflow.cli import main
from wgflow.solver import Solver

NOISE = {"step": 0.05, "count": 300}
BATCHES = {"step": 0.05, "width": 300, "batch": 4}


def cold() -> wg.Problem:
    return network(temperature=0.0)


def warm() -> wg.Problem:
    return network(temperature=0.5)


def endless() -> wg.Problem:
    def draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        x = generator.uniform(-2, 2, count)
        return x, np.sin(x)

    risk = wg.Risk(wg.Data.from_law(draw, 30), wg.Neuron("tanh"))
    return dataclasses.replace(network(), energy=risk + wg.Entropy(0.05))


RUNS: dict[str, tuple[Callable[[], wg.Problem], Solver]] = {
    "euler": (network, wg.ParticleFlow(**NOISE)),
    "stochastic-heun": (network, wg.ParticleFlow(**NOISE, method="stochastic-heun")),
    "single": (network, wg.ParticleFlow(**NOISE, precision="single")),
    "embedded": (cold, wg.ParticleFlow(**NOISE, method="bogacki-shampine")),
    "adapted": (cold, wg.ParticleFlow(step=0.5, count=200, error_tolerance=1e-6)),
    "courant": (network, wg.ParticleFlow(step=0.25, count=200, courant=0.01)),
    "sgd": (network, wg.SGD(**BATCHES)),
    "fresh": (endless, wg.SGD(**BATCHES, fresh=True)),
    "momentum": (cold, wg.SGD(**BATCHES, momentum=0.9)),
    "entropic": (warm, wg.JKO(step=0.125, shape=(40, 36), method="entropic")),
    "balanced-adapted": (
        warm,
        wg.JKO(step=0.25, shape=(56, 56), method="balanced", error_tolerance=1e-3),
    ),
    "lagrangian": (well, wg.JKO(step=0.1, shape=(60,))),
    "bdf2": (well, wg.JKO(step=0.1, shape=(60,), time_order=2, formula="bdf2")),
    "lagrangian-adapted": (well, wg.JKO(step=0.2, shape=(60,), error_tolerance=1e-4)),
    "finite-volume": (network, wg.FiniteVolume(step=0.1, shape=(24, 20))),
    "explicit": (well, wg.FiniteVolume(step=0.1, shape=(60,), time_order=1)),
}


def stopped(path: pathlib.Path, name: str, steps: int, **options: object) -> wg.Run:
    """Return a run that is asked to stop after some steps."""
    problem, solver = RUNS[name]
    return wg.solve(
        problem(),
        solver,
        seed=3,
        output=path,
        progress=lambda progress: progress.step == steps,
        context=wg.Context(threads=1),
        **options,
    )


def assert_same(one: wg.Run, other: wg.Run) -> None:
    assert one.status == other.status == "finished"
    assert list(one.dataset.variables) == list(other.dataset.variables)
    for name, variable in one.dataset.variables.items():
        held = other.dataset.variables[name].data
        if name == "coordinate":
            assert variable.data.tolist() == held.tolist()
        else:
            assert variable.data.tobytes() == held.tobytes(), name
    counts = [{k: v for k, v in run.statistics.items() if k != "seconds"} for run in (one, other)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("steps", [1, 4])
def test_a_run_goes_on_to_the_same_bits(name: str, steps: int, tmp_path: pathlib.Path) -> None:
    """Also inside of a save interval, in the middle of an adaptation, and on other threads."""
    problem, solver = RUNS[name]
    whole = wg.solve(problem(), solver, seed=3)
    assert whole.statistics["steps"] > steps
    path = tmp_path / "run.h5"
    assert stopped(path, name, steps).status == "interrupted"
    seen: list[int] = []
    again = wg.resume(path, problem=problem(), progress=lambda p: seen.append(p.step))
    assert_same(again, whole)
    assert_same(wg.load(path), whole)
    assert min(k for k in seen if k > 0) == steps + 1, "no step is taken twice"


@pytest.mark.parametrize("save", ["final", "summary"])
def test_a_run_that_stores_less_goes_on_too(save: str, tmp_path: pathlib.Path) -> None:
    whole = wg.solve(network(), RUNS["euler"][1], seed=3, save=save)
    path = tmp_path / "run.h5"
    cut = stopped(path, "euler", 12, save=save)
    assert cut.has_law(-1) == (save == "final")
    assert_same(wg.resume(path, problem=network()), whole)


def test_without_a_checkpoint_it_begins_again_and_keeps_its_rows(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, "sgd", 15)
    (tmp_path / "run.h5.checkpoint").unlink()
    with h5py.File(path) as file:
        assert file["recorded"][:].tolist() == [1, 1, 0]
    whole = wg.solve(network(), RUNS["sgd"][1], seed=3)
    seen: list[int] = []
    again = wg.resume(path, problem=network(), progress=lambda p: seen.append(p.step))
    assert_same(again, whole)
    assert 1 in seen


def test_a_checkpoint_that_is_ahead_of_the_rows_is_not_used(tmp_path: pathlib.Path) -> None:
    """As after a crash of the machine that lost what was on its way to the disk."""
    path = tmp_path / "run.h5"
    stopped(path, "sgd", 15)
    with h5py.File(path, "r+") as file:
        file["recorded"][1] = 0
        file["risk"][1] = np.nan
    assert_same(wg.resume(path, problem=network()), wg.solve(network(), RUNS["sgd"][1], seed=3))


def test_only_rows_before_the_checkpoint_count(tmp_path: pathlib.Path) -> None:
    """After a crash of the machine a later row may be marked and yet not be on the disk."""
    path = tmp_path / "run.h5"
    whole = wg.solve(network(), RUNS["sgd"][1], seed=3, output=path)
    stopped(tmp_path / "early.h5", "sgd", 7)
    (tmp_path / "early.h5.checkpoint").replace(tmp_path / "run.h5.checkpoint")
    with h5py.File(path, "r+") as file:
        file["position"][1] = np.nan
        file["energy"][1] = 0.0
        file.attrs["status"] = "running"
    assert_same(wg.resume(path, problem=network()), whole)


def test_a_law_that_was_not_stored_at_the_end_is_stored_then(tmp_path: pathlib.Path) -> None:
    """A run that stores one law, killed after its last row and before that law."""
    path = tmp_path / "run.h5"
    whole = wg.solve(network(), RUNS["sgd"][1], seed=3, output=path, save="final")
    with h5py.File(path, "r+") as file:
        file["law_save"][...] = -1
        file["position"][...] = np.nan
        file.attrs["status"] = "running"
    assert not wg.load(path).has_law(-1)
    again = wg.resume(path, problem=network())
    assert again.has_law(-1)
    np.testing.assert_array_equal(again.measure(-1).position, whole.measure(-1).position)


# --- a longer horizon -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["euler", "adapted", "lagrangian-adapted", "bdf2", "sgd"])
def test_a_finished_run_is_extended_to_the_bits_of_a_longer_one(
    name: str, tmp_path: pathlib.Path
) -> None:
    problem, solver = RUNS[name]
    longer = problem().until(2.0)
    whole = wg.solve(longer, solver, seed=3)
    path = tmp_path / "run.h5"
    wg.solve(problem(), solver, seed=3, output=path)
    again = wg.resume(path, 2.0, problem=problem())
    assert again.time[-1] == 2.0
    assert_same(again, whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "run.h5.checkpoint"]
    assert_same(wg.resume(path, 2.5, problem=problem()), wg.solve(longer.until(2.5), solver, 3))


def test_a_stopped_run_can_be_given_another_end(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, "euler", 12)  # t = 0.6 of 1
    with pytest.raises(wg.InputError, match=r"stands at t = 0.6, .* 0.5 and 1, .* end at 0.75"):
        wg.resume(path, 0.75, problem=network())
    again = wg.resume(path, 1.5, problem=network())
    assert_same(again, wg.solve(network().until(1.5), RUNS["euler"][1], seed=3))


def test_an_extension_that_is_stopped_can_go_on(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), RUNS["euler"][1], seed=3, output=path)
    cut = wg.resume(path, 2.0, problem=network(), progress=lambda p: p.step == 27)
    assert cut.status == "interrupted"
    whole = wg.solve(network().until(2.0), RUNS["euler"][1], seed=3)
    assert_same(wg.resume(path, problem=network()), whole)


# --- the command ------------------------------------------------------------------------------

CASE = """
import wgflow as wg

SOURCE, CHECKS = "made up", ()
SOLVERS = {"particles": wg.ParticleFlow(count=50, step=0.1)}


def problem(stiffness: float = 1.0):
    "A well."
    return wg.Problem(
        energy=wg.Potential.quadratic((stiffness,)) + wg.Entropy(0.2),
        domain=wg.Domain(wg.Interval(-8, 8)),
        initial=wg.Gaussian(1.0, 0.5),
        horizon=1.0,
    )
"""
NAMED = ("tanh-network", "--solver", "sgd", "--set", "width=40", "--set", "step=0.1")


def test_named_cases_go_on_by_the_command(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("x,y\n0,1\n1,2\n2,2.5\n4,0.25\n")
    run = ["run", *NAMED, "--data", "mine.csv", "-o"]
    assert main([*run, "short.h5", "--until", "1"]) == 0
    (tmp_path / "mine.csv").unlink()  # the data are in the file
    assert main(["resume", "short.h5", "--until", "2"]) == 0
    assert "Finished" in capsys.readouterr().out
    (tmp_path / "mine.csv").write_text("x,y\n0,1\n1,2\n2,2.5\n4,0.25\n")
    assert main([*run, "long.h5", "--until", "2"]) == 0
    short, long = (wg.load(name) for name in ("short.h5", "long.h5"))
    assert np.array_equal(short.measure(-1).position, long.measure(-1).position)
    assert short.provenance["parameters"] == long.provenance["parameters"]


def test_a_case_file_is_run_only_where_it_is_named(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CASE)
    assert main(["run", "mine.py", "--until", "1", "-o", "a.h5", "--param", "stiffness=2"]) == 0
    (tmp_path / "mine.py").write_text(CASE + "\nopen('was-run', 'w').close()\n")
    capsys.readouterr()
    assert main(["resume", "a.h5", "--until", "2"]) == 2
    assert "is run only when it is named: add --case mine.py" in capsys.readouterr().err
    assert not pathlib.Path("was-run").exists()
    assert main(["resume", "a.h5", "--until", "2", "--case", "mine.py"]) == 0
    (tmp_path / "mine.py").write_text(CASE.replace("(0.2)", "(0.3)"))
    capsys.readouterr()
    assert main(["resume", "a.h5", "--until", "3", "--case", "mine.py"]) == 2
    assert (
        "its problem energy entropy temperature is 0.2 in the file, but 0.3 here"
        in capsys.readouterr().err
    )


# --- what does not go on ----------------------------------------------------------------------


def with_other_ridge() -> wg.Problem:
    return dataclasses.replace(
        network(),
        energy=wg.Energy(
            *[term for term in network().energy.terms if term.name != "ridge"],
            wg.Potential.quadratic((0.05, 0.06), "ridge"),
            *network().energy.internal,
        ),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": with_other_ridge()}, "problem energy ridge .* is 0.05 in the file, but 0.06"),
        ({"problem": network(samples=21)}, "problem energy risk samples is 20 in the file, but 21"),
        ({"problem": network(temperature=0.1)}, "problem energy entropy temperature is 0.05"),
        ({"problem": network(activation="relu")}, "neuron activation is .tanh. in the file"),
        ({"problem": wg.get_case("tanh-network")}, 'its case is "" in the file, but "tanh-net'),
        ({"problem": network(), "solver": wg.SGD(step=0.05, width=300)}, "settings batch is 4"),
        ({"problem": network(), "solver": RUNS["euler"][1]}, 'its solver is "sgd" in the file'),
        ({"problem": network(), "solver": 7}, "solver is 7, but must be a Solver"),
        ({"problem": network(), "until": 0.25}, "has reached t = 0.5 already.*choose a later"),
        ({"problem": network(), "until": -1.0}, "--until is -1"),
        ({}, "is of a problem of one's own, whose functions no file holds"),
        ({"problem": network(), "checkpoint_every": -1.0}, "seconds between checkpoints is -1"),
    ],
)
def test_what_differs_is_named(options: dict, message: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, "sgd", 15)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(wg.InputError, match=message):
        wg.resume(path, **options)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_checkpoint_of_another_run_is_refused(tmp_path: pathlib.Path) -> None:
    stopped(tmp_path / "run.h5", "sgd", 15)
    stopped(tmp_path / "other.h5", "momentum", 15)
    (tmp_path / "other.h5.checkpoint").replace(tmp_path / "run.h5.checkpoint")
    with pytest.raises(wg.FileError, match="belongs to another run: its problem is not that of"):
        wg.resume(tmp_path / "run.h5", problem=network())


def test_a_damaged_checkpoint_is_refused(tmp_path: pathlib.Path) -> None:
    path, place = tmp_path / "run.h5", tmp_path / "run.h5.checkpoint"
    stopped(path, "sgd", 15)
    whole = place.read_bytes()
    position = store.read_checkpoint(place)[0]["position"].tobytes()
    where = whole.index(position)
    place.write_bytes(whole[: where + 100] + b"\x01" + whole[where + 101 :])
    with pytest.raises(wg.FileError, match="damaged: its checksum .* begins again at time 0"):
        wg.resume(path, problem=network())
    place.write_bytes(whole[:-100])
    with pytest.raises(wg.FileError, match="run.h5.checkpoint"):
        wg.resume(path, problem=network())


def test_a_run_that_ended_is_not_taken_up_without_reason(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), RUNS["sgd"][1], seed=3, output=path)
    with pytest.raises(wg.InputError, match="is finished at t = 1; give a later time --until"):
        wg.resume(path, problem=network())
    plane = wg.Domain(wg.WholeLine(), wg.WholeLine(), names=("a", "w"))
    steep = wg.Potential(lambda x: 1e3 * x[:, 0] ** 4, lambda x: x**3 * [4e3, 0], "steep")
    problem = dataclasses.replace(cold(), domain=plane, energy=cold().energy + steep)
    run = wg.solve(problem, wg.SGD(step=0.1, width=9), output=tmp_path / "wild.h5")
    assert run.status == "diverged"
    with pytest.raises(wg.InputError, match="has diverged .* would do so again"):
        wg.resume(tmp_path / "wild.h5", problem=problem)


def test_a_failed_extension_leaves_the_file_as_it_was(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), RUNS["sgd"][1], seed=3, output=path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(self: object, source: object, rows: int) -> None:
        raise wg.FileError("no space is left")

    monkeypatch.setattr(store.Writer, "copy", full)
    with pytest.raises(wg.FileError, match="no space is left"):
        wg.resume(path, 2.0, problem=network())
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_settings_of_another_version_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, "sgd", 15)
    with h5py.File(path, "r+") as file:
        settings = json.loads(file.attrs["settings"])
        file.attrs["settings"] = json.dumps({**settings, "cooling": 2})
    with pytest.raises(wg.InputError, match="settings .* are not those of this version .*cooling"):
        wg.resume(path, problem=network())


def test_functions_that_do_something_else_are_noticed(tmp_path: pathlib.Path) -> None:
    """Nothing describes a function but what it does at time 0."""

    def pulled(strength: float) -> wg.Problem:
        pull = wg.Potential(lambda x: strength * x[:, 0], lambda x: x * 0 + [strength, 0], "pull")
        return dataclasses.replace(network(), energy=network().energy + pull)

    path = tmp_path / "run.h5"
    wg.solve(pulled(1.0), RUNS["sgd"][1], seed=3, output=path)
    with pytest.raises(wg.InputError, match="energy_pull at time 0 is .* in the file, but"):
        wg.resume(path, 2.0, problem=pulled(1.01))
    assert wg.resume(path, 2.0, problem=pulled(1.0)).status == "finished"
