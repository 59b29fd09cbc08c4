"""simferry.infra.delete: what goes, what stays, and deletions that fail or are repeated."""

import boto3
import pytest
from emulator_fixtures import Jobs, submit_to_batch
from simferry import infra
from simferry.aws import stacks
from simferry.aws.session import AccessDenied
from simferry.aws.stacks import StackError
from simferry.emulator.templates import Template
from simferry.errors import Interrupted, UsageError
from simferry.infra import removal, templates
from simferry.infra.inventory import Job

MANIFEST = (
    '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"size": 1}}'
)


@pytest.fixture
def told():
    return []


@pytest.fixture
def delete(emulator, told):
    return lambda name=None, **options: infra.delete(name, **{"yes": True, "tell": told.append, **options})


@pytest.fixture
def bucket(emulator):
    return infra.deploy(yes=True, tell=lambda line: None).outputs["Bucket"]


def buckets(emulator):
    return [one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"] if one["Name"] != emulator.bucket]


def test_the_bucket_stays_with_results_unless_that_is_said(emulator, bucket, delete, told):
    s3 = boto3.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="simferry/run/a", Body=b"1")
    assert delete(yes=False, confirm=lambda question: False) is False and told[-1] == "nothing is deleted"
    assert stacks.find("simferry").status == "CREATE_COMPLETE"
    told.clear()
    assert delete()
    assert told[:3] == [
        "us-east-1, account 123456789012:", "  - stack simferry-batch (24 resources)", "  - stack simferry (6 resources)"
    ]  # fmt: skip
    gone = [line.split()[0] for line in told if line.endswith(" deleted")]
    assert gone.index("FargateQueue") < gone.index("Fargate") < gone.index("Network") < gone.index("Repository")
    assert f"  = bucket {bucket}: 1 object, 0.000 GB, which stay" in told
    assert told[-1] == f"the bucket {bucket} stays, with what is in it: simferry.infra.delete(data=True)  deletes it"
    assert stacks.find("simferry") is None and buckets(emulator) == [bucket]
    told.clear()
    assert delete() and told == [f"there is no stack simferry in us-east-1; the bucket {bucket} is kept"]
    s3.delete_object(Bucket=bucket, Key="simferry/run/a")  # its versions are still there
    told.clear()
    assert delete(data=True) and told[1:] == [
        f"  - bucket {bucket}: old versions of objects",
        f"  bucket {bucket} deleted",
    ]
    assert buckets(emulator) == []
    told.clear()
    assert delete(data=True) and told == ["there is no stack simferry in us-east-1"]


def test_an_empty_bucket_goes_with_the_stack(emulator, bucket, delete, told):
    boto3.client("ecr").put_image(
        repositoryName=infra.show().outputs["Repository"].partition("/")[2], imageManifest=MANIFEST, imageTag="lab-1"
    )  # fmt: skip
    assert delete() and buckets(emulator) == []
    assert any(line.startswith("  - image ") and line.endswith(":lab-1") for line in told)
    assert boto3.client("ecr").describe_repositories()["repositories"] == []


def test_a_deletion_that_fails_can_be_repeated(emulator, bucket, delete):
    """At each resource of both; what can be deleted is, the first stack waits for the second, and the bucket is kept anyway."""
    boto3.client("s3").put_object(Bucket=bucket, Key="a", Body=b"1")
    for template, stack in (("batch", "simferry-batch"), ("base", "simferry")):
        last_first = [name for name in reversed(Template(templates.template(template)).order()) if name != "Bucket"]
        emulator.faults.resources |= {("delete", name): "in use" for name in last_first}
        while last_first:
            with pytest.raises(
                StackError,
                match=rf"{stack}: {last_first[0]} .* can't be deleted: in use(?s:.*)infra.delete\(\)  goes on",
            ):
                delete()
            assert set(stacks.resources(stacks.find(stack))) >= set(last_first)
            if template == "batch":
                assert stacks.find("simferry").status == "CREATE_COMPLETE"
            del emulator.faults.resources["delete", last_first.pop(0)]
        assert stacks.find(stack).status == "DELETE_FAILED"
        if template == "batch":
            stacks.remove(stacks.find(stack), lambda _: None)
    with pytest.raises(UsageError, match="deleted by half"):
        infra.deploy(yes=True)
    assert delete() and stacks.find("simferry") is None and buckets(emulator) == [bucket]


def test_a_policy_that_users_have_is_taken_from_them_first(bucket, delete):
    """docs/iam has administrators give it to users, outside of the stack."""
    iam, outputs = boto3.client("iam"), infra.show().outputs
    for output, stack in (("BatchSubmitterPolicy", "simferry-batch"), ("SubmitterPolicy", "simferry")):
        iam.attach_user_policy(UserName="simferry-user", PolicyArn=outputs[output])
        words = rf"stack {stack}: (?s:.*)attached to entities(?s:.*)list-entities-for-policy --policy-arn {outputs[output]}  lists"
        with pytest.raises(StackError, match=words):
            delete()
        iam.detach_user_policy(UserName="simferry-user", PolicyArn=outputs[output])
    assert delete() and stacks.find("simferry") is None and stacks.find("simferry-batch") is None


def test_nothing_is_deleted_that_another_stack_imports(bucket, delete):
    mine = "Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !ImportValue simferry-Bucket}}}"
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="website", TemplateBody=mine)
    Jobs.until(lambda: stacks.find("website").status == "CREATE_COMPLETE")
    with pytest.raises(
        UsageError,
        match=r"nothing is deleted: website imports outputs of stack simferry\naws cloudformation delete-stack",
    ):
        delete()
    assert {one.status for one in map(stacks.find, ("simferry", "simferry-batch"))} == {"CREATE_COMPLETE"}
    stacks.remove(stacks.find("website"), lambda _: None)
    assert delete()


@pytest.mark.parametrize(("queue", "children"), [("SpotQueue", 3), ("FargateQueue", 1)])
def test_nothing_is_deleted_while_jobs_are_in_queues(emulator, bucket, delete, queue, children):
    emulator.faults.start_seconds = 60
    batch = boto3.client("batch")
    submitted = submit_to_batch(batch, infra.show().outputs, queue, children)
    for data in (False, True):
        with pytest.raises(
            UsageError,
            match=r"nothing is deleted: 1 job of stack simferry still runs \(power-1-0123456789-0001\)\n.*cancel",
        ):
            delete(data=data)
    assert stacks.find("simferry-batch").status == "CREATE_COMPLETE"
    batch.terminate_job(jobId=submitted, reason="enough")
    Jobs.until(lambda: batch.describe_jobs(jobs=[submitted])["jobs"][0]["status"] == "FAILED")
    assert delete()
    assert (
        batch.describe_job_queues()["jobQueues"] == batch.describe_compute_environments()["computeEnvironments"] == []
    )


def test_nothing_is_deleted_while_jobs_run(bucket, delete, monkeypatch):
    role = infra.show().outputs["JobRole"]
    jobs = [Job("power-1", role, "ml.m5.xlarge", 1, 0.2), Job("other-1", "arn:other", "ml.m5.xlarge", 1, 0.2)]
    monkeypatch.setattr(removal, "running", lambda: (jobs, 0))
    with pytest.raises(
        UsageError, match=r"nothing is deleted: 1 job of stack simferry still runs \(power-1\)\n.*cancel"
    ):
        delete(data=True)
    assert stacks.find("simferry").status == "CREATE_COMPLETE"


def test_an_interruption_says_how_to_go_on(bucket, delete):
    def interrupted_by(name):
        def interrupt(line):
            if line.split() == [name, "deleted"]:
                raise KeyboardInterrupt

        return interrupt

    for resource, stack in (("Network", "simferry-batch"), ("Repository", "simferry")):
        with pytest.raises(
            Interrupted, match=rf"CloudFormation goes on with stack {stack}\nsimferry.infra.delete\(\)  follows it"
        ):
            delete(tell=interrupted_by(resource))
    assert delete() and stacks.find("simferry") is None


def test_a_bucket_that_may_not_be_emptied_says_so(bucket, delete, monkeypatch):
    def denied(*_):
        raise AccessDenied("access to bucket is denied")

    monkeypatch.setattr(removal, "_empty", denied)
    with pytest.raises(AccessDenied, match="the stack is deleted, and this can be repeated"):
        delete(data=True)
    monkeypatch.undo()


def test_buckets_of_other_stacks_are_left_alone(emulator, bucket, delete):
    infra.deploy("simferry-bucket", yes=True, tell=lambda line: None)  # whose bucket has a similar name
    boto3.client("s3").create_bucket(Bucket="simferry-bucket-mine")
    assert delete(data=True)
    (other,) = [one for one in buckets(emulator) if one != "simferry-bucket-mine"]
    assert other.startswith("simferry-bucket-bucket-") and "simferry-bucket-mine" in buckets(emulator)


def test_a_bucket_that_was_deleted_by_hand(emulator, bucket, delete):
    boto3.client("s3").delete_bucket_policy(Bucket=bucket)
    boto3.client("s3").delete_bucket(Bucket=bucket)
    assert delete(data=True) and stacks.find("simferry") is None
