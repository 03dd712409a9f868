"""Two isotropic Gaussians told apart by a ramp: its risk, and up to where one length is best.

y = 1 or -1, equally likely, and x ~ N(0, (1 + y D)^2 I) in R^d with the difference D. The network
int sigma(<w, x>) drho(w) has the ramp sigma through the knots LEFT and RIGHT, constant outside
them, and w ~ N(0, START^2 I/d) at first. In infinite dimension <w, x> is normal for given lengths,
and only q(t) = E sigma(t G), G ~ N(0, 1), counts. Everything is dimensionless, and defaults are
those of the case isotropic-gaussians. Derived here, and tested against quantiles of lengths and
the energy of the case; the tables are of a code that is not part of this library.
"""

import math

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from wgflow.energy import Energy
from wgflow.isotropic import two_lengths
from wgflow.kernels.radial_ramp import RampMean
from wgflow.measure import Particles

LEFT, RIGHT = (0.5, -2.5), (1.5, 7.5)
"""The knots (t, value) of the ramp."""
START = 0.8
"""Root-mean-square length of the neurons at time 0."""

RISK = {0: 1.704, 1: 1.071, 2: 1.011, 5: 0.700, 10: 0.175, 20: 0.069}
"""Risk of the flow of lengths for d = 40 and D = 0.8, by time, from the separate code; three
digits. A flow of 800 quantiles in the tests agrees with them to 7e-4."""
SGD_RISK = {0: 1.709, 1: 1.070, 2: 1.012, 5: 0.694, 10: 0.186, 20: 0.075}
"""The same of one run of SGD on the full network: width 800, step 4e-3, batches of 200."""
SPREAD = {0: 9.9e-3, 1: 4e-4, 2: 8e-4, 5: 6e-4, 10: 1.03e-2, 20: 5.3e-3}
"""The standard deviation of that over seeds of this library: five, and forty at t = 0."""
SAMPLING = {0: 4.6e-3, 1: 7.4e-3, 2: 6.8e-3, 5: 3.9e-3, 10: 1.1e-3, 20: 5e-4}
"""The standard error of the mean loss of the 20000 draws that it was measured by."""


def risk_at_start(dimension: int = 40, difference: float = 0.8) -> float:
    """Return E (q(s |x|) - y)^2 with s = START / sqrt(d), by quadrature over |x|.

    For given x the inner products <w, x> are normal with the standard deviation s |x|.
    """
    data = two_lengths(dimension, (1 + difference, 1 - difference))
    spread = START / math.sqrt(dimension) * data.x[:, 0]
    return float(data.weights @ (_ramp_mean(spread) - data.y[:, 0]) ** 2)


def error_of_sgd(time: int, runs: int) -> float:
    """Return the standard error of the mean risk of some runs of SGD less that of SGD_RISK."""
    return math.hypot(SPREAD[time] * math.sqrt(1 + 1 / runs), SAMPLING[time])


def one_length_threshold() -> float:
    """Return the difference up to which one length is optimal in infinite dimension,

    (t+ - t-) / (t+ + t-) with q(t+) = 1, q(t-) = -1: there (1 + difference) r = t+ and
    (1 - difference) r = t- for one r, and the risk is 0.
    """

    def length(value: float) -> float:
        return float(
            brentq(lambda t: float(_ramp_mean(np.array(t))) - value, 0.1, 100.0, xtol=1e-15)
        )

    return (length(1.0) - length(-1.0)) / (length(1.0) + length(-1.0))


def least_risk_of_one_length(difference: float) -> float:
    """Return the minimum over r of the risk of one length r in infinite dimension,

    [(q((1 + difference) r) - 1)^2 + (q((1 - difference) r) + 1)^2] / 2, with r from 1 to 2.5. Up to
    the threshold it is that over all laws. At a small temperature T lengths then spread by the
    variance T/g'' about it, and the risk is T/2 more.
    """

    def risk(length: float) -> float:
        near, far = _ramp_mean(length * np.array([1 - difference, 1 + difference]))
        return float((far - 1) ** 2 + (near + 1) ** 2) / 2

    return float(minimize_scalar(risk, bounds=(1.0, 2.5), options={"xatol": 1e-10}).fun)


def excess_of_one_length(energy: Energy) -> float:
    """Return how far the first variation elsewhere is above that at the best single length.

    Of an energy of laws of lengths, the best of which is sought from 1 to 2.5; other lengths are
    0.01 to 8, at least 0.3 away. Below 0 another law has less energy.
    """

    def value(length: float) -> float:
        law = Particles(np.array([[length]]))
        return sum(energy.values(law, energy.couple(law)).values())

    best = float(minimize_scalar(value, bounds=(1.0, 2.5), options={"xatol": 1e-10}).x)
    others = np.linspace(0.01, 8, 800)
    lengths = np.append(best, others[np.abs(others - best) > 0.3])
    couplings = energy.couple(Particles(np.array([[best]])))
    g = energy.first_variation(lengths[:, np.newaxis], couplings)
    return float(g[1:].min() - g[0])


def _ramp_mean(spread: np.ndarray) -> np.ndarray:
    """Return q(t) in the shape of t."""
    return RampMean(LEFT, RIGHT, 0).value(spread)
