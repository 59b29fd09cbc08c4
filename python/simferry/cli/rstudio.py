"""The commands of `simferry infra rstudio`."""

from typing import TYPE_CHECKING

import click

from .app import JSON, example
from .infra import NAME, YES, infra
from .output import print_json, tell

if TYPE_CHECKING:
    from ..infra.rstudio import RStudio


@infra.group()
def rstudio() -> None:
    """RStudio on a machine in AWS, with R, Docker and simferry, reached without opening anything to the network.

    \b
    Example:
      simferry infra rstudio deploy --accept-licence
      simferry infra rstudio open
      simferry infra rstudio stop
    """


@example(
    "simferry infra rstudio deploy --accept-licence",
    "simferry infra rstudio deploy --parameter IdleMinutes=120 --parameter InstanceType=m7i.xlarge",
)
@rstudio.command()
@NAME
@click.option("--accept-licence", is_flag=True, help="Accept RStudio Server's licence, the GNU AGPL version 3.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the template.")
@click.option("--template", metavar="FILE", help="Your own copy of the template.")
@YES
@JSON
def deploy(
    name: str | None, accept_licence: bool, parameters: tuple[str, ...], template: str | None, yes: bool, as_json: bool
) -> int:
    """Make the machine, or update it, in some ten minutes.

    It installs R, RStudio Server, Docker and this simferry, and may submit runs. It needs the stack of simferry infra deploy. It stops
    itself after 60 minutes without use (IdleMinutes); a stopped machine costs only its disk.
    """
    from ..infra import rstudio
    from .options import named_values

    found = rstudio.deploy(
        name,
        accept_licence=accept_licence,
        template=template,
        parameters=named_values("--parameter", parameters),
        yes=yes,
        tell=tell,
    )
    if found is None:
        return 1
    _print(found, as_json)
    return 0


@example("simferry infra rstudio open", "simferry infra rstudio open --port 8800")
@rstudio.command()
@NAME
@click.option("--port", default=8787, show_default=True, type=int, help="The port of this machine.")
def open(name: str | None, port: int) -> None:
    """Connect RStudio to http://localhost:8787, until Ctrl-C. Needs AWS's session-manager-plugin."""
    from ..infra import rstudio

    rstudio.open(name, port=port, tell=tell)


@rstudio.command()
@NAME
def password(name: str | None) -> None:
    """Print the password of the user rstudio. The machine makes a new one at each start."""
    from ..infra import rstudio

    click.echo(rstudio.password(name))


@rstudio.command()
@NAME
@JSON
def start(name: str | None, as_json: bool) -> None:
    """Start the machine after it was stopped, or has stopped itself."""
    from ..infra import rstudio

    _print(rstudio.start(name, tell=tell), as_json)


@rstudio.command()
@NAME
@JSON
def stop(name: str | None, as_json: bool) -> None:
    """Stop the machine. R sessions on it end; its disk stays, and costs by the month."""
    from ..infra import rstudio

    _print(rstudio.stop(name, tell=tell), as_json)


@rstudio.command()
@NAME
@JSON
def show(name: str | None, as_json: bool) -> None:
    """Show the machine's state, and what it costs."""
    from ..infra import rstudio

    _print(rstudio.show(name), as_json)


@rstudio.command()
@NAME
@YES
def delete(name: str | None, yes: bool) -> int:
    """Delete the machine with its disk. It asks first. Bucket, images and roles stay."""
    from ..infra import rstudio

    return 0 if rstudio.delete(name, yes=yes, tell=tell) else 1


def _print(found: "RStudio", as_json: bool) -> None:
    from ..infra.rstudio import described

    if as_json:
        print_json(described(found))
    else:
        click.echo(str(found))
