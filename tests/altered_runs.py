"""Runs whose files say something else than what was computed."""

import dataclasses
import json
from typing import Any

import numpy as np

import wgflow as wg
from wgflow.store import Dataset


def altered(run: wg.Run, *, seed: int | None = None, **changes: Any) -> wg.Run:
    """Return a copy of a run with other arrays or attributes, by their names in the file.

    An array replaces the data of the variable of its name, None removes it; anything else becomes
    an attribute, as JSON where the file has JSON there.
    """
    variables, attributes = dict(run.dataset.variables), dict(run.dataset.attributes)
    for name, value in changes.items():
        if name in variables and value is None:
            del variables[name]
        elif isinstance(value, np.ndarray):
            variables[name] = dataclasses.replace(variables[name], data=value)
        else:
            attributes[name] = value if isinstance(value, str) else json.dumps(value)
    if seed is not None:
        attributes["seed"] = seed
    return wg.Run(Dataset(variables, attributes))


def moved(run: wg.Run, shift: np.ndarray) -> wg.Run:
    """Return a particle run whose clouds are shifted."""
    return altered(run, position=run.dataset.variables["position"].data + shift)
