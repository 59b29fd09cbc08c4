"""Builds the request of a job, CreateProcessingJob or, of an image, CreateTrainingJob, for SageMaker and for containers on this machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..aws.contracts import processing as contract
from ..aws.contracts import training
from ..errors import UsageError
from ..hints import Option
from ..jobs.image_job import image_job
from ..jobs.launch import command_in_container, environment_of
from ..store.run_folder import RunFolder
from .names import job_name


@dataclass(frozen=True)
class Places:
    """Addresses of a job's files in its request: the code, its plan, an input and an output."""

    code: str
    plan: str
    input: Callable[[str, Mapping[str, Any]], str]
    output: Callable[[str], str]


@dataclass(frozen=True)
class Machines:
    """The machines of a job. types: the service takes the first one that is available. kms_key: encrypts disks and outputs."""

    types: list[str]
    hosts: int
    volume_gb: int
    seconds_at_most: int
    kms_key: str | None = None
    network: Mapping[str, Any] | None = None


def processing_request(
    run: RunFolder, job: str, image: str, role: str, places: Places, machines: Machines, tags: Mapping[str, str]
) -> dict[str, Any]:
    """The request for a job of a run. job: plan-job, such as 0001-0003. role: an ARN."""
    spec = run.record.simulation
    inputs = [contract.input_of("code", places.code), contract.input_of("plan", places.plan)]
    for name, one in run.inputs.items():
        inputs.append(contract.input_of(name, places.input(name, one), one["mode"], one["sharded"]))
    outputs = [contract.output_of(name, places.output(name), "Continuous") for name in contract.OUTPUTS]
    types: dict[str, Any] = {"InstanceType": machines.types[0]}
    if len(machines.types) > 1:
        types = {"InstancePreferences": [{"InstanceType": name} for name in machines.types]}
    key = machines.kms_key
    return {
        "ProcessingJobName": job_name(run, job),
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": command_in_container(spec, contract.CODE),
            "ContainerArguments": ["run"],
        },
        "Environment": environment_of(spec, contract.INPUTS),
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs, **({"KmsKeyId": key} if key else {})},
        "ProcessingResources": {
            "ClusterConfig": {
                **types,
                "InstanceCount": machines.hosts,
                "VolumeSizeInGB": machines.volume_gb,
                **({"VolumeKmsKeyId": key} if key else {}),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": machines.seconds_at_most},
        **({"NetworkConfig": dict(machines.network)} if machines.network else {}),
        "RoleArn": role,
        "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
    }


def training_request(
    run: RunFolder, job: str, image: str, role: str, places: Places, machines: Machines, tags: Mapping[str, str]
) -> dict[str, Any]:
    """The same for a job of an image, which is its own program. Its archives go to OUTPUT/NAME-OF-THE-JOB/output."""
    made, key = image_job(run, job), machines.kms_key
    channels = [
        training.channel(name, places.input(name, one), one["mode"], one["sharded"]) for name, one in run.inputs.items()
    ]
    return {
        "TrainingJobName": job_name(run, job),
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "HyperParameters": dict(made.hyperparameters),
        **({"InputDataConfig": channels} if channels else {}),
        "OutputDataConfig": {"S3OutputPath": places.output(job), **({"KmsKeyId": key} if key else {})},
        "ResourceConfig": {
            "InstanceType": machines.types[0],
            "InstanceCount": machines.hosts,
            "VolumeSizeInGB": machines.volume_gb,
            **({"VolumeKmsKeyId": key} if key else {}),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": machines.seconds_at_most},
        "Environment": {**made.environment, "SIMFERRY_INPUT": f"{training.ROOT}/input/data"},
        "RoleArn": role,
        "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
    }


def check_hosts(spec: Mapping[str, Any], hosts: int) -> None:
    """Raise UsageError for a function on several hosts."""
    if spec["kind"] == "function" and hosts > 1:
        raise UsageError(
            "several hosts are only for scripts and commands", "A function can use more jobs: " + Option("jobs", 2)
        )


def named_texts(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """The values of an option given as a mapping, or as text NAME=VALUE,NAME=VALUE."""
    if not isinstance(given, str):
        return dict(given or {})
    pairs = (text.partition("=") for text in several(given))
    return {name: value for name, _, value in pairs}


def several(given: str | Sequence[str] | None) -> list[str]:
    """The values of an option given as a list, or as text with commas between."""
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else [*(given or ())]
