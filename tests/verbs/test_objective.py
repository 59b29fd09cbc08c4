"""The objective of a search: from the rows of one condition to a mean and its MCSE."""

import numpy as np
import pyarrow as pa
import pytest
import simferry as sf
from simferry.analysis.own_measures import PythonFunctions
from simferry.driver.search import Outcome
from simferry.errors import UsageError
from simferry.verbs.objective import of_functions, of_name

Y = np.array([0.1, 0.5, 0.2, 0.4])
ROLES = {"estimate": "est", "truth": "t", "by": "method"}


def outcome(failed=0, **columns):
    """Of condition 7, with the parameter t."""
    rows = len(next(iter(columns.values())))
    ids = {"condition": np.full(rows, 7, dtype=np.int32), "replication": np.arange(1, rows + 1, dtype=np.int32)}
    table = pa.table({**ids, "t": np.full(rows, 0.2), **columns})
    return Outcome(table, sf.table({"t": [0.2]}), rows + failed, failed)


def methods():
    both = outcome(est=np.column_stack([Y, Y + 1]).ravel(), method=["a", "b"] * 4)
    rows = both.rows.set_column(1, "replication", pa.array(np.repeat(np.arange(1, 5, dtype=np.int32), 2)))
    return Outcome(rows, both.design, 4, 0)


def test_the_mean_of_an_output():
    assert of_name("y", {})(outcome(y=Y)) == pytest.approx((Y.mean(), Y.std(ddof=1) / 2))
    assert of_name("y", {})(outcome(y=Y, failed=3)) == pytest.approx((Y.mean(), Y.std(ddof=1) / 2))
    mean, mcse = of_name("y", {})(outcome(y=Y[:1]))
    assert mean == Y[0] and np.isnan(mcse)


def test_a_share_has_an_error_where_all_replications_agree():
    assert of_name("ok", {})(outcome(ok=[True] * 4)) == pytest.approx((1, np.sqrt(0.75 * 0.25 / 8)))


def test_a_measure_of_one_of_several_methods():
    error = Y + 1 - 0.2
    mean, mcse = of_name("rmse", ROLES, "b")(methods())
    assert mean == pytest.approx(np.sqrt((error**2).mean())) and mcse > 0
    assert of_name("bias", ROLES, "a")(methods()) == pytest.approx(((Y - 0.2).mean(), Y.std(ddof=1) / 2))
    with pytest.raises(UsageError, match="the objective is of one method, and the rows are of 2: a, b"):
        of_name("rmse", ROLES)(methods())
    with pytest.raises(UsageError, match="no rows are of the method 'c'"):
        of_name("rmse", ROLES, "c")(methods())


def test_a_function_of_the_rows():
    largest = of_functions(PythonFunctions({"objective": lambda frame: frame["y"].max() - frame["t"].iloc[0]}))
    mean, mcse = largest(outcome(y=Y))
    assert mean == 0.5 - 0.2 and mcse == pytest.approx(np.std([0.5, 0.4, 0.5, 0.5]) * np.sqrt(3))
    with pytest.raises(UsageError, match="it has to give a number"):
        of_functions(PythonFunctions({"objective": lambda frame: "x"}))(outcome(y=Y))


def test_what_is_not_there():
    with pytest.raises(UsageError, match="the objective: the simulation has no output 'z'"):
        of_name("z", {})(outcome(y=Y))
    with pytest.raises(UsageError, match="the objective: 'z' is neither an output nor a measure"):
        of_name("z", {"estimate": "y"})(outcome(y=Y))
