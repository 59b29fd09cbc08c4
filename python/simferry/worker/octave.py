"""Simulations that are functions of MATLAB or Octave: each process of a job keeps an interpreter of its own, which runs worker.m.

docs/decisions/octave.md says why it is driven from Python.
"""

import contextlib
import ctypes
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from . import streams
from .family import ending, family, kill
from .job import Job, keep_facts
from .octave_program import program
from .octave_text import (
    Function,
    Traits,
    advice,
    functions,
    is_function_file,
    packages_in,
    read,
    traits,
)
from .octave_values import decoded, exact, literal
from .scripts import Reported
from .state import State

_HERE = Path(__file__).parent
_NUMBER, _RECORD, _END, _NAMES, _VALUE, _ERROR, _REPLY = 1, 2, 0, 10, 11, 12, 13
_AHEAD_SECONDS = 0.005  # of work that the interpreter is given at once
_WARNING = re.compile(r"warning: (.*)")


class Ended(Exception):
    """The interpreter has ended. status: its exit code, or the negative number of a signal."""

    def __init__(self, status: int) -> None:
        self.status = status


_LIBC = ctypes.CDLL(None)  # here: nothing is loaded between fork and exec


def _end_with_parent() -> None:
    """Let the system end this process when its parent ends, however that is killed: its loop may have no end."""
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Interpreter:
    """A process of Octave or MATLAB that runs worker.m. folder: of its pipes; nobody else uses it."""

    def __init__(self, folder: Path) -> None:
        path = program()
        self.is_matlab = Path(path).name == "matlab"
        self.errors = folder / "errors"  # what it prints on standard error: its warnings
        names = [str((folder / name).resolve()) for name in ("requests", "answers")]
        for name in names:
            os.mkfifo(name)
        self.requests = os.open(names[0], os.O_RDWR)
        answers = os.open(names[1], os.O_RDONLY | os.O_NONBLOCK)
        call = "worker('{}', '{}')".format(*(name.replace("'", "''") for name in names))
        command = [path, "--no-gui", "--norc", "--no-history", "--eval", call]
        if self.is_matlab:
            command = [path, "-nodisplay", "-nosplash", "-nodesktop", "-r", f"{call}; exit"]
        sys.stdout.flush()
        # a session of its own: Ctrl-C is for the worker
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                command, cwd=_HERE.resolve(), stdin=subprocess.DEVNULL, stderr=errors, start_new_session=True,
                preexec_fn=_end_with_parent,
            )  # fmt: skip
        while not select.select([answers], [], [], 0.05)[0]:
            if self.process.poll() is not None:
                break
        os.set_blocking(answers, True)
        self.answers = open(answers, "rb")  # noqa: SIM115
        self.answer()  # that it is ready

    def read(self, size: int) -> bytes:
        data = self.answers.read(size)
        if len(data) < size:
            raise Ended(self.process.wait())
        return data

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.requests, data) :]

    def answer(self) -> tuple[int, Any]:
        """The next part of an answer: what it is, and its numbers or bytes."""
        kind, size = struct.unpack("<2d", self.read(16))
        if kind == _END:
            return _END, size
        if kind in (_NUMBER, _RECORD):
            return int(kind), struct.unpack(f"<{int(size)}d", self.read(8 * int(size)))
        return int(kind), self.read(int(size))

    def ask(self, text: str) -> str:
        """Evaluate a text in worker.m. Returns what it has put into `reply`. Raises Reported, Ended."""
        data = text.encode("utf-8", "surrogateescape")
        self.write(struct.pack("<2d", -len(data), 0) + data)
        kind, content = self.answer()
        if kind == _ERROR:
            raise reported(content)
        return str(content.decode("utf-8", "replace"))

    def printed(self) -> str:
        """What it has printed on standard error since the last call."""
        with contextlib.suppress(OSError):
            if os.path.getsize(self.errors):
                text = self.errors.read_text(encoding="utf-8", errors="replace")
                os.truncate(self.errors, 0)
                return text
        return ""

    def end(self) -> None:
        kill(family(self.process.pid))
        self.process.wait()
        self.answers.close()
        os.close(self.requests)


def reported(content: bytes) -> Reported:
    """The error that `described` in worker.m has written."""
    message, _, stack = (part.decode("utf-8", "replace") for part in content.split(b"\0", 2))
    found = [line.split("\t") for line in stack.splitlines() if line.count("\t") == 2]
    own = str((_HERE / "worker.m").resolve())
    frames = [(name, line) for name, line, file in found if file != own]
    message = advice(message.removeprefix("error: "))
    where = f"{frames[0][0]}, line {frames[0][1]}" if frames else ""
    called = "".join(f"    {name} at line {line}\n" for name, line in frames)
    return Reported(message, where, f"error: {message}\n" + (f"error: called from\n{called}" if called else ""))


class Outcome(NamedTuple):
    """Of a replication: its value or error, and its warnings."""

    replication: int
    value: Any
    warnings: list[str]


class OctaveRunner:
    """Calls the function in its interpreter, which computes a few milliseconds' replications at once.

    limit: how many replications it may compute at once. ahead: those that it has computed.
    on_warning: takes the warnings of the replication that was called last.
    on_drop: called when replications were computed whose results are not used and which are computed again: removes their files.
    """

    limit = 1

    def __init__(self, job: Job, on_warning: Callable[[str], None], on_drop: Callable[[], object]) -> None:
        self.job, self.row, self.on_warning, self.on_drop = job, -1, on_warning, on_drop
        self.folder = Path(tempfile.mkdtemp(prefix="octave-", dir=job.scratch))
        self.home = os.getcwd()
        text = read(job.code / job.script)
        self.function = next(one for one in functions(text) if one.name == job.function)
        self.traits = traits_of(job)
        self.used = self.traits.drawing  # which of Octave's generators the simulation draws from
        self.careful_until = 0  # replications before it are computed one by one: one of them has ended the interpreter
        self.many, self.started = 1, 0
        self.since = 0  # how many replications were computed since it was last asked what they left behind
        self.unsure = False  # whether the interpreter ended before it was known
        self.ahead: deque[Outcome] = deque()
        self.names: list[str] = []
        self.interpreter: Interpreter | None = None
        self.start()

    def start(self) -> Interpreter:
        self.started += 1
        folder = self.folder / str(self.started)
        folder.mkdir()
        self.interpreter = one = Interpreter(folder)
        self.row, self.names = -1, []
        one.ask(loading(self.job, self.function, self.home, one.is_matlab))
        for text in sorted_out(one.printed()):  # of the loading, as that its name is also one of Octave's own functions
            print(f"warning: {text}", flush=True)
        if self.started == 1:
            self.facts = facts_of(one)
            keep_facts(self.job, self.facts)
        self.seed_used(one)
        return one

    def seed_used(self, one: Interpreter) -> None:
        """Let these generators be seeded before each replication. Each takes a replication 5 to 15 microseconds."""
        one.ask(
            f"has_old = {int(self.traits.old)}; used = logical([{' '.join(str(int(flag)) for flag in self.used)}]); base = generators_();"
        )

    def left_behind(self) -> bool:
        """Whether a replication has changed the current folder, the path, or which warnings are on. It may have, if it ended with that."""
        self.since = 0
        return self.unsure or bool(
            self.interpreter and self.interpreter.ask("reply = num2str(~isequal(state_now_(watched), start));") == "1"
        )

    def restore(self) -> None:
        self.unsure = False
        if self.interpreter:
            self.interpreter.ask("put_back_(start);")

    def begin(self, one: Interpreter, row: int) -> None:
        """Go to a condition."""
        self.row = row
        key = self.job.keys[row]
        given = ", ".join(arguments_of(self.function, self.job.values(row)))
        code = [f"given = {{{given}}};", f"key = [{' '.join(map(str, key.view('<u4').tolist()))}];"]
        if one.is_matlab:
            code.append(
                f"stream = RandStream.create('mrg32k3a', 'NumStreams', 2^53, 'StreamIndices', {int(key[0]) % 2**53 + 1}); "
                "RandStream.setGlobalStream(stream);"
            )
        one.ask(" ".join(code))

    def __call__(self, row: int, replication: int) -> Any:
        if row != self.row or not self.ahead or self.ahead[0].replication != replication:
            self.ahead.clear()
            self.compute(row, replication)
        outcome = self.ahead.popleft()
        self.since += 1
        for text in outcome.warnings:
            self.on_warning(text)
        if isinstance(outcome.value, BaseException):
            raise outcome.value
        return outcome.value

    def compute(self, row: int, replication: int) -> None:
        """Compute this replication, and others that follow."""
        many = 1 if replication < self.careful_until else max(1, min(self.limit, self.many))
        for attempt in (1, 2):
            try:
                self._ask(row, replication, many)
                return
            except Ended as end:
                self.end()
                if many == 1 and (end.status >= 0 or attempt == 2):
                    how = f"the simulation ended the interpreter ({ending(end.status)})"
                    self.ahead.append(Outcome(replication, Reported(how, "", ""), []))
                    return
                self.on_drop()
                # one after the other: so the culprit is known
                self.careful_until, many = max(self.careful_until, replication + many), 1
            except BaseException:  # an interrupt: what it computes is nobody's now
                self.end()
                self.ahead.clear()
                raise
        raise AssertionError

    def end(self) -> None:
        """End the interpreter. The next replication starts another."""
        if self.interpreter:
            self.interpreter.end()
            self.interpreter = None
            self.unsure = self.unsure or self.since > 0

    def _ask(self, row: int, replication: int, many: int) -> None:
        one = self.interpreter or self.start()
        changing = bool(self.job.variables) and self.job.variables_change(row)
        if row != self.row:
            self.begin(one, row)
            changing = bool(self.job.variables)
        if changing:
            pairs = self.job.variables_of(row, replication).items()
            one.ask(" ".join(f"setenv({literal(name)}, {literal(text)});" for name, text in pairs))
            one.ask("now = state_now_(watched); start.environment = now.environment;")
        began = time.perf_counter()
        if unseeded := self.answers_to(one, replication, many):
            # they have drawn other numbers than they should: again, in a new interpreter, which knows nothing of it
            self.used = [flag or bool(unseeded & 1 << i) for i, flag in enumerate(self.used)]
            self.end()
            self.ahead.clear()
            self.on_drop()
            self._ask(row, replication, many)
            return
        seconds, count = time.perf_counter() - began, len(self.ahead)
        self.many = max(1, min(2 * count, int(count * _AHEAD_SECONDS / seconds)))
        if text := one.printed():  # an answer ends with the first replication that warns
            self.ahead[-1].warnings.extend(sorted_out(text))

    def answers_to(self, one: Interpreter, first: int, many: int) -> int:
        """Let so many replications be computed. Returns which generators they drew from that were not seeded, as worker.m does.

        Raises Ended; there are no results then.
        """
        self.ahead.clear()
        found: list[Outcome] = []
        one.write(struct.pack("<2d", first, many))
        while True:
            kind, content = one.answer()
            if kind == _END:
                self.ahead.extend(found)
                return int(content)
            if kind == _NAMES:
                self.names = content.decode("utf-8", "replace").splitlines()
            else:
                found.append(Outcome(first + len(found), self.value(kind, content), []))

    def value(self, kind: int, content: Any) -> Any:
        if kind == _NUMBER:
            return exact(content[0])
        if kind == _RECORD:
            return dict(zip(self.names, map(exact, content), strict=True))
        if kind == _ERROR:
            return reported(content)
        try:
            return decoded(content)
        except Exception as error:  # it is the replication's
            return error

    def shown(self) -> str:
        """The last value, as the interpreter prints it."""
        assert self.interpreter
        return self.interpreter.ask("reply = evalc('value');").strip()


class OctaveState(State):
    """The same of a process whose replications run in an interpreter: its current folder, path and warnings too."""

    def __init__(self, run: OctaveRunner) -> None:
        super().__init__()
        self.run = run

    def changed(self) -> bool:
        return self.run.left_behind() or super().changed()

    def restore(self) -> None:
        self.run.restore()
        super().restore()


def traits_of(job: Job) -> Traits:
    """Of all of the user's files in this language."""
    return traits(read(path) for path in sorted(job.code.rglob("*.m")) if path.resolve().parent != _HERE.resolve())


def defining(text: str, path: str) -> str:
    """What Octave evaluates to have all functions of a file, in the base workspace: its variables are not worker.m's. source()
    would call a file that begins with a function."""
    if is_function_file(text):
        return f"evalin('base', fileread({literal(path)}));"
    return f"evalin('base', ['source(''', strrep({literal(path)}, '''', ''''''), ''')']);"


def loading(job: Job, function: Function, home: str, is_matlab: bool) -> str:
    """What worker.m evaluates to load the function. home: the working directory."""
    path = os.path.join(home, Path(job.script).name)
    text = read(job.code / job.script)
    outs = function.outputs
    code = [f"cd({literal(home)}); watched = {str(traits_of(job).sets_variables).lower()};"]
    if not is_matlab:
        seed = streams.words(streams.derive(b"load", job.seed)[:16])
        code += ["warning('off', 'backtrace');", f"seed_all_([{' '.join(map(str, seed))}], 0);"]
        code += [f"pkg('load', {literal(name)});" for name in packages_in(text)]
    name = Path(job.script).stem
    if not (is_function_file(text) and functions(text)[0].name == function.name == name):
        code.append(defining(text, path))
        name = function.name
    code.append(f"target = str2func({literal(name)});")
    code.append(
        f"outs = {len(outs)}; outputs = {{{', '.join(map(literal, outs))}}}; start = state_now_(watched); lastwarn('');"
    )
    return " ".join(code)


def facts_of(one: Interpreter) -> dict[str, str]:
    """What the numbers may depend on, see facts_here()."""
    name = "MATLAB" if one.is_matlab else "Octave"
    return {
        "interpreter": f"{name} {one.ask('reply = version();')}",
        "packages": "" if one.is_matlab else one.ask("reply = loaded_packages_();"),
        "blas": one.ask("reply = version('-blas');"),
    }


def arguments_of(function: Function, values: dict[str, Any]) -> list[str]:
    """The arguments of a call, as expressions: in the function's order, [] for one that is left out before others, and what only
    varargin takes as names and values."""
    named = [name for name, _ in function.arguments if name != "..."]
    last = max((i for i, name in enumerate(named) if name in values), default=-1)
    extra = [name for name in values if name not in named]
    given = [literal(values[name]) if name in values else "[]" for name in (named if extra else named[: last + 1])]
    return given + [text for name in extra for text in (literal(name), literal(values[name]))]


def sorted_out(printed: str) -> list[str]:
    """The warnings among what was printed on standard error. The rest goes to the job's log."""
    found = []
    for line in printed.splitlines(keepends=True):
        if match := _WARNING.match(line):
            found.append(match[1])
        elif line.strip():
            sys.stdout.write(line)
    sys.stdout.flush()
    return found
