"""Figures of one run and of several side by side. They are returned, not shown.

Colours are those of Okabe and Ito, told apart by most readers and in grey.
"""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from wgflow import store
from wgflow.comparison import run_names
from wgflow.domain import Domain
from wgflow.errors import FileError, InputError
from wgflow.measure import GridMeasure, Particles
from wgflow.run import Run

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_POINTS = 4000
"""Particles drawn at most; more hide each other."""


def run_figure(run: Run) -> Figure:
    """Return a figure of one run: risk, energies, gap and the law, and the fit if there is one.

    Raises
    ------
    InputError
        The run holds no save.
    """
    _check_saves([run])
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    figure.suptitle(f"{run.label} ({run.status})")
    panels = figure.subplots(2, 2).ravel()
    if np.isfinite(run.risk).any():
        _risk(panels[0], [run], [run.solver])
    else:
        _energies(panels[0], run)
    _decay(panels[1], run)
    if run.prediction is not None and run.x is not None and run.x.shape[1] == 1:
        _fit(panels[2], [run], [run.solver])
    elif np.isfinite(run.risk).any():
        _energies(panels[2], run)
    else:
        _law(figure, panels[2], run, None, COLOURS[0], index=0)
    _law(figure, panels[3], run, None, COLOURS[0])
    return figure


def comparison_figure(runs: Sequence[Run]) -> Figure:
    """Return a figure of several runs: risk or energy, the fit or dissipation, and the laws.

    Laws in one dimension share a panel. In more, each cloud is drawn over the density of the first
    run on a grid; without clouds, each density has a panel.
    """
    _check_saves(runs)
    names = run_names(runs)
    grid = next((run for run in runs if run.on_grid), None)
    on_line = len(runs[0].axes) == 1
    clouds = [k for k, run in enumerate(runs) if not run.on_grid]
    drawn = clouds or list(range(len(runs)))
    laws = 1 if on_line else len(drawn)
    figure = Figure(figsize=(11, 4.2 * (1 + (laws + 1) // 2)), layout="constrained")
    case = runs[0].case or "own problem"
    figure.suptitle(f"{case}: {', '.join(names)}")
    panels = figure.subplots(1 + (laws + 1) // 2, 2).ravel()
    has_risk = all(np.isfinite(run.risk).any() for run in runs)
    if has_risk:
        _risk(panels[0], runs, names)
    else:
        _lines(panels[0], [run.energy["total"] for run in runs], runs, names)
        panels[0].set(ylabel="free energy F", title="Free energy")
    if has_risk and all(run.x is not None and run.x.shape[1] == 1 for run in runs):
        _fit(panels[1], runs, names)
    else:
        _lines(panels[1], [run.dissipation for run in runs], runs, names)
        panels[1].set(ylabel="dissipation", title="Dissipation")
    if on_line:
        _laws_on_line(panels[2], runs, names)
    else:
        for panel, k in zip(panels[2:], drawn, strict=False):
            beneath = grid if k in clouds else None
            _law(figure, panel, runs[k], beneath, _colour(k), name=names[k])
    for panel in panels[2 + laws :]:
        panel.axis("off")
    return figure


def _check_saves(runs: Sequence[Run]) -> None:
    for run in runs:
        if len(run.time) == 0:
            raise InputError(f"{run!r} holds no save yet; there is nothing to draw.")


def save_figure(figure: Figure, path: str | pathlib.Path, *, replace: bool = False) -> None:
    """Write a figure to a file whose ending names the format: .png, .pdf or .svg.

    Raises
    ------
    FileError
        The file exists (unless `replace`), its ending is another, or it cannot be written.
    """
    path = pathlib.Path(path)
    check_image(path, replace=replace)
    try:
        with store.renamed(path) as temporary:
            figure.savefig(temporary, dpi=150, format=path.suffix[1:].lower())
    except OSError as error:
        raise FileError(f"The figure '{path}' cannot be written: {error.strerror}.") from error


def check_image(path: str | pathlib.Path, *, replace: bool = False) -> None:
    """Raise FileError unless a figure can be written to this file."""
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise FileError(
            f"The figure '{path}' ends in '{path.suffix}', but must end in .png, .pdf or .svg."
        )
    store.check_writable(path, replace)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _lines(
    panel: Axes, values: Sequence[np.ndarray], runs: Sequence[Run], names: Sequence[str]
) -> None:
    """Draw one quantity of each run for which it is defined over time."""
    styles = ("-", "--", ":", "-.")
    for k, (value, run, name) in enumerate(zip(values, runs, names, strict=True)):
        if np.isfinite(value).any():
            panel.plot(run.time, value, styles[k % len(styles)], color=_colour(k), label=name)
    panel.set(xlabel="time t")
    panel.grid(alpha=0.3)
    if panel.lines:
        panel.legend()
    else:
        panel.text(0.5, 0.5, "not defined for these runs", ha="center", transform=panel.transAxes)


def _risk(panel: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    for k, run in enumerate(runs):
        panel.semilogy(
            run.time,
            run.risk,
            color=_colour(k),
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            fillstyle="none",
            label=names[k],
        )
    panel.yaxis.set_minor_formatter(NullFormatter())
    values = np.concatenate([run.risk for run in runs])
    if np.nanmax(values) < 30 * np.nanmin(values):
        # Less than two decades: ticks at decades alone would leave the axis bare.
        ticks = [t * 10.0**e for e in range(-12, 6) for t in (1, 1.5, 2, 3, 5, 7)]
        low, high = np.nanmin(values) * 0.93, np.nanmax(values) * 1.07
        shown = [t for t in ticks if low <= t <= high]
        if len(shown) < 3:
            shown = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
        panel.set_yticks(shown)
        panel.set_ylim(low, high)
        panel.yaxis.set_major_formatter("{x:g}")
    panel.set(xlabel="time t", ylabel="risk R", title="Risk")
    panel.grid(alpha=0.3)
    panel.legend()


def _energies(panel: Axes, run: Run) -> None:
    for k, (name, values) in enumerate(run.energy.items()):
        if np.isfinite(values).any():
            style = {"color": "black", "lw": 2} if name == "total" else {"color": _colour(k)}
            panel.plot(run.time, values, label=name, **style)
    panel.set(xlabel="time t", ylabel="energy", title="Free energy and its terms")
    panel.grid(alpha=0.3)
    panel.legend()


def _decay(panel: Axes, run: Run) -> None:
    """Draw dissipation beside -dF/dt, and the optimality gap."""
    total = run.energy["total"]
    positive = False
    for values, name, colour in (
        (run.dissipation, "dissipation", COLOURS[0]),
        (run.gap, "optimality gap", COLOURS[1]),
    ):
        kept = np.isfinite(values) & (values > 0)
        if kept.any():
            panel.semilogy(run.time[kept], values[kept], "o-", ms=4, color=colour, label=name)
            positive = True
    if len(run.time) > 1 and np.isfinite(total).all():
        middle = (run.time[1:] + run.time[:-1]) / 2
        fall = -np.diff(total) / np.diff(run.time)
        kept = fall > 0
        if kept.any():
            panel.semilogy(middle[kept], fall[kept], "k+", ms=8, label="-dF/dt between saves")
            positive = True
    panel.set(xlabel="time t", title="Dissipation and gap")
    panel.grid(alpha=0.3)
    if positive:
        panel.legend()
    else:
        panel.text(0.5, 0.5, "not defined for this run", ha="center", transform=panel.transAxes)


def _fit(panel: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    first = runs[0]
    assert first.x is not None and first.y is not None
    panel.plot(first.x[:, 0], first.y[:, 0], ".", color="0.6", label="data")
    styles = ("-", "--", ":", "-.")
    for k, run in enumerate(runs):
        if run.prediction is None or run.x is None:
            continue
        order = np.argsort(run.x[:, 0], kind="stable")
        panel.plot(
            run.x[order, 0],
            run.prediction[-1][order, 0],
            styles[k % len(styles)],
            color=_colour(k),
            label=f"{names[k]}, t = {run.time[-1]:g}",
        )
    panel.set(xlabel="x", ylabel="y", title="Fitted function")
    panel.legend()


def _law(
    figure: Figure,
    panel: Axes,
    run: Run,
    grid: Run | None,
    colour: str,
    *,
    index: int = -1,
    name: str | None = None,
) -> None:
    """Draw a law of a run, a cloud over the last density of a grid run where there is one."""
    axes = run.axes
    if len(axes) == 1:
        _laws_on_line(panel, [run], [name or run.solver], index)
        return
    measure = run.measure(index)
    beneath = grid.measure(-1) if grid is not None else None
    title = f"Law at t = {run.time[index]:g}: {name or run.solver}"
    if grid is not None:
        title += f" over {grid.solver} density"
    if len(axes) > 2:
        title += f" (two of {len(axes)} coordinates)"
    first, second = 0, 1
    for law, source in ((beneath, grid), (measure, run)):
        if isinstance(law, GridMeasure) and source is not None:
            _density(figure, panel, law, (first, second), _has_front(source))
    if isinstance(measure, Particles):
        points = measure.position[:MOST_POINTS]
        panel.plot(
            points[:, first],
            points[:, second],
            ".",
            ms=1.5,
            alpha=0.6,
            color=colour,
            rasterized=True,
        )
    panel.set(xlabel=axes[first]["name"], ylabel=axes[second]["name"], title=title)
    _frame(panel, axes, measure, beneath)


def _has_front(run: Run) -> bool:
    """Return whether the law may vanish outside a front: a power entropy and no entropy."""
    terms = run.provenance["problem"]["energy"]
    powers = any(term["kind"] == "PowerEntropy" for term in terms)
    return powers and not any(term.get("temperature") for term in terms)


def _laws_on_line(panel: Axes, runs: Sequence[Run], names: Sequence[str], index: int = -1) -> None:
    """Draw laws in one dimension in one panel, where any of them has mass."""
    styles = ("-", "--", ":", "-.")
    ends = []
    for k, (run, name) in enumerate(zip(runs, names, strict=True)):
        law = run.measure(index)
        label = f"{name}, t = {run.time[index]:g}"
        if isinstance(law, GridMeasure):
            edges, mass = law.edges[0], law.mass_on_grid
            reached = np.flatnonzero(mass > 1e-5 * mass.sum())
            ends += [edges[reached[0]], edges[reached[-1] + 1]]
            panel.stairs(
                law.density,
                edges,
                baseline=None,
                label=label,
                color=_colour(k),
                linestyle=styles[k % len(styles)],
            )
        else:
            ends += list(np.quantile(law.points[:, 0], [0.001, 0.999]))
            panel.hist(
                law.points[:, 0],
                bins=60,
                weights=law.mass,
                density=True,
                color=_colour(k),
                alpha=0.4,
                label=label,
            )
    if max(ends) > min(ends):
        margin = 0.05 * (max(ends) - min(ends))
        panel.set_xlim(min(ends) - margin, max(ends) + margin)
    panel.set(xlabel=runs[0].axes[0]["name"], ylabel="density", title="Law")
    panel.grid(alpha=0.3)
    panel.legend()


def _density(
    figure: Figure, panel: Axes, law: GridMeasure, kept: tuple[int, int], linear: bool
) -> None:
    """Draw the density of two coordinates: on a logarithmic scale unless it ends at a front."""
    first, second = kept
    others = tuple(k for k in range(law.dimension) if k not in kept)
    mass = law.mass_on_grid.sum(axis=others)
    area = np.multiply.outer(np.diff(law.edges[first]), np.diff(law.edges[second]))
    density = mass / area
    # Four decades below the peak: the tails carry too little mass to show.
    lowest = 0.0 if linear else density.max() * 1e-4
    image = panel.pcolormesh(
        law.edges[first],
        law.edges[second],
        np.maximum(density, lowest).T,
        norm="linear" if linear else "log",
        cmap="Greys",
        rasterized=True,
    )
    figure.colorbar(image, ax=panel, label="density")


def _frame(panel: Axes, axes: list[dict], measure: object, beneath: object) -> None:
    """Show the part of the plane that holds the mass."""
    law = beneath if isinstance(beneath, GridMeasure) else measure
    domain = Domain.from_description(axes)
    for axis, kept in enumerate(domain.axes[:2]):
        limits = kept.window
        if isinstance(law, Particles) and limits is None:
            limits = tuple(np.quantile(law.position[:, axis], [0.001, 0.999]))
        elif isinstance(law, GridMeasure) and not domain.periodic[axis]:
            reached = np.flatnonzero(law.marginal(axis) > 1e-5)
            edge = law.edges[axis]
            limits = (edge[reached[0]], edge[reached[-1] + 1]) if len(reached) else limits
        if limits is not None:
            (panel.set_xlim if axis == 0 else panel.set_ylim)(*limits)
    width, height = np.ptp(panel.get_xlim()), np.ptp(panel.get_ylim())
    if 0.8 < width / height < 1.25:
        panel.set_aspect("equal")  # so that what is round looks round
