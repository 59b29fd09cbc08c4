"""Runs one replication again in the foreground: an R function in this process if it has R (rpy2), everything else in the worker."""

import os
import pickle
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.base import Foreground
from ..backends.foreground import foreground_of
from ..errors import Note, ReplicationError, RError, UsageError
from ..jobs import setup_script, streams, stretches
from ..jobs.job_file import facts_of
from ..jobs.launch import JOB, end_processes
from ..jobs.plan import job_bytes, streams_of
from ..r import functions as rpy
from ..r.serialization import decode_any, encode
from ..r.values import from_r
from ..results.columns import plain_rows
from ..results.table import as_pandas
from ..store.counts import each
from ..sweep.conditions import check_key, read_conditions
from ..sweep.inputs import bring
from ..system import untrusted
from ..system.untrusted import scrap_folder
from ..words import counted
from ..worker import blocks
from ..worker.family import ending, family, kill
from .compute import backend_of_run

MOST_BYTES = 1 << 31  # of a value
_TEXTS = ("shown", "message", "call", "traceback")


@dataclass(frozen=True)
class Replayed:
    """The result of a replay. shown: the value as its language prints it; data: as R or Python serialises it; error: or its error.

    Nothing that a container wrote is unpickled: `form` is the kind of its value (none, value, dict, table), `rows` has the columns,
    and any other value is the text that Python prints.
    """

    language: str
    shown: str
    data: bytes
    error: ReplicationError | None
    in_container: bool = False
    form: str = ""
    rows: blocks.Table | None = None

    def value(self) -> Any:
        """The value. Raises the replication's error if it failed, UsageError if Python can't represent the value."""
        if self.error:
            raise self.error
        try:
            if self.language == "r":
                return from_r(decode_any(self.data))
            return self._from_rows() if self.in_container else pickle.loads(self.data)
        except Exception as error:
            raise UsageError(
                f"what the replication returned can't be converted to Python: {error}",
                "In a shell  simferry replay  shows it as it is printed.",
            ) from None

    def for_r(self) -> bytes:
        """The value for R's unserialize, which can run code. A container's vectors, lists and data frames are encoded anew; its
        other values are the text that R prints."""
        if not self.in_container or not self.data:
            return self.data
        try:
            return bytes(encode(decode_any(self.data)))
        except (TypeError, ValueError, AttributeError, RecursionError):
            return bytes(encode(self.shown))

    def _from_rows(self) -> Any:
        if self.form == "none":
            return None
        if self.rows is None:
            return self.shown
        rows = plain_rows(self.rows)
        if self.form == "table" or rows.num_rows != 1:
            return as_pandas(rows)
        row = rows.to_pylist()[0]
        return row if self.form == "dict" else next(iter(row.values()))


def replay(run: Any, condition: int, replication: int, in_process: bool = True) -> Replayed:
    """As Run.replay, but returns a failure too. in_process: whether R may run in this process."""
    check_key(run._folder, condition, replication)
    wanted = int(each(run.replications, run._folder.conditions)[condition - 1])
    if replication > wanted:
        warnings.warn(
            Note(
                f"run {run.id} has {counted(wanted, 'replication')} of condition {condition}; replication {replication:,} is not "
                "one of them, and is computed as an extension would"
            ),
            stacklevel=3,
        )
    streams.note_other_version(run._folder.record.streams, run._folder.record.simulation, run.id)
    if run._folder.record.simulation["kind"] == "image":
        raise UsageError("a replication of an image is a job, which is not replayed", run._folder.command("logs"))
    spec, backend, design = run._folder.record.simulation, backend_of_run(run._folder), read_conditions(run._folder)
    foreground = foreground_of(backend, "replay")
    one = stretches.Work(*(np.array([v], dtype=np.int64) for v in (condition, replication, 1)))
    with scrap_folder("simferry-replay-") as folder:
        root = folder / "root"  # nobody else can write there: only we can enter the folder around it
        shutil.copytree(run._folder.code, root / "input" / "code")
        (root / "input" / "plan").mkdir()
        (root / "scratch").mkdir()
        for input_, record in run._folder.inputs.items():
            source = bring(input_, record, run._folder).resolve()
            (shutil.copytree if foreground.contract else os.symlink)(source, root / "input" / input_)
        facts = {
            **facts_of(spec),
            "private_mount": "yes" if spec["private_mount"] else "",
            "cores": backend.traits.workers,
            "seed": run._folder.record.seed,
        }
        drawn = streams_of(design, run.seed, run._folder.record.common, spec["kind"])
        job = job_bytes(facts, one, drawn, spec, design)
        (root / "input" / "plan" / "job").write_bytes(job)
        in_process = in_process and not (foreground.contract or foreground.substitute)
        in_process = in_process and (spec["language"], spec["kind"]) == ("r", "function")
        how = _run(root, spec, foreground, in_process)
        return _answer(root, spec["language"], how, foreground.contract, spec.get("before", ""))


def _run(root: Path, spec: dict[str, Any], foreground: Foreground, in_process: bool) -> str:
    """How the worker's process ended; empty where R ran in this process."""
    if in_process and _in_process(root):
        return ""
    status = foreground.ask(spec, root, "replay", show=True).returncode
    return ending(status)


def _in_process(root: Path) -> bool:
    """Whether R could run in this process. Processes that it started are ended."""
    before = family(os.getpid())
    os.environ[JOB] = str(root)
    try:
        return rpy.replay(root)
    finally:
        del os.environ[JOB]
        kill([pid for pid in family(os.getpid()) if pid not in before])
        end_processes(str(root))


def _answer(root: Path, language: str, how: str, in_container: bool, before: str) -> Replayed:
    """before: the name of the setup script; empty if there is none."""
    kind = RError if language == "r" else ReplicationError
    answer = untrusted.read(root, "replay", MOST_BYTES)
    message = (untrusted.read(root, "message", 1 << 16) or b"").decode(errors="replace")
    if setup_script.has_failed(message):
        raise setup_script.failure(before, message)
    if answer is None:
        error = kind(f"the process ended without a result ({how}): a crash, quit() or exit, or out of memory")
        return Replayed(language, "", b"", error)
    try:
        block = blocks.decode(answer)
        texts = {name: block.table("replay").columns[name].strings()[0] or "" for name in _TEXTS}
        failed, form = bool(block.facts["failed"]), block.facts.get("form", "")
    except (blocks.DamagedBlock, LookupError) as error:
        return Replayed(language, "", b"", kind(f"the worker's answer can't be read: {error}"))
    shown = texts.pop("shown")
    if failed:
        return Replayed(language, shown, b"", kind(**texts))
    rows = next((table for table in block.tables if table.name == "value"), None)
    name = "value.rds" if language == "r" else "value.pkl"
    data = b"" if in_container and language != "r" else untrusted.read(root, name, MOST_BYTES) or b""
    return Replayed(language, shown, data, None, in_container, form, rows)
