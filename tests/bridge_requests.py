"""Requests to the bridge as R sends them, and its answers."""

import os
import time

import numpy as np
from simferry._rbridge import call as _rbridge
from simferry.r.serialization import Vector, decode, encode


def call(verb, _environment=None, **arguments):
    """What R gets for a request, as Python values."""
    environment = {"PATH": os.environ["PATH"], **(_environment or {})}
    names = Vector("string", list(environment))
    given = Vector("string", list(environment.values()), {"names": names})
    session = Vector("string", list(os.environ.values()), {"names": Vector("string", list(os.environ))})
    request = encode({"verb": verb, "arguments": arguments, "environment": given, "session": session})
    assert type(request) is bytearray
    answer = _rbridge.call(request)
    assert type(answer) is bytearray
    return dict(decode(answer).items())


def value_of(verb, **arguments):
    answer = call(verb, **arguments)
    assert answer["ok"].plain(), answer["error"].plain()
    return answer["value"]


def error_of(verb, **arguments):
    answer = call(verb, **arguments)
    assert not answer["ok"].plain()
    return answer["error"].plain()


def numbers(*values):
    return np.array(values, dtype=float)


def finished(run):
    for _ in range(3000):
        now = value_of("progress", run=run).plain()
        if now["state"] != "running" or "outcome" in now:
            return now
        time.sleep(0.02)
    raise AssertionError(now)
