"""The output of jobs, from CloudWatch Logs. That of SageMaker's jobs is read at once, or followed for one or hundreds of jobs."""

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from . import session as aws

GROUP = "/aws/sagemaker/ProcessingJobs"
TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"
REQUESTS_PER_SECOND = 10  # of the account's 25; other programs read logs too
COMMON_PREFIX = 12  # jobs whose names share so many characters are listed in one request


def read(job_name: str, client: Any = None, group: str = GROUP) -> dict[str, str]:
    """The output of each host of a job so far, by host: algo-1, algo-2, ...

    client: of CloudWatch Logs; None for the configured one. group: that of processing jobs, or another.
    """
    lines: dict[str, list[str]] = {}
    for _, host, line in Streams(client, group=group).look([job_name]):
        lines.setdefault(host, []).append(line)
    return {host: "".join(f"{line}\n" for line in lines[host]) for host in sorted(lines, key=_number)}


def follow(
    job_names: Sequence[str],
    ended: Callable[[], bool],
    *,
    ended_jobs: Callable[[], Collection[str]] | None = None,
    poll_seconds: float = 2.0,
    client: Any = None,
    group: str = GROUP,
) -> Iterator[tuple[str, str, str]]:
    """New lines of jobs: (job, host, line). Ends when the jobs have ended and their last lines have been read.

    ended: whether all jobs have ended. ended_jobs: which jobs have ended; each of them is read once more.
    """
    streams = Streams(client, group=group)
    still = list(dict.fromkeys(job_names))
    over: set[str] = set()
    while still:
        before = over  # last lines arrive after a job's end: it is read once more after a pause
        over = set(still) if ended() else set(ended_jobs() if ended_jobs else ())
        yield from streams.look(still)
        still = [job for job in still if job not in before]
        if still:
            many = 0 if over.issuperset(still) else streams.count(still) / REQUESTS_PER_SECOND
            time.sleep(max(poll_seconds, many))


class Streams:
    """The log streams of jobs. read_to: by stream, the token from which to read on."""

    def __init__(self, client: Any = None, read_to: Mapping[str, str | None] | None = None, group: str = GROUP) -> None:
        self._client, self._group = client or aws.client("logs"), group
        self.read_to = dict(read_to or {})

    def count(self, jobs: Sequence[str]) -> int:
        wanted = set(jobs)
        return sum(stream.partition("/")[0] in wanted for stream in self.read_to)

    def look(self, jobs: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """New lines: (job, host, line)."""
        self._list(jobs)
        streams: dict[str, list[str]] = {}
        for stream in self.read_to:
            streams.setdefault(stream.partition("/")[0], []).append(stream)
        for job in jobs:
            for stream in streams.get(job, []):
                host = _host(stream)
                for line in new_lines(self._client, self._group, stream, self.read_to):
                    yield job, host, line

    def _list(self, jobs: Sequence[str]) -> None:
        common = os.path.commonprefix(list(jobs))  # noqa: RUF071  a prefix of characters, not of folders
        together = len(jobs) > 1 and len(common) >= COMMON_PREFIX
        for prefix in [common] if together else [f"{job}/" for job in jobs]:
            pages = self._client.get_paginator("describe_log_streams")
            with aws.asking(f"log group {self._group}"):
                try:
                    for page in pages.paginate(logGroupName=self._group, logStreamNamePrefix=prefix):
                        for stream in page["logStreams"]:
                            self.read_to.setdefault(stream["logStreamName"], None)
                except self._client.exceptions.ResourceNotFoundException:
                    pass  # the first job of an account creates the group


def new_lines(client: Any, group: str, stream: str, read_to: MutableMapping[str, Any]) -> Iterator[str]:
    """The lines of a log stream after the token that `read_to` has for it, which moves with them. None if there is no such stream."""
    while True:
        token = read_to.get(stream)
        position = {"nextToken": token} if token else {}
        with aws.asking(f"log stream {stream}"):
            try:
                page = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **position)
            except client.exceptions.ResourceNotFoundException:
                return
        for event in page["events"]:
            yield from event["message"].splitlines() or [""]
        read_to[stream] = page["nextForwardToken"]
        if page["nextForwardToken"] == token:  # an empty page is not the end; an equal token is
            return


def _host(stream: str) -> str:
    """The host of a stream such as my-job/algo-1-1533333333."""
    name = stream.partition("/")[2]
    found = re.match(r"algo-\d+", name)
    return found.group() if found else name


def _number(host: str) -> tuple[int, str]:
    return int(re.sub(r"\D", "", host) or 0), host
