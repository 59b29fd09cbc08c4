"""Performance measures of a run, or of any table, and differences between methods."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.measure_table import contrast_table, measure_table
from ..analysis.sources import of_table
from ..errors import UsageError
from ..hints import Option, Text
from ..sweep.any_table import as_arrow, is_table_file
from .measuring import T, Table, asked, shown
from .runs import Run
from .runs import open as open_run

if TYPE_CHECKING:
    import pandas as pd


def measures(
    data: Any,
    *,
    estimate: str | Sequence[str] | None = None,
    truth: "str | float | Path | Sequence[str | float] | Mapping[str, Any] | pd.DataFrame | None" = None,
    se: str | Sequence[str] | None = None,
    interval: str | Sequence[str] | None = None,
    p_value: str | Sequence[str] | None = None,
    df: str | float | None = None,
    by: str | Sequence[str] | None = None,
    reference: Any = None,
    alpha: float | Sequence[float] | None = None,
    measures: str | Sequence[str] | None = None,
    quantiles: float | Sequence[float] | None = None,
    cases: str | None = None,
    mcse: str | None = None,
    dropbig: bool | None = None,
    winsorize: float | None = None,
    own: Mapping[str, Callable[["pd.DataFrame"], Any]] | None = None,
    data_set: str | None = None,
    store: str | Path | None = None,
) -> "pd.DataFrame":
    """Bias, coverage, power and the other measures of a run, or of any table, each with its Monte Carlo standard error.

    data: a Run, the name of one, a table of pandas, Polars or Arrow, or the path of a CSV or Parquet file.
    estimate: the column of estimates, or several. truth: the true value: a number, a parameter, a column, or a
    table (a pandas.DataFrame, a CSV or Parquet file) with columns that say of which condition, parameters and method a truth is. se: the
    column of standard errors. interval: the columns of lower and upper ends. p_value, df: columns; without `interval`, intervals are
    estimate -/+ quantile x se, of the normal or, with df, of t. by: columns that tell the methods apart; None: the texts. reference: the
    method that relative precision compares with; None: the first one. alpha: the level of tests, or several.
    measures: names of the wanted ones; None: all that the columns allow. quantiles: probabilities. cases: "complete" (estimate and
    standard error are there) or "all" (each measure counts what it has). mcse: "jackknife" (where it is right and the published
    formula is not: docs/measures.md) or "formula". dropbig: leave out estimates far from the others. winsorize: or move those beyond
    so many interquartile ranges. data_set: of a table, the column that says which rows are of one data set. store: where a run is
    looked for. own: measures of yours, by name: functions of a pandas.DataFrame with the rows of one condition and method, which return a
    number; their standard errors are the jackknife's, or with mcse="bootstrap" the bootstrap's, which medians and quantiles need.

    Returns a pandas.DataFrame: condition, the parameters, the columns of `by`, measure, estimate, mcse, replications, missing, failed,
    nominal. Raises UsageError for columns that are not there or do not fit.
    """
    given = locals()  # the arguments
    return shown(made(measure_table, **given))


def contrast(
    data: Any,
    *,
    estimate: str | Sequence[str] | None = None,
    truth: "str | float | Path | Sequence[str | float] | Mapping[str, Any] | pd.DataFrame | None" = None,
    se: str | Sequence[str] | None = None,
    interval: str | Sequence[str] | None = None,
    p_value: str | Sequence[str] | None = None,
    df: str | float | None = None,
    by: str | Sequence[str] | None = None,
    reference: Any = None,
    alpha: float | Sequence[float] | None = None,
    measures: str | Sequence[str] | None = None,
    cases: str | None = None,
    dropbig: bool | None = None,
    winsorize: float | None = None,
    data_set: str | None = None,
    store: str | Path | None = None,
) -> "pd.DataFrame":
    """The difference of each method from the reference, in every measure, with the Monte Carlo standard error of the difference.

    It is paired: it stands on the replications that both have. With `by` a parameter, its values are the methods; they are paired where
    the run gave their conditions the same random numbers (`common`), and else compared as independent.

    data, estimate, truth, se, interval, p_value, df, by, reference, alpha, measures, cases, dropbig, winsorize, data_set, store: as
    for `measures`. Returns a pandas.DataFrame: condition, the
    parameters, the columns of `by`, measure, estimate (the difference), mcse, replications, missing, failed, reference, paired. Raises
    UsageError for columns that are not there or do not fit.
    """
    given = locals()  # the arguments
    return shown(made(contrast_table, **given))


def made(table: Table[T], data: Any, **options: Any) -> T:
    """The measures, contrasts or figure of what `data` is. store: where a run is looked for."""
    store, data_set = options.pop("store", None), options.pop("data_set", None)
    if isinstance(data, str | Path) and not is_table_file(data):
        data = open_run(data, store)
    if isinstance(data, Run):
        if data_set is not None:
            raise UsageError(Text(Option("data_set"), " is for tables: a run knows its replications"))
        return data._measured(table, options)
    given, how = asked(options, table)
    return table(of_table(as_arrow(data), data_set), given, **how)
