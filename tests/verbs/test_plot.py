"""Figures of runs and tables, by matplotlib."""

import builtins

import matplotlib
import numpy as np
import pandas as pd
import pytest
import simferry as sf
from simferry.errors import Note, UsageError
from simferry.verbs.plot import figure_data

matplotlib.use("Agg")
TABLE = pd.DataFrame({"condition": np.repeat(range(1, 6), 2), "est": range(10), "se": [1.0] * 10})


def draw(n, sd, rng):
    x = rng.normal(0, sd, n)
    return [{"m": "mean", "est": x.mean(), "se": sd / n**0.5}, {"m": "half", "est": x[: n // 2].mean(), "se": sd}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return sf.run(draw, sf.grid(n=[4, 8], sd=[1, 2]), replications=20, seed=4, estimate="est", truth=0, se="se", by="m",
                  store=tmp_path_factory.mktemp("runs"), workers=1)  # fmt: skip


def test_a_run_draws_what_its_measures_are(run):
    ax = run.plot("forest", measures="bias", methods="half")
    table = run.measures(measures=["bias"])
    wanted = table[table["m"] == "half"]["estimate"].tolist()
    points = next(line for line in ax.lines if line.get_label() == "half")
    assert points.get_xdata().tolist() == wanted
    assert [text.get_text() for text in ax.get_yticklabels()] == ["n=4, sd=1", "n=4, sd=2", "n=8, sd=1", "n=8, sd=2"]
    axes = run.plot("nested_loop", measures=["bias", "coverage"])
    assert axes.shape == (3, 1) and axes[1, 0].get_ylabel() == "coverage"
    assert [text.get_text() for text in axes[2, 0].texts] == ["n: 4, 8", "sd: 1, 2"]
    assert sf.plot(run, "zip", conditions=4, truth=100).shape == (1, 2)  # options replace what the run knows


def test_tables_of_measures_and_contrasts_are_drawn_as_they_are(run):
    table, contrast = run.measures(), run.contrast(measures="bias")
    of_run, of_table = figure_data(run, "forest"), figure_data(table, "forest")
    assert of_table.data.equals(of_run.data) and of_table.panels.equals(of_run.panels)
    made = figure_data(contrast, "nested_loop")
    assert made.data["estimate"].to_pylist() == contrast["estimate"].tolist()
    assert made.panels.to_pylist() == [{"measure": "bias, difference from mean", "nominal": 0.0}]
    assert figure_data(run.measures(measures="mean"), "lolly").data.num_rows == 8
    for wrong, says in (({"kind": "zip"}, "shows single estimates"), ({"truth": 1}, "truth is for tables of estimates"),
                        ({"measures": "covrage"}, "no measure 'covrage'\nDid you mean coverage")):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            figure_data(table, **{"kind": "forest", **wrong})


def test_what_is_left_out_is_a_note():
    with pytest.warns(Note, match="the first 4 of 5 conditions"):
        figure_data(TABLE, "estimates", estimate="est")
    with pytest.raises(UsageError, match=r"no figure 'nested'\nDid you mean nested_loop"):
        sf.plot(TABLE, "nested", estimate="est")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="matplotlib, which is not installed") as raised:
        sf.plot(TABLE, "estimates", conditions=1, estimate="est")
    assert str(raised.value.hint) == "pip install 'simferry[plot]'"
