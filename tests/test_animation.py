"""Laws of movies: a frame a save, the same axes in all, and nothing half-written."""

import copy
import importlib
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from conftest import network
from PIL import Image

import wgflow as wg
from wgflow.animation import MOST_FRAMES, animate, check_movie, movie_of
from wgflow.cli import main


@pytest.fixture(scope="module")
def grid() -> wg.Run:
    """A small network on a grid, five saves."""
    problem = network(horizon=0.2).save_every(0.05)
    return wg.solve(problem, wg.FiniteVolume(step=0.05, shape=(24, 24)))


@pytest.fixture(scope="module")
def cloud() -> wg.Run:
    """A small network by particles."""
    return wg.solve(network(horizon=0.2), wg.ParticleFlow(count=50, step=0.05))


@pytest.fixture(scope="module")
def drop() -> wg.Run:
    """A drop on a line whose cells move."""
    problem = wg.get_case("porous-medium", dimension=1).until(1e-3)
    return wg.solve(problem, wg.JKO(step=5e-4, shape=32))


def test_a_movie_has_a_frame_for_each_save_and_says_its_time(grid, tmp_path) -> None:
    path = tmp_path / "law.gif"
    seen: list[tuple[int, int]] = []
    count = animate(grid, path, fps=5, progress=lambda done, total: seen.append((done, total)))
    assert count == len(grid.time) == 5
    assert seen == [(k, 5) for k in range(1, 6)]
    with Image.open(path) as movie:
        assert movie.n_frames == 5
        assert movie.info["duration"] == 200
    movie = movie_of(grid)
    for k, time in enumerate(grid.time):
        movie.show(k)
        assert movie.figure.get_suptitle() == f"own problem by finite-volume, t = {time:.4g}"


def test_every_frame_shows_its_save_on_the_same_axes_and_colours(grid, cloud, drop) -> None:
    for run in (grid, cloud, drop):
        movie = movie_of(run)
        panel = movie.figure.axes[0]
        held = []
        for k in range(len(movie.saves)):
            movie.show(k)
            law = run.measure(k)
            if run is drop:
                values, edges, _ = panel.patches[0].get_data()
                np.testing.assert_array_equal(edges, law.edges[0])
                np.testing.assert_allclose(values, law.density)
                assert values.max() <= panel.get_ylim()[1]
            elif run is cloud:
                np.testing.assert_array_equal(panel.lines[0].get_xydata(), law.position)
            else:
                (image,) = panel.collections
                lowest = image.norm.vmin
                np.testing.assert_allclose(image.get_array(), np.clip(law.density, lowest, None).T)
                held.append((lowest, image.norm.vmax))
            held.append((panel.get_xlim(), panel.get_ylim(), panel.get_position().bounds))
        assert len(set(held)) == (2 if run is grid else 1)


def test_the_fit_moves_beside_the_law(grid, drop) -> None:
    movie = movie_of(grid)
    panel = movie.figure.axes[1]
    (curve,) = [line for line in panel.lines if line.get_label() == "fit"]
    movie.show(3)
    order = np.argsort(grid.x[:, 0])
    np.testing.assert_array_equal(curve.get_ydata(), grid.prediction[3][order, 0])
    assert len(movie_of(drop).figure.axes) == 1


def test_particles_on_a_line_are_counted_in_the_same_bins_in_every_frame() -> None:
    problem = wg.get_case("ornstein-uhlenbeck", horizon=0.2).save_every(0.1)
    run = wg.solve(problem, wg.ParticleFlow(count=200, step=0.1))
    movie = movie_of(run)
    (steps,) = movie.figure.axes[0].patches
    shared = steps.get_data().edges
    for k in range(3):
        movie.show(k)
        values, edges, _ = steps.get_data()
        np.testing.assert_array_equal(edges, shared)
        assert (values * np.diff(edges)).sum() == pytest.approx(1, abs=0.011)


def test_of_many_saves_two_hundred_are_shown(drop) -> None:
    problem = wg.Problem(
        energy=wg.Energy(wg.Potential.quadratic((1.0,))),
        domain=wg.Domain(wg.WholeLine()),
        initial=wg.Gaussian(1.0, 0.5),
        horizon=1.0,
        save_times=np.linspace(0, 1, 301),
    )
    run = wg.solve(problem, wg.ParticleFlow(count=10, step=0.1))
    saves = movie_of(run).saves
    assert len(saves) == MOST_FRAMES == 200
    assert (saves[0], saves[-1]) == (0, 300)
    assert set(np.diff(saves)) == {1, 2}


def test_a_movie_takes_two_laws(grid, tmp_path) -> None:
    final = wg.solve(network(horizon=0.1), wg.FiniteVolume(step=0.1), save="final")
    with pytest.raises(wg.InputError, match="one save only"):
        animate(final, tmp_path / "law.gif")
    assert not list(tmp_path.iterdir())


def test_names_are_checked_before_anything_is_drawn(tmp_path, monkeypatch) -> None:
    taken = tmp_path / "taken.gif"
    taken.touch()
    check_movie(taken, replace=True)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib, "import_module", lambda name: __import__("no_such_module"))
    for name, fps, part in (
        ("taken.gif", 10, "--force"),
        ("law.avi", 10, ".mp4 or .gif"),
        ("law", 10, ".mp4 or .gif"),
        ("nowhere/law.gif", 10, "does not exist"),
        ("law.gif", 0, "whole number of at least 1"),
        ("law.mp4", 10, r"pip install 'wgflow\[video\]'"),
    ):
        with pytest.raises(wg.InputError, match=part):
            check_movie(tmp_path / name, fps)


def test_a_movie_that_is_stopped_leaves_nothing(grid, tmp_path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animate(grid, tmp_path / "law.gif", progress=stop)
    assert not list(tmp_path.iterdir())


def ffmpeg() -> str:
    return shutil.which("ffmpeg") or pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()


def test_an_mp4_has_the_same_frames(drop, tmp_path) -> None:
    program, path = ffmpeg(), tmp_path / "law.mp4"
    assert animate(drop, path) == len(drop.time)
    command = [program, "-loglevel", "error", "-i", path, tmp_path / "%02d.png"]
    subprocess.run(command, check=True)
    assert len(list(tmp_path.glob("*.png"))) == len(drop.time)


def test_an_encoder_that_fails_ends_in_a_sentence(drop, tmp_path, monkeypatch) -> None:
    false = shutil.which("false")
    assert false is not None
    monkeypatch.setattr("wgflow.animation._ffmpeg", lambda: false)
    with pytest.raises(wg.FileError, match=r"cannot be written: .*[a-z0-9]"):
        animate(drop, tmp_path / "law.mp4")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_movie_and_on_request_an_image(
    grid, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    grid.save("run.h5")
    assert main(["plot", "run.h5", "--animate", "law.gif", "--fps", "4", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    with Image.open("law.gif") as movie:
        assert movie.info["duration"] == 250
    assert {path.name for path in pathlib.Path().iterdir()} == {"run.h5", "law.gif"}
    for options, part in (([], "--force"), (["--force", "--time", "1"], "-o IMAGE")):
        assert main(["plot", "run.h5", "--animate", "law.gif", *options]) == 2
        assert part in capsys.readouterr().err
    options = ["--animate", "law.gif", "--force", "-o", "run.png"]
    assert main(["plot", "run.h5", *options]) == 0
    assert capsys.readouterr().out == "Wrote law.gif (5 frames) and run.png\n"


def test_numbers_that_are_too_large_end_in_a_sentence_or_a_movie(grid, cloud, tmp_path) -> None:
    """Without a warning, which pytest takes for an error."""
    for run, name in ((cloud, "position"), (grid, "mass_on_grid"), (grid, "prediction")):
        for value in (1e308, np.nan):
            dataset = copy.deepcopy(run.dataset)
            dataset.variables[name].data[1:, ...] = value
            try:
                animate(wg.Run(dataset), tmp_path / "law.gif", replace=True)
            except wg.InputError as error:
                assert "too large" in str(error) or "one save only" in str(error)


def test_a_law_that_holds_no_number_is_left_out_of_the_movie(cloud) -> None:
    dataset = copy.deepcopy(cloud.dataset)
    dataset.variables["position"].data[1] = np.nan
    assert movie_of(wg.Run(dataset)).saves.tolist() == [0, 2]
