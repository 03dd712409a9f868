"""What must not happen when a run goes on: laws lost, other runs taken for it, two writers."""

import os
import pathlib

import numpy as np
import pytest
from conftest import network

import wgflow as wg
from wgflow import store
from wgflow.cli import main

SGD = wg.SGD(step=0.05, width=300, batch=4)
WHOLE = wg.solve(network(), SGD, seed=3)
NAMED = ["run", "tanh-network", "--solver", "sgd", "--set", "width=40", "--set", "step=0.1"]


def stopped(path: pathlib.Path, steps: int, **options: object) -> wg.Run:
    stop = lambda progress: progress.step == steps  # noqa: E731
    return wg.solve(network(), SGD, seed=3, output=path, progress=stop, **options)


def test_a_law_that_is_stored_once_is_never_lost(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SGD, seed=3, output=path, save="final")
    at_once = wg.resume(path, 2.0, problem=network(), progress=lambda progress: True)
    for run in (at_once, wg.load(path)):
        assert run.status == "interrupted" and len(run.time) == 3 and run.has_law(-1)
        np.testing.assert_array_equal(run.measure(-1).position, WHOLE.measure(-1).position)
    a_step = wg.resume(path, problem=network(), progress=lambda progress: progress.step == 21)
    np.testing.assert_array_equal(a_step.measure(2).position, WHOLE.measure(-1).position)
    longer = wg.solve(network().until(2.0), SGD, seed=3, save="final")
    ended = wg.resume(path, problem=network())
    np.testing.assert_array_equal(ended.measure(-1).position, longer.measure(-1).position)
    assert ended.has_law(-1) and not ended.has_law(2)


def test_a_law_survives_a_run_that_begins_again(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, 12, save="final")
    (tmp_path / "run.h5.checkpoint").unlink()
    again = wg.resume(path, problem=network(), progress=lambda progress: progress.step == 2)
    assert again.has_law(1)
    np.testing.assert_array_equal(again.measure(1).position, WHOLE.measure(1).position)


def test_a_file_of_other_data_does_not_take_the_checkpoint(tmp_path, monkeypatch, capsys) -> None:
    """Two runs of one case on files of one name, and one results file under the other's name."""
    monkeypatch.chdir(tmp_path)
    x = np.linspace(0, 3, 9)
    for k, y in enumerate((np.sin(x), -np.sin(x))):
        np.savez("mine.npz", x=x, y=y)
        assert main([*NAMED, "--data", "mine.npz", "--until", "1", "-o", f"r{k}.h5"]) == 0
    os.replace("r1.h5", "r0.h5")
    capsys.readouterr()
    assert main(["resume", "r0.h5", "--until", "2"]) == 2
    said = capsys.readouterr().err
    assert "belongs to another run: the data or the rows" in said and said.count("\n") == 1
    (tmp_path / "r0.h5.checkpoint").unlink()
    assert main(["resume", "r0.h5", "--until", "2"]) == 0
    capsys.readouterr()
    assert main([*NAMED, "--data", "mine.npz", "--until", "2", "-o", "whole.h5"]) == 0
    one, other = wg.load("r0.h5"), wg.load("whole.h5")
    np.testing.assert_array_equal(one.measure(-1).position, other.measure(-1).position)


def test_another_problem_is_noticed_by_its_data(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, 12)
    risk = network().risk
    assert risk is not None
    moved = wg.Risk(wg.Data(risk.data.x + 1e-12, risk.data.y), wg.Neuron("tanh"))
    energy = wg.Energy(moved, *network().energy.terms[1:], *network().energy.internal)
    other = wg.Problem(energy, network().domain, network().initial, 1.0)
    with pytest.raises(wg.InputError, match="the data x in the file are not those"):
        wg.resume(path, problem=other)


def test_another_initial_law_is_noticed_where_no_number_tells(tmp_path: pathlib.Path) -> None:
    """An interaction does not change when all particles are moved together."""

    def at(mean: float) -> wg.Problem:
        domain = wg.Domain(wg.WholeLine())
        return wg.Problem(wg.Interaction.quadratic(1.0), domain, wg.Gaussian(mean, 1.0), 1.0)

    path = tmp_path / "run.h5"
    wg.solve(at(0.0), wg.ParticleFlow(count=20, step=0.1), output=path)
    with pytest.raises(wg.InputError, match="its position at time 0 is not that of the problem"):
        wg.resume(path, 2.0, problem=at(1.0))


def test_a_link_is_the_file_that_it_points_to(tmp_path: pathlib.Path) -> None:
    path, link = tmp_path / "run.h5", tmp_path / "link.h5"
    link.symlink_to(path)

    def second(progress: object) -> None:
        if progress.step == 3:
            with pytest.raises(wg.FileError, match="is being written by another run"):
                wg.solve(network(), SGD, output=link, replace=True)

    wg.solve(network(), SGD, seed=3, output=path, progress=second)
    again = wg.resume(link, 1.5, problem=network())
    assert again.status == "finished" and link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.h5", "run.h5", "run.h5.checkpoint"]
    os.link(path, tmp_path / "hard.h5")
    with pytest.raises(wg.FileError, match="several names"):
        wg.resume(tmp_path / "hard.h5", 2.0, problem=network())


def test_names_that_a_run_cannot_have(tmp_path: pathlib.Path) -> None:
    with pytest.raises(wg.FileError, match="ends in .checkpoint, as checkpoints do"):
        wg.solve(network(), SGD, output=tmp_path / "run.h5.checkpoint")
    (tmp_path / "run.h5.checkpoint").mkdir()
    with pytest.raises(wg.FileError, match="is a folder, but the checkpoint of"):
        wg.solve(network(), SGD, output=tmp_path / "run.h5")
    with pytest.raises(wg.FileError, match="(?i)file name too long"):
        wg.solve(network(), SGD, output=tmp_path / ("a" * 243 + ".h5"))
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5.checkpoint"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"

    def appears(progress: object) -> None:
        if progress.step == 0 and not path.exists():
            path.write_text("precious")

    with pytest.raises(wg.FileError, match="exists already"):
        wg.solve(network(), SGD, output=path, progress=appears)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_a_run_that_is_stopped_before_its_first_step_replaces_nothing(tmp_path) -> None:
    path = tmp_path / "run.h5"
    wg.solve(network(), SGD, seed=3, output=path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    run = wg.solve(network(), SGD, seed=4, output=path, replace=True, progress=lambda p: True)
    assert run.status == "interrupted" and len(run.time) == 1
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_what_a_killed_extension_left_is_removed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"
    stopped(path, 12)
    for name in (".run.h5.part", ".run.h5.checkpoint.part"):
        (tmp_path / name).write_text("half of something")
    wg.resume(path, problem=network())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "run.h5.checkpoint"]


@pytest.mark.parametrize(("end", "spacing"), [(0.9, 0.3), (1.0, None), (3.0, 0.3), (1.0, 1 / 7)])
def test_a_longer_horizon_has_the_save_times_of_a_run_that_long(
    end: float, spacing: float | None
) -> None:
    def planned(horizon: float) -> wg.Problem:
        short = network(horizon=1.0).until(horizon)
        return short.save_every(spacing) if spacing else short.save_every(horizon / 10)

    short = planned(end)
    longer = short.until(2 * end)
    reference = network().until(2 * end).save_every(spacing or end / 10)
    count = len(short.save_times) - 1  # the old end may differ by a rounding error
    assert longer.save_times[:count] == reference.save_times[:count]
    np.testing.assert_allclose(
        longer.save_times[count + 1 :], reference.save_times[-len(longer.save_times) + count + 1 :]
    )
    if end != 0.9 and spacing != 1 / 7:
        assert longer.save_times == reference.save_times


def test_stopping_twice_says_so(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.h5"

    def impatient(progress: object) -> None:
        if progress.step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wg.solve(network(), SGD, seed=3, output=path, progress=impatient, checkpoint_every=0)
    run = wg.load(path)
    assert (run.status, run.reason) == ("interrupted", "Stopped at once after t = 0.6.")
    again = wg.resume(path, problem=network())
    np.testing.assert_array_equal(again.measure(-1).position, WHOLE.measure(-1).position)


def test_other_versions_are_named(tmp_path, monkeypatch) -> None:
    path = tmp_path / "run.h5"
    stopped(path, 12)
    before = wg.load(path).provenance["versions"]
    monkeypatch.setattr("wgflow.loop.versions", lambda: {**before, "numpy": "9.9"})
    wg.resume(path, problem=network())
    held = store.read(path).attributes
    assert wg.load(path).provenance["versions"] == before
    assert '"numpy": "9.9"' in held["resumed_by"]


@pytest.mark.parametrize("options", [{"problem": 3}, {"context": 3}, {"problem": network().energy}])
def test_arguments_of_another_kind(options: dict, tmp_path: pathlib.Path) -> None:
    stopped(tmp_path / "run.h5", 12)
    with pytest.raises(wg.InputError, match="but must be a"):
        wg.resume(tmp_path / "run.h5", **options)


@pytest.mark.parametrize("name", ["", "."])
def test_names_that_are_none(name: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["resume", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("wgflow: '.' is a folder") and said.count("\n") == 1
