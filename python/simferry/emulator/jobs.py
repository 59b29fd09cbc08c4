"""An emulated processing job: its state and times as the service reports them, and the thread that runs it."""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ..containers.job import ContainerJob, Outcome
from ..containers.limits import cores_of
from ..containers.processing import Processing
from ..containers.storage import S3Storage, TransferError, split
from ..errors import SimferryError
from ..system.untrusted import Tree
from .host_log import GROUP, HostLog, make_group
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


class Job:
    """One processing job.

    request: that of CreateProcessingJob. selected: the instance type, and the number of instances. clients: makes a boto3 client for a
    service and a region, with the credentials of the job's role. seconds_until_lost: time from the start until a host is lost; None
    if none is.
    """

    def __init__(
        self,
        request: dict[str, Any],
        arn: str,
        selected: tuple[str, int],
        has_capacity: bool,
        seconds_until_lost: float | None,
        machine: Machine,
        clients: Callable[..., Any],
        on_event: Callable[[str], None],
    ) -> None:
        self.request, self.arn, self.selected, self.has_capacity = request, arn, selected, has_capacity
        self.seconds_until_lost, self.machine, self.clients, self.on_event = (
            seconds_until_lost,
            machine,
            clients,
            on_event,
        )
        self.name: str = request["ProcessingJobName"]
        self.region = arn.split(":")[3]
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self.status, self.outcome = "InProgress", Outcome("InProgress")
        self.created = self.modified = time.time()
        self.started = self.ended = 0.0
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    # ---- for the service ----

    def start(self, after_seconds: float) -> None:
        self._start_seconds = after_seconds
        self.on_event(f"{self.name}  accepted, {self.selected[1]} x {self.selected[0]}")
        self._thread.start()

    def stop(self) -> None:
        with self._changing:
            if self.status not in ENDED:
                self.status, self.modified = "Stopping", time.time()
        self._stop.set()
        self.machine.cores.wake()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def summary(self) -> dict[str, Any]:
        """The job's entry in the answer of ListProcessingJobs."""
        out = {
            "ProcessingJobName": self.name,
            "ProcessingJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "ProcessingJobStatus": self.status,
        }
        if self.ended:
            out["ProcessingEndTime"] = self.ended
            if self.status == "Failed":
                out["FailureReason"] = self.outcome.failure_reason[:1024]
            if self.outcome.exit_message:
                out["ExitMessage"] = self.outcome.exit_message
        return out

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeProcessingJob."""
        out = {key: value for key, value in self.request.items() if key != "Tags"} | self.summary()
        out.setdefault("StoppingCondition", {"MaxRuntimeInSeconds": 86400})
        if self.started:
            out["ProcessingStartTime"] = self.started
            cluster = self.request["ProcessingResources"]["ClusterConfig"]
            if "InstancePreferences" in cluster:
                which = {"SelectedInstanceType": self.selected[0], "SelectedInstanceCount": self.selected[1]}
                out["ProcessingResources"] = {"ClusterConfig": {**cluster, **which}}
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
        seconds = f" after {self.ended - self.started:.1f} s" if self.started else ""
        why = f": {outcome.failure_reason}" if outcome.failure_reason else ""
        self.on_event(f"{self.name}  {outcome.status}{seconds}{why}")

    def _outcome(self) -> Outcome:
        from ..aws.instances import instance

        if self._stop.wait(self._start_seconds):
            return Outcome("Stopped")
        if not self.has_capacity:
            return Outcome("Failed", "", NO_CAPACITY)
        kind, hosts = self.selected
        cores = cores_of(instance(kind), self.machine.cores.count) * hosts
        with self.machine.cores.reserve(cores, self._stop.is_set) as reserved:
            if not reserved:
                return Outcome("Stopped")
            self.started = self.modified = time.time()
            return self._in_containers(kind, hosts)

    def _in_containers(self, kind: str, hosts: int) -> Outcome:
        cluster = {
            **self.request["ProcessingResources"]["ClusterConfig"], "InstanceType": kind, "InstanceCount": hosts
        }  # fmt: skip
        cluster.pop("InstancePreferences", None)
        request = {**self.request, "ProcessingResources": {"ClusterConfig": cluster}}
        key = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
        storage = RegionalStorage(self.clients("s3", self.region), request["RoleArn"], encryption)
        image = local_image(
            request["AppSpecification"]["ImageUri"], lambda region: self.clients("ecr", region), self.machine
        )
        folder = self.machine.folder / f"{self.region}-{self.name}"
        folder.mkdir()
        (folder / "image").write_text(
            image
        )  # for clean_up_killed_emulators: this image removes what the container's user wrote
        contract = Processing(self.arn)
        job = ContainerJob(self.machine.client, request, contract, storage, folder / "ml", self.machine.owner, image)
        try:
            self._begin(job)
            self.on_event(f"{self.name}  running")
            return self._follow(job, storage)
        finally:
            job.discard()

    def _begin(self, job: ContainerJob) -> None:
        import docker.errors

        try:
            job.start()
        except docker.errors.APIError as error:
            reason = str(error.explanation or error)
            raise TransferError(f"AlgorithmError: the container can't be started: {reason}") from None

    def _follow(self, job: ContainerJob, storage: S3Storage) -> Outcome:
        logs = self._logs(job)
        lost, next_log = False, time.monotonic() + LOG_SECONDS
        while (outcome := job.poll()).status == "InProgress":
            if self._stop.is_set():
                job.stop("stopped")
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
        return Outcome("Failed", "", INTERNAL) if lost and outcome.status == "Failed" else outcome

    def _logs(self, job: ContainerJob) -> dict[str, HostLog]:
        """The log of each host; empty if the role may not write logs, as on the service."""
        from botocore.exceptions import ClientError

        client = self.clients("logs", self.region)
        now = round(time.time() * 1000)
        logs: dict[str, HostLog] = {}
        with contextlib.suppress(ClientError):
            make_group(client, GROUP)
            for name, host in job.hosts.items():
                logs[name] = HostLog(client, f"{self.name}/{name}-{now}", host.container)
                logs[name].follow()
        return logs
