"""The commands of `simferry image`."""

import json
import sys
from pathlib import Path

import click

from ..errors import UsageError
from ..hints import Command
from ..system.terminal import styled
from ..words import counted
from .app import main
from .output import print_json, tell


@main.group()
def image() -> None:
    """Build, check and push images.

    \b
    Example:
      simferry image build containers/r
    """


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@image.command()
@click.argument("folder", required=False)
@click.option(
    "--for", "script", metavar="SCRIPT", help="Find the packages that this script needs, and write a Dockerfile."
)
@click.option("--name", metavar="NAME", help="The image's name [simferry-<folder>].")
@click.option("--package", "packages", multiple=True, metavar="NAME", help="With --for: an additional package.")
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="A build argument of the Dockerfile."
)
@click.option("--platform", metavar="OS/ARCH", help="Build for another platform, such as linux/amd64.")
@click.option("--write", metavar="DIR", help="Folder for the Dockerfile of --for [SCRIPT.image beside the script].")
@click.option("--rebuild", is_flag=True, help="Build even if there is an image of this recipe.")
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

    The tag is a hash of all files and arguments, so an unchanged recipe is not built again.

    \b
    Example:
      simferry image build containers/r --build-arg "PACKAGES=lme4 survival"
      simferry image build --for simulations/social_distancing/parallel.R
    """
    from ..images import recipes as images
    from ..screen import last_line
    from .options import named_values

    if (folder is None) == (script is None):
        raise UsageError("name a folder with a Dockerfile, or --for SCRIPT", Command("image build", "containers/r"))
    given = named_values("--build-arg", build_args)
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
        click.echo(f"{built.tag} exists already: its recipe has not changed")
    else:
        click.echo(f"built {built.tag} (also {made_of.name}:latest)")


@image.command()
@click.argument("name")
@JSON
def check(name: str, as_json: bool) -> int:
    """Test whether an image meets the contract.

    It checks the interpreter, the user, the folders, the worker and the exit codes.

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
    "--to",
    metavar="REGISTRY",
    help="A registry, such as 123456789012.dkr.ecr.us-west-2.amazonaws.com [the repository of simferry infra's stack].",
)
@JSON
def push(name: str, to: str | None, as_json: bool) -> None:
    """Push an image to ECR or another registry.

    Without --to it goes to the repository of the stack that simferry infra deploy makes. To another registry than ECR, Docker has to be
    logged in.

    A missing ECR repository is created, with immutable tags, scan on push and expiry of old images.

    \b
    Example:
      simferry image push simferry-r
      simferry image push simferry-r --to 123456789012.dkr.ecr.us-west-2.amazonaws.com
    """
    from ..images import registry
    from ..screen import last_line

    with last_line(show=not as_json) as on_progress:
        pushed = registry.push(name, to, on_progress)
    if as_json:
        click.echo(json.dumps(vars(pushed)))
    else:
        click.echo(f"{pushed.uri} {'exists already' if pushed.skipped else 'is pushed'} ({pushed.digest[:19]})")


@image.command()
@click.option(
    "--repository", metavar="NAME", help="A repository of simferry [that of the stack, and those of no stack]."
)
@click.option("--keep", type=int, default=1, metavar="N", help="Keep the newest N images of each name [1].")
@click.option("--older-than", type=float, default=0, metavar="DAYS", help="Only images that were pushed before.")
@click.option("--used", is_flag=True, help="Also images that kept runs use: these runs can't be resumed then.")
@click.option("--store", "stores", multiple=True, metavar="STORE", help="Runs in this store count, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
def prune(
    repository: str | None,
    keep: int,
    older_than: float,
    used: bool,
    stores: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Delete images from ECR that no run uses any more.

    It shows which, with their sizes, and asks. The newest image of each name stays. So do images of jobs that run, and of runs that are
    kept in simferry's buckets, in the default bucket, in $SIMFERRY_STORE and on this machine.

    \b
    Example:
      simferry image prune --older-than 30
      simferry image prune --store s3://my-bucket/simferry --yes
    """
    from ..infra import pruning

    done = pruning.prune_images(
        repository, keep=keep, older_than=older_than, used=used, store=stores, yes=yes, tell=tell
    )  # fmt: skip
    if done is None:
        return 1
    if as_json:
        images = [{"name": one.name, "digest": one.digest, "gigabytes": one.gigabytes} for one in done.images]
        print_json({"images": images, "repositories": done.repositories, "gigabytes": done.gigabytes})
    else:
        click.echo(f"{counted(len(done.images), 'image')} deleted, at most {done.gigabytes:,.3f} GB")
    return 0
