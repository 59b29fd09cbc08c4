"""The docker backend: a job runs in one or several containers on this machine, under the contract of SageMaker Processing, or, if
the simulation is an image, of SageMaker Training."""

import contextlib
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..aws.contracts import processing as contract
from ..aws.instances import Instance, instance
from ..aws.limits import service_model
from ..containers.engine import EngineError, connect, find_image
from ..containers.job import ROLE, ContainerJob, Outcome
from ..containers.limits import cores_of
from ..containers.processing import Processing
from ..containers.removal import JOB, OWNER, leftovers, remove_folder, remove_orphans
from ..containers.storage import Files, local_uri
from ..containers.training import Training
from ..containers.waiting import WaitingContainer
from ..errors import UsageError
from ..hints import BackendOptions, MakesImage, Text
from ..images.framework import explained, own_image
from ..jobs.image_block import Ended, keep, reason_of
from ..store import records
from ..store.folder_store import DEFAULT_STORE, Store
from ..store.keys import JobId
from ..store.run_folder import LOCK, RunFolder
from ..sweep.inputs import bring
from ..sweep.options import DockerOptions
from ..system import untrusted
from ..system.files import write_whole, writing
from ..system.processes import alive, identity
from ..system.untrusted import Tree
from .base import (
    LONGEST_LOG,
    Cursor,
    Foreground,
    JobState,
    Lines,
    Prepared,
    Report,
    Standing,
    Staying,
    Traits,
    new_lines,
)  # fmt: skip
from .in_image import InImage, StayingInImage
from .names import job_name, job_name_at
from .request import Machines, Places, check_hosts, processing_request, seconds_of, training_request

FIRST_JOB = JobId.of("0001", 1)
_OVER_TIME = "MaxRuntimeExceeded"
ENGINE_SECONDS = 120  # to wait for an engine that restarts
_ARCHIVES = "archives"  # in a job's folder, until their content is kept
_STATES = {"Completed": "succeeded", "Failed": "failed", "Stopped": "cancelled"}


def _is_image(run: RunFolder) -> bool:
    """Whether the jobs of a run are of the training contract."""
    return bool(run.record.simulation["kind"] == "image")


@contextlib.contextmanager
def _refused(image: str) -> Iterator[None]:
    """Turns what the engine says of a container that it can't start into an error of ours."""
    import docker.errors

    try:
        yield
    except docker.errors.APIError as error:
        if '"train": executable file not found' in str(error.explanation):
            raise EngineError(
                f"image {image} has no program train, which the contract of training jobs runs",
                "Put an executable named train on its PATH, or give it an ENTRYPOINT that takes the argument train.",
            ) from None
        raise EngineError(f"a container of image {image} can't be started: {error.explanation or error}") from None


class Docker:
    name = "docker"

    def __init__(self, options: DockerOptions) -> None:
        if not options.image:
            hint = Text(BackendOptions("docker", image="simferry-r"), "; ", MakesImage("simferry-r"))
            raise UsageError("the docker backend needs an image", hint)
        self.options, self.image = options, own_image(options.image, options.images)
        kind = options.instance_type
        self.instance = instance(kind) if kind else Instance("ml.m5.24xlarge", os.cpu_count() or 1, 384)
        self._waiting: list[tuple[RunFolder, str]] = []
        self._running: dict[str, ContainerJob] = {}
        self._ended: list[ContainerJob] = []  # of which something may be left
        self._over: dict[tuple[str, str], JobState] = {}  # by run and job; an image's run has very many
        self._checked: WaitingContainer | None = None  # may take the first job
        self._may_stay = False  # whether a container that checks may take it
        self._end_seen = threading.Event()
        self._unreachable_since: float | None = None
        self._to_tidy = False

    @cached_property
    def traits(self) -> Traits:
        workers = self.options.workers or cores_of(self.instance, os.cpu_count() or 1)
        seconds = float(int(self.options.max_runtime or contract.SECONDS_AT_MOST))
        return Traits(workers, self.options.jobs or 1, self.options.hosts or 1, seconds, contract=True)

    @cached_property
    def client(self) -> Any:
        client = connect()
        threading.Thread(target=remove_orphans, args=(client,), daemon=True).start()
        return client

    def default_store(self) -> str:
        return DEFAULT_STORE

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        with explained(self.image):
            image = find_image(self.client, self.image)
        # what a check leaves in a volume would not be seen, and only an engine of this kernel follows a folder that is moved
        self._may_stay = self.traits.hosts == 1 and not image.attrs["Config"].get("Volumes") and self._is_here()
        check_hosts(spec, self.traits.hosts)
        here, kind = os.cpu_count() or 1, self.instance
        note = f"{kind.name} has {kind.cores} cores; this machine's {here} are used (its memory limit holds)"
        return Prepared(image_digest=str(image.id), note=note if kind.cores > here else "")

    def _is_here(self) -> bool:
        return bool(self.client.version().get("KernelVersion") == platform.release())

    def foreground(self, verb: str) -> Foreground:
        return InImage(self.image, self.client, self.traits.seconds_at_most)

    def staying(self, spec: Mapping[str, Any], home: Store, run_id: str, meanwhile: Callable[[], None]) -> Staying:
        job = job_name_at(run_id, f"{home.address}/{run_id}", FIRST_JOB) if self._may_stay else ""

        def load() -> None:
            meanwhile()
            service_model("sagemaker")  # for the request

        seconds = self.traits.seconds_at_most
        return StayingInImage(self.image, self.client, seconds, self.instance, job, run_id, home.path, load)

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        if run.waiting:
            self._checked, run.waiting = run.waiting, None
            self.client = self._checked.client  # it is connected
        for job in jobs:
            with writing(run.path):
                (run.jobs / job).mkdir()
            self._record(run, job, "pending")
            self._waiting.append((run, job))
        with _refused(self.image):
            self._begin()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._at_once(self._waiting[0][0]):
            run, job = self._waiting.pop(0)
            folder = run.jobs / job / "ml"
            waiting, self._checked = self._checked, None
            under = Training() if _is_image(run) else Processing()
            made = ContainerJob(
                self.client, self.request(run, job), under, Files(), folder, run.id, on_end=self._end_seen.set
            )
            try:
                made.start(waiting)
            except Exception:
                self._waiting.insert(0, (run, job))
                self._to_tidy = True
                raise
            self._running[job] = made
            self._to_tidy |= not made.logs_since  # a container that has checked may have ended badly
            self._record(run, job, "running", made.logs_since)

    def _at_once(self, run: RunFolder) -> int:
        """How many jobs of a run go on at the same time. A job of an image is a replication, and uses so many cores."""
        cores = (_is_image(run) and run.record.options.cores) or self.traits.workers
        return max(1, (os.cpu_count() or 1) // max(1, cores * self.traits.hosts))

    def request(self, run: RunFolder, job: str) -> dict[str, Any]:
        """The job as a request of CreateProcessingJob, or CreateTrainingJob. Addresses stand for folders of this machine."""
        places = Places(
            local_uri(run.code),
            local_uri(run.job_folder(job)),
            lambda name, one: local_uri(bring(name, one, run)),
            lambda name: local_uri(run.path / name),
        )
        seconds = self.traits.seconds_at_most
        if _is_image(run):
            places = replace(places, output=lambda name: local_uri(run.jobs / name / _ARCHIVES))
            seconds = seconds_of(run, job, seconds)
        machines = Machines([self.instance.name], self.traits.hosts, 16_384, int(seconds))
        if _is_image(run):
            return training_request(run, job, self.image, ROLE, places, machines, {})
        return processing_request(run, job, self.image, ROLE, places, machines, {})

    def poll(self, run: RunFolder, jobs: Sequence[str], begin: bool = False) -> Standing:
        import docker.errors
        import requests

        try:
            for job in [j for j in jobs if j in self._running]:
                outcome = self._running[job].poll()
                if outcome.status != "InProgress":
                    self._end(run, job, outcome)
            if begin:
                self._begin()
            self._unreachable_since = None
        except (requests.exceptions.RequestException, docker.errors.APIError) as error:
            # the engine may be restarting: its containers are gone, but their jobs' blocks are on this machine
            self._to_tidy = True
            now = time.monotonic()
            self._unreachable_since = self._unreachable_since or now
            if now - self._unreachable_since > ENGINE_SECONDS:
                raise EngineError(
                    f"Docker's engine has not answered for {ENGINE_SECONDS} s: {error}",
                    "When it runs again: " + run.command("resume"),
                ) from None
            time.sleep(0.5)
        if self._to_tidy and not self._running and not self._waiting:
            # an engine that is restarting does not remove containers
            leftovers(self.client, {OWNER: run.id}, ENGINE_SECONDS)
            self._to_tidy = False
        return Standing({job: self._state(run, job) for job in jobs})

    def wait(self, seconds: float) -> None:
        self._end_seen.wait(seconds)
        self._end_seen.clear()

    def settle(self) -> None:
        for made in self._ended:
            made.discard()
        self._ended.clear()

    def _end(self, run: RunFolder, job: str, outcome: Outcome) -> None:
        made = self._running.pop(job)
        self._ended.append(made)
        folder = run.jobs / job
        cut_short = contract.cut_short(outcome.failure_reason)
        why = f"simferry: {outcome.failure_reason.removeprefix('AlgorithmError: ')}\n" if cut_short else ""
        for host, text in made.kept_logs.items():
            line = "\n" if why and text and not text.endswith("\n") else ""
            with contextlib.suppress(OSError):
                (folder / f"{host}.log").write_text(text + line + why)
        if _is_image(run):
            self._keep(run, job, made, outcome)
        elif outcome.exit_message:
            (folder / "message").write_text(outcome.exit_message)
        state = "failed" if outcome.failure_reason.startswith(_OVER_TIME) else _STATES[outcome.status]
        self._record(run, job, state, reason=outcome.failure_reason)
        self._over[run.id, job] = self._state(run, job)

    def _keep(self, run: RunFolder, job: str, made: ContainerJob, outcome: Outcome) -> None:
        """Keep the results of an image's job, or its failure. One that was cut short is done again."""
        archives = run.jobs / job / _ARCHIVES
        logs = [*made.kept_logs.values()]
        failure = ""
        if outcome.failure_reason.startswith(_OVER_TIME):
            failure = f"timed out after {made.needs.seconds:g} s"
        elif outcome.status == "Failed":
            failure = reason_of(
                outcome.failure_reason.removeprefix("AlgorithmError: "), outcome.exit_message, "".join(logs)
            )
        lost = contract.cut_short(outcome.failure_reason) and not failure.startswith("timed out")
        if outcome.status == "Completed" or (failure and not lost):
            places = {name: archives / made.name / "output" / f"{name}.tar.gz" for name in ("model", "output")}
            keep(run, job, Ended(failure, places, logs, made.seconds))
        shutil.rmtree(archives, ignore_errors=True)

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        cursor = dict(after or {})
        logs = [(job, host, log) for job in jobs for host, log in self._logs(run, job).items()]
        return [line for job, host, log in logs for line in new_lines(job, host, log, cursor)], cursor

    def _logs(self, run: RunFolder, job: str) -> dict[str, bytes]:
        """The logs of a job, by host."""
        folder = run.jobs / job
        names = sorted(path.name for path in folder.glob("*.log"))
        logs = {name.removesuffix(".log"): untrusted.read(folder, name, LONGEST_LOG) or b"" for name in names}
        if not logs and self._state(run, job).state == "running":
            since = records.read_job(run.jobs, f"{job}/job.json").get("logs_since")
            only = {"since": since} if isinstance(since, float) and since > 0 else {}
            for container in self.client.containers.list(filters={"label": f"{JOB}={job_name(run, job)}"}):
                # decoded and encoded, as the kept log will be
                logs[container.attrs["Config"]["Hostname"]] = container.logs(**only).decode(errors="replace").encode()
        return logs

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        for job in jobs:
            if (run, job) in self._waiting:
                self._waiting.remove((run, job))
                self._record(run, job, "cancelled")
            elif job in self._running and not at_once:
                made = self._running[job]
                if _is_image(run):
                    made.stop("cancelled")
                    continue
                made.stopped = "cancelled"
                for host in made.hosts:
                    with contextlib.suppress(OSError):
                        untrusted.touch(made.folder / host, "processing/scratch/stop")
                made.signal("SIGINT")
            elif job in self._running:
                self._running[job].stop("cancelled", at_once=True)
        if not self._running:
            self._clean_up(run, jobs)

    def _clean_up(self, run: RunFolder, jobs: Sequence[str]) -> None:
        """Collect the finished blocks of jobs whose driver was killed, and remove their containers and folders."""
        mine = [
            job for job in jobs if records.read_job(run.jobs, f"{job}/job.json").get("state") in ("pending", "running")
        ]
        if not mine:
            return
        leftovers(self.client, {OWNER: run.id})
        for job in mine:
            ml = run.jobs / job / "ml"
            for host in sorted(ml.glob("algo-*")):
                for name in () if _is_image(run) else contract.OUTPUTS:
                    Files().send(Tree(ml, (host.name, "processing", name)), local_uri(run.path / name))
            remove_folder(self.client, self.image, ml)
            self._record(run, job, "lost")

    def _state(self, run: RunFolder, job: str) -> JobState:
        if (run.id, job) in self._over:
            return self._over[run.id, job]
        record = records.read_job(run.jobs, f"{job}/job.json")
        state = str(record.get("state", "pending"))
        if state in ("pending", "running") and job not in self._running and (run, job) not in self._waiting:
            # it belongs to another driver, which may be dead
            state = state if alive(record.get("driver", {}), run.jobs / LOCK) else "lost"
        return JobState(state, contract.cut_short(str(record.get("reason", ""))) or state == "lost")

    def _record(self, run: RunFolder, job: str, state: str, logs_since: float = 0.0, reason: str = "") -> None:
        record = {"state": state, "reason": reason, "driver": identity(os.getpid()), "logs_since": logs_since}
        with writing(run.path):
            write_whole(run.jobs / job / "job.json", json.dumps(record).encode())
