"""An emulated training job: its secondary states, the interruptions of managed Spot, its metrics, and the warm pool that it leaves."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..aws.contracts.training import GRACE_SECONDS
from ..containers.job import ContainerJob, Contract, Host, Outcome
from ..containers.storage import Storage
from ..containers.training import INTERRUPTED, Training
from ..system.log_metrics import series_within
from .jobs import ENDED, INTERNAL, Job
from .warm_pool import WarmPool

BILLED_OF_SPOT = 0.3  # of the training time of a Spot job; on the service it depends on the price of Spot
NO_SPOT = "Insufficient capacity error from EC2 while launching instances, retrying!"
_MAX_WAIT = "MaxWaitTimeExceeded"
_MAX_RUNTIME = "MaxRuntimeExceeded"
_CAPACITY_SECONDS = 0.5  # between two looks for capacity of Spot
_WHILE_IT_GOES_ON = ("Starting", "Downloading", "Training", "Interrupted")
_WORDS = {  # of the service, which says that they may change
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted: the Spot instances were taken back",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    _MAX_RUNTIME: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    _MAX_WAIT: "Training job exceeded MaxWaitTimeInSeconds provided",
}


class TrainingJob(Job):
    """Beside what a `Job` has: pool, the warm pool that is kept for others after its end, if it is to have one."""

    kind = "Training"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        stopping = self.request.get("StoppingCondition", {})
        self.spot: bool = self.request.get("EnableManagedSpotTraining", False)
        self.seconds_left: float = stopping.get("MaxRuntimeInSeconds", 86400)
        self.seconds_to_wait: float = stopping.get("MaxWaitTimeInSeconds", math.inf)
        self.seconds = 0.0  # that it has trained
        self.retries: int = self.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        self.metrics: dict[str, float] = {}
        self.pool = WarmPool(kept) if (kept := self.cluster.get("KeepAlivePeriodInSeconds", 0)) else None
        self._interrupt_at = math.inf
        self.transitions: list[dict[str, Any]] = []
        self.enter("Starting")

    # ---- what each kind of job has ----

    @property
    def usage(self) -> str:
        return "spot training job" if self.spot else "training job"

    @property
    def cluster(self) -> dict[str, Any]:
        return dict(self.request["ResourceConfig"])

    def with_cluster(self, cluster: dict[str, Any]) -> dict[str, Any]:
        return {**self.request, "ResourceConfig": cluster}

    @property
    def image(self) -> str:
        return str(self.request["AlgorithmSpecification"]["TrainingImage"])

    @property
    def kms_key(self) -> str | None:
        key: str | None = self.request["OutputDataConfig"].get("KmsKeyId")
        return key

    def contract(self) -> Contract:
        return _Contract(self.arn, GRACE_SECONDS * self.faults.pace, self.seconds_left, lambda: self.enter("Uploading"))

    # ---- for the service ----

    def start(self, *given: Any) -> None:
        # seconds after the start of its containers, of which each interruption starts new ones
        self.interruptions = self.faults.seconds_until_interrupted() if self.spot else []
        super().start(*given)

    def stop(self, at_once: bool = False) -> None:
        with self._changing:
            super().stop(at_once)
            if self.status == "Stopping":
                self.enter("Stopping")

    def interrupt(self) -> None:
        """Take back the Spot instances of the job that runs."""
        self._interrupt_at = 0.0

    def summary(self) -> dict[str, Any]:
        with self._changing:
            out = {**super().summary(), "SecondaryStatus": self.transitions[-1]["Status"]}
            return {**out, "WarmPoolStatus": self.pool.describe()} if self.pool else out

    def describe(self) -> dict[str, Any]:
        with self._changing:
            archives = f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"
            out = {
                **dict.fromkeys(_SWITCHES, False),
                **super().describe(),
                "OutputDataConfig": {"KmsKeyId": "", "CompressionType": "GZIP", **self.request["OutputDataConfig"]},
                "ModelArtifacts": {"S3ModelArtifacts": f"{archives}/model.tar.gz"},
                "SecondaryStatusTransitions": [*map(dict, self.transitions)],
            }
            if self.ended and self.started:
                seconds = max(1, math.ceil(self.seconds))
                billed = max(1, math.ceil(self.seconds * BILLED_OF_SPOT)) if self.spot else seconds
                out |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": billed}
            if self.ended and self.status == "Failed":
                out["FailureReason"] = self.outcome.failure_reason[:1024]
            if self.ended and self.metrics:
                out["FinalMetricDataList"] = [
                    {"MetricName": name, "Value": value, "Timestamp": self.ended}
                    for name, value in self.metrics.items()
                ]
            return out

    # ---- the thread ----

    def enter(self, status: str, words: str = "") -> None:
        """A secondary status begins."""
        with self._changing:
            if self._stop.is_set() and status in _WHILE_IT_GOES_ON:
                return
            now = self.modified = self.ended or time.time()
            if self.transitions:
                self.transitions[-1].setdefault("EndTime", now)
            if not self.transitions or self.transitions[-1]["Status"] != status:
                self.transitions.append({"Status": status, "StartTime": now})
            last = self.transitions[-1]
            last["StatusMessage"] = words or _WORDS[status]
            last.pop("EndTime", None)

    def has_ended(self) -> None:
        reason = self.outcome.failure_reason.partition(":")[0]
        self.enter(reason if reason in (_MAX_RUNTIME, _MAX_WAIT) else self.status)
        self.transitions[-1]["EndTime"] = self.ended
        if self.pool:
            self.pool.begin(self.ended, kept=self.status == "Completed")

    def without_capacity(self) -> Outcome | None:
        """Spot instances are waited for."""
        while self.spot and not self.has_capacity and not self._over_wait():
            self.enter("Starting", NO_SPOT)
            if self._stop.wait(_CAPACITY_SECONDS):
                return Outcome("Stopped")
            self.has_capacity = self.faults.has_capacity()
        if self.spot and not self.has_capacity:
            return Outcome("Stopped", "", _MAX_WAIT)
        return super().without_capacity()

    def _over_wait(self) -> bool:
        """Whether its time to wait for Spot is over. What it waits for this machine's cores does not count."""
        return time.time() - self.created - self.queued > self.seconds_to_wait

    def work(self) -> Outcome:
        """Again and again, as long as it is interrupted, or fails for a fault of the service and is to be tried again."""
        while True:
            self.enter("Starting", "Preparing the instances for training")
            began = time.monotonic()
            self._interrupt_at = self.interruptions[0] if self.interruptions else math.inf
            outcome = self.in_containers()
            self.seconds += time.monotonic() - began
            self.seconds_left -= time.monotonic() - began
            if outcome.status == "Interrupted":
                self.interruptions = self.interruptions[1:]
                self.on_event(f"{self.name}  interrupted")
            elif outcome.failure_reason == INTERNAL and self.retries:
                self.retries -= 1
            else:
                return outcome
            if self._stop.wait(self._start_seconds):
                return Outcome("Stopped")
            if ended := self._out_of_time():
                return ended
            self.seconds_until_lost = self.faults.seconds_until_lost()

    def _out_of_time(self) -> Outcome | None:
        if self._over_wait():
            return Outcome("Stopped", "", _MAX_WAIT)
        return Outcome("Stopped", "", _MAX_RUNTIME) if self.seconds_left <= 0 else None

    def begin(self, job: ContainerJob) -> None:
        self.enter("Downloading")
        super().begin(job)
        self.enter("Training")

    def watch(self, job: ContainerJob) -> None:
        super().watch(job)
        if not job.stopped and self._over_wait():
            job.stop(_MAX_WAIT)
        if not job.stopped and self.spot and time.monotonic() - job.started >= self._interrupt_at:
            job.stop(INTERRUPTED)
            self.enter("Interrupted")
        if job.stopped not in ("", INTERRUPTED):  # also where it has run for too long
            with self._changing:
                if self.status == "InProgress":
                    self.status = "Stopping"
                    self.enter("Stopping")

    def has_printed(self, logs: dict[str, str]) -> None:
        given = self.request["AlgorithmSpecification"].get("MetricDefinitions", [])
        defined = {one["Name"]: one["Regex"] for one in given}
        for log in [*logs.values()][::-1]:  # so that the first host's value stays
            for name, found in series_within(defined, log).items():
                if values := [value for value in map(float, found or []) if math.isfinite(value)]:
                    self.metrics[name] = values[-1]


_SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")


class _Contract(Training):
    """seconds: the maximal run time, of which earlier attempts have used some. on_upload: called before archives are made and sent."""

    def __init__(self, arn: str, grace_seconds: float, seconds: float, on_upload: Callable[[], None]) -> None:
        super().__init__(arn)
        self.grace_seconds, self.seconds, self.on_upload = grace_seconds, seconds, on_upload

    def needs(self, request: Any) -> Any:
        return replace(super().needs(request), seconds=math.ceil(self.seconds))

    def send(self, hosts: list[Host], request: Any, storage: Storage, status: str) -> None:
        if status in ENDED:
            self.on_upload()
        super().send(hosts, request, storage, status)
