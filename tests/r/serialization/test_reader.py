"""What R serialised, as Python values: plain data only, every bit of it."""

import numpy as np
import pytest
from bridge_requests import numbers
from common import rscript
from simferry.r.serialization import NotPlain, decode, encode
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
    with pytest.raises(NotPlain, match="an R object of type 6"):
        decode((tmp_path / "in").read_bytes())
    with pytest.raises(NotPlain, match="serialize"):
        decode(b"something else, and longer than a header")
