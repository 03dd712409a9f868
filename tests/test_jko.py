"""Laws of the JKO scheme: closed forms, order, mass, dissipation, and what it refuses."""

import dataclasses

import numpy as np
import pytest
from conftest import moments, network, well

import wgflow as wg
from wgflow.exact.gaussian import entropic_jko_variance, mean_at, variance_at


@pytest.mark.parametrize("shape", [256, 400])
def test_ornstein_uhlenbeck_steps_obey_their_closed_form(shape: int) -> None:
    """Mean and variance follow the entropic recursion to 1e-8 where the kernel is >= 1.2 cells."""
    step, steps, temperature = 0.1, 10, 0.2
    assert np.sqrt(2 * temperature * step) >= 1.2 * 16 / shape
    problem = well(temperature=temperature)
    run = wg.solve(problem, wg.JKO(step=step, shape=shape, method="entropic"))
    mean, variance = moments(run.measure(0))
    for _ in range(steps):
        mean, variance = mean / 1.1, entropic_jko_variance(variance, 1.0, temperature, step)
    found = moments(run.measure(-1))
    assert found[0] == pytest.approx(mean, abs=1e-8)
    assert found[1] == pytest.approx(variance, abs=1e-8)


def test_first_order_in_the_step() -> None:
    errors = []
    for step in (0.1, 0.05, 0.025):
        run = wg.solve(well(), wg.JKO(step=step, shape=512, method="entropic"))
        mean, variance = moments(run.measure(-1))
        errors.append(abs(variance - variance_at(1.0)) + abs(mean - mean_at(1.0)))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (np.abs(orders - 1) < 0.1).all(), orders


def test_first_order_in_the_step_for_a_network() -> None:
    values = []
    for step in (0.25, 0.125, 0.0625):
        run = wg.solve(network(), wg.JKO(step=step, shape=(96, 96)))
        values.append(run.energy["total"][-1])
    order = np.log2((values[0] - values[1]) / (values[1] - values[2]))
    assert 0.8 < order < 1.3, order


@pytest.mark.parametrize("step", [0.25, 1.0])
def test_mass_stays_and_densities_are_positive(step: float) -> None:
    run = wg.solve(network(horizon=10.0), wg.JKO(step=step, shape=(48, 48)))
    assert np.abs(run.mass - 1).max() <= 1e-12
    assert all(run.measure(k).mass.min() > 0 for k in range(1, len(run.time)))


def test_diffusion_alone_is_exact_for_any_step() -> None:
    """On a circle mode n decays as exp(-lambda n^2 t), on an interval (reflected) likewise."""
    mode = 2
    circle = wg.Problem(
        energy=wg.Entropy(0.3),
        domain=wg.Domain(wg.Circle()),
        initial=wg.Density(lambda x: 1 + 0.5 * np.cos(mode * x[:, 0]), -np.pi, np.pi),
        horizon=1.0,
    )
    wall = wg.Problem(
        energy=wg.Entropy(0.3),
        domain=wg.Domain(wg.Interval(0, np.pi)),
        initial=wg.Density(lambda x: 1 + 0.5 * np.cos(mode * x[:, 0]), 0, np.pi),
        horizon=1.0,
    )
    for problem, cells in ((circle, 128), (wall, 64)):
        coefficient = []
        for step in (0.5, 0.1):
            run = wg.solve(problem, wg.JKO(step=step, shape=cells, method="entropic"))
            law = run.measure(-1)
            coefficient.append(2 * law.mass @ np.cos(mode * law.points[:, 0]))
        expected = 0.5 * np.exp(-0.3 * mode**2)
        np.testing.assert_allclose(coefficient, expected, rtol=1e-8)


def test_the_uniform_law_stays_at_the_walls() -> None:
    problem = wg.Problem(
        energy=wg.Entropy(1.0),
        domain=wg.Domain(wg.Interval(0, 1), wg.Circle(1.0, 0.0)),
        initial=wg.Uniform((0, 0), (1, 1)),
        horizon=0.1,
    )
    run = wg.solve(problem, wg.JKO(step=0.01, shape=(40, 30)))
    # The kernel is 5.7 cells wide or more: sampling it at the centres is exact to rounding.
    np.testing.assert_allclose(run.measure(-1).density, 1.0, rtol=1e-12)


def test_dissipation_is_the_rate_at_which_the_energy_falls() -> None:
    """-dF/dt between saves tends to the dissipation, first order in the step."""
    errors = []
    for step in (0.1, 0.05):
        problem = network(temperature=0.1).save_every(0.1)
        run = wg.solve(problem, wg.JKO(step=step, shape=(80, 80)))
        middle = slice(4, 7)
        total = run.energy["total"]
        fall = -(total[5:8] - total[3:6]) / (run.time[5:8] - run.time[3:6])
        errors.append(np.abs(fall / run.dissipation[middle] - 1).max())
    assert errors[1] < 0.04
    assert errors[1] < 0.7 * errors[0]


def test_the_predictions_solve_the_implicit_equation() -> None:
    """A step with a tight tolerance and one with the default agree to the default."""
    tight = wg.solve(network(), wg.JKO(step=0.5, shape=(40, 40), tolerance=1e-13))
    usual = wg.solve(network(), wg.JKO(step=0.5, shape=(40, 40)))
    difference = np.abs(tight.prediction - usual.prediction).max()
    assert difference < 1e-7


def test_a_schedule_rescales_time() -> None:
    """With xi = 2 the flow reaches at T what it reaches at 2 T without."""
    plain = network(horizon=1.0)
    fast = dataclasses.replace(plain, horizon=0.5, save_times=(0.25,), schedule=lambda time: 2.0)
    slow_run = wg.solve(plain, wg.JKO(step=0.5, shape=(40, 40)))
    fast_run = wg.solve(fast, wg.JKO(step=0.25, shape=(40, 40)))
    np.testing.assert_allclose(fast_run.risk, slow_run.risk, rtol=1e-9)
    np.testing.assert_allclose(fast_run.dissipation, 2 * slow_run.dissipation, rtol=1e-7)


def test_weighted_samples_count_as_often_as_they_weigh() -> None:
    """Weights (2/3, 1/3) on two samples are the plain mean over three with one repeated."""
    x, y = np.array([-1.0, 1.5]), np.array([0.5, -0.2])
    weighted = wg.Data(x, y, np.array([2, 1]) / 3)
    repeated = wg.Data(x[[0, 0, 1]], y[[0, 0, 1]])
    risks = []
    for data in (weighted, repeated):
        energy = wg.Risk(data, wg.Neuron("tanh")) + wg.Entropy(0.1)
        box = wg.Domain(wg.Interval(-4, 4), wg.Interval(-4, 4))
        problem = wg.Problem(energy, box, wg.Gaussian((0.0, 0.5), 1.0), 1.0, save_times=(0.5,))
        risks.append(wg.solve(problem, wg.JKO(step=0.5, shape=(32, 32))).risk)
    np.testing.assert_allclose(risks[0], risks[1], rtol=1e-7)


def test_inner_iterations_that_do_not_converge_end_the_run() -> None:
    run = wg.solve(network(), wg.JKO(step=0.5, shape=(40, 40), max_iterations=2))
    assert run.status == "not_converged"
    assert "max_iterations" in run.reason
    assert len(run.time) == 1


def test_a_kernel_narrower_than_its_cells_is_refused_with_values_that_work() -> None:
    problem = well(temperature=0.01)
    with pytest.raises(wg.InputError, match=r"must span at least 0.75 cells; use ") as error:
        wg.solve(problem, wg.JKO(step=0.02, shape=64, method="entropic"))
    cells = int(str(error.value).split("at least ")[-1].split(" cells")[0])
    wg.JKO(step=0.02, shape=cells, method="entropic").prepare(problem, 0, wg.Context())
    with pytest.raises(wg.InputError):
        wg.JKO(step=0.02, shape=cells - 1, method="entropic").prepare(problem, 0, wg.Context())


def test_a_step_cut_by_the_save_times_is_named() -> None:
    problem = well(temperature=0.01).save_every(0.01)
    message = r"cut to divide the time between two saves.*store results every 0.\d+ "
    with pytest.raises(wg.InputError, match=message) as error:
        wg.solve(problem, wg.JKO(step=0.5, shape=128, method="entropic"))
    apart = float(str(error.value).split("every ")[1].split(" ")[0])
    wg.JKO(step=apart, shape=128).prepare(problem.save_every(apart), 0, wg.Context())


@pytest.mark.parametrize("saves", [(), (0.13, 0.5, 0.77), (0.3, 0.6, 0.9)])
@pytest.mark.parametrize("error_tolerance", [None, 1e-2])
def test_the_step_that_a_refusal_names_works(saves: tuple, error_tolerance: float | None) -> None:
    """With save times that cut steps, unequal axes and a schedule; the numbers of cells, too."""
    box = wg.Domain(wg.Interval(-3, 3), wg.Interval(-5, 7))
    energy = wg.Potential.quadratic((1.0, 1.0)) + wg.Entropy(0.2)
    given = {"schedule": lambda time: 1 + time, "save_times": saves}
    problem = wg.Problem(energy, box, wg.Gaussian((0.0, 0.0), 1.0), 1.0, **given)

    def prepare(problem: wg.Problem, step: float, shape: tuple[int, int]) -> None:
        settings = {"method": "balanced", "error_tolerance": error_tolerance}
        wg.JKO(step=step, shape=shape, **settings).prepare(problem, 0, wg.Context())

    with pytest.raises(wg.InputError) as error:
        prepare(problem, 0.03, (30, 36))
    words = str(error.value).split("; ")[1]
    cells = [int(part.split(" cells")[0]) for part in words.split("at least ")[1:]]
    assert len(cells) == 2
    prepare(problem, 0.03, tuple(cells))
    step = float(words.split("step=")[1].split(" ")[0])
    if "store" in words:
        problem = problem.save_every(step)
    prepare(problem, step, (30, 36))


def test_a_refusal_names_no_step_longer_than_the_run() -> None:
    with pytest.raises(wg.InputError, match=r"must span at least 0.75 cells; use at least \d+"):
        wg.solve(well(temperature=1e-4), wg.JKO(step=1.0, shape=16, method="entropic"))


def test_refusals() -> None:
    line = wg.Problem(
        wg.Potential.quadratic((1.0,)) + wg.Entropy(0.2),
        wg.Domain(wg.WholeLine(), names=("z",)),
        wg.Gaussian(),
        1.0,
    )
    for shape in (64, None):
        with pytest.raises(wg.InputError, match="Axis 'z' is unbounded"):
            wg.solve(line, wg.JKO(step=0.1, shape=shape))
    with pytest.raises(wg.InputError, match="needs a temperature above 0"):
        wg.solve(well(temperature=0.0), wg.JKO(method="entropic"))
    with pytest.raises(wg.InputError, match="has 2 entries"):
        wg.solve(well(), wg.JKO(shape=(10, 10)))
    for settings in ({"step": 0}, {"step": "x"}, {"shape": (0,)}, {"tolerance": -1}):
        with pytest.raises(wg.InputError, match="must be"):
            wg.JKO(**settings)


def test_the_default_shape_is_accepted() -> None:
    for problem in (well(), network()):
        run = wg.solve(problem, wg.JKO(step=0.5))
        assert run.status == "finished"


@pytest.mark.parametrize("step", [2.0, 8.0, 1000.0])
def test_steps_of_any_length_converge_and_stay_above_the_minimum(step: float) -> None:
    """The inner iteration is made for short and for long steps; a very long one is a jump."""
    problem = network(temperature=0.1)
    problem = dataclasses.replace(problem, horizon=2 * step, save_times=(step,))
    run = wg.solve(problem, wg.JKO(step=step, shape=(48, 48)))
    assert run.status == "finished", run.reason
    assert run.statistics["inner_iterations"] <= 2 * 40
    best = wg.certificate(problem, run.measure(-1)).minimum
    assert (run.energy["total"] >= best).all()
    assert run.energy["total"][1] < run.energy["total"][0]


@pytest.mark.slow
def test_three_dimensions_follow_the_closed_form() -> None:
    """A Gaussian in a well on 64^3 cells: mean and variance of the entropic steps, to 1e-8."""
    step, steps, stiffness = 0.25, 4, (1.0, 2.0, 0.5)
    problem = wg.Problem(
        wg.Potential.quadratic(stiffness) + wg.Entropy(0.2),
        wg.Domain(*(wg.Interval(-5, 5) for _ in stiffness)),
        wg.Gaussian((0.5, -0.4, 0.0), 0.6),
        step * steps,
        save_times=(0.0,),
    )
    run = wg.solve(problem, wg.JKO(step, (64, 64, 64), method="entropic"))
    before, after = run.measure(0), run.measure(-1)
    for axis, k in enumerate(stiffness):
        found = []
        for law in (before, after):
            centre, mass = law.centres[axis], law.marginal(axis)
            mean = mass @ centre
            found.append((mean, mass @ (centre - mean) ** 2))
        (mean, variance), reached = found
        for _ in range(steps):
            mean = mean / (1 + k * step)
            variance = entropic_jko_variance(variance, k, 0.2, step)
        assert reached == pytest.approx((mean, variance), abs=1e-8)
    assert run.mass[-1] == pytest.approx(1, abs=1e-12)
