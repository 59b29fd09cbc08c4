"""The inputs and outputs of a processing job, and the inputs of a training job, with the interface of version 2."""

from typing import Any

from ..aws.contracts import training as contract
from ..errors import UsageError


class ProcessingInput:
    """Data for a job. source: an address in S3, or a local file or folder, which is uploaded. destination: a folder of the container."""

    def __init__(
        self,
        source: str | None = None,
        destination: str | None = None,
        input_name: str | None = None,
        s3_data_type: str = "S3Prefix",
        s3_input_mode: str = "File",
        s3_data_distribution_type: str = "FullyReplicated",
        s3_compression_type: str = "None",
        s3_input: Any = None,
        dataset_definition: Any = None,
        app_managed: bool = False,
    ) -> None:
        if dataset_definition is not None or app_managed:
            raise UsageError(
                "dataset_definition and app_managed are not supported",
                "Use source, with data in S3 or on this machine.",
            )
        if s3_input is not None:  # an object with the same fields
            source, destination = s3_input.s3_uri, s3_input.local_path
            s3_data_type, s3_input_mode = s3_input.s3_data_type, s3_input.s3_input_mode
            s3_data_distribution_type = s3_input.s3_data_distribution_type or s3_data_distribution_type
            s3_compression_type = s3_input.s3_compression_type or s3_compression_type
        self.source, self.destination, self.input_name = source, destination, input_name
        self.s3_data_type, self.s3_input_mode = s3_data_type, s3_input_mode
        self.s3_data_distribution_type, self.s3_compression_type = s3_data_distribution_type, s3_compression_type

    def _request(self, address: str) -> dict[str, Any]:
        if self.s3_compression_type == "Gzip" and self.s3_input_mode != "Pipe":
            raise UsageError(f"input {self.input_name}: Gzip is for s3_input_mode 'Pipe', not {self.s3_input_mode!r}")
        s3 = {
            "S3Uri": address,
            "LocalPath": self.destination,
            "S3DataType": self.s3_data_type,
            "S3InputMode": self.s3_input_mode,
            "S3DataDistributionType": self.s3_data_distribution_type,
            "S3CompressionType": self.s3_compression_type,
        }
        return {"InputName": self.input_name, "S3Input": s3}


class ProcessingOutput:
    """Files that a job writes. source: a folder of the container. destination: an address in S3; None means the default bucket."""

    def __init__(
        self,
        source: str | None = None,
        destination: str | None = None,
        output_name: str | None = None,
        s3_upload_mode: str = "EndOfJob",
        app_managed: bool = False,
        feature_store_output: Any = None,
    ) -> None:
        if feature_store_output is not None or app_managed:
            raise UsageError(
                "feature_store_output and app_managed are not supported", "Use destination, with an address in S3."
            )
        self.source, self.destination, self.output_name = source, destination, output_name
        self.s3_upload_mode = s3_upload_mode

    def _request(self, address: str) -> dict[str, Any]:
        s3 = {"S3Uri": address, "LocalPath": self.source, "S3UploadMode": self.s3_upload_mode}
        return {"OutputName": self.output_name, "S3Output": s3}


class TrainingInput:
    """Data for a training job: s3_data is an address in S3, or in local mode file:///folder. Version 1 called it s3_input.

    Its members are version 2's. config: the part of CreateTrainingJob's request for it, without the channel's name.
    """

    def __init__(
        self,
        s3_data: str | None = None,
        distribution: str | None = None,
        compression: str | None = None,
        content_type: str | None = None,
        record_wrapping: str | None = None,
        s3_data_type: str = "S3Prefix",
        instance_groups: Any = None,
        input_mode: str | None = None,
        attribute_names: Any = None,
        target_attribute_name: str | None = None,
        shuffle_config: Any = None,
    ) -> None:
        given = {
            "instance_groups": instance_groups,
            "attribute_names": attribute_names,
            "target_attribute_name": target_attribute_name,
            "shuffle_config": shuffle_config,
        }
        if refused := [name for name, value in given.items() if value]:
            raise UsageError(f"{refused[0]} of an input is not supported", "Leave it out.")
        if not s3_data:
            raise UsageError("an input of a training job has no s3_data", 'TrainingInput("s3://bucket/folder")')
        self.s3_data, self.input_mode = s3_data, input_mode
        source = contract.channel("", s3_data)["DataSource"]["S3DataSource"]
        source |= {"S3DataType": s3_data_type, "S3DataDistributionType": distribution or "FullyReplicated"}
        named = {
            "CompressionType": compression,
            "ContentType": content_type,
            "RecordWrapperType": record_wrapping,
            "InputMode": input_mode,
        }
        self.config: dict[str, Any] = {"DataSource": {"S3DataSource": source}}
        self.config |= {name: value for name, value in named.items() if value}


s3_input = TrainingInput
