"""Collected in little memory, tables are what they are when all blocks are joined at once."""

import numpy as np
import pytest
from at_once import at_once
from awkward_runs import made_by
from hand_made import block_of
from simferry.results import copies, gather, sorted_rows
from simferry.results.gather import Gathered
from simferry.results.table import digest
from simferry.worker import blocks

TABLES = ("replications", *gather.TABLES)


def gathered(made, folder, results_file=""):
    with Gathered(results_file, TABLES, folder) as found:
        for number, block in enumerate(made):
            found.add(str(number), blocks.decode(blocks.encode(block)), number)
        found.finish()
        tables = {name: found.table(name) for name in TABLES}
        return tables, found.metadata(tables["objects"]), found.failed


def same(made, folder, results_file=""):
    expected = at_once([blocks.decode(blocks.encode(block)) for block in made], results_file)
    tables, metadata, failed = gathered(made, folder, results_file)
    assert metadata == (expected.results.schema.metadata or {})
    assert [divmod(key, 2**32) for key in failed.tolist()] == [
        (row["condition"], row["replication"]) for row in expected.replications.to_pylist() if not row["ok"]
    ]
    for name in TABLES:
        table, other = tables[name], getattr(expected, name)
        assert table.schema == other.schema, name  # without their metadata
        assert [f.metadata for f in table.schema] == [f.metadata for f in other.schema]
        if name != "replications":  # where ok is not mended yet
            assert digest(table) == digest(other), name


@pytest.fixture(params=["in memory", "in files"])
def little(request, monkeypatch):
    """With and without temporary files."""
    if request.param == "in files":
        for module, name, size in (
            (gather, "HELD_BYTES", 1500),
            (gather, "PIECE_BYTES", 700),
            (sorted_rows, "CHUNK_BYTES", 90),
            (copies, "WINDOW", 5),
        ):
            monkeypatch.setattr(module, name, size)


@pytest.mark.parametrize("seed", [*range(20), 91, 216])
def test_tables_are_what_they_are_at_once(seed, little, tmp_path):
    same(made_by(seed), tmp_path)
    assert not [*tmp_path.iterdir()]


CSV = ["x,y\n1,2\n", "x,y\n0.5,NA\n7,b\n", "x\nTRUE\n", "x,y\n1\n", "y,x\n,9007199254740993\n"]
JSON = [
    '{"x": 1, "y": 2}', '{"x": true}', '{"x": 1.5}', '[{"x": "NA"}, {"x": 2, "y": "a"}]', '{"y": true, "x": 2}', '{"x": [1]}', "3", "{",
]  # fmt: skip


def files_of(draw, pair, kind):
    """The results files of a replication."""
    many = draw.integers(1, 4) if kind == "*" else 1
    endings = [draw.choice(["csv", "json"]) if kind == "*" else kind for _ in range(many)]
    contents = {"csv": CSV, "json": JSON}
    return [(*pair, f"r{i}.{e}", draw.choice(contents[e]).encode()) for i, e in enumerate(endings)]


@pytest.mark.parametrize("kind", ["csv", "json", "*"])
@pytest.mark.parametrize("seed", range(10))
def test_results_files_are_read_in_pieces(seed, kind, little, tmp_path):
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(8):
        pairs = sorted({(int(draw.integers(1, 4)), int(draw.integers(1, 9))) for _ in range(9)})
        ok = draw.random(len(pairs)) < 0.8
        files = [file for p, k in zip(pairs, ok, strict=True) if k for file in files_of(draw, p, kind)]
        bad = [(*p, "no", "", "") for p, k in zip(pairs, ok, strict=True) if not k]
        made.append(block_of([(*p, bool(k)) for p, k in zip(pairs, ok, strict=True)], failures=bad, files=files))
    same(made, tmp_path, "r*" if kind == "*" else f"r0.{kind}")


@pytest.mark.parametrize("kind", ["csv", "json", "*"])
def test_the_table_of_results_files_does_not_depend_on_the_blocks(kind, tmp_path):
    for seed in range(8):
        draw = np.random.default_rng(seed)
        files = {(c, r): files_of(draw, (c, r), kind) for c in (1, 2) for r in range(1, 8)}
        digests = set()
        for many in (1, 4, 4):
            of = draw.integers(many, size=len(files))
            parts = [[pair for pair, i in zip(files, of, strict=True) if i == block] for block in range(many)]
            made = [block_of(part, files=[file for pair in part for file in files[pair]]) for part in parts if part]
            digests.add(digest(gathered(made, tmp_path, "r*" if kind == "*" else f"r0.{kind}")[0]["results"]))
        assert len(digests) == 1, seed
