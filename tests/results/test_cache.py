"""The cached table of results is added to when blocks come, and is what it would be if it were made anew."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import simferry as sf
from awkward_runs import made_by
from click.testing import CliRunner
from hand_made import outputs_of, pairs, values
from simferry.cli.app import main
from simferry.errors import StoreError
from simferry.results import cache, parts
from simferry.results.cache import cached, in_one_part
from simferry.results.table import digest, of_conditions, table
from simferry.worker import blocks


def anew(run):
    """The table of results without the cache."""
    kept = run.path.with_name("kept")
    kept.mkdir()
    for path in run.path.glob("results*"):
        path.rename(kept / path.name)
    out = table(run)
    for path in kept.iterdir():
        path.rename(run.path / path.name)
    kept.rmdir()
    return out


def same(one, other):
    assert one.schema.equals(other.schema, check_metadata=True)
    assert digest(one) == digest(other)


@pytest.mark.parametrize("seed", range(16))
def test_a_table_that_grows_is_what_it_is_anew(seed, hand_made, monkeypatch):
    monkeypatch.setattr(parts, "PIECE_BYTES", 600)
    monkeypatch.setattr(cache, "_MOST_PARTS", 3)
    made = hand_made(sf.grid(x=[1, 2.5, 3]), replications=9)
    found = dict(enumerate(made_by(seed)))
    if seed % 4:
        for block in found.values():
            block.tables = [one for one in block.tables if one.name != "objects"]
    order = np.random.default_rng(seed).permutation(len(found)).tolist() if seed % 2 else sorted(found)
    for number in order:  # blocks may come in another order than that of their names
        made.put(number, found[number])
        same(table(made.run), anew(made.run))
        same(table(made.run), anew(made.run))
    same(in_one_part(made.run, cached(made.run)).table(), anew(made.run))


def more(made, condition, replications, **columns):
    made.add(pairs(condition, replications), [outputs_of(condition, replications, **columns)])


def test_only_new_blocks_are_read(hand_made, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    read = []
    decode = blocks.decode
    monkeypatch.setattr(blocks, "decode", lambda data: read.append(len(data)) or decode(data))
    more(made, 1, [1, 2, 3], x=[0.5, 1.5, 2.5])
    more(made, 2, [1, 2, 3], x=[0.5, 1.5, 2.5])
    table(made.run)
    for r in (4, 5, 6):
        del read[:]
        more(made, 1, [r], x=[9.5])
        assert table(made.run)["replication"].to_pylist() == [*range(1, r + 1), 1, 2, 3]
        assert len(read) == 2  # the index and the block
    assert len([*made.run.path.glob("results*.parquet")]) == 4
    del read[:]
    more(made, 2, [4, 5, 6, 7], x=[9.5] * 4)  # more has come than was there at first: the parts are joined
    assert values(table(made.run), "replication") == [*range(1, 7), *range(1, 8)] and len(read) == 2
    assert [path.name for path in made.run.path.glob("results*.parquet")] == ["results.parquet"]


@pytest.mark.parametrize("columns", [{"x": [1]}, {"x": ["a"]}, {"y": [0.5]}, {"x": [0.5], "y": [0.5]}])
def test_what_new_blocks_change_is_made_anew(columns, hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    more(made, 1, [1, 2, 3], x=[1, 2, 3])
    table(made.run)
    more(made, 1, [4], **columns)
    same(table(made.run), anew(made.run))


def test_damaged_parts_are_made_anew(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    more(made, 1, [1, 2, 3], x=[1.0, 2.0, 3.0])
    table(made.run)
    more(made, 1, [4], x=[4.0])
    expected = table(made.run)
    for path in sorted(made.run.path.glob("results*")):
        good = path.read_bytes()
        for bad in (b"", good[:-9], good[:60] + bytes(20) + good[80:], good[::-1]):
            path.write_bytes(bad)
            same(table(made.run), expected)
        if path.exists():
            path.write_bytes(good)


def test_what_is_read_stays_what_it_is_when_the_run_grows(hand_made, monkeypatch):
    monkeypatch.setattr(parts, "PIECE_BYTES", 200)
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    for condition in (1, 2):
        more(made, condition, range(1, 11), x=[float(condition)] * 10)
    expected = table(made.run)
    pieces, dataset = cached(made.run).pieces(), sf.open(made.run.path).dataset()
    read = [next(pieces)]
    more(made, 1, range(11, 41), x=[0.5] * 30)
    assert table(made.run).num_rows == 50  # another process joins the parts
    read += pieces
    assert len(read) > 1 and pa.concat_tables(read).equals(expected)
    assert dataset.to_table().equals(expected) and dataset.to_table().equals(expected)


def test_a_damaged_part_is_made_anew_whoever_reads_it(hand_made, tmp_path):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    more(made, 1, [1, 2, 3], x=[1.0, 2.0, 3.0])
    expected, file = table(made.run), made.run.path / "results.parquet"
    good, run = file.read_bytes(), sf.open(made.run.path)
    for read in (
        lambda: of_conditions(made.run, [1]),
        lambda: parts_of(run, tmp_path / "r.parquet") or pq.read_table(tmp_path / "r.parquet"),
        lambda: run.summary() is None or table(made.run),
    ):
        file.write_bytes(good[:60] + bytes(20) + good[80:])
        same(read(), expected)
        assert file.read_bytes() == good


def test_an_index_that_others_wrote(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    more(made, 1, [1, 2, 3], x=[1.0, 2.0, 3.0])
    expected, path = table(made.run), made.run.path / "results.index"
    good = path.read_bytes()
    content = blocks.decode(good)
    part = json.loads(content.facts["parts"])[0]
    odd = [
        {"parts": json.dumps([[*part[:i], value, *part[i + 1 :]]])}
        for i in range(5)
        for value in (0, -1, 10**18, "x", None, [])
        if (i, value) != (3, 10**18)  # its size is believed
    ]
    odd += [{name: text} for name in content.facts for text in ("", "[]", "{}", "[[1]]", "[[0, 1e99]]", '{"x": [1]}')]
    changed = [(facts, None) for facts in odd]
    changed += [({}, (one, name, v)) for one in content.tables for name in one.columns for v in (0, -1, 2**31 - 1)]
    more(made, 1, [4], x=[4.0])
    grown = anew(made.run)
    last = sorted(made.run.blocks.iterdir())[-1]
    hidden = made.run.path / last.name
    for facts, value in changed:
        block = blocks.decode(good)
        block.facts |= facts
        for one in block.tables:
            if value and (one.name, [*one.columns]) == (value[0].name, [*value[0].columns]) and one.rows:
                column = one.columns[value[1]]
                if column.kind == "integer":
                    column.values = np.full(one.rows, value[2], dtype="<i4")
        path.write_bytes(blocks.encode(block))
        found = table(made.run)
        assert found.num_rows == 4 and found.schema.equals(grown.schema), (facts, value)
        last.rename(hidden)
        path.unlink(missing_ok=True)
        same(table(made.run), expected)
        hidden.rename(last)


def test_the_cache_of_another_run_is_not_taken(hand_made):
    runs = [hand_made(sf.grid(n=[10, 20]), replications=9) for _ in range(2)]
    for made, x in zip(runs, (0.5, 1.5), strict=True):
        more(made, 1, [1], x=[x])
        table(made.run)
    for name in ("results.parquet", "results.index"):
        (runs[1].run.path / name).write_bytes((runs[0].run.path / name).read_bytes())
    assert values(table(runs[1].run), "x") == [1.5]


def test_a_dataset_and_files_hold_the_rows_in_order(hand_made, tmp_path, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    for condition in (1, 2, 1):
        more(made, condition, [made.count * 3 + i for i in (1, 2, 3)], x=[float(made.count), 0.5, 1.5])
        expected = table(made.run)
    run = sf.open(made.run.path)
    for path in (tmp_path / "grown.parquet", tmp_path / "joined.parquet", run.folder / "results.parquet"):
        parts_of(run, path)
        same(pq.read_table(path), expected)
        same(run.dataset().to_table(), expected)  # which joins the parts
    assert run.dataset().filter(pc.field("condition") == 1).count_rows() == 6
    parts_of(run, tmp_path / "r.csv")
    assert pd.read_csv(tmp_path / "r.csv")["x"].tolist() == values(expected, "x")


def parts_of(run, path):
    done = CliRunner().invoke(main, ["results", str(run.folder), "-o", str(path)])
    assert done.exit_code == 0, done.output


def test_a_run_that_is_read_only_has_a_dataset_too(hand_made, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    more(made, 1, [1, 2, 3], x=[0.5, 1.5, 2.5])
    monkeypatch.setattr(cache, "HELD_BYTES", 0)
    write = cache.write_part

    def refuse(path, *given):
        if path.parent == made.run.path:
            raise PermissionError(13, "read-only", str(path))
        return write(path, *given)

    table(made.run)
    more(made, 1, [4], x=[3.5])
    table(made.run)  # in two parts, which can't be joined now
    run = sf.open(made.run.path)
    monkeypatch.setattr(cache, "write_part", refuse)
    for _ in range(2):
        assert values(run.dataset().filter(pc.field("condition") == 1).to_table(), "x") == [0.5, 1.5, 2.5, 3.5]
        for path in made.run.path.glob("results*"):
            path.unlink()
    monkeypatch.setattr(cache, "HELD_BYTES", 1 << 20)
    assert values(run.dataset().to_table(), "x") == [0.5, 1.5, 2.5, 3.5]
    assert not [*made.run.path.glob("results*")]


def test_results_that_do_not_fit_the_memory_are_refused(hand_made, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20]), replications=9)
    more(made, 1, [1, 2, 3], x=[0.5, 1.5, 2.5])
    table(made.run)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10))
    with pytest.raises(StoreError, match="GB are free") as refused:
        sf.open(made.run.path).results()
    assert "run.dataset()" in str(refused.value)
