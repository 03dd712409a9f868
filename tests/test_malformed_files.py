"""Malformed data files and case files: one sentence each, and nothing unpickled or left."""

import os
import pathlib
import re
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from refusal import refused

import wgflow as wg
from wgflow.cli import main

RUN = ["run", "motorcycle", "-o", "out.h5"]
LONG = "a" * 100_000


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def archive(**arrays: object) -> Callable[[pathlib.Path], None]:
    return lambda path: np.savez(path, **{name: np.asarray(held) for name, held in arrays.items()})


def text(content: str | bytes) -> Callable[[pathlib.Path], None]:
    return lambda path: path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def member(name: str, content: bytes, **how: int) -> Callable[[pathlib.Path], None]:
    """Return what writes a zip archive of one member."""

    def write(path: pathlib.Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, content, **how)

    return write


def header(shape: str, kind: str = "'<f8'") -> bytes:
    """Return the header of an array in a file of NumPy, which declares any shape and type."""
    told = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(told)) + told


def bomb(path: pathlib.Path) -> None:
    """A gigabyte of zeros in a megabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name in ("x.npy", "y.npy"):
            with file.open(name, "w", force_zip64=True) as stream:
                stream.write(header("(134217728,)"))
                for _ in range(2):
                    stream.write(bytes(2**20))


class Runs:
    """What writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Callable, tuple]:
        return (os.system, ("touch EVIL",))


GOOD = [0.0, 1.0, 2.0]
DATA: dict[str, tuple[str, Callable[[pathlib.Path], object], str]] = {
    "objects": ("x.npz", archive(x=np.array([Runs(), 1], object), y=GOOD), "cannot be read: "),
    "pickle": ("x.npz", text(b"\x80\x04cos\nsystem\n(S'touch EVIL'\ntR."), "cannot be read: "),
    "one array": (
        "x.npz",
        lambda p: p.write_bytes(header("(3, 3)") + bytes(72)),
        "one array without a name",
    ),
    "no x": ("x.npz", archive(y=GOOD), "no array 'x'"),
    "no y": ("x.npz", archive(x=GOOD), "no array 'y'"),
    "nothing": ("x.npz", archive(), "no array 'x'.* but holds nothing"),
    "more x than y": ("x.npz", archive(x=GOOD, y=[1.0]), "3 rows of x but 1 rows of y"),
    "empty": ("x.npz", archive(x=[], y=[]), "empty"),
    "no columns": ("x.npz", archive(x=np.zeros((3, 0)), y=GOOD), "no columns"),
    "a number": ("x.npz", archive(x=1.0, y=1.0), r"shape \(\), but must be"),
    "three axes": ("x.npz", archive(x=np.zeros((3, 1, 1)), y=GOOD), r"shape \(3, 1, 1\)"),
    "NaN": ("x.npz", archive(x=[0.0, np.nan, 1.0], y=GOOD), "x hold nan in row 1"),
    "infinity": ("x.npz", archive(x=GOOD, y=[0.0, np.inf, 1.0]), "y hold inf in row 1"),
    "complex": ("x.npz", archive(x=np.array(GOOD) * 1j, y=GOOD), "not an array of numbers"),
    "words": ("x.npz", archive(x=["a", "b", "c"], y=GOOD), "not an array of numbers"),
    "records": ("x.npz", archive(x=np.zeros(3, "f8,i4"), y=GOOD), "not an array of numbers"),
    "dates": ("x.npz", archive(x=np.zeros(3, "M8[s]"), y=GOOD), "not an array of numbers"),
    "constant": ("x.npz", archive(x=[1.0] * 3, y=GOOD), "Column 0 of x is constant"),
    "negative weights": (
        "x.npz",
        archive(x=GOOD, y=GOOD, weight=[-1, 1, 1]),
        "finite numbers >= 0",
    ),
    "no weight": ("x.npz", archive(x=GOOD, y=GOOD, weight=[0, 0, 0]), "not all zero"),
    "fewer weights": ("x.npz", archive(x=GOOD, y=GOOD, weight=[1, 1]), "must be 3 finite numbers"),
    "weights of words": ("x.npz", archive(x=GOOD, y=GOOD, weight=["a"] * 3), "3 finite numbers"),
    "two inputs": ("x.npz", archive(x=np.eye(3)[:, :2], y=GOOD), "circle chart"),
    "huge": ("x.npz", archive(x=[0.0, 1e308, -1e308], y=GOOD), "x .*too large|finite"),
    "no archive": ("x.npz", text("x,y\n1,2\n"), "cannot be read"),
    "empty archive": ("x.npz", text(""), "cannot be read"),
    "cut archive": ("x.npz", text(b"PK\x03\x04" + bytes(30)), "cannot be read"),
    "member of text": ("x.npz", member("x.npy", b"no array"), "no array 'y'|cannot be read"),
    "header that is code": (
        "x.npz",
        member("x.npy", header("__import__('os').system('touch EVIL')")),
        "cannot be read",
    ),
    "header without end": ("x.npz", member("x.npy", header("(" * 5000)), "cannot be read"),
    "declared only": ("x.npz", member("x.npy", header("(1000000000000,)")), "cannot be read"),
    "negative shape": ("x.npz", member("x.npy", header("(-3,)")), "cannot be read"),
    "bomb": ("x.npz", bomb, "cannot be read"),
    "path in an archive": ("x.npz", member("../../x.npy", header("(0,)")), "no array 'x'"),
    "empty table": ("x.csv", text(""), "is empty"),
    "blank lines": ("x.csv", text("\n\n\n"), "is empty"),
    "header only": ("x.csv", text("x,y\n"), "empty"),
    "one column": ("x.csv", text("1\n2\n"), "one column"),
    "unequal rows": ("x.csv", text("x,y\n1,2\n3\n"), "Line 3 .* has 1 fields, but 2"),
    "more fields": ("x.csv", text("x,y\n1,2\n3,4,5\n"), "Line 3 .* has 3 fields"),
    "word in a table": ("x.csv", text("x,y\n1,2\n3,abc\n"), "Line 3 .* 'abc', which is not"),
    "empty field": ("x.csv", text("x,y\n1,2\n3,\n"), "Line 3 .* holds ''"),
    "NaN in a table": ("x.csv", text("x,y\n1,nan\n2,3\n"), "Line 2 .* 'nan', but every value"),
    "infinity in a table": ("x.csv", text("x,y\n1,1e400\n2,3\n"), "Line 2 .* '1e400', but"),
    "underscores": ("x.csv", text("x,y\n1_000,2\n2,3\n"), "'1_000', which is not a number"),
    "semicolons": ("x.csv", text("x;y\n1;2\n3;4\n"), "one column"),
    "tabs": ("x.csv", text("x\ty\n1\t2\n3\t4\n"), "one column"),
    "decimal commas": ("x.csv", text("x,y\n1,5,2,5\n"), "Line 2 .* has 4 fields"),
    "one row": ("x.csv", text("x,y\n1,2\n"), "constant"),
    "two weights only": ("x.csv", text("weight,y\n1,2\n1,3\n"), "no column of inputs"),
    "not UTF-8": ("x.csv", text(b"x,y\n\xff,\xfe\n"), "cannot be read"),
    "UTF-16": ("x.csv", text("x,y\n1,2\n3,4\n".encode("utf-16")), "cannot be read"),
    "zero bytes": ("x.csv", text(b"x,y\n1,\x00\n"), "cannot be read|not a number"),
    "no table": ("x.csv", text(bytes(range(256))), "cannot be read|not a number"),
    "open quote": ("x.csv", text('x,y\n"1,2\n3,4\n' + "5,6\n" * 50_000), "fields|cannot be read"),
    "long word": ("x.csv", text(f"x,y\n1,2\n3,{LONG}\n"), "Line 3"),
    "text file": ("x.txt", text("x,y\n1,2\n3,4\n"), "ends in '.txt', but must be"),
    "no ending": ("x", text("x,y\n1,2\n3,4\n"), "ends in '', but must be"),
    "folder": ("x.csv", lambda path: path.mkdir(), "cannot be read: Is a directory"),
    "pipe": ("x.csv", lambda path: os.mkfifo(path), "not a regular file"),
    "missing": ("x.csv", lambda path: None, "No such file"),
    "long name": ("a" * 300 + ".csv", lambda path: None, "name too long"),
}


@pytest.mark.parametrize("name", DATA)
def test_malformed_data_are_refused(name: str, folder: pathlib.Path, capsys) -> None:
    file, make, words = DATA[name]
    make(folder / file)
    with pytest.raises(wg.InputError, match=words):
        wg.get_case("motorcycle", data=file)
    refused([*RUN, "--data", file], capsys)
    assert not pathlib.Path("EVIL").exists()


HEAD = "import wgflow as wg\nSOURCE, CHECKS, SOLVERS = '', (), {'particles': wg.ParticleFlow()}\n"
PROBLEM = HEAD + "def problem():\n    "
CASES: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "does not define 'SOURCE'"),
    "a comment": ("# nothing\n", "does not define 'SOURCE'"),
    "a print": ("print('hello')\n", "does not define 'SOURCE'"),
    "syntax": ("def problem(:\n", "SyntaxError"),
    "indentation": ("  x = 1\n y = 2\n", "IndentationError"),
    "tabs and blanks": ("if 1:\n\tx = 1\n        y = 2\n", "TabError"),
    "zero byte": (b"x = 1\x00\n", "SyntaxError|ValueError"),
    "not UTF-8": (b"x = '\xff'\n", "SyntaxError|UnicodeDecodeError"),
    "no Python": (bytes(range(128, 256)), "SyntaxError|UnicodeDecodeError"),
    "unknown encoding": ("# coding: nothing\n", "SyntaxError|LookupError"),
    "brackets without end": ("(" * 10_000, "SyntaxError|MemoryError|RecursionError"),
    "division by zero": ("1 / 0\n", "line 1: ZeroDivisionError"),
    "missing module": ("import no_such_module\n", "no_such_module"),
    "missing name": ("import wgflow as wg\nwg.Nothing\n", "line 2: AttributeError"),
    "exit": ("raise SystemExit\n", "line 1: SystemExit"),
    "exit with a code": ("import sys\nsys.exit(0)\n", "line 2: SystemExit: 0"),
    "recursion": ("def f():\n    f()\nf()\n", "RecursionError"),
    "memory": ("x = bytearray(10**18)\n", "line 1: MemoryError"),
    "error over two lines": ("raise ValueError('a\\nb')\n", "ValueError: a b"),
    "error without words": ("raise ValueError\n", "line 1: ValueError"),
    "error that cannot be printed": (
        "class E(Exception):\n    def __str__(self):\n        return 1 / 0\nraise E\n",
        "line 4: E",
    ),
    "error with an escape": ("raise ValueError('\\x1b[2J')\n", r"ValueError: \\x1b\[2J"),
    "own input error": (HEAD + "raise wg.InputError('Mine.')\n", "Mine"),
    "bad setting": (HEAD + "wg.ParticleFlow(step=-1)\n", "step"),
    "no problem": (HEAD, "does not define 'problem'"),
    "no solvers": (
        PROBLEM.replace("{'particles': wg.ParticleFlow()}", "{}") + "pass\n",
        "one solver",
    ),
    "solvers of text": (PROBLEM.replace("wg.ParticleFlow()", "'a'") + "pass\n", "one solver"),
    "problem that is a number": (HEAD + "problem = 3\n", "a function problem"),
    "problem with an argument": (HEAD + "def problem(a):\n    pass\n", "'a' .* has no default"),
    "problem with all arguments": (HEAD + "def problem(*a, **b):\n    pass\n", "no default"),
}
FAILS: dict[str, tuple[str, str]] = {
    "nothing": ("return None\n", "returned None, but must return a Problem"),
    "text": ("return 'problem'\n", "returned 'problem'"),
    "an error": ("return [][1]\n", "line 4: IndexError"),
    "an exit": ("raise SystemExit(0)\n", "line 4: SystemExit"),
    "recursion": ("return problem()\n", "RecursionError"),
    "wrong parts": ("return wg.Problem(1, 2, 3, 4)\n", "energy of a problem is 1"),
    "wrong horizon": (
        "return wg.Problem(wg.Entropy(1.0), wg.Domain(wg.WholeLine()), wg.Gaussian(), -1)\n",
        "horizon is -1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_malformed_case_files_are_refused(name: str, folder: pathlib.Path, capsys) -> None:
    content, words = CASES[name]
    text(content)(folder / "mine.py")
    for command in ("show", "run"):
        if name == "a print":  # which is what it does
            assert main([command, "mine.py"]) == 2
            assert capsys.readouterr().out == "hello\n"
        else:
            assert re.search(words, refused([command, "mine.py"], capsys))


@pytest.mark.parametrize("name", FAILS)
def test_case_files_whose_problem_fails_are_refused(name: str, folder, capsys) -> None:
    content, words = FAILS[name]
    text(PROBLEM + content)(folder / "mine.py")
    assert re.search(words, refused(["run", "mine.py"], capsys))


def test_an_interrupt_in_a_case_file_ends_the_command_like_any_other(capsys) -> None:
    text("raise KeyboardInterrupt\n")(pathlib.Path("mine.py"))
    assert main(["run", "mine.py"]) == 130
    assert [path.name for path in pathlib.Path().iterdir()] == ["mine.py"]
