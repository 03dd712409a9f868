"""An Ornstein-Uhlenbeck flow by particles and by JKO; its variance to own_problem.png."""

import matplotlib.pyplot as plt
import numpy as np

import wgflow as wg

temperature = 0.2
problem = wg.Problem(
    energy=wg.Potential(value=lambda x: (x**2).sum(-1) / 2, gradient=lambda x: x)
    + wg.Entropy(temperature),
    domain=wg.Domain(wg.Interval(-8, 8)),
    initial=wg.Gaussian(mean=1.0, std=0.5),
    horizon=1.0,
)
flow = wg.solve(problem, wg.ParticleFlow(count=4000, step=1e-2), seed=0)
grid = wg.solve(problem, wg.JKO(step=0.02, shape=(512,)))


def variance(run: wg.Run) -> list[float]:
    """Return the variance of the law at each save."""
    laws = [run.measure(k) for k in range(len(run.time))]
    mean = [law.integral(lambda x: x[:, 0]) for law in laws]
    return [law.integral(lambda x: x[:, 0] ** 2) - m**2 for law, m in zip(laws, mean, strict=True)]


plt.plot(grid.time, temperature + (0.25 - temperature) * np.exp(-2 * grid.time), label="exact")
plt.plot(flow.time, variance(flow), "o", label="4000 particles")
plt.plot(grid.time, variance(grid), "s", label="JKO, step 0.02")
plt.xlabel("time t")
plt.ylabel("variance")
plt.legend()
plt.savefig("own_problem.png")
