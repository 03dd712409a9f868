"""The command `compare`."""

import argparse
import os

from tqdm import tqdm

from wgflow import comparison, store
from wgflow.comparison_plot import figure_of
from wgflow.errors import FileError, InputError
from wgflow.plots import check_image, save_figure
from wgflow.report import check_report, save_report
from wgflow.results import load


def compare(options: argparse.Namespace) -> int:
    """Set runs side by side, as a table and in files."""
    written = _checked(options)
    reference = _reference(options)
    runs = [load(path) for path in options.files]
    # Distances at many times take a while; the bar goes away when they are done.
    with tqdm(desc="Distances", unit=" times", delay=1.0, leave=False) as bar:

        def show(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        compared = comparison.compare(
            *runs, reference=reference, files=options.files, progress=show
        )
        # Before the table: its reader may close the pipe on it, and has the files all the same.
        if options.json is not None:
            compared.save(options.json, replace=options.force)
        if options.plot is not None:
            save_figure(figure_of(compared), options.plot, replace=options.force)
        if options.html is not None:
            save_report(compared, options.html, replace=options.force)
    print(compared)
    if written:
        print(f"Wrote {', '.join(written)}")
    return 0


def _checked(options: argparse.Namespace) -> list[str]:
    """Return the files that shall be written, if they can be."""
    written = [name for name in (options.json, options.plot, options.html) if name is not None]
    if "" in written:
        raise FileError("The name of an output is '', but must be that of a file; give it one.")
    if options.json is not None:
        store.check_ending(options.json, (".json",), "comparison", replace=options.force)
    if options.plot is not None:
        check_image(options.plot, replace=options.force)
    if options.html is not None:
        check_report(options.html, replace=options.force)
    for name in written:
        if os.path.realpath(name) in map(os.path.realpath, options.files):
            raise FileError(f"The output '{name}' is one of the runs; give it another name.")
    return written


def _reference(options: argparse.Namespace) -> int | None:
    """Return the number of the file that is the reference, or None where none is named."""
    if options.reference is None:
        return None
    if options.reference not in options.files:
        raise InputError(
            f"The reference '{options.reference}' is none of the files that are compared; name one "
            f"of {', '.join(options.files)}."
        )
    return int(options.files.index(options.reference))
