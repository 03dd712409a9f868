"""Laws of the damped Newton iteration, and a finite-volume step that needs it."""

import numpy as np

import wgflow as wg
from wgflow.solvers.finite_volume_scheme import PATIENCE, ImplicitScheme
from wgflow.solvers.newton_krylov import newton_krylov


def test_a_linear_system_takes_few_residuals_where_its_map_has_low_rank() -> None:
    """The identity plus three large directions among a thousand: six steps, thirty residuals."""
    random = np.random.default_rng(0)
    factor = random.standard_normal((1000, 3))
    target = random.standard_normal(1000)
    calls = 0

    def residual(x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return target - x - factor @ (factor.T @ x)

    found = newton_krylov(residual, np.zeros(1000), 1e-9, 50)
    assert found.error <= 1e-9
    assert np.abs(residual(found.point)).max() == found.error
    assert calls <= 40


def test_steps_are_cut_where_a_whole_one_leads_away() -> None:
    """Newton's iteration for arctan diverges from |x| > 1.39."""
    found = newton_krylov(np.arctan, np.array([3.0, -20.0, 0.1]), 1e-12, 50)
    np.testing.assert_allclose(found.point, 0, atol=1e-12)


def test_without_a_root_the_error_is_told() -> None:
    found = newton_krylov(lambda x: x**2 + 1, np.array([0.7]), 1e-10, 50)
    assert 1 <= found.error < 1.5
    stopped = newton_krylov(np.arctan, np.array([3.0]), 1e-12, 1)
    assert stopped.error > 0.1
    numbers = newton_krylov(lambda x: x * np.nan, np.array([1.0]), 1e-10, 50)
    assert not numbers.error <= 1e-10


def test_a_long_cold_step_of_finite_volumes_converges() -> None:
    """Forty accelerated iterations do not suffice here; F falls to near its minimum at once."""
    random = np.random.default_rng(0)
    x = random.uniform(-3, 3, 30)
    energy = wg.Risk(wg.Data(x, 2 * np.sin(2 * x)), wg.Neuron("tanh"), scale=9.0) + wg.Entropy(0.01)
    problem = wg.Problem(
        energy, wg.Domain(wg.Interval(-4, 4), wg.Interval(-4, 4)), wg.Gaussian((0.0, 0.0), 0.3), 1.0
    )
    edges = problem.domain.grid((32, 40))
    scheme = ImplicitScheme(problem, edges, tolerance=1e-10, max_iterations=200)
    state = scheme.initial()
    outcome = scheme.advance(state, 0.0, 0, 200.0)
    assert outcome.status == "ok", outcome.reason
    assert outcome.evaluations > PATIENCE
    impatient = ImplicitScheme(problem, edges, tolerance=1e-10, max_iterations=PATIENCE)
    assert impatient.advance(state, 0.0, 0, 200.0).status == "not_converged"
    before, after = (scheme.on_grid.value(s["mass"]) for s in (state, outcome.state))
    assert after < before - 0.1
