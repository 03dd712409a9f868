"""A comparison as plain data, for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wgflow.comparison.matching import Matched
from wgflow.comparison.measured import ERROR_BAR, POOLED, REFERENCE
from wgflow.comparison.quantity import Quantity

FORMAT = "wgflow-comparison-1"


def plain(
    matched: Matched, quantities: Mapping[str, Quantity], warnings: Sequence[str]
) -> dict[str, Any]:
    """Return everything as dictionaries, lists, texts and numbers; None is not defined."""
    return {
        "format": FORMAT,
        "reference": matched.reference,
        "warnings": list(warnings),
        "notes": {"standard_error": ERROR_BAR, "pooled": POOLED, "reference": REFERENCE},
        "axes": matched.domain.describe(),
        "time": matched.time.tolist(),
        "columns": [
            {
                "name": name,
                "runs": list(column),
                "seeds": [matched.runs[k].provenance["seed"] for k in column],
            }
            for name, column in zip(matched.names, matched.columns, strict=True)
        ],
        "runs": [_run(matched, number) for number in range(len(matched.runs))],
        "quantities": {
            name: {
                "title": quantity.title.strip(),
                "definition": quantity.definition,
                "values": numbers(quantity.values),
                "mean": numbers(quantity.mean),
                "standard_error": numbers(quantity.error),
                "difference": numbers(quantity.difference(matched.reference))
                if quantity.change
                else None,
                "pooled": None if quantity.pooled is None else numbers(quantity.pooled),
            }
            for name, quantity in quantities.items()
        },
    }


def _run(matched: Matched, number: int) -> dict[str, Any]:
    run = matched.runs[number]
    held = run.provenance
    return {
        "file": matched.files[number] if matched.files else None,
        "case": run.case,
        "parameters": finite(held["parameters"]),
        "solver": run.solver,
        "settings": finite(held["settings"]),
        "seed": held["seed"],
        "versions": finite(held["versions"]),
        "status": run.status,
        "reason": run.reason,
        "statistics": finite(run.statistics),
    }


def numbers(values: np.ndarray) -> Any:
    """Return an array as nested lists, with None for what is not finite."""
    return finite(values.tolist())


def finite(value: Any) -> Any:
    """Return plain data with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
