"""What is asked of a run that is there."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pyarrow.parquet
import pytest
import simferry as sf
from command_line import ended, said, started, status, until
from simferry.verbs import runs


def test_a_sweep_from_run_to_table(folder):
    text = said("run", "sweep.toml", "-o", "results.parquet", code=3)
    name = re.match(r"run (\S+): 4 conditions x 20 replications, seed 1\n", text)[1]
    assert re.search(r"80 of 80 replications done, [1-9]\d* failed, in ", text)
    assert f"simferry errors {name}  says why\nsimferry resume {name} --retry-failed  tries them again\n" in text
    table = pyarrow.parquet.read_table("results.parquet")
    assert table.column_names == ["condition", "replication", "n", "method", "value"]

    assert said("status", name).startswith(f"run {name}: complete, 80 of 80 replications done")
    assert said("logs", name) == ""
    assert said("results", name, "-o", "results.csv") == f"{table.num_rows} rows x 5 columns in results.csv\n"
    assert "mcse" in said("summary", "latest")
    assert "no luck this time" in said("errors", name[:-2])
    assert "nothing to draw" in said("errors", name, "--warnings")
    failed = json.loads(said("errors", name, "--json"))[0]
    which = ("--condition", str(failed["condition"]), "--replication", str(failed["replication"]))
    assert said("replay", name, *which, code=3) == ""
    assert (
        json.loads(said("replay", name, *which, "--json", code=3))["error"]["message"]
        == "ValueError: no luck\nthis time"
    )
    assert said("resume", name, "--retry-failed", code=3).startswith("80 of 80")
    assert said("extend", name, "-n", "25", code=3).startswith("100 of 100")
    assert said("cancel", name).startswith(f"run {name} was not being computed; 100 of 100")
    assert name in said("list")


def test_a_detached_run_is_watched_and_cancelled_from_elsewhere(folder):
    words = ("run", "simulate.py", "-p", "n=-20", "-n", "3000", "--workers", "1", "--detach", "--json")
    made = json.loads(ended(started(*words))[1])
    assert made["state"] == "running"
    until(lambda: status()["done"] > 0)
    now = status()
    assert now["seconds_left"] == pytest.approx((now["total"] - now["done"]) / now["per_second"])
    assert re.search(r" failed, \S+/s, .* left$", said("status", made["run"]), re.MULTILINE)
    master, slave = pty.openpty()
    watcher = subprocess.Popen([sys.executable, "-m", "simferry", "watch", made["run"]], stdout=slave, stderr=slave)
    os.close(slave)
    text = os.read(master, 1)  # it has begun to show
    watcher.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # its end
        while part := os.read(master, 65536):
            text += part
    os.close(master)
    assert watcher.wait(60) == 0, text.decode()
    assert f"run {made['run']} goes on; simferry cancel {made['run']}  stops it" in text.decode()
    assert status()["state"] == "running"
    busy = ended(started("resume", made["run"]))
    assert busy[0] == 1 and "is being computed by process" in busy[2]
    assert re.match(rf"run {made['run']} is stopped; \d+ of 3,000 replications are kept\n", said("cancel", "latest"))
    assert status()["state"] == "incomplete"


def test_the_pause_between_looks_grows_with_what_a_look_takes(hand_made, monkeypatch):
    run, clock = sf.open(hand_made(sf.grid(n=1)).run.path), iter([100.0, 103.0])
    monkeypatch.setattr(runs.Run, "status", lambda self: "now")
    monkeypatch.setattr(runs, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert run._look() == ("now", 30)
