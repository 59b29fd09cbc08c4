"""The session of version 2: the default bucket, files in S3, the caller's role, states and logs of jobs."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..aws import buckets, logs
from ..aws import session as aws
from ..containers.storage import as_key
from ..errors import UsageError
from ..system.terminal import shown
from .exceptions import check_status
from .session_endpoints import EndpointsOfSession
from .values import local_path

METADATA = "/opt/ml/metadata/resource-metadata.json"  # of SageMaker's notebooks and Studio
AT_ONCE = 16  # files that are copied at the same time
ENDED = ("Completed", "Failed", "Stopped")
LOG_GROUPS = {
    "processing": logs.GROUP,
    "training": logs.TRAINING_GROUP,
    "transform": "/aws/sagemaker/TransformJobs",
}


class Session(EndpointsOfSession):
    """A session with AWS.

    boto_session: a boto3 session; None takes the usual configuration. default_bucket: the bucket to use instead of
    sagemaker-<region>-<account>. default_bucket_prefix: begins every default address. The other clients and settings of
    version 2 are accepted and ignored: jobs don't need them.
    """

    local_mode = False
    config = None

    def __init__(
        self,
        boto_session: Any = None,
        sagemaker_client: Any = None,
        sagemaker_runtime_client: Any = None,
        sagemaker_featurestore_runtime_client: Any = None,
        default_bucket: str | None = None,
        settings: Any = None,
        sagemaker_metrics_client: Any = None,
        sagemaker_config: Any = None,
        default_bucket_prefix: str | None = None,
    ) -> None:
        self.boto_session = boto_session or aws.session()
        given = {"sagemaker": sagemaker_client, "sagemaker-runtime": sagemaker_runtime_client}
        self._clients: dict[str, Any] = {name: client for name, client in given.items() if client}
        self._bucket, self._bucket_is_there = default_bucket, False
        self._own_bucket = default_bucket is None
        self._account = ""
        self.default_bucket_prefix = default_bucket_prefix

    # ---- who and where ----

    @property
    def boto_region_name(self) -> str:
        return str(self.boto_session.region_name or aws.region())

    @property
    def sagemaker_client(self) -> Any:
        return self.client("sagemaker")

    @property
    def s3_client(self) -> Any:
        return self.client("s3")

    @property
    def s3_resource(self) -> Any:
        return self.boto_session.resource("s3", region_name=self.boto_region_name)

    @property
    def sagemaker_runtime_client(self) -> Any:
        return self.client("sagemaker-runtime")

    def client(self, service: str) -> Any:
        """A boto3 client of this session."""
        if service not in self._clients and self.boto_session is aws.session():
            self._clients[service] = aws.client(service)
        elif service not in self._clients:
            from botocore.config import Config

            retries = Config(retries={"mode": "adaptive", "max_attempts": aws.ATTEMPTS})
            self._clients[service] = self.boto_session.client(
                service, region_name=self.boto_region_name, config=retries
            )
        return self._clients[service]

    def account_id(self) -> str:
        """The account's number."""
        if not self._account:
            with aws.asking("STS"):
                self._account = str(self.client("sts").get_caller_identity()["Account"])
        return self._account

    def get_caller_identity_arn(self) -> str:
        """The ARN of the caller, a role or a user. In a notebook or in Studio, the ARN of its execution role."""
        if arn := self._notebook_role():
            return arn
        with aws.asking("STS"):
            identity = str(self.client("sts").get_caller_identity()["Arn"])
        assumed = re.fullmatch(r"(arn:[^:]+:)sts(::\d+:)assumed-role/([^/]+)/.*", identity)
        if not assumed:
            return identity
        name = assumed.group(3)
        from botocore.exceptions import ClientError

        try:  # only IAM knows the path of a role
            return str(self.client("iam").get_role(RoleName=name)["Role"]["Arn"])
        except ClientError:
            path = "service-role/" if name.startswith("AmazonSageMaker-ExecutionRole") else ""
            return f"{assumed.group(1)}iam{assumed.group(2)}role/{path}{name}"

    def _notebook_role(self) -> str:
        from botocore.exceptions import ClientError

        with contextlib.suppress(OSError, ValueError, ClientError):
            facts = json.loads(Path(METADATA).read_bytes())
            if role := facts.get("ExecutionRoleArn"):
                return str(role)
            client = self.sagemaker_client
            if not (domain := facts.get("DomainId")):
                return str(client.describe_notebook_instance(NotebookInstanceName=facts["ResourceName"])["RoleArn"])
            if user := facts.get("UserProfileName"):
                profile = client.describe_user_profile(DomainId=domain, UserProfileName=user)
                if role := profile.get("UserSettings", {}).get("ExecutionRole"):
                    return str(role)
            return str(client.describe_domain(DomainId=domain)["DefaultUserSettings"]["ExecutionRole"])
        return ""

    def expand_role(self, role: str) -> str:
        """The ARN of a role. role: its name or its ARN."""
        if "/" in role:
            return role
        with aws.asking(f"role {role}"):
            return str(self.client("iam").get_role(RoleName=role)["Role"]["Arn"])

    # ---- the default bucket ----

    def default_bucket(self) -> str:
        """The name of the default bucket. A missing bucket is created, without public access."""
        name = self._bucket = self._bucket or buckets.default_name(self.boto_region_name, self.account_id())
        if not self._bucket_is_there:
            owner = self.account_id() if self._own_bucket else ""
            buckets.make_where_missing(name, self.s3_client, self.boto_region_name, owner)
            self._bucket_is_there = True
        return name

    def _owner(self, bucket: str) -> dict[str, str]:
        """The condition that S3 refuses a bucket of another account: a stranger could guess the name of the default bucket."""
        return {"ExpectedBucketOwner": self.account_id()} if self._own_bucket and bucket == self._bucket else {}

    # ---- files ----

    def upload_data(
        self,
        path: str,
        bucket: str | None = None,
        key_prefix: str = "data",
        callback: Any = None,
        extra_args: dict[str, Any] | None = None,
    ) -> str:
        """Upload a file or a whole folder, below a prefix of a bucket (by default the default bucket).

        Returns the file's address, or the folder's.
        """
        source = local_path(path)
        if not source.exists():
            raise UsageError(f"there is no file or folder {path}", f"Paths are relative to {os.getcwd()}.")
        if bucket is None:
            bucket = self.default_bucket()
            key_prefix = "/".join(part for part in (self.default_bucket_prefix, key_prefix) if part)
        key_prefix = key_prefix.rstrip("/")
        base = source if source.is_dir() else source.parent
        files = [p for p in source.rglob("*") if p.is_file()] if source.is_dir() else [source]
        options = {"ExtraArgs": {**(extra_args or {}), **self._owner(bucket)}, "Callback": callback}

        def send(file: Path) -> None:
            key = f"{key_prefix}/{as_key(file.relative_to(base).as_posix())}".lstrip("/")
            with aws.asking(f"s3://{bucket}/{key}"), open(file, "rb") as content:
                self.s3_client.upload_fileobj(content, bucket, key, **options)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(send, files))
        return "/".join(part for part in (f"s3://{bucket}", key_prefix, "" if source.is_dir() else source.name) if part)

    def upload_string_as_file_body(self, body: str | bytes, bucket: str, key: str, kms_key: str | None = None) -> str:
        """Write text to S3. Returns its address."""
        key_of = {"SSEKMSKeyId": kms_key, "ServerSideEncryption": "aws:kms"} if kms_key else {}
        content = body.encode() if isinstance(body, str) else body
        with aws.asking(f"s3://{bucket}/{key}"):
            self.s3_client.put_object(Bucket=bucket, Key=key, Body=content, **key_of, **self._owner(bucket))
        return f"s3://{bucket}/{key}"

    def download_data(
        self, path: str, bucket: str, key_prefix: str = "", extra_args: dict[str, Any] | None = None
    ) -> list[str]:
        """Download all files below a prefix into a folder, a single file under its own name. Returns the files' paths."""
        folder = local_path(path)
        one_file = bool(os.path.splitext(key_prefix)[1])
        options = {"ExtraArgs": {**(extra_args or {}), **self._owner(bucket)}}

        def bring(key: str) -> str:
            name = os.path.basename(key) if one_file or key == key_prefix else os.path.relpath(key, key_prefix or ".")
            if ".." in Path(name).parts:
                raise UsageError(f"s3://{bucket}/{key} would be written outside of {folder}")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with aws.asking(f"s3://{bucket}/{key}"):
                self.s3_client.download_file(bucket, key, str(target), **options)
            return str(target)

        keys = [key for key in self.list_s3_files(bucket, key_prefix) if not key.endswith("/")]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(bring, keys))

    def read_s3_file(self, bucket: str, key_prefix: str) -> str:
        """The text of a file in S3."""
        return self.read_s3_bytes(bucket, key_prefix).decode()

    def read_s3_bytes(self, bucket: str, key: str) -> bytes:
        with aws.asking(f"s3://{bucket}/{key}"):
            return bytes(self.s3_client.get_object(Bucket=bucket, Key=key, **self._owner(bucket))["Body"].read())

    def list_s3_files(self, bucket: str, key_prefix: str) -> list[str]:
        """The keys of all files below a prefix."""
        with aws.asking(f"s3://{bucket}/{key_prefix}"):
            pages = self.s3_client.get_paginator("list_objects_v2")
            asked = pages.paginate(Bucket=bucket, Prefix=key_prefix, **self._owner(bucket))
            return [one["Key"] for page in asked for one in page.get("Contents", [])]

    # ---- jobs ----

    def describe_processing_job(self, job_name: str) -> dict[str, Any]:
        """The answer of DescribeProcessingJob. job_name: the job's. Raises AwsError."""
        return self.describe_job("processing", job_name)

    def describe_training_job(self, job_name: str) -> dict[str, Any]:
        """The answer of DescribeTrainingJob. job_name: the job's. Raises AwsError."""
        return self.describe_job("training", job_name)

    def describe_transform_job(self, job_name: str) -> dict[str, Any]:
        """The answer of DescribeTransformJob. job_name: the job's. Raises AwsError."""
        return self.describe_job("transform", job_name)

    def was_processing_job_successful(self, job_name: str) -> bool:
        return bool(self.describe_processing_job(job_name)["ProcessingJobStatus"] == "Completed")

    def stop_processing_job(self, job_name: str) -> None:
        """Ask the service to stop a processing job. A job that has ended is no error, as in version 2."""
        self.stop_job("processing", job_name)

    def stop_training_job(self, job_name: str) -> None:
        """Ask the service to stop a training job. A job that has ended is no error, as in version 2."""
        self.stop_job("training", job_name)

    def stop_transform_job(self, name: str, wait: bool = False) -> None:
        """Ask the service to stop a transform job. A job that has ended is no error, as in version 2. wait: until it has ended."""
        self.stop_job("transform", name)
        if wait:
            self.wait_for("transform", name)

    def wait_for_processing_job(self, job: str, poll: float = 5) -> dict[str, Any]:
        """Wait until a job has ended. Returns its description. Raises UnexpectedStatusException if it has failed."""
        return self.wait_for("processing", job, poll)

    def wait_for_job(self, job: str, poll: float = 5, log_type: Any = None, timeout: Any = None) -> dict[str, Any]:
        """The same for a training job. log_type, timeout: ignored."""
        return self.wait_for("training", job, poll)

    def logs_for_processing_job(self, job_name: str, wait: bool = False, poll: float = 5) -> None:
        """Print the output of a job so far; with wait, until it has ended. Raises UnexpectedStatusException if the job has then failed."""
        self.logs_of("processing", job_name, wait, poll)

    def logs_for_job(
        self, job_name: str, wait: bool = False, poll: float = 5, log_type: Any = None, timeout: Any = None
    ) -> None:
        """The same for a training job. log_type, timeout: ignored."""
        self.logs_of("training", job_name, wait, poll)

    def wait_for_transform_job(self, job: str, poll: float = 5) -> dict[str, Any]:
        """The same for a transform job."""
        return self.wait_for("transform", job, poll)

    def describe_job(self, kind: str, name: str) -> dict[str, Any]:
        """What the service says of a job. kind: processing, training or transform. name: the job's. Raises AwsError."""
        with aws.asking(f"{kind} job {name}"):
            describe = getattr(self.sagemaker_client, f"describe_{kind}_job")
            return dict(describe(**{f"{kind.capitalize()}JobName": name}))

    def stop_job(self, kind: str, name: str) -> None:
        """Ask the service to stop a job. Arguments as of `describe_job`. Raises AwsError."""
        words = f"{kind} job {name}"
        try:
            with aws.asking(words):
                getattr(self.sagemaker_client, f"stop_{kind}_job")(**{f"{kind.capitalize()}JobName": name})
        except aws.AwsError as error:
            if error.service_code != "ValidationException":
                raise
            if (status := _status(self.describe_job(kind, name), kind)) not in (*ENDED, "Stopping"):
                raise
            print(f"{words} is not running any more: {status}", file=sys.stderr, flush=True)

    def wait_for(self, kind: str, name: str, poll: float = 5) -> dict[str, Any]:
        """Wait until a job has ended. Returns what the service says of it then.

        kind, name: as of `describe_job`. poll: seconds between two questions.
        Raises AwsError, and UnexpectedStatusException if it has failed.
        """
        with _message_on_interrupt(kind, name):
            while _status(description := self.describe_job(kind, name), kind) not in ENDED:
                time.sleep(self._pause(poll))
        return self._checked(description, kind)

    def logs_of(self, kind: str, name: str, wait: bool = False, poll: float = 5) -> None:
        """Print the output of a job so far; with wait, until it has ended. Arguments and errors as of `wait_for`."""
        pause = self._pause(poll)
        state = _Description(lambda: self.describe_job(kind, name), pause, kind)
        with _message_on_interrupt(kind, name):
            lines = logs.follow(
                [name],
                lambda: not wait or state.ended(),
                poll_seconds=min(2.0, pause),
                client=self.client("logs"),
                group=LOG_GROUPS[kind],
            )
            for _, host, line in lines:
                print(shown(f"[{host}] {line}" if _hosts(state.description) > 1 else line, sys.stdout), flush=True)
        if wait:
            self._checked(state.description, kind)

    def _pause(self, seconds: float) -> float:
        """Between two questions: an emulator on this machine may be asked more often."""
        return min(seconds, 0.3) if aws.is_loopback(self.sagemaker_client.meta.endpoint_url) else seconds

    def _checked(self, description: dict[str, Any], kind: str) -> dict[str, Any]:
        name = description[f"{kind.capitalize()}JobName"]
        prints = "logs_for_job" if kind == "training" else f"logs_for_{kind}_job"
        check_status(
            description, "" if kind == "transform" else f'Session().{prints}("{name}")  prints its output.', kind
        )
        if _status(description, kind) == "Stopped":
            reason = description.get("FailureReason") or "by a user, or at its time limit"
            print(shown(f"{kind} job {name} was stopped before its end: {reason}"), file=sys.stderr, flush=True)
        return description


def _status(description: dict[str, Any], kind: str) -> str:
    return str(description[f"{kind.capitalize()}JobStatus"])


def _hosts(description: dict[str, Any]) -> int:
    """The number of a job's hosts."""
    cluster = description.get("ProcessingResources", {}).get("ClusterConfig") or description.get("ResourceConfig", {})
    groups = sum(one.get("InstanceCount", 1) for one in cluster.get("InstanceGroups", []))
    return int(cluster.get("SelectedInstanceCount", cluster.get("InstanceCount", 1)) or groups)


class _Description:
    """The description of a job. It is requested again when it is older than `seconds`, until the job has ended."""

    def __init__(self, describe: Callable[[], dict[str, Any]], seconds: float, kind: str) -> None:
        self._describe, self._seconds, self._kind = describe, seconds, kind
        self.description, self._asked = describe(), time.monotonic()

    def ended(self) -> bool:
        if _status(self.description, self._kind) not in ENDED and time.monotonic() - self._asked >= self._seconds:
            self.description, self._asked = self._describe(), time.monotonic()
        return _status(self.description, self._kind) in ENDED


@contextlib.contextmanager
def _message_on_interrupt(kind: str, job_name: str) -> Iterator[None]:
    """Ctrl-C ends the waiting, but not the job. The message is printed here because R shows none for an interrupt."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"\nNo longer waiting for {kind} job {job_name}, which goes on and costs money. To stop it:\n"
            f'    Session().stop_{kind}_job("{job_name}")\n'
            f"    aws sagemaker stop-{kind}-job --{kind}-job-name {job_name}",
            file=sys.stderr,
            flush=True,
        )
        raise


def get_execution_role(sagemaker_session: Session | None = None, use_default: bool = False) -> str:
    """The ARN of the role for jobs: SIMFERRY_ROLE if it is set, otherwise the role of the current credentials.

    Raises UsageError if the credentials are those of a user. use_default: ignored. Version 2 created a role with all
    permissions; simferry creates no roles.
    """
    session = sagemaker_session or Session()
    if role := os.environ.get("SIMFERRY_ROLE"):
        return session.expand_role(role)
    arn = session.get_caller_identity_arn()
    if ":role/" in arn:
        return arn
    raise UsageError(
        f"{arn} is not a role, and jobs need one that SageMaker can assume",
        'Set role="arn:aws:iam::<account>:role/<name>", or SIMFERRY_ROLE in the environment.',
    )
