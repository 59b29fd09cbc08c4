"""The commands that look at estimates: measures and contrast."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import Note
from .app import JSON, STORE, Deferred, example, main
from .output import print_json, records_of

if TYPE_CHECKING:
    from ..analysis.measure_table import MeasureTable

DATA_SET = click.option(
    "--data-set", metavar="COLUMN", help="Of a table: the column that says which rows are of one data set."
)


def _roles() -> list[Any]:
    from ..sweep.measure_options import MeasureOptions
    from .options import options_of

    return options_of(MeasureOptions)


_HOW = [
    click.option("--measures", metavar="NAME,...", help="The wanted measures [all that the columns allow]."),
    click.option("--cases", metavar="complete|all", help="Rows that count: with estimate and standard error, or all [complete]."),
    click.option("--dropbig", is_flag=True, help="Leave out estimates far from the others; they are counted."),
    click.option("--winsorize", type=float, metavar="K", help="Move estimates beyond K interquartile ranges; they are counted."),
    click.option("--format", "layout", type=click.Choice(["table", "csv", "json", "latex", "markdown"]), default="table",
                 show_default=True, help="How the table is written."),
    click.option("-o", "--output", metavar="FILE", help="Write the table with all digits: .parquet or .csv."),
]  # fmt: skip


def _options(*parts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(command: Any) -> Any:
        for option in reversed([one for part in parts for one in part]):
            command = option(command)
        return command

    return add


@example(
    "simferry measures latest --estimate est --truth theta --se se --by method",
    "simferry measures table.csv --estimate b --truth 0.5 --se se --by method,dgm --data-set dataset",
)
@main.command()
@click.argument("name", metavar="RUN|TABLE")
@Deferred(_roles)
@DATA_SET
@_options(_HOW)
@click.option("--quantiles", metavar="P,...", help="Quantiles of the estimates besides the median.")
@click.option(
    "--mcse",
    metavar="jackknife|formula",
    help="Standard errors by the jackknife where the published formula holds for normal estimates only, or by formula [jackknife].",
)
@STORE
@JSON
def measures(name: str, layout: str, output: str | None, as_json: bool, **given: Any) -> None:
    """Show bias, coverage, power and other measures.

    RUN is a run, TABLE a CSV or Parquet file with a row for each estimate. Each has its MCSE, the Monte Carlo standard error: how far the
    number may be from that of infinitely many replications.
    """
    from ..analysis.measure_table import measure_table

    _write(name, measure_table, layout, output, as_json, given)


@example("simferry contrast latest --estimate est --truth theta --by method --reference CC")
@main.command()
@click.argument("name", metavar="RUN|TABLE")
@Deferred(_roles)
@DATA_SET
@_options(_HOW)
@STORE
@JSON
def contrast(name: str, layout: str, output: str | None, as_json: bool, **given: Any) -> None:
    """Show how methods differ in each measure.

    Differences are paired: on the replications that both methods have. With a parameter as --by, conditions are compared: paired where
    they share their random numbers (--common), and else as independent.
    """
    from ..analysis.measure_table import contrast_table

    _write(name, contrast_table, layout, output, as_json, given)


def _write(name: str, table: Any, layout: str, output: str | None, as_json: bool, given: dict[str, Any]) -> None:
    from ..analysis.layouts import in_layout
    from ..verbs.measures import made
    from .output import check_output, is_shown, write_table

    if output:
        check_output(output)
    found = made(table, name, **{name: value for name, value in given.items() if value is not None})
    if output:
        write_table(found.table, output, as_json)
    elif as_json or layout == "json":
        print_json(records_of(found.frame()))
    elif layout == "table" and is_shown(as_json):
        _show(found)
    else:
        click.echo(in_layout(found, layout), nl=False)
    for note in found.notes:
        warnings.warn(note, Note, stacklevel=1)


def _show(found: "MeasureTable") -> None:
    """The head of a table, on a terminal."""
    import numpy as np

    from ..analysis.layouts import cells, constant
    from ..screen import MOST_ROWS, Head, show_head

    names, rows, right = cells(replace(found, table=found.table.slice(0, MOST_ROWS)))
    columns = list(np.array(rows, dtype=object).reshape(-1, len(names)).T)
    spare = ("nominal", "condition") if found.parameters else ("nominal",)
    show_head(Head(columns, found.table.num_rows, names, right, constant(found), spare))
