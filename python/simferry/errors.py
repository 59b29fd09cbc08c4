"""The errors that simferry raises on purpose. Errors of one part (Docker, AWS) are defined there.

    SimferryError                 any error of simferry                                    exit code 1
    ├── UsageError                an argument, option or input is wrong                    exit code 2
    │   ├── DesignError           the design: parameters, values, conditions
    │   ├── SimulationError       the script or function: missing, unparsable, wrong arguments
    │   ├── SweepFileError        a sweep file: unknown keys, wrong types
    │   ├── ManyJobs              more jobs that cost money each than are started without being asked
    │   ├── RequestRefused        SageMaker would not accept this description of a job
    │   ├── ModelArchiveError     a model.tar.gz is none, or holds what can't be unpacked
    │   └── ImageError            an image is missing or unsuitable                        exit code 1
    ├── StoreError                a run folder cannot be read or written
    │   ├── RunNotFound           no run has this name
    │   │   └── AmbiguousRun      several runs have it
    │   ├── ObjectNotFound        an object of the store does not exist
    │   └── UnfitName             the name of an object is no valid file name
    ├── RunBusy                   another process is computing this run
    ├── WorkerError               the worker could not start or could not load the simulation
    ├── ReplicationError          a replayed replication failed                            exit code 3
    │   └── RError                an R function failed, called from Python or replayed
    ├── EngineError               Docker can't be reached, or refused a request
    ├── ServingError              a container does not start, or does not answer, under the hosting contract
    │   └── ServingTimeout        it did not answer in its time
    ├── RegistryError             a registry refuses the login or the image, or can't be reached
    ├── ServiceError              a service refused a request, or can't be reached
    │   ├── NoAnswer              a service can't be reached
    │   └── AwsError              an AWS service refused a request
    │       ├── CredentialsError  there are no credentials, or they have expired
    │       ├── AccessDenied      the credentials do not allow the request
    │       ├── StackError        CloudFormation could not make, change or delete a stack
    │       └── QuotaError        the account's quota does not allow a single such job
    ├── UnexpectedStatusException a job of simferry.sagemaker has failed
    │   └── CapacityError         no instances of the type are available
    ├── EmulatorError             the emulator is not installed, or its port is in use
    └── BudgetReached             more jobs would cost more than the budget                exit code 4
    KeyboardInterrupt             Python's own: `except Exception` does not catch it
    └── Interrupted               stopped by the user; the run can be resumed              exit code 4

Each has a `code` (a stable word, for programs), a `message` (what is wrong, with the value and where it is) and a `hint` (what
to do). Both may name commands and options, which the shell, Python and R each show in their own form (see hints.py). Errors can
be pickled. Note is not an error but a warning class, for useful information.
"""

import difflib
from collections.abc import Iterable
from typing import Any

from .hints import Face, Option, Part, Text, Words
from .system.terminal import shown


class Worded(BaseException):
    """What the errors have in common: a message and a hint that each face spells."""

    code = "simferry"
    exit_code = 1

    def __init__(self, message: Words, hint: Words = "") -> None:
        super().__init__(message, hint)
        self.message_parts, self.hint_parts = Text(message), Text(hint)

    @property
    def message(self) -> str:
        """What is wrong, with the value and where it is."""
        return str(self.message_parts)

    @property
    def hint(self) -> str:
        """What to do; it may be empty."""
        return str(self.hint_parts)

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        """Read a pickled one. Earlier versions kept message and hint as strings, which are its arguments as well."""
        vars(self).update({name: value for name, value in (state or {}).items() if name not in ("message", "hint")})

    def __str__(self) -> str:
        return shown(f"{self.message}\n{self.hint}" if self.hint else self.message)


class SimferryError(Worded, Exception):
    """An error of simferry. message: what is wrong, with the value and where it is. hint: what to do; it may be empty."""

    nothing_started = False  # True if no job could be started


class UsageError(SimferryError):
    code = "usage"
    exit_code = 2


class DesignError(UsageError):
    code = "design"


class SimulationError(UsageError):
    code = "simulation"


class SweepFileError(UsageError):
    code = "sweep_file"


class ManyJobs(UsageError):
    code = "many_jobs"


class StoreError(SimferryError):
    code = "store"


class RunNotFound(StoreError):
    code = "run_not_found"


class AmbiguousRun(RunNotFound):
    """Several runs of the store have this name, or begin with it."""


class RunBusy(SimferryError):
    code = "run_busy"


class WorkerError(SimferryError):
    code = "worker"


class ReplicationError(SimferryError):
    """A replayed replication failed. call: where; traceback: the calls that led there, innermost last. Both as in Run.errors()."""

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
    """A service refused a request, or can't be reached."""

    code = "service"


class NoAnswer(ServiceError):
    """A service can't be reached. It may still have done what was requested.

    service: its name for users. for_good: it will not answer again.
    """

    code = "no_answer"

    def __init__(self, message: Words, hint: Words = "", service: str = "the service", for_good: bool = False) -> None:
        super().__init__(message, hint)
        self.service, self.for_good = service, for_good


class BudgetReached(SimferryError):
    code = "budget"
    exit_code = 4


class Interrupted(Worded, KeyboardInterrupt):
    """Stopped by Ctrl-C, SIGTERM or somebody else. As a KeyboardInterrupt it passes through `except Exception`."""

    code = "interrupted"
    exit_code = 4


class Note(UserWarning):
    """Useful information. The shell prints it after `note:` instead of `warning:`; R shows a message."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence with the known words nearest to a mistyped one; empty if none is near.

    Case does not matter. Words also match the beginnings of longer ones, as run ids may be shortened.
    """
    likeness = {k: _likeness(word.lower(), k.lower()) for k in known}
    enough = max(0.6, max(likeness.values(), default=0) - 0.2)
    near = sorted((k for k in likeness if likeness[k] >= enough), key=lambda k: -likeness[k])[:3]
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _likeness(word: str, known: str) -> float:
    shapes = [known, known[: len(word)]] if len(word) > 3 else [known]
    return max(difflib.SequenceMatcher(None, word, shape).ratio() for shape in shapes)


class Near(Part):
    """The known options nearest to a mistyped one, or all of them. also: other names that a call takes."""

    def __init__(self, name: str, known: tuple[str, ...], also: tuple[str, ...] = ()) -> None:
        self.name, self.known, self.also = name, known, also

    def spelled(self, face: Face) -> str:
        known = [Option(one).spelled(face) for one in self.known]
        also = [] if face is Face.FILE else [Option(one).spelled(face) for one in self.also]
        return nearest(Option(self.name).spelled(face), [*known, *also]) or f"It has: {', '.join(known)}."
