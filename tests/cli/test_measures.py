"""Measures and contrasts in the shell."""

import json

import pandas as pd
from click.testing import CliRunner
from simferry.cli import main

DATA = pd.DataFrame({"rep": [1, 1, 2, 2, 3, 3], "m": ["a", "b"] * 3, "b": [1.0, 2, 2, 4, 3, 9], "s": [1.0] * 6})


def simferry(*words):
    return CliRunner().invoke(main, words)


def test_the_shell_shows_writes_and_counts(tmp_path):
    DATA.assign(s=[0.0, *[1.0] * 5]).to_csv(tmp_path / "t.csv", index=False)
    options = [
        "--estimate",
        "b",
        "--truth",
        "2",
        "--se",
        "s",
        "--by",
        "m",
        "--data-set",
        "rep",
        "--measures",
        "bias",
    ]
    shown = simferry("measures", str(tmp_path / "t.csv"), *options)
    assert shown.stdout.splitlines()[0].split() == [
        "m",
        "measure",
        "estimate",
        "mcse",
        "replications",
        "missing",
        "failed",
        "nominal",
    ]
    assert shown.stdout.splitlines()[1].split() == ["a", "bias", "0.50", "0.50", "2", "1", "0", "0"]
    assert "note: standard errors that are not above 0, or infinite count as missing: 1" in shown.stderr
    rows = json.loads(simferry("contrast", str(tmp_path / "t.csv"), *options, "--json").stdout)
    assert [(row["m"], row["estimate"], row["replications"]) for row in rows] == [("b", 4.0, 2)]
    simferry("measures", str(tmp_path / "t.csv"), *options, "-o", str(tmp_path / "out.csv"))
    assert pd.read_csv(tmp_path / "out.csv")["estimate"].tolist() == [0.5, 3.0]
    failed = simferry("measures", str(tmp_path / "t.csv"), "--estimate", "bb")
    assert failed.exit_code == 2 and "there is no column 'bb'" in failed.stderr
