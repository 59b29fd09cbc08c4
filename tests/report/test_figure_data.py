"""The data of figures."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from simferry.analysis.cells import Cells
from simferry.analysis.measure_table import measure_table
from simferry.analysis.outliers import NONE
from simferry.analysis.own_measures import PythonFunctions
from simferry.analysis.sources import of_table
from simferry.errors import UsageError
from simferry.report.figure_data import (
    KINDS,
    OF_MEASURES,
    Choice,
    check_kind,
    chosen,
    figure_of,
    of_estimates,
    of_measures,
)
from simferry.report.marks import MOST_MARKS
from simferry.sweep.roles import roles

ROLES = {"estimate": "est", "truth": 0, "se": "se", "by": "m"}


def drawn(many=30, conditions=2, methods=("a", "b")):
    """Estimates of some methods; those of the last one are missing in the last condition."""
    wide = conditions * many * len(methods)
    table = {
        "condition": np.repeat(np.arange(1, conditions + 1), many * len(methods)),
        "replication": np.tile(np.repeat(np.arange(1, many + 1), len(methods)), conditions),
        "m": list(methods) * (many * conditions),
        "est": np.random.default_rng(7).normal(size=wide),
        "se": np.ones(wide),
    }
    gone = (table["condition"] == conditions) & (np.array(table["m"]) == methods[-1])
    table["est"][gone & (conditions > 1)] = np.nan
    return pa.table(table)


def of(kind, table, given=ROLES, **choice):
    source, known = of_table(table), roles(given)
    if kind in OF_MEASURES:
        return of_measures(kind, measure_table(source, known, choice.get("measures")), Choice(**choice))
    return of_estimates(kind, Cells(source, known, True), Choice(**choice))


def test_marks_and_panels_belong_together_also_where_a_method_has_nothing():
    table = drawn()
    for kind in ("zip", "estimates"):
        found = of(kind, table)
        panels = found.panels.to_pylist()
        assert {one["replications"] for one in panels} == {30}
        assert [(one["condition"], one["method"], one["many"]) for one in panels] == [
            (1, "a", 30), (1, "b", 30), (2, "a", 30), (2, "b", 0)]  # fmt: skip
        assert found.data.num_rows == 90 and found.methods == ["a", "b"] and not found.notes
    pairs = of("differences", table)
    assert [(one["method"], one["reference"], one["many"]) for one in pairs.panels.to_pylist()] == [
        ("b", "a", 30),
        ("b", "a", 0),
    ]
    est = table.to_pandas().query("condition == 1").pivot(index="replication", columns="m", values="est")
    away = est["b"] - est["a"]
    assert pairs.panels["mean"][0].as_py() == pytest.approx(away.mean())
    assert pairs.panels["upper"][0].as_py() == pytest.approx(away.mean() + 1.96 * away.std())
    assert sorted(pairs.data["difference"].to_pylist()) == pytest.approx(sorted(away))


def test_a_mean_converges_to_the_measure_of_all():
    table = drawn()
    found = of("convergence", table, conditions=[1], methods=["b"], measures=["mse", "coverage"]).data.to_pandas()
    whole = (
        measure_table(of_table(table), roles(ROLES), ["mse", "coverage"]).frame().query("condition == 1 and m == 'b'")
    )
    last = found[found["replications"] == 30].set_index("measure")["estimate"]
    assert last.to_dict() == pytest.approx(whole.set_index("measure")["estimate"].to_dict())
    assert set(found["method"]) == {"b"} and found.query("measure == 'coverage'")["upper"].max() <= 1


def test_measures_are_as_the_table_has_them_in_the_order_of_the_loops():
    table = drawn(conditions=3)
    found = of("nested_loop", table, measures=["empirical_se"], methods=["b"])
    whole = measure_table(of_table(table), roles(ROLES), ["empirical_se"]).frame().query("m == 'b'")
    assert found.data["estimate"].to_numpy() == pytest.approx(whole["estimate"].to_numpy(), nan_ok=True)
    assert found.data["position"].to_pylist() == [1, 2, 3] and found.data["label"][1].as_py() == "condition 2"
    forest = of("forest", table).data
    assert set(forest["measure"].to_pylist()) == {"bias", "coverage", "empirical_se"}
    half = forest["upper"].to_numpy() - forest["estimate"].to_numpy()
    assert half == pytest.approx(1.96 * forest["mcse"].to_numpy(), nan_ok=True)


def test_what_has_no_room_is_told_and_can_be_chosen():
    table = drawn(many=3, conditions=50, methods=tuple("abcdefgh"))
    found = of("zip", table)
    assert found.panels["condition"].unique().to_pylist() == [1, 2, 3, 4] and found.panels.num_rows == 24
    assert [note.split(";")[0] for note in found.notes] == [
        "The figure has the first 6 of 8 methods", "The figure has the first 4 of 50 conditions"]  # fmt: skip
    chosen = of("zip", table, conditions=[50, 7], methods=["h"])
    assert chosen.panels["condition"].to_pylist() == [7, 50] and not chosen.notes
    assert of("forest", table).data.num_rows == 88 * 3 and of("nested_loop", table).data.num_rows == 400
    large = of("zip", drawn(many=5000, conditions=1, methods=("a",)))
    assert large.data.num_rows == MOST_MARKS and large.panels["many"].to_pylist() == [5000]
    assert (
        large.data["covers"].to_numpy().size - large.data["covers"].to_numpy().sum()
        == 5000 - large.panels["covered"][0].as_py()
    )
    assert set(large.panels["label"].to_pylist()) == {""}


@pytest.mark.parametrize(
    ("kind", "choice", "given", "says"),
    [
        ("zip", {"conditions": [9]}, ROLES, "no condition 9"),
        ("zip", {"methods": ["c"]}, ROLES, "no method 'c'"),
        ("forest", {"methods": ["c"]}, ROLES, "no method 'c'"),
        ("zip", {}, {"estimate": "est", "by": "m"}, "needs the truth"),
        ("differences", {}, {"estimate": "est", "by": []}, "replication 1 of condition 1 has 2 rows"),
        ("estimates", {"measures": ["bias"]}, ROLES, "shows no measures"),
        ("estimates", {"conditions": [2], "methods": ["b"]}, ROLES, "no method has an estimate in the chosen"),
        ("convergence", {"measures": ["rmse"]}, ROLES, "it is no mean"),
    ],
)
def test_what_can_not_be_drawn(kind, choice, given, says):
    with pytest.raises(UsageError, match=says):
        of(kind, drawn(), given, **choice)


def test_a_kind_that_is_unknown_gets_the_nearest():
    with pytest.raises(UsageError, match=r"no figure 'forrest'\nDid you mean forest\?"):
        check_kind("forrest")
    with pytest.raises(UsageError, match=f"There are: {', '.join(KINDS)}"):
        check_kind(3)


def test_conditions_and_methods_are_given_in_many_ways():
    source, given = of_table(drawn()), roles(ROLES)
    for conditions in (2.0, [2], np.array([2]), (np.int64(2), 2)):
        found = figure_of("zip", chosen(conditions, "a"))(source, given, None, True, NONE)
        assert found.panels["condition"].to_pylist() == [2] and found.panels["method"].to_pylist() == ["a"]
    for wrong in ("2", [1.5], [], [None], [True]):
        with pytest.raises(UsageError, match="it takes numbers of conditions"):
            chosen(wrong)


def test_measures_of_the_users_are_drawn_too():
    own = PythonFunctions({"largest": lambda rows: rows["est"].max()})
    made = figure_of("forest", chosen(methods="a"))(of_table(drawn()), roles(ROLES), ["largest"], True, NONE, own=own)
    assert set(made.data["measure"].to_pylist()) == {"largest"}
    frame = drawn().to_pandas().query("m == 'a'")
    assert made.data["estimate"].to_pylist() == frame.groupby("condition")["est"].max().tolist()


def test_methods_of_several_columns_are_compared_with_their_own_reference():
    table = drawn(conditions=1, methods=("a", "b")).to_pandas()
    twice = pa.Table.from_pandas(
        pd.concat([table.assign(model="x"), table.assign(model="y", est=table["est"] * 2)]), preserve_index=False
    )
    found = of("differences", twice, {**ROLES, "by": ["m", "model"]})
    panels = found.panels.to_pylist()
    assert [(one["method"], one["reference"]) for one in panels] == [("b, x", "a, x"), ("b, y", "a, y")]
    assert panels[1]["mean"] == pytest.approx(2 * panels[0]["mean"])
