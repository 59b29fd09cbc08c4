"""Sends the output of a host to its stream in CloudWatch Logs."""

import contextlib
import threading
import time
from typing import Any

EVENTS_AT_ONCE = 5000  # PutLogEvents takes at most 10,000 events and 1 MB
EVENT_CHARACTERS = 60_000
FOLLOW_SECONDS = 5  # until the output of a container that has ended has come


def make_group(logs: Any, group: str) -> None:
    """Create a log group that may be there."""
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)


class HostLog:
    """A new log stream, of a container. `follow` begins to read, once the container runs; `flush` sends complete lines; `close` sends the
    rest, of a host whose whole output is known; `finish` does so once the container has ended."""

    def __init__(self, logs: Any, stream: str, container: Any, group: str) -> None:
        self.logs, self.stream, self.container, self.group = logs, stream, container, group
        self._pending = b""
        self._sent_lines = 0
        self._lock = threading.Lock()
        logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def follow(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with contextlib.suppress(Exception):  # the container was removed
            for piece in self.container.logs(stream=True, follow=True):
                with self._lock:
                    self._pending += piece

    def flush(self) -> None:
        with self._lock:
            complete, _, self._pending = self._pending.rpartition(b"\n")
        if complete:
            self._send(complete.decode(errors="replace").split("\n"))

    def finish(self) -> None:
        self._thread.join(FOLLOW_SECONDS)
        with self._lock:
            rest, self._pending = self._pending, b""
        self._send(rest.decode(errors="replace").split("\n"))

    def close(self, text: str) -> None:
        """text: the whole output of the host."""
        self._send(text.split("\n")[self._sent_lines :])

    def _send(self, lines: list[str]) -> None:
        self._sent_lines += len(lines)
        now = round(time.time() * 1000)
        # the service refuses empty events
        events = [{"timestamp": now, "message": line[:EVENT_CHARACTERS]} for line in lines if line.strip()]
        for first in range(0, len(events), EVENTS_AT_ONCE):
            self.logs.put_log_events(
                logGroupName=self.group, logStreamName=self.stream, logEvents=events[first : first + EVENTS_AT_ONCE]
            )
