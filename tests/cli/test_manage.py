"""Runs are named, noted, copied, compared and deleted."""

import json
import os
import pty
import subprocess
import sys

import simferry as sf
from account_fixtures import put_run
from click.testing import CliRunner
from command_line import said
from simferry import infra
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


def test_runs_are_deleted_after_a_question(folder):
    first, second = (json.loads(said(*QUICK, "--seed", seed, "--name", "x"))["run"] for seed in ("1", "2"))
    refused = CliRunner().invoke(main, ["delete", first])
    assert refused.exit_code == 2 and "no terminal on which to ask" in refused.stderr and "--yes" in refused.stderr
    wrong = CliRunner().invoke(main, ["delete", first, "nothing", "--yes"])  # all or none
    assert wrong.exit_code == 1 and "there is no run nothing" in wrong.stderr
    assert asked("delete", first, answer="n\n")[:2] == (0, "") and first in said("list")
    code, out, err = asked("delete", first, answer="y\n")
    assert code == 0 and out.startswith("deleted ") and "2 of 2 replications done, name 'x'" in err
    assert json.loads(said("delete", "x", second, "--yes", "--json")) == {"deleted": [str(folder / "store" / second)]}
    assert "no run" in said("list")


def asked(*words, answer):
    """A command whose standard input is a terminal: exit code, output, errors."""
    master, slave = pty.openpty()
    os.write(master, answer.encode())
    done = subprocess.run(
        [sys.executable, "-m", "simferry", *words], stdin=slave, capture_output=True, text=True, check=False
    )
    os.close(master)
    os.close(slave)
    return done.returncode, done.stdout, done.stderr


def test_artifacts_are_listed_and_copied(folder):
    (folder / "w.py").write_text("import sys\nopen('out.txt', 'w').write(sys.argv[1])\n")
    said("run", "w.py", "-p", "n=5,7", "--args", "{n}", "-n", "2", "--cores", "1")
    assert said("artifacts", "latest", "2/*").splitlines() == [
        str(folder / "store" / sf.open("latest").id / "artifacts" / "2" / r / "out.txt") for r in ("1", "2")
    ]
    assert said("artifacts", "latest", "*/1/*.txt", "-o", "out") == "2 files in out\n"
    assert [(folder / "out" / c / "1" / "out.txt").read_text() for c in "12"] == ["5", "7"]
    again = CliRunner().invoke(main, ["artifacts", "latest", "-o", "out"])
    assert again.exit_code == 2 and "out.txt exists, and 1 more: nothing is copied" in again.stderr


def test_runs_in_the_bucket_of_a_stack_are_deleted_also_when_the_stack_is_gone(emulator, machine, folder):
    import boto3

    s3, store = boto3.client("s3"), infra.deploy(yes=True, tell=lambda line: None).outputs["Store"]
    bucket, runs = store.removeprefix("s3://").partition("/")[0], [f"power-20261128-0123abc{n}" for n in range(3)]
    for run in runs:
        put_run(s3, bucket, f"simferry/{run}", "123456789012.dkr.ecr.us-east-1.amazonaws.com/r:1")
    assert said("delete", runs[0], "--store", store, "--yes") == f"deleted {store}/{runs[0]}\n"
    infra.delete(yes=True, tell=lambda line: None)
    s3.delete_object(Bucket=bucket, Key=f"simferry/{runs[2]}/run.json")  # as an interrupted deletion does
    found = {one.address: one.whole for one in infra.list_all().runs}
    assert found == {f"{store}/{runs[1]}": True, f"{store}/{runs[2]}": False}
    assert json.loads(said("delete", *found, "--yes", "--json"))["deleted"] == [*found]
    assert infra.list_all().runs == [] and s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
