"""CloudWatch logs of processing jobs, against moto's server."""

import contextlib
import itertools
import time

import pytest
from simferry.aws import logs


@pytest.fixture
def cloudwatch(account):
    """Writes lines as the service does: cloudwatch("job", "algo-1", "a line", ...)."""
    client = account("logs")
    clock = itertools.count(int(time.time() * 1000))

    def write(job, host, *lines):
        stream = f"{job}/{host}-1700000000"
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_group(logGroupName=logs.GROUP)
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_stream(logGroupName=logs.GROUP, logStreamName=stream)
        events = [{"timestamp": next(clock), "message": line} for line in lines]
        client.put_log_events(logGroupName=logs.GROUP, logStreamName=stream, logEvents=events)

    return write


@pytest.fixture
def requests(account):
    """The operations that CloudWatch is asked for from here on."""
    asked = []
    account("logs").meta.events.register("before-call.cloudwatch-logs", lambda model, **_: asked.append(model.name))
    return asked


def test_a_job_without_a_group_or_streams_has_printed_nothing_yet(cloudwatch):
    assert logs.read("job") == {}
    cloudwatch("another", "algo-1", "x")
    assert logs.read("job") == {}


def test_read_gives_each_hosts_text_in_the_hosts_order(cloudwatch):
    cloudwatch("job", "algo-10", "ten")
    cloudwatch("job", "algo-2", "two")
    cloudwatch("job", "algo-1", "one", "two\nthree")
    cloudwatch("job-2", "algo-1", "of another job")
    assert logs.read("job") == {"algo-1": "one\ntwo\nthree\n", "algo-2": "two\n", "algo-10": "ten\n"}
    assert list(logs.read("job")) == ["algo-1", "algo-2", "algo-10"]


def test_every_page_of_streams_and_of_lines_is_read(cloudwatch):
    hosts = [f"algo-{i + 1}" for i in range(60)]  # 50 streams a page
    for host in hosts:
        cloudwatch("job", host, f"from {host}")
    cloudwatch("job", "algo-1", *(f"line {i}" for i in range(10_000)))  # moto gives 10,000 a page
    found = logs.read("job")
    assert list(found) == hosts
    assert found["algo-1"].count("\n") == 10_001
    assert found["algo-60"] == "from algo-60\n"


class Pages:
    """A client of one stream whose pages are given: (lines, token)."""

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

    def __init__(self, *pages):
        self.pages = list(pages)

    def get_paginator(self, name):
        return self

    def paginate(self, **request):
        return [{"logStreams": [{"logStreamName": "job/algo-1-17"}]}]

    def get_log_events(self, nextToken="", **request):
        lines, token = self.pages.pop(0)
        return {"events": [{"message": line} for line in lines], "nextForwardToken": token}


def test_an_empty_page_is_not_the_end(account):
    pages = Pages((["a"], "t1"), ([], "t2"), ([], "t3"), (["b"], "t4"), ([], "t4"))
    assert logs.read("job", pages) == {"algo-1": "a\nb\n"}
    assert not pages.pages


def test_follow_gives_lines_as_they_come_and_the_last_one_too(cloudwatch):
    rounds = iter(range(100))

    def ended():
        turn = next(rounds)
        if turn == 0:
            return False  # nothing there yet
        cloudwatch("job", f"algo-{1 + turn % 2}", f"line {turn}")
        return turn >= 3

    seen = []
    for job, host, line in logs.follow(["job"], ended, poll_seconds=0.01):
        seen.append((job, host, line))
        if line == "line 3":
            cloudwatch("job", "algo-1", "a line that is late")
    assert seen[:3] == [("job", "algo-2", "line 1"), ("job", "algo-1", "line 2"), ("job", "algo-2", "line 3")]
    assert ("job", "algo-1", "a line that is late") in seen
    assert len(seen) == len(set(seen))


def test_a_hundred_jobs_are_listed_together_and_those_that_have_ended_are_left_alone(cloudwatch, requests, monkeypatch):
    monkeypatch.setattr(logs, "REQUESTS_PER_SECOND", 1e9)
    jobs = [f"20261122-some-run-{i:03d}" for i in range(100)]
    for job in jobs:
        cloudwatch(job, "algo-1", f"from {job}")
    requests.clear()
    rounds = itertools.count()
    lines = logs.follow(jobs, lambda: next(rounds) >= 4, ended_jobs=lambda: jobs[:99], poll_seconds=0.01)
    assert sorted(lines) == [(job, "algo-1", f"from {job}") for job in jobs]
    assert requests.count("DescribeLogStreams") <= 3 * 2 + 5  # two pages for all, or one for the last
    assert requests.count("GetLogEvents") <= 3 * 100 + 8  # two for a first look, one for another


def test_logs_that_may_not_be_read_are_an_error_that_names_them(account):
    from botocore.exceptions import ClientError
    from simferry.aws.session import AwsError

    class Denied(Pages):
        def paginate(self, **request):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeLogStreams")

    with pytest.raises(AwsError, match=r"log group /aws/sagemaker/ProcessingJobs is denied"):
        logs.read("job", Denied())
