"""A movie of the law over time, beside the fitted function where the data have one input."""

import contextlib
import dataclasses
import importlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import matplotlib as mpl
import numpy as np
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from wgflow import store
from wgflow.domain import Domain
from wgflow.errors import FileError, InputError, check_count
from wgflow.measure import GridMeasure, Measure
from wgflow.plots import bins
from wgflow.plots.fit import data, fit_of
from wgflow.plots.law import draw_cloud, frame, has_front, heat_map, pairs_of, scale
from wgflow.plots.style import COLOURS, at, evenly
from wgflow.run import Run

MOST_FRAMES = 200
FRAMES_A_SECOND = 10
WIDTH, HEIGHT = 5.0, 4.4
"""Inches of a panel."""
DOTS = {".gif": 80, ".mp4": 120}
"""Dots an inch; all frames of a GIF are held in memory until it is written."""
MOST_DOTS = 1600
"""Dots across at most."""

Progress = Callable[[int, int], object]
"""Called with the number of frames done and the number of all; what it raises ends the movie."""
Update = Callable[[int], None]
"""Shows the frame with this number."""


def animate(
    run: Run,
    path: str | pathlib.Path,
    *,
    fps: int = FRAMES_A_SECOND,
    replace: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write a movie of the law over the saves and return the number of its frames.

    A frame is a save; of more than 200, evenly chosen ones are shown. Axes and colours are the same
    in all frames. The file is written under a temporary name and then renamed.

    Parameters
    ----------
    path
        Ends in .gif, or in .mp4 for which ffmpeg is needed.
    fps
        Frames a second.

    Raises
    ------
    FileError
        The file exists (unless `replace`), its ending is another, or it cannot be written.
    InputError
        Fewer than two saves hold a law.
    """
    path = pathlib.Path(path)
    check_movie(path, fps, replace=replace)
    ending = path.suffix.lower()
    try:
        with np.errstate(all="ignore"):  # numbers near the largest there are, in a file of anyone
            return _written(movie_of(run), path, ending, fps, progress)
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"The movie '{path}' cannot be written: {reason}.") from error
    except subprocess.CalledProcessError as error:
        raise FileError(
            f"The movie '{path}' cannot be written: ffmpeg ended with code {error.returncode}, for "
            "want of space or of an encoder for h264; free some space, or write a .gif."
        ) from error
    except (ValueError, ArithmeticError) as error:
        raise FileError(
            f"The movie '{path}' cannot be drawn, because its numbers are too large."
        ) from error


def check_movie(
    path: str | pathlib.Path, fps: int = FRAMES_A_SECOND, *, replace: bool = False
) -> None:
    """Raise InputError unless a movie can be written to this file."""
    path = pathlib.Path(path)
    check_count("The number of frames a second", fps, most=60)
    store.check_ending(path, (".mp4", ".gif"), "movie", replace=replace)
    if path.suffix.lower() == ".mp4" and _ffmpeg() is None:
        raise FileError(
            f"The movie '{path}' needs ffmpeg, which is not installed; run pip install "
            "'wgflow[video]', or write a .gif."
        )


def _ffmpeg() -> str | None:
    """Return where ffmpeg is: on the path, or in the package imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if found is None:
        # RuntimeError: the package is there without its program.
        with contextlib.suppress(ImportError, RuntimeError):
            found = str(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    return found


@contextlib.contextmanager
def _writer(
    ending: str, fps: int, figure: Figure, path: pathlib.Path
) -> Iterator[AbstractMovieWriter]:
    """Give a writer of frames; nothing is left of it on failure but what is in the folder."""
    dots = min(DOTS[ending], int(MOST_DOTS / figure.get_figwidth()))
    if ending == ".gif":
        writer: AbstractMovieWriter = PillowWriter(fps=fps)
        writer.setup(figure, str(path), dots)
    else:
        with mpl.rc_context({"animation.ffmpeg_path": _ffmpeg()}):
            writer = FFMpegWriter(fps=fps, codec="h264")
            writer.setup(figure, str(path), dots)
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(Exception):
            writer.finish()
        raise
    writer.finish()


@dataclasses.dataclass(frozen=True)
class Movie:
    """A figure and how to show each of its frames.

    Attributes
    ----------
    saves
        The save that each frame shows, shape (frames,).
    show
        Turns the figure into the frame with this number.
    """

    figure: Figure
    saves: np.ndarray
    show: Update


def movie_of(run: Run) -> Movie:
    """Return the movie of a run, which shows its first frame.

    Raises
    ------
    InputError
        Fewer than two saves hold a law.
    """
    saves = evenly(bins.saves_with_law(run), MOST_FRAMES)
    if len(saves) < 2:
        raise InputError(
            f"{run.label} holds a law at one save only, and a movie takes at least two; run it "
            "with --save all."
        )
    laws = [run.measure(index) for index in saves]
    domain = Domain.from_description(run.axes)
    pairs = pairs_of(domain.dimension)
    count = max(len(pairs), 1)
    fitted = run.prediction is not None and run.x is not None and run.x.shape[1] == 1
    size = WIDTH * (count + fitted), HEIGHT
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, count + fitted, squeeze=False)[0]
    if pairs:
        drawn = [
            _plane(figure, panel, run, laws, domain, pair)
            for panel, pair in zip(panels, pairs, strict=False)
        ]
    else:
        drawn = [_line(panels[0], laws, domain)]
    if fitted:
        drawn.append(_curve(panels[-1], run, saves))
    title = figure.suptitle(" ", x=0.01, ha="left", fontsize="medium")

    def show(k: int) -> None:
        for update in drawn:
            update(k)
        title.set_text(f"{run.label}, {at(run.time[saves[k]])}")

    show(0)
    figure.draw_without_rendering()
    # From now on nothing moves, however wide the numbers at the axes are.
    figure.set_layout_engine("none")
    return Movie(figure, saves, show)


def _written(
    movie: Movie, path: pathlib.Path, ending: str, fps: int, progress: Progress | None
) -> int:
    """Write a movie and return the number of its frames."""
    # A folder of its own, because the ending of the name tells the writers what to write.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = pathlib.Path(folder) / f"movie{ending}"
        with _writer(ending, fps, movie.figure, part) as writer:
            for k in range(len(movie.saves)):
                movie.show(k)
                writer.grab_frame()
                if progress is not None:
                    progress(k + 1, len(movie.saves))
        part.replace(path)
    return len(movie.saves)


def _line(panel: Axes, laws: list[Measure], domain: Domain) -> Update:
    """Draw the density of a law on a line: of its cells, or of bins that all frames share."""
    shared = bins.common_bins(laws, 0, domain.axes[0])
    period = np.ptp(shared) if domain.periodic[0] else None

    def profile(k: int) -> tuple[np.ndarray, np.ndarray]:
        law = laws[k]
        cells = law.edges[0] if isinstance(law, GridMeasure) else shared
        # The cells of a circle that have moved reach beyond its ends.
        edges = cells if period is None else shared
        return bins.marginal(law, 0, edges, period) / np.diff(edges), edges

    steps = panel.stairs(*profile(0), fill=True, color=COLOURS[0], alpha=0.7)
    low, high = bins.in_view(laws, 0, domain.axes[0])
    margin = 0.0 if domain.periodic[0] else 0.05 * (high - low)
    top = max(profile(k)[0].max() for k in range(len(laws)))
    panel.set(xlim=(low - margin, high + margin), ylim=(0, 1.05 * top if top > 0 else 1))
    panel.set(xlabel=domain.names[0], ylabel="density", title="Law")
    panel.grid(alpha=0.3)

    def update(k: int) -> None:
        steps.set_data(*profile(k))

    return update


def _plane(
    figure: Figure,
    panel: Axes,
    run: Run,
    laws: list[Measure],
    domain: Domain,
    pair: tuple[int, int],
) -> Update:
    """Draw two coordinates of a law: their density, or a cloud of the same particles."""
    names = [domain.names[axis] for axis in pair]
    panel.set(xlabel=names[0], ylabel=names[1], title="Law")
    first = laws[0]
    if isinstance(first, GridMeasure):
        update = _heat(figure, panel, run, laws, pair)
    else:
        dots = draw_cloud(panel, bins.even_points(first)[:, pair], COLOURS[0])

        def update(k: int) -> None:
            dots.set_data(*bins.even_points(laws[k])[:, pair].T)

    frame(panel, laws, domain, pair)
    return update


def _heat(
    figure: Figure, panel: Axes, run: Run, laws: list[Measure], pair: tuple[int, int]
) -> Update:
    grids = [law for law in laws if isinstance(law, GridMeasure)]
    peak = max(float(bins.plane(law, *pair).max()) for law in grids)
    norm = scale(peak, "root" if has_front(run) else "log")
    shown: list[QuadMesh] = [heat_map(figure, panel, grids[0], pair, norm)]

    def update(k: int) -> None:
        shown.pop().remove()  # its cells may have moved
        shown.append(heat_map(None, panel, grids[k], pair, norm))

    return update


def _curve(panel: Axes, run: Run, saves: np.ndarray) -> Update:
    """Draw the fit to the first output of data with one input."""
    fit = fit_of(run)
    order = data(panel, fit)
    values = fit.prediction[:, order, 0]
    (curve,) = panel.plot(fit.x[order, 0], values[saves[0]], color=COLOURS[1], label="fit")
    everything = np.concatenate([values[saves].ravel(), fit.target[:, 0]])
    everything = everything[np.isfinite(everything)]
    low, high = everything.min(), everything.max()
    margin = 0.05 * (high - low) if high > low else 0.5
    panel.set_ylim(low - margin, high + margin)
    outputs = fit.target.shape[1]
    if outputs > 1:
        panel.set_title(f"{panel.get_title()}, output 1 of {outputs}")
    panel.legend(loc="upper right")

    def update(k: int) -> None:
        curve.set_ydata(values[saves[k]])

    return update
