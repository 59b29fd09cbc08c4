"""The tables of a run, from its blocks: each replication once, sorted by condition and replication."""

import contextlib
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..store.keys import key_of, of_key
from ..store.run_folder import RunFolder
from ..store.spans import Spans, joined, without
from ..sweep.arrow import as_numpy
from ..sweep.conditions import read_conditions
from .copies import expanded
from .gather import TABLES, Gathered
from .parameter_columns import output_names, repeats, with_columns
from .read import read_blocks


@dataclass
class Collected:
    """The tables of a run, sorted by condition and replication, each replication once.

    replications: condition, replication, ok, seconds. results: condition, replication and the outputs. failures: condition,
    replication, message, call, traceback. warnings: condition, replication, message, count. objects: what was kept whole:
    condition, replication, output (empty: all of the value), kind.
    """

    replications: pa.Table
    results: pa.Table
    failures: pa.Table
    warnings: pa.Table
    objects: pa.Table


def gathered(run: RunFolder, wanted: tuple[str, ...] = TABLES) -> Gathered:
    """The wanted tables of a run's blocks. Use it in `with`."""
    out = Gathered(run.record.simulation["results_file"], wanted, run.path)
    try:
        for number, (name, block) in enumerate(read_blocks(run)):
            out.add(name, block, number)
        out.finish()
    except BaseException:
        out.close()
        raise
    return out


def done_spans(run: RunFolder, failed: bool = True, plans: Container[str] = ()) -> Spans:
    """The replications of finished blocks, as spans that are apart (see store/spans.py): there may be very many.

    failed: include those that failed. Without it, only those that failed in one of these `plans` are included.
    """
    with gathered(run, () if failed else ("results",)) as found:
        spans = found.replications.spans()
        if failed:
            return spans
        dealt = [i for name, i in found.numbers.items() if name[: name.index("-")] in plans]
        return joined(without(spans, found.failed), found.replications.spans(dealt))


def done(run: RunFolder, failed: bool = True, plans: Container[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """The same, one by one: (conditions, replications), two integer arrays."""
    return of_key(expanded(*done_spans(run, failed, plans)))


class Some:
    """What some blocks hold. done, failed: keys of replications, sorted."""

    def __init__(self, run: RunFolder, found: Gathered) -> None:
        self._run, self._found = run, found
        self.done, self.failed = expanded(*found.replications.spans()), found.failed

    def rows(self, condition: int, last: int) -> pa.Table:
        """The rows of a condition's replications up to the last, with the parameters."""
        found, design = self._found.table("results"), read_conditions(self._run)
        chosen = (as_numpy(found["condition"]) == condition) & (as_numpy(found["replication"]) <= last)
        rows = found.filter(pa.array(chosen))
        names = output_names(rows.column_names, design, lambda name: repeats(name, [rows], design))
        return with_columns(rows, design, names)

    def first_message(self) -> str:
        """Of a replication that failed; empty where none has."""
        messages = self._found.table("failures")["message"]
        return str(messages[0]) if len(messages) else ""


@contextlib.contextmanager
def of_some_blocks(run: RunFolder, names: Collection[str], wanted: tuple[str, ...]) -> Iterator[Some]:
    """What some blocks of a run hold, whose names these are, and of their tables those that are wanted."""
    with Gathered(run.record.simulation["results_file"], wanted, run.path) as found:
        for number, (name, block) in enumerate(read_blocks(run, only=names)):
            found.add(name, block, number)
        found.finish()
        yield Some(run, found)


def collect(run: RunFolder) -> Collected:
    """The tables of all blocks of a run."""
    with gathered(run, ("replications", *TABLES)) as found:
        tables = {name: found.table(name) for name in ("replications", *TABLES)}
        tables["results"] = tables["results"].replace_schema_metadata(found.metadata(tables["objects"]))
        if len(found.unreadable):
            status = tables["replications"]
            key = key_of(as_numpy(status["condition"]), as_numpy(status["replication"]))
            ok = status["ok"].to_numpy() & ~np.isin(key, found.unreadable)
            tables["replications"] = status.set_column(2, "ok", pa.array(ok))
        return Collected(**tables)
