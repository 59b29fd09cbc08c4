"""SageMaker's operations on processing jobs."""

from typing import Any

from ..processing_job import ProcessingJob
from .jobs import JobService, refused

ROOT = "/opt/ml/processing/"


class ProcessingJobs(JobService):
    """The processing jobs of an emulator."""

    job = ProcessingJob
    name_taken = "Job name must be unique within an AWS account and region, and a job with this name already exists"
    unknown = "Could not find requested job with name: {}"

    def check(self, request: dict[str, Any]) -> None:
        inputs = request.get("ProcessingInputs", [])
        outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        for one in [*inputs, *outputs]:
            name = one.get("InputName") or one.get("OutputName")
            s3 = one.get("S3Input") or one.get("S3Output")
            if one.get("AppManaged") or s3 is None:
                raise refused(
                    f"{name}: simferry emulator has inputs and outputs in S3 only, and none that is AppManaged"
                )
            path = s3.get("LocalPath", "")
            if not path.startswith(ROOT) or ".." in path.split("/"):
                raise refused(f"{name}: LocalPath must begin with {ROOT}, and is '{path}'")
            if not s3["S3Uri"].startswith("s3://"):
                raise refused(
                    f"{name}: simferry emulator knows addresses that begin with s3:// only, not '{s3['S3Uri']}'"
                )
            if s3.get("S3InputMode") == "Pipe":
                raise refused(f"{name}: simferry emulator does not have the input mode Pipe: use File")
            if s3.get("S3CompressionType") == "Gzip":
                raise refused(f"{name}: S3CompressionType Gzip can only be used with the input mode Pipe")
