"""How far a law is from the global optimum: dual value, gap, and the minimum F* itself.

For a convex loss with conjugate loss*, weights c_i and temperature lambda > 0, every residual
vector p gives a lower bound on F,

    D(p) = - sum_i c_i loss*(p_i; y_i) - lambda log int exp(-g_p / lambda),
    g_p  = r + s sum_i c_i <p_i, phi(.; x_i)>,

and at the residual of a law rho the gap is a relative entropy (Nitanda, Wu, Suzuki, "Convex
analysis of the mean field Langevin dynamics", AISTATS 2022, and Chizat, "Mean-field Langevin
dynamics: exponential convergence and annealing", TMLR 2022):

    F(rho) - D(p(rho)) = lambda KL(rho | rho_hat),    rho_hat ~ exp(-g[rho] / lambda),
    lambda KL(rho | rho*) <= F(rho) - F* <= lambda KL(rho | rho_hat).

On a grid all of these hold to rounding, with sums over cells in the place of integrals.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import logsumexp

from wgflow.energy import Energy
from wgflow.errors import InputError
from wgflow.grid_energy import GridEnergy
from wgflow.measure import GridMeasure, Measure
from wgflow.problem import Problem


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What is known about the optimality of one law on a grid; all dimensionless.

    Attributes
    ----------
    value
        F(rho).
    dual
        D at the residual of rho, a lower bound on the minimum.
    gap
        value - dual >= F(rho) - F* >= 0.
    minimum
        F*, the minimum over all laws on this grid.
    """

    value: float
    dual: float
    gap: float
    minimum: float


@dataclasses.dataclass(frozen=True)
class Minimum:
    """The minimum of F over all laws on a grid, by Newton's method on the dual.

    Attributes
    ----------
    value
        F*, the value of F at the law below.
    gap
        F* minus the dual value: how exact it is.
    measure
        The optimal law rho*.
    residual
        Its residual p, shape (n, k).
    iterations
        Newton steps.
    """

    value: float
    gap: float
    measure: GridMeasure
    residual: np.ndarray
    iterations: int


class Dual:
    """The dual function D of an energy on a grid.

    Raises
    ------
    InputError
        A temperature of zero: the bound needs the entropy.
    """

    def __init__(self, energy: Energy, edges: Sequence[np.ndarray]) -> None:
        if energy.temperature <= 0:
            raise InputError(
                "The certificate needs a temperature above 0, but the energy has "
                f"{energy.temperature:g}; add an Entropy term."
            )
        self.on_grid = GridEnergy(energy, edges)

    def gibbs(self, residual: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the log masses of rho_p ~ exp(-g_p/lambda) and log int exp(-g_p/lambda)."""
        temperature = self.on_grid.temperature
        exponent = -self.on_grid.first_variation(residual) / temperature
        exponent = exponent + np.log(self.on_grid.volume)
        normaliser = float(logsumexp(exponent))
        return exponent - normaliser, normaliser

    def value(self, residual: np.ndarray) -> float:
        """Return D(p) for residuals p of shape (n, k)."""
        _, normaliser = self.gibbs(residual)
        return -self._conjugate(residual) - self.on_grid.temperature * normaliser

    def _conjugate(self, residual: np.ndarray) -> float:
        if self.on_grid.risk is None:
            return 0.0
        risk = self.on_grid.risk.risk
        return float(risk.data.weights @ risk.loss.conjugate(residual, risk.data.y))

    def gap(self, mass: np.ndarray) -> float:
        """Return F(rho) - D(p(rho)) for masses on the grid that sum to one.

        It is computed as lambda KL(rho | rho_hat), which loses no digits near the optimum; in
        logarithms, since early in a run rho_hat underflows where rho still has its mass.
        """
        residual = self.on_grid.residual(self.on_grid.predict(mass))
        log_gibbs, _ = self.gibbs(residual)
        inside = mass > 0
        # sum of m log(m/q) - m + q >= 0 term by term; the linear terms cancel for unit masses.
        ratio = np.log(mass[inside]) - log_gibbs[inside]
        total = (mass[inside] * ratio - mass[inside]).sum() + np.exp(log_gibbs).sum()
        return self.on_grid.temperature * max(float(total), 0.0)

    def maximise(self, tolerance: float = 1e-14, most: int = 100) -> Minimum:
        """Return F* and rho* by damped Newton steps on D from p = 0.

        Raises
        ------
        InputError
            The gap does not come below `tolerance` times max(1, |F*|) within `most` steps.
        """
        grid = self.on_grid
        if grid.risk is None:
            nothing = np.zeros((0, 1))
            return self._minimum(np.exp(self.gibbs(nothing)[0]), nothing, 0)
        risk = grid.risk.risk
        weights, target, loss = risk.data.weights, risk.data.y, risk.loss
        residual = np.zeros(target.shape)
        # Samples of weight zero do not enter D; a tiny weight keeps their equations regular.
        safe = np.maximum(weights, np.finfo(float).tiny)
        value = self.value(residual)
        for iteration in range(most + 1):
            mass = np.exp(self.gibbs(residual)[0])
            prediction = grid.risk.predict(mass)
            ascent = prediction - loss.conjugate_derivative(residual, target)
            gap = self._gap_of(mass, residual)
            if gap <= tolerance * max(1.0, abs(value)):
                return self._minimum(mass, residual, iteration)
            # Newton in the form (diag(loss*'' / c) + Cov / lambda) (c d) = ascent.
            mean = prediction.reshape(-1)
            matrix = (grid.risk.second_moment(mass) - np.outer(mean, mean)) / grid.temperature
            samples, outputs = target.shape
            curvature = loss.conjugate_hessian(residual, target) / safe[:, None, None]
            blocks = matrix.reshape(samples, outputs, samples, outputs)
            rows = np.arange(samples)
            blocks[rows, :, rows, :] += curvature
            try:
                factor = cho_factor(matrix)
            except LinAlgError:
                break
            step = (cho_solve(factor, ascent.reshape(-1)) / np.repeat(safe, outputs)).reshape(
                target.shape
            )
            slope = float((weights[:, None] * ascent * step).sum())
            length, risen = 1.0, False
            while length > 1e-10 and not risen:
                trial = residual + length * step
                trial_value = self.value(trial)
                # At the rounding floor of D a full step is taken on trust: the gap decides.
                floor = 1e-13 * max(1.0, abs(value))
                risen = trial_value >= value + 1e-4 * length * slope - floor
                length /= 2
            if not risen:
                break
            residual, value = trial, trial_value
        raise InputError(
            f"The minimum F* was not found to a gap of {tolerance:g}: Newton's method stopped at a "
            f"gap of {gap:.1e}; raise the temperature or coarsen the grid."
        )

    def _gap_of(self, mass: np.ndarray, residual: np.ndarray) -> float:
        return self.on_grid.value(mass) - self.value(residual)

    def _minimum(self, mass: np.ndarray, residual: np.ndarray, iterations: int) -> Minimum:
        value = self.on_grid.value(mass)
        gap = value - self.value(residual)
        return Minimum(value, gap, GridMeasure(self.on_grid.edges, mass), residual, iterations)


def certificate(problem: Problem, measure: Measure) -> Certificate:
    """Return what is known about the optimality of a law on a grid.

    Parameters
    ----------
    problem
        With a convex energy: a risk with a convex loss, potentials and an entropy.
    measure
        On a grid, of total mass 1.

    Raises
    ------
    InputError
        A particle measure, whose entropy is infinite, a law of other axes or of a mass other than
        1, or a temperature of zero.
    """
    if not isinstance(measure, GridMeasure):
        raise InputError(
            "A certificate needs a law with a density, but particles have none; pass the "
            "GridMeasure of a grid solver."
        )
    if measure.dimension != problem.domain.dimension:
        raise InputError(
            f"The law has {measure.dimension} axes, but the problem has "
            f"{problem.domain.dimension}; pass a law of this problem."
        )
    total = float(measure.mass.sum())
    if not abs(total - 1) < 1e-6:
        raise InputError(
            f"The law has the total mass {total:g}, but a certificate needs 1; divide by it."
        )
    dual = Dual(problem.energy, measure.edges)
    value = dual.on_grid.value(measure.mass_on_grid)
    gap = dual.gap(measure.mass_on_grid)
    lower = dual.value(dual.on_grid.residual(dual.on_grid.predict(measure.mass_on_grid)))
    return Certificate(value, lower, gap, dual.maximise().value)
