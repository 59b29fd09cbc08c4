"""Connections that stay open, to servers that answer as they like."""

import socket
import threading

import pytest
from simferry.containers.http_lines import Lines, reason

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def server():
    """Starts a server that answers the requests of each connection with given bytes, and closes it then. Returns its connections."""

    def start(*connections):
        def serve():
            for answers in connections:
                line, _ = listening.accept()
                with line:
                    for answer in answers:
                        found = b""
                        while not found.endswith(b"end"):
                            found += line.recv(1 << 16)
                        line.sendall(answer)
                    closed.release()

        closed = threading.Semaphore(0)
        threading.Thread(target=serve, daemon=True).start()
        lines.append(Lines(listening.getsockname(), 1000))
        return lines[-1], closed

    lines = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield start
        for one in lines:
            one.close()


def ask(lines, body=b"end", seconds=20):
    return lines.exchange("POST", "/x", body, {}, seconds)


def test_a_connection_is_kept_and_one_that_was_closed_is_made_anew(server):
    lines, closed = server([OK, OK], [OK])
    assert [ask(lines).body for _ in range(2)] == [b"ok", b"ok"]
    closed.acquire(timeout=20)
    assert ask(lines).body == b"ok"


def test_a_connection_that_is_closed_meanwhile_is_made_anew_and_a_new_one_is_not(server):
    lines, _ = server([OK, b""], [OK], [b""])
    assert [ask(lines).body for _ in range(2)] == [b"ok", b"ok"]
    lines.close()
    with pytest.raises(OSError) as error:
        ask(lines)
    assert reason(error.value) == "the connection was refused, or lost"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OK[:-1], "the connection was lost before the answer's end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"0" * 2000, "the answer has more than 1,000 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"fff\r\n" + b"0" * 4095, "more than 1,000 bytes"),
        (b"no HTTP at all\r\n", "no HTTP at all"),
    ],
)
def test_answers_that_are_none(server, answer, words):
    lines, _ = server([answer])
    with pytest.raises(Exception) as error:  # of several kinds
        ask(lines)
    assert words in reason(error.value)
    assert not lines._idle


def test_an_answer_that_never_ends_is_given_up(server):
    lines, _ = server([b"HTTP/1.1 200 OK\r\n\r\n0", b""])
    with pytest.raises(TimeoutError):
        ask(lines, seconds=0.2)


def test_an_answer_that_comes_before_the_body_was_read_is_seen():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            line, _ = listening.accept()
            with line:
                line.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                line.shutdown(socket.SHUT_WR)
                while line.recv(1 << 16):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        assert ask(Lines(listening.getsockname(), 1000), b"0" * 5_000_000).status == 413
