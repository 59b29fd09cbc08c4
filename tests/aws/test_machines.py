"""Machines of EC2: what they cost, and AWS's plugin for sessions. simferry.infra.rstudio's tests have sessions themselves."""

import pytest
from simferry.aws import machines
from simferry.aws.machines import Machine, Tunnel, plugin
from simferry.aws.session import AwsError
from simferry.errors import UsageError


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program in place of AWS's plugin."""

    def put(text, version="1.2.707.0"):
        path = tmp_path / machines.PLUGIN
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version} && exit\n{text}\n')
        path.chmod(0o755)
        return str(path)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return put


@pytest.mark.parametrize(
    ("kind", "state", "dollars"),
    [
        ("t3.large", "running", 0.0832 + 0.005), ("t3.medium", "running", 0.0416 + 0.005),
        ("m7i.4xlarge", "pending", 0.8064 + 0.005), ("t3.large", "stopped", 0), ("x9.large", "running", None),
        ("m5.metal", "running", None),
    ],
)  # fmt: skip
def test_what_a_machine_costs(kind, state, dollars):
    machine = Machine("i-1", state, kind, 40.0)
    assert machine.dollars_an_hour == (dollars if dollars is None else pytest.approx(dollars))
    assert machine.dollars_a_month == pytest.approx(3.2)


def test_the_plugin_is_missing_or_too_old(program):
    with pytest.raises(
        UsageError, match=r"session-manager-plugin is not installed\nhttps://docs.aws.amazon.com/.*  says how to"
    ):
        plugin()
    path = program("exit 1")
    assert plugin() == path
    for version in ("1.2.497.0", "1.2.30", ""):
        program("exit 1", version)
        with pytest.raises(UsageError, match=r"is too old .*\n.* after 1.2.497"):
            plugin()


def test_a_machine_that_is_not_there(emulator):
    assert machines.describe("i-0123456789abcdef0", 40.0) is None


def test_a_machine_that_session_manager_does_not_know(emulator, program):
    program("exit 1")
    with pytest.raises(AwsError, match="i-0123456789abcdef0 is not connected"):
        Tunnel("i-0123456789abcdef0", 8787, 8799)
    for port in (70000, 87.5, float("nan"), "8787", None):
        with pytest.raises(UsageError, match=f"{port!r} is no port"):
            Tunnel("i-0123456789abcdef0", 8787, port)
