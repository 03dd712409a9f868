"""Random laws on the line, on the circle and in the plane."""

import numpy as np

from wgflow.domain import Circle, Domain, WholeLine
from wgflow.measure import GridMeasure, Measure, Particles

LINE = Domain(WholeLine())
PERIOD = 3.0
CIRCLE = Domain(Circle(period=PERIOD, lower=-1.0))
CYLINDER = Domain(Circle(period=PERIOD), WholeLine())


def cloud(seed: int, count: int, *, weighted: bool = False, dimension: int = 1) -> Particles:
    random = np.random.default_rng(seed)
    position = random.uniform(-1.0, 2.0, (count, dimension))
    mass = random.dirichlet(np.ones(count)) if weighted else None
    return Particles(position, mass)


def grid_law(seed: int, cells: int, *, lower: float = -1.0, upper: float = 2.0) -> GridMeasure:
    """A random law on a grid with unequal cells, a quarter of them empty."""
    random = np.random.default_rng(seed)
    inner = np.sort(random.uniform(lower, upper, cells - 1))
    mass = random.dirichlet(np.ones(cells)) * (random.random(cells) > 0.25)
    return GridMeasure([np.concatenate(([lower], inner, [upper]))], mass / mass.sum())


def moved(measure: Measure, shift: float) -> Measure:
    if isinstance(measure, Particles):
        return Particles(measure.position + shift, measure.mass)
    return GridMeasure([edge + shift for edge in measure.edges], measure.mass_on_grid)
