"""R from Python: functions of scripts as callables in this process, and .rds files as Python objects."""

import contextlib
import importlib.util
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import simferry as sf
from common import bits, require, rscript
from simferry.errors import RError, SimferryError, SimulationError, UsageError
from simferry.r.serialization import Other
from simferry.worker.blocks import NA_DOUBLE

SCRIPT = """
source("helper.R")
same <- function(x) x
describe <- function(x) paste(typeof(x), length(x), if (is.object(x)) class(x)[1] else "")
power <- function(n, effect = 0) { set.seed(n); x <- rnorm(n, effect); c(p = t.test(x)$p.value, estimate = mean(x)) }
fails <- function(n) { inner <- function(k) sqrt(k, "a", n); inner(n) }
warns <- function() { warning("take care"); warning("take care"); "went on" }
value <- function(name) switch(name, null = NULL, na_int = NA_integer_, na_text = NA_character_, na = NA, na_double = NA_real_,
  ints = c(1L, NA, 3L), logicals = c(TRUE, NA), texts = c("a", NA, "NA", "\\u00fc"), twice = c(a = 1, a = 2),
  table = table(c("x", "y", "x")),
  matrix = matrix(1:6, 2), list = list(1L, "a", NULL), nested = list(a = 1, b = list(c = TRUE)), raw = as.raw(1:3),
  closure = function(x) x, factor = factor(c("u", NA, "v")), dates = as.Date(c("2026-01-02", NA)),
  times = as.POSIXct(c("2026-01-02 03:04:05.25", NA), tz = "Europe/Vienna"), complex = 1+2i, empty = numeric())
sleeps <- function() Sys.sleep(20)
counts <- function() for (i in 1:1e10) i
forever <- function(n) forever(n + 1)
where <- function() Sys.getpid()
leaves <- function() quit("no", status = 5)
helped <- function() helper
"""

FRAME = """
x <- data.frame(d = c(1.5, NA, NaN, -Inf, -0), i = c(1L, NA, -5L, .Machine$integer.max, 0L), l = c(TRUE, NA, FALSE, TRUE, NA))
x$s <- c("a", NA, "NA", "gr\\u00fc\\u00df \\u4f60", "")
x$f <- factor(c("u", NA, "v", "u", "u"), levels = c("v", "u"))
x$o <- factor(c("u", NA, "v", "u", "u"), levels = c("v", "u"), ordered = TRUE)
x$date <- as.Date("2026-01-02") + c(0, NA, 2:4)
x$time <- as.POSIXct(c(0.25, NA, 2:4), origin = "1970-01-01", tz = "Europe/Vienna")
x$z <- complex(real = 1:5, imaginary = 0)
x$list <- list(1, "a", NULL, list(b = 2), c(TRUE, NA))
"""


def script_in(folder, text=SCRIPT):
    (folder / "helper.R").write_text("helper <- 42\n")
    path = folder / "power.R"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def r(tmp_path):
    """Makes a function of the script above: r("power")."""
    require("rpy2", importlib.util.find_spec("rpy2") is not None, "rpy2 is not installed: pip install 'simferry[r]'")
    require("r", shutil.which("R") is not None, "there is no R on the PATH")
    path = script_in(tmp_path)
    return lambda name: sf.r.function(path, name)


# ---- values ----


def test_a_function_is_called_by_position_and_by_name(r):
    power = r("power")
    assert power(20, 0.5) == power(n=20, effect=0.5) == power(20, effect=0.5)
    assert list(power(20)) == ["p", "estimate"]
    assert power(20)["estimate"] != power(30)["estimate"]
    assert repr(power).startswith("<R function power of /")


def test_the_numbers_are_those_of_rscript(r, tmp_path):
    printed = rscript('source("power.R"); cat(sprintf("%a", power(20, 0.5)))', tmp_path)
    assert [float.fromhex(text) for text in printed.split()] == list(r("power")(20, 0.5).values())


@pytest.mark.parametrize(
    "value, described, back",
    [
        (1, "double 1 ", 1.0),
        (1.5, "double 1 ", 1.5),
        (True, "logical 1 ", True),
        ("é", "character 1 ", "é"),
        (None, "NULL 0 ", None),
        (pd.NA, "logical 1 ", pd.NA),
        (np.int32(4), "integer 1 ", 4),
        (2 + 1j, "complex 1 ", 2 + 1j),
        (b"ab", "raw 2 ", b"ab"),
        ([1, "a"], "list 2 ", [1.0, "a"]),
        ({"a": 1, "b": None}, "list 2 ", {"a": 1.0, "b": None}),
        (np.datetime64("2026-01-02"), "double 1 Date", pd.Timestamp("2026-01-02").date()),
        (pd.Timestamp("2026-01-02", tz="Europe/Vienna"), "double 1 POSIXct", pd.Timestamp("2026-01-02", tz="Europe/Vienna")),
    ],
)  # fmt: skip
def test_single_values_go_both_ways(r, value, described, back):
    assert r("describe")(value) == described
    found = r("same")(value)
    assert found is back or (type(found) is type(back) and found == back)


@pytest.mark.parametrize(
    "value, described",
    [
        ([1, 2.5], "double 2 "),
        ([True, False], "logical 2 "),
        (["a", None], "character 2 "),
        (np.arange(3), "integer 3 "),
        (np.array([1, 2**40]), "double 2 "),
        (np.ones((2, 3)), "double 6 "),
        (np.array([True, False]), "logical 2 "),
    ],
)
def test_vectors_go_both_ways(r, value, described):
    assert r("describe")(value) == described
    found = r("same")(value)
    assert isinstance(found, np.ndarray) and found.shape == np.shape(value)
    assert found.tolist() == np.asarray(value, dtype=object).tolist()


def test_a_returned_vector_can_be_changed(r):
    found = r("same")(np.zeros(3))
    found[0] = 1
    assert found.tolist() == [1, 0, 0]


def test_na_is_kept_and_is_not_null(r):
    value = r("value")
    assert value("null") is None
    assert all(value(name) is pd.NA for name in ("na", "na_int", "na_text"))
    assert bits(r("same")([1.0, None, float("nan")]))[1] & 0xFFFFFFFF == 1954
    assert bits([r("same")(value("na_double"))])[0] & 0xFFFFFFFF == 1954
    assert value("ints").tolist() == [1, pd.NA, 3] and value("logicals").tolist() == [True, pd.NA]
    assert value("texts").tolist() == ["a", None, "NA", "ü"]
    masked = r("same")(np.ma.MaskedArray([[1, 2], [3, 4]], [[False, True], [False, False]]))
    assert masked.tolist() == [[1, None], [3, 4]]


def test_other_kinds_of_values(r):
    value = r("value")
    twice = value("twice")
    assert isinstance(twice, pd.Series) and twice.tolist() == [1, 2] and twice.index.tolist() == ["a", "a"]
    assert value("table") == {"x": 2, "y": 1}
    assert value("matrix").tolist() == [[1, 3, 5], [2, 4, 6]]
    assert value("list") == [1, "a", None] and value("nested") == {"a": 1.0, "b": {"c": True}}
    assert value("raw") == b"\1\2\3" and value("complex") == 1 + 2j and value("empty").tolist() == []
    assert isinstance(value("closure"), Other) and repr(value("closure")) == "<R function>"
    assert isinstance(value("factor"), pd.Categorical) and value("factor").codes.tolist() == [0, -1, 1]
    assert value("dates")[0].isoformat() == "2026-01-02" and value("dates").isna().tolist() == [False, True]
    assert value("times")[0] == pd.Timestamp("2026-01-02 03:04:05.25", tz="Europe/Vienna")
    assert value("times").isna().tolist() == [False, True]


def test_data_frames_come_back_as_they_were(r, tmp_path):
    """Every kind of column, into Python and back into R: identical() to R."""
    (tmp_path / "frames.R").write_text(
        FRAME
        + "make <- function() x\ncheck <- function(y) vapply(names(x), function(n) identical(x[[n]], y[[n]]), NA)\n"
    )
    frame = sf.r.function(tmp_path / "frames.R", "make")()
    assert frame["i"].isna().tolist() == [False, True, False, False, False]
    assert frame["l"].tolist() == [True, pd.NA, False, True, pd.NA]
    assert frame["s"].isna().tolist() == [False, True, False, False, False] and frame["s"][2] == "NA"
    assert bits(frame["d"])[1] == bits([NA_DOUBLE])[0] != bits(frame["d"])[2]
    assert frame["o"].cat.ordered and frame["f"].cat.categories.tolist() == ["v", "u"]
    same = sf.r.function(tmp_path / "frames.R", "check")(frame)
    assert same == dict.fromkeys(frame.columns, True)


def test_pandas_frames_come_back_as_they_were(r):
    frame = pd.DataFrame(
        {"x": [0.5, -0.0], "n": np.array([1, 2], dtype="int32"), "ok": [True, False], "s": ["a", None]},
        index=["p", "q"],
    )
    pd.testing.assert_frame_equal(r("same")(frame), frame)
    twice = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    pd.testing.assert_frame_equal(r("same")(twice), twice)
    assert r("same")(pd.DataFrame({"a": []})).shape == (0, 1)
    assert r("same")(frame.set_index(pd.Index([5, 3]))).index.tolist() == [5, 3]


def test_what_r_has_nothing_like_is_named(r):
    with pytest.raises(UsageError, match=r"same\(\): argument x: R has nothing like a object"):
        r("same")(x=object())
    with pytest.raises(UsageError, match="argument 1: R's numbers do not hold"):
        r("same")(2**60 + 1)


# ---- errors ----


def test_an_error_of_r_has_its_message_call_and_traceback(r):
    with pytest.raises(RError, match="3 arguments passed to 'sqrt'") as caught:
        r("fails")(7)
    assert caught.value.call.startswith("sqrt(k")
    assert caught.value.traceback == "fails(7)\ninner(n)"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.message, copy.call, copy.traceback) == (
        caught.value.message,
        caught.value.call,
        caught.value.traceback,
    )
    assert "innermost call last:\nfails(7)" in str(copy) and copy.code == "r"


def test_wrong_arguments_are_r_s_errors(r):
    with pytest.raises(RError, match="unused argument"):
        r("power")(m=1)
    with pytest.raises(RError, match='argument "n" is missing'):
        r("power")()


def test_warnings_of_r_are_python_s(r):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert r("warns")() == "went on"
    assert [str(w.message) for w in caught] == ["take care"]
    assert caught[0].filename == __file__


def test_r_goes_on_after_what_would_crash_or_end_it(r):
    with pytest.raises(RError, match=r"too close to the limit|nested too deeply"):
        r("forever")(1)
    with pytest.raises(RError, match=r"quit\(\) would end Python"):
        r("leaves")()
    assert r("power")(10)


@pytest.mark.parametrize("name", ["sleeps", "counts"])
def test_ctrl_c_stops_what_r_computes(r, name):
    function = r(name)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        function()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert r("power")(10)


def test_mistakes_in_naming_script_and_function(r, tmp_path):
    with pytest.raises(SimulationError, match=r"there is no script .*powr.R") as caught:
        sf.r.function(tmp_path / "powr.R")
    assert caught.value.hint == "Did you mean power.R?"
    with pytest.raises(SimulationError, match="defines no function powr") as caught:
        r("powr")
    assert caught.value.hint == "Did you mean power?"
    (tmp_path / "broken.R").write_text("f <- function( {\n")
    with pytest.raises(SimulationError, match=r"broken.R is not R: .*1:16: unexpected '\{'"):
        sf.r.function(tmp_path / "broken.R", "f")
    (tmp_path / "stops.R").write_text('stop("no data here")\n')
    with pytest.raises(RError, match="no data here"):
        sf.r.function(tmp_path / "stops.R", "f")


# ---- processes ----


def test_a_script_runs_in_its_own_folder_and_environment(r, tmp_path):
    here = os.getcwd()
    assert r("helped")() == 42
    assert os.getcwd() == here
    other = tmp_path / "other.R"
    other.write_text("same <- function(x) 'other'\n")
    same = r("same")
    assert sf.r.function(other, "same")(1) == "other" and same(1) == 1


def test_what_a_script_sources_is_its_own(r, tmp_path):
    (tmp_path / "shared.R").write_text("shifted <- function(x) x + offset\n")
    for name, offset in (("one", 1), ("ten", 10)):
        (tmp_path / f"{name}.R").write_text(f"source('shared.R')\noffset <- {offset}\nadd <- function(x) shifted(x)\n")
    one, ten = (sf.r.function(tmp_path / f"{name}.R", "add") for name in ("one", "ten"))
    assert (one(1), ten(1)) == (2, 11)


def test_the_environment_is_left_as_it_was(r):
    r("same")
    code = "import os, sys, simferry as sf\nbefore = dict(os.environ)\nsf.r.function(sys.argv[1], 'same')\n"
    code += "print(sorted(k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k) and k[:2] != 'R_'))"
    done = subprocess.run(
        [sys.executable, "-c", code, r("same").script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['PYTHON_SESSION_INITIALIZED']"


def test_loky_has_one_r_per_process(r):
    where, power = r("where"), r("power")
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(where)() for _ in range(8))
    assert os.getpid() not in found and len(set(found)) <= 2
    several = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(power)(n) for n in (10, 20))
    assert several == [power(10), power(20)]
    with pytest.raises(RError, match="sqrt") as caught:
        joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(r("fails"))(n) for n in (1, 2))
    assert "inner(n)" in caught.value.traceback


def test_threads_and_forked_processes_are_refused(r):
    power = r("power")
    with pytest.raises(UsageError, match="main thread") as caught:
        joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(power)(n) for n in (10, 20))
    assert "loky" in caught.value.hint
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            power(10)
        except UsageError as error:
            os.write(writer, error.message.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(UsageError, match="was forked"), multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(power, (10,)).get(timeout=20)
    assert b"was forked from one in which R runs" in os.read(reader, 1000)


# ---- without R, without rpy2, with one that R is too old for ----


def refused(folder, *, environment=None, before=""):
    code = f"import simferry as sf\n{before}\ntry: sf.r.function({str(script_in(folder))!r}, 'same')\n"
    code += "except sf.SimferryError as error: print(type(error).__name__, error.message, '|', error.hint)"
    given = {**os.environ, **(environment or {})}
    given.pop("R_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BOTH = "With R older than 4.5: pip install 'rpy2>=3.6' 'rpy2-rinterface<3.6.6'. With R 4.5 or newer: "


def test_without_r(tmp_path):
    said = refused(tmp_path, environment={"PATH": "/nowhere"})
    assert said.startswith("SimferryError there is no R on the PATH | Install it") and BOTH in said


def test_with_an_r_home_that_is_none(tmp_path):
    code = f"import os\nos.environ['R_HOME'] = {str(tmp_path)!r}"
    assert f"R_HOME is {tmp_path}, and there is no R | Unset it" in refused(tmp_path, before=code)


def test_without_rpy2(tmp_path):
    require("r", shutil.which("R") is not None, "there is no R on the PATH")
    said = refused(tmp_path, before="import sys; sys.modules['rpy2'] = None")
    assert "need rpy2, which is not installed" in said and BOTH in said


def test_with_an_rpy2_that_r_is_too_old_for(tmp_path):
    require("r", shutil.which("R") is not None, "there is no R on the PATH")
    version = rscript("cat(as.character(getRversion()))", tmp_path)
    fake = tmp_path / "fake"
    (fake / "rpy2").mkdir(parents=True)
    (fake / "rpy2" / "__init__.py").touch()
    (fake / "rpy2" / "rinterface.py").write_text("raise OSError('undefined symbol: R_getVar')\n")
    about = fake / "rpy2_rinterface-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rpy2-rinterface\nVersion: 9.9\n")
    said = refused(tmp_path, environment={"PYTHONPATH": str(fake)})
    assert f"rpy2-rinterface 9.9 does not work with R {version} (" in said
    assert "undefined symbol: R_getVar" in said and BOTH in said


# ---- .rds files, which are read without R ----


def saved(folder, code, options=""):
    rscript(f'{code}\nsaveRDS(x, "x.rds"{options})', folder)
    return sf.r.read_rds(folder / "x.rds")


@pytest.mark.parametrize(
    "options",
    ["", ", version = 2", ", compress = FALSE", ', compress = "bzip2"', ', compress = "xz"'],
)
def test_rds_files_of_every_compression_and_version(tmp_path, options):
    frame = saved(tmp_path, FRAME, options)
    assert frame["i"].tolist()[:1] == [1] and frame["i"].isna()[1]
    assert bits(frame["d"])[1] == bits([NA_DOUBLE])[0]
    assert frame["s"].tolist()[2:] == ["NA", "grüß 你", ""]
    assert frame["list"].tolist()[:2] == [1.0, "a"]


def test_what_r_keeps_in_short_forms(tmp_path):
    """Sequences, and texts of numbers, that are not made yet (ALTREP)."""
    numbers = "c(1L, NA, 100000L), 0.1 + 0.2, 1e5, 123456, 1e-5, 0.0001, 1/3, -2.5e-300, 1e15, NaN, Inf"
    code = f"n <- c({numbers})\nx <- list(1:3, 5:2, as.character(1:3), as.character(n), sapply(n, function(v) as.character(v)))"
    up, down, texts, made, plain = saved(tmp_path, code)
    assert up.tolist() == [1, 2, 3] and down.tolist() == [5, 4, 3, 2] and texts.tolist() == ["1", "2", "3"]
    assert made.tolist() == plain.tolist()


def test_a_fitted_model_is_a_dict_of_its_parts(tmp_path):
    compiled = (
        "f <- compiler::cmpfun(function(a) { for (i in a) a <- a + i; a })"  # goes along with the formula's environment
    )
    code = f"x <- (function() {{ x <- c(1, 2, 4); y <- 2 * x + 1; {compiled}; lm(y ~ x) }})()"
    fit = saved(tmp_path, code)
    assert fit["coefficients"] == pytest.approx({"(Intercept)": 1, "x": 2})
    assert repr(fit["call"]) == "<R call>" and fit["df.residual"] == 1
    assert fit["model"]["y"].tolist() == [3, 5, 9]


def test_other_objects_are_named(tmp_path):
    code = """
    methods::setClass("P", representation(a = "numeric"))
    f <- compiler::cmpfun(function(a, b = 2) { for (i in a) b <- b + i; if (b > 3) a[["k"]] else repeat break })
    x <- list(s4 = methods::new("P", a = 1), f = f, e = new.env(), g = globalenv(), n = asNamespace("stats"), sum = sum,
      q = quote(a), call = quote(f(a, b)), formula = y ~ x, expr = expression(a + b), pairs = pairlist(a = 1, b = "c"), last = 7)
    x$e$self <- x$e
    """
    found = saved(tmp_path, code)
    assert found["last"] == 7 and found["pairs"] == {"a": 1.0, "b": "c"}
    kinds = {name: value.kind for name, value in found.items() if isinstance(value, Other)}
    assert kinds == {
        "s4": "S4 object", "f": "function", "e": "environment", "g": "environment", "n": "environment", "sum": "function",
        "q": "symbol", "call": "call", "formula": "call", "expr": "expression",
    }  # fmt: skip


def test_artifacts_of_a_run_open(tmp_path):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    (tmp_path / "keep.R").write_text("simulate <- function(n) list(path = cumsum(rnorm(n)), n = n)\n")
    run = sf.run(str(tmp_path / "keep.R"), sf.grid(n=[3]), replications=1, seed=1, workers=1, store=tmp_path / "store")
    kept = sf.r.read_rds(run.artifacts(1, 1)[0])
    assert kept["n"] == 3 and len(kept["path"]) == 3


def test_damaged_and_foreign_files_are_refused_and_nothing_runs(tmp_path):
    whole = tmp_path / "whole.rds"
    rscript(
        'saveRDS(list(a = c(1.5, NA), b = "text", c = y ~ x, d = data.frame(k = 1:3)), "whole.rds", compress = FALSE)',
        tmp_path,
    )
    data = whole.read_bytes()
    assert sf.r.read_rds(whole)["b"] == "text"
    path = tmp_path / "x.rds"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(SimferryError, match=r"x\.rds can't be read as an .rds file"):
            sf.r.read_rds(path)
    for other in (b"A\n2\n", b"\x1f\x8bnot gzip", b"BZh no", b"\xfd7zXZ\0no", b"PK\3\4"):
        path.write_bytes(other)
        with pytest.raises(SimferryError, match="can't be read"):
            sf.r.read_rds(path)
    generator = np.random.default_rng(1)
    for _ in range(300):  # whatever the bytes, an error or a value
        changed = bytearray(data)
        changed[generator.integers(23, len(data))] = generator.integers(256)
        path.write_bytes(changed)
        with contextlib.suppress(SimferryError):
            sf.r.read_rds(path)
