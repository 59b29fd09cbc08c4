"""Runs are named, noted, copied, compared and deleted."""

import json

import simferry as sf
from click.testing import CliRunner
from command_line import said
from simferry.cli import main

QUICK = ("run", "simulate.py", "-p", "n=5", "-n", "2", "--workers", "1", "--json")


def test_names_and_notes(folder):
    first = json.loads(said(*QUICK, "--name", "paper", "--note", "table 1"))["run"]
    second = json.loads(said(*QUICK))["run"]
    assert said("note", "paper") == "table 1\n" and first in said("status", "paper")
    assert said("note", second, "a new\nnote") == "a new\nnote\n"
    assert not {"name", "note"} & {*sf.open(second).record} and "note" not in sf.open(first).record
    assert json.loads(said("note", first, "", "--json"))["note"] == ""
    listed = json.loads(said("list", "--json"))
    assert [(one["run"], one["name"], one["note"]) for one in listed] == [
        (first, "paper", ""),
        (second, "", "a new\nnote"),
    ]
    assert "paper" in said("list") and "a new note" in said("list")
    run = sf.open("paper")
    run.note = "of Python"
    assert sf.open(first).note == "of Python" and run.name == "paper"
    wrong = CliRunner().invoke(main, [*QUICK, "--name", "latest"])
    assert wrong.exit_code == 2 and '--name is "latest"; it has to be a name' in wrong.stderr


def test_a_sweep_file_gives_a_name_and_the_commit_is_recorded(folder):
    (folder / "named.toml").write_text('[simulation]\nscript = "simulate.py"\n[design.grid]\nn = 3\n'
                                       '[run]\nreplications = 1\nname = "filed"\nnote = "from a file"\n')  # fmt: skip
    run = sf.run(sf.read_sweep("named.toml"))
    assert (run.name, run.note) == ("filed", "from a file")
    assert "git" not in run.record  # the folder is in no repository
    forecast = sf.plan(sf.read_sweep("named.toml"))
    assert sf.open("filed").id == run.id != forecast.pilot_run  # a pilot has no name
