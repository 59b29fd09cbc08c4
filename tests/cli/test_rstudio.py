"""simferry infra rstudio: what the commands pass on and print."""

import json

from click.testing import CliRunner
from command_line import said
from simferry import infra
from simferry.cli import main
from simferry.infra import rstudio


def refused(*words):
    result = CliRunner().invoke(main, ["infra", "rstudio", *words])
    assert result.exit_code == 2, result.output
    return result.stderr


def test_the_commands(emulator, monkeypatch, tmp_path):
    assert "there is no stack simferry in us-east-1\nsimferry infra deploy  makes it." in refused(
        "deploy", "--accept-licence"
    )
    infra.deploy("lab", yes=True, tell=lambda line: None)
    lab = ("--name", "lab")
    assert "\n--accept-licence  accepts it." in refused("deploy", *lab)
    assert "simferry infra rstudio deploy --name lab --accept-licence  makes one." in refused("show", *lab)
    words = ["infra", "rstudio", "deploy", *lab, "--accept-licence", "--parameter", "IdleMinutes=30", "--yes"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0 and "+ add         Instance " in result.stderr
    assert (
        "stops after 30 minutes without use" in result.stdout
        and "simferry infra rstudio open --name lab" in result.stdout
    )
    shown = json.loads(said("infra", "rstudio", "show", *lab, "--json"))
    assert (shown["state"], shown["idle_minutes"], shown["gigabytes"]) == ("running", 30, 40)
    assert json.loads(said("infra", "rstudio", "stop", *lab, "--json"))["state"] == "stopped"
    assert "simferry infra rstudio start --name lab  starts it." in refused("open", *lab)
    assert "running" in said("infra", "rstudio", "start", *lab)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "session-manager-plugin is not installed\nhttps://docs.aws.amazon.com/" in refused("open", *lab)
    opened = []
    monkeypatch.setattr(rstudio, "open", lambda name, port, tell: opened.append((name, port)))
    assert said("infra", "rstudio", "open", *lab, "--port", "8800") == "" and opened == [("lab", 8800)]
    monkeypatch.setattr(rstudio, "password", lambda name: f"of {name}")
    assert said("infra", "rstudio", "password", *lab) == "of lab\n"
    assert "there is no terminal on which to ask\n--yes  does not ask." in refused("delete", *lab)
    assert said("infra", "rstudio", "delete", *lab, "--yes") == ""
