"""Explicit steps of the finite-volume schemes on a grid (numerics: `FiniteVolume`)."""

import math

import numpy as np

from wgflow.energy import Entropy, PowerEntropy
from wgflow.kernels.porous_medium import add_pressure_fluxes, power_steps
from wgflow.kernels.scharfetter_gummel import add_fluxes
from wgflow.problem import Problem
from wgflow.solver import State, Step
from wgflow.solvers.finite_volume_scheme import GridScheme

SAFETY = 0.9
"""Part of the stability limit that a substep takes."""
BLOCK = 32
"""Substeps of the porous-medium equation that share one bound on the density."""
MOST_SUBSTEPS = 1_000_000
"""More substeps than this in one step are taken for a mistake."""


class ExplicitScheme(GridScheme):
    """Substeps within the stability limit, as many as a step needs; strongly stable Heun steps.

    A Heun step is the mean of the old law and of two Euler steps on end, so it is positive and
    conserves mass where they do.
    """

    def __init__(self, problem: Problem, edges: tuple[np.ndarray, ...]) -> None:
        super().__init__(problem, edges)
        internal = [
            term
            for term in problem.energy.internal
            if not (isinstance(term, Entropy) and term.temperature == 0)
        ]
        self.internal = internal
        self.entropic = all(isinstance(term, Entropy) for term in internal)
        first = internal[0] if internal else None
        self.power: PowerEntropy | None = None
        if isinstance(first, PowerEntropy) and len(internal) == 1 and not problem.energy.terms:
            self.power = first
        self.cell = math.prod(self.widths)
        self.curvature = sum(1 / width**2 for width in self.widths)

    def advance(self, state: State, time: float, index: int, dt: float) -> Step:
        """Return the outcome of one step, made of substeps."""
        spread = dt * self.problem.rate(time + dt / 2)
        density = state["mass"] / self.cell
        march = self._drifted if self.power is None else self._diffused
        density, count = march(density, spread)
        status, reason = "ok", ""
        if count >= MOST_SUBSTEPS or not np.isfinite(density).all():
            status = "not_converged" if count >= MOST_SUBSTEPS else "diverged"
            reason = (
                f"the explicit finite-volume step stopped after {count} substeps; use a shorter "
                "step, a coarser grid or method='implicit'."
            )
        mass = density / density.sum()
        return Step({"mass": mass}, status, iterations=count, evaluations=count, reason=reason)

    def _diffused(self, density: np.ndarray, spread: float) -> tuple[np.ndarray, int]:
        """Return the density after the porous-medium equation alone, and the number of substeps."""
        assert self.power is not None
        left, count = spread, 0
        while left > 0 and count < MOST_SUBSTEPS:
            slope = float(self.power.pressure_derivative(density).max())
            longest = SAFETY / (2 * slope * self.curvature)
            wanted = math.ceil(left / longest - 1e-9)
            steps = min(BLOCK, wanted)
            substep = left / wanted if wanted == steps else longest
            ratios = tuple(self.power.factor * substep / width**2 for width in self.widths)
            density = power_steps(density, self.power.exponent, ratios, self.periodic, steps)
            left = 0.0 if wanted == steps else left - steps * substep
            count += steps
        return density, count

    def _drifted(self, density: np.ndarray, spread: float) -> tuple[np.ndarray, int]:
        """Return the density after drift and diffusion, and the number of substeps."""
        left, count = spread, 0
        while left > 0 and count < MOST_SUBSTEPS:
            first, limit = self._rate(density)
            while True:
                substep = min(left, SAFETY / limit)
                ahead = density + substep * first
                second, limit = self._rate(ahead)
                if substep * limit <= 1:
                    break
            density = (density + ahead + substep * second) / 2
            left = 0.0 if substep == left else left - substep
            count += 1
        return density, count

    def _rate(self, density: np.ndarray) -> tuple[np.ndarray, float]:
        """Return d rho / dt, and the inverse of the longest stable Euler step."""
        on_grid = self.on_grid
        g = on_grid.first_variation(on_grid.couple(density * self.cell))
        gain, leaving = np.zeros_like(density), np.zeros_like(density)
        axes = enumerate(zip(self.widths, self.periodic, strict=True))
        if self.entropic:
            temperature = on_grid.temperature
            for axis, (width, periodic) in axes:
                ratio = temperature / width**2
                add_fluxes(density, g, axis, ratio, temperature, gain, leaving, periodic)
            return gain, float(leaving.max())
        pressure = sum(term.pressure(density) for term in self.internal)
        chemical = sum(term.derivative(density) for term in self.internal)
        fields = np.stack([density, pressure, chemical, g])
        for axis, (width, periodic) in axes:
            add_pressure_fluxes(fields, axis, 1 / width**2, gain, leaving, periodic)
        slopes = [float(term.pressure_derivative(density).max()) for term in self.internal]
        slope = sum(slopes)
        return gain, max(float(leaving.max()), 2 * slope * self.curvature)
