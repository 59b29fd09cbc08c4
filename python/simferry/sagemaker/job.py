"""A processing job, with the interface of version 2."""

from typing import Any

from .exceptions import check_status
from .inputs import ProcessingInput, ProcessingOutput
from .session import Session


class ProcessingJob:
    """A job that was started. inputs, outputs: with names and addresses. description: of a job that ran in Docker on this machine."""

    def __init__(
        self,
        sagemaker_session: Session | None,
        job_name: str,
        inputs: list[ProcessingInput] | None = None,
        outputs: list[ProcessingOutput] | None = None,
        output_kms_key: str | None = None,
        description: dict[str, Any] | None = None,
    ) -> None:
        self.sagemaker_session = sagemaker_session or Session()
        self.job_name = job_name
        self.inputs, self.outputs, self.output_kms_key = inputs or [], outputs or [], output_kms_key
        self._description = description

    @property
    def name(self) -> str:
        return self.job_name

    @property
    def output_config(self) -> dict[str, Any]:
        """The ProcessingOutputConfig of CreateProcessingJob."""
        config: dict[str, Any] = {"Outputs": [one._request(str(one.destination)) for one in self.outputs]}
        return config | ({"KmsKeyId": self.output_kms_key} if self.output_kms_key else {})

    @classmethod
    def from_processing_name(cls, sagemaker_session: Session, processing_job_name: str) -> "ProcessingJob":
        """The job with this name."""
        description = sagemaker_session.describe_processing_job(processing_job_name)
        inputs = []
        for one in description.get("ProcessingInputs", []):
            if s3 := one.get("S3Input"):
                mode = s3.get("S3InputMode", "File")
                inputs.append(
                    ProcessingInput(s3["S3Uri"], s3.get("LocalPath"), one["InputName"], s3["S3DataType"], mode)
                )
        config = description.get("ProcessingOutputConfig", {})
        outputs = [
            ProcessingOutput(s3.get("LocalPath"), s3["S3Uri"], one["OutputName"], s3["S3UploadMode"])
            for one in config.get("Outputs", [])
            if (s3 := one.get("S3Output"))
        ]
        return cls(sagemaker_session, processing_job_name, inputs, outputs, config.get("KmsKeyId"))

    @classmethod
    def from_processing_arn(cls, sagemaker_session: Session, processing_job_arn: str) -> "ProcessingJob":
        """The job with this ARN."""
        return cls.from_processing_name(sagemaker_session, processing_job_arn.rpartition("/")[2])

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeProcessingJob."""
        return self._description or self.sagemaker_session.describe_processing_job(self.job_name)

    def wait(self, logs: bool = True) -> None:
        """Wait for the end of the job. logs: print its output. Raises exceptions.UnexpectedStatusException if it fails."""
        if self._description:
            check_status(self._description)
        elif logs:
            self.sagemaker_session.logs_for_processing_job(self.job_name, wait=True)
        else:
            self.sagemaker_session.wait_for_processing_job(self.job_name)

    def stop(self) -> None:
        """Ask the service to stop the job."""
        if not self._description:
            self.sagemaker_session.stop_processing_job(self.job_name)
