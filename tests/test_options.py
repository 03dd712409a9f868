"""Laws of `name=value` texts: each type's values, and the sentence on each mistake."""

import argparse
from collections.abc import Callable
from typing import Any, Optional

import pytest

import wgflow as wg
from wgflow.errors import InputError
from wgflow.options import check_given, parse, parse_assignments, with_times

KINDS: dict[str, Any] = {
    "step": float,
    "count": int,
    "fresh": bool,
    "loss": str,
    "shape": tuple[int, ...] | None,
    "batch": int | None,
    "momentum": Optional[float],  # noqa: UP045 (the older spelling is understood as well)
    "sides": tuple[int, int],
    "schedule": Callable[[float], float] | None,
}


def assigned(*texts: str) -> dict[str, Any]:
    return parse_assignments(texts, KINDS, "setting", "solver jko")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("step=0.25", 0.25),
        ("step=2", 2.0),
        ("step=1e-3", 1e-3),
        ("step = -0.5 ", -0.5),
        ("count=400", 400),
        ("count=-3", -3),
        ("fresh=true", True),
        ("fresh=YES", True),
        ("fresh=on", True),
        ("fresh=1", True),
        ("fresh=false", False),
        ("fresh=No", False),
        ("fresh=off", False),
        ("fresh=0", False),
        ("loss=half_squared", "half_squared"),
        ("loss = half_squared ", "half_squared"),
        ("loss=a=b", "a=b"),
        ("loss=", ""),
        ("shape=144,76", (144, 76)),
        ("shape= 8 , 9 ", (8, 9)),
        ("shape=8", (8,)),
        ("shape=none", None),
        ("shape=default", None),
        ("sides=1,2", (1, 2)),
        ("batch=32", 32),
        ("batch=None", None),
        ("momentum=0.9", 0.9),
        ("momentum=none", None),
    ],
)
def test_values_have_the_type_of_their_annotation(text: str, value: object) -> None:
    name = text.partition("=")[0].strip()
    held = assigned(text)
    assert held == {name: value}
    assert type(held[name]) is type(value)


def test_several_values_keep_their_order() -> None:
    assert list(assigned("count=4", "step=1", "batch=2")) == ["count", "step", "batch"]
    assert assigned() == {}


def test_entries_of_a_tuple_have_the_annotated_type() -> None:
    assert parse("0.5,2", tuple[float, ...], "It") == (0.5, 2.0)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["step"], "The setting 'step' is not of the form name=value."),
        (["=3"], "The setting '=3' is not of the form name=value."),
        ([""], "The setting '' is not of the form name=value."),
        (["  =3"], "The setting '  =3' is not of the form name=value."),
        (["step=1", "step=1"], "The setting 'step' is given twice; give it once."),
        (
            ["stepp=1"],
            "Unknown setting 'stepp' of solver jko; allowed are batch, count, fresh, loss, "
            "momentum, schedule, shape, sides, step; did you mean 'step'?",
        ),
        (
            ["qqqq=1"],
            "Unknown setting 'qqqq' of solver jko; allowed are batch, count, fresh, loss, "
            "momentum, schedule, shape, sides, step.",
        ),
        (
            ["step=fast"],
            "The setting 'step' of solver jko is 'fast', but must be a number.",
        ),
        (["step="], "The setting 'step' of solver jko is '', but must be a number."),
        (
            ["count=1.5"],
            "The setting 'count' of solver jko is '1.5', but must be a whole number.",
        ),
        (
            ["count=none"],
            "The setting 'count' of solver jko is 'none', but must be a whole number.",
        ),
        (
            ["batch=all"],
            "The setting 'batch' of solver jko is 'all', but must be a whole number.",
        ),
        (
            ["fresh=maybe"],
            "The setting 'fresh' of solver jko is 'maybe', but must be true or false.",
        ),
        (["fresh="], "The setting 'fresh' of solver jko is '', but must be true or false."),
        (
            ["shape=8,x"],
            "An entry of the setting 'shape' of solver jko is 'x', but must be a whole number.",
        ),
        (
            ["shape=8,"],
            "An entry of the setting 'shape' of solver jko is '', but must be a whole number.",
        ),
        (
            ["shape=8x8"],
            "An entry of the setting 'shape' of solver jko is '8x8', but must be a whole number.",
        ),
    ],
)
def test_every_mistake_has_its_sentence(texts: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        assigned(*texts)
    assert str(caught.value) == message


def test_with_nothing_to_set_the_sentence_says_none() -> None:
    with pytest.raises(InputError, match=r"Unknown parameter 'a' of case b; allowed are none\."):
        parse_assignments(["a=1"], {}, "parameter", "case b")


def test_a_union_takes_the_first_of_its_types_that_fits() -> None:
    for text, value in [("3", 3), ("weight", "weight")]:
        assert parse(text, int | str, "It") == value
    with pytest.raises(InputError, match=r"It is 'x', but must be a number\."):
        parse("x", int | float, "It")


def test_an_option_that_is_empty_is_refused_by_its_flag() -> None:
    check_given(argparse.Namespace(output=None, save_every="1", panel=[], case="", quiet=False))
    for empty in ("", " "):
        with pytest.raises(InputError, match=r"The option --save-every is empty; give it a value"):
            check_given(argparse.Namespace(output="a", save_every=empty))


def test_the_end_and_the_saves_are_set_together() -> None:
    problem = wg.get_case("ornstein-uhlenbeck")

    def times(until: str | None, every: str | None) -> tuple[float, ...]:
        return with_times(problem, argparse.Namespace(until=until, save_every=every)).save_times

    assert times(None, None) == problem.save_times
    assert times("1", None) == problem.until(1.0).save_times
    assert times(None, "1") == (0.0, 1.0, 2.0)
    assert times("3e6", "1e6") == (0.0, 1e6, 2e6, 3e6)
    with pytest.raises(InputError, match="--until is 'late', but must be a number"):
        times("late", "1")
    with pytest.raises(InputError, match="--save-every is 'often', but must be a number"):
        times(None, "often")


@pytest.mark.parametrize("names", [("lambda", "temperature"), ("temperature", "lambda")])
def test_a_parameter_given_by_both_its_names_is_named_by_both(names: tuple[str, str]) -> None:
    words = "'temperature' is given twice, once as 'lambda'"
    with pytest.raises(InputError, match=words):
        wg.get_case("ornstein-uhlenbeck", **dict.fromkeys(names, 0.1))
