"""Laws of the pages of the cases: all of a case is on them, and figures are kept while they may."""

import importlib
import json
import pathlib
import re
import sys
import types
from collections.abc import Iterator

import pytest

import wgflow as wg
from wgflow.case import Case, case_from_file
from wgflow.check import to_tolerance
from wgflow.exact import gaussian

DOCS = pathlib.Path(__file__).parent.parent / "docs"
OWN = DOCS / "examples" / "own_case.py"
VERIFIED = DOCS / "tables" / "verification.json"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    monkeypatch.syspath_prepend(DOCS)
    yield importlib.import_module("case_pages")
    for name in ("case_pages", "typesetting"):
        sys.modules.pop(name, None)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Case:
    """The case of the documentation, as if it were a named one."""
    case = case_from_file(OWN)
    module = types.ModuleType("wgflow.cases.own_case_py")
    monkeypatch.setitem(sys.modules, "wgflow.cases.own_case.py", module)
    return case


def words(text: str) -> str:
    return " ".join(text.split())


def test_all_that_a_case_declares_is_on_its_page(pages, own: Case) -> None:
    text = words(pages.page(own, "image.png"))
    assert text.startswith("own_case.py =========== Units w x fitted to a line")
    parts = [own.source, own.caption.splitlines()[0], "image.png", r"\lambda \int \rho \log \rho"]
    parts += [f"wgflow {command} own_case.py" for command in ("run", "verify", "study", "show")]
    parts += ["run own_case.py --solver sgd", "``temperature``", "``count = 10000``"]
    for check in own.checks:
        parts += [check.quantity, check.source, check.reason, f"{check.tolerance:.2g}"]
        parts += [f"expected {check.error:.2g}", f"``{check.solver}``"]
    for rate in own.rates:
        parts += [rate.source, rate.reason, "step = 0.1, 0.05, 0.025"]
    for part in parts:
        assert words(part) in text, part


def test_the_page_has_the_formulas_of_the_case_and_those_that_it_imports(pages, own: Case) -> None:
    module = sys.modules["wgflow.cases.own_case.py"]
    code = """
import functools, math
from wgflow.exact import gaussian
from wgflow.exact.recursion import after
@functools.cache
def own(time): ...
def problem(): ...
def figure(): ...
def _private(): ...
"""
    exec(code, vars(module))
    shown = re.findall(r"autofunction:: (.*)", pages.page(own, "image.png"))
    of_gaussian = [
        f"wgflow.exact.gaussian.{name}"
        for name, held in vars(gaussian).items()
        if getattr(held, "__module__", "") == gaussian.__name__ and not name.startswith("_")
    ]
    assert len(of_gaussian) > 3
    assert shown == [*of_gaussian, "wgflow.exact.recursion.after", f"{module.__name__}.own"]


def test_what_is_computed_stands_beside_its_reference_and_a_miss_is_told(
    pages, own: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = own.checks
    entries = [
        {"case": own.name, "quantity": first.quantity, "computed": first.reference + 1e-13},
        {"case": own.name, "quantity": second.quantity, "computed": second.reference + 0.02},
        {"case": own.name, "quantity": third.quantity, "computed": None},
        {"case": "another", "quantity": third.quantity, "computed": 3.0},
        {"case": own.name, "quantity": own.rates[0].quantity_in_words, "computed": 0.955},
    ]
    monkeypatch.setattr(pages, "_verified", lambda: entries)
    found = pages.computed(own)
    assert found == [entries[0]["computed"], entries[1]["computed"], None, 0.955]
    text = pages.page(own, "image.png")
    assert "off by 1.0e-13" in text and "off by 2.0e-02" in text and "0.955" in text
    assert text.count("**fails**") == 1
    assert pages.computed(own) == found  # nothing is used up


def test_two_rates_of_one_name_have_their_numbers_in_order(
    pages, own: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.checks, own.rates = (), [*own.rates, *own.rates]
    name = own.rates[0].quantity_in_words
    entries = [{"case": own.name, "quantity": name, "computed": k} for k in (1.0, 2.0)]
    monkeypatch.setattr(pages, "_verified", lambda: entries)
    assert pages.computed(own) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("number", "tolerance", "text"),
    [
        (1.0194491359191904, 3e-13, "1.0194491359192"),
        (0.5, 0.1, "0.5"),
        (2.0, 0.0, "2"),
        (0.1, 0.0, "0.1"),
        (1 / 3, 0.0, "0.3333333333333333"),
        (-12345.678, 30.0, "-12346"),
        (float("nan"), 0.1, "nan"),
    ],
)
def test_numbers_have_the_digits_that_their_tolerance_tells_apart(
    number: float, tolerance: float, text: str
) -> None:
    assert to_tolerance(number, tolerance) == text


def test_marks_of_the_page_format_are_taken_for_what_they_are(pages) -> None:
    assert pages.plain("F* of |x|, w_ and sum_i; `a*b`") == r"F\* of \|x\|, w\_ and sum_i; `a*b`"
    lines = ["One:", "", "    a * b", "", "* of a list, F*"]
    assert pages.typeset(lines) == [*lines[:2], "::", "", *lines[2:4], r"* of a list, F\*"]


def test_initials_and_signs_begin_no_list(pages) -> None:
    for text in ("G. I. Barenblatt", "(a) first", "- lambda log Z"):
        assert pages.sentence(text) == f"\\{text}"
    for text in ("-12.5", "Set here.", "A drop spreads"):
        assert pages.sentence(text) == text


def test_long_formulas_are_set_on_lines_of_their_own(pages) -> None:
    assert pages._equation("\na = b\n") == [".. math::", "", "   a = b"]
    two = [".. math::", "", "   & a = b,", "", "   & c = d"]
    assert pages._equation(r"a = b, \qquad c = d") == two
    whole = r"\begin{cases} a \qquad b \end{cases}"
    assert pages._equation(whole) == [".. math::", "", f"   {whole}"]


class Build:
    def __init__(self, folder: pathlib.Path) -> None:
        self.srcdir = str(folder)


@pytest.fixture
def one_case(pages, own: Case, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One case, whose figure is drawn as a file that says so; returns the cases drawn."""
    drawn: list[str] = []

    def draw(drawing, stop, threads) -> None:
        drawn.append(drawing.case)
        pathlib.Path(drawing.image).write_text("drawn")

    monkeypatch.setattr(pages, "list_cases", lambda: ["own-case"])
    monkeypatch.setattr(pages, "find_case", lambda name: own)
    monkeypatch.setattr(pages, "fingerprint", lambda name: "123")
    monkeypatch.setattr(pages, "draw", draw)
    return drawn


def test_a_figure_is_kept_until_its_fingerprint_changes(
    pages, one_case: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, folder = Build(tmp_path), tmp_path / "named_cases"
    pages.write_pages(build)
    page = folder / "own-case.rst"
    assert one_case == ["own-case"] and "own-case-123.png" in page.read_text()
    written = page.stat().st_mtime_ns
    pages.write_pages(build)
    assert one_case == ["own-case"] and page.stat().st_mtime_ns == written
    monkeypatch.setattr(pages, "fingerprint", lambda name: "456")
    (folder / "gone.rst").write_text("a case that is no more")
    pages.write_pages(build)
    assert one_case == ["own-case"] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["own-case-456.png", "own-case.rst"]


def test_a_fingerprint_is_of_the_case_what_it_uses_and_the_library(
    pages, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("cases/data", "solvers", "energy"):
        (tmp_path / folder).mkdir(parents=True)
    cases = ["cases/one.py", "cases/two.py", "cases/used.py"]
    files = [*cases, "cases/data/x.csv", "solvers/jko.py", "energy/risk.py"]
    for file in files:
        (tmp_path / file).write_text("before")
    (tmp_path / "cases/one.py").write_text("from wgflow.cases import used\n")
    (tmp_path / "cases/used.py").write_text("from wgflow.cases.one import mean\n")
    monkeypatch.setattr(pages, "LIBRARY", tmp_path)

    def fingerprint() -> str:
        pages._of_library.cache_clear()
        return pages.fingerprint("one")

    changes = []
    for file in files:
        before = fingerprint()
        with (tmp_path / file).open("a") as text:
            text.write("after")
        changes.append(fingerprint() != before)
    assert dict(zip(files, changes, strict=True)) == {
        file: file != "cases/two.py" for file in files
    }


def test_a_figure_that_fails_names_its_case(pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> Case:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pages, "find_case", fails)
    drawing = pages.Drawing("heat", "heat.png")
    with pytest.raises(RuntimeError, match="figure of the case 'heat' .*division by zero"):
        pages.draw(drawing, lambda: False, None)


@pytest.mark.skipif(not VERIFIED.exists(), reason="no computed numbers are stored")
def test_the_computed_numbers_are_of_the_checks_that_there_are() -> None:
    """Written anew by `wgflow verify --all --json docs/tables/verification.json --force`."""
    held = json.loads(VERIFIED.read_text())["results"]
    stored = [[entry[k] for k in ("case", "quantity", "reference", "tolerance")] for entry in held]
    declared = []
    for case in map(wg.find_case, wg.list_cases()):
        checks = [*case.checks, *(rate.check(lambda: 0.0) for rate in case.rates)]
        declared += [[case.name, c.quantity, c.reference, c.tolerance] for c in checks]
    assert [entry[:2] for entry in stored] == [entry[:2] for entry in declared]
    for one, other in zip(stored, declared, strict=True):
        assert one[2:] == pytest.approx(other[2:], rel=1e-6)
    assert all(entry["verdict"] == "pass" for entry in held)
