"""Collected in little memory, tables are what they are when all blocks are joined at once."""

import dataclasses

import numpy as np
import pytest
from at_once import at_once
from hand_made import block_of, column
from simferry.results import copies, gather, sorted_rows
from simferry.results.gather import Gathered
from simferry.results.table import digest
from simferry.worker import blocks

TABLES = ("replications", *gather.TABLES)
NA, QUIET_NA = blocks.NA_DOUBLE, np.array([0x7FF80000000007A2], dtype="<u8").view("<f8")[0]
TEXTS = ["a", "b", None, "", "\u00e9", "1.5", "\udcff"]  # the last is a byte that is not UTF-8


FAMILIES = (
    "double", "whole", "none", "integer", "logical", "NA", "string", "no string", "factor", "factor'", "no factor", "ordered", "date",
    "no date", "time", "time'", "seconds", "long", "exact", "lists", "lists'", "texts",
)  # fmt: skip


def formed(form, values, levels=()):
    kind = blocks.FORMS[form.partition(" ")[0]]
    return dataclasses.replace(
        blocks.strings(values) if kind == "string" else blocks.numbers(kind, values), form=form, levels=levels
    )


def lists(values, elements):
    lengths = [-1 if v is None else len(v) for v in values]
    return blocks.lists(lengths, elements([one for v in values for one in v or ()]))


def cells(family, draw, rows):
    """A column of a family."""
    pick = lambda some: [some[i] for i in draw.integers(len(some), size=rows)]  # noqa: E731
    kinds = {
        "double": lambda: blocks.numbers("double", pick([0.5, np.nan, NA, np.inf, -0.0, 1e300, 2.0])),
        "whole": lambda: blocks.numbers("double", pick([1.0, 2.0, NA, -3.0])),
        "none": lambda: blocks.numbers("double", [NA] * rows),
        "integer": lambda: blocks.numbers("integer", pick([1, 2, blocks.NA_INTEGER, -7])),
        "logical": lambda: blocks.numbers("logical", pick([0, 1, blocks.NA_INTEGER])),
        "NA": lambda: blocks.numbers("logical", [blocks.NA_INTEGER] * rows),
        "string": lambda: blocks.strings(pick(TEXTS)),
        "no string": lambda: blocks.strings([None] * rows),
        "factor": lambda: formed("factor", pick(["u", "v", None]), ("u", "v")),
        "factor'": lambda: formed("factor", pick(["w", "v"]), ("w", "v")),
        "no factor": lambda: formed("factor", [None] * rows, ("x",)),
        "ordered": lambda: formed("ordered", pick(["u", "v"]), ("u", "v")),
        "date": lambda: formed("date", pick([0.0, 19000.5, NA])),
        "no date": lambda: formed("date", [NA] * rows),
        "time": lambda: formed("time Europe/Berlin", pick([0.5, 1.7e9, NA])),
        "time'": lambda: formed("time UTC", pick([0.25, 1.6e9])),
        "seconds": lambda: formed("seconds", pick([0.25, 60.0, NA])),
        "long": lambda: formed("long", pick([str(2**60), str(2**60 + 1), None])),
        "lists": lambda: lists(pick([None, (), (0.5,), (NA, 2.0)]), lambda v: blocks.numbers("double", v)),
        "lists'": lambda: lists(pick([None, (1,), (2, 3)]), lambda v: blocks.numbers("integer", v)),
        "texts": lambda: lists(pick([None, ("a", None), ()]), blocks.strings),
        "exact": lambda: formed("long", pick([str(2**60), str(-(2**55))])),
    }
    return kinds[FAMILIES[family]]()


def made_by(seed):
    """Blocks of a run that is as awkward as this number makes it: copies, failures, columns that differ, kinds that mix."""
    draw = np.random.default_rng(seed)
    sets = [("x", "y"), ("y", "x", "z"), ("x",), ("z", "w")][: draw.integers(1, 5)]
    families = {name: draw.integers(len(FAMILIES), size=draw.integers(1, 4)) for name in "xyzw"}
    out = []
    for _ in range(draw.integers(1, 12)):
        pairs = draw.permutation([(c, r) for c in (1, 2, 3) for r in range(1, 9)])[: draw.integers(1, 20)].tolist()
        pairs = sorted(map(tuple, pairs)) if draw.random() < 0.5 else list(map(tuple, pairs))
        ok = draw.random(len(pairs)) < 0.8
        good = [pair for pair, fine in zip(pairs, ok, strict=True) if fine]
        results = []
        for i, names in enumerate(sets):
            rows = [p for p in good if (p[0] + p[1]) % len(sets) == i for _ in range(int(draw.integers(1, 3)))]
            if rows:
                ids = {"condition": [c for c, _ in rows], "replication": [r for _, r in rows]}
                chosen = {name: cells(draw.choice(families[name]), draw, len(rows)) for name in names}
                results.append({**ids, **chosen})
        bad = [(*pair, f"no {seed}", "f()", None) for pair, fine in zip(pairs, ok, strict=True) if not fine]
        warned = [(*pair, "careful", int(draw.integers(1, 5))) for pair in pairs if draw.random() < 0.2]
        made = block_of([(*p, bool(k)) for p, k in zip(pairs, ok, strict=True)], results, bad, warned)
        some = [pair for pair in good if draw.random() < 0.2]
        for name, texts in (("objects", ("output", "kind")), ("seeds", ("seed",))):
            ids = {"condition": column([c for c, _ in some]), "replication": column([r for _, r in some])}
            if some:
                values = {text: column([f"{text} {c}" for c, _ in some]) for text in texts}
                made.tables.append(blocks.Table(name, len(some), ids | values))
        out.append(made)
    return out


def gathered(made, folder, results_file=""):
    with Gathered(results_file, TABLES, folder) as found:
        for number, block in enumerate(made):
            found.add(str(number), blocks.decode(blocks.encode(block)))
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


@pytest.mark.parametrize("seed", range(10))
def test_results_files_are_read_in_pieces(seed, little, tmp_path):
    draw = np.random.default_rng(seed)
    contents = ["x,y\n1,2\n", "x,y\n0.5,NA\n7,b\n", "x\nTRUE\n", "x,y\n1\n", "y,x\n,9007199254740993\n"]
    made = []
    for _ in range(8):
        pairs = sorted({(int(draw.integers(1, 4)), int(draw.integers(1, 9))) for _ in range(9)})
        ok = draw.random(len(pairs)) < 0.8
        files = [
            (*p, "r.csv", contents[draw.integers(len(contents))].encode()) for p, k in zip(pairs, ok, strict=True) if k
        ]
        bad = [(*p, "no", "", "") for p, k in zip(pairs, ok, strict=True) if not k]
        made.append(block_of([(*p, bool(k)) for p, k in zip(pairs, ok, strict=True)], failures=bad, files=files))
    same(made, tmp_path, "r.csv")
