"""The sagemaker backend: each job is a processing job of SageMaker, submitted by ScriptProcessor. Training jobs: training.py."""

import datetime
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from ..aws import logs, session, stacks
from ..aws.buckets import default_bucket
from ..aws.contracts import processing as contract
from ..aws.instances import instance
from ..aws.prices import prices
from ..aws.script_processor import script_arguments, start_script
from ..aws.tags import MADE_BY
from ..errors import UsageError
from ..hints import BackendOptions, Command, Extra, Option, Text
from ..images.ecr import ECR
from ..images.find import Image, find_or_push, on_this_machine
from ..images.framework import explained, own_image
from ..jobs import setup_script
from ..store.run_folder import RunFolder
from ..sweep.options import SECONDS_OF_A_JOB, SagemakerOptions
from .base import Cursor, Foreground, Line, Lines, Prepared, Report, Traits
from .in_image import in_image_if_here
from .names import tag_of
from .request import Machines, Places, check_hosts, named_texts, processing_request, several
from .service import MeteredService, NotNow, Request, ServiceJob, emulated

_STATES = {
    "InProgress": "running", "Stopping": "stopping", "Completed": "succeeded", "Failed": "failed", "Stopped": "stopped",
}  # fmt: skip
_WAIT = {"ResourceLimitExceeded": 30.0, "ThrottlingException": 10.0}  # seconds until the next attempt


class Sagemaker(MeteredService):
    """An image of this machine is pushed to the account's ECR. Options: see sweep/options.py."""

    name = "sagemaker"
    service = "SageMaker"
    service_error = session.AwsError
    seconds_allowed, in_words = contract.SECONDS_AT_MOST, "nine days"  # for max_runtime
    quota = "processing jobs"  # what an account's quota counts
    log_group = logs.GROUP

    def __init__(self, options: SagemakerOptions) -> None:
        super().__init__()
        self.options, self.budget = options, options.budget
        self.image = own_image(options.image, options.images) if options.image else None
        self.kms_key = options.kms_key or os.environ.get("SIMFERRY_KMS_KEY")
        self.subnets, self.security_groups = several(options.subnets), several(options.security_groups)
        self.instances = [instance(name) for name in several(options.instance_type) or ["ml.m5.xlarge"]]
        self._image: Image | None = None

    @cached_property
    def traits(self) -> Traits:
        given = self.options
        return Traits(
            given.workers or min(kind.cores for kind in self.instances),
            given.jobs or 1,
            given.hosts or 1,
            float(int(given.max_runtime or SECONDS_OF_A_JOB)),
            contract=True,
            outlives_driver=True,
            poll_seconds=1.0 if emulated("sagemaker") else 10.0,
            remote_logs=True,
            service=self.service,
        )

    # ---- before anything starts ----

    @cached_property
    def _stack(self) -> Mapping[str, str]:
        """The outputs of the stack that is used; empty without one."""
        return stacks.outputs(self.options.stack)

    def _repository(self, image: str) -> str:
        """The stack's repository, for an image that is named without one; empty otherwise."""
        return "" if ECR.fullmatch(image.partition("/")[0]) else self._stack.get("Repository", "")

    def default_store(self) -> str:
        return self._stack.get("Store") or f"s3://{default_bucket()}/simferry"

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        self.check_store(store)
        if self.traits.seconds_at_most > self.seconds_allowed:
            raise UsageError(
                f"max_runtime is {self.traits.seconds_at_most:.0f} s; SageMaker allows {self.seconds_allowed} ({self.in_words})",
                "More jobs make each shorter: " + Option("jobs", 2),
            )
        check_hosts(spec, self.traits.hosts)
        if bool(self.subnets) != bool(self.security_groups):
            raise UsageError(
                "a VPC takes both subnets and security groups",
                BackendOptions("sagemaker", subnets=["subnet-1", "subnet-2"], security_groups=["sg-1"]),
            )
        self.check_installed()
        role = self._role(store)
        for kind in self.instances if self.budget is not None else []:
            prices(session.region()).of(kind.name)  # raises an error if the type has no price
        name = self.image_for(spec)
        with explained(name):
            found = find_or_push(name, on_progress, self._repository(name))
        self._image = found
        here = {"image_id": found.digest} if found.local else {}
        if not self.options.role and role == self._stack.get("JobRole"):
            here["stack"] = self.options.stack or stacks.default_name()  # the tag of its jobs
        notes = [self.budget_note(), setup_script.note(spec, bool(self.options.network_isolation))]
        return Prepared({"image": found.uri, "role": role, **here}, found.digest, "; ".join(filter(None, notes)))

    def check_installed(self) -> None:
        """Raise UsageError without what starts jobs."""
        if importlib.util.find_spec("sagemaker") is None:
            raise UsageError("the Python package sagemaker-core is not installed", Extra("sagemaker"))

    def known_image(self, spec: Mapping[str, Any], in_ecr: bool) -> Image | None:
        name = self.image_for(spec)
        with explained(name):
            return on_this_machine(name) or (find_or_push(name, into=self._repository(name)) if in_ecr else None)

    def _role(self, address: str) -> str:
        """The role of jobs of runs at this address. That of the stack comes first for runs in its bucket, which other roles can't read."""
        role = self.options.role
        if not role:
            own = self._stack.get("JobRole")
            inside = self.options.stack or f"{address}/".startswith(f"s3://{self._stack.get('Bucket')}/")
            role = (own if inside else None) or os.environ.get("SIMFERRY_ROLE") or own
        if not role:
            raise UsageError(
                "the sagemaker backend needs the IAM role of its jobs",
                Command("infra deploy")
                + "  makes one; or "
                + BackendOptions("sagemaker", role="arn:aws:iam::123456789012:role/simferry")
                + ", or SIMFERRY_ROLE",
            )
        return session.role_arn(role)

    def foreground(self, verb: str) -> Foreground:
        image = (self._image.local if self._image else None) or self.options.image_id or self.image or ""
        return in_image_if_here(image, verb, self.traits.seconds_at_most, bool(self.options.network_isolation))

    # ---- the service ----

    def start(self, request: Request) -> None:
        from botocore.exceptions import ClientError

        with session.asking("SageMaker"):
            try:
                self.create(self.request(request))
            except ClientError as error:
                answer = error.response["Error"]
                if answer.get("Code") != "ResourceInUse":  # an earlier attempt has started it
                    raise self._not_now(str(answer.get("Code")), str(answer.get("Message"))) or error from None

    def create(self, request: Mapping[str, Any]) -> None:
        """Start the job of a request."""
        start_script(**script_arguments(dict(request)))

    def _not_now(self, code: str, message: str) -> Exception | None:
        """The error for a refusal: NotNow, or QuotaError if waiting does not help. None for other refusals."""
        if code not in _WAIT:
            return None
        allowed = re.search(r"is (\d+) Instances", message)
        asked = re.search(r"request delta of (\d+)", message)
        # a job that is larger than the quota never starts; with several types, the message is about one of them
        one_or_first = len(self.instances) == 1 or not self._submitted
        if allowed and asked and int(allowed[1]) < int(asked[1]) and one_or_first:
            names = ", ".join(kind.name for kind in self.instances)
            return session.QuotaError(
                f"this account's quota for {self.quota} on {names} is {allowed[1]}, and a job needs {asked[1]}",
                Text(
                    "Ask AWS for more (Service Quotas, Amazon SageMaker), or use another ", Option("instance_type"), "."
                ),
                code,
            )
        throttled = code == "ThrottlingException"
        waits_for = "SageMaker, which is throttling" if throttled else f"the quota ({message.partition('. ')[0]})"
        return NotNow(waits_for, 1.0 if emulated("sagemaker") else _WAIT[code])

    def request(self, asked: Request) -> dict[str, Any]:
        """The job as a request of CreateProcessingJob."""
        return processing_request(asked.run, asked.job, *self.parts(asked))

    def parts(self, asked: Request) -> tuple[str, str, Places, Machines, dict[str, str]]:
        """What requests of both kinds have: image, role, places, machines and tags."""
        run, plan = asked.run, asked.plan
        places = Places(
            f"{run.address}/code/",
            run.job_address(asked.job),
            lambda name, one: one["place"] or f"{run.address}/input/{name}/",
            lambda name: f"{run.address}/{name}",
        )
        disk = self.options.volume or 30
        machines = Machines(
            plan.types, plan.hosts, disk, plan.limit or int(self.traits.seconds_at_most), self.kms_key, self._network()
        )
        # so that Cost Explorer knows what the stack's jobs cost
        stack = {stacks.TAG: self.options.stack} if self.options.stack else {}
        tags = {**MADE_BY, "simferry:run": run.id, **stack, **named_texts(self.options.tags)}
        return self.image or "", self._role(run.address), places, machines, tags

    def _network(self) -> dict[str, Any]:
        """NetworkConfig of a request."""
        vpc = {"VpcConfig": {"Subnets": self.subnets, "SecurityGroupIds": self.security_groups}} if self.subnets else {}
        isolated = {"EnableNetworkIsolation": True} if self.options.network_isolation else {}
        encrypted = {"EnableInterContainerTrafficEncryption": True} if self.options.encrypt_traffic else {}
        return {**vpc, **isolated, **encrypted}

    def list(self, run: RunFolder) -> dict[str, ServiceJob]:
        found = {}
        for one in self.summaries(run, "list_processing_jobs", "ProcessingJobSummaries"):
            reason = one.get("FailureReason", "")
            found[one["ProcessingJobName"]] = ServiceJob(
                _STATES[one["ProcessingJobStatus"]], one["CreationTime"], one.get("ProcessingEndTime"), reason,
                one.get("ExitMessage", ""), contract.cut_short(reason), reason.startswith("ClientError"),
            )  # fmt: skip
        return found

    def summaries(self, run: RunFolder, operation: str, member: str) -> Iterator[Mapping[str, Any]]:
        """What a list of the service says of each job of a run."""
        pages = session.client("sagemaker").get_paginator(operation)
        # the service finds jobs by time, page after page, and only then filters them by name
        begin = datetime.datetime.fromisoformat(run.record.created) - datetime.timedelta(minutes=5)
        asked = {"NameContains": f"-{tag_of(run)}-", "CreationTimeAfter": begin}
        with session.asking("SageMaker"):
            for page in pages.paginate(**asked, PaginationConfig={"PageSize": 100}):
                yield from page[member]

    def stop(self, name: str) -> None:
        from botocore.exceptions import ClientError

        with session.asking(f"job {name}"):
            try:
                self.ask_to_stop(name)
            except ClientError as error:
                if error.response["Error"].get("Code") not in ("ValidationException", "ResourceNotFound"):
                    raise  # otherwise the job has ended, or never started

    def ask_to_stop(self, name: str) -> None:
        session.client("sagemaker").stop_processing_job(ProcessingJobName=name)

    def lines(self, names: Sequence[str], after: Cursor) -> tuple[Lines, Cursor]:
        streams = logs.Streams(read_to=after, group=self.log_group)
        return [Line(name, host, f"{text}\n") for name, host, text in streams.look(names)], streams.read_to
