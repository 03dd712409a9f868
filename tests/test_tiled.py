"""The tiled kernels and the forward pass: the formulas, in any tiling and on any threads."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from wgflow.errors import InputError
from wgflow.kernels import (
    Activation,
    as_activation,
    forward,
    predict,
    reference,
    tiled,
    velocity,
    workers,
)

NAMES = ("relu", "tanh", "sigmoid", "softplus", "erf", "ramp", "quadratic", "linear")
INPUTS = 20
# Float64: rounding of a few hundred terms. Float32: a term is off by about INPUTS + 10 roundings of
# 6e-8, most of them in z = w . x.
TOLERANCE = {np.float64: 1e-13, np.float32: 2e-6}


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles that a few dozen particles and data do not fill, nor fit into one."""
    monkeypatch.setattr(tiled, "ROWS", 16)
    monkeypatch.setattr(tiled, "COLUMNS", 24)
    monkeypatch.setattr(tiled, "DEPTH", 7)


@pytest.fixture
def threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two processors")
    before = numba.get_num_threads()
    yield (1, 2)
    numba.set_num_threads(before)


def arrays(outputs=1, dtype=np.float64, particles=101, data=57, inputs=INPUTS):
    """Return outer (m, k), inner, x, residual (n, k), mass and weight."""
    generator = np.random.default_rng(0)
    shapes = ((particles, outputs), (particles, inputs), (data, inputs), (data, outputs))
    outer, inner, x, residual = (generator.standard_normal(s).astype(dtype) for s in shapes)
    mass, weight = (generator.random(size).astype(dtype) for size in (particles, data))
    return outer, 2 / np.sqrt(inputs).astype(dtype) * inner, x, residual, mass, weight


def assert_close(actual, expected, tolerance):
    """Compare sums relative to the largest of them: one of them may cancel to nothing."""
    for part, whole in zip(actual, expected, strict=True):
        assert part.shape == whole.shape
        assert np.max(np.abs(part - whole)) <= tolerance * np.max(np.abs(whole))


def assert_same_bits(one, other):
    assert len(one) == len(other)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def tiled_sums(outer, inner, x, residual, mass, weight, activation, kept_bytes=0):
    """Return the prediction and the two parts of the velocity."""
    whole = tiled.ForwardPass(outer, inner, x, activation, kept_bytes)
    return whole.predict(mass), *whole.velocity(residual, weight)


# A pass takes half a second to compile for an activation, a precision, and one output or several.
PASSES = [
    *((name, 1, dtype) for name in NAMES for dtype in (np.float64, np.float32)),
    *((name, 3, np.float64) for name in ("tanh", "sigmoid", "softplus", "erf", "ramp")),
    *((name, 3, np.float32) for name in ("tanh", "erf")),
]


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(("name", "outputs", "dtype"), PASSES)
def test_a_tiled_sum_is_the_formula(name, outputs, dtype):
    """Sums over tiles that fill no vector agree with NumPy in float64, to their own rounding."""
    activation = as_activation(name)
    for weighted in (False, True):
        outer, inner, x, residual, *weights = arrays(outputs, dtype)
        mass, weight = weights if weighted else (None, None)
        actual = (
            tiled.predict(outer, inner, x, activation, mass),
            *tiled.velocity(outer, inner, x, residual, activation, weight),
        )
        assert all(part.dtype == dtype for part in actual)
        exact = [
            None if a is None else a.astype(float)
            for a in (outer, inner, x, residual, mass, weight)
        ]
        expected = (
            reference.predict(*exact[:3], activation, exact[4]),
            *reference.velocity(*exact[:4], activation, exact[5]),
        )
        assert_close(actual, expected, TOLERANCE[dtype])


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", ["tanh", "erf", "own"])
def test_what_is_kept_does_not_change_the_bits(name, outputs, dtype):
    """The velocity from no, some or all kept tiles, twice from the same ones."""
    activation = Activation(np.sin, np.cos) if name == "own" else as_activation(name)
    given = arrays(outputs, dtype)
    residual, weight = given[3], given[5]
    expected = tiled_sums(*given, activation)
    strip = tiled.COLUMNS * len(residual) * residual.itemsize
    for kept_bytes in (2 * strip, 100 * strip):
        assert_same_bits(tiled_sums(*given, activation, kept_bytes), expected)
    whole = tiled.ForwardPass(*given[:3], activation, 100 * strip)
    whole.predict(given[4])
    for _ in range(2):
        assert_same_bits(whole.velocity(residual, weight), expected[1:])


@pytest.mark.parametrize("name", ["tanh", "own"])
@pytest.mark.parametrize(("particles", "data"), [(3000, 40), (40, 3000), (700, 1100)])
def test_the_bits_do_not_depend_on_the_number_of_threads(particles, data, name, threads):
    """Sums are split at the same places, whoever computes them: few data, few particles, neither.

    In each case there are several tasks, and sums that are taken in parts.
    """
    activation = Activation(np.sin, np.cos) if name == "own" else as_activation(name)
    given = arrays(2, particles=particles, data=data)
    results = []
    for count in threads:
        numba.set_num_threads(count)
        results.append(tiled_sums(*given, activation, kept_bytes=1 << 20))
    assert_same_bits(*results)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(("name", "outputs", "dtype"), PASSES)
def test_a_particle_that_has_diverged_is_seen(name, outputs, dtype):
    """NaN reaches every prediction and that particle's velocity, and no other particle's."""
    outer, inner, x, residual, mass, weight = arrays(outputs, dtype)
    inner[3, 0] = np.nan
    prediction, d_outer, d_inner = tiled_sums(
        outer, inner, x, residual, mass, weight, as_activation(name), kept_bytes=1 << 20
    )
    assert np.isnan(prediction).all()
    assert np.isnan(d_outer[3]).all()
    assert np.isfinite(np.delete(d_outer, 3, axis=0)).all()
    assert np.isfinite(np.delete(d_inner, 3, axis=0)).all()


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("outputs", [1, 3])
def test_functions_of_ones_own_are_called_on_tiles(outputs):
    """Sums of a sine are those of the formula; a function that changes the shape is refused."""
    given = arrays(outputs)
    outer, inner, x, residual, mass, weight = given
    own = Activation(np.sin, np.cos)
    expected = (
        reference.predict(outer, inner, x, own, mass),
        *reference.velocity(outer, inner, x, residual, own, weight),
    )
    assert_close(tiled_sums(*given, own), expected, TOLERANCE[np.float64])
    with pytest.raises(InputError, match="The value of the activation turned an array of shape"):
        tiled_sums(*given, Activation(np.sum, np.cos))
    with pytest.raises(InputError, match="The derivative of the activation turned an array"):
        tiled_sums(*given, Activation(np.sin, np.sum))
    assert_close(tiled_sums(*given, own), expected, TOLERANCE[np.float64])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [("tanh", 2, 0), ("tanh", 20, 0), ("erf", 20, 3), ("own", 2, 0), ("relu", 2, 0)],
)
def test_a_forward_pass_has_the_bits_of_its_two_halves(name, inputs, outputs, dtype):
    """Whatever kernels it takes, and whatever is computed before its velocity is asked for."""
    activation = Activation(np.sin, np.cos) if name == "own" else name
    outer, inner, x, residual, mass, weight = arrays(
        max(outputs, 1), dtype, particles=1000, data=900, inputs=inputs
    )
    if not outputs:
        outer, residual = outer[:, 0], residual[:, 0]
    whole = forward(outer, inner, x, activation, mass)
    assert_same_bits([whole.prediction], [predict(outer, inner, x, activation, mass)])
    assert whole.prediction.shape == residual.shape
    other = forward(outer, inner[::-1], x, activation, mass)
    expected = velocity(outer, inner, x, residual, activation, weight)
    for _ in range(2):
        actual = whole.velocity(residual, weight)
        assert_same_bits(actual, expected)
        assert [part.shape for part in actual] == [outer.shape, inner.shape]
    assert_same_bits(
        other.velocity(residual), velocity(outer, inner[::-1], x, residual, activation)
    )


def test_a_forward_pass_computes_its_velocity_in_its_own_precision():
    """A float64 residual is rounded, one of a wrong shape refused."""
    outer, inner, x, residual, *_ = arrays(2, np.float32)
    whole = forward(outer, inner, x, "tanh")
    exact = residual + 1e-12
    assert exact.dtype == np.float32
    assert_same_bits(whole.velocity(exact.astype(float)), whole.velocity(exact))
    with pytest.raises(
        InputError, match=r"residual has shape \(57,\), but must have shape \(57, 2"
    ):
        whole.velocity(residual[:, 0])


def test_memory_of_a_pass_is_used_again_and_never_by_two():
    """A pass that is gone leaves its memory to the next one of its size, a living one does not."""
    outer, inner, x, residual, *_ = arrays(data=1000, particles=1000)
    activation = as_activation("tanh")
    gc.collect()
    first = tiled.ForwardPass(outer, inner, x, activation, tiled.KEPT_BYTES)
    second = tiled.ForwardPass(outer, inner, x, activation, tiled.KEPT_BYTES)
    places = [p.place(0, 0, residual).ctypes.data for p in (first, second)]
    assert places[0] != places[1]
    del second
    third = tiled.ForwardPass(outer, inner, x, activation, tiled.KEPT_BYTES)
    assert third.place(0, 0, residual).ctypes.data == places[1]
    assert sum(map(len, workers.memory.spare)) <= workers.SPARE_BYTES


def test_two_callers_at_a_time_do_not_disturb_each_other():
    """Passes of two threads share the workers and the memory, not the results."""
    given = [arrays(outputs, particles=600, data=700) for outputs in (1, 2)]
    activation = as_activation("tanh")
    expected = [tiled_sums(*one, activation) for one in given]

    def repeatedly(number):
        return [tiled_sums(*given[number], activation, 1 << 20) for _ in range(8)]

    with ThreadPoolExecutor(2) as pool:
        for results, whole in zip(pool.map(repeatedly, range(2)), expected, strict=True):
            for result in results:
                assert_same_bits(result, whole)


def test_blas_is_held_at_one_thread_and_released():
    """Also where the sum fails half-way."""

    def counts():
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    outer, inner, x, *_ = arrays()
    seen = []

    def looking(z):
        seen.append(counts())
        return z

    with threadpool_limits(2, user_api="blas"):
        before = counts()
        predict(outer, inner, x, Activation(looking, looking))
        with pytest.raises(InputError):
            predict(outer, inner, x, Activation(np.sum, np.sum))
        assert counts() == before
    assert seen
    assert all(1 in count for count in seen)
