"""An emulated job of SageMaker, of whatever kind: its state and times as the service reports them, and the thread that runs it."""

import contextlib
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ..containers.job import ContainerJob, Contract, Outcome
from ..containers.limits import cores_of
from ..containers.storage import S3Storage, TransferError, split
from ..errors import SimferryError
from ..system.untrusted import Tree
from .faults import Faults
from .host_log import HostLog, make_group
from .images import ImageNotFound, local_image
from .machine import Machine

POLL_SECONDS = 0.25
LOG_SECONDS = 1.0
NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
INTERNAL = "InternalServerError: We encountered an internal error.  Please try again."
ENDED = ("Completed", "Failed", "Stopped")


class RegionalStorage(S3Storage):
    """S3 as jobs see it: they reach buckets of their own region only."""

    def __init__(self, s3: Any, role: str, encryption: dict[str, str]) -> None:
        super().__init__(s3, role, encryption)
        self._region_of = cache(self._asked)

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        self._check(source["S3Uri"], "Data download failed:")
        super().fetch(source, folder, host, hosts)

    def send(self, tree: Tree, uri: str) -> None:
        self._check(uri, "Failed to upload output data. ")
        super().send(tree, uri)

    def _check(self, uri: str, what: str) -> None:
        if (found := self._region_of(split(uri)[0])) not in ("", self.s3.meta.region_name):
            raise TransferError(
                f"ClientError: {what}PermanentRedirect (301): The bucket is in this region: {found}. "
                f"Please use this region to retry the request ({uri})"
            )

    def _asked(self, bucket: str) -> str:
        """The region of a bucket; empty where the role may not ask: what it may do with objects is found when it does it."""
        from botocore.exceptions import ClientError

        try:
            answer = self.s3.head_bucket(Bucket=bucket)["ResponseMetadata"]
        except ClientError:
            return ""
        return str(answer["HTTPHeaders"].get("x-amz-bucket-region", ""))


class Job(ABC):
    """One job. What differs between the kinds of jobs is in its subclasses.

    request: that of the job's creation. clients: makes a boto3 client for a service and a region, with the credentials of the job's
    role. selected: the instance type, and the number of instances, from the start on.
    """

    kind = ""  # as in ProcessingJobName

    def __init__(
        self,
        request: dict[str, Any],
        arn: str,
        faults: Faults,
        machine: Machine,
        clients: Callable[..., Any],
        on_event: Callable[[str], None],
    ) -> None:
        self.request, self.arn = request, arn
        self.faults, self.machine, self.clients, self.on_event = faults, machine, clients, on_event
        self.name: str = request[f"{self.kind}JobName"]
        self.region = arn.split(":")[3]
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self.status, self.outcome = "InProgress", Outcome("InProgress")
        self.created = self.modified = time.time()
        self.queued = 0.0  # seconds that it waited for this machine's cores
        self.started = self.ended = 0.0
        self._changing = threading.RLock()
        self._stop = threading.Event()
        self._at_once = False
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    # ---- what each kind of job has ----

    @property
    def usage(self) -> str:
        """What its instances are used for, in the name of their quota."""
        return f"{self.kind.lower()} job"

    @property
    @abstractmethod
    def cluster(self) -> dict[str, Any]:
        """The part of the request with the instance type or InstancePreferences."""

    @abstractmethod
    def with_cluster(self, cluster: dict[str, Any]) -> dict[str, Any]:
        """The request with another such part."""

    @property
    @abstractmethod
    def image(self) -> str: ...

    @property
    def role(self) -> str:
        return str(self.request["RoleArn"])

    @property
    @abstractmethod
    def kms_key(self) -> str | None:
        """The key that encrypts its outputs."""

    @abstractmethod
    def contract(self) -> Contract: ...

    # ---- for the service ----

    def start(self, selected: tuple[str, int], has_capacity: bool, after_seconds: float) -> None:
        self.selected, self.has_capacity, self._start_seconds = selected, has_capacity, after_seconds
        self.seconds_until_lost = self.faults.seconds_until_lost()
        self.on_event(f"{self.name}  accepted, {self.selected[1]} x {self.selected[0]}")
        self._thread.start()

    def stop(self, at_once: bool = False) -> None:
        """at_once: without the time that the contract gives a job to end."""
        with self._changing:
            if self.status not in ENDED:
                self.status, self.modified = "Stopping", time.time()
        self._at_once = self._at_once or at_once
        self._stop.set()
        self.machine.cores.wake()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def summary(self) -> dict[str, Any]:
        """The job's entry in a list of jobs."""
        with self._changing:
            out = {
                f"{self.kind}JobName": self.name,
                f"{self.kind}JobArn": self.arn,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                f"{self.kind}JobStatus": self.status,
            }
            return {**out, f"{self.kind}EndTime": self.ended} if self.ended else out

    def describe(self) -> dict[str, Any]:
        """The answer to a request that describes it."""
        with self._changing:
            out = {key: value for key, value in self.request.items() if key != "Tags"} | self.summary()
            out.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": 86400})
            if self.started:
                out[f"{self.kind}StartTime"] = self.started
                if "InstancePreferences" in self.cluster:
                    which = {"SelectedInstanceType": self.selected[0], "SelectedInstanceCount": self.selected[1]}
                    out |= self.with_cluster({**self.cluster, **which})
            return out

    # ---- the thread ----

    def _run(self) -> None:
        try:
            outcome = self._outcome()
        except (TransferError, ImageNotFound) as error:
            outcome = Outcome("Failed", "", str(error))
        except SimferryError as error:  # for example: Docker is not running
            outcome = Outcome("Failed", "", f"InternalServerError: simferry emulator: {error}")
        except Exception as error:
            outcome = Outcome("Failed", "", f"InternalServerError: simferry emulator: {type(error).__name__}: {error}")
        if self._stop.is_set() and outcome.status == "Failed":  # stopped while it started
            outcome = Outcome("Stopped", outcome.exit_message)
        with self._changing:
            self.outcome = outcome
            self.ended = self.modified = time.time()
            self.status = outcome.status
            self.has_ended()
        seconds = f" after {self.ended - self.started:.1f} s" if self.started else ""
        why = f": {outcome.failure_reason}" if outcome.failure_reason else ""
        self.on_event(f"{self.name}  {outcome.status}{seconds}{why}")

    def has_ended(self) -> None:  # noqa: B027
        """Called once, when its outcome is known; nobody sees the job meanwhile."""

    def _outcome(self) -> Outcome:
        from ..aws.instances import instance

        if self._stop.wait(self._start_seconds):
            return Outcome("Stopped")
        if without := self.without_capacity():
            return without
        kind, hosts = self.selected
        cores = cores_of(instance(kind), self.machine.cores.count) * hosts
        asked = time.time()
        with self.machine.cores.reserve(cores, self._stop.is_set) as reserved:
            if not reserved:
                return Outcome("Stopped")
            self.started = self.modified = time.time()
            self.queued = self.started - asked
            return self.work()

    def without_capacity(self) -> Outcome | None:
        """How a job ends that gets no instances."""
        return None if self.has_capacity else Outcome("Failed", "", NO_CAPACITY)

    def work(self) -> Outcome:
        """What it does, with the cores that it needs."""
        return self.in_containers()

    def in_containers(self) -> Outcome:
        kind, hosts = self.selected
        cluster = {**self.cluster, "InstanceType": kind, "InstanceCount": hosts}
        cluster.pop("InstancePreferences", None)
        request = self.with_cluster(cluster)
        storage = self.storage()
        image = local_image(self.image, lambda region: self.clients("ecr", region), self.machine)
        folder = self.machine.folder / f"{self.kind}-{self.region}-{self.name}"
        folder.mkdir(exist_ok=True)
        # for clean_up_killed_emulators: this image removes what the container's user wrote
        (folder / "image").write_text(image)
        job = ContainerJob(
            self.machine.client, request, self.contract(), storage, folder / "ml", self.machine.owner, image
        )
        try:
            self.begin(job)
            self.on_event(f"{self.name}  running")
            return self._follow(job, storage)
        finally:
            job.discard()

    def storage(self) -> RegionalStorage:
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        return RegionalStorage(self.clients("s3", self.region), self.role, encryption)

    def begin(self, job: ContainerJob) -> None:
        import docker.errors

        try:
            job.start()
        except docker.errors.APIError as error:
            reason = str(error.explanation or error)
            raise TransferError(f"AlgorithmError: the container can't be started: {reason}") from None

    def watch(self, job: ContainerJob) -> None:
        """Called again and again while containers run."""
        if self._stop.is_set():
            job.stop("stopped", self._at_once)

    def has_printed(self, logs: dict[str, str]) -> None:  # noqa: B027
        """Called with the whole logs of the hosts, when containers have ended."""

    def _follow(self, job: ContainerJob, storage: S3Storage) -> Outcome:
        logs = self._logs(job)
        lost, next_log = False, time.monotonic() + LOG_SECONDS
        while (outcome := job.poll()).status == "InProgress":
            self.watch(job)
            age = time.monotonic() - job.started
            if self.seconds_until_lost is not None and age >= self.seconds_until_lost and not lost:
                lost = storage.lost = True
                random.Random(self.name).choice(list(job.hosts.values())).container.kill()
            if time.monotonic() > next_log:
                next_log = time.monotonic() + LOG_SECONDS
                for log in logs.values():
                    log.flush()
            time.sleep(POLL_SECONDS)
        for host, log in logs.items():
            log.close(job.kept_logs[host])
        self.has_printed(job.kept_logs)
        return Outcome("Failed", "", INTERNAL) if lost and outcome.status == "Failed" else outcome

    def _logs(self, job: ContainerJob) -> dict[str, HostLog]:
        """The log of each host; empty if the role may not write logs, as on the service."""
        from botocore.exceptions import ClientError

        client, group = self.clients("logs", self.region), f"/aws/sagemaker/{self.kind}Jobs"
        now = round(time.time() * 1000)
        logs: dict[str, HostLog] = {}
        with contextlib.suppress(ClientError):
            make_group(client, group)
            for name, host in job.hosts.items():
                logs[name] = HostLog(client, f"{self.name}/{name}-{now}", host.container, group)
                logs[name].follow()
        return logs
