"""Jobs of AWS Batch: what they wait for, when they are tried again, and the states of arrays."""

import pytest
from batch_requests import container, task
from simferry.aws.contracts.batch import RETRIES
from simferry.emulator.batch_jobs import DEPENDENT, new_job
from simferry.emulator.calls import Refusal

DEFINITION = {"jobDefinitionArn": "arn:one:1", "containerProperties": container("true")}
LOST, EXITED = "Host EC2 (instance i-1) terminated.", "Essential container in task exited"


@pytest.fixture
def submit():
    """Makes jobs, and keeps them for dependencies."""
    known = {}

    def submit(array=0, definition=DEFINITION, **request):
        many = {"arrayProperties": {"size": array}} if array else {}
        job, run = new_job({"jobName": "job", **many, **request}, definition, "arn:q/queue", "us-east-1", known)
        known.update({one.id: one for one in (job, *job.children)})
        assert run == (job.children or [job])
        return job

    return submit


@pytest.mark.parametrize(
    ("reason", "told", "code", "again"),
    [
        (LOST, "", None, True),
        (EXITED, "", 1, False),
        (EXITED, "OutOfMemoryError: Container killed due to memory usage", 137, False),
        ("Task failed to start", "CannotPullContainerError: no such image", None, False),
        ("Your Spot Task was interrupted.", "", None, True),
        ("an unknown one", "", None, False),
    ],
)
def test_simferrys_rules_try_only_lost_hosts_again(submit, reason, told, code, again):
    job = submit(retryStrategy={"attempts": 3, "evaluateOnExit": RETRIES})
    assert job.retries(reason, told, code) is again


@pytest.mark.parametrize(
    ("rules", "code", "again"),
    [
        ([], 1, True),  # without a rule that matches it is tried again
        ([{"onExitCode": "2", "action": "EXIT"}], 1, True),
        ([{"onExitCode": "1", "action": "exit"}], 1, False),
        ([{"onExitCode": "1*", "action": "EXIT"}], 137, False),
        ([{"onExitCode": "1", "action": "EXIT"}], 137, True),
        ([{"onExitCode": "1", "onReason": "Out*", "action": "EXIT"}], 1, True),  # all of its conditions have to match
        ([{"onExitCode": "1", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}], 1, True),  # the first counts
        ([{"onStatusReason": "Essential[*", "action": "EXIT"}], 1, True),  # no other wildcards
    ],
)
def test_rules_of_retries(submit, rules, code, again):
    job = submit(retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    assert job.retries(EXITED, "", code) is again
    job.attempts = [{}, {}]
    assert not job.retries(EXITED, "", code)


def test_a_definitions_strategy_and_timeout_are_replaced_by_those_of_the_submission(submit):
    definition = {**DEFINITION, "retryStrategy": {"attempts": 3}, "timeout": {"attemptDurationSeconds": 60}}
    one, other = (
        submit(definition=definition),
        submit(definition=definition, retryStrategy={"attempts": 1}, timeout={"attemptDurationSeconds": 90}),
    )
    assert (one.strategy["attempts"], one.seconds_at_most) == (3, 60)
    assert (other.strategy["attempts"], other.seconds_at_most) == (1, 90)
    assert submit().seconds_at_most == float("inf") and submit().strategy == {"attempts": 1}


def test_a_job_waits_for_another_one_and_fails_with_it(submit):
    first = submit()
    second, third = submit(dependsOn=[{"jobId": first.id}]), submit(2, dependsOn=[{"jobId": first.id}])
    assert (first.status, second.status, [one.status for one in third.children]) == (
        "RUNNABLE",
        "PENDING",
        2 * ["PENDING"],
    )
    assert not second.may_start() and not third.children[1].may_start()
    first.end("SUCCEEDED", "")
    assert second.may_start() and third.children[1].may_start()
    fourth = submit(dependsOn=[{"jobId": third.id}])
    third.children[0].end("SUCCEEDED", "")
    assert not fourth.may_start() and not fourth.over
    third.children[1].end("FAILED", "")
    assert not fourth.may_start() and (fourth.status, fourth.reason) == ("FAILED", DEPENDENT)


def test_children_one_after_the_other(submit):
    array = submit(3, dependsOn=[{"type": "SEQUENTIAL"}])
    assert [one.may_start() for one in array.children] == [True, False, False]
    array.children[0].end("SUCCEEDED", "")
    assert [one.may_start() for one in array.children] == [False, True, False]
    array.children[1].end("FAILED", "")
    assert not array.children[2].may_start() and array.children[2].reason == DEPENDENT
    assert (array.state, array.reason) == ("FAILED", "Array Child Job failed")


def test_children_wait_for_their_own_number(submit):
    first = submit(2)
    second = submit(2, dependsOn=[{"jobId": first.id, "type": "N_TO_N"}])
    first.children[1].end("SUCCEEDED", "")
    assert [one.may_start() for one in second.children] == [False, True]


@pytest.mark.parametrize(
    ("array", "need", "words"),
    [
        (0, {"type": "SEQUENTIAL"}, "for array jobs"),
        (3, {"type": "N_TO_N"}, "same size"),
        (2, {"type": "SEQUENTIAL"}, None),
        (2, {"jobId": "nowhere"}, "nowhere"),
        (2, {}, "not valid"),
    ],
)
def test_dependencies_that_are_refused(submit, array, need, words):
    if need.get("type") == "N_TO_N":
        need = {**need, "jobId": submit(2).id}
    if words is None:  # SEQUENTIAL is of one array
        need, words = {**need, "jobId": submit(2).id}, "not valid"
    with pytest.raises(Refusal, match=words):
        submit(array, dependsOn=[need])


def test_a_job_that_waits_is_cancelled_when_what_it_needs_has_ended(submit):
    first = submit()
    second = submit(dependsOn=[{"jobId": first.id}])
    second.cancelled = "enough"
    assert not second.may_start() and not second.over
    first.end("SUCCEEDED", "")
    assert not second.may_start() and (second.status, second.reason) == ("FAILED", "enough")


def test_the_state_of_an_array_follows_from_its_children(submit):
    array = submit(3)
    array.children[1].status = "RUNNING"
    array.children[2].end("SUCCEEDED", "")
    assert array.state == "PENDING"
    counts = array.describe()["arrayProperties"]["statusSummary"]
    assert counts == {
        "SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 1, "STARTING": 0, "RUNNING": 1, "SUCCEEDED": 1, "FAILED": 0,
    }  # fmt: skip
    for one in array.children:
        one.started = 100.0 + one.index
        one.end("SUCCEEDED", "")
    array.children[0].stopped = 300.0
    array.children[1].stopped = array.children[2].stopped = 200.0
    assert array.state == "SUCCEEDED"
    told = array.describe()
    assert (told["startedAt"], told["stoppedAt"]) == (100_000, 300_000) and "statusReason" not in told
    assert [one.summary()["arrayProperties"] for one in (array, array.children[2])] == [{"size": 3}, {"index": 2}]


def test_several_containers_are_told_of_each(submit):
    definition = {"jobDefinitionArn": "arn:one:1", **task(container(name="a"), container(name="b"))}
    job = submit(definition=definition)
    job.container = {"taskArn": "arn:task", "of": {"a": {"logStreamName": "l"}, "b": {"exitCode": 3}}}
    told = job.told_of_attempt("a", {"exitCode": 0})
    assert told == {
        "taskProperties": [
            {
                "taskArn": "arn:task",
                "containers": [{"name": "a", "logStreamName": "l", "exitCode": 0}, {"name": "b", "exitCode": 3}],
            }
        ]
    }
    shown = job.describe()["ecsProperties"]["taskProperties"][0]
    assert [(one["name"], one["exitCode"]) for one in shown["containers"]] == [("a", 0), ("b", 3)]
    assert "container" not in job.summary() and job.vcpus == 2
