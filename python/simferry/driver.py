"""The driver: takes a run from what is missing to nothing missing. Plan, submit, watch, and again for what jobs left undone."""

import contextlib
import datetime
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from . import planning, results
from .backends.base import ENDED, Backend
from .errors import Interrupted, RunBusy, SimferryError, SimulationError, StoreError, WorkerError
from .store import RunFolder, write_whole, writing


@dataclass
class Progress:
    """How far a run is. Replications are counted from the names of finished blocks."""

    total: int
    done: int
    failed: int
    state: str  # running, complete, incomplete
    jobs: dict[str, str]

    @property
    def finished(self) -> bool:
        return self.done >= self.total


def progress(run: RunFolder, backend: Backend) -> Progress:
    """How far a run is, from listings alone."""
    names = run.block_names()
    plans = run.plans()
    total = run.record["conditions"] * max([run.record["replications"], *(p["replications"] for p in plans)])
    done, failed = sum(b.replications for b in names), sum(b.failed for b in names)
    if any(p["reason"] == "retry failed" for p in plans):  # some were done twice: look inside
        done = len(results.done(run)[0])
        failed = done - len(results.done(run, failed=False)[0])
    running = driver_of(run) is not None
    jobs = backend.poll(run, job_names(run))
    state = "running" if running else "complete" if done >= total else "incomplete"
    return Progress(total, min(done, total), failed, state, jobs)


def job_names(run: RunFolder) -> list[str]:
    """The jobs of every plan so far: plan-job."""
    return [f"{p['plan']}-{j + 1:04d}" for p in run.plans() for j in range(p["jobs"])]


def driver_of(run: RunFolder) -> psutil.Process | None:
    """The process on this machine that computes the run now, if there is one."""
    try:
        record = json.loads((run.jobs / "driver.json").read_bytes())
        process = psutil.Process(record["pid"])
        alive = process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process if alive else None


@contextlib.contextmanager
def driving(run: RunFolder) -> Iterator[None]:
    """Claims the run for this process. SIGTERM then means what Ctrl-C does."""
    other = driver_of(run)
    if other is not None and other.pid != os.getpid():
        raise RunBusy(
            f"run {run.id} is being computed by process {other.pid}",
            f"simferry watch {run.id}  follows it, simferry cancel {run.id}  stops it.",
        )
    path = run.jobs / "driver.json"
    with writing(run.path):
        me = {"pid": os.getpid(), "started": psutil.Process().create_time()}
        write_whole(path, json.dumps(me).encode())
    before = None
    with contextlib.suppress(ValueError):  # not in the main thread: signals are somebody else's
        before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
        with contextlib.suppress(OSError):
            path.unlink()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def drive(
    run: RunFolder,
    backend: Backend,
    reason: str,
    *,
    replications: int,
    retry_failed: bool = False,
    jobs: int = 1,
    conditions: np.ndarray | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Compute what is missing of a run.

    replications: how many of each condition are wanted. conditions: only these (ids), for pilots.
    Raises Interrupted (Ctrl-C, or SIGTERM), with the run resumable; SimulationError, StoreError or WorkerError when it can't
    go on.
    """
    with driving(run):
        stop_leftovers(run, backend)
        options = run.record["options"]
        for attempt in range(options["retries"] + 1):
            done = results.done(run, failed=not (retry_failed and attempt == 0))
            total = run.record["conditions"]
            work = planning.missing_work(total, replications, *done)
            if conditions is not None:
                work = work.take(np.isin(work.condition, conditions))
            if len(work) == 0:
                break
            names = _submit(run, backend, work, reason if attempt == 0 else "retry", replications, jobs)
            stopped = _watch(run, backend, names, on_progress)
            if stopped:
                break
        on_progress(progress(run, backend))


def stop_leftovers(run: RunFolder, backend: Backend) -> None:
    """Jobs that outlived their driver are stopped, so that nothing is computed twice."""
    names = job_names(run)
    left = [job for job, state in backend.poll(run, names).items() if state not in (*ENDED, "pending")]
    backend.cancel(run, left, at_once=True)
    while any(state == "running" for state in backend.poll(run, left).values()):
        time.sleep(0.05)


def _submit(
    run: RunFolder, backend: Backend, work: planning.Work, reason: str, replications: int, jobs: int
) -> list[str]:
    record, options = run.record, run.record["options"]
    spec = record["simulation"]
    design = run.conditions()
    streams = planning.Streams(
        record["seed"], design.canonical(left_out(design.names, record["common"])), spec["kind"] == "script"
    )
    cores = options["cores"] or (1 if spec["kind"] == "function" else backend.workers)
    order = streams.numbers.argsort().argsort()
    dealt = planning.deal(planning.cut(work, order, jobs * max(1, backend.workers // cores)), jobs)
    facts = {
        **{name: spec[name] for name in ("language", "kind", "function", "script", "objects", "results_file")},
        "run": run.id, "workers": backend.workers, "cores": cores, "jobs": len(dealt), "on_error": options["on_error"],
        "replication_timeout": options["replication_timeout"] or 0, "private_mount": "yes" if spec["private_mount"] else "",
    }  # fmt: skip

    def job(j: int) -> Callable[[str], bytes]:
        return lambda number: planning.job_bytes(
            {**facts, "plan": number, "job": f"{j + 1:04d}"}, dealt[j], streams, spec, design
        )

    plan_record = {
        "reason": reason,
        "replications": replications,
        "jobs": len(dealt),
        "to_do": work.replications,
        "workers": backend.workers,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
    number = run.add_plan(plan_record, {f"job-{j + 1:04d}": job(j) for j in range(len(dealt))})
    names = [f"{number}-{j + 1:04d}" for j in range(len(dealt))]
    backend.submit(run, names)
    return names


def _watch(run: RunFolder, backend: Backend, jobs: list[str], on_progress: Callable[[Progress], None]) -> bool:
    """Waits for the jobs to end. True when the run is to go no further (--on-error stop)."""
    pause = 0.02
    stopped = False
    try:
        while True:
            states = backend.poll(run, jobs)
            ended = all(state in ENDED for state in states.values())
            now = progress(run, backend)
            on_progress(now)
            if run.record["options"]["on_error"] == "stop" and now.failed and not stopped:
                stopped = True
                backend.cancel(run, jobs, at_once=False)
            if ended:
                break
            time.sleep(pause)
            pause = min(pause * 1.3, 0.25)
    except KeyboardInterrupt:
        _stop(run, backend, jobs)
        raise Interrupted(
            f"stopped; {progress(run, backend).done:,} replications of run {run.id} are kept",
            f"simferry resume {run.id}",
        ) from None
    if not stopped:
        for job in jobs:
            _raise_message(run, job)
    return stopped


def _stop(run: RunFolder, backend: Backend, jobs: list[str]) -> None:
    """Gently first, so that open blocks are written; at once on a second Ctrl-C, or after five seconds."""
    try:
        backend.cancel(run, jobs, at_once=False)
        until = time.monotonic() + 5
        while time.monotonic() < until and "running" in backend.poll(run, jobs).values():
            time.sleep(0.05)
    except KeyboardInterrupt:
        pass
    backend.cancel(run, jobs, at_once=True)
    while "running" in backend.poll(run, jobs).values():
        time.sleep(0.02)


def _raise_message(run: RunFolder, job: str) -> None:
    """Why a job could not go on, where it said so, as an error."""
    path = run.jobs / job / "message"
    if not path.exists():
        return
    kind, _, text = path.read_text(errors="replace").partition(": ")
    where = f"jobs/{job}/log.txt in {run.path}"
    errors: dict[str, SimferryError] = {
        "refused": SimulationError(text),
        "disk": StoreError(f"{text} (in {run.path})", f"Make room there, then: simferry resume {run.id}"),
        "load": SimulationError(f"the simulation fails when it is loaded: {text}", f"Its output is in {where}."),
    }
    raise errors.get(kind) or WorkerError(f"the worker failed: {text}", f"simferry logs {run.id}")


def left_out(names: list[str], common: str | list[str]) -> list[str]:
    """The parameters that do not enter a condition's streams."""
    return names if common == "all" else [name for name in names if name in common]
