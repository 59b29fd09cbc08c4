"""Measures of tables and of runs: what is counted, what is left out, what is refused."""

import numpy as np
import pyarrow as pa
import pytest
import simferry as sf
from simferry.analysis.measure_table import contrast_table, measure_table
from simferry.analysis.sources import of_table
from simferry.errors import UsageError
from simferry.sweep.roles import roles


def table(**changed):
    rng = np.random.default_rng(1)
    columns = {
        "rep": np.repeat(np.arange(1, 21), 2), "method": np.tile(["a", "b"], 20), "b": rng.normal(1, 1, 40), "se": np.full(40, 0.9),
        "theta": np.ones(40),
    }  # fmt: skip
    return pa.table({**columns, **changed})


def rows(found, **of):
    frame = found.frame()
    for name, value in of.items():
        frame = frame[frame[name] == value]
    return frame


def test_each_measure_says_how_many_replications_it_stands_on():
    b = table()["b"].to_numpy().copy()
    b[[0, 2, 5]] = [np.nan, np.inf, np.nan]
    data = table(b=b).slice(0, 39)  # b has no row in the last replication
    found = measure_table(of_table(data, "rep"), roles({"estimate": "b", "truth": "theta", "se": "se", "by": "method"}))
    assert rows(found, measure="bias")[["method", "replications", "missing", "failed"]].values.tolist() == [
        ["a", 18, 2, 0], ["b", 18, 2, 0],
    ]  # fmt: skip
    lost = rows(found, measure="nonconvergence")
    assert lost["estimate"].tolist() == [0.1, 0.1] and lost["replications"].tolist() == [20, 20]
    assert found.notes == ["infinite estimates count as missing: 1"]
    assert rows(found, measure="coverage")["nominal"].tolist() == [0.95, 0.95]
    assert rows(found, measure="relative_precision")["method"].tolist() == ["b"]


def test_all_cases_count_what_each_measure_has():
    se = np.full(40, 0.9)
    se[:4] = np.nan
    given = roles({"estimate": "b", "truth": 1, "se": "se", "by": "method"})
    for complete, bias in ((True, 18), (False, 20)):
        found = measure_table(of_table(table(se=se), "rep"), given, complete=complete)
        assert rows(found, measure="bias")["replications"].tolist() == [bias, bias]
        assert rows(found, measure="coverage")["replications"].tolist() == [18, 18]


def test_there_is_no_relative_bias_where_the_truth_is_0_and_a_varying_truth_is_told():
    theta = np.zeros(40)
    theta[-2:] = [0, 1]
    found = measure_table(
        of_table(table(theta=theta), "rep"), roles({"estimate": "b", "truth": "theta", "by": "method"})
    )
    assert rows(found, measure="relative_bias")[["method", "replications"]].values.tolist() == [["b", 1]]
    assert found.notes == ["the truth varies within 1 of 2 cells: each replication has its own"]


def test_p_values_alone_have_rejections_and_what_is_missing():
    p = np.tile([0.01, 0.2, 0.03, np.nan], 10)
    given = roles({"p_value": "p", "by": "method", "alpha": [0.05, 0.02]})
    found = measure_table(of_table(table(p=p), "rep"), given)
    assert rows(found, method="a")[["measure", "estimate", "replications"]].values.tolist() == [
        ["rejection", 1.0, 20], ["rejection_2", 0.5, 20], ["nonconvergence", 0.0, 20],
    ]  # fmt: skip
    assert rows(found, method="b", measure="nonconvergence")["estimate"].tolist() == [0.5]
    difference = contrast_table(of_table(table(p=p), "rep"), given)
    assert rows(difference)[["measure", "estimate", "replications"]].values.tolist() == [
        ["rejection", -1.0, 10], ["rejection_2", -1.0, 10],
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no measure 'bias' of these columns"):
        measure_table(of_table(table(p=p), "rep"), given, ["bias"])


def test_a_contrast_is_of_the_replications_that_both_have():
    b = table()["b"].to_numpy().copy()
    b[3] = np.nan
    given = roles({"estimate": "b", "truth": 1, "by": "method", "reference": "b"})
    found = contrast_table(of_table(table(b=b), "rep"), given, ["bias"]).frame()
    other = np.delete(b[::2], 1) - np.delete(b[1::2], 1)
    assert found[["method", "reference", "replications", "missing", "paired"]].values.tolist() == [
        ["a", "b", 19, 1, True]
    ]
    assert found["estimate"].tolist() == pytest.approx([other.mean()]) and found["mcse"][0] == pytest.approx(
        other.std(ddof=1) / 19**0.5
    )


def drawn(n, effect):
    x = np.random.normal(effect, 1, n)
    return [
        {"method": m, "est": e, "se": x.std(ddof=1) / n**0.5} for m, e in (("mean", x.mean()), ("median", np.median(x)))
    ]


def test_a_run_whose_parameter_is_n_keeps_it(tmp_path):
    run = sf.run(drawn, sf.grid(n=[10, 40], effect=[0.0, 1.0]), replications=20, seed=1, store=tmp_path, common="n")
    found = run.measures(estimate="est", truth="effect", se="se", by="method", measures="bias")
    assert found.columns.tolist() == [
        "condition", "n", "effect", "method", "measure", "estimate", "mcse", "replications", "missing", "failed", "nominal",
    ]  # fmt: skip
    assert found["n"].tolist() == [10] * 4 + [40] * 4 and set(found["replications"]) == {20}
    results = run.results()
    first = results[(results["n"] == 10) & (results["effect"] == 0) & (results["method"] == "mean")]
    assert found["estimate"][0] == pytest.approx(first["est"].mean(), rel=1e-12)
    of_n = run.contrast(estimate="est", truth="effect", by="n,method", measures="mean", reference=10)
    assert of_n[["effect", "n", "method", "reference", "paired"]].values.tolist() == [
        [0, 40, "mean", "10", True], [0, 40, "median", "10", True], [1, 40, "mean", "10", True], [1, 40, "median", "10", True],
    ]  # fmt: skip
    of_effect = run.contrast(estimate="est", by="effect,method", measures="mean")
    assert of_effect["paired"].tolist() == [False] * 4
    measured = run.measures(estimate="est", by="method", measures="mean")
    a, b = (
        measured[(measured["n"] == 10) & (measured["effect"] == e) & (measured["method"] == "mean")].iloc[0]
        for e in (0, 1)
    )
    assert (of_effect["estimate"][0], of_effect["mcse"][0]) == (
        b["estimate"] - a["estimate"],
        np.hypot(a["mcse"], b["mcse"]),
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"estimate": "bb"}, "no column 'bb'"),
        ({"estimate": "method"}, "holds string; numbers"),
        ({"estimate": "b"}, "has 2 rows"),
        ({"estimate": "b", "by": "method", "reference": "z"}, "no row has the method 'z'"),
    ],
)
def test_what_does_not_fit_is_one_error(given, words):
    given = {"by": [], **given}
    with pytest.raises(UsageError, match=words):
        measure_table(of_table(table(), "rep"), roles(given))


def test_a_contrast_needs_methods_and_data_sets():
    with pytest.raises(UsageError, match="tell the methods apart"):
        contrast_table(of_table(table().select(["b"])), roles({"estimate": "b", "by": []}))
    with pytest.raises(UsageError, match="one data set"):
        contrast_table(of_table(table()), roles({"estimate": "b", "by": "method"}))
    with pytest.raises(UsageError, match="no measure 'biass'"):
        measure_table(of_table(table(), "rep"), roles({"estimate": "b", "truth": 1, "by": "method"}), ["biass"])


def test_a_text_parameter_is_no_method(tmp_path):
    run = sf.run(lambda kind, n: drawn(n, 0), sf.grid(kind=["a", "b"], n=[10]), replications=5, seed=1, store=tmp_path)
    found = run.measures(estimate="est", truth=0, measures=["bias", "relative_precision"])
    assert found.columns.tolist()[:5] == ["condition", "kind", "n", "method", "measure"]
    assert found[found["measure"] == "relative_precision"][["kind", "method", "replications"]].values.tolist() == [
        ["a", "median", 5], ["b", "median", 5],
    ]  # fmt: skip
