"""Submits one job through the SageMaker SDK's ScriptProcessor, and works around side effects of the SDK.

sagemaker-core changes its inputs, sends telemetry, creates buckets, reads configuration files of its own, and drops the job's ARN.
It therefore gets copies, the documented opt-out, explicit addresses, and our clients.
"""

import contextlib
import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from types import SimpleNamespace
from typing import Any

from ..errors import SimferryError, UsageError
from ..hints import Extra, Shell, Text, Upgrade
from . import session as aws
from .limits import check_request

# the SDK's configuration; it replaces the user's files, so that a job has only the settings passed to start_script
_CONFIGURATION = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


def start_script(
    *,
    job_name: str,
    role: str,
    image_uri: str,
    command: Sequence[str],
    code: str,
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[Mapping[str, Any]],
    max_runtime_seconds: int | None,
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    instance_type: str | Sequence[str] = "ml.m5.xlarge",
    instance_count: int = 1,
    volume_gb: int = 30,
    volume_kms_key: str | None = None,
    output_kms_key: str | None = None,
    network: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None,
    experiment: Mapping[str, str] | None = None,
    code_folder: bool = False,
    session: Any = None,
) -> str:
    """Start a processing job that runs `command` with a script; returns the job's ARN. Nothing passed in is changed.

    code: the script's S3 address; in the container it is at /opt/ml/processing/input/code. code_folder: with all files
    beside it in S3. inputs, outputs, network: as CreateProcessingJob has ProcessingInputs, ProcessingOutputConfig.Outputs and
    NetworkConfig, every address one of S3. instance_type: several are tried in their order. max_runtime_seconds: None is the
    service's default, a day. session: of `sdk_session`; None is the configured AWS session.

    Raises UsageError without the SDK, RequestRefused if the request breaks a limit of the service (then nothing is sent), and
    botocore's errors.
    """
    sdk = _sdk()
    _check_addresses(code, inputs, outputs)
    if isinstance(instance_type, str):
        instances: dict[str, Any] = {"instance_type": instance_type}
    else:
        instances = {"instance_preferences": [{"InstanceType": name} for name in instance_type]}
    kept = copy.copy(session or sdk_session())
    kept.sagemaker_client = client = _Client(kept.sagemaker_client, code_folder)
    processor = sdk.folder_processor if code_folder else sdk.processing.ScriptProcessor
    processor(
        role=role,
        image_uri=image_uri,
        command=list(command),
        instance_count=instance_count,
        volume_size_in_gb=volume_gb,
        volume_kms_key=volume_kms_key,
        output_kms_key=output_kms_key,
        max_runtime_in_seconds=max_runtime_seconds,
        env=dict(environment) if environment else None,
        tags=dict(tags) if isinstance(tags, Mapping) else copy.deepcopy(tags),
        network_config=_network(network),
        sagemaker_session=kept,
        **instances,
    ).run(
        code=code,
        inputs=[_input(one) for one in inputs],
        outputs=[_output(one) for one in outputs],
        arguments=list(arguments) if arguments else None,
        experiment_config=dict(experiment) if experiment else None,
        job_name=job_name,
        wait=False,
        logs=False,
    )
    return client.arn


def script_arguments(request: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `start_script` for a request of CreateProcessingJob. Its input `code` is a folder in S3, with a slash at its
    end; the second word of its entry point is the path of a script in it."""
    *command, script = request["AppSpecification"]["ContainerEntrypoint"]
    code, *inputs = sorted(request["ProcessingInputs"], key=lambda one: one["InputName"] != "code")
    outputs = request["ProcessingOutputConfig"]
    cluster = request["ProcessingResources"]["ClusterConfig"]
    preferences = [one["InstanceType"] for one in cluster.get("InstancePreferences", [])]
    return {
        "job_name": request["ProcessingJobName"],
        "role": request["RoleArn"],
        "image_uri": request["AppSpecification"]["ImageUri"],
        "command": command,
        "code": code["S3Input"]["S3Uri"] + script.rpartition("/")[2],
        "code_folder": True,
        "inputs": inputs,
        "outputs": outputs["Outputs"],
        "arguments": request["AppSpecification"]["ContainerArguments"],
        "environment": request["Environment"],
        "instance_type": preferences or cluster["InstanceType"],
        "instance_count": cluster["InstanceCount"],
        "volume_gb": cluster["VolumeSizeInGB"],
        "max_runtime_seconds": request["StoppingCondition"]["MaxRuntimeInSeconds"],
        "volume_kms_key": cluster.get("VolumeKmsKeyId"),
        "output_kms_key": outputs.get("KmsKeyId"),
        "network": request.get("NetworkConfig"),
        "tags": request.get("Tags"),
    }


def sdk_session(boto_session: Any = None, sagemaker_client: Any = None) -> Any:
    """A session of the SDK with our clients, without telemetry and configuration files. It sends no request."""
    return _made_session(boto_session or aws.session(), sagemaker_client or aws.client("sagemaker"))


@cache
def _made_session(boto_session: Any, client: Any) -> Any:
    return _sdk().helper.Session(
        boto_session=boto_session,
        sagemaker_client=client,
        sagemaker_runtime_client=client,  # these three are not used; the SDK would create them
        sagemaker_featurestore_runtime_client=client,
        sagemaker_metrics_client=client,
        sagemaker_config=_CONFIGURATION,
    )


class _Client:
    """A sagemaker client for one submission. It checks the request before it is sent, and stores the ARN, which the SDK drops."""

    def __init__(self, client: Any, code_folder: bool) -> None:
        self._client, self._code_folder, self.arn = client, code_folder, ""

    def create_processing_job(self, **request: Any) -> Any:
        check_request("sagemaker", "CreateProcessingJob", request)
        if self._code_folder:
            _check_code_folder(request)
        answer = self._client.create_processing_job(**request)
        self.arn = answer["ProcessingJobArn"]
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _check_code_folder(request: Mapping[str, Any]) -> None:
    """Check that FolderProcessor worked: it overrides a private method, which another version of the SDK may not call."""
    inputs = {one["InputName"]: one for one in request.get("ProcessingInputs", [])}
    address = inputs["code"]["S3Input"]["S3Uri"] if "code" in inputs else ""
    if not address.endswith("/"):
        version = metadata.version("sagemaker-core")
        raise SimferryError(
            f"job {request['ProcessingJobName']} is not started: sagemaker-core {version} would give it {address or 'no code'} "
            "in place of the whole folder of its code",
            Text(Upgrade(), ", or an earlier SDK: ", Shell("pip", "install", f"sagemaker-core<{version}")),
        )


def _check_addresses(code: str, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse addresses outside of S3: the SDK would create a bucket and upload the files."""
    named = {"code": code}
    named |= {one["InputName"]: one["S3Input"]["S3Uri"] for one in inputs}
    named |= {one["OutputName"]: one["S3Output"]["S3Uri"] for one in outputs}
    for name, address in named.items():
        if not address.startswith("s3://"):
            raise UsageError(f"{name}: {address!r} is not an address in S3", "s3://bucket/folder")


@cache
def _sdk() -> Any:
    """The SDK's modules, as attributes. Their import changes no logging."""
    try:
        with _root_logger_kept():
            from sagemaker.core import network, processing, shapes
            from sagemaker.core.helper import session_helper
    except ImportError as error:
        wanted = "the Python package sagemaker-core is needed for SageMaker"
        raise UsageError(f"{wanted}, and {error}", Extra("sagemaker")) from None
    logger = logging.getLogger("sagemaker")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)  # simferry shows the errors
    _validate_once()

    class FolderProcessor(processing.ScriptProcessor):  # type: ignore[misc]  # the SDK has no types
        """A ScriptProcessor whose code is the whole folder of the script."""

        def _convert_code_and_add_to_inputs(self, inputs: Any, s3_uri: str) -> Any:
            return super()._convert_code_and_add_to_inputs(inputs, s3_uri.rpartition("/")[0] + "/")

    return SimpleNamespace(
        network=network, processing=processing, shapes=shapes, helper=session_helper, folder_processor=FolderProcessor
    )


@contextlib.contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Restore the root logger: the SDK's import gives it a handler and a level."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _validate_once() -> None:
    """Skip the SDK's validation of our configuration: it repeats it for each of 20 settings, 0.7 s a job.

    If a version of the SDK has this elsewhere, submissions are only slower.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from sagemaker.core.config.config_manager import SageMakerConfig

        validate = SageMakerConfig.validate_sagemaker_config

        def skip_ours(sagemaker_config: Any = None) -> None:
            if sagemaker_config is not _CONFIGURATION:
                validate(sagemaker_config)

        SageMakerConfig.validate_sagemaker_config = staticmethod(skip_ours)


def _input(request: Mapping[str, Any]) -> Any:
    shapes, s3 = _sdk().shapes, request["S3Input"]
    return shapes.ProcessingInput(
        input_name=request["InputName"],
        s3_input=shapes.ProcessingS3Input(
            s3_uri=s3["S3Uri"],
            local_path=s3["LocalPath"],
            s3_data_type=s3.get("S3DataType", "S3Prefix"),
            s3_input_mode=s3.get("S3InputMode", "File"),
            s3_data_distribution_type=s3.get("S3DataDistributionType", "FullyReplicated"),
            s3_compression_type=s3.get("S3CompressionType", "None"),
        ),
    )


def _output(request: Mapping[str, Any]) -> Any:
    shapes, s3 = _sdk().shapes, request["S3Output"]
    return shapes.ProcessingOutput(
        output_name=request["OutputName"],
        s3_output=shapes.ProcessingS3Output(
            s3_uri=s3["S3Uri"], local_path=s3["LocalPath"], s3_upload_mode=s3.get("S3UploadMode", "EndOfJob")
        ),
    )


def _network(request: Mapping[str, Any] | None) -> Any:
    if request is None:
        return None
    vpc = request.get("VpcConfig", {})
    return _sdk().network.NetworkConfig(
        enable_network_isolation=request.get("EnableNetworkIsolation"),
        encrypt_inter_container_traffic=request.get("EnableInterContainerTrafficEncryption"),
        security_group_ids=copy.copy(vpc.get("SecurityGroupIds")),
        subnets=copy.copy(vpc.get("Subnets")),
    )
