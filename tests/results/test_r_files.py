"""Rows of .rds and .RData files, as R writes them."""

import shutil
import subprocess

import pytest
from common import bits, require
from hand_made import NA
from simferry.results.outputs import read_output

SAVED = {
    "data.frame(n = 1:2, m = c(0.1, NA), s = c('a', NA))": {"n": [1, 2], "m": [0.1, NA], "s": ["a", None]},
    "data.frame(m = 1:2, row.names = c('ols', 'lad'))": {"row_name": ["ols", "lad"], "m": [1, 2]},
    "data.frame(f = factor(c('x', NA)), d = as.Date('2026-01-02') + 0:1)": {"f": ["x", None], "d": ["2026-01-02", "2026-01-03"]},
    "c(mean = 0.5, sd = 2)": {"mean": [0.5], "sd": [2.0]},
    "c(0.5, 2)": {"value_1": [0.5], "value_2": [2.0]},
    "0.5": {"value": [0.5]},
    "matrix(1:4 / 2, 2, dimnames = list(NULL, c('a', 'b')))": {"a": [0.5, 1.0], "b": [1.5, 2.0]},
    "rbind(result.1 = c(1, 2), result.2 = c(3, 4))": {"row_name": ["result.1", "result.2"], "V1": [1.0, 3.0], "V2": [2.0, 4.0]},
    "data.frame(a = 1:2, l = I(list(c(0.5, 1), NULL)))": {"a": [1, 2], "l": [(0.5, 1.0), None]},
    "list(mean = 0.5, method = 'ols', none = NULL)": {"mean": [0.5], "method": ["ols"]},
    "list(mean = c(0.5, 1), sd = c(2, 3))": {"mean": [0.5, 1.0], "sd": [2.0, 3.0]},
    "list(data.frame(a = 1), data.frame(a = 2, b = 3))": {"a": [1.0, 2.0], "b": [None, 3.0]},
    "lapply(1:2, function(i) c(i = i, m = i / 2))": {"i": [1.0, 2.0], "m": [0.5, 1.0]},
    "list(ols = c(m = 1), lad = c(m = 2))": {"row_name": ["ols", "lad"], "m": [1.0, 2.0]},
    "do.call(rbind, lapply(1:2, function(i) list(a = i, b = 'x')))": {"a": [1, 2], "b": ["x", "x"]},
    "aggregate(x ~ g, data.frame(x = 1:4, g = c('a', 'b')), function(x) c(m = mean(x), s = 0.5))": {
        "g": ["a", "b"], "x.m": [2.0, 3.0], "x.s": [0.5, 0.5]
    },
    "table(c('a', 'b', 'b'))": {"a": [1], "b": [2]},
    "NULL": {},
    # one row, whose values have classes
    "data.frame(d = as.Date('2026-01-02'), s = I('abc'))": {"d": ["2026-01-02"], "s": ["abc"]},
    "list2DF(list(d = c(a = as.Date('2026-01-02'), b = as.Date('2026-01-03'))))": {"d": ["2026-01-02", "2026-01-03"]},
    # bit64's 3, NA and 2^53 + 1
    "local({ f <- data.frame(i = 1:3); f$k <- structure(readBin(as.raw(c(3, rep(0, 14), 128, 1, 0, 0, 0, 0, 0, 32, 0)), 'double', 3), "
    "class = 'integer64'); f })": {"i": [1, 2, 3], "k": [3, None, 2**53 + 1]},
}  # fmt: skip
SESSIONS = {
    "set.seed(1); f <- function() 1; r <- data.frame(m = c(0.1, 0.2)); n <- 10; save.image('F')": {
        "m": [0.1, 0.2],
        "n": [10, 10],
    },
    "r <- c(m = 1); save(r, file = 'F')": {"m": [1.0]},
    "m <- 0.5; ci <- c(1, 2); save(m, ci, file = 'F')": {"ci_1": [1.0], "ci_2": [2.0], "m": [0.5]},
    "n <- 10; m <- 0.5; save(n, m, file = 'F', version = 2)": {"n": [10.0], "m": [0.5]},
}
REFUSED = {
    "saveRDS(lm(dist ~ speed, cars), 'F')": "it holds an object of class lm. Data frames, vectors and lists of them are read",
    "saveRDS(function(x) x, 'F')": "it holds a function",
    "saveRDS(array(1:8, c(2, 2, 2)), 'F')": "it holds an array of 2 x 2 x 2",
    "saveRDS(list(c(a = 1), sum), 'F')": "it holds a function",
    "saveRDS(list(res = data.frame(a = 1), n = c(b = 2)), 'F')": r"a list of res \(a data frame\), n \(one value\)",
    "saveRDS(1:20000000, 'F')": "it holds a vector of 20,000,000 values",
    "saveRDS(structure(1:2, levels = 'a', class = 'factor'), 'F')": "it is damaged",
    "saveRDS(1+2i, 'F')": "it holds a vector of type complex",
    "a <- data.frame(x = 1); b <- data.frame(x = 2); save(a, b, file = 'F')": r"a \(a data frame\), b \(a data frame\), and no single",
    "r <- data.frame(n = 1:2); n <- 3; save(r, n, file = 'F')": "it holds n twice",
    "saveRDS(c(a = 1, a = 2), 'F')": "it holds two values with the name 'a'",
    "saveRDS(list(a = 1:2, a = 3:4), 'F')": "it holds two vectors named 'a'",
    "saveRDS(data.frame(a = 1:2, a = 3:4, check.names = FALSE), 'F')": "it holds two columns named 'a'",
    "saveRDS(1, 'F', ascii = TRUE)": "R's ASCII form",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    folder = tmp_path_factory.mktemp("saved")
    codes = [*(f"saveRDS({what}, 'F')" for what in SAVED), *SESSIONS, *REFUSED]
    lines = [f"rm(list = ls()); {code}".replace("'F'", f"'{i}'") for i, code in enumerate(codes)]
    subprocess.run(["Rscript", "-e", "\n".join(lines)], cwd=folder, check=True, capture_output=True)
    return iter([(folder / str(i)).read_bytes() for i in range(len(codes))])


def plain(rows):
    return {
        name: [None if type(v).__name__ == "NAType" else str(v) if "date" in type(v).__name__ else v for v in c]
        for name, c in rows.items()
    }


def test_what_r_saves_becomes_rows_or_is_refused_in_words(written):
    for (what, expected), data in zip({**SAVED, **SESSIONS}.items(), written, strict=False):
        found = plain(read_output(data, "r.rds" if what in SAVED else "r.RData"))
        assert list(found) == list(expected), what
        for name, values in expected.items():
            if any(v is NA for v in values):
                assert bits(found[name]) == bits(values)
            else:
                assert found[name] == values, what
    for (what, why), data in zip(REFUSED.items(), written, strict=False):
        with pytest.raises(ValueError, match=why):
            print(what, read_output(data, "r.rds"))
