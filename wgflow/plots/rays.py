"""The neurons of a network as rays in the plane of their inner weights."""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import SubFigure

from wgflow.errors import InputError
from wgflow.neuron import Neuron
from wgflow.plots import bins
from wgflow.plots.style import COLOURS, at, nearest
from wgflow.run import Run

DEGREES = {"relu": 1, "linear": 1, "quadratic": 2}
"""Activations with s(c z) = c^p s(z) for c > 0, and their degree p."""
MOST_RAYS = 1500
MOST_OUTPUTS = 3


@dataclasses.dataclass(frozen=True)
class Rays:
    """Neurons whose outer weight is drawn into the inner ones, for one output.

    The unit a s(<w, x>) with s of degree p is sign(a) s(<r, x>) with the ray r = |a|^(1/p) w, so
    that a sign and a ray say all about it.

    Attributes
    ----------
    tip
        The rays r, shape (rays, d): from the origin to here.
    sign
        The sign of a, -1, 0 or 1, shape (rays,).
    mass
        Shape (rays,).
    """

    tip: np.ndarray
    sign: np.ndarray
    mass: np.ndarray


def neuron_of(run: Run) -> tuple[Neuron, int]:
    """Return the neuron of a run and the degree of its activation.

    Raises
    ------
    InputError
        There is no network, or its units are not positively homogeneous.
    """
    terms = run.provenance["problem"]["energy"]
    told = next((term["neuron"] for term in terms if "neuron" in term), None)
    if told is None:
        raise InputError(f"{run.label} has no neurons to draw as rays; its energy has no network.")
    activation = told["activation"]
    if activation not in DEGREES:
        raise InputError(
            f"The neurons of {run.label} have the activation {activation}, and cannot be drawn as "
            f"rays; that takes a positively homogeneous one: {', '.join(DEGREES)}."
        )
    neuron = Neuron(activation, told["outer"], told["bias"], told["chart"])
    inner = 2 if neuron.chart == "circle" else len(run.axes) - neuron.outer_size
    if inner < 2:
        raise InputError(
            f"The neurons of {run.label} have one inner weight, and rays need a plane of two; the "
            "law shows these neurons."
        )
    return neuron, DEGREES[activation]


def rays_of(run: Run, index: int, output: int = 0, most: int | None = None) -> Rays:
    """Return the neurons of a run at a save as rays.

    Parameters
    ----------
    output
        Whose outer weight is taken, where there are several.
    most
        At most so many rays, of equal mass; by default all particles or cells as they are.

    Raises
    ------
    InputError
        As `neuron_of`; or no law is stored at this save.
    """
    neuron, degree = neuron_of(run)
    law = run.measure(index)
    if most is None:
        points, mass = law.points, law.mass
    else:
        points = bins.even_points(law, most)
        mass = np.full(len(points), law.mass.sum() / len(points))
    outer, inner = neuron.split(points)
    outer = outer[:, output] if outer.ndim == 2 else outer
    return Rays(np.abs(outer)[:, np.newaxis] ** (1 / degree) * inner, np.sign(outer), mass)


def size_of_rays(run: Run) -> tuple[int, int]:
    """Return rows and columns of panels, one an output."""
    try:
        return 1, min(neuron_of(run)[0].outputs, MOST_OUTPUTS)
    except InputError:
        return 1, 1


def draw_rays(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the neurons as rays from the origin to |a| w in the plane of the inner weights w.

    This is the picture of Chizat and Bach, On the global convergence of gradient descent for
    over-parameterized models using optimal transport (NeurIPS 2018): the colour is the sign of the
    outer weight a. On the circle chart w = (cos v, sin v), so that the angle of a ray is v and its
    length |a|. For the quadratic activation the ray ends at |a|^(1/2) w. Each ray carries the same
    mass; a law on a grid gives points within its cells.

    Raises
    ------
    InputError
        As `neuron_of`; or no law is stored.
    """
    neuron, degree = neuron_of(run)
    saves = bins.saves_with_law(run)
    index = int(saves[-1]) if time is None else nearest(run, saves, time)
    columns = size_of_rays(run)[1]
    for output, panel in enumerate(area.subplots(1, columns, squeeze=False)[0]):
        rays = rays_of(run, index, output, MOST_RAYS)
        _rays(panel, rays)
        title = f"Neurons at {at(run.time[index])}"
        if neuron.outputs > 1:
            title += f", output {output + 1} of {neuron.outputs}"
        weight = "|a|" if degree == 1 else f"|a|^(1/{degree})"
        first, second = (f"{weight} {name}" for name in _names(run, neuron))
        if rays.tip.shape[1] > 2:
            title += f" (2 of {rays.tip.shape[1]} weights)"
        panel.set(xlabel=first, ylabel=second, title=title)


def _rays(panel: Axes, rays: Rays) -> None:
    tips = rays.tip[:, :2]
    positive, negative = rays.sign > 0, rays.sign < 0
    for kept, tint, name in ((positive, COLOURS[1], "a > 0"), (negative, COLOURS[0], "a < 0")):
        if not kept.any():
            continue
        ends = [np.array([[0.0, 0.0], tip]) for tip in tips[kept]]
        faint = float(np.clip(150 / len(tips), 0.08, 0.5))
        panel.add_collection(LineCollection(ends, colors=tint, lw=0.6, alpha=faint))
        panel.plot(tips[kept, 0], tips[kept, 1], ".", ms=3, alpha=0.7, color=tint, label=name)
    panel.plot(0, 0, "k+", ms=8)
    reach = 1.05 * float(np.quantile(np.abs(tips), 1 - bins.TAIL))
    reach = reach if reach > 0 else 1.0
    panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    panel.grid(alpha=0.3)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(markerscale=3, loc="upper right")


def _names(run: Run, neuron: Neuron) -> tuple[str, str]:
    """Return names of the first two inner weights."""
    names = [axis["name"] for axis in run.axes][neuron.outer_size :]
    if neuron.chart == "circle":
        return f"cos {names[0]}", f"sin {names[0]}"
    return names[0], names[1]
