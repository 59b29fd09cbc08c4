"""The worker's verbs: check, run, and replay, which runs one replication in the foreground."""

import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from . import blocks
from .check import check
from .family import leave
from .functions import FunctionRunner
from .job import Job, leave_message
from .process import describe
from .rows import as_rows, pickled, table
from .scripts import ScriptRunner
from .supervisor import Supervisor


def replay(root: Path) -> None:
    """What it prints is shown. ROOT/replay is left behind, a block that tells how it ended, and ROOT/value.pkl."""
    job = Job(root)
    row, replication, _ = job.stretches[0]
    job.scratch.mkdir(exist_ok=True)
    shown, failure = "", ("", "", "")
    try:
        if job.kind == "function":
            value = FunctionRunner(job)(row, replication)
            as_rows(value)  # refuses what a run would not keep
            shown = repr(value)
            with contextlib.suppress(ImportError):  # the reader has no module that the script was
                import cloudpickle

                if job.script:
                    cloudpickle.register_pickle_by_value(sys.modules[Path(job.script).stem])
        else:
            runner = ScriptRunner(job, 0)
            runner(row, replication)
            value = runner.text()
            shown = "" if value is None else f"{job.results_file}:\n{value}"
        (root / "value.pkl").write_bytes(pickled(value))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too, as in a run
        failure = describe(error)
    columns = dict(zip(("shown", "message", "call", "traceback"), (shown, *failure), strict=True))
    said = table("replay", {name: blocks.strings([text]) for name, text in columns.items()})
    (root / "replay").write_bytes(blocks.encode(blocks.Block({"failed": "yes" if any(failure) else ""}, [said])))


def main(arguments: list[str]) -> NoReturn:
    verb = arguments[0]
    root = Path(arguments[1] if len(arguments) > 1 else "/opt/ml/processing").resolve()
    # so that open("data.csv") and `import helpers` find what came along with the script
    os.chdir(root / "input" / "code")
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True
    if verb == "check":
        check(root)
    elif verb == "replay":
        replay(root)
    else:
        (root / "scratch").mkdir(exist_ok=True)
        job = Job(root)
        supervisor = Supervisor(job)
        try:
            supervisor.run()
        except OSError as error:
            if not (root / "message").exists():
                leave_message(root, f"disk: {error}")
            supervisor.end_all()
    leave()
