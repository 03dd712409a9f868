"""Rates that a case declares: measured as declared, with the studies that a user would make."""

import csv
import dataclasses
import io
import json
import math
import pathlib

import numpy as np
import pytest

import wgflow as wg
from wgflow.case import Case, case_from_file
from wgflow.check import Rate
from wgflow.cli import main
from wgflow.convergence import case_rates
from wgflow.convergence.case_rates import MeasuredRate, measure
from wgflow.rate_plot import rates_figure

WELL = '''"""A well."""
import wgflow as wg
from wgflow.check import Rate

SOURCE, CHECKS = "made up", ()
SOLVERS = {
    "particles": wg.ParticleFlow(count=50, step=0.5, method="euler-maruyama"),
    "finite-volume": wg.FiniteVolume(step=0.025, shape=(64,), time_order=2),
}

def problem(stiffness: float = 1.0, dimension: int = 1):
    """A quadratic well."""
    well = wg.Potential.quadratic((stiffness,) * dimension)
    line = wg.WholeLine(window=(-6, 6))
    return wg.Problem(
        well + wg.Entropy(0.2), wg.Domain(*[line] * dimension), wg.Gaussian([1.0] * dimension, 0.5),
        0.5,
    )

STEPS = Rate(
    "finite-volume", "step", (0.1, 0.05, 0.025), 1.0, 0.1, "implicit Euler", quantity="mean",
    settings={"time_order": 1},
)
DRAWS = Rate(
    "particles", "count", (25, 100, 400), -0.5, 0.25, "mean of draws", seeds=12, quantity="mean",
    settings={"step": 0.05}, parameters={"stiffness": 2.0}, time=0.25,
)
RATES = (DRAWS, STEPS)
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """Leave the case file in another folder than the current one."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "well.py").write_text(WELL)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


@pytest.fixture
def well(folder) -> Case:
    return case_from_file("../well.py")


def test_a_rate_is_the_study_that_its_declaration_describes(well, folder) -> None:
    found = measure(well, well.rates[0], workers=1)
    same = wg.study(
        well.problem(stiffness=2.0),
        wg.ParticleFlow(count=50, step=0.05, method="euler-maruyama"),
        {"count": [25, 100, 400]},
        seeds=12,
        quantity="mean",
        times=[0.25],
        reference=wg.FiniteVolume(step=0.025, shape=(64,), time_order=2),
        workers=1,
    )
    np.testing.assert_array_equal(found.error, same.error)
    assert found.label == "well.py by particles (step = 0.05, method = euler-maruyama)"
    assert found.time.tolist() == [0.25] and found.settings["step"] == 0.05


def test_the_expected_slope_is_that_of_the_declaration(well) -> None:
    """Theory as the study knows it says 1 here; the case has the last word."""
    rate = dataclasses.replace(well.rates[1], expected=0.9)
    assert measure(well, well.rates[1], workers=1).expected == 1.0
    assert measure(well, rate, workers=1).expected == 0.9


def test_a_named_case_is_measured_by_its_name() -> None:
    case = wg.find_case("ornstein-uhlenbeck")
    rate = Rate("jko", "step", (0.2, 0.1, 0.05), 1.0, 0.2, "", quantity="mean", time=0.4)
    found = measure(case, rate, workers=1)
    assert found.label.startswith("ornstein-uhlenbeck by jko")
    assert 0.8 < found.slope[-1] < 1.2


def test_the_shape_of_the_case_is_left_away_in_another_dimension(well) -> None:
    rate = dataclasses.replace(well.rates[1], parameters={"dimension": 2}, time=0.1)
    found = measure(well, rate, workers=1)
    assert found.outcome == "finished" and np.isfinite(found.slope[-1])


def test_a_rate_holds_within_its_tolerance_and_if_all_runs_finished(well) -> None:
    rate = well.rates[1]
    study = measure(well, rate, workers=1)
    one = MeasuredRate(rate, study)
    assert one.holds and one.verdict == "holds" and math.isnan(one.error)
    off = one.observed - 0.05  # by less than 0.1, then by more than 0.01
    assert MeasuredRate(dataclasses.replace(rate, expected=off), study).holds
    strict = MeasuredRate(dataclasses.replace(rate, expected=off, tolerance=0.01), study)
    assert not strict.holds and strict.verdict == "FAILS"
    status = study.status.copy()
    status[0, 0] = "diverged"
    broken = MeasuredRate(rate, dataclasses.replace(study, status=status))
    assert not broken.holds and broken.verdict == "diverged"


def test_files_hold_every_study_as_a_file_of_its_own_would(well, folder) -> None:
    measured = [MeasuredRate(rate, measure(well, rate, workers=1)) for rate in well.rates]
    held = json.loads(case_rates.to_json("well.py", measured))
    assert held["format"] == "wgflow-rates-1" and held["case"] == "well.py"
    assert [entry["study"] for entry in held["rates"]] == [
        json.loads(one.study.to_json()) for one in measured
    ]
    assert held["rates"][0]["observed"] == pytest.approx(measured[0].observed)
    assert held["rates"][1]["observed_error"] is None
    rows = list(csv.DictReader(io.StringIO(case_rates.to_csv(measured))))
    assert len(rows) == 3 * 12 + 3
    first = measured[0].study.error[0, 0, 0]
    assert float(rows[0]["error"]) == first and rows[0]["solver"] == "particles"
    assert rows[-1]["setting"] == "step"


def test_the_command_measures_all_rates_and_sums_them_up(capsys) -> None:
    files = ["-o", "rates.json", "--plot", "rates.png"]
    assert main(["study", "../well.py", "--workers", "1", *files]) == 0
    out, err = capsys.readouterr()
    assert "well.py by particles" in out and "well.py by finite-volume" in out
    summary = out[out.index("rate  ") :]
    assert summary.count("holds") == 2 and "particles in count" in summary
    assert out.endswith("Wrote rates.json and rates.png\n")
    assert "Rate 2 of 2, finite-volume in step" in err
    assert len(json.loads(pathlib.Path("rates.json").read_text())["rates"]) == 2
    assert pathlib.Path("rates.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_measures_the_rates_of_one_solver(capsys) -> None:
    command = ["study", "../well.py", "--solver", "finite-volume", "--workers", "1"]
    assert main([*command, "-o", "rates.csv"]) == 0
    assert "particles" not in capsys.readouterr().out
    assert pathlib.Path("rates.csv").read_text().count("finite-volume,step") == 3


def test_a_rate_that_does_not_hold_exits_with_one(folder, capsys) -> None:
    (folder / "well.py").write_text(WELL.replace("1.0, 0.1, ", "2.0, 0.1, "))
    assert main(["study", "../well.py", "--solver", "finite-volume", "--workers", "1"]) == 1
    assert capsys.readouterr().out.rstrip().endswith("0.100   FAILS")


def test_a_rate_with_a_run_that_failed_exits_with_one_and_draws_the_others(folder, capsys) -> None:
    """Euler steps of 2 in a well of stiffness 2 multiply positions by -3."""
    text = WELL.replace("RATES = (DRAWS,", "RATES = (LONG, DRAWS,").replace(
        "RATES =",
        "LONG = Rate('particles', 'count', (25, 100), -0.5, 0.25, '', settings={'step': 2.0},\n"
        "    parameters={'stiffness': 1e4}, seeds=2, time=500.0, quantity='mean', "
        "reference='mean')\nRATES =",
    )
    (folder / "well.py").write_text(text)
    assert main(["study", "../well.py", "--workers", "1", "--plot", "rates.pdf"]) == 1
    out = capsys.readouterr().out
    assert "diverged" in out.rsplit("rate  ", 1)[1] and out.count("holds") == 2
    assert pathlib.Path("rates.pdf").exists()


def test_an_interrupted_rate_shows_what_was_measured(well, monkeypatch, capsys) -> None:
    """Asked to stop during the second rate, the command still prints and writes the first."""
    whole = case_rates.measure

    def stopped(case, rate, *, progress, **where):
        if rate.setting == "step":
            return whole(case, rate, progress=lambda at: bool(progress(at)) or True, **where)
        return whole(case, rate, progress=progress, **where)

    monkeypatch.setattr(case_rates, "measure", stopped)
    files = ["-o", "rates.json", "--plot", "rates.svg"]
    assert main(["study", "../well.py", "--workers", "1", *files]) == 130
    out = capsys.readouterr().out
    assert "holds" in out and out.rstrip().count("interrupted") == 1
    assert "rates.svg" in out


def test_the_figure_has_a_panel_a_rate(well) -> None:
    measured = [MeasuredRate(rate, measure(well, rate, workers=1)) for rate in well.rates]
    figure = rates_figure([*measured, *measured])
    assert len(figure.axes) == 4
    first = figure.axes[0]
    name, _, slope = first.get_title().partition(":\n")
    assert name == "particles in count with step = 0.05, stiffness = 2.0"
    assert slope.startswith("slope -0.")
    labels = [text.get_text() for text in first.get_legend().get_texts()]
    assert "slope -0.5" in labels and any("t = 0.25, slope -0." in label for label in labels)


REFUSED = {
    "no rate at all": (["study", "bare.py"], ["'bare.py' declares no rate", "--vary step=0.4"]),
    "no rate of the solver": (
        ["study", "../well.py", "--solver", "jko"],
        ["no rate of convergence of the solver jko"],
    ),
    "no such solver": (["study", "../well.py", "--solver", "jok"], ["'jok'", "'jko'"]),
    "settings": (
        ["study", "../well.py", "--set", "step=1", "--seeds", "3"],
        ["leave out --seeds and --set", "--vary"],
    ),
    "parameters": (["study", "../well.py", "--param", "stiffness=2"], ["leave out --param"]),
    "output": (["study", "../well.py", "-o", "rates.txt"], [".json or .csv"]),
    "image": (["study", "../well.py", "--plot", "rates.gif"], [".png, .pdf or .svg"]),
    "empty option": (["study", "../well.py", "--at", ""], ["--at is empty"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_measured_gets_one_sentence(name: str, capsys) -> None:
    pathlib.Path("bare.py").write_text(WELL[: WELL.index("STEPS =")])
    command, parts = REFUSED[name]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("wgflow: ") and err.count("\n") == 1
    for part in parts:
        assert part in err
