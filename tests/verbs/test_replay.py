"""One replication again: its value and its errors, from R in this process, from R in another, from Python and from scripts."""

import importlib.util
import json
import os
import shutil
import stat
import struct
import sys

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from common import bits, require
from simferry.backends.foreground import Interpreter
from simferry.cli import main
from simferry.errors import Note, ReplicationError, RError, UsageError
from simferry.r import functions as rpy
from simferry.r.serialization import encode
from simferry.verbs.replay import Replayed
from sweeps import write


@pytest.fixture
def go(tmp_path):
    def run(simulation, design=None, replications=4, **options):
        return sf.run(simulation, design, replications=replications, store=tmp_path / "runs", seed=1, **options)

    return run


@pytest.fixture
def r_here():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    require("rpy2", importlib.util.find_spec("rpy2") is not None, "rpy2 is not installed: pip install 'simferry[r]'")


@pytest.fixture(params=["this process", "another process"])
def r(request, monkeypatch):
    """R, in each of the two places; which one it is."""
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    if request.param == "this process":
        request.getfixturevalue("r_here")
    else:
        monkeypatch.setattr(rpy, "replay", lambda root: False)
    return request.param


def r_script(folder, code):
    return write(folder, "simulate.R", code)


# ---- R ----


def test_a_function_of_r_returns_what_is_in_the_table(tmp_path, go, r, capfd):
    write(tmp_path, "helper.R", "helper <- function(x) { cat('drawn', length(x), '\\n'); x + offset }")
    code = """
source("helper.R")
offset <- 1
simulate <- function(n) { x <- helper(rnorm(n)); c(m = mean(x), u = runif(1), pick = sample(9, 1)) }
"""
    run = go(r_script(tmp_path, code), sf.grid(n=[3, 10]), include=["helper.R"])
    r_script(tmp_path, "simulate <- function(n) c(m = 0, u = 0, pick = 0)")  # the run has a snapshot
    here = os.getcwd()
    capfd.readouterr()
    for row in run.results().to_dict("records"):
        value = run.replay(row["condition"], row["replication"])
        assert list(value) == ["m", "u", "pick"]
        assert bits(list(value.values())) == bits([row[name] for name in value])
    assert capfd.readouterr().out == "drawn 3 \n" * 4 + "drawn 10 \n" * 4
    assert os.getcwd() == here


def test_where_r_runs(tmp_path, go, r):
    run = go(r_script(tmp_path, "simulate <- function() Sys.getpid()"), None, 1)
    assert (run.replay(1, 1) == os.getpid()) == (r == "this process")


def test_values_of_r_that_are_no_row(tmp_path, go, r):
    code = """simulate <- function(what) switch(what, frame = data.frame(x = c(0.5, NA), s = c("a", NA)), null = NULL,
      model = lm(y ~ x, data.frame(x = 1:4, y = c(1, 3, 5, 7))), closure = function(x) x)"""
    run = go(r_script(tmp_path, code), sf.grid(what=["frame", "null", "model"]), 1)
    frame = run.replay(1, 1)
    assert isinstance(frame, pd.DataFrame) and frame["s"].isna().tolist() == [False, True]
    assert bits(frame["x"]) == bits(run.results()["x"])
    assert run.replay(2, 1) is None
    assert run.replay(3, 1)["coefficients"] == pytest.approx({"(Intercept)": -1, "x": 2})


def test_an_error_of_r_has_its_traceback(tmp_path, go, r, capfd):
    code = 'inner <- function(u) if (u < 0.5) stop("too small") else u\nsimulate <- function() { warning("hm"); inner(runif(1)) }'
    run = go(r_script(tmp_path, code), None, 6)
    recorded = run.errors().iloc[0]
    with pytest.raises(RError, match="too small") as caught:
        run.replay(1, int(recorded["replication"]))
    assert (caught.value.message, caught.value.call) == ("too small", "inner(runif(1))")
    assert caught.value.traceback.startswith("simulate()\ninner(runif(1))")
    assert "Warning in simulate() : hm" in capfd.readouterr().err


def test_what_a_run_does_not_keep_fails_in_a_replay_too(tmp_path, go, r):
    write(tmp_path, "flag", "")
    code = f"simulate <- function() if (file.exists('{tmp_path}/flag')) 1 else function(x) x"
    run = go(r_script(tmp_path, code), None, 1)
    (tmp_path / "flag").unlink()
    with pytest.raises(RError, match="returned a function, which can't be kept"):
        run.replay(1, 1)


def test_quit_and_a_script_that_no_longer_loads(tmp_path, go, r):
    code = f"stopifnot(file.exists('{tmp_path}/flag'))\nsimulate <- function() if (file.exists('{tmp_path}/quit')) quit('no', 7) else 1"
    write(tmp_path, "flag", "")
    run = go(r_script(tmp_path, code), None, 1)
    write(tmp_path, "quit", "")
    says = r"quit\(\) would end Python" if r == "this process" else r"ended without a result \(exit code 7\)"
    with pytest.raises(RError, match=says):
        run.replay(1, 1)
    (tmp_path / "flag").unlink()
    with pytest.raises(RError, match="is not TRUE"):
        run.replay(1, 1)


def test_inputs_are_there(tmp_path, go, r):
    write(tmp_path, "numbers.csv", "41\n")
    code = (
        "simulate <- function() scan(file.path(Sys.getenv('SIMFERRY_INPUT'), 'data', 'numbers.csv'), quiet = TRUE) + 1"
    )
    run = go(r_script(tmp_path, code), None, 1, inputs={"data": tmp_path / "numbers.csv"})
    assert run.replay(1, 1) == run.results()["value"][0] == 42
    assert "SIMFERRY_INPUT" not in os.environ


def test_this_process_s_r_is_left_as_it_was(tmp_path, go, r_here):
    write(tmp_path, "state.R", "ask <- function(code) eval(parse(text = code), globalenv())")
    ask = sf.r.function(tmp_path / "state.R", "ask")
    ask("mine <- 5; .hidden <- 6; set.seed(7)")
    state = "list(ls(all.names = TRUE), mine, .hidden, search(), getOption('digits'), getwd(), RNGkind(), .Random.seed)"
    before = ask(f"serialize({state}, NULL)")
    code = """library(splines); options(digits = 3); added <- 1; mine <- 2
      simulate <- function(n) { assign(".hidden", 1, globalenv()); setwd(tempdir()); if (n > 1) stop("no"); exists("state") + runif(1) }"""
    run = go(r_script(tmp_path, code), sf.grid(n=[1, 2]), 1)
    assert run.replay(1, 1) == run.results()["value"][0]
    with pytest.raises(RError, match="no"):
        run.replay(2, 1)
    assert ask(f"serialize({state}, NULL)") == before
    ask("rm(.Random.seed)")
    run.replay(1, 1)
    ask("set.seed(7)")
    assert ask(f"serialize({state}, NULL)") == before  # the generator's kind too


def test_browser_stops_and_asks(tmp_path, go, r_here, monkeypatch, capfd):
    typed = iter(["n * 2", "c"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    write(tmp_path, "flag", "")
    code = f"simulate <- function(n) {{ if (!file.exists('{tmp_path}/flag')) browser(); n }}"
    run = go(r_script(tmp_path, code), sf.grid(n=[21]), 1)
    (tmp_path / "flag").unlink()
    assert run.replay(1, 1) == 21
    assert "[1] 42" in capfd.readouterr().out


# ---- Python, scripts, commands ----


def test_a_function_of_python_returns_what_is_in_the_table(tmp_path, go, capfd):
    code = """
from dataclasses import dataclass

@dataclass
class Fit:
    u: float

def simulate(rng, kind):
    print("drawing")
    u = rng.random()
    return {"plain": {"u": u}, "whole": Fit(u), "array": __import__("numpy").full(2, u)}[kind]
"""
    run = go(write(tmp_path, "simulate.py", code), sf.grid(kind=["plain", "whole", "array"]), 2)
    plain, whole, array = (run.replay(condition, 2) for condition in (1, 2, 3))
    assert plain == {"u": run.results()["u"][1]}
    assert type(whole).__name__ == "Fit" and 0 < whole.u < 1  # a class that this process does not have
    assert isinstance(array, np.ndarray) and array.tolist() == [run.results()["value_1"].dropna().iloc[1]] * 2
    assert capfd.readouterr().out == "drawing\n" * 3


def test_a_session_may_have_no_standard_output(tmp_path, go, monkeypatch):
    run = go(write(tmp_path, "simulate.py", "def simulate(rng): return rng.normal()\n"), None, 1)
    monkeypatch.setattr(sys, "stdout", None)
    assert run.replay(1, 1) == run.results()["value"][0]


def test_a_function_object(go):
    offset = 40
    run = go(lambda rng, n: n + offset + rng.random(), sf.grid(n=[2]))
    assert run.replay(1, 3) == run.results()["value"][2]


@pytest.mark.parametrize(
    "what, says",
    [
        ("raise ValueError('too small')", "ValueError: too small"),
        ("exit(4)", "SystemExit: 4"),
        ("return open", "which can't be kept"),
        ("return {1: (i for i in 'a')}", "which can't be kept"),
    ],
)
def test_failures_of_python(tmp_path, go, what, says):
    code = f"import os\ndef simulate():\n    if os.path.exists({str(tmp_path / 'flag')!r}):\n        return 1\n    {what}\n"
    write(tmp_path, "flag", "")
    run = go(write(tmp_path, "simulate.py", code), None, 1)
    (tmp_path / "flag").unlink()
    with pytest.raises(ReplicationError, match=says) as caught:
        run.replay(1, 1)
    assert not isinstance(caught.value, RError) and caught.value.exit_code == 3
    if what.startswith("raise"):
        assert caught.value.call == "simulate, line 5"
        assert caught.value.traceback.endswith("raise ValueError('too small')\nValueError: too small\n")


def test_nobody_else_can_write_what_is_unpickled(tmp_path, go):
    run = go(lambda: [os.stat(p).st_mode for p in ("../../..",)], None, 1)
    assert [stat.S_IMODE(mode) for mode in run.replay(1, 1)] == [0o700]


def test_a_command_returns_its_results_file(tmp_path, go, capfd):
    script = write(tmp_path, "run.sh", "#!/bin/sh\necho said $1; echo 4 > r.txt; [ $1 != 2 ] || exit 5\n")
    script.chmod(0o755)
    run = go(script, None, 2, args="{replication}", results_file="r.txt")
    kept = [(path, path.read_text()) for path in run.artifacts(1, 1)]
    assert run.replay(1, 1) == "4\n"
    assert capfd.readouterr().out == "said 1\n"
    with pytest.raises(ReplicationError, match="the command ended with status 5: said 2"):
        run.replay(1, 2)
    assert [(path, path.read_text()) for path in run.artifacts(1, 1)] == kept != []
    for condition, replication in ((0, 1), (2, 1), ("../..", 1), (1, 1.5)):
        with pytest.raises(UsageError, match=r"whole number from 1|has conditions 1 to 1, not 2"):
            run.artifacts(condition, replication)


def test_a_script_of_r_returns_its_results_file(tmp_path, go):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    run = go(r_script(tmp_path, "cat(runif(1), file = 'r.txt')"), None, 2, args="", results_file="r.txt")
    assert float(run.replay(1, 2)) == run.results()["value"][1]
    none = go(r_script(tmp_path, "cat(runif(1))"), None, 1, args="")
    assert none.replay(1, 1) is None


# ---- the shell ----


def test_the_shell_shows_the_value_or_the_error(tmp_path, go, r, monkeypatch, capfd):
    code = 'simulate <- function(n) { cat("drawn\\n"); if (n > 1) stop("too big"); c(a = 1/3, b = 2) }'
    go(r_script(tmp_path, code), sf.grid(n=[1, 2]), 1)
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "runs"))

    def typed(*words):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["replay", "latest", "--replication", "1", *words])
        return ended.value.code, *capfd.readouterr()

    assert typed("--condition", "1") == (0, "drawn\n        a         b \n0.3333333 2.0000000 \n", "")
    code, out, err = typed("--condition", "2")
    assert (code, out) == (3, "drawn\n") and err.startswith(
        "failed: too big (in simulate(n = 2))\nTraceback, innermost"
    )
    code, out, _ = typed("--condition", "2", "--json")
    said = json.loads(out)
    assert (code, said["output"], said["error"]["call"]) == (3, "drawn\n", "simulate(n = 2)")
    code, out, err = typed("--condition", "3")
    assert code == 2 and "has conditions 1 to 2, not 3" in err


def test_there_is_no_such_replication(tmp_path, go):
    run = go(lambda: 1, None, 1)
    with pytest.raises(UsageError, match="has conditions 1 to 1, not 2"):
        run.replay(2, 1)
    for wrong, words in (((1, 0), "replication is 0"), ((1, 2.5), r"replication is 2\.5"), ((0, 1), "condition is 0")):
        with pytest.raises(UsageError, match=f"{words}; it has to be a whole number from 1"):
            run.replay(*wrong)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.5", 1.5),
        ("None", None),
        ("{'a': 1.5, 'b': 'x', 'c': None}", {"a": 1.5, "b": "x", "c": None}),
        ("[0.5, 2.5]", {"value_1": [0.5], "value_2": [2.5]}),
        ("{'nested': [1, 2]}", {"nested": [1, 2]}),
        ("{'nested': {'a': 1}}", "{'nested': {'a': 1}}"),
    ],
)
def test_what_a_container_pickled_is_not_unpickled(tmp_path, go, monkeypatch, value, expected):
    """The worker tells the value in its block too: a table comes back, anything else as Python shows it."""
    script = tmp_path / "simulate.py"
    script.write_text(f"def simulate():\n    return {value}\n")
    run = go(script)
    monkeypatch.setattr("simferry.verbs.replay.pickle.loads", lambda data: pytest.fail("it was unpickled"))
    monkeypatch.setattr(
        "simferry.backends.local.Interpreter", lambda: Interpreter(contract=True)
    )  # as of a backend whose replays are a container's
    got = run.replay(1, 1)
    assert (got.to_dict("list") if isinstance(expected, dict) and not isinstance(got, dict) else got) == expected


def test_what_a_container_serialised_for_r_is_written_anew():
    """R's unserialize runs code that it is given: only vectors, lists and data frames reach it."""
    plain = encode({"a": [1.5, None]})
    assert Replayed("r", "shown", bytes(plain), None, in_container=True).for_r() == bytes(plain)
    promise = bytes(plain[:14]) + struct.pack("<4i", 5, 254, 254, 254)
    assert Replayed("r", "shown", promise, None, in_container=True).for_r() == bytes(encode("shown"))


def test_a_replication_beyond_the_last_is_computed_with_a_note(tmp_path, go):
    run = go(write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return n + rng.random()\n"), {"n": [1]})
    with pytest.warns(Note, match="has 4 replications of condition 1; replication 5 is not one of them"):
        value = run.replay(1, 5)
    assert run.extend(5).results()["value"].iloc[-1] == value
