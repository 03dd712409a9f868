"""Laws of the JKO scheme in two dimensions with the exact Wasserstein distance."""

import numpy as np
import pytest
from conftest import network

import wgflow as wg
from wgflow.energy import Energy, Interaction, PowerEntropy
from wgflow.exact.barenblatt import drop, jko_radius
from wgflow.exact.gaussian import jko_std
from wgflow.solver import Scheme, State
from wgflow.solvers.jko_back_and_forth import BackAndForthScheme
from wgflow.solvers.jko_lagrangian import LagrangianScheme
from wgflow.solvers.step_doubling import StepDoubling


def box(half: float) -> wg.Domain:
    return wg.Domain(wg.Interval(-half, half), wg.Interval(-half, half))


def well(half: float = 6.0, stiffness: tuple[float, float] = (1.0, 1.0)) -> wg.Problem:
    """Return an Ornstein-Uhlenbeck flow from a Gaussian off its centre."""
    energy = wg.Potential.quadratic(stiffness) + wg.Entropy(0.2)
    law = wg.Gaussian((0.5, 0.0), (0.8**0.5, 0.3**0.5))
    return wg.Problem(energy, box(half), law, 1.0)


def scheme_for(
    problem: wg.Problem, cells: int | tuple[int, int], **settings: float
) -> BackAndForthScheme:
    shape = (cells, cells) if isinstance(cells, int) else cells
    usual = {"tolerance": 1e-9, "max_iterations": 60}
    return BackAndForthScheme(problem, problem.domain.grid(shape), **(usual | settings))


def masses(scheme: Scheme, state: State) -> np.ndarray:
    mass = scheme.observe(state).measure.mass_on_grid
    assert abs(mass.sum() - 1) <= 1e-12
    assert mass.min() >= 0
    return mass


def run(scheme: Scheme, step: float, count: int, state: State | None = None) -> State:
    state = scheme.initial() if state is None else state
    for index in range(count):
        outcome = scheme.advance(state, index * step, index, step)
        assert outcome.status == "ok", outcome.reason
        state = outcome.state
        masses(scheme, state)
    return state


def gaussian(scheme: BackAndForthScheme, mean: float, std: tuple[float, float]) -> np.ndarray:
    return wg.Gaussian((mean, 0.0), std).masses(scheme.edges)


def ornstein_uhlenbeck_error(cells: int, step: float = 0.1) -> float:
    scheme = scheme_for(well(), cells)
    found = masses(scheme, run(scheme, step, 1))
    std = tuple(jko_std(s**0.5, 1.0, 0.2, step) for s in (0.8, 0.3))
    return float(np.abs(found - gaussian(scheme, 0.5 / (1 + step), std)).sum())


def test_an_ornstein_uhlenbeck_step_is_the_exact_one() -> None:
    """In L1, order 2 in the cell width; the error of cell averages is all that is left."""
    errors = [ornstein_uhlenbeck_error(cells) for cells in (48, 96)]
    assert errors[1] <= 5e-4
    assert np.log2(errors[0] / errors[1]) > 1.9, errors


@pytest.mark.slow
def test_an_ornstein_uhlenbeck_step_on_a_fine_grid() -> None:
    assert ornstein_uhlenbeck_error(256) <= 1e-4


@pytest.mark.parametrize("step", [1e-3, 1.0, 1e3])
def test_the_energy_never_rises(step: float) -> None:
    """From a law that the walls cut, for steps of any length; the last one is at rest."""
    scheme = scheme_for(well(3.0), (48, 40))
    state = scheme.initial()
    before = scheme.on_grid.value(masses(scheme, state))
    for index in range(4):
        state = run(scheme, step, 1, state)
        after = scheme.on_grid.value(masses(scheme, state))
        assert after - before <= 1e-11, index
        before = after
    if step > 100:
        rest = np.exp(-scheme.on_grid.potential / 0.2)
        rest /= rest.sum()
        assert np.abs(masses(scheme, state) - rest).sum() < 1e-8


def test_the_gibbs_law_does_not_move() -> None:
    scheme = scheme_for(well(3.0, (1.0, 2.0)), (40, 32))
    rest = np.exp(-scheme.on_grid.potential / 0.2)
    rest /= rest.sum()
    state = {"density": rest / scheme.on_grid.volume}
    for step in (1e-3, 1.0, 1e3):
        assert np.abs(masses(scheme, run(scheme, step, 1, state)) - rest).sum() < 1e-12


@pytest.mark.parametrize("step", [1e-3, 0.5])
def test_a_network_descends_and_satisfies_its_implicit_equation(step: float) -> None:
    """F falls; phi + lambda log rho + g is constant at the new law, with g at the new law."""
    scheme = scheme_for(network(), 48, tolerance=1e-9)
    state = scheme.initial()
    energies = [scheme.on_grid.value(masses(scheme, state))]
    for _ in range(2):
        old, state = state, run(scheme, step, 1, state)
        energies.append(scheme.on_grid.value(masses(scheme, state)))
    assert (np.diff(energies) < -1e-6).all()
    new = masses(scheme, state)
    first_variation = scheme.on_grid.first_variation(scheme.on_grid.couple(new))
    # The same movement in the potential of the solution, for which nothing has to be found.
    values = first_variation.reshape(-1)
    potential = wg.Potential(lambda x: values, lambda x: np.zeros(x.shape), "frozen")
    domain, law = scheme.problem.domain, scheme.problem.initial
    frozen = scheme_for(wg.Problem(potential + wg.Entropy(0.05), domain, law, 1.0), 48)
    again = masses(frozen, run(frozen, step, 1, old))
    assert np.abs(again - new).sum() < 1e-6


def test_long_steps_are_reached_by_way_of_shorter_ones() -> None:
    """A network over a time of 100 in one step comes near its minimum, at its first variation."""
    scheme = scheme_for(network(), 32)
    state = run(scheme, 100.0, 3)
    mass = masses(scheme, state)
    first_variation = scheme.on_grid.first_variation(scheme.on_grid.couple(mass))
    level = first_variation + 0.05 * np.log(mass / scheme.on_grid.volume)
    assert (mass * np.abs(level - (mass * level).sum())).sum() < 1e-3


def test_interactions_are_taken_at_the_new_law() -> None:
    """Quadratic attraction: the mean stays and the variance obeys the step with k + kappa."""
    energy = wg.Potential.quadratic((0.5, 0.5)) + Interaction.quadratic(0.5) + wg.Entropy(0.2)
    law = wg.Gaussian((0.5, 0.0), (0.8, 0.6))
    scheme = scheme_for(wg.Problem(energy, box(5.0), law, 1.0), 64, tolerance=1e-8)
    found = masses(scheme, run(scheme, 0.2, 1))
    std = tuple(jko_std(s, 1.0, 0.2, 0.2) for s in (0.8, 0.6))
    expected = gaussian(scheme, 0.5 / (1 + 0.5 * 0.2), std)
    assert np.abs(found - expected).sum() < 2e-3


def test_second_order_in_the_step() -> None:
    """The implicit midpoint rule of an Ornstein-Uhlenbeck flow, in mean and variances."""
    errors = []
    for count in (4, 8, 16):
        scheme = scheme_for(well(), 80, midpoint=True)
        measure = wg.GridMeasure(scheme.edges, masses(scheme, run(scheme, 1 / count, count)))
        x, y = measure.points.T
        mean = measure.mass @ x
        moments = np.array([mean, measure.mass @ (x - mean) ** 2, measure.mass @ y**2])
        decay = np.exp(-1.0)
        width = np.diff(scheme.edges[0])[0]
        spread = [0.2 + (s + width**2 / 12 - 0.2) * decay**2 for s in (0.8, 0.3)]
        errors.append(np.abs(moments - [0.5 * decay, *spread]).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 1.8).all(), (errors, orders)


def double_well_moments(time_order: int, count: int, horizon: float) -> np.ndarray:
    """Return moments of the first coordinate in (x^2 - 1)^2, by this scheme."""
    well_in_x = wg.Potential(
        lambda x: (x[:, 0] ** 2 - 1) ** 2, lambda x: np.zeros(x.shape), "double_well"
    )
    domain = wg.Domain(wg.Interval(-1.8, 1.8), wg.Interval(0, 1))
    law = wg.Product(wg.Gaussian(0.3, 0.4), wg.Uniform(0, 1))
    problem = wg.Problem(well_in_x + wg.Entropy(0.3), domain, law, 1.0)
    scheme = scheme_for(problem, (160, 8), midpoint=time_order == 2)
    measure = wg.GridMeasure(scheme.edges, masses(scheme, run(scheme, horizon / count, count)))
    return np.array([measure.mass @ measure.points[:, 0] ** k for k in (1, 2, 3, 4)])


def double_well_reference(count: int, horizon: float, bdf2: bool) -> np.ndarray:
    """Return the same by moving cells in one dimension, whose equations share nothing."""
    gradient = lambda x: 4 * x * (x**2 - 1)  # noqa: E731
    well_in_x = wg.Potential(lambda x: (x[:, 0] ** 2 - 1) ** 2, gradient, "double_well")
    domain, law = wg.Domain(wg.Interval(-1.8, 1.8)), wg.Gaussian(0.3, 0.4)
    problem = wg.Problem(well_in_x + wg.Entropy(0.3), domain, law, 1.0)
    scheme = LagrangianScheme(
        problem, domain.grid((800,)), tolerance=1e-9, max_iterations=100, bdf2=bdf2
    )
    state = scheme.initial()
    for index in range(count):
        state = scheme.advance(state, 0.0, index, horizon / count).state
    measure = scheme.observe(state).measure
    return np.array([measure.mass @ measure.points[:, 0] ** k for k in (1, 2, 3, 4)])


def test_a_step_in_a_double_well_is_that_of_moving_cells() -> None:
    """Maps that are not linear, one coordinate at a time: moments up to the fourth."""
    found = double_well_moments(1, 2, 0.4)
    np.testing.assert_allclose(found, double_well_reference(2, 0.4, False), rtol=3e-4)


def test_second_order_in_the_step_in_a_double_well() -> None:
    exact = double_well_reference(128, 0.4, True)
    errors = [np.abs(double_well_moments(2, count, 0.4) - exact).max() for count in (10, 16)]
    assert np.log(errors[0] / errors[1]) / np.log(1.6) > 1.7, errors
    assert errors[1] < 5e-4


def barenblatt(radius: float, scheme: BackAndForthScheme) -> np.ndarray:
    return drop(radius, 2.0, 2).masses(scheme.edges)


def barenblatt_scheme(cells: int) -> BackAndForthScheme:
    return scheme_for(wg.get_case("porous-medium"), cells)


def barenblatt_step_error(cells: int) -> float:
    scheme = barenblatt_scheme(cells)
    step = scheme.problem.horizon / 32
    found = masses(scheme, run(scheme, step, 1))
    radius = jko_radius(0.2, step, 2.0, 2)
    return float(np.abs(found - barenblatt(radius, scheme)).sum())


def test_a_barenblatt_step_is_the_exact_one() -> None:
    """In L1; its fronts hold the order in the cell width above 1, but below 2."""
    errors = [barenblatt_step_error(cells) for cells in (64, 128)]
    assert errors[1] <= 1.2e-3
    assert errors[1] <= errors[0] / 2, errors


@pytest.mark.slow
def test_a_barenblatt_step_on_a_fine_grid() -> None:
    assert barenblatt_step_error(256) <= 5e-4


def barenblatt_flow_error(cells: int, count: int) -> float:
    scheme = barenblatt_scheme(cells)
    doubled = StepDoubling(scheme, order=1, extrapolate=True)
    found = masses(scheme, run(doubled, scheme.problem.horizon / count, count))
    return float(np.abs(found - barenblatt(0.4, scheme)).sum())


def test_an_extrapolated_barenblatt_flow_is_near_the_equation() -> None:
    """Exact plain steps are 5.4e-2 away from it in L1."""
    assert barenblatt_flow_error(64, 8) <= 1e-2


@pytest.mark.slow
def test_an_extrapolated_barenblatt_flow_on_a_fine_grid() -> None:
    assert barenblatt_flow_error(256, 32) <= 2e-3


def test_a_power_entropy_in_a_well_tends_to_its_own_equilibrium() -> None:
    """F never rises, and rho tends to (C - V)_+ / 2, from which it does not move."""
    energy = Energy(wg.Potential.quadratic((8.0, 8.0)), PowerEntropy(2.0))
    problem = wg.Problem(energy, box(1.0), wg.Gaussian((0.2, 0.0), 0.2), 1.0)
    scheme = scheme_for(problem, 40)
    state = scheme.initial()
    energies = [scheme.on_grid.value(masses(scheme, state))]
    for step in (0.02, 0.1, 1.0, 100.0):
        state = run(scheme, step, 1, state)
        energies.append(scheme.on_grid.value(masses(scheme, state)))
    assert (np.diff(energies) <= 1e-11).all()
    radius = np.pi**-0.25
    x, y = wg.GridMeasure(scheme.edges, masses(scheme, state)).points.T
    rest = np.maximum(radius**2 - x**2 - y**2, 0).reshape(40, 40)
    assert np.abs(masses(scheme, state) - rest / rest.sum()).sum() < 1e-2


def test_what_does_not_converge_ends_with_a_sentence() -> None:
    scheme = scheme_for(well(), 40, max_iterations=1)
    state = scheme.initial()
    outcome = scheme.advance(state, 0.0, 0, 0.5)
    assert outcome.status == "not_converged"
    assert "max_iterations" in outcome.reason
    np.testing.assert_array_equal(outcome.state["density"], state["density"])


def test_the_second_half_of_a_step_may_not_fold() -> None:
    scheme = scheme_for(well(4.0, (4.0, 4.0)), 48, midpoint=True)
    outcome = scheme.advance(scheme.initial(), 0.0, 0, 1.0)
    assert outcome.status == "not_converged"
    assert "time_order=1" in outcome.reason


def test_domains_and_energies_of_other_methods_are_refused() -> None:
    entropy, power = wg.Entropy(0.1), PowerEntropy(2.0)
    uniform = wg.Uniform((-1, -1), (1, 1))
    circle = wg.Domain(wg.Interval(-1, 1), wg.Circle())
    line = wg.Domain(wg.Interval(-1, 1))
    for problem, cells, match in (
        (wg.Problem(entropy, circle, uniform, 1.0), (16, 16), "Interval x Circle.*'balanced'"),
        (wg.Problem(entropy, line, wg.Uniform(-1, 1), 1.0), (16,), "'lagrangian'"),
        (wg.Problem(entropy, box(1.0), uniform, 1.0), (16, 4), "at least 8 cells"),
        (wg.Problem(Energy(entropy, power), box(1.0), uniform, 1.0), (16, 16), "not both"),
        (wg.Problem(wg.Potential.quadratic((1, 1)), box(1.0), uniform, 1.0), (16, 16), "none"),
        (
            wg.Problem(Energy(Interaction.quadratic(1.0), power), box(1.0), uniform, 1.0),
            (16, 16),
            "potentials only",
        ),
    ):
        with pytest.raises(wg.InputError, match=match):
            scheme_for(problem, cells)


def test_a_map_that_loses_a_part_of_the_law_is_refused() -> None:
    """Two cells far apart at a low temperature: no mass may jump from one to the other."""
    energy = wg.Potential.quadratic((1.0, 1.0)) + wg.Entropy(1e-6)
    apart = wg.Samples(np.array([[-1.0, 0.2], [2.0, -2.0]]))
    scheme = scheme_for(wg.Problem(energy, box(4.0), apart, 0.1), 32)
    state = {"density": apart.masses(scheme.edges) / scheme.on_grid.volume}
    outcome = scheme.advance(state, 0.0, 0, 0.05)
    assert outcome.status == "not_converged"
    assert "misses the law it came from" in outcome.reason


def test_laws_with_jumps_are_refused_under_an_entropy() -> None:
    square = wg.Uniform((-1, -1), (2, 2))
    problem = wg.Problem(wg.Potential.quadratic((1.0, 1.0)) + wg.Entropy(0.1), box(4.0), square, 1)
    with pytest.raises(wg.InputError, match="smooth on the scale of a cell"):
        scheme_for(problem, 32).initial()
