"""The commands of `simferry infra`."""

import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from ..system.terminal import shown
from .app import JSON, example, main
from .output import print_json, tell

if TYPE_CHECKING:
    from ..infra import Infrastructure

NAME = click.option("--name", metavar="NAME", help="The name of the stack [$SIMFERRY_STACK, or simferry].")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


@main.group()
def infra() -> None:
    """Make and remove what runs need in an AWS account.

    \b
    Example:
      simferry infra deploy
      simferry run sweep.toml --backend batch --jobs 200
      simferry infra delete
    """


@example("simferry infra deploy", "simferry infra deploy --name lab --parameter DeleteRunsAfterDays=90")
@infra.command()
@NAME
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the templates.")
@click.option(
    "--template", "paths", multiple=True, metavar="FILE", help="Your own copy of a template; may be given for both."
)
@YES
@JSON
def deploy(name: str | None, parameters: tuple[str, ...], paths: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Make a bucket for runs, a repository for images, the roles of jobs, and queues of AWS Batch.

    It shows what would be added, changed, replaced or removed, asks, and follows CloudFormation to the end. Runs with --backend
    sagemaker or batch then take bucket, roles and queue from the stacks. While nothing runs, only what is stored costs.
    """
    from ..infra import deployment
    from .options import named_values

    given = named_values("--parameter", parameters)
    found = deployment.deploy(name, template=paths, parameters=given, yes=yes, tell=tell)
    if found is None:
        return 1
    if as_json:
        print_json(_described(found))
    else:
        click.echo(str(found))
    return 0


@example("simferry infra show", "simferry infra show --costs")
@infra.command()
@NAME
@click.option("--costs", is_flag=True, help="Ask Cost Explorer what this month has cost. AWS charges $0.01 for that.")
@JSON
def show(name: str | None, costs: bool, as_json: bool) -> None:
    """Show what is there, what runs now, and what it costs."""
    from ..infra import inventory

    found = inventory.show(name, costs=costs, tell=tell)
    if as_json:
        print_json(_described(found))
    else:
        click.echo(str(found))


@example("simferry infra list", "AWS_DEFAULT_REGION=eu-west-1 simferry infra list --json")
@infra.command("list")
@JSON
def list_(as_json: bool) -> None:
    """List all that simferry has made in the account.

    Stacks, buckets with the runs in them, repositories with their images, and logs, with their sizes; endpoints, with their costs;
    also what no stack has made, and what a deleted one has left. It looks at the configured region only. Where access is denied, the
    rest is listed.
    """
    from dataclasses import asdict

    from ..infra import listing

    found = listing.list_all()
    if as_json:
        print_json(
            {
                **asdict(found, dict_factory=_json),
                **{name: getattr(found, name) for name in ("dollars_an_hour", "dollars_a_month")},
            }
        )
    else:
        click.echo(shown(str(found), sys.stdout))


@example("simferry infra delete", "simferry infra delete --data")
@infra.command()
@NAME
@click.option("--data", is_flag=True, help="Delete the bucket with all its runs, too.")
@YES
def delete(name: str | None, data: bool, yes: bool) -> int:
    """Delete the stacks. The bucket stays while something is in it, unless --data is given.

    It names what would go, and asks. It can be repeated until all is gone.
    """
    from ..infra import removal

    return 0 if removal.delete(name, data=data, yes=yes, tell=tell) else 1


@example("simferry infra template base > mine.yaml", "simferry infra deploy --template mine.yaml")
@infra.command()
@click.argument("name", metavar="[TEMPLATE]", default="base")
def template(name: str) -> None:
    """Print a template of CloudFormation, to read or to change. TEMPLATE: base, batch or rstudio [base]."""
    from ..infra import templates

    click.echo(templates.template(name), nl=False)


def _described(found: "Infrastructure") -> dict[str, object]:
    from dataclasses import asdict

    costs = {name: getattr(found, name) for name in ("instances", "dollars_an_hour", "dollars_a_month")}
    return {**asdict(found, dict_factory=_json), **costs}


def _json(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a dataclass as JSON has them: times as ISO 8601."""
    return {
        name: value.isoformat() if isinstance(value, date) else [*value] if isinstance(value, tuple) else value
        for name, value in items
    }
