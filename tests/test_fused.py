"""The fused kernels in single precision: the formulas, and no digits lost in long sums."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from wgflow.kernels import as_activation, fused, ramp, reference

EPS = float(np.finfo(np.float32).eps)
ROOT = Path(__file__).parents[1]

# Each (activation, inputs, outputs) is compiled for itself, in two seconds: every activation once,
# each number of inputs and of outputs with several.
COMPILED = [
    ("relu", 5, 3),
    ("tanh", 2, 1),
    ("sigmoid", 1, 3),
    ("softplus", 2, 1),
    ("erf", 3, 2),
    ("ramp", 1, 1),
    ("quadratic", 5, 2),
    ("linear", 3, 1),
]


def neurons(inputs, outputs, particles=37, data=29, seed=0):
    """Return outer, inner, x, residual, mass and weight, sizes that fill no vector."""
    generator = np.random.default_rng(seed)
    shapes = ((particles, outputs), (particles, inputs), (data, inputs), (data, outputs))
    outer, inner, x, residual = (generator.standard_normal(s, dtype=np.float32) for s in shapes)
    mass, weight = (generator.random(size, dtype=np.float32) for size in (particles, data))
    return outer, inner, x, residual, mass, weight


def double(*arrays):
    return [None if array is None else array.astype(np.float64) for array in arrays]


def exact(outer, inner, x, residual, activation, mass=None, weight=None):
    """Return prediction and velocity in float64, and the sums of the absolute values of terms."""
    outer, inner, x, residual, mass, weight = double(outer, inner, x, residual, mass, weight)
    mass = np.full(len(outer), 1 / len(outer)) if mass is None else mass
    weight = np.full(len(x), 1 / len(x)) if weight is None else weight
    sums = (
        reference.predict(outer, inner, x, activation, mass),
        *reference.velocity(outer, inner, x, residual, activation, weight),
    )
    z = x @ inner.T
    value, slope = np.abs(activation.value(z)), np.abs(activation.derivative(z))
    weighted = residual * weight[:, np.newaxis]
    sizes = (
        value @ np.abs(outer * mass[:, np.newaxis]),
        value.T @ np.abs(weighted),
        (slope * np.abs(weighted @ outer.T)).T @ np.abs(x),
    )
    return sums, sizes


def single(outer, inner, x, residual, activation, mass=None, weight=None):
    results = (
        fused.predict(outer, inner, x, activation, mass),
        *fused.velocity(outer, inner, x, residual, activation, weight),
    )
    assert all(result.dtype == np.float32 for result in results)
    return results


def largest_error(results, sums, sizes):
    """Return the largest error relative to the sum of the absolute values of terms, in eps."""
    assert [result.shape for result in results] == [total.shape for total in sums]
    return max(
        float(np.max(np.abs(result - total) / size)) / EPS
        for result, total, size in zip(results, sums, sizes, strict=True)
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "inputs", "outputs"), COMPILED)
def test_a_kernel_in_single_precision_is_the_formula(name, inputs, outputs, weighted):
    """A sum of a few dozen terms is what it is in float64, to the rounding of its terms.

    That is about one eps for each input, in z, and six for the rest.
    """
    activation = ramp((-0.5, 2.0), (1.0, -1.0)) if name == "ramp" else as_activation(name)
    *arrays, mass, weight = neurons(inputs, outputs)
    weights = (mass, weight) if weighted else ()
    results = single(*arrays, activation, *weights)
    assert largest_error(results, *exact(*arrays, activation, *weights)) <= inputs + 6


@pytest.mark.parametrize("terms", [4096, 100_000])
@pytest.mark.parametrize("name", ["tanh", "softplus"])
def test_no_digits_are_lost_in_a_long_sum(name, terms):
    """The error is at most 1 eps of the sum of absolute values, for any number of terms.

    The terms of softplus here are all of one sign, except in the inner part of the velocity.
    """
    activation = as_activation(name)
    outer, inner = neurons(2, 1, particles=terms, data=1)[:2]
    many, residual = neurons(2, 1, particles=1, data=terms, seed=2)[2:4]
    some_outer, some_inner, some = neurons(2, 1, particles=32, data=32, seed=1)[:3]
    outer, residual = np.abs(outer), np.abs(residual)
    prediction = fused.predict(outer, inner, some, activation)
    (total, *_), (size, *_) = exact(outer, inner, some, some[:, :1], activation)
    assert largest_error([prediction], [total], [size]) <= 1
    velocity = fused.velocity(some_outer, some_inner, many, residual, activation)
    (_, *totals), (_, *sizes) = exact(some_outer, some_inner, many, residual, activation)
    assert largest_error(velocity, totals, sizes) <= 1


@pytest.mark.parametrize(("name", "inputs", "outputs"), COMPILED)
def test_single_precision_is_stable_far_out(name, inputs, outputs):
    """Values and derivatives are finite wherever z^2 is, and right to 4 eps."""
    activation = as_activation(name)
    points = np.array([-1e19, -1e3, -86.0, -20.0, -1e-30, 0.0, 1e-30, 20.0, 86.0, 1e3, 1e19])
    z = np.zeros((len(points), inputs), np.float32)
    z[:, 0] = points
    # For one unit vector x, the value is the outer part and the derivative the inner part.
    x, outer = np.eye(1, inputs, dtype=np.float32), np.eye(1, outputs, dtype=np.float32)
    d_outer, d_inner = fused.velocity(np.repeat(outer, len(z), axis=0), z, x, outer, activation)
    assert np.array_equal(fused.predict(outer, x, z, activation), d_outer)
    exactly = z[:, 0].astype(np.float64)
    for result, function in ((d_outer, activation.value), (d_inner, activation.derivative)):
        assert np.isfinite(result).all()
        np.testing.assert_allclose(result[:, 0], function(exactly), rtol=4 * EPS, atol=EPS)


@pytest.mark.parametrize(("name", "inputs", "outputs"), COMPILED)
def test_a_diverged_particle_is_seen_in_single_precision(name, inputs, outputs):
    """NaN in one particle reaches every prediction, and no other velocity."""
    outer, inner, x, residual = neurons(inputs, outputs)[:4]
    inner[3, 0] = np.nan
    prediction, d_outer, d_inner = single(outer, inner, x, residual, as_activation(name))
    assert np.isnan(prediction).all()
    assert np.isnan(d_outer[3]).all()
    assert np.isfinite(np.delete(d_outer, 3, axis=0)).all()
    assert np.isfinite(np.delete(d_inner, 3, axis=0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bits_do_not_depend_on_the_number_of_threads(dtype):
    """One thread sums one result in a fixed order, over several pieces of 512 terms."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two processors")
    activation = as_activation("tanh")
    arrays = [array.astype(dtype) for array in neurons(2, 1, particles=2003, data=1517)]
    outer, inner, x, residual, mass, weight = arrays
    before, results = numba.get_num_threads(), []
    try:
        for count in (1, 2):
            numba.set_num_threads(count)
            velocity = fused.velocity(outer, inner, x, residual, activation, weight)
            results.append((fused.predict(outer, inner, x, activation, mass), *velocity))
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


def run(script, **environment):
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_both_precisions_of_a_kernel_are_found_on_disk(tmp_path):
    """One function with two signatures: the second process compiles neither."""
    script = (
        "import numpy as np\n"
        "from wgflow.kernels import as_activation, fused\n"
        "for dtype in (np.float32, np.float64):\n"
        "    a = np.ones((3, 1), dtype)\n"
        "    assert fused.predict(a, a, a, as_activation('linear')).dtype == dtype\n"
        "kernel = fused._prediction_kernel(fused._CODES['linear'], 1, 1)\n"
        "print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))\n"
    )
    counts = [run(script, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    assert counts == [["0", "2"], ["2", "0"]]


def test_no_array_over_pairs_is_made():
    """With 20 000 particles and data, whose pairs would take 1.6 GB, the peak grows by 20 MB."""
    pytest.importorskip("resource")
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from wgflow.kernels import as_activation, fused\n"
        "unit = 1 if sys.platform == 'darwin' else 1024\n"
        "peak = lambda: unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def step(size):\n"
        "    a, w = np.ones((size, 1), np.float32), np.ones((size, 2), np.float32)\n"
        "    fused.predict(a, w, w, as_activation('relu'))\n"
        "    fused.velocity(a, w, w, a, as_activation('relu'))\n"
        "step(10)\n"
        "before = peak()\n"
        "step(20_000)\n"
        "print(peak() - before)\n"
    )
    assert int(run(script)[0]) < 20e6
