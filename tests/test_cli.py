"""The command line: what it prints, what it writes, and how it refuses bad input."""

import pathlib

import h5py
import numpy as np
import pytest

import wgflow as wg
from wgflow.cli import main

QUICK = ["--until", "0.1", "--save-every", "0.05"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def results(capsys) -> list[str]:
    """Three small runs of one case, in files."""
    settings = {"particles": ["count=50", "step=0.05"], "sgd": ["width=50", "step=0.05"]}
    for name, pairs in settings.items():
        sets = [part for pair in pairs for part in ("--set", pair)]
        assert main(["run", "motorcycle", "--solver", name, *sets, *QUICK, "--quiet"]) == 0
    coarse = ["--set", "step=0.05", "--set", "shape=320,160"]
    grid = ["run", "motorcycle", "--solver", "jko", *coarse, "--quiet", "-o", "grid.h5"]
    assert main([*grid, "--until", "0.1", "--save-every", "0.05"]) == 0
    capsys.readouterr()
    return ["motorcycle-particles.h5", "grid.h5", "motorcycle-sgd.h5"]


def test_list_names_every_case_on_a_line(capsys) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == wg.list_cases()
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("case", wg.list_cases())
def test_show_tells_parameters_solvers_checks_and_source(case: str, capsys) -> None:
    assert main(["show", case]) == 0
    text = capsys.readouterr().out
    for part in ("Parameters", "Solvers", "Checks", "Source:", " = "):
        assert part in text


def test_run_writes_the_file_that_it_names(capsys) -> None:
    command = ["run", "ornstein-uhlenbeck", "--solver", "jko", "--set", "step=0.05", "--set"]
    options = ["shape=200", "--param", "lambda=0.3", "--seed", "5", "--until", "0.2"]
    assert main([*command, *options]) == 0
    out, err = capsys.readouterr()
    assert "wrote ornstein-uhlenbeck-jko.h5" in out and "free energy" in out
    assert "4/4" in err  # the progress bar
    run = wg.load("ornstein-uhlenbeck-jko.h5")
    assert run.provenance["settings"]["shape"] == [200]
    assert run.provenance["parameters"]["temperature"] == 0.3
    assert run.provenance["seed"] == 5 and run.time[-1] == 0.2


def test_a_parameter_that_changes_the_dimension_leaves_the_shape_to_the_solver(capsys) -> None:
    options = ["--param", "dimension=1", "--until", "2e-4", "--quiet"]
    for solver in ("jko", "finite-volume"):
        assert main(["run", "porous-medium", "--solver", solver, *options]) == 0
        run = wg.load(f"porous-medium-{solver}.h5")
        assert run.dataset.variables["mass_on_grid"].data.shape[1:] == (256,)
    assert main(["run", "porous-medium", *options, "--set", "shape=8,8", "-o", "x.h5"]) == 2
    assert_sentence(capsys.readouterr().err, ["(8, 8)", "one number an axis"])


def test_choices_of_a_parameter_are_shown_as_words(capsys) -> None:
    assert main(["show", "tanh-network"]) == 0
    assert "outer = weight  (weight or fixed)" in capsys.readouterr().out


def test_show_compare_and_plot_of_files(results: list[str], capsys) -> None:
    assert main(["show", results[1]]) == 0
    assert "mass_on_grid(time, a, v)" in capsys.readouterr().out
    assert main(["compare", *results, "--plot", "figure.png"]) == 0
    table = capsys.readouterr().out
    for part in ("risk at t = 0.1", "free energy", "gap", "W2 of a", "sliced W2", "F - F*"):
        assert part in table
    assert pathlib.Path("figure.png").read_bytes()[:4] == b"\x89PNG"
    for result in results:
        assert main(["plot", result]) == 0
        assert pathlib.Path(result).with_suffix(".png").exists()


def test_data_of_ones_own(capsys) -> None:
    np.savez("own.npz", x=np.arange(8.0), y=np.arange(8.0) ** 2)
    assert main(["run", "motorcycle", "--data", "own.npz", *QUICK, "--set", "count=20"]) == 0
    run = wg.load("motorcycle-particles.h5")
    assert len(run.x) == 8 and run.provenance["parameters"]["data"] == "own.npz"
    assert run.problem.risk.data.count == 8


def test_a_case_file_of_ones_own(capsys) -> None:
    pathlib.Path("my_case.py").write_text(
        '"""Mine: a double well."""\n'
        "import wgflow as wg\n"
        "SOURCE, CHECKS = 'made up', ()\n"
        "SOLVERS = {'particles': wg.ParticleFlow(step=0.01, count=20)}\n"
        "def problem(depth: float = 1.0):\n"
        "    well = wg.Potential(lambda x: depth * ((x**2 - 1) ** 2).sum(1),\n"
        "                        lambda x: 4 * depth * x * (x**2 - 1))\n"
        "    domain = wg.Domain(wg.WholeLine())\n"
        "    return wg.Problem(well + wg.Entropy(0.1), domain, wg.Gaussian(), 0.1)\n"
    )
    assert main(["show", "my_case.py"]) == 0
    assert "depth = 1.0" in capsys.readouterr().out
    assert main(["run", "my_case.py", "--param", "depth=2", "-o", "mine.h5"]) == 0
    run = wg.load("mine.h5")
    assert run.case == "my_case.py" and run.problem is None


def test_a_run_that_does_not_converge_exits_with_one(capsys) -> None:
    command = ["run", "motorcycle", "--solver", "jko", "--set", "max_iterations=1", "-o", "x.h5"]
    assert main(command) == 1
    assert "max_iterations" in capsys.readouterr().err
    assert wg.load("x.h5").status == "not_converged"


RUN = ["run", "motorcycle", "-o", "out.h5"]
EXPLICIT = ["--set", "method=explicit"]
REFUSED = {
    "unknown case": (["run", "motorcyle"], ["motorcyle", "motorcycle, neumann-heat"]),
    "unknown solver": ([*RUN, "--solver", "jkoo"], ["jkoo", "jko, particles, sgd"]),
    "unknown parameter": ([*RUN, "--param", "rigde=1"], ["rigde", "did you mean 'ridge'"]),
    "unknown setting": ([*RUN, "--set", "cuont=1"], ["cuont", "did you mean 'count'"]),
    "setting of another solver": (["run", "motorcycle", "--set", "shape=8"], ["shape", "count"]),
    "the name of a solver": (
        [*RUN, "--set", "name=sgd"],
        ["name", "count, courant, error_tolerance, method"],
    ),
    "not an assignment": ([*RUN, "--set", "count"], ["count", "name=value"]),
    "given twice": ([*RUN, "--set", "count=1", "--set", "count=2"], ["count", "once"]),
    "parameter of the wrong type": ([*RUN, "--param", "ridge=abc"], ["abc", "a number"]),
    "setting of the wrong type": ([*RUN, "--set", "count=2.5"], ["2.5", "whole number"]),
    "setting out of range": ([*RUN, "--set", "step=-1"], ["-1", "above 0"]),
    "setting that is not a number": ([*RUN, "--set", "step=nan"], ["nan", "finite"]),
    "parameter out of range": ([*RUN, "--param", "scale=0"], ["scale", "above 0"]),
    "seed": ([*RUN, "--seed", "-3"], ["-3", "at least 0"]),
    "seed that is not a number": ([*RUN, "--seed", "x"], ["'x'", "whole number"]),
    "horizon": ([*RUN, "--until", "0"], ["horizon is 0", "above 0"]),
    "save spacing": ([*RUN, "--save-every", "1e-9"], ["1e-09", "larger"]),
    "threads": ([*RUN, "--threads", "0"], ["threads is 0", "at least 1"]),
    "narrow kernel": (
        [*RUN, "--solver", "jko", "--set", "shape=20,20"],
        ["0.75 cells", "use step=", "at least 128 cells"],
    ),
    "unknown method": ([*RUN, "--solver", "jko", "--set", "method=foo"], ["foo", "balanced"]),
    "order": ([*RUN, "--solver", "jko", "--set", "time_order=3"], ["time_order", "at most 2"]),
    "formula of another method": (
        [*RUN, "--solver", "jko", "--set", "formula=bdf2"],
        ["bdf2", "method=lagrangian"],
    ),
    "error tolerance": (
        [*RUN, "--solver", "jko", "--set", "error_tolerance=0"],
        ["error_tolerance", "above 0"],
    ),
    "regularisation of another method": (
        [*RUN, "--solver", "jko", "--set", "method=balanced", "--set", "regularisation=1"],
        ["regularisation", "method=entropic"],
    ),
    "explicit method that adapts": (
        [*RUN, "--solver", "finite-volume", *EXPLICIT, "--set", "error_tolerance=1"],
        ["error_tolerance", "implicit"],
    ),
    "power entropy by particles": (["run", "porous-medium", "--solver", "sgd"], ["power_entropy"]),
    "choice of a parameter": (["run", "tanh-network", "--param", "outer=x"], ["weight, fixed"]),
    "shape with too few entries": ([*RUN, "--solver", "jko", "--set", "shape=20"], ["2 axes"]),
    "missing data": ([*RUN, "--data", "no.csv"], ["no.csv", "No such file"]),
    "folder that is not there": (["run", "motorcycle", "-o", "no/out.h5"], ["no", "make it"]),
    "missing case file": (["run", "no.py"], ["no.py", "does not exist"]),
    "missing results file": (["show", "no.h5"], ["no.h5", "does not exist"]),
    "missing file to plot": (["plot", "no.h5"], ["no.h5", "does not exist"]),
    "neither case nor file": (["show", "nothing"], ["nothing", "neither"]),
    "infinite horizon": ([*RUN, "--param", "horizon=inf"], ["horizon is inf", "finite"]),
    "far horizon": ([*RUN, "--param", "horizon=1e12"], ["horizon is 1000000000000.0", "at most"]),
    "more steps than can be taken": (
        [*RUN, "--set", "step=1e-320"],
        ["9.99989e-321", "longer step"],
    ),
    "more saves than can be held": ([*RUN, "--until", "1e300"], ["1e+300", "million save times"]),
    "temperature that no grid resolves": (
        [*RUN, "--solver", "jko", "--param", "lambda=1e-320"],
        ["no grid resolves", "particles"],
    ),
    "grid that no memory holds": (
        [*RUN, "--solver", "jko", "--param", "lambda=1e-6", "--set", "shape=default"],
        ["longer step", "shape"],
    ),
    "huge scale": ([*RUN, "--param", "scale=1e200"], ["1e+200", "at most"]),
    "folder for a file": (["plot", "."], ["'.'", "folder"]),
    "device for a file": (["run", "motorcycle", "-o", "/dev/null", "--force"], ["regular file"]),
    "compare one": (["compare", "no.h5"], ["no.h5"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_gets_one_sentence_and_exit_code_two(name: str, capsys, folder) -> None:
    command, parts = REFUSED[name]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert_sentence(err, parts)
    assert out == ""
    assert list(folder.iterdir()) == []


def assert_sentence(err: str, parts: list[str]) -> None:
    assert err.startswith("wgflow: ") and err.endswith((".\n", "?\n"))
    assert err.count("\n") == 1 and "Traceback" not in err
    for part in parts:
        assert part in err


DATA = {
    "x and y of different length": ({"x": [1.0, 2.0], "y": [1.0]}, ["2 rows of x", "1 rows of y"]),
    "NaN": ({"x": [1.0, np.nan], "y": [1.0, 2.0]}, ["x hold nan in row 1", "finite"]),
    "infinity": ({"x": [1.0, 3.0], "y": [np.inf, 2.0]}, ["y hold inf in row 0", "finite"]),
    "empty": ({"x": np.zeros((0, 1)), "y": np.zeros(0)}, ["empty"]),
    "no y": ({"x": [1.0]}, ["no array 'y'"]),
    "text": ({"x": ["a", "b"], "y": [1.0, 2.0]}, ["x", "not an array of numbers"]),
    "three axes": ({"x": np.zeros((2, 2, 2)), "y": [1.0, 2.0]}, ["(2, 2, 2)"]),
    "constant column": ({"x": [1.0, 1.0], "y": [1.0, 2.0]}, ["constant"]),
    "too many columns": ({"x": np.eye(3), "y": [1.0, 2.0, 4.0]}, ["circle chart", "one column"]),
}


@pytest.mark.parametrize("name", DATA)
def test_bad_data_are_refused(name: str, capsys) -> None:
    arrays, parts = DATA[name]
    np.savez("own.npz", **{key: np.asarray(value) for key, value in arrays.items()})
    assert main([*RUN, "--data", "own.npz"]) == 2
    assert_sentence(capsys.readouterr().err, parts)
    assert not pathlib.Path("out.h5").exists()


def test_bad_tables_are_refused(capsys) -> None:
    for text, parts in (("", ["empty"]), ("x,y\n1,2\n3,abc\n", ["Line 3", "abc"])):
        pathlib.Path("own.csv").write_text(text)
        assert main([*RUN, "--data", "own.csv"]) == 2
        assert_sentence(capsys.readouterr().err, parts)


@pytest.mark.parametrize("command", ["show", "plot", "compare"])
def test_unreadable_truncated_and_foreign_files_are_refused(
    command: str, results: list[str], capsys, folder
) -> None:
    whole = pathlib.Path(results[1]).read_bytes()
    pathlib.Path("truncated.h5").write_bytes(whole[: len(whole) // 2])
    pathlib.Path("text.h5").write_text("not HDF5 at all")
    with h5py.File("foreign.h5", "w") as file:
        file["risk"] = [1.0]
    pathlib.Path("folder.h5").mkdir()
    before = sorted(folder.iterdir())
    names = {"truncated.h5": "read", "text.h5": "not an HDF5", "foreign.h5": "not a results file"}
    for name, reason in {**names, "folder.h5": "is a folder"}.items():
        assert main([command, name, *([results[0]] if command == "compare" else [])]) == 2
        assert_sentence(capsys.readouterr().err, [name, reason])
    assert sorted(folder.iterdir()) == before


def test_an_existing_output_is_refused_and_kept(results: list[str], capsys) -> None:
    before = pathlib.Path(results[1]).read_bytes()
    assert main(["run", "motorcycle", *QUICK, "-o", results[1]]) == 2
    assert_sentence(capsys.readouterr().err, [results[1], "exists already", "--force"])
    pathlib.Path("figure.png").write_text("mine")
    for command in (
        ["compare", *results, "--plot", "figure.png"],
        ["plot", results[0], "-o", "figure.png"],
    ):
        assert main(command) == 2
        assert_sentence(capsys.readouterr().err, ["figure.png", "exists already"])
    assert pathlib.Path("figure.png").read_text() == "mine"
    assert pathlib.Path(results[1]).read_bytes() == before


def test_a_figure_of_an_unknown_kind_is_refused(results: list[str], capsys) -> None:
    assert main(["plot", results[0], "-o", "figure.xyz"]) == 2
    assert_sentence(capsys.readouterr().err, [".xyz", ".png, .pdf or .svg"])


HEAD = (
    "import wgflow as wg\n"
    "SOURCE, CHECKS, SOLVERS = '', (), {'particles': wg.ParticleFlow()}\n"
    "def problem():\n    return None\n"
)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (HEAD, ["returned None"]),
        (HEAD + "def problem():\n    return [][1]\n", ["line 6", "IndexError"]),
    ],
)
def test_a_case_file_whose_problem_fails_is_refused(body: str, parts: list[str], capsys) -> None:
    pathlib.Path("mine.py").write_text(body)
    assert main(["run", "mine.py"]) == 2
    assert_sentence(capsys.readouterr().err, ["mine.py", *parts])
    assert not list(pathlib.Path().glob("*.h5"))


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("x = 1 / 0\n", ["line 1", "ZeroDivisionError"]),
        ("def problem(:\n", ["line 1", "SyntaxError"]),
        ("import no_such_module\n", ["no_such_module"]),
        ("SOLVERS = {}\n", ["does not define 'SOURCE'"]),
        (HEAD.replace("{'particles': wg.ParticleFlow()}", "{}"), ["at least one solver"]),
        (HEAD + "problem = 3\n", ["a function problem"]),
        (HEAD + "def problem(depth):\n    return None\n", ["'depth'", "no default"]),
    ],
)
def test_a_broken_case_file_is_refused(body: str, parts: list[str], capsys) -> None:
    pathlib.Path("mine.py").write_text(body)
    for command in (["run", "mine.py"], ["show", "mine.py"]):
        assert main(command) == 2
        assert_sentence(capsys.readouterr().err, ["mine.py", *parts])


@pytest.mark.parametrize("command", [["rnu"], [], ["run"], ["run", "motorcycle", "--sed", "1"]])
def test_usage_errors_are_one_sentence(command: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--help" in err
