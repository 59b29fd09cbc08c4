"""The command line, as a user types it. What it says to bad input is in test_bad_input.py."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pyarrow.parquet
import pytest
from click.testing import CliRunner
from simferry import __version__
from simferry.cli import main
from simferry.cli.parameters import parse_parameters
from simferry.errors import UsageError

SIMULATION = """
import time, warnings

def simulate(n, method="mean", rng=None):
    if n == 13 and method == "median" and rng.random() < 0.5:
        raise ValueError("no luck\\nthis time")
    if n == 0:
        warnings.warn("nothing to draw")
        return float("nan")
    if n < 0:
        time.sleep(-n / 1000)
    return rng.normal(size=abs(n)).mean()
"""
SWEEP = """
[simulation]
script = "simulate.py"
[design.grid]
n = [0, 13]
method = ["mean", "median"]
[run]
replications = 20
seed = 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "simulate.py").write_text(SIMULATION)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "store"))
    return tmp_path


def said(*words, code=0):
    """What a command prints on stdout."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result.stdout


def started(*words, **options):
    """A command in a process of its own."""
    command = [sys.executable, "-m", "simferry", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def ended(process, within=60):
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def until(true, seconds=30):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.05)


def status():
    result = CliRunner().invoke(main, ["status", "latest", "--json"])
    return json.loads(result.stdout) if result.exit_code == 0 else {"state": "none", "done": 0}


def test_help_of_every_command_has_an_example():
    listed = re.findall(r"^  (\w+) ", said("--help").partition("Commands:")[2], re.MULTILINE)
    verbs = ["run", "plan", "status", "watch", "logs", "cancel", "resume", "extend", "results", "summary"]
    verbs += ["errors", "replay", "list", "doctor"]
    assert set(verbs) <= set(listed)
    for verb in verbs:
        text = said(verb, "--help")
        assert f"Example:\n    simferry {verb}" in text.replace("\n  Example", "\nExample"), verb
        assert "--json" in text, verb
    assert "..." not in said("--help").partition("Commands:")[2]  # no first line is cut
    assert said("--version") == f"simferry {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "values", "type_"),
    [
        ("n=10,20", [10, 20], None),
        ("n= 10 , 20 ", [10, 20], None),
        ("n=10L,20", [10, 20], "integer"),
        ("n=-5,1e5,.5,+2", [-5, 1e5, 0.5, 2], None),
        ("n=Inf,-Inf", [float("inf"), float("-inf")], None),
        ("n=TRUE,false", [True, False], None),
        ("n=NA,3", [None, 3], None),
        ("n=a,b c", ["a", "b c"], None),
        ('n="a,b",c', ["a,b", "c"], None),
        ("n='a,\"b'", ['a,"b'], None),
        (r'n="say \"a\"","C:\temp"', ['say "a"', r"C:\temp"], None),
        ('n="10","TRUE",""', ["10", "TRUE", ""], None),
        ("n=O'Brien", ["O'Brien"], None),
        ("n=a=b", ["a=b"], None),
        (" n =1", [1], None),
    ],
)
def test_values_of_parameters(typed, values, type_):
    columns, types = parse_parameters((typed,))
    assert columns == {"n": values}
    assert [type(v) for v in columns["n"]] == [type(v) for v in values]
    assert types == ({"n": type_} if type_ else {})


@pytest.mark.parametrize("typed", ["n", "=1", "n=", "n=1,", "n=,1", 'n="a', 'n="a"b', "n='a", "n=1,a", "n=TRUE,1"])
def test_values_that_are_none(typed):
    with pytest.raises(UsageError, match=re.escape(typed)):
        parse_parameters((typed,))


def test_a_sweep_from_run_to_table(folder):
    text = said("run", "sweep.toml", "-o", "results.parquet", code=3)
    name = re.match(r"run (\S+): 4 conditions x 20 replications, seed 1\n", text)[1]
    assert re.search(r"80 of 80 replications done, [1-9]\d* failed, in ", text)
    assert f"simferry errors {name}  tells why\nsimferry resume {name} --retry-failed  tries them again\n" in text
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


def test_every_verb_speaks_json(folder):
    made = json.loads(said("run", "sweep.toml", "--json", code=3))
    assert (made["state"], made["total"], made["done"], made["seed"]) == ("complete", 80, 80, 1)
    for verb, code in (("status", 0), ("watch", 3), ("resume", 3), ("cancel", 0)):
        assert json.loads(said(verb, "latest", "--json", code=code))["run"] == made["run"]
    assert json.loads(said("extend", "latest", "-n", "21", "--json", code=3))["total"] == 84
    assert json.loads(said("logs", "latest", "--json")) == {"0001-0001": "", "0002-0001": ""}
    rows = json.loads(said("results", "latest", "--json"))
    assert rows[0] == {"condition": 1, "replication": 1, "n": 0, "method": "mean", "value": "NaN"}
    assert [row["missing"] for row in json.loads(said("summary", "latest", "--json"))] == [21, 21, 0, 0]
    assert json.loads(said("errors", "latest", "--json"))[0]["message"] == "ValueError: no luck\nthis time"
    assert json.loads(said("errors", "latest", "--warnings", "--json"))[0]["count"] == 1
    assert json.loads(said("summary", "latest", "-o", "s.csv", "--json"))["rows"] == 4
    replayed = json.loads(said("replay", "latest", "--condition", "3", "--replication", "1", "--json"))
    assert float(replayed["value"].split("(")[-1].strip(")")) == next(r["value"] for r in rows if r["condition"] == 3)
    assert json.loads(said("list", "--json"))[0]["run"] == made["run"]
    assert {f["what"] for f in json.loads(said("doctor", "--json"))} >= {
        "simferry",
        "Python",
        "cores",
        "store",
        "Docker",
        "AWS",
    }
    forecast = json.loads(said("plan", "simulate.py", "-p", "n=Inf,1", "-n", "3", "--no-pilot", "--json"))
    assert forecast["total"] == 6


def test_plan_reads_well_and_its_pilot_is_kept(folder):
    text = said("plan", "simulate.py", "-p", "n=10,20", "-n", "5", "--seed", "3")
    lines = text.splitlines()
    assert lines[0].startswith("2 conditions x 5 replications = 10, in ")
    assert lines[1:3] == ["code: simulate.py", "already there: 0"]
    assert re.match(r"a replication takes \S+ s on average \(a pilot of 6, kept in \S+\)", lines[3])
    assert lines[-1] == "simferry run ... --seed 3  uses the pilot's replications"
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


def test_a_script_that_returns_nothing(folder):
    (folder / "prints.py").write_text("import sys\nprint('hello', *sys.argv[1:])\n")
    said("run", "prints.py", "--args", "{n}", "-p", "n=7", "-n", "1")
    assert said("logs", "latest") == "hello 7\n"
    result = CliRunner().invoke(main, ["results", "latest"])
    assert "no rows: what replications wrote is in" in result.stderr and "simferry logs" in result.stderr


def test_pipes_get_text_without_colours(folder):
    said("run", "sweep.toml", code=3)
    for words in (["summary", "latest"], ["list"], ["doctor"], ["status", "none"]):
        code, out, err = ended(started(*words))
        assert "\x1b" not in out + err
        assert code in (0, 1)


@pytest.mark.parametrize("words", [["results", "latest"], ["results", "latest", "--json"], ["list"]])
def test_a_reader_that_has_seen_enough(words, folder):
    said("run", "sweep.toml", code=3)
    process = started(*words)
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


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


FROM_PYTHON = """
import simferry as sf
run = sf.run("simulate.py", {"n": -10}, replications=300, workers=1)
print(run.status().done, "done")
"""


@pytest.mark.parametrize("typed", ["shell", "python"])
def test_a_terminal_gets_a_progress_bar(folder, typed):
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color"}
    shell = ["-m", "simferry", "run", "simulate.py", "-p", "n=-10", "-n", "300", "--workers", "1"]
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
    assert re.search(r"━+.* +\d+/300 0 failed, \d+/s, \S+ s left", text)
    if typed == "shell":
        assert "300 of 300 replications done, 0 failed" in text
        assert text.index("1 condition x 300 replications") < text.index("━")
    else:
        assert "300 done" in text


@pytest.mark.skipif(os.environ.get("SIMFERRY_DEBUG") is not None, reason="SIMFERRY_DEBUG shows the traceback")
def test_a_fault_of_our_own_is_one_line_and_a_place(folder, monkeypatch):
    from simferry.verbs import run as verbs

    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr(verbs, "open", broken)
    result = CliRunner().invoke(main, ["status", "latest"])
    assert result.exit_code == 1
    assert re.match(r"simferry: a fault of simferry's own: KeyError: 'oops' \(test_cli.py:\d+\)\n", result.stderr)
