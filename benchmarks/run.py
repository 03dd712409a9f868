"""Run the benchmarks: print their tables and write docs/tables/benchmarks.json.

    python benchmarks/run.py [--quick] [--output FILE] [SECTION ...]

Every section runs in a process of its own, whose environment sets the number of threads. All of
them take some minutes on an idle machine; `--quick` is a smoke test of a few seconds, which writes
nothing unless told where. The page of benchmarks is built from the file.
"""

import argparse
import dataclasses
import datetime
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
from typing import Any

from measuring import Target, cell, rounded

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "tables" / "benchmarks.json"
SECTIONS = ("velocity", "large", "costs", "scaling")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = min(2, CORES)
"""Of every competitor."""
PACKAGES = ("wgflow", "numpy", "numba", "torch", "pykeops", "mpi4py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    parser.add_argument("--output", type=pathlib.Path, help="by default docs/tables")
    parser.add_argument("--into", help=argparse.SUPPRESS)  # for the processes of the sections
    options = parser.parse_args()
    sections = options.sections or SECTIONS
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    if options.into:
        write_section(sections[0], options.quick, options.into)
        return
    held: dict[str, Any] = {
        "quick": options.quick,
        "machine": machine(),
        "targets": [],
        "tables": {},
    }
    for name in sections:
        found = run_section(name, options.quick)
        held["tables"] |= found["tables"]
        held["targets"] += found["targets"]
        for table in found["tables"].values():
            print_table(table)
    print_verdict(held["targets"])
    complete = not options.quick and not options.sections
    output = options.output or (RESULTS if complete else None)
    if output is not None:
        output.write_text(json.dumps(held, indent=1) + "\n")
        print(f"Wrote {output.name}")


def run_section(name: str, quick: bool) -> dict[str, Any]:
    """Return what a section finds in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, str(HERE / "run.py"), name, "--into", file.name]
        subprocess.run([*command, *["--quick"] * quick], env=environment(THREADS), check=True)
        return json.loads(pathlib.Path(file.name).read_text())


def write_section(name: str, quick: bool, path: str) -> None:
    found = importlib.import_module(name).section(quick)
    tables = {
        title: {
            "header": list(table.header),
            "rows": [[rounded(value) for value in row] for row in table.rows],
        }
        for title, table in found.tables.items()
    }
    pathlib.Path(path).write_text(
        json.dumps({"tables": tables, "targets": [as_record(t) for t in found.targets]})
    )


def as_record(target: Target) -> dict[str, Any]:
    held = dataclasses.asdict(target) | {"met": bool(target.met)}
    return {name: rounded(value) for name, value in held.items()}


def environment(threads: int) -> dict[str, str]:
    """Return this environment with `threads` everywhere, and BLAS choosing its own kernels."""
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    return cleaned | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": path}


def machine() -> dict[str, str | float]:
    """Return what the numbers depend on, and nothing that names the machine."""
    return {
        "processor": processor(),
        "cores": CORES,
        "threads of each competitor": THREADS,
        "cores busy before": rounded(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "date": datetime.date.today().isoformat(),
    }


def processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def print_table(table: dict[str, Any]) -> None:
    rows = [[cell(value) for value in row] for row in [table["header"], *table["rows"]]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("  ".join([first, *(text.strip().rjust(len(text)) for text in others)]).rstrip())
    print(flush=True)


def print_verdict(targets: list[dict[str, Any]]) -> None:
    """Print every target, and those missed once more at the end."""
    if not targets:
        return
    for target in targets:
        print(f"{sentence(target)}{'' if target['met'] else '  MISSED'}")
    missed = [target for target in targets if not target["met"]]
    print(f"\n{len(targets) - len(missed)} of {len(targets)} targets met")
    for target in missed:
        print(f"Missed: {sentence(target)}")


def sentence(target: dict[str, Any]) -> str:
    sense = "at least" if target["at_least"] else "at most"
    return f"{target['quantity']}: {cell(target['found'])}, {sense} {cell(target['bound'])}"


if __name__ == "__main__":
    main()
