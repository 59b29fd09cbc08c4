"""What tells the rows of one replication apart."""

import json
import warnings

import pytest
from simferry.analysis.row_keys import check_keys
from simferry.errors import UsageError
from sweeps import made, simferry

R = {
    "rows": "simulate <- function(n) data.frame(m = c(a = rnorm(1), b = 10 + rnorm(1)))",
    "keys": "simulate <- function(n) data.frame(method = 1:2, size = rep(c(10, 20), each = 2), b = c(TRUE, FALSE), one = 1, m = rnorm(4))",
    "shuffled": "simulate <- function(n) data.frame(size = c(10, 20), m = rnorm(2))[sample(2, 1 + rbinom(1, 1, 0.9)), ]",
    "counts": "simulate <- function(n) data.frame(m = rnorm(3), k = rpois(3, 2), hit = runif(3) < 0.5)",
}


def test_rows_that_only_numbers_tell_apart(tmp_path):
    run = made(tmp_path, R["keys"])
    with pytest.warns(UserWarning) as told:
        run.summary()
    assert f"outputs method, size, b of run {run.id} seem to distinguish the rows" in str(told[0].message)
    assert (
        f'simferry.open("{run.handle}").summary(by=["method"])  keeps them apart' in str(told[0].message)
        and len(told) == 1
    )
    with pytest.warns(UserWarning, match=r'output size of run .* seems to .*by=\["method", "b", "size"\]\)  keeps'):
        run.summary(["method", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = run.summary(by=["method", "size"])
    rows = run.results()
    expected = rows.groupby(["condition", "method", "size"])["m"].mean()
    shown = frame[frame["output"] == "m"].set_index(["condition", "method", "size"])["mean"]
    assert shown.to_dict() == pytest.approx(expected.to_dict()) and len(shown) == 8
    assert sorted(set(frame["output"])) == ["b", "m", "one"]
    done = simferry("summary", run.folder, "--by", "method, size", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == frame.to_dict("records") and not done.stderr
    with pytest.raises(UsageError, match=r"by: there is no output 'metod'\nDid you mean method\?"):
        run.summary("metod")


def test_rows_that_come_in_any_order(tmp_path):
    run = made(tmp_path, R["shuffled"])
    with pytest.warns(UserWarning, match="output size of run"):
        run.summary()
    frame = run.summary(by="size")
    assert frame["size"].tolist() == [10, 20] * 2 or frame["size"].tolist() == [20, 10] * 2
    assert (frame["replications"] + frame["missing"]).tolist() == [50] * 4


def test_row_names_tell_rows_apart_and_counts_do_not(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = made(tmp_path, R["rows"]).summary()
        made(tmp_path, R["counts"]).summary()
    assert frame["row_name"].tolist() == ["a", "b"] * 2 and (frame["mean"] > 5).tolist() == [False, True] * 2


@pytest.mark.parametrize("by", [3, [3], ["method", None]])
def test_by_takes_names(by):
    with pytest.raises(UsageError, match=r"it takes the names of outputs"):
        check_keys(by)
    assert check_keys("method") == check_keys(("method",)) == ["method"] and check_keys(None) is None
