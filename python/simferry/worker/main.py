"""The worker's verbs: check, run, and replay, which runs one replication in the foreground."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from . import blocks
from .check import check
from .family import leave
from .folders import enter
from .forms import column_of, is_plain
from .functions import FunctionRunner
from .job import Job, leave_message
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
            run = FunctionRunner(job)
            folder.adopt()
            set_variables(job.variables_of(row, replication))
            value = run(row, replication)
            rows = rows_of(value) or Rows()  # raises for values that a run refuses
            text = shown(value)
            form = form_of(value) if rows or value is None else ""
            with contextlib.suppress(ImportError):  # the reader cannot import the script
                import cloudpickle

                if job.script:
                    cloudpickle.register_pickle_by_value(sys.modules[job.module or Path(job.script).stem])
        else:
            runner = ScriptRunner(job, 0)
            runner(row, replication)
            texts = {name: text_of(content) for name, content in runner.files.items()}
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


def main(arguments: list[str]) -> NoReturn:
    verb = arguments[0]
    root = Path(arguments[1] if len(arguments) > 1 else "/opt/ml/processing").resolve()
    # each verb enters the script's folder there: open("data.csv") and `import helpers` find the included files
    os.chdir(root / "input" / "code")
    sys.dont_write_bytecode = True
    if verb == "check":
        check(root)
    elif verb == "replay":
        replay(root)
    else:
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
    leave()
