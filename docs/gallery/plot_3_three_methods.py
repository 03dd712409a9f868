"""
Three methods
=============

One problem by 500 particles, by JKO steps on a grid, and by a network of 500
neurons that noisy gradient descent trains on minibatches: compared at equal
times, and certified.
"""

import matplotlib.pyplot as plt
import numpy as np

import wgflow as wg

particles = wg.load("data/particles.h5")
grid = wg.load("data/jko.h5")
network = wg.load("data/sgd.h5")
print(wg.compare(particles, grid, network))

# %%
# The table is that of ``wgflow compare``.
#
# Risk
# ----
# At the start the predictions of random neurons scatter around their mean,
# which is 0, and raise the risk; the flow soon forgets it.

runs = {
    "particles": (particles, {"color": "tab:blue", "marker": "o"}),
    "grid": (grid, {"color": "black", "marker": "."}),
    "network": (network, {"color": "tab:orange", "marker": "s"}),
}

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
for name, (run, style) in runs.items():
    panel.semilogy(run.time, run.risk, **style, fillstyle="none", label=name)
panel.set(xlabel="time t", ylabel="risk R", title="Risk")
ticks = [0.15, 0.2, 0.3, 0.5, 1]
panel.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
panel.minorticks_off()
panel.legend()

# %%
# Predictions
# -----------
# ``prediction`` has the shape (saves, samples, outputs).

order = np.argsort(grid.x[:, 0])

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
panel.plot(grid.x[:, 0], grid.y[:, 0], ".", color="0.7", label="data")
for name, (run, style) in runs.items():
    last = run.prediction[-1, order, 0]
    panel.plot(grid.x[order, 0], last, color=style["color"], label=name)
panel.set(xlabel="time after the impact", ylabel="acceleration of the head")
panel.set(title=f"Fitted functions at t = {grid.time[-1]:g}, standardised")
panel.legend()

# %%
# The root mean square distance of particles or network from the grid holds
# the noise of :math:`m` particles, of order :math:`m^{-1/2}`, that of the
# batches for the network, and the error of so coarse a grid.

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
for name in ("particles", "network"):
    run, style = runs[name]
    squares = ((run.prediction - grid.prediction) ** 2).sum(axis=2)
    apart = np.sqrt(squares.mean(axis=1))
    panel.semilogy(run.time, apart, **style, fillstyle="none", label=name)
panel.set(
    xlabel="time t", ylabel="RMS", title="Predictions: distance to the grid"
)
panel.legend()

# %%
# The certificate
# ---------------
# The problem is rebuilt from the case and the parameters in the file. From
# the law alone the certificate bounds what is left to gain, :math:`F - F^*`.

found = wg.certificate(grid.problem, grid.measure(-1))
print(f"F = {found.value:.4f}, F* = {found.minimum:.4f}")
print(f"F - F* = {found.value - found.minimum:.4f} <= gap = {found.gap:.4f}")

# %%
# Over time, from what each save recorded:

above = grid.energy["total"] - grid.minimum

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
panel.semilogy(grid.time, grid.gap, "o-", label="gap, an upper bound")
panel.semilogy(grid.time, above, "ko-", label="F - F*")
panel.set(xlabel="time t", title="Distance to the minimum, on the grid")
panel.legend()

# %%
# The neurons
# -----------
# Each neuron is drawn as its inner weights :math:`(\cos v, \sin v)` times
# :math:`|a|`, red where its outer weight :math:`a` is positive. The last save
# of particles and network shows the same rays.

figure, panels = plt.subplots(
    1, 2, figsize=(9, 4.6), layout="tight", sharex=True, sharey=True
)
for panel, name in zip(panels, ("particles", "network"), strict=True):
    outer, angle = runs[name][0].measure(-1).position.T
    points = np.abs(outer) * np.array([np.cos(angle), np.sin(angle)])
    colours = np.where(outer > 0, "tab:red", "tab:blue")
    panel.scatter(*points, s=6, c=colours)
    panel.set(title=name, xlabel="|a| cos v", ylabel="|a| sin v")
    panel.set_aspect("equal")

# sphinx_gallery_thumbnail_number = 2
