"""Laws of what a comparison writes: the JSON, the figures, the report, and the command for them."""

import base64
import html.parser
import json
import pathlib
import re

import numpy as np
import pytest
from altered_runs import altered
from conftest import network
from matplotlib.figure import Figure

import wgflow as wg
import wgflow.report
from wgflow.cli import main
from wgflow.commands import compare as command
from wgflow.comparison_plot import figure_of, time_figure
from wgflow.parser import parser
from wgflow.report import report, save_report

NESTED = {"br", "img", "meta"}
SCRIPT = '<script src="http://example.org/x.js">alert(1)</script>'


class Page(html.parser.HTMLParser):
    """What a report holds: its tags, its text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in NESTED:
            self._open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] in ("td", "th"):
            self.cells[-1] += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    problem = network()
    flow = wg.ParticleFlow(count=50, step=0.1)
    made = {
        "p0": wg.solve(problem, flow),
        "p1": wg.solve(problem, flow, seed=1),
        "grid": wg.solve(problem, wg.JKO(step=0.5, shape=(34, 34))),
    }
    for name, run in made.items():
        run.save(folder / f"{name}.h5")
    return {name: str(folder / f"{name}.h5") for name in made}


@pytest.fixture(scope="module")
def comparison(files) -> wg.Comparison:
    return wg.compare(*map(wg.load, files.values()), files=list(files.values()))


@pytest.fixture(scope="module")
def text(comparison) -> str:
    return report(comparison)


def test_the_json_is_the_object(comparison, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "all.json"
    comparison.save(path)
    held = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert held == comparison.to_dict()
    assert held["time"] == comparison.time.tolist()
    assert [column["runs"] for column in held["columns"]] == [[0, 1], [2]]
    assert [column["name"] for column in held["columns"]] == comparison.names
    assert list(held["quantities"]) == list(comparison.quantities)
    fields = {"values": "values", "mean": "mean", "standard_error": "error", "pooled": "pooled"}
    for name, quantity in comparison.quantities.items():
        for field, attribute in fields.items():
            array = getattr(quantity, attribute)
            if array is None:
                assert held["quantities"][name][field] is None
                continue
            read = np.array(held["quantities"][name][field], dtype=float)  # null becomes NaN
            np.testing.assert_array_equal(read, array, err_msg=f"{field} of {name}")
    change = np.array(held["quantities"]["risk"]["difference"], dtype=float)
    risk = comparison.quantities["risk"].mean
    np.testing.assert_array_equal(change, risk - risk[1])
    assert held["runs"][0]["settings"]["count"] == 50
    again = json.dumps(comparison.to_dict())
    assert again == json.dumps(comparison.to_dict())


def test_the_report_is_one_whole_page_that_needs_nothing_else(text) -> None:
    page = Page(text)
    assert page.of("html")[0]["lang"] == "en"
    assert not page.of("script") and not page.of("link") and not page.of("iframe")
    for _, attributes in page.tags:
        for name in ("src", "href"):
            where = attributes.get(name)
            assert where is None or re.match(r"#|data:image/png;base64,", where)
        assert not any(name.startswith("on") for name in attributes)
    rest = re.sub(r'"data:image/png;base64,[^"]*"', "", text)
    assert "://" not in rest and "url(" not in rest and "@import" not in rest
    inside = {f"#{a['id']}" for _, a in page.tags if a.get("id")}
    assert {a["href"] for a in page.of("a")} <= inside


def test_figures_have_words_and_tables_have_heads(text) -> None:
    page = Page(text)
    images = page.of("img")
    assert len(images) > 5
    for image in images:
        assert len(image["alt"] or "") > 30
        data = base64.b64decode((image["src"] or "").partition(",")[2])
        assert data.startswith(b"\x89PNG")
    assert len(page.of("table")) == len(page.of("caption"))
    assert all(head.get("scope") for head in page.of("th"))


def test_the_report_holds_every_number_of_the_table(comparison, text) -> None:
    page = Page(text)
    for part in comparison.sections():
        for row in part.rows:
            for cell in row:
                assert cell.strip().replace("+-", "\N{PLUS-MINUS SIGN}") in page.cells
    for run in comparison.files:
        assert run in page.cells
    assert "sample standard deviation divided by sqrt(n)" in page.text
    for quantity in comparison.quantities.values():
        if np.isfinite(quantity.mean).any():
            assert quantity.definition in page.text


def test_the_report_is_the_same_each_time(files, text) -> None:
    names = list(files.values())
    assert report(wg.compare(*map(wg.load, names), files=names)) == text


def test_texts_of_a_file_are_text_in_the_report(comparison) -> None:
    first = comparison.runs[0]
    problem = dict(first.provenance["problem"])
    problem["initial"] = SCRIPT
    hostile = altered(
        first,
        solver=SCRIPT,
        case=f"{SCRIPT} $\\frac$",
        reason=SCRIPT,
        status="diverged",
        settings={SCRIPT: SCRIPT, "method": SCRIPT},
        parameters={"a": SCRIPT, SCRIPT: 1},
        versions={"wgflow": SCRIPT},
        statistics={SCRIPT: 1.0},
        problem=problem,
    )
    page = Page(report(wg.compare(hostile, comparison.runs[2], files=[SCRIPT, f'"{SCRIPT}'])))
    assert not page.of("script")
    assert SCRIPT in page.text
    assert all(set(a) <= {"alt", "src"} for a in page.of("img"))


def test_runs_without_laws_have_a_report(comparison) -> None:
    problem = network()
    flow = wg.ParticleFlow(count=20, step=0.1)
    bare = [wg.solve(problem, flow, seed=s, save="summary") for s in (0, 1)]
    other = wg.solve(problem, wg.SGD(width=20, step=0.1), save="summary")
    page = Page(report(wg.compare(*bare, other)))
    assert "no law at t = 1" in page.text
    assert not any(name.startswith("sliced W2") for name in page.cells)


def test_what_no_axis_takes_leaves_a_sentence(comparison, monkeypatch) -> None:
    def overflows(_: wg.Comparison) -> Figure:
        raise OverflowError("cannot convert float infinity to integer")

    monkeypatch.setattr(wgflow.report, "figure_of", overflows)
    risk = comparison.runs[0].risk * 1e200
    page = Page(report(wg.compare(altered(comparison.runs[0], risk=risk), comparison.runs[2])))
    assert "This cannot be drawn: cannot convert float infinity to integer." in page.text
    assert len(page.of("img")) > 4


def test_error_bars_are_drawn_for_several_seeds(comparison) -> None:
    drawn = figure_of(comparison).axes[0]
    assert drawn.get_title() == "Risk, with mean and error bar over seeds"
    (bars,) = drawn.containers
    assert bars.get_label() == "particles, mean of 2 seeds"
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), comparison.quantities["risk"].mean[0])
    panel = time_figure(comparison, "sliced_w2").axes[0]
    assert [held.get_label() for held in panel.containers] == ["particles"]
    (segments,) = panel.containers[0].lines[2]
    ends = np.array([segment[:, 1] for segment in segments.get_segments()])
    held = comparison.quantities["sliced_w2"]
    np.testing.assert_allclose((ends[:, 1] - ends[:, 0]) / 2, held.error[0])


def test_the_command_writes_everything_once(files, tmp_path: pathlib.Path, capsys) -> None:
    names = {"--json": "c.json", "--plot": "c.png", "--html": "c.html"}
    outputs = [part for flag, name in names.items() for part in (flag, str(tmp_path / name))]
    line = ["compare", *files.values(), *outputs]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["particles", "jko"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for flag, name in names.items():
        assert main(["compare", *files.values(), flag, str(tmp_path / name)]) == 2
        held = capsys.readouterr()
        assert not held.out and held.err.count("\n") == 1 and "--force" in held.err
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = ["--json", str(tmp_path / "c.json"), "--force"]
    assert main(["compare", *files.values(), *again]) == 0
    assert before != {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert Page((tmp_path / "c.html").read_text(encoding="utf-8")).of("table")


def test_a_reader_who_closes_the_pipe_has_the_files_all_the_same(
    files, tmp_path: pathlib.Path, monkeypatch
) -> None:
    def closed(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(command, "print", closed, raising=False)
    names = {flag: tmp_path / f"c.{flag}" for flag in ("json", "html")}
    outputs = [part for flag, name in names.items() for part in (f"--{flag}", str(name))]
    with pytest.raises(BrokenPipeError):
        command.compare(parser().parse_args(["compare", *files.values(), *outputs]))
    assert all(name.stat().st_size > 1000 for name in names.values())


def test_names_are_checked_before_the_runs_are_read(tmp_path: pathlib.Path, capsys) -> None:
    missing = [str(tmp_path / "a.h5"), str(tmp_path / "b.h5")]
    for flag, name, words in (
        ("--html", "c.txt", "must end in .html or .htm"),
        ("--json", "c.h5", "must end in .json"),
        ("--plot", "c.html", "must end in .png"),
        ("--html", "no/such/c.html", "does not exist"),
        ("--reference", "c.h5", "none of the files"),
        *((flag, "", "is '', but must be") for flag in ("--json", "--plot", "--html")),
    ):
        where = str(tmp_path / name) if name and flag != "--reference" else name
        assert main(["compare", *missing, flag, where]) == 2
        assert words in capsys.readouterr().err


def test_a_run_is_not_overwritten_by_its_comparison(files, tmp_path: pathlib.Path, capsys) -> None:
    run = tmp_path / "run.json"
    run.write_bytes(pathlib.Path(files["p0"]).read_bytes())
    line = ["compare", str(run), files["grid"], "--force", "--json"]
    assert main([*line, str(tmp_path / "." / "run.json")]) == 2
    assert "is one of the runs" in capsys.readouterr().err
    assert run.read_bytes() == pathlib.Path(files["p0"]).read_bytes()


def test_the_reference_is_chosen_by_its_file(files, capsys) -> None:
    assert main(["compare", *files.values(), "--reference", files["p1"]]) == 0
    assert "relative to ref = particles" in capsys.readouterr().out
    assert main(["compare", files["p0"]]) == 2
    assert "at least two runs" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_leaves_nothing(
    comparison, tmp_path: pathlib.Path, monkeypatch
) -> None:
    def full(self, *_: object, **__: object) -> None:
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wgflow.report, "report", lambda _: "page")
    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(wg.InputError, match="No space left"):
        save_report(comparison, tmp_path / "c.html")
    with pytest.raises(wg.InputError, match="No space left"):
        comparison.save(tmp_path / "c.json")
    assert not list(tmp_path.iterdir())
