"""A swarm held by a quadratic well and spread by its repulsion: two methods and a certificate."""

import wgflow as wg

problem = wg.Problem(
    energy=wg.Interaction.logarithmic(0.5)
    + wg.Potential(value=lambda x: (x**2).sum(-1) / 2, gradient=lambda x: x)
    + wg.Entropy(0.05),
    domain=wg.Domain(wg.Interval(-4, 4)),
    initial=wg.Gaussian(mean=1.0, std=0.3),
    horizon=4.0,
)
cells = 128
movement = wg.solve(problem, wg.JKO(step=0.1, shape=cells, time_order=2))  # cells that move
volumes = wg.solve(problem, wg.FiniteVolume(step=0.1, shape=cells, time_order=2))  # that stay

comparison = wg.compare(movement, volumes)  # print it for a table
assert comparison.distance["W2"].max() < 0.01

# The repulsion is convex, so that the law comes with a bound on its distance to the minimum.
proof = wg.certificate(problem, volumes.measure(-1))
assert 0 <= proof.value - proof.minimum <= proof.gap < 0.01
