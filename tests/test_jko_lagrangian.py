"""Laws of the JKO scheme on moving cells: closed forms, orders, dissipation, distance, refusals."""

import numpy as np
import pytest
from conftest import well
from hypothesis import given, settings, strategies
from scipy.optimize import brentq

import wgflow as wg
from wgflow.energy import Energy, Entropy, Interaction, Potential, PowerEntropy, Risk
from wgflow.law import Law
from wgflow.solver import Scheme, State, Step
from wgflow.solvers.jko_lagrangian import LagrangianScheme
from wgflow.solvers.lagrangian_movement import Ends, square
from wgflow.solvers.step_doubling import StepDoubling
from wgflow.transport import wasserstein

LINE = wg.WholeLine(window=(-8, 8))


def on(axis: object, energy: object, initial: Law) -> wg.Problem:
    return wg.Problem(energy, wg.Domain(axis), initial, 1.0)


def scheme(problem: wg.Problem, cells: int, **settings: object) -> LagrangianScheme:
    edges = np.linspace(*problem.domain.axes[0].window, cells + 1)
    return LagrangianScheme(
        problem, edges, **({"tolerance": 1e-8, "max_iterations": 200} | settings)
    )


def second_order(problem: wg.Problem, cells: int, formula: str) -> Scheme:
    if formula == "bdf2":
        return scheme(problem, cells, bdf2=True)
    return StepDoubling(scheme(problem, cells), order=1, extrapolate=True)


def march(solver: Scheme, steps: int, dt: float) -> State:
    state = solver.initial()
    for index in range(steps):
        step = solver.advance(state, index * dt, index, dt)
        assert step.status == "ok", step.reason
        state = step.state
    return state


def std(state: State) -> float:
    edges, mass = state["edges"], state["mass"]
    centre, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    return float(np.sqrt(mass @ (centre - mass @ centre) ** 2 + mass @ width**2 / 12))


def energy_of(problem: wg.Problem, state: State) -> float:
    measure, energy = wg.GridMeasure((state["edges"],), state["mass"]), problem.energy
    return sum(energy.values(measure, energy.couple(measure)).values())


def network(
    axis: object, temperature: float, seed: int, activation: str = "tanh", scale: float = 2.0
) -> wg.Problem:
    """A network with one trained weight; on a circle the weight is an angle."""
    random = np.random.default_rng(seed)
    circle = isinstance(axis, wg.Circle)
    x = random.uniform(-3, 3, (20, 2 if circle else 1))
    chart = "circle" if circle else "euclidean"
    risk = Risk(
        wg.Data(x, random.standard_normal(20)),
        wg.Neuron(activation, outer="fixed", chart=chart),
        scale=scale,
    )
    law = wg.Gaussian(random.uniform(-1, 1), random.uniform(0.3, 1))
    energy = risk + Entropy(temperature)
    return on(axis, energy if circle else energy + Potential.quadratic((0.05,)), law)


class Bump(Law):
    """The density proportional to (1 - x^2)^power, for 1/2 the semicircle law."""

    dimension = 1

    def __init__(self, power: float) -> None:
        self.power = power

    def masses(self, edges: list[np.ndarray]) -> np.ndarray:
        z = np.clip(edges[0], -1, 1)
        root = z * np.sqrt(1 - z**2) + np.arcsin(z)
        mass = np.diff(z - z**3 / 3 if self.power == 1 else root)
        return mass / mass.sum()


def gaussian_step(std: float, stiffness: float, temperature: float, step: float) -> float:
    """The JKO step of the std of a Gaussian in a quadratic well."""
    grown = 1 + stiffness * step
    return (std + np.sqrt(std**2 + 4 * temperature * step * grown)) / (2 * grown)


def test_ornstein_uhlenbeck_step_is_second_order_in_the_width() -> None:
    problem = on(LINE, Potential.quadratic((1.0,)) + Entropy(0.3), wg.Gaussian(0.4, 0.8))
    expected, errors = gaussian_step(0.8, 1.0, 0.3, 0.1), []
    for cells in (256, 1024, 4096):
        state = march(scheme(problem, cells), 1, 0.1)
        errors.append(abs(std(state) - expected))
        mean = state["mass"] @ (state["edges"][1:] + state["edges"][:-1]) / 2
        assert mean == pytest.approx(0.4 / 1.1, abs=1e-8)
    assert errors[-1] <= 2e-6
    orders = np.log(np.array(errors[:-1]) / errors[1:]) / np.log(4)
    assert (orders >= 1.9).all(), orders


@pytest.mark.parametrize("window", [(-1, 1), (-1.7, 2.3)])
@pytest.mark.parametrize("step", [1e-3, 0.05, 1.0, 1e3])
def test_barenblatt_keeps_its_profile(window: tuple[float, float], step: float) -> None:
    """rho_s = B(x/s)/s with (s - 1) M2/tau = E1/s^2 for m = 2; vacuum is left out."""
    problem = on(wg.WholeLine(window=window), PowerEntropy(2.0) + Energy(), Bump(1))
    state = march(scheme(problem, 1024), 1, step)
    second, pressure = 0.2, 0.6
    size = brentq(lambda s: (s - 1) * second / step - pressure / s**2, 1, 100)
    assert abs(std(state) - size * np.sqrt(second)) <= 5e-6


def test_power_entropy_and_entropy_act_together() -> None:
    """Their flow d_t rho = Laplace(lambda rho + rho^3) has d_t M2 = 2 int (lambda rho + rho^3)."""
    problem = on(LINE, PowerEntropy(3.0) + Entropy(0.2), wg.Gaussian(0.0, 0.7))
    solver, rates = scheme(problem, 2048), []
    start = std(solver.initial()) ** 2
    for step in (2e-3, 1e-3):
        rates.append((std(march(solver, 1, step)) ** 2 - start) / step)
    cubed = 1 / (2 * np.pi * 0.49 * np.sqrt(3))
    assert 2 * rates[1] - rates[0] == pytest.approx(2 * (0.2 + cubed), rel=1e-4)


@pytest.mark.parametrize("formula", ["extrapolation", "bdf2"])
@pytest.mark.parametrize("kind", ["well", "network", "circle"])
def test_second_order_in_the_step(formula: str, kind: str) -> None:
    if kind == "well":
        problem = on(LINE, Potential.quadratic((1.0,)) + Entropy(0.3), wg.Gaussian(0.4, 0.8))
    else:
        axis = wg.Circle() if kind == "circle" else wg.Interval(-5, 5)
        problem = network(axis, 0.2, 1, scale=1.0)
    values = []
    finest = 192 if formula == "bdf2" else 96  # a movement a step, and three
    for steps in (finest // 4, finest // 2, finest):
        solver = second_order(problem, 32, formula)
        values.append(energy_of(problem, march(solver, steps, 1 / steps)))
    order = np.log2((values[0] - values[1]) / (values[1] - values[2]))
    assert order >= 1.9, order


def test_bdf2_keeps_its_order_where_steps_change() -> None:
    problem = on(LINE, Potential.quadratic((1.0,)) + Entropy(0.3), wg.Gaussian(0.4, 0.8))
    values = []
    for count in (5, 10, 20):
        solver = second_order(problem, 256, "bdf2")
        state, time = solver.initial(), 0.0
        for index in range(2 * count):
            dt = (0.6 if index % 2 else 0.4) / count
            state = solver.advance(state, time, index, dt).state
            time += dt
        values.append(std(state))
    order = np.log2((values[0] - values[1]) / (values[1] - values[2]))
    assert order >= 1.9, order


@pytest.mark.parametrize("axis", [wg.Circle(), wg.Interval(0, np.pi)])
def test_heat_modes_decay(axis: object) -> None:
    """Mode n decays as exp(-lambda n^2 t) on the circle and between walls."""
    mode = 2
    lower, upper = axis.window
    law = wg.Density(lambda x: 1 + 0.5 * np.cos(mode * x[:, 0]), lower, upper)
    solver = second_order(on(axis, Entropy(0.3) + Energy(), law), 256, "extrapolation")
    measure = solver.observe(march(solver, 20, 0.025)).measure
    found = 2 * measure.mass @ np.cos(mode * measure.points[:, 0])
    assert found == pytest.approx(0.5 * np.exp(-0.3 * mode**2 * 0.5), rel=1e-3)


def test_semicircle_laws_under_aggregation() -> None:
    """W = |x|^2/2 - log|x| keeps semicircles: R^2 = 2 + (R0^2 - 2) e^{-2t}, F = R^2/8 - ..."""
    energy = Interaction.logarithmic(1.0) + Interaction.quadratic(1.0, "attraction")
    problem = on(wg.WholeLine(window=(-1, 1)), energy, Bump(0.5))
    radius, errors = np.sqrt(2 - np.exp(-1.0)), []
    free = radius**2 / 8 - np.log(radius / 2) / 2 + 1 / 8
    for cells, steps in ((32, 8), (64, 16)):
        solver = second_order(problem, cells, "extrapolation")
        state = march(solver, steps, 0.5 / steps)
        errors.append((abs(std(state) - radius / 2), abs(energy_of(problem, state) - free)))
    assert errors[0][0] <= 1e-3 and errors[1][0] <= 2e-4
    assert errors[1][1] <= 1.5e-4 and errors[0][1] >= 3 * errors[1][1]


def test_quadratic_interaction_stiffens_the_well() -> None:
    energy = Potential.quadratic((1.0,)) + Interaction.quadratic(0.7) + Entropy(0.3)
    expected, errors = gaussian_step(0.8, 1.7, 0.3, 0.1), []
    for cells in (64, 256):
        state = march(scheme(on(LINE, energy, wg.Gaussian(0.5, 0.8)), cells), 1, 0.1)
        errors.append(abs(std(state) - expected))
    assert errors[1] <= 5e-4
    assert np.log(errors[0] / errors[1]) / np.log(4) >= 1.9


@pytest.mark.parametrize("step", [0.1, 10.0])
def test_nonlinear_risk_in_closed_form(step: float) -> None:
    """(M2/2 - b)^2/2 is the risk of a quadratic neuron on one sample."""
    risk = Risk(wg.Data([[2**-0.5]], [1.2]), wg.Neuron("quadratic", outer="fixed"))
    energy = risk + Potential.quadratic((1.0,)) + Entropy(0.3)
    state = march(scheme(on(LINE, energy, wg.Gaussian(0, 0.8)), 4096), 1, step)
    expected = brentq(lambda s: (s - 0.8) / step + s + (s**2 / 2 - 1.2) * s - 0.3 / s, 0.1, 3)
    assert std(state) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("axis", [wg.Interval(-4, 4), wg.WholeLine((-4, 4)), wg.Circle()])
@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    seed=strategies.integers(0, 1000),
    temperature=strategies.floats(0.03, 1.0),
    exponent=strategies.floats(-3, 3),
)
def test_the_energy_falls(axis: object, seed: int, temperature: float, exponent: float) -> None:
    """F(new) + W2^2/(2 tau) <= F(old), with the exact W2, for any step; mass stays exact."""
    problem, step = network(axis, temperature, seed), 10.0**exponent
    solver = scheme(problem, 64)
    state = solver.initial()
    for _ in range(2):
        outcome = solver.advance(state, 0.0, 0, step)
        assert outcome.status == "ok", outcome.reason
        laws = [solver.observe(s).measure for s in (state, outcome.state)]
        distance = wasserstein(*laws, domain=problem.domain)
        fall = energy_of(problem, state) - energy_of(problem, outcome.state)
        assert fall >= distance**2 / (2 * step) * (1 - 1e-6) - 1e-12
        assert abs(outcome.state["mass"].sum() - 1) <= 1e-12
        state = outcome.state


@pytest.mark.parametrize("axis", [wg.WholeLine((-4, 4)), wg.Interval(-4, 4), wg.Circle()])
@pytest.mark.parametrize("step", [0.1, 10.0, 1e3])
def test_the_distance_in_a_step_is_the_wasserstein_distance(axis: object, step: float) -> None:
    problem = network(axis, 0.1, 2)
    solver = scheme(problem, 256)
    first = solver.initial()
    second = solver.advance(first, 0.0, 0, step).state
    used = np.sqrt(square(second["edges"] - first["edges"], first["mass"]))
    laws = [solver.observe(state).measure for state in (first, second)]
    assert used == pytest.approx(wasserstein(*laws, domain=problem.domain), rel=1e-7)
    assert solver.difference(first, second) == pytest.approx(used, rel=1e-7)


@pytest.mark.parametrize("axis", [wg.WholeLine((-4, 4)), wg.Interval(-4, 4), wg.Circle()])
def test_a_step_ends_at_a_minimum(axis: object) -> None:
    """No perturbation of the edges lowers F + W2^2/(2 tau)."""
    problem, ends = network(axis, 0.1, 5), Ends.of(axis)
    solver = scheme(problem, 48)
    old = solver.initial()
    new = solver.advance(old, 0.0, 0, 2.0).state

    def objective(edges: np.ndarray) -> float:
        laws = [solver.observe(s).measure for s in (old, {**old, "edges": edges})]
        distance = wasserstein(*laws, domain=problem.domain)
        return energy_of(problem, {**old, "edges": edges}) + distance**2 / 4

    random, least = np.random.default_rng(0), objective(new["edges"])
    width = np.diff(new["edges"]).min()
    for size in (0.3 * width, 1e-3 * width):
        for _ in range(20):
            noise = random.standard_normal(len(ends.contract(new["edges"])))
            noise = np.convolve(noise, np.ones(7) / 7, "same")
            moved = new["edges"] + size * ends.extend(noise) / np.abs(noise).max()
            if isinstance(axis, wg.Circle):
                # On the circle the minimum is one among laws that face the old one cell by cell.
                normal = np.diff(old["edges"])
                moved -= normal @ (moved - old["edges"])[:-1] / normal.sum()
            assert objective(moved) >= least - 1e-13


def test_long_steps_on_a_circle_reach_the_gibbs_law() -> None:
    """At tau = 1000 the energy is the least one, to the error of the cells."""
    energy = Potential(lambda z: np.cos(z[:, 0]), lambda z: -np.sin(z)) + Entropy(0.3)
    initial = wg.Density(lambda x: 1 + 0.6 * np.cos(x[:, 0] - 2), -np.pi, np.pi)
    theta = -np.pi + 2 * np.pi * (np.arange(4096) + 0.5) / 4096
    least = -0.3 * np.log(np.exp(-np.cos(theta) / 0.3).mean() * 2 * np.pi)
    errors = []
    for cells in (128, 256):
        solver = scheme(on(wg.Circle(), energy, initial), cells)
        errors.append(abs(energy_of(solver.problem, march(solver, 1, 1e3)) - least))
    assert errors[1] <= 1e-3 and errors[1] <= errors[0] / 2.5


def test_an_activation_with_kinks_ends_too() -> None:
    """Where cells sit on kinks, the step ends when the objective has stopped falling."""
    for step in (0.01, 1.0):
        solver = scheme(network(wg.Circle(), 0.1, 4, "relu"), 64)
        start = solver.initial()
        outcome = solver.advance(start, 0.0, 0, step)
        assert outcome.status == "ok", outcome.reason
        assert energy_of(solver.problem, outcome.state) < energy_of(solver.problem, start)


def test_vacuum_between_walls_is_pressed_together() -> None:
    """Under a power entropy the cells without mass give way to a law that spreads."""
    problem = on(wg.Interval(-3, 3), PowerEntropy(2.0) + Energy(), Bump(1))
    solver = scheme(problem, 128)
    state = march(solver, 1, 0.05)
    size = brentq(lambda s: (s - 1) * 4 - 0.6 / s**2, 1, 100)
    assert std(state) == pytest.approx(size * np.sqrt(0.2), abs=1e-3)
    assert (np.diff(state["edges"]) > 0).all()


@pytest.mark.parametrize("formula", ["plain", "extrapolation", "bdf2"])
def test_a_step_is_a_function_of_the_state(formula: str) -> None:
    """A scheme made anew goes on with the same bits, and no state that was passed in changes."""
    problem = network(wg.Circle(), 0.1, 1)

    def made() -> Scheme:
        return scheme(problem, 48) if formula == "plain" else second_order(problem, 48, formula)

    first = made()
    state = march(first, 2, 0.2)
    kept = {name: array.copy() for name, array in state.items()}
    one = first.advance(state, 0.4, 2, 0.3).state
    two = made().advance(kept, 0.4, 2, 0.3).state
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert all(np.array_equal(state[name], kept[name]) for name in state)


def test_a_schedule_lengthens_the_step() -> None:
    plain = well(temperature=0.2)
    fast = wg.Problem(plain.energy, plain.domain, plain.initial, 1.0, schedule=lambda time: 2.0)
    one, two = march(scheme(plain, 64), 1, 0.2), march(scheme(fast, 64), 1, 0.1)
    np.testing.assert_array_equal(one["edges"], two["edges"])


def test_newton_that_does_not_converge_is_told() -> None:
    solver = scheme(network(wg.Interval(-4, 4), 0.1, 0), 64, max_iterations=2)
    outcome: Step = solver.advance(solver.initial(), 0.0, 0, 10.0)
    assert outcome.status == "not_converged" and "max_iterations" in outcome.reason


def test_refusals() -> None:
    with pytest.raises(wg.InputError, match="solver particles"):
        scheme(well(temperature=0.0), 16)
    with pytest.raises(wg.InputError, match="singular"):
        scheme(on(wg.Circle(), Interaction.logarithmic(1.0) + Entropy(1.0), wg.Gaussian()), 16)
    atoms = wg.Samples([[0.1], [2.0]])
    narrow = on(wg.Interval(-3, 3), Potential.quadratic((1.0,)) + Entropy(0.1), atoms)
    with pytest.raises(wg.InputError, match="fills 2.0 of 100 cells"):
        scheme(narrow, 100).initial()
    plane = wg.Domain(wg.Interval(0, 1), wg.Interval(0, 1))
    problem = wg.Problem(Entropy(1.0), plane, wg.Uniform((0, 0), (1, 1)), 1.0)
    with pytest.raises(wg.InputError, match="one dimension"):
        LagrangianScheme(problem, np.linspace(0, 1, 9), tolerance=1e-8, max_iterations=9)
