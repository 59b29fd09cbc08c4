"""SageMaker's operations on training jobs."""

import re
from collections.abc import Callable
from typing import Any

from ...aws.contracts.training import SECONDS_AT_MOST
from ...containers.training import checkpoints_of
from ..calls import Refusal
from ..training_job import TrainingJob
from ..warm_pool import needed
from .jobs import JobService, refused

# what changes what a job does, and is not here; what is not named here either is accepted and does nothing
_NOT_HERE = ("ServerlessJobConfig", "ModelPackageConfig", "MlflowConfig", "DebugRuleConfigurations")
_OF_INSTANCES = ("InstanceGroups", "TrainingPlanArn", "InstancePlacementConfig")


class TrainingJobs(JobService):
    """The training jobs of an emulator."""

    job = TrainingJob
    name_taken = (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        "exists"
    )
    unknown = "Requested resource not found."
    states_after_pages = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        update: Callable[..., dict[str, Any]] = self._update
        self._operations["UpdateTrainingJob"] = update

    def check(self, request: dict[str, Any]) -> None:
        for name in _NOT_HERE:
            if request.get(name):
                raise refused(f"simferry emulator does not have {name} of training jobs")
        _check_program(request.get("AlgorithmSpecification", {}))
        _check_resources(request.get("ResourceConfig", {}), request.get("EnableManagedSpotTraining", False))
        for one in request.get("InputDataConfig", []):
            _check_channel(one, request["AlgorithmSpecification"]["TrainingInputMode"])
        output = request["OutputDataConfig"]
        if output.get("CompressionType") == "NONE":
            raise refused("simferry emulator has the CompressionType GZIP of OutputDataConfig only")
        _check_address(output["S3OutputPath"])
        if "CheckpointConfig" in request:
            _check_address(checkpoints_of(request)[0])
        asked = request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 0)
        if asked > SECONDS_AT_MOST:
            raise Refusal(
                "ResourceLimitExceeded",
                f"The account-level service limit 'Longest run time for a training job' is {SECONDS_AT_MOST} Seconds, with "
                f"current utilization of 0 Seconds and a request delta of {asked} Seconds.",
            )

    def seconds_until_start(self, job: TrainingJob) -> float:
        """None where instances wait in the warm pool of a job before it."""
        for other in self.jobs.values():
            fits = other.region == job.region and other.pool and other.pool.status == "Available"
            if fits and needed(other.request) == needed(job.request):
                other.pool.reuse(job.name)
                return 0
        return super().seconds_until_start(job)

    def has_state(self, summary: dict[str, Any], request: dict[str, Any]) -> bool:
        pool = summary.get("WarmPoolStatus", {}).get("Status")
        return (
            super().has_state(summary, request)
            and pool == request.get("WarmPoolStatusEquals", pool)
            and "TrainingPlanArnEquals" not in request
        )

    def _update(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        job: TrainingJob = self.find(request, region)
        if other := {*request} - {"TrainingJobName", "ResourceConfig"}:
            raise refused(
                f"simferry emulator changes the warm pool of a training job only, not {', '.join(sorted(other))}"
            )
        seconds = request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds")
        if seconds is None or job.pool is None or job.pool.status not in ("InUse", "Available"):
            status = job.pool.status if job.pool else "none"
            raise refused(
                "KeepAlivePeriodInSeconds can be changed while the warm pool of a training job is InUse or Available. "
                f"The warm pool of {job.name}: {status}"
            )
        job.pool.keep(seconds)
        return {"TrainingJobArn": job.arn}


def _check_program(given: dict[str, Any]) -> None:
    if not given.get("TrainingImage") or given.get("AlgorithmName"):
        raise refused("AlgorithmSpecification: simferry emulator needs a TrainingImage, and has no algorithms by name")
    for one in given.get("MetricDefinitions", []):
        try:
            groups = re.compile(one["Regex"]).groups
        except re.error as error:
            raise refused(
                f"MetricDefinitions: {one['Name']}: '{one['Regex']}' is no regular expression: {error}"
            ) from None
        if not groups:
            raise refused(f"MetricDefinitions: {one['Name']}: '{one['Regex']}' has no group that is the value")


def _check_resources(given: dict[str, Any], spot: bool) -> None:
    for name in _OF_INSTANCES:
        if given.get(name):
            raise refused(f"ResourceConfig: simferry emulator does not have {name}")
    preferences = given.get("InstancePreferences", [])
    if preferences and spot:
        raise refused("InstancePreferences can't be used with EnableManagedSpotTraining")
    counts = ["InstanceCount" in one for one in preferences]
    if (
        not given.get("VolumeSizeInGB")
        or ("InstanceCount" in given) + all(counts or [False]) != 1
        or (any(counts) and not all(counts))
    ):
        raise refused(
            "ResourceConfig needs VolumeSizeInGB, and one InstanceCount: of the job, or of each of InstancePreferences"
        )
    types = [one["InstanceType"] for one in preferences]
    if len({*types}) < len(types):
        raise refused("An instance type can appear only once in InstancePreferences")
    if not all([given.get("InstanceCount", 1), *(one.get("InstanceCount", 1) for one in preferences)]):
        raise refused("InstanceCount must be at least 1")
    if given.get("KeepAlivePeriodInSeconds") and spot:
        raise refused("KeepAlivePeriodInSeconds can't be used with EnableManagedSpotTraining")
    if "SelectedInstanceType" in given or "SelectedInstanceCount" in given:
        raise refused("SelectedInstanceType and SelectedInstanceCount are not accepted in CreateTrainingJob requests")


def _check_channel(given: dict[str, Any], mode: str) -> None:
    name, source = given["ChannelName"], given["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile") or "InstanceGroupNames" in source:
        raise refused(f"{name}: simferry emulator has channels of the S3DataType S3Prefix or ManifestFile only")
    _check_address(source["S3Uri"])
    if given.get("InputMode", mode) == "Pipe":
        raise refused(f"{name}: simferry emulator does not have the input mode Pipe: use File or FastFile")
    if given.get("CompressionType") == "Gzip" or given.get("RecordWrapperType") == "RecordIO":
        raise refused(f"{name}: CompressionType Gzip and RecordWrapperType RecordIO are for the input mode Pipe")


def _check_address(address: str) -> None:
    if not address.startswith("s3://"):
        raise refused(f"simferry emulator knows addresses that begin with s3:// only, not '{address}'")
