"""Failures and warnings are read without the results, and a piece at a time where there are many."""

from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest
import simferry as sf
from command_line import said
from hand_made import outputs_of
from simferry.errors import StoreError
from simferry.results import gather
from simferry.results.collect import collect
from simferry.results.messages import messages
from simferry.results.table import with_parameters


@pytest.fixture
def said_much(hand_made):
    """A run of two conditions, with a failure and a warning in each block."""
    made = hand_made(sf.grid(n=[10, 20], message=["a", "b"]), replications=60)
    for i in range(1, 31):
        done = [(1, 2 * i), (1, 2 * i - 1, False), (2, i)]
        failed, warned = [(1, 2 * i - 1, f"x is {i}", f"f({i})", "f\n" * i)], [(2, i, f"slow {i}", i)]
        made.add(done, [outputs_of(1, [2 * i], x=[0.5])], failed, warned)
    return made.run


@pytest.mark.parametrize("small", [False, True])
def test_they_are_those_of_all_tables(small, said_much, tmp_path, monkeypatch):
    expected = collect(said_much)
    if small:
        monkeypatch.setattr(gather, "HELD_BYTES", 300)
        monkeypatch.setattr(gather, "PIECE_BYTES", 100)
    for name, verb in (("failures", ["errors"]), ("warnings", ["errors", "--warnings"])):
        with messages(said_much, name) as found:
            rows = with_parameters(said_much, getattr(expected, name))
            assert (len([*found.pieces()]) > 2) == small
            assert found.table().equals(rows) and found.rows == 30
            assert found.head(7).equals(rows.slice(0, 7).drop_columns({"call", "traceback"} & {*rows.column_names}))
        said(*verb, str(said_much.path), "-o", str(tmp_path / "out.parquet"))
        file = pq.ParquetFile(tmp_path / "out.parquet")
        assert file.read().equals(rows) and file.num_row_groups < 30
    assert sf.open(said_much.path).errors()["message_result"].tolist() == [f"x is {i}" for i in range(1, 31)]


def test_more_than_fits_the_memory_is_refused(said_much, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10))
    run = sf.open(said_much.path)
    for read in (run.errors, run.warnings):
        with pytest.raises(StoreError, match="GB are free") as refused:
            read()
        assert str(run.folder) in (hint := refused.value.hint) and hint.endswith(
            "-o FILE.parquet  writes them a part at a time."
        )
        assert ("--warnings" in hint) == (read == run.warnings)
    with pytest.raises(StoreError, match="GB are free"):
        sf.diff(run, run)
    said("errors", str(run.folder), "-o", str(tmp_path / "out.csv"))
    assert len(pd.read_csv(tmp_path / "out.csv")) == 30
