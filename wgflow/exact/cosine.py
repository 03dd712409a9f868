"""A cosine between two walls: 1 + a cos(pi x) on [0, 1] under diffusion, which flattens it.

F(rho) = lambda int rho log rho with no flux through the walls; a is the amplitude, time and length
are dimensionless, and defaults are those of the case neumann-heat. By separation of variables; the
forms of the schemes are derived here, and all are tested against quadrature and small systems.
"""

import math

import numpy as np

from wgflow.measure import Measure


def amplitude_at(time: float, amplitude: float = 0.5, temperature: float = 1.0) -> float:
    """Return the amplitude of the cosine, a e^(-pi^2 lambda t)."""
    return amplitude * math.exp(-(math.pi**2) * temperature * time)


def amplitude_of(law: Measure) -> float:
    """Return the mean of 2 cos(pi x), which is a for 1 + a cos(pi x); on a grid at the centres."""
    return 2 * float(law.mass @ np.cos(math.pi * law.points[:, 0]))


def free_energy(amplitude: float) -> float:
    """Return int rho log rho of 1 + a cos(pi x), log((1 + r)/2) + 1 - r with r = sqrt(1 - a^2).

    It is a^2/4 + a^4/32 + ...; by log(1 + a cos t) = log((1 + r)/2) - 2 sum_n (-q)^n cos(n t)/n
    with q = (1 - r)/a.
    """
    root = math.sqrt(1 - amplitude**2)
    return math.log((1 + root) / 2) + 1 - root


def dissipation(amplitude: float) -> float:
    """Return -dF/dt = pi^2 a^2/(1 + r) of 1 + a cos(pi x), with r = sqrt(1 - a^2), lambda = 1."""
    return (math.pi * amplitude) ** 2 / (1 + math.sqrt(1 - amplitude**2))


def implicit_amplitude(count: int, step: float, cells: int, amplitude: float) -> float:
    """Return the amplitude after steps of implicit finite volumes with lambda = 1.

    cos(pi x) at the centres is an eigenvector of the second difference, with the eigenvalue
    -(4/h^2) sin^2(pi h/2); a step divides its amplitude by 1 + tau times as much.
    """
    eigenvalue = (2 * cells * math.sin(math.pi / (2 * cells))) ** 2
    return amplitude / (1 + step * eigenvalue) ** count


def jko_amplitude(count: int, step: float, cells: int, amplitude: float) -> float:
    """Return the amplitude after JKO steps with lambda = 1 on moving cells, for small amplitudes.

    About the uniform law a JKO step is implicit Euler for linear finite elements: displacements
    D sin(pi x) of the edges leave the densities 1 + A cos(pi x) with A = a - kappa D, and a step
    divides A by 1 + tau kappa^2/mu with

        kappa = (2/h) sin(pi h/2),    mu = (2 + cos(pi h))/3.

    The mean of 2 cos(pi x) over the cell centres is then a - pi cos(pi h/2) D. Terms of order a^3
    are left out; there are none of order a^2, as x -> 1 - x changes the sign of a.
    """
    half = math.pi / (2 * cells)
    kappa, mu = 2 * cells * math.sin(half), (2 + math.cos(2 * half)) / 3
    left = amplitude / (1 + step * kappa**2 / mu) ** count
    return amplitude - math.pi * math.cos(half) * (amplitude - left) / kappa
