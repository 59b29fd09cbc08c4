"""The commands that note, copy, compare and delete runs."""

import sys

import click

from ..system.terminal import shown
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
