"""The command report."""

from typing import Any

import click

from ..errors import UsageError
from ..hints import Option
from .app import STORE, Deferred, example, main
from .measures import _roles


@example("simferry report latest -o report.html", "simferry report --preregistration sweep.toml -o plan.html")
@main.command()
@click.argument("name", metavar="RUN|SWEEP")
@click.option("-o", "--output", metavar="FILE", required=True, help="The page to write: .html.")
@click.option("--preregistration", is_flag=True, help="Of a sweep file: what is planned, before anything has run.")
@Deferred(_roles)
@click.option("--measures", metavar="NAME,...", help="The wanted measures [all that the columns allow].")
@click.option(
    "--cases", metavar="complete|all", help="Rows that count: with estimate and standard error, or all [complete]."
)
@click.option("--dropbig", is_flag=True, help="Leave out estimates far from the others; they are counted.")
@click.option(
    "--winsorize", type=float, metavar="K", help="Move estimates beyond K interquartile ranges; they are counted."
)
@STORE
def report(name: str, output: str, preregistration: bool, store: str | None, **given: Any) -> None:
    """Write a report: one page of HTML.

    It is for readers who do not have simferry: the study in words (the table [study] of the sweep file), the design, measures with their
    Monte Carlo standard errors, figures, failures and warnings, versions, code, and how to compute it again. It needs no other file and
    no network.
    """
    from ..verbs import report as verb
    from ..verbs.runs import open as open_run

    options = {key: value for key, value in given.items() if value is not None and value is not False}
    if preregistration:
        from ..sweep.file import read_sweep

        if options:
            raise UsageError(f"{Option(next(iter(options)))} is for runs: the sweep file has its own")
        written = verb.preregistration(read_sweep(name), output)
    else:
        written = verb.report(open_run(name, store), output, **options)
    click.echo(f"{written}: {written.stat().st_size / 1000:,.0f} kB")
