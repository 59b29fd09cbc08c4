"""A program once on each host of a job, without MPI and without ssh: the first host asks the others over their signed connections.

`ask` is called on the first host, in the command that runs there; `Desk` hands its request on to the other hosts, where `Orders` carries
it out. What a program prints is in the log of its host. Its files come to the first host, into a folder of the host's name.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Any

from .environment import BASE
from .mpi_hosts import Leader, Line
from .mpi_rank import NUMBER, RANK, host_files, take_files

_CHUNK = 1 << 20  # bytes of files in a line


class Desk:
    """On the first host: takes requests at a socket that only its user can reach."""

    def __init__(self, leader: Leader, path: str) -> None:
        self.leader, self.numbers = leader, itertools.count(1)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(path)
        self.listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self.listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        number = next(self.numbers)
        answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.leader.answers[number] = answers
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError):
            asked = json.loads(reader.readline())
            for rank, line in enumerate(self.leader.lines.values(), start=1):
                line.send(run=number, rank=rank, **asked)

            def end() -> None:  # when it has gone, or all have answered
                reader.read()
                for line in self.leader.lines.values():
                    with contextlib.suppress(OSError):
                        line.send(kill=number)

            threading.Thread(target=end, daemon=True).start()
            left = len(self.leader.lines)
            while left:
                answer = answers.get()
                left -= "status" in answer
                connection.sendall(json.dumps(answer).encode() + b"\n")
            connection.shutdown(socket.SHUT_RDWR)


class Orders:
    """On another host: the programs that run here for the first one."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.running: dict[int, tuple[int, str]] = {}  # by process: the number of the request, and the working folder

    def take(self, order: dict[str, Any]) -> None:
        """Start a program, or kill it."""
        if "run" in order:
            own = {name: value for name, value in os.environ.items() if name in ("HOSTNAME", "HOME", BASE)}
            environment = {**order["environment"], **own, NUMBER: str(order["rank"])}
            child = subprocess.Popen([*RANK, "rank", *order["program"]], env=environment, start_new_session=True)
            self.running[child.pid] = (order["run"], order["work"])
        for pid, (number, _) in self.running.items():
            if order.get("kill") == number:
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)

    def ended(self, pid: int, status: int) -> None:
        """Answer for a process that has ended, if it is one of a program."""
        number, work = self.running.pop(pid, (0, ""))
        if not number:
            return
        with contextlib.suppress(OSError):  # what it has left running
            os.killpg(pid, signal.SIGKILL)
        if work:
            with tempfile.TemporaryFile() as file:
                host_files(work, file)
                file.seek(0)
                while data := file.read(_CHUNK):
                    self.line.send(answer=number, data=base64.b64encode(data).decode())
        self.line.send(answer=number, status=status)


def ask(path: str, program: list[str], environment: dict[str, str], work: str) -> int:
    """Run a program on each host, of which this is the first. Returns its exit code; where it fails on one, it is ended on all.

    path: the desk's socket; empty where there is no other host. work: the working folder, if each program has one of its own.
    """
    child = subprocess.Popen([*RANK, "rank", *program], env={**environment, NUMBER: "0"}, start_new_session=True)
    failed = threading.Event()
    desk = socket.socket(socket.AF_UNIX)
    statuses: list[tuple[str, int]] = []

    def end(host: str, status: int) -> None:
        statuses.append((host, status))
        if status and not failed.is_set():
            failed.set()
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                desk.shutdown(socket.SHUT_WR)  # the others are ended

    def listen() -> None:
        desk.connect(path)
        desk.sendall(json.dumps({"program": program, "environment": environment, "work": work}).encode() + b"\n")
        files: dict[str, Any] = {}
        for text in desk.makefile("rb"):
            answer = json.loads(text)
            host = answer["host"]
            if "data" in answer:
                if host not in files:
                    files[host] = tempfile.TemporaryFile()  # noqa: SIM115  as long as the host has more
                files[host].write(base64.b64decode(answer["data"]))
            else:
                if host in files:
                    files[host].seek(0)
                    take_files(files[host], os.path.join(work, host))
                end(host, answer["status"])

    others = threading.Thread(target=listen if path else lambda: None)
    others.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os.killpg(child.pid, number))
    status = child.wait()
    end("", status if status >= 0 else 128 - status)
    others.join()
    bad = [(host, status) for host, status in statuses if status]
    for host, status in bad[:1]:
        if host:
            print(
                f"simferry: on host {host} the program ended with exit code {status}; its log has more", file=sys.stderr
            )
        return status
    return 0
