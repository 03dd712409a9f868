"""Reading a run back, with its problem where that can be rebuilt."""

import dataclasses
import json
import os

from wgflow.case import Case, find_case
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
    try:
        made = rebuilt(run)
        # A problem that was changed after it left its case, or a case that has changed since.
        same = json.loads(as_json(made.describe())) == run.provenance["problem"]
        run.problem = made if same else None
    except InputError:
        # A case, or parameters of it, that this version does not have: the numbers still stand.
        run.problem = None
    return run


def rebuilt(run: Run, case: Case | None = None) -> Problem:
    """Return the problem of a run, made from its case, its parameters and the data in the file.

    Parameters
    ----------
    case
        By default found by its name.

    Raises
    ------
    InputError
        There is no such case, or it does not take these parameters or data.
    """
    parameters = dict(run.provenance["parameters"])
    data = None
    if "data" in parameters:
        del parameters["data"]
        weight = run.dataset.variables.get("weight")
        if run.x is None or run.y is None or weight is None:
            raise InputError(f"{run!r} was made with data of one's own, which are not in the file.")
        data = Data(run.x, run.y, weight.data)
    made = (case or find_case(run.case or "")).problem(data=data, **parameters)
    times = run.dataset.variables["time"].data.tolist()
    made = dataclasses.replace(made, horizon=times[-1], save_times=times)
    if "data" in run.provenance["parameters"]:
        # The data are the same, wherever they were read from.
        made = dataclasses.replace(made, parameters=run.provenance["parameters"])
    return made
