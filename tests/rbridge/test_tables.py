"""Tables for R: the classes of their columns, and values that were kept whole."""

import datetime as dt
import shutil

import pyarrow.parquet as pq
import simferry as sf
from bridge_requests import error_of, value_of
from sweeps import write


def odd(n):
    return {"took": dt.timedelta(minutes=n), "day": dt.date(2026, 1, 1), "z": 1j}


def test_columns_have_the_classes_of_r(tmp_path):
    run = sf.run(odd, {"n": [1, 2]}, replications=1, seed=1, store=tmp_path)
    columns = dict(value_of("results", run=str(run.folder)).items())
    assert columns["took"].classes == ["difftime"] and columns["took"].texts("units") == ["secs"]
    assert columns["took"].values.tolist() == [60, 120] and columns["day"].classes == ["Date"]
    kept = dict(value_of("values", run=str(run.folder), trust=False).items())
    assert dict(kept["values"].values[1].items())["z"].values.tolist() == [1j]


def test_what_only_r_can_read_is_a_path_of_an_own_run(tmp_path):
    code = "simulate <- function(n) if (n == 1) list(list(n)) else lm(dist ~ speed, cars)"
    run = sf.run(write(tmp_path, "s.R", code), {"n": [1, 2]}, replications=1, seed=1, store=tmp_path / "runs")
    kept = dict(value_of("values", run=str(run.folder), trust=False).items())
    assert kept["file"].values == [None, str(run.artifacts(2, 1)[0])]
    assert kept["values"].values[0].values[0].values[0].values.tolist() == [1]
    copy = shutil.copytree(run.folder, tmp_path / "elsewhere" / run.id)
    told = error_of("values", run=str(copy), trust=False)
    assert "only R's readRDS reads" in told["message"] and "trust = TRUE" in told["hint"]
    assert dict(value_of("values", run=str(copy), trust=True).items())["file"].values[1].startswith(str(copy))


def test_integers_that_no_double_holds_are_text(tmp_path):
    run = sf.run(lambda: {"big": 2**60 + 1, "small": 2**40}, replications=1, seed=1, store=tmp_path)
    columns = dict(value_of("results", run=str(run.folder)).items())
    assert columns["big"].values == ["1152921504606846977"] and columns["small"].values.tolist() == [2**40]


def test_results_are_read_by_condition_and_as_a_file(tmp_path):
    run = sf.run(lambda n: n / 4, {"n": [1, 2, 3]}, replications=2, seed=1, store=tmp_path)
    whole = dict(value_of("results", run=str(run.folder)).items())
    some = dict(value_of("results", run=str(run.folder), conditions=[3, 1]).items())
    assert some["condition"].values.tolist() == [1, 1, 3, 3] and [*some] == [*whole]
    assert some["value"].values.tolist() == [0.25, 0.25, 0.75, 0.75]
    assert "has conditions 1 to 3, not 4" in error_of("results", run=str(run.folder), conditions=4)["message"]
    (path,) = value_of("dataset", run=str(run.folder)).values
    assert pq.read_table(path).equals(run.results_table())
