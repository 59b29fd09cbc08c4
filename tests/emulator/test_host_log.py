"""The output of a host, in CloudWatch Logs."""

import threading

import pytest
from simferry.emulator.host_log import EVENT_CHARACTERS, HostLog, make_group

GROUP = "/aws/sagemaker/TrainingJobs"


class Printing:
    """A container that prints what it is given."""

    def __init__(self) -> None:
        self.pieces, self.more = [], threading.Condition()

    def logs(self, **_):
        at = 0
        while True:
            with self.more:
                self.more.wait_for(lambda: len(self.pieces) > at)  # noqa: B023
                piece, at = self.pieces[at], at + 1
            yield piece


@pytest.fixture
def logs(account):
    return account("logs")


def sent(logs):
    got = logs.get_log_events(logGroupName=GROUP, logStreamName="job/algo-1", startFromHead=True)
    return [one["message"] for one in got["events"]]


def test_whole_lines_are_sent_as_they_come_and_each_line_once(logs):
    for _ in range(2):
        make_group(logs, GROUP)
    log = HostLog(logs, "job/algo-1", container := Printing(), GROUP)
    log.follow()
    with container.more:
        container.pieces += [b"first\n\nsec", b"ond\nthi"]
        container.more.notify()
    for _ in range(1000):
        if log._pending.endswith(b"thi"):
            break
        threading.Event().wait(0.01)
    log.flush()
    assert sent(logs) == ["first", "second"]
    log.close("first\n\nsecond\nthird" + "x" * EVENT_CHARACTERS + "\n")
    assert sent(logs) == ["first", "second", ("third" + "x" * EVENT_CHARACTERS)[:EVENT_CHARACTERS]]
