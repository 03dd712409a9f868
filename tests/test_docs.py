"""What the documentation shows is true: its scripts run, its example case passes its checks."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import wgflow as wg
from wgflow.case import case_from_file

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))


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


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def test_the_case_in_the_contributing_guide_passes_its_check(tmp_path: pathlib.Path) -> None:
    (code,) = blocks("CONTRIBUTING.md")
    path = tmp_path / "heat.py"
    path.write_text(code)
    (check,) = case_from_file(path).checks
    assert abs(check.compute() - check.reference) <= check.tolerance


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
