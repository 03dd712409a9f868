"""In what the problems of two runs differ, and what else a reader of a comparison must know."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from wgflow.comparison.laws import law_at
from wgflow.comparison.matching import Matched
from wgflow.comparison.naming import printable
from wgflow.run import Run

MOST = 4
"""Differences of one run that are named; the rest are counted."""
DATA = {"x": "inputs", "y": "outputs", "weight": "weights"}
STATUS = {
    "running": "has not ended, or was killed",
    "interrupted": "was interrupted",
    "not_converged": "stopped because a step did not converge",
    "diverged": "diverged",
}


def differences(run: Run, reference: Run) -> list[str]:
    """Return in what the problem of a run differs from that of the reference, one text each.

    Times may differ, and what is in no file is not seen.
    """
    own, other = run.provenance, reference.provenance
    found = []
    if run.case != reference.case:
        names = [printable(held.case or "own problem") for held in (run, reference)]
        found.append(f"case {names[0]} instead of {names[1]}")
    else:
        ignored = {"horizon", "data"}
        found += _unlike(own["parameters"], other["parameters"], ignored)
    found += _data(run, reference)
    if not found:
        found += _unlike(own["problem"], other["problem"], {"horizon"})
    return found


def _data(run: Run, reference: Run) -> Iterator[str]:
    """Yield a text on each array of the data that is another one."""
    for name, words in DATA.items():
        held = [r.dataset.variables.get(name) for r in (run, reference)]
        if held[0] is None or held[1] is None:
            if held[0] is not held[1]:
                yield f"{words} of the data {'not ' if held[0] is None else ''}there"
            continue
        shapes = [array.data.shape for array in held if array is not None]
        if shapes[0] != shapes[1]:
            yield f"{words} of shape {shapes[0]} instead of {shapes[1]}"
        elif not np.array_equal(held[0].data, held[1].data, equal_nan=True):
            yield f"other {words} of the data"


def _unlike(found: Any, expected: Any, ignored: set[str], where: str = "") -> list[str]:
    """Return the places where two trees of plain data differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        texts = []
        for name in sorted({*found, *expected} - ignored):
            place = f"{where}.{name}" if where else name
            texts += _unlike(found.get(name), expected.get(name), ignored, place)
        return texts
    both = isinstance(found, list) and isinstance(expected, list)
    if both and len(found) == len(expected) and any(isinstance(v, dict) for v in found):
        texts = []
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            named = one.get("name", number) if isinstance(one, dict) else number
            texts += _unlike(one, other, ignored, f"{where}.{named}")
        return texts
    if found == expected:
        return []
    return [f"{printable(where)} = {_text(found)} instead of {_text(expected)}"]


def _text(value: Any) -> str:
    """Return a value in short: of a tree, the names in it."""
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        names = [entry.get("name", "?") if isinstance(entry, dict) else entry for entry in value]
        return printable(", ".join(map(str, names)))
    return printable(value)


def warnings(matched: Matched) -> list[str]:
    """Return a sentence on everything that speaks against reading the numbers as they stand."""
    base, names = matched.base, matched.names
    others, states, laws = [], [], []
    for name, column in zip(names, matched.columns, strict=True):
        first = matched.runs[column[0]]
        apart = differences(first, base)
        if apart:
            more = f" and {len(apart) - MOST} more" if len(apart) > MOST else ""
            others.append(
                f"Beware: {name} solves another problem than the reference "
                f"({', '.join(apart[:MOST])}{more})."
            )
        for number in column:
            run = matched.runs[number]
            which = f"{name}, seed {run.provenance['seed']}," if len(column) > 1 else name
            if run.status != "finished":
                what = STATUS.get(run.status, f"has the status {printable(run.status)}")
                why = f": {printable(run.reason).rstrip('.')}" if run.reason else ""
                states.append(f"Beware: {which} {what} (saves up to t = {run.time[-1]:g}){why}.")
            if law_at(run, int(matched.rows[number, -1])) is None:
                laws.append(which.rstrip(","))
    if laws:
        laws = [
            f"Beware: no law at t = {matched.time[-1]:g} is stored in, or can be read from, "
            f"{' and '.join(laws)}; what needs it is not defined."
        ]
    return [*others, *states, *laws, *_repeated(matched)]


def _repeated(matched: Matched) -> list[str]:
    """Return a sentence on each run that is given several times, and on copies of a run."""
    given: dict[object, list[str]] = {}
    seeds: dict[tuple[str, int], str] = {}
    called: dict[object, str] = {}
    copies = []
    for name, column in zip(matched.names, matched.columns, strict=True):
        for number in column:
            run, file = matched.runs[number], matched.files[number] if matched.files else None
            key: object = id(run) if file is None else os.path.realpath(file)
            called.setdefault(key, "one run" if file is None else f"'{printable(file)}'")
            given.setdefault(key, []).append(name)
            if run.on_grid or len(given[key]) > 1:
                continue
            twin = seeds.setdefault((_key(run), int(run.provenance["seed"])), name)
            if twin != name:
                copies.append(
                    f"Beware: {twin} and {name} have one seed and the same settings and are not "
                    "independent, so they are no sample for an error bar."
                )
    twice = [
        f"Beware: {called[key]} is given {'twice' if len(names) == 2 else f'{len(names)} times'}, "
        f"as {' and '.join(names)}; leave out all but one."
        for key, names in given.items()
        if len(names) > 1
    ]
    return [*twice, *dict.fromkeys(copies)]


def _key(run: Run) -> str:
    held = run.provenance
    return repr([held[k] for k in ("case", "parameters", "problem", "solver", "settings")])
