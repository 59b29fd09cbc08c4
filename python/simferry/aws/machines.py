"""A machine of EC2: its state and costs, starting and stopping it, and connecting one of its ports to this machine."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..hints import Option
from . import session
from .session import AwsError, asking, client, emulated

# US dollars an hour on demand in us-east-1, Linux, November 2026 (public price list), of the size "large"; others are in proportion
_LARGE = {
    "c5": 0.085, "c6i": 0.085, "c7i": 0.08925, "m5": 0.096, "m6i": 0.096, "m7i": 0.1008, "r5": 0.126, "r6i": 0.126, "r7i": 0.1323,
    "t3": 0.0832, "t3a": 0.0752,
}  # fmt: skip
_SIZES = {"micro": 1 / 8, "small": 1 / 4, "medium": 1 / 2, "large": 1.0, "xlarge": 2.0}
ADDRESS = 0.005  # dollars an hour of a public IPv4 address
DISK = 0.08  # dollars a month of a GB (gp3)
PLUGIN = "session-manager-plugin"
PLUGIN_PAGE = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
)
_NEEDED = (1, 2, 497)  # versions after this one take the token from the environment, where other users do not see it
_RESPONSE = "AWS_SSM_START_SESSION_RESPONSE"  # the variable
CONNECTS_SECONDS = 240  # from a machine's start until Session Manager knows it


@dataclass(frozen=True)
class Machine:
    """A machine. state: pending, running, stopping, stopped, shutting-down or terminated. gigabytes: of its disk."""

    id: str
    state: str
    instance_type: str
    gigabytes: float

    @property
    def runs(self) -> bool:
        return self.state in ("pending", "running")

    @property
    def dollars_an_hour(self) -> float | None:
        """By on-demand prices, with its address; 0 while it is stopped, None if the price is not known."""
        if not self.runs:
            return 0.0
        family, _, size = self.instance_type.partition(".")
        many = re.fullmatch(r"(\d+)xlarge", size)
        share = 2.0 * int(many[1]) if many else _SIZES.get(size)
        return None if share is None or family not in _LARGE else _LARGE[family] * share + ADDRESS

    @property
    def dollars_a_month(self) -> float:
        """Of its disk."""
        return self.gigabytes * DISK


def describe(instance: str, gigabytes: float) -> Machine | None:
    """A machine by its id; None if it is gone. gigabytes: of its disk."""
    from botocore.exceptions import ClientError

    with asking(f"instance {instance}"):
        try:
            found = client("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidInstanceID.NotFound":
                return None
            raise
    one = found[0]["Instances"][0]
    return None if one["State"]["Name"] == "terminated" else Machine(
        instance, one["State"]["Name"], one["InstanceType"], gigabytes
    )  # fmt: skip


def start(instance: str) -> None:
    """Start a machine, and wait until it runs. One that is being stopped is waited for first."""
    _change(instance, "start_instances", "running", after="stopping")


def stop(instance: str) -> None:
    """Stop a machine, and wait until it has stopped."""
    _change(instance, "stop_instances", "stopped", after="pending")


def _change(instance: str, verb: str, wanted: str, after: str) -> None:
    _wait(instance, lambda state: state != after)
    with asking(f"instance {instance}"):
        getattr(client("ec2"), verb)(InstanceIds=[instance])
    if _wait(instance, lambda state: state in (wanted, "terminated")) != wanted:
        raise AwsError(f"instance {instance} is gone")


def _wait(instance: str, done: Callable[[str], bool]) -> str:
    """The state when it is the one that is waited for."""
    while True:
        found = describe(instance, 0)
        state = found.state if found else "terminated"
        if done(state):
            return state
        time.sleep(0.1 if emulated("ec2") else 3.0)


# ---- Session Manager ----


def plugin() -> str:
    """The path of AWS's program for sessions. Raises UsageError if it is missing or too old."""
    found = shutil.which(PLUGIN)
    if not found:
        raise UsageError(f"AWS's {PLUGIN} is not installed", f"{PLUGIN_PAGE}  says how to.")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()
    numbers = tuple(int(one) for one in re.findall(r"\d+", said)[:3])
    if numbers <= _NEEDED:
        least = ".".join(map(str, _NEEDED))
        raise UsageError(
            f"{found} is too old ({said or 'without a version'})", f"{PLUGIN_PAGE}  has one after {least}."
        )
    return found


class Tunnel:
    """Connects a port of this machine to one of a machine of EC2, from its creation until `close`; also a context manager.

    Nothing of the machine is open to the network: Session Manager is asked for a session, and AWS's plugin carries it. The machine's
    program may listen on loopback only.
    """

    def __init__(self, instance: str, remote: int, local: int) -> None:
        """Raises UsageError if the plugin is missing or the local port is in use, AwsError if there is no session."""
        program = plugin()
        local = _free(local)
        request: dict[str, Any] = {
            "Target": instance, "DocumentName": "AWS-StartPortForwardingSession",
            "Parameters": {"portNumber": [str(remote)], "localPortNumber": [str(local)]},
        }  # fmt: skip
        given = _session(instance, request)
        token = json.dumps({name: given[name] for name in ("SessionId", "TokenValue", "StreamUrl")})
        self.port = local
        profile = session.session().profile_name
        words = [program, _RESPONSE, session.region(), "StartSession", "" if profile == "default" else profile,
                 json.dumps(request), client("ssm").meta.endpoint_url]  # fmt: skip
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed in close
        self._process = subprocess.Popen(
            words, env={**os.environ, _RESPONSE: token},
            stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> "Tunnel":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def is_open(self, seconds_to_wait: float = 0) -> bool:
        """Whether the session goes on, after at most this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds_to_wait)
        return self._process.poll() is None

    def check(self) -> None:
        """Raise AwsError if the plugin has ended with an error."""
        if self._process.poll():
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip().splitlines()
            raise AwsError(f"{PLUGIN} failed: {said[-1] if said else f'exit status {self._process.returncode}'}")

    def close(self) -> None:
        if self._process.poll() is None:  # Ctrl-C in a terminal has reached it already
            self._process.send_signal(
                signal.SIGINT if os.name == "posix" else signal.SIGTERM
            )  # it ends the session then
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._said.close()


def _free(port: object) -> int:
    """The port, which R gives as a double. Raises UsageError if it is none, or in use."""
    if not isinstance(port, int | float) or port != port // 1 or not 0 < port < 65536:
        raise UsageError(f"{port!r} is no port", "Ports are 1 to 65535.")
    port = int(port)
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # else a port is in use for a minute after it was
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise UsageError(
                f"port {port} of this machine is in use", Option("port", port + 1) + "  takes another one."
            ) from None
    return port


def _session(instance: str, request: dict[str, Any]) -> dict[str, Any]:
    """Ask for a session. A machine that has just started is not known at once."""
    from botocore.exceptions import ClientError

    end = time.monotonic() + (1.0 if emulated("ssm") else CONNECTS_SECONDS)
    while True:
        with asking(f"a session with {instance}"):
            try:
                return dict(client("ssm").start_session(**request))
            except ClientError as error:
                if error.response["Error"]["Code"] != "TargetNotConnected" or time.monotonic() > end:
                    raise
        time.sleep(0.1 if emulated("ssm") else 5.0)
