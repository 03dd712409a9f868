"""Laws of the domain: folding, grids, the description in files, and what is refused."""

import json
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from wgflow.domain import RESERVED, Axis, Circle, Domain, Interval, WholeLine
from wgflow.errors import InputError

EPSILON = np.finfo(float).eps
TURNS = range(-8, 9)
"""Images looked through; values lie within five lengths of the axis."""

ends = st.floats(-1e3, 1e3)
lengths = st.floats(1e-3, 1e3)
places = st.floats(-5.0, 5.0)


def rounding(*scales: float) -> float:
    """A few rounding errors of numbers of these sizes."""
    return 16 * EPSILON * max(abs(scale) for scale in scales)


def of_all_sizes(seed: int) -> np.ndarray:
    """Numbers of 1e-6 to 1e3, which differ from the end of an axis by a rounded amount."""
    random = np.random.default_rng(seed)
    return random.choice([-1, 1], 20) * 10 ** random.uniform(-6, 3, 20)


# --- reflection -----------------------------------------------------------------------------


@settings(deadline=None)
@given(ends, lengths, places)
def test_reflection_ends_inside(lower: float, length: float, place: float) -> None:
    axis = Interval(lower, lower + length)
    folded = float(axis.fold(np.array(lower + place * length)))
    assert axis.lower <= folded <= axis.upper


def test_reflection_ends_inside_where_the_length_is_rounded() -> None:
    """Lower + (upper - lower) can exceed the upper end by a rounding error."""
    random = np.random.default_rng(0)
    for _ in range(300):
        lower, upper = np.sort(random.normal(size=2) * 10 ** random.uniform(-3, 3, 2))
        axis = Interval(float(lower), float(upper))
        walls = lower + (upper - lower) * np.arange(-6, 7)
        near = np.concatenate([np.nextafter(walls, -np.inf), walls, np.nextafter(walls, np.inf)])
        folded = axis.fold(near)
        assert folded.min() >= lower
        assert folded.max() <= upper


@settings(deadline=None)
@given(ends, lengths, places)
def test_reflection_is_idempotent_to_the_bit(lower: float, length: float, place: float) -> None:
    axis = Interval(lower, lower + length)
    once = axis.fold(np.array(lower + place * length))
    assert np.array_equal(axis.fold(once), once)


@settings(deadline=None)
@given(ends, lengths, st.integers(0, 2**32))
def test_reflection_keeps_inside_points_to_the_bit(lower: float, length: float, seed: int) -> None:
    axis = Interval(lower, lower + length)
    inside = np.clip([*of_all_sizes(seed), axis.lower, axis.upper], axis.lower, axis.upper)
    assert np.array_equal(axis.fold(inside), inside)


@settings(deadline=None)
@given(ends, lengths, places)
def test_reflection_agrees_with_brute_force_images(
    lower: float, length: float, place: float
) -> None:
    """A point has the images lower +- (x - lower) + 2 k L, and one of them is the folded point."""
    axis = Interval(lower, lower + length)
    length = axis.upper - axis.lower
    x = lower + place * length
    images = [lower + sign * (x - lower) + 2 * k * length for sign in (1, -1) for k in TURNS]
    folded = float(axis.fold(np.array(x)))
    assert min(abs(folded - image) for image in images) <= rounding(lower, length, x)


@settings(deadline=None)
@given(ends, lengths, places, places)
def test_reflection_brings_no_two_points_further_apart(
    lower: float, length: float, place: float, other: float
) -> None:
    axis = Interval(lower, lower + length)
    pair = lower + length * np.array([place, other])
    before, after = abs(pair[1] - pair[0]), abs(np.diff(axis.fold(pair))[0])
    assert after <= before + rounding(lower, 10 * length)


def test_reflection_by_hand() -> None:
    values = np.array([[-0.25, 0.0, 0.25], [1.0, 1.25, 2.0], [2.25, 3.5, -1.75]])
    expected = np.array([[0.25, 0.0, 0.25], [1.0, 0.75, 0.0], [0.25, 0.5, 0.25]])
    assert np.array_equal(Interval(0.0, 1.0).fold(values), expected)


# --- wrapping -------------------------------------------------------------------------------


@settings(deadline=None)
@given(ends, lengths, places)
def test_wrapping_ends_in_the_half_open_period(lower: float, length: float, place: float) -> None:
    axis = Circle(period=length, lower=lower)
    folded = float(axis.fold(np.array(lower + place * length)))
    assert lower <= folded < lower + length


@settings(deadline=None)
@given(ends, lengths, st.integers(-4, 4), st.sampled_from([-np.inf, 0.0, np.inf]))
def test_wrapping_at_the_seam_ends_inside(
    lower: float, length: float, turn: int, side: float
) -> None:
    """A value a rounding error below the lower end must not land on the upper end."""
    axis = Circle(period=length, lower=lower)
    seam = np.array(lower + turn * length)
    folded = float(axis.fold(np.nextafter(seam, side) if side else seam))
    assert lower <= folded < lower + length


@settings(deadline=None)
@given(ends, lengths, places)
def test_wrapping_is_idempotent_to_the_bit(lower: float, length: float, place: float) -> None:
    axis = Circle(period=length, lower=lower)
    once = axis.fold(np.array(lower + place * length))
    assert np.array_equal(axis.fold(once), once)


@settings(deadline=None)
@given(ends, lengths, st.integers(0, 2**32))
def test_wrapping_keeps_inside_points_to_the_bit(lower: float, length: float, seed: int) -> None:
    axis = Circle(period=length, lower=lower)
    below = np.nextafter(lower + length, -np.inf)
    inside = np.clip([*of_all_sizes(seed), lower, below], lower, below)
    assert np.array_equal(axis.fold(inside), inside)


@settings(deadline=None)
@given(ends, lengths, places)
def test_wrapping_agrees_with_brute_force_images(lower: float, length: float, place: float) -> None:
    """A point has the images x + k period; at the seam the two ends are one point."""
    axis = Circle(period=length, lower=lower)
    x = lower + place * length
    folded = float(axis.fold(np.array(x)))
    assert min(abs(folded - x - k * length) for k in TURNS) <= rounding(lower, length, x)


def test_the_default_circle_is_minus_pi_to_pi() -> None:
    assert Circle().window == (-math.pi, math.pi)
    assert Circle().fold(np.array([3.5]))[0] == pytest.approx(3.5 - 2 * math.pi, rel=1e-14)


# --- the product ----------------------------------------------------------------------------


def test_each_axis_is_folded_by_its_own_rule() -> None:
    domain = Domain(Interval(0.0, 1.0), Circle(period=2.0, lower=0.0), WholeLine())
    points = np.array([[1.25, 2.5, 1e9], [-0.5, -0.5, -3.0]])
    before = points.copy()
    expected = np.array([[0.75, 0.5, 1e9], [0.5, 1.5, -3.0]])
    assert np.array_equal(domain.fold(points), expected)
    assert np.array_equal(points, before), "the points given are not changed"
    assert domain.periodic == (False, True, False)
    assert domain.dimension == 3


def test_folding_no_points_returns_none() -> None:
    assert Domain(Interval(0, 1), Circle()).fold(np.empty((0, 2))).shape == (0, 2)


def test_names_by_default() -> None:
    assert Domain(Circle()).names == ("theta",)
    assert Domain(Circle(), WholeLine()).names == ("theta_0", "theta_1")


# --- grids ----------------------------------------------------------------------------------


def test_grids_are_uniform_between_the_ends() -> None:
    axes = (Interval(-1.0, 2.0), Circle(period=3.0, lower=0.5), WholeLine(window=(-4.0, 4.0)))
    edges = Domain(*axes).grid((6, 5, 2))
    assert [len(edge) for edge in edges] == [7, 6, 3]
    for axis, edge in zip(axes, edges, strict=True):
        assert axis.window is not None
        assert (edge[0], edge[-1]) == axis.window
        assert np.ptp(np.diff(edge)) <= rounding(*axis.window)


def test_grids_take_numpy_integers() -> None:
    assert len(Domain(Circle()).grid(np.array([8]))[0]) == 9


# --- the description ------------------------------------------------------------------------

DOMAINS = (
    Domain(Interval(-1.5, 2)),
    Domain(Circle(), names=("angle",)),
    Domain(WholeLine()),
    Domain(WholeLine(window=(-6.0, 6.0)), Circle(period=0.1, lower=3), names=("a", "v")),
)


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_a_description_survives_json_and_gives_the_same_domain(domain: Domain) -> None:
    again = Domain.from_description(json.loads(json.dumps(domain.describe())))
    assert again.axes == domain.axes
    assert again.names == domain.names
    assert again.describe() == domain.describe()


def test_reading_a_description_does_not_change_it() -> None:
    rows = DOMAINS[3].describe()
    before = json.dumps(rows)
    Domain.from_description(rows)
    assert json.dumps(rows) == before


@pytest.mark.parametrize(
    "rows",
    [
        [{"name": "a", "kind": "Torus"}],
        [{"kind": "Circle"}],
        [{"name": "a"}],
        [{"name": "a", "kind": "Interval", "lower": 0.0}],
        [{"name": "a", "kind": "Interval", "lower": 0.0, "upper": -1.0}],
        [{"name": "a", "kind": "Circle", "radius": 1.0}],
        [{"name": "a", "kind": "WholeLine", "window": 3}],
        [{"name": "a", "kind": "WholeLine", "window": [1, 2, 3]}],
        ["a"],
        [None],
        None,
    ],
)
def test_a_foreign_description_is_refused(rows: list) -> None:
    with pytest.raises(InputError, match="description of the domain cannot be read"):
        Domain.from_description(rows)


# --- refusals -------------------------------------------------------------------------------


def named(*names: object) -> Domain:
    return Domain(*(Circle() for _ in names), names=names)


REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: Interval(1.0, 1.0), "upper end of an interval is 1.0, but must be .* above 1"),
    (lambda: Interval(2.0, 1.0), "upper end of an interval is 1.0, but must be .* above 2"),
    (lambda: Interval(math.nan, 1.0), "lower end of an interval is nan, but must be a finite"),
    (lambda: Interval(0.0, math.inf), "upper end of an interval is inf, but must be a finite"),
    (lambda: Interval("0", 1.0), "lower end of an interval is '0', but must be a finite number"),
    (lambda: Interval(False, 1.0), "lower end of an interval is False, but must be a finite"),
    (lambda: Circle(period=0.0), "period of a circle is 0.0, but must be .* above 0"),
    (lambda: Circle(period=-1.0), "period of a circle is -1.0, but must be .* above 0"),
    (lambda: Circle(lower=math.inf), "lower end of a circle is inf, but must be a finite"),
    (lambda: WholeLine(window=(1.0, 0.0)), "upper end of a window is 0.0, but must be .* above 1"),
    (lambda: WholeLine(window=(math.nan, 0.0)), "lower end of a window is nan, but must be"),
    (lambda: WholeLine(window=3.0), r"window of .* is 3.0, but must be .*lower, upper"),
    (lambda: WholeLine(window=(0, 1, 2)), r"window of .* is \(0, 1, 2\), but must be"),
    (lambda: Domain(), "at least one axis; none was given"),
    (lambda: Domain((0.0, 1.0)), r"Interval, Circle and WholeLine axes, not of \(0.0, 1.0\)"),
    (lambda: Domain(Circle), "Interval, Circle and WholeLine axes, not of <class"),
    (lambda: Domain(Circle(), names=("a", "b")), r"names \('a', 'b'\) do not fit 1 axes; give"),
    (lambda: named("a", "a"), r"names \('a', 'a'\) do not fit 2 axes; give one distinct name"),
    (lambda: named("two words"), "cannot be named 'two words'; use a word of letters"),
    (lambda: named(""), "cannot be named ''; use a word"),
    (lambda: named("1st"), "cannot be named '1st'; use a word"),
    (lambda: named("a/b"), "cannot be named 'a/b'; use a word"),
    (lambda: named(3), "cannot be named 3; use a word"),
    (lambda: Domain(Circle()).grid((4, 4)), r"grid shape \(4, 4\) has 2 .* 1 axes \(theta\); give"),
    (lambda: Domain(Circle()).grid(()), r"grid shape \(\) has 0 entries.*give one number an axis"),
    (lambda: Domain(Circle()).grid((1,)), "cells on axis 'theta' is 1, .* at least 2"),
    (lambda: Domain(Circle()).grid((4.0,)), "cells on axis 'theta' is 4.0, .* whole number"),
    (lambda: Domain(Circle()).grid(5), "grid shape 5 .*one number an axis"),
    (lambda: Domain(WholeLine()).grid((4,)), r"Axis 'theta' is unbounded .* WholeLine\(window="),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS, ids=[m for _, m in REFUSALS])
def test_what_is_refused_is_named_with_its_remedy(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_of_the_results_file_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"cannot be named '{name}'; use a word")):
        named(name)


@pytest.mark.parametrize("name", ["a_edge", "a_vertex", "energy_ridge"])
def test_names_that_the_results_file_makes_are_refused(name: str) -> None:
    """Each axis gets `<axis>_edge` along `<axis>_vertex`, each term `energy_<term>`."""
    with pytest.raises(InputError, match=f"cannot be named '{name}'"):
        named("a", name)


AXES = (Interval(0, 1), Circle(), WholeLine(), WholeLine(window=(-1, 1)))


@pytest.mark.parametrize("axis", AXES, ids=repr)
def test_axes_are_values(axis: Axis) -> None:
    """Equal settings make equal, hashable axes that cannot be changed."""
    assert axis == type(axis)(**vars(axis))
    assert len({axis, type(axis)(**vars(axis))}) == 1
    with pytest.raises(AttributeError):
        axis.window = (0.0, 2.0)  # type: ignore[misc,union-attr]
