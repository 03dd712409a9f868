"""The JKO scheme on a grid: implicit Euler steps in the Wasserstein metric."""

import dataclasses
from typing import ClassVar

from wgflow.domain import check_shape
from wgflow.energy import Interaction
from wgflow.errors import InputError, check_choice, check_count, check_number
from wgflow.problem import Problem
from wgflow.solver import Context, Scheme, Solver, check_no_cooling
from wgflow.solvers.jko_back_and_forth import BackAndForthScheme
from wgflow.solvers.jko_balanced import BalancedScheme
from wgflow.solvers.jko_entropic import EntropicScheme
from wgflow.solvers.jko_lagrangian import LagrangianScheme
from wgflow.solvers.kernel_width import check_kernel, kernel_shape, shortest_step
from wgflow.solvers.step_doubling import Doubles, StepDoubling

METHODS = ("lagrangian", "entropic", "balanced", "back-and-forth")
FORMULAS = ("extrapolation", "bdf2")


@dataclasses.dataclass(frozen=True)
class JKO(Solver):
    """Minimizing movements, rho_{k+1} = argmin F(rho) + W2^2(rho, rho_k) / (2 tau), on a grid.

    All of F is implicit, the risk of a network included. The methods differ in the metric.
    "lagrangian" (one dimension): the exact W2, on cells that move with the mass.
    "back-and-forth" (two dimensions, boxes): W2 by its dual; for power entropies and entropy.
    "entropic" (any dimension, temperature > 0): the diffusion as the entropic regulariser of the
    transport; a step is a closed form but for the coupling. "balanced" (likewise): the entropic
    step normalised so that the Gibbs law of the new energy is stationary; F falls for any step.

    The scheme: Jordan, Kinderlehrer and Otto (SIAM J. Math. Anal. 29, 1998). The sources of the
    methods stand with them.

    Parameters
    ----------
    step
        The longest time step tau.
    shape
        Cells on each axis; by default 256, 64 or 32 in one, two or three dimensions, or as many
        as the kernel of an entropic method needs to span 0.85 cells.
    method
        By default "lagrangian" in one dimension, "entropic" in more at positive temperature, and
        "back-and-forth" for power entropies on boxes of two dimensions.
    time_order
        1, or 2: by a coupling in the middle ("balanced"), by the midpoint ("back-and-forth"), or
        by a `formula`.
    formula
        For time_order=2 of the other methods: "extrapolation" from one step and two halves, or
        "bdf2" ("lagrangian" only).
    error_tolerance
        If given, steps are halved and doubled so that one step and two halves of it differ by no
        more: in W2 for "lagrangian", in total variation for the others.
    regularisation
        Of "entropic": epsilon / lambda in (0, 2]. At 2 the step is explicit up to the coupling;
        below, a debiased Sinkhorn iteration comes closer to W2.
    tolerance
        Of the inner iteration: on the predictions, relative to the largest target (at least 1);
        for "lagrangian" on the last correction, relative to the length of the axis.
    max_iterations
        The most inner iterations a step may take.

    Raises
    ------
    InputError
        A setting out of range; on `prepare`, an energy, a domain or a step that the method cannot
        solve, with one that can.
    """

    name: ClassVar[str] = "jko"
    step: float = 0.25
    shape: tuple[int, ...] | None = None
    method: str | None = None
    time_order: int = 1
    formula: str = "extrapolation"
    error_tolerance: float | None = None
    regularisation: float = 2.0
    tolerance: float = 1e-8
    max_iterations: int = 200

    def __post_init__(self) -> None:
        check_number("The step of solver jko", self.step, above=0)
        shape = check_shape("the shape of solver jko", self.shape)
        object.__setattr__(self, "shape", shape)
        if self.method is not None:
            check_choice("The method of solver jko", self.method, METHODS)
        check_count("The time_order of solver jko", self.time_order, most=2)
        check_choice("The formula of solver jko", self.formula, FORMULAS)
        if self.error_tolerance is not None:
            check_number("The error_tolerance of solver jko", self.error_tolerance, above=0)
        check_number("The regularisation of solver jko", self.regularisation, above=0, most=2)
        check_number("The tolerance of solver jko", self.tolerance, above=0)
        check_count("The max_iterations of solver jko", self.max_iterations)

    @property
    def order(self) -> float:
        """Order in the time step."""
        return float(self.time_order)

    @property
    def error_growth(self) -> float | None:
        """Growth of the error of a step that is doubled; None for equal steps."""
        # A method that is of second order by itself is recognised on `prepare` only; growing
        # steps as if errors grew by 8 is the careful choice for both.
        if self.error_tolerance is None:
            return None
        return 4.0 if self.time_order == 1 else 8.0

    def prepare(self, problem: Problem, seed: int, context: Context) -> Scheme:
        """Return the scheme, or raise InputError if the grid or the energy does not allow it."""
        check_no_cooling(problem, self.name)
        method = self.method or self._usual_method(problem)
        if self.formula == "bdf2" and (method != "lagrangian" or self.time_order != 2):
            raise InputError(
                "The formula bdf2 of solver jko needs method=lagrangian and time_order=2, but here "
                f"they are {method} and {self.time_order}; leave it at extrapolation."
            )
        if self.regularisation < 2 and method != "entropic":
            raise InputError(
                f"The regularisation of solver jko is {self.regularisation:g}, but the method "
                f"{method} has none; leave it at 2 or use method=entropic."
            )
        if method in ("entropic", "balanced"):
            return self._with_kernel(problem, method)
        edges = problem.domain.grid(self.shape or problem.domain.usual_shape)
        tolerance, most = self.tolerance, self.max_iterations
        if method == "back-and-forth":
            # Fronts of a power entropy are extrapolated; an entropy takes the midpoint.
            own_order = 1 if problem.energy.powers else self.time_order
            scheme = BackAndForthScheme(
                problem,
                edges,
                tolerance=tolerance,
                max_iterations=most,
                midpoint=own_order == 2,
            )
            return self._doubled(scheme, own_order=own_order)
        bdf2 = self.formula == "bdf2"
        lagrangian = LagrangianScheme(
            problem, edges, tolerance=tolerance, max_iterations=most, bdf2=bdf2
        )
        return self._doubled(lagrangian, own_order=2 if bdf2 else 1)

    def _with_kernel(self, problem: Problem, method: str) -> Scheme:
        """Return the scheme of a method whose steps are made of the heat kernel."""
        if problem.temperature <= 0:
            raise InputError(
                f"The method {method} of solver jko needs a temperature above 0 (its kernel is the "
                "diffusion), but the problem has 0; add an Entropy term or use the solver "
                "particles."
            )
        if problem.energy.powers:
            raise InputError(
                f"The method {method} of solver jko takes no power entropy; use method=lagrangian "
                "in one dimension, method=back-and-forth in two, or the solver finite-volume."
            )
        tolerance, most = self.tolerance, self.max_iterations
        own_order = self.time_order if method == "balanced" else 1
        # Two half steps are taken beside every step where it is doubled.
        halved = 2 if self.time_order > own_order or self.error_tolerance is not None else 1
        variance = self.regularisation * problem.temperature / halved
        shape = self.shape or kernel_shape(problem, self.step, variance)
        edges = problem.domain.grid(shape)
        check_kernel(problem, edges, self.step, variance)
        scheme: BalancedScheme | EntropicScheme
        if method == "balanced":
            scheme = BalancedScheme(
                problem, edges, tolerance=tolerance, max_iterations=most, time_order=own_order
            )
        else:
            scheme = EntropicScheme(
                problem,
                edges,
                tolerance=tolerance,
                max_iterations=most,
                regularisation=self.regularisation,
            )
        prepared = self._doubled(scheme, own_order=own_order)
        prepared.shortest_step = shortest_step(problem, edges, variance)
        return prepared

    def _doubled(self, scheme: Doubles, *, own_order: int) -> Scheme:
        """Return the scheme with two half steps beside each where the settings ask for it."""
        extrapolate = self.time_order > own_order
        if not extrapolate and self.error_tolerance is None:
            assert isinstance(scheme, Scheme)
            return scheme
        return StepDoubling(
            scheme,
            order=own_order,
            extrapolate=extrapolate,
            error_tolerance=self.error_tolerance,
        )

    @staticmethod
    def _usual_method(problem: Problem) -> str:
        """Return the default method by dimension and energy."""
        domain, energy = problem.domain, problem.energy
        singular = any(isinstance(term, Interaction) and term.singular for term in energy.terms)
        if domain.dimension == 1 and not (singular and any(domain.periodic)):
            return "lagrangian"
        if energy.powers and domain.dimension == 2 and not any(domain.periodic):
            return "back-and-forth"
        if energy.powers:
            raise InputError(
                "The solver jko takes a power entropy in one dimension, or on two intervals, but "
                f"the domain has {domain.dimension} axes"
                + (", with circles" if any(domain.periodic) else "")
                + "; use the solver finite-volume."
            )
        return "entropic"
