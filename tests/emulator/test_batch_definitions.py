"""Job definitions of AWS Batch, and what submissions may say against them."""

import pytest
from batch_requests import container, size, task
from simferry.emulator.batch_definitions import Definitions, check_submission, overridden
from simferry.emulator.calls import Refusal

HERE, ROLE = "us-east-1", "arn:aws:iam::123456789012:role/tasks"
FARGATE = {"platformCapabilities": ["FARGATE"]}


@pytest.fixture
def definitions():
    return Definitions(lambda role: role == ROLE)


def register(definitions, properties, name="one", **more):
    given = properties if "ecsProperties" in properties else {"containerProperties": properties}
    return definitions.register({"jobDefinitionName": name, "type": "container", **given, **more}, HERE)


def named(name, *needs, **more):
    return container(name=name, dependsOn=[{"containerName": n, "condition": c} for n, c in needs], **more)


def mounted(volume, **more):
    return container(
        mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}], volumes=[{"name": "v", **volume}], **more
    )


def test_each_registration_is_a_revision(definitions):
    first, second = (register(definitions, container("true")) for _ in range(2))
    assert (first["revision"], second["revision"]) == (1, 2)
    register(definitions, container(), name="other")

    def shown(**asked):
        return [
            one["jobDefinitionArn"].rpartition("/")[2] for one in definitions.describe(asked, HERE)["jobDefinitions"]
        ]

    assert shown(jobDefinitionName="one") == shown(jobDefinitions=["one"]) == ["one:2", "one:1"]
    assert shown(jobDefinitions=["one:1", "nowhere"]) == shown(jobDefinitions=[first["jobDefinitionArn"]]) == ["one:1"]
    assert definitions.find("one", HERE)["revision"] == 2
    definitions.deregister({"jobDefinition": second["jobDefinitionArn"]}, HERE)
    assert definitions.find("one", HERE)["revision"] == 1
    assert shown(jobDefinitionName="one", status="ACTIVE") == ["one:1"] and shown(status="INACTIVE") == ["one:2"]
    assert definitions.find("one:2", HERE)["status"] == "INACTIVE"  # it stays for the jobs that have it
    for name, region in (("nowhere", HERE), ("one:3", HERE), ("one", "eu-west-1")):
        with pytest.raises(Refusal, match="not found"):
            definitions.find(name, region)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        # what would reach this machine
        (mounted({"host": {"sourcePath": "/var/run/docker.sock"}}), "mounts no folder of this machine"),
        (task(named("a"), volumes=[{"name": "v", "host": {"sourcePath": "/"}}]), "mounts no folder of this machine"),
        (mounted({"efsVolumeConfiguration": {"fileSystemId": "fs-1"}}), "no file systems of EFS"),
        (container(privileged=True), "no privileged"),
        (task(named("a"), named("b", privileged=True)), "no privileged"),
        (container(linuxParameters={"devices": [{"hostPath": "/dev/kvm"}]}), "no linuxParameters"),
        (task(named("a"), pidMode="host"), "no pidMode"),
        (task(named("a"), ipcMode="host"), "no ipcMode"),
        (container(mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}]), "Unknown volume 'v'"),
        (container(mountPoints=[{"sourceVolume": "/etc", "containerPath": "/v"}], volumes=[{"name": "/etc"}]), "valid pattern"),
        (container(mountPoints=[{"sourceVolume": "v", "containerPath": "/v:z"}], volumes=[{"name": "v"}]), "absolute path"),
        # what is not there
        (container(secrets=[{"name": "A", "valueFrom": "arn:1"}]), "no secrets"),
        (container(ulimits=[{"name": "nofile", "hardLimit": 9, "softLimit": 9}]), "no ulimits"),
        (container(logConfiguration={"logDriver": "splunk"}), "log driver awslogs only"),
        (container(resourceRequirements=[*size(), {"type": "GPU", "value": "1"}]), "no GPUs"),
        # what the service refuses
        ({"ecsProperties": {"taskProperties": []}}, "exactly one element"),
        (task(), "1 to 10 containers"),
        (task(*(named(f"c{n}") for n in range(11))), "1 to 10 containers"),
        (task(named("a"), named("a")), "names of their own"),
        (task(named("a", essential=False)), "must be essential"),
        (task(named("a", ("b", "START"))), "dependsOn of container a is not valid"),
        (task(named("a", ("b", "SUCCESS")), named("b")), "can't be set on an essential container"),
        (task(named("a", ("b", "START")), named("b", ("a", "START"))), "in a circle"),
        (container(resourceRequirements=size()[:1]), "resourceRequirements of VCPU and MEMORY"),
        (container(resourceRequirements=size(0.5)), "whole number"),
        (container(resourceRequirements=[*size()[:1], {"type": "MEMORY", "value": "2G"}]), "must be numbers"),
        (container(resourceRequirements=size(1, 3)), "at least 4 MiB"),
        ({"image": "", "resourceRequirements": size()}, "must have an image"),
        (container(environment=[{"name": "AWS_BATCH_JOB_ID", "value": "1"}]), "reserved"),
        (container(jobRoleArn="arn:aws:iam::123456789012:role/none"), "can't be assumed by ecs-tasks"),
    ],
)  # fmt: skip
def test_containers_that_are_refused(definitions, properties, words):
    with pytest.raises(Refusal, match=words) as caught:
        register(definitions, properties)
    assert caught.value.code == "ClientException" and not definitions.describe({}, HERE)["jobDefinitions"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60 seconds"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"retryStrategy": {"evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]}}, "attempts must be given"),
        (
            {"retryStrategy": {"attempts": 2, "evaluateOnExit": 6 * [{"onExitCode": "1", "action": "EXIT"}]}},
            "at most 5",
        ),
        (
            {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*a", "action": "EXIT"}]}},
            "at the end only",
        ),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onExitCode": "a", "action": "EXIT"}]}}, "only digits"),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}]}}, "needs patterns"),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "a", "action": "WAIT"}]}}, "RETRY or EXIT"),
    ],
)
def test_limits_that_are_refused_of_definitions_and_of_submissions(definitions, more, words):
    with pytest.raises(Refusal, match=words):
        register(definitions, container(), **more)
    register(definitions, container())
    with pytest.raises(Refusal, match=words):
        check_submission({"jobName": "job", **more}, definitions.find("one", HERE))


def test_other_kinds_and_long_definitions(definitions):
    with pytest.raises(Refusal, match="type container only"):
        definitions.register({"jobDefinitionName": "a", "type": "multinode", "nodeProperties": {}}, HERE)
    with pytest.raises(Refusal, match="Exactly one of containerProperties and ecsProperties"):
        register(definitions, container(), ecsProperties=task(named("a"))["ecsProperties"])
    with pytest.raises(Refusal, match="larger than 24576 bytes"):
        register(definitions, container("x" * 25_000))


@pytest.mark.parametrize(
    ("vcpus", "mib", "good"), [(0.25, 512, True), (0.25, 4096, False), (2, 4096, True), (3, 8192, False)]
)
def test_fargate_has_some_sizes(definitions, vcpus, mib, good):
    given = container(resourceRequirements=size(vcpus, mib), executionRoleArn=ROLE)
    if good:
        assert register(definitions, given, **FARGATE)["revision"] == 1
    else:
        with pytest.raises(Refusal, match="Fargate resource requirements"):
            register(definitions, given, **FARGATE)


def test_a_task_has_one_of_fargates_sizes(definitions):
    with pytest.raises(Refusal, match="executionRoleArn"):
        register(definitions, container(resourceRequirements=size(1, 2048)), **FARGATE)
    parts = [named("a", resourceRequirements=size(0.25, 512)), named("b", resourceRequirements=size(1.75, 3584))]
    register(definitions, task(*parts, executionRoleArn=ROLE), **FARGATE)
    register(definitions, container(resourceRequirements=size(1, 2048), executionRoleArn=ROLE), name="two", **FARGATE)
    larger = {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "8"}]}}
    with pytest.raises(Refusal, match="Fargate resource requirements"):
        check_submission({"jobName": "job", **larger}, definitions.find("two", HERE))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"jobName": "a b"}, "valid pattern"),
        ({"arrayProperties": {"size": 1}}, "between 2 and 10000"),
        ({"arrayProperties": {"size": 10_001}}, "between 2 and 10000"),
        ({"arrayProperties": {}}, "between 2 and 10000"),
        ({"dependsOn": 21 * [{"jobId": "1"}]}, "at most 20 jobs"),
        ({"parameters": {"a": "x" * 31_000}}, "larger than 30 KiB"),
        ({"shareIdentifier": "me"}, "no shareIdentifier"),
        ({"nodeOverrides": {}}, "no nodeOverrides"),
        ({"ecsPropertiesOverride": {"taskProperties": []}}, "does not fit the job definition"),
        ({"containerOverrides": {"memory": 512}}, "no memory in overrides"),
        ({"containerOverrides": {"resourceRequirements": size(1.5)}}, "whole number"),
        ({"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}}, "reserved"),
    ],
)
def test_submissions_that_are_refused(definitions, more, words):
    register(definitions, container("true"))
    definition = definitions.find("one", HERE)
    check_submission({"jobName": "job"}, definition)
    with pytest.raises(Refusal, match=words):
        check_submission({"jobName": "job", **more}, definition)


def test_overrides_of_several_containers_are_by_name(definitions):
    register(definitions, task(named("a"), named("b")))
    definition = definitions.find("one", HERE)
    with pytest.raises(Refusal, match="containerOverrides does not fit"):
        check_submission({"jobName": "job", "containerOverrides": {}}, definition)

    def change(name):
        return {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": name, "command": ["false"]}]}]}}

    with pytest.raises(Refusal, match="no container c"):
        check_submission({"jobName": "job", **change("c")}, definition)
    check_submission({"jobName": "job", **change("b")}, definition)
    assert [one["command"] for one in overridden(change("b"), definition)] == [[], ["false"]]


def test_what_a_submission_changes(definitions):
    given = container(
        "echo", "Ref::who", "Ref::none", environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    )
    register(definitions, given, parameters={"who": "world"})
    definition = definitions.find("one", HERE)
    (plain,) = overridden({}, definition)
    assert plain["command"] == ["echo", "world", "Ref::none"]
    (changed,) = overridden(
        {
            "parameters": {"who": "you"},
            "containerOverrides": {
                "environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
                "resourceRequirements": size(2)[:1],
            },
        },
        definition,
    )
    assert changed["command"] == ["echo", "you", "Ref::none"]
    assert {one["name"]: one["value"] for one in changed["environment"]} == {"A": "1", "B": "3", "C": "4"}
    assert {one["type"]: one["value"] for one in changed["resourceRequirements"]} == {"VCPU": "2", "MEMORY": "256"}
