"""What R serialised, as Python values: plain data only, every bit of it."""

import contextlib
import shutil
import struct

import numpy as np
import pytest
import simferry as sf
from bridge_requests import numbers
from common import bits, require, rscript
from r_functions import FRAME
from simferry.errors import SimferryError
from simferry.r.serialization import NotPlain, Other, decode, encode, runs_code
from simferry.worker.blocks import NA_DOUBLE

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


def test_what_is_no_plain_data_is_refused(tmp_path):
    rscript('writeBin(serialize(quote(f(x)), NULL, xdr = FALSE, version = 2), "in")', tmp_path)
    with pytest.raises(NotPlain, match="a call"):
        decode((tmp_path / "in").read_bytes())
    with pytest.raises(NotPlain, match="serialize"):
        decode(b"something else, and longer than a header")


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


def test_an_argument_that_was_not_used_goes_along_with_a_model(tmp_path):
    """It is a promise without a value, in the environment of the formula."""
    first, last = saved(tmp_path, "x <- list((function(n) lm(dist ~ speed, cars))(10), 7)")
    assert first["coefficients"]["speed"] == pytest.approx(3.932409) and last == 7


def test_what_follows_a_function_of_base_is_read_whole(tmp_path):
    found = saved(
        tmp_path, "x <- list(f = sapply, g = stats::sd, p = as.environment('package:stats'), i = 1:3, last = 7)"
    )
    assert [repr(found[name]) for name in "fgp"] == ["<R function>", "<R function>", "<R environment>"]
    assert found["i"].tolist() == [1, 2, 3] and found["last"] == 7


def test_a_promise_behind_the_namespace_of_base_is_seen():
    """R may run its code. Nothing stands between the two: the promise must not be taken for the name of a namespace."""
    symbol = struct.pack(">3i", 1, 9, 1) + b"a"
    promise = struct.pack(">i", 5) + symbol + struct.pack(">i", 254)
    head = b"X\n" + struct.pack(">3i", 2, 0x040202, 0x020300)
    assert runs_code(head + struct.pack(">3i", 19, 2, 250) + promise)
    assert not runs_code(head + struct.pack(">3i", 19, 2, 250) + symbol)


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
    (tmp_path / "keep.R").write_text("simulate <- function(n) list(path = list(cumsum(rnorm(n))), n = n)\n")
    run = sf.run(str(tmp_path / "keep.R"), sf.grid(n=[3]), replications=1, seed=1, workers=1, store=tmp_path / "store")
    kept = sf.r.read_rds(run.artifacts(1, 1)[0])
    assert kept["n"] == 3 and len(kept["path"][0]) == 3


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
