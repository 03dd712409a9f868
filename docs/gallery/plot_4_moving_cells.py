"""
Cells that move
===============

A porous medium in one dimension by the Lagrangian method, whose cells move
with the mass, against the exact drop of Barenblatt.
"""

import matplotlib.pyplot as plt
import numpy as np

import wgflow as wg

# %%
# Each cell keeps its mass while its edges move: ``position_1_edge`` runs along
# time, and the coordinate ``position_1`` holds the centres at the start.

run = wg.load("data/porous_medium.h5").to_xarray()
run[["position_1_edge", "mass_on_grid"]]

# %%
# The drop
# --------
# For exponent 2 it has the density :math:`\frac{3}{4r} (1 - x^2/r^2)_+`, with
# a radius that obeys :math:`r(t)^3 = r(0)^3 + 9 t`.

radius = np.cbrt(0.2**3 + 9 * run.time.values)
edges = run.position_1_edge
density = run.mass_on_grid / edges.diff("position_1_vertex").values
points = np.linspace(-0.45, 0.45, 400)

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
for k in (0, 2, 10):
    label = f"t = {run.time[k]:.4f}"
    panel.stairs(density[k], edges[k], baseline=None, lw=1.5, label=label)
    drop = 0.75 / radius[k] * np.maximum(1 - (points / radius[k]) ** 2, 0)
    panel.plot(points, drop, "k--", lw=0.8)
panel.set(xlabel="x", ylabel="density", title="The drop; dashed: exact")
panel.legend()

# %%
# The edges
# ---------
# Those in the drop follow its radius. Those outside carry next to no mass and
# wait until the drop reaches them.

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
panel.plot(run.time, edges, color="tab:blue", lw=0.6)
panel.plot(run.time, radius, "k--", run.time, -radius, "k--")
panel.set(xlabel="time t", ylabel="x", title="The edges; dashed: exact radius")
