"""The commands of `simferry image`: they parse arguments, call `images`, `infer` and `registry`, and print."""

import json
import sys
from pathlib import Path

import click

from ..errors import UsageError
from ..hints import Command
from ..system.terminal import styled
from .app import main


@main.group()
def image() -> None:
    """Images: build, check and push them.

    \b
    Example:
      simferry image build containers/r
    """


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@image.command()
@click.argument("folder", required=False)
@click.option(
    "--for", "script", metavar="SCRIPT", help="Find out what this script needs, and write the Dockerfile for it."
)
@click.option("--name", metavar="NAME", help="The image's name [simferry-<folder>].")
@click.option("--package", "packages", multiple=True, metavar="NAME", help="One more package, with --for.")
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="A build argument of the Dockerfile."
)
@click.option("--platform", metavar="OS/ARCH", help="Build for another platform, such as linux/amd64.")
@click.option("--write", metavar="DIR", help="Where --for puts Dockerfile and all [SCRIPT.image beside the script].")
@click.option("--rebuild", is_flag=True, help="Build although an image of this recipe is here.")
@JSON
def build(
    folder: str | None,
    script: str | None,
    name: str | None,
    packages: tuple[str, ...],
    build_args: tuple[str, ...],
    platform: str | None,
    write: str | None,
    rebuild: bool,
    as_json: bool,
) -> None:
    """Build an image from a folder with a Dockerfile, or for a script.

    The tag is the hash of everything that goes in: an unchanged recipe is not built again.

    \b
    Example:
      simferry image build containers/r --build-arg "PACKAGES=lme4 survival"
      simferry image build --for simulations/social_distancing/parallel.R
    """
    from ..images import recipes as images
    from ..screen import last_line

    if (folder is None) == (script is None):
        raise UsageError("give a folder with a Dockerfile, or --for SCRIPT", Command("image build", "containers/r"))
    given = {}
    for text in build_args:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--build-arg {text} is not of the form NAME=VALUE")
        given[key] = value
    if script is not None:
        from ..images.infer import recipe_for, write_recipe

        made_of = recipe_for(script, name, packages)
        made_of.build_args = given
        target = Path(write) if write else Path(script).with_suffix(".image")
        write_recipe(made_of, target)
        if not as_json:
            click.echo(f"wrote {target / 'Dockerfile'}")
    else:
        made_of = images.recipe(folder or ".", name, given)
    made_of.platform = platform
    with last_line(show=not as_json) as on_progress:
        built = images.build(made_of, on_progress, rebuild)
    if as_json:
        click.echo(json.dumps(vars(built)))
    elif built.skipped:
        click.echo(f"{built.tag} is here already: nothing in its recipe has changed")
    else:
        click.echo(f"built {built.tag} (also {made_of.name}:latest)")


@image.command()
@click.argument("name")
@JSON
def check(name: str, as_json: bool) -> int:
    """Prove that an image keeps the contract.

    It looks at the interpreter, the user, the folders, the worker and the exit codes.

    \b
    Example:
      simferry image check simferry-r
    """
    from ..verbs import image_check

    found = image_check.check(name)
    if as_json:
        click.echo(json.dumps([vars(f) for f in found]))
    for f in [] if as_json else found:
        mark = styled("ok", sys.stdout, fg="green") if f.ok else styled("!!", sys.stdout, fg="red")
        click.echo(f"{mark}  {f.what}: {f.found}")
    return 0 if all(f.ok for f in found) else 1


@image.command()
@click.argument("name")
@click.option(
    "--to", required=True, metavar="REGISTRY", help="A registry, such as 123456789012.dkr.ecr.us-west-2.amazonaws.com."
)
@JSON
def push(name: str, to: str, as_json: bool) -> None:
    """Push an image to ECR or another registry.

    To another registry than ECR, Docker has to be logged in.

    An ECR repository is made where it is missing: immutable tags, scan on push, old images expire.

    \b
    Example:
      simferry image push simferry-r --to 123456789012.dkr.ecr.us-west-2.amazonaws.com
    """
    from ..images import registry
    from ..screen import last_line

    with last_line(show=not as_json) as on_progress:
        pushed = registry.push(name, to, on_progress)
    if as_json:
        click.echo(json.dumps(vars(pushed)))
    else:
        click.echo(f"{pushed.uri} {'is there already' if pushed.skipped else 'is pushed'} ({pushed.digest[:19]})")
