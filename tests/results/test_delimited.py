"""Results files with other separators and decimal marks: read as they were meant, or refused."""

import shutil
import subprocess

import pytest
from common import require
from simferry.results.outputs import Outputs, read_output
from simferry.worker import blocks
from simferry.worker.rows import ids_of, table


def numbers(text, name="result.csv"):
    """What a column holds in the table of results."""
    part = table("outputs", ids_of([1], [1]), {"text": blocks.strings([text])})
    outputs = Outputs(name)
    groups, unreadable = outputs.read(part)
    assert not unreadable, unreadable
    ((found, _),) = outputs.tables(groups)
    columns = {n: c for n, c in found.columns.items() if n not in ("condition", "replication")}
    return {n: c.strings() if c.kind == "string" else c.values.tolist() for n, c in columns.items()}


FRAME = "d <- data.frame(m = c(0.25, 12), method = c('a; b', 'c, d'), k = 1:2)"
WRITERS = {
    "write.csv2(d, stdout())": ["row_name", "m", "method", "k"],
    "write.csv2(d, stdout(), row.names = FALSE)": ["m", "method", "k"],
    "write.csv(d, stdout(), row.names = FALSE)": ["m", "method", "k"],
    "write.table(d, stdout())": ["row_name", "m", "method", "k"],
    "write.table(d, stdout(), dec = ',')": ["row_name", "m", "method", "k"],
    "write.table(d, stdout(), sep = ';', dec = ',')": ["row_name", "m", "method", "k"],
    "write.table(d, stdout(), sep = ',')": ["row_name", "m", "method", "k"],
    "write.table(d, stdout(), sep = '\\t', dec = ',', row.names = FALSE)": ["m", "method", "k"],
    "write.table(d[c('m', 'k')], stdout(), row.names = FALSE, quote = FALSE)": ["m", "k"],
    "write.csv2(d['m'], stdout())": ["row_name", "m"],
    "write.table(d['m'], stdout(), sep = ';', dec = ',')": ["row_name", "m"],
}


def test_what_r_writes_is_read_as_it_was_meant():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    code = f"{FRAME}\n" + "\n".join(f"{writer}; cat('\\001')" for writer in WRITERS)
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    texts = done.stdout.split("\001")[:-1]
    frame = {"row_name": [1, 2], "m": [0.25, 12], "method": ["a; b", "c, d"], "k": [1, 2]}
    for (writer, names), text in zip(WRITERS.items(), texts, strict=True):
        assert numbers(text) == {name: frame[name] for name in names}, writer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n0,25;0,5\n", {"a": [0.25], "b": [0.5]}),
        ("\ufeffn;m\r\n10;0,25\r\n", {"n": [10], "m": [0.25]}),
        ("n;m\n1;1,234\n", {"n": [1], "m": [1.234]}),  # as write.csv2() writes round(x, 3)
        ("m;k\n1.234,5;1\n-0,5e-3;2\n", {"m": [1234.5, -0.0005], "k": [1, 2]}),
        ("m;k\n1,234.5;1\n1,234;2\n", {"m": [1234.5, 1234], "k": [1, 2]}),
        ("a;b\n0.25;0.5\n", {"a": [0.25], "b": [0.5]}),
        ('label;m\n"0.5";0,25\n"1,3";1\n', {"label": ["0.5", "1,3"], "m": [0.25, 1]}),
        ('"a";"b"\n"0,25";"1"\n', {"a": [0.25], "b": [1]}),
        ("0,25;0,5\n", {"value_1": [0.25], "value_2": [0.5]}),
        ("0.25 0.5\n", {"value_1": [0.25], "value_2": [0.5]}),
        ("a\tb\n0,25\tx y\n", {"a": [0.25], "b": ["x y"]}),
        ("a\tb\n0.25\t0.5\n", {"a": [0.25], "b": [0.5]}),
        ("m;n\nNA;0,5\n;1\n", {"m": [None, None], "n": [0.5, 1]}),
        # as before
        ("m,label\n0.25,a;b\n", {"m": [0.25], "label": ["a;b"]}),
        ('m,label\n0.25,"1,3"\n', {"m": [0.25], "label": ["1,3"]}),
        ("model fit,m\ngood one,1\n", {"model fit": ["good one"], "m": [1]}),
        ("model fit\ngood one\n", {"model fit": ["good one"]}),
        ("m\nalpha,0.5\n", {"row_name": ["alpha"], "m": [0.5]}),
        ("10,20\n", {"value_1": [10], "value_2": [20]}),
        ("m\n0.25\n\n0.5\n", {"m": [0.25, 0.5]}),
    ],
)  # fmt: skip
def test_separators_and_decimal_marks(text, expected):
    found = numbers(text)
    for name, values in expected.items():
        if None in values:
            assert [v != v or v == blocks.NA_INTEGER for v in found[name]] == [v is None for v in values]
        else:
            assert found[name] == values
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m\n0,25\n", "'0,25' could be one number or two"),
        ('"m"\n"a",1\n-1,5e-05\n', "'-1,5e-05' could be one number"),
        ("m\n1,234.5\n1,2\n", "'1,2' could be one number"),
        ("m\n1 234\n", "'1 234' could be one number or two"),
        ("a;b\n0,25;0.5\n", "decimal commas, as in '0,25', and points, as in '0.5'"),
        ("a\tb\n1,234\t5\n", "the comma in '1,234' could be a decimal mark or separate thousands"),
        ("a;b\n1,234;0.5\n", "the comma in '1,234' could be a decimal mark or separate thousands"),
        ("a,b;c\nx,y;z\n", "commas or semicolons could separate its columns"),
        ("\xff\xfem\0\n", "it is not UTF-8"),
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        read_output(text, "result.csv")
