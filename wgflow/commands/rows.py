"""The table of the saves of a run."""

from wgflow.run import Run


def print_rows(run: Run) -> None:
    """Print the numbers of every save."""
    columns = {
        "t": run.time,
        "risk": run.risk,
        "free energy": run.energy["total"],
        "gap": run.gap,
    }
    print("".join(f"{name:>14}" for name in columns))
    for row in zip(*columns.values(), strict=True):
        print("".join("             -" if v != v else f"{v:14.6g}" for v in row))
