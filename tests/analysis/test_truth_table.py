"""Truths of a table in measures, contrasts and rules of runs."""

import json

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from simferry.errors import UsageError

SHIFT = {(10, "a"): 0.0, (10, "b"): 1.0, (20, "a"): 2.0, (20, "b"): 3.0}
TRUTHS = pd.DataFrame([(n, m, t) for (n, m), t in SHIFT.items()], columns=["n", "method", "truth"])


def study(n):
    x = np.random.normal()
    return [{"method": m, "est": x + SHIFT[n, m], "other": x} for m in ("a", "b")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return sf.run(
        study, sf.grid(n=[20, 10]), replications=20, seed=1, store=store, common="n", estimate="est", truth=TRUTHS, by="method"
    )  # fmt: skip


def bias(found):
    return found[found["measure"] == "bias"]["estimate"]


def test_a_run_keeps_the_table_and_each_cell_has_its_truth(run):
    expected = run.results().groupby("condition")["other"].mean().repeat(2)
    assert bias(run.measures()).tolist() == pytest.approx(expected.tolist())
    assert json.loads((run.folder / "run.json").read_text())["measures"]["truth"]["n"] == [10, 10, 20, 20]
    by_number = {"condition": [1, 1, 2, 2], "method": ["a", "b"] * 2, "value": [2, 3, 0, 1]}
    assert bias(run.measures(truth=by_number)).tolist() == bias(run.measures()).tolist()
    seen = run.measures(own={"t": lambda rows: rows["truth"].mean()}, measures=["bias"])
    assert seen[seen["measure"] == "t"]["estimate"].tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize(
    "truth", [TRUTHS, {"condition": [1, 1, 2, 2], "method": ["a", "b"] * 2, "value": [2, 3, 0, 1]}]
)
def test_a_contrast_of_a_parameter_has_the_truths_of_its_values(run, truth):
    found = run.contrast(by="n,method", truth=truth, measures="bias")
    assert found["n"].tolist() == [10, 10] and found["estimate"].tolist() == pytest.approx([0, 0], abs=1e-12)


def test_several_estimates_may_have_truths_of_their_own(run):
    found = run.measures(
        estimate="est,other", truth={"column": ["est", "other"], "truth": [5, 7]}, measures=["bias", "mean"]
    )
    mean = found[found["measure"] == "mean"]
    assert (mean["estimate"].to_numpy() - bias(found).to_numpy()).tolist() == pytest.approx([5, 5, 7, 7] * 2)


def test_a_table_of_any_origin_has_truths_too(run):
    found = sf.measures(
        run.results()[["condition", "replication", "method", "est"]], estimate="est", by="method",
        truth={"condition": [1, 2], "truth": [0, 0]}, measures="bias",
    )  # fmt: skip
    assert bias(found).tolist() == bias(run.measures(truth=0)).tolist()


def test_a_cell_without_a_truth_is_one_error(run):
    with pytest.raises(UsageError, match="condition 1 has no truth in the table, where n is 20, method is b"):
        run.measures(truth=TRUTHS[:3])
    with pytest.raises(UsageError, match="a row has no truth in the table, where method is b"):
        sf.measures(
            run.results()[["replication", "method", "est"]][:20], estimate="est", by="method", truth={"method": "a", "truth": 1}
        )  # fmt: skip


def test_until_and_the_report_take_it(tmp_path):
    run = sf.run(
        study, sf.grid(n=[10]), seed=1, store=tmp_path, until={"bias": 0.5}, estimate="est", truth=TRUTHS, by="method"
    )
    assert run.status().finished and run.replications == 50
    page = run.report(tmp_path / "r.html").read_text()
    assert "a table" in page
