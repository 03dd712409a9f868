"""Finite volumes on a grid: the equation itself, without a minimization in Wasserstein space."""

import dataclasses
from typing import ClassVar

from wgflow.domain import check_shape
from wgflow.errors import InputError, check_choice, check_count, check_number
from wgflow.problem import Problem
from wgflow.solver import Context, Scheme, Solver, check_no_cooling
from wgflow.solvers.finite_volume_explicit import ExplicitScheme
from wgflow.solvers.finite_volume_scheme import ImplicitScheme
from wgflow.solvers.step_doubling import StepDoubling

METHODS = ("implicit", "explicit")


@dataclasses.dataclass(frozen=True)
class FiniteVolume(Solver):
    """Finite volumes on a uniform grid, an independent check of the JKO schemes.

    The masses of the cells obey d_t m_j = sum of the fluxes into cell j, with the flux between two
    cells at distance h (Scharfetter and Gummel, IEEE Trans. Electron Devices 16, 1969)

        (lambda / h^2) [B(z) m - B(-z) m'],   z = (g' - g) / lambda,   B(z) = z / (e^z - 1),

    of order 2 in h, where exp(-g / lambda) does not move.

    "implicit": an implicit Euler sweep along one axis after the other, with g at the predictions
    of the new law. Every sweep is a Markov kernel that is reversible for exp(-g / lambda); hence
    mass is exact, densities stay positive, the minimizer of F is stationary, and F falls for any
    step if it is convex in rho. Order 1 in the step, L-stable; with time_order=2 Richardson's
    extrapolation of one step and two halves, in logarithms, which does not guarantee that F falls.

    "explicit": strongly stable Heun steps of the same fluxes (Shu and Osher, J. Comput. Phys. 77,
    1988), in substeps that keep densities positive. With a power entropy rho^m the flux is a
    central difference of its pressure, and a mean of the two densities times the drift, which
    keeps equilibria and is of order 2 where the density is smooth (`kernels.porous_medium`); the
    porous-medium equation alone takes Euler substeps, whose error is of order h^2 as well.

    Parameters
    ----------
    step
        The longest time step tau.
    shape
        Cells on each axis; by default 256, 64 or 32 in one, two or three dimensions.
    method
        "implicit" or "explicit"; by default explicit if there is a power entropy, else implicit.
    time_order
        1 or 2, of the implicit method.
    error_tolerance
        If given, implicit steps are halved and doubled so that one step and two halves of it
        differ by no more in L1.
    tolerance
        Of the implicit coupling: on the predictions, relative to the largest target (at least 1).
    max_iterations
        The most accelerated inner iterations of an implicit step; where more than 40 are allowed
        and 40 do not suffice, Newton's method takes over.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, an energy without diffusion, an implicit method for a
        power entropy, or an unbounded axis.
    """

    name: ClassVar[str] = "finite-volume"
    step: float = 0.1
    shape: tuple[int, ...] | None = None
    method: str | None = None
    time_order: int = 1
    error_tolerance: float | None = None
    tolerance: float = 1e-10
    max_iterations: int = 200

    def __post_init__(self) -> None:
        check_number("The step of solver finite-volume", self.step, above=0)
        shape = check_shape("the shape of solver finite-volume", self.shape)
        object.__setattr__(self, "shape", shape)
        if self.method is not None:
            check_choice("The method of solver finite-volume", self.method, METHODS)
        check_count("The time_order of solver finite-volume", self.time_order, most=2)
        if self.error_tolerance is not None:
            check_number(
                "The error_tolerance of solver finite-volume", self.error_tolerance, above=0
            )
        check_number("The tolerance of solver finite-volume", self.tolerance, above=0)
        check_count("The max_iterations of solver finite-volume", self.max_iterations)

    @property
    def order(self) -> float:
        """Order in the time step (of the substeps, where they are explicit)."""
        return 2.0 if self.method == "explicit" else float(self.time_order)

    @property
    def error_growth(self) -> float | None:
        """Growth of the error of a step that is doubled; None for equal steps."""
        return None if self.error_tolerance is None else 2.0 ** (self.time_order + 1)

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError if the energy or the domain does not allow it."""
        check_no_cooling(problem, self.name)
        energy = problem.energy
        if not energy.diffuses:
            raise InputError(
                "The solver finite-volume needs an Entropy with a temperature above 0 or a "
                "PowerEntropy, but the energy has neither; add one or use the solver particles."
            )
        powers = energy.powers
        if powers and self.method == "implicit":
            raise InputError(
                f"The method 'implicit' of solver finite-volume covers entropies only, but the "
                f"energy has the term '{powers[0]}'; use method='explicit'."
            )
        shape = problem.domain.usual_shape if self.shape is None else self.shape
        edges = problem.domain.grid(shape)
        if powers or self.method == "explicit":
            if self.error_tolerance is not None:
                raise InputError(
                    f"The error_tolerance of solver finite-volume is {self.error_tolerance:g}, but "
                    "the explicit method has substeps of its own; leave it out, or use "
                    "method='implicit' where there is no power entropy."
                )
            return ExplicitScheme(problem, edges)
        scheme = ImplicitScheme(
            problem, edges, tolerance=self.tolerance, max_iterations=self.max_iterations
        )
        if self.time_order == 1 and self.error_tolerance is None:
            return scheme
        return StepDoubling(
            scheme,
            order=1,
            extrapolate=self.time_order == 2,
            error_tolerance=self.error_tolerance,
        )
