"""A term of one's own, (M/2 - b)^2 / 2, under which the second moment M obeys M' = 2 b M - M^2."""

import math

import numpy as np

import wgflow as wg
from wgflow.energy import Term
from wgflow.measure import Measure


class MomentTerm(Term):
    """The energy (M/2 - b)^2 / 2 with M = int |theta|^2 drho; its coupling is M/2 - b."""

    def __init__(self, target: float) -> None:
        self.name = "moment"
        self.target = target

    def couple(self, measure: Measure) -> np.ndarray:
        return measure.integral(lambda x: (x**2).sum(axis=1)) / 2 - self.target

    def value(self, coupling: np.ndarray) -> float:
        return float(coupling**2 / 2)

    def first_variation(self, points: np.ndarray, coupling: np.ndarray) -> np.ndarray:
        return coupling * (points**2).sum(axis=1) / 2

    def gradient(self, points: np.ndarray, coupling: np.ndarray) -> np.ndarray:
        return coupling * points


problem = wg.Problem(
    energy=MomentTerm(target=0.5),
    domain=wg.Domain(wg.WholeLine(), wg.WholeLine()),
    initial=wg.Gaussian(mean=(0.0, 0.0), std=0.3),
    horizon=3.0,
)
run = wg.solve(problem, wg.ParticleFlow(count=500, step=1e-2))
start, end = (run.measure(k).integral(lambda x: (x**2).sum(axis=1)) for k in (0, -1))
exact = 1 / (1 + (1 / start - 1) * math.exp(-problem.horizon))
assert abs(end - exact) < 1e-5
