"""The requests of the batch backend: a job definition, and the submission of a plan's array."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..aws.contracts import batch as contract
from ..aws.contracts import training
from ..aws.stacks import TAG
from ..aws.tags import MADE_BY
from ..containers.training import arn_here
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


def carriers(options: BatchOptions) -> int:
    """The containers of a job that carry files: none if its image can do that itself, one before and one beside an image that is the
    program."""
    return 2 if options.program else int(bool(options.carrier_image))


def carrier_vcpus(options: BatchOptions) -> float:
    """vCPUs of these containers."""
    return carriers(options) * _carrier_vcpus(options)


def _carrier_vcpus(options: BatchOptions) -> float:
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
        cpus, mib = cpus - carrier_vcpus(options), mib - carriers(options) * contract.CARRIER_MIB
    sized = {"resourceRequirements": _needs(cpus, mib), "logConfiguration": log}
    entrypoint = shlex.split(options.entrypoint or "")
    task: dict[str, Any] = {"taskRoleArn": options.job_role, **roles, **network}
    if options.program:
        return {
            **common,
            "ecsProperties": {"taskProperties": [{**task, **_image_task(options, carrier_entrypoint, sized)}]},
        }
    if not options.carrier_image:
        run = _command(options.image, entrypoint, contract.carrier_command())
        only = {"image": options.image, "command": run, "jobRoleArn": options.job_role, **roles, **sized, **network}
        return {**common, "containerProperties": only}
    mounts = [{"sourceVolume": contract.VOLUME, "containerPath": contract.ROOT}]
    carrier = {
        "name": contract.CARRIER, "image": options.carrier_image, "essential": True, "mountPoints": mounts,
        "command": _command(options.carrier_image, carrier_entrypoint, contract.carrier_command()), "logConfiguration": log,
        "resourceRequirements": _needs(_carrier_vcpus(options), contract.CARRIER_MIB), "user": "0",  # a new volume is root's
    }  # fmt: skip
    command = contract.beside_command([*_worker(spec), "run"])
    worker = {
        "name": contract.WORKER, "image": options.image, "essential": False, "mountPoints": mounts,
        "command": _command(options.image, entrypoint, command),
        "dependsOn": [{"containerName": contract.CARRIER, "condition": "START"}], **sized,
    }  # fmt: skip
    task |= {"volumes": [{"name": contract.VOLUME}], "containers": [carrier, worker]}
    return {**common, "ecsProperties": {"taskProperties": [task]}}


def _image_task(options: BatchOptions, entrypoint: Sequence[str], sized: Mapping[str, Any]) -> dict[str, Any]:
    """Volumes and containers where the image is the program: the first container ends before the second one starts, the image's with
    the argument train; the third is beside it. entrypoint: of the carrier's image."""
    places = {contract.VOLUME: training.ROOT}
    # what an image declares as a volume would be one of its own, which nobody else sees
    places |= {f"{contract.VOLUME}-{number}": path for number, path in enumerate(options.volumes or (), 1)}
    shared = [{"sourceVolume": name, "containerPath": path} for name, path in places.items()]
    own = {"sourceVolume": contract.OWN_VOLUME, "containerPath": contract.OWN_FOLDER}
    needs = _needs(_carrier_vcpus(options), contract.CARRIER_MIB)

    def carrier(name: str, command: list[str], **more: Any) -> dict[str, Any]:
        return {
            "name": name, "image": options.carrier_image, "mountPoints": [*shared, own], "user": "0", "resourceRequirements": needs,
            "command": _command(options.carrier_image, entrypoint, command), "logConfiguration": sized["logConfiguration"], **more,
        }  # fmt: skip

    # each line of its log may be a metric: none is dropped where the log is slow
    log = {**sized["logConfiguration"], "options": {**sized["logConfiguration"]["options"], "mode": "blocking"}}
    program = {
        **sized, "name": contract.WORKER, "image": options.image, "essential": False, "mountPoints": shared, "command": ["train"],
        "logConfiguration": log, "stopTimeout": training.GRACE_SECONDS,
        "dependsOn": [{"containerName": contract.BEFORE, "condition": "SUCCESS"}],
    }  # fmt: skip
    containers = [
        carrier(contract.BEFORE, contract.carrier_command("image_carrier"), essential=False),
        program,
        carrier(
            contract.CARRIER, ["python3", "-I", f"{contract.OWN_FOLDER}/carrier.py"], essential=True, stopTimeout=training.GRACE_SECONDS,
            dependsOn=[{"containerName": contract.WORKER, "condition": "START"}],
        ),
    ]  # fmt: skip
    return {"volumes": [{"name": name} for name in (*places, contract.OWN_VOLUME)], "containers": containers}


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
        overrides = _overrides({contract.CARRIER: carry, contract.WORKER: work})
    size = {"arrayProperties": {"size": plan.jobs}} if plan.jobs > 1 else {}
    return {**_submission(options, run, name, revision, overrides, plan.limit), **size}


def image_submission(
    options: BatchOptions,
    run: RunFolder,
    asked: Mapping[str, Any],
    job: JobId,
    name: str,
    revision: str,
    region: str,
    kms_key: str | None,
) -> dict[str, Any]:
    """The request of SubmitJob for a job of an image. asked: the same as a request of CreateTrainingJob. The rest: as for `submission`."""
    carried = {
        "region": region, "kms_key": kms_key or "", "run": run.address, "plan": job.plan, "number": job.number,
        "name": asked["TrainingJobName"],
    }  # fmt: skip
    inputs = {
        one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in asked.get("InputDataConfig", [])
    }
    named = {"TRAINING_JOB_NAME": asked["TrainingJobName"], "TRAINING_JOB_ARN": arn_here(asked["TrainingJobName"])}
    overrides = _overrides({
        contract.BEFORE: {"SIMFERRY_CARRIED": contract.as_json({**carried, "inputs": inputs})},
        contract.WORKER: {**asked["Environment"], **named},
        contract.CARRIER: {"SIMFERRY_CARRIED": contract.as_json(carried)},
    })  # fmt: skip
    return _submission(options, run, name, revision, overrides, asked["StoppingCondition"]["MaxRuntimeInSeconds"])


def _overrides(variables: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The environment variables of a task's containers, by their names."""
    containers = [{"name": name, "environment": contract.overrides(some)} for name, some in variables.items()]
    return {"ecsPropertiesOverride": {"taskProperties": [{"containers": containers}]}}


def _submission(
    options: BatchOptions, run: RunFolder, name: str, revision: str, overrides: Mapping[str, Any], limit: int | None
) -> dict[str, Any]:
    if len(contract.as_json(overrides)) > contract.LONGEST_OVERRIDES:
        raise UsageError(
            f"environment variables and addresses of inputs have more than {contract.LONGEST_OVERRIDES:,} characters, "
            "which AWS Batch does not take",
            "Shorter values, or an input file with them.",
        )
    return {
        "jobName": name, "jobQueue": options.queue, "jobDefinition": revision, **overrides,
        "timeout": {"attemptDurationSeconds": limit},
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
