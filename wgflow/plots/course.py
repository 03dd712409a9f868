"""Numbers over time: risk, terms of the free energy, dissipation and optimality gap."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import MaxNLocator, NullFormatter

from wgflow.errors import InputError
from wgflow.plots.style import COLOURS, LARGEST, LINES, MARKERS, TIME, colour
from wgflow.run import Run

ENTROPIC = "by nature -dF/dt is lower for entropic steps:\nsee Equations in the documentation"
"""What the panel of the dissipation says of a run of them."""


def draw_risk(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the risk R, on a logarithmic axis where it is above 0.

    Raises
    ------
    InputError
        The run has no risk.
    """
    if not np.isfinite(run.risk).any():
        raise InputError(f"{run.label} has no risk; its energy has no network in it.")
    risks(area.subplots(), [run], [run.solver])


def draw_energy(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the free energy F and each of its terms.

    Raises
    ------
    InputError
        No term is defined for the run.
    """
    shown = {name: values for name, values in run.energy.items() if np.isfinite(values).any()}
    if not shown:
        raise InputError(f"No term of the free energy of {run.label} is a finite number.")
    panel = area.subplots()
    for k, (name, values) in enumerate(shown.items()):
        style = {"color": "black", "lw": 2} if name == "total" else {"color": colour(k)}
        panel.plot(run.time, values, label=name.replace("_", " "), marker=".", **style)
    panel.set(xlabel=TIME, ylabel="energy", title="Free energy F and its terms")
    panel.grid(alpha=0.3)
    panel.legend()
    missing = [name.replace("_", " ") for name in run.energy if name not in shown]
    if missing:
        text = f"not defined for this run: {', '.join(missing)}"
        panel.set_xlabel(f"{TIME}\n({text})")


def fall_of_energy(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the middles of the intervals between saves, -dF/dt there, and its deviation.

    -dF/dt is the difference quotient of F over an interval. The deviation is -dF/dt divided by the
    mean of the dissipation over the interval, less 1; the mean is the logarithmic one of the two
    ends, which is exact where the dissipation decays exponentially. Where either is not defined or
    not above 0, the deviation is NaN.

    Returns
    -------
    middle, fall, deviation
        Shape (saves - 1,) each; the first two in units of time and energy over time, the last
        dimensionless.
    """
    middle = (run.time[1:] + run.time[:-1]) / 2
    fall = -np.diff(run.energy["total"]) / np.diff(run.time)
    mean = _logarithmic_mean(run.dissipation[:-1], run.dissipation[1:])
    return middle, fall, fall / mean - 1


def _logarithmic_mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return (a - b) / log(a / b), a where both agree, NaN unless both are above 0."""
    good = (one > 0) & (other > 0)
    a, b = np.where(good, one, 1.0), np.where(good, other, 1.0)
    close = np.abs(a - b) <= 1e-6 * (a + b)
    mean = np.where(close, (a + b) / 2, (a - b) / np.where(close, 1.0, np.log(a / b)))
    return np.where(good, mean, np.nan)


def draw_dissipation(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the dissipation at the saves against -dF/dt between them, and how far they differ.

    What is compared is explained at `fall_of_energy`. A line below says where a difference is one
    of the method.

    Raises
    ------
    InputError
        Neither is defined for the run.
    """
    middle, fall, deviation = fall_of_energy(run)
    known, falls = run.dissipation > 0, fall > 0
    if not known.any() and not falls.any():
        raise InputError(
            f"Neither the dissipation nor the fall of the free energy is defined for {run.label}, "
            "as for particles at a temperature above 0."
        )
    below = f"{TIME}\n({ENTROPIC})" if takes_entropic_steps(run) else TIME
    compared = np.isfinite(deviation)
    if compared.any():
        panel, lower = area.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        lower.plot(middle[compared], 100 * deviation[compared], "k+-", lw=0.8)
        lower.axhline(0, color="0.6", lw=0.8)
        lower.set(xlabel=below, ylabel="deviation [%]")
        lower.grid(alpha=0.3)
    else:
        panel = area.subplots()
        panel.set_xlabel(below)
    if known.any():
        where = run.time[known], run.dissipation[known]
        panel.semilogy(*where, "o-", ms=4, color=COLOURS[0], label="dissipation")
    if falls.any():
        panel.semilogy(middle[falls], fall[falls], "k+", ms=8, label="-dF/dt between saves")
    panel.yaxis.set_minor_formatter(NullFormatter())
    _ticks(panel, np.concatenate([run.dissipation[known], fall[falls]]))
    panel.set(ylabel="energy / time", title="Dissipation and -dF/dt")
    panel.grid(alpha=0.3)
    panel.legend()


def takes_entropic_steps(run: Run) -> bool:
    """Return whether a run is one of JKO steps of the entropic method, also where it was chosen."""
    if run.solver != "jko":
        return False
    method = run.provenance["settings"].get("method")
    kinds = [term["kind"] for term in run.provenance["problem"]["energy"]]
    usual = len(run.axes) > 1 and "PowerEntropy" not in kinds
    return method == "entropic" or (method is None and usual)


def draw_gap(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the optimality gap, and F - F* which it bounds, where the minimum F* is known.

    Raises
    ------
    InputError
        The run has no gap above 0.
    """
    gap, excess = run.gap, run.energy["total"] - run.minimum
    curves = [(gap, "o-", COLOURS[1], "optimality gap"), (excess, "s--", COLOURS[0], "F - F*")]
    # NaN is not above 0, and what is not above 0 has no place on a logarithmic axis.
    curves = [curve for curve in curves if (curve[0] > 0).any()]
    if not curves:
        raise InputError(
            f"{run.label} has no optimality gap; there is one on a grid, for an energy that is "
            "convex and has a temperature above 0."
        )
    panel = area.subplots()
    for values, style, shade, name in curves:
        kept = values > 0
        panel.semilogy(run.time[kept], values[kept], style, ms=4, color=shade, label=name)
    panel.yaxis.set_minor_formatter(NullFormatter())
    _ticks(panel, np.concatenate([curve[0][curve[0] > 0] for curve in curves]))
    panel.set(xlabel=TIME, ylabel="energy", title="Optimality gap")
    panel.grid(alpha=0.3)
    panel.legend()


def lines(
    panel: Axes, values: Sequence[np.ndarray], runs: Sequence[Run], names: Sequence[str]
) -> None:
    """Draw one quantity of each run for which it is defined over time."""
    for k, (value, run, name) in enumerate(zip(values, runs, names, strict=True)):
        if np.isfinite(value).any():
            style = LINES[k % len(LINES)]
            mark = "o" if len(run.time) == 1 else None
            panel.plot(run.time, value, style, color=colour(k), label=name, marker=mark)
    panel.set(xlabel=TIME)
    panel.grid(alpha=0.3)
    if panel.lines:
        panel.legend()
    else:
        panel.text(0.5, 0.5, "not defined for these runs", ha="center", transform=panel.transAxes)


def risks(panel: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    """Draw the risk of each run over time."""
    for k, run in enumerate(runs):
        panel.plot(
            run.time,
            run.risk,
            color=colour(k),
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            fillstyle="none",
            label=names[k],
        )
    values = np.concatenate([run.risk for run in runs])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0:
        panel.set_yscale("log")
        panel.yaxis.set_minor_formatter(NullFormatter())
        _ticks(panel, values)
    panel.set(xlabel=TIME, ylabel="risk R", title="Risk")
    panel.grid(alpha=0.3)
    panel.legend()


def _ticks(panel: Axes, values: np.ndarray) -> None:
    """Give a logarithmic axis ticks where its values, all above 0, span less than two decades.

    Ticks at decades alone would leave such an axis bare.
    """
    if values.max() >= 30 * values.min():
        return
    low, high = values.min() * 0.93, values.max() * 1.07
    if low < 1 / LARGEST or high > LARGEST:
        return
    lowest, highest = np.floor(np.log10(low)), np.ceil(np.log10(high))
    steps = (1, 1.5, 2, 3, 5, 7)
    decades = np.arange(lowest, highest + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    shown = [tick for tick in ticks if low <= tick <= high]
    if len(shown) < 3:
        shown = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    panel.set_yticks(shown)
    panel.set_ylim(low, high)
    panel.yaxis.set_major_formatter("{x:.4g}")
