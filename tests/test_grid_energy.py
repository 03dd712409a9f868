"""Laws of an energy on a fixed grid: derivatives, linearity, compression without loss."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from wgflow.data import Data
from wgflow.energy import Energy, Entropy, Interaction, Potential, PowerEntropy, Risk, Term
from wgflow.errors import InputError
from wgflow.grid_energy import GridEnergy
from wgflow.grid_risk import GridRisk, _range
from wgflow.kernels.activation import Activation
from wgflow.loss import LOSSES
from wgflow.measure import GridMeasure, cell_centres
from wgflow.neuron import Neuron

OUTPUTS = {"half_squared": "weight", "squared": 2, "logistic": 1, "softmax": 3}


def targets(loss: str, count: int, columns: int, random: np.random.Generator) -> np.ndarray:
    if loss == "softmax":
        return np.eye(columns)[random.integers(columns, size=count)]
    if loss == "logistic":
        return random.choice([-1.0, 1.0], (count, columns))
    return random.standard_normal((count, columns))


def risk_with(loss: str, *, samples: int = 9, outer: str | int | None = None) -> Risk:
    random = np.random.default_rng(samples)
    neuron = Neuron("tanh", outer=OUTPUTS[loss] if outer is None else outer)
    y = targets(loss, samples, neuron.outputs, random)
    weight = random.uniform(0.0, 1.0, samples)
    return Risk(Data(random.standard_normal(samples), y, weight), neuron, loss, scale=1.3)


def everything(loss: str) -> GridEnergy:
    """A risk, two potentials and two interactions on a small grid."""
    risk = risk_with(loss)
    energy = Energy(
        risk,
        Potential.quadratic(np.ones(risk.dimension), "ridge"),
        Potential(lambda x: np.cos(x[:, 0]), lambda x: -np.sin(x), "wave"),
        Interaction.quadratic(0.7, "attraction"),
        Interaction.logarithmic(0.4, "repulsion"),
        Entropy(0.3),
    )
    edges = [np.linspace(-2 - 0.1 * k, 2, 5 + (k < 2)) for k in range(risk.dimension)]
    return GridEnergy(energy, edges)


def random_mass(on_grid: GridEnergy, seed: int = 0) -> np.ndarray:
    mass = np.random.default_rng(seed).uniform(size=on_grid.volume.shape)
    return mass / mass.sum()


@pytest.fixture(params=sorted(LOSSES), scope="module")
def on_grid(request: pytest.FixtureRequest) -> GridEnergy:
    return everything(request.param)


# --- derivatives ----------------------------------------------------------------------------


def test_the_first_variation_is_the_derivative_of_the_value(on_grid: GridEnergy) -> None:
    """Along a change of total mass zero, without internal energies, whose derivative is known."""
    mass, other = random_mass(on_grid), random_mass(on_grid, seed=1)
    change, step = other - mass, 1e-4

    def value(share: float) -> float:
        moved = mass + share * change
        return on_grid.value(moved) - Entropy(0.3).value(GridMeasure(on_grid.edges, moved))

    slope = (value(step) - value(-step)) / (2 * step)
    g = on_grid.first_variation(on_grid.couple(mass))
    assert slope == pytest.approx((g * change).sum(), rel=1e-8)


def test_slope_and_hessian_are_derivatives_in_the_coupling(on_grid: GridEnergy) -> None:
    random = np.random.default_rng(0)
    z, change = on_grid.couple(random_mass(on_grid)), random.standard_normal(on_grid.size)
    step = 1e-5
    up, down = z + step * change, z - step * change
    rise = (on_grid.coupled_value(up) - on_grid.coupled_value(down)) / (2 * step)
    assert on_grid.slope(z) @ change == pytest.approx(rise, rel=1e-8, abs=1e-9)
    bend = (on_grid.slope(up) - on_grid.slope(down)) / (2 * step)
    apply = on_grid.hessian(z)
    assert apply(change) == pytest.approx(bend, rel=1e-7, abs=1e-8)
    other = random.standard_normal(on_grid.size)
    assert other @ apply(change) == pytest.approx(change @ apply(other), rel=1e-12)


def test_coupling_is_linear_and_transpose_its_adjoint(on_grid: GridEnergy) -> None:
    random = np.random.default_rng(2)
    one, two = random_mass(on_grid), random_mass(on_grid, seed=3)
    z = on_grid.couple(2 * one - 0.7 * two)
    expected = 2 * on_grid.couple(one) - 0.7 * on_grid.couple(two)
    assert z == pytest.approx(expected, rel=1e-13, abs=1e-14)
    slope = random.standard_normal(on_grid.size)
    assert slope @ on_grid.couple(one) == pytest.approx((on_grid.transpose(slope) * one).sum())
    assert z.shape == on_grid.scale.shape == (on_grid.size,)


def test_the_grid_says_what_the_energy_says(on_grid: GridEnergy) -> None:
    law = GridMeasure(on_grid.edges, random_mass(on_grid))
    energy, z = on_grid.energy, on_grid.couple(law.mass_on_grid)
    couplings = energy.couple(law)
    values = energy.values(law, couplings)
    assert on_grid.value(law.mass_on_grid) == pytest.approx(sum(values.values()), rel=1e-13)
    g = energy.first_variation(law.points, couplings).reshape(law.shape)
    assert on_grid.first_variation(z) == pytest.approx(g, rel=1e-12, abs=1e-13)
    assert on_grid.temperature == 0.3


def test_without_couplings_all_is_potential() -> None:
    edges = [np.linspace(-1, 1, 5)]
    on_grid = GridEnergy(Potential.quadratic((2.0,)) + PowerEntropy(2.0), edges)
    mass = np.full(4, 0.25)
    assert on_grid.size == 0
    assert on_grid.couple(mass).shape == on_grid.slope(np.zeros(0)).shape == (0,)
    assert on_grid.hessian(np.zeros(0))(np.zeros(0)).shape == (0,)
    assert np.array_equal(on_grid.first_variation(np.zeros(0)), on_grid.potential)
    # int x^2 = (1/16 + 9/16) / 2 by the midpoint rule, and int rho^2 = 1/2.
    assert on_grid.value(mass) == pytest.approx(5 / 16 + 0.5, rel=1e-14)
    error = np.zeros(0)
    assert on_grid.correction(mass, error, 1.0, 1.0)(error).shape == (0,)


def test_the_quasi_newton_map_solves_an_implicit_equation_it_is_made_for() -> None:
    """Where g acts by exp(-dg / epsilon) alone, z[rho_z] - z = 0 is solved in a few steps."""
    risk = risk_with("logistic", samples=30)
    on_grid = GridEnergy(risk + Entropy(2.0), [np.linspace(-3, 3, 25)] * 2)
    z, mass = np.zeros(on_grid.size), np.exp(np.zeros(on_grid.volume.shape))
    for _ in range(8):
        mass = np.exp(-on_grid.first_variation(z) / 2.0)
        mass /= mass.sum()
        error = on_grid.couple(mass) - z
        z = z + on_grid.correction(mass, on_grid.couple(mass), 1e6, 2.0)(error)
    assert np.abs(error).max() < 1e-10


# --- compression ----------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
def test_many_samples_are_compressed_without_loss(bias: bool) -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-2, 2, 500)
    neuron = Neuron("tanh", bias=bias, outer="weight")
    energy = Energy(Risk(Data(x, np.sin(x)), neuron))
    edges = [np.linspace(-5, 5, 25)] * (2 + bias)
    law = GridMeasure(
        edges, random.dirichlet(np.ones(24 ** len(edges))).reshape((24,) * len(edges))
    )
    table = GridRisk(energy.risk, law.centres)
    assert table.size < 150
    exact = energy.couple(law)["risk"]
    found = table.predictions(table.couple(law.mass_on_grid))
    assert np.abs(found - exact).max() <= 1e-13 * np.abs(exact).max()


def test_samples_that_are_all_needed_are_kept() -> None:
    """Relu with as many kinks as cells has full rank."""
    x = np.column_stack([np.ones(40), -np.linspace(-1.9, 1.9, 40)])
    risk = Risk(Data(x, np.zeros(40)), Neuron("relu", outer="fixed"))
    edges = [np.linspace(-3, 3, 41), np.linspace(-3, 3, 41)]
    table = GridRisk(risk, cell_centres(edges))
    assert table.size == 40
    law = GridMeasure(edges, np.full((40, 40), 1 / 1600))
    found = table.predictions(table.couple(law.mass_on_grid))
    assert found == pytest.approx(Energy(risk).couple(law)["risk"], rel=1e-13)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 160), st.integers(1, 160), st.integers(1, 160), st.integers(0, 1000))
def test_the_range_of_a_matrix(rows: int, columns: int, rank: int, seed: int) -> None:
    """An orthonormal basis, of at most the rank, that reproduces the matrix to rounding."""
    random = np.random.default_rng(seed)
    rank = min(rank, rows, columns)
    matrix = random.standard_normal((rows, rank)) @ random.standard_normal((rank, columns))
    basis = _range(matrix)
    assert 1 <= basis.shape[1] <= min(rows, columns)
    if rank < min(rows, columns):
        assert basis.shape[1] <= rank + 60  # not much is added by rounding
    assert basis.T @ basis == pytest.approx(np.eye(basis.shape[1]), abs=1e-13)
    rest = matrix - basis @ (basis.T @ matrix)
    assert np.linalg.norm(rest) <= 3e-14 * np.linalg.norm(matrix)


def test_the_range_is_found_where_singular_values_fall_slowly() -> None:
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.standard_normal((n, 300)))[0] for n in (600, 900))
    for ratio in (0.5, 0.8, 0.95, 1.0):
        matrix = (left * ratio ** np.arange(300)) @ right.T
        basis = _range(matrix)
        rest = matrix - basis @ (basis.T @ matrix)
        assert np.linalg.norm(rest) <= 3e-14 * np.linalg.norm(matrix)
        wanted = (ratio ** np.arange(300) > 1e-14).sum()
        assert wanted <= basis.shape[1] <= 600


# --- edge cases -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("kind", ["equal inputs", "one sample", "zero weights", "zero", "constant"])
def test_degenerate_data_and_activations(loss: str, kind: str) -> None:
    random = np.random.default_rng(4)
    samples = 1 if kind == "one sample" else 7
    x = np.full(samples, 0.8) if kind == "equal inputs" else random.standard_normal(samples)
    weight = np.eye(samples)[0] if kind == "zero weights" else None
    constant = {"zero": 0.0, "constant": 1.0}.get(kind)
    activation: str | Activation = "tanh"
    if constant is not None:
        activation = Activation(lambda t: np.full_like(t, constant), np.zeros_like)
    neuron = Neuron(activation, outer=OUTPUTS[loss])
    risk = Risk(Data(x, targets(loss, samples, neuron.outputs, random), weight), neuron, loss)
    edges = [np.linspace(-2, 2, 6)] * risk.dimension
    on_grid = GridEnergy(risk + Entropy(0.1), edges)
    law = GridMeasure(edges, random_mass(on_grid))
    if kind not in ("zero weights",):
        assert on_grid.size == neuron.outputs  # one direction is all there is
    assert on_grid.risk is not None
    z = on_grid.couple(law.mass_on_grid)
    expected = on_grid.energy.couple(law)["risk"]
    assert on_grid.risk.predictions(z) == pytest.approx(expected, rel=1e-13, abs=1e-15)
    step = on_grid.correction(law.mass_on_grid, z, 0.5, 0.1)(np.ones(on_grid.size))
    assert np.isfinite(step).all()


def test_terms_that_a_grid_does_not_take_are_refused() -> None:
    class Own(Term):
        name = "own"

    edges = [np.linspace(-1, 1, 5)]
    with pytest.raises(InputError, match="'own' cannot be put on a grid; a grid takes one risk"):
        GridEnergy(Energy(Own()), edges)
    pole = Potential(lambda x: 1 / x[:, 0], lambda x: x)
    with np.errstate(divide="ignore"), pytest.raises(InputError, match=r"not finite at \[0.\]"):
        GridEnergy(Energy(pole), [np.arange(-1.5, 2)])
    with pytest.raises(InputError, match="needs cells of equal width"):
        GridEnergy(Energy(Interaction.logarithmic(1.0)), [np.array([0.0, 1, 3]), np.arange(3.0)])


def test_convexity_is_known_once_the_grid_is() -> None:
    def own(sign: float) -> Interaction:
        return Interaction(lambda x: sign * np.cos(np.pi * x[:, 0]), np.zeros_like)

    edges = [np.linspace(-1, 1, 17)]
    assert Energy(own(1.0)).convex is None
    assert GridEnergy(Energy(own(1.0)), edges).convex
    assert not GridEnergy(Energy(own(-1.0)), edges).convex
    assert GridEnergy(Energy(Interaction.logarithmic(1.0)), edges).convex
    assert not GridEnergy(Energy(Interaction.quadratic(1.0)), edges).convex
    assert GridEnergy(Energy(Potential.quadratic((1.0,))), edges).convex


@pytest.mark.parametrize("shape", [(7,), (5, 6), (3, 4, 5)])
def test_quadratic_interactions_are_a_form_of_the_moments(shape: tuple[int, ...]) -> None:
    """Value, first variation and z of rank D + 2 agree with the sum over all pairs of cells."""
    generator = np.random.default_rng(4)
    edges = [np.cumsum(generator.uniform(0.5, 1, count + 1)) + 3 for count in shape]
    mass = generator.uniform(size=shape)
    mass /= mass.sum()
    law = GridMeasure(edges, mass)
    terms = Interaction.quadratic(0.8, "first"), Interaction.quadratic(-0.3, "second")
    on_grid = GridEnergy(Energy(*terms), edges)
    z = on_grid.couple(mass)
    assert on_grid.size == len(shape) + 2
    pairs = ((law.points[:, np.newaxis] - law.points) ** 2).sum(axis=2) * 0.5 / 2
    assert on_grid.value(mass) == pytest.approx(law.mass @ pairs @ law.mass / 2, rel=1e-12)
    found = on_grid.first_variation(z).reshape(-1)
    np.testing.assert_allclose(found, pairs @ law.mass, rtol=1e-11)
    change = generator.standard_normal(on_grid.size)
    np.testing.assert_allclose(
        on_grid.slope(z + change), on_grid.slope(z) + on_grid.hessian(z)(change), rtol=1e-12
    )
