"""simferry infra: what the commands pass on and print."""

import json

from click.testing import CliRunner
from command_line import said
from simferry.cli import main


def refused(*words, code=2):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result.stderr


def test_the_commands(emulator, tmp_path):
    assert "there is no terminal on which to ask\n--yes  does not ask." in refused("infra", "deploy")
    mine = tmp_path / "mine.yaml"
    mine.write_text(said("infra", "template", "base"))
    result = CliRunner().invoke(
        main, ["infra", "deploy", "--name", "lab", "--template", str(mine), "--parameter", "KeepImages=3", "--yes"]
    )
    assert said("infra", "template", "batch").startswith("AWSTemplateFormatVersion")
    assert result.exit_code == 0 and "+ add         Bucket " in result.stderr
    assert "runs now: 0 instances, $0.00 an hour" in result.stdout
    shown = json.loads(said("infra", "show", "--name", "lab", "--json"))
    assert (
        shown["stacks"] == {"lab": "CREATE_COMPLETE", "lab-batch": "CREATE_COMPLETE"} and shown["dollars_an_hour"] == 0
    )
    assert [one["on"] for one in shown["queues"]] == ["spot", "demand", "fargate"]
    assert shown["outputs"]["Store"] in said("infra", "show", "--name", "lab")
    assert json.loads(said("infra", "deploy", "--name", "lab", "--template", str(mine), "--yes", "--json")) == shown
    listed = json.loads(said("infra", "list", "--json"))
    assert listed["buckets"][0]["stack"] == "lab" and listed["dollars_a_month"] == 0 and listed["unseen"] == []
    assert "simferry infra delete --name lab --data  deletes all of stack lab" in said("infra", "list")
    pruned = json.loads(said("image", "prune", "--yes", "--json"))
    assert pruned == {"images": [], "repositories": [], "gigabytes": 0}
    costs = CliRunner().invoke(main, ["infra", "show", "--name", "lab", "--costs", "--json"])
    assert costs.stderr == "Cost Explorer charges $0.01 for each question\n"
    assert json.loads(costs.stdout)["costs"]["dollars"] == {}
    assert said("infra", "delete", "--name", "lab", "--yes", "--data") == ""
    assert "there is no stack lab" in refused("infra", "show", "--name", "lab")


def test_wrong_words(emulator):
    assert "--parameter KeepImages is not of the form NAME=VALUE" in refused(
        "infra", "deploy", "--parameter", "KeepImages"
    )
    assert "--parameter NAME=VALUE" in refused("infra", "deploy", "--parameter", "=3")
    assert "there is no template rstdio\nDid you mean rstudio" in refused("infra", "template", "rstdio")
    assert "the template nowhere.yaml can't be read" in refused("infra", "deploy", "--template", "nowhere.yaml")
    said_no = CliRunner().invoke(main, ["infra", "show"])
    assert said_no.exit_code == 2 and "simferry infra deploy  makes it." in said_no.stderr
