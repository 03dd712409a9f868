"""Sums in O(m + n) for relu, ramp and linear: against the formula, and at ties and extremes."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from wgflow.errors import InputError
from wgflow.kernels import as_activation, piecewise_linear, ramp, reference, sorted_inputs

EPS = np.finfo(float).eps
STEEP = ramp((-0.5, 2.0), (1.0, -1.0))


def inputs_of(kind, count=211, seed=0):
    """Return inputs of one or two columns, for which different ways of sorting are taken."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(count)
    one = np.ones(count)
    return {
        "column": x[:, np.newaxis],
        "bias": np.column_stack([x, one]),
        "bias first": np.column_stack([one, x]),
        "negative bias": np.column_stack([x, -2.5 * one]),
        "empty column": np.column_stack([x, 0 * one]),
        "same": np.column_stack([one, 3 * one]),
        "one": np.array([[0.3, -1.0]]),
        "clusters": np.column_stack([np.round(x) + 1e-9 * x**3, one]),
        "heavy tails": np.column_stack([np.exp(5 * x) * np.sign(x), one]),
        "plane": generator.standard_normal((count, 2)),
        "directions": np.outer(x, [1.0, 0.0]) + np.outer(np.round(x), [0.0, 1.0]),
    }[kind]


LINES = ("column", "bias", "bias first", "negative bias", "empty column", "same", "one")
LINES = (*LINES, "clusters", "heavy tails")
PLANES = ("plane", "directions")


def neurons(inputs, outputs=1, particles=157, seed=1):
    """Return outer and inner weights, some of which are zero, and residuals."""
    generator = np.random.default_rng(seed)
    outer = generator.standard_normal((particles, outputs))
    inner = 1.5 * generator.standard_normal((particles, inputs.shape[1]))
    inner[::7, 0] = 0.0
    inner[::5, -1] = 0.0
    return outer, inner, generator.standard_normal((len(inputs), outputs))


def both(outer, inner, inputs, residual, activation, mass=None, weight=None):
    """Return prediction and velocity, fast and by the formula."""
    return [
        (
            kernels.predict(outer, inner, inputs, activation, mass),
            *kernels.velocity(outer, inner, inputs, residual, activation, weight),
        )
        for kernels in (piecewise_linear, reference)
    ]


def assert_close(actual, expected, tolerance=1e-13):
    """Compare sums relative to the largest of them: one of them may cancel to nothing."""
    assert actual.shape == expected.shape
    assert np.max(np.abs(actual - expected)) <= tolerance * np.max(np.abs(expected))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("kind", "activation"),
    [(kind, a) for kind in LINES for a in ("relu", "ramp", STEEP)] + [(k, "relu") for k in PLANES],
)
def test_the_sums_are_the_formula(kind, activation, outputs, weighted):
    """Fast and reference sums agree to rounding, with and without mass and weight."""
    activation, inputs = as_activation(activation), inputs_of(kind)
    outer, inner, residual = neurons(inputs, outputs)
    assert piecewise_linear.supports(activation, inputs.shape[1], outputs)
    assert piecewise_linear.applies(activation, inputs)
    generator = np.random.default_rng(2)
    mass = generator.random(len(outer)) if weighted else None
    weight = generator.random(len(inputs)) if weighted else None
    fast, slow = both(outer, inner, inputs, residual, activation, mass, weight)
    for actual, expected in zip(fast, slow, strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize("kind", [*LINES, *PLANES])
def test_linear_sums_are_the_formula(kind):
    """Relative to the sizes of the terms: of one column all results are one sum, which cancels."""
    linear, inputs = as_activation("linear"), inputs_of(kind)
    outer, inner, residual = neurons(inputs, 3)
    assert piecewise_linear.supports(linear, 40, 3)
    assert piecewise_linear.applies(linear, inputs)
    fast, slow = both(outer, inner, inputs, residual, linear)
    sizes = both(*map(np.abs, (outer, inner, inputs, residual)), linear)[1]
    for actual, expected, size in zip(fast, slow, sizes, strict=True):
        assert np.max(np.abs(actual - expected)) <= 1e-14 * np.max(size)


def whole(shape, most=4):
    return arrays(np.float64, shape, elements=st.integers(-most, most).map(float))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(["relu", "ramp", "wide"]))
def test_whole_numbers_give_the_formula_to_the_bit(data, name):
    """All products and sums are exact, so that ties at kinks and equal directions must be too."""
    m, n, d = (data.draw(st.integers(1, most)) for most in (9, 12, 2))
    inputs = data.draw(whole((n, d)))
    activation = ramp((-1.0, 3.0), (2.0, 9.0)) if name == "wide" else as_activation(name)
    if name != "relu" and d == 2:
        column = data.draw(st.integers(0, 1))
        inputs[:, column] = inputs[0, column]
    assert piecewise_linear.applies(activation, inputs)
    outer, inner, residual = (data.draw(whole(shape)) for shape in ((m, 2), (m, d), (n, 2)))
    mass, weight = data.draw(whole(m)), data.draw(whole(n))
    fast, slow = both(outer, inner, inputs, residual, activation, mass, weight)
    for actual, expected in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(actual, expected)


# From tiny to huge, with zeros, and few enough values that some come twice.
reals = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1 / 3, 1e-12, -1e12, 3e7]),
    st.floats(-10, 10, allow_subnormal=False),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(["relu", "ramp"]), bias=st.booleans())
def test_the_error_is_that_of_single_products(data, name, bias):
    """At most a few eps of what each term is made of, whatever cancels and whatever is inactive."""
    m, n = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 10))
    inputs = data.draw(arrays(np.float64, (n, 2), elements=reals))
    if bias or name == "ramp":
        inputs[:, 1] = 1.0
    outer, inner, residual = (
        data.draw(arrays(np.float64, shape, elements=reals)) for shape in ((m, 1), (m, 2), (n, 1))
    )
    activation = as_activation(name)
    fast, slow = both(outer, inner, inputs, residual, activation, np.ones(m), np.ones(n))
    z = inner[:, :1] * inputs[:, 0] + inner[:, 1:] * inputs[:, 1]
    size = np.abs(inner) @ np.abs(inputs.T) + (name == "ramp")
    # An input nearer to a kink than this may be taken to be beyond it, by either of the two.
    knots = np.array([0.0] if name == "relu" else [0.0, 1.0])
    tie = (np.abs(z[..., np.newaxis] - knots) <= 4 * EPS * size[..., np.newaxis]).any(axis=-1)
    active = (z > 0) & ((z < 1) | (name == "relu")) | tie
    above = (z >= 1) & (name == "ramp")
    bound = (m + n + 10) * EPS * (size * active + above)
    # What others see, to 2^-100; and the least that there is, where products underflow.
    bound += 2.0**-97 * size.max() + 1e-290
    assert np.all(np.abs(fast[0] - slow[0]) <= bound.T @ np.abs(outer))
    assert np.all(np.abs(fast[1] - slow[1]) <= bound @ np.abs(residual))
    products = np.abs(residual.T) * ((n + 10) * EPS * active + 2.0**-97 + tie)
    assert np.all(np.abs(fast[2] - slow[2]) <= np.abs(outer) * (products @ np.abs(inputs)) + 1e-290)


@pytest.mark.parametrize("name", ["relu", "ramp"])
def test_on_a_line_ties_are_decided_in_plain_arithmetic(name):
    """Where fl(fl(w1 x) + w2) is at a knot the derivative is 0, however the product was rounded."""
    generator = np.random.default_rng(3)
    x = generator.standard_normal((40, 1))
    slope = generator.standard_normal((60, 1))
    level = slope * generator.choice(x, 60)
    level[30:] -= 1.0 if name == "ramp" else 0.0
    z = slope * x.T - level
    active = (z > 0.0) & ((z < 1.0) | (name == "relu"))
    assert np.isin(z[:30], 0.0).sum() >= 30
    assert name == "relu" or np.isin(z[30:], 1.0).sum() >= 20
    outer, inputs = generator.standard_normal((60, 1)), np.column_stack([x, np.ones(40)])
    _, d_inner = piecewise_linear.velocity(
        outer, np.column_stack([slope, -level]), inputs, x, as_activation(name), np.ones(40)
    )
    assert_close(d_inner, outer * (active @ (x * inputs)))


@pytest.mark.parametrize("name", ["relu", "ramp"])
def test_a_huge_weight_leaves_nothing_where_it_is_not_active(name):
    """What is added at one place and taken away at another is gone, up to 2^-100 of it."""
    activation, inputs = as_activation(name), inputs_of("bias")
    outer, inner, _ = neurons(inputs)
    mass = np.ones(len(outer) + 2)
    outer = np.concatenate([outer, np.ones((2, 1))])
    huge = 1e14 * np.array([[1.0, -0.1], [-1.0, -0.2]])
    prediction = piecewise_linear.predict(
        outer, np.concatenate([inner, huge]), inputs, activation, mass
    )
    seen = huge @ inputs.T > 0.0
    assert 0 < seen.sum() < seen.size
    without = reference.predict(outer[:-2], inner, inputs, activation, mass[:-2])
    if name == "relu":
        quiet = ~seen.any(axis=0)
        assert_close(prediction[quiet], without[quiet])
    else:
        assert_close(prediction, without + seen.sum(axis=0)[:, np.newaxis])


@pytest.mark.parametrize(("kind", "name"), [("bias", "relu"), ("bias", "ramp"), ("plane", "relu")])
def test_many_particles_and_data_keep_all_digits(kind, name):
    """Prefix sums over 1e5 places: to 1e-13 of the formula for a few of each."""
    inputs = inputs_of(kind, 100_000)
    outer, inner, residual = neurons(inputs, particles=100_000)
    outer *= np.exp(3 * np.random.default_rng(4).standard_normal(outer.shape))
    activation, few = as_activation(name), slice(0, 100_000, 9973)
    prediction = piecewise_linear.predict(outer, inner, inputs, activation)
    assert_close(prediction[few], reference.predict(outer, inner, inputs[few], activation))
    fast = piecewise_linear.velocity(outer, inner, inputs, residual, activation)
    slow = reference.velocity(outer[few], inner[few], inputs, residual, activation)
    for actual, expected in zip(fast, slow, strict=True):
        assert_close(actual[few], expected)


@pytest.mark.parametrize(("kind", "name"), [("bias", "ramp"), ("plane", "relu")])
def test_the_order_of_particles_and_data_does_not_matter(kind, name):
    """Permuted particles and data give permuted results, to rounding."""
    activation, inputs = as_activation(name), inputs_of(kind)
    outer, inner, residual = neurons(inputs)
    generator = np.random.default_rng(5)
    j, i = generator.permutation(len(outer)), generator.permutation(len(inputs))
    plain, _ = both(outer, inner, inputs, residual, activation)
    mixed, _ = both(outer[j], inner[j], inputs[i], residual[i], activation)
    for actual, expected, places in zip(mixed, plain, (i, j, j), strict=True):
        assert_close(actual, expected[places], 1e-15)


@pytest.mark.parametrize(("kind", "name"), [("bias", "relu"), ("bias", "ramp"), ("plane", "relu")])
def test_the_velocity_is_the_gradient_of_the_prediction(kind, name):
    """For R = sum_i c_i p_i f(x_i), m dR/dtheta_j by central differences."""
    activation, inputs = as_activation(name), inputs_of(kind, 13)
    outer, inner, residual = neurons(inputs, particles=7, seed=8)
    inner += 0.01
    z = inputs @ inner.T
    assert np.min(np.abs(z[..., np.newaxis] - np.array([0.0, 1.0]))) > 1e-4

    def risk(outer, inner):
        prediction = piecewise_linear.predict(outer, inner, inputs, activation)
        return len(outer) / len(inputs) * float((residual * prediction).sum())

    step = 1e-5
    gradients = piecewise_linear.velocity(outer, inner, inputs, residual, activation)
    for given_, gradient in zip((outer, inner), gradients, strict=True):
        for index in np.ndindex(given_.shape):
            shift = np.zeros_like(given_)
            shift[index] = step
            if given_ is outer:
                difference = risk(outer + shift, inner) - risk(outer - shift, inner)
            else:
                difference = risk(outer, inner + shift) - risk(outer, inner - shift)
            assert gradient[index] == pytest.approx(difference / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "name"), [("bias", "ramp"), ("plane", "relu"), ("bias", "linear")]
)
def test_the_bits_do_not_depend_on_the_number_of_threads(kind, name):
    """Particles and data in parts and blocks, several of each."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two processors")
    inputs = inputs_of(kind, 5003)
    outer, inner, residual = neurons(inputs, 2, particles=20_011)
    before, results = numba.get_num_threads(), []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        fast = (
            piecewise_linear.predict(outer, inner, inputs, as_activation(name)),
            *piecewise_linear.velocity(outer, inner, inputs, residual, as_activation(name)),
        )
        results.append([array.tobytes() for array in fast])
    numba.set_num_threads(before)
    assert results[0] == results[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("column", "relu"), ("bias", "relu"), ("bias", "ramp"), ("plane", "relu"), ("bias", "linear")],
)
def test_what_is_not_finite_is_seen_by_all(kind, name, bad):
    """One bad weight of a particle shows in every prediction, one bad residual in every velocity.

    The velocities of other particles, and the predictions of other outputs, do not change.
    """
    activation, inputs = as_activation(name), inputs_of(kind)
    outer, inner, residual = neurons(inputs, 2)
    good = piecewise_linear.velocity(outer, inner, inputs, residual, activation)
    for column in range(inner.shape[1]):
        spoilt = inner.copy()
        spoilt[3, column] = bad
        assert not np.isfinite(piecewise_linear.predict(outer, spoilt, inputs, activation)).any()
        found = piecewise_linear.velocity(outer, spoilt, inputs, residual, activation)
        assert np.isnan(found[0][3]).all() or np.isinf(bad)
        for array, expected in zip(found, good, strict=True):
            np.testing.assert_array_equal(
                np.delete(array, 3, axis=0), np.delete(expected, 3, axis=0)
            )
    spoilt = outer.copy()
    spoilt[3, 1] = bad
    prediction = piecewise_linear.predict(spoilt, inner, inputs, activation)
    assert np.isfinite(prediction[:, 0]).all()
    assert not np.isfinite(prediction[:, 1]).any()
    residual[5, 1] = bad
    d_outer, d_inner = piecewise_linear.velocity(outer, inner, inputs, residual, activation)
    assert np.isfinite(d_outer[:, 0]).all()
    assert not np.isfinite(d_outer[:, 1]).any() or name == "linear"
    assert not np.isfinite(d_inner).any()


def test_numbers_in_single_precision_are_summed_in_double():
    """The result is that of the same numbers in double precision, rounded once."""
    inputs = inputs_of("plane").astype(np.float32)
    outer, inner, residual = (a.astype(np.float32) for a in neurons(inputs))
    relu = as_activation("relu")
    single = both(outer, inner, inputs, residual, relu)[0]
    arrays64 = (a.astype(np.float64) for a in (outer, inner, inputs, residual))
    for actual, expected in zip(single, both(*arrays64, relu)[0], strict=True):
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, rtol=1e-7)
    assert piecewise_linear.predict(outer, inner.astype(float), inputs, relu).dtype == np.float64


def test_equal_inputs_are_sorted_once_and_changed_ones_again():
    """They are known by their values, so that a plan is never out of date."""
    inputs = inputs_of("plane")
    plan = piecewise_linear.prepare(inputs)
    assert piecewise_linear.prepare(inputs.copy()) is plan
    outer, inner, residual = neurons(inputs)
    relu = as_activation("relu")
    places = piecewise_linear.locate(inner, relu, plan)
    expected = piecewise_linear.predict(outer, inner, inputs, relu)
    given_plan = piecewise_linear.predict(outer, inner, inputs, relu, None, plan, places)
    assert given_plan.tobytes() == expected.tobytes()
    inputs[17] = -inputs[17]
    fast, slow = both(outer, inner, inputs, residual, relu)
    assert_close(fast[0], slow[0])
    for seed in range(2 * sorted_inputs.KEPT):
        piecewise_linear.prepare(inputs_of("plane", seed=seed))
    assert len(sorted_inputs._kept) == sorted_inputs.KEPT


def test_what_cannot_be_sorted_is_said():
    """A ramp in the plane, inputs that are not finite, three columns, one's own activation."""
    plane, bias = inputs_of("plane"), inputs_of("bias")
    outer, inner, _ = neurons(plane)
    relu, step = as_activation("relu"), as_activation("ramp")
    assert not piecewise_linear.supports(as_activation("tanh"), 2, 1)
    assert not piecewise_linear.supports(relu, 3, 1)
    assert not piecewise_linear.supports(relu, 2, piecewise_linear.MAXIMUM_OUTPUTS + 1)
    assert not piecewise_linear.applies(step, plane)
    with pytest.raises(InputError, match="two columns that vary has no fast sum"):
        piecewise_linear.predict(outer, inner, plane, step)
    plan = piecewise_linear.prepare(plane[:9])
    with pytest.raises(InputError, match=r"inputs of shape \(9, 2\), but theirs is \(211, 2\)"):
        piecewise_linear.predict(outer, inner, bias, relu, None, plan)
    bias[4, 0] = np.nan
    assert not piecewise_linear.applies(relu, bias)
    with pytest.raises(InputError, match="give one or two columns of finite numbers"):
        piecewise_linear.predict(outer, inner, bias, relu)
