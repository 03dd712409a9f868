"""References of cases by another code, made again: flows of networks by SciPy's DOP853.

Each flow is d theta_j/dt = -(m/s) dR/d theta_j for the risk R of m neurons theta_j, with kernels
and their derivatives written out here; from the library are the first neurons, and how those at the
end are summed up. Tolerances are what DOP853 leaves, here and in the reference, or its last digit.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from wgflow.cases import circle_target, four_sigmoids, single_neuron
from wgflow.exact import neurons
from wgflow.measure import Particles

Kernel = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of v (m, d) and w (n, d): k(v_i, w_j), and p and q with dk/dv_i = p_ij w_j + q_ij v_i."""


def relu_kernel(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E max(v.x, 0) max(w.x, 0), through v.w, |v|^2 and |w|^2, for x ~ N(0, I)."""
    product = left @ right.T
    size, other_size = (left**2).sum(axis=1)[:, np.newaxis], (right**2).sum(axis=1)
    area = np.sqrt(np.maximum(size * other_size - product**2, 0.0))
    opening = np.arctan2(area, -product) / (2 * np.pi)
    return area / (2 * np.pi) + opening * product, opening, area / (2 * np.pi * size)


def sigmoid_kernel(
    left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E sigma(v.x) sigma(w.x) for x ~ N(0, 100^2 I), sigma(z) = P(2 K N < z) with Kolmogorov's K.

    Given K and K', with A = |v|^2 + (K/50)^2 and B = |w|^2 + (K'/50)^2, it is
    1/4 + arcsin(v.w / sqrt(A B)) / 2 pi.
    """
    logarithm, step = np.linspace(-1.9, 1.3, 18, retstep=True)
    size, n = np.exp(logarithm), np.arange(1, 80)[:, np.newaxis]
    density = -8 * ((-1.0) ** n * n**2 * size * np.exp(-2 * (n * size) ** 2)).sum(axis=0)
    weight, added, product = density * size * step, (size / 50) ** 2, left @ right.T
    value, along, across = (np.zeros_like(product) for _ in range(3))
    # Axes: of K', v and w.
    b = (right**2).sum(axis=1) + added[:, np.newaxis, np.newaxis]
    for own, share in zip(added, weight, strict=True):
        a = (left**2).sum(axis=1)[:, np.newaxis] + own
        area = np.sqrt(a * b - product**2)
        shares = share / (2 * np.pi) * weight
        ratio = np.tensordot(shares, 1 / area, 1)
        value += np.tensordot(shares, np.pi / 2 + np.arctan2(product, area), 1)
        along += ratio
        across -= ratio * product / a
    return value, along, across


class Flow(NamedTuple):
    """The risk half E (f - f*)^2 of f = (scale/m) sum_j a_j sigma(b_j.x), and its flow.

    Attributes
    ----------
    kernel
        Of sigma.
    outer, inner
        Weights of f* = sum_l c_l sigma(w_l.x), shapes (n,) and (n, d).
    scale, half
        Factors of the network and of the risk.
    """

    kernel: Kernel
    outer: np.ndarray
    inner: np.ndarray
    scale: float = 1.0
    half: float = 0.5

    def difference(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the outer and inner weights of f - f* for rows (a, b), shape (m, 1 + d)."""
        outer = np.concatenate([self.scale / len(rows) * rows[:, 0], -self.outer])
        return outer, np.concatenate([rows[:, 1:], self.inner])

    def risk(self, rows: np.ndarray) -> float:
        outer, inner = self.difference(rows)
        return float(self.half * outer @ self.kernel(inner, inner)[0] @ outer)

    def velocity(self, rows: np.ndarray) -> np.ndarray:
        a, b = rows[:, 0], rows[:, 1:]
        outer, inner = self.difference(rows)
        value, along, across = self.kernel(b, inner)
        slope = (along * outer) @ inner + (across @ outer)[:, np.newaxis] * b
        return -2 * self.half * np.column_stack([value @ outer, a[:, np.newaxis] * slope])

    def end(self, start: np.ndarray, time: float, tolerance: float) -> np.ndarray:
        """Return the neurons at a time."""
        path = solve_ivp(
            lambda _, state: self.velocity(state.reshape(start.shape)).reshape(-1),
            (0, time),
            start.reshape(-1),
            method="DOP853",
            t_eval=[time],
            rtol=tolerance,
            atol=tolerance,
        )
        return path.y[:, -1].reshape(start.shape)


def start_of(case: ModuleType, seed: int, count: int, **given: Any) -> np.ndarray:
    """Return the neurons of a case at t = 0, of one seed."""
    return np.array(case.problem(**given).initial.particles(seed, count).points)


def reference(case: ModuleType, quantity: str) -> float:
    """Return the reference of a check of a case."""
    (found,) = (check.reference for check in case.CHECKS if check.quantity == quantity)
    return float(found)


def one_neuron(dimension: int, scale: float) -> Flow:
    return Flow(relu_kernel, np.ones(1), np.eye(1, dimension), scale)


def circle(angles: int, scale: float) -> Flow:
    """Return the flow of the circle target as the mean over equal angles."""
    angle, inner = 2 * np.pi * np.arange(angles) / angles, np.zeros((angles, 100))
    inner[:, 0], inner[:, 1] = np.cos(angle), np.sin(angle)
    return Flow(relu_kernel, np.full(angles, 1 / angles), inner, scale)


def sigmoids() -> Flow:
    stars = np.array([[2.0, 0.0], [1.0, 2.0], [2.0, 1.0], [0.0, 2.0]])
    return Flow(sigmoid_kernel, np.full(4, 0.25), stars, half=1.0)


def mean_active(case: ModuleType, flow: Flow, time: float, seeds: int, **given: Any) -> float:
    """Return how many neurons are active at a time, the mean over seeds."""
    ends = [flow.end(start_of(case, seed, **given), time, 1e-9) for seed in range(seeds)]
    return float(np.mean([neurons.active_neurons(Particles(rows)) for rows in ends]))


def test_velocities_are_slopes_of_the_risk() -> None:
    """-(m/s) dR/d theta_j by central differences, so that flow and risk have one kernel."""
    generator, step = np.random.default_rng(3), 1e-5
    for flow in (Flow(relu_kernel, np.ones(2), generator.normal(size=(2, 3)), 1.7), sigmoids()):
        rows = generator.normal(size=(4, 1 + flow.inner.shape[1]))
        slopes = np.empty_like(rows)
        for index in np.ndindex(rows.shape):
            shift = np.zeros_like(rows)
            shift[index] = step
            slopes[index] = (flow.risk(rows + shift) - flow.risk(rows - shift)) / (2 * step)
        expected = -len(rows) / flow.scale * slopes
        assert flow.velocity(rows) == pytest.approx(expected, abs=1e-7)


def test_one_neuron_learnt_by_a_plain_sum() -> None:
    rows = one_neuron(200, 100.0).end(start_of(single_neuron, 0, 100), 20.0, 1e-9)
    expected = reference(single_neuron, "risk of the sum at t = 20")
    assert one_neuron(200, 100.0).risk(rows) == pytest.approx(expected, abs=1e-11)


def test_one_neuron_learnt_by_a_mean_field_network() -> None:
    flow, given = one_neuron(100, 1.0), single_neuron.MEAN_FIELD
    rows = flow.end(start_of(single_neuron, 0, 50, **given), 20.0, 1e-9)
    expected = reference(single_neuron, "risk of the mean-field network at t = 20")
    assert flow.risk(rows) == pytest.approx(expected, abs=1e-11)
    found = mean_active(single_neuron, flow, 100.0, seeds=4, count=50, **given)
    quantity = "active neurons of 50 of the mean-field network at t = 100, four seeds"
    assert found == pytest.approx(reference(single_neuron, quantity), abs=2e-6)


def test_the_circle_learnt_by_a_mean_field_network() -> None:
    """Of 256 angles, which stand for all."""
    flow, start = circle(256, 1.0), start_of(circle_target, 0, 50)
    expected = reference(circle_target, "risk of the mean-field network at t = 50")
    assert flow.risk(flow.end(start, 50.0, 1e-9)) == pytest.approx(expected, abs=1e-11)
    rows = flow.end(start, 200.0, 1e-9)
    counted = reference(circle_target, "active neurons of 50 of the mean-field network at t = 200")
    assert neurons.active_neurons(Particles(rows)) == pytest.approx(counted, abs=2e-6)
    quantity = "share of the mean-field network in the plane of the circle at t = 200"
    share = neurons.share_in_plane(Particles(rows))
    assert share == pytest.approx(reference(circle_target, quantity), abs=1e-6)


def test_the_circle_learnt_by_a_plain_sum() -> None:
    """Of 64 angles, as in the case."""
    flow = circle(64, 50.0)
    rows = flow.end(start_of(circle_target, 0, 50), 50.0, 1e-9)
    expected = reference(circle_target, "risk of the sum at t = 50")
    assert flow.risk(rows) == pytest.approx(expected, abs=1e-11)


def test_four_sigmoids_learnt_by_four_neurons() -> None:
    rows = sigmoids().end(start_of(four_sigmoids, 0, 4), 10.0, 1e-8)
    expected = reference(four_sigmoids, "risk of four neurons at t = 10")
    assert sigmoids().risk(rows) == pytest.approx(expected, abs=5e-10)


def test_four_sigmoids_learnt_by_eight_neurons() -> None:
    logarithms = [
        np.log10(sigmoids().risk(sigmoids().end(start_of(four_sigmoids, seed, 8), 10.0, 1e-7)))
        for seed in range(4)
    ]
    quantity = "log10 of the risk of eight neurons by SGD at t = 10, mean of four seeds"
    assert np.mean(logarithms) == pytest.approx(reference(four_sigmoids, quantity), abs=2e-6)


@pytest.mark.slow
def test_four_sigmoids_learnt_by_forty_neurons() -> None:
    rows = sigmoids().end(start_of(four_sigmoids, 0, 40), 10.0, 1e-7)
    expected = reference(four_sigmoids, "risk of forty neurons at t = 10")
    assert sigmoids().risk(rows) == pytest.approx(expected, abs=2e-10)
    share = neurons.share_on_lines(Particles(rows), sigmoids().inner, degrees=5.0)
    quantity = "share of |u| within 5 degrees of the lines, forty neurons at t = 10"
    assert share == pytest.approx(reference(four_sigmoids, quantity), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "flow", "quantity", "time", "seeds", "count"),
    [
        (
            single_neuron,
            one_neuron(200, 100.0),
            "active neurons of 100 of the sum at t = 200, three seeds",
            200.0,
            3,
            100,
        ),
        (
            circle_target,
            circle(64, 50.0),
            "active neurons of 50 of the sum at t = 1000, two seeds",
            1000.0,
            2,
            50,
        ),
    ],
    ids=["single-neuron", "circle-target"],
)
def test_neurons_that_stay_active_in_plain_sums(
    case: ModuleType, flow: Flow, quantity: str, time: float, seeds: int, count: int
) -> None:
    found = mean_active(case, flow, time, seeds, count=count)
    assert found == pytest.approx(reference(case, quantity), abs=2e-6)
