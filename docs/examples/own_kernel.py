"""An interaction of one's own: particles that repel each other near by and attract far away.

Under W = |x|^2 / 2 - log|x| the second moment of N particles about their centre obeys
M' = -2 M + (N - 1) / N exactly; in the plane they fill a disc of radius 1.
"""

import math

import numpy as np

import wgflow as wg

# W(x) = w(|x|^2), as Python functions of one number: w and its derivative, compiled by Numba.
repulsion = wg.Interaction.radial(
    lambda q: -math.log(q) / 2, lambda q: -1 / (2 * q), "repulsion", singular=True
)
problem = wg.Problem(
    energy=repulsion + wg.Interaction.quadratic(1.0, "attraction"),
    domain=wg.Domain(wg.WholeLine(), wg.WholeLine()),
    initial=wg.Uniform((-2.0, 0.0), (0.0, 1.0)),
    horizon=3.0,
)
run = wg.solve(problem, wg.ParticleFlow(count=400, step=5e-3))


def moment(law: wg.Particles) -> float:
    """Return the second moment about the centre."""
    return float(np.mean((law.position - law.position.mean(axis=0)) ** 2) * 2)


limit = (1 - 1 / 400) / 2
exact = limit + (moment(run.measure(0)) - limit) * math.exp(-2 * problem.horizon)
assert abs(moment(run.measure(-1)) - exact) < 1e-6
