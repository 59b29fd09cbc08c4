"""The table of a run: its order, its digest, its Parquet file."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import simferry as sf
from hand_made import NA, outputs_of, pairs, values
from simferry.analysis.summary import summary
from simferry.results.cache import cached
from simferry.results.table import digest, table, with_parameters
from simferry.worker import blocks
from simferry.worker.rows import result_tables
from simferry.worker.values import rows_of


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


def test_what_is_noted_of_a_table_stays_where_an_output_has_a_parameters_name(hand_made):
    made = hand_made(sf.grid(n=[10]), replications=1)
    rows = pa.table({"condition": pa.array([1], pa.int32()), "replication": pa.array([1], pa.int32()), "n": [1.5]})
    noted = with_parameters(made.run, rows.replace_schema_metadata({b"simferry.objects": b"[]"}))
    assert noted.column_names[2:] == ["n", "n_result"] and noted.schema.metadata == {b"simferry.objects": b"[]"}


def test_an_empty_run_is_an_empty_table(hand_made):
    made = hand_made(sf.grid(n=[10, 20]))
    out = table(made.run)
    assert out.num_rows == 0 and out.column_names == ["condition", "replication", "n"]
    assert list(summary(made.run, cached(made.run))["replications"]) == [0, 0]


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
    monkeypatch.setattr("simferry.results.collect.read_blocks", None)
    assert digest(table(made.run)) == digest(before)


def test_a_digest_differs_where_one_bit_differs():
    def of(x, **more):
        return digest(pa.table({"x": pa.array(x), **more}))

    x = np.array([0.1, math.nan, 0.0])
    assert of(x) == of(x.copy())
    others = [np.array([np.nextafter(0.1, 1), math.nan, 0]), np.array([0.1, NA, 0]), np.array([0.1, math.nan, -0.0])]
    others += [pa.array([0.1, None, 0.0]), np.array([1, 2, 3]), [0.1, math.nan]]
    assert len({of(x), *map(of, others), of(x, y=["a"] * 3), of(x, y=["a", "a", None])}) == 3 + len(others)


def test_tracebacks_name_the_users_file(tmp_path):
    script = tmp_path / "s.py"
    script.write_text("def simulate(n):\n    return 1 / n\n")
    run = sf.run(script, {"n": [0]}, replications=1, seed=1, store=tmp_path / "runs")
    assert f'File "{script}", line 2, in simulate' in run.errors()["traceback"][0]
    script.unlink()
    assert 'File "s.py", line 2, in simulate' in run.errors()["traceback"][0]
