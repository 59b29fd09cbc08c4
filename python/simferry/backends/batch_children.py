"""The children of an array job of AWS Batch: their states, from the service's counts and as few pages of its list as possible."""

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..aws import session
from ..aws.contracts import batch as contract
from .service import ServiceJob

_PAGE = 1000  # children on a page
DESCRIBED = 100  # jobs in a request


class Array(NamedTuple):
    """An array job, or a plain job, whose size is 1."""

    id: str
    size: int


@dataclass
class Children:
    """jobs: by their numbers, which begin at 1. runnable: how many wait for a machine; waiting: some of them, as listed. moving: whether
    others start, run, or have succeeded, so that it is no wonder that some wait."""

    jobs: dict[int, ServiceJob] = field(default_factory=dict)
    runnable: int = 0
    waiting: Sequence[Mapping[str, Any]] = ()
    moving: bool = False


def children_of(job: Mapping[str, Any]) -> Children:
    """The children of an array as DescribeJobs tells of it; a plain job is its only one.

    Children are of three classes: going on, succeeded, failed. Of the most common class only the first page is listed: the rest is of
    that class, and its times are the mean of those listed. An array of 10,000 takes at most 10 requests.
    """
    array = job.get("arrayProperties", {})
    if not array.get("size"):
        waits = job["status"] == "RUNNABLE"
        return Children({1: service_job(job)}, int(waits), [job], False)
    counts = {state: count for state, count in array["statusSummary"].items() if count}
    sizes: dict[str, int] = {}
    for state, count in counts.items():
        sizes[_class(state)] = sizes.get(_class(state), 0) + count
    most = max(sizes, key=lambda one: sizes[one], default="running")
    found: dict[int, ServiceJob] = {}
    waiting: list[dict[str, Any]] = []
    of_most: list[ServiceJob] = []
    for state in counts:
        listed = [*_pages(str(job["jobId"]), state, first_only=_class(state) == most)]
        if state == "FAILED" and "ecsProperties" in job:  # only a description tells of several containers
            listed = [*described([one["jobId"] for one in listed[:DESCRIBED]]), *listed[DESCRIBED:]]
        if state == "RUNNABLE":
            waiting = listed
        children = [service_job({**one, "status": state}) for one in listed]
        if "ecsProperties" in job and len(children) > DESCRIBED and all(one.for_all for one in children[:DESCRIBED]):
            children[DESCRIBED:] = [
                replace(one, reason=children[0].reason, for_all=True) if (one.state, one.cut_short) == ("failed", False) else one
                for one in children[DESCRIBED:]
            ]  # fmt: skip
        found |= {int(one["arrayProperties"]["index"]) + 1: child for one, child in zip(listed, children, strict=True)}
        of_most += children if _class(state) == most else []
    if len(found) < array["size"]:
        rest = _mean(most, of_most, _time(job["createdAt"]))
        found |= {number: rest for number in range(1, array["size"] + 1) if number not in found}
    moving = any(counts.get(state) for state in ("STARTING", "RUNNING", "SUCCEEDED"))
    return Children(dict(sorted(found.items())), counts.get("RUNNABLE", 0), waiting, moving)


def described(ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Jobs by their ids, as DescribeJobs tells of them."""
    for first in range(0, len(ids), DESCRIBED):
        with session.asking("AWS Batch"):
            yield from session.client("batch").describe_jobs(jobs=[*ids[first : first + DESCRIBED]])["jobs"]


def seconds_of(job: Mapping[str, Any]) -> float:
    """The time that all attempts of a job took together. job: as DescribeJobs tells of it."""
    times: list[tuple[int, int]] = [
        (one.get("startedAt", 0), one.get("stoppedAt", 0)) for one in job.get("attempts", [])
    ]
    return sum((ended - began) / 1000 for began, ended in times if began and ended)


def seconds_before(job: Mapping[str, Any]) -> float:
    """The time that attempts of a job took whose machine was lost: those before its last. job: as DescribeJobs tells of it."""
    last = job.get("startedAt") or math.inf
    return seconds_of({"attempts": [one for one in job.get("attempts", []) if one.get("startedAt", 0) < last]})


def _pages(array: str, state: str, first_only: bool) -> Iterator[dict[str, Any]]:
    with session.asking("AWS Batch"):
        pages = session.client("batch").get_paginator("list_jobs")
        limits = {"PageSize": _PAGE, **({"MaxItems": _PAGE} if first_only else {})}
        for page in pages.paginate(arrayJobId=array, jobStatus=state, PaginationConfig=limits):
            yield from page["jobSummaryList"]


def _class(status: str) -> str:
    """running, succeeded or failed."""
    state = contract.STATES[status]
    return "running" if state == "pending" else state  # the base class has no state for jobs that wait in the service


def _mean(state: str, listed: Sequence[ServiceJob], created: datetime.datetime) -> ServiceJob:
    """A job of a class that took as long as the mean of those listed, and ended as they did where they all ended in one way."""
    now = datetime.datetime.now(datetime.timezone.utc)
    seconds = [max(0.0, ((one.ended or now) - one.created).total_seconds()) for one in listed]
    mean = datetime.timedelta(seconds=sum(seconds) / max(1, len(seconds)))
    if state == "running":
        return ServiceJob(state, now - mean)
    ways = {name: {getattr(one, name) for one in listed} for name in ("state", "reason", "cut_short", "for_all")}
    alike = {name: some.pop() for name, some in ways.items() if len(some) == 1}
    return replace(ServiceJob(state, created, created + mean), **alike)


def service_job(one: Mapping[str, Any]) -> ServiceJob:
    """A job of ListJobs or DescribeJobs. One that waits was created now: it costs nothing yet."""
    state, reason = _class(one["status"]), str(one.get("statusReason", ""))
    told = [
        container for container in contract.containers_of(one) if container.get("reason") or container.get("exitCode")
    ]
    words = next((str(container["reason"]) for container in told if container.get("reason")), "")
    code = next((container["exitCode"] for container in told if container.get("exitCode")), None)
    said = words or (f"exited with code {code}" if code else reason)
    ended = _time(one["stoppedAt"]) if one.get("stoppedAt") else None
    began = _time(one["startedAt"]) if one.get("startedAt") else ended or datetime.datetime.now(datetime.timezone.utc)
    if reason == contract.CANCELLED:  # its exit code is that of the signal
        state = "stopped"
    return ServiceJob(
        state, began, ended, said if state == "failed" else "",
        cut_short=contract.cut_short(reason), for_all=_for_all(words, reason),
    )  # fmt: skip


def _for_all(words: str, reason: str) -> bool:
    """Whether what kept a job from running would keep all others from it."""
    # a queue that has given up says "Canceled by JobStateTimeLimit action due to reason: MISCONFIGURATION:..."
    return words.startswith(("CannotPull", "CannotStart", "CannotCreate")) or "MISCONFIGURATION:" in reason


def _time(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
