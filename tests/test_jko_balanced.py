"""Laws of the balanced entropic step: what it keeps, what it lowers, and how exact it is."""

import dataclasses
import itertools

import numpy as np
import pytest
from conftest import moments, network, well
from hypothesis import given, settings, strategies as st

import wgflow as wg
from wgflow.optimality import Dual
from wgflow.solver import State
from wgflow.solvers.heat_kernel import HeatKernel
from wgflow.solvers.jko_balanced import BalancedScheme

ANY_STEP = [1e-3, 0.1, 1.0, 30.0, 1e3]
orders = pytest.mark.parametrize("time_order", [1, 2])


def balanced(
    problem: wg.Problem,
    shape: int | tuple[int, ...],
    time_order: int = 1,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 300,
) -> BalancedScheme:
    edges = problem.domain.grid(shape if isinstance(shape, tuple) else (shape,))
    return BalancedScheme(
        problem,
        edges,
        tolerance=tolerance,
        max_iterations=max_iterations,
        time_order=time_order,
    )


def march(scheme: BalancedScheme, step: float, count: int) -> list[State]:
    """The states at the ends of `count` steps, and the initial one."""
    states = [scheme.initial()]
    with wg.Context().held():
        for index in range(count):
            outcome = scheme.advance(states[-1], index * step, index, step)
            assert outcome.status == "ok", outcome.reason
            states.append(outcome.state)
    return states


def masses(state: State) -> np.ndarray:
    return np.exp(state["log_mass"])


def energies(scheme: BalancedScheme, states: list[State]) -> np.ndarray:
    return np.array([scheme.on_grid.value(masses(state)) for state in states])


@st.composite
def networks(draw: st.DrawFn, losses: tuple[str, ...]) -> wg.Problem:
    """Random networks, temperatures, domains and initial laws."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    loss = draw(st.sampled_from(losses))
    samples = draw(st.integers(1, 15))
    x, y = random.uniform(-2, 2, samples), random.normal(size=samples)
    activation = draw(st.sampled_from(["tanh", "relu", "sigmoid"]))
    data = wg.Data(x, np.sign(y) if loss == "logistic" else y)
    energy = wg.Risk(data, wg.Neuron(activation), loss=loss)
    energy = energy + wg.Potential.quadratic((0.05, 0.1), "ridge")
    energy = energy + wg.Entropy(10 ** draw(st.floats(-1.5, 0.5)))
    second = draw(st.sampled_from([wg.Interval(-4, 4), wg.Circle(8.0, -4.0)]))
    initial = wg.Gaussian(tuple(random.uniform(-2, 2, 2)), random.uniform(0.3, 1.5))
    return wg.Problem(energy, wg.Domain(wg.Interval(-4, 4), second), initial, 1.0)


def check_that_energy_falls(problem: wg.Problem, step: float, time_order: int) -> None:
    scheme = balanced(problem, (20, 22), time_order)
    states = march(scheme, step, 3)
    assert np.diff(energies(scheme, states)).max() <= 1e-11
    assert all(abs(masses(state).sum() - 1) <= 1e-12 for state in states)
    assert all(masses(state).min() >= 0 for state in states)


@given(networks(("half_squared", "squared", "logistic")), st.floats(-3, 3))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_energy_never_rises_with_a_convex_risk(problem: wg.Problem, exponent: float) -> None:
    """At the end-point, for any step; mass is exact and densities are positive."""
    check_that_energy_falls(problem, 10**exponent, 1)


@given(networks(("half_squared",)), st.floats(-3, 3))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_energy_never_rises_at_the_midpoint(problem: wg.Problem, exponent: float) -> None:
    """With the half-squared loss the mean coupling is an exact discrete gradient."""
    check_that_energy_falls(problem, 10**exponent, 2)


@orders
@pytest.mark.parametrize("step", ANY_STEP)
def test_the_gibbs_law_of_a_potential_stays(step: float, time_order: int) -> None:
    energy = wg.Potential(lambda x: (x[:, 0] ** 2 - 1) ** 2, lambda x: 4 * x * (x**2 - 1))
    line = wg.Domain(wg.Interval(-2.5, 2.5))
    problem = wg.Problem(energy + wg.Entropy(0.1), line, wg.Gaussian(0.0, 0.5), 1.0)
    scheme = balanced(problem, 200, time_order)
    gibbs = np.exp(-scheme.on_grid.potential / 0.1)
    state = scheme.state_at(gibbs / gibbs.sum())
    moved = scheme.advance(state, 0.0, 0, step).state
    assert scheme.difference(state, moved) <= 1e-12


@orders
@pytest.mark.parametrize("step", ANY_STEP)
def test_the_optimal_law_of_a_network_stays(step: float, time_order: int) -> None:
    """A network's Gibbs law, which depends on the law itself, stays to the tolerance on z.

    The dual has its maximum, and so rho*, to the square root of rounding only: 6e-12 here.
    """
    problem = network()
    scheme = balanced(problem, (36, 36), time_order, tolerance=1e-12)
    best = Dual(problem.energy, scheme.edges).maximise().measure.mass_on_grid
    exact = balanced(problem, (36, 36), 1, tolerance=1e-12)
    state = exact.advance(exact.state_at(best), 0.0, 0, 1e3).state
    assert scheme.difference(scheme.state_at(best), state) <= 1e-10
    moved = scheme.advance(state, 0.0, 0, step).state
    assert scheme.difference(state, moved) <= 1e-12


@pytest.mark.parametrize("step", [0.02, 0.1, 0.5, 2.0])
def test_an_ornstein_uhlenbeck_step_is_the_exact_flow_of_another_time(step: float) -> None:
    """Mean and variance contract by c = sqrt(1 + k^2 tau^2) - k tau, to 1e-10."""
    stiffness, temperature = 1.5, 0.2
    problem = well(stiffness=stiffness, temperature=temperature)
    scheme = balanced(problem, 512, tolerance=1e-13)
    first, second = march(scheme, step, 1)
    mean, variance = moments(scheme.observe(first).measure)
    c = np.sqrt(1 + (stiffness * step) ** 2) - stiffness * step
    found = moments(scheme.observe(second).measure)
    assert found[0] == pytest.approx(c * mean, abs=1e-10)
    expected = c**2 * variance + (1 - c**2) * temperature / stiffness
    assert found[1] == pytest.approx(expected, abs=1e-10)


def test_second_order_in_the_step_at_the_midpoint() -> None:
    """Order at least 1.8 of the energy and 1.9 of the law on the standard network."""
    problem = wg.get_case("tanh-network")
    ends, values = [], []
    for count in (8, 16, 32):
        scheme = balanced(problem, (112, 112), 2)
        ends.append(march(scheme, 4.0 / count, count)[-1])
        values.append(energies(scheme, ends[-1:])[0])
    gaps = np.abs(np.diff(values))
    distances = [scheme.difference(*pair) for pair in itertools.pairwise(ends)]
    assert np.log2(gaps[0] / gaps[1]) >= 1.8
    assert np.log2(distances[0] / distances[1]) >= 1.9


@pytest.mark.parametrize("decay", [0.1, 1.0, 20.0])
def test_a_linear_neuron_decays_exactly_in_a_step_of_second_order(decay: float) -> None:
    """Far from walls its mean m obeys m' = -s^2 E x^2 (m - m*): exp(-decay) in a step, no rings."""
    step, root = 0.2, 1.5
    x = np.array([-1.0, 1.0])
    scale = np.sqrt(decay / step)
    energy = wg.Risk(wg.Data(x, scale * root * x), wg.Neuron("linear", outer="fixed"), scale=scale)
    line = wg.Domain(wg.Interval(-10, 10))
    problem = wg.Problem(energy + wg.Entropy(0.1), line, wg.Gaussian(1.3, 0.4), 1.0)
    scheme = balanced(problem, 400, 2, tolerance=1e-12)
    first, second = (moments(scheme.observe(state).measure)[0] for state in march(scheme, step, 1))
    assert second - root == pytest.approx((first - root) * np.exp(-decay), abs=1e-9)


def test_steps_of_second_order_do_not_ring_on_a_stiff_risk() -> None:
    """Two and four steps lead to nearly the same risk; with Theta = 1/2 they are far apart."""
    risks = []
    for count in (2, 4):
        scheme = balanced(wg.get_case("motorcycle"), (144, 76), 2)
        state = march(scheme, 1.0 / count, count)[-1]
        coupling = scheme.on_grid.couple(masses(state))
        risks.append(scheme.on_grid.coupled_value(coupling))
    assert risks[0] == pytest.approx(risks[1], rel=0.05)


def test_first_order_in_the_step_at_the_end_point() -> None:
    problem = network(temperature=0.2)
    ends = []
    for count in (4, 8, 16):
        scheme = balanced(problem, (64, 64))
        ends.append(march(scheme, 1.0 / count, count)[-1])
    distances = [scheme.difference(*pair) for pair in itertools.pairwise(ends)]
    assert np.log2(distances[0] / distances[1]) > 0.85


@orders
def test_a_step_takes_at_most_thirty_applications_of_the_kernel(
    time_order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the standard network with 112 cells an axis and steps of 0.5."""
    count = 0
    apply = HeatKernel.apply

    def counted(kernel: HeatKernel, log_values: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return apply(kernel, log_values)

    problem = wg.get_case("tanh-network")
    monkeypatch.setattr(HeatKernel, "apply", counted)
    march(balanced(problem, (112, 112), time_order), 0.5, 8)
    assert count / 8 <= 30


@pytest.mark.parametrize("step", [5.0, 30.0, 1e3])
def test_a_long_run_ends_at_the_minimum(step: float) -> None:
    """There is no stationary bias: F ends at F* for any step."""
    problem = network(temperature=0.1)
    scheme = balanced(problem, (32, 32))
    states = march(scheme, step, 150 if step == 5.0 else 40)
    best = Dual(problem.energy, scheme.edges).maximise().value
    assert energies(scheme, states[-1:])[0] == pytest.approx(best, abs=1e-10)


def test_a_narrow_kernel_and_an_empty_cell_are_no_trouble() -> None:
    """Where nothing is, log masses stand for zero; a kernel narrower than a cell moves little."""
    problem = dataclasses.replace(well(), initial=wg.Uniform((0.0,), (1.0,)))
    scheme = balanced(problem, 64)
    states = march(scheme, 1e-3, 2)
    assert np.isfinite(states[-1]["log_mass"]).all()
    assert masses(states[-1]).sum() == pytest.approx(1.0, abs=1e-12)
    assert np.diff(energies(scheme, states)).max() <= 1e-11


def test_extrapolation_of_steps_gains_an_order_and_stays_positive() -> None:
    problem = network(temperature=0.3)
    scheme = balanced(problem, (48, 48))
    reference = march(balanced(problem, (48, 48), 2), 0.05, 8)[-1]
    whole, halved = march(scheme, 0.4, 1)[-1], march(scheme, 0.2, 2)[-1]
    state = scheme.extrapolated(whole, halved)
    assert masses(state).sum() == pytest.approx(1.0, abs=1e-12)
    assert masses(state).min() > 0
    assert scheme.difference(state, reference) < scheme.difference(halved, reference) / 4
    assert scheme.advance(state, 0.4, 1, 0.2).status == "ok"


def test_advancing_changes_neither_the_state_nor_the_next_bits() -> None:
    scheme = balanced(network(), (24, 24), 2)
    state = march(scheme, 0.3, 3)[-1]
    copy = {key: value.copy() for key, value in state.items()}
    first = scheme.advance(state, 0.9, 3, 0.3).state
    assert all(np.array_equal(state[key], copy[key]) for key in state)
    again = balanced(network(), (24, 24), 2).advance(copy, 0.9, 3, 0.3).state
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_too_few_iterations_are_reported() -> None:
    scheme = balanced(network(), (24, 24), max_iterations=2)
    outcome = scheme.advance(scheme.initial(), 0.0, 0, 0.5)
    assert outcome.status == "not_converged"
    assert "max_iterations" in outcome.reason
