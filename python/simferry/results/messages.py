"""What replications of a run said: their failures and warnings, read a piece at a time. There may be millions, each with a text."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from ..hints import Shell
from ..store.run_folder import RunFolder
from ..sweep.arrow import empty
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from .collect import gathered
from .gather import Merge
from .parameter_columns import output_names, repeats, with_columns
from .parts import whole, write_table
from .table import check_memory

_IN_MEMORY = 6  # times the bytes of the texts, each of which is an object in pandas, and in R again


@dataclass
class Messages:
    """A table of condition, replication, the parameters and the columns of failures or of warnings. rows: of the pieces that were
    read."""

    schema: pa.Schema
    size: int  # about how many bytes it has
    rows: int
    _writes: Shell  # the command that writes them into a file
    _run: RunFolder
    _merge: Merge
    _design: Design
    _renamed: dict[str, str | None]

    def pieces(self) -> Iterator[pa.Table]:
        """The table in pieces, at least one."""
        self.rows = 0
        yield empty(self.schema)
        for piece in self._merge.pieces():
            self.rows += piece.num_rows
            yield _with_own_paths(self._run, with_columns(piece, self._design, self._renamed))

    def table(self) -> pa.Table:
        """All of it. Raises StoreError if that does not fit the memory."""
        check_memory(
            f"the errors or warnings of run {self._run.id}", _IN_MEMORY * self.size,
            self._writes + "  writes them a part at a time.",
        )  # fmt: skip
        return whole(self.schema, self.pieces())

    def head(self, most: int) -> pa.Table:
        """The first rows, without calls and tracebacks."""
        names = [name for name in self.schema.names if name not in ("call", "traceback")]
        some = [empty(self.schema)]
        for piece in self.pieces():
            some.append(piece.slice(0, max(0, most - sum(map(len, some)))))
        return pa.concat_tables(some).select(names)

    def write(self, path: Path) -> None:
        """The table as a Parquet file."""
        write_table(path, self.schema, self.pieces())


@contextlib.contextmanager
def messages(run: RunFolder, name: str) -> Iterator[Messages]:
    """The table `failures` or `warnings` of a run. It can be read inside of `with`."""
    is_function = run.record.simulation["kind"] == "function"
    wanted = (name,) if is_function else (name, "results")  # a results file that can't be read is a failure
    with gathered(run, wanted) as found:
        merge, design = found.merge(name), read_conditions(run)
        renamed = output_names(merge.schema.names, design, lambda name: repeats(name, merge.pieces(), design))
        schema = with_columns(empty(merge.schema), design, renamed).schema
        writes = Shell("simferry", "errors", run.handle, "-o", "FILE.parquet")
        if name == "warnings":
            writes = Shell("simferry", "errors", run.handle, "--warnings", "-o", "FILE.parquet")
        yield Messages(schema, merge.size, 0, writes, run, merge, design, renamed)


def _with_own_paths(run: RunFolder, failures: pa.Table) -> pa.Table:
    """Failures whose tracebacks name the files of the user's, where these are still there, instead of the run's copies."""
    path = run.record.simulation.get("path")
    if not isinstance(path, str) or "traceback" not in failures.column_names:
        return failures
    folder = Path(path).parent
    is_file = cache(Path.is_file)

    def located(found: re.Match[str]) -> str:
        own = folder / found[1]
        return f'File "{own}"' if is_file(own) else found[0]

    at = failures.column_names.index("traceback")
    texts = [text and re.sub(r'File "([^"/<][^"]*)"', located, text) for text in failures["traceback"].to_pylist()]
    return failures.set_column(at, "traceback", pa.array(texts, failures["traceback"].type))
