"""The hosts of a job get to know each other: the first one leads, the others let it start processes on them through ssh.

Each host makes a key of its own when the job begins, in a folder that only its user can read, and removes it at the end: no private key
leaves its host. The public ones are exchanged over a connection on which both sides prove that they know the job's secret, which came
with the job's inputs. Every line on it is signed. The connection stays open: when it breaks, or nothing has come for a while, a host
is lost.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import hmac
import json
import os
import queue
import secrets
import shutil
import socket
import subprocess
import threading
import time
from typing import Any

PORT = 11713  # where the other hosts wait for the first one
BEAT = 2.0  # seconds between signs of life
LOST = 20.0  # seconds without one after which a host is lost
LONGEST_LINE = 1 << 22
_SERVER = """
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding no
AllowAgentForwarding no
X11Forwarding no
PrintMotd no
LogLevel FATAL
SetEnv {environment}
"""
_CLIENT = """
Host *
User {user}
IdentityFile {folder}/key
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
CheckHostIP no
BatchMode yes
ConnectTimeout 20
ServerAliveInterval 5
ServerAliveCountMax 3
LogLevel ERROR
"""


class HostError(Exception):
    """The hosts of the job can't work together. The message names the host."""


class HostLost(HostError):
    """A host that was there is lost. Another attempt may do."""


class Line:
    """A connection between two hosts that know a secret: lines of JSON, each signed with a key that follows from the secret and from a
    number that each side has drawn."""

    def __init__(self, connection: socket.socket, secret: bytes, leads: bool) -> None:
        self.connection, self.leads, self.sending = connection, leads, threading.Lock()
        self.reader = connection.makefile("rb")
        self.counts = {True: 0, False: 0}  # lines of each side
        own = secrets.token_hex(16)
        connection.sendall(f"{own}\n".encode())
        other = self._line().decode("ascii", "replace")
        both = [own, other] if leads else [other, own]
        self.key = hmac.new(secret, "\n".join(both).encode(), hashlib.sha256).digest()

    def send(self, **content: Any) -> None:
        """Send a line. Raises OSError where the connection is broken."""
        text = json.dumps(content)
        with self.sending:
            self.connection.sendall(f"{self._signature(text, self.leads)} {text}\n".encode())

    def receive(self) -> dict[str, Any]:
        """The next line. Raises OSError where the connection is broken, silent for too long, or the sender does not know the secret."""
        signature, _, text = self._line().decode("utf-8", "replace").partition(" ")
        if not hmac.compare_digest(signature.encode(), self._signature(text, not self.leads).encode()):
            raise OSError("it does not know the secret of this job")
        found = json.loads(text)
        return found if isinstance(found, dict) else {}

    def _signature(self, text: str, leads: bool) -> str:
        self.counts[leads] += 1
        return hmac.new(self.key, f"{leads} {self.counts[leads]} {text}".encode(), hashlib.sha256).hexdigest()

    def _line(self) -> bytes:
        line = self.reader.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise OSError("the connection has ended")
        return line[:-1]

    def beat(self) -> None:
        """Send signs of life, until the connection breaks."""
        with contextlib.suppress(OSError):
            while True:
                self.send(alive=True)
                time.sleep(BEAT)


class Leader:
    """What the first host knows of the others. folder: of its own, for keys. say: prints a line.

    lost: the name of a host that was lost, and how; empty while all are there.
    """

    def __init__(
        self, hosts: list[str], secret: bytes, folder: str, say: Any, lost_after: float = LOST, ssh: bool = True
    ) -> None:
        self.hosts, self.secret, self.folder, self.say, self.lost_after = hosts, secret, folder, say, lost_after
        self.ssh = ssh
        self.answers: dict[
            int, queue.Queue[dict[str, Any]]
        ] = {}  # of other hosts, by the number of what they were asked
        self.lines: dict[str, Line] = {}
        self.lost = ""
        if ssh:
            make_key(os.path.join(folder, "key"))

    def gather(self, seconds: float) -> None:
        """Wait for all hosts, and write what ssh needs to know of them. Raises HostError where one is not there in time."""
        own = ""
        if self.ssh:
            with open(os.path.join(self.folder, "key.pub"), encoding="ascii") as file:
                own = file.read().strip()
        until, ports, keys = time.monotonic() + seconds, [], []
        for name in self.hosts[1:]:
            line, answer = self._reached(name, own, until, seconds)
            self.lines[name] = line
            ports.append(f"Host {name}\nPort {int(answer['port'])}\n")
            keys.append(f"[{name}]:{int(answer['port'])} {answer['key']}\n")
        _write(os.path.join(self.folder, "known_hosts"), "".join(keys))
        client = _CLIENT.format(user=getpass.getuser(), folder=self.folder)
        _write(os.path.join(self.folder, "ssh_config"), "".join(ports) + client)
        _write(os.path.join(self.folder, "hosts"), json.dumps(self.hosts))
        for name, line in self.lines.items():
            threading.Thread(target=line.beat, daemon=True).start()
            threading.Thread(target=self._watch, args=(name, line), daemon=True).start()

    def _reached(self, name: str, key: str, until: float, seconds: float) -> tuple[Line, dict[str, Any]]:
        told = time.monotonic() + 5
        while True:
            try:
                connection = socket.create_connection((name, PORT), timeout=5)
                connection.settimeout(self.lost_after)
                line = Line(connection, self.secret, leads=True)
                line.send(key=key)
                answer = line.receive()
                if said := answer.get("error"):
                    raise HostError(f"host {name}: {said}")
                return line, answer
            except OSError as error:
                why = str(error)
            if time.monotonic() > until:
                raise HostError(f"host {name} could not be reached within {seconds:g} s: {why}")
            if time.monotonic() > told:
                self.say(f"waits for host {name}: {why}")
                told = time.monotonic() + 60
            time.sleep(0.2)

    def _watch(self, name: str, line: Line) -> None:
        try:
            while True:
                said = line.receive()
                if "answer" in said:
                    self.answers[said["answer"]].put({**said, "host": name})
        except socket.timeout:  # noqa: UP041  before Python 3.10 another error than TimeoutError
            why = f"nothing came from it for {self.lost_after:g} s"
        except OSError as error:
            why = str(error)
        self.lost = self.lost or f"host {name} was lost ({why})"

    def end(self, status: int) -> None:
        """Tell the others that the job has ended."""
        for line in self.lines.values():
            with contextlib.suppress(OSError):
                line.send(end=status)


class Follower:
    """A host that is not the first. name: its own. leader: the name of the first one."""

    def __init__(self, name: str, leader: str, secret: bytes, folder: str, say: Any, lost_after: float = LOST) -> None:
        self.name, self.leader, self.secret, self.folder, self.say = name, leader, secret, folder, say
        self.lost_after = lost_after
        self.ended = threading.Event()
        self.problem = ""
        self.orders: queue.Queue[dict[str, Any]] = queue.Queue()

    def join(self, seconds: float) -> tuple[subprocess.Popen[bytes] | None, Line]:
        """Wait for the first host, and start the ssh server for it, if it wants one. Returns that, and the connection. Raises HostError
        where it does not come in time."""
        until, told, why = time.monotonic() + seconds, time.monotonic() + 5, ""
        with socket.create_server(("", PORT)) as listening:
            listening.settimeout(1)
            while True:
                try:
                    connection, _ = listening.accept()
                    connection.settimeout(self.lost_after)
                    line = Line(connection, self.secret, leads=False)
                    key = str(line.receive()["key"])
                    break
                except (OSError, ValueError, KeyError) as error:  # also of a stranger
                    why = why if isinstance(error, socket.timeout) else f" ({error})"
                if time.monotonic() > until:
                    raise HostError(f"the first host, {self.leader}, did not ask {self.name} within {seconds:g} s{why}")
                if time.monotonic() > told:
                    self.say(f"{self.name} waits for the first host, {self.leader}{why}")
                    told = time.monotonic() + 60
        try:
            server, port, own = self._serve(key) if key else (None, 0, "")
        except HostError as error:
            line.send(error=str(error))
            raise
        line.send(port=port, key=own)
        threading.Thread(target=line.beat, daemon=True).start()
        threading.Thread(target=self._watch, args=(line,), daemon=True).start()
        return server, line

    def _serve(self, key: str) -> tuple[subprocess.Popen[bytes], int, str]:
        """The ssh server, its port and its public key."""
        program = ssh_server()
        if program is None:
            raise HostError(f"host {self.name} has no SSH server (sshd); containers/mpi has it")
        if "\n" in key:
            raise HostError("the key of the first host is none")
        make_key(os.path.join(self.folder, "host_key"))
        with open(os.path.join(self.folder, "host_key.pub"), encoding="ascii") as file:
            own = " ".join(file.read().split()[:2])
        _write(os.path.join(self.folder, "authorized_keys"), f"restrict {key}\n")
        with socket.create_server(("", 0)) as free:
            port = int(free.getsockname()[1])
        known = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if os.environ.get(name)}
        environment = " ".join(f'{name}="{value}"' for name, value in known.items() if '"' not in value)
        config = os.path.join(self.folder, "sshd_config")
        _write(config, _SERVER.format(port=port, folder=self.folder, environment=environment))
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        server = subprocess.Popen([program, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until and server.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return server, port, own
            time.sleep(0.05)
        raise HostError(f"the ssh server (sshd) of host {self.name} does not start; its log has the reason")

    def _watch(self, line: Line) -> None:
        try:
            while "end" not in (said := line.receive()):
                if "run" in said or "kill" in said:
                    self.orders.put(said)
        except OSError as error:
            self.problem = f"the first host, {self.leader}, was lost ({error})"
        self.ended.set()


def ssh_server() -> str | None:
    """The path of sshd, which has to be known as a whole."""
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin"]
    return shutil.which("sshd", path=os.pathsep.join(places))


def make_key(path: str) -> None:
    """A new pair of keys: PATH and PATH.pub. Raises HostError."""
    try:
        made = subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "simferry", "-f", path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    except OSError as error:
        why = "there is none in this image; containers/mpi has it" if isinstance(error, FileNotFoundError) else error
        raise HostError(f"ssh-keygen, for an SSH server, can't be started: {why}") from None
    if made.returncode:
        raise HostError(f"ssh-keygen failed: {made.stdout.decode(errors='replace').strip()}")


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
