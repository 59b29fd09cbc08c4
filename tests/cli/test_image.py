"""simferry image."""

import json

from click.testing import CliRunner
from docker_fixtures import folder_with
from simferry.cli import main


def simferry(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def test_the_command_says_that_a_build_is_skipped(scrap, tmp_path):
    folder = folder_with(tmp_path / "a")
    first = simferry("image", "build", folder, "--name", scrap.name)
    assert first.exit_code == 0 and f"built {scrap.name}:" in first.output
    again = simferry("image", "build", folder, "--name", scrap.name)
    assert again.exit_code == 0 and "exists already: its recipe has not changed" in again.output
    told = json.loads(simferry("image", "build", folder, "--name", scrap.name, "--json").stdout)
    assert told["skipped"] is True and told["tag"].startswith(f"{scrap.name}:")


def test_the_command_without_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    for args in (
        ("build", folder_with(tmp_path / "a")),
        ("push", "simferry-r", "--to", "127.0.0.1:5000"),
        ("check", "simferry-r"),
    ):
        done = simferry("image", *args)
        assert done.exit_code == 1
        assert (
            "simferry: no Docker engine answers at unix:///nowhere/docker.sock, which DOCKER_HOST names" in done.stderr
        )


def test_the_command_with_neither_folder_nor_script():
    assert simferry("image", "build").exit_code == 2
