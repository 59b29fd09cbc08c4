"""The driver: plans and submits the missing replications, watches the jobs, and repeats this for what the jobs left undone."""

import contextlib
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..backends.base import ENDED, Backend, Standing, Waits, log_text
from ..errors import Interrupted, NoAnswer, Note, ServiceError, SimferryError, SimulationError, StoreError, WorkerError
from ..hints import Text, lines
from ..jobs import plan, setup_script, stretches
from ..results import collect
from ..store.counts import Counts
from ..store.keys import JobId
from ..store.run_folder import RunFolder
from ..store.spans import overlap
from ..sweep.conditions import read_conditions
from ..system import untrusted
from ..words import are, counted, size
from .claim import driving
from .progress import Progress, job_names, progress_of

# how a job's message starts: a replication wrote to a file that the processes share; a host was lost
SHARED, LOST = "shared: ", "lost: "
LONGEST_MESSAGE = 1 << 16  # bytes
SECONDS_TO_WEIGH = 2  # of a run, before its results are weighed
PATIENCE = 100  # polls without an answer before the driver gives up


def drive(
    run: RunFolder,
    backend: Backend,
    reason: str,
    *,
    replications: Counts,
    retry_failed: bool = False,
    conditions: np.ndarray | None = None,
    changed_code: Mapping[str, str] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    further: Callable[[RunFolder], Counts | None] = lambda _: None,
) -> None:
    """Compute the missing replications of a run.

    replications: wanted of each condition. conditions: only these (ids), for pilots.
    changed_code: hashes, by name, of own code that has changed since the run began; the plan records them. further: is asked when all
    are there how many of each condition are wanted then; None: no more.
    Raises Interrupted (Ctrl-C, or SIGTERM), with the run resumable; SimulationError, StoreError or WorkerError when it can't
    go on.
    """
    with conducting(run, backend):
        run.look()
        plans = len(run.plans())
        read_conditions(run)  # checks run.json: a wrong number of conditions could fill the memory
        if not backend.traits.outlives_driver:
            stop_leftovers(run, backend)
            run.push()
        elif _adopt(run, backend, on_progress):
            return
        changed = dict(changed_code or {})
        _compute(run, backend, reason, replications, retry_failed, conditions, plans, changed, on_progress)
        while progress_of(run, backend).done_all and (more := further(run)) is not None:
            _compute(run, backend, "until", more, False, conditions, len(run.plans()), {}, on_progress)
        run.look()
        on_progress(progress_of(run, backend))


@contextlib.contextmanager
def conducting(run: RunFolder, backend: Backend) -> Iterator[None]:
    """Within the block this process is the run's driver. What ends the block stops jobs that do not outlive it.

    Raises Interrupted instead of KeyboardInterrupt, with the run resumable.
    """
    with driving(run):
        try:
            yield
        except Interrupted:  # somebody has stopped the jobs, or they go on without this driver
            raise
        except KeyboardInterrupt:
            if backend.traits.outlives_driver:
                raise detached(run, backend) from None
            _stop(run, backend)
            run.push()
            kept = progress_of(run, backend).done
            raise Interrupted(
                f"stopped; {counted(kept, 'replication')} of run {run.id} {are(kept)} kept",
                run.command("resume"),
            ) from None
        except BaseException:
            if not backend.traits.outlives_driver:
                with contextlib.suppress(SimferryError):
                    stop_leftovers(run, backend)
                    run.push()
            raise


def _adopt(run: RunFolder, backend: Backend, on_progress: Callable[[Progress], None]) -> bool:
    """Waits for jobs that kept running without a driver, and starts jobs of the last plan that have not started.

    Those jobs do not start if the run's options have changed, if the plan was cancelled, or if their work is done.
    Returns True when the run must not continue.
    """
    names = job_names(run)
    if not names:
        return False
    last = run.plans()[-1]
    if run.is_cancelled(last.number):  # its jobs may still be stopping
        stop_leftovers(run, backend)
        return False
    states = backend.poll(run, names).states
    going_on = [job for job in names if states[job] == "running"]
    pending = [job for job in names if states[job] == "pending" and job.plan == last.number]
    not_started = _untouched(run, pending) if last.backend_options == backend.options.given() else []
    start = set(not_started)
    dealt_again = [job for job in pending if job not in start]
    if backend.traits.outlives_driver and dealt_again:  # the service's list lags behind: they may have started
        if not any(job.plan == last.number for job in [*going_on, *not_started]):
            run.cancel_plan()  # a job that can't be stopped before it is listed asks for it when it starts
        backend.cancel(run, dealt_again, at_once=True)
    if not_started:
        backend.submit(run, not_started)
    return bool(not_started or going_on) and watch(run, backend, [*going_on, *not_started], on_progress)


def _untouched(run: RunFolder, jobs: list[JobId]) -> list[JobId]:
    """The jobs none of whose replications is done. In a run that was moved, the service does not know which jobs ran."""
    if not jobs:
        return []
    done = collect.done_spans(run)
    return [job for job in jobs if not overlap(done, plan.spans_of(run.job_folder(job) / "job"))]


def detached(run: RunFolder, backend: Backend) -> Interrupted:
    """The error for a driver that ends while the jobs of its run go on."""
    states = backend.poll(run, job_names(run)).states.values()
    running, pending = (sum(s == state for s in states) for state in ("running", "pending"))
    going_on = "1 job goes on" if running == 1 else f"{running} jobs go on"
    waiting = f", {pending} more {'has' if pending == 1 else 'have'} not started" if pending else ""
    return Interrupted(
        f"detached from run {run.id}: {going_on}{waiting}",
        lines(_how_to_continue(run), run.command("cancel") + "  stops all"),
    )


def _how_to_continue(run: RunFolder) -> Text:
    return lines(run.command("watch") + "  follows", run.command("resume") + "  continues it")


def _compute(
    run: RunFolder,
    backend: Backend,
    reason: str,
    replications: Counts,
    retry_failed: bool,
    conditions: np.ndarray | None,
    plans: int,
    changed_code: dict[str, str],
    on_progress: Callable[[Progress], None],
) -> None:
    names: list[JobId] = []
    dealt: set[str] = set()  # plans
    jobs = backend.traits.jobs
    retries, failures = run.record.options.retries, 0
    while True:
        run.look()
        if len(run.plans()) != plans:  # another driver, on another machine, has dealt out what is missing
            raise run.busy()
        done = collect.done_spans(run, failed=not retry_failed, plans=dealt)
        work = stretches.missing_work(run.conditions, replications, done)
        if conditions is not None:
            work = work.take(np.isin(work.condition, conditions))
        if len(work) == 0:
            return
        if failures > retries or (names and retries == 0):
            tried = "1 attempt" if len(dealt) == 1 else f"{len(dealt)} attempts"
            raise WorkerError(
                f"{counted(work.replications, 'replication')} of run {run.id} {are(work.replications)} still missing after "
                f"{tried}. "
                f"The last one's log ends: {_last_lines(run, backend, names)}",
                Text(run.command("logs"), "  shows all of it, ", run.command("resume"), "  tries again."),
            )
        if names:
            left = f"{counted(work.replications, 'replication')} {are(work.replications)} left"
            note = f"attempt {len(dealt) + 1} of run {run.id}: {left}"
            warnings.warn(Note(note), stacklevel=5)
        names = plan.add_plan(
            run,
            backend,
            work,
            "retry" if names else reason,
            replications=replications,
            jobs=jobs,
            changed_code=changed_code,
            copies=shared_is_written(run, job_names(run)),
        )
        backend.submit(run, names)
        dealt.add(names[0].plan)
        plans += 1
        if watch(run, backend, names, on_progress):
            return
        if shared_is_written(run, names):  # this is no failure: from now on each process gets a copy of the files
            _compute(run, backend, "retry", replications, retry_failed, conditions, plans, changed_code, on_progress)
            return
        failures += not only_too_short(run, backend, names, work.replications)
        # as many jobs as have failed: the rest needs no more
        jobs = max(1, sum(state != "succeeded" for state in backend.poll(run, names).states.values()))


def only_too_short(run: RunFolder, backend: Backend, jobs: list[JobId], given: int) -> bool:
    """Whether an attempt does not count as failed: only time limits or lost hosts ended its jobs, and it computed at least a tenth."""
    number = jobs[0].plan
    brought = sum(block.replications for block in run.block_names() if block.plan == number)
    ended = [job for job in backend.poll(run, jobs).jobs.values() if job.state != "succeeded"]
    return 10 * brought >= given and bool(ended) and all(job.cut_short for job in ended)


def stop_leftovers(run: RunFolder, backend: Backend) -> None:
    """Stops jobs that outlived their driver, and the processes that they left, so that nothing is computed twice."""
    if backend.traits.outlives_driver:
        run.cancel_plan()  # its driver starts no more jobs
    states = backend.poll(run, job_names(run)).states
    # the service's list lags behind: a job of the last plan that is not in it, and so is told as cancelled, may run
    last = max((JobId(job).plan for job in states), default="") if backend.traits.outlives_driver else None
    left = [
        job for job, state in states.items()
        if state in ("running", "lost") or (JobId(job).plan == last and state in ("pending", "cancelled"))
    ]  # fmt: skip
    backend.cancel(run, left, at_once=True)
    while "running" in backend.poll(run, left).states.values():
        time.sleep(0.05)


def watch(
    run: RunFolder,
    backend: Backend,
    jobs: list[JobId],
    on_progress: Callable[[Progress], None],
    enough: Callable[[Iterable[bool]], bool] = all,
) -> bool:
    """Waits for the jobs to end, all or any of them. Returns True when the run must not continue (--on-error stop)."""
    poll_seconds, outlives_driver = backend.traits.poll_seconds, backend.traits.outlives_driver
    between_looks = max(run.seconds_between_looks, poll_seconds)
    took, given = 0.0, set(jobs)
    began = looked = time.monotonic()
    now: Progress | None = None
    weighed = False
    silent_since = None
    while True:
        try:
            standing = backend.poll(run, jobs, begin=True)
            states = standing.states.values()
            if outlives_driver and ("cancelled" in states or run.is_cancelled(jobs[-1].plan)):
                backend.cancel(run, jobs, at_once=True)
                raise Interrupted(f"the jobs of run {run.id} were stopped by somebody", run.command("resume"))
            ended = enough(state in ENDED for state in states)
            if ended or time.monotonic() - looked >= max(between_looks if between_looks >= 1 else 0, 10 * took) - 0.01:
                looked = time.monotonic()
                run.push()
                run.look()
                now = progress_of(run, backend)
                on_progress(now)
                if not weighed and now.done and time.monotonic() - began > SECONDS_TO_WEIGH:
                    weighed = True
                    _warn_of_full_disk(run, now)
                if run.record.options.on_error == "stop" and any(b.failed for b in run.block_names() if b.job in given):
                    _stop(run, backend)
                    return True
                took = time.monotonic() - looked  # it grows with the number of blocks
            silent_since = None
        except NoAnswer as error:  # the jobs go on while this machine has no connection
            silent_since = silent_since or time.monotonic()
            if not outlives_driver or error.for_good:
                raise
            if now is not None:
                on_progress(replace(now, note=f"{error.service}, which does not answer"))
            if time.monotonic() - silent_since > PATIENCE * poll_seconds:
                raise Interrupted(f"{error.message}. The jobs of run {run.id} go on", _how_to_continue(run)) from None
            time.sleep(poll_seconds)
            continue
        except (ServiceError, StoreError) as error:  # credentials that expire, for instance
            if outlives_driver and not error.nothing_started:
                going_on = f"The jobs of run {run.id} go on."
                error.hint_parts = lines(error.hint_parts, going_on, _how_to_continue(run))
            raise
        if ended:
            break
        waits = backend.wait if isinstance(backend, Waits) else None  # the end of a job wakes it
        pause = min((0.1 if waits else 0.02) + (time.monotonic() - began) / 20, poll_seconds)
        (waits or time.sleep)(pause)
    _raise_common_error(run, standing)
    return False


def _warn_of_full_disk(run: RunFolder, now: Progress) -> None:
    """A note where the blocks that are still to come take more than the disk has left."""
    if "://" in run.address:
        return
    try:
        taken = sum(entry.stat().st_size for entry in os.scandir(run.blocks))
        free = shutil.disk_usage(run.path).free
    except OSError:
        return
    if (more := taken * (now.total - now.done) // now.done) > free:
        note = (
            f"the results that run {run.id} has yet to compute take about {size(more)} of disk, and {size(free)} are free at "
            f"{run.path.parent}: it stops when the disk is full, keeps what is finished, and goes on when there is room"
        )
        warnings.warn(Note(note), stacklevel=2)


def _raise_common_error(run: RunFolder, standing: Standing) -> None:
    """Raises the error of a failed job if other jobs would fail in the same way."""
    ended = {job: now for job, now in standing.jobs.items() if now.state in ENDED}
    messages = {job: _message(run, job) for job in ended}
    # a download that fails in one of many containers is an accident
    setup_fails = all(map(setup_script.has_failed, messages.values()))
    for job, message in messages.items():
        if message and not message.startswith((SHARED, LOST)) and (setup_fails or not setup_script.has_failed(message)):
            raise _as_error(run, job, message)
    # a refusal of one job may be an accident; a refusal of all jobs is not
    refusals = [state.refusal for job, state in ended.items() if not messages[job]]
    if refusals and all(refusals):
        assert refusals[0] is not None
        raise refusals[0]


def _stop(run: RunFolder, backend: Backend) -> None:
    """Lets jobs write their open blocks first; kills them on a second Ctrl-C, or after five seconds."""
    with contextlib.suppress(KeyboardInterrupt):
        jobs = job_names(run)
        backend.cancel(run, jobs, at_once=False)
        until = time.monotonic() + 5
        while time.monotonic() < until and "running" in backend.poll(run, jobs).states.values():
            time.sleep(0.02)
    stop_leftovers(run, backend)


def _message(run: RunFolder, job: str) -> str:
    """The reason why a job ended early, as it wrote it; empty if it wrote none."""
    content = untrusted.read(run.jobs, f"{job}/message", LONGEST_MESSAGE)
    if content is None:
        return ""
    return content.decode(errors="replace") or "disk: there is no room left on its disk"  # not even for the message


def shared_is_written(run: RunFolder, jobs: list[JobId]) -> bool:
    """Whether a replication of these jobs wrote to a large file that processes share; see worker/folders.py."""
    return any(_message(run, job).startswith(SHARED) for job in jobs)


def _as_error(run: RunFolder, job: str, message: str) -> SimferryError:
    if setup_script.has_failed(message):
        return setup_script.failure(str(run.record.simulation.get("before")), message, run.command("logs"))
    kind, _, text = message.partition(": ")
    where = f"jobs/{job}/log.txt in {run.path}"
    errors: dict[str, SimferryError] = {
        "disk": StoreError(f"{text} (in {run.path})", "Make room there, then: " + run.command("resume")),
        "mpi": WorkerError(f"the hosts of the job do not work together: {text}", run.command("logs")),
        "load": SimulationError(f"the simulation fails when it is loaded: {text}", f"Its output is in {where}."),
    }
    return errors.get(kind) or WorkerError(f"the worker failed: {text}", run.command("logs"))


def _last_lines(run: RunFolder, backend: Backend, jobs: list[JobId]) -> str:
    texts = (log_text(backend, run, job).strip() for job in jobs)
    return next((" | ".join(text.splitlines()[-3:]) for text in texts if text), "(it is empty)")
