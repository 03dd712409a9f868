"""Plot the risk in a results file (results/jko.h5, or the one named) to risk.png."""

import sys

import matplotlib.pyplot as plt
import xarray

run = xarray.open_dataset(sys.argv[1] if sys.argv[1:] else "results/jko.h5", engine="h5netcdf")
run.risk.where(run.recorded == 1).plot(marker="o", yscale="log")
plt.title(f"{run.attrs['case']} by {run.attrs['solver']}")
plt.savefig("risk.png", bbox_inches="tight")
