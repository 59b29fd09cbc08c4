"""A script of R whose functions tests call from Python, and a data frame with every kind of column."""

import importlib.util
import shutil

import pytest
import simferry as sf
from common import require

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
