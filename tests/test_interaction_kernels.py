"""Laws of the named kernels of interactions: forces, closed forms, convexity, precision, ranks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from random_laws import cloud

from wgflow.communicator import Communicator
from wgflow.energy import Interaction
from wgflow.energy.pair_sums import BlockSums
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure, Particles


def yukawa(q: float) -> float:
    return math.exp(-math.sqrt(q)) / math.sqrt(q)


def yukawa_slope(q: float) -> float:
    r = math.sqrt(q)
    return -math.exp(-r) * (1 + r) / (2 * r**3)


TORUS = (1.0, 2 / 2, 2 / 3, 2 / 4, 2 / 5, 2 / 6)
KERNELS = {
    "quadratic": Interaction.quadratic(-0.8),
    "logarithmic": Interaction.logarithmic(0.9),
    "root": Interaction.power(1.3, 0.5),
    "distance": Interaction.power(1.3, 1.0),
    "pole": Interaction.power(-0.6, -0.5),
    "gaussian": Interaction.gaussian(1.4, 0.6),
    "morse": Interaction.morse(1.0, 0.4, 0.5, 1.2),
    "radial": Interaction.radial(yukawa, yukawa_slope, singular=True),
    "trigonometric": Interaction.trigonometric(TORUS, 0.3, 4.0),
}
COMPILED = ["logarithmic", "root", "pole", "gaussian", "morse"]


def value(term: Interaction, measure: Measure) -> float:
    return term.value(term.couple(measure))


# --- forces ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KERNELS)
def test_forces_are_derivatives_of_the_energy(name: str) -> None:
    """A particle of mass m_j feels the derivative of F in x_j divided by m_j."""
    term, law = KERNELS[name], cloud(1, 6, weighted=True, dimension=2)
    gradient = term.gradient(law.points, term.couple(law))
    for index in np.ndindex(law.position.shape):
        shift = np.zeros_like(law.position)
        shift[index] = 1e-6
        up, down = (value(term, Particles(law.position + s, law.mass)) for s in (shift, -shift))
        slope = (up - down) / 2e-6 / law.mass[index[0]]
        assert slope == pytest.approx(gradient[index], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_sums_are_those_of_the_functions_on_pairs(name: str) -> None:
    """What the grid sees of a kernel is what particles feel, at their own places and elsewhere."""
    term, law = KERNELS[name], cloud(2, 40, weighted=True, dimension=2)
    plain = BlockSums(term.kernel, term.kernel_gradient, term.singular, law.points, law.mass)
    coupling = term.couple(law)
    for points in (law.points, cloud(3, 9, dimension=2).points):
        field, force = plain.field(points), plain.gradient(points)
        assert term.first_variation(points, coupling) == pytest.approx(field, rel=1e-12, abs=1e-13)
        assert term.gradient(points, coupling) == pytest.approx(force, rel=1e-11, abs=1e-12)
    assert value(term, law) == pytest.approx(law.mass @ plain.field(law.points) / 2, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(KERNELS)), st.integers(0, 10**6), st.integers(1, 40))
def test_order_and_place_do_not_matter_and_momentum_is_kept(
    name: str, seed: int, count: int
) -> None:
    term, law = KERNELS[name], cloud(seed, count, weighted=True, dimension=2)
    gradient = term.gradient(law.points, term.couple(law))
    scale = 1e-12 * (1 + np.abs(gradient).max())
    assert law.mass @ gradient == pytest.approx(np.zeros(2), abs=scale)
    order = np.random.default_rng(seed).permutation(count)
    moved = Particles(law.position[order] + np.array([4.0, -8.0]), law.mass[order])
    found = term.gradient(moved.points, term.couple(moved))
    # Two particles that come close make the force sensitive to the rounding of their places.
    assert found == pytest.approx(gradient[order], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("exponent", "dimension"), [(-1.0, 3), (-0.5, 2), (0.5, 2), (1.0, 1), (3.0, 2)]
)
def test_the_virial_of_a_power_is_its_exponent_times_the_energy(
    exponent: float, dimension: int
) -> None:
    """sum_i m_i x_i . grad (W * rho)(x_i) = p F, as F is homogeneous of degree p."""
    term = Interaction.power(1.7, exponent)
    law = cloud(4, 30, weighted=True, dimension=dimension)
    coupling = term.couple(law)
    virial = law.mass @ (law.points * term.gradient(law.points, coupling)).sum(axis=1)
    assert virial == pytest.approx(exponent * term.value(coupling), rel=1e-12)


def test_moments_lose_nothing_far_from_zero() -> None:
    """Exact binary fractions, so that the places themselves are the same before and after."""
    term = Interaction.quadratic(1.7)
    position = np.random.default_rng(0).integers(-64, 64, (50, 2)) / 64
    near, far = Particles(position), Particles(position + 2.0**30)
    found = term.gradient(far.points, term.couple(far))
    assert found == pytest.approx(term.gradient(near.points, term.couple(near)), abs=1e-14)
    assert value(term, far) == pytest.approx(value(term, near), rel=1e-14)


# --- closed forms on grids ------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 2])
def test_a_gaussian_of_a_gaussian_law(dimension: int) -> None:
    """F = s/2 (l^2 / (l^2 + 2 sigma^2))^(D/2) for the law N(0, sigma^2 I)."""
    edge, deviation, length = np.linspace(-4, 4, 161), 0.5, 0.7
    centre = (edge[1:] + edge[:-1]) / 2
    one = np.exp(-(centre**2) / (2 * deviation**2))
    law = one / one.sum() if dimension == 1 else np.multiply.outer(one, one) / one.sum() ** 2
    found = value(Interaction.gaussian(3.0, length), GridMeasure([edge] * dimension, law))
    ratio = length**2 / (length**2 + 2 * deviation**2)
    assert found == pytest.approx(1.5 * ratio ** (dimension / 2), rel=1e-9)


@pytest.mark.parametrize("exponent", [-0.75, -0.5, -0.25])
def test_a_pole_is_averaged_over_cells(exponent: float) -> None:
    """F = s / (p (p + 1) (p + 2)) for the uniform law on [0, 1], on equal and on unequal cells."""
    term = Interaction.power(-2.0, exponent)
    exact = -2.0 / (exponent * (exponent + 1) * (exponent + 2))
    for edge in (np.linspace(0, 1, 33), np.linspace(0, 1, 33) ** 1.5):
        assert value(term, GridMeasure([edge], np.diff(edge))) == pytest.approx(exact, rel=1e-5)


def test_a_torus_sees_the_modes_of_a_law() -> None:
    """F = s/2 (c_0 + sum_k c_k a_k^2 / 2) for the density (1 + sum_k a_k cos kx) / 2 pi."""
    term = Interaction.trigonometric(TORUS, 3.0)
    edge = np.linspace(-np.pi, np.pi, 129)
    centre = (edge[1:] + edge[:-1]) / 2
    law = (1 + 0.4 * np.cos(centre) + 0.3 * np.cos(3 * centre)) / 128
    exact = 1.5 * (TORUS[0] + TORUS[1] * 0.4**2 / 4 + TORUS[3] * 0.3**2 / 4)
    assert value(term, GridMeasure([edge], law)) == pytest.approx(exact, rel=1e-13)
    assert value(term, Particles(centre[:, np.newaxis], law)) == pytest.approx(exact, rel=1e-13)


def test_many_modes_are_left_to_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    term, law = KERNELS["trigonometric"], cloud(6, 12, dimension=2)
    by_modes = term.gradient(law.points, term.couple(law))
    monkeypatch.setattr("wgflow.energy.pair_kernels.MOST_MODES", 100)
    assert isinstance(term.couple(law).sums, BlockSums)
    assert term.gradient(law.points, term.couple(law)) == pytest.approx(by_modes, abs=1e-13)


# --- convexity ------------------------------------------------------------------------------

CONVEX = {
    "attraction of less than linear range": Interaction.power(-1.0, 0.5),
    "distance": Interaction.power(-1.0, 1.0),
    "pole": Interaction.power(-1.0, -0.5),
    "gaussian": Interaction.gaussian(1.0, 0.2),
    "morse": Interaction.morse(3.0, 0.8, 1.0, 0.5),
    "trigonometric": Interaction.trigonometric(TORUS, period=0.5),
}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(CONVEX)), st.integers(0, 10**6))
def test_kernels_that_are_called_convex_are_convex_along_mixtures(name: str, seed: int) -> None:
    term, random = CONVEX[name], np.random.default_rng(seed)
    assert term.convex
    edges = [np.linspace(0, 1, 9), np.linspace(0, 2, 9)]
    one, two = (random.dirichlet(np.full(64, 0.3)).reshape(8, 8) for _ in range(2))
    middle, first, second = (
        value(term, GridMeasure(edges, m)) for m in ((one + two) / 2, one, two)
    )
    assert middle <= (first + second) / 2 + 1e-13


@pytest.mark.parametrize(
    ("term", "points", "masses"),
    [
        (Interaction.power(1.0, 0.5), (0.0, 1.0), (1, -1)),
        (Interaction.power(1.0, 3.0), (0.0, 1.0), (1, -1)),
        (Interaction.power(-1.0, 3.0), (-1.0, 0.0, 1.0), (1, -2, 1)),
        (Interaction.gaussian(-1.0, 1.0), (0.0, 1.0), (1, -1)),
        (Interaction.morse(1.0, 1.0, 0.9, 0.5), (0.0, 0.01), (1, -1)),
    ],
)
def test_kernels_that_are_called_not_convex_are_not(
    term: Interaction, points: tuple[float, ...], masses: tuple[int, ...]
) -> None:
    """Some masses of total zero have a negative energy."""
    assert term.convex is False
    pairs = np.subtract.outer(points, points).reshape(-1, 1)
    form = term.kernel(pairs).reshape(len(points), -1)
    assert masses @ form @ masses < 0


def test_where_only_a_grid_can_tell() -> None:
    """A Morse kernel whose attraction is weak near by but long, and signs that differ."""
    long = Interaction.morse(1.0, 0.5, 1.0, 1.0)
    assert long.convex is None
    assert Interaction.morse(1.0, 0.5, 0.0, 1.0).convex
    assert Interaction.trigonometric((1.0, -0.5)).convex is None
    assert KERNELS["radial"].convex is None
    assert long.on_grid([np.linspace(0, 0.5, 20)]).positive
    assert not long.on_grid([np.linspace(0, 20, 200)]).positive


# --- precision and ranks --------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPILED)
def test_single_precision_is_single_in_the_sums_alone(name: str) -> None:
    """Far from zero too, as differences are taken before they are rounded."""
    term = KERNELS[name]
    single, double = term.in_precision("single"), term.in_precision("double")
    drawn = cloud(7, 300, weighted=True, dimension=2)
    for shift in (0.0, 1000.0):
        law = Particles(drawn.position + shift, drawn.mass)
        exact = term.gradient(law.points, term.couple(law))
        assert np.array_equal(double.gradient(law.points, double.couple(law)), exact)
        found = single.gradient(law.points, single.couple(law))
        assert 1e-10 < np.abs(found - exact).max() / np.abs(exact).max() < 1e-5
        assert found.dtype == float
        assert value(single, law) == pytest.approx(value(term, law), rel=1e-6)
    assert np.array_equal(single.kernel(drawn.points), term.kernel(drawn.points))
    assert single.describe() == term.describe()


def test_sums_that_are_not_compiled_for_it_stay_double() -> None:
    for name in ("quadratic", "radial", "trigonometric"):
        assert KERNELS[name].in_precision("single") is KERNELS[name]
    with pytest.raises(InputError, match="precision of an interaction is 'half', but must be one"):
        KERNELS["gaussian"].in_precision("half")


class FirstOfTwo(Communicator):
    """The first of two ranks; the rows of the second are known beforehand."""

    size = 2

    def __init__(self, *others: np.ndarray) -> None:
        self.others = {other.shape[1:]: other for other in others}

    def gather(self, rows: np.ndarray) -> np.ndarray:
        return np.concatenate((rows, self.others[rows.shape[1:]]))


@pytest.mark.parametrize("name", ["quadratic", "logarithmic", "trigonometric"])
def test_a_share_of_the_particles_sees_all_of_them(name: str) -> None:
    """Each rank computes at its own particles what one process would, to the bit."""
    term, law = KERNELS[name], cloud(8, 31, weighted=True, dimension=2)
    share = Particles(law.position[:13], law.mass[:13])
    ranks = FirstOfTwo(law.position[13:], law.mass[13:])
    coupling, whole = term.couple(share, ranks), term.couple(law)
    assert term.value(coupling) == term.value(whole)
    for function in (term.gradient, term.first_variation):
        found, expected = function(share.points, coupling), function(law.points, whole)[:13]
        assert found == pytest.approx(expected, rel=0 if name == "logarithmic" else 1e-13)


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("power", (1.0, 0.0), "exponent of an interaction is 0, .* use Interaction.logarithmic"),
        ("power", (np.inf, 1.0), "strength of an interaction is inf"),
        ("gaussian", (1.0, 0.0), "length of an interaction is 0.0, but must be .* above 0"),
        ("morse", (-1.0, 1.0, 1.0, 1.0), "repulsion of an interaction is -1.0"),
        ("morse", (1.0, 1.0, 1.0, -1.0), "attraction_length of an interaction is -1.0"),
        ("trigonometric", ((),), "has no coefficients"),
        ("trigonometric", ((1.0, "a"),), "coefficient of an interaction is 'a'"),
        ("trigonometric", ((1.0,), 1.0, 0.0), "period of an interaction is 0.0"),
        ("radial", (abs, abs), "profile of a radial interaction cannot be compiled"),
        ("radial", (yukawa, yukawa_slope), "profile .* is inf at 0.*singular=True"),
    ],
)
def test_bad_kernels_are_refused(name: str, arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        getattr(Interaction, name)(*arguments)


def test_a_pole_that_is_not_integrable_has_no_grid() -> None:
    edges = [np.linspace(0, 1, 5)] * 2
    with pytest.raises(InputError, match=r"as \|x\|\^-2, which is not integrable in 2 dimensions"):
        Interaction.power(-1.0, -2.0).on_grid(edges)
    assert Interaction.power(-1.0, -1.5).on_grid(edges)


def test_a_kernel_describes_itself() -> None:
    assert {name: term.describe() for name, term in KERNELS.items() if name in COMPILED[2:]} == {
        "pole": {"kind": "Interaction", "power": -0.6, "exponent": -0.5},
        "gaussian": {"kind": "Interaction", "gaussian": 1.4, "length": 0.6},
        "morse": {
            "kind": "Interaction",
            "repulsion": 1.0,
            "repulsion_length": 0.4,
            "attraction": 0.5,
            "attraction_length": 1.2,
        },
    }
