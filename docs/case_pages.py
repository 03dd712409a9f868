"""A page for every named case, made of its file: its figure, and what it must reproduce.

The pages stand in `named_cases/` and are made anew in every build. A figure takes a run or more; it
is kept until the file of its case or the library changes. The computed numbers are those of
`tables/verification.json`, which `wgflow verify --all --json` writes.
"""

import dataclasses
import functools
import hashlib
import inspect
import json
import logging
import pathlib
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numba
from typesetting import plain, sentence, table, typeset

import wgflow
from wgflow.case import Case, find_case, list_cases
from wgflow.case_plot import case_figure
from wgflow.check import Check, Rate, to_tolerance
from wgflow.commands.show import kind_in_words, runs_in_words
from wgflow.convergence import Fan
from wgflow.plots import save_figure

FOLDER = "named_cases"
VERIFIED = pathlib.Path(__file__).parent / "tables" / "verification.json"
EXACT = "wgflow.exact."
LIBRARY = pathlib.Path(wgflow.__file__).parent


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure to be drawn, as plain data for another process."""

    case: str
    image: str


def write_pages(app: Any) -> None:
    """Write the pages of all cases and draw the figures that are not there yet."""
    folder = pathlib.Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    images = {name: folder / f"{name}-{fingerprint(name)}.png" for name in list_cases()}
    missing = [Drawing(name, str(image)) for name, image in images.items() if not image.exists()]
    if missing:
        names = ", ".join(drawing.case for drawing in missing)
        logging.getLogger("sphinx.case_pages").info("drawing the figures of %s", names)
        Fan().run(draw, missing, lambda done: None)
    pages = {folder / f"{name}.rst": page(find_case(name), images[name].name) for name in images}
    for path, text in pages.items():
        # A page that is as it was keeps its date, so that it is not read again.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for path in set(folder.iterdir()) - set(pages) - set(images.values()):
        path.unlink()


def fingerprint(name: str) -> str:
    """Return what a figure is kept by: a hash of the library, the file of its case and its data.

    Of the other cases those count whose formulas it uses.
    """
    found = hashlib.sha256(_of_library())
    names, used = [name.replace("-", "_")], set()
    while names:
        path = LIBRARY / "cases" / f"{names.pop()}.py"
        if path in used:
            continue
        used.add(path)
        found.update(path.read_bytes())
        imports = re.findall(r"^from wgflow\.cases.*", path.read_text(), flags=re.MULTILINE)
        words = re.findall(r"\w+", " ".join(imports))
        names += [word for word in words if (path.parent / f"{word}.py").exists()]
    return found.hexdigest()[:12]


@functools.cache
def _of_library() -> bytes:
    found = hashlib.sha256()
    modules = [*LIBRARY.glob("**/*.py"), *LIBRARY.glob("solvers/*.py")]
    for path in sorted({*modules, *LIBRARY.glob("cases/data/*")}):
        if path.is_file() and path.parent.name != "cases":
            found.update(path.read_bytes())
    return found.digest()


def draw(drawing: Drawing, stop: Callable[[], bool], threads: int | None) -> None:
    """Draw the figure of a case to its file, or fail with the name of the case."""
    if threads is not None:
        numba.set_num_threads(threads)
    try:
        save_figure(case_figure(find_case(drawing.case)), drawing.image, replace=True)
    except Exception as error:
        raise RuntimeError(
            f"The figure of the case '{drawing.case}' cannot be drawn: {error}"
        ) from error


def page(case: Case, image: str) -> str:
    """Return the page of a case, with the name of its image."""
    lines = [case.name, "=" * len(case.name), ""]
    lines += [*typeset(case.description.splitlines()), ""]
    if case.equation:
        lines += [*_equation(case.equation), ""]
    caption = typeset(case.caption.splitlines()) if case.has_figure else [_of_overview(case)]
    lines += [f".. figure:: {image}", f"   :alt: Figure of the case {case.name}"]
    lines += ["   :width: 100%", "   :figclass: case", ""]
    lines += [*_indented(caption), "", *_run_it(case), ""]
    lines += [*_title("Parameters and solvers"), *_parameters(case), "", *_solvers(case), ""]
    lines += [*_title("What it must reproduce"), *_checks(case), ""]
    if case.rates:
        lines += [*_title("Rates of convergence"), *_rates(case), ""]
    lines += _closed_forms(case)
    lines += [*_title("Source"), *sentence(case.source).splitlines(), ""]
    return "\n".join(lines)


def _equation(text: str) -> list[str]:
    """Return a formula, with a line for each part that stands apart from the one before."""
    whole = any(mark in text for mark in (r"\begin", r"\\", "&"))
    parts = [text] if whole else re.split(r"\\q?quad\b", text)
    lines = [".. math::"]
    for part in parts:
        aligned = part.strip() if len(parts) == 1 else f"& {part.strip()}"
        lines += ["", *_indented(line.strip() for line in aligned.splitlines())]
    return lines


def _of_overview(case: Case) -> str:
    return f"The default run by ``{next(iter(case.solvers))}``."


def _run_it(case: Case) -> list[str]:
    """Return the commands that run the case and check it."""
    commands = [f"wgflow run {case.name}"]
    commands += [f"wgflow run {case.name} --solver {name}" for name in list(case.solvers)[1:]]
    commands += [f"wgflow verify {case.name}"] if case.checks else []
    commands += [f"wgflow study {case.name}"] if case.rates else []
    commands += [f"wgflow show {case.name} --plot {case.name}.png"]
    return [".. code-block:: text", "", *_indented(commands)]


def _parameters(case: Case) -> list[str]:
    rows = [
        (f"``{held.name}``", f"``{held.default}``", plain(kind_in_words(held.kind)))
        for held in case.parameters.values()
    ]
    lines = (
        table([("parameter", "default", "type"), *rows]) if rows else ["There are no parameters."]
    )
    if case.takes_data:
        lines += ["", "``--data FILE`` puts data of one's own in the place of its own."]
    return lines


def _solvers(case: Case) -> list[str]:
    """Return the table of the solvers, with the settings that the case chooses."""
    rows = []
    for name, solver in case.solvers.items():
        usual = {field.name: field.default for field in dataclasses.fields(solver)}
        chosen = [
            f"``{key} = {value}``"
            for key, value in solver.settings().items()
            if value != usual[key] or key == "step"
        ]
        rows.append((f"``{name}``", ", ".join(chosen)))
    return table([("solver", "settings, the others at their defaults"), *rows])


def _checks(case: Case) -> list[str]:
    if not case.checks:
        return ["The case has no checks."]
    rows = [
        (
            _stack(sentence(check.quantity), _marks(check)),
            _stack(to_tolerance(check.reference, check.tolerance), _origin(check)),
            _computed(found, check),
            _error(check),
        )
        for check, found in zip(case.checks, computed(case), strict=False)
    ]
    header = ("quantity", "reference", "computed", "allowed error")
    return table([header, *rows], widths="25 26 21 28", name="checks")


def _rates(case: Case) -> list[str]:
    rows = [
        (
            _stack(sentence(runs_in_words(rate)), _marks(rate)),
            _stack(to_tolerance(rate.expected, rate.tolerance), sentence(rate.source)),
            _computed(found, rate.check(lambda: 0.0)),
            _error(rate),
        )
        for rate, found in zip(case.rates, computed(case)[len(case.checks) :], strict=True)
    ]
    header = ("runs", "slope in theory", "measured", "allowed error")
    return table([header, *rows], widths="25 26 21 28", name="checks")


def _marks(held: Check | Rate) -> str:
    words = [f"``{held.solver}``"] if held.solver else []
    return ", ".join([*words, *(["slow"] if held.slow else [])])


def _origin(check: Check) -> str:
    return f"*{check.kind}*: {plain(check.source)}"


def _computed(value: float | None, check: Check) -> str:
    """Return a computed number and how far off it is; nothing where it was not computed."""
    if value is None:
        return ""
    miss = abs(value - check.reference)
    verdict = "" if miss <= check.tolerance else "**fails**"
    told = f"off by {miss:.1e}" if miss > 0 else "to the last bit"
    return _stack(to_tolerance(value, check.tolerance), told, verdict)


def _error(held: Check | Rate) -> str:
    if held.error is None:
        return f"{held.tolerance:.2g}"
    reason = f": {plain(held.reason)}" if held.reason else ""
    return _stack(f"{held.tolerance:.2g}", f"expected {held.error:.2g}{reason}")


def computed(case: Case) -> list[float | None]:
    """Return the computed numbers of the checks of a case, and of its rates after them.

    None where there is none: a check that was not made, or that ended in an error.
    """
    held: dict[str, list[float | None]] = {}
    for entry in _verified():
        if entry["case"] == case.name:
            held.setdefault(entry["quantity"], []).append(entry["computed"])
    names = [check.quantity for check in case.checks]
    names += [rate.quantity_in_words for rate in case.rates]
    # Two rates of one solver in one setting have the same name, and stand in order.
    return [held[name].pop(0) if held.get(name) else None for name in names]


@functools.cache
def _verified() -> list[dict[str, Any]]:
    return json.loads(VERIFIED.read_text())["results"] if VERIFIED.exists() else []


def _closed_forms(case: Case) -> list[str]:
    """Return the formulas that a case has or imports; several cases may show the same ones."""
    module = sys.modules[f"wgflow.cases.{case.name.replace('-', '_')}"]
    held = [thing for name, thing in vars(module).items() if name not in ("problem", "figure")]
    found: list[str] = []
    for thing in held:
        if inspect.ismodule(thing) and thing.__name__.startswith(EXACT):
            functions = [f for f in vars(thing).values() if _is_of(f, thing.__name__)]
        else:
            functions = [thing] if _is_of(thing, module.__name__) or _is_of(thing, EXACT) else []
        found += [f"{function.__module__}.{function.__name__}" for function in functions]
    if not found:
        return []
    lines = _title("Closed forms")
    for name in dict.fromkeys(found):
        lines += [f".. autofunction:: {name}", "   :no-index:", ""]
    return lines


def _is_of(thing: Any, module: str) -> bool:
    """Return whether a thing is a public function of a module, or of one within a package."""
    if not callable(thing) or not inspect.isfunction(inspect.unwrap(thing)):
        return False
    within = f"{thing.__module__}.".startswith(module.rstrip(".") + ".")
    return within and not thing.__name__.startswith("_")


def _title(text: str) -> list[str]:
    return [text, "-" * len(text), ""]


def _stack(*parts: str) -> str:
    """Return a cell of paragraphs, one a part that is not empty."""
    return "\n\n".join(part for part in parts if part)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"   {line}" if line else "" for line in lines]


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before any page is read."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
