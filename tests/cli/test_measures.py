"""Measures and contrasts in the shell."""

import json
import re

import pandas as pd
import pytest
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


def test_a_narrow_terminal_has_the_numbers_of_all_rows_once(tmp_path, monkeypatch, capsys):
    DATA.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for columns, names in (
        ("100", "m measure estimate mcse replications missing failed nominal"),
        ("46", "m measure estimate mcse nominal"),
        ("40", "m measure estimate mcse"),
    ):
        monkeypatch.setenv("COLUMNS", columns)
        words = ["--estimate", "b", "--truth", "2", "--by", "m", "--data-set", "rep"]
        with pytest.raises(SystemExit):
            main(["measures", str(tmp_path / "t.csv"), *words])
        lines = re.sub("\x1b[^m]*m", "", capsys.readouterr().out).splitlines()
        assert names.split() in [line.split() for line in lines]
        assert ("in all rows: replications 3, missing 0" in lines[0]) == (columns != "100")
        assert (lines[-1] == "... and 1 more column: nominal (-o FILE writes them all)") == (columns == "40")
