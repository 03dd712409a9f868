"""How far a law is from the global optimum: dual value, gap, and the minimum F* itself.

Let F(rho) = E(z) + int V drho + lambda int rho log rho with E convex and z = int psi drho linear in
rho (predictions, interactions) and lambda > 0. E lies above its tangents, so every z gives a lower
bound on F,

    D(z) = E(z) - <E'(z), z> - lambda log int exp(-g_z / lambda),    g_z = V + <E'(z), psi>;

for a risk with residuals p_i = loss'(f_i, y_i) it reads

    D(p) = - sum_i c_i loss*(p_i; y_i) - lambda log int exp(-g_p / lambda).

At the coupling of a law rho the gap is a relative entropy (Nitanda, Wu, Suzuki, "Convex
analysis of the mean field Langevin dynamics", AISTATS 2022, and Chizat, "Mean-field Langevin
dynamics: exponential convergence and annealing", TMLR 2022):

    F(rho) - D(p(rho)) = lambda KL(rho | rho_hat),    rho_hat ~ exp(-g[rho] / lambda),
    lambda KL(rho | rho*) <= F(rho) - F* <= lambda KL(rho | rho_hat).

On a grid all of these hold to rounding, with sums over cells in the place of integrals.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, gmres
from scipy.special import logsumexp

from wgflow.domain import Domain, WholeLine
from wgflow.energy import Couplings, Energy, Interaction, Risk
from wgflow.errors import InputError
from wgflow.grid_energy import GridEnergy
from wgflow.measure import GridMeasure, Measure, Particles, cell_centres, grid_points
from wgflow.problem import Problem


class NotConvexError(InputError):
    """An energy is not known to be convex along mixtures of laws."""


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What is known about the optimality of one law; all dimensionless, NaN what is not known.

    Attributes
    ----------
    value
        F(rho).
    dual
        A lower bound on the minimum: D at the coupling of rho.
    gap
        value - dual >= F(rho) - F* >= 0.
    minimum
        F*, the minimum over all laws on a grid.
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
        Of the law below: how exact F* is.
    measure
        The optimal law rho*.
    coupling
        The coupling z that maximises D.
    iterations
        Newton steps.
    """

    value: float
    gap: float
    measure: GridMeasure
    coupling: np.ndarray
    iterations: int


class Dual:
    """The dual function D of a convex energy on a grid, as a function of the coupling z.

    Raises
    ------
    InputError
        An energy without a certificate: no entropy, a power entropy, or a term that is not known
        to be convex.
    """

    def __init__(self, energy: Energy, edges: Sequence[np.ndarray]) -> None:
        check_convex(energy)
        self.on_grid = GridEnergy(energy, edges)
        if not self.on_grid.convex:
            raise NotConvexError(NOT_CONVEX)

    def gibbs(self, coupling: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the log masses of rho_z ~ exp(-g_z/lambda) and log int exp(-g_z/lambda)."""
        return _gibbs(self.on_grid.first_variation(coupling), self.on_grid)

    def value(self, coupling: np.ndarray) -> float:
        """Return D(z) for a coupling z of `on_grid`."""
        _, normaliser = self.gibbs(coupling)
        return self._linear_part(coupling) - self.on_grid.temperature * normaliser

    def _linear_part(self, coupling: np.ndarray) -> float:
        """Return E(z) - <E'(z), z>, minus the conjugate of E at its slope."""
        paired = float(self.on_grid.slope(coupling) @ coupling)
        return self.on_grid.coupled_value(coupling) - paired

    def lower_bound(self, couplings: Couplings) -> float:
        """Return D at the couplings of any law of total mass 1, of particles for example.

        Under a singular interaction particles have no finite energy and their tangent is no lower
        bound, but that at their histogram on the grid is.
        """
        grid, energy = self.on_grid, self.on_grid.energy
        points = grid_points(cell_centres(grid.edges))
        singular = _singular(energy)
        if singular:
            law = _histogram(couplings[singular[0].name].measure, grid.edges)
            points = law.points
            couplings = couplings | {term.name: term.couple(law) for term in singular}
        g = energy.first_variation(points, couplings).reshape(grid.volume.shape)
        total = -grid.temperature * _gibbs(g, grid)[1]
        for term in energy.terms:
            coupling = couplings[term.name]
            if isinstance(term, Risk):
                paired = (term.residual(coupling) * coupling).sum(axis=1)
                total += term.value(coupling) - float(term.data.weights @ paired)
            elif isinstance(term, Interaction):
                total -= term.value(coupling)
        return total

    def gap(self, mass: np.ndarray) -> float:
        """Return F(rho) - D(z(rho)) for masses on the grid that sum to one.

        It is computed as lambda KL(rho | rho_hat), which loses no digits near the optimum; in
        logarithms, since early in a run rho_hat underflows where rho still has its mass.
        """
        log_gibbs, _ = self.gibbs(self.on_grid.couple(mass))
        inside = mass > 0
        # sum of m log(m/q) - m + q >= 0 term by term; the linear terms cancel for unit masses.
        ratio = np.log(mass[inside]) - log_gibbs[inside]
        total = (mass[inside] * ratio - mass[inside]).sum() + np.exp(log_gibbs).sum()
        return self.on_grid.temperature * max(float(total), 0.0)

    def maximise(self, tolerance: float = 1e-14, most: int = 100) -> Minimum:
        """Return F* and rho* by damped Newton steps on D from z = 0.

        With z_rho the coupling of rho_z the step solves (I + Cov E''(z) / lambda) step = z_rho - z,
        the Newton equation of D in the slope E'(z); it never leaves the domain of the conjugate.

        Raises
        ------
        InputError
            The gap does not come below `tolerance` times max(1, |F*|) within `most` steps.
        """
        grid = self.on_grid
        coupling = np.zeros(grid.size)
        if grid.blocks != [grid.risk] or grid.interactions:
            coupling = grid.couple(grid.volume / grid.volume.sum())
        value = self.value(coupling)
        for iteration in range(most + 1):
            mass = np.exp(self.gibbs(coupling)[0])
            reached = grid.couple(mass)
            ascent = reached - coupling
            gap = self.gap(mass)
            if gap <= tolerance * max(1.0, abs(value)):
                measure = GridMeasure(grid.edges, mass)
                return Minimum(grid.value(mass), gap, measure, coupling, iteration)
            step = self._newton_step(mass, coupling, reached, ascent)
            slope = float(grid.hessian(coupling)(step) @ ascent)
            length, risen = 1.0, False
            while length > 1e-10 and not risen:
                trial = coupling + length * step
                trial_value = self.value(trial)
                # At the rounding floor of D a full step is taken on trust: the gap decides.
                floor = 1e-13 * max(1.0, abs(value), abs(self._linear_part(coupling)))
                risen = trial_value >= value + 1e-4 * length * slope - floor
                length /= 2
            if not risen:
                break
            coupling, value = trial, trial_value
        raise InputError(
            f"The minimum F* was not found to a gap of {tolerance:g}: Newton's method stopped at a "
            f"gap of {gap:.1e}; raise the temperature or coarsen the grid."
        )

    def _newton_step(
        self, mass: np.ndarray, coupling: np.ndarray, reached: np.ndarray, ascent: np.ndarray
    ) -> np.ndarray:
        grid = self.on_grid
        if grid.risk is not None and grid.size == grid.risk.size:
            moment = grid.risk.second_moment(mass) - np.outer(reached, reached)
            matrix = np.eye(grid.size) + moment @ grid.risk.curvature(coupling) / grid.temperature
            return np.linalg.solve(matrix, ascent)
        hessian = grid.hessian(coupling)

        def apply(change: np.ndarray) -> np.ndarray:
            field = grid.transpose(hessian(change))
            centred = mass * (field - (mass * field).sum())
            return change + grid.couple(centred) / grid.temperature

        operator = LinearOperator((grid.size, grid.size), matvec=apply, dtype=float)
        return gmres(operator, ascent, rtol=1e-8, restart=60, maxiter=4)[0]


def _gibbs(g: np.ndarray, grid: GridEnergy) -> tuple[np.ndarray, float]:
    """Return the log masses of exp(-g/lambda), normalised, and log int exp(-g/lambda)."""
    # From its minimum on, g / lambda keeps its digits where the mass is.
    least = float(g.min())
    exponent = np.log(grid.volume) - (g - least) / grid.temperature
    normaliser = float(logsumexp(exponent))
    return exponent - normaliser, normaliser - least / grid.temperature


NOT_CONVEX = (
    "There is no certificate for this energy: it is not known to be convex along mixtures of laws "
    "(an attractive interaction, or a term of one's own)."
)


def check_convex(energy: Energy) -> None:
    """Raise InputError, with the reason, if an energy surely has no dual certificate."""
    if energy.powers:
        raise InputError("There is no certificate for an energy with a power entropy.")
    if energy.temperature <= 0:
        raise InputError(
            "The certificate needs a temperature above 0, but the energy has "
            f"{energy.temperature:g}; add an Entropy term."
        )
    if energy.convex is False:
        raise NotConvexError(NOT_CONVEX)


def has_certificate(energy: Energy) -> bool:
    """Return whether an energy has a dual certificate, as far as it can be told without a grid."""
    try:
        check_convex(energy)
    except InputError:
        return False
    return True


def covering(domain: Domain, law: GridMeasure) -> GridMeasure:
    """Return a law with empty cells added where cells of a line do not reach the window's ends.

    Cells that move with the mass leave a window, or parts of it, to which the minimiser may go. On
    other axes cells cover all there is.
    """
    window = domain.axes[0].window
    if law.dimension > 1 or not isinstance(domain.axes[0], WholeLine) or window is None:
        return law
    edges = law.edges[0]
    width = (window[1] - window[0]) / len(edges)
    before = math.ceil(max(edges[0] - window[0], 0.0) / width - 1e-9)
    after = math.ceil(max(window[1] - edges[-1], 0.0) / width - 1e-9)
    lower = np.linspace(window[0], edges[0], before + 1)[:-1] if before else edges[:0]
    upper = np.linspace(edges[-1], window[1], after + 1)[1:] if after else edges[:0]
    if before + after == 0:
        return law
    mass = np.pad(law.mass_on_grid, (before, after))
    return GridMeasure([np.concatenate((lower, edges, upper))], mass)


def certificate(
    problem: Problem, measure: Measure, *, shape: Sequence[int] | None = None
) -> Certificate:
    """Return what is known about the optimality of a law.

    A law on a grid gets its dual value, gap and the minimum on that grid. Particles at positive
    temperature have no finite entropy: they get the lower bound D of their predictions and the
    minimum, both on a grid, and NaN for value and gap. At temperature 0 the gap is that of Frank
    and Wolfe, int g drho - min g, with the minimum of g over the points of the law and, unless
    the law is on that grid, by a search downhill from the best cell centre of a grid; Jaggi,
    "Revisiting Frank-Wolfe" (ICML 2013). The minimum F* is NaN then.

    Parameters
    ----------
    problem
        With a convex energy: a risk, potentials, convex interactions and an entropy.
    measure
        Of total mass 1.
    shape
        Cells on each axis of the grid for particles and for temperature 0; by default 256, 64 or
        32 an axis in one, two or three dimensions.

    Raises
    ------
    InputError
        A law of other axes or of a mass other than 1, an energy that has no certificate, or
        particles at temperature 0 under a singular interaction.
    """
    if not isinstance(measure, Particles | GridMeasure):
        raise InputError(f"A certificate needs Particles or a GridMeasure, not {measure!r}.")
    domain, energy = problem.domain, problem.energy
    if measure.dimension != domain.dimension:
        raise InputError(
            f"The law has {measure.dimension} axes, but the problem has "
            f"{domain.dimension}; pass a law of this problem."
        )
    total = float(measure.mass.sum())
    if not abs(total - 1) < 1e-6:
        raise InputError(
            f"The law has the total mass {total:g}, but a certificate needs 1; divide by it."
        )
    if isinstance(measure, GridMeasure) and shape is None:
        measure = covering(domain, measure)
        edges = measure.edges
    else:
        edges = domain.grid(domain.usual_shape if shape is None else shape)
    couplings = energy.couple(measure)
    if not energy.diffuses:
        return _frank_wolfe(energy, measure, couplings, edges)
    dual = Dual(energy, edges)
    minimum = dual.maximise().value
    if isinstance(measure, GridMeasure) and edges is measure.edges:
        value = dual.on_grid.value(measure.mass_on_grid)
        gap = dual.gap(measure.mass_on_grid)
        return Certificate(
            value, dual.value(dual.on_grid.couple(measure.mass_on_grid)), gap, minimum
        )
    return Certificate(np.nan, dual.lower_bound(couplings), np.nan, minimum)


def _lowest(energy: Energy, couplings: Couplings, edges: Sequence[np.ndarray]) -> float:
    """Return the least g that a search downhill from the best cell centre of a grid finds."""
    points = grid_points(cell_centres(edges))
    g = energy.first_variation(points, couplings)
    best = int(g.argmin())

    def value(x: np.ndarray) -> float:
        return float(energy.first_variation(x[np.newaxis], couplings)[0])

    def slope(x: np.ndarray) -> np.ndarray:
        return energy.gradient(x[np.newaxis], couplings)[0]

    bounds = [(edge[0], edge[-1]) for edge in edges]
    found = minimize(value, points[best], jac=slope, bounds=bounds, method="L-BFGS-B")
    return min(float(g[best]), float(found.fun))


def _singular(energy: Energy) -> list[Interaction]:
    return [term for term in energy.terms if isinstance(term, Interaction) and term.singular]


def _histogram(measure: Measure, edges: Sequence[np.ndarray]) -> GridMeasure:
    """Return the masses of a law in the cells of a grid, those beyond its ends in the last cell."""
    lower, upper = [edge[0] for edge in edges], [edge[-1] for edge in edges]
    points = np.clip(measure.points, lower, upper)
    return GridMeasure(edges, np.histogramdd(points, list(edges), weights=measure.mass)[0])


def _frank_wolfe(
    energy: Energy, measure: Measure, couplings: Couplings, edges: Sequence[np.ndarray]
) -> Certificate:
    """Return the certificate at temperature 0."""
    if not GridEnergy(energy, edges).convex:
        raise NotConvexError(NOT_CONVEX)
    singular = _singular(energy)
    if singular and isinstance(measure, Particles):
        raise InputError(
            f"Particles have no finite energy under the singular interaction '{singular[0].name}', "
            "hence no certificate at temperature 0; pass a GridMeasure, their histogram for "
            "example."
        )
    at_home = energy.first_variation(measure.points, couplings)
    least = float(at_home.min())
    if not (isinstance(measure, GridMeasure) and edges is measure.edges):
        least = min(least, _lowest(energy, couplings, edges))
    gap = max(float(measure.mass @ at_home) - least, 0.0)
    value = sum(energy.values(measure, couplings).values())
    return Certificate(value, value - gap, gap, np.nan)
