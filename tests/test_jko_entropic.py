"""Laws of the entropic step: closed forms, debiasing, its own functional, and its inner work."""

import math

import numpy as np
import pytest
from conftest import moments, network, well
from scipy.optimize import brentq

import wgflow as wg
from wgflow.solver import State
from wgflow.solvers.jko_entropic import EntropicScheme

regularisations = pytest.mark.parametrize("regularisation", [2.0, 1.0, 0.5])


def entropic(
    problem: wg.Problem, shape: int | tuple[int, ...], regularisation: float = 2.0
) -> EntropicScheme:
    edges = problem.domain.grid(shape if isinstance(shape, tuple) else (shape,))
    return EntropicScheme(
        problem, edges, tolerance=1e-8, max_iterations=200, regularisation=regularisation
    )


def march(scheme: EntropicScheme, step: float, count: int) -> tuple[State, list[int]]:
    """The last state, and how often each step evaluated its pair of kernels."""
    state, evaluations = scheme.initial(), []
    with wg.Context().held():
        for index in range(count):
            outcome = scheme.advance(state, index * step, index, step)
            assert outcome.status == "ok", outcome.reason
            state = outcome.state
            evaluations.append(outcome.evaluations)
    return state, evaluations


def one_step(
    problem: wg.Problem, step: float, regularisation: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and variance before and after a step on 512 cells."""
    scheme = entropic(problem, 512, regularisation)
    before, after = scheme.initial(), march(scheme, step, 1)[0]
    return moments(scheme.observe(before).measure), moments(scheme.observe(after).measure)


def closed_variance(
    variance: float, stiffness: float, temperature: float, step: float, regularisation: float
) -> float:
    """The root of (1 - v0/c)/tau + k - alpha/v with c^2 + eps tau c - v v0 = 0."""
    epsilon = regularisation * temperature
    alpha = temperature - epsilon / 2

    def slope(v: float) -> float:
        half = epsilon * step / 2
        c = math.sqrt(half**2 + v * variance) - half
        return (1 - variance / c) / step + stiffness - alpha / v

    return float(brentq(slope, 1e-4, 50, xtol=1e-15, rtol=1e-14))


def wasserstein_variance(
    variance: float, stiffness: float, temperature: float, step: float
) -> float:
    """The variance after a step in the Wasserstein distance itself."""
    shrink = 1 + stiffness * step
    std = math.sqrt(variance)
    return ((std + math.sqrt(variance + 4 * temperature * step * shrink)) / (2 * shrink)) ** 2


@regularisations
@pytest.mark.parametrize("step", [0.05, 0.1, 0.5])
def test_a_step_obeys_its_closed_form(step: float, regularisation: float) -> None:
    """Mean and variance to 1e-8, for kernels of at least 1.2 cells."""
    temperature, stiffness = 0.2, 1.5
    assert math.sqrt(regularisation * temperature * step) >= 1.2 * 16 / 512
    problem = well(temperature=temperature, stiffness=stiffness)
    (mean, variance), found = one_step(problem, step, regularisation)
    expected = closed_variance(variance, stiffness, temperature, step, regularisation)
    assert found[0] == pytest.approx(mean / (1 + stiffness * step), abs=1e-8)
    assert found[1] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("regularisation", "expected"), [(2.0, 4.1e-3), (1.0, 1.0e-3), (0.5, 2.6e-4), (0.2, 4.1e-5)]
)
def test_less_regularisation_comes_closer_to_the_wasserstein_step(
    regularisation: float, expected: float
) -> None:
    """The relative error of the variance, with the square of epsilon."""
    problem = well(temperature=0.2, std=math.sqrt(0.3))
    (_, before), (_, after) = one_step(problem, 0.1, regularisation)
    error = after / wasserstein_variance(before, 1.0, 0.2, 0.1) - 1
    assert error == pytest.approx(expected, rel=0.05)


def functional(
    scheme: EntropicScheme, old: np.ndarray, log_scaling: np.ndarray, spread: float
) -> float:
    """The functional of a step at the coupling a(x) K(x, y) b(y) with b = old / K[a]."""
    kernel = scheme.kernel(spread)
    log_old = np.log(old)
    log_other = log_old - kernel.apply(log_scaling)
    log_new = log_scaling + kernel.apply(log_other)
    new = np.exp(log_new)
    relative = (new * log_scaling).sum() + (old * log_other).sum()
    energy = scheme.on_grid.coupled_value(scheme.on_grid.couple(new))
    energy += (new * scheme.on_grid.potential).sum()
    return float(scheme.epsilon * relative + energy + scheme.alpha * (new * log_new).sum())


@regularisations
@pytest.mark.parametrize("step", [0.3, 3.0, 300.0])
def test_a_step_minimises_its_own_functional(step: float, regularisation: float) -> None:
    """It is below that of diffusion alone, and no change of the coupling lowers it by 1e-11."""
    scheme = entropic(network(temperature=0.1), (32, 32), regularisation)
    state, _ = march(scheme, step, 2)
    new_state = scheme.advance(state, 2 * step, 2, step).state
    old, log_new = np.exp(state["log_mass"]), new_state["log_mass"]
    g = scheme.on_grid.first_variation(scheme.on_grid.couple(np.exp(log_new)))
    log_scaling = -(g + scheme.alpha * log_new) / scheme.epsilon
    value = functional(scheme, old, log_scaling, step)
    assert value <= functional(scheme, old, np.zeros_like(old), step) + 1e-11
    random = np.random.default_rng(0)
    for size in (1e-1, 1e-3, 1e-5):
        for _ in range(4):
            change = size * random.normal(size=old.shape)
            assert value <= functional(scheme, old, log_scaling + change, step) + 1e-11


@regularisations
def test_mass_is_exact(regularisation: float) -> None:
    scheme = entropic(network(temperature=0.2), (32, 32), regularisation)
    state, _ = march(scheme, 0.5, 20)
    assert abs(np.exp(state["log_mass"]).sum() - 1) <= 1e-12


def test_few_kernels_are_evaluated_in_a_step() -> None:
    """The motorcycle case takes at most 6 pairs of kernels a step (10.6 without a memory)."""
    problem = wg.get_case("motorcycle")
    scheme = entropic(problem, (144, 76))
    _, evaluations = march(scheme, 0.25, 80)
    assert np.mean(evaluations) <= 6


@pytest.mark.parametrize("step", [2.0, 16.0, 1000.0])
def test_a_long_first_step_is_reached_by_way_of_shorter_ones(step: float) -> None:
    """Far from the solution the iteration alone does not converge; 300-600 pairs were usual."""
    scheme = entropic(wg.get_case("motorcycle"), (144, 76))
    _, evaluations = march(scheme, step, 1)
    assert evaluations[0] <= 150


def test_the_memory_in_the_state_starts_later_steps_better() -> None:
    scheme = entropic(wg.get_case("motorcycle"), (144, 76))
    state, _ = march(scheme, 0.25, 10)
    fresh = scheme.advance(scheme.state_at(np.exp(state["log_mass"])), 2.5, 10, 0.25)
    remembered = scheme.advance(state, 2.5, 10, 0.25)
    assert remembered.evaluations <= fresh.evaluations - 3
    assert scheme.difference(fresh.state, remembered.state) < 1e-7


def test_regularisation_is_checked() -> None:
    for value in (0.0, -1.0, 2.5):
        with pytest.raises(wg.InputError, match="regularisation"):
            entropic(well(), 64, value)
