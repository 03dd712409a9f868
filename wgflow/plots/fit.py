"""The network at its data: the fitted function, or its predictions against the targets."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from scipy.special import expit, softmax

from wgflow.errors import InputError
from wgflow.plots.bins import MOST_POINTS
from wgflow.plots.style import (
    COLOURS,
    LINES,
    MOST_TIMES,
    at,
    colour,
    evenly,
    nearest,
    shades,
)
from wgflow.run import Run

MOST_OUTPUTS = 3
TITLE = "Fitted function"


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a network says at its data, in the units of the targets.

    Attributes
    ----------
    x
        Inputs, shape (n, d).
    target
        Shape (n, k): the outputs y, or 0 and 1 for classes.
    prediction
        Shape (saves, n, k): the predictions f, or for classes the probabilities they stand for,
        1 / (1 + exp(-f)) by the logistic loss and exp(f_j) / sum exp(f) by the softmax.
    right
        For classes the probability given to the right one, (saves, n, columns); otherwise None.
    correct
        For classes the part of them whose right one is the likeliest, (saves,); otherwise None.
    """

    x: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    right: np.ndarray | None = None
    correct: np.ndarray | None = None


def fit_of(run: Run) -> Fit:
    """Return the predictions of a run beside its data.

    Raises
    ------
    InputError
        The run has no network, or its predictions are not stored.
    """
    if run.x is None or run.y is None:
        raise InputError(f"{run.label} has no data to fit; its energy has no network in it.")
    if run.prediction is None:
        raise InputError(
            f"The file of {run.label} holds no predictions; run it with --save all or final."
        )
    terms = run.provenance["problem"]["energy"]
    loss = next((term.get("loss") for term in terms if term["kind"] == "Risk"), None)
    f, y = run.prediction, run.y
    if loss == "logistic":
        right = expit(f * y)
        return Fit(run.x, (y + 1) / 2, expit(f), right, (f * y > 0).mean(axis=(1, 2)))
    if loss == "softmax":
        likely = softmax(f, axis=2)
        right = (likely * y).sum(axis=2, keepdims=True)
        correct = (f.argmax(axis=2) == y.argmax(axis=1)).mean(axis=1)
        return Fit(run.x, y, likely, right, correct)
    return Fit(run.x, y, f)


def size_of_fit(run: Run) -> tuple[int, int]:
    """Return rows and columns of panels: one an output, and one for classes in many inputs."""
    try:
        fit = fit_of(run)
    except InputError:
        return 1, 1
    if fit.right is not None and fit.x.shape[1] > 1:
        return 1, 1
    return 1, min(fit.target.shape[1], MOST_OUTPUTS)


def draw_fit(area: SubFigure, run: Run, time: float | None) -> None:
    """Draw the fit of a network to its data, at several times from light to dark, or at one.

    With one input each output is a curve through the data. With more inputs each output is drawn
    against its target, on the diagonal where they agree; for classes it is the distribution over
    the samples of the probability that is given to the right one.

    Raises
    ------
    InputError
        The run has no network, or its predictions are not stored.
    """
    fit = fit_of(run)
    usable = np.flatnonzero(np.isfinite(fit.prediction).all(axis=(1, 2)))
    if not len(usable):
        raise InputError(f"No prediction of {run.label} is a finite number.")
    on_line = fit.x.shape[1] == 1
    if time is not None:
        chosen = np.array([nearest(run, usable, time)])
    elif on_line:
        chosen = evenly(usable, MOST_TIMES)
    else:
        chosen = evenly(usable, 2)  # clouds hide each other
    if not on_line and fit.right is not None:
        _classes(area.subplots(), run, fit, chosen)
        return
    count = size_of_fit(run)[1]
    outputs = fit.target.shape[1]
    for output, panel in enumerate(area.subplots(1, count, squeeze=False)[0]):
        (_curves if on_line else _against)(panel, run, fit, chosen, output)
        if outputs > 1:
            panel.set_title(f"{panel.get_title()}, output {output + 1} of {outputs}")


def _curves(panel: Axes, run: Run, fit: Fit, saves: np.ndarray, output: int) -> None:
    order = data(panel, fit, output)
    for index, shade in zip(saves, shades(len(saves), COLOURS[1]), strict=True):
        values = fit.prediction[index][order, output]
        panel.plot(fit.x[order, 0], values, "-", color=shade, label=at(run.time[index]))
    panel.legend(fontsize="small")


def data(panel: Axes, fit: Fit, output: int = 0) -> np.ndarray:
    """Draw the targets over the one input, and return the order of the inputs."""
    panel.plot(fit.x[:, 0], fit.target[:, output], ".", color="0.6", label="data")
    values = "y" if fit.right is None else "probability"
    panel.set(xlabel="x", ylabel=values, title=TITLE)
    return np.argsort(fit.x[:, 0], kind="stable")


def _against(panel: Axes, run: Run, fit: Fit, saves: np.ndarray, output: int) -> None:
    step = -(-len(fit.x) // MOST_POINTS)
    target = fit.target[::step, output]
    for index, shade in zip(saves, shades(len(saves), COLOURS[1]), strict=True):
        values = fit.prediction[index][::step, output]
        panel.plot(target, values, ".", ms=3, color=shade, label=at(run.time[index]))
    panel.axline((target[0], target[0]), slope=1, color="black", lw=1, label="exact", zorder=0)
    panel.set(xlabel="target y", ylabel="prediction f", title="Prediction against target")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")


def _classes(panel: Axes, run: Run, fit: Fit, saves: np.ndarray) -> None:
    assert fit.right is not None and fit.correct is not None
    edges = np.linspace(0, 1, 21)
    for index, shade in zip(saves, shades(len(saves), COLOURS[1]), strict=True):
        share = np.histogram(fit.right[index], bins=edges)[0] / fit.right[index].size
        label = f"{at(run.time[index])}: {100 * fit.correct[index]:.3g} % right"
        panel.stairs(100 * share, edges, color=shade, lw=2, label=label)
    panel.set(
        xlabel="probability given to the right class",
        ylabel="part of the samples [%]",
        title="Classification of the data",
    )
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")


def fits(panel: Axes, runs: Sequence[Run], names: Sequence[str], drawn: Sequence[int]) -> None:
    """Draw the last fit, of those runs that are drawn, to the first output of one-input data."""
    first = fit_of(runs[drawn[0]])
    data(panel, first)
    for k in drawn:
        fit = fit_of(runs[k])
        order = np.argsort(fit.x[:, 0], kind="stable")
        panel.plot(
            fit.x[order, 0],
            fit.prediction[-1][order, 0],
            LINES[k % len(LINES)],
            color=colour(k),
            label=f"{names[k]}, {at(runs[k].time[-1])}",
        )
    outputs = first.target.shape[1]
    if outputs > 1:
        panel.set_title(f"{TITLE}, output 1 of {outputs}")
    panel.legend()
