"""The figure of a study: errors over the values, on logarithmic axes, beside the expected slope."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from wgflow.convergence.case_rates import MeasuredRate
from wgflow.convergence.rates import Study
from wgflow.errors import InputError
from wgflow.plots import COLOURS, MARKERS

BELOW = 0.6
"""The line of the expected slope is drawn at this part of the errors, apart from the fit."""
MOST_COLUMNS = 3
"""Panels side by side."""
FAR = 30.0
"""The error of a reference is drawn unless it is this many times below all others."""


def study_figure(study: Study) -> Figure:
    """Return the figure of a study.

    Raises
    ------
    InputError
        No run of the study has an error.
    """
    figure = Figure(figsize=(7.5, 5.4), layout="constrained")
    figure.suptitle(f"{study.label}\nagainst {study.reference}", fontsize=10)
    draw_study(figure.subplots(), study)
    return figure


def rates_figure(measured: Sequence[MeasuredRate]) -> Figure:
    """Return the figure of rates that a case declares, a panel each.

    Raises
    ------
    InputError
        No run of a study has an error.
    """
    columns = min(len(measured), MOST_COLUMNS)
    rows = math.ceil(len(measured) / columns)
    figure = Figure(figsize=(6.0 * columns, 4.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, one in zip(panels, measured, strict=False):
        draw_study(panel, one.study)
        slope = f"slope {one.observed:.2f}, expected {one.rate.expected:g}"
        panel.set_title(
            f"{one.name}:\n{slope} \N{PLUS-MINUS SIGN} {one.rate.tolerance:g}", fontsize=10
        )
    for panel in panels[len(measured) :]:
        panel.remove()
    return figure


def draw_study(panel: Axes, study: Study) -> None:
    """Draw a study in one panel.

    Errors are root mean squares over the seeds with their standard errors, one colour a time; where
    there is one time only, each seed is a dot. Lines are fitted; the dashed one below has the
    expected slope, the dotted one is the error of the reference where that is not far below. Hollow
    marks have no part in the fit.

    Raises
    ------
    InputError
        No run of the study has an error.
    """
    if not (study.error > 0).any():
        raise InputError("No run of the study has an error above 0; there is nothing to draw.")
    panel.set_xscale("log")
    panel.set_yscale("log")
    for t in range(len(study.time)):
        _errors(panel, study, t)
    if study.expected is not None:
        _expected(panel, study)
    panel.xaxis.set_major_locator(FixedLocator(study.value.tolist()))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set(xlabel=study.setting, ylabel=study.quantity)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=9)


def _errors(panel: Axes, study: Study, t: int) -> None:
    """Draw the errors at one time, the fitted line and the error of the reference."""
    colour = COLOURS[t % len(COLOURS)]
    size = study.root_mean_square[:, t]
    spread = np.nan_to_num(study.root_mean_square_error[:, t])
    shown = size > 0
    if len(study.time) == 1 and len(study.seeds) > 1:
        for s in range(len(study.seeds)):
            panel.plot(study.value, study.error[:, s, t], ".", color="0.75", ms=4)
    label = f"t = {study.time[t]:g}"
    if np.isfinite(study.slope[t]):
        label += f", slope {study.slope[t]:.2f}"
    if np.isfinite(study.slope_error[t]):
        label += f" \N{PLUS-MINUS SIGN} {study.slope_error[t]:.2f}"
    marker = MARKERS[t % len(MARKERS)]
    for complete in (True, False):
        kept = shown & (study.complete == complete)
        if kept.any():
            panel.errorbar(
                study.value[kept],
                size[kept],
                # A bar to 0 or below has no place on a logarithmic axis.
                yerr=np.minimum(spread[kept], 0.99 * size[kept]),
                fmt=marker,
                color=colour,
                fillstyle="full" if complete else "none",
                capsize=3,
                label=label if complete else f"t = {study.time[t]:g}, incomplete",
            )
    if np.isfinite(study.slope[t]):
        kept = study.complete
        ends = study.value[kept][[0, -1]]
        panel.plot(ends, _line(study, t, study.slope[t], ends), color=colour, lw=1.5)
    own = study.reference_error[t]
    if FAR * own > size[shown].min(initial=np.inf):
        name = "error of the reference, estimated" if t == len(study.time) - 1 else None
        panel.axhline(own, color=colour, lw=1, ls=":", label=name)


def _expected(panel: Axes, study: Study) -> None:
    """Draw the expected slope below the errors at the time where they are least."""
    if not study.complete.any():
        return
    ends = study.value[study.complete][[0, -1]]
    lowest = int(study.root_mean_square[study.complete].prod(axis=0).argmin())
    line = BELOW * _line(study, lowest, study.expected or 0.0, ends)
    panel.plot(ends, line, "--", color="0.3", lw=1.2, label=f"slope {study.expected:g}")


def _line(study: Study, t: int, slope: float, places: np.ndarray) -> np.ndarray:
    """Return the power law of a slope through the middle of the errors, at places."""
    kept = study.complete
    middle = np.log(study.root_mean_square[kept, t]).mean()
    centre = np.log(study.value[kept]).mean()
    return np.exp(middle + slope * (np.log(places) - centre))
