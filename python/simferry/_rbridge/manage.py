"""Verbs that note, copy, compare and delete runs."""

from .arguments import Arguments, plain, verb
from .runs import open_run


@verb
def note(given: Arguments) -> str:
    """The note on a run; with `note` a new one."""
    found = open_run(given)
    if given.get("note") is not None:
        found.note = plain({"note": given["note"]})["note"]
    return str(found.note)
