"""Verbs that note, copy, compare and delete runs."""

from ..r.serialization import Vector
from .arguments import Arguments, plain, verb
from .drivers import drivers, keep_spare
from .runs import open_run


@verb
def note(given: Arguments) -> str:
    """The note on a run; with `note` a new one."""
    found = open_run(given)
    if given.get("note") is not None:
        found.note = plain({"note": given["note"]})["note"]
    return str(found.note)


@verb
def artifacts(given: Arguments) -> Vector:
    """Paths of files that replications left; with `folder` of their copies there."""
    options = plain({name: value for name, value in given.items() if name not in ("run", "store")})
    return Vector("string", [str(path) for path in open_run(given).artifacts(**options)])


@verb
def diff(given: Arguments) -> Arguments:
    from ..verbs.diff import diff

    found = diff(open_run(given), open_run({**given, "run": given["other"]}))
    out = {"same": found.same, "code": found.code, "settings": found.settings.astype("string")}
    return {**out, **vars(found.numbers), "text": Vector("string", str(found).splitlines())}


@verb
def delete(given: Arguments) -> str:
    """Delete a run. Returns its address."""
    found = open_run(given)
    process = drivers.get(found.address)
    if process is not None and process.has_ended():
        keep_spare(drivers.pop(found.address))
    found.delete()
    return str(found.address)
