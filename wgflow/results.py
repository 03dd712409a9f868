"""Reading a run back, with its problem where that can be rebuilt."""

import dataclasses
import json
import os

from wgflow.case import find_case
from wgflow.data import Data
from wgflow.errors import InputError
from wgflow.problem import Problem
from wgflow.recorder import as_json
from wgflow.run import Run, read_run


def load(path: str | os.PathLike[str]) -> Run:
    """Return the run in a results file.

    Its `problem` is rebuilt from the case and its parameters, with the data in the file; it is
    None for a problem of one's own, whose functions no file holds.

    Raises
    ------
    FileError
        The file cannot be read, is not a results file, or is incomplete.
    """
    run = read_run(path)
    run.problem = _rebuilt(run)
    return run


def _rebuilt(run: Run) -> Problem | None:
    if run.case is None:
        return None
    parameters = dict(run.provenance["parameters"])
    data = None
    if "data" in parameters:
        del parameters["data"]
        weight = run.dataset.variables.get("weight")
        if run.x is None or run.y is None or weight is None:
            return None
        equal = bool((weight.data == 1 / len(weight.data)).all())
        data = Data(run.x, run.y, None if equal else weight.data)
    try:
        problem = find_case(run.case).problem(data=data, **parameters)
    except InputError:
        # A case, or parameters of it, that this version does not have: the numbers still stand.
        return None
    times = run.dataset.variables["time"].data.tolist()
    problem = dataclasses.replace(problem, horizon=times[-1], save_times=times)
    # A problem that was changed after it left its case, or a case that has changed since.
    same = json.loads(as_json(problem.describe())) == run.provenance["problem"]
    return problem if same else None
