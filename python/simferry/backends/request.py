"""Builds the request of a job, CreateProcessingJob or CreateTrainingJob, for SageMaker and for containers on this machine."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..aws.contracts import processing as contract
from ..aws.contracts import training
from ..errors import UsageError
from ..hints import Option
from ..jobs.image_job import image_job
from ..jobs.launch import command_in_container, command_in_training, environment_of
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
    key = machines.kms_key
    return {
        "ProcessingJobName": job_name(run, job),
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": command_in_container(spec, contract.CODE, machines.hosts),
            "ContainerArguments": ["run"],
        },
        "Environment": environment_of(spec, contract.INPUTS),
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs, **({"KmsKeyId": key} if key else {})},
        "ProcessingResources": {
            "ClusterConfig": {
                **_types(machines.types),
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


@dataclass(frozen=True)
class Terms:
    """What a training job has beside its machines. checkpoints: the address of its checkpoints; empty for none. wait: the longest time in
    seconds until the end of a job on Spot machines; None for others. keep_alive: seconds that the machines are kept after the job.
    attempts: of the service, where it fails itself."""

    checkpoints: str = ""
    wait: int | None = None
    keep_alive: int | None = None
    attempts: int = 1


def training_request(
    run: RunFolder,
    job: str,
    image: str,
    role: str,
    places: Places,
    machines: Machines,
    tags: Mapping[str, str],
    terms: Terms = Terms(),
) -> dict[str, Any]:
    """The request for a training job. An image is its own program; others run the worker, with code and plan as channels. The job's
    archives go to OUTPUT/NAME-OF-THE-JOB/output."""
    key, hosts = machines.kms_key, {"InstanceCount": machines.hosts, "VolumeSizeInGB": machines.volume_gb}
    channels = [
        training.channel(name, places.input(name, one), one["mode"], one["sharded"]) for name, one in run.inputs.items()
    ]
    program: dict[str, Any] = {}
    if run.record.simulation["kind"] == "image":
        made = image_job(run, job)
        parameters = {"HyperParameters": dict(made.hyperparameters)}
        environment = {**made.environment, "SIMFERRY_INPUT": training.CHANNELS}
    else:
        spec, parameters = run.record.simulation, {}
        channels += [training.channel("code", places.code), training.channel("plan", places.plan)]
        command = command_in_training(spec, f"{training.CHANNELS}/code", contract.CODE, machines.hosts)
        program = {"ContainerEntrypoint": command, "ContainerArguments": ["run"]}
        environment = environment_of(spec, contract.INPUTS)
    limits = {"MaxRuntimeInSeconds": machines.seconds_at_most}
    if terms.wait is not None:
        limits["MaxWaitTimeInSeconds"] = terms.wait
    return {
        "TrainingJobName": job_name(run, job),
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File", **program},
        **parameters,
        **({"InputDataConfig": channels} if channels else {}),
        "OutputDataConfig": {"S3OutputPath": places.output(job), **({"KmsKeyId": key} if key else {})},
        "ResourceConfig": {
            **_types(machines.types),
            **hosts,
            **({"VolumeKmsKeyId": key} if key else {}),
            **({"KeepAlivePeriodInSeconds": terms.keep_alive} if terms.keep_alive else {}),
        },
        "StoppingCondition": limits,
        **({"EnableManagedSpotTraining": True} if terms.wait is not None else {}),
        **({"CheckpointConfig": {"S3Uri": terms.checkpoints}} if terms.checkpoints else {}),
        **({"RetryStrategy": {"MaximumRetryAttempts": terms.attempts - 1}} if terms.attempts > 1 else {}),
        **(machines.network or {}),
        "Environment": environment,
        "RoleArn": role,
        "Tags": [{"Key": name, "Value": value} for name, value in tags.items()],
    }


def _types(names: Sequence[str]) -> dict[str, Any]:
    """The instance types of a request: one, or several in the order of preference."""
    return (
        {"InstancePreferences": [{"InstanceType": name} for name in names]}
        if len(names) > 1
        else {"InstanceType": names[0]}
    )


def seconds_of(run: RunFolder, job: str, at_most: float) -> int:
    """The time limit of a job of an image: that of its replications, if they have one."""
    limit = run.record.options.replication_timeout
    return int(min(at_most, math.ceil(limit * image_job(run, job).count)) if limit else at_most)


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
