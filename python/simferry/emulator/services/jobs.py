"""What the operations on SageMaker's jobs share, of whatever kind: the checks, quotas and lists of the service."""

import base64
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from ...aws.instances import instances
from ...aws.limits import RequestRefused, check_request
from ...images.ecr import ECR
from ...images.framework import own_image
from ..calls import ACCOUNT, Call, Refusal
from ..faults import Faults
from ..jobs import ENDED, Job
from ..machine import Machine

PAGE = 10  # the default of MaxResults


def refused(message: str) -> Refusal:
    return Refusal("ValidationException", message)


def checked(call: Call) -> dict[str, Any]:
    """The parameters of a call to SageMaker, which its model allows. Raises Refusal."""
    try:
        check_request("sagemaker", call.operation, call.parameters)
    except RequestRefused as error:
        raise refused(error.message) from None
    return call.parameters


class JobService(ABC):
    """The jobs of one kind of an emulator.

    quotas: by instance type, the instances that may be in use at once; other types have no limit. has_role: whether SageMaker may
    assume a role. clients_of: gives a function that makes clients with the credentials of a role.
    """

    job: type[Job]
    name_taken = ""  # what the service says; ends with the ARN
    unknown = ""  # may have the name
    states_after_pages = False  # whether jobs of other states are left out after a list has been cut into pages

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
        self.jobs: dict[str, Any] = {}  # by ARN
        self.kind = self.job.kind
        self._lock = threading.Lock()
        self._operations = {
            f"Create{self.kind}Job": self._create,
            f"Describe{self.kind}Job": self._describe,
            f"List{self.kind}Jobs": self._list,
            f"Stop{self.kind}Job": self._stop,
        }

    def answers(self, call: Call) -> bool:
        return call.service == "sagemaker" and call.operation in self._operations

    def answer(self, call: Call) -> dict[str, Any]:
        request = checked(call)
        with self._lock:
            return self._operations[call.operation](request, call.region)

    def stop(self, seconds: float) -> None:
        """Stop every job, and wait at most `seconds` for each."""
        with self._lock:
            running = [job for job in self.jobs.values() if job.status not in ENDED]
        for job in running:
            job.stop(at_once=True)
        for job in running:
            job.join(seconds)

    def tagged(self, region: str) -> Iterator[tuple[str, dict[str, str]]]:
        """ARN and tags of the jobs in a region."""
        for arn, job in list(self.jobs.items()):
            if job.region == region:
                yield arn, dict(job.tags)

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of a job, which may be changed; None if it is none of these."""
        return self.jobs[arn].tags if arn in self.jobs else None

    # ---- operations ----

    @abstractmethod
    def check(self, request: dict[str, Any]) -> None:
        """Refuse what the model of the service does not exclude, and what the emulator does not have."""

    def _create(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        try:
            self.check(request)
        except RequestRefused as error:
            raise refused(error.message) from None
        arn = self.arn_of(request[f"{self.kind}JobName"], region)
        if arn in self.jobs:
            raise Refusal("ResourceInUse", f"{self.name_taken} ({arn})")
        job = self.new_job(request, arn)
        check_region(own_image(job.image), region)
        check_role(job.role, self.has_role)
        wanted = choices(job.cluster)
        allowed = [one for one in wanted if not self._over_quota(job.usage, one)]
        if not allowed:
            raise self._over_quota(job.usage, wanted[0]) or refused("there is no instance type")
        available = [one for one in allowed if self.faults.has_capacity()]
        self.jobs[arn] = job
        job.start((available or allowed)[0], bool(available), self.seconds_until_start(job))
        return {f"{self.kind}JobArn": arn}

    def new_job(self, request: dict[str, Any], arn: str) -> Job:
        clients = self.clients_of(request["RoleArn"])
        return self.job(request, arn, self.faults, self.machine, clients, self.on_event)

    def seconds_until_start(self, job: Any) -> float:
        return self.faults.start_seconds

    def _over_quota(self, usage: str, wanted: tuple[str, int]) -> Refusal | None:
        running = [job for job in self.jobs.values() if job.status not in ENDED and job.usage == usage]
        used = sum(job.selected[1] for job in running if job.selected[0] == wanted[0])
        return over_quota(self.quotas, wanted[0], usage, used, wanted[1])

    def arn_of(self, name: str, region: str) -> str:
        return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{self.kind.lower()}-job/{name}"

    def find(self, request: dict[str, Any], region: str) -> Any:
        name = request[f"{self.kind}JobName"]
        if job := self.jobs.get(self.arn_of(name, region)):
            return job
        raise refused(self.unknown.format(name))

    def _describe(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        described: dict[str, Any] = self.find(request, region).describe()
        return described

    def _stop(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        job = self.find(request, region)
        if job.status != "InProgress":
            raise refused(f"The request was rejected because the {self.kind.lower()} job is in status {job.status}.")
        job.stop()
        return {}

    def _list(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        shown = time.time() - self.faults.list_lag_seconds  # as the list of the service lags behind
        jobs = [job.summary() for job in self.jobs.values() if job.region == region and job.created <= shown]
        for field in ("CreationTime", "LastModifiedTime"):
            jobs = [j for j in jobs if j[field] > request.get(f"{field}After", 0)]
            jobs = [j for j in jobs if j[field] < request.get(f"{field}Before", float("inf"))]
        if not self.states_after_pages:
            jobs = [j for j in jobs if self.has_state(j, request)]
        key = {"Name": f"{self.kind}JobName", "Status": f"{self.kind}JobStatus"}.get(
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
        page = [j for j in jobs[first:last] if request.get("NameContains", "") in j[f"{self.kind}JobName"]]
        return {f"{self.kind}JobSummaries": [j for j in page if self.has_state(j, request)], **token}

    def has_state(self, summary: dict[str, Any], request: dict[str, Any]) -> bool:
        """Whether a job is in the state that a request for a list names."""
        status = summary[f"{self.kind}JobStatus"]
        return bool(status == request.get("StatusEquals", status))


def choices(cluster: dict[str, Any]) -> list[tuple[str, int]]:
    """The instance types that a job may use, each with its count, in the order of preference."""
    count = cluster.get("InstanceCount", 1)
    preferences = cluster.get("InstancePreferences")
    if bool(preferences) == ("InstanceType" in cluster):
        raise refused("Exactly one of InstanceType and InstancePreferences must be given.")
    found = [(one["InstanceType"], one.get("InstanceCount", count)) for one in preferences or [cluster]]
    for kind, _ in found:
        if kind not in instances():
            raise refused(f"{kind}: simferry emulator does not know this instance type")
    return found


def over_quota(quotas: dict[str, int], kind: str, usage: str, used: int, wanted: int) -> Refusal | None:
    """The refusal of more instances of a type than its quota allows; None if they may be had. usage: what they are for."""
    quota = quotas.get(kind)
    if quota is None or used + wanted <= quota:
        return None
    return Refusal(
        "ResourceLimitExceeded",
        f"The account-level service limit '{kind} for {usage} usage' is {quota} Instances, with current utilization of "
        f"{used} Instances and a request delta of {wanted} Instances. Please use AWS Service Quotas to request an "
        "increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase "
        "for this quota.",
    )


def check_role(role: str, has_role: Callable[[str], bool], member: str = "RoleArn") -> None:
    """Refuse a role that is not there, or that SageMaker may not assume. member: that names it."""
    if role.split(":")[4] != ACCOUNT:
        raise refused(f"{member}: Cross-account pass role is not allowed.")
    if not has_role(role):
        raise refused(
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def check_region(image: str, region: str) -> None:
    """Refuse an image in the ECR of another region."""
    if (registry := ECR.fullmatch(image.partition("/")[0])) and registry[2] != region:
        raise refused(
            f"Invalid region {registry[2]} in image URI {image}. Please provide an image URI in region {region}."
        )
