"""R simulations through the real worker: random numbers, kinds of values, failures."""

import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from common import require
from simferry.jobs import streams
from sweeps import R_DRAWS, digest, done_pairs, write


@pytest.fixture(scope="module", autouse=True)
def r():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")


@pytest.fixture
def script(tmp_path):
    return write(tmp_path, "simulate.R", R_DRAWS)


def go(script, design, replications=3, **options):
    return sf.run(script, design, replications=replications, store=script.parent / "runs", **{"seed": 1, **options})


# ---- random numbers ----


def test_a_replication_draws_from_its_substream_as_plain_r_does(script, tmp_path):
    run = go(script, sf.grid(n=[3, 10]), seed=2026)
    k = streams.stream_numbers(sf.grid(n=[3, 10]).canonical())
    starts = streams.states(streams.initial_state(2026), k, np.zeros(2, dtype=np.uint64))
    code = R_DRAWS + "".join(
        f"""
        state <- c(10407L, {",".join(f"{v}L" if v > -(2**31) else "NA_integer_" for v in starts[i].tolist())})
        for (r in 1:3) {{
          .Random.seed <- state; state <- parallel::nextRNGSubStream(state)
          cat(sprintf("%a", simulate({n})), "\\n")
        }}"""
        for i, n in enumerate((3, 10))
    )
    plain = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout
    expected = [[float.fromhex(v) for v in line.split()] for line in plain.splitlines()]
    assert run.results()[["mean", "upper", "pick", "u"]].to_numpy().tolist() == expected


def test_the_table_does_not_depend_on_workers_blocks_or_extension(script, monkeypatch):
    design = sf.grid(n=[5, 10, 20], effect=[0, 0.5])
    one = go(script, design, 12, workers=1)
    two = go(script, design, 12, workers=2, fresh=True)
    extended = go(script, design, 5, workers=2, fresh=True).extend(12)
    monkeypatch.setenv("PAUSE", "0.05")
    many_blocks = go(script, design, 12, workers=2, fresh=True)
    assert len(list((many_blocks.folder / "blocks").iterdir())) > 2
    assert digest(one) == digest(two) == digest(extended) == digest(many_blocks)
    assert one.results()["mean"].nunique() == 72


def test_a_condition_run_alone_gives_the_same_values(script):
    together = go(script, sf.grid(n=[5, 10, 20])).results()
    alone = go(script, sf.grid(n=[10]), fresh=True).results()
    together = together[together["n"] == 10].drop(columns="condition").reset_index(drop=True)
    pd.testing.assert_frame_equal(together, alone.drop(columns="condition"), check_exact=True)


def test_common_random_numbers(script):
    rows = go(script, sf.grid(n=[5], effect=[0, 1]), common=["effect"]).results()
    first, second = (rows[rows["effect"] == e] for e in (0, 1))
    assert first["u"].tolist() == second["u"].tolist()
    assert (second["mean"].to_numpy() - first["mean"].to_numpy()) == pytest.approx(1)


# ---- kinds of values ----

NUMBERS = """
simulate <- function(kind) switch(kind,
  number = 0.1 + 0.2,
  named = c(a = 1, b = -0),
  unnamed = c(1, 2),
  list = list(a = 1L, l = TRUE),
  row = data.frame(a = 1, x = 2),
  rows = data.frame(a = 1:2, x = c(0.5, NA)),
  matrix = matrix(1:4, 2),
  table = table(c("yes", "yes", "no")),
  row_names = data.frame(x = c(b = 1, a = 2)),
  matrix_rows = matrix(1:4, 2, dimnames = list(c("(Intercept)", "x"), c("a", "row_name"))),
  picked = data.frame(a = 1:3)[2:3, , drop = FALSE],
  ids = c(condition = 7, replication = 8),
  duplicated = c(a = 1, a = 2),
  partly_named = c(a = 1, 2),
  missing = list(real = NA_real_, integer = NA_integer_, logical = NA, nan = NaN, inf = -Inf),
  null = NULL,
  empty = numeric(),
  no_rows = data.frame(a = numeric()),
  mixed = if (runif(1) < 0.5) 1L else 0.5,
  nested = list(a = 1, b = list(2, 3)),
  ragged = list(v = 1:3, b = 2))
"""


@pytest.fixture(scope="module")
def numbers(tmp_path_factory, r):
    script = write(tmp_path_factory.mktemp("numbers"), "simulate.R", NUMBERS)
    kinds = [line.split(" = ")[0].strip() for line in NUMBERS.splitlines()[2:]]
    return go(script, sf.grid(kind=kinds), 8)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("number", [{"value": 0.1 + 0.2}]),
        ("named", [{"a": 1, "b": -0.0}]),
        ("unnamed", [{"value_1": 1, "value_2": 2}]),
        ("list", [{"a": 1, "l": True}]),
        ("row", [{"a": 1, "x": 2}]),
        ("rows", [{"a": 1, "x": 0.5}, {"a": 2, "x": math.nan}]),
        ("matrix", [{"V1": 1, "V2": 3}, {"V1": 2, "V2": 4}]),
        ("table", [{"no": 1, "yes": 2}]),
        ("row_names", [{"x": 1, "row_name": "b"}, {"x": 2, "row_name": "a"}]),
        (
            "matrix_rows",
            [{"a": 1, "row_name_1": "(Intercept)", "row_name": "3"}, {"a": 2, "row_name_1": "x", "row_name": "4"}],
        ),
        ("picked", [{"a": 2}, {"a": 3}]),
        ("ids", [{"condition_result": 7, "replication_result": 8}]),
        ("duplicated", [{"a": 1, "a.1": 2}]),
        ("partly_named", [{"a": 1, "value_2": 2}]),
        ("missing", [{"real": math.nan, "nan": math.nan, "inf": -math.inf}]),
        ("null", []),
        ("empty", []),
        ("no_rows", []),
        ("nested", [{"a": 1}]),
        ("ragged", [{"v": [1, 2, 3], "b": 2}]),
    ],
)
def test_numbers_come_back_as_they_were(numbers, kind, expected):
    table = numbers.results_table()
    own = ("condition", "replication", "kind")
    rows = [row for row in table.to_pylist() if row["kind"] == kind and row["replication"] == 3]
    rows = [{k: v for k, v in row.items() if v is not None and k not in own} for row in rows]
    assert [sorted(row) for row in rows] == [sorted(row) for row in expected]
    rows = [{name: row[name] for name in like} for row, like in zip(rows, expected, strict=True)]
    assert str(rows).replace(".0", "") == str(expected).replace(".0", "")


def test_na_and_nan_are_told_apart(numbers):
    table = numbers.results_table()
    row = table.filter(np.array(table["kind"]) == "missing").slice(0, 1)
    low_words = {name: int(row[name].to_numpy().view("<u8")[0] & 0xFFFFFFFF) for name in ("real", "nan")}
    assert low_words["real"] == 1954 != low_words["nan"]
    assert row["integer"][0].as_py() is None and row["logical"][0].as_py() is None


def test_what_is_no_table_is_kept_as_rds(numbers):
    frame = numbers.design()
    condition = int(frame[frame["kind"] == "nested"]["condition"].iloc[0])
    (path,) = numbers.artifacts(condition, 2)
    assert path.name == "value.rds"
    code = f"cat(identical(readRDS('{path}'), list(a = 1, b = list(2, 3))))"
    assert subprocess.run(["Rscript", "-e", code], capture_output=True, text=True).stdout == "TRUE"


def test_texts_come_back_as_they_were(tmp_path):
    code = r"""
    simulate <- function(kind) switch(kind,
      text = "two\nlines, \"quoted\" \\n ünï 日本",
      name = c("a\nb \\ ü: x" = "y"),
      na = NA_character_, empty = "", factor = factor("low", c("high", "low")), date = as.Date("2026-01-02"),
      time = as.POSIXct("2026-01-02 03:04:05", tz = "UTC"), complex = 1+2i, latin = iconv("\xe9", "latin1", "latin1"),
      bytes = "a\xffb")
    """
    kinds = ["text", "name", "na", "empty", "factor", "date", "time", "complex", "latin", "bytes"]
    table = go(write(tmp_path, "simulate.R", code), sf.grid(kind=kinds), 1).results_table()
    values = dict(zip(table["kind"].to_pylist(), table["value"].to_pylist(), strict=True))
    assert values["text"] == 'two\nlines, "quoted" \\n ünï 日本'
    assert values["na"] is None and values["empty"] == ""
    assert (values["factor"], values["date"], values["complex"]) == ("low", "2026-01-02", "1+2i")
    assert values["time"] == "2026-01-02 03:04:05+00:00"
    assert values["latin"] == "é" and values["bytes"].startswith("a") and values["bytes"].endswith("b")
    assert "a\nb \\ ü: x" in table.column_names


def test_a_number_keeps_its_digits_beside_texts(tmp_path):
    code = 'simulate <- function() list(x = if (runif(1) < 0.5) "no" else 1 / 3, k = if (runif(1) < 0.5) 1L else 1 / 3)'
    rows = go(write(tmp_path, "simulate.R", code), None, 12, workers=1).results()
    assert set(rows["x"]) == {"no", "0.3333333333333333"} and set(rows["k"]) == {1, 1 / 3}


@pytest.mark.parametrize("value", ["function(x) x", "stdout()", "list(a = 1, f = mean)", "globalenv()"])
def test_a_value_that_cannot_be_kept_fails_its_replication(tmp_path, value):
    script = write(tmp_path, "simulate.R", f"simulate <- function(n) if (n == 2) {value} else n")
    run = go(script, sf.grid(n=[1, 2]), 20)
    assert run.results()["value"].tolist() == [1] * 20 and run.errors()["n"].tolist() == [2] * 20
    assert run.errors()["message"].str.match(r"the simulation returned an? .* can't be kept: return ").all()
    assert len(run.logs()) == 1  # not tried again


# ---- failures ----


def test_an_error_is_recorded_with_message_call_and_traceback(tmp_path):
    code = """
    inner <- function(x) if (runif(1) < 0.4) stop("no convergence:\n", x) else x
    simulate <- function(n) inner(n)
    """
    run = go(write(tmp_path, "simulate.R", code), sf.grid(n=[1, 2]), 20)
    errors = run.errors()
    assert 0 < len(errors) < 40
    assert len(errors) + len(run.results()) == 40 == len(done_pairs(run))
    first = errors.iloc[0]
    assert first["message"] == f"no convergence:\n{first['n']}"
    assert first["call"] == "inner(n)"
    lines = first["traceback"].splitlines()
    assert lines[0].startswith("simulate(n = ") and lines[1] == "inner(n)"
    assert not any(
        word in first["traceback"] for word in ("tryCatch", "withCallingHandlers", "run_stretch", "h(simpleError")
    )


def test_odd_errors_are_recorded_too(tmp_path):
    code = """
    simulate <- function(kind) switch(kind,
      deep = { f <- function(x) f(x + 1); f(1) },
      condition = stop(structure(class = c("custom", "error", "condition"), list(message = c("a", "b"), call = NULL))),
      silent = stop(),
      try = { try(stop("caught"), silent = TRUE); 1 },
      warned = { options(warn = 2); on.exit(options(warn = 1)); warning("strict") },
      signal = { warning(structure(class = c("w", "warning", "condition"), list(message = "plain", call = NULL))); 1 })
    """
    kinds = ["deep", "condition", "silent", "try", "warned", "signal"]
    run = go(write(tmp_path, "simulate.R", code), sf.grid(kind=kinds), 2)
    errors = run.errors()
    messages = dict(zip(errors["kind"], errors["message"], strict=True))
    assert set(messages) == {"deep", "condition", "silent", "warned"}
    assert "infinite recursion" in messages["deep"] or "stack" in messages["deep"]
    assert messages["condition"] == "a\nb" and messages["silent"] == ""
    assert "strict" in messages["warned"]
    assert run.warnings()[["kind", "message", "count"]].to_numpy().tolist() == [["signal", "plain", 1]] * 2


def test_warnings_are_counted_for_each_condition(tmp_path):
    code = 'simulate <- function(n) { for (i in seq_len(n)) warning("careful"); as.numeric("x") }'
    run = go(write(tmp_path, "simulate.R", code), sf.grid(n=[1, 3]), 4)
    assert run.summary()["warnings"].tolist() == [8, 16]
    assert run.warnings()["count"].sum() == 24
    assert set(run.warnings()["message"]) == {"careful", "NAs introduced by coercion"}


def test_hangs_crashes_and_quits_are_narrowed_down_to_the_replication(tmp_path):
    code = """
    simulate <- function(kind) {
      u <- runif(1)
      if (u < 0.4) switch(kind,
        sleep = Sys.sleep(100), busy = repeat {}, system = system("sleep 100"),
        crash = tools::pskill(Sys.getpid(), 11), quit = quit("no", status = 0), error = stop("it failed"))
      u
    }
    """
    kinds = ["fine", "sleep", "busy", "system", "crash", "quit", "error"]
    design = sf.grid(kind=kinds)
    run = go(write(tmp_path, "simulate.R", code), design, 5, workers=2, replication_timeout=1.5, common="all", seed=6)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 35
    errors, values = run.errors(), run.results()
    failed = set(errors[errors["kind"] == "error"]["replication"])  # the same for all kinds, which share their draws
    assert 0 < len(failed) < 5
    assert all(set(errors[errors["kind"] == kind]["replication"]) == failed for kind in kinds[1:])
    assert len(errors) + len(values) == 35
    assert values[values["kind"] != "fine"]["value"].min() >= 0.4
    said = {kind: set(errors[errors["kind"] == kind]["message"]) for kind in set(errors["kind"])}
    assert said["sleep"] == said["busy"] == said["system"] == {"timed out after 1.5 s"}
    assert said["crash"] == said["quit"] == {"the process ended (a crash, quit(), or out of memory)"}
    assert said["error"] == {"it failed"}
    assert run.status().failed == len(errors)


@pytest.mark.parametrize("ends", ['quit("no")', 'invokeRestart("abort")'])
def test_a_replication_that_ends_r_leaves_the_temporary_folder_to_the_others(tmp_path, ends):
    code = f"simulate <- function() {{ cat(1, file = tempfile()); if ((u <- runif(1)) < 0.02) {ends}; u }}"
    run = go(write(tmp_path, "simulate.R", code), None, 100, workers=2, seed=4)
    assert set(run.errors()["message"]) == {"the process ended (a crash, quit(), or out of memory)"}
    assert len(run.results()) + len(run.errors()) == 100
    assert run.results()["value"].min() >= 0.02


def test_crashes_without_a_time_limit(tmp_path):
    code = "simulate <- function() if ((u <- runif(1)) < 0.02) tools::pskill(Sys.getpid(), 11) else u"
    run = go(write(tmp_path, "simulate.R", code), None, 300, workers=2, seed=4)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 300
    assert 0 < len(run.errors()) < 20
    assert run.results()["value"].min() >= 0.02
    calm = write(tmp_path, "calm/simulate.R", "simulate <- function() runif(1)")
    expected = go(calm, None, 300, seed=4).results()["value"]
    assert run.results()["value"].tolist() == expected[expected >= 0.02].tolist()


def test_on_error_stop_ends_early_and_goes_on_when_resumed(tmp_path):
    code = 'simulate <- function() { Sys.sleep(0.01); if (runif(1) < 0.02) stop("no") else 1 }'
    run = go(write(tmp_path, "simulate.R", code), None, 600, workers=2, on_error="stop", seed=3)
    now = run.status()
    assert 0 < now.failed <= 2 and now.done < 600 and now.state == "incomplete"
    assert len(run.resume().errors()) > now.failed


def test_a_stretch_of_which_a_part_was_written_is_not_run_again(tmp_path):
    code = """
calls <- 0L
simulate <- function(n) {
  calls <<- calls + 1L
  if (calls %in% c(5L, 13L)) Sys.sleep(1.1)   # a block is written, the second time before the last of a stretch
  if (calls == 15L) options(digits = 9)       # those that share a look with it are run again
  n
}
"""
    run = go(write(tmp_path, "simulate.R", code), sf.grid(n=[1, 2, 3, 4]), 6, workers=1)
    assert sum(int(p.name.split("-r")[1].split("-")[0]) for p in tmp_path.glob("runs/*/blocks/*")) == 24
    assert len(run.results()) == 24


def test_tasks_of_a_replication_that_is_run_again_draw_the_same(tmp_path):
    code = """
simulate <- function(n) {
  set.seed(NULL)
  x <- unlist(parallel::mclapply(1:2, function(i) runif(1), mc.cores = 1))
  if (n == 9) Sys.sleep(0.1)     # the look after it is its own, and that of those before it
  if (n == 9) options(digits = 12)
  c(x, runif(1))
}
"""
    script = write(tmp_path, "simulate.R", code)
    among, alone = (go(script, sf.grid(n=n), 1, workers=1, fresh=True).results() for n in (range(1, 10), [9]))
    assert among[among["n"] == 9].iloc[0, 2:].tolist() == alone.iloc[0, 2:].tolist()


# ---- what the function finds around it ----


def test_included_files_state_and_attached_packages(tmp_path):
    write(tmp_path, "helpers.R", "helper <- function(x) x + offset")
    write(tmp_path, "data/numbers.csv", "a\n41\n")
    code = """
    rm(list = ls(all.names = TRUE))
    library(splines)
    source("helpers.R")
    offset <- read.csv("data/numbers.csv")$a
    simulate <- function(x, ...) helper(x) + 0 * nrow(bs(1:5)) + length(list(...)) - 1
    """
    script = write(tmp_path, "simulate.R", code)
    run = go(script, sf.grid(x=[1], more=["a"]), 2, include=["helpers.R", "data"])
    assert run.results()["value"].tolist() == [42, 42]


def test_parameters_arrive_with_their_types(tmp_path):
    code = "simulate <- function(d, i, l, s) paste(typeof(d), d, typeof(i), i, typeof(l), l, typeof(s), s)"
    design = sf.zipped(
        d=[1000, 0.5], i=[3, None], l=[True, None], s=["ü", None], types={"i": "integer", "l": "logical"}
    )
    values = go(write(tmp_path, "simulate.R", code), design, 1).results()["value"].tolist()
    assert values == ["double 1000 integer 3 logical TRUE character ü", "double 0.5 integer NA logical NA character NA"]


def test_what_is_too_wide_is_refused_and_what_is_long_is_written_in_pieces(tmp_path):
    code = """
simulate <- function(n) {
  if (n == 1) return(numeric(1000001))
  for (i in 1:2000) warning("step ", i %% 1500)
  data.frame(x = seq_len(2^20 + 5) / 2, k = seq_len(2^20 + 5))
}
"""
    run = go(write(tmp_path, "simulate.R", code), sf.grid(n=[1, 2]), 1)
    assert (
        run.errors()["message"]
        .str.contains("1,000,001 outputs in a row, and a row has at most 1,000,000: return")
        .all()
    )
    found = run.results()
    assert len(found) == 2**20 + 5 and (found["x"] * 2 == found["k"]).all() and found["k"].iloc[-1] == 2**20 + 5
    counts = run.warnings().set_index("message")["count"]
    assert len(counts) == 1001 and counts["step 7"] == 2 and counts["other warnings, after 1,000 different ones"] == 500
