"""Laws of the studies: errors, references, failures, and the rates of the solvers themselves."""

import numpy as np
import pytest
from conftest import network

import wgflow as wg
from wgflow.convergence.rates import NOT_RUN
from wgflow.convergence.variation import variants
from wgflow.recipe import Recipe

COUNTS = {"count": [50, 100, 200, 400, 800]}


@pytest.mark.parametrize(("step", "other", "factor"), [(0.05, 0.1, 1), (0.1, 0.05, 2)])
def test_errors_are_the_distances_of_the_runs(step: float, other: float, factor: int) -> None:
    """One study done by hand, at two times."""
    problem = network().until(0.2)
    grid = wg.FiniteVolume(step, (24, 24))
    found = wg.study(
        problem,
        wg.ParticleFlow(0.05),
        {"count": [40, 20]},
        seeds=[3, 5],
        reference=grid,
        times=[0.1, 0.2],
        workers=1,
    )
    assert found.value.tolist() == [20, 40] and found.seeds == (3, 5)
    runs = problem.save_every(0.1)
    expected = wg.solve(runs, grid).prediction[1:]
    means = []
    for v, count in enumerate((20, 40)):
        differences = [
            wg.solve(runs, wg.ParticleFlow(0.05, count), seed).prediction[1:] - expected
            for seed in (3, 5)
        ]
        errors = [np.sqrt((d**2).mean(axis=(1, 2))) for d in differences]
        np.testing.assert_allclose(found.error[v], errors, rtol=1e-12)
        means.append(np.sqrt((np.mean(differences, axis=0) ** 2).mean(axis=(1, 2))))
    np.testing.assert_allclose(found.mean_error, means, rtol=1e-12)
    # The reference is judged by half as many cells and twice the step, or half of it where the
    # saves do not allow a longer one.
    coarse = wg.solve(runs, wg.FiniteVolume(other, (17, 17))).prediction[1:]
    apart = np.sqrt(((coarse - expected) ** 2).mean(axis=(1, 2)))
    np.testing.assert_allclose(found.reference_error, factor * apart, rtol=1e-12)


@pytest.mark.parametrize("quantity", ["risk", "mean", "variance", "wasserstein"])
def test_every_quantity_is_that_of_the_runs(quantity: str) -> None:
    problem = network().until(0.1).save_every(0.1)
    grid = wg.solve(problem, wg.FiniteVolume(0.1, (24, 24)))
    solver = wg.ParticleFlow(0.05)
    found = wg.study(
        problem, solver, {"count": [20, 40]}, seeds=1, reference=grid, quantity=quantity
    )
    run = wg.solve(problem, wg.ParticleFlow(0.05, 40))
    one, other = run.measure(-1), grid.measure(-1)

    def mean(law: wg.Particles | wg.GridMeasure) -> np.ndarray:
        return law.mass @ law.points

    def variance(law: wg.Particles | wg.GridMeasure) -> np.ndarray:
        return law.mass @ (law.points - mean(law)) ** 2

    by_hand = {
        "risk": lambda: abs(run.risk[-1] - grid.risk[-1]),
        "mean": lambda: np.linalg.norm(mean(one) - mean(other)),
        "variance": lambda: np.linalg.norm(variance(one) - variance(other)),
        "wasserstein": lambda: wg.wasserstein(one, other, domain=problem.domain),
    }
    assert found.error[1, 0, 0] == pytest.approx(by_hand[quantity](), rel=1e-10)


def test_references_that_a_study_takes_from_its_own_runs() -> None:
    problem = network(temperature=0.0, horizon=0.5).save_every(0.5)
    runs = [
        [
            wg.solve(problem, wg.ParticleFlow(0.1, count, "heun"), seed).prediction[-1]
            for seed in (0, 1, 2)
        ]
        for count in (10, 20, 30)
    ]

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.sqrt(((one - other) ** 2).mean()))

    references = {
        "successive": lambda v, s: runs[v + 1][s],
        "finest": lambda v, s: runs[2][s],
        "mean": lambda v, s: np.mean(runs[2], axis=0),
    }
    for name, reference in references.items():
        found = wg.study(
            problem,
            wg.ParticleFlow(0.1, method="heun"),
            {"count": [10, 20, 30]},
            seeds=3,
            reference=name,
            workers=1,
        )
        expected = [[apart(runs[v][s], reference(v, s)) for s in range(3)] for v in range(2)]
        np.testing.assert_allclose(found.error[:2, :, 0], expected, rtol=1e-12)
        assert np.isnan(found.error[2]).all()
    # Of the mean: its standard error. Without diffusion no grid can be the usual reference.
    spread = [apart(run, references["mean"](0, 0)) for run in runs[2]]
    assert found.reference_error[0] == pytest.approx(np.sqrt(np.mean(np.square(spread)) / 2))
    usual = wg.study(problem, wg.ParticleFlow(0.1), {"count": [10, 20]}, seeds=2, workers=1)
    assert usual.reference == "the mean over the seeds at the finest value"


def test_the_error_of_the_finest_value_is_extrapolated() -> None:
    """For Euler's method e(h) - e(h/2) = e(h/2), so that the slope to the finest value bends."""
    problem = network(temperature=0.0)
    solver = wg.ParticleFlow(count=20, method="euler")
    steps = {"step": [0.1, 0.05, 0.025]}
    kept = {"seeds": 2, "workers": 1}
    found = wg.study(problem, solver, steps, reference="finest", **kept)
    assert found.reference_error[0] == pytest.approx(found.root_mean_square[1, 0])
    assert "Beware" in str(found) and abs(found.slope[0] - np.log2(3)) < 0.05
    clean = wg.study(problem, solver, steps, **kept)
    assert clean.reference == "the next finer value with the same seed"
    assert abs(clean.slope[0] - 1) < 0.05 and "Beware" not in str(clean)


@pytest.mark.parametrize("method", ["euler", "heun", None])
def test_orders_in_the_step_without_noise(method: str | None) -> None:
    problem = network(temperature=0.0)
    found = wg.study(
        problem,
        wg.ParticleFlow(count=50, method=method),
        {"step": [0.125, 0.0625, 0.03125, 0.015625]},
        seeds=2,
        workers=1,
    )
    assert found.expected == (1 if method == "euler" else 2)
    assert abs(found.slope[0] - found.expected) < 0.1


@pytest.mark.parametrize("solver", [wg.ParticleFlow(0.1), wg.SGD(0.1)], ids=lambda s: s.name)
def test_predictions_converge_as_the_root_of_the_number_of_neurons(solver: wg.SGD) -> None:
    name = "count" if solver.name == "particles" else "width"
    found = wg.study(
        "tanh-network", solver, {name: COUNTS["count"]}, seeds=16, times=[1.0], workers=1
    )
    assert found.expected == -0.5 and found.outcome == "finished"
    assert abs(found.slope[0] + 0.5) < 0.1
    assert found.slope_error[0] < 0.1
    assert found.reference_error[0] < found.root_mean_square.min() / 3


def test_the_smaller_the_batch_the_larger_the_error() -> None:
    """Draws of a batch of b samples move the predictions by b^(-1/2)."""
    found = wg.study(
        network(temperature=0.0),
        wg.SGD(0.05, 20),
        {"batch": [1, 4, 16, 64]},
        seeds=24,
        reference=wg.SGD(0.05, 20),
        workers=1,
    )
    assert found.reference.startswith("sgd") and abs(found.slope[0] + 0.5) < 0.1


def test_a_grid_converges_and_needs_one_seed() -> None:
    problem = wg.get_case("ornstein-uhlenbeck").until(0.5)
    solver = wg.FiniteVolume(0.1, time_order=2)
    found = wg.study(problem, solver, {"shape": [32, 64, 128, 256]}, quantity="energy", workers=1)
    assert found.seeds == (0,) and found.value.tolist() == [32, 64, 128, 256]
    assert abs(found.slope[0] + 2) < 0.2 and found.expected is None


def test_a_parameter_of_the_case_has_a_reference_at_each_value() -> None:
    """The error of the particles grows with the noise, against the grid at the same noise."""
    found = wg.study(
        "ornstein-uhlenbeck",
        wg.ParticleFlow(0.05, 4000),
        {"lambda": [0.05, 0.2, 0.8]},
        seeds=4,
        times=[0.5],
        reference="finite-volume",
        quantity="variance",
        workers=1,
    )
    assert found.error.max() < 0.1  # the variances are 0.12, 0.22 and 0.6
    assert found.setting == "lambda" and found.expected is None


def test_a_run_that_diverges_is_reported() -> None:
    steep = wg.Potential(lambda x: (x**4).sum(axis=1), lambda x: 4 * x**3)
    problem = wg.Problem(steep, wg.Domain(wg.WholeLine()), wg.Gaussian(1.0, 0.5), 10.0)
    found = wg.study(
        problem,
        wg.ParticleFlow(count=20, method="euler"),
        {"step": [2.0, 0.02, 0.01, 0.005]},
        seeds=2,
    )
    assert found.outcome == "diverged" and np.isnan(found.error[0]).all()
    assert "a step smaller than 2 is needed" in str(found)
    assert abs(found.slope[0] - 1) < 0.1


def test_a_request_to_stop_leaves_the_rest_out() -> None:
    seen = []

    def stop(at: object) -> bool:
        seen.append((at.done, at.runs))
        return at.done == 3

    found = wg.study(
        network(temperature=0.0),
        wg.ParticleFlow(0.1),
        COUNTS,
        seeds=2,
        workers=1,
        progress=stop,
    )
    assert found.outcome == "interrupted" and seen[0] == (0, 10) and seen[-1] == (3, 10)
    assert (found.status == "finished").sum() == 3 and (found.status == NOT_RUN).sum() == 7


@pytest.mark.parametrize(
    ("solver", "vary", "sizes"),
    [
        (wg.ParticleFlow(), {"count": [30, 10, 20]}, [10, 20, 30]),
        (wg.ParticleFlow(), {"step": [0.1, 0.5, 0.2]}, [0.5, 0.2, 0.1]),
        # The interval from 0 to 1 is cut into equal steps.
        (wg.ParticleFlow(), {"step": [0.3, 0.15]}, [1 / 4, 1 / 7]),
        (wg.FiniteVolume(), {"shape": [8, (4, 64)]}, [8, 16]),
        (wg.ParticleFlow(), {"ridge": [0.3, 0.1, 0.2]}, [0.3, 0.1, 0.2]),
    ],
)
def test_values_go_from_coarse_to_fine(
    solver: wg.ParticleFlow, vary: dict[str, list], sizes: list[float]
) -> None:
    _, found = variants(Recipe(case="tanh-network", horizon=1.0), solver, vary, (1.0,))
    np.testing.assert_allclose([point.size for point in found], sizes, rtol=1e-12)


FLOW = wg.ParticleFlow(0.05, 10)
TWO = {"count": [10, 20]}
REFUSED = {
    "one value": ([FLOW, {"count": [10]}], {}, "at least two values"),
    "two settings": ([FLOW, {**TWO, "step": [1, 2]}], {}, "one setting"),
    "unknown": ([FLOW, {"cuont": [1, 2]}], {}, "did you mean 'count'"),
    "twice": ([FLOW, {"count": [10, 10]}], {}, "10 comes twice"),
    "steps that are cut alike": ([FLOW, {"step": [3, 2]}], {}, "comes twice once save intervals"),
    "words": ([FLOW, {"method": ["euler", "heun"]}], {}, "no place on a logarithmic axis"),
    "out of range": ([FLOW, {"count": [0, 10]}], {}, "at least 1"),
    "horizon": ([FLOW, {"horizon": [1, 2]}], {}, "times of the errors"),
    "text": ([FLOW, {"count": "10,20"}], {}, "list of numbers"),
    "solver": (["partikles", TWO], {}, "partikles"),
    "quantity": ([FLOW, TWO], {"quantity": "loss"}, "prediction, risk"),
    "energy of particles": ([FLOW, TWO], {"quantity": "energy"}, "no density"),
    "seeds": ([FLOW, TWO], {"seeds": 0}, "number of seeds"),
    "seeds twice": ([FLOW, TWO], {"seeds": [1, 1]}, "different"),
    "times": ([FLOW, TWO], {"times": [2, 1]}, "must increase"),
    "reference": ([FLOW, TWO], {"reference": "jok"}, "neither a solver"),
    "reference file": ([FLOW, TWO], {"reference": "no.h5"}, "no.h5"),
    "reference number": ([FLOW, TWO], {"reference": 3}, "must be a solver"),
    "workers": ([FLOW, TWO], {"workers": 0}, "number of workers"),
    "executor": ([FLOW, TWO], {"executor": "threads"}, "processes, mpi"),
    "workers of mpi": ([FLOW, TWO], {"executor": "mpi", "workers": 2}, "leave it out"),
    "mpi without ranks": ([FLOW, TWO], {"executor": "mpi"}, "mpi"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_before_anything_runs(name: str) -> None:
    (solver, vary), options, message = REFUSED[name]
    with pytest.raises(wg.InputError, match=message):
        wg.study("tanh-network", solver, vary, **{"times": [1.0], **options})


def test_problems_and_references_that_do_not_fit_are_refused() -> None:
    line = wg.get_case("ornstein-uhlenbeck").until(0.1)
    with pytest.raises(wg.InputError, match="needs a network"):
        wg.study(line, FLOW, TWO, quantity="risk")
    with pytest.raises(wg.InputError, match="not defined on a circle"):
        wg.study("motorcycle", FLOW, TWO, quantity="mean")
    run = wg.solve(line, FLOW)
    with pytest.raises(wg.InputError, match="other axes"):
        wg.study(network(), FLOW, TWO, reference=run)
    with pytest.raises(wg.InputError, match="no save at t = 0.033"):
        wg.study(line, FLOW, TWO, reference=run, times=[0.033], workers=1)
    other = wg.solve(network().until(0.1), FLOW)
    with pytest.raises(wg.InputError, match="another problem than the study .*of shape"):
        wg.study(network(samples=21).until(0.1), FLOW, TWO, reference=other)
    case = wg.get_case("tanh-network").until(0.1)
    for reference in (wg.solve(case, FLOW), "mean"):
        with pytest.raises(wg.InputError, match="'samples' changes the inputs"):
            wg.study(case, FLOW, {"samples": [20, 40]}, reference=reference)
    with pytest.raises(wg.InputError, match="setting 'ridge'"):
        wg.study(network(), FLOW, {"ridge": [1, 2]})
    with pytest.raises(wg.InputError, match="must be a Problem"):
        wg.study(3, FLOW, TWO)
    with pytest.raises(wg.InputError, match="did not finish: .*max_iterations"):
        reference = wg.FiniteVolume(0.1, (16, 16), max_iterations=1)
        wg.study(network().until(0.1), FLOW, TWO, reference=reference, workers=1)


def test_a_run_is_a_reference_only_if_it_is_of_the_problem_of_the_study() -> None:
    """But for what is varied, and for when it ends."""
    line = wg.get_case("ornstein-uhlenbeck")
    run = wg.solve(line.until(0.2).save_every(0.1), wg.FiniteVolume(0.05, 40))
    kept = {"reference": run, "seeds": 1, "times": [0.1], "workers": 1}
    assert (wg.study(line, FLOW, TWO, **kept).error > 0).all()
    assert (wg.study(line, FLOW, {"lambda": [0.1, 0.3]}, **kept).error > 0).all()
    hotter = wg.get_case("ornstein-uhlenbeck", temperature=2 * line.temperature)
    words = rf"another problem than the study \(temperature = {line.temperature} instead of"
    for vary in (TWO, {"stiffness": [1.0, 2.0]}):
        with pytest.raises(wg.InputError, match=words):
            wg.study(hotter, FLOW, vary, **kept)
    pull = wg.Potential.quadratic((2.0,)) + wg.Entropy(line.temperature)
    with pytest.raises(wg.InputError, match="case ornstein-uhlenbeck instead of own problem"):
        wg.study(wg.Problem(pull, line.domain, line.initial, 0.2), FLOW, TWO, **kept)


def test_what_a_reference_lacks_is_found_before_anything_runs() -> None:
    problem, done = network().until(0.1), []
    summary = wg.solve(problem, FLOW, save="summary")
    for options, words in (
        ({"times": [0.033]}, "no save at t = 0.033"),
        ({"quantity": "prediction"}, "holds no predictions"),
        ({"quantity": "wasserstein"}, "is not stored"),
    ):
        with pytest.raises(wg.InputError, match=words):
            wg.study(problem, FLOW, TWO, reference=summary, progress=done.append, **options)
    assert not done


@pytest.mark.slow
def test_acceptance_on_the_tanh_network() -> None:
    """Slopes within 0.1 of -1/2 over six doublings, with a reference that is far better."""
    found = wg.study(
        "tanh-network",
        wg.ParticleFlow(0.05),
        {"count": [100, 200, 400, 800, 1600, 3200, 6400]},
        seeds=16,
        times=[1.0, 2.0, 5.0],
    )
    assert np.abs(found.slope + 0.5).max() < 0.1
    assert (found.reference_error < found.root_mean_square.min(axis=0) / 3).all()
