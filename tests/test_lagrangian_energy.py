"""Laws of energies on moving cells and of the linear algebra under them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies

import wgflow as wg
from wgflow.energy import Energy, Entropy, Interaction, Potential, PowerEntropy, Risk
from wgflow.lagrangian_energy import Configuration, LagrangianEnergy
from wgflow.solvers.jko_lagrangian import extrapolate
from wgflow.solvers.lagrangian_movement import Ends
from wgflow.solvers.tridiagonal import factorise, solve_with_features

RANDOM = np.random.default_rng(0)
DATA = wg.Data(RANDOM.uniform(-2, 2, (30, 1)), RANDOM.standard_normal(30))
ENERGIES = {
    "risk": Risk(DATA, wg.Neuron("tanh", outer="fixed"), scale=1.5)
    + Potential(lambda x: np.sin(x[:, 0]), lambda x: np.cos(x))
    + Entropy(0.1),
    "squared": Risk(DATA, wg.Neuron("erf", outer="fixed"), loss="squared") + Entropy(0.1),
    "power": PowerEntropy(2.5, 0.7) + Entropy(0.1),
    "smooth": Interaction(lambda d: np.cos(d[:, 0]), lambda d: -np.sin(d)) + Entropy(0.2),
    "logarithmic": Interaction.logarithmic(1.3) + Interaction.quadratic(0.5, "attraction"),
}


def configured(name: str, cells: int = 12) -> tuple[LagrangianEnergy, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    edges = np.cumsum(random.uniform(0.1, 0.5, cells + 1)) - 2
    energy = LagrangianEnergy(ENERGIES[name], wg.WholeLine(), edges)
    return energy, edges, random.dirichlet(np.ones(cells))


def derivative(function: object, edges: np.ndarray) -> np.ndarray:
    """Central difference quotients in every edge, along axis 0."""
    step = 1e-5
    rows = [
        (function(edges + e) - function(edges - e)) / (2 * step) for e in step * np.eye(len(edges))
    ]
    return np.array(rows)


def hessian(here: Configuration) -> np.ndarray:
    curvature = here.curvature()
    full = np.diag(curvature.diagonal) + np.diag(curvature.off_diagonal, 1)
    full += np.diag(curvature.off_diagonal, -1)
    if curvature.features is not None:
        full += curvature.features @ curvature.features.T
    return full if curvature.dense is None else full + curvature.dense


@pytest.mark.parametrize("name", ENERGIES)
def test_the_value_is_the_energy_that_is_recorded(name: str) -> None:
    energy, edges, mass = configured(name)
    measure = wg.GridMeasure((edges,), mass)
    recorded = ENERGIES[name].values(measure, ENERGIES[name].couple(measure))
    assert energy.at(edges, mass).value == pytest.approx(sum(recorded.values()), abs=1e-14)


@pytest.mark.parametrize("name", ENERGIES)
def test_gradient_and_hessian_match_difference_quotients(name: str) -> None:
    energy, edges, mass = configured(name)
    here = energy.at(edges, mass)
    gradient = derivative(lambda x: energy.at(x, mass).value, edges)
    np.testing.assert_allclose(here.gradient(), gradient, atol=1e-8 * np.abs(gradient).max())
    second = derivative(lambda x: energy.at(x, mass).gradient(), edges)
    np.testing.assert_allclose(hessian(here), second, atol=1e-6 * np.abs(second).max())


def test_the_risk_needs_few_samples_for_its_hessian() -> None:
    """With tanh, 400 samples have a numerical rank far below 400."""
    x = np.random.default_rng(1).uniform(-3, 3, (400, 1))
    risk = Risk(wg.Data(x, np.sin(x[:, 0])), wg.Neuron("tanh", outer="fixed"))
    energy = LagrangianEnergy(risk + Entropy(0.1), wg.WholeLine(), np.linspace(-4, 4, 3))
    assert energy.tangents is not None
    assert 5 <= len(energy.tangents.inputs) <= 40


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("constrained", [False, True])
@settings(deadline=None, max_examples=25, derandomize=True)
@given(seed=strategies.integers(0, 10**6), shift=strategies.floats(-1, 4))
def test_factors_solve_and_know_definiteness(
    count: int, cyclic: bool, constrained: bool, seed: int, shift: float
) -> None:
    """Against dense matrices: None exactly where the form is not positive on the constraint."""
    if (cyclic and count < 2) or (constrained and not cyclic):
        return
    random = np.random.default_rng(seed)
    off = random.standard_normal(count if cyclic else count - 1)
    matrix = np.zeros((count, count))
    for k, value in enumerate(off):
        matrix[k, (k + 1) % count] += value
        matrix[(k + 1) % count, k] += value
    diagonal = random.uniform(0, 1, count) + shift
    matrix += np.diag(diagonal)
    normal = random.uniform(0.1, 1, count)
    basis = (
        np.linalg.qr(normal[:, None], mode="complete")[0][:, 1:] if constrained else np.eye(count)
    )
    reduced = basis.T @ matrix @ basis
    least = np.linalg.eigvalsh(reduced).min()
    inner = np.linalg.eigvalsh(matrix[:-1, :-1]).min() if cyclic else 1.0
    factors = factorise(diagonal, off, normal if constrained else None)
    if min(abs(least), abs(inner)) < 1e-6:
        return
    # With a constraint the part without the last unknown has to be definite as well.
    assert (factors is not None) == (least > 0 and inner > 0)
    if factors is None:
        return
    features, right = random.standard_normal((count, 2)), random.standard_normal(count)
    for u in (None, features):
        full = reduced if u is None else reduced + basis.T @ u @ u.T @ basis
        expected = basis @ np.linalg.solve(full, basis.T @ right)
        found = solve_with_features(factors, u, right)
        np.testing.assert_allclose(found, expected, atol=1e-7 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("kind", ["free", "pinned", "cyclic"])
def test_contraction_is_the_transpose_of_extension(kind: str) -> None:
    ends, random = Ends(kind), np.random.default_rng(2)
    derivative = random.standard_normal(9)
    step = random.standard_normal(len(ends.contract(derivative)))
    assert ends.contract(derivative) @ step == pytest.approx(derivative @ ends.extend(step))


def test_extrapolation_keeps_the_order_of_the_cells() -> None:
    """Where 2 b - a would cross, both edges stay at b; elsewhere it is 2 b - a."""
    halved = np.linspace(0.0, 1.0, 11)
    whole = halved.copy()
    whole[1:] -= 1e-3
    whole[7] += 0.15
    edges = extrapolate(whole, halved, Ends("free"))
    assert (np.diff(edges) >= 0.1 * np.diff(halved) - 1e-15).all()
    np.testing.assert_allclose(edges[:6], (2 * halved - whole)[:6])
    assert edges[7] == halved[7]
    np.testing.assert_array_equal(extrapolate(halved, halved, Ends("cyclic")), halved)


def test_a_repulsive_interaction_alone_keeps_cells_apart() -> None:
    edges = np.linspace(-1, 1, 5)
    LagrangianEnergy(Energy(Interaction.logarithmic(1.0)), wg.WholeLine(), edges)
    for energy in (Interaction.logarithmic(-1.0), Interaction.quadratic(1.0), Entropy(0.0)):
        with pytest.raises(wg.InputError, match="keeps apart"):
            LagrangianEnergy(Energy(energy), wg.WholeLine(), edges)
