"""Laws of the certificate beyond least squares: all losses, interactions, particles, no entropy."""

from collections.abc import Sequence

import numpy as np
import pytest
from conftest import network, well
from hypothesis import given, settings, strategies as st

from wgflow.data import Data
from wgflow.domain import Circle, Domain, Interval
from wgflow.energy import Energy, Entropy, Interaction, Potential, PowerEntropy, Risk, Term
from wgflow.errors import InputError
from wgflow.law import Gaussian, Uniform
from wgflow.loop import solve
from wgflow.loss import LOSSES
from wgflow.measure import GridMeasure, Particles
from wgflow.neuron import Neuron
from wgflow.optimality import Dual, NotConvexError, certificate, has_certificate
from wgflow.problem import Problem
from wgflow.solvers import JKO, ParticleFlow

REPULSION = Interaction.logarithmic(0.5, "repulsion")


def risk(loss: str, seed: int, *, samples: int = 15, scale: float = 1.0) -> Risk:
    random = np.random.default_rng(seed)
    x = random.uniform(-2, 2, samples)
    neuron = Neuron("tanh", outer=3) if loss == "softmax" else Neuron("tanh")
    y = np.sin(1.5 * x) + 0.1 * random.standard_normal(samples)
    if loss == "softmax":
        y = np.eye(3)[random.integers(3, size=samples)]
    elif loss == "logistic":
        y = random.choice([-1.0, 1.0], samples)
    return Risk(Data(x, y, random.dirichlet(np.ones(samples))), neuron, loss, scale)


def edges_for(energy: Energy) -> list[np.ndarray]:
    axes = 2 if energy.risk is None else energy.risk.dimension
    return [np.linspace(-4, 4, 33 if axes == 2 else 10)] * axes


def random_law(edges: Sequence[np.ndarray], seed: int, spikes: float = 1.0) -> np.ndarray:
    shape = [len(edge) - 1 for edge in edges]
    return np.random.default_rng(seed).dirichlet(np.full(np.prod(shape), spikes)).reshape(shape)


def energies(loss: str, temperature: float, seed: int) -> dict[str, Energy]:
    alone = risk(loss, seed) + Entropy(temperature)
    ridge = Potential.quadratic([0.05] * risk(loss, seed).dimension, "ridge")
    return {"risk": alone, "ridge": alone + ridge}


def repelled(temperature: float = 0.2) -> Energy:
    return Energy(
        risk("half_squared", 0),
        Potential.quadratic((0.5, 0.5), "ridge"),
        REPULSION,
        Interaction.quadratic(-0.1, "spread"),
        Entropy(temperature),
    )


def assert_certified(energy: Energy, *, seed: int = 0, most: int = 30) -> None:
    """Identity, sandwich, the gap at rho*, and F* below every other law."""
    dual = Dual(energy, edges_for(energy))
    best, grid = dual.maximise(), dual.on_grid
    optimal = best.measure.mass_on_grid
    assert best.iterations <= most
    assert 0 <= dual.gap(optimal) <= 1e-12 * max(1, abs(best.value))
    assert optimal.sum() == pytest.approx(1, abs=1e-13)
    assert dual.value(grid.couple(optimal)) == pytest.approx(best.value, rel=1e-12, abs=1e-12)
    for spikes in (0.05, 1.0, 100.0):
        mass = random_law(grid.edges, seed, spikes)
        coupling = grid.couple(mass)
        value, lower, gap = grid.value(mass), dual.value(coupling), dual.gap(mass)
        size = max(1.0, abs(value), abs(lower))
        log_gibbs = dual.gibbs(coupling)[0]
        inside = mass > 0
        entropy = (mass[inside] * (np.log(mass[inside]) - log_gibbs[inside])).sum()
        assert gap == pytest.approx(energy.temperature * entropy, abs=1e-13 * size)
        assert value - lower == pytest.approx(gap, abs=3e-13 * size)
        ratio = np.log(mass[inside]) - np.log(optimal[inside])
        apart = energy.temperature * (mass[inside] * ratio).sum()
        assert apart - 1e-12 * size <= value - best.value <= gap + 1e-12 * size
        assert value > best.value
        assert lower <= best.value + 1e-12 * size


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_is_certified(loss: str, temperature: float) -> None:
    for energy in energies(loss, temperature, seed=1).values():
        assert_certified(energy)


@settings(max_examples=40, deadline=None)
@given(
    loss=st.sampled_from(["half_squared", "squared", "logistic"]),
    temperature=st.sampled_from([0.01, 0.1, 1.0]),
    samples=st.integers(1, 30),
    scale=st.sampled_from([0.5, 1.0, 2.0]),
    seed=st.integers(0, 10**6),
)
def test_small_problems_are_certified(
    loss: str, temperature: float, samples: int, scale: float, seed: int
) -> None:
    assert_certified(
        risk(loss, seed, samples=samples, scale=scale) + Entropy(temperature), seed=seed
    )


@pytest.mark.parametrize("temperature", [0.02, 0.2, 1.0])
def test_convex_interactions_are_certified(temperature: float) -> None:
    assert_certified(repelled(temperature))
    alone = Potential.quadratic((1.0, 1.0)) + REPULSION + Entropy(temperature)
    assert_certified(alone)


def test_a_positive_kernel_on_a_circle_is_certified_and_a_negative_one_is_not() -> None:
    def kernel(sign: float) -> Interaction:
        return Interaction(
            lambda x: sign * np.cos(x[:, 0]), lambda x: -sign * np.sin(x), "coupling"
        )

    def problem(sign: float) -> Problem:
        return Problem(
            energy=kernel(sign) + Entropy(0.3),
            domain=Domain(Circle()),
            initial=Gaussian(1.0, 0.4),
            horizon=1.0,
        )

    repulsive, attractive = problem(1.0), problem(-1.0)
    law = repulsive.initial.grid(repulsive.domain.grid((48,)))
    found = certificate(repulsive, law)
    # By symmetry the uniform law is the minimum.
    assert found.minimum == pytest.approx(-0.3 * np.log(2 * np.pi), abs=1e-13)
    assert found.gap >= found.value - found.minimum > 0.1
    assert has_certificate(attractive.energy)  # the grid alone can tell
    with pytest.raises(NotConvexError, match="no certificate.*attractive interaction"):
        certificate(attractive, law)


@pytest.mark.parametrize("radius", [1.0, 2.0])
def test_at_low_temperature_the_minimum_tends_to_the_known_one(radius: float) -> None:
    """V = k |x|^2 / 2 and W = -log|x| in the plane: a uniform disc of R^2 = 1 / k."""
    stiffness = 1 / radius**2
    energy = Potential.quadratic((stiffness,) * 2) + Interaction.logarithmic(1.0)
    # int V = k R^2 / 4, and half the logarithmic energy of a disc is 1/8 - log(R) / 2.
    exact = 1 / 4 + 1 / 8 - np.log(radius) / 2
    differences = []
    for temperature in (0.08, 0.02):
        edges = [np.linspace(-1.6 * radius, 1.6 * radius, 41)] * 2
        best = Dual(energy + Entropy(temperature), edges).maximise()
        entropy = Entropy(temperature).value(best.measure)
        differences.append(best.value - entropy - exact)
    assert abs(differences[1]) < abs(differences[0]) < 0.1
    assert abs(differences[1]) < 0.01


# --- particles ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_particles_have_a_lower_bound(seed: int) -> None:
    problem = network(temperature=0.1)
    cloud = problem.initial.particles(seed, 50)
    found = certificate(problem, cloud, shape=(40, 40))
    assert np.isnan(found.value)
    assert np.isnan(found.gap)
    dual = Dual(problem.energy, problem.domain.grid((40, 40)))
    assert found.minimum == dual.maximise().value
    assert found.dual < found.minimum
    # Particles at the centres of cells have the bound of those masses.
    centres = dual.maximise().measure.points[[3, 800, 900]]
    mass = np.zeros(1600)
    mass[[3, 800, 900]] = 1 / 3
    lower = dual.value(dual.on_grid.couple(mass.reshape(40, 40)))
    at_centres = certificate(problem, Particles(centres), shape=(40, 40))
    assert at_centres.dual == pytest.approx(lower, abs=1e-12)


@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("singular", [False, True])
def test_particles_that_interact_have_a_lower_bound(count: int, singular: bool) -> None:
    """For a singular kernel, too, although the particles do not act on themselves."""
    smooth = Interaction(
        lambda x: np.exp(-(x**2).sum(axis=1)),
        lambda x: -2 * x * np.exp(-(x**2).sum(axis=1, keepdims=True)),
        "repulsion",
    )
    energy = Potential.quadratic((1.0,)) + Interaction.quadratic(-0.1, "spread") + Entropy(0.05)
    if singular:
        energy += Interaction.logarithmic(3.0) + Interaction.logarithmic(0.01, "more")
    else:
        energy += smooth
    # In a short interval the tangent at particles without their own energy lies above F*.
    problem = Problem(energy, Domain(Interval(-0.2, 0.2)), Uniform(-0.2, 0.2), 1.0)
    found = [
        certificate(problem, problem.initial.particles(seed, count), shape=(64,))
        for seed in range(5)
    ]
    assert all(each.dual <= each.minimum for each in found)
    assert np.isfinite([each.dual for each in found]).all()


def test_a_law_on_another_grid_is_treated_like_particles() -> None:
    problem = network(temperature=0.1)
    law = problem.initial.grid(problem.domain.grid((30, 30)))
    found = certificate(problem, law, shape=(40, 40))
    assert np.isnan([found.value, found.gap]).all()
    assert found.dual < found.minimum
    here = certificate(problem, law)
    assert here.value - here.dual == pytest.approx(here.gap, abs=1e-12)
    assert here.dual < here.minimum < here.value


# --- temperature 0 --------------------------------------------------------------------------


def test_the_gap_of_frank_and_wolfe_bounds_all_others() -> None:
    """F(rho) - gap lies below F of any other particle law of the problem."""
    problem = network(temperature=0.0)
    energy = problem.energy
    for seed in range(3):
        found = certificate(problem, problem.initial.particles(seed, 30), shape=(200, 200))
        assert found.dual == found.value - found.gap
        assert np.isnan(found.minimum)
        for other in range(5):
            law = problem.initial.particles(100 + other, 7)
            assert sum(energy.values(law, energy.couple(law)).values()) >= found.dual
    run = solve(problem.until(20.0), ParticleFlow(count=60, step=0.1))
    late, early = certificate(problem, run.measure(-1)), certificate(problem, run.measure(0))
    assert late.gap < 0.5 * early.gap
    assert late.value >= early.dual


def test_the_gap_vanishes_at_a_known_minimiser() -> None:
    """Of a potential alone: every particle at the bottom of the well."""
    problem = well(temperature=0.0)
    bottom = Particles(np.zeros((4, 1)))
    assert certificate(problem, bottom).gap == 0
    gaps = [certificate(problem, Particles(np.full((4, 1), x))).gap for x in (0.1, 0.01, 0.001)]
    assert gaps == pytest.approx([5e-3, 5e-5, 5e-7], rel=1e-9)
    law = Uniform(-1.0, 1.0).grid(problem.domain.grid((160,)))
    found = certificate(problem, law)
    # By the midpoint rule, with the minimum at a centre, half a cell from the bottom.
    assert found.gap == pytest.approx((1 - 0.05**2) / 6 - 0.05**2 / 8, rel=1e-2)


def test_the_gap_of_a_repulsive_law_on_a_grid() -> None:
    """The uniform disc of radius 1 minimises V = |x|^2 / 2 and W = -log|x|: a gap of order h."""
    energy = Potential.quadratic((1.0, 1.0)) + Interaction.logarithmic(1.0)
    problem = Problem(energy, Domain(Interval(-2, 2), Interval(-2, 2)), Gaussian([0, 0], 1.0), 1.0)
    gaps = []
    for cells in (20, 80):
        edges = problem.domain.grid((cells, cells))
        inside = np.hypot(*np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges])) < 1
        gaps.append(certificate(problem, GridMeasure(edges, inside / inside.sum())).gap)
    assert 0 < gaps[1] < gaps[0] / 2
    assert gaps[1] < 0.02
    with pytest.raises(InputError, match="no finite energy under the singular .* a GridMeasure"):
        certificate(problem, Particles(np.zeros((1, 2))))


# --- energies without a certificate ---------------------------------------------------------


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        (Interaction.quadratic(1.0) + Entropy(0.1), "not known to be convex"),
        (Interaction.quadratic(1.0) + Potential.quadratic((1.0,)), "not known to be convex"),
        (Interaction.logarithmic(-1.0) + Entropy(0.1), "not known to be convex"),
        (Potential.quadratic((1.0,)) + PowerEntropy(2.0), "with a power entropy"),
        (Potential.quadratic((1.0,)) + PowerEntropy(2.0) + Entropy(0.1), "with a power entropy"),
    ],
)
def test_other_energies_are_refused(energy: Energy, message: str) -> None:
    problem = Problem(energy, Domain(Interval(-3, 3)), Gaussian(0.5, 0.5), 0.1)
    law = problem.initial.grid(problem.domain.grid((32,)))
    with pytest.raises(InputError, match=message):
        certificate(problem, law)
    assert not has_certificate(energy)


def test_a_run_without_a_certificate_records_none() -> None:
    """Known at once, by the grid alone, or for particles: NaN and no error."""
    own = Interaction(lambda x: np.abs(x[:, 0]), np.sign, "own")
    for interaction in (Interaction.quadratic(0.3), own):
        energy = interaction + Entropy(0.1)
        problem = Problem(energy, Domain(Interval(-3, 3)), Gaussian(0.5, 0.5), 1.0)
        run = solve(problem.save_every(0.5), JKO(method="entropic", step=0.5, shape=(48,)))
        assert run.status == "finished"
        assert np.isnan(run.gap).all()
        assert np.isnan(run.minimum).all()
    cloud = solve(network(horizon=0.1), ParticleFlow(step=0.1, count=5))
    assert np.isnan(cloud.gap).all()


def test_a_run_with_a_convex_interaction_records_its_gap() -> None:
    problem = Problem(
        Potential.quadratic((1.0,)) + REPULSION + Entropy(0.1),
        Domain(Interval(-3, 3)),
        Gaussian(0.5, 0.5),
        6.0,
    )
    run = solve(problem.save_every(1.0), JKO(method="entropic", step=0.5, shape=(48,)))
    found = certificate(problem, run.measure(2))
    assert run.gap[2] == found.gap
    assert run.minimum == pytest.approx(found.minimum, abs=1e-14)
    assert (run.gap >= run.energy["total"] - run.minimum - 1e-13).all()
    assert (run.energy["total"] >= run.minimum).all()
    assert run.gap[-1] < 0.1 * run.gap[0]


def test_a_law_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="needs Particles or a GridMeasure, not 3"):
        certificate(network(), 3)  # type: ignore[arg-type]


def test_cold_energies_have_no_dual_on_a_grid() -> None:
    with pytest.raises(InputError, match="temperature above 0, but the energy has 0; add an"):
        Dual(network(temperature=0.0).energy, [np.linspace(-1, 1, 5)] * 2)


def test_a_convex_term_that_no_grid_takes_has_no_certificate_but_runs() -> None:
    class Moment(Term):
        """(M/2 - b)^2 / 2 with M = int |theta|^2 drho, which only moving cells can follow."""

        name, convex = "moment", True

        def couple(self, measure: GridMeasure) -> float:
            return float(measure.integral(lambda x: (x**2).sum(axis=1))) / 2 - 0.3

        def value(self, coupling: float) -> float:
            return coupling**2 / 2

        def first_variation(self, points: np.ndarray, coupling: float) -> np.ndarray:
            return coupling * (points**2).sum(axis=1) / 2

        def gradient(self, points: np.ndarray, coupling: float) -> np.ndarray:
            return coupling * points

    problem = Problem(Moment() + Entropy(0.1), Domain(Interval(-4, 4)), Gaussian(), 0.2)
    run = solve(problem, JKO(0.1, 64))
    assert run.status == "finished"
    assert np.isnan(run.gap).all() and np.isnan(run.minimum).all()
