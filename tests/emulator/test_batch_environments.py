"""Compute environments and job queues of AWS Batch."""

import pytest
from batch_requests import MACHINES, ON_FARGATE, limit
from simferry.emulator.batch_environments import INVALID, Environments, page_of
from simferry.emulator.calls import Refusal

HERE = "us-east-1"


@pytest.fixture
def ended():
    return []


@pytest.fixture
def units(ended):
    """With the compute environments a and b, and one on Fargate."""
    made = Environments(ended.append)
    for name, resources in (("a", MACHINES), ("b", {**MACHINES, "maxvCpus": 4}), ("fargate", ON_FARGATE)):
        make(made, name, **resources)
    return made


def make(units, name, **resources):
    given = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": resources}
    return units.create_environment(given, HERE)["computeEnvironmentArn"]


def queue(units, *environments, name="queue", **more):
    order = [{"order": n, "computeEnvironment": one} for n, one in enumerate(environments)]
    given = {"jobQueueName": name, "priority": 1, "computeEnvironmentOrder": order, **more}
    return units.create_queue(given, HERE)["jobQueueArn"]


def without(name):
    return {key: value for key, value in MACHINES.items() if key != name}


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (without("subnets"), "subnets is required"),
        (without("instanceTypes"), "instanceTypes is required"),
        (without("instanceRole"), "instanceRole is required"),
        ({**ON_FARGATE, "instanceTypes": ["optimal"]}, "instanceTypes can't be specified for Fargate"),
        ({**ON_FARGATE, "minvCpus": 0}, "minvCpus can't be specified for Fargate"),
        ({**MACHINES, "minvCpus": 17}, "minvCpus must not exceed maxvCpus"),
    ],
)
def test_compute_environments_that_are_refused(units, resources, words):
    with pytest.raises(Refusal, match=words):
        make(units, "c", **resources)
    assert len(units.describe_environments({}, HERE)["computeEnvironments"]) == 3


def test_names_and_regions(units):
    with pytest.raises(Refusal, match="should match valid pattern"):
        make(units, "-a", **MACHINES)
    with pytest.raises(Refusal, match="already exists"):
        make(units, "a", **MACHINES)
    assert units.describe_environments({}, "eu-west-1")["computeEnvironments"] == []
    (found,) = units.describe_environments({"computeEnvironments": ["a", "nowhere"]}, HERE)["computeEnvironments"]
    assert (found["status"], found["state"], found["computeResources"]["desiredvCpus"]) == ("VALID", "ENABLED", 0)


@pytest.mark.parametrize(
    ("environments", "more", "words"),
    [
        ([], {}, "takes 1 to 3"),
        (["a", "b", "a", "b"], {}, "takes 1 to 3"),
        (["a", "fargate"], {}, "can't be in one job queue"),
        (["nowhere"], {}, "does not exist"),
        (["a"], {"priority": 1001}, "between 0 and 1000"),
        (["a"], {"schedulingPolicyArn": "arn:1"}, "no scheduling policies"),
        (["a"], {"jobStateTimeLimitActions": [limit(seconds=599)]}, "between 600 and 86400"),
        (["a"], {"jobStateTimeLimitActions": [limit("NO:LUCK")]}, "NO:LUCK is not a reason"),
        (["a"], {"jobStateTimeLimitActions": [{**limit(), "action": "TERMINATE"}]}, "action CANCEL"),
    ],
)
def test_queues_that_are_refused(units, environments, more, words):
    with pytest.raises(Refusal, match=words):
        queue(units, *environments, **more)
    assert units.describe_queues({}, HERE)["jobQueues"] == []
    made = queue(units, "a")
    if "priority" in more or "jobStateTimeLimitActions" in more:
        with pytest.raises(Refusal, match=words):
            units.update_queue({"jobQueue": made, "state": "DISABLED", **more}, HERE)
        assert units.queue(made, HERE)["state"] == "ENABLED"  # nothing is changed by half


def test_a_change_of_an_environment_is_checked(units):
    with pytest.raises(Refusal, match="between EC2 and Fargate"):
        units.update_environment({"computeEnvironment": "a", "computeResources": {"type": "FARGATE"}}, HERE)
    with pytest.raises(Refusal, match="must not exceed"):
        units.update_environment({"computeEnvironment": "a", "computeResources": {"minvCpus": 99}}, HERE)
    units.update_environment({"computeEnvironment": "a", "computeResources": {"maxvCpus": 99}}, HERE)
    assert units.describe_environments({"computeEnvironments": ["a"]}, HERE)["computeEnvironments"][0][
        "computeResources"
    ] == {**MACHINES, "maxvCpus": 99, "desiredvCpus": 0}


def test_what_is_deleted_is_disabled_and_free_first(units, ended):
    made = queue(units, "a")
    with pytest.raises(Refusal, match="state must be DISABLED"):
        units.delete_queue({"jobQueue": made}, HERE)
    with pytest.raises(Refusal, match="state must be DISABLED"):
        units.delete_environment({"computeEnvironment": "a"}, HERE)
    units.update_environment({"computeEnvironment": "a", "state": "DISABLED"}, HERE)
    with pytest.raises(Refusal, match="JobQueue relationship"):
        units.delete_environment({"computeEnvironment": "a"}, HERE)
    units.update_queue({"jobQueue": "queue", "state": "DISABLED"}, HERE)
    assert ended == []
    for _ in range(2):  # the second time they are gone
        assert units.delete_queue({"jobQueue": made}, HERE) == {}
        assert units.delete_environment({"computeEnvironment": "a"}, HERE) == {}
    assert ended == [made]  # the service terminates a queue's jobs with it
    with pytest.raises(Refusal, match="not found"):
        units.queue(made, HERE)


def test_where_a_job_runs_and_why_it_does_not(units):
    made = units.queue(queue(units, "b", "a"), HERE)
    assert units.place_for(made, 4) == ("b", "")
    assert units.place_for(made, 5) == ("a", "")
    place, why = units.place_for(made, 17)
    assert place == "" and why.startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")
    units.update_environment({"computeEnvironment": "b", "state": "DISABLED"}, HERE)
    assert units.place_for(made, 4) == ("a", "")
    units.update_environment({"computeEnvironment": "a", "state": "DISABLED"}, HERE)
    assert units.place_for(made, 4) == ("", "")  # the service gives no reason of its own
    for one in units.environments.values():
        one["status"] = "INVALID"
    assert units.place_for(made, 4) == ("", INVALID)
    with pytest.raises(Refusal, match="must be VALID"):
        queue(units, "a", name="other")


def test_pages():
    first = page_of([*range(5)], {"maxResults": 2}, 4, "found")
    assert first == {"found": [0, 1], "nextToken": "2"}
    assert page_of([*range(5)], {"maxResults": 9, "nextToken": "1"}, 4, "found") == {"found": [1, 2, 3, 4]}
    for bad in ({"nextToken": "x"}, {"maxResults": 0}):
        with pytest.raises(Refusal) as caught:
            page_of([1], bad, 4, "found")
        assert caught.value.code == "ClientException"
