"""The worker's verbs: check, run, replay, which runs one replication in the foreground, and wait, for the first two."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from . import blocks
from .check import check
from .family import family, kill, leave
from .folders import enter
from .forms import column_of, is_plain
from .functions import FunctionRunner
from .job import Job, in_container, leave_message
from .rows import pickled, table
from .scripts import ScriptRunner
from .state import set_variables
from .supervisor import Supervisor
from .values import Rows, cannot_be_kept, describe, rows_of, shown


def replay(root: Path) -> None:
    """Run one replication in the foreground. Writes its outcome to ROOT/replay (a block) and its value to ROOT/value.pkl."""
    job = Job(root)
    job.enter_code()
    row, replication, _ = job.stretches[0]
    job.scratch.mkdir(exist_ok=True)
    set_variables(job.shared_variables)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # only the simulation can then raise a KeyboardInterrupt
    text, failure = "", ("", "", "")
    form, rows = "", Rows()  # of a table: readers do not unpickle files from a container
    try:
        if job.kind == "function":
            folder = enter(job.scratch / "folder-0", job.scratch / "loaded-0", job.included)
            if job.language == "octave":
                from .octave import OctaveRunner

                run: Any = OctaveRunner(job, lambda text: print(f"warning: {text}", file=sys.stderr), folder.tidy)
            else:
                run = FunctionRunner(job)
            folder.adopt()
            set_variables(job.variables_of(row, replication))
            value = run(row, replication)
            rows = rows_of(value) or Rows()  # raises for values that a run refuses
            text = run.shown() if job.language == "octave" else shown(value)
            form = form_of(value) if rows or value is None else ""
            with contextlib.suppress(ImportError):  # the reader cannot import the script
                import cloudpickle

                if job.script and job.language == "python":
                    cloudpickle.register_pickle_by_value(sys.modules[job.module or Path(job.script).stem])
        else:
            runner = ScriptRunner(job, 0, lambda text: print(f"warning: {text}", file=sys.stderr))
            runner(row, replication)
            texts = {name.lstrip("/"): text_of(content) for name, content in runner.files.items()}
            text = "\n".join(f"{name}:\n{content}" for name, content in texts.items())
            value = texts if len(texts) > 1 else next(iter(texts.values()), None)
            form = "none" if value is None else "dict" if len(texts) > 1 else "value"
            rows = Rows() if value is None else Rows({"value": [value]})
            if form == "dict":
                rows = Rows({name: [content] for name, content in texts.items()})
        try:
            data = pickled(value)
        except Exception as error:
            raise cannot_be_kept(value, error) from None
        (root / "value.pkl").write_bytes(data)
    except BaseException as error:  # SystemExit too, as in a run
        failure = describe(error)
    columns = dict(zip(("shown", "message", "call", "traceback"), (text, *failure), strict=True))
    outcome = table("replay", {name: blocks.strings([text]) for name, text in columns.items()})
    tables = (
        [outcome, table("value", {name: column_of(values) for name, values in rows.items()})] if rows else [outcome]
    )
    facts = {"failed": "yes" if any(failure) else "", "form": form}
    (root / "replay").write_bytes(blocks.encode(blocks.Block(facts, tables)))


def text_of(content: bytes) -> str:
    """A results file as text."""
    if b"\0" in content:
        return f"({len(content):,} byte{'s' * (len(content) != 1)})"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def form_of(value: object) -> str:
    """The form of the value that a table of rows stands for: none, value, dict or table."""
    return "none" if value is None else "value" if is_plain(value) else "dict" if type(value) is dict else "table"


def run(root: Path) -> None:
    (root / "scratch").mkdir(exist_ok=True)
    job = Job(root)
    job.enter_code()
    set_variables(job.shared_variables)
    supervisor = Supervisor(job)
    try:
        supervisor.run()
    except OSError as error:
        if not (root / "message").exists():
            leave_message(root, f"disk: {error}")
        supervisor.end_all()
    if in_container(job):
        leave_to_driver(job)


def leave_to_driver(job: Job) -> None:
    """Makes what is left removable for the driver, who is another user: else it starts a container for that."""
    shutil.rmtree(job.scratch, ignore_errors=True)
    for folder, _, _ in os.walk(job.root / "artifacts"):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o777)


def wait(log: str, store: str = "") -> Path:
    """The root of the job that is to be run, from a process that starts before it is known what it has to do.

    Each line of standard input says that: `check ROOT`, then `run ROOT` or `end`. It checks in a fork, which leaves no trace here:
    Python starts once for both. log: the file that takes what is printed, and belongs to the job then. store: its folder, if that
    is new.
    """
    # each process of a job needs them; here, in simferry itself, they are compiled
    from multiprocessing import popen_fork  # noqa: F401

    from . import tasks  # noqa: F401

    root, driver = "", int(os.environ.get("SIMFERRY_DRIVER", "0"))
    with open(0, "rb", buffering=0, closefd=False) as orders:
        while line := orders.readline():
            verb, _, root = os.fsdecode(line.rstrip(b"\n")).partition(" ")
            if verb == "end":
                leave()
            if verb == "run":
                _empty_input()
                return Path(root).resolve()
            if not _check_in_fork(Path(root).resolve(), driver):
                break
    # the driver has died, and nobody else tidies up: also programs that the check has left
    if root:
        shutil.rmtree(root, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.unlink(log)
    with contextlib.suppress(OSError):
        os.rmdir(store)  # if it is empty
    os.killpg(0, signal.SIGKILL)
    leave()


def check_and_run(root: Path) -> Path:
    """The same in a container, which was started to check: a line of standard input is the root of the job that is to be run.

    The container is the driver's to remove; what a check leaves in its files keeps it from going on.
    """
    untouched = watch_files()
    servers = set(family(os.getpid()))  # which a setup script has left running

    def is_fit() -> bool:
        kill([pid for pid in family(os.getpid()) if pid not in servers])
        return untouched()

    if _check_in_fork(root, 0, is_fit):
        with open(0, "rb", buffering=0, closefd=False) as orders:
            given = os.fsdecode(orders.readline().rstrip(b"\n"))
        _empty_input()
        if given:
            return Path(given)
    leave()


def watch_files() -> Callable[[], bool]:
    """Watches this container's files. Returns a function that tells whether none has changed since."""
    mark, witness = (f"/tmp/simferry-{name}-{os.getpid()}" for name in ("mark", "witness"))
    folders = ("/tmp", "/dev/shm")

    def contents() -> list[list[str]]:
        return [sorted(os.listdir(folder)) for folder in folders]

    def untouched() -> bool:
        try:
            open(witness, "x").close()  # without it, `find` does not do what is asked
            # times of change, which nobody can set; a large image is looked through for a second at most
            command = ["find", "/", "-xdev", "-cnewer", mark]
            none = subprocess.DEVNULL
            done = subprocess.run(command, stdin=none, stdout=subprocess.PIPE, stderr=none, timeout=1, check=False)
            os.unlink(witness)
            os.unlink(mark)
            return {*os.fsdecode(done.stdout).splitlines()} - {"/tmp"} == {witness} and contents() == before
        except (OSError, subprocess.TimeoutExpired):
            return False

    try:
        before = contents()
        open(mark, "x").close()
    except OSError:
        return lambda: False
    return untouched


def _check_in_fork(root: Path, driver: int, is_fit: Callable[[], bool] = lambda: True) -> bool:
    """Whether it has checked, and may go on: not if the driver has died."""
    child = os.fork()
    if child == 0:
        try:
            _empty_input()
            _become("check", root)
            check(root)
            leave()
        finally:
            os._exit(1)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if driver and os.getppid() != driver:
            kill(family(child))
            return False
        time.sleep(0.002)
    with contextlib.suppress(OSError):
        if is_fit():
            (root / "checked").touch()
            return True
    return False


def _empty_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _become(verb: str, root: Path) -> None:
    """From here on all is as if `worker.py VERB ROOT` had been started beside the script. The files of the worker that has started
    are the same as those."""
    code = root / "input" / "code"
    os.environ["SIMFERRY_INPUT"] = str(root / "input")
    sys.argv[1:] = [verb, str(root)]
    sys.orig_argv[2:] = sys.argv[1:]
    sys.path.insert(0, str(code))
    own = code / "simferry_worker"
    sys.modules["__main__"].__file__ = str(code / "worker.py")
    for name, module in sys.modules.items():
        if name.partition(".")[0] == __package__:
            module.__file__ = str(own / Path(str(module.__file__)).name)
    sys.modules[str(__package__)].__path__ = [str(own)]


def main(arguments: list[str]) -> NoReturn:
    verb = arguments[0]
    sys.dont_write_bytecode = True
    if verb == "wait":
        root, verb = wait(*arguments[1:]), "run"
        _become(verb, root)
    elif verb == "check_and_run":
        root, verb = check_and_run(Path("/opt/ml/processing")), "run"
        _become(verb, root)
    else:
        root = Path(arguments[1] if len(arguments) > 1 else "/opt/ml/processing").resolve()
    # each verb enters the script's folder there: open("data.csv") and `import helpers` find the included files
    os.chdir(root / "input" / "code")
    {"check": check, "replay": replay}.get(verb, run)(root)
    leave()
