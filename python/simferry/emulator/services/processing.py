"""SageMaker's operations on processing jobs, with the checks, quotas, states and lists of the service."""

import base64
import threading
import time
from collections.abc import Callable
from typing import Any

from ...aws.instances import instances
from ...aws.limits import RequestRefused, check_request
from ...images.ecr import ECR
from ...images.framework import own_image
from ..calls import ACCOUNT, Call, Refusal
from ..faults import Faults
from ..jobs import ENDED, Job
from ..machine import Machine

ROOT = "/opt/ml/processing/"
PAGE = 10  # the default of MaxResults
_KIND = "processing job"


def refused(message: str) -> Refusal:
    return Refusal("ValidationException", message)


class ProcessingJobs:
    """The processing jobs of an emulator.

    quotas: by instance type, the instances that may be in use at once; other types have no limit. has_role: whether SageMaker may
    assume a role. clients_of: gives a function that makes clients with the credentials of a role.
    """

    def __init__(
        self,
        quotas: dict[str, int],
        faults: Faults,
        machine: Machine,
        has_role: Callable[[str], bool],
        clients_of: Callable[[str], Callable[..., Any]],
        on_event: Callable[[str], None],
    ) -> None:
        self.quotas, self.faults, self.machine = quotas, faults, machine
        self.has_role, self.clients_of, self.on_event = has_role, clients_of, on_event
        self.jobs: dict[str, Job] = {}  # by ARN
        self._lock = threading.Lock()
        self._operations = {
            "CreateProcessingJob": self._create,
            "DescribeProcessingJob": self._describe,
            "ListProcessingJobs": self._list,
            "StopProcessingJob": self._stop,
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
            "DeleteTags": self._delete_tags,
        }

    def answers(self, call: Call) -> bool:
        return call.service == "sagemaker"

    def answer(self, call: Call) -> dict[str, Any]:
        request = call.parameters
        try:
            check_request("sagemaker", call.operation, request)
        except RequestRefused as error:
            raise refused(error.message) from None
        with self._lock:
            return self._operations[call.operation](request, call.region)

    def stop(self, seconds: float) -> None:
        """Stop every job, and wait at most `seconds` for each."""
        with self._lock:
            running = [job for job in self.jobs.values() if job.status not in ENDED]
        for job in running:
            job.stop()
        for job in running:
            job.join(seconds)

    # ---- operations ----

    def _create(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        check_paths(request)
        arn = arn_of(request["ProcessingJobName"], region)
        if arn in self.jobs:
            raise Refusal(
                "ResourceInUse",
                f"Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})",
            )
        check_region(own_image(request["AppSpecification"]["ImageUri"]), region)
        if request["RoleArn"].split(":")[4] != ACCOUNT:
            raise refused("RoleArn: Cross-account pass role is not allowed.")
        if not self.has_role(request["RoleArn"]):
            raise refused(
                f"Could not assume role {request['RoleArn']}. Please ensure that the role exists and allows principal "
                "'sagemaker.amazonaws.com' to assume the role."
            )
        allowed = [one for one in choices(request) if not self._over_quota(one)]
        if not allowed:
            raise self._over_quota(choices(request)[0]) or refused("there is no instance type")
        available = [one for one in allowed if self.faults.has_capacity()]
        job = Job(
            request, arn, (available or allowed)[0], bool(available), self.faults.seconds_until_lost(), self.machine,
            self.clients_of(request["RoleArn"]), self.on_event,
        )  # fmt: skip
        self.jobs[arn] = job
        job.start(self.faults.start_seconds)
        return {"ProcessingJobArn": arn}

    def _over_quota(self, wanted: tuple[str, int]) -> Refusal | None:
        kind, count = wanted
        quota = self.quotas.get(kind)
        if quota is None:
            return None
        used = sum(job.selected[1] for job in self.jobs.values() if job.selected[0] == kind and job.status not in ENDED)
        if used + count <= quota:
            return None
        return Refusal(
            "ResourceLimitExceeded",
            f"The account-level service limit '{kind} for {_KIND} usage' is {quota} Instances, with current utilization of "
            f"{used} Instances and a request delta of {count} Instances. Please use AWS Service Quotas to request an "
            "increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase "
            "for this quota.",
        )

    def _find(self, name: str, region: str) -> Job:
        if job := self.jobs.get(arn_of(name, region)):
            return job
        raise refused(f"Could not find requested job with name: {name}")

    def _describe(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        return self._find(request["ProcessingJobName"], region).describe()

    def _stop(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        job = self._find(request["ProcessingJobName"], region)
        if job.status != "InProgress":
            raise refused(f"The request was rejected because the {_KIND} is in status {job.status}.")
        job.stop()
        return {}

    def _list(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        shown = time.time() - self.faults.list_lag_seconds  # as the list of the service lags behind
        jobs = [job.summary() for job in self.jobs.values() if job.region == region and job.created <= shown]
        for name, field in (("CreationTime", "CreationTime"), ("LastModifiedTime", "LastModifiedTime")):
            jobs = [j for j in jobs if j[field] > request.get(f"{name}After", 0)]
            jobs = [j for j in jobs if j[field] < request.get(f"{name}Before", float("inf"))]
        jobs = [j for j in jobs if j["ProcessingJobStatus"] == request.get("StatusEquals", j["ProcessingJobStatus"])]
        key = {"Name": "ProcessingJobName", "Status": "ProcessingJobStatus"}.get(
            request.get("SortBy", ""), "CreationTime"
        )
        jobs.sort(key=lambda j: j[key], reverse=request.get("SortOrder") == "Descending")
        try:
            first = int(base64.b64decode(request.get("NextToken", "")) or 0)
        except ValueError:
            raise refused("Invalid NextToken") from None
        last = first + request.get("MaxResults", PAGE)
        token = {"NextToken": base64.b64encode(str(last).encode()).decode()} if last < len(jobs) else {}
        # the service filters names after it cuts pages (github.com/boto/boto3/issues/3347): a page may be short, or empty
        page = [job for job in jobs[first:last] if request.get("NameContains", "") in job["ProcessingJobName"]]
        return {"ProcessingJobSummaries": page, **token}

    def _tagged(self, request: dict[str, Any]) -> Job:
        if job := self.jobs.get(request["ResourceArn"]):
            return job
        raise refused(f"Could not find requested job with arn: {request['ResourceArn']}")

    def _add_tags(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        job = self._tagged(request)
        job.tags.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
        return self._list_tags(request, _)

    def _list_tags(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._tagged(request).tags.items()]}

    def _delete_tags(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        for key in request["TagKeys"]:
            self._tagged(request).tags.pop(key, None)
        return {}


def arn_of(name: str, region: str) -> str:
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:processing-job/{name}"


def choices(request: dict[str, Any]) -> list[tuple[str, int]]:
    """The instance types that a job may use, each with its count, in the order of preference."""
    cluster = request["ProcessingResources"]["ClusterConfig"]
    count = cluster.get("InstanceCount", 1)
    preferences = cluster.get("InstancePreferences")
    if bool(preferences) == ("InstanceType" in cluster):
        raise refused("Exactly one of InstanceType and InstancePreferences must be given in ClusterConfig.")
    if not preferences:
        return [(cluster["InstanceType"], count)]
    return [(one["InstanceType"], one.get("InstanceCount", count)) for one in preferences]


def check_region(image: str, region: str) -> None:
    """Refuse an image in the ECR of another region."""
    if (registry := ECR.fullmatch(image.partition("/")[0])) and registry[2] != region:
        raise refused(
            f"Invalid region {registry[2]} in image URI {image}. Please provide an image URI in region {region}."
        )


def check_paths(request: dict[str, Any]) -> None:
    """Refuse what the model of the service does not exclude, and what the emulator does not have."""
    for kind, _ in choices(request):
        if kind not in instances():
            raise refused(f"{kind}: simferry emulator does not know this instance type")
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for one in [*inputs, *outputs]:
        name = one.get("InputName") or one.get("OutputName")
        s3 = one.get("S3Input") or one.get("S3Output")
        if one.get("AppManaged") or s3 is None:
            raise refused(f"{name}: simferry emulator has inputs and outputs in S3 only, and none that is AppManaged")
        path = s3.get("LocalPath", "")
        if not path.startswith(ROOT) or ".." in path.split("/"):
            raise refused(f"{name}: LocalPath must begin with {ROOT}, and is '{path}'")
        if not s3["S3Uri"].startswith("s3://"):
            raise refused(f"{name}: simferry emulator knows addresses that begin with s3:// only, not '{s3['S3Uri']}'")
        if s3.get("S3InputMode") == "Pipe":
            raise refused(f"{name}: simferry emulator does not have the input mode Pipe: use File")
        if s3.get("S3CompressionType") == "Gzip":
            raise refused(f"{name}: S3CompressionType Gzip can only be used with the input mode Pipe")
