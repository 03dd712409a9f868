"""Whether all grid methods tend to one solution of the tanh network as the step goes to 0.

Run with `make agreement`; it takes some minutes, prints the tables and writes them to
docs/tables/agreement_1.csv (outer weight fixed, one dimension) and agreement_2.csv.
"""

import csv
import itertools
import pathlib

import numpy as np

import wgflow as wg

TABLES = pathlib.Path(__file__).parent.parent / "docs" / "tables"

ONE = {
    "JKO lagrangian": lambda step: wg.JKO(step, 1024, method="lagrangian"),
    "JKO entropic": lambda step: wg.JKO(step, 1024, method="entropic"),
    "JKO balanced": lambda step: wg.JKO(step, 1024, method="balanced"),
    "finite volumes": lambda step: wg.FiniteVolume(step, 1024),
    "JKO lagrangian, extrapolated": lambda step: wg.JKO(
        step, 1024, method="lagrangian", time_order=2
    ),
    "JKO lagrangian, bdf2": lambda step: wg.JKO(
        step, 1024, method="lagrangian", time_order=2, formula="bdf2"
    ),
    "JKO entropic, extrapolated": lambda step: wg.JKO(step, 1024, method="entropic", time_order=2),
    "JKO balanced, midpoint": lambda step: wg.JKO(step, 1024, method="balanced", time_order=2),
    "finite volumes, extrapolated": lambda step: wg.FiniteVolume(step, 1024, time_order=2),
}

PLANE = (224, 224)
TWO = {
    "JKO entropic": lambda step: wg.JKO(step, PLANE, method="entropic"),
    "JKO balanced": lambda step: wg.JKO(step, PLANE, method="balanced"),
    "JKO back-and-forth": lambda step: wg.JKO(step, PLANE, method="back-and-forth"),
    "finite volumes": lambda step: wg.FiniteVolume(step, PLANE),
    "JKO balanced, midpoint": lambda step: wg.JKO(step, PLANE, method="balanced", time_order=2),
    "finite volumes, extrapolated": lambda step: wg.FiniteVolume(step, PLANE, time_order=2),
}


def main() -> None:
    TABLES.mkdir(exist_ok=True)
    line = wg.get_case("tanh-network", outer="fixed")
    table(line, ONE, (0.1, 0.05, 0.025, 0.0125), "agreement_1")
    table(wg.get_case("tanh-network"), TWO, (0.25, 0.125, 0.0625), "agreement_2")


def table(problem: wg.Problem, methods: dict, steps: tuple[float, ...], name: str) -> None:
    """Write F at t = 1 for every method and step, the orders observed, and the limit."""
    problem = problem.until(1.0).save_every(1.0)
    rows = [["method", *[f"step {step:g}" for step in steps], "order, F", "order, law", "limit"]]
    for method, solver in methods.items():
        runs = [wg.solve(problem, solver(step)) for step in steps]
        assert all(run.status == "finished" for run in runs), [run.reason for run in runs]
        values = np.array([run.energy["total"][-1] for run in runs])
        change = np.diff(values)
        laws = [run.measure(-1) for run in runs]
        apart = [distance(*pair) for pair in itertools.pairwise(laws)]
        orders = [np.log2(abs(change[-2] / change[-1])), np.log2(apart[-2] / apart[-1])]
        # Richardson's extrapolation with the order that the method states.
        limit = values[-1] + change[-1] / (2 ** solver(steps[-1]).order - 1)
        shown = [*(f"{v:.6f}" for v in values), *(f"{v:.2f}" for v in orders), f"{limit:.6f}"]
        rows.append([method, *shown])
        print("  ".join(f"{cell:>12}" for cell in rows[-1]), flush=True)
    with open(TABLES / f"{name}.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)


def distance(first: wg.GridMeasure, second: wg.GridMeasure) -> float:
    """Return W2 on a line, where cells may move, and the L1 distance on one grid of more axes."""
    if first.dimension == 1:
        return wg.wasserstein(first, second)
    return float(np.abs(first.mass - second.mass).sum())


if __name__ == "__main__":
    main()
