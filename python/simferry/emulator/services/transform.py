"""SageMaker's operations on transform jobs, with the checks, states and lists of the service."""

from collections.abc import Callable
from typing import Any

from ..hosted import Model
from ..transform_job import MOST_MB, Execution, TransformJob
from .jobs import JobService, refused

_DEFAULTS = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}  # of DataProcessing


class TransformJobs(JobService):
    """The transform jobs of an emulator. model: the model of a name and a region; raises Refusal."""

    job = TransformJob
    name_taken = "Job name must be unique within an AWS account and region, and a job with this name already exists"
    unknown = "Could not find requested job with name: {}"

    def __init__(self, model: Callable[[str, str], Model], *given: Any) -> None:
        super().__init__(*given)
        self.model = model

    def new_job(self, request: dict[str, Any], arn: str) -> TransformJob:
        model = self.model(request["ModelName"], arn.split(":")[3])
        clients = self.clients_of(model.role)
        return TransformJob(model, request, arn, self.faults, self.machine, clients, self.on_event)

    def check(self, request: dict[str, Any]) -> None:
        check_transform(request)


def check_transform(request: dict[str, Any]) -> None:
    """Refuse what the model of the service does not exclude, and what the emulator does not have."""
    given, resources = request["TransformInput"], request["TransformResources"]
    if resources["InstanceCount"] > 1:
        raise refused(
            f"simferry emulator runs transform jobs on one instance; InstanceCount is {resources['InstanceCount']}"
        )
    if (how := given.get("SplitType", "None")) not in ("None", "Line"):
        raise refused(f"simferry emulator splits files by lines only; SplitType is {how}")
    if given.get("CompressionType", "None") != "None":
        raise refused("simferry emulator does not decompress inputs: CompressionType")
    source = given["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise refused(
            "simferry emulator has inputs of transform jobs in S3 only, with S3DataType S3Prefix or ManifestFile"
        )
    for where in (source["S3Uri"], request["TransformOutput"]["S3OutputPath"]):
        if not where.startswith("s3://"):
            raise refused(f"simferry emulator knows addresses that begin with s3:// only, not '{where}'")
    processing = request.get("DataProcessing", {})
    if other := [key for key, value in processing.items() if value != _DEFAULTS.get(key)]:
        raise refused(f"simferry emulator does not filter or join records: {other[0]} of DataProcessing")
    if "DataCaptureConfig" in request:
        raise refused("simferry emulator does not capture data: DataCaptureConfig")
    payload, transforms = request.get("MaxPayloadInMB", Execution.payload_mb), request.get("MaxConcurrentTransforms", 0)
    if payload > MOST_MB or (payload or 1) * transforms > MOST_MB:
        raise refused(
            f"MaxPayloadInMB * MaxConcurrentTransforms must be at most {MOST_MB} MB; they are {payload} and {transforms}"
        )
