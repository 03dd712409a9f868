"""The law of a run at a save as a probability, the pooled law of several seeds, and moments.

On a line the moments are the mean and the standard deviation. On a circle of period L, with
r e^(i phi) the mean of e^(2 pi i theta / L), they are the mean direction L phi / (2 pi) and the
angular deviation L / (2 pi) sqrt(2 (1 - r)), which is the standard deviation for a narrow law and
sqrt(2) L / (2 pi) for a uniform one. m particles with uniform directions have r > c / sqrt(m) with
probability near exp(-c^2), and where r is that small its direction is noise. Source: P. Berens,
"CircStat: a MATLAB toolbox for circular statistics" (J. Stat. Softw. 31(10), 2009).
"""

from collections.abc import Sequence

import numpy as np

from wgflow.domain import Circle, Domain
from wgflow.errors import InputError
from wgflow.measure import GridMeasure, Measure, Particles
from wgflow.run import Run

CHANCE = 3.0
"""A cloud whose r is below so many roots of its sum of squared masses has no mean direction."""
LEAST_ON_GRID = 0.02
"""Below this r a law on a grid has no mean direction."""


@np.errstate(over="ignore", invalid="ignore")
def law_at(run: Run, row: int) -> Measure | None:
    """Return the law at a save with total mass one, or None if none is stored or not all finite."""
    try:
        law = run.measure(row)
    except InputError:
        return None
    total = law.mass.sum()
    if not (np.isfinite(total) and total > 0):
        return None
    if isinstance(law, GridMeasure):
        return GridMeasure(law.edges, law.mass_on_grid / total)
    return Particles(law.position, law.mass / total) if np.isfinite(law.position).all() else None


def pooled(laws: Sequence[Measure | None]) -> Measure | None:
    """Return the mean of several laws, all their particles in one cloud; None if one is missing."""
    if len(laws) == 1:
        return laws[0]
    clouds = [law for law in laws if isinstance(law, Particles)]
    if len(clouds) < len(laws):
        return None
    mass = np.concatenate([cloud.mass for cloud in clouds]) / len(clouds)
    return Particles(np.concatenate([cloud.position for cloud in clouds]), mass)


@np.errstate(over="ignore", invalid="ignore")
def moments(law: Measure, domain: Domain) -> np.ndarray:
    """Return mean and spread of each coordinate, shape (D, 2); on a grid those of its density.

    A law on a circle that has nearly no direction, as the uniform one, has NaN for its mean.
    """
    return np.array([_moments(law, axis, kind) for axis, kind in enumerate(domain.axes)])


def _moments(law: Measure, axis: int, kind: object) -> tuple[float, float]:
    if isinstance(law, GridMeasure):
        place, mass = law.centres[axis], law.marginal(axis)
        width, least = np.diff(law.edges[axis]), LEAST_ON_GRID
    else:
        place, mass = law.position[:, axis], law.mass
        width, least = np.zeros(1), CHANCE * float(np.sqrt(mass @ mass))
    if not isinstance(kind, Circle):
        mean = float(mass @ place)
        # A constant density on a cell of width h has variance h^2 / 12.
        return mean, float(np.sqrt(mass @ ((place - mean) ** 2 + width**2 / 12)))
    radius = kind.period / (2 * np.pi)
    # The mean of e^(i theta / radius) over a cell: np.sinc(z) is sin(pi z) / (pi z).
    resultant = complex(mass @ (np.exp(1j * place / radius) * np.sinc(width / kind.period)))
    length = min(abs(resultant), 1.0)
    mean = float(kind.fold(np.array([np.angle(resultant) * radius]))[0])
    spread = radius * float(np.sqrt(2 * (1 - length)))
    return (mean if length >= least else np.nan), spread
