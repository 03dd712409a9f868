"""Laws that every solver on a grid obeys: one limit, one certificate, mass, sign, decay."""

import dataclasses

import numpy as np
import pytest
from conftest import network
from hypothesis import given, settings, strategies as st

import wgflow as wg
from wgflow.optimality import Dual

SQUARE = {
    "entropic": wg.JKO(0.5, (40, 40), method="entropic"),
    "balanced": wg.JKO(0.5, (40, 40), method="balanced"),
    "balanced, order 2": wg.JKO(0.5, (40, 40), method="balanced", time_order=2),
    "back-and-forth": wg.JKO(0.5, (40, 40), method="back-and-forth"),
    "finite volumes": wg.FiniteVolume(0.5, (40, 40)),
    "finite volumes, order 2": wg.FiniteVolume(0.5, (40, 40), time_order=2),
}


def classes(loss: str) -> wg.Problem:
    """Return a network that tells points inside a circle from those outside."""
    generator = np.random.default_rng(2)
    x = generator.uniform(-2, 2, (30, 1))
    inside = np.abs(x[:, 0]) < 1
    if loss == "softmax":
        neuron, y = wg.Neuron("relu", outer=2), np.stack([inside, ~inside], axis=1).astype(float)
    else:
        neuron, y = wg.Neuron("tanh"), np.where(inside, 1.0, -1.0)[:, np.newaxis]
    axes = 2 if loss == "logistic" else 3
    box = wg.Domain(*(wg.Interval(-4, 4) for _ in range(axes)))
    energy = wg.Risk(wg.Data(x, y), neuron, loss=loss, scale=2.0)
    energy = energy + wg.Potential.quadratic((0.1,) * axes) + wg.Entropy(0.1)
    return wg.Problem(energy, box, wg.Gaussian((0.2,) * axes, 0.8), 2.0, save_times=(1.0,))


def repelling() -> wg.Problem:
    """Return particles on a torus that repel each other by a kernel of positive type."""

    def kernel(x: np.ndarray) -> np.ndarray:
        return np.exp(np.cos(x)).prod(axis=1)

    def gradient(x: np.ndarray) -> np.ndarray:
        return -np.sin(x) * kernel(x)[:, np.newaxis]

    energy = wg.Interaction(kernel, gradient) + wg.Entropy(0.2)
    energy = energy + wg.Potential(
        lambda x: np.cos(x[:, 0]), lambda x: np.stack([-np.sin(x[:, 0]), 0 * x[:, 0]], axis=1)
    )
    torus = wg.Domain(wg.Circle(), wg.Circle())
    law = wg.Density(
        lambda x: 1 + 0.8 * np.cos(x[:, 0] - 1) * np.sin(x[:, 1]), [-np.pi] * 2, [np.pi] * 2
    )
    return wg.Problem(energy, torus, law, 1.0, save_times=(0.5,))


def certified(problem: wg.Problem, run: wg.Run) -> None:
    """Identity and sandwich at every save, to rounding."""
    dual = Dual(problem.energy, run.measure(0).edges)
    best = dual.maximise()
    log_best = np.log(best.measure.mass_on_grid)
    assert dual.gap(best.measure.mass_on_grid) <= 1e-12
    for k in range(len(run.time)):
        mass = run.measure(k).mass_on_grid
        value = run.energy["total"][k]
        size = max(1.0, abs(value))
        lower = dual.value(dual.on_grid.couple(mass))
        assert value - lower == pytest.approx(run.gap[k], abs=3e-13 * max(size, abs(lower)))
        inside = mass > 0
        apart = (mass[inside] * (np.log(mass[inside]) - log_best[inside])).sum()
        excess = value - run.minimum[k]
        assert problem.temperature * apart - 1e-12 <= excess <= run.gap[k] + 1e-12
        assert run.minimum[k] == pytest.approx(best.value, abs=1e-13)
        assert abs(run.mass[k] - 1) <= 1e-12
        assert mass.min() >= 0


@pytest.mark.parametrize("name", SQUARE)
def test_every_solver_is_certified_at_every_save(name: str) -> None:
    problem = network(temperature=0.1, horizon=2.0)
    run = wg.solve(problem, SQUARE[name])
    assert run.status == "finished", run.reason
    certified(problem, run)
    assert run.energy["total"][-1] < run.energy["total"][0]


@pytest.mark.parametrize("case", ["ornstein-uhlenbeck", "tanh-network", "motorcycle"])
@pytest.mark.parametrize("solver", ["jko", "finite-volume"])
def test_every_grid_case_is_certified_at_every_save(case: str, solver: str) -> None:
    problem = wg.get_case(case).until(1.0)
    settings = wg.find_case(case).solvers[solver]
    if case == "ornstein-uhlenbeck" and solver == "jko":
        settings = dataclasses.replace(settings, method="balanced")  # cells of one grid
    certified(problem, wg.solve(problem, settings))


def test_moving_cells_are_certified_at_every_save() -> None:
    """Each save has a grid of its own, with its own minimum."""
    problem = wg.get_case("tanh-network", outer="fixed")
    run = wg.solve(problem, wg.JKO(0.25, 128))
    for k in range(len(run.time)):
        law = run.measure(k)
        found = wg.certificate(problem, law)
        assert found.value == pytest.approx(run.energy["total"][k], abs=1e-13)
        assert found.gap == pytest.approx(run.gap[k], abs=1e-13)
        assert found.minimum == pytest.approx(run.minimum[k], abs=1e-13)
        assert 0 <= found.value - found.minimum <= found.gap
    assert not np.array_equal(run.measure(0).edges[0], law.edges[0])
    assert (np.diff(run.energy["total"]) < 0).all()


def test_the_certificate_of_a_narrow_law_on_a_line_covers_its_window() -> None:
    """Cells that move with a narrow law leave room for the minimiser, which counts all the same."""
    line = wg.Domain(wg.WholeLine(window=(-3, 3)))
    energy = wg.Potential.quadratic((1.0,)) + wg.Entropy(0.1)
    problem = wg.Problem(energy, line, wg.Uniform(-0.01, 0.01), 0.003)
    run = wg.solve(problem, wg.JKO(1e-3, 256))
    free = -0.1 * np.log(np.sqrt(2 * np.pi * 0.1))
    assert run.measure(-1).edges[0][-1] < 1
    np.testing.assert_allclose(run.minimum, free, atol=1e-4)
    assert (run.gap >= run.energy["total"] - run.minimum - 1e-12).all()
    assert wg.certificate(problem, run.measure(-1)).minimum == pytest.approx(run.minimum[-1])


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_classification_by_every_method_of_its_dimension(loss: str) -> None:
    """Values at the end agree as the steps allow, and F falls."""
    problem, ends = classes(loss), []
    shape = (32,) * problem.domain.dimension
    for solver in (
        wg.JKO(0.25, shape, method="entropic"),
        wg.JKO(0.25, shape, method="balanced"),
        wg.FiniteVolume(0.05, shape),
    ):
        run = wg.solve(problem, solver)
        assert run.status == "finished", run.reason
        assert (np.diff(run.energy["total"]) < 0).all()
        certified(problem, run)
        ends.append(run.energy["total"][-1])
    fall = run.energy["total"][0] - run.minimum[0]
    assert np.ptp(ends) < 0.02 * fall


def test_interactions_on_a_torus_by_every_method() -> None:
    problem, ends = repelling(), []
    for solver in (
        wg.JKO(0.05, (36, 36), method="entropic"),
        wg.JKO(0.05, (36, 36), method="balanced"),
        wg.FiniteVolume(0.025, (36, 36)),
    ):
        run = wg.solve(problem, solver)
        assert run.status == "finished", run.reason
        certified(problem, run)
        ends.append(run.energy["total"][-1])
    assert np.ptp(ends) < 0.02 * (run.energy["total"][0] - run.minimum[0])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**16),
    temperature=st.sampled_from([0.03, 0.1, 0.5]),
    exponent=st.floats(-3, 3),
)
def test_back_and_forth_steps_never_raise_the_energy(
    seed: int, temperature: float, exponent: float
) -> None:
    """Random networks, temperatures and steps in [1e-3, 1e3]."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(-2, 2, 12)
    data = wg.Data(x, generator.standard_normal(12))
    energy = wg.Risk(data, wg.Neuron("tanh")) + wg.Potential.quadratic((0.1, 0.1))
    step = 10.0**exponent
    problem = wg.Problem(
        energy + wg.Entropy(temperature),
        wg.Domain(wg.Interval(-4, 4), wg.Interval(-4, 4)),
        wg.Gaussian((0.3, 0.0), 0.9),
        2 * step,
        save_times=(step,),
    )
    run = wg.solve(problem, wg.JKO(step, (24, 24), method="back-and-forth"))
    assert run.status == "finished", run.reason
    assert np.abs(run.mass - 1).max() <= 1e-12
    assert (np.diff(run.energy["total"]) <= 1e-11).all()
    assert all(run.measure(k).mass.min() >= 0 for k in range(len(run.time)))
