"""The policies of docs/iam: all that is needed is allowed, nothing else is, and each action is explained."""

import json
import re
import shutil
import socket

import boto3
import pytest
import simferry as sf
from account_fixtures import put_image, put_run
from botocore.exceptions import ClientError
from emulator_fixtures import Jobs, submit_to_batch
from hosted_models import Host
from simferry import infra, sagemaker
from simferry.aws import machines
from simferry.aws.policies import folder, policy
from simferry.aws.session import AccessDenied, asking
from simferry.aws.stacks import StackError
from simferry.backends.names import job_name
from simferry.emulator.access import allows
from simferry.emulator.faults import Faults
from simferry.errors import Interrupted, UsageError
from sweeps import digest, write

VALUES = {
    "Account": "123456789012",
    "Bucket": "lab",
    "Prefix": "simferry/",
    "Region": "us-east-1",
    "Role": "simferry",
    "Stack": "lab",
}
# what pushing to ECR itself needs and the emulator's registry does not; what only prices need
ELSEWHERE = {
    "ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:DeleteRepository", "ecr:InitiateLayerUpload",
    "ecr:GetAuthorizationToken", "ecr:UploadLayerPart", "pricing:GetProducts", "s3:AbortMultipartUpload",
}  # fmt: skip

# what CloudFormation's handlers of the resources' types ask for, and those of the emulator do not
OF_HANDLERS = {
    "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource",
    "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:UntagResource", "iam:GetPolicyVersion", "iam:GetRolePolicy",
    "iam:UntagRole", "iam:UpdateRole", "iam:UpdateRoleDescription", "s3:GetBucketPolicy",
    "s3:PutBucketOwnershipControls", "s3:TagResource", "s3:UntagResource",
    "batch:UntagResource", "ec2:DescribeAvailabilityZones", "ec2:DescribeLaunchTemplateVersions", "logs:DescribeLogGroups",
    "logs:ListTagsForResource", "logs:UntagResource",
}  # fmt: skip


def actions(name: str) -> set[str]:
    found = [statement["Action"] for statement in policy(name, **VALUES)["Statement"]]
    return {action for one in found for action in ([one] if isinstance(one, str) else one)}


@pytest.mark.parametrize("name", ["batch", "deploy", "deploy-rstudio", "hosting", "rstudio", "tidy", "user", "role"])
def test_each_action_is_explained(name):
    text = (folder() / "README.md").read_text()
    table = text.split(f"## {name}.json")[1].split("\n## ")[0]
    rows = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+:\w+)`", rows)) == actions(name)


def test_the_verbs_need_all_of_these_actions_and_no_more(emulate, image_r, tmp_path, monkeypatch):
    """Every verb, with the keys of a user who has no policy but docs/iam/user.json; jobs have docs/iam/role.json."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    emulator = emulate(iam=True)
    s3 = boto3.client("s3")
    s3.put_object(Bucket=emulator.bucket, Key="texts/text.txt", Body=b"from S3\n")
    script = write(tmp_path, "pause.R", "simulate <- function(n) { if (n > 50) Sys.sleep(n); mean(rnorm(n)) }")
    place = {"backend": "sagemaker", "image": image_r, "role": emulator.role, "instance_type": "ml.t3.medium"}
    inputs = {"more": f"s3://{emulator.bucket}/texts/"}
    run = sf.run(script, sf.grid(n=[5, 10]), replications=20, seed=7, jobs=2, inputs=inputs, **place)
    assert run.status().state == "complete"
    assert len(run.results()) == 40 and len(run.summary()) == 2 and len(run.errors()) == 0
    assert set(run.logs()) == {"0001-0001", "0001-0002"} and list(run.follow("0001-0001")) == []
    assert run.extend(22, jobs=1).status().done == 44
    assert isinstance(run.replay(1, 1), float)
    assert [found.id for found in sf.runs(f"s3://{emulator.bucket}/simferry")] == [run.id]
    session = sagemaker.Session()
    assert emulator.environment["SIMFERRY_ROLE"] == session.expand_role("simferry")
    job = job_name(run._folder, "0001-0001")
    assert session.describe_processing_job(job)["ProcessingJobStatus"] == "Completed"

    whole = digest(run)
    (name, *_) = (block.name for block in run._folder.block_names())
    s3.put_object(Bucket=emulator.bucket, Key=f"simferry/{run.id}/blocks/{name}", Body=b"damaged")
    shutil.rmtree(tmp_path / "cache")
    with pytest.warns(UserWarning, match="is damaged"):
        again = sf.open(run.address).resume(jobs=1)
    assert digest(again) == whole

    for spot in (False, True):
        slow = sf.run(script, sf.grid(n=60), replications=1, seed=7, detach=lambda run: None, spot=spot, **place)
        with pytest.raises(Interrupted, match="1 job goes on"):
            slow.resume(on_progress=interrupt)
        assert slow.cancel().state in ("running", "incomplete")
        Jobs.until(lambda run=slow: run.status().jobs["0001-0001"] == "cancelled")
        assert list(slow.logs()) == ["0001-0001"]
    assert emulator.actions == actions("user") - ELSEWHERE


def train(jobs, name):
    """Submit a training job."""
    jobs.sagemaker.create_training_job(
        TrainingJobName=name, AlgorithmSpecification={"TrainingImage": jobs.image, "TrainingInputMode": "File"},
        RoleArn=jobs.emulator.role, OutputDataConfig={"S3OutputPath": f"s3://{jobs.emulator.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )  # fmt: skip


def test_deploying_needs_all_of_these_actions_and_no_more(emulate, tmp_path):
    """Every verb of infra, with the keys of a user who has no policy but docs/iam/deploy.json."""
    emulator = emulate(iam=True, faults=Faults(start_seconds=60))
    service = {name: emulator._client(name, "us-east-1") for name in ("batch", "iam", "s3", "sagemaker")}
    document = json.dumps(policy("deploy", **VALUES))
    service["iam"].put_user_policy(UserName="simferry-user", PolicyName="simferry", PolicyDocument=document)

    def deploy(name="lab", **options):
        return infra.deploy(name, **{"yes": True, "tell": lambda line: None, **options})

    with pytest.raises(AccessDenied, match=r"DescribeStacks on resource: .*stack/other"):
        deploy("other")
    assert deploy(yes=False, confirm=lambda question: False) is None
    bucket = deploy().outputs["Bucket"]
    service["s3"].put_object(Bucket=bucket, Key="simferry/a", Body=b"1")
    emulator.faults.resources |= {("update", "Repository"): "not now", ("rollback", "Bucket"): "nor back"}
    with pytest.raises(StackError):
        deploy(parameters={"DeleteRunsAfterDays": 3, "KeepImages": 3})
    emulator.faults.resources.clear()
    mine = tmp_path / "mine.yaml"
    mine.write_text(infra.template().replace("Sid: ReadPrices", "Sid: ReadAllPrices"))
    ours = tmp_path / "batch.yaml"
    text = infra.template("batch").replace("Value: !Ref AWS::StackName", "Value: lab").replace('-a"', '-1"')
    ours.write_text(text.replace('Description: "S3, ECR', 'Description: "To S3, ECR'))
    deploy(
        template=[mine, ours], parameters={"MaxCpus": 64, "DiskGB": 100, "KeepLogsDays": 30, "GiveUpAfterSeconds": 900}
    )
    jobs = Jobs(emulator, "no-image")
    jobs.s3, jobs.sagemaker = service["s3"], service["sagemaker"]
    name = "power-20261128-0123abcd-0123456789-0001-0001"
    jobs.submit(name, "1")
    train(jobs, name)
    assert infra.show("lab").instances == 2
    jobs.sagemaker.stop_processing_job(ProcessingJobName=name)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    waits = submit_to_batch(service["batch"], infra.show("lab").outputs)
    with pytest.raises(
        UsageError, match=r"nothing is deleted: 1 job of stack lab still runs \(power-1-0123456789-0001\)"
    ):
        infra.delete("lab", yes=True)
    service["batch"].terminate_job(jobId=waits, reason="enough")
    Jobs.until(lambda: not [name for queue in infra.show("lab").queues for name in queue.jobs])
    told = []
    for data in (False, True):
        assert infra.delete("lab", yes=True, data=data, tell=told.append)
    assert "  1 job definition deregistered" in told
    assert service["batch"].describe_job_definitions(status="ACTIVE")["jobDefinitions"] == []
    assert emulator.actions == actions("deploy") - OF_HANDLERS


def test_tidying_needs_all_of_these_actions_and_no_more(emulate, image_python, tmp_path, monkeypatch):
    """infra list, show --costs and image prune, with the keys of a user who has no policy but docs/iam/tidy.json."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    emulator = emulate(iam=True, faults=Faults(start_seconds=60))
    service = {name: emulator._client(name, "us-east-1") for name in ("batch", "ecr", "iam", "s3", "sagemaker")}

    def become(*names):
        statements = [one for name in names for one in policy(name, **VALUES)["Statement"]]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        service["iam"].put_user_policy(UserName="simferry-user", PolicyName="simferry", PolicyDocument=document)

    become("deploy")
    outputs = infra.deploy("lab", yes=True, tell=lambda line: None).outputs
    bucket = outputs["Bucket"]
    submit_to_batch(service["batch"], outputs)
    image = f"{VALUES['Account']}.dkr.ecr.us-east-1.amazonaws.com/lab@sha256:{64 * '0'}"
    put_run(service["s3"], bucket, "simferry/power-20261128-0123abcd", image)
    for name, tags in (("simferry-r", [{"Key": "made-by", "Value": "simferry"}]), ("theirs", [])):
        service["ecr"].create_repository(repositoryName=name, tags=tags)
        put_image(service["ecr"], name, "1")
    put_image(service["ecr"], "simferry-r", "2", manifests=[])
    jobs = Jobs(emulator, "no-image")
    jobs.s3, jobs.sagemaker = service["s3"], service["sagemaker"]
    jobs.submit("power-20261128-0123abcd-0123456789-0001-0001", "1")
    train(jobs, "power-20261128-0123abcd-0123456789-0001-0001")
    tags = [{"Key": "made-by", "Value": "simferry"}]
    host = Host(emulator, image_python)
    host.sagemaker = service["sagemaker"]
    host.model("m")
    host.config("c", "m")
    service["sagemaker"].create_endpoint(EndpointName="e", EndpointConfigName="c", Tags=tags)
    become("tidy")
    emulator.actions.clear()
    found = infra.list_all()
    assert not found.unseen and [one.address for one in found.runs] == [
        f"s3://{bucket}/simferry/power-20261128-0123abcd"
    ]
    assert [(one.name, one.dollars_an_hour) for one in found.endpoints] == [("e", 0.056)]
    assert infra.show("lab", costs=True, tell=lambda line: None).costs.dollars == {}
    with pytest.raises(UsageError, match="has made no repository theirs"):
        infra.prune_images("theirs", yes=True)
    done = infra.prune_images(keep=0, yes=True, tell=lambda line: None)
    assert len(done.images) == 2 and done.repositories == ["simferry-r"]
    with pytest.raises(ClientError, match="ecr:BatchDeleteImage"):  # it has not simferry's tag
        boto3.client("ecr").batch_delete_image(repositoryName="theirs", imageIds=[{"imageTag": "1"}])
    assert emulator.actions == actions("tidy")


def test_rstudio_needs_all_of_these_actions_and_no_more(emulate, tmp_path, monkeypatch):
    """Those who deploy have deploy.json and deploy-rstudio.json, its users rstudio.json. The emulator makes no networks."""
    emulator = emulate(iam=True)
    iam = emulator._client("iam", "us-east-1")

    def may(*names):
        for name in iam.list_user_policies(UserName="simferry-user")["PolicyNames"]:
            iam.delete_user_policy(UserName="simferry-user", PolicyName=name)
        for name in names:
            document = json.dumps(policy(name, **VALUES))
            iam.put_user_policy(UserName="simferry-user", PolicyName=name, PolicyDocument=document)
        emulator.actions.clear()

    given = {"yes": True, "tell": lambda line: None}
    may("deploy", "deploy-rstudio")
    infra.deploy("lab", **given)
    assert infra.rstudio.deploy("lab", accept_licence=True, **given).machine.runs
    assert infra.rstudio.deploy("lab", parameters={"IdleMinutes": 90}, **given).idle_minutes == 90
    assert infra.show("lab").instances == 1
    by_deploying = {*emulator.actions}

    may("rstudio")
    program = tmp_path / "session-manager-plugin"
    program.write_text("#!/bin/sh\n[ $1 = --version ] && echo 1.2.707.0 || exec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    infra.rstudio.connect("lab", port=free_port(), tell=lambda line: None).close()
    name = infra.rstudio._found("lab")[1].outputs["RStudioPassword"]
    emulator._client("ssm", "us-east-1").put_parameter(Name=name, Value="secret", Type="SecureString")
    assert infra.rstudio.password("lab") == "secret"
    assert (
        not infra.rstudio.stop("lab", tell=print).machine.runs and infra.rstudio.start("lab", tell=print).machine.runs
    )
    assert emulator.actions == actions("rstudio") - {
        "ssm:ResumeSession",
        "ssm:TerminateSession",
    }  # which the plugin needs
    with (
        pytest.raises(AccessDenied, match=r"ssm:StartSession on resource: .*document/SSM-SessionManagerRunShell"),
        asking("a shell"),
    ):
        boto3.client("ssm").start_session(Target=infra.rstudio.show("lab").machine.id)
    other = emulator._client("ec2", "us-east-1").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
    with pytest.raises(AccessDenied, match="ec2:StopInstances"):
        machines.stop(other["Instances"][0]["InstanceId"])

    may("deploy", "deploy-rstudio")
    assert infra.rstudio.delete("lab", **given)
    network = {one for one in actions("deploy-rstudio") if one.startswith("ec2:")} - OF_MACHINES
    profile = {one for one in actions("deploy-rstudio") if "InstanceProfile" in one} | {
        "iam:PassRole",
        "ssm:GetParameters",
    }
    assert by_deploying | emulator.actions >= actions("deploy-rstudio") - network - profile
    assert by_deploying | emulator.actions <= actions("deploy-rstudio") | actions("deploy")


# what the emulator asks for where EC2 makes and changes an instance
OF_MACHINES = {
    "ec2:CreateTags", "ec2:DescribeInstances", "ec2:ModifyInstanceAttribute", "ec2:RunInstances", "ec2:StartInstances",
    "ec2:StopInstances", "ec2:TerminateInstances",
}  # fmt: skip


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_running_on_batch_needs_all_of_these_actions_and_no_more(emulate, image_r, image_python, tmp_path, monkeypatch):
    """Every verb, with the keys of a user who has docs/iam/user.json and batch.json. Jobs have the roles of the stack."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SIMFERRY_CARRIER_IMAGE", image_python)
    emulator = emulate(iam=True)
    iam = emulator._client("iam", "us-east-1")

    def become(*names, **values):
        statements = [one for name in names for one in policy(name, **{**VALUES, **values})["Statement"]]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName="simferry-user", PolicyName="simferry", PolicyDocument=document)

    become("deploy")
    found = infra.deploy("lab", yes=True, tell=lambda line: None)
    become("user", "batch", Bucket=found.outputs["Bucket"])
    emulator.actions.clear()
    script = write(tmp_path, "pause.R", "simulate <- function(n) { if (n > 50) Sys.sleep(n); mean(rnorm(n)) }")
    place = {"backend": "batch", "image": image_r, "stack": "lab"}
    run = sf.run(script, sf.grid(n=[5, 10]), replications=20, seed=7, jobs=2, **place)
    assert run.status().state == "complete" and run.address.startswith(found.outputs["Store"])
    assert set(run.logs()) == {"0001-0001", "0001-0002"} and list(run.follow("0001-0001")) == []
    assert run.extend(22, jobs=1).status().done == 44
    slow = sf.run(script, sf.grid(n=60), replications=1, seed=7, detach=lambda run: None, **place)
    with pytest.raises(Interrupted, match="1 job goes on"):
        slow.resume(on_progress=interrupt)
    Jobs.until(lambda: [slow.logs(), "logs:GetLogEvents" in emulator.actions][1])  # while it runs
    assert slow.cancel().state in ("running", "incomplete")
    Jobs.until(lambda: slow.status().jobs["0001-0001"] == "cancelled")
    assert slow.watch().state == "incomplete"
    slow.delete()
    assert sf.runs(found.outputs["Store"])[0].id == run.id
    from_ecr = {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}  # of an image that is not on this machine
    assert emulator.actions >= actions("batch") - from_ecr
    assert emulator.actions <= actions("batch") | actions("user")
    with pytest.raises(ClientError, match="iam:PassRole on resource: arn:aws:iam::123456789012:role/simferry"):
        boto3.client("batch").register_job_definition(
            jobDefinitionName="simferry-mine", type="container", containerProperties={"jobRoleArn": emulator.role}
        )
    with pytest.raises(ClientError, match=r"RegisterJobDefinition on resource: .*job-definition/other"):
        boto3.client("batch").register_job_definition(jobDefinitionName="other", type="container")
    with pytest.raises(ClientError, match="batch:UpdateJobQueue"):
        boto3.client("batch").update_job_queue(jobQueue=found.outputs["SpotQueue"], state="DISABLED")
    with pytest.raises(AccessDenied, match="is denied"):
        infra.delete("lab", yes=True)


def interrupt(now):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("ask", "action"),
    [
        (lambda jobs: jobs.s3.put_object(Bucket="other", Key="a"), "s3:PutObject on resource: arn:aws:s3:::other/a"),
        (lambda jobs: jobs.s3.list_objects_v2(Bucket="other"), "s3:ListBucket on resource: arn:aws:s3:::other"),
        (
            lambda jobs: jobs.s3.copy({"Bucket": "other", "Key": "a"}, jobs.emulator.bucket, "a"),
            "",  # a HEAD, whose refusal has no words
        ),
        (lambda jobs: jobs.s3.create_bucket(Bucket="mine"), "s3:CreateBucket"),
        (lambda jobs: boto3.client("iam").list_users(), "iam:ListUsers"),
        (
            lambda jobs: boto3.client("sts").assume_role(RoleArn=jobs.emulator.role, RoleSessionName="me"),
            "sts:AssumeRole",
        ),
        (
            lambda jobs: jobs.submit("one", "1", role="arn:aws:iam::123456789012:role/admin"),
            "iam:PassRole on resource: arn:aws:iam::123456789012:role/admin",
        ),
        (
            lambda jobs: jobs.logs.get_log_events(logGroupName="/aws/lambda/x", logStreamName="y"),
            "logs:GetLogEvents on resource: arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/x:log-stream:y",
        ),
    ],
)
def test_what_is_not_allowed(emulate, ask, action):
    jobs = Jobs(emulate(iam=True), "no-image")
    with pytest.raises(ClientError) as caught:
        ask(jobs)
    said = caught.value.response["Error"]
    assert said["Code"] in ("AccessDenied", "AccessDeniedException", "403")
    assert action in said["Message"]


def test_keys_that_nobody_has(emulate, monkeypatch):
    emulate(iam=True)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        boto3.client("sagemaker").list_processing_jobs()
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        boto3.client("s3").list_buckets()


def test_a_job_can_do_what_its_role_may_and_no_more(emulate, image_r):
    """Here a role that may read inputs, and write neither outputs nor logs."""
    emulator = emulate(iam=True)
    read = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    emulator._client("iam", "us-east-1").put_role_policy(  # as the service: the user may not
        RoleName="simferry",
        PolicyName="simferry",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [read]}),
    )
    jobs = Jobs(emulator, image_r)
    jobs.submit("one", 'cat("hello"); writeLines("1", "/opt/ml/processing/output/a")', outputs={"output": "EndOfJob"})
    reason = jobs.wait("one")["FailureReason"]
    assert f"PutObject failed for s3://{emulator.bucket}/one/output" in reason
    assert "assumed-role/simferry/SageMaker is not authorized to perform: s3:PutObject" in reason
    with pytest.raises(ClientError, match="log group does not exist"):
        jobs.log("one")


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("s3:GetObject", "arn:aws:s3:::lab/simferry/run/a", {}, True),
        ("s3:GetObject", "arn:aws:s3:::lab/other", {}, False),
        ("s3:getobject", "arn:aws:s3:::lab/simferry/a", {}, True),
        ("s3:GetObject", "arn:aws:s3:::LAB/simferry/a", {}, False),
        ("s3:ListBucket", "arn:aws:s3:::lab", {}, True),
        ("s3:ListBucket", "arn:aws:s3:::lab-2", {}, False),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/simferry",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
            True,
        ),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/simferry",
            {"iam:PassedToService": "ec2.amazonaws.com"},
            False,
        ),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/simferry", {}, False),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/admin",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
            False,
        ),
        ("sagemaker:ListProcessingJobs", "*", {}, True),
        ("sagemaker:CreateTrainingJob", "*", {}, False),
    ],
)
def test_what_the_users_policy_allows(action, resource, context, allowed):
    assert allows([policy("user", **VALUES)], action, resource, context) is allowed


def test_a_denial_wins():
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    no_deleting = {"Statement": [{"Effect": "Deny", "NotAction": ["s3:Get*", "s3:Put?bject"], "Resource": "*"}]}
    assert allows([everything], "s3:DeleteObject", "arn:aws:s3:::lab/a", {})
    assert not allows([everything, no_deleting], "s3:DeleteObject", "arn:aws:s3:::lab/a", {})
    assert allows([everything, no_deleting], "s3:PutObject", "arn:aws:s3:::lab/a", {})
