"""What a run says of its numbers: summary, measures, contrasts; and the options of these."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ..analysis.measure_table import MeasureTable, contrast_table, measure_table
from ..analysis.oddities import averaged_keys, oddities, without_means
from ..analysis.outliers import Outliers
from ..analysis.own_measures import Functions, PythonFunctions
from ..analysis.row_keys import check_keys
from ..analysis.sources import across, of_run
from ..analysis.statistics import ALSO_CALLED
from ..analysis.summary import first_rows
from ..errors import Note, UsageError
from ..hints import Option
from ..results import same_seeds
from ..results import table as results
from ..results.parts import Results
from ..screen import MOST_ROWS, Head
from ..store.run_folder import RunFolder
from ..sweep.roles import Roles, roles

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from ..report.figure_data import FigureData

ROLES = ("estimate", "truth", "se", "interval", "p_value", "df", "by", "reference", "alpha")
T = TypeVar("T")
Told = TypeVar("Told", MeasureTable, "FigureData")
Table = Callable[..., T]  # of a source and roles: measure_table, contrast_table, or what a figure shows


class Measuring:
    """The methods of a run that look at its numbers."""

    _folder: RunFolder

    def summary(self, by: str | Iterable[str] | None = None) -> "pd.DataFrame":
        """Per condition and numeric output: n, failed, missing, warnings, mean, sd and MCSE, as a pandas.DataFrame.

        by: outputs that distinguish the rows of one replication, such as "method"; None: the text outputs.
        Raises UsageError where there is no such output.
        """
        return results.as_pandas(self._summary(by, None)[0], self._folder.record.parameters)

    def _summary_head(self, by: str | Iterable[str] | None = None) -> Head:
        """What a terminal shows of the summary."""
        head, rows = self._summary(by, MOST_ROWS)
        return Head(results.as_shown(head[:MOST_ROWS], self._folder.record.parameters), rows, head.column_names)

    def _summary(self, by: str | Iterable[str] | None, most: int | None) -> "tuple[pa.Table, int]":
        """At least the first `most` rows of the summary (None: all), and how many it has."""
        run, by = self._folder, check_keys(by)
        found, out = results.reading(run, lambda found: (found, first_rows(run, found, by, most)))
        if not found.is_small:  # all that warns looks at the whole table
            return out
        self._warn_of_oddities(found.table(), stacklevel=4)
        for warning in without_means(self._folder, found.table()) + averaged_keys(self._folder, found.table(), by):
            warnings.warn(warning, stacklevel=3)
        return out

    def measures(self, **options: Any) -> "pd.DataFrame":
        """Bias, coverage, power and other measures, each with its Monte Carlo standard error. Options: see `simferry.measures`.

        Returns a pandas.DataFrame. Raises UsageError for columns that are not there or do not fit.
        """
        return shown(self._measured(measure_table, options))

    def contrast(self, **options: Any) -> "pd.DataFrame":
        """The differences of methods from a reference in every measure. Options: see `simferry.contrast`.

        Returns a pandas.DataFrame. Raises UsageError for columns that are not there or do not fit.
        """
        return shown(self._measured(contrast_table, options))

    def plot(self, kind: str, *, conditions: Any = None, methods: Any = None, **options: Any) -> Any:
        """Draw a figure with matplotlib: "zip", "forest", "lolly", "nested_loop", "estimates", "convergence" or "differences".

        kind: see `simferry.plot`. conditions: numbers of those that are drawn. methods: names of those that are drawn. options: as for
        `measures`, where the run does not know them. Returns matplotlib's Axes, or an array of them where there are several panels. Raises
        UsageError for what is not there or does not fit, and where matplotlib is not installed.
        """
        from ..report.figure_data import check_kind, chosen, figure_of
        from ..report.plots import drawn

        check_kind(kind)
        return drawn(told(self._measured(figure_of(kind, chosen(conditions, methods)), options)))

    def _warn_of_oddities(self, rows: "pa.Table", stacklevel: int = 3) -> None:
        if same := same_seeds.conditions(rows.schema.metadata):
            warnings.warn(Note(same_seeds.note(self._folder.id, same)), stacklevel=stacklevel)
        for warning in oddities(self._folder, rows):
            warnings.warn(warning, stacklevel=stacklevel)

    def _measured(self, table: Table[T], options: dict[str, Any]) -> T:
        run = self._folder
        given, how = asked(options, table, run.record.measures)
        first = (given.by or ("",))[0]
        is_across = table is contrast_table and first in run.record.parameters and not given.is_across_estimates()

        def made(found: Results) -> T:
            return table(across(run, found, first) if is_across else of_run(run, found), given, **how)

        return results.reading(run, made)


def asked(
    options: dict[str, Any], table: Table[Any], recorded: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Roles, dict[str, Any]]:
    """The roles, and the other options as arguments of measure_table or contrast_table. recorded: roles that the run knows. Raises
    UsageError."""
    options = dict(options)
    own = {name: options.pop(name, None) for name in ROLES}
    given = roles({**recorded, **{name: value for name, value in own.items() if value is not None}})
    wanted = wanted_measures(options.pop("measures", None))
    cases = options.pop("cases", None) or "complete"
    mcse = options.pop("mcse", None) or "jackknife"
    if cases not in ("complete", "all"):
        raise UsageError(f"cases is {cases!r}; it has to be complete or all")
    if mcse not in ("jackknife", "formula", "bootstrap"):
        raise UsageError(f"mcse is {mcse!r}; it has to be jackknife or formula, or bootstrap for own measures")
    winsor, drop = options.pop("winsorize", None), bool(options.pop("dropbig", False))
    if winsor is not None and (
        drop or isinstance(winsor, bool) or not isinstance(winsor, int | float) or not winsor > 0
    ):
        raise UsageError(
            "winsorize is a number of interquartile ranges above 0, and not beside dropbig", Option("winsorize", 3)
        )
    out: dict[str, Any] = {"wanted": wanted, "complete": cases == "complete", "outliers": Outliers(drop, winsor)}
    at, functions = options.pop("quantiles", None), options.pop("own", None)
    if options:
        raise UsageError(f"there is no option {next(iter(options))!r}")
    if table is contrast_table:
        return given, out
    how = {"formula": mcse == "formula", "at": _probabilities(at), "bootstrap": mcse == "bootstrap"}
    return given, {**out, **how, "own": _own(functions)}


def _own(given: Any) -> Functions | None:
    if not given or isinstance(given, Functions):
        return given or None
    if not isinstance(given, Mapping) or not all(isinstance(n, str) and callable(f) for n, f in given.items()):
        raise UsageError("own takes functions by the names of their measures")
    return PythonFunctions(given)


def wanted_measures(value: Any) -> Sequence[str] | None:
    """The names of measures that are given. Raises UsageError."""
    if value is None:
        return None
    listed = value.split(",") if isinstance(value, str) else list(value)
    if not all(isinstance(one, str) for one in listed):
        raise UsageError(f"measures is {value!r}; it takes names")
    return [ALSO_CALLED.get(name, name) for one in listed if (name := one.strip())]


def _probabilities(value: Any) -> Sequence[float]:
    listed = value.split(",") if isinstance(value, str) else [value] if isinstance(value, int | float) else value or ()
    try:
        out = [float(one) for one in listed]
    except (TypeError, ValueError):
        out = [-1.0]
    if not all(0 < one < 1 for one in out):
        raise UsageError(
            f"quantiles is {value!r}; it takes probabilities between 0 and 1", Option("quantiles", [0.1, 0.9])
        )
    return out


def shown(found: MeasureTable) -> "pd.DataFrame":
    """The table as a pandas.DataFrame, with its notes."""
    return told(found, stacklevel=4).frame()


def told(found: Told, stacklevel: int = 3) -> Told:
    """What was found; its notes are warnings of the class Note."""
    for note in found.notes:
        warnings.warn(note, Note, stacklevel=stacklevel)
    return found
