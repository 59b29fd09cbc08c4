"""What replications returned that is no row of the table: value.rds or value.pkl, one file for each replication."""

import itertools
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import StoreError, UsageError
from ..hints import Option
from ..r.functions import rds_object
from ..r.serialization import Other, Vector
from ..r.values import from_r
from ..store.keys import of_key
from ..store.own_runs import is_own, only_ours
from ..store.run_folder import RunFolder
from ..store.spans import without
from ..system import untrusted
from .collect import gathered
from .copies import expanded
from .sorted_rows import keys
from .table import with_parameters

MOST_BYTES = 1 << 32  # of a file
_FILES = ("value.rds", "value.pkl")


@dataclass(frozen=True)
class Kept:
    """The file of a replication. path: of the file; trusted: whether reading it may run code; run: for errors."""

    condition: int
    replication: int
    path: Path
    data: bytes
    trusted: bool
    run: RunFolder

    @property
    def is_pickle(self) -> bool:
        return self.path.name == "value.pkl"

    def value(self) -> Any:
        """The value in Python. What R's values become is in r/values.py. Raises UsageError."""
        return self.unpickled() if self.is_pickle else from_r(self.r_object())

    def unpickled(self) -> Any:
        if not self.trusted:
            raise self.distrusted("can be read by running code in it only")
        try:
            return pickle.loads(self.data)
        except Exception as error:
            raise UsageError(f"{self.where} can't be read: {type(error).__name__}: {error}") from None

    def r_object(self) -> Vector | Other | None:
        """What simferry's own reader finds in the file, which runs no code."""
        try:
            return rds_object(self.data)
        except ValueError as error:
            raise UsageError(f"{self.where} can't be read: {error}") from None

    @property
    def where(self) -> str:
        at = f"condition {self.condition}, replication {self.replication}"
        return f"what {at} of run {self.run.id} returned ({self.path.name})"

    def distrusted(self, why: str) -> UsageError:
        return UsageError(
            f"{self.where} {why}, and nothing shows that this user's local backend wrote it",
            Option("trust", True) + "  reads it, if you trust all who could write to the run.",
        )


def kept_whole(run: RunFolder, trust: bool = False) -> Iterator[Kept]:
    """The files, by condition and replication. trust: whether files may be read that could run code, whoever wrote them.

    Raises UsageError for a run of scripts or commands, StoreError if a file cannot be read.
    """
    if run.record.simulation["kind"] != "function":
        raise UsageError(
            f"run {run.id} is of a {run.record.simulation['kind']}, whose values are the files that it writes",
            run.command("results") + "  is the table of its results files.",
        )
    pairs, maybe = _with_values(run)
    if not pairs and not maybe:
        return
    root = run.bring_artifacts()
    own = is_own(run)
    for condition, replication in sorted(pairs | maybe):
        for file in _FILES:
            name = f"{condition}/{replication}/{file}"
            data = untrusted.read(root, name, MOST_BYTES + 1)
            if data is not None:
                trusted = trust or (own and only_ours(run.path, f"artifacts/{name}"))
                yield Kept(condition, replication, root / name, data, trusted, run)
                break
        else:
            if (condition, replication) in pairs:
                raise StoreError(
                    f"the file of condition {condition}, replication {replication} of run {run.id} is gone"
                )


def _with_values(run: RunFolder) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Conditions and replications that say that a value was kept, and those that have no rows: blocks of earlier versions do not say."""
    with gathered(run, ("results", "objects")) as found:
        said = [np.unique(keys(piece)) for piece in found.merge("objects").pieces()]
        ok = expanded(*without(found.replications.spans(), found.failed))
        is_silent = np.ones(len(ok), dtype=bool)
        ok_and_end = np.append(ok, -1)
        for key in itertools.chain(said, (keys(piece) for piece in found.merge("results").pieces())):
            at = np.searchsorted(ok, key)
            is_silent[at[ok_and_end[at] == key]] = False  # of those that are there
    return _pairs(said), _pairs([ok[is_silent]])


def _pairs(some: list[np.ndarray]) -> set[tuple[int, int]]:
    return {pair for key in some for pair in zip(*(part.tolist() for part in of_key(key)), strict=True)}


def with_ids(run: RunFolder, found: list[Kept]) -> pa.Table:
    """Condition, replication and the parameters of each."""
    ids = {name: pa.array([getattr(one, name) for one in found], pa.int32()) for name in ("condition", "replication")}
    return with_parameters(run, pa.table(ids))
