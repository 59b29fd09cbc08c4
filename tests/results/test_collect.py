"""From blocks to tables: nothing is lost, nothing is counted twice, no bit changes."""

import math
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simferry as sf
from common import bits
from simferry.analysis.oddities import same_values
from simferry.analysis.summary import summary
from simferry.results.collect import collect, done
from simferry.results.outputs import read_output
from simferry.results.table import as_pandas, digest, table
from simferry.worker import blocks
from simferry.worker.rows import column_of, result_tables
from simferry.worker.values import rows_of

NA = float(blocks.NA_DOUBLE)
DOUBLES = [1 / 3, NA, math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2]


def pairs(condition, replications):
    return [(condition, r) for r in replications]


def outputs_of(condition, replications, **columns):
    n = len(next(iter(columns.values())))
    per = n // len(replications)
    return {"condition": [condition] * n, "replication": [r for r in replications for _ in range(per)], **columns}


def values(table, name):
    return table[name].to_pylist()


# ---- one table ----


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


def test_rows_are_sorted_by_condition_and_replication_and_keep_their_order_within(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=3)
    made.add(pairs(2, [3, 1]), [outputs_of(2, [3, 1], k=[31, 32, 33, 11, 12, 13])])
    made.add([*pairs(1, [2]), *pairs(2, [2])], [{"condition": [1, 2, 2], "replication": [2, 2, 2], "k": [9, 21, 22]}])
    out = table(made.run)
    assert out.column_names == ["condition", "replication", "n", "k"]
    assert values(out, "k") == [9, 11, 12, 13, 21, 22, 31, 32, 33]
    assert values(out, "n") == [10, *[20] * 8]


def test_it_does_not_matter_which_blocks_hold_what(hand_made):
    design = sf.grid(n=[10, 20, 30])
    rng = np.random.default_rng(1)
    every = [(c, r) for c in (1, 2, 3) for r in range(1, 21)]

    def row(
        c, r
    ):  # condition 1: a double or an integer, and text; 2: other columns; 3: NA in all of its first replications
        if c == 1:
            return {"x": [r / 3], "s": [f"text {r}"]}
        if c == 2:
            return {"y": [r, r], "x": [r, -r]}
        return {"x": [None if r < 10 else 0.5], "flag": [r % 2 == 0]}

    digests = set()
    for size in (1, 7, 60):
        made = hand_made(design, replications=20)
        order = [every[i] for i in rng.permutation(60)]
        for at in range(0, 60, size):
            part = order[at : at + size]
            tables = result_tables(
                [c for c, _ in part],
                [r for _, r in part],
                [rows_of(pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in row(*p).items()})) for p in part],
            )
            made.add(
                part,
                [{n: c.strings() if c.kind == "string" else _plain(c) for n, c in t.columns.items()} for t in tables],
            )
        out = table(made.run)
        assert out.num_rows == 80 and out.column_names == ["condition", "replication", "n", "x", "s", "y", "flag"]
        digests.add(digest(out))
    assert len(digests) == 1


def _plain(column):
    missing = column.values == blocks.NA_INTEGER
    kind = {"double": float, "integer": int, "logical": bool}[column.kind]
    return [None if m else kind(v) for v, m in zip(column.values.tolist(), missing.tolist(), strict=True)]


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


def test_python_integers_that_no_double_holds_are_kept_as_text():
    assert column_of([1, 2**31 - 1]).kind == "integer"
    assert column_of([1, 2**60, None]).values.tolist()[:2] == [1.0, 2.0**60]
    assert column_of([1, 2**53 + 1]).strings() == ["1", "9007199254740993"]
    assert column_of([10**400]).strings() == [str(10**400)]
    assert column_of([0.5, True, "a", 20.0]).strings() == ["0.5", "TRUE", "a", "20"]


def test_outputs_named_like_the_ids_do_not_take_their_place():
    (made,) = result_tables([1, 1], [1, 2], [{"condition": 5.0, "replication": 6.0}] * 2)
    assert {n: c.values.tolist() for n, c in made.columns.items()} == {
        "condition": [1, 1], "replication": [1, 2], "condition_result": [5, 5], "replication_result": [6, 6],
    }  # fmt: skip


def test_strings_that_are_no_utf_8_are_shown_with_their_bytes(hand_made):
    made = hand_made(sf.grid(n=1))
    path = made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], s=["a", "b"])])
    block = blocks.decode(path.read_bytes())
    block.table("results").columns["s"] = blocks.Column("string", np.array([4, 1], dtype="<i4"), b"caf\xe9b")
    path.write_bytes(blocks.encode(block))
    assert values(table(made.run), "s") == ["caf\\xe9", "b"]


# ---- outputs and parameters of one name ----


@pytest.mark.parametrize(
    "n, output, expected",
    [
        ([10, 20], [10, 20], None),
        ([10, 20], [10.0, 20.0], None),
        ([10, 20], [10.5, 20.5], [10.5, 20.5]),
        ([10, 20], ["a", "b"], ["a", "b"]),
        (["a", "b"], [1.5, 2.5], [1.5, 2.5]),
        ([True, False], [2.0, 0.0], [2.0, 0.0]),
    ],
)
@pytest.mark.parametrize("types", [{}, {"n": "integer"}])
def test_an_output_with_a_parameters_name_is_kept_unless_it_repeats_it(n, output, expected, types, hand_made):
    if type(n[0]) is not int:
        types = {}
    made = hand_made(sf.grid(n=n, types=types))
    made.add([(1, 1), (2, 1)], [{"condition": [1, 2], "replication": [1, 1], "n": output, "n_result": [0, 0]}])
    out = table(made.run)
    assert values(out, "n") == n
    if expected is None:
        assert out.column_names == ["condition", "replication", "n", "n_result"]
    else:
        assert values(out, "n_result_result") == expected and values(out, "n_result") == [0, 0]


# ---- duplicates and failures ----


def test_a_replication_that_two_blocks_hold_is_counted_once(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=4)
    made.add(pairs(1, [1, 2, 3]), [outputs_of(1, [1, 2, 3], x=[1, 1, 2, 2, 3, 3])], warned=[(1, 2, "w", 5)])
    made.add(
        pairs(1, [2, 3, 4]), [outputs_of(1, [2, 3, 4], x=[2, 2, 3, 3, 4, 4])], warned=[(1, 2, "w", 5), (1, 4, "v", 1)]
    )
    found = collect(made.run)
    assert values(found.results, "x") == [1, 1, 2, 2, 3, 3, 4, 4]
    assert values(found.replications, "replication") == [1, 2, 3, 4]
    assert list(zip(values(found.warnings, "message"), values(found.warnings, "count"), strict=True)) == [
        ("w", 5),
        ("v", 1),
    ]


@pytest.mark.parametrize("first", ["failure", "success"])
def test_a_success_replaces_a_failure_whichever_came_first(first, hand_made):
    made = hand_made(sf.grid(n=1), replications=2)
    failure = ([(1, 1, False), (1, 2, False)], [], [(1, 1, "oh no", "f()", "f()"), (1, 2, "oh no", "f()", "f()")])
    success = ([(1, 1)], [outputs_of(1, [1], x=[0.5])])
    for given in (failure, success) if first == "failure" else (success, failure):
        made.add(*given)
    found = collect(made.run)
    assert values(found.replications, "ok") == [True, False]
    assert values(found.failures, "replication") == [2]
    assert values(found.results, "x") == [0.5]
    assert [v.tolist() for v in done(made.run)] == [[1, 1], [1, 2]]
    assert [v.tolist() for v in done(made.run, failed=False)] == [[1], [1]]


def test_of_two_failures_the_latest_is_told(hand_made):
    made = hand_made(sf.grid(n=1))
    for message in ("first", "second"):
        made.add([(1, 1, False)], [], [(1, 1, message, "", "")])
    assert values(collect(made.run).failures, "message") == ["second"]


def test_an_empty_run_is_an_empty_table(hand_made):
    made = hand_made(sf.grid(n=[10, 20]))
    out = table(made.run)
    assert out.num_rows == 0 and out.column_names == ["condition", "replication", "n"]
    assert list(summary(made.run, collect(made.run))["replications"]) == [0, 0]


# ---- damage ----


def test_a_damaged_block_is_named_and_set_aside(hand_made):
    made = hand_made(sf.grid(n=1), replications=4)
    made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], x=[0.1, 0.2])])
    bad = made.add(pairs(1, [3, 4]), [outputs_of(1, [3, 4], x=[0.3, 0.4])])
    good = bad.read_bytes()
    bad.write_bytes(good[:-9])
    with pytest.warns(
        UserWarning,
        match=rf"block {bad.name} .* is damaged .* Its 2 replications count as not done: simferry\.open\(.*\.resume\(\)",
    ):
        assert values(table(made.run), "x") == [0.1, 0.2]
    assert (made.run.path / "damaged" / bad.name).exists() and not bad.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert done(made.run)[1].tolist() == [1, 2]
    # the file, mended, is put back where it was: the table of two rows is out of date
    bad.write_bytes(good)
    assert values(table(made.run), "x") == [0.1, 0.2, 0.3, 0.4]


def test_a_file_that_is_no_block_is_set_aside_too(hand_made):
    made = hand_made(sf.grid(n=1))
    path = made.add(pairs(1, [1]))
    path.write_bytes(blocks.encode(blocks.Block({}, [])))
    with pytest.warns(UserWarning, match="no table 'replications'"):
        assert len(done(made.run)[0]) == 0


# ---- collect.parquet ----


def test_results_parquet_is_made_again_when_it_is_gone_old_or_damaged(hand_made):
    made = hand_made(sf.grid(n=1), replications=3)
    cache = made.run.path / "results.parquet"
    made.add(pairs(1, [1]), [outputs_of(1, [1], x=[1.5])])
    first = digest(table(made.run))
    for content in (None, b"", b"PAR1 is not Parquet PAR1", cache.read_bytes()[:-20]):
        cache.unlink() if content is None else cache.write_bytes(content)
        assert digest(table(made.run)) == first
    made.add(pairs(1, [2]), [outputs_of(1, [2], x=[2.5])])
    assert values(table(made.run), "x") == [1.5, 2.5]


def test_results_parquet_is_read_as_long_as_no_block_has_come(hand_made, monkeypatch):
    made = hand_made(sf.grid(n=1))
    made.add(pairs(1, [1]), [outputs_of(1, [1], x=[1.5])])
    before = table(made.run)
    monkeypatch.setattr("simferry.results.table.read_blocks", None)
    assert digest(table(made.run)) == digest(before)


def test_a_digest_differs_where_one_bit_differs():
    def of(x, **more):
        return digest(pa.table({"x": pa.array(x), **more}))

    x = np.array([0.1, math.nan, 0.0])
    assert of(x) == of(x.copy())
    others = [np.array([np.nextafter(0.1, 1), math.nan, 0]), np.array([0.1, NA, 0]), np.array([0.1, math.nan, -0.0])]
    others += [pa.array([0.1, None, 0.0]), np.array([1, 2, 3]), [0.1, math.nan]]
    assert len({of(x), *map(of, others), of(x, y=["a"] * 3), of(x, y=["a", "a", None])}) == 3 + len(others)


# ---- results files of scripts ----


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("r.csv", "a,b\n1,x\n2,y\n", {"a": ["1", "2"], "b": ["x", "y"]}),
        ("r.csv", '"a","b"\n"two\nlines","say ""hej"", ok"\n', {"a": ["two\nlines"], "b": ['say "hej", ok']}),
        ("r.csv", '"","mean"\n"1",0.5\n', {"row_name": ["1"], "mean": ["0.5"]}),
        ("r.csv", "mean,sd\n1,0.5,2\n", {"row_name": ["1"], "mean": ["0.5"], "sd": ["2"]}),
        ("r.csv", "0.5,2\n", {"value_1": ["0.5"], "value_2": ["2"]}),
        ("r.csv", "12\n15\n9\n", {"value": ["12", "15", "9"]}),
        ("r.csv", ",0,1\n0,0.5,0.7\n", {"row_name": ["0"], "0": ["0.5"], "1": ["0.7"]}),
        ("r.csv", "\ufeffa\r\n1\r\n", {"a": ["1"]}),
        ("r.csv", "", {}),
        ("r.tsv", "a\tb\n1\t2\n", {"a": ["1"], "b": ["2"]}),
        ("r.json", '{"mean": 0.5, "ok": true, "s": "a", "na": null}', {"mean": [0.5], "ok": [True], "s": ["a"], "na": [None]}),
        ("r.json", '{"mean": [0.5, 0.6], "m": ["a", "b"]}', {"mean": [0.5, 0.6], "m": ["a", "b"]}),
        ("r.json", '[{"a": 1}, {"a": 2, "b": 3}]', {"a": [1, 2], "b": [None, 3]}),
        ("r.json", "[1.5, 2.5]", {"value_1": [1.5], "value_2": [2.5]}),
        ("r.json", "7", {"value": [7]}),
        ("numbers.txt", " 1.5 2e-3\nNA -Inf\n", {"value_1": ["1.5"], "value_2": ["2e-3"], "value_3": ["NA"], "value_4": ["-Inf"]}),
        ("answer", "42\n", {"value": ["42"]}),
        ("answer", "", {}),
    ],
)  # fmt: skip
def test_what_a_results_file_holds(name, text, expected):
    assert read_output(text, name) == expected


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("r.csv", "a,b\n1\n", "row 1 has 1 cells where the header has 2"),
        ("r.csv", "a,a\n1,2\n", "2 columns named 'a'"),
        ("r.json", '{"a": ', "it is not JSON"),
        ("r.json", '{"a": {"b": [1]}}', "neither a number, nor an object of plain values"),
        ("r.json", '{"a": [1], "b": [1, 2]}', "different lengths"),
        ("answer", "1 two 3", "'two' is not a number"),
        ("answer", "1_000", "'1_000' is not a number"),
    ],
)
def test_why_a_results_file_cannot_be_read(name, text, why):
    with pytest.raises(ValueError, match=why):
        read_output(text, name)


def of_files(hand_made, name, *texts, per_block=1):
    made = hand_made(sf.grid(n=1), replications=len(texts), simulation={"results_file": name})
    for at in range(0, len(texts), per_block):
        some = [(1, at + 1 + i, text) for i, text in enumerate(texts[at : at + per_block])]
        made.add([s[:2] for s in some], outputs=some)
    return made


@pytest.mark.parametrize("per_block", [1, 2, 5])
def test_a_csv_column_is_typed_over_all_files_whatever_their_blocks(per_block, hand_made):
    texts = ["x,flag,id,note\n1,TRUE,1,\n", "x,flag,id,note\n,NA,1_2,a\n", "x,flag,id,note\nNA,FALSE,3,NA\n"]
    texts += ["x,flag,id,note\nNaN,TRUE,4,1\n", "x,flag,id,note\nInf,FALSE,5,b\n"]
    out = table(of_files(hand_made, "r.csv", *texts, per_block=per_block).run)
    x = out["x"].to_numpy()
    assert bits(x) == bits([1.0, NA, NA, math.nan, math.inf])
    assert values(out, "flag") == [True, None, False, True, False]
    assert values(out, "id") == ["1", "1_2", "3", "4", "5"]
    assert values(out, "note") == ["", "a", None, "1", "b"]


def test_the_na_that_jsonlite_writes_among_numbers_is_one(hand_made):
    texts = ['{"x": ["NA"], "id": ["01"]}', '{"x": [0.5], "id": ["2"]}', '{"x": ["-Inf"], "id": ["NA"]}']
    out = table(of_files(hand_made, "r.json", *texts).run)
    assert bits(out["x"].to_numpy()) == bits([NA, 0.5, -math.inf])
    assert values(out, "id") == ["01", "2", "NA"]


def test_a_results_file_that_cannot_be_read_is_a_failure_with_its_reason(hand_made):
    made = of_files(hand_made, "r.csv", "a\n1\n", "a,b\n1\n", "a\n3\n")
    found = collect(made.run)
    assert values(found.replications, "ok") == [True, False, True]
    assert values(found.failures, "message") == ["r.csv can't be read: row 1 has 1 cells where the header has 2"]
    assert values(found.results, "a") == [1, 3]
    assert done(made.run, failed=False)[1].tolist() == [1, 3] and done(made.run)[1].tolist() == [1, 2, 3]
    made.add([(1, 2)], outputs=[(1, 2, "a\n2\n")])  # it was tried again
    found = collect(made.run)
    assert values(found.replications, "ok") == [True] * 3 and values(found.results, "a") == [1, 2, 3]
    assert found.failures.num_rows == 0


def test_a_column_named_like_an_id_in_a_results_file_is_renamed(hand_made):
    out = table(of_files(hand_made, "r.csv", "replication,x\n7,1\n").run)
    assert values(out, "replication") == [1] and values(out, "replication_result") == [7]


# ---- summaries ----


def test_mean_sd_and_mcse_are_those_of_pandas(hand_made):
    rng = np.random.default_rng(1)
    made = hand_made(sf.grid(n=[10, 20, 30]), replications=50)
    for c in (1, 2):
        x = rng.normal(size=50).tolist()
        x[3], x[4] = NA, math.nan
        made.add(pairs(c, range(1, 51)), [outputs_of(c, range(1, 51), x=x, hit=[bool(v > 0) for v in x])])
    made.add([(3, r, False) for r in range(1, 51)], [], [(3, r, "oh no", "", "") for r in range(1, 51)])
    out = summary(made.run, collect(made.run))
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
    out = summary(made.run, collect(made.run))
    assert out[["method", "output", "mean", "replications"]].values.tolist() == [
        ["t", "mean", 2, 3],
        ["w", "mean", 20, 3],
    ]


def test_rows_of_one_replication_without_a_text_count_as_their_mean(hand_made):
    made = hand_made(sf.grid(n=10), replications=3)
    made.add(pairs(1, [1, 2, 3]), [outputs_of(1, [1, 2, 3], x=[1.0, 3, 2, 4, 3, 5])])
    (row,) = summary(made.run, collect(made.run)).to_dict("records")
    assert (row["replications"], row["mean"], row["sd"]) == (3, 3.0, 1.0)


def test_a_condition_without_an_output_has_no_missing_values_of_it(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=2)
    made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], x=[0.5, 1.5], i=[1, None])])
    made.add(pairs(2, [1, 2]), [outputs_of(2, [1, 2], y=[0.5, 1.5])])
    out = summary(made.run, collect(made.run)).set_index(["condition", "output"])
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
    out = summary(made.run, collect(made.run))
    assert out["mean"].tolist() == [0, 0, 1, 1] and out["mean_result"].tolist()[:2] == [2, 3]
    assert out["failed_result"].tolist() == [0] * 4 and out["output_result"].tolist() == ["x"] * 4
    assert out["missing_result"].tolist() == ["p", "q"] * 2 and out["missing"].tolist() == [0] * 4


def test_warnings_are_counted_for_each_condition(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=2)
    for c in (1, 2):
        rows = [(c, 1, "careful", 3), (c, 2, "careful", 1)] if c == 2 else []
        made.add(pairs(c, [1, 2]), [outputs_of(c, [1, 2], x=[0.5, 1.5])], warned=rows)
    assert summary(made.run, collect(made.run))["warnings"].tolist() == [0, 4]


@pytest.mark.parametrize(
    "x, suspicious",
    [
        ([0.123456789] * 3, True),
        ([0.123456789] * 2, False),  # too few to tell
        ([0.5] * 3, False),  # constant, but it may well be so
        ([0.123456789, 0.123456789, 0.2], False),
        ([math.nan] * 3, False),
        ([0.123456789, 0.987654321] * 3, True),  # two rows each, the same in every replication
    ],
)
def test_the_same_random_looking_values_everywhere_are_suspicious(x, suspicious, hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=3)
    replications = range(1, 1 + min(len(x), 3))
    made.add(pairs(1, replications), [outputs_of(1, replications, x=x)])
    made.add(pairs(2, [1, 2, 3]), [outputs_of(2, [1, 2, 3], y=[0.1234567891] * 3)])  # other columns do not hide it
    assert same_values(collect(made.run).results) == [1, 2][not suspicious :]
