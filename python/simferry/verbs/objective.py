"""The objective of a search: the mean of an output, a measure, or a function of the replications' rows."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..analysis.cells import Cells
from ..analysis.own_measures import Functions, own_measures
from ..analysis.sources import Source
from ..analysis.until import cautious
from ..driver.search import Objective, Outcome, Search
from ..errors import StoreError, UsageError, nearest
from ..hints import Text, Upgrade, Words
from ..search.searcher import Searcher
from ..store.run_folder import RunFolder
from ..sweep.roles import roles
from ..sweep.stopping import Until
from .precision import measures_of

Builder = Callable[[Mapping[str, Any]], Searcher]

BUILDERS: dict[
    str, Builder
] = {}  # by kind of search: makes the searcher of what the run's record has under "arguments"
FUNCTIONS: dict[str, Functions] = {}  # by a run's address: the objective, where it is a function of this session


def searcher_of(search: Mapping[str, Any]) -> Searcher:
    """The searcher that a run's record describes, which was told nothing yet. Raises StoreError."""
    kind = search.get("kind")
    if not isinstance(kind, str) or kind not in BUILDERS:
        raise StoreError(f"there is no search of kind {kind!r}", "Update simferry: " + Upgrade())
    return BUILDERS[kind](search["arguments"])


def search_of(run: RunFolder) -> Search:
    """The search of a run, as its record has it. Raises StoreError, and UsageError where its objective is a function that is not there."""
    record, function = run.record.search, FUNCTIONS.get(run.address)
    try:
        searcher, name, method = searcher_of(record), record["objective"], record.get("method")
        numbers = {one: _above_0(record, one, int) for one in ("replications", "at_once", "evaluations", "most")}
        seconds = _above_0(record, "seconds", (int, float))
        if numbers["replications"] is None or numbers["at_once"] is None or not isinstance(name, str | None):
            raise ValueError("it has no number of replications, or no objective")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = f"It is in run.json of {run.address}"
        raise StoreError(f"the search of run {run.id} can't be read: {error}", where) from None
    if name is None and function is None:
        raise UsageError(
            f"the objective of run {run.id} is a function, which is not kept with the run",
            "Give it again where you resume the run.",
        )
    objective = of_functions(function) if function else of_name(str(name), run.record.measures, method)
    return Search(searcher, objective, **numbers, rounds=bool(record.get("rounds")), seconds=seconds)


def _above_0(record: Mapping[str, Any], name: str, kind: Any) -> Any:
    value = record.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool) or not value > 0):
        raise ValueError(f"its {name} is {value!r}")
    return value


def of_name(name: str, given: Mapping[str, Any], method: Any = None, option: Words = "the objective") -> Objective:
    """The mean of an output, or a measure: "measure:bias" where an output has the measure's name.

    given: the columns of measures by their roles. method: which one, where the rows are of several. option: how errors name it.
    """

    def objective(outcome: Outcome) -> tuple[float, float]:
        source = _source(outcome)
        if (outputs := source.outputs()) and name not in outputs and not given.get("estimate"):
            raise UsageError(
                Text(
                    option,
                    f": the simulation has no output {name!r}; measures need the column that holds the estimates",
                ),
                nearest(name, outputs) or f"There are: {', '.join(outputs)}.",
            )
        ((_, _, some, found, is_share),) = measures_of(source, Until({name: 1.0}), given, option)
        cells = _cells(some, method, option)
        with np.errstate(invalid="ignore", divide="ignore"):
            mcse = cautious(found, is_share)
        return float(found.estimate[cells]), float(mcse[cells])

    return objective


def of_functions(functions: Functions) -> Objective:
    """A function of the rows of a condition's replications, with the parameters; of several the first. Its MCSE is the jackknife's."""

    def objective(outcome: Outcome) -> tuple[float, float]:
        names = [name for name in outcome.rows.column_names if name not in ("condition", "replication")]
        if not outcome.rows.num_rows or not names:
            return math.nan, math.nan
        some = Cells(_source(outcome), roles({"estimate": _a_number(outcome), "by": []}), complete=False)
        found = own_measures(some, functions)[functions.names[0]]
        return float(found.estimate[0]), float(found.mcse[0])

    return objective


def _a_number(outcome: Outcome) -> str:
    """A column of numbers, which cells of estimates have to have."""
    fields = [f for f in outcome.rows.schema if f.name not in ("condition", "replication")]
    number = (str(f.name) for f in fields if _is_number(f.type))
    if (name := next(number, None)) is None:
        raise UsageError("the simulation has no output that is a number")
    return name


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _source(outcome: Outcome) -> Source:
    """As if the run had this one condition."""
    rows = outcome.rows
    at = rows.schema.get_field_index("condition")
    rows = rows.set_column(at, rows.schema.field(at), pa.array(np.ones(len(rows), dtype=np.int32)))
    done, failed = np.array([outcome.done]), np.array([outcome.failed])
    return Source(lambda: [rows], rows.schema, done, failed, outcome.design)


def _cells(some: Cells, method: Any, option: Words) -> int:
    """The number of the one method that counts."""
    names = [", ".join(map(str, label.keys.values())) for label in some.estimates.labels]
    if len(names) == 1 and method is None:
        return 0
    if method is None:
        raise UsageError(Text(option, f" is of one method, and the rows are of {len(names)}: {', '.join(names)}"))
    if str(method) not in names:
        raise UsageError(
            Text(option, f": no rows are of the method {method!r}"),
            nearest(str(method), names) or f"There are: {', '.join(names)}.",
        )
    return names.index(str(method))
