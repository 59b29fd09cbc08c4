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
from ..containers.job import ContainerJob
from ..containers.processing import Processing, arn_here
from ..containers.storage import HERE, Files, S3Storage, TransferError
from ..errors import UsageError
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

    def describe_processing_job(self, job_name: str) -> dict[str, Any]:
        """The answer of DescribeProcessingJob, for a job of this session; the service does not know it."""
        return self.described.get(job_name) or super().describe_processing_job(job_name)

    def logs_for_processing_job(self, job_name: str, wait: bool = False, poll: float = 5) -> None:
        """Nothing for a job of this session: its lines were printed while it ran."""
        if job_name not in self.described:
            super().logs_for_processing_job(job_name, wait, poll)


def run_here(request: dict[str, Any], session: Session, show_logs: bool) -> dict[str, Any]:
    """Run a job until it has ended. Returns the answer that DescribeProcessingJob would give."""
    engine = connect()
    owner = f"local-{os.getpid()}"
    kms_key = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
    storage = FoldersAndS3(session, kms_key)
    created = datetime.now(timezone.utc)
    with scrap_folder("simferry-") as folder:
        job = ContainerJob(engine, request, Processing(), storage, folder / "ml", owner)
        printed = dict.fromkeys(job.hosts, 0)
        try:
            job.start()
            while job.poll().status == "InProgress":
                if show_logs:
                    _print_new(job, {host: job.logs(host) for host in job.hosts}, printed, last=False)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            print(f"\nProcessing job {job.name} is stopped.", file=sys.stderr, flush=True)
            raise
        finally:
            job.discard()
        if show_logs:
            _print_new(job, job.kept_logs, printed, last=True)
    description = {
        **request,
        "ProcessingJobArn": arn_here(job.name),
        "ProcessingJobStatus": job.outcome.status,
        "ExitMessage": job.outcome.exit_message,
        "FailureReason": job.outcome.failure_reason,
        "CreationTime": created,
        "ProcessingStartTime": created,
        "ProcessingEndTime": datetime.now(timezone.utc),
    }
    if isinstance(session, LocalSession):
        session.described[job.name] = description
    return description


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

    def send(self, tree: Tree, uri: str) -> None:
        with _usage_errors():
            super().send(tree, uri) if uri.startswith(HERE) else self.s3.send(tree, uri)


@contextlib.contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except TransferError as error:
        raise UsageError(str(error).removeprefix("ClientError: ")) from None
