"""Laws of the finite-volume solver: closed forms, orders, mass, dissipation, what it refuses."""

import dataclasses
import resource

import numpy as np
import pytest
from conftest import moments, network, well
from hypothesis import given, settings, strategies as st
from scipy.integrate import solve_ivp
from scipy.special import ndtr

import wgflow as wg
from wgflow.energy import Interaction, PowerEntropy
from wgflow.exact.barenblatt import distance
from wgflow.optimality import Dual
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.finite_volume_scheme import ImplicitScheme


def orders(errors: list[float]) -> np.ndarray:
    return np.log2(np.array(errors[:-1]) / errors[1:])


def gaussian_cells(edges: np.ndarray, mean: float, variance: float) -> np.ndarray:
    return np.diff(ndtr((edges - mean) / np.sqrt(variance)))


def coarsened(law: wg.GridMeasure, cells: int) -> np.ndarray:
    """The masses of a square grid summed over equal blocks."""
    block = law.shape[0] // cells
    return law.mass_on_grid.reshape(cells, block, cells, block).sum(axis=(1, 3))


def finished(problem: wg.Problem, solver: FiniteVolume) -> wg.Run:
    run = wg.solve(problem, solver)
    assert run.status == "finished", run.reason
    return run


@pytest.mark.parametrize(
    "solver", [FiniteVolume(step=0.02, time_order=2), FiniteVolume(method="explicit")]
)
def test_second_order_in_the_cells_for_ornstein_uhlenbeck(solver: FiniteVolume) -> None:
    errors = []
    for cells in (64, 128):
        law = finished(well(), dataclasses.replace(solver, shape=cells)).measure(-1)
        exact = gaussian_cells(law.edges[0], np.exp(-1.0), 0.2 + 0.05 * np.exp(-2.0))
        errors.append(np.abs(law.mass - exact).sum())
    assert orders(errors)[0] >= 1.9, errors
    assert errors[-1] < 0.01


def test_second_order_in_the_cells_for_a_network() -> None:
    runs = [finished(network(), FiniteVolume(step=0.1, shape=(n, n))) for n in (64, 128, 256)]
    energy = [run.energy["total"][-1] for run in runs]
    laws = [coarsened(run.measure(-1), 64) for run in runs]
    assert orders([energy[0] - energy[1], energy[1] - energy[2]])[0] >= 1.85
    apart = [float(np.abs(laws[k] - laws[k + 1]).sum()) for k in range(2)]
    assert orders(apart)[0] >= 1.85


@pytest.mark.parametrize("time_order", [1, 2])
def test_order_in_the_step(time_order: int) -> None:
    """For a network, against far shorter steps."""
    problem = network(temperature=0.1)
    shape = (40, 40)
    exact = finished(problem, FiniteVolume(shape=shape, step=0.005, time_order=2))
    errors: dict[str, list[float]] = {"law": [], "energy": []}
    for step in (0.1, 0.05, 0.025):
        run = finished(problem, FiniteVolume(shape=shape, step=step, time_order=time_order))
        errors["law"].append(float(np.abs(run.measure(-1).mass - exact.measure(-1).mass).sum()))
        errors["energy"].append(abs(run.energy["total"][-1] - exact.energy["total"][-1]))
    for kind, values in errors.items():
        assert (np.abs(orders(values) - time_order) < 0.2).all(), (kind, orders(values))


def test_explicit_and_implicit_steps_agree() -> None:
    problem = network(temperature=0.1)
    explicit = finished(problem, FiniteVolume(step=0.02, method="explicit", shape=(40, 40)))
    implicit = finished(problem, FiniteVolume(step=0.005, time_order=2, shape=(40, 40)))
    assert np.abs(explicit.measure(-1).mass - implicit.measure(-1).mass).sum() < 5e-5
    assert np.abs(explicit.measure(0).mass - explicit.measure(-1).mass).sum() > 0.3


def test_the_entropic_jko_scheme_tends_to_the_same_law() -> None:
    """Two discretisations that share nothing but the energy; JKO is of first order in its step."""
    problem = network(temperature=0.1)
    shape = (96, 96)
    exact = finished(problem, FiniteVolume(step=0.02, time_order=2, shape=shape)).measure(-1)
    errors = []
    for step in (0.1, 0.05):
        law = wg.solve(problem, wg.JKO(step=step, shape=shape, tolerance=1e-8)).measure(-1)
        errors.append(float(np.abs(law.mass - exact.mass).sum()))
    assert errors[1] < 0.04
    assert 0.85 < orders(errors)[0] < 1.15


def test_heat_between_walls() -> None:
    """From 1 + a cos(pi x) the amplitude decays as exp(-pi^2 t)."""
    problem = wg.Problem(
        energy=wg.Entropy(1.0),
        domain=wg.Domain(wg.Interval(0, 1)),
        initial=wg.Density(lambda x: 1 + 0.5 * np.cos(np.pi * x[:, 0]), 0, 1),
        horizon=0.1,
    )
    errors = []
    for cells in (32, 64):
        law = finished(problem, FiniteVolume(shape=cells, step=0.001, time_order=2)).measure(-1)
        exact = 1 + 0.5 * np.cos(np.pi * law.points[:, 0]) * np.exp(-(np.pi**2) * 0.1)
        errors.append(np.abs(law.density - exact).max())
    assert errors[1] < 5e-5
    assert orders(errors)[0] >= 1.9


def test_heat_on_a_circle() -> None:
    problem = wg.Problem(
        energy=wg.Entropy(0.3),
        domain=wg.Domain(wg.Circle()),
        initial=wg.Density(lambda x: 1 + 0.5 * np.cos(2 * x[:, 0] - 1), -np.pi, np.pi),
        horizon=1.0,
    )
    law = finished(problem, FiniteVolume(shape=256, step=0.02, time_order=2)).measure(-1)
    amplitude = 2 * law.mass @ np.cos(2 * law.points[:, 0] - 1)
    assert amplitude == pytest.approx(0.5 * np.exp(-1.2), rel=1e-3)


@pytest.mark.parametrize("method", ["implicit", "explicit"])
def test_a_quadratic_interaction_draws_the_law_together(method: str) -> None:
    """The mean stays and the variance v obeys v' = -2 kappa v + 2 lambda."""
    problem = wg.Problem(
        energy=Interaction.quadratic(1.0) + wg.Entropy(0.2),
        domain=wg.Domain(wg.Interval(-5, 5)),
        initial=wg.Gaussian(0.5, 0.8),
        horizon=0.5,
    )
    errors = []
    for cells in (64, 128):
        run = finished(problem, FiniteVolume(shape=cells, step=0.01, time_order=2, method=method))
        mean, variance = moments(run.measure(-1))
        assert mean == pytest.approx(0.5, abs=1e-6)
        errors.append(abs(variance - 0.2 - (0.64 - 0.2) * np.exp(-1.0)))
    assert errors[1] < 2e-3
    assert orders(errors)[0] >= 1.9


@pytest.mark.parametrize("method", ["implicit", "explicit"])
def test_mass_stays_and_densities_are_positive(method: str) -> None:
    solver = FiniteVolume(step=0.02, shape=(32, 32), method=method)
    run = finished(network(horizon=4.0), solver)
    assert np.abs(run.mass - 1).max() <= 1e-12
    assert all(run.measure(k).mass.min() > 0 for k in range(1, len(run.time)))


@pytest.mark.parametrize("step", [1e-3, 1.0, 1e3])
def test_the_gibbs_law_is_stationary(step: float) -> None:
    """For a potential to rounding, for a network to the tolerance of its coupling."""
    for problem, tolerance in ((well(), 1e-14), (network(), 1e-9)):
        edges = problem.domain.grid((40,) * problem.domain.dimension)
        best = Dual(problem.energy, edges).maximise().measure.mass_on_grid
        scheme = ImplicitScheme(problem, edges, tolerance=1e-10, max_iterations=200)
        moved = scheme.advance({"mass": best}, 0.0, 0, step).state["mass"]
        assert np.abs(moved - best).sum() <= tolerance


random_networks = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "temperature": st.floats(-2, 0.5).map(lambda power: 10**power),
        "step": st.floats(-3, 3).map(lambda power: 10**power),
        "activation": st.sampled_from(["tanh", "relu", "sigmoid"]),
        "loss": st.sampled_from(["half_squared", "logistic"]),
        "circles": st.tuples(st.booleans(), st.booleans()),
        "scale": st.floats(0.3, 5.0),
    }
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(random_networks)
def test_the_energy_falls_for_any_step(case: dict) -> None:
    """Random networks on boxes, cylinders and tori: F rises by rounding at most, mass stays."""
    random = np.random.default_rng(case["seed"])
    x = random.uniform(-2, 2, 12)
    y = np.sin(2 * x) + 0.2 * random.standard_normal(12)
    y = np.sign(y) if case["loss"] == "logistic" else y
    axes = [wg.Circle(8.0, -4.0) if circle else wg.Interval(-4, 4) for circle in case["circles"]]
    neuron = wg.Neuron(case["activation"])
    risk = wg.Risk(wg.Data(x, y), neuron, loss=case["loss"], scale=case["scale"])
    problem = wg.Problem(
        energy=risk + wg.Entropy(case["temperature"]),
        domain=wg.Domain(*axes),
        initial=wg.Gaussian((0.3, 0.0), 0.5),
        horizon=1.0,
    )
    edges = problem.domain.grid((24, 28))
    scheme = ImplicitScheme(problem, edges, tolerance=1e-10, max_iterations=200)
    state = scheme.initial()
    before = scheme.on_grid.value(state["mass"])
    for index in range(3):
        outcome = scheme.advance(state, 0.0, index, case["step"])
        assert outcome.status == "ok", outcome.reason
        state = outcome.state
        after = scheme.on_grid.value(state["mass"])
        assert after - before <= 1e-11 * max(1.0, abs(before))
        assert abs(state["mass"].sum() - 1) <= 1e-12
        before = after


def test_the_barenblatt_law_spreads_as_it_should() -> None:
    """From radius 0.2 to 0.4 on 256^2 cells: L1 distance 1e-4 to the porous-medium equation."""
    problem = wg.get_case("porous-medium")
    problem, errors = problem.save_every(problem.horizon), []
    for cells in (64, 128, 256):
        law = finished(problem, FiniteVolume(problem.horizon, (cells, cells))).measure(-1)
        errors.append(distance(law, 0.4, 2.0, 2))
        assert law.mass.min() >= 0
    assert errors[-1] <= 1e-4
    assert (orders(errors) >= 1.85).all()


def test_the_porous_medium_equation_in_a_well_keeps_its_profile() -> None:
    """A dilated Barenblatt profile stays one; its scale obeys an ordinary equation.

    With U' = 3 rho^2 / 2 and rho = B(x / s) / s, B^2 proportional to 1 - x^2, M2 = int x^2 B = 1/4
    and E1 = int B^3 / 2 = 3 / (2 pi^2): M2 s' = -k s M2 + 2 E1 s^-3.
    """
    stiffness, first, horizon = 2.0, 0.6, 0.3
    last = solve_ivp(
        lambda _, s: -stiffness * s + 12 / np.pi**2 * s**-3.0, (0, horizon), [first], rtol=1e-10
    ).y[0, -1]

    def profile(scale: float) -> wg.Density:
        return wg.Density(lambda x: np.sqrt(np.maximum(1 - (x[:, 0] / scale) ** 2, 0)), -1.5, 1.5)

    problem = wg.Problem(
        energy=PowerEntropy(3.0) + wg.Potential.quadratic((stiffness,)),
        domain=wg.Domain(wg.Interval(-1.5, 1.5)),
        initial=profile(first),
        horizon=horizon,
    )
    run = finished(problem, FiniteVolume(shape=128))
    law = run.measure(-1)
    assert np.abs(law.mass - profile(last).masses(law.edges)).sum() < 4e-3
    assert moments(law)[1] == pytest.approx(last**2 / 4, rel=1e-3)
    assert (np.diff(run.energy["total"]) < 0).all()
    assert np.abs(run.mass - 1).max() <= 1e-12


def test_power_and_plain_entropy_together_reach_their_equilibrium() -> None:
    """The sum lambda log rho + 2 rho + V is constant there."""
    energy = PowerEntropy(2.0) + wg.Entropy(0.1) + wg.Potential.quadratic((1.0,))
    domain = wg.Domain(wg.Interval(-2, 2))
    problem = wg.Problem(energy, domain, wg.Uniform(-1.0, 1.5), 12.0)
    law = finished(problem, FiniteVolume(shape=40)).measure(-1)
    chemical = 0.1 * np.log(law.density) + 2 * law.density + law.points[:, 0] ** 2 / 2
    assert np.ptp(chemical) < 2e-5


def test_adapted_steps_keep_to_their_tolerance() -> None:
    errors = []
    exact = finished(network(), FiniteVolume(step=0.01, time_order=2, shape=(40, 40)))
    for tolerance in (1e-2, 1e-3):
        solver = FiniteVolume(step=1.0, time_order=2, shape=(40, 40), error_tolerance=tolerance)
        run = finished(network(), solver)
        errors.append(float(np.abs(run.measure(-1).mass - exact.measure(-1).mass).sum()))
    assert errors[0] < 2e-2
    assert errors[1] < errors[0] / 3


def test_an_extrapolated_law_is_positive_and_of_mass_one() -> None:
    scheme = FiniteVolume(shape=4).prepare(well(), 0, wg.Context())
    assert isinstance(scheme, ImplicitScheme)
    whole = {"mass": np.array([0.5, 0.4, 0.1, 0.0])}
    halved = {"mass": np.array([0.5, 0.45, 0.02, 0.03])}
    mass = scheme.extrapolated(whole, halved)["mass"]
    expected = np.array([0.5, 0.45**2 / 0.4, 0.02 / 2, 0.03 * 2])
    np.testing.assert_allclose(mass, expected / expected.sum(), rtol=1e-14)
    assert scheme.difference(whole, halved) == pytest.approx(0.16)


def test_a_schedule_rescales_time() -> None:
    """With xi = 2 the flow reaches at T what it reaches at 2 T without."""
    plain = network(horizon=1.0)
    fast = dataclasses.replace(plain, horizon=0.5, save_times=(0.25,), schedule=lambda time: 2.0)
    slow_run = finished(plain, FiniteVolume(step=0.5, shape=(40, 40)))
    fast_run = finished(fast, FiniteVolume(step=0.25, shape=(40, 40)))
    np.testing.assert_allclose(fast_run.risk, slow_run.risk, rtol=1e-9)


def test_a_step_leaves_its_state_alone() -> None:
    for problem, solver in (
        (network(), FiniteVolume(shape=(20, 20))),
        (network(), FiniteVolume(shape=(20, 20), method="explicit")),
        (wg.Problem(PowerEntropy(2.0), well().domain, wg.Gaussian(), 1.0), FiniteVolume(shape=20)),
    ):
        scheme = solver.prepare(problem, 0, wg.Context())
        state = scheme.initial()
        before = state["mass"].copy()
        moved = scheme.advance(state, 0.0, 0, 0.1).state["mass"]
        np.testing.assert_array_equal(state["mass"], before)
        assert np.abs(moved - before).sum() > 1e-3


def test_inner_iterations_that_do_not_converge_end_the_run() -> None:
    run = wg.solve(network(), FiniteVolume(step=0.5, shape=(40, 40), max_iterations=2))
    assert run.status == "not_converged"
    assert "max_iterations" in run.reason
    assert len(run.time) == 1


def test_refusals() -> None:
    line = wg.Domain(wg.WholeLine(), names=("z",))
    potential = wg.Potential.quadratic((1.0,))
    with pytest.raises(wg.InputError, match="Axis 'z' is unbounded"):
        wg.solve(wg.Problem(potential + wg.Entropy(0.2), line, wg.Gaussian(), 1.0), FiniteVolume())
    with pytest.raises(wg.InputError, match="needs an Entropy .* use the solver particles"):
        wg.solve(well(temperature=0.0), FiniteVolume())
    porous = wg.Problem(PowerEntropy(2.0), well().domain, wg.Gaussian(), 1.0)
    with pytest.raises(wg.InputError, match="'power_entropy'; use method='explicit'"):
        wg.solve(porous, FiniteVolume(method="implicit"))
    with pytest.raises(wg.InputError, match="has substeps of its own"):
        wg.solve(porous, FiniteVolume(error_tolerance=0.1))
    with pytest.raises(wg.InputError, match="has 2 entries"):
        wg.solve(well(), FiniteVolume(shape=(10, 10)))
    for bad in (
        {"step": 0},
        {"shape": (1,)},
        {"tolerance": -1},
        {"method": "euler"},
        {"time_order": 3},
        {"error_tolerance": 0},
    ):
        with pytest.raises(wg.InputError, match="must be"):
            FiniteVolume(**bad)


def test_three_dimensions_against_the_closed_form() -> None:
    stiffness, mean = np.array([1.0, 0.5, 2.0]), np.array([0.5, -0.5, 0.3])
    problem = wg.Problem(
        energy=wg.Potential.quadratic(tuple(stiffness)) + wg.Entropy(0.2),
        domain=wg.Domain(*[wg.Interval(-3.5, 3.5)] * 3),
        initial=wg.Gaussian(tuple(mean), 0.5),
        horizon=0.5,
        save_times=(),
    )
    errors = []
    for cells in (32, 64):
        solver = FiniteVolume(step=0.025, time_order=2, shape=(cells,) * 3)
        law = finished(problem, solver).measure(-1)
        decay = np.exp(-stiffness * 0.5)
        variance = 0.2 / stiffness + (0.25 - 0.2 / stiffness) * decay**2
        parts = map(gaussian_cells, law.edges, mean * decay, variance)
        exact = np.einsum("i,j,k->ijk", *parts)
        errors.append(np.abs(law.mass_on_grid - exact).sum())
    assert errors[1] < 7e-3
    assert orders(errors)[0] >= 1.7


@pytest.mark.slow
def test_a_network_with_a_bias_on_64_cubed_cells() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-2, 2, 100)
    y = np.sin(1.5 * x) + 0.1 * random.standard_normal(100)
    risk = wg.Risk(wg.Data(x, y), wg.Neuron("relu", bias=True))
    problem = wg.Problem(
        energy=risk + wg.Potential.quadratic((0.05,) * 3, "ridge") + wg.Entropy(0.05),
        domain=wg.Domain(*[wg.Interval(-4, 4)] * 3, names=("a", "w", "b")),
        initial=wg.Gaussian((0.3, 0.0, 0.0), 0.8),
        horizon=2.0,
    )
    run = finished(problem, FiniteVolume(step=0.1, shape=(64, 64, 64)))
    assert (np.diff(run.energy["total"]) < 0).all()
    assert np.abs(run.mass - 1).max() <= 1e-12
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20
