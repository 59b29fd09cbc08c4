"""Columns of all blocks as one: no bit of a double changes, kinds are widened without loss."""

import math

import numpy as np
import pyarrow.parquet as pq
import simferry as sf
from common import bits
from hand_made import NA, outputs_of, pairs, values
from simferry.results.table import as_pandas, table
from simferry.worker import blocks

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
