"""The kernels: each compiled form against the formula in NumPy, and the laws that both obey."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from wgflow.errors import InputError
from wgflow.kernels import (
    Activation,
    as_activation,
    fused,
    log_sum_exp_rows,
    predict,
    ramp,
    reference,
    velocity,
)

NAMES = ("relu", "tanh", "sigmoid", "softplus", "erf", "ramp", "quadratic", "linear")

# Each (activation, inputs, outputs) is compiled for itself, in two seconds: every activation twice,
# each number of inputs and of outputs with several activations. With 0 outputs, outer is (m,).
COMPILED = [(name, 2, 0) for name in NAMES] + [
    ("relu", 5, 3),
    ("tanh", 1, 2),
    ("sigmoid", 3, 3),
    ("softplus", 5, 0),
    ("erf", 3, 2),
    ("ramp", 1, 3),
    ("quadratic", 5, 2),
    ("linear", 3, 0),
]


def neurons(inputs, outputs, particles=37, data=29, seed=0):
    """Return outer, inner, x and residual of sizes that fill no vector; 0 outputs: one axis."""
    generator = np.random.default_rng(seed)
    tail = (outputs,) if outputs else ()
    return (
        generator.standard_normal((particles, *tail)),
        1.5 * generator.standard_normal((particles, inputs)),
        generator.standard_normal((data, inputs)),
        generator.standard_normal((data, *tail)),
    )


def columns(array):
    return array.reshape(len(array), -1)


def assert_close(actual, expected, tolerance=1e-13):
    """Compare sums relative to the largest of them: one of them may cancel to nothing."""
    assert actual.shape == expected.shape
    assert np.max(np.abs(actual - expected)) <= tolerance * np.max(np.abs(expected))


@pytest.mark.parametrize(("name", "inputs", "outputs"), COMPILED)
def test_a_compiled_kernel_is_the_formula(name, inputs, outputs):
    """Fused and reference sums agree to rounding, with and without mass and weight."""
    outer, inner, x, residual = neurons(inputs, outputs)
    generator = np.random.default_rng(1)
    activation = as_activation(name)
    assert fused.supports(activation, inputs, max(outputs, 1))
    for mass, weight in ((None, None), (generator.random(len(outer)), generator.random(len(x)))):
        expected = reference.predict(columns(outer), inner, x, activation, mass)
        assert_close(predict(outer, inner, x, name, mass), expected.reshape(residual.shape))
        d_outer, d_inner = velocity(outer, inner, x, residual, name, weight)
        expected_outer, expected_inner = reference.velocity(
            columns(outer), inner, x, columns(residual), activation, weight
        )
        assert_close(d_outer, expected_outer.reshape(outer.shape))
        assert_close(d_inner, expected_inner)


def test_a_ramp_between_other_knots_is_the_formula():
    """The knots are arguments of the compiled kernel, not part of it."""
    outer, inner, x, residual = neurons(2, 0)
    activation = ramp((-0.5, 2.0), (1.0, -1.0))
    assert fused.supports(activation, 2, 1)
    expected = reference.predict(columns(outer), inner, x, activation)[:, 0]
    assert_close(predict(outer, inner, x, activation), expected)
    d_outer, d_inner = velocity(outer, inner, x, residual, activation)
    expected_outer, expected_inner = reference.velocity(
        columns(outer), inner, x, columns(residual), activation
    )
    assert_close(d_outer, expected_outer[:, 0])
    assert_close(d_inner, expected_inner)


def own_tanh():
    return Activation(value=np.tanh, derivative=lambda z: 1.0 / np.cosh(z) ** 2)


@pytest.mark.parametrize("outputs", [0, 2])
def test_an_activation_of_ones_own_gives_what_the_named_one_gives(outputs):
    """A tanh written by the user goes through NumPy and agrees with the compiled tanh."""
    outer, inner, x, residual = neurons(2 if not outputs else 1, outputs)
    assert not fused.supports(own_tanh(), 2, 1)
    assert_close(predict(outer, inner, x, own_tanh()), predict(outer, inner, x, "tanh"))
    for own, named in zip(
        velocity(outer, inner, x, residual, own_tanh()),
        velocity(outer, inner, x, residual, "tanh"),
        strict=True,
    ):
        assert_close(own, named)


def test_ones_own_functions_under_a_name_of_ours_are_the_ones_used():
    """A name alone does not choose a compiled kernel."""
    outer, inner, x, _ = neurons(2, 0)
    disguised = Activation(np.sin, np.cos, name="tanh")
    assert_close(predict(outer, inner, x, disguised), np.sin(x @ inner.T) @ outer / len(outer))


@pytest.mark.parametrize("weighted", [False, True])
def test_many_inputs_give_the_sum_written_as_a_contraction(weighted):
    """Beyond the compiled dimensions the sums are those of einsum, equal weights being 1/m, 1/n."""
    outer, inner, x, residual = neurons(20, 3)
    generator = np.random.default_rng(5)
    mass = generator.random(len(outer)) if weighted else None
    weight = generator.random(len(x)) if weighted else None
    c = np.full(len(outer), 1 / len(outer)) if mass is None else mass
    e = np.full(len(x), 1 / len(x)) if weight is None else weight
    z = np.einsum("jd,id->ij", inner, x)
    value, slope = np.tanh(z), 1 / np.cosh(z) ** 2
    expected = np.einsum("j,jk,ij->ik", c, outer, value)
    assert_close(predict(outer, inner, x, "tanh", mass), expected)
    d_outer, d_inner = velocity(outer, inner, x, residual, "tanh", weight)
    assert_close(d_outer, np.einsum("i,ik,ij->jk", e, residual, value))
    expected = np.einsum("i,ik,jk,ij,id->jd", e, residual, outer, slope, x, optimize=True)
    assert_close(d_inner, expected)


def test_the_reference_gives_the_same_sums_block_by_block(monkeypatch):
    """How many particles are held at once changes the sums by rounding only."""
    outer, inner, x, residual = neurons(3, 2)
    activation = own_tanh()
    whole = (
        reference.predict(outer, inner, x, activation),
        *reference.velocity(outer, inner, x, residual, activation),
    )
    monkeypatch.setattr(reference, "BLOCK", 5 * len(x))
    parts = (
        reference.predict(outer, inner, x, activation),
        *reference.velocity(outer, inner, x, residual, activation),
    )
    for part, expected in zip(parts, whole, strict=True):
        assert_close(part, expected)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_the_order_of_particles_and_data_does_not_matter(name):
    """Permuted particles give the same predictions, permuted data the same velocity."""
    outer, inner, x, residual = neurons(2, 0)
    generator = np.random.default_rng(2)
    particles, data = generator.permutation(len(outer)), generator.permutation(len(x))
    expected = predict(outer, inner, x, name)
    assert_close(predict(outer[particles], inner[particles], x, name), expected, 1e-14)
    expected_outer, expected_inner = velocity(outer, inner, x, residual, name)
    d_outer, d_inner = velocity(outer, inner, x[data], residual[data], name)
    assert_close(d_outer, expected_outer, 1e-14)
    assert_close(d_inner, expected_inner, 1e-14)


@pytest.fixture
def threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two processors")
    before = numba.get_num_threads()
    yield (1, 2)
    numba.set_num_threads(before)


@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_the_bits_do_not_depend_on_the_number_of_threads(name, threads):
    """One thread sums one result in a fixed order."""
    outer, inner, x, residual = neurons(2, 0, particles=1003, data=517)
    results = []
    for count in threads:
        numba.set_num_threads(count)
        d_outer, d_inner = velocity(outer, inner, x, residual, name)
        results.append((predict(outer, inner, x, name), d_outer, d_inner))
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("inputs", [2, 20])
def test_sums_are_in_float32_if_every_array_is(inputs):
    """One float64 array, or a list, among them gives the bits of all in float64."""
    generator = np.random.default_rng(3)
    arrays = [array.astype(np.float32) for array in neurons(inputs, 2)]
    arrays += [generator.random(len(a)).astype(np.float32) for a in (arrays[0], arrays[2])]

    def sums(outer, inner, x, residual, mass, weight):
        return (
            predict(outer, inner, x, "tanh", mass),
            predict(outer, inner, x, "tanh"),
            *velocity(outer, inner, x, residual, "tanh", weight),
            *velocity(outer, inner, x, residual, "tanh"),
        )

    rounded, exact = sums(*arrays), sums(*[array.astype(float) for array in arrays])
    assert {part.dtype for part in rounded} == {np.dtype(np.float32)}
    for single, double in zip(rounded, exact, strict=True):
        assert_close(single, double, 2e-6)
    for number in range(3):
        for mixed in (arrays[number].astype(float), arrays[number].tolist()):
            given = sums(*arrays[:number], mixed, *arrays[number + 1 :])
            assert all(a.tobytes() == b.tobytes() for a, b in zip(given, exact, strict=True))
    mixed_mass = predict(*arrays[:3], "tanh", arrays[4].astype(float))
    assert mixed_mass.tobytes() == exact[0].tobytes()
    mixed_residual = velocity(*arrays[:3], arrays[3].astype(float), "tanh")
    assert mixed_residual[1].tobytes() == exact[5].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_velocity_is_the_gradient_of_the_prediction(name):
    """For R = sum_i c_i p_i f(x_i), m dR/dtheta_j by central differences, to 1e-6."""
    outer, inner, x, residual = neurons(2, 0, particles=7, data=11)
    if name in ("relu", "ramp"):
        # No pair within the step of a kink.
        z = x @ inner.T
        assert np.min(np.abs(z[..., np.newaxis] - np.array([0.0, 1.0]))) > 1e-4

    def risk(outer, inner):
        return len(outer) / len(x) * (residual @ predict(outer, inner, x, name))

    step = 1e-5
    d_outer, d_inner = velocity(outer, inner, x, residual, name)
    for given, gradient in ((outer, d_outer), (inner, d_inner)):
        for index in np.ndindex(given.shape):
            shift = np.zeros_like(given)
            shift[index] = step
            if given is outer:
                difference = risk(outer + shift, inner) - risk(outer - shift, inner)
            else:
                difference = risk(outer, inner + shift) - risk(outer, inner - shift)
            assert gradient[index] == pytest.approx(difference / (2 * step), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_a_particle_that_has_diverged_is_seen_in_every_prediction(name):
    """NaN is not lost in a comparison or a reordered sum."""
    outer, inner, x, residual = neurons(2, 0)
    inner[3, 0] = np.nan
    assert np.isnan(predict(outer, inner, x, name)).all()
    d_outer, d_inner = velocity(outer, inner, x, residual, name)
    assert np.isnan(d_outer[3])
    assert np.isfinite(np.delete(d_outer, 3)).all()
    assert np.isfinite(np.delete(d_inner, 3, axis=0)).all()


def test_a_compiled_kernel_is_found_on_disk_by_the_next_process(tmp_path):
    """The cache key holds numbers only, so the second process compiles nothing."""
    script = (
        "import numpy as np\n"
        "from wgflow.kernels import fused, predict\n"
        "predict(np.ones(3), np.ones((3, 1)), np.ones((2, 1)), 'linear')\n"
        "kernel = fused._prediction_kernel(fused._CODES['linear'], 1, 1)\n"
        "print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))\n"
    )
    root = Path(__file__).parents[1]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    counts = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert counts == [["0", "1"], ["1", "0"]]


def exponents(rows=5, columns=7, terms=41):
    generator = np.random.default_rng(4)
    values = 300.0 * generator.standard_normal((rows, terms))
    return values, -1000.0 * generator.random((columns, terms))


def test_log_sum_exp_is_the_formula():
    """Compiled and reference agree to rounding, into an array of one's own too."""
    values, kernel = exponents()
    expected = reference.log_sum_exp_rows_reference(values, kernel)
    np.testing.assert_allclose(log_sum_exp_rows(values, kernel), expected, rtol=1e-14)
    out = np.empty_like(expected)
    assert log_sum_exp_rows(values, kernel, out) is out
    np.testing.assert_allclose(out, expected, rtol=1e-14)


def test_log_sum_exp_is_finite_where_a_measure_has_no_mass():
    """Entries of -1e300 add nothing; where there is nothing else the result is about -1e300."""
    values, kernel = exponents()
    values[1, ::2] = -1e300
    values[2] = -1e300
    kernel[3] = -1e300
    result = log_sum_exp_rows(values, kernel)
    expected = reference.log_sum_exp_rows_reference(values, kernel)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result, expected, rtol=1e-14)
    assert np.all(result[2] <= -0.999e300)
    without = reference.log_sum_exp_rows_reference(values[1:2, 1::2], kernel[:3, 1::2])
    np.testing.assert_allclose(result[1:2, :3], without, rtol=1e-14)


def test_log_sum_exp_keeps_nan():
    """One NaN among the terms makes the sum NaN, and no other."""
    values, kernel = exponents()
    values[1, 17] = np.nan
    assert np.array_equal(np.isnan(log_sum_exp_rows(values, kernel)).all(axis=1), np.arange(5) == 1)
    assert np.isnan(log_sum_exp_rows(values, kernel)).sum() == len(kernel)


def test_the_bits_of_log_sum_exp_do_not_depend_on_the_number_of_threads(threads):
    """One thread sums one row."""
    values, kernel = exponents(rows=101)
    results = []
    for count in threads:
        numba.set_num_threads(count)
        results.append(log_sum_exp_rows(values, kernel).tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inner": np.ones(3)},
            r"inner has shape \(3,\), but must have shape \(particles, inputs\)",
        ),
        ({"outer": np.ones(4)}, r"outer has shape \(4,\), but must have shape \(3,\) or \(3, outp"),
        ({"x": np.ones((5, 1))}, r"inputs has shape \(5, 1\), but must have shape \(data, 2\)"),
        ({"x": np.ones((0, 2))}, r"inputs has shape \(0, 2\).*without empty axes"),
        ({"residual": np.ones(4)}, r"residual has shape \(4,\), but must have shape \(5,\)"),
        ({"residual": np.ones((5, 1))}, r"residual has shape \(5, 1\), but must have shape \(5,\)"),
        ({"weight": np.ones(3)}, r"weight has shape \(3,\), but must have shape \(5,\)"),
        ({"outer": np.ones(3, dtype=complex)}, "outer holds elements of type complex128"),
        ({"outer": [1.0, [2.0], 3.0]}, "outer must be an array of numbers"),
        ({"activation": "tanhh"}, "Unknown activation 'tanhh'.*did you mean 'tanh'"),
        ({"activation": 3}, "Unknown activation '3'; allowed are erf, linear"),
        ({"activation": Activation(np.sum, np.cos)}, "The value of the activation turned an array"),
    ],
)
def test_what_cannot_be_summed_is_refused_in_a_sentence(changes, message):
    """An InputError names the argument, its shape or type, and what is allowed."""
    arguments = {
        "outer": np.ones(3),
        "inner": np.ones((3, 2)),
        "x": np.ones((5, 2)),
        "residual": np.ones(5),
        "activation": "tanh",
        "weight": None,
    } | changes
    with pytest.raises(InputError, match=message):
        velocity(*arguments.values())


def test_what_predict_and_the_rest_cannot_use_is_refused_in_a_sentence():
    """The mass of the particles, the knots of a ramp and the result array are checked as well."""
    with pytest.raises(InputError, match=r"mass has shape \(2,\), but must have shape \(3,\)"):
        predict(np.ones(3), np.ones((3, 2)), np.ones((5, 2)), "tanh", np.ones(2))
    with pytest.raises(InputError, match="left one must come first"):
        ramp((1.0, 0.0), (1.0, 1.0))
    with pytest.raises(InputError, match=r"left knot of a ramp is 1.0, but must be a pair"):
        ramp(1.0, 2.0)
    with pytest.raises(InputError, match="first value of a ramp is nan"):
        ramp((0.0, np.nan))
    with pytest.raises(InputError, match="derivative of an activation is None"):
        Activation(np.tanh, None)
    values, kernel = exponents()
    with pytest.raises(InputError, match=r"kernel has shape \(7, 40\)"):
        log_sum_exp_rows(values, kernel[:, 1:])
    with pytest.raises(InputError, match=r"array of shape \(5, 7\)"):
        log_sum_exp_rows(values, kernel, np.empty((7, 5)))
    square = np.zeros((4, 4))
    with pytest.raises(InputError, match="shares memory"):
        log_sum_exp_rows(square, np.zeros((4, 4)), square)
