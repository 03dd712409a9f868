"""The elementary functions inside the compiled kernels, and the named activations."""

import numpy as np
import pytest
from numba import njit
from scipy.special import erf

from wgflow.kernels import as_activation, elementary, ramp
from wgflow.kernels.activation import NAMED


def elementwise(function):
    @njit(error_model="numpy")
    def apply(x):
        y = np.empty_like(x)
        for i in range(x.size):
            y[i] = function(x[i])
        return y

    return apply


def spread(low, high, count=50_000):
    """Return points spread evenly over an interval, and over the magnitudes up to 1 within it."""
    generator = np.random.default_rng(3)
    magnitude = 10.0 ** generator.uniform(-300, 0, count)
    signs = generator.choice([-1.0, 1.0], count) if low < 0 else 1.0
    return np.concatenate([generator.uniform(low, high, count), signs * magnitude])


def single(low, high):
    """Return every 1009th float32 of an interval, by its bits."""
    bits = np.arange(0, 0x7F800000, 1009, dtype=np.uint32)
    points = bits.view(np.float32)
    return np.concatenate([part[(low <= part) & (part <= high)] for part in (-points, points)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "exact", "low", "high", "ulps"),
    [
        # One ulp more than the docstrings state, for the error of what is compared with and for
        # processors without a fused multiply-add.
        ("exponential", np.exp, -708.0, 709.78, 3),
        ("hyperbolic_tangent", np.tanh, -25.0, 25.0, 4),
        ("error_function", erf, -8.0, 8.0, 5),
        ("logarithm_of_one_plus", np.log1p, 0.0, 1.0, 4),
    ],
)
def test_an_elementary_function_is_accurate_to_a_few_ulp(name, exact, low, high, ulps, dtype):
    """The error stays below the ulps of the docstring over the whole range, and NaN stays NaN."""
    wide = dtype == np.float64
    points = spread(low, high) if wide else single(max(low, -86.9), min(high, 88.72))
    function = elementwise(getattr(elementary, name))
    values = function(points)
    assert values.dtype == dtype
    expected = exact(points.astype(np.float64))
    spacing = np.spacing(np.maximum(np.abs(expected), np.finfo(dtype).tiny).astype(dtype))
    assert np.max(np.abs(values - expected) / spacing) <= ulps
    assert np.isnan(function(np.array([np.nan], dtype))).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_elementary_functions_at_the_ends_of_their_range(dtype):
    """The exponential runs out to almost 0 and infinity; tanh and erf are odd and reach 1."""
    least, most, huge = (-708.0, 710.0, 1e300) if dtype == np.float64 else (-86.9, 89.0, 1e38)
    exponential = elementwise(elementary.exponential)
    points = np.array([-np.inf, -huge, 1.1 * least, least, 0.0, most, np.inf], dtype)
    values = exponential(points)
    assert np.all(values[:3] == values[3])
    assert np.finfo(dtype).tiny < values[3] < 2 * np.finfo(dtype).tiny
    assert values[4] == 1.0
    assert np.all(np.isinf(values[5:]))
    points = spread(0.0, 25.0, 1000).astype(dtype)
    for name in ("hyperbolic_tangent", "error_function"):
        function = elementwise(getattr(elementary, name))
        assert np.array_equal(function(-points), -function(points))
        assert np.array_equal(function(np.array([20.0, huge, np.inf], dtype)), np.ones(3, dtype))


def test_tanh_and_erf_are_exactly_1_from_where_their_docstrings_say():
    """In float32 at 10 and 4, and nowhere above 1."""
    for name, end in (("hyperbolic_tangent", 10.0), ("error_function", 4.0)):
        values = elementwise(getattr(elementary, name))(single(0.0, 2 * end))
        assert values.max() == 1.0
        assert np.all(values[single(0.0, 2 * end) >= end] == 1.0)


def test_the_error_function_in_numpy_is_that_of_scipy():
    """The named erf is accurate to 5 ulp without SciPy."""
    points = spread(-8.0, 8.0)
    expected = erf(points)
    error = np.abs(as_activation("erf").value(points) - expected) / np.spacing(np.abs(expected))
    assert error.max() <= 5


@pytest.mark.parametrize("name", NAMED)
def test_a_named_activation_is_stable_far_out(name):
    """Values and derivatives are finite, without warnings, wherever z^2 is."""
    activation = as_activation(name)
    z = np.array([-1e150, -1e3, -40.0, -0.0, 0.0, 40.0, 1e3, 1e150])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.isfinite(activation.value(z)).all()
        assert np.isfinite(activation.derivative(z)).all()


def test_named_activations_have_their_closed_forms():
    """Values and derivatives at points where they are known; 0 at the kinks of relu and ramp."""
    e = np.exp(-0.5)
    z = np.array([-0.5, 0.0, 0.5])
    forms = {
        "relu": ([0, 0, 0.5], [0, 0, 1]),
        "sigmoid": ([e / (1 + e), 0.5, 1 / (1 + e)], [e / (1 + e) ** 2, 0.25, e / (1 + e) ** 2]),
        "softplus": (
            [np.log(1 + e), np.log(2), np.log(1 + 1 / e)],
            [e / (1 + e), 0.5, 1 / (1 + e)],
        ),
        "ramp": ([0, 0, 0.5], [0, 0, 1]),
        "quadratic": ([0.25, 0, 0.25], [-1, 0, 1]),
        "linear": ([-0.5, 0, 0.5], [1, 1, 1]),
    }
    for name, (value, derivative) in forms.items():
        activation = as_activation(name)
        np.testing.assert_allclose(activation.value(z), value, rtol=1e-15)
        np.testing.assert_allclose(activation.derivative(z), derivative, rtol=1e-15)


def test_activations_are_equal_when_they_are_the_same():
    """Equality and hash follow functions, name and parameters."""
    assert as_activation("tanh") == as_activation("tanh") != as_activation("relu")
    assert ramp() == as_activation("ramp") != ramp(right=(2.0, 1.0))
    assert len({ramp(), as_activation("ramp"), as_activation("erf")}) == 2
    assert ramp((0, 1), (2, 5)).parameters == (0.0, 1.0, 2.0, 5.0)
