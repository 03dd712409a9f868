"""Numbers of a run that two runs of one problem can be compared by, at any of its saves."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from wgflow.domain import Circle, Domain
from wgflow.errors import InputError, check_choice
from wgflow.measure import Measure
from wgflow.problem import Problem
from wgflow.run import Run
from wgflow.transport import wasserstein

Observed = np.ndarray | list[Measure]
"""What is taken from a run: an array (times, ...), or a law a time."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """Something that is observed of a run.

    Attributes
    ----------
    words
        The distance of two of them, in words.
    observe
        Takes a run and the rows of its saves.
    """

    words: str
    observe: Callable[[Run, list[int]], Observed]


def _prediction(run: Run, rows: list[int]) -> np.ndarray:
    if run.prediction is None:
        raise InputError(
            f"{run!r} holds no predictions (it was saved with save={run.saved}); run again with "
            "--save all (save='all' in Python)."
        )
    return run.prediction[rows]


def _laws(run: Run, rows: list[int]) -> list[Measure]:
    return [run.measure(row) for row in rows]


def _means(run: Run, rows: list[int]) -> np.ndarray:
    return np.array([law.integral(lambda x: x) for law in _laws(run, rows)])


def _variances(run: Run, rows: list[int]) -> np.ndarray:
    return np.array([_variance(law) for law in _laws(run, rows)])


def _variance(law: Measure) -> np.ndarray:
    mean = law.integral(lambda x: x)
    return law.integral(lambda x: (x - mean) ** 2)


QUANTITIES = {
    "prediction": Quantity("root mean square of f - f_ref over the sample", _prediction),
    "risk": Quantity("difference of the risks", lambda run, rows: run.risk[rows]),
    "energy": Quantity(
        "difference of the free energies", lambda run, rows: run.energy["total"][rows]
    ),
    "mean": Quantity("distance of the means of the laws", _means),
    "variance": Quantity("distance of the variances of all coordinates", _variances),
    "wasserstein": Quantity("Wasserstein distance of the laws", _laws),
}


def check_quantity(name: str | None, problem: Problem, *, particles: bool) -> str:
    """Return the name of a quantity of this problem; by default one that it has.

    Parameters
    ----------
    particles
        Whether it is needed of particles.

    Raises
    ------
    InputError
        There is no such quantity, or it is not defined here.
    """
    if name is None:
        return "wasserstein" if problem.risk is None else "prediction"
    check_choice("The quantity", name, QUANTITIES)
    if name in ("prediction", "risk") and problem.risk is None:
        raise InputError(
            f"The quantity '{name}' needs a network, but the energy has no Risk term; use "
            "wasserstein, mean or variance."
        )
    if name == "energy" and particles and problem.temperature > 0:
        raise InputError(
            "The free energy of particles is not defined at a temperature above 0, since they have "
            "no density; use prediction, risk or wasserstein."
        )
    if name in ("mean", "variance") and any(isinstance(a, Circle) for a in problem.domain.axes):
        raise InputError(
            f"The quantity '{name}' is not defined on a circle; use prediction, risk or "
            "wasserstein."
        )
    return name


def observe(name: str, run: Run, times: Sequence[float]) -> Observed:
    """Return a quantity at some of the saves of a run.

    Raises
    ------
    InputError
        The run has no save at one of the times, or does not store there what is observed.
    """
    rows = []
    for time in times:
        near = np.flatnonzero(np.abs(run.time - time) <= 1e-9 * max(1.0, abs(time)))
        if len(near) == 0:
            raise InputError(
                f"{run!r} has no save at t = {time:g}; take a time that it has, or a run that has "
                "this one."
            )
        rows.append(int(near[0]))
    return QUANTITIES[name].observe(run, rows)


def distance(name: str, one: Observed, other: Observed, domain: Domain) -> np.ndarray:
    """Return the distance of two observations of a quantity, shape (times,)."""
    if isinstance(one, list) or isinstance(other, list):
        pairs = zip(one, other, strict=True)
        return np.array([wasserstein(law, ref, domain=domain) for law, ref in pairs])
    return length(name, one - other)


def length(name: str, difference: np.ndarray) -> np.ndarray:
    """Return the size of a difference of two observed arrays, (times, ...) -> (times,)."""
    square = np.square(difference).reshape(len(difference), -1).sum(axis=1)
    samples = difference.shape[1] if name == "prediction" else 1
    return np.sqrt(square / samples)
