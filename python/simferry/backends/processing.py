"""The sagemaker backend: each job one processing job of SageMaker, submitted by ScriptProcessor.

Nothing is kept here of what the service knows: a job's name tells its run, plan and number, so the service's own list says
which were submitted and how they stand, from any machine; and since a name can be used only once, none is submitted twice.
"""

import contextlib
import datetime
import importlib.util
import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aws import logs, session
from ..aws.buckets import default_bucket
from ..aws.contracts import processing as contract
from ..aws.instances import instance
from ..aws.prices import START_UP_SECONDS, affordable_seconds, cost_so_far, prices
from ..aws.script_processor import start_script
from ..errors import BudgetReached, UsageError
from ..files import write_whole, writing
from ..hints import BackendOptions, Option, Text
from ..images.find import Image, find_or_push
from ..jobs.launch import COMMANDS, environment_of
from ..store.run_folder import RunFolder
from ..sweep.inputs import unchanged
from .base import ENDED
from .names import job_name, tag_of

_IMAGES = {"r": "simferry-r", "python": "simferry-python"}
_STATES = {"InProgress": "running", "Stopping": "running", "Completed": "succeeded", "Failed": "failed"}
_WAIT = {"ResourceLimitExceeded": 30.0, "ThrottlingException": 10.0}  # seconds before another job is tried
LEAST_SECONDS = 60  # of run time that a budget has to allow


class QuotaError(session.AwsError):
    """The account's quota does not allow a single job of this kind."""

    code = "quota"


@dataclass(frozen=True)
class Standing:
    """How a job stands, as ListProcessingJobs tells it."""

    status: str
    created: datetime.datetime
    ended: datetime.datetime | None
    reason: str
    message: str


class Sagemaker:
    """Options:

    image: an image here, which is pushed to the account's ECR, or an image's address there [simferry-r or simferry-python].
    role: the jobs' IAM role, by name or ARN [$SIMFERRY_ROLE]. See docs/iam/.
    instance_type: one, or several (as a list, or with commas between) of which the first that is to be had is taken.
    jobs: how many share the work. max_runtime: seconds, of each. hosts: instances of each, which give a whole script one cluster.
    workers: cores of a job to use [all of the smallest instance type]. volume: GB of its disk.
    budget: US dollars that the run may cost in all, by on-demand prices; the service itself ends jobs that would exceed it.
    subnets, security_groups: of a VPC. kms_key: for disks and outputs [$SIMFERRY_KMS_KEY, which is for what is put from here
    too]. network_isolation: jobs reach no network. encrypt_traffic: between hosts.
    tags: of the jobs, a dict or NAME=VALUE with commas between.
    image_id: what Docker calls the image where it is here; a run notes it down, for replays.
    """

    name = "sagemaker"
    contract = True
    jobs_go_on = True

    def __init__(
        self,
        image: str | None = None,
        role: str | None = None,
        instance_type: str | Sequence[str] = "ml.m5.xlarge",
        jobs: int = 1,
        max_runtime: float = 86_400,
        hosts: int = 1,
        workers: int | None = None,
        volume: int = 30,
        budget: float | None = None,
        subnets: str | Sequence[str] = (),
        security_groups: str | Sequence[str] = (),
        kms_key: str | None = None,
        network_isolation: bool = False,
        encrypt_traffic: bool = False,
        tags: "str | dict[str, str]" = "",
        image_id: str | None = None,
    ) -> None:
        self.image, self.image_id, self.role = image, image_id, role
        self.options: dict[str, Any] = {}
        self.types = [instance(name) for name in _several(instance_type)]
        self.jobs, self.hosts, self.volume, self.budget = int(jobs), int(hosts), int(volume), budget
        self.workers = int(workers or min(kind.cores for kind in self.types))
        self.max_runtime = int(max_runtime)
        self.seconds_at_most = float(self.max_runtime)
        self.subnets, self.security_groups = _several(subnets), _several(security_groups)
        self.kms_key = kms_key or os.environ.get("SIMFERRY_KMS_KEY")
        self.network_isolation, self.encrypt_traffic = bool(network_isolation), bool(encrypt_traffic)
        self.tags = dict(tags) if isinstance(tags, dict) else dict(map(_tag, _several(tags)))
        self.waits_for = ""
        self.asks_elsewhere = False
        self._image: Image | None = None
        self._waiting: list[str] = []
        self._submitted: set[str] = set()
        self._not_before = 0.0
        self._listed: tuple[float, dict[str, Standing]] = (-1e9, {})

    @property
    def begun(self) -> bool:
        return bool(self._submitted)

    @property
    def seconds_between_polls(self) -> float:
        return 1.0 if session.emulated() else 10.0

    # ---- before anything starts ----

    def default_store(self) -> str:
        return f"s3://{default_bucket()}/simferry"

    def check(self, spec: dict[str, Any], store: str) -> None:
        if not store.startswith("s3://"):
            raise UsageError(
                f"the store {store} is not in S3, where SageMaker's jobs read and write",
                "--store s3://my-bucket/simferry",
            )
        if self.max_runtime > contract.SECONDS_AT_MOST:
            raise UsageError(
                f"max_runtime is {self.max_runtime} s; SageMaker allows {contract.SECONDS_AT_MOST} (nine days)",
                "More jobs make each shorter: --jobs.",
            )
        if spec["kind"] == "function" and self.hosts > 1:
            raise UsageError("hosts are for whole scripts", "A function's replications are dealt to jobs: --jobs.")
        if bool(self.subnets) != bool(self.security_groups):
            raise UsageError(
                "a VPC takes both subnets and security groups", "--subnets subnet-1,subnet-2 --security-groups sg-1"
            )
        if importlib.util.find_spec("sagemaker") is None:
            raise UsageError("the Python package sagemaker-core is not installed", 'pip install "simferry[sagemaker]"')
        self.role = self._role()
        for kind in self.types if self.budget is not None else []:
            prices(session.region()).of(kind.name)  # a budget needs one
        from ..screen import last_line, on_terminal

        with last_line(show=on_terminal()) as on_progress:  # a first push takes minutes
            self._image = find_or_push(self.image or _IMAGES.get(spec["language"], "simferry-r"), on_progress)

    @property
    def note(self) -> str:
        """Where prices of another region stand in for those of the budget."""
        table = prices(session.region()) if self.budget is not None else None
        if table is None or table.region == table.asked:
            return ""
        return (
            f"the budget is kept by {table.note}; simferry plan --backend sagemaker --refresh-prices  asks for today's"
        )

    def _role(self) -> str:
        role = self.role or os.environ.get("SIMFERRY_ROLE")
        if not role:
            raise UsageError(
                "the sagemaker backend needs the IAM role that its jobs run with",
                "--role arn:aws:iam::123456789012:role/simferry, or SIMFERRY_ROLE; docs/iam/ tells how to make one.",
            )
        if role.startswith("arn:"):
            if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", role):
                raise UsageError(
                    f"{role} is not a role", "A role is arn:aws:iam::123456789012:role/NAME; docs/iam/ makes one."
                )
            return role
        with session.asking(f"role {role}"):
            return str(session.client("iam").get_role(RoleName=role)["Role"]["Arn"])

    def found(self) -> dict[str, Any]:
        assert self._image is not None
        here = {"image_id": self._image.digest} if self._image.local else {}
        return {"image": self._image.uri, "role": self.role, **here}

    def image_digest(self) -> str:
        assert self._image is not None
        return self._image.digest

    def ask(
        self, spec: dict[str, Any], root: Path, verb: str, show: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        """In the image, where Docker has it here; a check else by the interpreter that is here."""
        from ..containers.engine import EngineError, ImageError, connect, find_image
        from .docker import Docker
        from .local import Local

        image = (self._image.local if self._image else None) or self.image_id or self.image or ""
        try:
            find_image(connect(), image, pull=False)
        except (EngineError, ImageError, UsageError):
            if verb == "replay":  # another R or Python would give other numbers, and is no container
                raise UsageError(
                    f"image {image} is not here, and a replay runs in it", f"docker pull {shlex.quote(image)}"
                ) from None
            self.asks_elsewhere = True
            return Local().ask(spec, root, verb, show)
        return Docker(image).ask(spec, root, verb, show)

    # ---- jobs ----

    def terms(self, run: RunFolder, jobs: int) -> dict[str, Any]:
        """The types and hosts of so many jobs, and how long each may run: a budget is kept even if nobody watches."""
        limit = self.max_runtime
        if self.budget is not None:
            left = self.budget - self._cost(run, committed=True)
            seconds = min(
                affordable_seconds(left, jobs * self.hosts, kind.name, session.region()) for kind in self.types
            )
            if seconds < LEAST_SECONDS:
                hours = jobs * self.hosts * (START_UP_SECONDS + LEAST_SECONDS) / 3600
                least = hours * max(prices(session.region()).of(kind.name) for kind in self.types)
                need = math.ceil(100 * (self.budget - left + 1.05 * least)) / 100
                fewer = Text(" Fewer ", Option("jobs"), " start up more cheaply.") if jobs > 1 else ""
                way_out = BackendOptions("sagemaker", budget=need) + ", or more."
                if run.plans():
                    kept = sum(block.replications for block in run.block_names())
                    way_out = run.command("resume", budget=need) + f"  goes on; {kept:,} replications are kept."
                spent = self.budget - left
                raise BudgetReached(
                    f"the budget of ${self.budget:g} does not allow {jobs} more job{'s' if jobs > 1 else ''} of run {run.id}: "
                    f"${spent:.{2 if spent == 0 or spent >= 0.1 else 4}f} are spent, and to start up costs ${least:.2g}",
                    way_out + fewer,
                )
            limit = min(limit, int(seconds))
        self.seconds_at_most = float(limit)
        return {"limit": limit, "types": [kind.name for kind in self.types], "hosts": self.hosts}

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        self._waiting += jobs
        with contextlib.suppress(session.NoAnswer):  # it may have been heard: whoever watches asks again
            self.go_on(run)

    def go_on(self, run: RunFolder) -> None:
        from botocore.exceptions import ClientError

        if not self._waiting or time.monotonic() < self._not_before:
            return
        self.waits_for = ""
        for one in run.inputs.values():  # now, as jobs may have waited for hours
            if one["place"]:
                unchanged(one["place"], one["version"])
        while self._waiting:
            try:
                with session.asking("SageMaker"):
                    try:
                        start_script(**self.request(run, self._waiting[0]))
                    except ClientError as error:
                        if not self._is_there(error) and self._has_to_wait(error):
                            return
            except session.NoAnswer:  # it is asked again
                raise
            except BaseException:
                self._waiting.clear()
                raise
            self._submitted.add(self._waiting.pop(0))

    def _is_there(self, error: Any) -> bool:
        """Whether a job of this name was submitted before: by whoever ended before it could be noted."""
        return str(error.response["Error"].get("Code")) == "ResourceInUse"

    def _has_to_wait(self, error: Any) -> bool:
        said = error.response["Error"]
        code, message = str(said.get("Code")), str(said.get("Message"))
        if code not in _WAIT:
            raise error
        allowed = re.search(r"is (\d+) Instances", message)
        asked = re.search(r"request delta of (\d+)", message)
        # a job that is larger than the quota waits in vain; of several types the message tells of one
        if allowed and asked and int(allowed[1]) < int(asked[1]) and (len(self.types) == 1 or not self._submitted):
            names = ", ".join(kind.name for kind in self.types)
            raise QuotaError(
                f"this account's quota for processing jobs on {names} is {allowed[1]}, and a job takes {asked[1]}",
                "Ask for more (Service Quotas, Amazon SageMaker), or take another --instance-type.",
                code,
            ) from None
        self.waits_for = (
            "SageMaker, which is throttling"
            if code == "ThrottlingException"
            else f"the quota ({message.partition('. ')[0]})"
        )
        self._not_before = time.monotonic() + (1.0 if session.emulated() else _WAIT[code])
        return True

    def request(self, run: RunFolder, job: str) -> dict[str, Any]:
        """What start_script is told."""
        spec = run.record["simulation"]
        plan = run.plan(job.partition("-")[0])
        program, worker = COMMANDS[spec["language"]]
        inputs = [contract.input_of("plan", run.job_address(job))]
        for name, one in run.inputs.items():
            address = one["place"] or f"{run.address}/input/{name}/"
            inputs.append(contract.input_of(name, address, one["mode"], one["sharded"]))
        outputs = [contract.output_of(name, f"{run.address}/{name}", "Continuous") for name in contract.OUTPUTS]
        network: dict[str, Any] = {}
        if self.subnets:
            network["VpcConfig"] = {"Subnets": self.subnets, "SecurityGroupIds": self.security_groups}
        if self.network_isolation:
            network["EnableNetworkIsolation"] = True
        if self.encrypt_traffic:
            network["EnableInterContainerTrafficEncryption"] = True
        types = plan["types"]
        return {
            "job_name": job_name(run, job),
            "role": self._role(),
            "image_uri": self.image,
            "command": [program],
            "code": f"{run.address}/code/{worker}",
            "code_folder": True,
            "inputs": inputs,
            "outputs": outputs,
            "arguments": ["run"],
            "environment": environment_of(spec, contract.INPUTS),
            "instance_type": types[0] if len(types) == 1 else types,
            "instance_count": plan["hosts"],
            "volume_gb": self.volume,
            "max_runtime_seconds": plan["limit"],
            "volume_kms_key": self.kms_key,
            "output_kms_key": self.kms_key,
            "network": network or None,
            "tags": {"simferry:run": run.id, **self.tags},
        }

    def poll(self, run: RunFolder, jobs: Sequence[str]) -> dict[str, str]:
        standing = self._list(run) if jobs else {}
        plans = run.plans() if jobs else []
        limits = {plan["plan"]: plan.get("limit", self.max_runtime) for plan in plans}
        for job in jobs:
            if job.partition("-")[0] not in limits:
                run.plan(job.partition("-")[0])  # which tells that it is gone
        return {
            job: self._state(
                run, job, standing.get(job_name(run, job)), limits[job.partition("-")[0]], plans[-1]["plan"]
            )
            for job in jobs
        }

    def _state(self, run: RunFolder, job: str, now: Standing | None, limit: int, last: str) -> str:
        if now is None and job in self._submitted:  # the list lags behind
            return "running"
        if now is None:  # those of earlier plans will not be begun any more
            return "pending" if job.startswith(f"{last}-") else "cancelled"
        if now.status == "Failed":
            self._tell(run, job, now)
        if now.status != "Stopped":
            return _STATES[now.status]
        # with some room: the service counts from a little after a job's creation, and is not exact
        ran_too_long = now.ended is not None and (now.ended - now.created).total_seconds() >= 0.9 * limit
        return "failed" if ran_too_long else "cancelled"

    def _tell(self, run: RunFolder, job: str, now: Standing) -> None:
        """Leaves beside the run why a job could not go on, where that would be so for every other."""
        path = run.jobs / job / "message"
        final = now.reason.startswith("ClientError")
        text = now.message or (f"service: {now.reason}" if final else "")
        if text and not path.exists():
            with writing(run.path):
                path.parent.mkdir(exist_ok=True)
                write_whole(path, text.encode())

    def _list(self, run: RunFolder, seconds_old: float = 0.0) -> dict[str, Standing]:
        """Every job of the run that the service knows; looked up once for each poll."""
        when, found = self._listed
        if time.monotonic() - when < max(seconds_old, self.seconds_between_polls / 2):
            return found
        pages = session.client("sagemaker").get_paginator("list_processing_jobs")
        found = {}
        # the service filters by name what it has found by time, page after page
        begin = datetime.datetime.fromisoformat(run.record["created"]) - datetime.timedelta(minutes=5)
        asked = {"NameContains": f"-{tag_of(run)}-", "CreationTimeAfter": begin}
        with session.asking("SageMaker"):
            for page in pages.paginate(**asked, PaginationConfig={"PageSize": 100}):
                for one in page["ProcessingJobSummaries"]:
                    found[one["ProcessingJobName"]] = Standing(
                        one["ProcessingJobStatus"], one["CreationTime"], one.get("ProcessingEndTime"),
                        one.get("FailureReason", ""), one.get("ExitMessage", ""),
                    )  # fmt: skip
        self._listed = (time.monotonic(), found)
        return found

    def logs(self, run: RunFolder, job: str) -> str:
        hosts = logs.read(job_name(run, job))
        reason = getattr(self._list(run).get(job_name(run, job)), "reason", "")
        lines = [text if len(hosts) == 1 else _prefixed(host, text) for host, text in hosts.items()]
        return "".join([*lines, f"{reason}\n" if reason else ""])

    def follow(self, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
        names = {job_name(run, job): job for job in jobs}

        def ended_jobs() -> list[str]:
            states = self.poll(run, jobs)
            return [name for name, job in names.items() if states[job] in ENDED]

        for name, host, line in logs.follow(
            list(names),
            lambda: len(ended_jobs()) == len(names),
            ended_jobs=ended_jobs,
            poll_seconds=self.seconds_between_polls / 2,
        ):
            yield names[name], line if self.hosts == 1 else f"[{host}] {line}"

    def cut_short(self, run: RunFolder, job: str) -> bool:
        now = self._list(run).get(job_name(run, job))
        return now is not None and (now.status == "Stopped" or contract.cut_short(now.reason))

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        from botocore.exceptions import ClientError

        self._waiting = [job for job in self._waiting if job not in jobs]
        self._listed = (-1e9, {})
        standing = self._list(run)
        for name in (job_name(run, job) for job in jobs):
            if name not in standing or standing[name].status == "InProgress":  # the list lags behind
                with session.asking(f"processing job {name}"):
                    try:
                        session.client("sagemaker").stop_processing_job(ProcessingJobName=name)
                    except ClientError as error:
                        if error.response["Error"].get("Code") not in ("ValidationException", "ResourceNotFound"):
                            raise  # else it has just ended, or was never begun
        self._listed = (-1e9, {})

    # ---- money ----

    def dollars(self, run: RunFolder) -> float:
        """By on-demand prices, from when jobs were created: a little more than is billed."""
        return self._cost(run, committed=False)

    def _cost(self, run: RunFolder, committed: bool) -> float:
        """What the run's jobs have cost; committed: will have cost, if those that still run do so for as long as they may."""
        now, dollars = datetime.datetime.now(datetime.timezone.utc), 0.0
        standing = self._list(run, 60)  # which a poll has just asked for
        for plan in run.plans():
            longest = datetime.timedelta(seconds=START_UP_SECONDS + plan["limit"])
            jobs = []
            for job in (f"{plan['plan']}-{j + 1:04d}" for j in range(plan["jobs"])):
                known = standing.get(job_name(run, job))
                begun = known.created if known else now if job in self._submitted else None
                if begun:
                    ended = known.ended if known else None
                    jobs.append((begun, ended or (begun + longest if committed else now), plan["hosts"]))
            try:
                dollars += max(
                    cost_so_far([(b, e, name, hosts) for b, e, hosts in jobs], now, session.region())
                    for name in plan["types"]
                )
            except UsageError:  # a type that has no price here
                if self.budget is not None:
                    raise
                return float("nan")
        return dollars

    def just_now(self, run: RunFolder) -> bool:
        now = datetime.datetime.now(datetime.timezone.utc)
        times = [job.ended for job in self._list(run, 60).values() if job.ended]
        last = run.plans()[-1:]
        times += [datetime.datetime.fromisoformat(plan["created"]) for plan in last]
        recent = any((now - when).total_seconds() < 6 * self.seconds_between_polls for when in times)
        return recent and not any(run.is_cancelled(plan["plan"]) for plan in last)


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"tag {text!r} is not of the form NAME=VALUE")
    return name, value


def _several(given: str | Sequence[str]) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else list(given)


def _prefixed(host: str, text: str) -> str:
    return "".join(f"[{host}] {line}\n" for line in text.splitlines())
