"""What a case declares is refused in a sentence where it cannot be right."""

import math

import numpy as np
import pytest

import wgflow as wg
from wgflow.check import KINDS, MARGIN


def check(**changes: object) -> wg.Check:
    given = {
        "quantity": "variance at t = 1",
        "compute": lambda: 1.0,
        "reference": 1.0,
        "tolerance": 0.03,
        "kind": "exact",
        "source": "the heat equation",
    }
    return wg.Check(**{**given, **changes})


def rate(**changes: object) -> wg.Rate:
    given = {
        "solver": "jko",
        "setting": "step",
        "values": (0.2, 0.1),
        "expected": 1.0,
        "tolerance": 0.1,
        "source": "the scheme is of first order",
    }
    return wg.Rate(**{**given, **changes})


def curve(**changes: object) -> wg.Curve:
    return wg.Curve(**{"label": "risk", "x": [0, 1, 2], "y": [3, 2, 1], **changes})


def panel(**changes: object) -> wg.Panel:
    given = {"title": "Risk", "x_label": "t", "y_label": "R", "curves": [curve()]}
    return wg.Panel(**{**given, **changes})


REFUSED = {
    "no words": (check, {"quantity": 3}, ["quantity 3", "needs words"]),
    "no function": (check, {"compute": 1.0}, ["function 1.0", "without arguments"]),
    "no reference": (check, {"reference": math.nan}, ["'variance at t = 1'", "finite number"]),
    "a text as reference": (check, {"reference": "1"}, ["reference", "'1'", "finite number"]),
    "a negative tolerance": (check, {"tolerance": -1.0}, ["tolerance", "at least 0"]),
    "another kind": (check, {"kind": "known"}, ["'known'", ", ".join(KINDS)]),
    "a negative error": (check, {"error": -0.1}, ["error", "at least 0"]),
    "a loose tolerance": (
        check,
        {"error": 0.009},
        ["'variance at t = 1' is 0.03", "at most three times", "0.009"],
    ),
    "one value": (rate, {"values": (0.1,)}, ["jko in step has the values [0.1]", "at least two"]),
    "a loose rate": (rate, {"error": 0.01}, ["'rate of jko in step' is 0.1", "three times"]),
    "no slope": (rate, {"expected": math.inf}, ["reference", "rate of jko in step", "inf"]),
    "x and y": (curve, {"y": [1, 2]}, ["'risk'", "(3,)", "(2,)", "as many numbers"]),
    "a curve in the plane": (curve, {"x": np.eye(3), "y": np.eye(3)}, ["(3, 3)"]),
    "a style": (curve, {"style": "dotted"}, ["'dotted'", "line, dashed, points"]),
    "a scale": (panel, {"y_scale": "root"}, ["y scale", "'root'", "linear, log"]),
    "no curve": (panel, {"curves": []}, ["'Risk' has no curve", "at least one"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_in_a_sentence(name: str) -> None:
    make, changes, parts = REFUSED[name]
    make()  # which is right without them
    with pytest.raises(wg.InputError) as caught:
        make(**changes)
    text = str(caught.value)
    assert text.endswith(".") and text[0].isupper() and "\n" not in text
    for part in parts:
        assert part in text


def test_a_tolerance_may_be_three_times_the_error_and_no_more() -> None:
    for error in (0.1, 1 / 3, 1e-300, 7e5):
        assert check(error=error, tolerance=MARGIN * error).tolerance == MARGIN * error
        with pytest.raises(wg.InputError):
            check(error=error, tolerance=1.001 * MARGIN * error)


def test_a_rate_is_a_check_of_its_slope() -> None:
    one = rate(error=0.05, reason="measured", slow=False)
    made = one.check(lambda: 0.98)
    assert made.compute() == 0.98 and made.quantity == one.quantity_in_words
    assert (made.reference, made.tolerance, made.kind) == (1.0, 0.1, "exact")
    assert (made.solver, made.source, made.slow) == ("jko", one.source, False)
    assert (made.error, made.reason) == (0.05, "measured")


def test_curves_hold_arrays_of_numbers() -> None:
    one = curve(x=range(3), y=(1, 2, math.nan))
    assert one.x.dtype == one.y.dtype == float and one.x.shape == one.y.shape == (3,)
