"""
A grid and a cloud
==================

The law of one flow by JKO steps on a grid and by 500 particles: density,
marginals, moments and Wasserstein distances, beside what chance allows.
"""

import matplotlib.pyplot as plt
import numpy as np

import wgflow as wg

grid_run = wg.load("data/jko.h5")
cloud_run = wg.load("data/particles.h5")
print(grid_run, cloud_run, sep="\n")

# %%
# ``measure(k)`` is the law at save number ``k``: masses on the cells of a
# grid, or particles. A neuron of this network has an outer weight :math:`a`
# and inner weights at an angle :math:`v`, so that its law lives on a cylinder.

grid, cloud = grid_run.measure(-1), cloud_run.measure(-1)
print(f"{grid.shape} cells with the mass {grid.mass.sum():.6f}")
print(f"{len(cloud.position)} particles with the mass {cloud.mass.sum():.6f}")

# %%
# Density and marginals
# ---------------------
# Above and beside the plane stand the marginals: masses of the grid divided
# by the widths of its cells, and histograms of the cloud.

figure, panels = plt.subplot_mosaic(
    [["above", "."], ["plane", "beside"]],
    figsize=(7, 6),
    width_ratios=(3, 1),
    height_ratios=(1, 3),
    layout="constrained",
)
plane, above, beside = panels["plane"], panels["above"], panels["beside"]
plane.pcolormesh(*grid.edges, grid.density.T, cmap="Greys")
plane.plot(*cloud.position.T, ".", ms=3, color="tab:blue")
plane.set(xlabel="outer weight a", ylabel="angle v", xlim=(-3.5, 3.5))
for axis, panel in enumerate((above, beside)):
    turned = {"orientation": ("vertical", "horizontal")[axis]}
    values, edges = cloud.position[:, axis], grid.edges[axis]
    density = grid.marginal(axis) / np.diff(edges)
    hist = {"bins": 30, "density": True, "alpha": 0.5, **turned}
    panel.hist(values, label="particles", **hist)
    panel.stairs(density, edges, color="black", label="grid", **turned)
above.set(xlim=plane.get_xlim(), xticklabels=[], ylabel="density of a")
beside.set(ylim=plane.get_ylim(), yticklabels=[], xlabel="density of v")
above.set_title(f"Laws at t = {grid_run.time[-1]:g}")
above.legend()

# %%
# Moments
# -------
# ``integral`` takes a function of points of shape (m, D) and returns its mean
# under either kind of law. The bars are two standard errors of the mean of
# 500 independent points.

moments = {
    "mean of a": lambda theta: theta[:, 0],
    "mean of a²": lambda theta: theta[:, 0] ** 2,
    "mean of cos 2v": lambda theta: np.cos(2 * theta[:, 1]),
    "mean of a sin 2v": lambda theta: theta[:, 0] * np.sin(2 * theta[:, 1]),
}
saves = range(len(grid_run.time))

figure, panels = plt.subplots(2, 2, figsize=(9, 5.6), layout="tight")
for panel, (name, moment) in zip(panels.flat, moments.items(), strict=True):
    on_grid = [grid_run.measure(k).integral(moment) for k in saves]
    values = [moment(cloud_run.measure(k).position) for k in saves]
    mean, deviation = np.mean(values, axis=1), np.std(values, axis=1)
    bar = 2 * deviation / np.sqrt(len(cloud.position))
    panel.plot(grid_run.time, on_grid, "k", label="grid")
    panel.errorbar(grid_run.time, mean, bar, fmt="o", label="particles")
    panel.set(xlabel="time t", title=name)
panels[0, 1].legend(loc="upper left")

# %%
# Wasserstein distances
# ---------------------
# A cloud is never at distance 0 from the law that it was drawn from. What
# counts is its distance to the grid beside that of as many independent points
# drawn from the grid itself: the band holds twenty such draws.


def drawn(law, count, generator):
    """Return particles at random places in cells drawn by their mass."""
    probability = law.mass / law.mass.sum()
    flat = generator.choice(law.mass.size, count, p=probability)
    cells = np.unravel_index(flat, law.shape)
    pairs = list(zip(law.edges, cells, strict=True))
    low = np.array([edge[cell] for edge, cell in pairs])
    high = np.array([edge[cell + 1] for edge, cell in pairs])
    return wg.Particles(generator.uniform(low, high).T)


def distances(first, second):
    """Return the sliced distance, and that of the marginals of a."""
    domain = grid_run.problem.domain
    return (
        wg.wasserstein(first, second, domain=domain),
        wg.marginal_wasserstein(first, second, 0, domain=domain),
    )


generator = np.random.default_rng(0)
found, by_chance = [], []
for k in saves:
    law, count = grid_run.measure(k), len(cloud.position)
    found.append(distances(cloud_run.measure(k), law))
    draws = [drawn(law, count, generator) for _ in range(20)]
    by_chance.append([distances(draw, law) for draw in draws])
found, by_chance = np.array(found), np.array(by_chance)

figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="tight")
for panel, title, distance, chance in zip(
    panels,
    ("Sliced W2", "W2 of the outer weight a"),
    found.T,
    np.moveaxis(by_chance, -1, 0),
    strict=True,
):
    low, high = chance.min(axis=1), chance.max(axis=1)
    panel.fill_between(
        grid_run.time, low, high, alpha=0.3, label="points drawn from the grid"
    )
    panel.plot(grid_run.time, distance, "o-", label="particles")
    panel.set(xlabel="time t", title=title, ylim=(0, None))
panels[0].set(ylabel="distance to the law on the grid")
panels[0].legend()

# sphinx_gallery_thumbnail_number = 1
