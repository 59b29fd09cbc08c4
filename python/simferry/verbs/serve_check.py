"""Sends a container the requests of the hosting contract, and tells of each whether it keeps the contract."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..containers.serving import GRACE_SECONDS, MOST_BYTES, PING_SECONDS, Answer, Serving, ServingError

REQUESTS, CONNECTIONS, PINGS = 200, 8, 10
UNKNOWN = "application/x-simferry-unknown"
_SHOWN = 200  # characters of an answer


@dataclass(frozen=True)
class Finding:
    """One line of the report. state: "ok", "note" for what the contract allows and a caller may trip over, or "failed"."""

    what: str
    state: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:<6}  {self.what:<13}  {self.text}"


def findings(server: Serving, data: bytes | None, content_type: str) -> Iterator[Finding]:
    """Send the requests, and end the container. server: one that is ready, and takes bodies of twice the contract's size.

    data, content_type: a request that the model can answer; without it no prediction is asked for.
    """
    yield Finding("start", "ok", f"/ping answered 200 after {server.ready_seconds:.1f} s")
    yield _pings(server)
    if data is None:
        yield Finding("invocations", "note", "none was sent: no data were given")
    else:
        yield _prediction(server, data, content_type)
        yield _at_once(server, data, content_type)
    yield _largest(server, content_type)
    yield _too_large(server, content_type)
    yield _refused(server, "empty body", b"", content_type, "a request without data")
    yield _refused(server, "unknown type", data or b"x", UNKNOWN, f"content type {UNKNOWN}")
    yield _still_there(server)
    yield _stopped(server)


def _pings(server: Serving) -> Finding:
    took = []
    try:
        for _ in range(PINGS):
            began = time.perf_counter()
            if (status := server.ping().status) != 200:
                return Finding("ping", "failed", f"it answered {status}; after the start it has to answer 200")
            took.append(time.perf_counter() - began)
    except ServingError as error:
        return Finding("ping", "failed", error.message)
    return Finding("ping", "ok", f"{PINGS} answers, median {_ms(statistics.median(took))}, longest {_ms(max(took))}")


def _prediction(server: Serving, data: bytes, content_type: str) -> Finding:
    began = time.perf_counter()
    try:
        answer = server.invoke(data, content_type)
    except ServingError as error:
        return Finding("invocations", "failed", error.message)
    took = time.perf_counter() - began
    if not _is_good(answer):
        return Finding("invocations", "failed", f"it answered {_said(answer)}")
    size = f"{len(answer.body):,} bytes of {answer.content_type or 'no content type'}"
    if len(answer.body) > MOST_BYTES:
        return Finding("invocations", "failed", f"it answered with {size}; {MOST_BYTES:,} are allowed")
    return Finding("invocations", "ok", f"{answer.status}, {size} in {_ms(took)}")


def _at_once(server: Serving, data: bytes, content_type: str) -> Finding:
    """Many requests on several connections, and pings meanwhile."""
    took, wrong, pings, done = [], [], [], threading.Event()

    def ask(_: int) -> None:
        began = time.perf_counter()
        try:
            answer = server.invoke(data, content_type)
            if not _is_good(answer):
                wrong.append(_said(answer))
        except ServingError as error:
            wrong.append(error.message)
        took.append(time.perf_counter() - began)

    def ping() -> None:
        while True:
            try:
                pings.append(server.ping().status)
            except ServingError:
                pings.append(0)
            if done.wait(0.05):
                return

    pinging = threading.Thread(target=ping)
    pinging.start()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(ask, range(REQUESTS)))
    done.set()
    pinging.join()
    what = f"{REQUESTS} requests on {CONNECTIONS} connections"
    if wrong:
        return Finding("concurrent", "failed", f"{what}: {len(wrong)} failed; the first: {wrong[0]}")
    if bad := [status for status in pings if status != 200]:
        how = f"answered {bad[0]}" if bad[0] else f"gave no answer within {PING_SECONDS:g} s"
        return Finding("concurrent", "failed", f"{what}: /ping {how} meanwhile; the service would replace the instance")
    median, late = statistics.median(took), sorted(took)[REQUESTS * 95 // 100]
    return Finding("concurrent", "ok", f"{what}: no error, median {_ms(median)}, 95 % within {_ms(late)}")


def _largest(server: Serving, content_type: str) -> Finding:
    what = f"{MOST_BYTES:,} bytes, which are allowed"
    try:
        answer = server.invoke(b"0" * MOST_BYTES, content_type)
    except ServingError as error:
        return Finding("largest body", "failed", f"{what}: {error.message}")
    if answer.status == 413:
        raise_it = "the server's limit has to be raised (nginx: client_max_body_size 6m)"
        return Finding("largest body", "failed", f"{what}, are refused with 413: {raise_it}")
    return Finding("largest body", "ok", f"{what}: read, and answered with {answer.status}")


def _too_large(server: Serving, content_type: str) -> Finding:
    what = f"{MOST_BYTES + 1:,} bytes, which the service does not pass on"
    try:
        answer = server.invoke(b"0" * (MOST_BYTES + 1), content_type)
    except ServingError as error:
        return Finding("larger body", "note", f"{what}: {error.message}")
    return Finding("larger body", "ok", f"{what}: answered with {answer.status}")


def _refused(server: Serving, what: str, body: bytes, content_type: str, words: str) -> Finding:
    """A request that should be answered with 4xx: the caller is at fault, and has to be told."""
    try:
        answer = server.invoke(body, content_type)
    except ServingError as error:
        return Finding(what, "failed", error.message)
    if 400 <= answer.status < 500:
        return Finding(what, "ok", f"refused: {_said(answer)}")
    if answer.status >= 500:
        return Finding(
            what, "note", f"{words} is answered with {answer.status}; 4xx would say that the request is at fault"
        )
    return Finding(what, "note", f"{words} is answered with {answer.status}, as if it were right")


def _still_there(server: Serving) -> Finding:
    try:
        status = server.ping().status
    except ServingError as error:
        return Finding("afterwards", "failed", error.message)
    return Finding("afterwards", "ok" if status == 200 else "failed", f"/ping answers {status}")


def _stopped(server: Serving) -> Finding:
    if server.ended.is_set():
        return Finding("SIGTERM", "failed", f"the container had ended before: {server.stop()}")
    end = server.stop()
    if end.killed:
        why = "the signal has to reach the server (in a shell's entry point: exec)"
        return Finding("SIGTERM", "failed", f"it did not end within {GRACE_SECONDS:g} s, and was killed: {why}")
    return Finding("SIGTERM", "ok", f"ended after {end.seconds:.1f} s, {end}")


def _is_good(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _said(answer: Answer) -> str:
    text = " ".join(answer.body[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN]
    return f"{answer.status}: {text}" if text else str(answer.status)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 0.1 else f"{1000 * seconds:.0f} ms"
