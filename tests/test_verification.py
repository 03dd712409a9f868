"""Laws of `wg.verify`: what holds passes, what does not is told, and nothing else matters."""

import json
import math
import os
import pathlib
import sys

import numpy as np
import pytest

import wgflow as wg
from wgflow.case import case_from_file
from wgflow.cases import digits
from wgflow.convergence.fan_out import cores
from wgflow.verification import Result, VerificationProgress

HEAD = '''
"""A made-up case."""
import functools
import numpy as np
import wgflow as wg

SOURCE, EQUATION = "made up", "F = 0"
SOLVERS = {"finite-volume": wg.FiniteVolume(step=0.05, shape=(64,))}


def problem(horizon: float = 0.1):
    """Heat between two walls."""
    law = wg.Density(lambda x: 1 + 0.5 * np.cos(np.pi * x[:, 0]), (0.0,), (1.0,))
    return wg.Problem(wg.Entropy(1.0), wg.Domain(wg.Interval(0.0, 1.0)), law, horizon)


def check(quantity, compute, reference=1.0, tolerance=0.1, **more):
    return wg.Check(quantity, compute, reference, tolerance, "exact", "a formula", **more)

'''
STEPS = [0.05, 0.025, 0.0125]
GOOD = """
@functools.cache
def mean(step):
    law = wg.solve(problem(), wg.FiniteVolume(step, (64,))).measure(-1)
    return float(law.mass @ law.points[:, 0])

CHECKS = (
    check("the mean", lambda: mean(0.05), 0.5, 0.1, error=0.05, reason="a guess"),
    check("the mean again", lambda: mean(0.05), 0.5, 0.1),
    check("slow one", lambda: 1, slow=True),
)
"""
BAD = """
def fails(error):
    raise error

CHECKS = (
    check("right", lambda: 1.0),
    check("wrong", lambda: 1.2, error=0.04, reason="the square of the step"),
    check("no number", lambda: float("nan")),
    check("infinite", lambda: float("inf")),
    check("refused", lambda: fails(wg.InputError("The step is 3, but must be 2."))),
    check("broken", lambda: fails(ZeroDivisionError())),
    check("exits", lambda: fails(SystemExit("enough"))),
    check("a text", lambda: "much"),
    check("nothing", lambda: None),
)
"""
RATES = """
CHECKS = (check("one", lambda: 1.0),)
RATES = (
    wg.Rate(
        "finite-volume", "step", (0.05, 0.025, 0.0125), 1.0, 0.2, "implicit Euler",
        reference="successive", quantity="wasserstein",
    ),
    wg.Rate("finite-volume", "step", (0.05, 0.025, 0.0125), 2.0, 0.2, "wishes"),
)
"""
LACKING = """
from wgflow.errors import MissingPackageError

def lacking():
    raise MissingPackageError("This needs POT; run pip install pot.")

CHECKS = (
    check("far", lacking), check("right", lambda: 1.0), check("wrong", lambda: 2.0)
)
"""
STEEP = """
CHECKS = ()
SOLVERS = {"particles": wg.ParticleFlow(count=20, method="euler")}

def problem(power: int = 4):
    well = wg.Potential(lambda x: (x**power).sum(1), lambda x: power * x ** (power - 1))
    return wg.Problem(well, wg.Domain(wg.WholeLine()), wg.Gaussian(1.0, 0.5), 10.0)

RATES = (wg.Rate("particles", "step", (2.0, 0.02, 0.01, 0.005), 1.0, 0.5, "Euler", seeds=2),)
"""


@pytest.fixture
def files(tmp_path: pathlib.Path) -> dict[str, pathlib.Path]:
    """Case files by name."""
    made = {}
    for name, text in {"good": GOOD, "bad": BAD, "rates": RATES}.items():
        made[name] = tmp_path / f"{name}.py"
        made[name].write_text(HEAD + text)
    return made


def plain(found: wg.Verification) -> list[tuple[object, ...]]:
    """Return all but the seconds."""
    return [(r.case, r.check.quantity, repr(r.computed), r.message) for r in found.results]


def test_a_case_that_holds_passes(files) -> None:
    found = wg.verify(files["good"])
    assert found.passed and found.complete and found.failures == []
    assert [r.verdict for r in found.results] == ["pass", "pass"]
    assert found.results[0].computed == found.results[1].computed
    assert found.results[0].difference == found.results[0].computed - 0.5
    # The second one has the run of the first.
    assert found.results[1].seconds < 0.1 * found.results[0].seconds < 0.1 * found.seconds


def test_what_does_not_hold_is_told_and_ends_nothing(files) -> None:
    found = wg.verify(str(files["bad"]))
    verdicts = {r.check.quantity: r.verdict for r in found.results}
    assert list(verdicts.values()) == ["pass", *["fail"] * 3, *["error"] * 5]
    assert not found.passed and found.complete and len(found.failures) == 8
    said = {r.check.quantity: str(r) for r in found.failures}
    assert said["wrong"].endswith(
        "bad.py, wrong is 1.20 and must be 1.00 +- 0.1; the error should be 0.04, the square of "
        "the step."
    )
    assert "refused: The step is 3, but must be 2." in said["refused"]
    assert "broken: ZeroDivisionError" in said["broken"]
    assert "exits: SystemExit: enough" in said["exits"]
    assert "a text: ValueError: could not convert" in said["a text"]
    assert "nothing: TypeError" in said["nothing"]
    assert found.summary.startswith("9 checks over 1 case: 1 pass, 3 fail, 5 error, ")


def test_a_case_whose_package_is_missing_is_skipped_and_says_so_once(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digits._split.cache_clear()
    found = wg.verify("digits", slow=True)
    count = len(found.results)
    assert {r.verdict for r in found.results} == {"skipped"} and count > 8
    assert found.passed and found.complete and found.skipped == found.results
    assert f"over 1 case: 0 pass, 0 fail, {count} skipped, " in found.summary
    told = " ".join(str(found).split())
    assert told.count(f"SKIPPED digits, {count} checks: The case 'digits' needs scikit-learn") == 1
    assert "run pip install 'wgflow[data]'." in told
    held = json.loads(found.to_json())
    assert held["passed"] is True and held["counts"]["skipped"] == count
    assert {e["verdict"] for e in held["results"]} == {"skipped"}
    assert {e["computed"] for e in held["results"]} == {None}


def test_what_fails_beside_a_skipped_check_fails_still(files) -> None:
    """Also where the checks are made in processes of their own."""
    files["good"].write_text(HEAD + LACKING)
    for workers in (1, 2):
        found = wg.verify([files["good"], files["rates"]], workers=workers)
        assert [r.verdict for r in found.results] == ["skipped", "pass", "fail", "pass"]
        assert not found.passed and [r.check.quantity for r in found.failures] == ["wrong"]
        assert found.counts == {"pass": 2, "fail": 1, "error": 0, "skipped": 1, "not run": 0}


def test_a_distance_without_pot_is_skipped(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    laws = [wg.Particles(np.eye(2) + shift) for shift in (0, 1)]
    case = wg.find_case("ornstein-uhlenbeck")
    case.checks = [
        wg.Check("far", lambda: wg.wasserstein(*laws, method="exact"), 1.0, 1.0, "exact", "theory")
    ]
    (result,) = wg.verify(case).results
    assert result.verdict == "skipped" and "needs POT" in result.message


def test_slow_checks_and_rates_are_made_where_they_are_asked_for(files) -> None:
    assert [r.check.quantity for r in wg.verify(files["rates"]).results] == ["one"]
    found = wg.verify([files["good"], files["rates"]], slow=True, workers=1)
    assert [(r.check.quantity, r.verdict) for r in found.results] == [
        ("the mean", "pass"),
        ("the mean again", "pass"),
        ("slow one", "pass"),
        ("one", "pass"),
        ("rate of finite-volume in step", "pass"),
        ("rate of finite-volume in step", "fail"),
    ]
    rates = [r.computed for r in found.results[-2:]]
    study = wg.study(str(files["rates"]), "finite-volume", {"step": STEPS}, workers=1)
    assert rates == [study.slope[-1], study.slope[-1]]


def test_a_rate_whose_runs_do_not_finish_is_an_error(files) -> None:
    """The values that are left may well have the right slope."""
    files["rates"].write_text(HEAD + STEEP)
    result = wg.verify(files["rates"], slow=True).results[0]
    assert result.verdict == "error" and math.isnan(result.computed)
    assert "2 of 2 runs did not finish (diverged" in result.message


def test_the_numbers_do_not_depend_on_the_number_of_workers(files) -> None:
    cases = [files["good"], files["bad"]]
    here = wg.verify(cases, workers=1)
    assert [r.case for r in here.results] == [str(files["good"])] * 2 + [str(files["bad"])] * 9
    assert plain(wg.verify(cases, workers=2)) == plain(here)


def test_a_case_has_one_process_and_one_thread(files) -> None:
    """Where there are as many processes as cores; this one makes no checks then."""
    text = "import os, numba\nasked = os.getpid, numba.get_num_threads, os.getpid\n"
    checks = "CHECKS = tuple(check(str(k), asked[k]) for k in range(3))\n"
    for name in ("good", "bad"):
        files[name].write_text(HEAD + text + checks)
    found = wg.verify([files["good"], files["bad"]], workers=max(2, cores()))
    first, second = ([r.computed for r in found.results[k : k + 3]] for k in (0, 3))
    assert first[0] == first[2] and second[0] == second[2]
    assert os.getpid() not in (first[0], second[0])
    assert first[1] == second[1] == max(1, cores() // 2)


def test_progress_names_the_check_at_hand_and_stops_after_it(files) -> None:
    seen: list[VerificationProgress] = []

    def progress(at: VerificationProgress) -> bool:
        seen.append(at)
        return at.quantity == "no number"

    found = wg.verify(files["bad"], progress=progress)
    begun = [at.quantity for at in seen if at.quantity]
    assert list(dict.fromkeys(begun)) == ["right", "wrong", "no number"]
    assert {at.planned for at in seen} == {9} and seen[-1].case == str(files["bad"])
    assert [r.check.quantity for r in found.results] == ["right", "wrong"]
    assert not found.complete and found.counts["not run"] == 7 and "7 not run" in found.summary


def test_a_request_to_stop_ends_a_check_in_another_process(files) -> None:
    """What is done is kept, of a case that is not finished as well."""
    sleeps = (
        "import time\nCHECKS = (check('quick', lambda: 1), check('long', lambda: time.sleep(60)))\n"
    )
    for name in ("good", "bad"):
        files[name].write_text(HEAD + sleeps)

    def progress(at: VerificationProgress) -> bool:
        return len(at.results) == 2

    found = wg.verify([files["good"], files["bad"]], workers=2, progress=progress)
    assert [r.check.quantity for r in found.results] == ["quick", "quick"]
    assert not found.passed and found.seconds < 40


def test_a_case_object_is_verified_as_it_is(files) -> None:
    case = case_from_file(files["bad"])
    case.checks = case.checks[:1]
    assert wg.verify(case).passed
    assert len(wg.verify([case, files["good"]]).results) == 3
    with pytest.raises(wg.InputError, match="cannot be sent to another process"):
        wg.verify([case, files["good"]], workers=2)


def test_a_case_that_is_given_twice_is_verified_once(files) -> None:
    assert len(wg.verify([files["good"], files["good"]]).results) == 2


def test_the_file_holds_everything_and_is_not_overwritten(files, tmp_path) -> None:
    found = wg.verify([files["good"], files["bad"]], workers=1)
    found.save(tmp_path / "found.json")
    held = json.loads((tmp_path / "found.json").read_text())
    assert held["format"] == "wgflow-verification-1" and held["passed"] is False
    assert held["planned"] == 11 and held["counts"]["pass"] == 3
    assert held["counts"] == {"pass": 3, "fail": 3, "error": 5, "skipped": 0, "not run": 0}
    assert held["versions"]["numpy"]
    wrong = next(entry for entry in held["results"] if entry["quantity"] == "wrong")
    for name, value in {"computed": 1.2, "verdict": "fail", "kind": "exact", "error": 0.04}.items():
        assert wrong[name] == value
    assert [e["computed"] for e in held["results"] if e["verdict"] == "error"] == [None] * 5
    with pytest.raises(wg.FileError, match="exists already"):
        found.save(tmp_path / "found.json")
    found.save(tmp_path / "found.json", replace=True)
    with pytest.raises(wg.FileError, match="must end in .json"):
        found.save(tmp_path / "found.txt")


def test_the_table_has_a_readable_width_and_every_source() -> None:
    checks = [
        wg.Check("words " * 20, lambda: 1.0, 123456.0, 1e-12, "independent", "source " * 40),
        wg.Check("a bell \a and a\nbreak", lambda: 1.0, 0.25, 0.0, "exact", "formula"),
    ]
    results = [Result("one", checks[0], 1.0, 0.1), Result("two", checks[1], 0.25, 0.1)]
    text = str(wg.Verification(results, 2, 0.2))
    assert max(map(len, text.splitlines())) <= 110
    assert text.count("source") == 40 and text.count("words") == 40  # the table and the failure
    assert "\a" not in text and "a bell \\x07 and a break" in text
    assert "0.25" in text and "123456" in text
    assert text.endswith("2 checks over 2 cases: 1 pass, 1 fail, 0 s")


REFUSED = {
    "unknown": ("heet", {}, "Unknown case 'heet'; allowed are"),
    "no file": ("missing.py", {}, "'missing.py' does not exist"),
    "none": ([], {}, "There is no case to verify"),
    "a number": (3, {}, "The cases are 3"),
    "a number in a list": ([3], {}, "A case is 3"),
    "workers": ("ornstein-uhlenbeck", {"workers": 0}, "workers is 0"),
    "slow": ("ornstein-uhlenbeck", {"slow": "yes"}, "'yes', but must be true or false"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_verified_is_refused(name: str) -> None:
    cases, options, text = REFUSED[name]
    with pytest.raises(wg.InputError) as caught:
        wg.verify(cases, **options)
    assert text in str(caught.value)


def test_a_case_without_a_check_to_make_is_refused(files) -> None:
    files["good"].write_text(HEAD + "CHECKS = ()\n")
    with pytest.raises(wg.InputError, match=r"'good.py' has no check to make; give it CHECKS"):
        wg.verify(files["good"], slow=True)
    files["good"].write_text(HEAD + "CHECKS = (check('long', lambda: 1, slow=True),)\n")
    with pytest.raises(wg.InputError, match="slow ones only; ask for those as well"):
        wg.verify(files["good"])
    assert wg.verify(files["good"], slow=True).passed
