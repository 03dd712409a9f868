"""Laws of the energies: gradients are derivatives of values, and the grid agrees with points."""

import numpy as np
import pytest
from conftest import network

import wgflow as wg
from wgflow.energy import Energy
from wgflow.grid_energy import GridEnergy

ACTIVATIONS = ("relu", "tanh", "sigmoid", "softplus", "erf", "ramp", "quadratic", "linear")
OWN = wg.Activation(value=lambda z: np.sin(z), derivative=lambda z: np.cos(z))


def risk_of(
    neuron: wg.Neuron, loss: str, inputs: int, weighted: bool = False
) -> tuple[wg.Risk, np.ndarray]:
    generator = np.random.default_rng(3)
    x = generator.standard_normal((11, inputs))
    y = generator.standard_normal((11, neuron.outputs))
    weight = generator.uniform(0.1, 1, 11) if weighted else None
    risk = wg.Risk(wg.Data(x, y, weight), neuron, loss=loss, scale=1.7)
    return risk, generator.uniform(-1.5, 1.5, (6, risk.dimension))


def assert_gradient_of_value(risk: wg.Risk, position: np.ndarray) -> None:
    mass = np.linspace(1, 2, len(position))
    mass /= mass.sum()

    def value(points: np.ndarray) -> float:
        return risk.value(risk.couple(wg.Particles(points, mass)))

    gradient = risk.gradient(position, risk.couple(wg.Particles(position, mass)))
    for particle in range(len(position)):
        for coordinate in range(position.shape[1]):
            shift = np.zeros_like(position)
            shift[particle, coordinate] = 1e-5
            slope = (value(position + shift) - value(position - shift)) / 2e-5
            # A particle of mass m_j feels the gradient of F in theta_j divided by m_j.
            assert slope / mass[particle] == pytest.approx(
                gradient[particle, coordinate], rel=1e-6, abs=1e-6
            )


@pytest.mark.parametrize("loss", ["half_squared", "squared"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, OWN])
def test_gradient_is_the_derivative_of_the_risk(activation: str | wg.Activation, loss: str) -> None:
    assert_gradient_of_value(*risk_of(wg.Neuron(activation), loss, 2))


@pytest.mark.parametrize("loss", ["half_squared", "squared"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, OWN])
def test_gradient_on_the_circle_chart(activation: str | wg.Activation, loss: str) -> None:
    neuron = wg.Neuron(activation, bias=True, chart="circle")
    assert_gradient_of_value(*risk_of(neuron, loss, 1))


@pytest.mark.parametrize("loss", ["half_squared", "squared"])
@pytest.mark.parametrize("outer", ["fixed", 1, 3])
@pytest.mark.parametrize("chart", ["euclidean", "circle"])
def test_gradient_for_every_kind_of_outer_weight(outer: str | int, chart: str, loss: str) -> None:
    neuron = wg.Neuron("tanh", outer=outer, bias=True, chart=chart)
    assert_gradient_of_value(*risk_of(neuron, loss, 1, weighted=True))


def test_first_variation_is_the_derivative_in_the_measure() -> None:
    """(F((1-e) rho + e delta) - F(rho)) / e tends to g(theta) - int g drho."""
    problem = network()
    energy = Energy(*problem.energy.terms)
    cloud = problem.initial.particles(0, 50)
    points = np.array([[0.4, -1.2], [2.0, 0.3]])
    couplings = energy.couple(cloud)
    g, mean = (
        energy.first_variation(points, couplings),
        cloud.mass @ energy.first_variation(cloud.points, couplings),
    )
    for point, expected in zip(points, g - mean, strict=True):
        position = np.vstack([cloud.position, point])

        def value(e: float, position: np.ndarray = position) -> float:
            mixture = wg.Particles(position, np.append((1 - e) * cloud.mass, e))
            return sum(energy.values(mixture, energy.couple(mixture)).values())

        slope = (4 * value(5e-4) - value(1e-3) - 3 * value(0.0)) / 1e-3
        assert slope == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("neuron", "axes"),
    [
        (wg.Neuron("tanh"), 2),
        (wg.Neuron("relu", bias=True, chart="circle"), 2),
        (wg.Neuron("sigmoid", outer="fixed", bias=True), 2),
        (wg.Neuron("tanh", outer=2), 3),
    ],
)
def test_grid_map_agrees_with_sums_over_points(neuron: wg.Neuron, axes: int) -> None:
    """Predictions, first variations and values tabulated on a grid are those of its points."""
    generator = np.random.default_rng(0)
    data = wg.Data(
        generator.standard_normal(7),
        generator.standard_normal((7, neuron.outputs)),
        generator.uniform(0.5, 1, 7),
    )
    energy = (
        wg.Risk(data, neuron, scale=1.3) + wg.Potential.quadratic(np.ones(axes)) + wg.Entropy(0.1)
    )
    edges = [np.linspace(-2, 2 + k, 6 + k) for k in range(axes)]
    mass = generator.uniform(size=[len(edge) - 1 for edge in edges])
    measure = wg.GridMeasure(edges, mass / mass.sum())
    on_grid, couplings = GridEnergy(energy, edges), energy.couple(measure)
    assert on_grid.risk is not None
    coupling = on_grid.couple(measure.mass_on_grid)
    np.testing.assert_allclose(on_grid.risk.predictions(coupling), couplings["risk"], rtol=1e-12)
    np.testing.assert_allclose(
        on_grid.first_variation(coupling).reshape(-1),
        energy.first_variation(measure.points, couplings),
        rtol=1e-11,
        atol=1e-13,
    )
    assert on_grid.value(measure.mass_on_grid) == pytest.approx(
        sum(energy.values(measure, couplings).values()), rel=1e-13
    )


@pytest.mark.parametrize("outer", ["weight", "fixed", 2])
def test_gram_matrices_are_sums_over_points(outer: str | int) -> None:
    """Int phi phi^T drho and int grad phi grad phi^T drho, against finite differences of phi."""
    neuron = wg.Neuron("tanh", outer=outer, bias=True, chart="circle")
    generator = np.random.default_rng(0)
    x = generator.standard_normal((5, 1))
    risk = wg.Risk(wg.Data(x, np.zeros((5, neuron.outputs))), neuron, scale=2.0)
    edges = [np.linspace(-1, 2, 5 + k) for k in range(risk.dimension)]
    mass = generator.uniform(size=[len(edge) - 1 for edge in edges])
    measure = wg.GridMeasure(edges, mass / mass.sum())
    table = GridEnergy(Energy(risk), edges).risk
    assert table is not None

    def unit(points: np.ndarray) -> np.ndarray:
        rows = [risk.couple(wg.Particles(point[None], np.ones(1))) for point in points]
        return np.array(rows).reshape(len(points), -1)

    # The table holds psi = basis^T phi / scale.
    basis = np.kron(table.basis, np.eye(neuron.outputs)) / 2.0
    values = unit(measure.points)
    np.testing.assert_allclose(
        table.second_moment(measure.mass_on_grid),
        basis.T @ np.einsum("m,mi,mj->ij", measure.mass, values, values) @ basis,
        rtol=1e-12,
        atol=1e-14,
    )
    total = np.zeros((values.shape[1],) * 2)
    for coordinate in range(risk.dimension):
        shift = np.zeros(risk.dimension)
        shift[coordinate] = 1e-5
        slope = (unit(measure.points + shift) - unit(measure.points - shift)) / 2e-5
        total += np.einsum("m,mi,mj->ij", measure.mass, slope, slope)
    np.testing.assert_allclose(
        table.gradient_gram(measure.mass_on_grid), basis.T @ total @ basis, rtol=1e-7, atol=1e-9
    )


def test_entropy_of_the_uniform_law_is_minus_the_logarithm_of_the_volume() -> None:
    edges = [np.linspace(0, 2, 9), np.linspace(0, 3, 7)]
    law = wg.Uniform((0, 0), (2, 3)).grid(edges)
    assert wg.Entropy(0.5).value(law) == pytest.approx(-0.5 * np.log(6), rel=1e-14)


def test_dissipation_vanishes_at_the_gibbs_law_and_matches_the_quadrature_elsewhere() -> None:
    """For a Gaussian N(0, v) in the well k x^2/2 it is (k - lambda/v)^2 v."""
    edges = [np.linspace(-8, 8, 801)]
    energy = wg.Potential.quadratic((1.0,)) + wg.Entropy(0.2)
    for variance, tolerance in ((0.2, 1e-12), (0.5, 1e-4)):
        x = (edges[0][1:] + edges[0][:-1]) / 2
        mass = np.exp(-(x**2) / (2 * variance))
        law = wg.GridMeasure(edges, mass / mass.sum())
        exact = (1 - 0.2 / variance) ** 2 * variance
        found = energy.dissipation(law, energy.couple(law), (False,))
        assert found == pytest.approx(exact, rel=tolerance, abs=1e-12)


def test_dissipation_of_a_uniform_law_in_a_constant_force() -> None:
    """Equal densities meet at every face: their mean is the density, and walls have no face."""
    slope = wg.Potential(lambda x: 3 * x[:, 0], lambda x: np.full_like(x, 3.0))
    energy = slope + wg.Entropy(0.2)
    law = wg.Uniform(0.0, 2.0).grid([np.linspace(0, 2, 41)])
    found = energy.dissipation(law, energy.couple(law), (False,))
    assert found == pytest.approx(9 * 39 / 40, rel=1e-12)


def test_dissipation_on_a_circle_counts_the_face_between_last_and_first_cell() -> None:
    energy = Energy(wg.Entropy(1.0))
    edges = [np.linspace(0, 2 * np.pi, 65)]
    x = (edges[0][1:] + edges[0][:-1]) / 2
    law = wg.GridMeasure(edges, (1 + 0.5 * np.cos(x)) / 64)
    turned = wg.GridMeasure(edges, (1 + 0.5 * np.cos(x + x[20])) / 64)
    assert energy.dissipation(law, {}, (True,)) == pytest.approx(
        energy.dissipation(turned, {}, (True,)), rel=1e-3
    )
    # int |d log rho|^2 drho for rho = (1 + c cos x) / 2 pi is 1 - sqrt(1 - c^2).
    assert energy.dissipation(law, {}, (True,)) == pytest.approx(1 - np.sqrt(0.75), rel=2e-3)


def test_bad_energies_are_refused() -> None:
    data = wg.Data(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(wg.InputError, match=r"Unknown loss 'hinge'.*half_squared"):
        wg.Risk(data, wg.Neuron(), loss="hinge")
    with pytest.raises(wg.InputError, match="scale of a risk is 0"):
        wg.Risk(data, wg.Neuron(), scale=0)
    with pytest.raises(wg.InputError, match="2 outputs"):
        wg.Risk(data, wg.Neuron(outer=2))
    with pytest.raises(wg.InputError, match="circle chart has two inner weights"):
        wg.Risk(data, wg.Neuron(bias=True, chart="circle"))
    with pytest.raises(wg.InputError, match="temperature is -1"):
        wg.Entropy(-1)
    with pytest.raises(wg.InputError, match="give each its own name"):
        wg.Potential.quadratic((1.0,)) + wg.Potential.quadratic((2.0,))
    with pytest.raises(wg.InputError, match="2 entries, but the domain has 1 axes"):
        wg.Potential.quadratic((1.0, 2.0)).couple(wg.Particles(np.zeros((4, 1))))
    pole = wg.Potential(lambda x: 1 / (x[:, 0] - 0.5), lambda x: x)
    with np.errstate(divide="ignore"), pytest.raises(wg.InputError, match=r"finite at \[0.5\]"):
        GridEnergy(Energy(pole), [np.linspace(0, 1, 2)])
    wrong = wg.Potential(lambda x: x, lambda x: x)
    with pytest.raises(wg.InputError, match="must have shape"):
        wrong.couple(wg.Particles(np.zeros((4, 2))))
