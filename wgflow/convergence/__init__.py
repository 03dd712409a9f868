"""Studies of convergence: how fast the error of a solver falls in one of its settings.

`rate_study` runs a solver for every value and seed, `variation` says what is varied and which rate
is expected, `reference` what errors are measured against, `quantities` in what, `fan_out` where the
runs are made; `rates` holds the errors, their slope and the table.
"""

from wgflow.convergence.fan_out import Fan
from wgflow.convergence.rate_study import StudyProgress, study
from wgflow.convergence.rates import Study

__all__ = ["Fan", "Study", "StudyProgress", "study"]
