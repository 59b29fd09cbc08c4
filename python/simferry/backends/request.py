"""What CreateProcessingJob is asked for each job, of SageMaker and of containers here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..aws.contracts import processing as contract
from ..errors import UsageError
from ..hints import Option
from ..jobs.launch import command_in_container, environment_of
from ..store.run_folder import RunFolder
from .names import job_name


@dataclass(frozen=True)
class Places:
    """Where a job's files lie, as the service is told: addresses of the code, its plan, an input and an output."""

    code: str
    plan: str
    input: Callable[[str, Mapping[str, Any]], str]
    output: Callable[[str], str]


@dataclass(frozen=True)
class Machines:
    """On what a job runs. types: the first that is to be had. kms_key: of disks and outputs."""

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
            "ContainerEntrypoint": command_in_container(spec["language"], contract.CODE),
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


def check_hosts(spec: Mapping[str, Any], hosts: int) -> None:
    """Raise UsageError for a function on several hosts: its replications are dealt to jobs."""
    if spec["kind"] == "function" and hosts > 1:
        raise UsageError(
            "hosts are for whole scripts", "A function's replications are dealt to jobs: " + Option("jobs", 2)
        )


def named_texts(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """What an option of the form NAME=VALUE, with commas between, or a mapping, holds."""
    if not isinstance(given, str):
        return dict(given or {})
    pairs = (text.partition("=") for text in several(given))
    return {name: value for name, _, value in pairs}


def several(given: str | Sequence[str] | None) -> list[str]:
    """What an option holds that is one text, with commas between, or several."""
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else [*(given or ())]
