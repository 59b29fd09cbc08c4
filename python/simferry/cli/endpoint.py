"""The commands of `simferry endpoint`, and `simferry transform`."""

import sys
from pathlib import Path

import click

from ..system.terminal import shown
from .app import JSON, example, main, with_options
from .output import print_json, tell

MADE_OF = (
    click.argument("image"),
    click.option("--model", metavar="FILE", help="The model: a tar.gz, or s3://... [the image has its own]."),
)
OF_BOTH = (
    click.option("--env", multiple=True, metavar="NAME=VALUE", help="An environment variable of the container."),
    click.option("--role", metavar="ROLE", help="The role [that of the stack, or $SIMFERRY_ROLE]."),
    click.option("--stack", metavar="NAME", help="The stack of simferry infra [$SIMFERRY_STACK, or simferry]."),
)
CONTENT = click.option(
    "--content-type", metavar="TYPE", default="text/csv", show_default=True, help="The content type of the data."
)
ACCEPT = click.option("--accept", metavar="TYPE", help="The content type that is wanted as the answer.")


@main.group()
def endpoint() -> None:
    """Models that answer requests in AWS.

    deploy makes an endpoint, invoke asks it. It costs until it is deleted.

    \b
    Example:
      simferry endpoint deploy simferry-sklearn --model model.tar.gz --instance-type ml.t2.medium
      simferry endpoint invoke simferry-sklearn data.csv
      simferry endpoint delete simferry-sklearn
    """


@example(
    "simferry endpoint deploy simferry-sklearn --model s3://bucket/model.tar.gz --instance-type ml.t2.medium --budget 2",
    "simferry endpoint deploy simferry-sklearn --model model.tar.gz --serverless --memory 2048 --concurrency 5",
)
@endpoint.command()
@with_options(*MADE_OF)
@click.option("--name", metavar="NAME", help="The endpoint's name [that of the image].")
@click.option("--instance-type", metavar="TYPE", help="The type of its machines [ml.t2.medium].")
@click.option("--instances", type=int, metavar="N", help="Their number [1].")
@click.option("--serverless", is_flag=True, help="No machines of its own: it costs nothing while it is idle.")
@click.option("--memory", type=int, metavar="MB", help="Of a serverless endpoint: 1024 to 6144 [2048].")
@click.option("--concurrency", type=int, metavar="N", help="Of a serverless endpoint: requests at once [5].")
@click.option("--budget", type=float, metavar="DOLLARS", help="Refuse what can cost more a day.")
@with_options(*OF_BOTH)
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
def deploy(image: str, env: tuple[str, ...], as_json: bool, **given: object) -> int:
    """Make an endpoint from an image that answers requests (docker run IMAGE serve), and wait until it answers.

    It tells first what it costs an hour and a day, and asks. An image of this machine is pushed to ECR, a model of this machine uploaded.
    If it is interrupted, the same command goes on.
    """
    from ..aws.endpoints import described
    from ..hints import Command
    from ..hosting import Endpoint
    from .options import named_values

    made = Endpoint.deploy(image, env=named_values("--env", env), tell=tell, **given)  # type: ignore[arg-type]
    if made is None:
        return 1
    found = made.describe()
    if as_json:
        print_json(described(found))
    else:
        click.echo(str(found))
        click.echo(Command("endpoint invoke", found.name, "data.csv"))
        click.echo(Command("endpoint delete", found.name) + "  ends what it costs")
    return 0


@example("simferry endpoint list", "simferry endpoint list --json")
@endpoint.command("list")
@JSON
def list_(as_json: bool) -> None:
    """List the endpoints of the account in the configured region, with what they cost an hour."""
    from ..aws.endpoints import described, running

    found, more = running()
    if as_json:
        print_json([described(one) for one in found])
        return
    for one in found:
        click.echo(shown(str(one), sys.stdout))
    if more:
        click.echo(f"and {more:,} more")
    unknown = more or any(one.dollars_an_hour is None for one in found)
    dollars = sum(one.dollars_an_hour or 0.0 for one in found)
    click.echo(f"{'at least ' if unknown else ''}${dollars:.2f} an hour, ${24 * dollars:.2f} a day")


@example(
    "simferry endpoint invoke simferry-sklearn data.csv",
    "simferry endpoint invoke churn data.json --content-type application/json -o answer.json",
)
@endpoint.command()
@click.argument("name")
@click.argument("data", metavar="FILE")
@CONTENT
@ACCEPT
@click.option("-o", "--output", metavar="FILE", help="Write the answer into a file.")
def invoke(name: str, data: str, content_type: str, accept: str | None, output: str | None) -> None:
    """Send a file to an endpoint, and print the answer. `-` is standard input."""
    from ..hosting import Endpoint
    from ..system.files import write_whole, writing

    body = sys.stdin.buffer.read() if data == "-" else Path(data)
    answer = Endpoint(name).invoke(body, content_type, accept)
    if output:
        with writing(Path(output), "Choose another place for the answer."):
            write_whole(Path(output), answer)
    elif sys.stdout.isatty():
        click.echo(shown(answer.decode(errors="backslashreplace"), sys.stdout), nl=not answer.endswith(b"\n"))
    else:
        click.echo(answer, nl=False)


@example("simferry endpoint logs simferry-sklearn")
@endpoint.command()
@click.argument("name")
@JSON
def logs(name: str, as_json: bool) -> None:
    """Show what the containers of an endpoint have printed."""
    from ..hosting import Endpoint

    found = Endpoint(name).logs()
    if as_json:
        print_json(found)
        return
    for stream, text in found.items():
        if len(found) > 1:
            click.echo(f"== {stream}")
        click.echo(shown(text, sys.stdout), nl=False)
    if not found:
        tell(f"endpoint {name} has printed nothing yet")


@example("simferry endpoint delete simferry-sklearn")
@endpoint.command()
@click.argument("name")
@click.option("--any", is_flag=True, help="Also one that simferry has not made.")
def delete(name: str, any: bool) -> None:
    """Delete an endpoint, its configuration and its model, also what an interrupted deletion has left. It costs nothing any more."""
    from ..hosting import Endpoint

    Endpoint(name).delete(any=any, tell=tell)


@example(
    "simferry transform simferry-sklearn --model model.tar.gz data.csv -o answers",
    "simferry transform simferry-sklearn --model s3://bucket/model.tar.gz s3://bucket/data/ -o s3://bucket/answers",
)
@main.command()
@with_options(*MADE_OF)
@click.argument("source", metavar="INPUT")
@click.option("-o", "--output", metavar="FOLDER", required=True, help="For the answers: a folder, or s3://...")
@click.option(
    "--split",
    metavar="lines|files",
    default="lines",
    show_default=True,
    help="Send several lines in a request, or whole files.",
)
@click.option("--single", is_flag=True, help="Send each line alone.")
@CONTENT
@ACCEPT
@click.option("--instance-type", metavar="TYPE", help="The type of its machines [ml.m5.large].")
@click.option("--instances", type=int, default=1, metavar="N", help="Their number [1].")
@click.option("--name", metavar="NAME", help="The job's name [that of the image, and a number].")
@with_options(*OF_BOTH)
@JSON
def transform(
    image: str, model: str | None, source: str, output: str, env: tuple[str, ...], as_json: bool, **given: object
) -> None:
    """Let a model answer all lines of files, in AWS.

    INPUT is a file or a folder, or s3://... It tells what an hour costs, waits for the end, and leaves nothing but the answers.
    Ctrl-C stops the job.
    """
    from dataclasses import asdict

    from ..hosting import transform
    from .options import named_values

    done = transform(
        image, model, source, output, env=named_values("--env", env), tell=tell, **given  # type: ignore[arg-type]
    )  # fmt: skip
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(str(done))
