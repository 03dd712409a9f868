"""Products of trigonometric polynomials, and their sums over pairs by modes: exact, O(m modes).

W(x) = strength prod_a T(x_a) with T(x) = sum_k c_k cos(2 pi k x / period), k <= K. On one axis

    cos k(x - y) = cos kx cos ky + sin kx sin ky,

so that T(x - y) = sum_q w_q phi_q(x) phi_q(y) over 2 K + 1 modes. With Q one mode an axis and the
moments M_Q = int phi_Q drho of the law, (W * rho)(x) = strength sum_Q w_Q M_Q phi_Q(x).
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLOCK = 1 << 16
"""Products of a point and its modes that are held at once."""


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """The kernel.

    Attributes
    ----------
    coefficients
        c_0, ..., c_K.
    """

    coefficients: Array
    strength: float
    period: float

    @property
    def degree(self) -> int:
        """K."""
        return len(self.coefficients) - 1

    def mode_count(self, dimension: int) -> int:
        """Return the number of modes, (2 K + 1)^D."""
        return (2 * self.degree + 1) ** dimension

    def at(self, differences: Array) -> Array:
        """Return W at differences (n, D), shape (n,)."""
        factors = self._modes(differences)[0]
        return self.strength * (factors[:, :, : self.degree + 1] @ self.coefficients).prod(axis=0)

    def gradient_at(self, differences: Array) -> Array:
        """Return grad W at differences (n, D), shape (n, D)."""
        values, slopes = (
            modes[:, :, : self.degree + 1] @ self.coefficients for modes in self._modes(differences)
        )
        gradient = np.empty(differences.shape)
        for axis, slope in enumerate(slopes):
            others = np.delete(values, axis, axis=0).prod(axis=0)
            gradient[:, axis] = self.strength * slope * others
        return gradient

    def moments(self, sources: Array, mass: Array) -> Array:
        """Return strength w_Q M_Q for points (m, D) and masses (m,), 2 K + 1 long on D axes."""
        weight = np.concatenate((self.coefficients, self.coefficients[1:]))
        axes = sources.shape[1]
        total = np.zeros((len(weight) ** (axes - 1), len(weight)))
        for rows in _blocks(len(sources), len(total)):
            product = mass[rows, np.newaxis]
            *others, last = self._modes(sources[rows])[0]
            for modes in others:
                product = np.einsum("na,nb->nab", product, modes).reshape(len(modes), -1)
            total += product.T @ last
        moments = self.strength * total.reshape((len(weight),) * axes)
        for axis in range(axes):
            moments *= weight.reshape(-1, *(1,) * axis)
        return moments

    def sum(self, targets: Array, moments: Array) -> Array:
        """Return (W * rho)(x) at targets (n, D) from the moments, shape (n,)."""
        out = np.empty(len(targets))
        for rows in _blocks(len(targets), moments.size // len(moments)):
            out[rows] = _contracted(list(self._modes(targets[rows])[0]), moments)
        return out

    def sum_gradient(self, targets: Array, moments: Array) -> Array:
        """Return grad (W * rho)(x) at targets (n, D) from the moments, shape (n, D)."""
        out = np.empty(targets.shape)
        for rows in _blocks(len(targets), moments.size // len(moments)):
            values, slopes = self._modes(targets[rows])
            for axis in range(len(values)):
                factors = [*values[:axis], slopes[axis], *values[axis + 1 :]]
                out[rows, axis] = _contracted(factors, moments)
        return out

    def _modes(self, points: Array) -> tuple[Array, Array]:
        """Return cos kx for k = 0, ..., K and sin kx for k = 1, ..., K, and their derivatives.

        Both have shape (D, n, 2 K + 1) for points (n, D).
        """
        frequency = 2 * np.pi / self.period
        turn = np.exp(1j * frequency * points.T)[:, :, np.newaxis]
        # Powers of one number are cheaper than cosines of its multiples.
        turns = np.cumprod(np.broadcast_to(turn, (*turn.shape[:2], self.degree)), axis=2)
        wave = frequency * np.arange(1, self.degree + 1)
        still = np.ones(turn.shape)
        modes = np.concatenate((still, turns.real, turns.imag), axis=2)
        slopes = np.concatenate((0 * still, -wave * turns.imag, wave * turns.real), axis=2)
        return modes, slopes


def _contracted(factors: list[Array], moments: Array) -> Array:
    """Return sum_Q factors_0[i, Q_0] factors_1[i, Q_1] ... moments_Q, shape (n,)."""
    first, *others = factors
    rest = first @ moments.reshape(len(moments), -1)
    for factor in others:
        rest = np.einsum("na,nab->nb", factor, rest.reshape(*factor.shape, -1))
    return rest[:, 0]


def _blocks(count: int, width: int) -> list[slice]:
    rows = max(1, BLOCK // width)
    return [slice(first, first + rows) for first in range(0, count, rows)]
