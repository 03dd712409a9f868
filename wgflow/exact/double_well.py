"""Diffusion in the double well V(x) = (x^2 - 1)^2, through the modes of a Schroedinger operator.

F(rho) = int V drho + lambda int rho log rho and d_t rho = (rho V')' + lambda rho'' on the line from
N(mean, std^2): its Gibbs law by quadrature, the law at all times and the slow rate from a dense
eigenproblem. Everything is dimensionless; defaults are those of the case double-well. Derived here,
and tested against quadrature, the equations of moments and Kramers' rate.
"""

import functools
import math

import numpy as np
from scipy.integrate import quad
from scipy.linalg import eigh


def height(x: np.ndarray) -> np.ndarray:
    """Return V at points, in their shape."""
    return (x**2 - 1) ** 2


def slope(x: np.ndarray) -> np.ndarray:
    """Return V' at points, in their shape."""
    return 4 * x * (x**2 - 1)


def gibbs_integral(power: int = 0, temperature: float = 0.1) -> float:
    """Return int x^power exp(-V(x) / temperature) dx by adaptive quadrature (QUADPACK)."""

    def integrand(x: float) -> float:
        return float(x**power * math.exp(-((x**2 - 1) ** 2) / temperature))

    end = _end(temperature)
    return quad(integrand, -end, end, points=[-1, 0, 1], epsabs=0, epsrel=1e-13, limit=200)[0]


def gibbs_density(x: np.ndarray, temperature: float = 0.1) -> np.ndarray:
    """Return exp(-V / temperature) / Z at points, in their shape."""
    return np.exp(-height(x) / temperature) / gibbs_integral(0, temperature)


def minimum(temperature: float = 0.1) -> float:
    """Return F* = -temperature log int exp(-V / temperature)."""
    return -temperature * math.log(gibbs_integral(0, temperature))


@functools.cache
def spectrum(temperature: float = 0.1, points: int = 121) -> tuple[np.ndarray, ...]:
    """Return points x (n,), rates (n,) and modes (n, n) of the flow, by a dense eigenproblem.

    With rho = exp(-V / 2 lambda) psi the flow is d_t psi = -H psi for the Schroedinger operator
    H = -lambda d^2/dx^2 + V'^2 / 4 lambda - V'' / 2, taken here in a basis of sinc functions:
    D. T. Colbert and W. H. Miller, J. Chem. Phys. 96 (1992). Columns of the modes are orthonormal.
    """
    end = _end(temperature)
    x, h = np.linspace(-end, end, points, retstep=True)
    apart = np.subtract.outer(np.arange(points), np.arange(points))
    square = np.maximum(apart**2, 1)
    kinetic = np.where(apart == 0, np.pi**2 / 3, 2 * (-1.0) ** apart / square) / h**2
    bending = 12 * x**2 - 4
    well = slope(x) ** 2 / (4 * temperature) - bending / 2
    return x, *eigh(temperature * kinetic + np.diag(well))


def relaxation_rate(temperature: float = 0.1) -> float:
    """Return the smallest positive rate, at which mass goes over the barrier."""
    return float(spectrum(temperature)[1][1])


def density_at(
    time: float, temperature: float = 0.1, mean: float = 0.3, std: float = 0.25
) -> tuple[np.ndarray, np.ndarray]:
    """Return points x (n,) and the density of the flow there (n,), through its modes.

    Start in the region between the wells: the expansion loses digits where a Gaussian has wider
    tails than the square root of the Gibbs law.
    """
    x, rates, modes = spectrum(temperature)
    root = np.exp(-height(x) / (2 * temperature))
    start = np.exp(-(((x - mean) / std) ** 2) / 2) / (math.sqrt(2 * math.pi) * std)
    return x, root * (modes @ (np.exp(-rates * time) * (modes.T @ (start / root))))


def moment_at(time: float, power: int, temperature: float = 0.1) -> float:
    """Return int x^power drho of the flow, by the trapezoidal rule over its modes."""
    x, density = density_at(time, temperature)
    return float((x[1] - x[0]) * (x**power * density).sum())


def moment_error(time: float, power: int, count: int, temperature: float = 0.1) -> float:
    """Return the standard error (Var x^power / count)^(1/2) of that moment of `count` draws."""
    square = moment_at(time, 2 * power, temperature)
    return math.sqrt((square - moment_at(time, power, temperature) ** 2) / count)


def excess_at(time: float, temperature: float = 0.1) -> float:
    """Return F - F* = lambda int rho log(rho / rho*) of the flow."""
    x, density = density_at(time, temperature)
    ratio = np.maximum(density / gibbs_density(x, temperature), 1e-300)
    return float(temperature * (x[1] - x[0]) * (density * np.log(ratio)).sum())


def _end(temperature: float) -> float:
    """Return where exp(-V / temperature) is e^-90."""
    return math.sqrt(1 + math.sqrt(90 * temperature))
