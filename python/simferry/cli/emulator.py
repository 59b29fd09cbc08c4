"""The command `simferry emulator`: AWS on this machine, until Ctrl-C."""

import json
import signal
import threading
import time
from typing import Any

import click

from .app import JSON, example, main

PROBABILITY = click.FloatRange(0, 1)


def quotas_of(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    from ..aws.instances import instance
    from ..aws.quotas import QUOTAS

    quotas = {}
    for text in given:
        kind, equals, count = text.partition("=")
        if not equals or not count.isdigit():
            raise click.BadParameter(f"{text!r} is not of the form TYPE=N, such as ml.c5.4xlarge=2")
        quotas[kind if kind in QUOTAS else instance(kind, hosting=True).name] = int(count)
    return quotas


@example(
    "simferry emulator",
    "simferry emulator --quota ml.c5.4xlarge=2 --lost-hosts 0.1",
    "simferry emulator --spot-interruptions 1",
)
@main.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5555, show_default=True, help="The port; 0 uses any free one."
)
@click.option(
    "--quota",
    "quotas",
    multiple=True,
    callback=quotas_of,
    metavar="TYPE=N",
    help="Maximum number of instances of a type; SPOT, EC2 or FARGATE: the quota of vCPUs that Batch's machines have.",
)
@click.option("--throttle", type=PROBABILITY, default=0.0, metavar="P", help="Throttle requests.")
@click.option(
    "--capacity-errors",
    type=PROBABILITY,
    default=0.0,
    metavar="P",
    help="Start jobs without capacity. SageMaker's fail, Batch's wait.",
)
@click.option("--lost-hosts", type=PROBABILITY, default=0.0, metavar="P", help="Let jobs lose a host while they run.")
@click.option(
    "--spot-interruptions",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Interrupt each training job on managed Spot N times, within 3 seconds of its starts.",
)
@click.option(
    "--start-seconds", type=click.FloatRange(0), default=0.2, show_default=True, help="Time until a job starts."
)
@click.option(
    "--list-lag", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Time until a job is listed."
)
@click.option("--seed", type=int, default=0, help="The seed of the faults.")
@click.option("--iam", is_flag=True, help="Enforce the policies of docs/iam.")
@click.option("--region", default="us-east-1", show_default=True)
@JSON
def emulator(
    port: int,
    quotas: dict[str, int],
    throttle: float,
    capacity_errors: float,
    lost_hosts: float,
    spot_interruptions: int,
    start_seconds: float,
    list_lag: float,
    seed: int,
    iam: bool,
    region: str,
    as_json: bool,
) -> None:
    """Rehearse at no cost: AWS on this machine, with jobs in Docker.

    It has S3, IAM, ECR, logs, CloudFormation, SageMaker's jobs and endpoints, and AWS Batch. It prints environment
    variables, with which all AWS SDKs use it, then a line for each event of a job or a stack. The access key is new at each start.
    Ctrl-C ends the emulator, and removes its jobs, containers and everything in its S3. P is a probability.
    """
    from ..emulator import Emulator, Faults

    stop = threading.Event()

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second Ctrl-C ends the process at once
        stop.set()

    def event(text: str) -> None:
        click.echo(json.dumps({"time": time.time(), "event": text}) if as_json else f"{time.strftime('%X')}  {text}")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    faults = Faults(seed, throttle, capacity_errors, lost_hosts, start_seconds, list_lag)
    faults.spot_interruptions = spot_interruptions
    with Emulator(port, quotas, faults, iam, region, event) as started:
        click.echo(json.dumps(described(started)) if as_json else greeting(started))
        while not stop.wait(3600):
            pass


def described(emulator: Any) -> dict[str, Any]:
    from ..emulator.server import CLEARED

    return {
        "url": emulator.url,
        "environment": emulator.environment,
        "unset": list(CLEARED),
        "bucket": emulator.bucket,
        "role": emulator.role,
        "registry": emulator.registry,
    }


def greeting(emulator: Any) -> str:
    from ..containers.engine import EngineError, connect
    from ..emulator.server import CLEARED

    variables = emulator.environment
    quoted = ", ".join(f'{name} = "{value}"' for name, value in variables.items())
    unset = ", ".join(f'"{name}"' for name in CLEARED)
    lines = [
        f"AWS is at {emulator.url} until Ctrl-C. For another shell:",
        "",
        *(f"export {name}={value}" for name, value in variables.items()),
        f"unset {' '.join(CLEARED)}",
        "",
        "Or in R:",
        "",
        f"Sys.setenv({quoted})",
        f"Sys.unsetenv(c({unset}))",
        "",
        f"bucket  s3://{emulator.bucket}",
        f"role    {emulator.role}",
        f"docker login, docker push: ECR's registry is {emulator.registry}",
        "",
        "simferry run simulate.R -p n=10,20,50 --replications 1000 --backend sagemaker --instance-type ml.m5.xlarge "
        f"--image simferry-r --role {emulator.role} --store s3://{emulator.bucket}/simferry",
        "",
    ]
    try:
        connect()
    except EngineError as error:
        lines += [f"Only jobs need Docker. {error.message}. {error.hint}", ""]
    return "\n".join(lines)
