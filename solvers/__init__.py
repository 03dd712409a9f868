"""One file a scheme; `SOLVERS` names them for the command line and the files."""

from wgflow.errors import unknown
from wgflow.solver import Solver
from wgflow.solvers.finite_volume import FiniteVolume
from wgflow.solvers.jko import JKO
from wgflow.solvers.particles import ParticleFlow
from wgflow.solvers.sgd import SGD

SOLVERS: dict[str, type[Solver]] = {
    kind.name: kind for kind in (ParticleFlow, JKO, FiniteVolume, SGD)
}


def solver_type(name: str) -> type[Solver]:
    """Return the solver of this name, or raise InputError with the names there are."""
    if name not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    return SOLVERS[name]
