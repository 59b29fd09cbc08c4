"""Reports of runs, and of sweep files before anything has run."""

from .arguments import Arguments, plain, verb
from .runs import open_run


@verb
def report(given: Arguments) -> str:
    from ..verbs import report as reports

    options = {
        name: value for name, value in plain(given).items() if value is not None and name not in ("run", "store")
    }
    path = options.pop("path", None)
    if options.pop("preregistration", False):
        from ..sweep.file import read_sweep

        return str(reports.preregistration(read_sweep(plain({"run": given["run"]})["run"]), str(path)))
    return str(reports.report(open_run(given), str(path), **options))
