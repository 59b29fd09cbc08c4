"""Processes that hang, crash or exit: the replication that did it fails, and no other."""

import os
import shutil
import subprocess
import sys
import time

import pytest
import simferry as sf
from common import require
from simferry.jobs.launch import command_here, environment_here
from simferry.worker import blocks
from sweeps import DRAWS, done_pairs, write


def test_hangs_crashes_and_exits_are_narrowed_down_to_the_replication(go):
    def simulate(kind, rng):
        u = rng.random()
        if u < 0.4:
            if kind == "sleep":
                time.sleep(100)
            while kind == "busy":
                pass
            if kind == "program":
                subprocess.run(["sleep", "100"], check=False)
            if kind == "crash":
                os.kill(os.getpid(), 11)
            if kind in ("exit 0", "exit 1"):
                os._exit(int(kind[-1]))
            if kind == "sys.exit":
                sys.exit("no more")
        return u

    kinds = ["fine", "sleep", "busy", "program", "crash", "exit 0", "exit 1", "sys.exit"]
    run = go(simulate, sf.grid(kind=kinds), 5, workers=2, replication_timeout=1.5, common="all", seed=4)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 40
    errors, values = run.errors(), run.results()
    failed = set(errors[errors["kind"] == "sys.exit"]["replication"])  # the same for all kinds, which share their draws
    assert 0 < len(failed) < 5
    assert all(set(errors[errors["kind"] == kind]["replication"]) == failed for kind in kinds[1:])
    assert len(errors) + len(values) == 40
    said = {kind: set(errors[errors["kind"] == kind]["message"]) for kind in kinds}
    assert said["sleep"] == said["busy"] == said["program"] == {"timed out after 1.5 s"}
    assert said["crash"] == {"the process ended with signal 11 (SIGSEGV)"}
    assert [said[f"exit {code}"] for code in (0, 1)] == [
        {f"the process ended with exit code {code}"} for code in (0, 1)
    ]
    assert said["sys.exit"] == {"SystemExit: no more"}


def test_crashes_without_a_time_limit(go):
    def simulate(rng):
        u = rng.random()
        if u < 0.02:
            os._exit(1)
        return u

    run = go(simulate, None, 300, workers=2)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 300
    assert 0 < len(run.errors()) < 20
    expected = go(lambda rng: rng.random(), None, 300).results()["value"]
    assert run.results()["value"].tolist() == expected[expected >= 0.02].tolist()


# ---- a job that a service has started anew ----


def on_hand(run, plan, root, done, facts=None):
    """A plan's first job, run as in a later attempt, by hand. done: blocks that earlier ones have sent. Returns its blocks."""
    shutil.copytree(run.folder / "code", root / "input" / "code")
    for folder in ("input/plan", "done", "blocks", "artifacts"):
        (root / folder).mkdir()
    given = blocks.decode((run.folder / "plan" / plan / "0001" / "job").read_bytes())
    (root / "input/plan/job").write_bytes(blocks.encode(blocks.Block({**given.facts, **(facts or {})}, given.tables)))
    for path in done:
        shutil.copy(path, root / "done")
    language = run.record["simulation"]["language"]
    command = command_here(language)
    env = {**environment_here(run.record["simulation"], str(root / "input")), "SIMFERRY_ATTEMPT": "2"}
    ended = subprocess.run(
        [*command, "run", str(root)], cwd=root / "input/code", env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return sorted((root / "blocks").iterdir())


def rows_in(paths):
    """The values of replications, by condition and replication."""
    found = {}
    for path in paths:
        block = blocks.decode(path.read_bytes())
        columns = block.table("results").columns
        names = [name for name in columns if name not in ("condition", "replication")]
        for i, key in enumerate(zip(*(columns[k].values.tolist() for k in ("condition", "replication")), strict=True)):
            assert key not in found
            found[key] = [columns[name].values[i].tobytes() for name in names]
    return found


@pytest.mark.parametrize("kind", ["python", "r", "r chunked"])
def test_a_later_attempt_computes_what_earlier_ones_have_not_sent(tmp_path, kind):
    language, _, chunked = kind.partition(" ")
    if language == "r":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    name, text = DRAWS[language]
    script, facts = write(tmp_path, name, text), {"chunked": "yes"} if chunked else {}
    options = {"seed": 3, "workers": 2, "store": tmp_path / "runs"}
    whole = sf.run(script, sf.grid(n=[5, 9]), replications=10, **options)
    expected = rows_in((whole.folder / "blocks").iterdir())
    part = sf.run(script, sf.grid(n=[5, 9]), replications=3, fresh=True, **options)
    part.extend(6)
    first, middle = (sorted((part.folder / "blocks").glob(f"{plan}-*")) for plan in ("0001", "0002"))
    assert first and middle
    for number, done in enumerate((first, middle)):
        made = on_hand(whole, "0001", tmp_path / f"root-{number}", done, facts)
        assert {path.name.split("-")[2] for path in made} == {"2"}
        computed, known = rows_in(made), rows_in(done)
        assert computed.keys().isdisjoint(known) and {**computed, **known} == expected
    assert on_hand(whole, "0001", tmp_path / "root-all", [*(whole.folder / "blocks").iterdir()], facts) == []
