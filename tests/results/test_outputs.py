"""What the results files of scripts hold, and the columns that they become."""

import gzip
import math

import pytest
import simferry as sf
from common import bits
from hand_made import NA, values
from simferry.results.collect import collect, done
from simferry.results.outputs import read_output
from simferry.results.table import table


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("r.csv", "a,b\n1,x\n2,y\n", {"a": ["1", "2"], "b": ["x", "y"]}),
        ("r.csv", '"a","b"\n"two\nlines","say ""hej"", ok"\n', {"a": ["two\nlines"], "b": ['say "hej", ok']}),
        ("r.csv", '"","mean"\n"1",0.5\n', {"row_name": ["1"], "mean": ["0.5"]}),
        ("r.csv", "mean,sd\n1,0.5,2\n", {"row_name": ["1"], "mean": ["0.5"], "sd": ["2"]}),
        ("r.csv", "0.5,2\n", {"value_1": ["0.5"], "value_2": ["2"]}),
        ("r.csv", "12\n15\n9\n", {"value": ["12", "15", "9"]}),
        ("r.csv", ",0,1\n0,0.5,0.7\n", {"row_name": ["0"], "0": ["0.5"], "1": ["0.7"]}),
        ("r.csv", "\ufeffa\r\n1\r\n", {"a": ["1"]}),
        ("r.csv", "", {}),
        ("r.tsv", "a\tb\n1\t2\n", {"a": ["1"], "b": ["2"]}),
        ("r.json", '{"mean": 0.5, "ok": true, "s": "a", "na": null}', {"mean": [0.5], "ok": [True], "s": ["a"], "na": [None]}),
        ("r.json", '{"mean": [0.5, 0.6], "m": ["a", "b"]}', {"mean": [0.5, 0.6], "m": ["a", "b"]}),
        ("r.json", '[{"a": 1}, {"a": 2, "b": 3}]', {"a": [1, 2], "b": [None, 3]}),
        ("r.json", '{"mean": 0.5, "ci": [0.25, 0.75]}', {"mean": [0.5], "ci": [(0.25, 0.75)]}),
        ("r.json", "[1.5, 2.5]", {"value_1": [1.5], "value_2": [2.5]}),
        ("r.json", "7", {"value": [7]}),
        ("r.jsonl", '{"a": 1}\n{"a": 2}\n', {"a": [1, 2]}),
        ("numbers.txt", " 1.5 2e-3\nNA -Inf\n", {"value_1": ["1.5"], "value_2": ["2e-3"], "value_3": ["NA"], "value_4": ["-Inf"]}),
        ("answer", "42\n", {"value": ["42"]}),
        ("answer", "", {}),
        # write.table() by default, with tabs, and with decimal commas; print() of a data frame
        ("r.txt", '"n" "m"\n"1" 10 0.5\n"2" 20 NA\n', {"row_name": ["1", "2"], "n": ["10", "20"], "m": ["0.5", "NA"]}),
        ("r.txt", '"x"\n"1" 0.5\n', {"row_name": ["1"], "x": ["0.5"]}),
        ("r.dat", "n\tm\n10\t0.5\n", {"n": ["10"], "m": ["0.5"]}),
        ("r.txt", "n;m\n10;0,5\n", {"n": ["10"], "m": ["0.5"]}),
        ("r.txt", "n method m\n1 100 ols 0.5\n2 100 lad 0.7\n", {
            "row_name": ["1", "2"], "n": ["100", "100"], "method": ["ols", "lad"], "m": ["0.5", "0.7"]}),
        ("out", "mean sd\n0.5 0.1\n", {"mean": ["0.5"], "sd": ["0.1"]}),
        ("out", "mean\n0.5\n0.7\n", {"mean": ["0.5", "0.7"]}),
        ("out.txt", '{"a": 1}', {"a": [1]}),
        # values without a header, and a header of numbers, which R quotes
        ("r.csv", "NA,2,TRUE\n3,4,FALSE\n", {"value_1": ["NA", "3"], "value_2": ["2", "4"], "value_3": ["TRUE", "FALSE"]}),
        ("r.csv", '"10","20"\n0.5,0.6\n', {"10": ["0.5"], "20": ["0.6"]}),
        ("r.csv", "sep=;\nn;m\n10;0,5\n", {"n": ["10"], "m": ["0.5"]}),
        ("r.csv.gz", gzip.compress(b"a\n1\n", mtime=0) + gzip.compress(b"2\n", mtime=0), {"a": ["1", "2"]}),
    ],
)  # fmt: skip
def test_what_a_results_file_holds(name, text, expected):
    assert read_output(text, name) == expected


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("r.csv", "a,b\n1\n", "row 1 has 1 cells where the header has 2"),
        ("r.csv", "a,a\n1,2\n", "2 columns named 'a'"),
        ("r.csv", "ols,0.5\n", "its only line, 'ols,0.5', could be a header or values"),
        ("r.json", '{"a": ', "it is not JSON"),
        ("r.json", '{"a": {"b": [1]}}', "neither a number, nor an object of plain values"),
        ("r.json", '{"a": [1], "b": [1, 2]}', "different lengths"),
        ("answer", "1 two 3", "'two' is not a number"),
        ("answer", "1_000", "'1_000' is not a number"),
        (
            "r.txt",
            "mean is 0.5\nsd is 1",
            "no table: .* It looks like text that begins with 'mean is 0.5'. What is read: CSV",
        ),
        ("r.txt", '"1" 0.3 0.2\n"2" 0.1 0.3\n', "is not a number, and it is no table"),
        ("r.csv", '{"a": 1}', "it looks like JSON. What is read"),
        ("r.json", "a,b\n1,2\n", "it is not JSON .* looks like text that begins with 'a,b'"),
        ("r.rds", "a\n1\n", "it looks like text that begins with 'a', not like what saveRDS"),
        ("r.xlsx", b"PK\3\4rest", "it looks like a zip archive .*xlsx.* What is read"),
        ("r.csv", b"\x80\4rest", "it looks like a pickle of Python, which is never opened"),
        ("r.rds", b"A\n3\n", "ASCII form"),
        ("r.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-9], "it is compressed, and cut short"),
    ],
)
def test_why_a_results_file_cannot_be_read(name, text, why):
    with pytest.raises(ValueError, match=why):
        read_output(text, name)


def of_files(hand_made, name, *texts, per_block=1):
    made = hand_made(sf.grid(n=1), replications=len(texts), simulation={"results_file": name})
    for at in range(0, len(texts), per_block):
        some = [(1, at + 1 + i, text) for i, text in enumerate(texts[at : at + per_block])]
        made.add([s[:2] for s in some], outputs=some)
    return made


@pytest.mark.parametrize("per_block", [1, 2, 5])
def test_a_csv_column_is_typed_over_all_files_whatever_their_blocks(per_block, hand_made):
    texts = ["x,flag,id,note\n1,TRUE,1,\n", "x,flag,id,note\n,NA,1_2,a\n", "x,flag,id,note\nNA,FALSE,3,NA\n"]
    texts += ["x,flag,id,note\nNaN,TRUE,4,1\n", "x,flag,id,note\nInf,FALSE,5,b\n"]
    out = table(of_files(hand_made, "r.csv", *texts, per_block=per_block).run)
    x = out["x"].to_numpy()
    assert bits(x) == bits([1.0, NA, NA, math.nan, math.inf])
    assert values(out, "flag") == [True, None, False, True, False]
    assert values(out, "id") == ["1", "1_2", "3", "4", "5"]
    assert values(out, "note") == ["", "a", None, "1", "b"]


def test_whole_numbers_beyond_doubles_keep_their_digits_where_all_are_whole(hand_made):
    texts = ["id,x,n\n9007199254740993,9007199254740993,1\n", "id,x,n\n-3,0.5,2\n", "id,x,n\nNA,1,3\n"]
    out = table(of_files(hand_made, "r.csv", *texts, per_block=1).run)
    assert values(out, "id") == [2**53 + 1, -3, None]
    assert values(out, "x") == [2.0**53, 0.5, 1.0] and out["n"].type == "double"


def test_the_na_that_jsonlite_writes_among_numbers_is_one(hand_made):
    texts = [
        '{"x": ["NA"], "id": ["01"], "l": [["NA", 2.5]]}',
        '{"x": [0.5], "id": ["2"], "l": [[1]]}',
        '{"x": ["-Inf"], "id": ["NA"], "l": [[]]}',
    ]
    out = table(of_files(hand_made, "r.json", *texts).run)
    assert bits(out["x"].to_numpy()) == bits([NA, 0.5, -math.inf])
    assert values(out, "id") == ["01", "2", "NA"] and values(out, "l")[1:] == [[1.0], []]
    assert bits(out["l"][0].values.to_numpy()) == bits([NA, 2.5])


def test_a_results_file_that_cannot_be_read_is_a_failure_with_its_reason(hand_made):
    made = of_files(hand_made, "r.csv", "a\n1\n", "a,b\n1\n", "a\n3\n")
    found = collect(made.run)
    assert values(found.replications, "ok") == [True, False, True]
    assert values(found.failures, "message") == ["r.csv can't be read: row 1 has 1 cells where the header has 2"]
    assert values(found.results, "a") == [1, 3]
    assert done(made.run, failed=False)[1].tolist() == [1, 3] and done(made.run)[1].tolist() == [1, 2, 3]
    made.add([(1, 2)], outputs=[(1, 2, "a\n2\n")])  # it was tried again
    found = collect(made.run)
    assert values(found.replications, "ok") == [True] * 3 and values(found.results, "a") == [1, 2, 3]
    assert found.failures.num_rows == 0


def test_several_files_of_a_replication_are_told_apart_by_a_column(hand_made):
    made = hand_made(sf.grid(n=1), replications=2, simulation={"results_file": "*"})
    one = [(1, 1, "a.csv", b"x\n1\n"), (1, 1, "b.csv", b"x\n2\n")]
    made.add([(1, 1), (1, 2)], files=[*one, (1, 2, "a.csv", b"x,file\n3,z\n"), (1, 2, "c.json", b'{"x": "NA"}')])
    out = table(made.run)
    assert values(out, "replication") == [1, 1, 2, 2] and values(out, "x") == ["1", "2", "NA", "3"]
    assert values(out, "file") == ["a.csv", "b.csv", "c.json", "z"] and values(out, "file_1") == [
        None,
        None,
        None,
        "a.csv",
    ]


def test_two_files_of_one_name_are_refused(hand_made):
    made = hand_made(sf.grid(n=1), replications=1, simulation={"results_file": "r_{n}.csv"})
    made.add([(1, 1)], files=[(1, 1, "r_1.csv", b"x\n1\n"), (1, 1, "r_1.0.csv", b"x\n2\n")])
    assert values(collect(made.run).failures, "message") == [
        "r_1.csv and r_1.0.csv are both r_{n}.csv: one of them is too many"
    ]


def test_a_column_named_like_an_id_in_a_results_file_is_renamed(hand_made):
    out = table(of_files(hand_made, "r.csv", "replication,x\n7,1\n").run)
    assert values(out, "replication") == [1] and values(out, "replication_result") == [7]


def test_results_files_without_rows_are_a_table_without_rows(hand_made):
    assert table(of_files(hand_made, "r.csv", "x\n", "x\n").run).num_rows == 0
