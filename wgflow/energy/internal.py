"""Internal energies, int U(rho): they depend on the density itself, and particles have none.

With the pressure P = rho U' - U the flow of int U(rho) is d_t rho = Laplace P(rho):

    entropy          U = lambda rho log rho,       P = lambda rho,    d_t rho = lambda Laplace rho,
    power entropy    U = factor rho^m / (m - 1),   P = factor rho^m,  the porous-medium equation
"""

from typing import Any

import numpy as np

from wgflow.energy.term import Summand
from wgflow.errors import check_number
from wgflow.measure import GridMeasure


class Internal(Summand):
    """An internal energy; a subclass gives U and what follows from it, for densities >= 0."""

    def density_value(self, density: np.ndarray) -> np.ndarray:
        """Return U of densities, in their shape."""
        raise TypeError(f"{type(self).__name__} has no value.")

    def derivative(self, density: np.ndarray) -> np.ndarray:
        """Return U', the chemical potential, of densities."""
        raise TypeError(f"{type(self).__name__} has no derivative.")

    def inverse_derivative(self, potential: np.ndarray) -> np.ndarray:
        """Return the density whose U' is nearest to this chemical potential."""
        raise TypeError(f"{type(self).__name__} has no inverse derivative.")

    def pressure(self, density: np.ndarray) -> np.ndarray:
        """Return P = rho U' - U of densities."""
        raise TypeError(f"{type(self).__name__} has no pressure.")

    def pressure_derivative(self, density: np.ndarray) -> np.ndarray:
        """Return P' of densities."""
        raise TypeError(f"{type(self).__name__} has no pressure.")

    def value(self, measure: GridMeasure) -> float:
        """Return int U(rho) for a density that is constant on each cell."""
        return float((measure.volume * self.density_value(measure.density)).sum())


def negative_entropy(mass: np.ndarray, volume: np.ndarray) -> float:
    """Return int rho log rho of masses in cells of these volumes, with 0 log 0 = 0."""
    inside = mass > 0
    return float(mass[inside] @ np.log(mass[inside] / volume[inside]))


class Entropy(Internal):
    """The entropy lambda int rho log rho; its flow is lambda Laplace rho.

    Parameters
    ----------
    temperature
        The factor lambda >= 0.
    """

    def __init__(self, temperature: float) -> None:
        self.name = "entropy"
        self.temperature = check_number("The temperature", temperature, least=0)

    def density_value(self, density: np.ndarray) -> np.ndarray:
        positive = np.maximum(density, np.finfo(float).tiny)
        return self.temperature * np.where(density > 0, density * np.log(positive), 0.0)

    def derivative(self, density: np.ndarray) -> np.ndarray:
        return self.temperature * (np.log(np.maximum(density, np.finfo(float).tiny)) + 1)

    def inverse_derivative(self, potential: np.ndarray) -> np.ndarray:
        return np.exp(potential / self.temperature - 1)

    def pressure(self, density: np.ndarray) -> np.ndarray:
        return self.temperature * density

    def pressure_derivative(self, density: np.ndarray) -> np.ndarray:
        return np.full_like(density, self.temperature)

    def value(self, measure: GridMeasure) -> float:
        return self.temperature * negative_entropy(measure.mass_on_grid, measure.volume)

    def describe(self) -> dict[str, Any]:
        return {"kind": "Entropy", "temperature": self.temperature}


class PowerEntropy(Internal):
    """The power entropy factor/(m - 1) int rho^m; its flow is factor Laplace rho^m.

    Vazquez, "The Porous Medium Equation" (Oxford University Press 2007).

    Parameters
    ----------
    exponent
        The power m > 1.
    factor
        Its strength > 0.
    """

    def __init__(self, exponent: float, factor: float = 1.0) -> None:
        self.name = "power_entropy"
        self.exponent = check_number("The exponent of a power entropy", exponent, above=1, most=100)
        self.factor = check_number("The factor of a power entropy", factor, above=0)

    def density_value(self, density: np.ndarray) -> np.ndarray:
        return self.factor / (self.exponent - 1) * density**self.exponent

    def derivative(self, density: np.ndarray) -> np.ndarray:
        power = self.exponent - 1
        return self.factor * self.exponent / power * density**power

    def inverse_derivative(self, potential: np.ndarray) -> np.ndarray:
        power = self.exponent - 1
        scaled = power / (self.factor * self.exponent) * np.maximum(potential, 0.0)
        return scaled ** (1 / power)

    def pressure(self, density: np.ndarray) -> np.ndarray:
        return self.factor * density**self.exponent

    def pressure_derivative(self, density: np.ndarray) -> np.ndarray:
        return self.factor * self.exponent * density ** (self.exponent - 1)

    def describe(self) -> dict[str, Any]:
        return {"kind": "PowerEntropy", "exponent": self.exponent, "factor": self.factor}
