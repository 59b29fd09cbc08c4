"""The children of arrays: their states from counts and few pages."""

import datetime

import pytest
from simferry.backends import batch_children
from simferry.backends.batch_children import children_of, seconds_before, seconds_of

NOW = datetime.datetime.now(datetime.timezone.utc)
MINUTE = 60_000


@pytest.fixture
def service(monkeypatch):
    """An array of the service: service(states) is how it is described; `pages` of it counts the requests for pages."""

    class Service:
        pages = 0

        def __call__(self, states, **told):
            self.states, self.told = states, told
            counts = {
                state: states.count(state)
                for state in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
            }
            return {
                "jobId": "a", "status": "PENDING", "createdAt": int(NOW.timestamp() * 1000) - 60 * MINUTE,
                "arrayProperties": {"size": len(states), "statusSummary": counts},
            }  # fmt: skip

        def get_paginator(self, name):
            assert name == "list_jobs"
            return self

        def paginate(self, arrayJobId, jobStatus, PaginationConfig):
            assert arrayJobId == "a"
            at = [index for index, state in enumerate(self.states) if state == jobStatus]
            at = at[: PaginationConfig.get("MaxItems", len(at))]
            for first in range(0, len(at), PaginationConfig["PageSize"]):
                self.pages += 1
                yield {"jobSummaryList": [self.one(index, jobStatus) for index in at[first : first + 1000]]}

        def one(self, index, state):
            created = int(NOW.timestamp() * 1000) - 60 * MINUTE
            began = {"startedAt": created + 50 * MINUTE} if state in ("RUNNING", "SUCCEEDED", "FAILED") else {}
            ended = {"stoppedAt": created + 53 * MINUTE} if state in ("SUCCEEDED", "FAILED") else {}
            return {
                "jobId": f"a:{index}",
                "createdAt": created,
                "arrayProperties": {"index": index},
                **began,
                **ended,
                **self.told.get(state, {}),
            }

    made = Service()
    monkeypatch.setattr(batch_children.session, "client", lambda *_: made)
    return made


def test_each_child_has_its_state(service):
    states = ["SUCCEEDED"] * 5 + ["FAILED", "RUNNING", "RUNNABLE", "SUCCEEDED"]
    found = children_of(
        service(states, FAILED={"container": {"exitCode": 3}, "statusReason": "Essential container in task exited"})
    )
    assert [child.state for child in found.jobs.values()] == ["succeeded"] * 5 + [
        "failed",
        "running",
        "running",
        "succeeded",
    ]
    assert list(found.jobs) == list(range(1, 10)) and found.jobs[6].reason == "exited with code 3"
    assert found.runnable == 1 and found.moving and [one["jobId"] for one in found.waiting] == ["a:7"]
    seconds = [(child.ended - child.created).total_seconds() for child in found.jobs.values() if child.ended]
    assert seconds == [180] * 7
    assert (NOW - found.jobs[7].created).total_seconds() == pytest.approx(600, abs=1)
    assert (NOW - found.jobs[8].created).total_seconds() < 1  # what waits costs nothing


@pytest.mark.parametrize("most", ["RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED"])
def test_ten_thousand_children_take_few_pages(service, most):
    states = [most] * 10_000
    others = [state for state in ("RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED") if state != most]
    for k, state in enumerate(others):
        states[k * 1600 : (k + 1) * 1600] = [state] * 1600
    found = children_of(service(states))
    state = {"RUNNABLE": "running", "RUNNING": "running", "SUCCEEDED": "succeeded", "FAILED": "failed"}
    assert [child.state for child in found.jobs.values()] == [state[one] for one in states]
    assert service.pages <= 10
    if most == "SUCCEEDED":
        unlisted = found.jobs[10_000]
        assert (unlisted.ended - unlisted.created).total_seconds() == 180


def test_a_plain_job():
    job = {
        "jobId": "p",
        "status": "FAILED",
        "createdAt": 1000,
        "startedAt": 2000,
        "stoppedAt": 5000,
        "statusReason": "Host EC2 (instance i-1) terminated.",
    }
    (child,) = children_of(job).jobs.values()
    assert child.state == "failed" and child.cut_short and not child.for_all
    assert (child.ended - child.created).total_seconds() == 3


@pytest.mark.parametrize(
    "told, end",
    [
        ({"statusReason": "cancelled by simferry"}, ("stopped", False, False)),
        ({"statusReason": "Job attempt duration exceeded timeout"}, ("failed", True, False)),
        ({"container": {"reason": "CannotPullContainerError: not found"}}, ("failed", False, True)),
    ],
)
def test_those_that_are_not_listed_ended_as_all_others_did(service, told, end):
    found = children_of(service(["FAILED"] * 2500, FAILED=told)).jobs
    assert service.pages == 1 and len(found) == 2500
    assert {(child.state, child.cut_short, child.for_all) for child in found.values()} == {end}


def test_an_image_that_no_task_could_pull_failed_those_that_are_not_described(service, monkeypatch):
    """Of several containers the list tells nothing."""
    broken = {"containers": [{"reason": "CannotPullContainerError: not found"}]}
    told = {"status": "FAILED", "ecsProperties": {"taskProperties": [broken]}}
    monkeypatch.setattr(
        service, "describe_jobs", lambda jobs: {"jobs": [service.one(int(name[2:]), "FAILED") | told for name in jobs]},
        raising=False,
    )  # fmt: skip
    found = children_of({**service(["FAILED"] * 1500), "ecsProperties": {}}).jobs
    assert len(found) == 1500 and all(child.for_all and "CannotPull" in child.reason for child in found.values())


@pytest.mark.parametrize(
    "told, state, for_all",
    [
        ({"container": {"reason": "CannotPullContainerError: not found"}}, "failed", True),
        ({"statusReason": "Canceled by JobStateTimeLimit action due to reason: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"}, "failed", True),
        ({"statusReason": "cancelled by simferry"}, "stopped", False),
        ({"container": {"reason": "OutOfMemoryError: Container killed due to memory usage", "exitCode": 137}}, "failed", False),
    ],
)  # fmt: skip
def test_reasons(told, state, for_all):
    (child,) = children_of({"jobId": "p", "status": "FAILED", "createdAt": 1000, **told}).jobs.values()
    assert (child.state, child.for_all) == (state, for_all)


def test_each_attempt_counts():
    attempts = [
        {"startedAt": 1000, "stoppedAt": 61_000},
        {"statusReason": "never began"},
        {"startedAt": 70_000, "stoppedAt": 100_000},
    ]
    assert seconds_of({"attempts": attempts}) == 90 and seconds_of({}) == 0
    assert seconds_before({"startedAt": 70_000, "attempts": attempts}) == 60  # its last attempt has ended, or
    assert seconds_before({"startedAt": 200_000, "attempts": attempts}) == 90  # goes on, or
    assert seconds_before({"attempts": attempts}) == 90  # has not begun
