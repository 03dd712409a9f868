"""Free energies F(rho): a sum of terms, each of which sees rho only through its coupling.

    F(rho) = sum_i c_i loss(f_rho(x_i), y_i) + int r drho + 1/2 int int W(x - y) drho drho
             + lambda int rho log rho + 1/(m - 1) int rho^m,
    f_rho(x) = s int phi(theta; x) drho(theta).

The coupling of the risk is the predictions f_rho(x_i), that of a potential its integral, that of
an interaction the law. Values, first variations and gradients all start from couplings, so that a
solver computes them once, or hands in a trial coupling that no measure has yet. Internal energies
(entropies) depend on the density itself and have a value on a grid only. Everything is
dimensionless.
"""

from wgflow.energy.arc_cosine import ArcCosineRisk
from wgflow.energy.interaction import Interaction
from wgflow.energy.internal import Entropy, Internal, PowerEntropy, negative_entropy
from wgflow.energy.potential import Potential
from wgflow.energy.random_feature import RandomFeature
from wgflow.energy.risk import Risk
from wgflow.energy.term import Coupling, Couplings, Term
from wgflow.energy.total import Energy

__all__ = [
    "ArcCosineRisk",
    "Coupling",
    "Couplings",
    "Energy",
    "Entropy",
    "Interaction",
    "Internal",
    "Potential",
    "PowerEntropy",
    "RandomFeature",
    "Risk",
    "Term",
    "negative_entropy",
]
