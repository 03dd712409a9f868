"""Compute the numbers of checks, case by case.

The checks of a case share their runs and stay in one process; cases go to several, and the numbers
are the same for any number of these.
"""

import contextlib
import dataclasses
import functools
import json
import math
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from wgflow.case import Case, case_from_file, find_case, list_cases
from wgflow.check import Check, Rate
from wgflow.convergence.case_rates import measure
from wgflow.convergence.fan_out import POLL_SECONDS, Fan, Stop
from wgflow.convergence.rates import beware
from wgflow.errors import InputError, MissingPackageError, check_flag, one_line
from wgflow.solver import Context
from wgflow.verification.findings import Result, Verification

SLOW_WEIGHT = 10
"""A slow check counts as this many fast ones where it is guessed how long a case takes."""


@dataclasses.dataclass(frozen=True)
class VerificationProgress:
    """Where a verification stands.

    Attributes
    ----------
    results
        Of the checks that are made.
    planned
        How many there are to make.
    case, quantity
        The check that was begun last; empty at first.
    """

    results: Sequence[Result]
    planned: int
    case: str = ""
    quantity: str = ""


Callback = Callable[[VerificationProgress], bool | None]
"""Called often; a true return value ends the verification with the checks that are made."""
Given = str | os.PathLike[str] | Case
"""A case: its name, its file, or itself."""


def verify(
    cases: Given | Iterable[Given] | None = None,
    *,
    slow: bool = False,
    workers: int | None = None,
    progress: Callback | None = None,
) -> Verification:
    """Compute every number that some cases must reproduce, and say which they do.

    Parameters
    ----------
    cases
        Names of cases, case files (ending in .py) or `Case` objects; by default all named cases.
    slow
        Also make the checks that take long, and measure the rates of convergence.
    workers
        Processes side by side, each with its share of the cores; by default one a core. With 1, or
        for a single case, checks are made here, one after the other.
    progress
        Called often; a true return value ends the verification. What runs here ends with the check
        that it is at, what runs elsewhere at once.

    Raises
    ------
    InputError
        An unknown case, a file that defines none, a case without a check to make, or cases that
        cannot be sent to the workers asked for.
    """
    check_flag("The setting slow of a verification", slow)
    begun = time.perf_counter()
    plan = _plan(cases, slow)
    with _journal(progress is not None) as journal:
        notes = _Notes(plan, journal)
        # The longest first, so that no worker is left with one at the end.
        order = sorted(range(len(plan)), key=lambda k: -plan[k].weight)
        tasks = [_Task(k, plan[k].given, slow, journal) for k in order]

        def report(done: int) -> bool:
            return progress is not None and bool(progress(notes.read()))

        made = Fan(workers).run(_work, tasks, report)
        notes.read()
        for k, outcomes in zip(order, made, strict=True):
            notes.take(k, outcomes)
    planned = sum(len(entry.checks) for entry in plan)
    return Verification(notes.results(), planned, time.perf_counter() - begun)


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A case that is verified: what it is called, how a process finds it, and its checks."""

    name: str
    given: str | Case
    checks: Sequence[Check]

    @property
    def weight(self) -> int:
        return sum(SLOW_WEIGHT if check.slow else 1 for check in self.checks)


def _plan(cases: Given | Iterable[Given] | None, slow: bool) -> list[_Entry]:
    """Return what is to be done for each case, or raise InputError where that is nothing."""
    if isinstance(cases, str | os.PathLike | Case):
        cases = [cases]
    elif cases is not None and not isinstance(cases, Iterable):
        raise InputError(f"The cases are {cases!r}, but must be names, files or Case objects.")
    entries: dict[str | Case, _Entry] = {}
    for one in list_cases() if cases is None else cases:
        case, given = _found(one)
        checks = _checks(case, slow)
        if checks:
            name = given if isinstance(given, str) else case.name
            entries.setdefault(given, _Entry(one_line(name), given, checks))
        elif cases is not None:
            remedy = (
                "it has slow ones only; ask for those as well (--all, slow=True in Python)"
                if case.checks or case.rates
                else "give it CHECKS, or leave it out"
            )
            raise InputError(f"The case '{case.name}' has no check to make; {remedy}.")
    if not entries:
        raise InputError("There is no case to verify; name one, or leave out the list for all.")
    return list(entries.values())


def _found(given: Given) -> tuple[Case, str | Case]:
    """Return a case, and how another process finds it."""
    if isinstance(given, Case):
        named = given.name in list_cases() and find_case(given.name).checks == given.checks
        return given, given.name if named else given
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"A case is {given!r}, but must be a name, a file or a Case object.")
    place = os.fspath(given)
    return _case_at(place), place


def _case_at(place: str) -> Case:
    return case_from_file(place) if place.endswith(".py") else find_case(place)


def _checks(case: Case, slow: bool) -> list[Check]:
    """Return the checks that are made of a case."""
    checks = [check for check in case.checks if slow or not check.slow]
    rates = case.rates if slow else ()
    return [*checks, *(rate.check(functools.partial(_slope, case, rate)) for rate in rates)]


def _slope(case: Case, rate: Rate) -> float:
    """Return a measured rate, or raise InputError if a run did not finish."""
    study = measure(case, rate, workers=1)
    if study.outcome != "finished":
        raise InputError(" ".join(beware(study)))
    return float(study.slope[-1])


@dataclasses.dataclass(frozen=True)
class _Task:
    """A case to verify, as plain data for another process; `number` is its place in the plan."""

    number: int
    case: str | Case
    slow: bool
    journal: str


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """What was computed for a check."""

    computed: float
    seconds: float
    message: str
    skipped: bool


def _work(task: _Task, stop: Stop, threads: int | None) -> list[_Outcome]:
    """Make the checks of a case until there is a request to stop."""
    case = task.case if isinstance(task.case, Case) else _case_at(task.case)
    made: list[_Outcome] = []
    # In a process of its own there is nothing to lose, and slow checks need not be waited for.
    ending = _ending(stop) if threads is not None else contextlib.nullcontext()
    with Context(threads=threads).held(), ending:
        for number, check in enumerate(_checks(case, task.slow)):
            _write(task.journal, [task.number, number])
            if stop():
                break
            made.append(_computed(check))
            _write(task.journal, [task.number, number, dataclasses.asdict(made[-1])])
    return made


def _computed(check: Check) -> _Outcome:
    """Compute the number of a check; an error on the way is told in a sentence."""
    begun = time.perf_counter()
    number, message, skipped = math.nan, "", False
    try:
        number = float(check.compute())
    except InputError as error:
        message, skipped = str(error), isinstance(error, MissingPackageError)
    except (Exception, SystemExit) as error:
        words = one_line(str(error))
        message = f"{type(error).__name__}{': ' if words else ''}{words}"
    return _Outcome(number, time.perf_counter() - begun, message, skipped)


@contextlib.contextmanager
def _ending(stop: Stop) -> Iterator[None]:
    """End this process as soon as there is a request to stop, inside a with block."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            if stop():
                os._exit(0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextlib.contextmanager
def _journal(wanted: bool) -> Iterator[str]:
    """Yield the name of an empty file for what tasks say while they run; "" if there is none."""
    with contextlib.ExitStack() as stack:
        name = ""
        if wanted:
            with contextlib.suppress(OSError):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wgflow-"))
                pathlib.Path(folder, "journal").touch()
                name = str(pathlib.Path(folder, "journal"))
        yield name


def _write(journal: str, entry: list[Any]) -> None:
    """Append a line to the journal; one that cannot be written is missed by the progress only."""
    if journal:
        with contextlib.suppress(OSError), open(journal, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


class _Notes:
    """What is known of the checks of a plan so far."""

    def __init__(self, plan: Sequence[_Entry], journal: str) -> None:
        self.plan, self.journal = plan, journal
        self.outcomes: list[dict[int, _Outcome]] = [{} for _ in plan]
        self.planned = sum(len(entry.checks) for entry in plan)
        self.last = ("", "")
        self._place = 0

    def read(self) -> VerificationProgress:
        """Read on in the journal and return where the verification stands."""
        if self.journal:
            with open(self.journal, "rb") as file:
                file.seek(self._place)
                text = file.read()
            whole = text.rfind(b"\n") + 1  # the rest is still being written
            self._place += whole
            for line in text[:whole].splitlines():
                case, number, *outcome = json.loads(line)
                entry = self.plan[case]
                self.last = entry.name, one_line(entry.checks[number].quantity)
                if outcome:
                    self.outcomes[case][number] = _Outcome(**outcome[0])
        return VerificationProgress(self.results(), self.planned, *self.last)

    def take(self, case: int, outcomes: Sequence[_Outcome] | None) -> None:
        """Take over what a task returned, None if it was stopped."""
        self.outcomes[case] |= dict(enumerate(outcomes or ()))

    def results(self) -> list[Result]:
        """Return the results in the order of the plan."""
        return [
            Result(entry.name, entry.checks[k], **dataclasses.asdict(made))
            for entry, outcomes in zip(self.plan, self.outcomes, strict=True)
            for k, made in sorted(outcomes.items())
        ]
