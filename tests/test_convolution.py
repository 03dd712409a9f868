"""Laws of the convolution on a grid: it is the sum over pairs of cells, and its sign is known."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import dblquad

from wgflow.convolution import Convolution, DenseForm, difference_table, is_uniform
from wgflow.energy import Interaction
from wgflow.energy.interaction import Kernel
from wgflow.measure import GridMeasure

LOGARITHM = Interaction.logarithmic(1.0)


def mixed(x: np.ndarray) -> np.ndarray:
    """A kernel that is even only as a whole."""
    cross = x[:, 0] * x[:, 1] if x.shape[1] > 1 else 0.0
    return np.exp(-(x**2).sum(axis=1)) + 0.1 * cross


def turning(x: np.ndarray) -> np.ndarray:
    """A kernel of period 3, singular at whole turns."""
    return -np.log(2 * np.abs(np.sin(np.pi * x[:, 0] / 3)))


def law_on(edges: list[np.ndarray], seed: int = 0) -> GridMeasure:
    mass = np.random.default_rng(seed).uniform(size=[len(edge) - 1 for edge in edges])
    return GridMeasure(edges, mass / mass.sum())


def summed(kernel: Kernel, law: GridMeasure) -> np.ndarray:
    pairs = law.points[:, np.newaxis] - law.points
    values = kernel(pairs.reshape(-1, law.dimension)).reshape(len(law.points), -1)
    return (values @ law.mass).reshape(law.shape)


# --- sums over pairs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edges",
    [
        [np.linspace(-1, 2, 8)],
        [np.linspace(-1, 2, 2)],
        [np.linspace(-1, 2, 8), np.linspace(0, 5, 6)],
        [np.linspace(0, 1, 2), np.linspace(-2, 0, 4)],
        [np.linspace(-1, 2, 6), np.linspace(0, 5, 4), np.linspace(-3, -2, 5)],
    ],
)
def test_the_transform_gives_the_sum_over_all_pairs(edges: list[np.ndarray]) -> None:
    law = law_on(edges)
    field = Convolution(difference_table(mixed, edges)).apply(law.mass_on_grid)
    assert field == pytest.approx(summed(mixed, law), abs=1e-14)


def test_a_periodic_kernel_needs_no_wrapping_and_turns_with_the_law() -> None:
    edges = [np.linspace(-1, 2, 13)]
    law = law_on(edges)

    def kernel(x: np.ndarray) -> np.ndarray:
        return np.cos(2 * np.pi * x[:, 0] / 3) - 0.3 * np.cos(4 * np.pi * x[:, 0] / 3)

    form = Convolution(difference_table(kernel, edges))
    field = form.apply(law.mass_on_grid)
    assert field == pytest.approx(summed(kernel, law), abs=1e-14)
    assert form.apply(np.roll(law.mass_on_grid, 5)) == pytest.approx(np.roll(field, 5), abs=1e-14)


def test_a_matrix_serves_cells_of_unequal_width() -> None:
    edges = [np.array([-1.0, -0.7, 0.1, 0.2, 1.5])]
    law = law_on(edges)
    interaction = Interaction(mixed, np.zeros_like)
    assert not is_uniform(edges)
    form = interaction.on_grid(edges)
    assert isinstance(form, DenseForm)
    assert form.apply(law.mass_on_grid) == pytest.approx(summed(mixed, law), abs=1e-14)


# --- means over cells -----------------------------------------------------------------------


def test_means_of_the_logarithm_on_a_line_are_those_of_its_antiderivative() -> None:
    edges = np.linspace(-1, 2, 41)
    exact = LOGARITHM.cell_matrix(edges)[:, 0]
    table = difference_table(LOGARITHM.kernel, [edges], averaged=True)
    assert table[:40] == pytest.approx(exact, abs=1e-7)
    # Two cells of width h: -int int log |x - y| / h^2 = 3/2 - log h within one cell.
    assert exact[0] == pytest.approx(1.5 - np.log(3 / 40), rel=1e-12)


@pytest.mark.parametrize("offset", [(0, 0), (1, 0), (1, 1), (2, 1), (3, 0), (6, 5), (7, 0), (9, 8)])
def test_means_of_the_logarithm_in_the_plane(offset: tuple[int, int]) -> None:
    """By adaptive quadrature of the kernel against the product of two hats."""
    edges = [np.linspace(0, 1, 11), np.linspace(0, 3, 11)]
    found = difference_table(LOGARITHM.kernel, edges, averaged=True)[offset]

    def integrand(v: float, u: float) -> float:
        x, y = (offset[0] + u) * 0.1, (offset[1] + v) * 0.3
        return -(1 - abs(u)) * (1 - abs(v)) * np.log(np.hypot(x, y))

    quarters = [(a, b) for a in (-1, 0) for b in (-1, 0)]
    exact = sum(dblquad(integrand, a, a + 1, b, b + 1, epsabs=1e-8)[0] for a, b in quarters)
    assert found == pytest.approx(exact, abs=2e-7)


def test_means_of_the_newtonian_kernel_in_space() -> None:
    """Two points of a unit cube are 1.88231264439 inverse lengths apart (a known constant)."""
    kernel = Interaction(
        lambda x: 1 / np.sqrt((x**2).sum(axis=1)), np.zeros_like, singular=True
    ).kernel
    table = difference_table(kernel, [np.linspace(0, 3, 4)] * 3, averaged=True)
    assert table[0, 0, 0] == pytest.approx(1.88231264439, rel=5e-4)
    # Far cells act as their centres do.
    assert table[2, 2, 2] == pytest.approx(1 / np.sqrt(12), rel=1e-2)


def test_a_singular_kernel_on_a_circle_is_singular_at_every_turn() -> None:
    """-log |2 sin(x/2)| = sum_k cos(k x) / k: the field of a density cos x is pi times it."""
    errors = []
    for cells in (24, 48, 96):
        edges = [np.linspace(-1, 2, cells + 1)]
        form = Convolution(difference_table(turning, edges, averaged=True))
        assert form.positive
        mass = np.diff(np.sin(2 * np.pi * edges[0] / 3)) * 3 / (2 * np.pi)
        errors.append(np.abs(form.apply(mass) - 1.5 * mass * cells / 3).max())
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert rates == pytest.approx([2, 2], abs=0.1)


def test_means_of_a_smooth_kernel_agree_with_its_values_to_second_order() -> None:
    """The mean of W over a hat of half-width h is W + h^2 W'' / 12 + O(h^4)."""
    errors = []
    for cells in (20, 40, 80):
        edges = [np.linspace(0, 2, cells + 1)]
        values, means = (difference_table(mixed, edges, averaged=flag) for flag in (False, True))
        x = np.arange(cells) * 2 / cells
        second = (4 * x**2 - 2) * np.exp(-(x**2))
        errors.append(np.abs(means - values)[:cells].max())
        assert means[:cells] - values[:cells] == pytest.approx(
            second / 3 / cells**2, rel=0.02, abs=1e-5
        )
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx([2, 2], abs=0.02)


# --- signs ----------------------------------------------------------------------------------


def wave(*amplitudes: float) -> Kernel:
    def kernel(x: np.ndarray) -> np.ndarray:
        turns = 2 * np.pi * x[:, 0]
        return sum(a * np.cos((k + 1) * turns) for k, a in enumerate(amplitudes))

    return kernel


@pytest.mark.parametrize(
    ("kernel", "positive"),
    [
        (wave(1.0, 0.2), True),
        (wave(1.0, -0.01), False),
        (wave(-1.0), False),
        (lambda x: np.full(len(x), -3.0), True),  # only masses of total zero count
        (lambda x: np.zeros(len(x)), True),
        (lambda x: np.exp(-np.abs(x[:, 0]) * 20), True),
        (lambda x: np.exp(-200 * x[:, 0] ** 2), True),
        (lambda x: np.exp(-(x[:, 0] ** 2)), True),  # longer than the grid
        (lambda x: -(x[:, 0] ** 2), True),
        (lambda x: x[:, 0] ** 2, False),
        (lambda x: -np.exp(-200 * x[:, 0] ** 2), False),
        (lambda x: np.abs(x[:, 0]), False),
    ],
)
def test_the_sign_of_known_kernels(kernel: Kernel, positive: bool) -> None:
    edges = np.linspace(0, 1, 33)
    assert Convolution(difference_table(kernel, [edges])).positive == positive
    assert DenseForm(Interaction(kernel, np.zeros_like).cell_matrix(edges)).positive == positive


def test_the_logarithm_is_positive_on_every_grid() -> None:
    for edges in ([np.linspace(-3, 1, 65)], [np.linspace(0, 1, 17), np.linspace(0, 4, 9)]):
        matrix = np.array(
            [
                Convolution(difference_table(LOGARITHM.kernel, edges, averaged=True))
                .apply(unit.reshape([len(edge) - 1 for edge in edges]))
                .reshape(-1)
                for unit in np.eye(np.prod([len(edge) - 1 for edge in edges]))
            ]
        )
        assert DenseForm(matrix).positive
    assert DenseForm(LOGARITHM.cell_matrix(np.array([0.0, 0.01, 0.5, 0.52, 2.0]))).positive


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=4),
    st.integers(2, 24),
    st.integers(0, 1000),
)
def test_where_the_form_is_called_positive_it_is(
    amplitudes: list[float], cells: int, seed: int
) -> None:
    edges = [np.linspace(0, 1, cells + 1)]
    form = Convolution(difference_table(wave(*amplitudes), edges))
    matrix = np.array([form.apply(unit) for unit in np.eye(cells)])
    change = np.random.default_rng(seed).standard_normal(cells)
    change -= change.mean()
    if form.positive:
        assert change @ form.apply(change) >= -1e-10 * (change @ change)
        assert DenseForm(matrix).positive
    # On a whole turn the test of the transform is sharp.
    lowest = np.linalg.eigvalsh(matrix - matrix.mean())[0]
    assert form.positive == (lowest >= -1e-12 * cells) or abs(lowest) < 1e-9
