"""Measured rates of the particle solvers: in the number of neurons, and in the step.

Run with `make convergence`; it takes some minutes, prints the tables, writes them to
docs/tables/convergence_count.csv and convergence_step.csv, and draws docs/images/convergence.png.
"""

import csv
import pathlib

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

import wgflow as wg
from wgflow.plots import COLOURS, MARKERS, save_figure
from wgflow.rate_plot import draw_study

DOCS = pathlib.Path(__file__).parent.parent / "docs"
COUNTS = [100 * 2**k for k in range(7)]
TIMES = [1.0, 2.0, 5.0]
SEEDS = 16
REFERENCE = wg.JKO(step=0.125, shape=(160, 160), method="balanced", time_order=2)
NOISE_FREE = ("euler", "heun", "bogacki-shampine")
NOISY = {"euler-maruyama": [0.25, 0.125, 0.0625], "stochastic-heun": [0.5, 0.25, 0.125]}
"""Methods, and steps that are short enough for the order and long enough for a bias to show."""


def main() -> None:
    flow = wg.study(
        "tanh-network",
        wg.ParticleFlow(step=0.05),
        {"count": COUNTS},
        seeds=SEEDS,
        times=TIMES,
        reference=REFERENCE,
    )
    network = wg.study(
        "tanh-network",
        wg.SGD(step=0.02),
        {"width": COUNTS[:-1]},
        seeds=SEEDS,
        times=TIMES,
        reference=REFERENCE,
    )
    print(f"{flow}\n\n{network}\n")
    write_counts([flow, network])
    steps = {method: without_noise(method) for method in NOISE_FREE}
    weak = {method: with_noise(method) for method in NOISY}
    for study in (*steps.values(), *weak.values()):
        print(f"{study}\n")
    write_steps(steps, weak)
    draw(flow, steps)


def without_noise(method: str) -> wg.Study:
    """Return the study of a method for the noise-free network, to the next finer step."""
    problem = wg.get_case("tanh-network", temperature=0.0)
    solver = wg.ParticleFlow(count=200, method=method)
    return wg.study(problem, solver, {"step": [2.0**-k for k in range(2, 8)]}, seeds=2)


def with_noise(method: str) -> wg.Study:
    """Return the study of a method whose bias stands out from the noise of many particles."""
    return wg.study(
        "ornstein-uhlenbeck",
        wg.ParticleFlow(count=1_000_000, method=method),
        {"step": NOISY[method]},
        seeds=8,
        quantity="variance",
        reference=wg.FiniteVolume(0.025, 1024, time_order=2),
    )


def write_counts(studies: list[wg.Study]) -> None:
    """Write the errors of both solvers at all times, and their slopes."""
    header = ["neurons", *[f"{s.solver}, t = {t:g}" for s in studies for t in s.time]]
    rows = []
    for v, count in enumerate(COUNTS):
        cells = [
            f"{study.root_mean_square[v, t]:.5f}" if v < len(study.value) else ""
            for study in studies
            for t in range(len(TIMES))
        ]
        rows.append([str(count), *cells])
    slopes = [
        f"{study.slope[t]:.3f} ± {study.slope_error[t]:.3f}"
        for study in studies
        for t in range(len(TIMES))
    ]
    write("convergence_count.csv", [header, *rows, ["slope", *slopes]])


def write_steps(steps: dict[str, wg.Study], weak: dict[str, wg.Study]) -> None:
    """Write the orders in the step."""
    rows = [["method", "case", "error of", "order found", "order stated"]]
    for method, study in steps.items():
        found = f"{study.slope[-1]:.2f}"
        rows.append([method, "tanh-network, no noise", "predictions", found, f"{study.expected:g}"])
    for method, study in weak.items():
        found = f"{study.mean_slope[-1]:.2f}"
        rows.append([method, "ornstein-uhlenbeck", "variance", found, f"{study.expected:g}"])
    write("convergence_step.csv", rows)


def write(name: str, rows: list[list[str]]) -> None:
    with open(DOCS / "tables" / name, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def draw(flow: wg.Study, steps: dict[str, wg.Study]) -> None:
    """Draw the rate in the number of particles beside the orders in the step."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_study(left, flow)
    left.set_title(f"particles, {SEEDS} seeds, against a grid", fontsize=11)
    left.set_xlabel("number of particles")
    orders(right, steps)
    save_figure(figure, DOCS / "images" / "convergence.png", replace=True)


def orders(panel: Axes, steps: dict[str, wg.Study]) -> None:
    for k, (method, study) in enumerate(steps.items()):
        kept = study.complete
        size = study.root_mean_square[kept, -1]
        style = {"color": COLOURS[k], "marker": MARKERS[k]}
        panel.loglog(
            study.value[kept], size, label=f"{method}, slope {study.slope[-1]:.2f}", **style
        )
        guide = 0.6 * size[-1] * (study.value[kept] / study.value[kept][-1]) ** study.expected
        label = "slopes 1, 2, 3" if k == 0 else None
        panel.loglog(study.value[kept], guide, "--", color="0.3", lw=1.2, label=label)
    panel.xaxis.set_major_locator(FixedLocator(study.value.tolist()))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:.3g}")
    panel.set(xlabel="step", ylabel="difference from half the step")
    panel.set_title("without noise, to the next finer step", fontsize=11)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=9)


if __name__ == "__main__":
    main()
