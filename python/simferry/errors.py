"""Every error that simferry raises on purpose; those of a part of its own (Docker, AWS) are defined there.

    SimferryError                 something of simferry's went wrong                       exit code 1
    ├── UsageError                what was asked for cannot be done as it was asked        exit code 2
    │   ├── DesignError           the design: parameters, values, conditions
    │   ├── SimulationError       the script or function: not there, unparsable, other arguments
    │   ├── SweepFileError        a sweep file: unknown keys, wrong types
    │   ├── RequestRefused        SageMaker would not take a job that is described so
    │   └── ImageError            an image is not here, or can't do what it is asked       exit code 1
    ├── StoreError                a run folder cannot be read or written
    │   ├── RunNotFound           no run of that name
    │   ├── ObjectNotFound        an object of the store is not there
    │   └── UnfitName             an object has a name that no file could have
    ├── RunBusy                   another process is computing this run
    ├── WorkerError               the worker could not start or could not load the simulation
    ├── ReplicationError          a replication that was run again failed                      exit code 3
    │   └── RError                an R function failed: one called from Python, or a replication's
    ├── EngineError               Docker is not there, or refused something
    ├── RegistryError             a registry refuses the login or the image, or can't be reached
    ├── ServiceError              a service refused, or could not be asked
    │   ├── NoAnswer              a service can't be reached
    │   └── AwsError              an AWS service
    │       ├── CredentialsError  there are no credentials, or they have expired
    │       ├── AccessDenied      the credentials are good, and do not allow it
    │       └── QuotaError        the account's quota does not allow a single such job
    ├── UnexpectedStatusException a job of simferry.sagemaker has failed
    │   └── CapacityError         there were no instances of the type to be had
    ├── EmulatorError             the emulator is not installed, or its port is taken
    ├── BudgetReached                 more jobs would cost more than the budget                exit code 4
    └── Interrupted               stopped by the user; the run can be resumed              exit code 4

Each has a `code` (a word, stable, for programs), a `message` (what was wrong, with the value and the place) and a `hint`
(what to do). Both may name commands and options (see hints.py): they are spelled when they are read, as who reads them types them.
Errors survive pickling. Note is no error but a warning, of something that is good to know.
"""

import difflib
from collections.abc import Iterable

from .hints import Text, Words
from .system.terminal import shown


class SimferryError(Exception):
    """An error of simferry. message: what was wrong, with the value and the place. hint: what to do; it may be empty."""

    code = "simferry"
    exit_code = 1
    nothing_started = False  # True where jobs were to start, and none did

    def __init__(self, message: Words, hint: Words = "") -> None:
        super().__init__(message, hint)
        self.message_parts, self.hint_parts = Text(message), Text(hint)

    @property
    def message(self) -> str:
        """What was wrong, with the value and the place."""
        return str(self.message_parts)

    @property
    def hint(self) -> str:
        """What to do; it may be empty."""
        return str(self.hint_parts)

    def __str__(self) -> str:
        return shown(f"{self.message}\n{self.hint}" if self.hint else self.message)


class UsageError(SimferryError):
    code = "usage"
    exit_code = 2


class DesignError(UsageError):
    code = "design"


class SimulationError(UsageError):
    code = "simulation"


class SweepFileError(UsageError):
    code = "sweep_file"


class StoreError(SimferryError):
    code = "store"


class RunNotFound(StoreError):
    code = "run_not_found"


class RunBusy(SimferryError):
    code = "run_busy"


class WorkerError(SimferryError):
    code = "worker"


class ReplicationError(SimferryError):
    """call: where it happened; traceback: the calls that led there, innermost last. Both as in Run.errors()."""

    code = "replication"
    exit_code = 3

    def __init__(self, message: Words, hint: Words = "", call: str = "", traceback: str = "") -> None:
        super().__init__(message, hint)
        self.call = call
        self.traceback = traceback

    def __str__(self) -> str:
        text = f"{self.message} (in {self.call})" if self.call else self.message
        trace = f"Traceback, innermost call last:\n{self.traceback}" if self.traceback else ""
        return shown("\n".join(part for part in (text, trace, self.hint) if part))


class RError(ReplicationError):
    code = "r"


class ServiceError(SimferryError):
    """A service refused, or could not be asked."""

    code = "service"


class NoAnswer(ServiceError):
    """A service can't be reached. What was asked of it may have been done all the same. service: as users call it."""

    code = "no_answer"

    def __init__(self, message: Words, hint: Words = "", service: str = "the service") -> None:
        super().__init__(message, hint)
        self.service = service


class BudgetReached(SimferryError):
    code = "budget"
    exit_code = 4


class Interrupted(SimferryError):
    code = "interrupted"
    exit_code = 4


class Note(UserWarning):
    """Something that is good to know. The shell says `note:` where it says `warning:` of others; in R it is a message."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that offers the known words nearest to a mistyped one; empty if none is near.

    Case does not matter, and neither does what follows in a longer word: run ids are given by their beginning.
    """
    likeness = {k: _likeness(word.lower(), k.lower()) for k in known}
    enough = max(0.6, max(likeness.values(), default=0) - 0.2)
    near = sorted((k for k in likeness if likeness[k] >= enough), key=lambda k: -likeness[k])[:3]
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _likeness(word: str, known: str) -> float:
    shapes = [known, known[: len(word)]] if len(word) > 3 else [known]
    return max(difflib.SequenceMatcher(None, word, shape).ratio() for shape in shapes)
