"""simferry.infra.deploy: what is told, what is made, and attempts that fail or are interrupted."""

import boto3
import pytest
from simferry import infra
from simferry.aws import stacks
from simferry.aws.stacks import StackError
from simferry.emulator.templates import Template
from simferry.errors import Interrupted, UsageError
from simferry.infra import deployment, templates

BASE, BATCH = (Template(templates.template(one)) for one in ("base", "batch"))
STACKS = {"simferry": "CREATE_COMPLETE", "simferry-batch": "CREATE_COMPLETE"}
LOGS = "Resources: {A: {Type: AWS::Logs::LogGroup}}"


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
    return [*buckets, *roles, *policies, *repositories, *left_of_batch()]


def left_of_batch():
    batch = boto3.client("batch")
    logs = boto3.client("logs").describe_log_groups()["logGroups"]
    environments = batch.describe_compute_environments()["computeEnvironments"]
    queues = batch.describe_job_queues()["jobQueues"]
    return [
        *(one["logGroupName"] for one in logs),
        *(one["computeEnvironmentName"] for one in environments),
        *(one["jobQueueName"] for one in queues),
    ]


def made(told):
    return [line.split()[0] for line in told if line.endswith(" made")]


def test_both_stacks_are_made_and_changed(emulator, deploy, told):
    asked = []
    assert deploy(yes=False, confirm=asked.append) is None  # whose answer is None
    assert asked == ["Deploy?"] and told[-1] == "nothing is changed" and left(emulator) == []
    assert stacks.find("simferry") is None and stacks.find("simferry-batch") is None
    told.clear()
    found = deploy(
        yes=False, confirm=lambda question: question == "Deploy?", parameters={"KeepImages": 7.0}
    )  # as R has it
    assert told[0] == "stack simferry in us-east-1, account 123456789012: new"
    assert [line.split()[1:3] for line in told[1:7]] == [["add", name] for name in BASE.order()]
    kinds = sorted({one["Type"] for one in BATCH.resources.values()})
    assert told[7] == "stack simferry-batch: new, after that one"
    assert [line.split() for line in told[8 : 8 + len(kinds)]] == [["+", "add", kind] for kind in kinds]
    assert made(told) == [*BASE.order(), *BATCH.order()] and told[-1] == "simferry is ready"
    assert len(left(emulator)) == 5 + 4 + 1 + 3 + 3
    assert (found.instances, found.dollars_an_hour, found.dollars_a_month, found.stacks) == (0, 0, 0, STACKS)
    bucket = found.outputs["Bucket"]
    tags = {tag["Key"]: tag["Value"] for tag in boto3.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags == {"made-by": "simferry", "simferry:stack": "simferry"}
    queues = boto3.client("batch").describe_job_queues(jobQueues=[found.outputs["SpotQueue"]])["jobQueues"]
    assert queues[0]["tags"] == tags
    told.clear()
    assert deploy() == found  # KeepImages too
    assert told == [f"stack {name} is as the template says" for name in STACKS]
    told.clear()
    deploy(parameters={"DeleteRunsAfterDays": 9, "MaxCpus": 64})
    environments = [
        ["~", "change", name, "AWS::Batch::ComputeEnvironment", "(ComputeResources)"]
        for name in ("Spot", "Demand", "Fargate")
    ]
    assert [line.split() for line in told if line.startswith("  ~")] == [
        ["~", "change", "Bucket", "AWS::S3::Bucket", "(LifecycleConfiguration)"], *environments
    ]  # fmt: skip
    assert [line.split()[0] for line in told if line.endswith(" changed")] == ["Bucket", "Spot", "Demand", "Fargate"]
    assert stacks.find("simferry").parameters == {"DeleteRunsAfterDays": "9", "KeepImages": "7"}
    assert stacks.find("simferry-batch").parameters["MaxCpus"] == "64"


def test_what_is_lost_is_marked(deploy, told, tmp_path):
    deploy()
    mine, ours = tmp_path / "mine.yaml", tmp_path / "batch.yaml"
    text = templates.template()
    mine.write_text(text.replace("      EmptyOnDelete: true", "      EmptyOnDelete: true\n      RepositoryName: lab"))
    text = templates.template("batch")
    queue = text[text.index("  FargateQueue:\n    Type") : text.index("\nOutputs:")]
    output = "  FargateQueue:\n    Description: Queue on Fargate\n    Value: !Ref FargateQueue\n"
    ours.write_text(text.replace(queue, "").replace(output, "").replace("Default: 256", "Default: 32"))
    told.clear()
    found = deploy(template=[mine, ours], parameters={"NetworkRange": "10.9.0.0/16"})
    marked = {line.split()[2]: line.split()[:2] for line in told if line.startswith("  ! ") or line.startswith("  - ")}
    assert marked["Repository"] == marked["Network"] == ["!", "replace"] and marked["FargateQueue"] == ["-", "remove"]
    assert "~ change      SubmitterPolicy" in "\n".join(told)  # which refers to the repository
    assert any(line.split() == ["Repository", "kept"] for line in told)  # the old one, with its images
    note = "note: MaxCpus stays 256; the template's default, 32, is for new stacks: simferry.infra.deploy("
    assert next(line for line in told if line.startswith("note")).startswith(note)
    assert "FargateQueue" not in found.outputs and [one.on for one in found.queues] == ["spot", "demand"]
    with pytest.raises(UsageError, match=r"mine\.yaml is a second template base\nOne of base and one of batch"):
        deploy(template=[mine, mine])
    mine.write_text(templates.template("rstudio"))
    with pytest.raises(UsageError, match="is a template of a machine, and would take the place of bucket"):
        deploy(template=mine, parameters={"AcceptLicence": "yes"})


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
    """At each resource of the first stack."""
    for name in BASE.resources:
        emulator.faults.resources["create", name] = "quota exceeded"
        with pytest.raises(StackError, match=rf"simferry: {name} .* can't be created: quota exceeded"):
            deploy()
        assert left(emulator) == [] and stacks.find("simferry").status == "ROLLBACK_COMPLETE"
        emulator.faults.resources.clear()
    asked = []
    assert deploy(yes=False, confirm=lambda question: bool(asked.append(question))) is None
    assert asked == ["Delete what is left of it?"] and stacks.find("simferry-batch") is None


def test_the_second_stack_that_fails_leaves_the_first(emulator, deploy, told):
    """At each of its resources."""
    deploy()
    stacks.remove(stacks.find("simferry-batch"), lambda _: None)
    for name in BATCH.resources:
        emulator.faults.resources["create", name] = "no"
        with pytest.raises(
            StackError, match=rf"simferry-batch: {name} .* can't be created: no\n.*infra.deploy\(\)  tries"
        ):
            deploy()
        assert left_of_batch() == [] and stacks.find("simferry").status == "CREATE_COMPLETE"
        assert stacks.find("simferry-batch").status == "ROLLBACK_COMPLETE"
        emulator.faults.resources.clear()
    told.clear()
    assert deploy().stacks == STACKS
    assert told[0].startswith("stack simferry-batch could not be made the last time (ROLLBACK_COMPLETE)")
    assert "stack simferry is as the template says" in told


def interrupted_by(name):
    def interrupt(line):
        if line.split() == [name, "made"]:
            raise KeyboardInterrupt

    return interrupt


def test_an_update_that_fails(emulator, deploy, told):
    """At each resource that the parameters change; also the way back may fail, and is gone on with."""
    deploy()
    change = {
        "DeleteRunsAfterDays": 9,
        "KeepImages": 3,
        "MaxCpus": 64,
        "KeepLogsDays": 30,
        "GiveUpAfterSeconds": 700,
        "DiskGB": 90,
    }
    of_batch = ("LogGroup", "LaunchTemplate", "Spot", "Demand", "Fargate", "SpotQueue", "DemandQueue", "FargateQueue")
    before = {name: stacks.find(name).parameters for name in STACKS}
    for name in ("Bucket", "Repository", *of_batch):
        emulator.faults.resources["update", name] = "not now"
        with pytest.raises(StackError, match=rf"{name} .* can't be changed: not now\nThe stack is as it was before"):
            deploy(parameters=change)
        emulator.faults.resources.clear()
        if name == "Repository":  # the first stack, and from then on it is as it should be
            assert {name: stacks.find(name).parameters for name in STACKS} == before
        assert stacks.find("simferry-batch").parameters == before["simferry-batch"]
        assert stacks.find("simferry-batch").status in ("CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
    emulator.faults.resources |= {("update", "Spot"): "not now", ("rollback", "LogGroup"): "nor back"}
    with pytest.raises(StackError, match="goes on with the way back"):
        deploy(parameters=change)
    emulator.faults.resources.clear()
    told.clear()
    assert deploy(parameters=change).stacks == dict.fromkeys(STACKS, "UPDATE_COMPLETE")
    assert told[0] == "stack simferry-batch: going on with the rollback of an update that failed"


def test_a_stack_of_an_earlier_version_is_updated_first(deploy, told, monkeypatch):
    """Without exports, and alone. About the second one is asked before the first one is changed."""
    text = templates.template()
    old = "\n".join(line for line in text.splitlines() if "Export:" not in line)
    with monkeypatch.context() as patch:
        patch.setattr(deployment, "packaged", lambda name="base": old)
        patch.setattr(deployment, "_bodies", lambda _: {"base": old, "batch": LOGS})
        deploy()
        stacks.remove(stacks.find("simferry-batch"), lambda _: None)
    told.clear()
    asked = []
    assert deploy(yes=False, confirm=asked.append) is None and asked == ["Deploy?"]
    assert stacks.find("simferry").exports == [] and stacks.find("simferry-batch") is None
    assert told[0] == "stack simferry in us-east-1, account 123456789012: changes"
    assert told[1] == "stack simferry-batch: new, after that one"
    assert deploy().stacks == {"simferry": "UPDATE_COMPLETE", "simferry-batch": "CREATE_COMPLETE"}


def test_a_half_deleted_second_stack_is_deleted_and_made_again(emulator, deploy, told):
    deploy()
    emulator.faults.resources["delete", "Network"] = "in use"
    with pytest.raises(StackError, match=r"Network .* can't be deleted: in use"):
        infra.delete(yes=True, tell=told.append)
    emulator.faults.resources.clear()
    assert stacks.find("simferry").status == "CREATE_COMPLETE"  # the first one waits for the end of the second
    told.clear()
    assert deploy().stacks == STACKS
    assert told[0].startswith("stack simferry-batch could not be deleted the last time (DELETE_FAILED)")


def test_an_interruption_says_how_to_go_on(emulator, deploy, told):
    for resource, stack in (("Bucket", "lab"), ("Network", "lab-batch")):
        with pytest.raises(
            Interrupted, match=rf"CloudFormation goes on with stack {stack}\nsimferry.infra.deploy\(name=\"lab\"\)"
        ):
            deploy("lab", tell=interrupted_by(resource))
    found = deploy("lab")  # it waits for the end of that, if need be
    assert found.stacks == {"lab": "CREATE_COMPLETE", "lab-batch": "CREATE_COMPLETE"}
    assert found.outputs["BaseStack"] == "lab"
    with pytest.raises(KeyboardInterrupt):
        deploy("other", yes=False, confirm=lambda question: interrupted_by("a")("a made"))
    assert stacks.find("other") is None and stacks.find("other-batch") is None


def test_a_stack_that_somebody_changes_is_waited_for(emulator, deploy, told):
    deploy()
    stack = next(one for one in emulator.stacks.stacks if one.name == "simferry")
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
    assert "stack simferry is as the template says" in told and stacks.find("simferry").parameters["KeepImages"] == "3"


def test_a_stack_that_is_not_ours_is_left_alone(deploy):
    cloudformation = boto3.client("cloudformation")
    for name in ("website", "shop-batch"):
        cloudformation.create_stack(StackName=name, TemplateBody=LOGS)
    for verb in (deploy, lambda name: infra.delete(name, yes=True)):
        for name, stack in (("website", "website"), ("shop", "shop-batch")):
            with pytest.raises(UsageError, match=f"the stack {stack} in us-east-1 is not simferry's"):
                verb(name)
    assert stacks.find("shop") is None


def test_names_that_meet(deploy, told):
    """A stack named NAME-batch may be the second one of NAME, or the first one of another name."""
    deploy("lab")
    for verb in (deploy, infra.show, lambda name: infra.delete(name, yes=True)):
        with pytest.raises(
            UsageError, match=r"the stack lab-batch in us-east-1 belongs to that of the name lab\nname=\"lab\""
        ):
            verb("lab-batch")
    for verb in (infra.show, lambda name: infra.delete(name, yes=True)):  # as of a variable that is not set
        with pytest.raises(UsageError, match="'' is no name for a stack"):
            verb("")
    deploy("a-batch")
    with pytest.raises(UsageError, match="the stack a-batch in us-east-1 belongs to that of the name a-batch"):
        deploy("a")
    assert stacks.find("a") is None
    with pytest.raises(UsageError, match="there is no stack a in"):
        infra.show("a")
    told.clear()
    assert infra.delete("a", yes=True, tell=told.append) and told == ["there is no stack a in us-east-1"]


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
    assert infra.show().stored[0].what == "bucket" and set(infra.show().stacks) == set(STACKS)


def forget():
    from simferry.aws import session

    for function in (session.session, session.client, session.account):
        function.cache_clear()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("9a", {}, "'9a' is no name for a stack\nNames have letters"),
        ("a_b", {}, "'a_b' is no name"),
        ("", {}, "'' is no name"),
        (None, {"parameters": {"KeepImagez": 3}}, "the template has no parameter KeepImagez\nDid you mean KeepImages"),
        (None, {"parameters": {"KeepImages": 0}}, "refuses the change of stack simferry: .*KeepImages"),
        (None, {"yes": False, "confirm": deployment.ask}, "there is no terminal on which to ask\nyes=True"),
    ],
)
def test_bad_input(emulator, deploy, name, options, words):
    with pytest.raises((UsageError, StackError), match=words):
        deploy(name, **options)
    assert left(emulator) == [] and stacks.find("simferry") is None
