"""What processing jobs print, from CloudWatch: read whole, or followed live for one or hundreds of jobs."""

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from . import session as aws

GROUP = "/aws/sagemaker/ProcessingJobs"
REQUESTS_PER_SECOND = 10  # of 25 that an account has: others look too
TELLING = 12  # characters that jobs' names have in common, for their streams to be listed together


def read(job_name: str, client: Any = None) -> dict[str, str]:
    """What each host of a job has printed so far: all streams, all pages. Hosts are algo-1, algo-2, ...

    client: for CloudWatch Logs, where it isn't the configured one.
    """
    lines: dict[str, list[str]] = {}
    for _, host, line in _Streams(client).look([job_name]):
        lines.setdefault(host, []).append(line)
    return {host: "".join(f"{line}\n" for line in lines[host]) for host in sorted(lines, key=_number)}


def follow(
    job_names: Sequence[str],
    ended: Callable[[], bool],
    *,
    ended_jobs: Callable[[], Collection[str]] | None = None,
    poll_seconds: float = 2.0,
    client: Any = None,
) -> Iterator[tuple[str, str, str]]:
    """The lines of jobs as they come: job, host, line. Ends when the jobs have ended and their last lines are there.

    ended: whether all have ended. ended_jobs: which have; they are looked at once more, and then no longer asked for.
    """
    streams = _Streams(client)
    still = list(dict.fromkeys(job_names))
    over: set[str] = set()
    while still:
        before = over  # lines arrive a little after their job has ended: one look more, a pause later
        over = set(still) if ended() else set(ended_jobs() if ended_jobs else ())
        yield from streams.look(still)
        still = [job for job in still if job not in before]
        if still:
            many = 0 if over.issuperset(still) else streams.count(still) / REQUESTS_PER_SECOND
            time.sleep(max(poll_seconds, many))


class _Streams:
    """The log streams of jobs, and how far each has been read."""

    def __init__(self, client: Any = None) -> None:
        self._client = client or aws.client("logs")
        self._read_to: dict[str, dict[str, str | None]] = {}  # by job and stream: the token that goes on

    def count(self, jobs: Sequence[str]) -> int:
        return sum(len(self._read_to.get(job, {})) for job in jobs)

    def look(self, jobs: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """The lines that are new: job, host, line."""
        self._list(jobs)
        for job in jobs:
            for stream in list(self._read_to.get(job, {})):
                host = _host(stream)
                for line in self._new_lines(job, stream):
                    yield job, host, line

    def _list(self, jobs: Sequence[str]) -> None:
        common = os.path.commonprefix(list(jobs))  # noqa: RUF071  characters are meant
        together = len(jobs) > 1 and len(common) >= TELLING
        for prefix in [common] if together else [f"{job}/" for job in jobs]:
            pages = self._client.get_paginator("describe_log_streams")
            with aws.asking(f"log group {GROUP}"):
                try:
                    for page in pages.paginate(logGroupName=GROUP, logStreamNamePrefix=prefix):
                        for stream in page["logStreams"]:
                            name = stream["logStreamName"]
                            self._read_to.setdefault(name.partition("/")[0], {}).setdefault(name, None)
                except self._client.exceptions.ResourceNotFoundException:
                    pass  # the account's first job makes the group

    def _new_lines(self, job: str, stream: str) -> Iterator[str]:
        while True:
            token = self._read_to[job][stream]
            going_on = {"nextToken": token} if token else {}
            with aws.asking(f"log stream {stream}"):
                try:
                    page = self._client.get_log_events(
                        logGroupName=GROUP, logStreamName=stream, startFromHead=True, **going_on
                    )
                except self._client.exceptions.ResourceNotFoundException:
                    return
            for event in page["events"]:
                yield from event["message"].splitlines() or [""]
            self._read_to[job][stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:  # an empty page is no end
                return


def _host(stream: str) -> str:
    """The host of a stream such as my-job/algo-1-1533333333."""
    name = stream.partition("/")[2]
    found = re.match(r"algo-\d+", name)
    return found.group() if found else name


def _number(host: str) -> tuple[int, str]:
    return int(re.sub(r"\D", "", host) or 0), host
