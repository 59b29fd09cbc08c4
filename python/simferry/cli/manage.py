"""The commands that note, copy, compare and delete runs."""

import sys
from typing import Any

import click

from ..errors import RunNotFound, UsageError
from ..system.terminal import shown
from ..words import counted
from .app import JSON, RUN, STORE, example, main
from .output import head_of, print_json


@example('simferry note latest "the numbers of table 1"', "simferry note latest")
@main.command()
@RUN
@click.argument("text", metavar="[TEXT]", required=False)
@STORE
@JSON
def note(name: str, text: str | None, store: str | None, as_json: bool) -> None:
    """Show the note on a run, or replace it by TEXT. An empty TEXT removes it."""
    from ..verbs import runs

    found = runs.open(name, store)
    if text is not None:
        found.note = text
    now = found.note
    if as_json:
        print_json({**head_of(found), "note": now})
    elif now:
        click.echo(shown(now, sys.stdout))
    else:
        click.echo(f"run {found.id} has no note", err=True)


@example("simferry artifacts latest", "simferry artifacts latest '3/*/plot.png' -o plots")
@main.command()
@RUN
@click.argument("pattern", metavar="[PATTERN]", required=False)
@click.option("-o", "--output", "folder", metavar="FOLDER", help="Copy the files there.")
@STORE
@JSON
def artifacts(name: str, pattern: str | None, folder: str | None, store: str | None, as_json: bool) -> None:
    """List or copy the files that replications left.

    PATTERN is condition/replication/file, such as '3/*/plot.png': * stands for any part of a name, ** also for folders. The copies are
    in folders of their condition and replication. Links are not followed, and no file is replaced.
    """
    from ..verbs import runs

    found = runs.open(name, store)
    paths = found.artifacts(pattern=pattern, folder=folder)
    if as_json:
        print_json({**head_of(found), "files": [str(path) for path in paths]})
    elif folder is not None:
        click.echo(f"{counted(len(paths), 'file')} in {folder}")
    else:
        for path in paths:
            click.echo(shown(str(path), sys.stdout))
        if not paths:
            click.echo(f"run {found.id} has left no files", err=True)


@example("simferry diff paper latest")
@main.command("diff")
@click.argument("first", metavar="RUN1")
@click.argument("second", metavar="RUN2")
@STORE
@JSON
def diff_(first: str, second: str, store: str | None, as_json: bool) -> int:
    """Show how two runs differ in code, settings and numbers.

    Settings are the environment, the seed, the design and the options.

    Results are compared replication by replication, bit for bit, where both runs have a condition with the same parameters. The exit
    code is 0 if they differ in nothing, else 1.
    """
    from ..verbs.diff import diff

    found = diff(first, second, store)
    if as_json:
        numbers = {
            "both": found.numbers.both,
            "first_only": found.numbers.first_only,
            "second_only": found.numbers.second_only,
        }
        numbers |= {name: getattr(found.numbers, name).to_dict("records") for name in ("replications", "outputs")}
        head = {"first": found.first, "second": found.second, "same": found.same, "code": found.code}
        print_json({**head, "settings": found.settings.to_dict("records"), "numbers": numbers})
    else:
        click.echo(shown(str(found), sys.stdout))
    return 0 if found.same else 1


@example("simferry delete power-20261122-6cd2f3a8", "simferry delete paper latest --yes")
@main.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@STORE
@JSON
def delete(names: tuple[str, ...], yes: bool, store: str | None, as_json: bool) -> None:
    """Delete runs, with their results. This cannot be undone.

    It asks first. A run that is being computed is not deleted. Other runs that have taken over results keep them.
    """
    from ..store.places import remains_of
    from ..verbs import runs
    from ..verbs.delete import check_idle

    found: dict[str, Any] = {}
    for name in names:
        try:
            one = runs.open(name, store)
        except RunNotFound:
            if (left := remains_of(name, store)) is None:
                raise
            found[left.address] = left
        else:
            check_idle(one._folder)  # before any is deleted
            found[one.address] = one
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "nothing is deleted: there is no terminal on which to ask", "--yes  deletes without asking."
            )
        for one in found.values():
            click.echo(shown(described(one)), err=True)
        if not click.confirm(f"Delete {counted(len(found), 'run')}?", err=True):
            click.echo("nothing is deleted", err=True)
            return
    for address, one in found.items():
        one.delete()
        if not as_json:
            click.echo(f"deleted {address}")
    if as_json:
        print_json({"deleted": list(found)})


def described(one: Any) -> str:
    """A run in a line: its address, how much of it is done, its name and note."""
    if not hasattr(one, "status"):
        return f"what an interrupted deletion left in {one.address}"
    now = one.status()
    told = "".join(f", {word} {text!r}" for word, text in (("name", one.name), ("note", one.note)) if text)
    return f"{one.address}: {now.done:,} of {counted(now.total, 'replication')} done{told}"
