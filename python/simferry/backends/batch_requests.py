"""The requests of the batch backend: a job definition, and the submission of a plan's array."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..aws.contracts import batch as contract
from ..aws.stacks import TAG
from ..aws.tags import MADE_BY
from ..errors import UsageError
from ..jobs.launch import command_in_container, environment_of
from ..store.keys import JobId
from ..store.records import PlanRecord
from ..store.run_folder import RunFolder
from ..sweep.options import VCPUS, BatchOptions
from .request import named_texts

ATTEMPTS = 5  # default of a job whose machine is lost
MEMORY = "4G"  # default of a job


def vcpus(options: BatchOptions) -> float:
    """vCPUs of a job."""
    return options.vcpus or VCPUS


def mebibytes(options: BatchOptions) -> int:
    """Memory of a job."""
    return contract.mebibytes(options.memory or MEMORY)


def carrier_vcpus(options: BatchOptions) -> float:
    """vCPUs of the container that carries files beside one without Python."""
    if not options.carrier_image:
        return 0.0
    return contract.CARRIER_VCPUS_ON_FARGATE if on_fargate(options) else contract.CARRIER_VCPUS


def on_fargate(options: BatchOptions) -> bool:
    return options.on == "fargate"


def definition(options: BatchOptions, spec: Mapping[str, Any], carrier_entrypoint: Sequence[str]) -> dict[str, Any]:
    """The request of RegisterJobDefinition, without a name. carrier_entrypoint: of the carrier's image, where there is one.

    Raises UsageError for an entry point that runs no command."""
    fargate = on_fargate(options)
    log = {
        "logDriver": "awslogs",
        "options": {"awslogs-group": options.log_group, "awslogs-stream-prefix": "simferry"},
    }
    roles = {"executionRoleArn": options.execution_role}
    network = {"networkConfiguration": {"assignPublicIp": "ENABLED"}} if fargate else {}
    common: dict[str, Any] = {
        "type": "container",
        "platformCapabilities": ["FARGATE" if fargate else "EC2"],
        "retryStrategy": {"attempts": options.attempts or ATTEMPTS, "evaluateOnExit": contract.RETRIES},
        "tags": {**MADE_BY, **_stack(options)},
        "propagateTags": True,
    }
    cpus, mib = vcpus(options), mebibytes(options)
    if options.carrier_image and fargate:  # a task has one of Fargate's sizes: the carrier takes its part of it
        cpus, mib = cpus - carrier_vcpus(options), mib - contract.CARRIER_MIB
    sized = {"resourceRequirements": _needs(cpus, mib), "logConfiguration": log}
    entrypoint = shlex.split(options.entrypoint or "")
    if not options.carrier_image:
        run = _command(options.image, entrypoint, contract.carrier_command())
        only = {"image": options.image, "command": run, "jobRoleArn": options.job_role, **roles, **sized, **network}
        return {**common, "containerProperties": only}
    mounts = [{"sourceVolume": contract.VOLUME, "containerPath": contract.ROOT}]
    carrier = {
        "name": contract.CARRIER, "image": options.carrier_image, "essential": True, "mountPoints": mounts,
        "command": _command(options.carrier_image, carrier_entrypoint, contract.carrier_command()), "logConfiguration": log,
        "resourceRequirements": _needs(carrier_vcpus(options), contract.CARRIER_MIB), "user": "0",  # a new volume is root's
    }  # fmt: skip
    command = contract.beside_command([*_worker(spec), "run"])
    worker = {
        "name": contract.WORKER, "image": options.image, "essential": False, "mountPoints": mounts,
        "command": _command(options.image, entrypoint, command),
        "dependsOn": [{"containerName": contract.CARRIER, "condition": "START"}], **sized,
    }  # fmt: skip
    task = {"taskRoleArn": options.job_role, **roles, "volumes": [{"name": contract.VOLUME}], **network}
    return {**common, "ecsProperties": {"taskProperties": [{**task, "containers": [carrier, worker]}]}}


def submission(
    options: BatchOptions,
    run: RunFolder,
    plan: PlanRecord,
    name: str,
    revision: str,
    region: str,
    kms_key: str | None = None,
) -> dict[str, Any]:
    """The request of SubmitJob: an array of the plan's jobs, or a plain job where it has one. revision: the job definition's ARN.

    plan: with the time limit of its jobs. region: of the store; Batch does not tell it to containers. kms_key: encrypts what jobs
    send. Raises UsageError if environment variables are too long for the service.
    """
    spec = run.record.simulation
    beside = bool(options.carrier_image)
    carried = {
        "region": region, "kms_key": kms_key or "", "run": run.address, "plan": plan.number,
        "jobs": run.job_address(JobId.of(plan.number, 1)),
        "command": [] if beside else [*_worker(spec), "run"],
        "inputs": {key: one["place"] or f"{run.address}/input/{key}/" for key, one in run.inputs.items()},
    }  # fmt: skip
    work = environment_of(spec, f"{contract.ROOT}/input")
    carry = {"SIMFERRY_CARRIED": contract.as_json(carried)}
    overrides: dict[str, Any] = {"containerOverrides": {"environment": contract.overrides({**work, **carry})}}
    if beside:
        containers = [
            {"name": contract.CARRIER, "environment": contract.overrides(carry)},
            {"name": contract.WORKER, "environment": contract.overrides(work)},
        ]
        overrides = {"ecsPropertiesOverride": {"taskProperties": [{"containers": containers}]}}
    if len(contract.as_json(overrides)) > contract.LONGEST_OVERRIDES:
        raise UsageError(
            f"environment variables and addresses of inputs have more than {contract.LONGEST_OVERRIDES:,} characters, "
            "which AWS Batch does not take",
            "Shorter values, or an input file with them.",
        )
    return {
        "jobName": name, "jobQueue": options.queue, "jobDefinition": revision, **overrides,
        **({"arrayProperties": {"size": plan.jobs}} if plan.jobs > 1 else {}),
        "timeout": {"attemptDurationSeconds": plan.limit},
        "tags": {**MADE_BY, "simferry:run": run.id, **_stack(options), **named_texts(options.tags)}, "propagateTags": True,
    }  # fmt: skip


def _command(image: str | None, entrypoint: Sequence[str], command: list[str]) -> list[str]:
    given = contract.after_entrypoint(entrypoint, command)
    if given is None:
        raise no_program(image or "", entrypoint)
    return given


def no_program(image: str, entrypoint: Sequence[str]) -> UsageError:
    """The error of an image whose entry point does not run what it is given."""
    return UsageError(
        f"the entry point of the image {image} runs no other program, and AWS Batch can't replace it: {shlex.join(entrypoint)}",
        'Use an image without an entry point, or with one that ends with  exec "$@"',
    )


def _stack(options: BatchOptions) -> dict[str, str]:
    """The tag of the stack: Cost Explorer knows by it what jobs on Fargate cost, and `infra delete` which definitions are its own."""
    return {TAG: options.stack} if options.stack else {}


def _worker(spec: Mapping[str, Any]) -> list[str]:
    """The command of the worker, without its verb."""
    return command_in_container(spec, f"{contract.ROOT}/input/code")


def _needs(vcpus: float, mib: int) -> list[dict[str, str]]:
    return [{"type": "VCPU", "value": f"{vcpus:g}"}, {"type": "MEMORY", "value": str(mib)}]
