"""
One run, with xarray
====================

Risk, energies, their decay and the certificate, read from a results file
with nothing but xarray.

The run is a network of tanh neurons whose outer weight is 1, by finite
volumes: the law of the inner weight :math:`w` lives on a line.
"""

import matplotlib.pyplot as plt
import numpy as np
import xarray

xarray.set_options(display_expand_data_vars=True)

# %%
# A file holds a row for every planned save; ``recorded`` is 1 where the run
# reached it. The symbols on the right open attributes and values.

run = xarray.load_dataset("data/line.h5", engine="h5netcdf")
run = run.isel(time=run.recorded == 1)
run

# %%
# ``wgflow.load("data/line.h5").to_xarray()`` returns the same.
#
# Risk and free energy
# --------------------
# The free energy is the sum of its terms, each a variable ``energy_<term>``.

terms = [name for name in run if name.startswith("energy_")]
total = sum(run[name] for name in terms)
np.testing.assert_allclose(total, run.energy, rtol=1e-12)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="tight")
left.plot(run.time, run.risk)
left.set(xlabel="time t", ylabel="risk R", title="Risk")
for name in terms:
    right.plot(run.time, run[name], label=name.removeprefix("energy_"))
right.plot(run.time, run.energy, "k", label="total F")
right.set(xlabel="time t", ylabel="energy", title="Free energy")
right.legend()

# %%
# Dissipation
# -----------
# Along the exact flow the dissipation is :math:`-dF/dt`. The file holds it as
# computed from each law alone, and central differences of :math:`F` between
# the saves are an independent measure of it.

fall = -run.energy.differentiate("time")
inner = slice(1, -1)  # at both ends the differences are one-sided
apart = abs(fall / run.dissipation - 1)[inner].max().item()

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
panel.semilogy(run.time, run.dissipation, label="dissipation")
panel.semilogy(run.time[inner], fall[inner], "k+", label="-dF/dt")
panel.set(xlabel="time t", title=f"Dissipation, at most {apart:.1%} apart")
panel.legend()

# %%
# The distance to the minimum
# ---------------------------
# ``minimum`` is :math:`F^*`, the least free energy of all laws on this grid.
# ``gap`` is an upper bound on :math:`F - F^*` that comes from one law alone.

above = run.energy - run.minimum
assert (above <= run.gap).all()

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
panel.semilogy(run.time, run.gap, label="gap, an upper bound")
panel.semilogy(run.time, above, "k", label="F - F*")
panel.set(xlabel="time t", title="Distance to the minimum")
panel.legend()

# %%
# The law
# -------
# The density is the mass of a cell divided by its width. Saves are chosen by
# their time.

run["density"] = run.mass_on_grid / run.w_edge.diff("w_vertex").values

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
for time in (0, 0.5, 1, 5):
    panel.plot(run.w, run.density.sel(time=time), label=f"t = {time}")
panel.set(xlabel="inner weight w", ylabel="density", title="The law")
panel.legend()

# %%
# All saves at once:

figure, panel = plt.subplots(figsize=(6, 3.8), layout="tight")
run.density.plot(x="time", y="w", cbar_kwargs={"label": "density"})
panel.set(xlabel="time t", ylabel="inner weight w", ylim=(-3, 3))
panel.set(title="The law over time")

# sphinx_gallery_thumbnail_number = 5
