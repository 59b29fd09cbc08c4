"""Stores in which somebody else has written: a run that can't be read is named, and no other verb or run suffers from it."""

import copy
import json
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import simferry as sf
from hand_made import HandMade
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simferry.backends.local import Local
from simferry.cli import main
from simferry.errors import SimferryError
from simferry.jobs import stretches
from simferry.system.processes import identity
from simferry.worker import blocks

SCRIPT = "def simulate(n, rng):\n    return {'x': float(rng.normal()), 'what': 'text'}\n"
BLOCK = "blocks/0001-0001-1-01.000001-r4-f1"
JSON_FILES = ("run.json", "plan/0001/plan.json", "jobs/driver.json", "jobs/0001-0001/job.json")
FILES = (*JSON_FILES, "conditions.csv", BLOCK, "plan/0001/0001/job", "jobs/0001-0001/message", "jobs/0001-0001/log.txt",
         "results.parquet", "results.index")  # fmt: skip
VERBS = (["status"], ["results"], ["summary"], ["errors"], ["errors", "--warnings"], ["logs"], ["cancel"], ["resume"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two runs, a good one, and one whose id is `bad`; and a copy of the latter's files."""
    folder = tmp_path_factory.mktemp("stores")
    script = folder / "simulate.py"
    script.write_text(SCRIPT)
    done = [(1, 1), (1, 2), (2, 1), (2, 2, False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = sf.run(script, sf.grid(n=[10, 20]), replications=2, seed=1, store=folder / "store", workers=1)
        made = HandMade(folder / "store", sf.grid(n=[10, 20]), **{**real.record, "created": "2999-01-01T00:00:00"})
        rows = {"condition": [1, 1, 2], "replication": [1, 2, 1], "x": [0.5, 1.5, 2.5], "what": ["a", "b", None]}
        made.add(done, [rows], [(2, 2, "oh no", "simulate", "a\nb")], [(1, 1, "careful", 3)])
        bad = made.run.path
        for name in ("code", "plan", "jobs"):
            shutil.rmtree(bad / name, ignore_errors=True)
            shutil.copytree(real.folder / name, bad / name)
        (bad / "jobs" / "driver.json").write_text(json.dumps({"pid": 2**22, "started": 1.0, "host": "h", "space": ""}))
        (bad / "jobs" / "0001-0001" / "message").write_text("load: no")
        (bad / "jobs" / "0001-0001" / "log.txt").write_text("printed\n")
        sf.open(bad).results()
    assert all((bad / name).is_file() for name in FILES)
    shutil.copytree(bad, folder / "whole")
    return folder, real.id, bad


def places(value, path=()):
    """Every place in a JSON value: the keys that lead there."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


ODD = st.sampled_from(
    [None, True, -1, 0, 2**31, 2**63, 10**30, 1e308, "", "x", "\x1b]8;;http://x\x07", "../../../etc/passwd", "\ud800", [], {}, [[]],
     {"": 0}, "2026-01-01", "2026-01-01T00:00:00", ["ml.m5.xlarge"], "docker", "local", "script", float("nan"), 0.5]
)  # fmt: skip
WHOLE = st.sampled_from(
    [b"", b"[]", b"null", b"{}", b'"x"', b"1", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b"NaN",
     b"condition\n1\n", b"condition,n\n1,x\n2,y\n", b"condition,n\n" * 3, "missing", "folder", "fifo", "link", "huge"]
)  # fmt: skip


@st.composite
def damages(draw):
    """What is done to a run folder: a function of its path, shown by its name."""
    kind = draw(st.sampled_from(["field", "field", "field", "whole", "byte", "block"]))
    if kind == "field":
        name, choose, value = draw(st.sampled_from(JSON_FILES)), draw(st.floats(0, 0.999)), draw(st.just("gone") | ODD)
        return kind, name, choose, value
    if kind == "block":
        table, column = draw(st.integers(0, 3)), draw(st.floats(0, 0.999))
        return (
            kind,
            BLOCK,
            (table, column),
            draw(st.sampled_from(["gone", "double", "integer", "string", "raw", "out", "rows", "twice"])),
        )
    name = draw(st.sampled_from(FILES))
    return (
        (kind, name, None, draw(WHOLE))
        if kind == "whole"
        else (kind, name, draw(st.floats(0, 0.999)), draw(st.integers(1, 255)))
    )


def damage(run: Path, kind, name, where, what):
    path = run / name
    if kind == "field":
        value = json.loads(path.read_bytes())
        *above, last = ("value", *list(places(value))[int(where * len(list(places(value))))])
        value = {"value": value}
        at = value
        for key in above:
            at = at[key]
        if what == "gone" and isinstance(at, dict):
            del at[last]
        else:
            at[last] = None if what == "gone" else copy.deepcopy(what)
        path.write_text(json.dumps(value.get("value")))
    elif kind == "byte":
        data = bytearray(path.read_bytes())
        data[int(where * len(data))] ^= what
        path.write_bytes(data)
    elif kind == "block":
        made = blocks.decode(path.read_bytes())
        table = made.tables[where[0] % len(made.tables)]
        column = list(table.columns)[int(where[1] * len(table.columns))]
        if what == "gone":
            del table.columns[column]
        elif what == "out":
            table.columns["condition"] = blocks.numbers("integer", np.full(table.rows, 2**31 - 1))
        elif what == "rows":
            table.rows += 1
        elif what == "twice":
            made.tables.append(table)
        elif what in ("string", "raw"):
            table.columns[column] = blocks.Column(what, np.full(table.rows, 1, dtype="<i4"), b"x" * table.rows)
        else:
            table.columns[column] = blocks.numbers(what, np.ones(table.rows))
        path.write_bytes(blocks.encode(made))
    else:
        path.unlink()
        if isinstance(what, bytes):
            path.write_bytes(what)
        elif what == "folder":
            path.mkdir()
        elif what == "fifo":
            os.mkfifo(path)
        elif what == "link":
            path.symlink_to("/etc/passwd")
        elif what == "huge":
            with open(path, "wb") as file:
                file.truncate(2**43)


def command(capsys, *arguments):
    """Exit code and all that a command says."""
    with pytest.raises(SystemExit) as ended, warnings.catch_warnings():
        warnings.simplefilter("default")
        main([*map(str, arguments)])
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(done=damages(), verb=st.sampled_from(VERBS))
def test_whatever_a_run_folder_holds_a_verb_ends_in_its_own_words(store, capsys, done, verb):
    folder, good, bad = store
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(folder / "whole", bad)
    damage(bad, *done)
    stores = ("--store", folder / "store")
    code, out, err = command(capsys, "list", *stores)
    assert code == 0 and good in out and (bad.name in out or bad.name in err), (out, err)
    code, out, err = command(capsys, *verb[:1], bad.name, *verb[1:], *stores)
    assert code in (0, 1, 2, 3) and "fault of simferry" not in err, err
    assert code in (0, 3) or err.startswith(("simferry: ", "warning: ")), (out, err)
    assert "root:" not in out + err  # of /etc/passwd


@pytest.mark.parametrize("content", ["[]", "{}", '{"created": 1}'])
def test_latest_reuse_and_extend_pass_over_what_cannot_be_read(store, capsys, tmp_path, content):
    folder, good, bad = store
    there = tmp_path / "store"
    shutil.copytree(folder / "store", there, symlinks=True)
    shutil.rmtree(there / bad.name)
    (there / "strange").mkdir()
    (there / "strange" / "run.json").write_text(content)
    with pytest.warns(UserWarning, match="run strange is left out"):
        assert sf.open("latest", there).id == good
    with pytest.warns(UserWarning, match="run strange is left out"):
        again = sf.run(folder / "simulate.py", sf.grid(n=[10, 20]), replications=2, seed=1, store=there, workers=1)
    assert [name.plan for name in again._folder.block_names()] == ["0000"]  # it was taken over
    with pytest.raises(SimferryError, match=r"strange.run.json can't be read: it has to be an object"):
        sf.open("strange", there)


def test_more_conditions_than_there_are_take_no_memory(store, capsys, monkeypatch):
    folder, _, bad = store
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(folder / "whole", bad)
    record = json.loads((bad / "run.json").read_text())
    (bad / "run.json").write_text(json.dumps({**record, "conditions": 2**31 - 1}))
    monkeypatch.setattr(stretches, "missing_work", lambda *_: pytest.fail("it takes 8 bytes for each"))
    for verb in (["resume"], ["extend", "-n", "3"]):
        code, _, err = command(capsys, *verb[:1], bad.name, *verb[1:], "--store", folder / "store")
        assert code == 1 and "has 2 rows where run.json says 2147483647" in err


def test_a_folder_whose_name_is_no_text_is_passed_over(store, capsys, tmp_path):
    folder, good, _ = store
    names = [os.fsdecode(b"\xff-20260101-deadbeef"), "\x1b[2J\nx-20260101-deadbeef"]
    for name in (good, *names):
        shutil.copytree(folder / "store" / good, tmp_path / name)
    code, out, err = command(capsys, "list", "--store", tmp_path)
    assert code == 0 and good in out and len(out.splitlines()) == 2
    for name in names:
        assert f"run {name!r} is left out" in err
        code, out, err_of_one = command(capsys, "status", tmp_path / name)
        assert code == 1 and "is not valid for a run" in err_of_one
    assert sf.open("latest", tmp_path).id == good


def test_no_record_and_no_link_leads_a_verb_to_what_is_not_the_runs(store, capsys, tmp_path):
    folder, _, bad = store
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(folder / "whole", bad)
    mine = tmp_path / "mine"
    (mine / "input").mkdir(parents=True)
    (mine / "notes").write_text("mine")
    stores = ("--store", folder / "store")
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        named = identity(other.pid)
        (bad / "jobs" / "driver.json").write_text(json.dumps(named))
        code, _, err = command(capsys, "cancel", bad.name, *stores)
        assert code == 1 and f"names process {other.pid}" in err
        (bad / "jobs" / "driver.json").unlink()
        (bad / "jobs" / "0001-0001" / "job.json").write_text(json.dumps({**named, "state": "running"}))
        Local().cancel(sf.open(bad)._folder, ["0001-0001"], at_once=False)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    shutil.rmtree(bad / "jobs" / "0001-0001")
    (bad / "jobs" / "0001-0001").symlink_to(mine)
    assert command(capsys, "cancel", bad.name, *stores)[0] == 0
    (bad / "jobs" / "driver.lock").unlink(missing_ok=True)
    (bad / "jobs" / "driver.lock").symlink_to(mine / "notes")
    code, _, err = command(capsys, "resume", bad.name, *stores)
    assert code == 1 and "driver.lock" in err
    assert {p.name for p in mine.iterdir()} == {"input", "notes"} and (mine / "notes").read_text() == "mine"
