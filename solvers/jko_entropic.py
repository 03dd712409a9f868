"""The entropic JKO step in the log domain (numerics: `JKO` in `wgflow.solvers.jko`)."""

import numpy as np

from wgflow.errors import check_number
from wgflow.grid_energy import GridEnergy
from wgflow.problem import Problem
from wgflow.solvers.heat_kernel import HeatKernel
from wgflow.solvers.kernel_scheme import KernelScheme, Movement


class EntropicScheme(KernelScheme):
    """Entropic minimizing movements, of order 1.

    With epsilon = regularisation * lambda and alpha = lambda - epsilon / 2, a step minimises

        int |x - y|^2 / (2 tau) dpi + epsilon int pi log pi + E(rho) + alpha int rho log rho

    over couplings pi of the new law rho with the old one. With g at the new law and K the heat
    kernel of variance epsilon tau, it ends at

        rho = a K[rho_k / K[a]],    epsilon log a + alpha log rho + g = constant.

    (Cuturi, "Sinkhorn distances", NeurIPS 2013, and Peyre, "Entropic approximation of Wasserstein
    gradient flows", SIAM J. Imaging Sci. 8, 2015). The mass is exact for any a. At regularisation
    2, alpha is 0, a is known and the diffusion alone is exact; below, entropy of pi in excess is
    taken back from that of rho ("debiased"), and the step comes closer to that in the Wasserstein
    distance.

    Parameters
    ----------
    regularisation
        epsilon in units of the temperature lambda, above 0 and at most 2.
    """

    def __init__(
        self,
        problem: Problem,
        edges: tuple[np.ndarray, ...],
        *,
        tolerance: float,
        max_iterations: int,
        regularisation: float = 2.0,
    ) -> None:
        check_number("The regularisation of an entropic step", regularisation, above=0, most=2)
        self.epsilon = regularisation * problem.temperature
        self.alpha = problem.temperature - self.epsilon / 2
        super().__init__(
            problem,
            edges,
            tolerance=tolerance,
            max_iterations=max_iterations,
            variance=self.epsilon,
            exponent=self.epsilon + self.alpha,
        )

    def movement(self, log_old: np.ndarray, spread: float) -> "EntropicMovement":
        """Return the equation of a step."""
        kernel = self.kernel(spread)
        return EntropicMovement(self.on_grid, kernel, log_old, self.epsilon, self.alpha)


class EntropicMovement(Movement):
    """One entropic step; the tilt is log a + g / (epsilon + alpha).

    Its equation is tilt = -alpha / (epsilon + alpha) log K[rho_k / K[a]], whose right-hand side
    contracts by alpha / (epsilon + alpha).
    """

    def __init__(
        self,
        on_grid: GridEnergy,
        kernel: HeatKernel,
        log_old: np.ndarray,
        epsilon: float,
        alpha: float,
    ) -> None:
        super().__init__(on_grid, kernel, log_old, tilted=alpha > 0)
        self.sum, self.ratio = epsilon + alpha, alpha / (epsilon + alpha)

    def move(self, tilt: np.ndarray, coupling: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_scaling = -self.on_grid.first_variation(coupling) / self.sum
        if self.tilt_size:
            log_scaling = log_scaling + tilt
        spread = self.kernel.apply(self.log_old - self.kernel.apply(log_scaling))
        defect = -self.ratio * spread - tilt if self.tilt_size else tilt
        return log_scaling + spread, defect
