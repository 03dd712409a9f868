"""Laws of the comparison: what it measures, matches, averages over seeds, and says."""

import re

import numpy as np
import pytest
from altered_runs import altered, moved
from conftest import network, well

import wgflow as wg
from wgflow.comparison.naming import printable
from wgflow.comparison.table import WIDTH

LINE_METHODS = (("lagrangian", 1), ("balanced", 2))
WILD = {"method": "\x1b[2J\n\x07", "count": 10**400, "shape": [1, "\r"], "step": None}
WEIGHT = np.linspace(0.5, 1.5, 20)


@pytest.fixture(scope="module")
def runs() -> dict[str, wg.Run]:
    problem = network(weight=WEIGHT)
    flow = wg.ParticleFlow(count=80, step=0.1)
    return {
        "flow": wg.solve(problem, flow),
        "grid": wg.solve(problem, wg.JKO(step=0.25, shape=(48, 48))),
        "often": wg.solve(problem.save_every(0.1), wg.SGD(width=80, step=0.05)),
        "flow 1": wg.solve(problem, flow, seed=1),
        "flow 2": wg.solve(problem, flow, seed=2),
        "final": wg.solve(problem, flow, seed=3, save="final"),
        "summary": wg.solve(problem, flow, seed=4, save="summary"),
    }


def line_run(seed: int = 0, *, temperature: float = 0.2) -> wg.Run:
    problem = well(temperature=temperature, horizon=0.2)
    return wg.solve(problem, wg.ParticleFlow(count=30, step=0.1), seed=seed)


def test_a_run_is_no_distance_from_itself(runs) -> None:
    found = wg.compare(runs["flow"], runs["flow"])
    assert found.columns == ((0,), (1,))
    assert not found.prediction_distance.any()
    assert all(not values.any() for values in found.distance.values())
    assert np.array_equal(found.risk[0], runs["flow"].risk)


def test_the_grid_is_the_reference_and_times_are_matched(runs) -> None:
    found = wg.compare(runs["flow"], runs["grid"], runs["often"])
    assert found.reference == 1
    np.testing.assert_allclose(found.time, [0, 0.5, 1])
    np.testing.assert_allclose(found.risk[2], runs["often"].risk[[0, 5, 10]])
    assert set(found.distance) == {"sliced W2", "W2 of a", "W2 of w"}
    for name, values in found.distance.items():
        assert not values[1].any() and (values[0] > 0).all() and (values[0] < 0.5).all(), name
    other = wg.compare(runs["flow"], runs["grid"], runs["often"], reference=2)
    assert other.names[other.reference] == "sgd"


def test_distances_at_every_time_are_those_of_the_laws_and_of_the_weighted_predictions(
    runs,
) -> None:
    found = wg.compare(runs["grid"], runs["flow"])
    for row in range(3):
        laws = [runs[name].measure(row) for name in ("flow", "grid")]
        assert found.distance["sliced W2"][1, row] == pytest.approx(wg.wasserstein(*laws))
        square = (runs["grid"].prediction[row] - runs["flow"].prediction[row])[:, 0] ** 2
        expected = np.sqrt((square * WEIGHT).sum() / WEIGHT.sum())
        assert found.prediction_distance[1, row] == pytest.approx(expected)


def test_the_table_shows_the_last_time_of_what_there_is_at_all(runs) -> None:
    found = wg.compare(*runs.values())
    for name, quantity in found.quantities.items():
        last = found.last[name].values
        np.testing.assert_array_equal(quantity.values[:, -1:], last, err_msg=name)


def test_progress_counts_the_times_of_all_distances(runs) -> None:
    seen: list[tuple[int, int]] = []
    found = wg.compare(runs["flow"], runs["grid"], progress=lambda *at: seen.append(at))
    str(found)
    assert not seen  # the table needs the last time only
    assert found.quantities is found.quantities
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_distances_are_symmetric_and_those_of_a_shift_are_its_length() -> None:
    run = line_run()
    pair = run, moved(run, np.array([0.3]))
    there, back = wg.compare(*pair, reference=0), wg.compare(*pair, reference=1)
    np.testing.assert_allclose(there.distance["W2"][1], 0.3, rtol=1e-12)
    np.testing.assert_array_equal(there.distance["W2"][1], back.distance["W2"][0])


def test_a_shift_of_one_coordinate_is_seen_by_its_marginal_alone(runs) -> None:
    found = wg.compare(runs["flow"], moved(runs["flow"], np.array([0.25, 0.0])))
    np.testing.assert_allclose(found.distance["W2 of a"][1], 0.25, rtol=1e-12)
    np.testing.assert_allclose(found.distance["W2 of w"][1], 0.0, atol=1e-12)
    # The sliced distance of a shift v is |v| times the root of a mean of cos^2.
    assert (found.distance["sliced W2"][1] > 0).all()
    assert (found.distance["sliced W2"][1] < 0.25).all()


def test_seeds_share_a_column_with_their_mean_and_its_standard_error(runs) -> None:
    found = wg.compare(runs["flow"], runs["grid"], runs["flow 1"], runs["flow 2"])
    assert found.columns == ((0, 2, 3), (1,))
    assert found.names == ["particles", "jko"]
    seeds = [0, 2, 3]
    for name in ("risk", "prediction_rms", "sliced_w2", "w2_a", "mean_a", "spread_w"):
        held = found.quantities[name]
        values = held.values[seeds]
        np.testing.assert_allclose(held.mean[0], values.sum(axis=0) / 3, rtol=1e-14)
        spread = np.sqrt(((values - values.mean(axis=0)) ** 2).sum(axis=0) / 2)
        np.testing.assert_allclose(held.error[0], spread / np.sqrt(3), rtol=1e-12)
        np.testing.assert_array_equal(held.mean[1], held.values[1])
        assert np.isnan(held.error[1]).all()
    table = str(found)
    assert "0-2 (3 runs)" in table and " +- " in table and "standard error of the mean" in table
    assert " +- " not in str(wg.compare(runs["flow"], runs["grid"]))


def test_the_pooled_distance_is_that_of_all_particles_and_of_the_mean_prediction(runs) -> None:
    names = ("flow", "flow 1", "flow 2")
    found = wg.compare(runs["grid"], *[runs[name] for name in names])
    cloud = wg.Particles(np.concatenate([runs[name].measure(-1).position for name in names]))
    expected = wg.wasserstein(cloud, runs["grid"].measure(-1))
    assert found.quantities["sliced_w2"].pooled[1, -1] == pytest.approx(expected, rel=1e-12)
    assert found.quantities["sliced_w2"].pooled[0, -1] == 0
    mean = np.mean([runs[name].prediction for name in names], axis=0)
    square = ((mean - runs["grid"].prediction)[..., 0] ** 2 * WEIGHT).sum(axis=1) / WEIGHT.sum()
    pooled = found.quantities["prediction_rms"].pooled[1]
    np.testing.assert_allclose(pooled, np.sqrt(square), rtol=1e-12)


def test_a_reference_of_several_seeds_is_their_pooled_law(runs) -> None:
    found = wg.compare(runs["flow"], runs["flow 1"], runs["often"])
    assert found.columns == ((0, 1), (2,)) and found.reference == 0
    laws = [runs[name].measure(-1) for name in ("flow", "flow 1", "often")]
    cloud = wg.Particles(np.concatenate([law.position for law in laws[:2]]))
    expected = [wg.wasserstein(law, cloud) for law in laws]
    np.testing.assert_allclose(found.distance["sliced W2"][:, -1], expected, rtol=1e-12)


def test_the_order_of_the_files_orders_the_columns_and_changes_no_bit(runs) -> None:
    names = ["flow", "grid", "flow 1", "often", "flow 2"]
    one = wg.compare(*[runs[name] for name in names])
    other = wg.compare(*[runs[name] for name in ("often", "flow 2", "flow", "flow 1", "grid")])
    assert one.names == ["particles", "jko", "sgd"] and other.names == ["sgd", "particles", "jko"]
    place = [other.names.index(name) for name in one.names]
    for name, quantity in one.quantities.items():
        for kind in ("mean", "error", "pooled"):
            first, second = getattr(quantity, kind), getattr(other.quantities[name], kind)
            if first is not None:
                np.testing.assert_array_equal(first, second[place], err_msg=f"{kind} of {name}")


def test_runs_that_differ_in_more_than_the_seed_stand_apart(runs) -> None:
    flow = runs["flow"]
    step = altered(flow, seed=5, settings={**flow.provenance["settings"], "step": 0.05})
    data = altered(flow, seed=5, y=flow.y + 1)
    assert wg.compare(flow, step).columns == ((0,), (1,))
    assert wg.compare(flow, data).columns == ((0,), (1,))
    assert "other outputs of the data" in str(wg.compare(flow, data))
    assert wg.compare(flow, altered(flow, seed=5)).columns == ((0, 1),)


def test_seeds_whose_save_times_differ_by_rounding_share_a_column(runs) -> None:
    flow = runs["flow"]
    close, apart = (altered(flow, seed=5, time=flow.time * (1 + by)) for by in (2e-16, 1e-8))
    assert (close.time != flow.time).any()
    assert wg.compare(flow, close).columns == ((0, 1),)
    assert wg.compare(flow, apart).columns == ((0,), (1,))
    assert wg.compare(flow, apart, altered(close, seed=6)).columns == ((0, 2), (1,))


def test_a_run_that_is_given_twice_is_told_from_a_copy(runs) -> None:
    flow, grid, copy = runs["flow"], runs["grid"], altered(runs["flow"])
    (warning,) = wg.compare(flow, flow).warnings
    assert warning.startswith("Beware: one run is given twice, as particles #1 and particles #2;")
    (warning,) = wg.compare(flow, copy).warnings
    assert "particles #1 and particles #2 have one seed and the same settings" in warning
    names = ["a.h5", "g.h5", "./a.h5", "x/../a.h5", "g.h5"]
    said = wg.compare(flow, grid, copy, altered(flow), altered(grid), files=names).warnings
    assert [text.partition(",")[0] for text in said] == [
        "Beware: 'a.h5' is given 3 times",
        "Beware: 'g.h5' is given twice",
    ]


def test_runs_of_different_problems_are_told_apart() -> None:
    cases = [wg.get_case("ornstein-uhlenbeck", temperature=t).until(0.1) for t in (0.2, 0.3)]
    runs = [wg.solve(case, wg.ParticleFlow(count=50, step=0.05)) for case in cases]
    found = wg.compare(*runs)
    (warning,) = found.warnings
    assert "particles temperature=0.3 solves another problem" in warning
    assert "temperature = 0.3 instead of 0.2" in warning
    assert warning in str(found).replace("\n", " ")
    own = wg.compare(line_run(), line_run(temperature=0.3))
    assert "energy.entropy.temperature = 0.3 instead of 0.2" in own.warnings[0]
    assert not wg.compare(line_run(), line_run(seed=1)).warnings


def test_f_star_is_that_on_the_grid_of_each_run_so_that_no_gap_is_below_f_less_f_star() -> None:
    problem = well(horizon=0.2)
    shapes = [wg.solve(problem, wg.JKO(step=0.1, shape=n)) for n in (128, 48)]
    bare = altered(shapes[0], minimum=np.full_like(shapes[0].minimum, np.nan))
    held = wg.compare(*shapes, bare).quantities
    for k, run in enumerate(shapes):
        np.testing.assert_array_equal(held["excess"].values[k], run.energy["total"] - run.minimum)
    assert np.isnan(held["excess"].values[2]).all()
    assert (held["gap"].values[:2] > held["excess"].values[:2] - 1e-12).all()
    assert np.abs(shapes[0].minimum - shapes[1].minimum).max() > 1e-5  # each grid has its own


def test_runs_without_laws_or_predictions_are_compared_in_the_rest(runs) -> None:
    found = wg.compare(runs["grid"], runs["summary"], runs["often"])
    assert np.isfinite(found.risk[1]).all()
    assert np.isnan(found.prediction_distance[1]).all()
    assert np.isnan(found.distance["sliced W2"][1]).all()
    assert np.isnan(found.quantities["mean_a"].values[1]).all()
    assert "no law at t = 1" in found.warnings[0] and "particles" in found.warnings[0]
    final = wg.compare(runs["grid"], runs["final"])
    assert np.isfinite(final.distance["sliced W2"][1]).tolist() == [False, False, True]
    assert np.isfinite(final.prediction_distance).all() and not final.warnings
    # A column has a mean of what all of its seeds have.
    seeds = wg.compare(runs["grid"], runs["flow"], runs["summary"])
    assert seeds.columns == ((0,), (1, 2))
    assert np.isnan(seeds.quantities["sliced_w2"].mean[1]).all()
    assert np.isfinite(seeds.quantities["risk"].error[1]).all()


def test_what_is_not_finite_is_not_defined_and_spoils_nothing_else(runs) -> None:
    flow = runs["flow"]
    position = flow.dataset.variables["position"].data.copy()
    position[-1, 3] = np.nan
    risk = flow.risk.copy()
    risk[-1] = np.inf
    found = wg.compare(runs["grid"], altered(flow, position=position, risk=risk))
    assert np.isfinite(found.distance["W2 of a"][1]).tolist() == [True, True, False]
    assert np.isfinite(found.risk[1]).tolist() == [True, True, False]
    line = next(x for x in str(found).splitlines() if x.startswith("sliced W2"))
    assert line.split()[-1] == "-"
    huge = altered(flow, position=np.full_like(position, 1e300))
    assert np.isnan(wg.compare(runs["grid"], huge).distance["W2 of a"][1]).all()


def test_a_mass_that_is_lost_has_a_row(runs) -> None:
    mass = runs["flow"].mass
    found = str(wg.compare(runs["grid"], altered(runs["flow"], mass=mass - 0.01)))
    line = next(x for x in found.splitlines() if x.startswith("1 - mass"))
    assert line.split()[-1] == "0.01000"
    assert "1 - mass" not in str(wg.compare(runs["grid"], runs["flow"]))


def test_runs_that_did_not_finish_are_named(runs) -> None:
    stopped = altered(runs["flow"], status="diverged", reason="A number is not finite.")
    assert "Beware: particles diverged (saves up to t = 1): A number is not finite." in str(
        wg.compare(runs["grid"], stopped)
    )
    rows = altered(runs["flow"], recorded=np.array([1, 1, 0]), status="running")
    found = wg.compare(runs["grid"], rows)
    assert found.time.tolist() == [0, 0.5]
    assert "has not ended, or was killed (saves up to t = 0.5)" in str(found).replace("\n", " ")


def test_the_table_has_a_column_a_run_and_lines_of_equal_length(runs) -> None:
    lines = str(wg.compare(runs["flow"], runs["grid"], runs["often"])).splitlines()
    body = lines[: lines.index("")]
    assert len({len(line) for line in body}) == 1 and len(body[0]) <= WIDTH
    assert body[0].split() == ["particles", "jko", "sgd"]
    assert "Beware" not in str(lines)


def test_many_runs_are_shown_in_blocks_of_whole_columns(runs) -> None:
    settings = runs["flow"].provenance["settings"]
    many = [altered(runs["flow"], settings={**settings, "step": 0.1 / k}) for k in range(1, 9)]
    found = wg.compare(*many)
    lines = found.table().splitlines()
    assert max(map(len, lines)) <= WIDTH
    headers = [line for line in lines if line.startswith(" ") and "particles" in line]
    assert len(headers) > 1
    shown = " ".join(headers)
    assert re.sub("  +", "  ", shown).split("  ")[1:] == [*found.names]


def test_runs_of_one_solver_are_named_by_what_sets_them_apart(runs) -> None:
    problem = wg.get_case("ornstein-uhlenbeck").until(0.1)
    solvers = [wg.JKO(step=0.1, shape=64, method=m, time_order=k) for m, k in LINE_METHODS]
    lines = str(wg.compare(*[wg.solve(problem, solver) for solver in solvers])).splitlines()
    assert "jko lagrangian  jko balanced order 2" in re.sub("  +", "  ", lines[0])
    assert "ref = jko lagrangian;" in " ".join(lines)
    twice = str(wg.compare(runs["flow"], runs["flow"])).splitlines()
    assert "particles #1  particles #2" in re.sub("  +", "  ", twice[0])


def test_texts_of_a_file_do_not_command_the_terminal(runs) -> None:
    table = str(wg.compare(runs["grid"], altered(runs["flow"], solver="x$x^", settings=WILD)))
    assert all(c.isprintable() or c == "\n" for c in table) and "$" not in table
    assert "x?x^" in table and "?[2J??" in table
    assert printable("\r" + "a" * 1000) == "?" + "a" * 76 + "..."


def test_refusals(runs) -> None:
    flow = runs["flow"]
    with pytest.raises(wg.InputError, match="at least two runs"):
        wg.compare(flow)
    with pytest.raises(wg.InputError, match="wgflow.load reads a file"):
        wg.compare(flow, "flow.h5")  # type: ignore[arg-type]
    with pytest.raises(wg.InputError, match="'b.h5' has laws .* 'a.h5' has them on the different"):
        wg.compare(flow, line_run(), files=["a.h5", "b.h5"])
    with pytest.raises(wg.InputError, match="1 files for 2 runs"):
        wg.compare(flow, flow, files=["a.h5"])
    problem = dict(flow.provenance["problem"])
    circle = {"name": "w", "kind": "Circle", "lower": 0.0, "period": 1.0}
    problem["domain"] = [problem["domain"][0], circle]
    with pytest.raises(wg.InputError, match="on a circle of period 1"):
        wg.compare(flow, altered(flow, problem=problem))
    with pytest.raises(wg.InputError, match="no save time in common"):
        wg.compare(flow, altered(flow, time=flow.time + 0.1))
    with pytest.raises(wg.InputError, match="holds no save yet"):
        wg.compare(flow, altered(flow, recorded=np.zeros(3, dtype=int)))
    with pytest.raises(wg.InputError, match="must be one of 0 to 1"):
        wg.compare(flow, flow, reference=2)
