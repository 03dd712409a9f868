"""Error against seconds of every grid method, on the tanh network and the motorcycle data.

Run with `make work-precision`; it takes about ten minutes, prints the table and draws
docs/images/work_precision.png. The error is that of the predictions in space and time: the root of
the mean square of f - f_ref over the data at the end of the run, relative to that of f_ref, where
f_ref comes from finite volumes of second order with short steps, extrapolated in the cell width.
"""

import pathlib
import statistics
import time

import numpy as np
from matplotlib.figure import Figure

import wgflow as wg
from wgflow.plots import save_figure

IMAGE = pathlib.Path(__file__).parent.parent / "docs" / "images" / "work_precision.png"
REPEATS = 3

METHODS = {
    "JKO lagrangian": lambda step, shape: wg.JKO(step, shape, method="lagrangian"),
    "JKO lagrangian, order 2": lambda step, shape: wg.JKO(
        step, shape, method="lagrangian", time_order=2
    ),
    "JKO entropic": lambda step, shape: wg.JKO(step, shape, method="entropic"),
    "JKO entropic, order 2": lambda step, shape: wg.JKO(
        step, shape, method="entropic", time_order=2
    ),
    "JKO balanced": lambda step, shape: wg.JKO(step, shape, method="balanced"),
    "JKO balanced, order 2": lambda step, shape: wg.JKO(
        step, shape, method="balanced", time_order=2
    ),
    "JKO back-and-forth": lambda step, shape: wg.JKO(step, shape, method="back-and-forth"),
    "finite volumes": lambda step, shape: wg.FiniteVolume(step, shape),
    "finite volumes, order 2": lambda step, shape: wg.FiniteVolume(step, shape, time_order=2),
}

CASES = {
    "tanh-network, outer=fixed": ((1024,), (0.4, 0.2, 0.1, 0.05), 1 / 80),
    "tanh-network": ((112, 112), (2.0, 1.0, 0.5, 0.25), 1 / 32),
    "motorcycle": ((144, 76), (1.0, 0.5, 0.25), 1 / 64),
}
"""Shape, steps, and the step of the reference."""
HORIZON = 4.0


def main() -> None:
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    for panel, case in zip(figure.subplots(1, len(CASES)), CASES, strict=True):
        measure(panel, case)
    save_figure(figure, IMAGE, replace=True)
    print(f"Wrote {IMAGE.name}")


def measure(panel, case: str) -> None:
    shape, steps, finest = CASES[case]
    name, _, outer = case.partition(", outer=")
    parameters = {"outer": outer} if outer else {}
    problem = wg.get_case(name, **parameters).until(HORIZON).save_every(HORIZON)
    reference = extrapolated(problem, finest, shape)
    size = np.sqrt(np.mean(reference**2))
    print(f"\n{case}, shape {shape}, t = {HORIZON:g}, errors of the predictions")
    print(f"{'method':30}{'step':>8}{'error':>12}{'seconds':>10}{'order':>8}")
    for method, solver in METHODS.items():
        errors, seconds = [], []
        for step in steps:
            try:
                run, spent = timed(problem, solver(step, shape))
            except wg.InputError:
                continue  # not for this dimension, or the grid is too coarse for this step
            if run.status != "finished":
                print(f"{method:30}{step:8g}  {run.status}")
                continue
            errors.append(float(np.sqrt(np.mean((run.prediction[-1] - reference) ** 2)) / size))
            seconds.append(spent)
            order = np.log2(errors[-2] / errors[-1]) if len(errors) > 1 else np.nan
            print(f"{method:30}{step:8g}{errors[-1]:12.2e}{spent:10.2f}{order:8.2f}", flush=True)
        if errors:
            style = "o--" if "order 2" in method else "o-"
            colour = f"C{list(METHODS).index(method.removesuffix(', order 2'))}"
            panel.loglog(seconds, errors, style, color=colour, label=method)
    panel.set(title=case, xlabel="seconds", ylabel="relative error of the predictions")
    panel.grid(alpha=0.3)
    panel.legend(fontsize=7)


def extrapolated(problem: wg.Problem, step: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return the predictions of the reference, (n, k)."""
    coarse, fine = (
        wg.solve(
            problem,
            wg.FiniteVolume(
                step, tuple(parts * count for count in shape), time_order=2, tolerance=1e-10
            ),
        ).prediction[-1]
        for parts in (1, 2)
    )
    return (4 * fine - coarse) / 3


def timed(problem: wg.Problem, solver) -> tuple[wg.Run, float]:
    """Return a run and the median of its seconds, the time for compiling left out."""
    run, seconds = None, []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run = wg.solve(problem, solver)
        seconds.append(time.perf_counter() - started)
        if seconds[-1] > 20:
            break
    return run, statistics.median(seconds[-2:])


if __name__ == "__main__":
    main()
