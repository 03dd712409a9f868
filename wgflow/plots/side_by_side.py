"""The figure of several runs side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wgflow.comparison import run_names
from wgflow.errors import InputError
from wgflow.plots.course import lines, risks
from wgflow.plots.fit import fits
from wgflow.plots.law import laws_on_line, picture
from wgflow.plots.style import at, check_saves, colour, note
from wgflow.run import Run


def comparison_figure(runs: Sequence[Run]) -> Figure:
    """Return a figure of several runs: risk or energy, the fit or dissipation, and the laws.

    Laws in one dimension share a panel. In more, each cloud is drawn over the density of the first
    run on a grid; without clouds, each density has a panel. Runs whose last law is not stored have
    a sentence there.

    Raises
    ------
    InputError
        A run holds no save.
    """
    check_saves(runs)
    names = run_names(runs)
    drawn = _laws(runs)
    on_line = len(runs[0].axes) == 1
    laws = 1 if on_line else len(drawn)
    figure = Figure(figsize=(11, 4.2 * (1 + (laws + 1) // 2)), layout="constrained")
    case = runs[0].case or "own problem"
    figure.suptitle(f"{case}: {', '.join(names)}")
    panels = figure.subplots(1 + (laws + 1) // 2, 2).ravel()
    has_risk = all(np.isfinite(run.risk).any() for run in runs)
    if has_risk:
        risks(panels[0], runs, names)
    else:
        lines(panels[0], [run.energy["total"] for run in runs], runs, names)
        panels[0].set(ylabel="free energy F", title="Free energy")
    curves = [k for k, run in enumerate(runs) if _is_curve(run)]
    if has_risk and curves:
        fits(panels[1], runs, names, curves)
    else:
        lines(panels[1], [run.dissipation for run in runs], runs, names)
        panels[1].set(ylabel="dissipation", title="Dissipation")
        if any((run.dissipation > 0).any() for run in runs):
            panels[1].set_yscale("log")
    if on_line:
        _on_line(panels[2], runs, names)
    else:
        grid = next((k for k, run in enumerate(runs) if run.on_grid and _has_law(run)), None)
        for panel, k in zip(panels[2:], drawn, strict=False):
            _in_plane(figure, panel, runs, names, k, None if runs[k].on_grid else grid)
    for panel in panels[2 + laws :]:
        panel.axis("off")
    return figure


def _laws(runs: Sequence[Run]) -> list[int]:
    """Return which runs have a panel for their law: the clouds, or without any, all."""
    clouds = [k for k, run in enumerate(runs) if not run.on_grid and _has_law(run)]
    return clouds or list(range(len(runs)))


def _has_law(run: Run) -> bool:
    try:
        run.measure(-1)
    except InputError:
        return False
    return True


def _is_curve(run: Run) -> bool:
    return run.x is not None and run.x.shape[1] == 1 and run.prediction is not None


def _on_line(panel: Axes, runs: Sequence[Run], names: Sequence[str]) -> None:
    held = [k for k, run in enumerate(runs) if _has_law(run)]
    if held:
        laws_on_line(panel, runs, names, held)
    else:
        note(panel, "The files of these runs hold no law; run them with --save all or final.")


def _in_plane(
    figure: Figure,
    panel: Axes,
    runs: Sequence[Run],
    names: Sequence[str],
    k: int,
    grid: int | None,
) -> None:
    run = runs[k]
    try:
        law = run.measure(-1)
    except InputError as error:
        note(panel, str(error))
        return
    beneath = None if grid is None else (runs[grid], runs[grid].measure(-1))
    picture(figure, panel, run, law, tint=colour(k), beneath=beneath)
    title = f"Law at {at(run.time[-1])}: {names[k]}"
    if grid is not None:
        title += f" over {runs[grid].solver} density"
    if len(run.axes) > 2:
        title += f" (two of {len(run.axes)} coordinates)"
    panel.set_title(title)
