"""One replication again, in the foreground: a function of R in this process's R where there is one, else by the worker."""

import os
import pickle
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import planning, rpy, streams
from .backends.local import JOB, end_processes
from .errors import ReplicationError, RError, UsageError
from .inputs import bring
from .prepare import check_replications
from .rdata import decode_any
from .rvalues import from_r
from .worker import blocks
from .worker.family import family, kill


@dataclass(frozen=True)
class Replayed:
    """How a replication ended. shown: its value as its language prints it; data: as R or Python serialises it; or its error."""

    language: str
    shown: str
    data: bytes
    error: ReplicationError | None

    def value(self) -> Any:
        """Raises its error where it failed."""
        if self.error:
            raise self.error
        try:
            return from_r(decode_any(self.data)) if self.language == "r" else pickle.loads(self.data)
        except Exception as error:
            raise UsageError(
                f"Python can't have what the replication returned: {error}",
                "simferry replay  shows it as it is printed.",
            ) from None


def replay(run: Any, condition: int, replication: int, in_process: bool = True) -> Replayed:
    """Run.replay, also where it failed. in_process: whether R may run in this process."""
    if not 1 <= condition <= run.record["conditions"]:
        raise UsageError(f"run {run.id} has conditions 1 to {run.record['conditions']}, not {condition}")
    check_replications(replication)
    streams.note_other_version(run.record, run.id)
    spec, backend, design = run.record["simulation"], run._backend(), run._folder.conditions()
    one = planning.Work(*(np.array([v], dtype=np.int64) for v in (condition, replication, 1)))
    with tempfile.TemporaryDirectory(prefix="simferry-replay-") as name:
        root = Path(name) / "root"  # nobody else can write there: the folder around it is ours alone
        shutil.copytree(run._folder.code, root / "input" / "code")
        (root / "input" / "plan").mkdir()
        (root / "scratch").mkdir()
        for input_, record in run.record.get("inputs", {}).items():
            place = bring(input_, record, run._folder).resolve()
            (shutil.copytree if backend.contract else os.symlink)(place, root / "input" / input_)
        facts = {k: spec[k] for k in ("language", "kind", "function", "script", "objects", "results_file")}
        facts |= {"private_mount": "yes" if spec["private_mount"] else "", "cores": backend.workers}
        job = planning.job_bytes(facts, one, run._streams(design), spec, design)
        (root / "input" / "plan" / "job").write_bytes(job)
        in_process = in_process and backend.name == "local" and (spec["language"], spec["kind"]) == ("r", "function")
        how = _run(root, spec, backend, in_process)
        return _answer(root, spec["language"], how)


def _run(root: Path, spec: dict[str, Any], backend: Any, in_process: bool) -> str:
    """How the process ended, where it was another."""
    if in_process and _in_process(root):
        return ""
    status = backend.ask(spec, root, "replay", show=True).returncode
    return f"exit code {status}" if status >= 0 else f"signal {-status}"


def _in_process(root: Path) -> bool:
    """Whether R could run in this process; it is then left with the children that it had."""
    before = family(os.getpid())
    os.environ[JOB] = str(root)
    try:
        return rpy.replay(root)
    finally:
        del os.environ[JOB]
        kill([pid for pid in family(os.getpid()) if pid not in before])
        end_processes(root)


def _answer(root: Path, language: str, how: str) -> Replayed:
    kind = RError if language == "r" else ReplicationError
    if not (root / "replay").exists():
        error = kind(f"the process ended without a result ({how}): a crash, quit() or exit, or out of memory")
        return Replayed(language, "", b"", error)
    block = blocks.decode((root / "replay").read_bytes())
    said = {name: column.strings()[0] or "" for name, column in block.table("replay").columns.items()}
    shown = said.pop("shown")
    if block.facts["failed"]:
        return Replayed(language, shown, b"", kind(**said))
    data = (root / f"value.{'rds' if language == 'r' else 'pkl'}").read_bytes()
    return Replayed(language, shown, data, None)
