"""Training jobs of SageMaker: the sagemaker backend with --spot or --service training, and of images that are the program.

A job's blocks and artifacts are its checkpoints, which the service sends to S3 as they grow, and brings back after an interruption.
An image's jobs leave archives, of which this machine makes blocks.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..aws import session
from ..aws.contracts import training as contract
from ..aws.logs import TRAINING_GROUP, read
from ..aws.prices import START_UP_SECONDS
from ..errors import UsageError
from ..jobs.launch import TRAIN
from ..store.run_folder import RunFolder
from ..sweep.options import SagemakerOptions
from ..words import counted
from .base import Prepared, Report, Standing
from .image_results import kept
from .names import job_name
from .processing import Sagemaker
from .request import Terms, seconds_of, training_request
from .service import Request, ServiceJob, emulated

AT_ONCE = 8  # requests to the service
ATTEMPTS = 5  # of a job by the service, where the service itself fails: default of attempts
SECONDS_TO_WAIT = 86_400  # for Spot machines, beside the time limit: default of max_wait
_WAITS = ("Interrupted", "Pending")  # secondary states of jobs without a machine
LOG_SECONDS = 10.0  # until the last lines of a job's log are there


class Training(Sagemaker):
    seconds_allowed, in_words = contract.SECONDS_AT_MOST, "28 days"
    log_group = TRAINING_GROUP

    def __init__(self, options: SagemakerOptions) -> None:
        super().__init__(options)
        self.quota = "spot training jobs" if options.spot else "training jobs"
        self.seconds_beside = START_UP_SECONDS + (options.keep_alive or 0)
        self._ended: dict[str, ServiceJob] = {}  # by name: what the service says of them no longer changes
        self._without_machine = 0  # jobs that wait for one

    def check_installed(self) -> None:
        """boto3 starts them, without which there are no credentials."""

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        found = super().prepare(spec, store, on_progress)
        return replace(found, options={**found.options, "service": "training"})  # also where a resume does without Spot

    # ---- the service ----

    def create(self, request: Mapping[str, Any]) -> None:
        session.client("sagemaker").create_training_job(**request)

    def request(self, asked: Request) -> dict[str, Any]:
        """The job as a request of CreateTrainingJob."""
        run, job = asked.run, asked.job
        image, role, places, machines, tags = self.parts(asked)
        if _is_image(run):
            machines = replace(machines, seconds_at_most=seconds_of(run, job, machines.seconds_at_most))
        elif not (run.code / TRAIN).exists():
            raise UsageError(
                f"run {run.id} was made by a simferry that had no training jobs",
                "A new run with the same seed takes over what this one has computed.",
            )
        places = replace(places, output=lambda _: f"{run.address}/archives")
        folder = "restarts" if _is_image(run) else "checkpoints"
        terms = Terms(
            f"{run.address}/{folder}/{job}",
            self._wait(machines.seconds_at_most) if self.options.spot else None,
            self.options.keep_alive,
            self.options.attempts or ATTEMPTS,
        )
        return training_request(run, job, image, role, places, machines, tags, terms)

    def _wait(self, limit: int) -> int:
        """MaxWaitTimeInSeconds of a job with this time limit, which a budget may have made shorter than max_runtime."""
        return max(limit, int(self.options.max_wait or limit + SECONDS_TO_WAIT))

    def poll(self, run: RunFolder, jobs: Sequence[str], begin: bool = False) -> Standing:
        found = super().poll(run, jobs, begin)
        if found.waits_for or not self._without_machine:
            return found
        return replace(found, waits_for=f"machines of {counted(self._without_machine, 'job')}")

    def list(self, run: RunFolder) -> dict[str, ServiceJob]:
        found: dict[str, ServiceJob] = {}
        ended, self._without_machine = [], 0
        for one in self.summaries(run, "list_training_jobs", "TrainingJobSummaries"):
            name, state = one["TrainingJobName"], contract.STATES[one["TrainingJobStatus"]]
            found[name] = self._ended.get(name) or ServiceJob(state, one["CreationTime"], one.get("TrainingEndTime"))
            self._without_machine += state == "running" and one.get("SecondaryStatus") in _WAITS
            if state not in ("running", "stopping") and name not in self._ended:
                ended.append(name)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name, (job, final) in zip(ended, pool.map(self._described, ended), strict=True):
                found[name] = job
                if final:
                    self._ended[name] = job
        return found

    def _described(self, name: str) -> tuple[ServiceJob, bool]:
        """What the service says of an ended job, and whether that will not change."""
        with session.asking(f"training job {name}"):
            said = session.client("sagemaker").describe_training_job(TrainingJobName=name)
        reason, second = said.get("FailureReason", ""), said.get("SecondaryStatus", "")
        state = contract.STATES[said["TrainingJobStatus"]]
        over_time = second in contract.OVER_TIME and state == "cancelled"
        if over_time:
            words = "no Spot machine within max_wait" if second == "MaxWaitTimeExceeded" else "its time limit"
            state, reason = "failed", f"{second}: {words}"
        _, text = contract.failure_of(reason)
        own = "simferry: "  # with which the worker's messages begin, see worker/train.sh
        pool = said.get("WarmPoolStatus", {})
        kept = pool.get("ResourceRetainedBillableTimeInSeconds", 0)
        # without a start nothing is billed
        billed = said.get("BillableTimeInSeconds", None if said.get("TrainingStartTime") else 0)
        job = ServiceJob(
            state, said["CreationTime"], said.get("TrainingEndTime") or said.get("LastModifiedTime"), reason,
            text.removeprefix(own) if text.startswith(own) else "", over_time or contract.cut_short(reason),
            reason.startswith("ClientError"), None if billed is None else billed + kept,
            said.get("TrainingTimeInSeconds", 0),
        )  # fmt: skip
        return job, pool.get("Status") not in ("Available", "InUse")

    def ask_to_stop(self, name: str) -> None:
        session.client("sagemaker").stop_training_job(TrainingJobName=name)

    # ---- images that are the program ----

    def kept(self, run: RunFolder, known: Mapping[str, ServiceJob]) -> Mapping[str, ServiceJob]:
        if not _is_image(run):
            return known
        seconds = 1.0 if emulated("sagemaker") else LOG_SECONDS
        return kept(
            run, known, _has_results, lambda job: [*read(job_name(run, job), group=TRAINING_GROUP).values()], seconds
        )


def _is_image(run: RunFolder) -> bool:
    return bool(run.record.simulation["kind"] == "image")


def _has_results(job: ServiceJob) -> bool:
    """Whether an image's job has come to its end, and is not done again: its program succeeded, failed, or took too long."""
    over_time = job.reason.startswith("MaxRuntimeExceeded")
    return job.state == "succeeded" or (job.state == "failed" and (over_time or not job.cut_short) and not job.for_all)
