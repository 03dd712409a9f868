"""What the documentation shows is true: its scripts run, its case passes its checks."""

import ast
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray

import wgflow as wg
from wgflow.case import case_from_file
from wgflow.cli import main
from wgflow.solver import Solver

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
GALLERY = ROOT / "docs" / "gallery"
PAGES = sorted(GALLERY.glob("*.py"))
COMMANDS = re.findall(
    r"^ +wgflow (run .*)$",
    (GALLERY / "GALLERY_HEADER.rst").read_text().replace("\\\n", " "),
    flags=re.MULTILINE,
)


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda script: script.stem)
def test_every_example_runs(script: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Some measure an order or an error and assert it; those that draw leave a figure."""
    (tmp_path / "results").mkdir()
    quick = wg.get_case("ornstein-uhlenbeck").until(0.2)
    wg.solve(quick, wg.JKO(step=0.1, shape=256), output=tmp_path / "results" / "jko.h5")
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, check=True)
    draws = "savefig" in script.read_text()
    assert bool(list(tmp_path.glob("*.png"))) == draws


WITHOUT_A_SOLVER = """
import runpy, sys
import matplotlib.pyplot as plt
import wgflow.loop

def refused(*arguments, **options):
    raise AssertionError("a page of the gallery runs a solver")

wgflow.loop.solve = refused
runpy.run_path(sys.argv[1], run_name="__main__")
assert plt.get_fignums(), "the page draws nothing"
"""


@pytest.mark.parametrize("script", PAGES, ids=lambda script: script.stem)
def test_every_page_of_the_gallery_draws_from_files(
    script: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(GALLERY / "data", tmp_path / "data")
    kept = sorted(tmp_path.rglob("*"))
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT_A_SOLVER, str(script)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert sorted(tmp_path.rglob("*")) == kept


def what_solves(code: str) -> set[str]:
    """Return the imports and names in a script that are there to solve something."""
    solvers = {
        name
        for name in wg.__all__
        if isinstance(getattr(wg, name), type) and issubclass(getattr(wg, name), Solver)
    }
    assert {"ParticleFlow", "JKO", "FiniteVolume", "SGD"} <= solvers
    names = solvers | {"solve", "resume", "study"}
    modules = {"matplotlib.pyplot", "numpy", "xarray", "wgflow"}
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} - modules
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Attribute | ast.Name):
            found |= {node.attr if isinstance(node, ast.Attribute) else node.id} & names
    return found


@pytest.mark.parametrize("script", PAGES, ids=lambda script: script.stem)
def test_no_page_of_the_gallery_solves_anything(script: pathlib.Path) -> None:
    assert what_solves(script.read_text()) == set()


def test_a_page_that_solves_is_found() -> None:
    assert what_solves("import wgflow as wg\nwg.solve(problem, wg.JKO())") == {"solve", "JKO"}
    assert what_solves("from wgflow import solve as go") == {"wgflow"}
    assert what_solves("import wgflow.solvers.jko") == {"wgflow.solvers.jko"}


def test_the_files_of_the_gallery_are_small_and_read_by_wgflow_and_xarray() -> None:
    files = sorted(GALLERY.glob("data/*.h5"))
    outputs = [re.search(r"-o (\S+)", command).group(1) for command in COMMANDS]
    assert sorted(str(file.relative_to(GALLERY)) for file in files) == sorted(outputs)
    assert sum(file.stat().st_size for file in files) < 400_000
    for file in files:
        run = wg.load(file)
        assert run.status == "finished" and run.problem is not None
        with xarray.open_dataset(file, engine="h5netcdf") as dataset:
            xarray.testing.assert_identical(run.to_xarray(), dataset.load())


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[1])
def test_the_commands_of_the_gallery_make_its_files(command: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir()
    arguments = [sys.executable, "-m", "wgflow", *shlex.split(command)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(arguments, cwd=tmp_path, env=environment, check=True, capture_output=True)
    (made,) = tmp_path.glob("data/*.h5")
    again, kept = wg.load(made).to_xarray(), wg.load(GALLERY / "data" / made.name).to_xarray()
    for name in kept.variables:
        if kept[name].dtype.kind == "f":
            scale = np.nan_to_num(np.abs(kept[name])).max()
            np.testing.assert_allclose(again[name], kept[name], rtol=0, atol=1e-9 * scale)


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


OWN = str(ROOT / "docs" / "examples" / "own_case.py")


@pytest.mark.parametrize(
    "command",
    [
        *(["run", OWN, "--solver", name] for name in case_from_file(OWN).solvers),
        ["run", OWN, "--solver", "sgd", "--set", "batch=1000", "--param", "slope=3"],
        ["verify", OWN],
        ["verify", OWN, "--all"],
        ["study", OWN, "--workers", "1"],
        ["show", OWN, "--plot", "own_case.png"],
    ],
    ids=lambda command: "-".join(command[:1] + command[3:]),
)
def test_the_case_of_ones_own_does_what_its_page_says(command: list[str], in_folder) -> None:
    assert main(command) == 0
    made = {"run": "*.h5", "show": "own_case.png"}.get(command[0])
    assert made is None or list(in_folder.glob(made))


@pytest.fixture
def in_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_on_ones_own_case_shows_all_of_the_file_in_order() -> None:
    """It is cut at three comments, each of which stands in the file once."""
    page = (ROOT / "docs" / "own_case.rst").read_text()
    starts = re.findall(r":start-at: (.*)", page)
    ends = re.findall(r":end-before: (.*)", page)
    assert starts == ends and len(starts) == 3
    text = pathlib.Path(OWN).read_text()
    places = [text.index(mark) for mark in starts]
    assert places == sorted(places) and all(text.count(mark) == 1 for mark in starts)


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.rst").read_text()
    assert {name for name in wg.__all__ if f":: wgflow.{name}\n" not in page} == set()


def test_the_readme_names_what_there_is() -> None:
    code = "\n".join(blocks("README.md"))
    names = set(re.findall(r"\bwg\.(\w+)", code))
    assert len(names) > 8
    assert names <= set(wg.__all__)
    for block in blocks("README.md"):
        compile(block, "README.md", "exec")


def test_the_readme_names_targets_and_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", text):
        if target in ("demo", "test", "docs"):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    help_text = subprocess.run(
        [sys.executable, "-m", "wgflow", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in re.findall(r"^    wgflow (\w+)", text, flags=re.MULTILINE):
        assert command in help_text
