"""Columns of all blocks as one: no bit of a double changes, kinds are widened without loss."""

import contextlib
import datetime as dt
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simferry as sf
from common import bits
from hand_made import NA, outputs_of, pairs, values
from simferry.results.columns import wrong_form
from simferry.results.table import as_pandas, table
from simferry.worker import blocks, forms, frames
from simferry.worker.rows import result_tables, results_table
from simferry.worker.values import rows_of
from sweeps import write

DOUBLES = [1 / 3, NA, math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2]


def test_doubles_keep_every_bit_through_take_parquet_and_pandas(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=8)
    x = [float(v) for v in DOUBLES]
    made.add(pairs(2, range(1, 9)), [outputs_of(2, range(1, 9), x=x)])  # the second condition first: rows are moved
    made.add(pairs(1, range(1, 9)), [outputs_of(1, range(1, 9), y=x)])  # and other columns: nulls are added
    for out in (table(made.run), table(made.run), pq.read_table(made.run.path / "results.parquet")):
        assert bits(out["x"].combine_chunks()[8:].to_numpy()) == bits(DOUBLES)
        assert out["x"].null_count == 8 and out["x"][:8].null_count == 8
        frame = as_pandas(out, ["n"])
        assert frame["n"].dtype == "int64"
        assert frame["x"].isna()[:8].all()
        assert bits(frame["x"].array._pa_array[8:].combine_chunks().to_numpy()) == bits(DOUBLES)


def test_many_nans_of_both_kinds_stay_what_they_are_in_parquet(hand_made):
    made = hand_made(sf.grid(n=1), replications=50_000)
    x = np.where(np.arange(50_000) % 3 == 0, math.nan, NA)
    x[::7] = -0.0
    r = list(range(1, 50_001))
    made.add(pairs(1, r), [outputs_of(1, r, x=[0.0] * 50_000)])
    block = blocks.decode(next(made.run.blocks.iterdir()).read_bytes())
    patterns = np.array(
        [0x7FF80000000007A2, 0x7FF8000000000000, 0x8000000000000000, 0, 0x7FF00000000007A2], dtype="<u8"
    )
    given = patterns[np.arange(50_000) * 7919 % 5]
    block.table("results").columns["x"] = blocks.numbers("double", given.view("<f8"))
    next(made.run.blocks.iterdir()).write_bytes(blocks.encode(block))
    table(made.run)
    back = pq.read_table(made.run.path / "results.parquet")["x"].to_numpy()
    assert (back.view("<u8") == given).all()
    frame = as_pandas(table(made.run))
    assert (frame["x"].to_numpy().view("<u8") == given).all()


def test_strings_integers_and_logicals_with_na(hand_made):
    made = hand_made(sf.grid(n=1), replications=3)
    texts = ['quote " and ,', None, "two\nlines Åsa 東京"]
    made.add(pairs(1, [1, 2, 3]), [outputs_of(1, [1, 2, 3], s=texts, i=[1, None, -5], l=[True, None, False])])
    out = table(made.run)
    assert values(out, "s") == texts and values(out, "i") == [1, None, -5] and values(out, "l") == [True, None, False]
    frame = as_pandas(out)
    assert frame["s"].tolist()[0::2] == texts[0::2] and frame["s"].isna().tolist() == [False, True, False]
    assert frame["i"].isna().tolist() == [False, True, False] and frame["i"][2] == -5


def test_kinds_are_widened_without_loss(hand_made):
    made = hand_made(sf.grid(n=1), replications=6)
    made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], a=[True, None], b=[2**31 - 1, None], c=[1.0, NA])])
    made.add(pairs(1, [3]), [outputs_of(1, [3], a=[7], b=[0.5], c=["text"])])
    made.add(pairs(1, [4]), [outputs_of(1, [4], a=[None], b=[True], c=[math.nan])])
    made.add(pairs(1, [5, 6]), [outputs_of(1, [5, 6], a=[3, 4], b=[1.5, 2.5], c=[True, False])])
    out = table(made.run)
    assert values(out, "a") == [1, None, 7, None, 3, 4]
    b = out["b"].to_numpy()
    assert b[[0, 2, 3]].tolist() == [2**31 - 1, 0.5, 1.0] and bits(b[1:2]) == bits([NA])
    assert values(out, "c") == ["1", None, "text", "NaN", "TRUE", "FALSE"]


def test_strings_that_are_no_utf_8_are_shown_with_their_bytes(hand_made):
    made = hand_made(sf.grid(n=1))
    path = made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], s=["a", "b"])])
    block = blocks.decode(path.read_bytes())
    block.table("results").columns["s"] = blocks.Column("string", np.array([4, 1], dtype="<i4"), b"caf\xe9b")
    path.write_bytes(blocks.encode(block))
    assert values(table(made.run), "s") == ["caf\\xe9", "b"]


R = """
simulate <- function(n) list(
  f = factor(c("hi", "lo")[1 + n %% 2], c("lo", "hi")), own = factor(letters[n]), day = as.Date("2026-01-31") + n,
  at = as.POSIXct(1.25 + n, origin = "1970-01-01", tz = "Europe/Berlin"), lt = strptime("2026-05-01", "%Y-%m-%d", tz = "UTC"),
  took = as.difftime(n / 3, units = if (n == 1) "mins" else "secs"),
  maybe = if (n == 1) NA else as.Date("2026-01-31"), kind = if (n == 1) as.Date("2026-01-31") else "never")
"""


def test_classes_of_r_keep_their_kind(tmp_path):
    run = sf.run(write(tmp_path, "s.R", R), {"n": [1, 2]}, replications=2, seed=1, store=tmp_path / "runs")
    rows, frame = run.results_table(), run.results()
    assert rows["f"].combine_chunks().dictionary.to_pylist() == ["lo", "hi"] and rows["f"].to_pylist() == [
        "lo",
        "lo",
        "hi",
        "hi",
    ]
    assert rows["own"].combine_chunks().dictionary.to_pylist() == ["a", "b"]
    assert [str(v) for v in rows["day"].to_pylist()[1:3]] == ["2026-02-01", "2026-02-02"]
    assert str(rows["at"].type) == "timestamp[us, tz=Europe/Berlin]"
    assert (
        frame["at"][0] == pd.Timestamp("1970-01-01 00:00:02.25", tz="UTC")
        and str(frame["lt"][0]) == "2026-05-01 00:00:00+00:00"
    )
    assert rows["took"].to_pylist() == [20, 20, 2 / 3, 2 / 3] and frame["took"][0] == pd.Timedelta("20 s")
    assert [None if v is None else str(v) for v in rows["maybe"].to_pylist()] == [
        None,
        None,
        "2026-01-31",
        "2026-01-31",
    ]
    assert rows["kind"].to_pylist() == ["2026-01-31", "2026-01-31", "never", "never"]
    summary = run.summary()
    assert summary["output"].tolist() == ["took"] * 2 and summary["mean"].tolist() == [20, 2 / 3]


def test_forms_of_several_blocks_are_as_of_one(hand_made):
    made = hand_made(sf.grid(n=[1, 2]), replications=1)
    days, labels = [dt.date(2026, 1, 1), dt.date(2026, 1, 2)], [["b"], ["a"]]
    for c in (1, 2):
        columns = {
            "f": forms.column_of(frames.labels([0], labels[c - 1], False)), "whole": forms.column_of([2**60 if c == 1 else 3.0]),
            "half": forms.column_of([2**60 if c == 1 else 0.5]), f"only{c}": forms.column_of([days[c - 1]]),
                f"f{c}": forms.column_of(frames.labels([0], ["x"], True)),
        }  # fmt: skip
        made.add(pairs(c, [1]), [{"condition": [c], "replication": [1], **columns}])
    for out in (table(made.run), table(made.run)):  # the second is read from the cache
        assert out["f"].to_pylist() == ["b", "a"] and out["f"].combine_chunks().dictionary.to_pylist() == ["a", "b"]
        assert out["whole"].to_pylist() == [2**60, 3] and out["half"].to_pylist() == [2.0**60, 0.5]
        assert out["only1"].to_pylist() == [days[0], None] and out["only2"].to_pylist() == [None, days[1]]
        assert out["f1"].to_pylist() == ["x", None]


MISSING = """
simulate <- function(n) {
  levels <- c("lo", "mid", "hi")
  if (n == 1) list(x = factor(NA), y = as.Date(NA), f = factor(NA, "z"), o = factor("lo", levels, ordered = TRUE))
  else if (n == 2) list(x = 3L, y = TRUE, f = factor("b", c("b", "a")), o = factor("lo", levels[-2], ordered = TRUE))
  else list(x = NA_character_, y = NA, f = factor("a", c("b", "a")), o = factor("hi", levels, ordered = TRUE))
}
"""


def test_missing_values_of_a_form_are_missing_beside_numbers_and_levels_that_differ_have_no_order(tmp_path):
    script = write(tmp_path, "s.R", MISSING)

    def table_after(designs, store):
        for n in designs:  # each takes over the block of the one before
            run = sf.run(script, {"n": n}, replications=1, seed=1, workers=1, store=tmp_path / store)
        return run.results_table()

    for out in (table_after([[1, 2, 3]], "one"), table_after([[2], [1, 2], [1, 2, 3]], "several")):
        assert out["x"].to_pylist() == [None, 3, None] and out["y"].to_pylist() == [None, True, None]
        assert out["f"].combine_chunks().dictionary.to_pylist() == ["b", "a"]
        assert not out["o"].type.ordered and out["o"].to_pylist() == ["lo", "lo", "hi"]


def test_blocks_whose_columns_cannot_have_their_form_are_damaged(hand_made):
    for column in (blocks.strings(["x"]), blocks.numbers("double", [1.0])):
        for form in ("long", "factor", "date", "nonsense", "list double"):
            column.form = form
            data = blocks.encode(blocks.Block({}, [results_table([1], [1], {"x": column})]))
            with contextlib.suppress(blocks.DamagedBlock):
                found = blocks.decode(data).table("results")
                assert (form, column.kind) == ("date", "double") or wrong_form(found)
    for form, bytes_ in (("list double", b"1234"), ("list string", b"\1\0\0\0\2\0\0\0a"), ("list list", b"")):
        column = blocks.raws([bytes_])
        column.form = form
        data = blocks.encode(blocks.Block({}, [results_table([1], [1], {"x": column})]))
        with contextlib.suppress(blocks.DamagedBlock):
            assert wrong_form(blocks.decode(data).table("results"))


LISTS = """
simulate <- function(n) list(est = n, ci = if (n == 3) 0.5 else c(n, NA, NaN, -0), k = seq_len(n - 1L), s = c("a", NA)[seq_len(n)],
  none = if (n > 1) c(TRUE, NA), named = c(lower = 0, upper = 1))
"""


def test_vectors_are_columns_of_lists(tmp_path):
    script = write(tmp_path, "s.R", LISTS)
    with pytest.warns(UserWarning, match="value 'named' of run .* is a numeric with names"):
        for conditions in ([1], [1, 2, 3]):  # the second takes over the block of the first
            run = sf.run(script, {"n": conditions}, replications=1, seed=1, store=tmp_path / "runs")
            run.results()
    for out in (run.results_table(), run.results_table(), pq.read_table(run.folder / "results.parquet")):
        assert out["ci"].type == pa.list_(pa.float64()) and out["est"].to_pylist() == [1, 2, 3]
        assert bits(out["ci"][0].values.to_numpy()) == bits([1, NA, math.nan, -0.0]) and out["ci"][2].as_py() == [0.5]
        assert out["k"].to_pylist() == [[], [1], [1, 2]] and out["s"].to_pylist() == [
            ["a"],
            ["a", None],
            ["a", None, None],
        ]
        assert out["none"].to_pylist() == [None, [True, None], [True, None]] and "named" not in out.column_names
    with pytest.warns(UserWarning, match="outputs ci, k, s ... of run .* hold lists, which have no mean"):
        assert run.summary()["output"].tolist() == ["est"] * 3


def test_lists_of_several_blocks_are_as_of_one(hand_made):
    made = hand_made(sf.grid(n=1), replications=5)
    cells = [[1, 2], 0.5, None, ["a"], [True]]
    for number, one in enumerate(cells, 1):
        column = forms.column_of([forms.list_cell(one)])
        made.add(pairs(1, [number]), [{"condition": [1], "replication": [number], "x": column}])
    assert table(made.run)["x"].to_pylist() == [["1", "2"], ["0.5"], None, ["a"], ["TRUE"]]


def test_a_table_does_not_depend_on_which_values_share_a_block(hand_made):
    cells = [True, 1, 0.5, 2**60, None, "a"]
    tables = []
    for parts in ([cells], [[cell] for cell in cells], [cells[:2], cells[2:4], cells[4:]]):
        made, done = hand_made(sf.grid(n=1), replications=6), 0
        for part in parts:
            at = list(range(done + 1, done + 1 + len(part)))
            given = [{"x": v} if type(v) in (bool, int, float) else rows_of({"x": v}) for v in part]
            found = result_tables([1] * len(at), at, given)
            made.add(
                pairs(1, at),
                [{n: c if n == "x" else c.values.tolist() for n, c in one.columns.items()} for one in found],
            )
            done += len(part)
        tables.append(table(made.run)["x"].to_pylist())
    assert tables == [["TRUE", "1", "0.5", str(2**60), None, "a"]] * 3
