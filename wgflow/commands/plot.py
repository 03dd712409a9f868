"""The command `plot`."""

import argparse
import pathlib
from collections.abc import Sequence

from wgflow.animation import FRAMES_A_SECOND, animate, check_movie
from wgflow.commands.progress_bar import ProgressBar
from wgflow.errors import FileError, InputError
from wgflow.options import check_given, parse
from wgflow.plots import check_image, check_panels, run_figure, save_figure
from wgflow.results import load
from wgflow.run import Run


def plot(options: argparse.Namespace) -> int:
    """Draw one run, or a movie of it."""
    check_given(options)
    panels = [name.strip() for text in options.panel for name in text.split(",")]
    time = None if options.time is None else parse(options.time, float, "The time --time")
    check_panels(panels, time)
    movie = options.animate
    if options.fps is not None and not movie:
        raise InputError("The option --fps belongs to a movie; add --animate MOVIE, or leave it.")
    rate = parse(options.fps or str(FRAMES_A_SECOND), int, "The number of frames a second --fps")
    draws = bool(options.output or panels or not movie)
    if time is not None and not draws:
        raise InputError(
            "The option --time belongs to an image, and a movie shows all times; add -o IMAGE, or "
            "leave it."
        )
    if options.output:
        check_image(options.output, replace=options.force)
    if movie:
        check_movie(movie, rate, replace=options.force)
    run = load(options.file)
    image = options.output or _image_name(options.file, panels)
    if draws:
        check_image(image, replace=options.force)
    figure = run_figure(run, panels or None, time=time) if draws else None
    written = []
    if movie:
        frames = _movie(run, options, rate)
        written.append(f"{movie} ({frames} frames)")
    if figure is not None:
        save_figure(figure, image, replace=options.force)
        written.append(image)
    if not options.quiet:
        print(f"Wrote {' and '.join(written)}")
    return 0


def _movie(run: Run, options: argparse.Namespace, rate: int) -> int:
    with ProgressBar(f"Drawing {options.animate}", options.quiet, unit=" frames") as bar:

        def shown(done: int, total: int) -> None:
            if done == 1:
                bar.show(0, total)  # so that the bar does not wait for kernels to compile
            if bar.show(done, total):
                raise KeyboardInterrupt

        try:
            return animate(run, options.animate, fps=rate, replace=options.force, progress=shown)
        except FileError:
            if bar.stop:  # Ctrl-C reaches ffmpeg too, and so the pipe to it breaks first.
                raise KeyboardInterrupt from None
            raise


def _image_name(file: str, panels: Sequence[str]) -> str:
    """Return the name of the image where none is given."""
    path = pathlib.Path(file)
    return str(path.with_name("-".join([path.stem, *panels]) + ".png"))
