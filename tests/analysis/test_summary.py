"""The summary of a table: means, standard deviations and what they are of."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import simferry as sf
from awkward_runs import made_by
from hand_made import NA, outputs_of, pairs
from simferry.analysis.summary import first_rows, summary
from simferry.results import parts
from simferry.results.cache import cached
from simferry.results.table import as_pandas, table


def test_mean_sd_and_mcse_are_those_of_pandas(hand_made):
    rng = np.random.default_rng(1)
    made = hand_made(sf.grid(n=[10, 20, 30]), replications=50)
    for c in (1, 2):
        x = rng.normal(size=50).tolist()
        x[3], x[4] = NA, math.nan
        made.add(pairs(c, range(1, 51)), [outputs_of(c, range(1, 51), x=x, hit=[bool(v > 0) for v in x])])
    made.add([(3, r, False) for r in range(1, 51)], [], [(3, r, "oh no", "", "") for r in range(1, 51)])
    out = summary(made.run, cached(made.run))
    assert out.columns.tolist() == [
        "condition", "n", "replications", "failed", "missing", "warnings", "output", "mean", "sd", "mcse",
    ]  # fmt: skip
    assert out["condition"].tolist() == [1, 1, 2, 2, 3, 3] and out["output"].tolist() == ["x", "hit"] * 3
    assert out["failed"].tolist() == [0] * 4 + [50] * 2 and out["replications"].tolist() == [48, 50, 48, 50, 0, 0]
    assert out["missing"].tolist() == [2, 0, 2, 0, 0, 0]
    frame = as_pandas(table(made.run), ["n"])
    for (c, output), row in out.set_index(["condition", "output"]).iterrows():
        of = frame.loc[frame["condition"] == c, output].astype(float).dropna()
        expected = [of.mean(), of.std(), of.std() / math.sqrt(len(of))] if len(of) else [math.nan] * 3
        assert [row["mean"], row["sd"], row["mcse"]] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_rows_of_one_replication_are_told_apart_by_their_text(hand_made):
    made = hand_made(sf.grid(n=10), replications=3)
    columns = outputs_of(1, [1, 2, 3], method=["t", "w"] * 3, mean=[1.0, 10, 2, 20, 3, 30])
    made.add(pairs(1, [1, 2, 3]), [columns])
    out = summary(made.run, cached(made.run))
    assert out[["method", "output", "mean", "replications"]].values.tolist() == [
        ["t", "mean", 2, 3],
        ["w", "mean", 20, 3],
    ]


@pytest.mark.parametrize("by", [None, ["b"], []])
def test_the_first_rows_alone_are_those_of_the_whole_summary(hand_made, by):
    made = hand_made(sf.grid(n=[10, 20]), replications=2)
    for c in (1, 2):
        ids = [1, 1, 2, 2]
        values = {name: [c + i + 0.5, math.pi, NA, 2.5] for i, name in enumerate("uvwxyz")}
        made.add(pairs(c, [1, 2]), [outputs_of(c, ids, method=["t", "s"] * 2, b=[True, False] * 2, **values)])
    collected = cached(made.run)
    whole = summary(made.run, collected, by)
    for most in (1, 4, 7, 40):
        table, rows = first_rows(made.run, collected, by, most)
        some = as_pandas(table, made.run.record.parameters)
        assert rows == len(whole)
        pd.testing.assert_frame_equal(some.head(most), whole.head(most), check_exact=True)


def test_rows_of_one_replication_without_a_text_count_as_their_mean(hand_made):
    made = hand_made(sf.grid(n=10), replications=3)
    made.add(pairs(1, [1, 2, 3]), [outputs_of(1, [1, 2, 3], x=[1.0, 3, 2, 4, 3, 5])])
    (row,) = summary(made.run, cached(made.run)).to_dict("records")
    assert (row["replications"], row["mean"], row["sd"]) == (3, 3.0, 1.0)


def test_a_condition_without_an_output_has_no_missing_values_of_it(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=2)
    made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], x=[0.5, 1.5], i=[1, None])])
    made.add(pairs(2, [1, 2]), [outputs_of(2, [1, 2], y=[0.5, 1.5])])
    out = summary(made.run, cached(made.run)).set_index(["condition", "output"])
    assert out["missing"].to_dict() == {(1, "x"): 0, (1, "i"): 1, (1, "y"): 0, (2, "x"): 0, (2, "i"): 0, (2, "y"): 0}
    assert out["replications"].to_dict() == {
        (1, "x"): 2,
        (1, "i"): 1,
        (1, "y"): 0,
        (2, "x"): 0,
        (2, "i"): 0,
        (2, "y"): 2,
    }


def test_parameters_and_texts_named_like_the_summarys_columns_are_kept(hand_made):
    made = hand_made(sf.grid(mean=[0, 1], sd=[2], failed=[0], output=["a"]), replications=2)
    rows = outputs_of(1, [1, 2], missing=["p", "q"] * 2, x=[1.0, 2, 3, 4])
    made.add(pairs(1, [1, 2]), [rows])
    out = summary(made.run, cached(made.run))
    assert out["mean"].tolist() == [0, 0, 1, 1] and out["mean_result"].tolist()[:2] == [2, 3]
    assert out["failed_result"].tolist() == [0] * 4 and out["output_result"].tolist() == ["x"] * 4
    assert out["missing_result"].tolist() == ["p", "q"] * 2 and out["missing"].tolist() == [0] * 4


def test_warnings_are_counted_for_each_condition(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=2)
    for c in (1, 2):
        rows = [(c, 1, "careful", 3), (c, 2, "careful", 1)] if c == 2 else []
        made.add(pairs(c, [1, 2]), [outputs_of(c, [1, 2], x=[0.5, 1.5])], warned=rows)
    assert summary(made.run, cached(made.run))["warnings"].tolist() == [0, 4]


def test_very_many_outputs_are_summarised_like_few(hand_made):
    rng = np.random.default_rng(2)
    values = {f"out_{i}": rng.normal(size=3).tolist() for i in range(5_000)}
    made = hand_made(sf.grid(n=10), replications=3)
    made.add(pairs(1, [1, 2, 3]), [outputs_of(1, [1, 2, 3], **values)])
    out = summary(made.run, cached(made.run))
    assert out["output"].tolist() == list(values)
    assert out["mean"].to_numpy() == pytest.approx(np.mean(list(values.values()), axis=1), rel=1e-12)
    assert not (made.run.path / "results.parquet").exists() and table(made.run).num_rows == 3
    assert not (made.run.path / "results.parquet").exists()  # reading it would take longer than the blocks


def test_the_sd_of_a_constant_is_zero(hand_made):
    made = hand_made(sf.grid(n=10), replications=10)
    made.add(pairs(1, range(1, 11)), [outputs_of(1, range(1, 11), x=[0.1] * 10, y=[0.1] * 9 + [math.inf])])
    out = summary(made.run, cached(made.run)).set_index("output")
    assert np.std([0.1] * 3, ddof=1) > 0 and out.loc["x", ["sd", "mcse"]].tolist() == [0, 0]
    assert math.isnan(out.loc["y", "sd"])


@pytest.mark.parametrize("by", [None, ["x"], []])
@pytest.mark.parametrize("seed", [1, 2, 8])
def test_a_summary_of_parts_is_that_of_the_whole(seed, by, hand_made, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20, 30]), replications=9)
    for number, block in enumerate(made_by(seed)):
        made.put(number, block)
    monkeypatch.setattr(parts, "PIECE_BYTES", 100)
    found = cached(made.run)
    assert found.whole is not None
    keys = by if not by or not pa.types.is_list(found.schema.field("x").type) else []
    whole = summary(made.run, found, keys)
    monkeypatch.setattr(parts, "_SMALL", 0)
    again = cached(made.run)
    assert again.whole is None and len([*again.pieces(by_condition=True)]) > 1
    pd.testing.assert_frame_equal(summary(made.run, again, keys), whole, check_exact=True)
