"""Figures of a comparison over time, with error bars over seeds."""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from wgflow.comparison import Comparison
from wgflow.comparison.quantity import Quantity
from wgflow.plots import COLOURS, MARKERS, comparison_figure
from wgflow.plots.side_by_side import legend_below

STYLES = ("-", "--", ":", "-.")
SIZE = (4.8, 3.5)
LINEAR = 5.0
"""Changes up to this percentage are on a linear scale, larger ones on a logarithmic one."""
DECADES = 50.0
"""Up to this ratio of the largest to the smallest value, labels stand between the decades too."""
LARGEST = 1e30
"""Beyond this, or its inverse, a number is not drawn: the ticks of an axis would overflow."""
WIDE = 3.0
"""A positive quantity whose values differ by more than this factor has a logarithmic axis."""


def figure_of(comparison: Comparison) -> Figure:
    """Return the figure of the first run of each column, with the error bars over its seeds.

    Raises
    ------
    InputError
        A run holds no save.
    """
    runs = [comparison.runs[column[0]] for column in comparison.columns]
    figure = comparison_figure(runs)
    panel = figure.axes[0]  # over time: the risk, or else the free energy
    held = comparison.recorded
    quantity = held["risk" if panel.get_ylabel().startswith("risk") else "energy"]
    for k, column in enumerate(comparison.columns):
        if len(column) == 1 or not np.isfinite(quantity.mean[k]).any():
            continue
        label = f"{comparison.names[k]}, mean of {len(column)} seeds"
        _bars(panel, comparison, quantity, k, label=label, line="none")
    if panel.containers:
        panel.set_title(f"{panel.get_title()}, with mean and error bar over seeds")
    return figure


def time_figure(comparison: Comparison, name: str) -> Figure:
    """Return a figure of one quantity of every column over the common times."""
    quantity = comparison.quantities[name]
    figure = Figure(figsize=SIZE, layout="constrained")
    panel = figure.subplots()
    shown = quantity.mean[np.isfinite(_drawable(quantity.mean))]
    if quantity.pooled is not None:
        shown = shown[shown > 0]  # the reference is no distance from itself
    if len(shown) and shown.min() > 0 and shown.max() > WIDE * shown.min():
        _logarithmic(panel, shown.max() / shown.min())
    for k, label in enumerate(comparison.names):
        if k == comparison.reference and quantity.pooled is not None:
            continue
        if np.isfinite(quantity.mean[k]).any():
            _bars(panel, comparison, quantity, k, label=label, line=STYLES[k % len(STYLES)])
    panel.set(xlabel="time t", title=quantity.title.strip())
    return _finished(figure)


def _logarithmic(panel: Axes, ratio: float) -> None:
    """Give a panel a logarithmic axis whose labels are plain numbers, between decades too."""
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:g}")
    few = ratio < DECADES
    panel.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5) if few else (2, 5)))
    panel.yaxis.set_minor_formatter("{x:g}" if few else NullFormatter())


def change_figure(comparison: Comparison, name: str) -> Figure:
    """Return a figure of the relative difference of a quantity from the reference, in percent.

    The bars are those of the column, divided by the mean of the reference.
    """
    quantity = comparison.quantities[name]
    base = quantity.mean[comparison.reference]
    base = np.where(base > 0, base, np.nan) / 100
    with np.errstate(over="ignore", invalid="ignore"):
        change = dataclasses.replace(
            quantity, mean=(quantity.mean / base) - 100, error=quantity.error / base
        )
    figure = Figure(figsize=SIZE, layout="constrained")
    panel = figure.subplots()
    for k, label in enumerate(comparison.names):
        if k != comparison.reference and np.isfinite(change.mean[k]).any():
            _bars(panel, comparison, change, k, label=label, line=STYLES[k % len(STYLES)])
    # The first save is often so far off that nothing else would be seen.
    panel.set_yscale("symlog", linthresh=LINEAR)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.axhline(0, color="0.4", lw=1)
    title = f"{quantity.title.strip()}: change from the reference in %"
    panel.set(xlabel="time t", title=title)
    return _finished(figure)


def _finished(figure: Figure) -> Figure:
    panel = figure.axes[0]
    panel.title.set_fontsize("medium")
    panel.grid(alpha=0.3)
    handles, names = panel.get_legend_handles_labels()
    if names:
        legend_below(figure, handles, names)
    return figure


def _drawable(values: np.ndarray) -> np.ndarray:
    """Return the values with NaN for what no axis takes."""
    size = np.abs(values)
    return np.where((size < LARGEST) & ((size > 1 / LARGEST) | (size == 0)), values, np.nan)


def _bars(
    panel: Axes, comparison: Comparison, quantity: Quantity, k: int, *, label: str, line: str
) -> None:
    """Draw the mean of a column over time with its standard errors."""
    mean, error = _drawable(quantity.mean[k]), _drawable(quantity.error[k])
    if panel.get_yscale() == "log":
        error = np.minimum(error, 0.99 * mean)  # a bar to 0 or below has no place there
    panel.errorbar(
        comparison.time,
        mean,
        yerr=error if len(comparison.columns[k]) > 1 else None,
        color=COLOURS[k % len(COLOURS)],
        marker=MARKERS[k % len(MARKERS)],
        markersize=4,
        linestyle=line,
        capsize=3,
        label=label,
    )
