"""Laws of the comparison: what it measures, matches and says."""

import re

import numpy as np
import pytest
from conftest import network

import wgflow as wg

LINE_METHODS = (("lagrangian", 1), ("balanced", 2))


@pytest.fixture(scope="module")
def runs() -> dict[str, wg.Run]:
    problem = network()
    return {
        "flow": wg.solve(problem, wg.ParticleFlow(count=200, step=0.05)),
        "grid": wg.solve(problem, wg.JKO(step=0.25, shape=(48, 48))),
        "often": wg.solve(problem.save_every(0.1), wg.SGD(width=200, step=0.05)),
    }


def test_a_run_is_no_distance_from_itself(runs) -> None:
    found = wg.compare(runs["flow"], runs["flow"])
    assert found.prediction_distance.tolist() == [0, 0]
    assert all(max(values) == 0 for values in found.distance.values())
    assert np.array_equal(found.risk[0], runs["flow"].risk)


def test_the_grid_is_the_reference_and_times_are_matched(runs) -> None:
    found = wg.compare(runs["flow"], runs["grid"], runs["often"])
    assert found.reference == 1
    np.testing.assert_allclose(found.time, [0, 0.5, 1])
    np.testing.assert_allclose(found.risk[2], runs["often"].risk[[0, 5, 10]])
    assert set(found.distance) == {"sliced W2", "W2 of a", "W2 of w"}
    for name, values in found.distance.items():
        assert values[1] == 0 and 0 < values[0] < 0.4, name


def test_the_distances_are_those_of_the_last_laws(runs) -> None:
    found = wg.compare(runs["grid"], runs["flow"])
    laws = [runs[name].measure(-1) for name in ("grid", "flow")]
    assert found.distance["sliced W2"][1] == pytest.approx(wg.wasserstein(*reversed(laws)))
    difference = runs["grid"].prediction[-1] - runs["flow"].prediction[-1]
    assert found.prediction_distance[1] == pytest.approx(np.sqrt((difference**2).mean()))


def test_the_table_has_a_column_a_run_and_lines_of_equal_length(runs) -> None:
    lines = str(wg.compare(*runs.values())).splitlines()
    body = lines[: lines.index(next(line for line in lines if line.startswith("Percentages")))]
    assert len({len(line) for line in body}) == 1
    assert body[0].split() == ["particles", "jko", "sgd"]
    assert "Beware" not in str(lines)


def test_runs_of_different_problems_are_told_apart() -> None:
    cases = [wg.get_case("ornstein-uhlenbeck", temperature=t).until(0.1) for t in (0.2, 0.3)]
    runs = [wg.solve(case, wg.ParticleFlow(count=50, step=0.05)) for case in cases]
    assert "temperature = 0.3 instead of 0.2" in str(wg.compare(*runs))


def test_runs_of_one_solver_are_named_by_what_sets_them_apart(runs) -> None:
    problem = wg.get_case("ornstein-uhlenbeck").until(0.1)
    solvers = [wg.JKO(step=0.1, shape=64, method=m, time_order=k) for m, k in LINE_METHODS]
    lines = str(wg.compare(*[wg.solve(problem, solver) for solver in solvers])).splitlines()
    assert "jko lagrangian  jko balanced order 2" in re.sub("  +", "  ", lines[0])
    assert "ref = jko lagrangian;" in lines[-1]
    twice = str(wg.compare(runs["flow"], runs["flow"])).splitlines()
    assert "particles #1  particles #2" in re.sub("  +", "  ", twice[0])


def test_refusals(runs) -> None:
    with pytest.raises(wg.InputError, match="at least two runs"):
        wg.compare(runs["flow"])
    other = wg.solve(wg.get_case("ornstein-uhlenbeck").until(0.1), wg.ParticleFlow(count=5))
    with pytest.raises(wg.InputError, match="different axes"):
        wg.compare(runs["flow"], other)
