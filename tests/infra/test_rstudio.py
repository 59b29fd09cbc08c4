"""simferry.infra.rstudio: a machine that is made, connected, stopped and deleted. The emulator starts no machine."""

import json
import os
import socket
import threading
import time

import boto3
import pytest
from simferry import infra
from simferry.aws import machines, stacks
from simferry.aws.session import AwsError
from simferry.aws.stacks import StackError
from simferry.emulator.templates import Template
from simferry.errors import UsageError
from simferry.infra import rstudio
from simferry.infra.templates import template


@pytest.fixture
def told():
    return []


@pytest.fixture
def deploy(emulator, told):
    """Makes RStudio beside a stack."""
    infra.deploy(yes=True, tell=lambda line: None)
    return lambda **options: rstudio.deploy(**{"accept_licence": True, "yes": True, "tell": told.append, **options})


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program in place of AWS's plugin, which notes what it is given and goes on until it is interrupted; gives what it has noted."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / machines.PLUGIN
    path.write_text(
        "#!/usr/bin/env python3\nimport json, os, signal, sys\n"
        "if sys.argv[1:] == ['--version']:\n    print('1.2.707.0'); sys.exit()\n"
        f"note = {str(tmp_path / 'note')!r}\n"
        "json.dump([sys.argv[1:], os.environ.get(sys.argv[1])], open(note + '~', 'w'))\n"
        "signal.signal(signal.SIGINT, lambda *_: (open(note + '-end', 'w').close(), sys.exit()))\n"
        "os.rename(note + '~', note)\nsignal.pause()\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def noted():
        until(lambda: (tmp_path / "note").exists())
        return json.loads((tmp_path / "note").read_text())

    noted.ended = lambda: (tmp_path / "note-end").exists()
    return noted


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def keys(bucket):
    return [one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_it_is_made_changed_stopped_and_deleted(emulator, deploy, told):
    bucket = infra.show().outputs["Bucket"]
    with pytest.raises(
        UsageError, match=r"licence has to be accepted, the GNU Affero.*\naccept_licence=True  accepts it"
    ):
        deploy(accept_licence=False)
    assert deploy(yes=False, confirm=lambda question: False) is None and keys(bucket) == []
    found = deploy()
    assert (found.status, found.machine.state, found.idle_minutes) == ("CREATE_COMPLETE", "running", 60)
    assert told[-1] == "simferry.infra.rstudio.open()  connects it."
    (wheel,) = keys(bucket)
    stack = stacks.find("simferry-rstudio")
    assert stack.parameters["Package"] == f"s3://{bucket}/{wheel}" and stack.tags["simferry:stack"] == "simferry"
    assert "password" not in " ".join([*stack.parameters.values(), stack.outputs["RStudioCommand"]])
    shown = infra.show()
    assert shown.instances == 1 and shown.dollars_an_hour == pytest.approx(0.0882)
    assert "storage: disk     40.000 GB, $3.20 a month" in str(shown)
    told.clear()
    assert deploy(accept_licence=False) == found  # it was accepted
    assert told == ["stack simferry-rstudio is as the template says"]

    told.clear()
    changed = deploy(parameters={"IdleMinutes": 90.0})
    assert changed.idle_minutes == 90 and changed.machine == found.machine
    assert told[0] == "note: the instance is started anew; what runs on it ends"
    with pytest.raises(
        UsageError, match=r"another instance \(LaunchTemplate\), and lose all .*\n.*rstudio.delete\(\)  deletes it"
    ):
        deploy(parameters={"DiskGB": 80})
    assert rstudio.show() == changed

    assert rstudio.stop(tell=told.append).machine.state == "stopped"
    assert infra.show().instances == 0 and infra.show().dollars_an_hour == 0 and infra.show().dollars_a_month > 3
    assert "rstudio.start()  starts it." in str(rstudio.show())
    with pytest.raises(UsageError, match=r"not running \(stopped\)\nsimferry.infra.rstudio.start\(\)  starts it"):
        rstudio.open()
    assert rstudio.start(tell=told.append).machine == rstudio.start(tell=told.append).machine == changed.machine

    with pytest.raises(UsageError, match=r"no password yet"):
        rstudio.password()
    name = stack.outputs["RStudioPassword"]
    boto3.client("ssm").put_parameter(Name=name, Value="s3cret", Type="SecureString")  # as the machine does
    assert rstudio.password() == "s3cret"
    with pytest.raises(
        UsageError, match=r"nothing is deleted: there is an RStudio(?s:.*)infra.rstudio.delete\(\)  deletes it"
    ):
        infra.delete(yes=True, tell=told.append)
    assert rstudio.delete(confirm=lambda question: False, tell=told.append) is False
    assert rstudio.delete(yes=True, tell=told.append) and keys(bucket) == []
    assert "  - the disk of 40 GB with all that is on it" in told
    with pytest.raises(boto3.client("ssm").exceptions.ParameterNotFound):
        boto3.client("ssm").get_parameter(Name=name)
    assert (
        rstudio.delete(yes=True, tell=told.append) and told[-1] == "there is no RStudio in stack simferry in us-east-1"
    )
    with pytest.raises(
        UsageError, match=r"no RStudio in stack simferry .*\n.*deploy\(accept_licence=True\)  makes one"
    ):
        rstudio.show()


def test_a_set_up_that_fails_says_why_and_leaves_nothing(emulator, deploy):
    emulator.faults.resources["create", "SetUp"] = (
        "WaitCondition received failed message: 'simferry failed: no space left'"
    )
    with pytest.raises(StackError, match=r"no space left(?s:.*)infra.rstudio.deploy\(\)  tries again"):
        deploy()
    emulator.faults.resources.clear()
    assert boto3.client("ec2").describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": ["running"]}]
    )["Reservations"] == []  # fmt: skip
    assert deploy().machine.state == "running"
    emulator.faults.resources["delete", "Network"] = "in use"
    with pytest.raises(StackError, match=r"in use(?s:.*)infra.rstudio.delete\(\)  goes on"):
        rstudio.delete(yes=True)
    with pytest.raises(UsageError, match=r"deleted by half\nsimferry.infra.rstudio.delete\(\)  deletes the rest"):
        deploy()
    emulator.faults.resources.clear()
    assert infra.delete(yes=True, data=True, tell=lambda line: None)  # with RStudio
    assert stacks.find("simferry-rstudio") is None and stacks.find("simferry") is None


def test_failures_at_each_resource_leave_nothing_and_can_be_repeated(emulator, deploy):
    """Of the creation, and then of the deletion: what can be deleted is."""
    order, roles = Template(template("rstudio")).order(), names_of_roles()
    for name in order:
        emulator.faults.resources["create", name] = "no"
        with pytest.raises(StackError, match=rf"simferry-rstudio: {name} .* can't be created: no"):
            deploy()
        emulator.faults.resources.clear()
        stack = stacks.find("simferry-rstudio")
        assert stack.status == "ROLLBACK_COMPLETE" and stacks.resources(stack) == {} and names_of_roles() == roles
    assert deploy().machine.state == "running"
    emulator.faults.resources |= {("delete", name): "in use" for name in order}
    while order:
        with pytest.raises(
            StackError, match=rf"{order[-1]} .* can't be deleted: in use(?s:.*)infra.rstudio.delete\(\)  goes on"
        ):
            rstudio.delete(yes=True, tell=lambda line: None)
        assert set(stacks.resources(stacks.find("simferry-rstudio"))) == set(order)
        del emulator.faults.resources["delete", order.pop()]
    assert rstudio.delete(yes=True, tell=lambda line: None) and stacks.find("simferry-rstudio") is None
    assert names_of_roles() == roles and keys(infra.show().outputs["Bucket"]) == []


def names_of_roles():
    return {one["RoleName"] for one in boto3.client("iam").list_roles()["Roles"]}


def test_it_needs_a_stack_with_a_bucket(emulator, tmp_path):
    with pytest.raises(UsageError, match=r"there is no stack lab .*\nsimferry.infra.deploy\(name=\"lab\"\)  makes it"):
        rstudio.deploy("lab", accept_licence=True, yes=True)
    text = template()
    old = text[: text.index("  SubmitterRoleName:\n")] + text[text.index("  Command:\n") :]
    mine = tmp_path / "mine.yaml"
    mine.write_text(old)
    with pytest.raises(StackError, match=r"lab-batch: No export named lab-(?s:.*)infra.template\(\"base\"\)"):
        infra.deploy("lab", template=mine, yes=True, tell=lambda line: None)
    with pytest.raises(
        UsageError, match=r"the stack lab is of an earlier simferry\nsimferry.infra.deploy\(name=\"lab\"\)"
    ):
        rstudio.deploy("lab", accept_licence=True, yes=True)


def test_it_is_connected_by_the_plugin(emulator, deploy, program, told, monkeypatch):
    deploy()
    port, machine = free_port(), rstudio.show().machine
    with rstudio.connect(port=float(port), tell=told.append) as tunnel:  # as R has it
        assert told[-1].startswith(f"RStudio is at http://localhost:{port}, for the user rstudio; ")
        (response, region, operation, profile, request, endpoint), token = program()
        assert (region, operation, profile, endpoint) == ("us-east-1", "StartSession", "", emulator.url)
        assert json.loads(request) == {
            "Target": machine.id, "DocumentName": "AWS-StartPortForwardingSession",
            "Parameters": {"portNumber": ["8787"], "localPortNumber": [str(port)]},
        }  # fmt: skip
        assert set(json.loads(token)) == {"SessionId", "TokenValue", "StreamUrl"}
        assert json.loads(token)["TokenValue"] not in response  # others see the arguments
        assert tunnel.is_open()
    assert program.ended() and not tunnel.is_open()

    monkeypatch.setattr(rstudio.Tunnel, "is_open", interrupted)
    rstudio.open(port=port, tell=told.append)  # Ctrl-C
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        used = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {used} of this machine is in use\nport={used + 1}  takes another"):
            rstudio.open(port=used)


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_connection_that_breaks_says_why(emulator, deploy, program, told):
    deploy()
    port, broken = free_port(), []

    def connected():
        try:
            rstudio.open(port=port, tell=told.append)
        except AwsError as error:
            broken.append(error)

    path = os.path.join(os.environ["PATH"].split(":")[0], machines.PLUGIN)
    with open(path, "w") as file:
        file.write(
            "#!/bin/sh\n[ $1 = --version ] && echo 1.2.707.0 && exit\necho 'SessionId: the session was closed'; exit 255\n"
        )
    thread = threading.Thread(target=connected)
    thread.start()
    thread.join(30)
    assert "session-manager-plugin failed: SessionId: the session was closed" in str(broken[0])
