"""Measures of users."""

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from simferry.errors import UsageError

RNG = np.random.default_rng(1)
DATA = pd.DataFrame({"rep": np.repeat(np.arange(150), 2), "m": ["a", "b"] * 150, "b": RNG.exponential(size=300)})
GIVEN = {"estimate": "b", "by": "m", "data_set": "rep", "measures": ["empirical_se"]}


def test_a_function_has_the_jackknife_of_the_same_measure_of_ours():
    found = sf.measures(DATA, **GIVEN, own={"sd": lambda rows: rows["b"].std()})
    ours, own = (found[found["measure"] == name] for name in ("empirical_se", "sd"))
    for column in ("estimate", "mcse", "replications"):
        assert own[column].tolist() == pytest.approx(ours[column].tolist(), rel=1e-10)
    # 500 replications in 200 groups
    many = pd.DataFrame({"b": RNG.normal(size=500)})
    mcse = sf.measures(many, estimate="b", measures=["mean"], own={"m": lambda rows: rows["b"].mean()})["mcse"]
    assert mcse[1] == pytest.approx(mcse[0], rel=0.15)


def test_the_bootstrap_draws_replications_the_same_each_time():
    first, again = (
        sf.measures(DATA, **GIVEN, own={"m": lambda rows: rows["b"].mean()}, mcse="bootstrap") for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert first["mcse"][1] == pytest.approx(DATA["b"][::2].std() / 150**0.5, rel=0.2)


def test_a_function_may_change_its_rows():
    def changes(rows):
        rows["b"] -= 1
        return rows["b"].mean()

    given = {**GIVEN, "measures": ["mean"]}
    found = sf.measures(DATA, **given, own={"first": changes, "second": changes})
    (mean, first, second) = (found[found["measure"] == name] for name in ("mean", "first", "second"))
    for own in (first, second):
        assert own["estimate"].tolist() == pytest.approx((mean["estimate"] - 1).tolist())
        assert own["mcse"].tolist() == pytest.approx(mean["mcse"].tolist())


def test_what_is_no_number_or_no_function_or_fails_is_one_error():
    with pytest.raises(UsageError, match="measure 'm' gave 'x' in m a; it has to give a number"):
        sf.measures(DATA, **GIVEN, own={"m": lambda rows: "x"})
    conditions = DATA.assign(condition=np.repeat([1, 2], 150))
    with pytest.raises(UsageError, match="measure 'm' failed in condition 2, m b: ZeroDivisionError: division by zero"):
        sf.measures(
            conditions,
            **GIVEN,
            own={"m": lambda rows: 1 / int(3 - rows["condition"].iloc[0] - (rows["m"] == "b").any())},
        )
    with pytest.raises(UsageError, match="failed in m a with some replications left out: KeyError: 0"):
        sf.measures(DATA, **GIVEN, own={"m": lambda rows: rows.loc[0, "b"]})
    with pytest.raises(UsageError, match="functions by the names"):
        sf.measures(DATA, **GIVEN, own={"m": 1})
