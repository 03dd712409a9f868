"""Relu units on the unit circle that learn the uniform law, mode by mode.

With normal inputs in the plane the risk of units max(cos(v) x_1 + sin(v) x_2, 0) against the mean
of all of them is that of the arc-cosine kernel, over 2:

    R = (1/2) int int k(v - v') d(rho - rho_*)(v) d(rho - rho_*)(v'),   rho_* = 1 / 2 pi,
    k(t) = (sin |t| + (pi - |t|) cos t) / 2 pi = kappa_0 + sum_n kappa_n cos(n t),   |t| <= pi.

Modes are those of the density (1 + sum_n a_n cos(n v)) / 2 pi, a_n its amplitudes; all is
dimensionless. The kernel is that of Y. Cho and L. Saul, Kernel methods for deep learning, NIPS
(2009), recalled; all is derived here and tested against the transform of the kernel, quadrature and
optimal transport.
"""

import math

import numpy as np
from scipy.integrate import solve_ivp

from wgflow.law import Density
from wgflow.measure import Measure, Particles


class Wave(Density):
    """The law (1 + amplitude cos(mode v)) / 2 pi on the circle.

    Particles are drawn, or stand at the quantiles of the levels (j + 1/2)/m, which resolve a small
    amplitude that draws would hide.
    """

    def __init__(self, mode: int, amplitude: float, at_quantiles: bool) -> None:
        super().__init__(self._density, -math.pi, math.pi, resolution=4096)
        self.mode, self.amplitude, self.at_quantiles = mode, amplitude, at_quantiles

    def _density(self, points: np.ndarray) -> np.ndarray:
        return 1 + self.amplitude * np.cos(self.mode * points[:, 0])

    def particles(self, seed: int, count: int) -> Particles:
        """Return `count` particles of equal mass."""
        if not self.at_quantiles:
            return super().particles(seed, count)
        level = math.pi * ((2 * np.arange(count) + 1) / count - 1)
        low, high = level - math.pi, level + math.pi
        for _ in range(60):
            middle = (low + high) / 2
            below = middle + self.amplitude / self.mode * np.sin(self.mode * middle) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return Particles(((low + high) / 2)[:, np.newaxis])


def kernel_mode(mode: int) -> float:
    """Return kappa_n in the kernel k(t) = kappa_0 + sum_n kappa_n cos(n t).

    kappa_1 = 1/4, kappa_n = 4 / (pi (n^2 - 1))^2 for even n > 0 and 0 for odd n >= 3.
    """
    if mode % 2 == 1:
        return 0.25 if mode == 1 else 0.0
    return (2 if mode == 0 else 4) / (math.pi * (mode**2 - 1)) ** 2


def decay_rate(mode: int, temperature: float = 0.0) -> float:
    """Return the rate n^2 (kappa_n / 2 + temperature) of a mode near the uniform law."""
    return mode**2 * (kernel_mode(mode) / 2 + temperature)


def error_of_drawn_rate(mode: int, count: int, time: float) -> float:
    """Return the relative standard error of a rate, followed for so long by drawn particles.

    The amplitude of mode 2n, sqrt(2/m) N(0, 1) at first for m particles, shifts the rate by n^2/2
    (kappa_n - 2 kappa_2n) times its half while it lasts.
    """
    double = decay_rate(2 * mode)
    lasting = -math.expm1(-double * time) / (double * time)
    coupling = mode**2 / 2 * (kernel_mode(mode) - 2 * kernel_mode(2 * mode))
    return coupling * lasting / math.sqrt(2 * count) / decay_rate(mode)


def amplitude_of(law: Measure, mode: int) -> float:
    """Return the amplitude |2 int e^(i n v) drho| of a mode."""
    return float(2 * abs(law.integral(lambda v: np.exp(1j * mode * v[:, 0]))))


def amplitudes_at(
    time: float, mode: int, amplitude: float, temperature: float = 0.0, highest: int = 64
) -> np.ndarray:
    """Return the amplitudes of the flow from 1 + amplitude cos(mode v), as `flow`, (highest,)."""
    start = np.where(np.arange(1, highest + 1) == mode, amplitude, 0.0)
    return flow(time, start, temperature)


def flow(time: float, start: np.ndarray, temperature: float = 0.0) -> np.ndarray:
    """Return the amplitudes a_1, a_2, ... after a time from those at the start, (n,).

    A spectral solution of the flow for c_n = a_n / 2 (c_-n = c_n, c_0 = 1), cut off above the last
    one given:

        c_n' = -(n/2) sum_(m != 0) m kappa_m c_m c_(n-m) - temperature n^2 c_n.
    """
    highest = len(start)
    number = np.arange(1, highest + 1)
    pull = number * np.array([kernel_mode(int(n)) for n in number])
    pull = np.concatenate([-pull[::-1], [0.0], pull])

    def slope(_: float, half: np.ndarray) -> np.ndarray:
        all_modes = np.concatenate([half[::-1], [1.0], half])
        paired = np.convolve(pull * all_modes, all_modes)[2 * highest + 1 : 3 * highest + 1]
        return -number / 2 * paired - temperature * number**2 * half

    found = solve_ivp(slope, (0, time), start / 2, "LSODA", rtol=1e-10, atol=1e-13)
    return 2 * found.y[:, -1]


def distance_to_uniform(amplitudes: np.ndarray) -> float:
    """Return W2 to the uniform law of a density that is even about 0 and about pi.

    The optimal map takes v to 2 pi times its distribution function, v + sum_n a_n sin(n v) / n.
    """
    angle = (np.arange(4096) + 0.5) * 2 * math.pi / 4096
    phase = np.outer(angle, np.arange(1, len(amplitudes) + 1))
    moved = np.sin(phase) @ (amplitudes / np.arange(1, len(amplitudes) + 1))
    return math.sqrt(float(np.mean(moved**2 * (1 + np.cos(phase) @ amplitudes))))
