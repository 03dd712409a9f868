"""Laws of the sliced and marginal distances, and what cannot be compared."""

import math

import numpy as np
import pytest
from random_laws import CIRCLE, CYLINDER, LINE, PERIOD, cloud

from wgflow import noise
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.transport import marginal_wasserstein, wasserstein

# --- more dimensions ------------------------------------------------------------------------


def rays(seed: int, count: int, dimension: int) -> np.ndarray:
    drawn = noise.generator(seed, noise.Stream.PROJECTION).standard_normal((count, dimension))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_sliced_translation() -> None:
    law, shift = cloud(1, 50, weighted=True, dimension=3), np.array([0.3, -1.2, 0.7])
    distance = wasserstein(law, Particles(law.position + shift, law.mass), directions=20, seed=5)
    expected = math.sqrt(np.mean((rays(5, 20, 3) @ shift) ** 2))
    assert distance == pytest.approx(expected, rel=1e-12)


def test_directions_are_uniform_on_the_sphere() -> None:
    # The mean of <shift, u>^2 over the sphere is |shift|^2 / D, whatever the shift.
    for shift in np.diag([1.0, 2.0, 3.0]):
        first, second = Particles(np.zeros((1, 3))), Particles(shift[None, :])
        square = wasserstein(first, second, directions=4096) ** 2
        assert square == pytest.approx(shift @ shift / 3, rel=0.05)


def test_sliced_ignores_the_order_of_particles() -> None:
    first = cloud(1, 50, weighted=True, dimension=2)
    second = cloud(2, 40, dimension=2)
    order = np.random.default_rng(1).permutation(50)
    shuffled = Particles(first.position[order], first.mass[order])
    expected = wasserstein(first, second)
    assert wasserstein(shuffled, second) == pytest.approx(expected, rel=1e-12)
    assert wasserstein(shuffled, first) == pytest.approx(0.0, abs=1e-12)


def test_sliced_depends_on_the_seed_alone() -> None:
    first, second = cloud(1, 20, dimension=2), cloud(2, 20, dimension=2)
    distances = [wasserstein(first, second, seed=seed) for seed in (3, 3, 4)]
    assert distances[0] == distances[1] != distances[2]


def test_sliced_grid_cells_are_atoms_at_centres() -> None:
    edges = (np.linspace(0, 1, 5), np.linspace(0, 2, 4))
    mass = np.random.default_rng(1).dirichlet(np.ones(12)).reshape(4, 3)
    law, other = GridMeasure(edges, mass), cloud(2, 20, dimension=2)
    atoms = Particles(law.points, law.mass)
    assert wasserstein(law, other) == pytest.approx(wasserstein(atoms, other), rel=1e-13)
    assert wasserstein(law, atoms) == 0.0


def test_sliced_circle_axis_is_embedded() -> None:
    radius = PERIOD / (2 * math.pi)
    angles = np.array([0.2, 1.5])
    places = np.stack([radius * np.cos(angles), radius * np.sin(angles), [0.1, 0.4]], axis=1)
    first = Particles(np.array([[radius * angles[0], 0.1]]))
    second = Particles(np.array([[radius * angles[1] + 2 * PERIOD, 0.4]]))
    distance = wasserstein(first, second, domain=CYLINDER, directions=30)
    expected = math.sqrt(np.mean((rays(0, 30, 3) @ (places[1] - places[0])) ** 2))
    assert distance == pytest.approx(expected, rel=1e-12)


def test_embedding_keeps_short_lengths() -> None:
    # A short step along the circle is as long as the same step along the line.
    start = Particles(np.array([[0.4, 0.0]]))
    around, along = (Particles(np.array([[0.4 + a, b]])) for a, b in ((1e-3, 0), (0, 1e-3)))
    distances = [
        wasserstein(start, end, domain=CYLINDER, directions=4096) for end in (around, along)
    ]
    assert distances[0] == pytest.approx(distances[1], rel=0.03)


@pytest.mark.parametrize("axis", [0, 1])
def test_marginals_are_exact(axis: int) -> None:
    domain = [CIRCLE, LINE][axis]
    first = cloud(1, 30, weighted=True, dimension=2)
    edges = (np.linspace(-1.5, 1.5, 8), np.linspace(0, 2, 5))
    mass = np.random.default_rng(3).dirichlet(np.ones(28)).reshape(7, 4)
    alone = (
        Particles(first.position[:, [axis]], first.mass),
        GridMeasure([edges[axis]], mass.sum(axis=1 - axis)),
    )
    both = marginal_wasserstein(first, GridMeasure(edges, mass), axis, domain=CYLINDER)
    assert both == pytest.approx(wasserstein(*alone, domain=domain), rel=1e-12)
    if axis == 0:
        assert both < marginal_wasserstein(first, GridMeasure(edges, mass), axis)


# --- errors ---------------------------------------------------------------------------------

PLANE, ATOM = cloud(1, 3, dimension=2), Particles(np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("first", "second", "settings", "message"),
    [
        (PLANE, ATOM, {}, "dimensions 2 and 1"),
        (ATOM, ATOM, {"domain": CYLINDER}, "domain has dimension 2"),
        (ATOM, Particles(np.zeros((1, 1)), np.array([1.00001])), {}, "1 and 1.00001"),
        (ATOM, Particles(np.zeros((1, 1)), np.zeros(1)), {}, "masses 1 and 0"),
        (ATOM, GridMeasure([np.array([0.0, 1.0])], np.full(1, np.inf)), {}, "masses 1 and inf"),
        (*[Particles(np.zeros((1, 1)), np.zeros(1))] * 2, {}, "positive"),
        (ATOM, Particles(np.array([[np.nan]])), {}, "position nan"),
        (GridMeasure([np.array([0.0, np.inf])], np.ones(1)), ATOM, {}, "position inf"),
        (
            GridMeasure([np.array([0.0, 3.1])], np.ones(1)),
            ATOM,
            {"domain": CIRCLE},
            "3.1 long.*period 3;",
        ),
        (PLANE, PLANE, {"directions": 0}, "number of directions is 0"),
        (PLANE, PLANE, {"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_compared(
    first: Measure, second: Measure, settings: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        wasserstein(first, second, **settings)


@pytest.mark.parametrize("axis", [-1, 2, 0.5])
def test_marginal_of_an_axis_that_is_not_there(axis: int) -> None:
    with pytest.raises(InputError, match="axis is"):
        marginal_wasserstein(PLANE, PLANE, axis)
