"""RStudio on a machine of EC2: a stack of its own beside that with bucket and roles, reached through Session Manager."""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..aws import machines, session, stacks
from ..aws.machines import Machine, Tunnel
from ..aws.session import asking, client
from ..aws.stacks import Proposal, Stack
from ..errors import UsageError
from ..hints import Command, Option
from ..system.dialogue import Confirm, Tell, ask, print_line
from ..words import counted
from . import package
from .deployment import (
    carried_out,
    check_ours,
    check_parameters,
    made_ready,
    proposed,
    removed,
    text_of,
)
from .inventory import in_words, machine_of, missing
from .templates import checked, read, stack_of
from .templates import template as packaged

__all__ = ["RStudio", "connect", "delete", "deploy", "open", "password", "show", "start", "stop"]

LICENCE = "the GNU Affero General Public License, version 3: https://www.gnu.org/licenses/agpl-3.0.html"
PORT = 8787  # RStudio Server's own
FOLDER = "simferry-package/"  # in the base stack's bucket: the wheels that instances install
_IN_PLACE = {"IamInstanceProfile", "InstanceType", "SecurityGroupIds", "Tags", "UserData"}  # what a disk survives


@dataclass(frozen=True)
class RStudio:
    """An RStudio. name, region: of the stack with the bucket. stack, status: of its own. machine: None if it is not there. idle_minutes:
    without use, after which it stops."""

    name: str
    region: str
    stack: str
    status: str
    machine: Machine | None
    idle_minutes: int

    def __str__(self) -> str:
        lines = [f"stack {self.stack:24} {self.status}"]
        if self.machine:
            lines.append(f"RStudio: {in_words(self.machine)}; stops after {self.idle_minutes} minutes without use")
            lines.append(
                f"storage: disk     {self.machine.gigabytes:,.0f} GB, ${self.machine.dollars_a_month:,.2f} a month"
            )
            verb, does = ("open", "connects") if self.machine.runs else ("start", "starts")
            lines.append(str(_command(verb, self.name) + f"  {does} it."))
        return "\n".join(lines)


def described(found: RStudio) -> dict[str, object]:
    """What is known of it, for JSON and R: name, region, stack, status; state is "gone" without a machine."""
    machine = found.machine
    return {
        "name": found.name, "region": found.region, "stack": found.stack, "status": found.status,
        "instance": machine.id if machine else "", "state": machine.state if machine else "gone",
        "instance_type": machine.instance_type if machine else "", "gigabytes": machine.gigabytes if machine else 0.0,
        "dollars_an_hour": machine.dollars_an_hour if machine else 0.0,
        "dollars_a_month": machine.dollars_a_month if machine else 0.0, "idle_minutes": found.idle_minutes,
    }  # fmt: skip


def deploy(
    name: str | None = None,
    *,
    accept_licence: bool = False,
    template: str | Path | None = None,
    parameters: Mapping[str, object] | None = None,
    yes: bool = False,
    tell: Tell = print_line,
    confirm: Confirm = ask,
) -> RStudio | None:
    """Make a machine with R, RStudio Server, Docker and this simferry, or update it. It takes some ten minutes.

    name: of the stack with the bucket [SIMFERRY_STACK, or "simferry"]. accept_licence: accept RStudio Server's licence, the GNU AGPL
    version 3. template, parameters, yes, tell, confirm: as in simferry.infra.deploy. Parameters are IdleMinutes, InstanceType,
    DiskGB ...; those that are not given keep their values.

    Returns what is there in the end; None if the answer was no. Raises UsageError without the licence, without that stack, and for a
    change that would lose the machine's disk; StackError with the first failure.
    """
    name = checked(name)
    stack = stack_of(name, "rstudio")
    base, before = stacks.find(name), stacks.find(stack)
    accepted = before is not None and before.parameters.get("AcceptLicence") == "yes"
    if not (accept_licence or accepted):
        raise UsageError(
            f"RStudio Server's licence has to be accepted, {LICENCE}", Option("accept_licence", True) + "  accepts it."
        )
    if not base or not base.usable:
        raise missing(name)
    if "SubmitterRoleName" not in base.outputs:
        raise UsageError(
            f"the stack {name} is of an earlier simferry", stacks.on_stack("infra deploy", name) + "  updates it."
        )
    body = packaged("rstudio") if template is None else read(template)
    given = {key: text_of(value) for key, value in (parameters or {}).items()}
    known = stacks.declared(body)
    check_parameters(known, given)
    content = package.wheel()
    bucket, key = base.outputs["Bucket"], f"{FOLDER}{hashlib.sha256(content).hexdigest()[:16]}/{package.FILE}"
    given = {"AcceptLicence": "yes", "BaseStack": name, "Package": f"s3://{bucket}/{key}", **given}
    if not made_ready(name, stack, yes, tell, confirm):
        return None
    proposal = proposed(name, stack, body, {key: value for key, value in given.items() if key in known})
    if proposal is None:
        tell(f"stack {stack} is as the template says")
    else:
        _check_disk_stays(name, proposal, tell)
        if not carried_out(name, proposal, yes, tell, confirm, lambda: _upload(bucket, key, content)):
            return None
        tell(str(_command("open", name) + "  connects it."))
    return show(name)


def _upload(bucket: str, key: str, content: bytes) -> None:
    with asking(f"bucket {bucket}"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=content)


def _check_disk_stays(name: str, proposal: Proposal, tell: Tell) -> None:
    """Refuse a change that makes another instance: all that is on the disk would be lost."""
    if proposal.new:
        return
    for one in proposal.changes:
        if one.name != "Instance":
            continue
        if one.action in ("remove", "replace") or set(one.properties) - _IN_PLACE:
            stacks.discard(proposal)
            new = (
                _command("delete", name)
                + "  deletes it; what is to stay has to be saved first. Then it can be deployed anew."
            )
            what = f" ({', '.join(one.properties)})" if one.properties else ""
            raise UsageError(f"this would make another instance{what}, and lose all that is on the disk", new)
        tell("note: the instance is started anew; what runs on it ends")


def show(name: str | None = None) -> RStudio:
    """The state of an RStudio, and what it costs.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. Raises UsageError if there is none.
    """
    name, stack = _found(name)
    idle = int(stack.parameters.get("IdleMinutes", 0))
    return RStudio(name, session.region(), stack.name, stack.status, machine_of(stack), idle)


def open(name: str | None = None, *, port: int = PORT, tell: Tell = print_line) -> None:
    """Connect RStudio to http://localhost:PORT, until Ctrl-C or the machine ends it.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. port: of this machine. tell: called with each line of the report.
    Needs AWS's session-manager-plugin. Raises UsageError without it, if the port is in use, and if RStudio does not run; AwsError if
    the session can't be made.
    """
    with connect(name, port=port, tell=tell) as tunnel:
        tell("Ctrl-C ends the connection; RStudio goes on.")
        with contextlib.suppress(KeyboardInterrupt):
            while tunnel.is_open(0.5):
                pass
            tunnel.check()
            tell("the connection has ended")


def connect(name: str | None = None, *, port: int = PORT, tell: Tell = print_line) -> Tunnel:
    """As `open`, but it returns at once. The connection lasts until the tunnel's `close`.

    name, port, tell: as in `open`. Raises UsageError and AwsError as `open` does.
    """
    name, machine = _there(name)
    if not machine.runs:
        raise UsageError(f"RStudio is not running ({machine.state})", _command("start", name) + "  starts it.")
    machines.plugin()
    if machine.state == "pending":
        tell("RStudio's machine is starting")
    tunnel = Tunnel(machine.id, PORT, port)
    tell(
        f"RStudio is at http://localhost:{tunnel.port}, for the user rstudio; {_command('password', name)}  shows the password."
    )
    return tunnel


def password(name: str | None = None) -> str:
    """The password of the user rstudio, which the machine makes at each start.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. Raises UsageError if the machine has made none yet.
    """
    from botocore.exceptions import ClientError

    name, stack = _found(name)
    if parameter := stack.outputs.get("RStudioPassword"):
        with asking(f"the parameter {parameter}"):
            try:
                return str(client("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"])
            except ClientError as error:
                if error.response["Error"]["Code"] != "ParameterNotFound":
                    raise
    raise UsageError("the machine has made no password yet", _command("show", name) + "  shows its state.")


def start(name: str | None = None, *, tell: Tell = print_line) -> RStudio:
    """Start the machine after it was stopped, or has stopped itself. What is on its disk is there again.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. tell: called with each line of the report. Raises UsageError if there is no RStudio.
    """
    name, machine = _there(name)
    if not machine.runs:
        tell(f"starting {machine.id}")
        machines.start(machine.id)
    return show(name)


def stop(name: str | None = None, *, tell: Tell = print_line) -> RStudio:
    """Stop the machine: R sessions end, the disk stays. Runs on SageMaker or Batch go on.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. tell: called with each line of the report. Raises UsageError if there is no RStudio.
    """
    name, machine = _there(name)
    if machine.state != "stopped":
        tell(f"stopping {machine.id}")
        machines.stop(machine.id)
    return show(name)


def delete(name: str | None = None, *, yes: bool = False, tell: Tell = print_line, confirm: Confirm = ask) -> bool:
    """Delete RStudio with its disk. Bucket and roles stay. A second deletion does nothing.

    name, yes, tell, confirm: as in simferry.infra.delete. Returns whether it was carried out. Raises StackError with the first failure.
    """
    name = checked(name)
    stack = stacks.find(stack_of(name, "rstudio"))
    if not stack:
        tell(f"there is no RStudio in stack {name} in {session.region()}")
        return True
    if stack.status != "REVIEW_IN_PROGRESS":
        check_ours(stack, name)
    tell(f"{session.region()}, account {session.account()}:")
    tell(f"  - stack {stack.name} ({counted(len(stacks.resources(stack)), 'resource')})")
    tell(f"  - the disk of {stack.parameters.get('DiskGB', '?')} GB with all that is on it")
    if not yes and not confirm("Delete?"):
        tell("nothing is deleted")
        return False
    removed("infra rstudio delete", name, stack, tell)
    forget(stack)
    base = stacks.find(name)
    if base and (bucket := base.outputs.get("Bucket")):
        _remove_wheels(bucket)
    return True


def forget(stack: Stack) -> None:
    """Delete the password of a stack that is gone. The machine has made it, so the stack does not have it."""
    from botocore.exceptions import ClientError

    if not (parameter := stack.outputs.get("RStudioPassword")):
        return
    with asking(f"the parameter {parameter}"):
        try:
            client("ssm").delete_parameter(Name=parameter)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ParameterNotFound":
                raise


def _remove_wheels(bucket: str) -> None:
    s3 = client("s3")
    with asking(f"bucket {bucket}"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=FOLDER):
            for one in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=one["Key"])


def check_disk_may_go(name: str, there: Sequence[Stack]) -> None:
    """Raise UsageError if there is an RStudio among the stacks: all that is on its disk would be lost."""
    if any(stack.outputs.get("RStudioInstance") for stack in there):
        also = stacks.on_stack("infra delete", name, data=True) + "  deletes its disk and the bucket, too."
        raise UsageError(
            "nothing is deleted: there is an RStudio, and all that is on its disk would be lost",
            _command("delete", name) + "  deletes it.  " + also,
        )


def _command(verb: str, name: str) -> Command:
    return stacks.on_stack(f"infra rstudio {verb}", name)


def _found(name: str | None) -> tuple[str, Stack]:
    name = checked(name)
    stack = stacks.find(stack_of(name, "rstudio"))
    if not stack or stack.status == "REVIEW_IN_PROGRESS":
        hint = stacks.on_stack("infra rstudio deploy", name, accept_licence=True) + "  makes one."
        raise UsageError(f"there is no RStudio in stack {name} in {session.region()}", hint)
    return name, stack


def _there(name: str | None) -> tuple[str, Machine]:
    name, stack = _found(name)
    machine = machine_of(stack)
    if not machine:
        raise UsageError(f"RStudio has no machine (stack {stack.name} is {stack.status})", _command("delete", name))
    return name, machine
