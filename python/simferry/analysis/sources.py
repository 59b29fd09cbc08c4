"""Where estimates come from: the results of a run, or any table. Both as pieces that are sorted by condition and replication."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..results.parts import Results
from ..store.run_folder import RunFolder
from ..sweep.arrow import as_numpy, empty, whole_numbers
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from .estimates import Pieces
from .row_keys import texts


@dataclass
class Source:
    """schema: of the pieces. done, failed: numbers of replications by condition. design: the parameters of a run's conditions. whole:
    those of the run's own conditions, where several of them are one here. is_paired: rows of one replication are known to belong
    together. is_single: there is one condition, which has no number. is_shared: the methods of a replication have the same data; else
    they are conditions that are independent. some_columns: reads no others."""

    pieces: Pieces
    schema: pa.Schema
    done: np.ndarray
    failed: np.ndarray
    design: Design | None = None
    whole: Design | None = None
    is_paired: bool = True
    is_single: bool = False
    is_shared: bool = True
    some_columns: Callable[[Sequence[str]], Iterable[pa.Table]] | None = None

    def only(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The pieces, with some columns besides condition and replication."""
        if self.some_columns is not None:
            yield from self.some_columns(columns)
        else:
            names = list(dict.fromkeys([*self.schema.names[:2], *columns]))
            yield from (piece.select(names) for piece in self.pieces())

    @property
    def conditions(self) -> int:
        return len(self.done)

    def outputs(self) -> list[str]:
        """The columns that are neither numbers of condition and replication nor parameters."""
        known = ("condition", "replication", *(self.design.names if self.design else ()))
        return [name for name in self.schema.names if name not in known]


def of_run(run: RunFolder, results: Results) -> Source:
    """The results of a run."""
    return Source(
        results.pieces, results.schema, results.counts.done, results.counts.failed, read_conditions(run),
        some_columns=lambda columns: results.pieces(columns=columns),
    )  # fmt: skip


def across(run: RunFolder, results: Results, parameter: str) -> Source:
    """The results of a run in which conditions that differ in one parameter alone are one, and the parameter tells its methods apart."""
    source, common = of_run(run, results), run.record.common
    design = source.design
    assert design is not None
    rest = design.table.drop_columns([parameter])
    first: dict[str, int] = {}
    texts = map(repr, rest.to_pylist()) if rest.column_names else [""] * len(design)
    number = np.array([first.setdefault(text, len(first)) for text in texts])
    chosen = list(dict.fromkeys(number.tolist()))
    begins = [int(np.flatnonzero(number == one)[0]) for one in chosen]

    def pieces() -> Iterator[pa.Table]:
        for one in chosen:
            conditions = np.flatnonzero(number == one) + 1
            rows = results.of_conditions(conditions.tolist())
            order = np.lexsort((as_numpy(rows["condition"]), as_numpy(rows["replication"])))
            rows = rows.take(whole_numbers(order))
            at = rows.schema.get_field_index("condition")
            yield rows.set_column(at, "condition", whole_numbers(np.full(len(rows), one + 1)))

    def largest(counts: np.ndarray) -> np.ndarray:
        out = np.zeros(len(chosen), dtype=np.int64)
        np.maximum.at(out, number, counts)
        return out

    types = {name: kind for name, kind in design.types.items() if name != parameter}
    others = Design(
        {name: rest[name].take(whole_numbers(np.array(begins))) for name in types}, types, known_distinct=True
    )
    shared = common == "all" or parameter in common
    done, failed = largest(results.counts.done), largest(results.counts.failed)
    return Source(pieces, source.schema, done, failed, others, design, is_shared=shared)


def of_table(table: pa.Table, data_set: str | None = None) -> Source:
    """Any table. Columns condition and replication are what a run's are; without a condition all rows are of one.

    data_set: the column that says which rows are of one data set. Raises UsageError."""
    is_single = "condition" not in table.column_names
    condition = np.ones(len(table), dtype=np.int64) if is_single else _whole(table, "condition")
    name = data_set or ("replication" if "replication" in table.column_names else None)
    if name is None:
        number = np.arange(1, len(table) + 1)
    elif name not in table.column_names:
        raise UsageError(f"data_set: there is no column {name!r}", nearest(name, table.column_names))
    elif pa.types.is_integer(table[name].type) and not table[name].null_count:
        number = as_numpy(table[name]).astype(np.int64)
    else:
        codes = table[name].combine_chunks().dictionary_encode().indices
        number = codes.to_numpy(zero_copy_only=False).astype(np.int64) + 1
    table = table.select([one for one in table.column_names if one not in ("condition", "replication", name)])
    ahead, further = np.diff(condition), np.diff(number)
    if ((ahead < 0) | ((ahead == 0) & (further < 0))).any():
        order = np.lexsort((number, condition))
        table, condition, number = table.take(whole_numbers(order)), condition[order], number[order]
    for i, (column, values) in enumerate({"condition": condition, "replication": number}.items()):
        table = table.add_column(i, column, whole_numbers(values))
    many = int(condition.max(initial=1))
    new = np.r_[True, (np.diff(condition) != 0) | (np.diff(number) != 0)][: len(table)]
    done = np.bincount(condition[new] - 1, minlength=many)
    return Source(
        lambda: [table],
        table.schema,
        done,
        np.zeros(many, dtype=np.int64),
        is_paired=name is not None,
        is_single=is_single,
    )


def _whole(table: pa.Table, name: str) -> np.ndarray:
    values = table[name].cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    if not ((values >= 1) & (values == np.floor(values)) & (values < 2**31)).all():
        raise UsageError(f"column {name!r} has values that are no numbers of conditions: whole numbers from 1 on")
    return np.asarray(values.astype(np.int64))


def keys_of(source: Source, by: tuple[str, ...] | None, used: list[str]) -> tuple[str, ...] | None:
    """The columns that tell the rows of a replication apart: of `by` those that are no parameters; None where they are not given and
    no texts are there that could be."""
    if by is not None:
        return tuple(name for name in by if not (source.design and name in source.design.names))
    found = [name for name in texts(empty(source.schema)) if name in source.outputs() and name not in used]
    return None if found else ()
