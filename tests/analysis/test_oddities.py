"""What a table suggests that a simulation does wrong, said when the table is looked at."""

import math
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simferry as sf
from hand_made import outputs_of, pairs
from simferry.analysis.oddities import same_values, texts_among_numbers
from simferry.errors import Note
from simferry.results.collect import collect
from sweeps import made

R = {
    "nothing": "simulate <- function(n) { x <- rnorm(1); if (x > 0) c(m = x) }",
    "object": "simulate <- function(n) list(rnorm(1), 1:3)",
    "text": "simulate <- function(n) { x <- rnorm(1); list(m = if (x > 1) 'NA' else x) }",
    "coerced": "simulate <- function(n) c(m = rnorm(1), method = 'lm')",
    "missing": "simulate <- function(n) c(m = NA)",
    "methods": "simulate <- function(n) data.frame(method = c('1', '2', 'all'), m = rnorm(3))",
}


@pytest.mark.parametrize("look", ["results", "summary"])
def test_replications_without_a_row(tmp_path, look):
    run = made(tmp_path, R["nothing"])
    with pytest.warns(UserWarning, match=r"replications of run \S+ did not fail, but returned no row") as told:
        frame = getattr(run, look)()
    assert len(told) == 1
    rows = run.results_table()
    assert 20 < rows.num_rows < 80 and f"{100 - rows.num_rows} replications" in str(told[0].message)
    if look == "summary":
        assert (frame["replications"] + frame["missing"]).tolist() == [50, 50]
        assert frame["replications"].sum() == rows.num_rows


def test_iterations_of_a_loop_have_no_rows(tmp_path):
    run = sf.run(nothing, {"loop": ["first"]}, replications=2, seed=1, store=tmp_path)
    with pytest.warns(UserWarning, match=r"2 replications .* Iterations of a foreach loop have none"):
        run.results()


def nothing(loop):
    return None


def test_objects_are_said_to_be_kept(tmp_path):
    run = made(tmp_path, R["object"])
    with pytest.warns(
        UserWarning,
        match=r"all replications of run \S+ \(100\) returned objects, .* condition 1, replication 1, is a list",
    ):
        assert len(run.results()) == 0
    with pytest.warns(UserWarning, match=r"run\.values\(\) in Python and sim_values\(run\) in R gather them"):
        assert run.summary()["replications"].tolist() == [0, 0]
    assert [path.name for path in run.artifacts(1, 1)] == ["value.rds"]


def test_whole_numbers_beyond_64_bits_are_said_to_be_text(tmp_path):
    run = sf.run(lambda: {"big": 3**50, "fits": 2**62 + 1}, replications=2, seed=1, store=tmp_path)
    with pytest.warns(UserWarning, match="output big of run .* beyond 64 bits: it is text, with all digits"):
        frame = run.results()
    assert frame["big"].tolist() == [str(3**50)] * 2 and frame["fits"].tolist() == [2**62 + 1] * 2


def test_text_among_numbers(tmp_path):
    run = made(tmp_path, R["text"])
    texts = [r for r in run.results_table().to_pylist() if r["m"] == "NA"]
    numbers = run.results_table().num_rows - len(texts)
    where = rf"text in {len(texts)} \(condition {texts[0]['condition']}, replication {texts[0]['replication']}: 'NA'\)"
    with pytest.warns(UserWarning, match=rf"output m of run .* is a number in {numbers} rows and {where}"):
        run.summary()


def test_a_few_numbers_among_texts_have_as_many_digits_as_only_results_have(tmp_path):
    def table(*values):
        ids = pa.array(range(1, 1 + len(values)), pa.int32())
        return pa.table({"condition": ids, "replication": ids, "m": pa.array(values)})

    found = texts_among_numbers(table("failed", None, "Error: " + "x" * 200, "0.029321661531167453"))["m"]
    assert found == (2, 1, 1, 1, "failed")
    assert texts_among_numbers(table("x", "0.5", "low", "mid")) == {}  # labels
    assert len(texts_among_numbers(table("1.25", "2.5", "y" * 200))["m"].value) < 110


def test_numbers_that_were_made_text(tmp_path):
    run = made(tmp_path, R["coerced"])
    with pytest.warns(UserWarning, match=r"output m of run .* reads as numbers, but is text"):
        run.summary()


def test_what_a_python_function_may_do_is_said_in_its_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").touch()

    def simulate(kind):
        if kind == "file":
            Path("data.txt").read_text()
        return {"t": np.array([1.5, "a"])[0]} if kind == "text" else {"m": 0.123456789}

    design = sf.grid(kind=["file", "text", "same"])
    with pytest.warns(Note, match=r"data.txt was not there: include=\[\"data.txt\"\]"):
        run = sf.run(simulate, design, replications=3, seed=1, store=tmp_path / "runs")
    with pytest.warns(UserWarning) as told:
        run.results()
    told = [str(one.message) for one in told]
    assert len(told) == 2 and "seed its generator itself, or keep" in told[0] and "np.array([1.5, 'a'])" in told[1]


def test_what_is_as_it_should_be_is_not_remarked_on(tmp_path):
    run = made(tmp_path, R["methods"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.summary()["method"].tolist() == ["1", "2", "all"] * 2
        run.results()


def test_a_logical_na_is_missing(tmp_path):
    assert made(tmp_path, R["missing"]).summary()[["replications", "missing"]].values.tolist() == [[0, 50], [0, 50]]


@pytest.mark.parametrize(
    "x, suspicious",
    [
        ([0.123456789] * 3, True),
        ([0.123456789] * 2, False),  # too few to tell
        ([0.5] * 3, False),  # constant, but it may well be so
        ([0.123456789, 0.123456789, 0.2], False),
        ([math.nan] * 3, False),
        ([0.123456789, 0.987654321] * 3, True),  # two rows each, the same in every replication
    ],
)
def test_the_same_random_looking_values_everywhere_are_suspicious(x, suspicious, hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=3)
    replications = range(1, 1 + min(len(x), 3))
    made.add(pairs(1, replications), [outputs_of(1, replications, x=x)])
    made.add(pairs(2, [1, 2, 3]), [outputs_of(2, [1, 2, 3], y=[0.1234567891] * 3)])  # other columns do not hide it
    assert same_values(collect(made.run).results) == [1, 2][not suspicious :]
