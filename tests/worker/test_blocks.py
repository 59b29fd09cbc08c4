"""The block format: what one language writes the other reads, bit for bit, and damage is noticed."""

import gzip
import math
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from common import bits, rscript
from hypothesis import given, settings
from hypothesis import strategies as st
from simferry.worker import blocks

BLOCKS_R = Path(blocks.__file__).with_name("blocks.R")
R_NA = struct.unpack("<d", struct.pack("<Q", 0x7FF00000000007A2))[0]
TINY = 5e-324  # the smallest denormal
DOUBLES = [1 / 3, R_NA, math.nan, math.inf, -math.inf, -0.0, 0.0, TINY, 2.2e-308, 1.7976931348623157e308]
INTEGERS = [0, -1, 2**31 - 1, blocks.NA_INTEGER, -(2**31) + 1]
TEXTS = ["plain", "", None, "Åsa å 東京 😀", "quotes \" and '", "two\nlines\r\n", "back\\slash \\n", "tab\t,;", "NA"]
NAMES = ["plain", "with space", 'quo"te', "back\\slash", "back\\n", "new\nline", "ünï東", "a: b", "\\"]


def block(columns, rows, facts=None):
    return blocks.Block(facts or {}, [blocks.Table("results", rows, columns)])


def read_back(columns, rows):
    return blocks.decode(blocks.encode(block(columns, rows))).table("results").columns


def test_every_bit_of_a_double_comes_back():
    (out,) = read_back({"x": blocks.numbers("double", DOUBLES)}, len(DOUBLES)).values()
    assert bits(out.values) == bits(DOUBLES) and out.kind == "double"


def test_integers_logicals_and_strings_come_back():
    out = read_back(
        {
            "integer": blocks.numbers("integer", INTEGERS),
            "logical": blocks.numbers("logical", [0, 1, blocks.NA_INTEGER, 1, 0]),
            "string": blocks.strings(TEXTS[:5]),
        },
        5,
    )
    assert out["integer"].values.tolist() == INTEGERS
    assert out["logical"].values.tolist() == [0, 1, blocks.NA_INTEGER, 1, 0]
    assert out["string"].strings() == TEXTS[:5]


def test_facts_and_names_with_backslashes_and_newlines_come_back():
    facts = {f"fact {i}": name for i, name in enumerate([*NAMES, "", "a\n\nb", "\\\n\\"])}
    columns = {name: blocks.numbers("integer", [1]) for name in NAMES}
    out = blocks.decode(blocks.encode(block(columns, 1, facts)))
    assert out.facts == facts
    assert list(out.table("results").columns) == NAMES


def test_a_table_without_rows_comes_back():
    out = read_back({"x": blocks.numbers("double", []), "s": blocks.strings([])}, 0)
    assert len(out["x"].values) == 0 and out["s"].strings() == []


@settings(max_examples=60, deadline=None)
@given(
    doubles=st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3),
    integers=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3),
    texts=st.lists(st.none() | st.text(), min_size=3, max_size=3),
    names=st.lists(st.text(min_size=1), min_size=3, max_size=3, unique=True),
    fact=st.text(),
)
def test_whatever_is_written_comes_back(doubles, integers, texts, names, fact):
    patterns = np.array(doubles, dtype="<u8")
    columns = dict(
        zip(
            names,
            [
                blocks.numbers("double", patterns.view("<f8")),
                blocks.numbers("integer", integers),
                blocks.strings(texts),
            ],
            strict=True,
        )
    )
    facts = {"fact": fact}
    out = blocks.decode(blocks.encode(block(columns, 3, facts)))
    x, i, s = out.table("results").columns.values()
    assert out.facts == facts and list(out.table("results").columns) == names
    assert x.values.view("<u8").tolist() == doubles
    assert i.values.tolist() == integers
    assert s.strings() == texts


def test_bytes_that_are_no_utf_8_can_be_read():
    # what a script wrote in Latin-1, read with surrogateescape
    text = b"caf\xe9".decode(errors="surrogateescape")
    (out,) = read_back({"s": blocks.strings([text, "\ud800", "rest"])}, 3).values()
    assert out.strings() == ["caf\\xe9", "\\ud800", "rest"]


# ---- damage ----

WHOLE = blocks.encode(
    block({"x": blocks.numbers("double", np.arange(100.0)), "s": blocks.strings(["a"] * 100)}, 100, {"a": "b"})
)


@pytest.mark.parametrize("length", [0, 1, 10, len(WHOLE) // 2, len(WHOLE) - 1])
def test_a_block_that_was_cut_short_is_damaged(length):
    with pytest.raises(blocks.DamagedBlock):
        blocks.decode(WHOLE[:length])


@pytest.mark.parametrize("at", range(10, len(WHOLE), 7))
def test_a_changed_byte_is_noticed(at):
    with pytest.raises(blocks.DamagedBlock):
        blocks.decode(WHOLE[:at] + bytes([WHOLE[at] ^ 1]) + WHOLE[at + 1 :])


@pytest.mark.parametrize(
    "data, why",
    [
        (b"condition,replication\n1,1\n", "header"),
        (gzip.compress(b"condition,replication\n1,1\n"), "begins with 'condition,replication'"),
        (gzip.compress(b"\xff\xfe\n\n"), r"begins with '\\\\xff"),
        (gzip.compress(b"simferry block 1\n\xff\xfe\n\n"), "decode"),
        (gzip.compress(b"simferry block 1\n" + b"x" * 2**27), "its header has no end"),
        (gzip.compress(b"simferry block 1"), "its header has no end"),
        (gzip.compress(b"simferry block 1\ntable: results many\ninteger: x\n\n"), "'many' rows"),
        (gzip.compress(b"simferry block 1\ntable: results -1\ninteger: x\n\n\0\0\0\0"), "'-1' rows"),
        (gzip.compress(b"simferry block 1\ntable: results 1\ncomplex: x\n\n\0\0\0\0"), "'complex'"),
        (
            gzip.compress(b"simferry block 1\ntable: results 9\ninteger: x\n\n\0\0\0\0"),
            "4 bytes of a column where its header describes 36",
        ),
        (gzip.compress(b"simferry block 1\ntable: results 1\ninteger: x\n\n\0\0\0\0more"), "more than its header"),
        (WHOLE + b"more", "4 bytes follow"),
        (WHOLE + WHOLE, "bytes follow"),
    ],
    ids=lambda given: given if isinstance(given, str) else "bytes",  # not the bytes, which hold the time of day
)
def test_something_else_than_a_block_is_damaged(data, why):
    with pytest.raises(blocks.DamagedBlock, match=why):
        blocks.decode(data)


def memory_of(data: bytes) -> tuple[str, int]:
    """What decode says of some bytes, and how much memory it took at the most."""
    tracemalloc.start()
    try:
        with pytest.raises(blocks.DamagedBlock) as raised:
            blocks.decode(data)
        return str(raised.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "header, why",
    [
        (b"table: results 10\ndouble: x\n", "more than its header describes"),
        (b"table: results 10\nstring: x\n", "more than its header describes"),
        (b"table: results 99999999999999\ndouble: x\n", "bytes of a column where its header describes"),
    ],
)
def test_a_block_is_unpacked_no_further_than_its_header_declares(header, why):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    size = 2**26
    bomb = squeeze.compress(b"simferry block 1\n" + header + b"\n")
    bomb += b"".join(squeeze.compress(bytes(2**20)) for _ in range(size // 2**20)) + squeeze.flush()
    said, memory = memory_of(bomb)
    assert why in said and len(bomb) < size // 500
    # a header that declares all that comes takes as much memory as comes, and some room to grow
    assert memory < (1.5 * size if "99999" in header.decode() else 2**21)


def test_a_table_that_is_not_there_is_damage():
    with pytest.raises(blocks.DamagedBlock, match="no table 'replications'"):
        blocks.decode(WHOLE).table("replications")


def test_two_columns_of_one_name_are_both_kept():
    raw = b"simferry block 1\ntable: results 1\ninteger: condition\ninteger: condition\n\n" + struct.pack("<ii", 1, 7)
    columns = blocks.decode(gzip.compress(raw)).table("results").columns
    assert {name: c.values.tolist() for name, c in columns.items()} == {"condition": [1], "condition_result": [7]}


# ---- R ----


def with_r_functions(code, folder):
    """Run code with the R worker's read_block and write_block."""
    return rscript(f'source("{BLOCKS_R}", encoding = "UTF-8")\n{code}', folder)


def test_bytes_of_any_kind_from_r_and_back(tmp_path):
    code = """
    columns <- list(replication = 1:3, value = list(as.raw(c(0, 10, 255)), raw(), serialize("x", NULL, xdr = FALSE)), after = 4:6)
    write_block("block", c(run = "a"), list(list(name = "values", columns = columns)))
    again <- read_block("block")$tables$values
    stopifnot(identical(again, columns))
    """
    with_r_functions(code, tmp_path)
    columns = blocks.decode((tmp_path / "block").read_bytes()).table("values").columns
    value = columns["value"]
    assert (value.kind, value.values.tolist()[:2], value.text[:3]) == ("raw", [3, 0], b"\0\n\xff")
    assert len(value.text) == value.values.sum()
    assert columns["after"].values.tolist() == [4, 5, 6]


def test_what_r_writes_python_reads(tmp_path):
    code = r"""
    tiny <- 5e-324
    columns <- list(x = c(1/3, NA, NaN, Inf, -Inf, -0.0, 0, tiny, 2.2e-308), i = c(1L, NA, -5L, .Machine$integer.max, 0L, 2L, 3L, 4L, 5L),
      l = c(TRUE, NA, FALSE, TRUE, TRUE, TRUE, TRUE, TRUE, TRUE),
      s = c("plain", "", NA, "\u00c5sa \u6771\u4eac", "q\"'", "two\nlines\r\n", "back\\slash \\n", "tab\t", "NA"))
    columns[["na\\me\n"]] <- 1:9; columns[["\u6771"]] <- 1:9
    write_block("block", c(run = "a\\b\nc", empty = ""), list(list(name = "results", columns = columns)))
    """
    with_r_functions(code, tmp_path)
    out = blocks.decode((tmp_path / "block").read_bytes())
    columns = out.table("results").columns
    assert out.facts == {"run": "a\\b\nc", "empty": ""}
    assert list(columns) == ["x", "i", "l", "s", "na\\me\n", "東"]
    x = columns["x"].values
    expected = [1 / 3, math.nan, math.nan, math.inf, -math.inf, -0.0, 0.0, TINY, 2.2e-308]
    assert np.delete(x, [1, 2]).view("<u8").tolist() == bits(np.delete(expected, [1, 2]))
    assert np.isnan(x[1:3]).all() and (x.view("<u4")[2], x.view("<u4")[4] == 1954) == (1954, False)
    assert columns["i"].values.tolist() == [1, blocks.NA_INTEGER, -5, 2**31 - 1, 0, 2, 3, 4, 5]
    assert columns["l"].values.tolist() == [1, blocks.NA_INTEGER, 0, 1, 1, 1, 1, 1, 1]
    assert columns["s"].strings() == [
        "plain", "", None, "Åsa 東京", "q\"'", "two\nlines\r\n", "back\\slash \\n", "tab\t", "NA",
    ]  # fmt: skip


def test_what_python_writes_r_reads_and_writes_again(tmp_path):
    n = len(DOUBLES)
    texts = [*TEXTS, "the last"]
    columns = {
        "double": blocks.numbers("double", DOUBLES),
        "integer": blocks.numbers("integer", INTEGERS * 2),
        "logical": blocks.numbers("logical", [0, 1, blocks.NA_INTEGER, 1, 0] * 2),
        "string": blocks.strings(texts),
        **{name: blocks.numbers("integer", range(n)) for name in NAMES if name != "new\nline"},
    }
    facts = {"backslash": "\\n\\", "newline": "a\nb", "unicode": "東"}
    (tmp_path / "block").write_bytes(blocks.encode(block(columns, n, facts)))
    code = """
    b <- read_block("block")
    t <- b$tables$results
    stopifnot(is.na(t$double[2]), !is.nan(t$double[2]), is.nan(t$double[3]), 1 / t$double[6] == -Inf, is.na(t$integer[4]),
      is.logical(t$logical), is.na(t$logical[3]), is.na(t$string[3]), t$string[2] == "", b$facts$newline == "a\\nb")
    write_block("again", unlist(b$facts), list(list(name = "results", columns = t)))
    """
    with_r_functions(code, tmp_path)
    again = blocks.decode((tmp_path / "again").read_bytes())
    out = again.table("results").columns
    assert again.facts == facts and list(out) == list(columns)
    assert bits(out["double"].values) == bits(DOUBLES)
    assert out["integer"].values.tolist() == INTEGERS * 2
    assert out["logical"].values.tolist() == [0, 1, blocks.NA_INTEGER, 1, 0] * 2
    assert out["string"].strings() == texts


def test_r_reads_and_writes_lists(tmp_path):
    doubles = blocks.lists([2, -1, 0, 4], blocks.numbers("double", DOUBLES[:6]))
    texts = blocks.lists([1, 2, 0, -1], blocks.strings(["é", None, ""]))
    (tmp_path / "block").write_bytes(blocks.encode(block({"d": doubles, "s": texts}, 4)))
    code = (
        f'source("{BLOCKS_R.with_name("rows.R")}", encoding = "UTF-8")'
        + """
    found <- read_block("block")$tables$results
    d <- lapply(found$d, function(x) if (!is.null(x)) list_of_bytes(x, "double"))
    s <- lapply(found$s, function(x) if (!is.null(x)) list_of_bytes(x, "string"))
    stopifnot(lengths(d) == c(2, 0, 0, 4), is.null(d[[2]]), identical(d[[3]], double()), is.na(d[[1]][2]),
      !is.nan(d[[1]][2]), identical(s, list("\u00e9", c(NA, ""), character(), NULL)))
    write_block("again", c(a = "b"), list(list(name = "results", columns = list(d = list_column(d), s = list_column(s),
      k = list_column(list(1:2, NULL, NA, integer()))))))
    """
    )
    with_r_functions(code, tmp_path)
    again = blocks.decode((tmp_path / "again").read_bytes()).table("results").columns
    for name, column in (("d", doubles), ("s", texts)):
        assert (again[name].form, again[name].values.tolist()) == (column.form, column.values.tolist())
        assert again[name].text == column.text
    lengths, elements = blocks.unlisted(again["k"])
    assert lengths.tolist() == [2, -1, 1, 0] and elements.values.tolist() == [1, 2, blocks.NA_INTEGER]


@pytest.mark.parametrize(
    "header, content",
    [
        (b"table: results 10\ndouble: x\n", bytes(88)),
        (b"table: results 10\ndouble: x\n", bytes(72)),
        (b"table: results 10\nstring: x\n", struct.pack("<10i", *[9] * 10) + b"short"),
        (b"table: results 2000000000\ndouble: x\n", b""),
        (b"table: results many\ndouble: x\n", b""),
    ],
)
def test_r_refuses_what_its_header_does_not_describe(tmp_path, header, content):
    (tmp_path / "block").write_bytes(gzip.compress(b"simferry block 1\n" + header + b"\n" + content))
    code = """
    said <- tryCatch({ read_block("block"); "read" }, error = conditionMessage, warning = conditionMessage)
    cat(said, gc()["Vcells", "max used"] * 8 < 2^28)
    """
    assert with_r_functions(code, tmp_path) == "block is damaged: it does not hold what its header describes TRUE"
