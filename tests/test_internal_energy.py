"""Laws of the internal energies: what follows from U, and their values on a grid."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from wgflow.energy import Energy, Entropy, Internal, Potential, PowerEntropy, negative_entropy
from wgflow.errors import InputError
from wgflow.law import Uniform
from wgflow.measure import GridMeasure, Particles

INTERNAL = {
    "entropy": Entropy(0.3),
    "porous": PowerEntropy(2.0),
    "slow": PowerEntropy(4.5, 0.2),
    "nearly_linear": PowerEntropy(1.2, 3.0),
}
DENSITIES = st.floats(1e-3, 10.0)


@pytest.fixture(params=INTERNAL)
def internal(request: pytest.FixtureRequest) -> Internal:
    return INTERNAL[request.param]


@given(st.sampled_from(sorted(INTERNAL)), DENSITIES)
def test_the_functions_of_the_density_belong_together(name: str, density: float) -> None:
    """U' is the derivative of U, P = rho U' - U, P' = rho U'', and the inverse inverts."""
    energy, rho, h = INTERNAL[name], np.array([density]), 1e-5 * density
    size = 1 + np.abs(energy.density_value(rho)) + np.abs(energy.derivative(rho))

    def slope(function: object) -> np.ndarray:
        return (function(rho + h) - function(rho - h)) / (2 * h)

    assert energy.derivative(rho) == pytest.approx(slope(energy.density_value), rel=1e-7, abs=1e-8)
    pressure = rho * energy.derivative(rho) - energy.density_value(rho)
    assert energy.pressure(rho) == pytest.approx(pressure, abs=1e-14 * float(size[0]) * 10)
    second = slope(energy.derivative)
    assert energy.pressure_derivative(rho) == pytest.approx(rho * second, rel=1e-6)
    assert energy.pressure_derivative(rho) == pytest.approx(slope(energy.pressure), rel=1e-6)
    again = energy.inverse_derivative(energy.derivative(rho))
    assert again == pytest.approx(rho, rel=1e-12)


@given(st.sampled_from(sorted(INTERNAL)), DENSITIES, DENSITIES)
def test_they_are_convex_and_their_pressure_rises(name: str, one: float, two: float) -> None:
    energy, rho = INTERNAL[name], np.array([one, two])
    middle = energy.density_value(rho.mean(keepdims=True))[0]
    assert middle <= energy.density_value(rho).mean() + 1e-13 * (1 + np.abs(middle))
    assert np.diff(energy.pressure(np.sort(rho)))[0] >= 0


def test_vacuum_costs_nothing_and_has_no_pressure(internal: Internal) -> None:
    empty = np.zeros((2, 3))
    assert not internal.density_value(empty).any()
    assert not internal.pressure(empty).any()
    assert np.isfinite(internal.derivative(empty)).all()


def test_below_its_vacuum_a_power_entropy_inverts_to_nothing() -> None:
    assert not PowerEntropy(3.0).inverse_derivative(np.array([-2.0, 0.0])).any()
    # The entropy has no vacuum: every potential has a density.
    assert (Entropy(0.5).inverse_derivative(np.array([-20.0, 0.0])) > 0).all()


def test_values_by_hand() -> None:
    rho = np.array([2.0])
    assert PowerEntropy(3.0, 5.0).density_value(rho) == pytest.approx([20.0])
    assert PowerEntropy(3.0, 5.0).derivative(rho) == pytest.approx([30.0])
    assert PowerEntropy(3.0, 5.0).pressure(rho) == pytest.approx([40.0])
    assert PowerEntropy(3.0, 5.0).pressure_derivative(rho) == pytest.approx([60.0])
    assert Entropy(0.5).density_value(rho) == pytest.approx([np.log(2)])
    assert Entropy(0.5).derivative(rho) == pytest.approx([0.5 * np.log(2) + 0.5])
    assert Entropy(0.5).pressure(rho) == pytest.approx([1.0])


def test_value_of_the_uniform_law(internal: Internal) -> None:
    """|Omega| U(1 / |Omega|), on cells of any width."""
    edges = [np.array([0.0, 0.1, 1.4, 2.0]), np.linspace(0, 3, 7)]
    law = Uniform((0, 0), (2, 3)).grid(edges)
    exact = 6 * internal.density_value(np.array([1 / 6]))[0]
    assert internal.value(law) == pytest.approx(exact, rel=1e-13)


def test_value_is_a_sum_over_cells(internal: Internal) -> None:
    edges = [np.array([0.0, 0.1, 1.4, 2.0]), np.linspace(0, 3, 3)]
    law = GridMeasure(edges, np.array([[0.1, 0.0], [0.3, 0.2], [0.0, 0.4]]))
    exact = (law.volume * internal.density_value(law.density)).sum()
    assert internal.value(law) == pytest.approx(exact, rel=1e-13)


def test_entropies_spread_and_powers_do_too(internal: Internal) -> None:
    """Among all laws of one mass the uniform one has the least."""
    edges = [np.linspace(0, 2, 9)]
    random = np.random.default_rng(0)
    least = internal.value(GridMeasure(edges, np.full(8, 1 / 8)))
    for _ in range(10):
        assert internal.value(GridMeasure(edges, random.dirichlet(np.ones(8)))) > least


def test_value_of_the_barenblatt_profile_converges() -> None:
    """B = (C - x^2/12)_+ with C^{3/2} = 3/4 / sqrt(12): int B^2 = 16/15 sqrt(12) C^{5/2}."""
    height = (0.75 / np.sqrt(12)) ** (2 / 3)
    exact = 16 / 15 * np.sqrt(12) * height**2.5
    radius, errors = np.sqrt(12 * height), []
    for cells in (40, 80, 160):
        edges = np.linspace(-4, 4, cells + 1)
        x = np.clip(edges, -radius, radius)
        law = GridMeasure([edges], np.diff(height * x - x**3 / 36))
        assert law.mass.sum() == pytest.approx(1, rel=1e-14)
        errors.append(PowerEntropy(2.0).value(law) - exact)
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx([2, 2], abs=0.2)


def test_the_entropy_of_masses_and_of_densities_are_one() -> None:
    mass, volume = np.array([0.0, 0.25, 0.75]), np.array([1.0, 0.5, 3.0])
    exact = 0.25 * np.log(0.5) + 0.75 * np.log(0.25)
    assert negative_entropy(mass, volume) == pytest.approx(exact, rel=1e-15)


# --- in a sum -------------------------------------------------------------------------------


def test_what_an_energy_says_of_its_internal_part() -> None:
    potential = Potential.quadratic((1.0,))
    both = potential + Entropy(0.2) + PowerEntropy(2.0, 3.0)
    assert both.temperature == 0.2
    assert both.diffuses
    assert both.names == ["potential", "entropy", "power_entropy"]
    assert both.pressure(np.array([2.0])) == pytest.approx([0.4 + 12.0])
    assert Energy(potential, PowerEntropy(2.0)).diffuses
    assert Energy(potential, PowerEntropy(2.0)).temperature == 0
    assert not Energy(potential, Entropy(0.0)).diffuses
    assert not Energy(potential).pressure(np.array([2.0])).any()
    assert both.describe()[2] == {
        "name": "power_entropy",
        "kind": "PowerEntropy",
        "exponent": 2.0,
        "factor": 3.0,
    }


def test_particles_have_no_internal_energy() -> None:
    energy = Potential.quadratic((1.0,)) + PowerEntropy(2.0)
    law = Particles(np.zeros((3, 1)))
    couplings = energy.couple(law)
    values = energy.values(law, couplings)
    assert np.isnan(values["power_entropy"])
    assert np.isnan(energy.dissipation(law, couplings, (False,)))
    cold = Potential.quadratic((1.0,)) + Entropy(0.0)
    assert cold.values(law, cold.couple(law)) == {"potential": 0.0, "entropy": 0.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0,), "exponent of a power entropy is 1.0, but must be .* above 1 and at most 100"),
        ((0.5,), "exponent of a power entropy is 0.5"),
        ((101,), "exponent of a power entropy is 101"),
        ((np.nan,), "exponent of a power entropy is nan"),
        ((2.0, 0.0), "factor of a power entropy is 0.0, but must be a finite number above 0"),
        ((2.0, "3"), "factor of a power entropy is '3'"),
    ],
)
def test_bad_power_entropies_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PowerEntropy(*arguments)


def test_bad_entropies_are_refused() -> None:
    with pytest.raises(InputError, match="temperature is -1, but must be .* at least 0"):
        Entropy(-1)
    with pytest.raises(InputError, match="give each its own name"):
        Entropy(0.1) + Entropy(0.2)
