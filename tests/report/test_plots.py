"""Figures by matplotlib: what is in their axes."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from simferry.report.figure_data import KINDS
from simferry.report.looks import STYLE
from simferry.report.plots import COLOURS
from simferry.verbs.plot import figure_data, plot

matplotlib.use("Agg")
ROLES = {"estimate": "est", "truth": 0.1, "se": "se", "by": "m"}
METHODS = ("$a$", "_b", "c")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def table():
    """3 conditions with 40 replications of 3 methods, the last of which has no estimates in condition 2."""
    many = 3 * 40 * 3
    made = pd.DataFrame(
        {"condition": np.repeat([1, 2, 3], 120), "replication": np.tile(np.repeat(range(1, 41), 3), 3), "m": METHODS * 120,
         "est": np.random.default_rng(5).normal(size=many), "se": 1.0}
    )  # fmt: skip
    made.loc[(made["condition"] == 2) & (made["m"] == "c"), "est"] = np.nan
    return made


def named(ax, label):
    return [one for one in (*ax.lines, *ax.collections, *ax.patches) if one.get_label() == label]


def texts(ax):
    return [ax.get_title(), *(one.get_text() for one in ax.texts)]


def test_intervals_that_cover_and_miss(table):
    axes = plot(table, "zip", **ROLES)
    assert axes.shape == (3, 3) and "no intervals" in texts(axes[1, 2])
    some = table[(table["condition"] == 3) & (table["m"] == "_b")]
    missed = (some["est"] - 0.1).abs() > 1.959964
    ax = axes[2, 1]
    assert len(named(ax, "misses")[0].get_segments()) == missed.sum()
    assert len(named(ax, "covers")[0].get_segments()) == 40 - missed.sum()
    assert f"coverage {1 - missed.mean():.4f}\n40 replications" in texts(ax)
    assert named(ax, "nominal")[0].get_ydata()[0] == pytest.approx(95)
    left = min(one[0, 0] for one in named(ax, "covers")[0].get_segments())
    assert left == pytest.approx((some["est"][~missed] - 1.959964 - 0.1).min())


def test_measures_have_intervals_and_where_there_is_none_a_cross(table):
    axes = plot(table, "forest", measures=["bias", "coverage"], **ROLES)
    ax = axes[0, 0]
    bias = table.groupby(["m", "condition"])["est"].agg(["mean", "std"])
    points = named(ax, "c")[0].get_xdata()
    assert points[[0, 2]] == pytest.approx(bias.loc["c", "mean"][[1, 3]].to_numpy() - 0.1) and np.isnan(points[1])
    assert len(named(ax, "none")[2].get_xdata()) == 1 and not len(named(ax, "none")[0].get_xdata())
    ends = ax.collections[0].get_segments()
    half = 1.96 * bias.loc["$a$", "std"].to_numpy() / 40**0.5
    assert [one[1, 0] - one[0, 0] for one in ends] == pytest.approx(2 * half)
    assert named(axes[0, 1], "nominal")[0].get_xdata() == pytest.approx([0.95, 0.95])
    assert [one.get_text().strip("\u200b") for one in ax.figure.legends[0].get_texts()] == [*METHODS, "no value"]


def test_a_lolly_has_a_stem_from_the_nominal_value(table):
    ax = plot(table, "lolly", measures="coverage", conditions=1, **ROLES)
    assert [one.get_text() for one in ax.get_yticklabels()] == list(METHODS)
    for stem, method in zip(ax.collections, METHODS, strict=True):
        (begin, _), (end, _) = stem.get_segments()[0]
        assert begin == 0.95 and end == named(ax, method)[0].get_xdata()[0]
    assert not [*plot(table, "lolly", measures="mean", conditions=1, **ROLES).collections]


def test_nested_loops_break_where_there_is_none(table):
    ax = plot(table, "nested_loop", measures="bias", **ROLES)
    steps = [named(ax, method)[0].get_data() for method in METHODS]
    assert np.isnan(steps[2].values).tolist() == [False, True, False] and steps[0].edges.tolist() == [
        0.5,
        1.5,
        2.5,
        3.5,
    ]


def test_estimates_their_mean_and_the_truth(table):
    axes = plot(table, "estimates", **ROLES)
    assert axes.shape == (3, 1) and texts(axes[1, 0])[1:4] == ["40 replications", "40 replications", "no estimates"]
    some = table[(table["condition"] == 1) & (table["m"] == "_b")]["est"]
    assert [line.get_xdata()[0] for line in named(axes[0, 0], "mean")][1] == pytest.approx(some.mean())
    drawn = next(line for line in axes[0, 0].lines if line.get_color() == COLOURS[1])
    assert drawn.get_xdata() == pytest.approx(sorted(some)) and named(axes[0, 0], "truth")[0].get_xdata() == [0.1, 0.1]


def test_convergence_ends_at_the_measure(table):
    axes = plot(table, "convergence", **ROLES)
    assert axes.shape == (3, 2) and "no estimates: c" in texts(axes[1, 0])
    some = table[(table["condition"] == 3) & (table["m"] == "$a$")]["est"] - 0.1
    line = named(axes[2, 0], "$a$")[0]
    assert line.get_xdata()[-1] == 40 and line.get_ydata()[-1] == pytest.approx(some.mean())
    top = axes[2, 0].collections[0].get_paths()[0].vertices
    half = 1.96 * some.std() / 40**0.5
    assert top[top[:, 0] == 40][:, 1].max() == pytest.approx(some.mean() + half)


def test_differences_have_their_mean_and_limits(table):
    axes = plot(table, "differences", **ROLES)
    wide = table[table["condition"] == 1].pivot(index="replication", columns="m", values="est")
    away = wide["c"] - wide["$a$"]
    assert axes.shape == (3, 2) and "no pairs" in texts(axes[1, 1])
    assert named(axes[0, 1], "upper")[0].get_ydata()[0] == pytest.approx(away.mean() + 1.96 * away.std())
    dots = next(line for line in axes[0, 1].lines if line.get_color() == COLOURS[2])
    assert sorted(dots.get_ydata()) == pytest.approx(sorted(away))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("nested_loop", "differences")])
def test_one_method_and_one_condition_are_one_panel_that_can_be_saved(table, kind, tmp_path):
    some = table[(table["condition"] == 1) & (table["m"] == "c")].drop(columns=["condition", "m"])
    one = {"measures": ["bias"]} if kind in ("forest", "lolly", "convergence") else {}
    ax = plot(some, kind, **{**ROLES, "by": None}, **one)
    assert ax.get_xlabel()
    ax.figure.savefig(tmp_path / "figure.svg")


def test_colours_are_those_of_the_page():
    assert all(f"--c{i}:{colour}" in STYLE for i, colour in enumerate(COLOURS))


def test_thinned_figures_say_so():
    many = pd.DataFrame({"est": np.random.default_rng(6).normal(size=5000), "se": 1.0})
    ax = plot(many, "zip", estimate="est", truth=0, se="se")
    assert "5,000 replications, 2,000 drawn" in ax.get_title()
    assert figure_data(many, "estimates", estimate="est").data.num_rows == 1000
