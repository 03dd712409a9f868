"""A temperature that changes with time, as in annealing."""

import numpy as np
import pytest

import wgflow as wg
from wgflow.solvers.cloud import Cloud
from wgflow.solvers.particles import ParticleScheme


def cooled(cooling, **changed) -> wg.Problem:
    settings = {"schedule": lambda t: 1 + t, "horizon": 1.0, **changed}
    return wg.Problem(
        energy=wg.Entropy(0.3),
        domain=wg.Domain(wg.WholeLine()),
        initial=wg.Gaussian(),
        cooling=cooling,
        **settings,
    )


def test_noise_of_a_step_has_the_integral_of_the_cooled_temperature() -> None:
    """With xi = 1 + t and c = 2 - t the integrand is a parabola: second order is two ends of it."""
    problem = cooled(lambda t: 2 - t)
    cloud = Cloud(problem, 5, seed=0)
    unit = cloud.brownian(3, 1.0)
    for method, spread in (
        ("euler-maruyama", 0.1 * 1.5 * 1.5),
        ("stochastic-heun", 0.1 * (1.5 * 1.5 + 1.6 * 1.4) / 2),
    ):
        scheme = ParticleScheme(cloud, method)
        moved = scheme.advance({"position": np.zeros((5, 1))}, 0.5, 3, 0.1).state["position"]
        np.testing.assert_allclose(moved / unit, np.sqrt(spread), rtol=1e-12)


def test_a_constant_cooling_is_another_temperature() -> None:
    """To the bit where the factor is a power of two, for SGD as for particles."""
    x = np.linspace(-1, 1, 8)
    risk = wg.Risk(wg.Data(x, x**2), wg.Neuron("tanh"))
    domain, law = wg.Domain(*[wg.WholeLine()] * 2), wg.Gaussian((0.0, 0.0))
    warm = wg.Problem(risk + wg.Entropy(0.1), domain, law, 0.5, cooling=lambda t: 0.25)
    cold = wg.Problem(risk + wg.Entropy(0.025), domain, law, 0.5)
    for solver in (wg.ParticleFlow(count=9, step=0.1), wg.SGD(width=9, step=0.1)):
        ends = [wg.solve(p, solver).measure(-1).points for p in (warm, cold)]
        np.testing.assert_array_equal(*ends)


def test_no_noise_is_left_once_the_cooling_is_zero() -> None:
    frozen = wg.solve(cooled(lambda t: float(t < 0.5)), wg.ParticleFlow(count=6, step=0.1))
    middle, end = (frozen.measure(k).points for k in (5, 10))
    np.testing.assert_array_equal(middle, end)
    assert (frozen.measure(4).points != middle).all()


@pytest.mark.parametrize("solver", [wg.JKO(shape=(64,)), wg.FiniteVolume(shape=(64,))])
def test_grids_take_no_cooling(solver: wg.JKO | wg.FiniteVolume) -> None:
    with pytest.raises(wg.InputError, match="holds the temperature fixed"):
        wg.solve(cooled(lambda t: 1.0), solver)


@pytest.mark.parametrize("cooling", [lambda t: -1.0, lambda t: np.nan, 2.0])
def test_a_cooling_is_a_function_that_is_not_negative(cooling) -> None:
    with pytest.raises(wg.InputError, match="cooling"):
        cooled(cooling)
