"""Approximate sums for smooth activations: their error, and that velocities are exact gradients."""

from itertools import pairwise

import numba
import numpy as np
import pytest

from wgflow.errors import InputError
from wgflow.kernels import as_activation, fused, panels, reference

COUNT = 1500


def inputs_of(kind, count=COUNT, seed=0):
    x = np.random.default_rng(seed).uniform(-3, 3, count)
    one = np.ones(count)
    return {
        "column": x[:, np.newaxis],
        "bias": np.column_stack([x, one]),
        "negative bias first": np.column_stack([-2.5 * one, x]),
        "two clusters": np.column_stack([0.1 * x + 50.0 * np.sign(x), one]),
        "same": np.column_stack([one, one]),
    }[kind]


def neurons(inputs, outputs=1, particles=211, seed=1, spread=2.0):
    generator = np.random.default_rng(seed)
    outer = generator.standard_normal((particles, outputs))
    inner = spread * generator.standard_normal((particles, inputs.shape[1]))
    inner[::7, 0] = 0.0
    return outer, inner, generator.standard_normal((len(inputs), outputs))


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-12])
@pytest.mark.parametrize("name", panels.SMOOTH)
def test_one_unit_is_met_to_the_tolerance(name, tolerance):
    """Every particle alone, from flat to as steep as a panel takes, shifted by anything."""
    activation, inputs = as_activation(name), inputs_of("bias")
    generator = np.random.default_rng(2)
    weights = generator.uniform(-1, 1, (60, 2)) * [6.0, 12.0]
    weights[:30, 0] = np.exp2(np.round(weights[:30, 0]))
    nodes, steepest = panels.node_count(activation, tolerance), 0
    for weight in weights:
        unit = np.ones((1, 1)), weight[np.newaxis], inputs, activation
        difference = panels.predict(*unit, tolerance=tolerance) - reference.predict(*unit)
        assert np.max(np.abs(difference)) <= tolerance + 1e-13
        sums = panels._Sums.of(inputs, activation, tolerance, None)
        (_, chosen), *rest = sums.groups(weight[:1])
        assert not rest
        if chosen is not None:
            steepest = max(steepest, abs(weight[0]) * chosen.half_width)
            assert len(chosen.centres) * nodes * panels.WORTHWHILE <= COUNT
    assert 0.9 * panels.OMEGA < steepest <= panels.OMEGA


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("kind", ["column", "bias", "negative bias first", "two clusters", "same"])
def test_sums_are_the_formula_to_the_tolerance(kind, outputs):
    """With and without mass and weight; each group of particles has its own panels."""
    activation, inputs = as_activation("tanh"), inputs_of(kind)
    outer, inner, residual = neurons(inputs, outputs)
    assert panels.supports(activation, inputs.shape[1], outputs)
    assert panels.applies(inputs)
    generator = np.random.default_rng(3)
    mass, weight = generator.random(len(outer)), generator.random(len(inputs))
    for tolerance in (1e-4, 1e-10):
        for c, e in ((None, None), (mass, weight)):
            exact = reference.predict(outer, inner, inputs, activation, c)
            f = panels.predict(outer, inner, inputs, activation, c, tolerance=tolerance)
            share = 1 / len(outer) if c is None else c[:, np.newaxis]
            assert np.all(np.abs(f - exact) <= tolerance * np.abs(outer * share).sum(axis=0))
            u, v = panels.velocity(
                outer, inner, inputs, residual, activation, e, tolerance=tolerance
            )
            exact_u, exact_v = reference.velocity(outer, inner, inputs, residual, activation, e)
            share = 1 / len(inputs) if e is None else e[:, np.newaxis]
            size = np.abs(residual * share).sum(axis=0)
            assert np.all(np.abs(u - exact_u) <= tolerance * size)
            assert np.all(np.abs(v - exact_v) <= 10 * tolerance * (np.abs(outer) @ size)[:, None])


def test_steep_and_flat_particles_are_in_groups_of_their_own():
    """Heavy tails: every particle is in one group, the steepest are summed exactly."""
    inputs = inputs_of("bias", 20_000)
    _, inner, _ = neurons(inputs, particles=3000)
    inner[:, 0] = np.random.default_rng(4).standard_cauchy(3000)
    inner[5] = [np.nan, 1.0]
    inner[6] = [np.inf, 1.0]
    sums = panels._Sums.of(inputs, as_activation("tanh"), 1e-6, None)
    groups = list(sums.groups(inner[:, 0]))
    members = np.zeros(3000, int)
    for own, _chosen in groups:
        members[own] += 1
    assert (members == 1).all()
    assert len(groups) >= 3
    sizes = [np.abs(inner[own, 0]) for own, _ in groups]
    for flat, steep in pairwise(sizes):
        assert np.max(flat) < np.nanmin(steep)
    exactly, chosen = groups[-1]
    assert chosen is None and exactly[5] and exactly[6] and exactly.sum() > 10


@pytest.mark.parametrize("name", panels.SMOOTH)
def test_the_velocity_is_the_gradient_of_the_approximate_prediction(name):
    """By central differences to 1e-7 of it, where the approximation is off by 1e-4 and more."""
    activation, inputs, tolerance = as_activation(name), inputs_of("bias"), 0.1
    outer, inner, residual = neurons(inputs, particles=5)
    inner[:] = [[3.9, 0.1], [-3.1, 0.4], [2.2, -1.0], [1.3, 0.2], [-0.6, 0.9]]

    def risk(outer, inner):
        f = panels.predict(outer, inner, inputs, activation, tolerance=tolerance)
        return len(outer) / len(inputs) * float((residual * f).sum())

    step = 1e-5
    given = outer, inner, inputs, residual, activation
    gradients = panels.velocity(*given, tolerance=tolerance)
    exact = reference.velocity(*given)
    for changed, gradient, other in zip((outer, inner), gradients, exact, strict=True):
        size = np.max(np.abs(other))
        assert np.max(np.abs(gradient - other)) > 1e-4 * size
        for index in np.ndindex(changed.shape):
            shift = np.zeros_like(changed)
            shift[index] = step
            if changed is outer:
                difference = risk(outer + shift, inner) - risk(outer - shift, inner)
            else:
                difference = risk(outer, inner + shift) - risk(outer, inner - shift)
            assert abs(gradient[index] - difference / (2 * step)) < 1e-7 * size


def test_predictions_and_velocities_are_transposes():
    """The means of a_j u_j and of r_i f_i are equal, to rounding and whatever the tolerance."""
    inputs = inputs_of("bias")
    outer, inner, residual = neurons(inputs, 2)
    for tolerance in (0.1, 1e-3, 1e-9):
        settings = {"tolerance": tolerance}
        f = panels.predict(outer, inner, inputs, as_activation("erf"), **settings)
        u, _ = panels.velocity(outer, inner, inputs, residual, as_activation("erf"), **settings)
        left, right = (outer * u).mean(), (residual * f).mean()
        assert left == pytest.approx(right, rel=1e-12, abs=1e-14)


def test_a_flow_on_the_approximate_energy_descends():
    """200 explicit steps of least squares at a coarse tolerance, no step uphill."""
    inputs = inputs_of("bias", 800)
    outer, inner, _ = neurons(inputs, particles=50, spread=1.5)
    target = np.sin(2 * inputs[:, :1])
    tanh, energies = as_activation("tanh"), []
    for _ in range(200):
        residual = panels.predict(outer, inner, inputs, tanh, tolerance=1e-3) - target
        energies.append(float((residual**2).mean()))
        u, v = panels.velocity(outer, inner, inputs, residual, tanh, tolerance=1e-3)
        outer, inner = outer - 0.2 * u, inner - 0.2 * v
    assert np.all(np.diff(energies) < 0)
    assert energies[-1] < 0.5 * energies[0]


def test_few_data_are_summed_exactly():
    """Where nodes would be as many as data, the result is the exact one."""
    inputs = inputs_of("bias", 8)
    outer, inner, residual = neurons(inputs)
    tanh = as_activation("tanh")
    f = panels.predict(outer, inner, inputs, tanh, tolerance=0.1)
    np.testing.assert_allclose(f, fused.predict(outer, inner, inputs, tanh), atol=1e-15)
    parts = panels.velocity(outer, inner, inputs, residual, tanh, tolerance=0.1)
    exact = fused.velocity(outer, inner, inputs, residual, tanh)
    for part, expected in zip(parts, exact, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-14)


def test_the_bits_do_not_depend_on_the_number_of_threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two processors")
    inputs, tanh = inputs_of("bias"), as_activation("tanh")
    outer, inner, residual = neurons(inputs)
    before, results = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        f = panels.predict(outer, inner, inputs, tanh, tolerance=1e-6)
        u, v = panels.velocity(outer, inner, inputs, residual, tanh, tolerance=1e-6)
        results.append((f.tobytes(), u.tobytes(), v.tobytes()))
    numba.set_num_threads(before)
    assert results[0] == results[1]


def test_what_has_diverged_is_seen():
    """A NaN among the weights in every prediction, one among the residuals in every velocity."""
    inputs, tanh = inputs_of("bias"), as_activation("tanh")
    outer, inner, residual = neurons(inputs)
    for array, index in ((outer, (3, 0)), (inner, (3, 0)), (inner, (3, 1))):
        before, array[index] = array[index], np.nan
        assert np.isnan(panels.predict(outer, inner, inputs, tanh, tolerance=1e-6)).all()
        array[index] = before
    residual[17] = np.nan
    for part in panels.velocity(outer, inner, inputs, residual, tanh, tolerance=1e-6):
        assert np.isnan(part).all()


def test_single_precision_comes_back_as_such():
    inputs = inputs_of("bias").astype(np.float32)
    outer, inner, residual = (array.astype(np.float32) for array in neurons(inputs))
    tanh = as_activation("tanh")
    f = panels.predict(outer, inner, inputs, tanh, tolerance=1e-8)
    u, v = panels.velocity(outer, inner, inputs, residual, tanh, tolerance=1e-8)
    assert f.dtype == u.dtype == v.dtype == np.float32


def test_what_cannot_be_approximated_is_refused():
    """Another activation, inputs in the plane, a tolerance out of range."""
    inputs, tanh = inputs_of("bias"), as_activation("tanh")
    outer, inner, _ = neurons(inputs)
    plane = np.column_stack([inputs[:, 0], inputs[::-1, 0]])
    assert not panels.applies(plane)
    assert not panels.supports(as_activation("relu"), 2, 1)
    assert not panels.supports(tanh, 3, 1)
    with pytest.raises(InputError, match="approximated for tanh, sigmoid, softplus, erf, but not"):
        panels.predict(outer, inner, inputs, as_activation("relu"), tolerance=1e-6)
    with pytest.raises(InputError, match="approximated if one column varies"):
        panels.predict(outer, inner, plane, tanh, tolerance=1e-6)
    for tolerance in (0.0, 1e-13, 0.2, np.nan):
        with pytest.raises(InputError, match="The tolerance of a sum is"):
            panels.predict(outer, inner, inputs, tanh, tolerance=tolerance)
