"""The population risk of a relu network that learns another one, in closed form.

For x ~ N(0, I) and two inner weights v, w at the angle phi,

    k(v, w) = E max(v.x, 0) max(w.x, 0) = |v| |w| [sin phi + (pi - phi) cos phi] / (2 pi),

the arc-cosine kernel of order 1 up to a factor 2 (Y. Cho and L. K. Saul, Kernel methods for deep
learning, NIPS 2009). A network sum_q u_q max(z_q . x, 0) has the second moment
sum_pq u_p u_q k(z_p, z_q), and so has the difference of two networks, whose half is their risk.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from wgflow.communicator import ALONE, Communicator
from wgflow.energy.risk import Risk
from wgflow.energy.term import Term
from wgflow.errors import InputError, check_number
from wgflow.measure import Measure, Particles
from wgflow.neuron import Neuron
from wgflow.populations import NormalInputs, population


def arc_cosine_kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return k(v_i, w_j) = E max(v_i.x, 0) max(w_j.x, 0) for x ~ N(0, I), shape (m, n).

    Parameters
    ----------
    left, right
        v and w, shapes (m, d) and (n, d).
    """
    cosine, size, other_size = _directions(left, right)
    angular = np.sqrt(1 - cosine**2) + (np.pi - np.arccos(cosine)) * cosine
    product: np.ndarray = size[:, np.newaxis] * other_size * angular / (2 * np.pi)
    return product


def _directions(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cosines of all angles, (m, n), and the lengths; a zero vector is at 90 degrees."""
    size, other_size = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
    unit = left / np.where(size > 0, size, 1.0)[:, np.newaxis]
    other_unit = right / np.where(other_size > 0, other_size, 1.0)[:, np.newaxis]
    # Rounding can take the cosine of two parallel vectors beyond 1.
    return np.clip(unit @ other_unit.T, -1.0, 1.0), size, other_size


@dataclasses.dataclass(frozen=True)
class Difference:
    """The network minus its teacher, sum_q outer_q max(inner_q . x, 0): all a risk needs to know.

    Attributes
    ----------
    outer, inner
        Shapes (q,) and (q, d).
    """

    outer: np.ndarray
    inner: np.ndarray

    def correlation(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return c(b_j) = E (f - f*)(x) max(b_j.x, 0) at inner weights b, and its gradient in b_j.

        grad c(b) = E (f - f*)(x) 1[b.x > 0] x
                  = sum_q u_q [sin phi_q |z_q| b / |b| + (pi - phi_q) z_q] / (2 pi).

        Parameters
        ----------
        points
            b, shape (m, d).

        Returns
        -------
        Shapes (m,) and (m, d)
        """
        cosine, size, other_size = _directions(points, self.inner)
        opening = np.pi - np.arccos(cosine)
        strength = self.outer * other_size
        radial = np.sqrt(1 - cosine**2) @ strength
        opening_sum = (opening * cosine) @ strength
        value = size * (radial + opening_sum) / (2 * np.pi)
        unit = points / np.where(size > 0, size, 1.0)[:, np.newaxis]
        across = opening @ (self.outer[:, np.newaxis] * self.inner)
        return value, (radial[:, np.newaxis] * unit + across) / (2 * np.pi)

    @functools.cached_property
    def half_square(self) -> float:
        """E (f - f*)^2 / 2."""
        return float(self.outer @ self.correlation(self.inner)[0]) / 2


class ArcCosineRisk(Term):
    """The population risk R(rho) = E (f_rho(x) - f*(x))^2 / 2 of a relu network, x ~ N(0, I_d).

    f_rho(x) = s int a max(b.x, 0) drho(a, b), f*(x) = sum_l c_l max(w_l.x, 0). As both are
    homogeneous in x, inputs uniform on the sphere of radius sqrt(d) have the same risk. A value or
    a gradient at m particles takes O(m (m + M) d), with no sampling error. It is the risk that runs
    record; as there is no sample, they record no predictions.

    Parameters
    ----------
    outer, inner
        Of the teacher f*: c, shape (M,), and w, shape (M, d).
    scale
        The factor s.
    neuron
        A relu unit with one outer weight, or the `RandomFeature` of one.
    name
        Names the term in the results.

    Raises
    ------
    InputError
        A teacher whose parts do not fit, or another unit.
    """

    convex = True
    is_risk = True

    def __init__(
        self,
        outer: np.ndarray,
        inner: np.ndarray,
        scale: float = 1.0,
        neuron: Neuron | None = None,
        name: str = "population_risk",
    ) -> None:
        self.outer, self.inner = np.array(outer, dtype=float), np.array(inner, dtype=float)
        if self.inner.ndim != 2 or self.outer.shape != self.inner.shape[:1]:
            raise InputError(
                f"A teacher has outer weights of shape {self.outer.shape} and inner weights of "
                f"shape {self.inner.shape}, but needs shapes (M,) and (M, d)."
            )
        self.neuron = Neuron("relu") if neuron is None else neuron
        if self.neuron.function.name != "relu" or self.neuron.outer != "weight":
            raise InputError(
                f"The kernel of {self.neuron!r} is not known in closed form; use the activation "
                "relu with outer='weight', or a Risk on a sample."
            )
        if self.neuron.bias or self.neuron.chart != "euclidean":
            raise InputError("The kernel is that of units without a bias in the Euclidean chart.")
        self.scale = check_number("The scale of a risk", scale, above=0, most=1e12)
        self.name = name

    def teacher(self, x: np.ndarray) -> np.ndarray:
        """Return f*(x) at inputs (n, d), shape (n,)."""
        return np.maximum(x @ self.inner.T, 0.0) @ self.outer

    @property
    def at_rest(self) -> float:
        """The risk of a network whose outer weights are 0, E f*^2 / 2."""
        return Difference(self.outer, self.inner).half_square

    def teacher_correlation(self, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return c(b_j) = E f*(x) max(b_j.x, 0) at inner weights b, and its gradient in b_j.

        Parameters
        ----------
        inner
            b, shape (m, d).

        Returns
        -------
        Shapes (m,) and (m, d)
        """
        return Difference(self.outer, self.inner).correlation(inner)

    def on_sample(self, size: int) -> Risk:
        """Return the same risk on a fixed sample of inputs, of which SGD can draw fresh ones.

        Raises
        ------
        InputError
            A size that is not a whole number of at least 1.
        """
        inputs = NormalInputs(self.inner.shape[1])
        sample = population(inputs, self.teacher, sample=size)
        return Risk(sample, self.neuron, scale=self.scale)

    def couple(self, measure: Measure, communicator: Communicator = ALONE) -> Difference:
        points, mass = measure.points, measure.mass
        if communicator.size > 1 and isinstance(measure, Particles):
            points, mass = communicator.gather(points), communicator.gather(mass)
        outer, inner = self.neuron.split(points)
        return Difference(
            np.concatenate([self.scale * mass * outer, -self.outer]),
            np.concatenate([inner, self.inner]),
        )

    def value(self, coupling: Difference) -> float:
        return coupling.half_square

    def first_variation(self, points: np.ndarray, coupling: Difference) -> np.ndarray:
        outer, inner = self.neuron.split(points)
        return self.scale * outer * coupling.correlation(inner)[0]

    def gradient(self, points: np.ndarray, coupling: Difference) -> np.ndarray:
        outer, inner = self.neuron.split(points)
        correlation, slope = coupling.correlation(inner)
        d_outer, d_inner = self.scale * correlation, self.scale * outer[:, np.newaxis] * slope
        return self.neuron.pull_back(points, d_outer, d_inner, inner)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "ArcCosineRisk",
            "scale": self.scale,
            "neuron": self.neuron.describe(),
            "teacher_units": len(self.outer),
            "inputs": self.inner.shape[1],
        }
