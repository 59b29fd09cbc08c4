"""What the check of a container says where the contract is not kept. (One that keeps it is in tests/cli/test_serve.py.)"""

import threading

import pytest
from simferry.containers.serving import MOST_BYTES, Answer, Ended, ServingError, ServingTimeout
from simferry.verbs.serve_check import UNKNOWN, findings


class Container:
    """A container that keeps the contract, but for what a test changes. answers: of /invocations, by a word for the request."""

    def __init__(self, ping=200, end=None, **answers):
        self.answers, self.pinged, self.end_ = answers, ping, end or Ended(0, False, False, 0.1)
        self.ready_seconds, self.ended = 1.0, threading.Event()

    def ping(self):
        return said(self.pinged)

    def invoke(self, body, content_type):
        words = {0: "empty", MOST_BYTES: "largest", MOST_BYTES + 1: "larger"}
        word = "unknown" if content_type == UNKNOWN else words.get(len(body), "data")
        return said(self.answers.get(word, 200 if word == "data" else 413 if word == "larger" else 400))

    def stop(self):
        return self.end_


def said(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, Answer) else Answer(answer, {}, b"some words")


def found(container, data=b"1\n"):
    return {one.what: (one.state, one.text) for one in findings(container, data, "text/csv")}


def test_a_container_that_keeps_the_contract():
    assert {state for state, _ in found(Container()).values()} == {"ok"}
    assert found(Container(), None)["invocations"] == ("note", "none was sent: no data were given")


LOST = ServingError("/invocations of it gave no answer: the connection was refused, or lost")
LATE = ServingTimeout("/invocations of it gave no answer within 60 s")


@pytest.mark.parametrize(
    ("container", "what", "state", "words"),
    [
        ({"ping": 503}, "ping", "failed", "it answered 503; after the start it has to answer 200"),
        ({"ping": 503}, "concurrent", "failed", "/ping answered 503 meanwhile"),
        ({"ping": LATE}, "afterwards", "failed", "gave no answer within 60 s"),
        ({"data": 500}, "invocations", "failed", "it answered 500: some words"),
        ({"data": LATE}, "invocations", "failed", "gave no answer within 60 s"),
        ({"data": Answer(200, {}, b"0" * (MOST_BYTES + 1))}, "invocations", "failed", "6,291,456 are allowed"),
        ({"data": LOST}, "concurrent", "failed", "200 requests on 8 connections: 200 failed; the first: /invocations"),
        ({"largest": 413}, "largest body", "failed", "client_max_body_size 6m"),
        ({"largest": LOST}, "largest body", "failed", "refused, or lost"),
        ({"larger": LOST}, "larger body", "note", "refused, or lost"),
        ({"empty": 500}, "empty body", "note", "a request without data is answered with 500; 4xx would say"),
        ({"empty": LOST}, "empty body", "failed", "refused, or lost"),
        ({"unknown": 200}, "unknown type", "note", "is answered with 200, as if it were right"),
        ({"end": Ended(137, False, True, 30)}, "SIGTERM", "failed", "it did not end within 30 s, and was killed"),
    ],
)  # fmt: skip
def test_what_is_not_kept_is_told(container, what, state, words):
    found_state, text = found(Container(**container))[what]
    assert (found_state, words in text) == (state, True), text
