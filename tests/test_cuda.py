"""The kernels for a graphics card: simulated, compiled, and run on a card where there is one.

Numba's simulator shows what they compute, and would run code that the compiler refuses; compiling
them to PTX needs no card, and shows that they can be compiled, and to what.
"""

import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import device_array
import numpy as np
import pytest

from wgflow.kernels.activation import NAMED

numba_cuda = pytest.importorskip("numba.cuda", reason="Numba has no CUDA target here")

HERE = pathlib.Path(__file__).parent
TOLERANCE = {"float64": 2e-15, "float32": 2e-6}
PRECISIONS = ("float64", "float32")


def card_is_missing() -> str:
    """Return what there is not: a card with its driver, or CuPy; nothing if all is there."""
    if not numba_cuda.is_available():
        return "there is no graphics card"
    return "" if importlib.util.find_spec("cupy") else "CuPy is not installed"


MISSING = card_is_missing()
needs_card = pytest.mark.skipif(bool(MISSING), reason=MISSING or "all is there")


def measured(script: str, **environment: str) -> dict:
    """Return what a script of this folder writes, run by itself: Numba is set up on import."""
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / script],
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "PYTHONPATH": str(HERE.parent)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    return measured("cuda_simulation.py", NUMBA_ENABLE_CUDASIM="1")


@pytest.fixture(scope="module")
def code() -> dict[str, dict[str, int]]:
    found = measured("cuda_compilation.py", NUMBA_ENABLE_CUDASIM="0")
    if "unavailable" in found:
        pytest.skip(f"nothing can be compiled for a card here: {found['unavailable']}")
    return found


@pytest.mark.parametrize("name", [*NAMED, "other ramp"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_simulated_kernel_is_the_formula(errors, precision, name):
    """For one to five inputs and one to three outputs, with and without mass and weight."""
    assert errors[f"{precision} {name}"] < TOLERANCE[precision]


@pytest.mark.parametrize("name", ["tanh", "own"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_by_blocks_are_the_formula(errors, precision, name):
    """For more inputs than a fused kernel takes, and an activation of one's own in NumPy."""
    assert errors[f"{precision} blocks {name}"] < TOLERANCE[precision]


def test_larger_blocks_are_the_formula(errors):
    """Four results a thread, several tiles a part, the last of each with empty places."""
    assert errors["larger blocks"] < TOLERANCE["float64"]


@pytest.mark.parametrize("share", ["normals", "one normal"])
def test_simulated_normals_are_those_of_the_processor(errors, share):
    """To rounding: of a share that begins and ends within groups, in two blocks of particles."""
    assert errors[share] < 1e-14


@pytest.mark.parametrize("name", NAMED)
def test_what_is_not_a_number_is_seen(errors, name):
    """A run that diverges must not go on with the zeros that max(NaN, 0) gives on a card."""
    assert errors[f"nan {name}"] == 0


def test_all_kernels_compile(code):
    """All activations, both precisions, the largest fused kernel, and the helpers between."""
    assert {key.split()[1] for key in code if key.startswith("float32")} >= set(NAMED)
    assert {"float64 total", "float64 slope", "largest velocity", "normals"} <= set(code)


def test_kernels_of_single_precision_have_no_double_arithmetic(code):
    """A bare number would bring it in: 2 to 64 times slower, by the card."""
    single = {key: found["double"] for key, found in code.items() if key.startswith("float32")}
    assert len(single) >= len(NAMED)
    assert not any(single.values()), single
    assert code["float64 tanh velocity"]["double"] > 0


def test_short_arrays_are_registers(code):
    """Loops of constant length are unrolled; an index that varies would need memory."""
    fused = {key: found for key, found in code.items() if key != "normals"}
    assert not any(found["short arrays in memory"] for found in fused.values()), fused


def test_compiled_comparisons_keep_what_is_not_a_number(code):
    """PTX's min and max return the other number."""
    assert not any(found["loses nan"] for found in code.values()), code


@pytest.mark.parametrize("results", [1, 127, 128, 129, 5000, 200_000])
@pytest.mark.parametrize("terms", [1, 128, 129, 4000, 1_000_000])
def test_parts_of_a_sum_cover_it_and_none_is_empty(results, terms):
    """Few results with many terms are cut into parts, so that a card is filled."""
    cuda_kernels = importlib.import_module("wgflow.kernels.cuda_kernels")
    block = 4 * cuda_kernels.THREADS
    blocks, count, tiles = cuda_kernels.parts(results, terms, block)
    length = tiles * cuda_kernels.THREADS
    assert (blocks - 1) * block < results <= blocks * block
    assert (count - 1) * length < terms <= count * length
    assert count == 1 or count * blocks <= cuda_kernels.BLOCKS
    if terms >= 2 * cuda_kernels.THREADS * cuda_kernels.BLOCKS:
        assert count * blocks > cuda_kernels.BLOCKS // 2


def test_an_array_on_a_device_refuses_those_of_the_host():
    """The double is as strict as CuPy: whatever works with it does not copy unasked."""
    there, here = device_array.asarray(np.arange(3.0)), np.ones(3)
    for mix in (
        lambda: there + here,
        lambda: here * there,
        lambda: np.asarray(there),
        lambda: np.concatenate([there, here]),
        lambda: np.add(there, 1.0, out=here),
        lambda: there.__setitem__(slice(None), here),
        lambda: here.__setitem__(slice(None), there),
        lambda: np.spacing(there),
    ):
        with pytest.raises(TypeError, match="device|not allowed|CuPy has no"):
            mix()


def test_an_array_on_a_device_computes_as_numpy_does():
    """Results stay on the device, also those of no axes; asked for, they come back."""
    here = np.arange(6.0).reshape(2, 3)
    there = device_array.asarray(here)
    for compute in (
        lambda x: np.tanh(x) @ x.T + 2 * x.sum(),
        lambda x: np.where(x > 2, x, -1.0)[:, 1:],
        lambda x: np.empty_like(x, shape=(4,)) * 0,
        lambda x: x.max(),
        lambda x: x[np.abs(x) > 1].reshape(-1),
    ):
        result = compute(there)
        assert isinstance(result, device_array.DeviceArray)
        assert np.array_equal(result.get(), compute(here))
    there += 1
    there[0] = 0.0
    assert np.array_equal(there.get(), [[0, 0, 0], [4, 5, 6]])
    assert np.array_equal(here[0], [0, 1, 2])
    assert float(there.max()) == 6


@pytest.mark.gpu
@needs_card
def test_a_card_computes_the_formulas():
    """The errors of the simulation, and larger sums, with the arrays of CuPy."""
    cupy = importlib.import_module("cupy")
    cuda_simulation = importlib.import_module("cuda_simulation")
    for name, error in cuda_simulation.every_error(cupy).items():
        assert error < TOLERANCE.get(name.split()[0], 1e-14), name
    for precision in PRECISIONS:
        for sizes in ((3000, 200), (200, 3000)):
            error = cuda_simulation.sums_error(cupy, NAMED["tanh"], precision, 2, 1, *sizes)
            assert error < 10 * TOLERANCE[precision]


@pytest.mark.gpu
@needs_card
def test_a_card_gives_the_same_bits_again():
    """The order of every sum is fixed."""
    cupy = importlib.import_module("cupy")
    cuda = importlib.import_module("wgflow.kernels.cuda")
    random = cupy.random.default_rng(0)
    outer, inner, inputs = (random.standard_normal(s) for s in ((9000, 1), (9000, 2), (133, 2)))
    first = cuda.predict(outer, inner, inputs, NAMED["tanh"])
    for _ in range(5):
        assert (cuda.predict(outer, inner, inputs, NAMED["tanh"]) == first).all()
