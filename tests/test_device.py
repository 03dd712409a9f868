"""Laws of runs on a graphics card, seen without one: nothing leaves it that should not."""

import device_array
import numpy as np
import pytest
import test_cuda

import wgflow as wg
from wgflow.device import CPU, Card, as_device, is_on_card, on_host


@pytest.fixture(scope="module")
def distances() -> dict[str, float]:
    """From the host, of particles whose kernels run in the simulator (a process of its own)."""
    return test_cuda.measured("device_run.py", NUMBA_ENABLE_CUDASIM="1")


SAME = (
    "euler-maruyama",
    "stochastic-heun",
    "bogacki-shampine",
    "ring",
    "sgd",
    "normals of a share",
)


@pytest.mark.parametrize("name", SAME)
def test_particles_on_a_device_go_where_those_of_the_host_go(
    distances: dict[str, float], name: str
) -> None:
    """Noise included. An array that was mixed with one of the host would have raised an error."""
    assert distances[name] < 1e-13


@pytest.mark.parametrize("name", [name for name in SAME if not name.startswith("normals")])
def test_a_run_on_a_device_goes_on_there_to_the_same_bits(
    distances: dict[str, float], name: str
) -> None:
    """Its state comes back from a checkpoint, whose arrays are those of the host."""
    assert distances[f"{name} restarted"] == 0.0


def test_single_precision_is_that_of_the_sums_only(distances: dict[str, float]) -> None:
    assert 0 < distances["single"] < 1e-6


def test_terms_without_kernels_for_a_card_are_refused() -> None:
    with pytest.raises(wg.InputError, match="'interaction' cannot be evaluated on the device cuda"):
        (wg.Interaction.quadratic(1.0) + wg.Entropy(0.1)).on_device(Card(device_array))
    mixed = wg.Potential(lambda x: x @ np.ones(1), lambda x: x + np.ones(1)) + wg.Entropy(0.1)
    on_card = mixed.on_device(Card(device_array))
    points = device_array.asarray(np.ones((3, 1)))
    with pytest.raises(wg.InputError, match="'potential' cannot be applied to arrays on a"):
        on_card.gradient(points, {"potential": 0.0})
    assert is_on_card(points) and not is_on_card(on_host(points))


def test_a_device_that_is_not_there_is_refused() -> None:
    assert as_device("cpu") is CPU
    with pytest.raises(wg.InputError, match="Unknown device 'gpu'"):
        as_device("gpu")
    with pytest.raises(wg.InputError, match="must be one of cpu, cuda"):
        wg.Context(device="gpu")
    with pytest.raises(wg.InputError, match="the device cpu only"):
        wg.solve(wg.get_case("motorcycle"), wg.JKO(), context=wg.Context(device="cuda"))
    if test_cuda.MISSING:
        with pytest.raises(wg.InputError, match="use device=cpu"):
            as_device("cuda")


@pytest.mark.gpu
@test_cuda.needs_card
def test_a_run_on_a_card_is_that_of_the_host() -> None:
    problem = wg.get_case("motorcycle").until(0.1)
    solver = wg.ParticleFlow(count=3000, step=5e-3)
    here = wg.solve(problem, solver)
    there = wg.solve(problem, solver, context=wg.Context(device="cuda"))
    np.testing.assert_allclose(there.risk, here.risk, rtol=1e-9)
