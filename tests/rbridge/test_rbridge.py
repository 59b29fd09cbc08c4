"""The bridge to the R package, without reticulate: what R's serialisation holds, and what the bridge answers."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import simferry as sf
from common import bits, rscript
from simferry._rbridge import call as _rbridge
from simferry._rbridge import drivers as _rdrivers
from simferry._rbridge.runs import sweep_of
from simferry.cli import main
from simferry.cli import sweeps as shell
from simferry.jobs import streams
from simferry.r.serialization import NotPlain, Vector, decode, encode
from simferry.results.table import table
from simferry.worker.blocks import NA_DOUBLE
from sweeps import digest, write

# Every kind of column that a data frame can have, with what gets lost easily.
EVERYTHING = """
x <- data.frame(d = c(1.5, NA, NaN, -Inf, -0), i = c(1L, NA, -5L, .Machine$integer.max, 0L), l = c(TRUE, NA, FALSE, TRUE, NA))
x$s <- c("a", NA, "NA", "gr\\u00fc\\u00df \\u4f60\\u597d", "")
x$f <- factor(c("u", NA, "v", "u", "u"), levels = c("v", "u"))
x$date <- as.Date("2026-01-02") + c(0, NA, 2:4)
x$time <- as.POSIXct(c(0.25, NA, 2:4), origin = "1970-01-01", tz = "Europe/Vienna")
x$list <- list(1, "a", NULL, list(b = 2L, c = raw(2)), c(k = TRUE))
x$latin <- c("a", "b", "c", "d", iconv("\\u00e4", "UTF-8", "latin1"))
"""


def call(verb, _environment=None, **arguments):
    """What R gets for a request, as Python values."""
    environment = {"PATH": os.environ["PATH"], **(_environment or {})}
    names = Vector("string", list(environment))
    given = Vector("string", list(environment.values()), {"names": names})
    session = Vector("string", list(os.environ.values()), {"names": Vector("string", list(os.environ))})
    request = encode({"verb": verb, "arguments": arguments, "environment": given, "session": session})
    assert type(request) is bytearray
    answer = _rbridge.call(request)
    assert type(answer) is bytearray
    return dict(decode(answer).items())


def value_of(verb, **arguments):
    answer = call(verb, **arguments)
    assert answer["ok"].plain(), answer["error"].plain()
    return answer["value"]


def error_of(verb, **arguments):
    answer = call(verb, **arguments)
    assert not answer["ok"].plain()
    return answer["error"].plain()


def numbers(*values):
    return np.array(values, dtype=float)


# ---- R's serialisation ----


def test_a_data_frame_of_every_type_goes_through_python_and_comes_back_identical(tmp_path):
    rscript(EVERYTHING + 'writeBin(serialize(x, NULL, xdr = FALSE, version = 2), "in")', tmp_path)
    (tmp_path / "out").write_bytes(encode(decode((tmp_path / "in").read_bytes())))
    said = rscript(
        EVERYTHING
        + """
        y <- unserialize(readBin("out", "raw", 1e6))
        same_bits <- function(a, b) identical(writeBin(a, raw()), writeBin(b, raw()))
        cat(identical(x, y), same_bits(x$d, y$d), is.nan(y$d[3]), is.na(y$d[2]) && !is.nan(y$d[2]))
        """,
        tmp_path,
    )
    assert said == "TRUE TRUE TRUE TRUE"


def test_values_of_r_are_python_values():
    vector = decode(encode({"a": 1, "b": [True, None], "c": ["x", None], "d": None, "e": 2.5, "f": numbers(1, 2)}))
    assert vector.plain() == {"a": 1, "b": [True, None], "c": ["x", None], "d": None, "e": 2.5, "f": [1.0, 2.0]}
    assert decode(encode(numbers(1, NA_DOUBLE, np.nan))).missing().tolist() == [False, True, False]


def test_an_arrow_table_keeps_every_bit(tmp_path):
    values = numbers(1.5, NA_DOUBLE, np.nan, -0.0)
    table = pa.table(
        {
            "d": values,
            "gap": pa.array([1.0, None, 2.0, None]),
            "i": pa.array([1, None, -3, 4], pa.int32()),
            "l": pa.array([True, None, False, True]),
            "s": ["a", None, "ü你", ""],
            "wide": pa.array([1, 2**40, None, 4]),
        }
    )
    table = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    (tmp_path / "table").write_bytes(encode(table))
    said = rscript(
        """
        x <- unserialize(readBin("table", "raw", 1e6))
        want <- data.frame(d = c(1.5, NA, NaN, -0), gap = c(1, NA, 2, NA), i = c(1L, NA, -3L, 4L), l = c(TRUE, NA, FALSE, TRUE),
                           s = c("a", NA, "\\u00fc\\u4f60", ""), wide = c(1, 2^40, NA, 4))
        cat(identical(x, want, single.NA = FALSE), nrow(x), Encoding(x$s[3]))
        """,
        tmp_path,
    )
    assert said == "TRUE 4 UTF-8"
    assert bits(decode(encode(table)).values[0].values) == bits(values)


def test_a_pandas_frame_keeps_nan_and_missing_apart():
    frame = pd.DataFrame({"sd": [1.0, np.nan], "n": [1, 2], "text": ["a", None], "empty": [None, None]})
    out = dict(decode(encode(frame)).items())
    assert not out["sd"].missing().any() and np.isnan(out["sd"].values[1])
    assert out["n"].kind == "integer" and out["text"].values == ["a", None] and out["empty"].kind == "logical"


def test_what_is_no_plain_data_is_refused(tmp_path):
    rscript('writeBin(serialize(quote(f(x)), NULL, xdr = FALSE, version = 2), "in")', tmp_path)
    with pytest.raises(NotPlain, match="an R object of type 6"):
        decode((tmp_path / "in").read_bytes())
    with pytest.raises(NotPlain, match="serialize"):
        decode(b"something else, and longer than a header")


def test_a_million_rows_of_six_columns_are_written_whole_and_fast():
    rows = 1_000_000
    table = pa.table({f"x{i}": np.random.default_rng(i).normal(size=rows) for i in range(5)})
    table = table.append_column("s", pa.array(np.arange(rows)).cast(pa.string()))
    seconds = []
    for _ in range(3):  # the fastest: others work on this machine too
        started = time.process_time()
        data = encode(table)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 1 and len(data) > 6 * 8 * rows * 0.9
    back = dict(decode(data).items())
    assert list(back) == table.column_names and back["s"].values[rows - 1] == str(rows - 1)
    assert all(bits(back[name].values) == bits(table[name].to_numpy()) for name in table.column_names[:5])


# ---- answers ----


def test_errors_have_a_code_a_message_and_a_hint():
    error = error_of("open", run="nowhere", store="/nonexistent")
    assert error["code"] == "run_not_found" and error["hint"].startswith('sim_list(store = "/nonexistent")')
    assert error_of("design", kind="grid", parameters={"n": []})["code"] == "design"
    error = error_of("run", simulation=5)
    assert error["code"] == "usage" and "neither a function nor" in error["message"]


def test_a_fault_of_its_own_says_where():
    error = error_of("design")
    assert error["code"] == "internal" and "designs.py:" in error["message"]


def test_the_environment_is_rs_for_the_time_of_a_call(tmp_path, monkeypatch):
    monkeypatch.setenv("ONLY_PYTHON_HAS_IT", "1")
    answer = call("list", _environment={"SIMFERRY_STORE": str(tmp_path / "of-r")})
    assert answer["ok"].plain() and len(answer["value"].values[0]) == 0
    assert os.environ["ONLY_PYTHON_HAS_IT"] == "1" and "SIMFERRY_STORE" not in os.environ


def test_designs_keep_rs_types():
    integer = Vector("integer", np.array([1, 2], dtype="<i4"))
    factor = Vector(
        "integer",
        np.array([2, 1], dtype="<i4"),
        {"levels": Vector("string", ["b", "a"]), "class": Vector("string", ["factor"])},
    )
    out = dict(value_of("design", kind="zipped", parameters={"n": integer, "e": numbers(1, 2), "f": factor}).items())
    assert (out["n"].kind, out["e"].kind, out["f"].values) == ("integer", "double", ["a", "b"])
    made = value_of(
        "design", kind="random", parameters={"n": integer, "e": numbers(0, 1)}, options={"size": 5.0, "seed": 1.0}
    )
    assert [v.kind for v in made.values] == ["integer", "double"] and made.classes == ["simferry_design", "data.frame"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n": [1, "a"]}, "parameter n is of type list"),
        ({"n": None}, "parameter n is NULL"),
        ([1.0, 2.0], "a parameter has no name"),
        (
            {"n": Vector("double", numbers(1), {"class": Vector("string", ["difftime"])})},
            "parameter n is of class difftime",
        ),
        ({"n": numbers(1, 1)}, "conditions 1 and 2 of the design are equal"),
    ],
)
def test_bad_designs(parameters, message):
    error = error_of("design", kind="grid", parameters=parameters)
    assert error["code"] == "design" and message in error["message"]


def test_counts_are_whole_whether_r_wrote_1_or_1L(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) rnorm(1)\n"))
    for bad in ("many", 1.5, True, Vector("double", numbers(1, 2))):
        error = error_of("run", simulation=script, design={"n": 1.0}, replications=bad, store=str(tmp_path))
        assert error["code"] == "usage" and "whole number" in error["message"]


def finished(run):
    for _ in range(3000):
        now = value_of("progress", run=run).plain()
        if now["state"] != "running" or "outcome" in now:
            return now
        time.sleep(0.02)
    raise AssertionError(now)


def test_the_same_seed_gives_the_same_table_as_in_python_and_the_shell(tmp_path):
    script = str(
        write(
            tmp_path, "s.R", "simulate <- function(n, effect) { x <- rnorm(n, effect); c(m = mean(x), u = runif(1)) }\n"
        )
    )
    design = {"n": numbers(10, 20), "effect": numbers(0.1, 0.5)}
    made = value_of(
        "run", simulation=script, design=design, replications=50.0, seed=7.0, store=str(tmp_path / "r")
    ).plain()
    now = finished(made["folder"])
    assert now["state"] == "complete" and now["outcome"] == {"error": None}
    python = sf.run(script, {"n": [10, 20], "effect": [0.1, 0.5]}, replications=50, seed=7, store=tmp_path / "python")
    (tmp_path / "design.csv").write_text("n,effect\n10,0.1\n20,0.5\n")
    command = [
        sys.executable,
        "-m",
        "simferry",
        "run",
        script,
        "--table",
        "design.csv",
        "-n",
        "50",
        "--seed",
        "7",
        "--store",
        "shell",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    shell = sf.open("latest", tmp_path / "shell")
    assert digest(sf.open(made["folder"])) == digest(python) == digest(shell)
    rows = value_of("results", run=made["folder"])
    assert bits(rows.values[4].values) == bits(python.results_table()["m"].to_numpy())


def test_a_run_that_is_stopped_is_kept_and_gone_on_with(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) { Sys.sleep(0.02); rnorm(1) }\n"))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=500.0, seed=1.0, store=str(tmp_path)
    ).plain()
    assert error_of("resume", run=made["folder"])["code"] == "run_busy"
    until = time.monotonic() + 20
    while not value_of("progress", run=made["folder"]).plain().get("done") and time.monotonic() < until:
        time.sleep(0.05)
    now = value_of("cancel", run=made["folder"]).plain()
    assert now["state"] == "incomplete" and 0 < now["done"] < 500
    value_of("resume", run=made["folder"])
    assert finished(made["folder"])["done"] == 500
    value_of("resume", run=made["folder"], replications=510.0)
    assert finished(made["folder"])["done"] == 510


def test_an_error_of_the_driver_arrives(tmp_path):
    only_here = "if (nzchar(Sys.getenv('SIMFERRY_DRIVER'))) stop('not there')\nsimulate <- function(n) n\n"
    script = str(write(tmp_path, "s.R", only_here))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=5.0, seed=1.0, store=str(tmp_path)
    ).plain()
    outcome = finished(made["folder"])["outcome"]
    assert outcome["error"]["code"] == "simulation" and "not there" in outcome["error"]["message"]
    value_of("run", simulation=script, design={"n": 1.0}, replications=5.0, seed=1.0, store=str(tmp_path))


def test_a_killed_driver_is_told_and_the_run_resumable(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) { Sys.sleep(0.05); rnorm(1) }\n"))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=40.0, seed=1.0, store=str(tmp_path)
    ).plain()
    _rdrivers.drivers[made["folder"]].process.kill()
    outcome = finished(made["folder"])["outcome"]
    assert outcome["error"]["code"] == "worker" and outcome["error"]["hint"].startswith('sim_resume("')


def test_an_idle_driver_ends_with_the_session():
    code = "import time; from simferry._rbridge import drivers as b; b.keep_spare(); print(b._spare[0].process.pid, flush=True); "
    code += "time.sleep(1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    time.sleep(0.2)
    with pytest.raises(OSError):
        os.kill(int(done.stdout), 0)


def test_warnings_and_notes_are_told_once_each(tmp_path, monkeypatch):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) { set.seed(1); rnorm(1) }\n"))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=5.0, seed=1.0, store=str(tmp_path)
    ).plain()
    finished(made["folder"])
    answer = call("results", run=made["folder"])
    assert "set the same seed, 1" in answer["notes"].plain() and len(answer["warnings"].values) == 0
    monkeypatch.setitem(streams.VERSIONS, ("r", "function"), 99)
    answer = call("replay", run=made["folder"], condition=1.0, replication=1.0)
    assert "by version 2 of their rules" in answer["notes"].plain() and len(answer["warnings"].values) == 0


def test_a_sweep_file_is_run_with_what_r_gives_over_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "s.R", "simulate <- function(n) rnorm(1)\n")
    write(
        tmp_path,
        "sweep.toml",
        '[simulation]\nscript = "s.R"\n[design.grid]\nn = [1, 2]\n[run]\nreplications = 4\nseed = 3\n',
    )
    made = value_of("run", simulation="sweep.toml", replications=6.0).plain()
    assert (made["conditions"], made["replications"], made["seed"]) == (2, 6, 3)
    finished(made["folder"])


@pytest.mark.parametrize("backend", [None, "docker", "sagemaker"])
def test_a_sweep_file_means_the_same_in_r_and_in_the_shell(tmp_path, backend):
    write(tmp_path, "s.R", "simulate <- function(n) rnorm(1)\n")
    sweep = write(
        tmp_path,
        "sweep.toml",
        '[simulation]\nscript = "s.R"\n[run]\nreplications = 4\n[local]\nworkers = 1\n[docker]\nimage = "mine"\n'
        "[sagemaker]\nbudget = 20.0\njobs = 10\nmax_runtime = 3600\nworkers = 3\n",
    )
    from_r = sweep_of(
        {"simulation": Vector("string", [str(sweep)]), "backend": backend and Vector("string", [backend])}
    )
    with main.commands["run"].make_context(
        "run", [str(sweep), *(["--backend", backend] if backend else [])]
    ) as context:
        names = ("as_json", "output", "detach")
        from_shell = shell.sweep_of(**{k: v for k, v in context.params.items() if k not in names})
    assert from_r == from_shell
    assert from_r.backend.given().get("budget") == (20 if backend == "sagemaker" else None)


def test_the_answer_of_a_driver_is_one_line_of_json(tmp_path):
    order = {
        "run": str(tmp_path),
        "cwd": str(tmp_path),
        "environment": dict(os.environ),
        "verb": "resume",
        "options": {},
    }
    done = subprocess.run(
        [sys.executable, "-m", "simferry._rbridge.drivers"],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["error"]["code"] == "run_not_found"


def test_results_are_the_table_itself(tmp_path, hand_made):
    folder = hand_made(sf.grid(n=[1, 2]), replications=1)
    folder.add([(1, 1), (2, 1)], [{"condition": [1, 2], "replication": [1, 1], "x": [0.5, None]}])
    out = value_of("results", run=str(folder.run.path))
    assert out.names == ["condition", "replication", "n", "x"]
    assert out.values[3].missing().tolist() == [False, True]
    assert bits(out.values[3].values) == bits(table(folder.run)["x"].to_numpy())


def test_a_summary_by_what_tells_rows_apart(tmp_path, hand_made):
    folder = hand_made(sf.grid(n=[1]), replications=3)
    ids = {"condition": [1] * 6, "replication": [1, 1, 2, 2, 3, 3]}
    folder.add([(1, r) for r in (1, 2, 3)], [{**ids, "method": [1, 2] * 3, "x": [0.5, 10.5, 1.5, 11.5, 2.5, 12.5]}])
    answer = call("summary", run=str(folder.run.path))
    means = dict(answer["value"].items())["mean"].plain()
    assert means == [1.5, 6.5]
    assert f'sim_summary("{folder.run.path}", by = "method")  keeps' in answer["warnings"].plain()
    rows = dict(value_of("summary", run=str(folder.run.path), by="method").items())
    assert rows["method"].plain() == [1, 2] and rows["mean"].plain() == [1.5, 11.5]
    assert call("summary", run=str(folder.run.path), by=["method", "k"])["error"].plain()["code"] == "usage"


def test_a_plan_for_the_cloud_has_its_rows_as_a_data_frame(tmp_path):
    write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return rng.normal()\n")
    sweep = write(tmp_path, "sweep.toml", '[simulation]\nscript = "simulate.py"\n[run]\nretries = 3\n')
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "XDG_CACHE_HOME": str(tmp_path)}
    design = {"n": numbers(10, 20)}
    answer = call(
        "plan", environment, simulation=str(sweep), design=design, replications=numbers(1e6), deadline="2h", budget=numbers(20),
        backend={"name": "sagemaker", "instance_type": "ml.c5.xlarge", "jobs": numbers(10)},
    )  # fmt: skip
    assert answer["ok"].plain(), answer["error"].plain()
    cloud = dict(dict(answer["value"].items())["cloud"].items())
    rows = dict(cloud["rows"].items())
    assert cloud["rows"].classes == ["data.frame"]
    assert list(rows) == ["instance_type", "jobs", "cores", "seconds", "dollars", "remark"]
    assert rows["instance_type"].plain()[0] == "ml.c5.xlarge" and rows["jobs"].plain()[0] == 10
    assert dict(cloud["fastest"].items())["dollars"].plain() <= 20
    assert any("the pilot ran on this machine" in note for note in cloud["notes"].plain())


def test_a_replication_again(tmp_path):
    script = write(
        tmp_path, "r.R", 'simulate <- function(n) { cat("drawn\\n"); if (n > 1) stop("too big"); c(a = 1/3) }'
    )
    run = sf.run(script, sf.grid(n=[1, 2]), replications=1, seed=1, store=tmp_path / "store")
    good = value_of("replay", run=str(run.folder), condition=numbers(1), replication=numbers(1))
    assert good.plain() | {"value": None} == {
        "failed": False,
        "output": "drawn\n        a \n0.3333333 \n",
        "value": None,
    }
    value = decode(dict(good.items())["value"].values.data)
    assert value.names == ["a"] and bits(value.values) == bits([1 / 3])
    bad = value_of("replay", run=str(run.folder), condition=numbers(2), replication=numbers(1)).plain()
    assert bad["failed"] and bad["output"].startswith("drawn\nError: too big (in simulate(n = 2))\nTraceback")
