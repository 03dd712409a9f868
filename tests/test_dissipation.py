"""Laws of the dissipation on a grid: zero at rest, and -dF/dt along exact solutions."""

import numpy as np
import pytest

from wgflow.dissipation import face_dissipation
from wgflow.energy import Energy, Entropy, Interaction, Internal, Potential, PowerEntropy
from wgflow.measure import GridMeasure, Measure


def dissipation(energy: Energy, law: Measure, *periodic: bool) -> float:
    wraps = periodic or (False,) * law.dimension
    return energy.dissipation(law, energy.couple(law), wraps)


def masses(edges: np.ndarray, seed: int = 0) -> GridMeasure:
    return GridMeasure([edges], np.random.default_rng(seed).dirichlet(np.ones(len(edges) - 1)))


def barenblatt(edges: np.ndarray, time: float) -> GridMeasure:
    """Exact cell masses of rho = t^{-1/3} (C - x^2 t^{-2/3} / 12)_+, for m = 2 on a line."""
    height = (0.75 / np.sqrt(12)) ** (2 / 3)
    radius = np.sqrt(12 * height)
    y = np.clip(edges / time ** (1 / 3), -radius, radius)
    return GridMeasure([edges], np.diff(height * y - y**3 / 36))


@pytest.mark.parametrize("time", [0.3, 1.0])
def test_dissipation_of_barenblatt_is_its_loss_of_energy(time: float) -> None:
    """F = t^{-1/3} int B^2, hence -dF/dt = t^{-4/3} / 3 int B^2; second order in h."""
    squared = 16 / 15 * np.sqrt(12) * (0.75 / np.sqrt(12)) ** (5 / 3)
    exact = time ** (-4 / 3) / 3 * squared
    errors = []
    for cells in (100, 200, 400, 800):
        law = barenblatt(np.linspace(-3, 3, cells + 1), time)
        errors.append(abs(dissipation(Energy(PowerEntropy(2.0)), law) - exact) / exact)
    # The front lies anywhere in its cell, so single rates scatter.
    assert errors[-1] < 1e-4
    assert np.log2(errors[0] / errors[-1]) / 3 >= 1.8


def test_dissipation_of_a_spreading_gaussian_is_its_loss_of_entropy() -> None:
    """F = -log(v) / 2 + ... with v' = 2: -dF/dt = 1 / v, by summation by parts for any h."""
    for cells in (50, 100):
        edges = np.linspace(-8, 8, cells + 1)
        x = (edges[1:] + edges[:-1]) / 2
        mass = np.exp(-(x**2) / 1.4)
        law = GridMeasure([edges], mass / mass.sum())
        assert dissipation(Energy(Entropy(1.0)), law) == pytest.approx(1 / 0.7, rel=1e-12)


@pytest.mark.parametrize("internal", [(Entropy(0.3),), (PowerEntropy(2.0),), (PowerEntropy(3, 2),)])
def test_the_flux_of_the_internal_energy_alone_is_the_jump_of_its_pressure(
    internal: tuple[Internal, ...],
) -> None:
    """Without g the dissipation is sum (P' - P)(U'(rho') - U'(rho)) / distance, over faces."""
    law = masses(np.array([0.0, 0.1, 0.7, 0.9, 2.0, 2.5]))
    energy, rho = Energy(*internal), law.density
    chemical = internal[0].derivative(rho)
    exact = np.diff(energy.pressure(rho)) * np.diff(chemical) / np.diff(law.centres[0])
    assert dissipation(energy, law) == pytest.approx(exact.sum(), rel=1e-12)


def test_the_mobility_of_an_entropy_is_the_logarithmic_mean() -> None:
    law = masses(np.linspace(0, 1, 6))
    energy = Energy(Potential.quadratic((3.0,)), Entropy(0.4))
    rho, x = law.density, law.centres[0]
    mean = np.diff(rho) / np.diff(np.log(rho))
    slope = np.diff(1.5 * x**2 + 0.4 * np.log(rho)) / 0.2
    assert dissipation(energy, law) == pytest.approx((mean * slope**2 * 0.2).sum(), rel=1e-12)
    cold = Energy(Potential.quadratic((3.0,)))
    slope = np.diff(1.5 * x**2) / 0.2
    assert dissipation(cold, law) == pytest.approx((mean * slope**2 * 0.2).sum(), rel=1e-12)


@pytest.mark.parametrize(
    "internal",
    [(Entropy(0.3),), (PowerEntropy(1.5),), (Entropy(0.3), PowerEntropy(3.0, 2.0))],
)
def test_a_law_with_constant_first_variation_is_at_rest(internal: tuple[Internal, ...]) -> None:
    """V + U'(rho) = const for a rho > 0 given at will: there the dissipation is zero."""
    law = masses(np.linspace(-1, 1, 12), seed=3)
    chemical = sum(part.derivative(law.density) for part in internal)
    still = Potential(lambda x: -np.interp(x[:, 0], law.centres[0], chemical), np.zeros_like)
    assert dissipation(Energy(still, *internal), law) == pytest.approx(0, abs=1e-22)
    moving = Potential(lambda x: x[:, 0], np.ones_like)
    assert dissipation(Energy(moving, *internal), law) > 0.1


def test_beyond_the_front_a_power_entropy_dissipates_nothing() -> None:
    """Cells of vacuum do not move, whatever the force on them."""
    push = Potential(lambda x: 100 * x[:, 0], lambda x: np.full_like(x, 100.0))
    energy = Energy(push, PowerEntropy(2.0))
    edges = np.linspace(0, 1, 11)
    inside = GridMeasure([edges[:6]], np.full(5, 0.2))
    padded = GridMeasure([edges], np.append(np.full(5, 0.2), np.zeros(5)))
    last = dissipation(energy, padded) - dissipation(energy, inside)
    # Only the face at the front is new: mobility rho / 2, slope 100 - U'(rho) / h.
    rho, h = 2.0, 0.1
    assert last == pytest.approx(rho / 2 * (100 - 2 * rho / h) ** 2 * h, rel=1e-9)


def test_a_torus_has_faces_between_its_last_and_first_cells() -> None:
    """The dissipation does not change when the law turns; without wrapping it does."""
    edges = [np.linspace(0, 1, 7), np.linspace(0, 3, 5)]
    mass = np.random.default_rng(1).dirichlet(np.ones(24)).reshape(6, 4)
    energy = Energy(Entropy(1.0), PowerEntropy(2.0))
    law = GridMeasure(edges, mass)
    turned = GridMeasure(edges, np.roll(mass, (2, 3), axis=(0, 1)))
    whole = dissipation(energy, law, True, True)
    assert dissipation(energy, turned, True, True) == pytest.approx(whole, rel=1e-12)
    assert dissipation(energy, law, True, False) < whole
    assert dissipation(energy, law, False, False) < dissipation(energy, law, True, False)


def test_axes_add_up() -> None:
    """Of a product law of two marginals it is the sum of the two dissipations."""
    one, two = masses(np.array([0.0, 0.2, 0.5, 1.5])), masses(np.linspace(0, 2, 6), seed=5)
    product = GridMeasure([*one.edges, *two.edges], np.outer(one.mass, two.mass))
    energy = Energy(Entropy(0.7))
    expected = dissipation(energy, one) + dissipation(energy, two)
    assert dissipation(energy, product) == pytest.approx(expected, rel=1e-12)


def test_an_interaction_takes_part() -> None:
    """A Gaussian of variance v under W = |x|^2 / 2: int |x|^2 drho = v without diffusion."""
    edges = np.linspace(-8, 8, 401)
    x = (edges[1:] + edges[:-1]) / 2
    mass = np.exp(-(x**2) / 1.4)
    law = GridMeasure([edges], mass / mass.sum())
    energy = Energy(Interaction.quadratic(1.0))
    assert dissipation(energy, law) == pytest.approx(0.7, rel=2e-3)


def test_equal_densities_have_the_mean_of_both_as_mobility() -> None:
    """Where the quotient of pressure and chemical potential loses its digits."""
    edges = [np.linspace(0, 1, 3)]
    for difference in (0.0, 1e-15, 1e-9, 1e-7, 1e-5):
        rho = np.array([1 - difference, 1 + difference])
        law = GridMeasure(edges, rho / 2)
        slope = np.array([0.0, 1.0])
        found = face_dissipation(law, slope, np.log(rho), rho, (False,))
        assert found == pytest.approx(2.0, rel=1e-9)
