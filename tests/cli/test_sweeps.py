"""simferry run and simferry plan."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_line import ended, said, started, status, until
from simferry.cli import main


def test_plan_reads_well_and_its_pilot_is_kept(folder):
    text = said("plan", "simulate.py", "-p", "n=10,20", "-n", "5", "--seed", "3")
    lines = text.splitlines()
    assert lines[0].startswith("2 conditions x 5 replications = 10, in ")
    assert lines[1:3] == ["code: simulate.py", "already there: 0"]
    assert re.match(r"a replication takes \S+ s on average \(a pilot of 6, kept in \S+\)", lines[3])
    assert lines[-1] == "--seed 3  uses the pilot's replications"
    assert "6 of 10 replications were computed by earlier runs" in said(
        "run", "simulate.py", "-p", "n=10,20", "-n", "5", "--seed", "3"
    )


def test_options_win_over_the_sweep_file(folder):
    text = said("run", "sweep.toml", "-p", "n=5", "-n", "3", "--seed", "2")
    assert "1 condition x 3 replications, seed 2\n" in text


def test_a_command_and_its_template(folder):
    (folder / "draw.sh").write_text('#!/bin/sh\necho "n,seed\n$1,$SIMFERRY_SEED" > out.csv\n')
    (folder / "draw.sh").chmod(0o755)
    said("run", "draw.sh", "-p", "size=1000,1e5", "-n", "2", "--args", "{size}", "--results-file", "out.csv")
    rows = json.loads(said("results", "latest", "--json"))
    assert [row["n"] for row in rows] == [1000, 1000, 100000, 100000]
    assert len({row["seed"] for row in rows}) == 4


def test_a_run_that_stops_at_a_failure_says_so(folder):
    words = ["run", "simulate.py", "-p", "n=13,-20", "-p", "method=median", "-n", "500", "--on-error", "stop"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 3
    assert "stopped at a failed replication (--on-error stop)\nsimferry resume" in result.stderr


def test_ctrl_c_leaves_a_run_that_can_be_resumed(folder):
    process = started("run", "simulate.py", "-p", "n=-10", "-n", "400", "--workers", "1")
    until(lambda: status()["done"] > 0)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 4, err
    assert re.search(r"stopped; \d+ replications of run \S+ are kept\nsimferry resume \S+", err)
    kept = status()
    assert kept["state"] == "incomplete" and 0 < kept["done"] < 400
    assert "400 of 400 replications done, 0 failed" in said("resume", "latest")


FROM_PYTHON = """
import simferry as sf
run = sf.run("simulate.py", {"n": -10}, replications=500, workers=1)
print(run.status().done, "done")
"""


@pytest.mark.parametrize("typed", ["shell", "python"])
def test_a_terminal_gets_a_progress_bar(folder, typed):
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color"}
    shell = ["-m", "simferry", "run", "simulate.py", "-p", "n=-10", "-n", "500", "--workers", "1"]
    command = [sys.executable, *(shell if typed == "shell" else ["-c", FROM_PYTHON])]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = b""
    while select.select([master], [], [], 60)[0]:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        seen += part
        if not part:
            break
    os.close(master)
    assert process.wait(30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert re.search(r"━+.* +\d+/500 0 failed, \d+/s, \S+ s left", text)
    if typed == "shell":
        assert "500 of 500 replications done, 0 failed" in text
        assert text.index("1 condition x 500 replications") < text.index("━")
    else:
        assert "500 done" in text


def test_a_project_from_another_folder_and_the_question_of_a_large_one(folder, tmp_path, monkeypatch):
    for name, text in {
        ".here": "",
        ".env": "KEY=1",
        "lib/one.py": "ONE = 1",
        "sim/s.py": "from lib.one import ONE\ndef simulate(n): return ONE",
    }.items():
        (tmp_path / "study" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "study" / name).write_text(text)
    script = str(tmp_path / "study" / "sim" / "s.py")
    sweep = [script, "--project", "-p", "n=1", "-n", "2", "--seed", "1"]
    lines = said("plan", *sweep).splitlines()
    assert lines[1] == "code: s.py, ../lib/one.py"
    assert lines[2].startswith(
        f"along: 3 files of {tmp_path / 'study'}, 0.1 MB; left out as they may hold credentials: .env"
    )
    monkeypatch.setattr("simferry.sweep.simulation.LARGE", 1)
    refused = CliRunner().invoke(main, ["run", *sweep])
    assert refused.exit_code == 2 and "--large-project" in refused.output
    monkeypatch.setattr(
        "simferry.cli.sweeps.sys", type("sys", (), {"stdin": type("terminal", (), {"isatty": lambda: True})})
    )
    no = CliRunner().invoke(main, ["run", *sweep], input="n\n")
    assert no.exit_code == 2 and "nothing is started" in no.output
    yes = CliRunner().invoke(main, ["run", *sweep], input="y\n")
    assert yes.exit_code == 0, yes.output


def test_the_question_of_many_jobs_that_cost_money(monkeypatch):
    begun = []
    monkeypatch.setattr("simferry.verbs.run.run", lambda sweep, **_: begun.append(sweep) or sys.exit(0))
    sweep = ["run", "image:no-such-image", "-n", "101", "--backend", "batch"]
    terminal = type("sys", (), {"stdin": type("terminal", (), {"isatty": lambda: True})})
    monkeypatch.setattr("simferry.cli.sweeps.sys", terminal)
    no = CliRunner().invoke(main, sweep, input="n\n")
    assert no.exit_code == 2 and "image:no-such-image is 101 jobs of AWS Batch" in no.output and not begun
    assert CliRunner().invoke(main, sweep, input="y\n").exit_code == 0 and begun[0].options.many_jobs
    assert CliRunner().invoke(main, [*sweep, "--many-jobs"]).exit_code == 0 and len(begun) == 2
