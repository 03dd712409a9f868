"""Laws of slopes and their errors, and of the forms in which a study is handed on."""

import csv
import io
import json

import numpy as np
import pytest

import wgflow as wg
from wgflow.rate_plot import study_figure


def made_up(error: np.ndarray, value: np.ndarray, **changed: object) -> wg.Study:
    """Return a study with given errors, shape (V, S, T)."""
    values, seeds, times = error.shape
    held = {
        "label": "made up",
        "solver": "none",
        "settings": {},
        "reference": "nothing",
        "quantity": "number",
        "setting": "count",
        "value": value,
        "seeds": tuple(range(seeds)),
        "time": np.arange(1.0, times + 1),
        "error": error,
        "mean_error": error.mean(axis=1),
        "status": np.full((values, seeds), "finished"),
        "reason": np.full((values, seeds), ""),
        "seconds": np.ones((values, seeds)),
        "reference_error": np.full(times, np.nan),
        "expected": None,
    }
    return wg.Study(**{**held, **changed})


@pytest.mark.parametrize("power", [-0.5, 1.0, 2.0])
def test_the_slope_of_a_power_law_is_its_power(power: float) -> None:
    value = np.array([1.0, 3.0, 4.0, 100.0])
    scale = np.array([[1.0, 2.0, 0.3], [5.0, 1.0, 7.0]]).T  # (S, T)
    found = made_up(value[:, None, None] ** power * scale, value)
    np.testing.assert_allclose(found.slope, power, rtol=1e-12)
    np.testing.assert_allclose(found.mean_slope, power, rtol=1e-12)
    # Every seed has the same slope: leaving one out changes nothing.
    np.testing.assert_allclose(found.slope_error, 0, atol=1e-12)
    np.testing.assert_allclose(found.root_mean_square[0], np.sqrt((scale**2).mean(axis=0)))


def test_the_standard_errors_are_those_of_many_studies() -> None:
    generator = np.random.default_rng(0)
    value = np.array([100.0, 400.0, 1600.0])
    deviations, errors = [], []
    for _ in range(400):
        noise = np.abs(generator.standard_normal((3, 12, 1)))
        found = made_up(noise / np.sqrt(value)[:, None, None], value)
        root = found.root_mean_square[0, 0] * 10
        deviations.append([found.slope[0] + 0.5, root - 1])
        errors.append([found.slope_error[0], found.root_mean_square_error[0, 0] * 10])
    spread = np.std(deviations, axis=0)
    typical = np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(typical, spread, rtol=0.15)
    # The root of a mean of 12 squares is 2 % too small on average.
    assert np.abs(np.mean(deviations, axis=0)).max() < 0.05


def test_a_value_with_a_failed_run_is_shown_and_has_no_part_in_the_slope() -> None:
    value = np.array([1.0, 2.0, 4.0, 8.0])
    error = np.repeat((value**-1)[:, None, None], 3, axis=1)
    error[1, 2] = np.nan
    status = np.full((4, 3), "finished", dtype="<U12")
    status[1, 2] = "diverged"
    reason = np.full((4, 3), "", dtype="<U40")
    reason[1, 2] = "At t = 1: the particles left."
    error[1, :2] = 1e6
    found = made_up(error, value, status=status, reason=reason)
    assert found.slope[0] == pytest.approx(-1)
    assert found.complete.tolist() == [True, False, True, True]
    assert found.outcome == "diverged"
    text = str(found)
    assert "1 of 3 runs did not finish (diverged: At t = 1: the particles left)" in text
    assert "missing" in text and "1e+06" in text


def test_a_reference_that_is_not_far_more_accurate_is_named() -> None:
    value = np.array([1.0, 10.0])
    error = np.repeat(np.array([1.0, 0.1])[:, None, None], 2, axis=1)
    for own, named in ((0.02, False), (0.05, True)):
        found = made_up(error, value, reference_error=np.array([own]))
        assert ("Beware" in str(found)) == named


def test_json_and_csv_hold_every_error() -> None:
    value = np.array([1.0, 2.0])
    error = np.arange(1.0, 13).reshape(2, 3, 2)
    error[1, 2] = np.nan
    found = made_up(error, value)
    held = json.loads(found.to_json())
    assert held["format"] == "wgflow-study-1"
    assert held["error"][1][2] == [None, None] and held["error"][0][1] == [3.0, 4.0]
    assert held["slope"] == [None, None] and held["seeds"] == [0, 1, 2]
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(rows) == 12
    assert rows[2] == {
        **{"count": "1", "seed": "1", "time": "1"},
        **{"error": "3.0", "status": "finished", "seconds": "1.000"},
    }


def test_a_study_is_written_to_a_file_that_does_not_exist(tmp_path) -> None:
    found = made_up(np.ones((2, 1, 1)), np.array([1.0, 2.0]))
    for name in ("study.json", "study.csv"):
        found.save(tmp_path / name)
        with pytest.raises(wg.FileError, match="exists already"):
            found.save(tmp_path / name)
        found.save(tmp_path / name, replace=True)
    assert (tmp_path / "study.csv").read_text() == found.to_csv()
    with pytest.raises(wg.FileError, match="must end in .json or .csv"):
        found.save(tmp_path / "study.txt")
    assert len(list(tmp_path.iterdir())) == 2


def lines(figure) -> dict[str, np.ndarray]:
    (panel,) = figure.axes
    handles, labels = panel.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def test_the_figure_shows_errors_fit_and_expected_slope() -> None:
    value = np.array([1.0, 4.0, 16.0, 64.0])
    error = value[:, None, None] ** -0.5 * np.array([1.0, 2.0, 3.0])[:, None]
    status = np.full((4, 3), "finished", dtype="<U12")
    status[0, 0] = "diverged"
    error[0, 0] = np.nan
    held = {"status": status, "expected": -0.5, "reference_error": np.array([0.1])}
    shown = lines(study_figure(made_up(error, value, **held)))
    assert set(shown) == {
        "t = 1, slope -0.50 \N{PLUS-MINUS SIGN} 0.00",
        "t = 1, incomplete",
        "slope -0.5",
        "error of the reference, estimated",
    }
    places, heights = shown["slope -0.5"].get_data()
    assert places.tolist() == [4, 64] and heights[0] / heights[1] == pytest.approx(4)
    far = made_up(error, value, **{**held, "reference_error": np.array([1e-3])})
    assert "error of the reference, estimated" not in lines(study_figure(far))
    with pytest.raises(wg.InputError, match="nothing to draw"):
        study_figure(made_up(np.full((2, 1, 1), np.nan), np.array([1.0, 2.0])))
