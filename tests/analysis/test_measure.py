"""Measures against textbook loops, and published formulas against their authors' numbers."""

import numpy as np
import pytest
from brute_force import drawn, features, jackknife, values
from simferry.analysis.measure import Rows, measures
from simferry.analysis.statistics import STATISTICS, available


def rows_of(*parts):
    """Rows of several cells."""
    found = [features(*part) for part in parts]
    cell = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    join = lambda name: np.concatenate([one[0][name] for one in found])  # noqa: E731
    ends = tuple(np.concatenate([one[1][i] for one in found]) for i in (0, 1))
    return Rows(cell, {name: join(name) for name in found[0][0]}, ends)


def test_each_measure_is_that_of_its_textbook_formula():
    parts = [drawn(seed=1), drawn(n=35, seed=2, t=1.1)]
    found = measures(lambda: [rows_of(*parts)], 2, STATISTICS)
    for cell, part in enumerate(parts):
        for name, value in values(*part).items():
            assert found[name].estimate[cell] == pytest.approx(value, rel=1e-12), name
            assert found[name].n[cell] == len(part[0])


@pytest.mark.parametrize("name", ["empirical_se", "rmse", "relative_error"])
def test_the_jackknife_leaves_out_each_replication_in_turn(name):
    b, s, t = drawn()
    found = measures(lambda: [rows_of((b, s, t))], 1, STATISTICS)[name]
    keep = lambda i: np.arange(len(b)) != i  # noqa: E731
    assert found.mcse[0] == pytest.approx(
        jackknife(lambda i: values(b[keep(i)], s[keep(i)], t)[name], len(b)), rel=1e-10
    )


def test_published_formulas_are_those_of_their_table():
    b, s, t = drawn()
    n, S, M = len(b), b.std(ddof=1), np.sqrt((s**2).mean())
    found = {k: v.mcse[0] for k, v in measures(lambda: [rows_of((b, s, t))], 1, STATISTICS, formula=True).items()}
    e2, c = (b - t) ** 2, values(b, s, t)["coverage"]
    expected = {
        "bias": S / n**0.5, "empirical_se": S / np.sqrt(2 * (n - 1)), "mse": np.sqrt(((e2 - e2.mean()) ** 2).sum() / (n * (n - 1))),
        "coverage": np.sqrt(c * (1 - c) / n), "model_se": np.sqrt((s**2).var(ddof=1) / (4 * n * M**2)),
        "relative_error": 100 * M / S * np.sqrt((s**2).var(ddof=1) / (4 * n * M**4) + 1 / (2 * (n - 1))),
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_pieces_do_not_change_a_bit():
    rows = rows_of(drawn(), drawn(seed=3))

    def cut(a, b):
        ends = rows.ends[0][a:b], rows.ends[1][a:b]
        return Rows(rows.cell[a:b], {name: values[a:b] for name, values in rows.features.items()}, ends)

    whole, parts = (measures(lambda p=p: p, 2, STATISTICS) for p in ([rows], [cut(0, 7), cut(7, 80), cut(80, 120)]))
    for name in STATISTICS:
        assert whole[name].estimate.tobytes() == parts[name].estimate.tobytes()
        assert whole[name].mcse.tobytes() == parts[name].mcse.tobytes()


def test_what_has_no_standard_error_has_none():
    one = measures(lambda: [rows_of(drawn(n=1))], 2, STATISTICS)
    assert all(np.isnan(found.mcse).all() for found in one.values())
    assert one["bias"].n.tolist() == [1, 0] and np.isnan(one["empirical_se"].estimate).all()
    assert set(available({"estimate", "error"})) == {"bias", "empirical_se", "mean"}
