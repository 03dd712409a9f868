"""What runs are called: by their solver and by the settings that set them apart."""

import itertools
from collections.abc import Sequence
from typing import Any

from wgflow.run import Run

SHOWN = (
    *("method", "time_order", "formula", "regularisation"),
    *("count", "width", "shape", "step", "error_tolerance", "courant", "batch", "momentum"),
    *("precision", "noise", "fresh"),
)
"""Settings that tell runs apart, in the order in which they are shown."""
USUAL = {
    "time_order": 1,
    "formula": "extrapolation",
    "regularisation": 2.0,
    "momentum": 0.0,
    "precision": "double",
    "noise": True,
    "fresh": False,
}
"""Settings that are not shown at these values."""
BEFORE = {
    "time_order": "order ",
    "error_tolerance": "to ",
    "regularisation": "epsilon ",
    **{name: f"{name} " for name in ("step", "courant", "batch", "momentum", "noise", "fresh")},
}
"""What is said before the value of a setting that does not speak for itself."""
LONGEST = 80
"""Characters of a text from a file that are shown; a longer one is cut."""


def printable(text: object) -> str:
    """Return a text of a file as one short line that neither a terminal nor a figure obeys.

    What is not printable may move the cursor of a terminal, and dollars begin a formula in a
    figure.
    """
    shown = "".join(c if c.isprintable() and c != "$" else "?" for c in str(text)[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its solver, and where that is not enough, what sets it apart."""
    names = []
    provenance = [run.provenance for run in runs]
    settings = [held["settings"] for held in provenance]
    described = [{**held["parameters"], **held["settings"]} for held in provenance]
    for run, own in zip(runs, settings, strict=True):
        alike = [k for k, other in enumerate(runs) if other.solver == run.solver]
        apart = [k for k in SHOWN if any(settings[n].get(k) != own.get(k) for n in alike)]
        names.append(" ".join([printable(run.solver), *shown_settings(own, apart)]))
    for name in {name for name in names if names.count(name) > 1}:
        alike = [k for k, other in enumerate(names) if other == name]
        for k, text in zip(alike, _apart([described[k] for k in alike]), strict=True):
            names[k] = f"{name} {text}".rstrip()
    names = [printable(name) for name in names]
    repeated = {name for name in names if names.count(name) > 1}
    return [
        f"{name} #{names[: k + 1].count(name)}" if name in repeated else name
        for k, name in enumerate(names)
    ]


def _apart(described: Sequence[dict[str, Any]]) -> list[str]:
    """Return for each run the two first settings or parameters that set it apart from others."""
    names = sorted(set().union(*described))
    kept = [k for k in names if any(held.get(k) != described[0].get(k) for held in described)]
    return [" ".join(f"{k}={held.get(k)}" for k in kept[:2]) for held in described]


def shown_settings(settings: dict[str, Any], names: Sequence[str] = SHOWN) -> list[str]:
    """Return the texts of settings that are given and not usual."""
    return [
        _short(name, settings[name])
        for name in names
        if settings.get(name) is not None and settings[name] != USUAL.get(name)
    ]


def _short(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "x".join(printable(v) for v in value)
    text = f"{value:g}" if isinstance(value, float) else printable(value)
    return f"{BEFORE.get(name, '')}{text}"


def seed_list(seeds: Sequence[int]) -> str:
    """Return seeds as a short text, "0-7" or "1, 5, 9"."""
    if len(seeds) > 2 and all(b == a + 1 for a, b in itertools.pairwise(seeds)):
        return f"{seeds[0]}-{seeds[-1]}"
    shown = [str(seed) for seed in seeds[:8]]
    return ", ".join([*shown, "..."] if len(seeds) > 8 else shown)
