"""The command `simferry emulator`: how it starts, and that it leaves nothing."""

import json
import signal
import subprocess
import sys
from contextlib import nullcontext

import pytest
from click.testing import CliRunner
from docker_fixtures import left_behind
from emulator_fixtures import Jobs, P
from simferry.cli.app import main
from simferry.emulator import Faults


def start_command(*arguments: str) -> tuple[subprocess.Popen, dict]:
    command = [sys.executable, "-m", "simferry", "emulator", "--port", "0", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


class Remote:
    """An emulator of another process."""

    def __init__(self, said: dict) -> None:
        self.bucket, self.role, self.environment = said["bucket"], said["role"], said["environment"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly(number, monkeypatch, image_r, engine):
    process, said = start_command()
    for name, value in said["environment"].items():
        monkeypatch.setenv(name, value)
    jobs = Jobs(Remote(said), image_r)
    jobs.submit("one", f'writeLines("1", "{P}/now/a"); Sys.sleep(60)', outputs={"now": "Continuous"})
    jobs.until(lambda: jobs.keys("one/"))
    owner = f"simferry-emulator-{process.pid}"
    assert [name.rpartition("-")[0] for name in left_behind(engine, owner)] == ["one-algo-1"]
    process.send_signal(number)
    out, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert [line["event"].split("  ")[1].split()[0] for line in map(json.loads, out.splitlines())] == [
        "accepted,", "running", "Stopped",
    ]  # fmt: skip
    assert left_behind(engine, owner) == []


def test_a_port_that_is_taken(emulator):
    done = subprocess.run(
        [sys.executable, "-m", "simferry", "emulator", "--port", str(emulator.port)], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[0] == f"simferry: port {emulator.port} is in use"


def test_faults_are_asked_for_by_options(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "simferry.emulator.Emulator", lambda port, quotas, faults, *_: asked.append(faults) or nullcontext()
    )
    monkeypatch.setattr("simferry.cli.emulator.greeting", lambda _: sys.exit())
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    CliRunner().invoke(main, ["emulator", "--spot-interruptions", "2", "--lost-hosts", "0.5"])
    assert asked == [Faults(lost_host=0.5, spot_interruptions=2)]


def test_a_quota_of_an_instance_type_that_does_not_exist():
    done = subprocess.run(
        [sys.executable, "-m", "simferry", "emulator", "--quota", "ml.c5.3xlarge=1"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "there is no instance type 'ml.c5.3xlarge'" in done.stderr


def test_what_a_killed_emulator_leaves_is_removed_by_the_next(emulate, monkeypatch, image_r, engine):
    process, said = start_command()
    for name, value in said["environment"].items():
        monkeypatch.setenv(name, value)
    jobs = Jobs(Remote(said), image_r)
    jobs.submit("one", "Sys.sleep(60)")
    owner = f"simferry-emulator-{process.pid}"
    jobs.until(lambda: left_behind(engine, owner))
    process.kill()
    process.communicate()
    assert [name.rpartition("-")[0] for name in left_behind(engine, owner)] == ["one-algo-1"]
    emulate()
    assert left_behind(engine, owner) == []
