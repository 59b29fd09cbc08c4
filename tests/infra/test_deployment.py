"""simferry.infra.deploy: what is told, what is made, and attempts that fail or are interrupted."""

import boto3
import pytest
from simferry import infra
from simferry.aws import stacks
from simferry.aws.stacks import StackError
from simferry.emulator.templates import Template
from simferry.errors import Interrupted, UsageError
from simferry.infra import deployment, templates

RESOURCES = list(Template(templates.template()).resources)


@pytest.fixture
def told():
    return []


@pytest.fixture
def deploy(emulator, told):
    return lambda name=None, **options: infra.deploy(name, **{"yes": True, "tell": told.append, **options})


def left(emulator):
    """What there is beside that of the emulator."""
    buckets = {one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"]} - {emulator.bucket}
    roles = {one["RoleName"] for one in boto3.client("iam").list_roles()["Roles"]} - {"simferry"}
    policies = [one["PolicyName"] for one in boto3.client("iam").list_policies(Scope="Local")["Policies"]]
    repositories = [one["repositoryName"] for one in boto3.client("ecr").describe_repositories()["repositories"]]
    return [*buckets, *roles, *policies, *repositories]


def test_a_stack_is_made_and_changed(emulator, deploy, told):
    asked = []
    assert deploy(yes=False, confirm=asked.append) is None  # whose answer is None
    assert asked == ["Deploy?"] and told[-1] == "nothing is changed" and left(emulator) == []
    assert stacks.find("simferry") is None
    told.clear()
    found = deploy(parameters={"KeepImages": 7.0})  # as R sends numbers
    assert told[0] == "stack simferry in us-east-1, account 123456789012: new"
    assert [line.split()[1:3] for line in told[1:7]] == [
        ["add", name] for name in Template(templates.template()).order()
    ]
    assert {line.split()[0] for line in told if line.endswith(" made")} == set(RESOURCES) and told[
        -1
    ] == "simferry is ready"
    assert len(left(emulator)) == 5 and all(name.startswith("simferry-") for name in left(emulator))
    assert (found.instances, found.dollars_an_hour, found.dollars_a_month) == (0, 0, 0)
    bucket = found.outputs["Bucket"]
    tags = {tag["Key"]: tag["Value"] for tag in boto3.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags == {"made-by": "simferry", "simferry:stack": "simferry"}
    told.clear()
    assert deploy() == found and told == ["stack simferry is as the template says"]  # KeepImages too
    told.clear()
    deploy(parameters={"DeleteRunsAfterDays": 9})
    assert [line.split() for line in told[1:3]] == [
        ["~", "change", "Bucket", "AWS::S3::Bucket", "(LifecycleConfiguration)"], ["Bucket", "changed"]
    ]  # fmt: skip
    assert stacks.find("simferry").parameters == {"DeleteRunsAfterDays": "9", "KeepImages": "7"}


def test_what_is_lost_is_marked(deploy, told, tmp_path):
    deploy()
    mine = tmp_path / "mine.yaml"
    text = templates.template().replace(
        "      EmptyOnDelete: true", "      EmptyOnDelete: true\n      RepositoryName: lab"
    )
    mine.write_text(text[: text.index("  SubmitterRole: #")] + text[text.index("Outputs:") :].replace(
        text[text.index("  SubmitterRole:\n    Description"):text.index("  Command:\n")], ""))  # fmt: skip
    told.clear()
    deploy(template=mine)
    marked = {line.split()[2]: line.split()[:2] for line in told if line.startswith("  ! ") or line.startswith("  - ")}
    assert marked == {"Repository": ["!", "replace"], "SubmitterRole": ["-", "remove"]}
    assert "~ change      SubmitterPolicy" in "\n".join(told)  # which refers to the repository
    assert any(line.split() == ["Repository", "kept"] for line in told)  # the old one, with its images


def test_what_becomes_of_data_is_said_before(emulator, deploy, told, tmp_path):
    """The bucket would stay, the repository goes with its images: the answer may then be no."""
    bucket, repository = (deploy().outputs[name] for name in ("Bucket", "Repository"))
    text, mine = templates.template(), tmp_path / "mine.yaml"
    named = "    Properties:\n      BucketEncryption"
    mine.write_text(text.replace(named, named.replace("BucketEncryption", "BucketName: mine\n      BucketEncryption")))
    deploy(template=mine, yes=False, confirm=lambda question: False)
    assert f"AWS::S3::Bucket  (BucketName): the old one, {bucket}, stays, outside of the stack" in "\n".join(told)
    text = text[: text.index("  Bucket:\n    Type")] + text[text.index("  JobRole: #") :]
    for old, new in {
        "!GetAtt Repository.Arn": "'*'", "!GetAtt Repository.RepositoryUri": "none", "!GetAtt Bucket.Arn": "'*'",
        "!Ref Bucket\n": f"{emulator.bucket}\n", "${Bucket.Arn}": "arn:aws:s3:::none", "${Bucket}": "none",
        "Conditions:\n  RunsExpire: !Not [!Equals [!Ref DeleteRunsAfterDays, 0]]\n": "",
    }.items():  # fmt: skip
        text = text.replace(old, new)
    mine.write_text(text)
    deploy(template=mine, yes=False, confirm=lambda question: False)
    name = repository.partition("/")[2]
    assert f"AWS::S3::Bucket: {bucket} stays, outside of the stack" in "\n".join(told)
    assert f"AWS::ECR::Repository: {name} is deleted" in "\n".join(told)
    deploy(template=mine)
    assert {one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"]} == {bucket, emulator.bucket}
    assert boto3.client("ecr").describe_repositories()["repositories"] == []


def test_a_creation_that_fails_leaves_nothing_and_can_be_repeated(emulator, deploy, told):
    """At each resource."""
    for name in RESOURCES:
        emulator.faults.resources["create", name] = "quota exceeded"
        with pytest.raises(StackError, match=rf"{name} .* can't be created: quota exceeded"):
            deploy()
        assert left(emulator) == [] and stacks.find("simferry").status == "ROLLBACK_COMPLETE"
        emulator.faults.resources.clear()
    asked = []
    assert deploy(yes=False, confirm=lambda question: bool(asked.append(question))) is None
    assert asked == ["Delete what is left of it?"]
    assert deploy().stacks == {"simferry": "CREATE_COMPLETE"}
    assert "could not be made the last time (ROLLBACK_COMPLETE)" in "\n".join(told)


def test_an_update_that_fails(emulator, deploy, told):
    """At each resource that the parameters change; also the way back may fail, and is gone on with."""
    deploy()
    change = {"DeleteRunsAfterDays": 9, "KeepImages": 3}
    for name in ("Bucket", "Repository"):
        emulator.faults.resources["update", name] = "not now"
        with pytest.raises(StackError, match=rf"{name} .* can't be changed: not now\nThe stack is as it was before"):
            deploy(parameters=change)
        emulator.faults.resources.clear()
        assert stacks.find("simferry").parameters == {"DeleteRunsAfterDays": "0", "KeepImages": "30"}
    emulator.faults.resources |= {("update", "Repository"): "not now", ("rollback", "Bucket"): "nor back"}
    with pytest.raises(StackError, match="goes on with the way back"):
        deploy(parameters=change)
    emulator.faults.resources.clear()
    told.clear()
    assert deploy(parameters=change).stacks == {"simferry": "UPDATE_COMPLETE"}
    assert told[0] == "stack simferry: going on with the rollback of an update that failed"


def test_an_interruption_says_how_to_go_on(emulator, deploy, told):
    def interrupted(line):
        if line.endswith("made"):
            raise KeyboardInterrupt

    with pytest.raises(
        Interrupted, match=r"CloudFormation goes on with stack lab\nsimferry.infra.deploy\(name=\"lab\"\)"
    ):
        deploy("lab", tell=interrupted)
    assert deploy("lab").stacks == {"lab": "CREATE_COMPLETE"}  # it waits for the end of that, if need be
    with pytest.raises(KeyboardInterrupt):
        deploy("other", yes=False, confirm=lambda question: interrupted("made"))
    assert stacks.find("other") is None


def test_a_stack_that_somebody_changes_is_waited_for(emulator, deploy, told):
    deploy()
    stack = emulator.stacks.stacks[0]
    real = stack.fails

    def slow(verb, name):
        import time

        time.sleep(0.3)
        return real(verb, name)

    stack.fails = slow
    proposal = stacks.propose(
        "simferry",
        templates.template(),
        {"KeepImages": "3"},
        {stacks.TAG: "simferry", "made-by": "simferry"},
        stacks.find("simferry"),
    )
    boto3.client("cloudformation").execute_change_set(ChangeSetName=proposal.arn)
    told.clear()
    deploy()
    assert told[0] == "stack simferry is being changed (UPDATE_IN_PROGRESS): waiting for the end of that"
    assert (
        told[-1] == "stack simferry is as the template says" and stacks.find("simferry").parameters["KeepImages"] == "3"
    )


def test_a_stack_that_is_not_ours_is_left_alone(deploy):
    logs = "Resources: {A: {Type: AWS::Logs::LogGroup}}"
    boto3.client("cloudformation").create_stack(StackName="website", TemplateBody=logs)
    for verb in (deploy, lambda name: infra.delete(name, yes=True)):
        with pytest.raises(UsageError, match="the stack website in us-east-1 is not simferry's"):
            verb("website")


def test_a_stack_in_another_region_is_named(deploy, told, monkeypatch):
    deploy()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    forget()
    with pytest.raises(
        UsageError, match=r"there is no stack simferry in us-west-2\nThere is one in us-east-1: .*infra.deploy"
    ):
        infra.show()
    told.clear()
    assert deploy().region == "us-west-2" and told[0] == "note: there is a stack simferry in us-east-1, too"
    told.clear()
    assert infra.delete(data=True, yes=True, tell=told.append) and "us-east-1" not in "\n".join(told)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    forget()
    assert infra.show().stored[0].what == "bucket"


def forget():
    from simferry.aws import session

    for function in (session.session, session.client, session.account):
        function.cache_clear()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("9a", {}, "'9a' is no name for a stack\nNames have letters"),
        ("a_b", {}, "'a_b' is no name"),
        (None, {"parameters": {"KeepImagez": 3}}, "the template has no parameter KeepImagez\nDid you mean KeepImages"),
        (None, {"parameters": {"KeepImages": 0}}, "refuses the change of stack simferry: .*KeepImages"),
        (None, {"yes": False, "confirm": deployment.ask}, "there is no terminal on which to ask\nyes=True"),
    ],
)
def test_bad_input(emulator, deploy, name, options, words):
    with pytest.raises((UsageError, StackError), match=words):
        deploy(name, **options)
    assert left(emulator) == [] and stacks.find("simferry") is None
