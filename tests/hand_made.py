"""Run folders that are made by hand from a design and blocks."""

from pathlib import Path

import numpy as np
import pytest
from simferry.jobs import streams
from simferry.jobs.plan import Streams
from simferry.store import folder_store as store
from simferry.store.records import RunRecord
from simferry.sweep.conditions import write_conditions
from simferry.sweep.design import Design
from simferry.worker import blocks


def column(values) -> blocks.Column:
    """A column from a list: of doubles, integers, logicals or strings; None is NA. One that is a column already stays it."""
    if isinstance(values, blocks.Column):
        return values
    kind = next((type(v) for v in values if v is not None), bool)
    if kind is str:
        return blocks.strings(values)
    if kind is float:
        return blocks.numbers("double", [blocks.NA_DOUBLE if v is None else v for v in values])
    return blocks.numbers(
        "logical" if kind is bool else "integer", [blocks.NA_INTEGER if v is None else v for v in values]
    )


def block_of(done, results=(), failures=(), warned=(), outputs=(), files=()) -> blocks.Block:
    """A block. done: (condition, replication) or (condition, replication, False) for failed ones. results: dicts of columns,
    condition and replication among them. failures, warned, outputs: tuples that begin with condition and replication.
    files: (condition, replication, name, content)."""

    def table(name, columns):
        return blocks.Table(name, len(columns["condition"]), {n: column(v) for n, v in columns.items()})

    ok = [(*d, True)[2] for d in done]
    status = {"condition": [d[0] for d in done], "replication": [d[1] for d in done], "ok": ok}
    tables = [table("replications", {**status, "seconds": [0.001] * len(done)})]
    tables += [table("results", columns) for columns in results]
    for name, rows, fields in (
        ("failures", failures, ("message", "call", "traceback")),
        ("warnings", warned, ("message", "count")),
        ("outputs", outputs, ("text",)),
    ):
        if rows:
            names = ("condition", "replication", *fields)
            tables.append(table(name, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))
    if files:
        names = dict(
            zip(("condition", "replication", "name"), map(list, zip(*(f[:3] for f in files), strict=True)), strict=True)
        )
        tables.append(table("outputs", names))
        tables[-1].columns["content"] = blocks.raws([f[3] for f in files])
    return blocks.Block({"run": "made by hand"}, tables)


class HandMade:
    """A run folder whose blocks are put there one by one."""

    def __init__(self, folder: Path, design: Design, replications: int = 10, **record) -> None:
        self.store = store.Store(folder)
        simulation = {
            "kind": "function",
            "language": "r",
            "results_file": "",
            "args": None,
            **dict.fromkeys(("function", "script", "path", "objects"), ""),
            "private_mount": False,
            **record.pop("simulation", {}),
        }
        content = {
            "conditions": len(design),
            "replications": replications,
            "parameters": design.types,
            "simulation": simulation,
            "seed": 1,
            "streams": streams.version_of(simulation),
            "common": [],
            "code_hash": "c0de",
            "environment": {"interpreter": "R 4.2.2"},
            "options": {
                "backend": "local",
                "place": {},
                "cores": None,
                "on_error": "continue",
                "replication_timeout": None,
                "retries": 2,
                "chunk_size": None,
            },
            "created": "2026-01-01T00:00:00",
            **record,
        }
        self.run = self.store.create(self.store.new_id("made"), RunRecord.of(content, "run.json"))
        write_conditions(self.run, design)
        self.run.publish()
        self.count = 0

    def add(self, done, *args, **kwargs) -> Path:
        """Put a block into the folder, as a worker does; returns its path."""
        self.count += 1
        return self.put(self.count, block_of(done, *args, **kwargs))

    def put(self, number: int, block: blocks.Block) -> Path:
        status = block.table("replications")
        failed = int((status.columns["ok"].values == 0).sum())
        path = self.run.blocks / f"0001-0001-1-01.{number:06d}-r{status.rows}-f{failed}"
        path.write_bytes(blocks.encode(block))
        return path


@pytest.fixture
def hand_made(tmp_path):
    """Makes run folders by hand: hand_made(design, replications=10, **what run.json says)."""
    return lambda design, *args, **record: HandMade(tmp_path / "store", design, *args, **record)


NA = float(blocks.NA_DOUBLE)


def pairs(condition, replications):
    return [(condition, r) for r in replications]


def outputs_of(condition, replications, **columns):
    n = len(next(iter(columns.values())))
    per = n // len(replications)
    return {"condition": [condition] * n, "replication": [r for r in replications for _ in range(per)], **columns}


def values(table, name):
    return table[name].to_pylist()


def keys_of(design, seed=1):
    """The keys of each condition, as a job file carries them."""
    made = Streams(seed, design, whole_scripts=True)
    return np.stack(list(made.seed_keys(np.arange(1, len(design) + 1)).values()), axis=1).tolist()


def rows(design):
    return [tuple(row.values()) for row in design.table.to_pylist()]
