"""The balanced entropic step, which keeps the Gibbs law and lowers the energy for any step."""

import numpy as np
from scipy.special import logsumexp

from wgflow.grid_energy import GridEnergy
from wgflow.problem import Problem
from wgflow.solvers.heat_kernel import HeatKernel
from wgflow.solvers.kernel_scheme import KernelScheme, Movement

RELAXATION = 4 / (1 + np.sqrt(2.0)) ** 2
"""The correction of log u in units of its defect: best for a spectrum in [1, 2] with memory."""
COARSE = 0.3
"""Mean defect of log u above which it is corrected by itself, with z held."""
SWEEPS = 20
"""The most corrections of log u by itself."""
LARGEST_EXPONENT = 700.0
"""The exponential of this is a number."""


class BalancedScheme(KernelScheme):
    """Balanced entropic steps, of order 1 or 2.

    With lambda the temperature, K the heat kernel of variance 2 lambda tau and g the first
    variation without the entropy, one step is

        G = exp(-g / lambda) / Z,    u K[u] = G,    rho = u K[rho_k / K[u]].

    P(x, y) = u(x) K(x, y) u(y) / G(y) is a Markov kernel, reversible for G: mass and positivity
    are exact, G does not move, and KL(rho|G) <= KL(rho_k|G) (Marshall and Coifman, "Manifold
    learning with bi-stochastic kernels", IMA J. Appl. Math. 84, 2019, and Wormell and Reich,
    "Spectral convergence of diffusion maps", SIAM J. Numer. Anal. 59, 2021, study such kernels).

    time_order 1 takes g at the new coupling. For a convex energy, for any tau,

        F(rho) - F(rho_k) <= lambda [KL(rho|G) - KL(rho_k|G)] <= 0,

    with equality only at the minimum: there is no stationary bias. With g fixed the step is of
    second order by itself: an Ornstein-Uhlenbeck step of stiffness k is the exact flow over the
    time asinh(k tau) / k. time_order 2 therefore takes g in the middle, at

        z_k + Theta (z - z_k),    Theta = 1/2 + tau A C^(1/2) h(tau M) C^(1/2),

    with C = E'' and A = int grad psi grad psi^T drho_k of the risk, M = C^(1/2) A C^(1/2) and
    h(x) = (1 / (1 - exp(-x)) - 1/x - 1/2) / x. As <C (Theta - 1/2) d, d> >= 0 for every d, the
    energy still falls for any tau if E is quadratic, as with the half-squared loss; Theta = 1/2
    would make the first relation above an identity, but rings like Crank-Nicolson where the risk
    is stiff. This Theta is 1/2 + O(tau), which keeps the order, and near 1 where tau M is large:
    it is fitted to exponentials (as Liniger and Willoughby, SIAM J. Numer. Anal. 7, 1970, fit
    theta methods), so that z decays exactly where its equation is linear.

    Where a step carries mass over more than two or three widths of the kernel, walls are felt far
    upstream in u, as oscillations of twice that distance: nothing of the above is lost but the
    accuracy, and the inner iteration is slow. Shorter steps are the remedy.

    What an inner iteration leaves behind, a mismatch e of z and a defect d of log u, adds
    <E'(z) - E'(trial), z - z_k> + lambda int d (rho - rho_k) to the inequality. The bracket is
    -E KL(X_k given X | P(X, .)) for the pair of old and new positions, quadratic in the distance
    from rho_k to rho; those terms are linear in it. Their sum is therefore at most of the order of
    (e^2 + lambda^2 d^2) / lambda: a tolerance of 1e-8 lets F rise by 1e-14 or so.

    Parameters
    ----------
    time_order
        1 or 2.
    """

    def __init__(
        self,
        problem: Problem,
        edges: tuple[np.ndarray, ...],
        *,
        tolerance: float,
        max_iterations: int,
        time_order: int = 1,
    ) -> None:
        super().__init__(
            problem,
            edges,
            tolerance=tolerance,
            max_iterations=max_iterations,
            variance=2 * problem.temperature,
            exponent=problem.temperature,
        )
        self.time_order = time_order

    def movement(self, log_old: np.ndarray, spread: float) -> "BalancedMovement":
        """Return the equation of a step."""
        movement = BalancedMovement(self.on_grid, self.kernel(spread), log_old)
        if self.time_order == 2:
            movement.use_middle(spread)
        return movement

    def first_tilt(self, tilt: np.ndarray, spread_before: float, spread: float) -> np.ndarray:
        """Return the last tilt in proportion to the step, as it is for short steps."""
        return tilt if spread_before == 0 else tilt * min(spread / spread_before, 4.0)


class BalancedMovement(Movement):
    """One balanced step; the tilt is log u - log(G) / 2.

    The defect of log u is log G - log u - log K[u]. Its derivative is -(I + P*), with P* the
    Markov operator f -> K[u f] / K[u], self-adjoint in L2(G) with its spectrum in [0, 1]. Hence
    corrections of log u contract at any length below 1, with memory by 0.17 at a time at least,
    and least squares are weighted by masses. A new z moves log u by half the change of log G to
    first order in tau, so that tilt and z are nearly decoupled.
    """

    def __init__(self, on_grid: GridEnergy, kernel: HeatKernel, log_old: np.ndarray) -> None:
        super().__init__(on_grid, kernel, log_old, relaxation=RELAXATION)
        self.log_gibbs = self.log_scaling = log_old
        self.imbalance = self.defect  # of log u, after it has been corrected by itself
        self.beyond: np.ndarray | None = None  # Theta - 1/2 for the risk; None for Theta = 1

    def use_middle(self, spread: float) -> None:
        """Take g in the middle of the step, at z_k + Theta (z - z_k)."""
        risk = self.on_grid.risk
        self.beyond = np.zeros((0, 0))
        if risk is not None:
            value, vector = np.linalg.eigh(risk.curvature(self.coupling_old[: risk.size]))
            root = (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.T
            response = spread * risk.gradient_gram(self.old)
            rate, mode = np.linalg.eigh(root @ response @ root)
            fitted = (mode * _fitted(np.maximum(rate, 0.0))) @ mode.T
            self.beyond = response @ root @ fitted @ root

    def move(self, tilt: np.ndarray, coupling: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.beyond is not None:
            change = coupling - self.coupling_old
            coupling = self.coupling_old + change / 2
            size = len(self.beyond)
            coupling[:size] += self.beyond @ change[:size]
        exponent = -self.on_grid.first_variation(coupling) / self.on_grid.temperature
        self.log_gibbs = exponent - logsumexp(exponent)
        relevance = (np.exp(self.log_gibbs) + self.old) / 2
        self.tilt = tilt
        for sweep in range(SWEEPS + 1):
            self.log_scaling = self.log_gibbs / 2 + self.tilt
            spread = self.kernel.apply(self.log_scaling)
            self.imbalance = self.log_gibbs - self.log_scaling - spread
            far = (relevance * np.abs(self.imbalance)).sum() > COARSE
            if sweep == SWEEPS or not far:
                break
            self.tilt = self.tilt + RELAXATION * self.imbalance
        defect = self.imbalance + (self.tilt - tilt) / RELAXATION
        return self.log_scaling + self.kernel.apply(self.log_old - spread), defect

    def relevance(self) -> np.ndarray:
        return (np.exp(self.log_gibbs) + self.old + np.exp(self.log_new)) / 3

    def finished(self) -> np.ndarray:
        """Return log masses of the new law, by a Markov kernel that is balanced exactly.

        What u K[u] lacks of G, in each cell, is mass that stays where it is:

            rho = u K[u rho_k / G] + (1 - u K[u] / G) rho_k,

        which keeps mass and G to rounding though u is only as exact as the tolerance. Where too
        much mass has to leave a cell for that, the law stays as it is.
        """
        inflow = self.log_old + self.log_scaling - self.log_gibbs
        log_moved = self.log_scaling + self.kernel.apply(inflow)
        staying = -np.expm1(-np.clip(self.imbalance, -LARGEST_EXPONENT, LARGEST_EXPONENT))
        weight = np.exp(np.minimum(self.log_old - log_moved, LARGEST_EXPONENT))
        with np.errstate(over="ignore"):
            share = staying * weight
        if not (np.abs(share) < 0.5).all():
            return self.log_new
        return log_moved + np.log1p(share)


def _fitted(rate: np.ndarray) -> np.ndarray:
    """Return h(x) = (1 / (1 - exp(-x)) - 1/x - 1/2) / x for x >= 0; 1/12 at 0."""
    series = 1 / 12 - rate**2 / 720 + rate**4 / 30240
    x = np.maximum(rate, 0.1)
    return np.where(rate < 0.1, series, (-1 / np.expm1(-x) - 1 / x - 0.5) / x)
