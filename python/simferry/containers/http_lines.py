"""HTTP connections to a container, kept open between requests. What it answers is not trusted: it has a limit of bytes and of time."""

import select
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, IncompleteRead

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_CONNECT_SECONDS = 5.0
_IDLE_CONNECTIONS = 64


@dataclass(frozen=True)
class Answer:
    """What a container answered. headers: by name in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def attributes(self) -> str:
        """The custom attributes; empty if it gave none."""
        return self.headers.get(ATTRIBUTES.lower(), "")


class Lines:
    """Connections to host and port `address`, which threads share. most_bytes: of an answer's body."""

    def __init__(self, address: tuple[str, int], most_bytes: int) -> None:
        self.address, self.most_bytes = address, most_bytes
        self._idle: deque[HTTPConnection] = deque(maxlen=_IDLE_CONNECTIONS)

    def exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """Send a request and read its answer, of any status.

        Raises TimeoutError if it is not there after so many seconds, ValueError for a header that is none, OSError or HTTPException if
        there is no whole answer, or it is too large.
        """
        until = time.monotonic() + seconds
        connection, used = self._connection()
        try:
            try:
                answer = self._ask(connection, method, path, body, headers, until)
            except ConnectionError:  # a connection that the container has closed while it was idle
                if not used:
                    raise
                connection.close()
                connection = self._new()
                answer = self._ask(connection, method, path, body, headers, until)
        except BaseException:
            connection.close()
            raise
        if connection.sock:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close those that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> tuple[HTTPConnection, bool]:
        """A connection, and whether it was used before."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._new(), False
            asked = select.poll()
            asked.register(connection.sock, select.POLLIN)
            if not asked.poll(0):
                return connection, True
            connection.close()  # the container has closed it, or says what nobody asked for

    def _new(self) -> HTTPConnection:
        return HTTPConnection(*self.address, timeout=_CONNECT_SECONDS)

    def _ask(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        until: float,
    ) -> Answer:
        if not connection.sock:
            connection.connect()
        line = connection.sock
        line.settimeout(_left(until))
        broken = False
        try:
            connection.request(method, path, body, dict(headers))
        except ConnectionError:
            broken = True  # perhaps it has answered before it had read all of the body
            if not body:
                raise
        response = connection.getresponse()
        expected = response.length  # None if only its end tells
        parts, size = [], 0
        while expected is None or size < expected:
            line.settimeout(_left(until))
            piece = response.read1(min(1 << 16, (expected or self.most_bytes + 1) - size))
            if not piece:
                break
            parts.append(piece)
            size += len(piece)
            if size > self.most_bytes:
                raise HTTPException(f"the answer has more than {self.most_bytes:,} bytes")
        if expected and size < expected:
            raise IncompleteRead(b"", expected - size)
        response.close()
        if broken:
            connection.close()
        return Answer(
            response.status, {name.lower(): value for name, value in response.headers.items()}, b"".join(parts)
        )


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def reason(error: Exception) -> str:
    """Why there is no answer, in words."""
    if isinstance(error, IncompleteRead):
        return "the connection was lost before the answer's end"
    if isinstance(error, ConnectionError):
        return "the connection was refused, or lost"
    return str(error) or type(error).__name__
