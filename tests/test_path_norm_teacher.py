"""Path-norm teacher: its energy, the certified minimum, and the way of J towards it."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad

import wgflow as wg
from wgflow.cases import path_norm_teacher as case
from wgflow.exact import path_norm
from wgflow.optimality import certificate


@pytest.fixture(scope="module")
def run() -> wg.Run:
    problem = dataclasses.replace(case.problem(horizon=60.0), save_times=tuple(range(0, 60, 2)))
    return wg.solve(problem, case.SOLVERS["particles"])


def test_the_kernel_is_a_mean_over_the_circle() -> None:
    for angle in (0.0, 0.7, 2.0, 3.0, -1.2):
        mean = quad(
            lambda v, t=angle: max(np.cos(v), 0) * max(np.cos(v - t), 0),
            -np.pi,
            np.pi,
            points=[-np.pi / 2, np.pi / 2],
            limit=200,
        )[0]
        # |x|^2 is 2 on average.
        assert path_norm.kernel(np.array(angle)) == pytest.approx(2 * mean / (2 * np.pi), abs=1e-6)


@pytest.mark.parametrize("derivative", [1, 2])
def test_derivatives_of_the_kernel(derivative: int) -> None:
    angle = np.array([0.3, 1.5, 2.9, -0.4, 4.0])
    sides = [path_norm.kernel(angle + h, derivative - 1) for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(
        path_norm.kernel(angle, derivative), (sides[0] - sides[1]) / 2e-6, atol=1e-8
    )


def test_the_path_norm_and_its_gradient() -> None:
    term = path_norm.penalty(0.3)
    theta = np.random.default_rng(0).normal(size=(20, 3))
    law = wg.Particles(theta)
    coupling = term.couple(law)
    length = np.linalg.norm(theta[:, 1:], axis=1)
    assert term.value(coupling) == pytest.approx(0.3 * np.mean(np.abs(theta[:, 0]) * length))
    gradient = term.gradient(theta, coupling)
    for axis, step in enumerate(1e-6 * np.eye(3)):
        sides = [term.first_variation(theta + sign * step, coupling) for sign in (1, -1)]
        np.testing.assert_allclose(gradient[:, axis], (sides[0] - sides[1]) / 2e-6, atol=1e-8)
    assert np.isfinite(term.gradient(np.zeros((1, 3)), coupling)).all()


def test_the_minimum_is_stationary_and_certified() -> None:
    for penalty in (0.05, 0.1, 0.2):
        best = path_norm.optimum(penalty)
        np.testing.assert_allclose(
            best.variation(best.angles), -penalty * np.sign(best.masses), atol=1e-8
        )
        np.testing.assert_allclose(best.variation(best.angles, 1), 0, atol=1e-8)
        everywhere = np.abs(best.variation(np.linspace(-np.pi, np.pi, 5001)))
        assert everywhere.max() <= penalty * (1 + 1e-7)


def test_the_energy_of_the_problem_is_that_of_the_kernel() -> None:
    """At the three neurons of the minimum; where the kinks lie between nodes is at random."""
    best = path_norm.optimum()
    law = best.law
    np.testing.assert_allclose(law.mass @ law.points[:, 0] ** 2, np.abs(best.masses).sum())
    for nodes in (100, 400, 1600):
        energy = case.problem(nodes=nodes).energy
        value = sum(energy.values(law, energy.couple(law)).values())
        assert value == pytest.approx(best.value, abs=1 / nodes**2)


def test_energy_falls_and_neurons_stay_balanced(run: wg.Run) -> None:
    assert run.status == "finished"
    assert np.diff(run.energy["total"]).max() < 0
    theta = run.measure(-1).points
    length = np.linalg.norm(theta[:, 1:], axis=1)
    np.testing.assert_allclose(np.abs(theta[:, 0]), length, atol=5e-3)
    # A step may carry a neuron that dies a little across 0.
    alive = length > 0.05
    start = run.measure(0).points[:, 0]
    assert (np.sign(theta[alive, 0]) == np.sign(start[alive])).all()


def test_the_gap_bounds_the_excess_and_falls_with_it(run: wg.Run) -> None:
    problem = case.problem()
    excess = run.energy["total"] - path_norm.optimum().value + 1e-6
    gaps = []
    for save in (2, 10, 30):
        gaps.append(certificate(problem, run.measure(save), shape=(20, 20, 20)).gap)
        assert gaps[-1] >= excess[save] - 2e-6
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]


def test_the_path_norm_acts_as_a_ridge_on_balanced_neurons() -> None:
    """|a| |w| = (|a|^2 + |w|^2)/2 where |a| = |w|; steps keep that to their order."""
    problem = case.problem(horizon=2.0)
    ridge = problem.energy.risk + wg.Potential.quadratic((0.1, 0.1, 0.1))
    other = dataclasses.replace(problem, energy=ridge)
    one, two = (wg.solve(p, wg.ParticleFlow(count=100, step=0.01)) for p in (problem, other))
    difference = one.measure(-1).points - two.measure(-1).points
    assert np.abs(difference).max() < 2e-4


def test_parameters_are_checked() -> None:
    with pytest.raises(wg.InputError, match="parameter penalty is 0"):
        case.problem(penalty=0)
    with pytest.raises(wg.InputError, match="parameter nodes is 4"):
        case.problem(nodes=4)
    with pytest.raises(wg.InputError, match="parameter start is -1"):
        case.problem(start=-1)
