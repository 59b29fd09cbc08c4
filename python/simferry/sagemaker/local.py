"""instance_type = "local": runs a job in Docker on this machine, with inputs and outputs in S3 or in folders."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from ..containers.engine import connect
from ..containers.job import ContainerJob, Contract
from ..containers.processing import Processing, arn_here
from ..containers.storage import HERE, Files, S3Storage, TransferError
from ..containers.training import Training
from ..containers.training import arn_here as training_arn
from ..errors import UsageError
from ..system.log_metrics import series_within
from ..system.terminal import shown
from ..system.untrusted import Tree, scrap_folder
from .session import Session

LARGEST = "ml.m5.24xlarge"  # so that only this machine limits the job
POLL_SECONDS = 0.3


class LocalSession(Session):
    """A session whose jobs run in Docker on this machine, whatever their instance type is. config: accepted and ignored."""

    local_mode = True

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.described: dict[str, dict[str, Any]] = {}  # by job name

    def describe_job(self, kind: str, name: str) -> dict[str, Any]:
        """What the service says of a job, for one of this session too, which the service does not know. Else as of Session."""
        return self.described.get(name) or super().describe_job(kind, name)

    def logs_of(self, kind: str, name: str, wait: bool = False, poll: float = 5) -> None:
        """Nothing for a job of this session: its lines were printed while it ran. Else as of Session."""
        if name not in self.described:
            super().logs_of(kind, name, wait, poll)

    def stop_job(self, kind: str, name: str) -> None:
        """Nothing for a job of this session: it has ended. Else as of Session."""
        if name not in self.described:
            super().stop_job(kind, name)


def run_here(request: dict[str, Any], session: Session, show_logs: bool) -> dict[str, Any]:
    """Run a processing job until it has ended.

    request: of CreateProcessingJob. session: whose credentials are used in S3. show_logs: print the job's lines.

    Returns the answer that DescribeProcessingJob would give. Raises UsageError, EngineError.
    """
    kms_key = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
    created, job = datetime.now(timezone.utc), _run(request, Processing(), session, kms_key, show_logs)
    return _described(session, job, {
        **request,
        "ProcessingJobArn": arn_here(job.name),
        "ProcessingJobStatus": job.outcome.status,
        "ExitMessage": job.outcome.exit_message,
        "FailureReason": job.outcome.failure_reason,
        "CreationTime": created,
        "ProcessingStartTime": created,
        "ProcessingEndTime": datetime.now(timezone.utc),
    })  # fmt: skip


def train_here(request: dict[str, Any], session: Session, show_logs: bool) -> dict[str, Any]:
    """The same for a training job. request: of CreateTrainingJob. Its other arguments and errors are those of `run_here`."""
    output = request["OutputDataConfig"]
    created, job = (
        datetime.now(timezone.utc),
        _run(request, Training(), session, output.get("KmsKeyId"), show_logs),
    )
    defined = {one["Name"]: one["Regex"] for one in request["AlgorithmSpecification"].get("MetricDefinitions", [])}
    values = {name: found for name, found in series_within(defined, "".join(job.kept_logs.values())).items() if found}
    ended = datetime.now(timezone.utc)
    archive = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output/model.tar.gz"
    return _described(session, job, {
        **request,
        "TrainingJobArn": training_arn(job.name),
        "TrainingJobStatus": job.outcome.status,
        "SecondaryStatus": job.outcome.status,
        "FailureReason": job.outcome.failure_reason,
        "ModelArtifacts": {"S3ModelArtifacts": archive if job.outcome.status != "Failed" else ""},
        "FinalMetricDataList": [
            {"MetricName": name, "Value": float(found[-1]), "Timestamp": ended} for name, found in values.items()
        ],
        "CreationTime": created,
        "TrainingStartTime": created,
        "TrainingEndTime": ended,
        "TrainingTimeInSeconds": int(job.seconds),
    })  # fmt: skip


def _described(session: Session, job: ContainerJob, description: dict[str, Any]) -> dict[str, Any]:
    if isinstance(session, LocalSession):
        session.described[job.name] = description
    return description


def _run(
    request: dict[str, Any], contract: Contract, session: Session, kms_key: str | None, show_logs: bool
) -> ContainerJob:
    """Run a job until it has ended."""
    storage = FoldersAndS3(session, kms_key)
    with scrap_folder("simferry-") as folder:
        job = ContainerJob(connect(), request, contract, storage, folder / "ml", f"local-{os.getpid()}")
        printed = dict.fromkeys(job.hosts, 0)
        try:
            job.start()
            while job.poll().status == "InProgress":
                if show_logs:
                    _print_new(job, {host: job.logs(host) for host in job.hosts}, printed, last=False)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            print(f"\nJob {job.name} is stopped.", file=sys.stderr, flush=True)
            raise
        finally:
            job.discard()
        if show_logs:
            _print_new(job, job.kept_logs, printed, last=True)
    return job


def _print_new(job: ContainerJob, texts: dict[str, str], printed: dict[str, int], last: bool) -> None:
    """Print the new lines. last: the job has ended, so print an incomplete line too."""
    for host, text in texts.items():
        new = text[printed[host] :]
        new = new if last else new[: new.rfind("\n") + 1]
        printed[host] += len(new)
        for line in new.splitlines():
            print(shown(f"[{host}] {line}" if len(job.hosts) > 1 else line, sys.stdout), flush=True)


class FoldersAndS3(Files):
    """Storage in folders of this machine and in S3, each by its address."""

    def __init__(self, session: Session, kms_key: str | None) -> None:
        super().__init__()
        self.session = session
        self.encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}

    @cached_property
    def s3(self) -> Any:  # only if it is needed: folders need no account
        return S3Storage(self.session.s3_client, "whose credentials are used here", self.encryption)

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        here = source["S3Uri"].startswith(HERE)
        with _usage_errors():
            super().fetch(source, folder, host, hosts) if here else self.s3.fetch(source, folder, host, hosts)

    def restore(self, tree: Tree, uri: str) -> None:
        with _usage_errors():
            super().restore(tree, uri) if uri.startswith(HERE) else self.s3.restore(tree, uri)

    def send(self, tree: Tree, uri: str) -> None:
        with _usage_errors():
            super().send(tree, uri) if uri.startswith(HERE) else self.s3.send(tree, uri)


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except TransferError as error:
        raise UsageError(str(error).removeprefix("ClientError: ")) from None
