"""Wasserstein-2 distances between measures: exact in one dimension, sliced or exact in more.

In one dimension the optimal plan pairs equal levels of mass, so the squared distance is the
integral of the squared difference of two quantile functions. An atom is a constant piece of a
quantile function and a grid cell a linear one, which makes that integral a finite sum. In more
dimensions the optimal plan between atoms solves a linear program, which POT (the extra `data`)
does by the network simplex method.

Sources: Villani, "Topics in Optimal Transportation" (AMS 2003), section 2.2, for the line;
Delon, Salomon, Sobolevski, "Fast transport optimization for Monge costs on the circle" (SIAM J.
Appl. Math. 70, 2010) for the circle; Bonneel, Rabin, Peyre, Pfister, "Sliced and Radon
Wasserstein barycenters of measures" (J. Math. Imaging Vis. 51, 2015) for slices; Bonneel, van de
Panne, Paris, Heidrich, "Displacement interpolation using Lagrangian mass transport" (ACM Trans.
Graph. 30, 2011) for the network simplex method, as implemented in Flamary et al., "POT: Python
Optimal Transport" (J. Mach. Learn. Res. 22, 2021).
"""

import dataclasses
import math
import warnings

import numpy as np

from wgflow import noise
from wgflow.domain import Circle, Domain
from wgflow.errors import InputError, MissingPackageError, check_choice, check_count
from wgflow.measure import Measure, Particles

_EPSILON = float(np.finfo(float).eps)

# Levels of mass carry a few roundings. A segment no longer than that says only that two levels
# are equal; kept, it would pair unrelated points, and the root would turn its 1e-16 into an
# error of 1e-8 where the distance is zero.
_ROUNDING = 8 * _EPSILON
_MASS_TOLERANCE = 1e-6

# At this number of pairs the network simplex method takes about 10 s and 1 GB.
_MOST_PAIRS = 25_000_000
_MOST_PIVOTS = 10_000_000


def wasserstein(
    first: Measure,
    second: Measure,
    *,
    domain: Domain | None = None,
    directions: int = 64,
    seed: int = 0,
    method: str | None = None,
) -> float:
    """Return the Wasserstein-2 distance (not its square), in the unit of the coordinates.

    In one dimension it is exact, on the line or, where the domain is a circle, on the circle. In
    more dimensions it is by default the sliced distance, the root of the mean over random
    directions of the squared distance of the projections, and never above the exact one. A circle
    of period L is first embedded in the plane as L / (2 pi) (cos, sin), so that short lengths
    agree: with a circle axis the result is the sliced distance of the embedded laws.

    The exact distance in more dimensions is that of the optimal plan, with the shorter arc on a
    circle axis; it needs the extra `data`, and at most 25 million pairs of points with mass, for
    which it takes about 10 s and 1 GB. Rounding can raise its square by some 1e-14 of the
    squared diameter of both laws. Both count a cell of a grid as an atom at its centre, an error
    of O(h). Sources: see the module.

    Parameters
    ----------
    first, second
        Measures of one dimension D and one total mass, normalised to one; on a circle particles
        may lie in any period.
    domain
        The space; it matters only by its circles, and without it no axis is one.
    directions, seed
        Number of directions on the unit sphere and seed in [0, 2^64) from which they are drawn;
        used by slices only.
    method
        "exact" or "sliced"; by default exact in one dimension and sliced in more.

    Raises
    ------
    InputError
        Dimensions that differ or do not fit the domain, total masses that are not positive or
        differ by more than 1e-6 of the larger, positions that are not finite, a grid longer than
        its circle, no direction, another method; for the exact distance in more dimensions also
        too many points, POT not installed, or no optimal plan found.
    """
    directions = check_count("The number of directions", directions, least=1)
    seed = noise.check_seed(seed)
    if method is not None:
        check_choice("The method", method, ("exact", "sliced"))
    dimension = _check(first, second, domain)
    if method == "sliced" or (method is None and dimension > 1):
        return _sliced(first, second, domain, directions, seed)
    if dimension == 1:
        return marginal_wasserstein(first, second, 0, domain=domain)
    return _planned(first, second, domain)


def _sliced(
    first: Measure, second: Measure, domain: Domain | None, directions: int, seed: int
) -> float:
    """Return the sliced distance."""
    points, mass = _embedded(first, domain)
    other_points, other_mass = _embedded(second, domain)
    random = noise.generator(seed, noise.Stream.PROJECTION)
    rays = random.standard_normal((directions, points.shape[1]))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    squares = [
        _line_square(_atoms(points @ ray, mass), _atoms(other_points @ ray, other_mass))
        for ray in rays
    ]
    return math.sqrt(math.fsum(squares) / directions)


def marginal_wasserstein(
    first: Measure, second: Measure, axis: int, *, domain: Domain | None = None
) -> float:
    """Return the exact Wasserstein-2 distance of the marginals of two measures on one axis.

    It has the unit of the coordinate. Source: see the module.

    Parameters
    ----------
    first, second
        Measures of one dimension D and one total mass, which is normalised to one.
    axis
        Number of the coordinate, in [0, D).
    domain
        The space; it matters only by whether the axis is a circle.

    Raises
    ------
    InputError
        As `wasserstein`, or an axis that the measures do not have.
    """
    dimension = _check(first, second, domain)
    axis = check_count("The axis", axis, least=0, most=dimension - 1)
    circle = _circle(domain, axis)
    laws = _marginal(first, axis, circle), _marginal(second, axis, circle)
    if circle is None:
        return math.sqrt(_line_square(*laws))
    return math.sqrt(_circle_square(*laws, circle.period))


def _circle(domain: Domain | None, axis: int) -> Circle | None:
    """Return the axis if it is a circle."""
    kind = None if domain is None else domain.axes[axis]
    return kind if isinstance(kind, Circle) else None


@dataclasses.dataclass(frozen=True)
class _Quantile:
    """A quantile function of n linear pieces with jumps between them.

    On [levels[k], levels[k + 1]] it runs from start[k] to end[k]; shapes (n + 1,), (n,), (n,).
    """

    levels: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def between(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values at both ends of segments that no level cuts, shapes of `left`."""
        piece = np.searchsorted(self.levels, left, side="right") - 1
        level, start = self.levels[piece], self.start[piece]
        rise = self.end[piece] - start
        width = self.levels[piece + 1] - level
        low = np.clip((left - level) / width, 0.0, 1.0)
        high = np.clip((right - level) / width, 0.0, 1.0)
        return start + rise * low, start + rise * high


def _cumulative(mass: np.ndarray) -> np.ndarray:
    """Return the levels 0, ..., 1 of mass (n,), shape (n + 1,), right to a few roundings."""
    total = np.concatenate(([0.0], np.cumsum(mass)))
    # What each addition rounded off is itself a double (Knuth's two-sum); without it the levels
    # of many particles would drift further than _ROUNDING.
    taken = total[1:] - total[:-1]
    lost = (total[:-1] - (total[1:] - taken)) + (mass - taken)
    total[1:] += np.cumsum(lost)
    total = np.maximum.accumulate(total)  # the correction may lower a level by one rounding
    return total / total[-1]


def _quantile(start: np.ndarray, end: np.ndarray, mass: np.ndarray) -> _Quantile:
    """Return the quantile function of pieces (n,) in increasing order."""
    levels = _cumulative(mass)
    # A mass of zero has no piece, nor has one so small that it is lost in the level.
    real = np.diff(levels) > 0
    return _Quantile(np.append(levels[:-1][real], 1.0), start[real], end[real])


def _atoms(values: np.ndarray, mass: np.ndarray) -> _Quantile:
    """Return the quantile function of atoms at values (m,), in any order."""
    order = np.argsort(values, kind="stable")
    values = values[order]
    return _quantile(values, values, mass[order])


def _marginal(measure: Measure, axis: int, circle: Circle | None) -> _Quantile:
    """Return the quantile function of one coordinate; on a circle it begins in its period."""
    if isinstance(measure, Particles):
        values = measure.position[:, axis]
        return _atoms(values if circle is None else circle.fold(values), measure.mass)
    edges = measure.edges[axis]
    if circle is not None:
        length = edges[-1] - edges[0]
        if length > circle.period * (1 + 1e-9):
            raise InputError(
                f"A grid on axis {axis} is {length:g} long, but must fit on a circle of period "
                f"{circle.period:g}; give the domain of the grid."
            )
        edges = edges + (circle.fold(edges[:1]) - edges[:1])
    return _quantile(edges[:-1], edges[1:], measure.marginal(axis))


def _segments(first: _Quantile, second: _Quantile, least: float) -> tuple[np.ndarray, ...]:
    """Return the segments of [0, 1] longer than `least` that no level of either function cuts.

    They come as length, first function at the left and right end, second at the left and right.
    """
    levels = np.concatenate((first.levels, second.levels))
    # Two sorted runs: the stable sort merges them in linear time.
    levels = np.clip(np.sort(levels, kind="stable"), 0.0, 1.0)
    real = np.diff(levels) > least
    left, right = levels[:-1][real], levels[1:][real]
    # What is too short to count belongs to the segment before it, or thousands would add up.
    length = np.diff(left[1:], prepend=0.0, append=1.0)
    return length, *first.between(left, right), *second.between(left, right)


def _line_square(first: _Quantile, second: _Quantile) -> float:
    """Return the squared distance on the line, the integral of (Q1 - Q2)^2 over [0, 1]."""
    length, left, right, other_left, other_right = _segments(first, second, _ROUNDING)
    low, high = left - other_left, right - other_right
    return float(np.sum(length * (low * low + low * high + high * high)) / 3)


def _circle_square(first: _Quantile, second: _Quantile, period: float) -> float:
    """Return the squared distance on the circle, the least value over alpha of the convex

    F(alpha) = integral_0^1 (Q1(t) - Q2(t - alpha))^2 dt, where Q(t + 1) = Q(t) + period.
    """
    # Both laws begin within one period and are at most one long, so that at alpha = 2 all mass
    # moves forward and at alpha = -2 all moves back: F falls before and rises after. Then
    # t - alpha stays in [-2, 3], which five periods cover.
    turns = np.arange(-2.0, 3.0)[:, None]
    levels = np.append((second.levels[:-1] + turns).reshape(-1), 3.0)
    start = (second.start + period * turns).reshape(-1)
    end = (second.end + period * turns).reshape(-1)

    def shifted(alpha: float) -> _Quantile:
        begin = max(int(np.searchsorted(levels, -alpha, side="right")) - 1, 0)
        stop = min(int(np.searchsorted(levels, 1.0 - alpha, side="left")), len(start))
        moved = levels[begin : stop + 1] + alpha
        moved[-1] = max(moved[-1], 1.0)  # the sum may fall one rounding short
        return _Quantile(moved, start[begin:stop], end[begin:stop])

    # Bisection on the slope: with atoms F is piecewise linear, so a fit to values would miss its
    # corner, while a bracket of one rounding around the corner leaves an error of one rounding.
    lower, upper = -2.0, 2.0
    while upper - lower > _EPSILON:
        alpha = (lower + upper) / 2
        if _slope(first, shifted(alpha), period) > 0:
            upper = alpha
        else:
            lower = alpha
    return min(_line_square(first, shifted(lower)), _line_square(first, shifted(upper)))


def _slope(first: _Quantile, second: _Quantile, period: float) -> float:
    """Return the right derivative in alpha of F, the integral of 2 (Q1 - Q2) dQ2 over a period.

    `second` is already shifted by alpha. Where Q2 jumps, the integral runs over the jump; where
    Q1 jumps at the same level, a larger alpha sets its right limit against the jump of Q2.
    """
    # Every segment counts here: the slope must turn at the corner itself, not within _ROUNDING.
    _, left, right, other_left, other_right = _segments(first, second, 0.0)
    rising = (left + right - other_left - other_right) * (other_right - other_left)
    following = np.append(left[1:], left[0] + period)
    after = np.append(other_left[1:], other_left[0] + period)
    jumping = (2 * following - other_right - after) * (after - other_right)
    return float(np.sum(rising) + np.sum(jumping))


def _planned(first: Measure, second: Measure, domain: Domain | None) -> float:
    """Return the distance by the optimal plan between the points that have mass."""
    laws = [(law.points[law.mass > 0], law.mass[law.mass > 0]) for law in (first, second)]
    (points, mass), (other_points, other_mass) = laws
    count, other = len(mass), len(other_mass)
    if count * other > _MOST_PAIRS:
        raise InputError(
            f"The exact distance between {count} and {other} points with mass takes "
            f"{count * other} pairs, but at most {_MOST_PAIRS} are allowed, such as "
            f"{math.isqrt(_MOST_PAIRS)} points each; coarsen the grids, subsample the particles or "
            "use method='sliced'."
        )
    try:
        import ot  # noqa: PLC0415 (an optional dependency)
    except ImportError as error:
        raise MissingPackageError(
            "The exact distance in more than one dimension needs POT, which is not installed; run "
            "pip install 'wgflow[data]' or use method='sliced'."
        ) from error
    cost, unit = _cost(points, other_points, domain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the log holds what they say
        _, log = ot.emd(
            mass / mass.sum(),
            other_mass / other_mass.sum(),
            cost,
            numItermax=_MOST_PIVOTS,
            log=True,
        )
    if log["warning"] is not None:
        raise InputError(
            f"No optimal plan between {count} and {other} points was found ({log['warning']}); "
            "coarsen the grids, subsample the particles or use method='sliced'."
        )
    return unit * math.sqrt(max(float(log["cost"]), 0.0))


def _cost(points: np.ndarray, other: np.ndarray, domain: Domain | None) -> tuple[np.ndarray, float]:
    """Return the squared distances (m, n) in a unit that makes the largest one, and that unit.

    The network simplex method takes differences of 1e-15 for zero, whatever the unit.
    """
    extent = np.ptp(np.concatenate((points, other)), axis=0).max() or 1.0
    cost = np.zeros((len(points), len(other)))
    for k in range(points.shape[1]):
        gap = np.abs(np.subtract.outer(points[:, k], other[:, k]))
        circle = _circle(domain, k)
        if circle is not None:
            np.mod(gap, circle.period, out=gap)
            np.minimum(gap, circle.period - gap, out=gap)
        gap /= extent
        gap *= gap
        cost += gap
    largest = float(cost.max())
    if largest > 0:
        cost /= largest
    return cost, float(extent) * math.sqrt(largest)


def _embedded(measure: Measure, domain: Domain | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (m, E), each circle laid in a plane, and the masses (m,)."""
    columns = []
    for k, values in enumerate(measure.points.T):
        circle = _circle(domain, k)
        if circle is None:
            columns.append(values)
        else:
            radius = circle.period / (2 * math.pi)
            columns += [radius * np.cos(values / radius), radius * np.sin(values / radius)]
    return np.stack(columns, axis=1), measure.mass


def _check(first: Measure, second: Measure, domain: Domain | None) -> int:
    """Return the common dimension of measures that can be compared, or raise InputError."""
    dimension = first.dimension
    if second.dimension != dimension:
        raise InputError(
            f"The measures have dimensions {dimension} and {second.dimension}, but must have the "
            "same; compare measures of one space."
        )
    if domain is not None and domain.dimension != dimension:
        raise InputError(
            f"The domain has dimension {domain.dimension}, but must have that of the measures, "
            f"{dimension}; give the domain on which they live."
        )
    for measure in (first, second):
        places = [measure.position] if isinstance(measure, Particles) else measure.edges
        worst = [float(x) for place in places for x in place[~np.isfinite(place)][:1]]
        if worst:
            raise InputError(
                f"A measure has a position {worst[0]}, but all must be finite numbers; remove "
                "such points or look for the step at which they arose."
            )
    total, other = float(first.mass.sum()), float(second.mass.sum())
    larger = max(total, other)
    if not (0 < larger < math.inf and abs(total - other) <= _MASS_TOLERANCE * larger):
        raise InputError(
            f"The measures have total masses {total:.9g} and {other:.9g}, but these must be "
            f"positive and differ by at most {_MASS_TOLERANCE:g} of the larger; scale one to match."
        )
    return dimension
