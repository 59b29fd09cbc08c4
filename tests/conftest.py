"""What several test files share: `require`, and run folders that are made by hand from a design and blocks."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from simferry.jobs import streams
from simferry.store import folder_store as store
from simferry.sweep.design import Design
from simferry.worker import blocks

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # begun in a shell's background; what tests start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def require(part: str, present: bool, reason: str) -> None:
    """Skip where a part is missing; fail instead where the environment variable SIMFERRY_REQUIRE names it."""
    if not present:
        needed = part in os.environ.get("SIMFERRY_REQUIRE", "").replace(",", " ").split()
        (pytest.fail if needed else pytest.skip)(reason)


def rscript(code: str, folder: Path) -> str:
    """What R prints when it runs some code in a folder."""
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = folder / "code.R"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        ["Rscript", "--vanilla", script], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bits(values) -> list[int]:
    """Doubles as the 64 bits that they are: NA, NaN, 0 and -0 are four different values."""
    return np.asarray(values, dtype="<f8").view("<u8").tolist()


def column(values) -> blocks.Column:
    """A column from a list: of doubles, integers, logicals or strings; None is NA."""
    kind = next((type(v) for v in values if v is not None), bool)
    if kind is str:
        return blocks.strings(values)
    if kind is float:
        return blocks.numbers("double", [blocks.NA_DOUBLE if v is None else v for v in values])
    return blocks.numbers(
        "logical" if kind is bool else "integer", [blocks.NA_INTEGER if v is None else v for v in values]
    )


def block_of(done, results=(), failures=(), warned=(), outputs=()) -> blocks.Block:
    """A block. done: (condition, replication) or (condition, replication, False) for failed ones. results: dicts of columns,
    condition and replication among them. failures, warned, outputs: tuples that begin with condition and replication."""

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
        self.run = self.store.create(
            "made",
            {
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
            },
        )
        self.run.write_conditions(design.table)
        self.count = 0

    def add(self, done, *args, **kwargs) -> Path:
        """Put a block into the folder, as a worker does; returns its path."""
        self.count += 1
        failed = sum(1 for d in done if len(d) > 2 and not d[2])
        path = self.run.blocks / f"0001-0001-1-01.{self.count:06d}-r{len(done)}-f{failed}"
        path.write_bytes(blocks.encode(block_of(done, *args, **kwargs)))
        return path


@pytest.fixture
def hand_made(tmp_path):
    """Makes run folders by hand: hand_made(design, replications=10, **what run.json says)."""
    return lambda design, *args, **record: HandMade(tmp_path / "store", design, *args, **record)


from aws_fixtures import account, moto_server  # noqa: E402, F401
from docker_fixtures import engine, image_python, image_r, registry, scrap  # noqa: E402, F401
from emulator_fixtures import emulate, emulator, gate, jobs, machine, place, s3  # noqa: E402, F401
from sagemaker_fixtures import r_script, sent, session  # noqa: E402, F401
