"""The AWS CLI, unmodified, against the emulator: the commands that users of stacks and of Batch know."""

import json
import subprocess
import sys

import pytest
from batch_requests import until
from simferry import infra
from simferry.aws import stacks
from simferry.emulator import Faults

# The CLI has a botocore of its own in place of the installed one, so that it runs in another process: one for many commands.
PROGRAM = """
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = create_clidriver().main(json.loads(line))
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture
def aws(emulate):
    """Runs a command; gives what it prints, as JSON where it is that."""
    emulate(faults=Faults(start_seconds=600))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes) as cli:

        def run(command, *more, fails=False):
            print(json.dumps([*command.split(), *more]), file=cli.stdin, flush=True)
            status, out, err = json.loads(cli.stdout.readline())
            assert (status != 0) == fails, err
            return err if fails else json.loads(out) if out.startswith("{") else out

        yield run
        cli.stdin.close()


def test_stacks(aws, tmp_path):
    infra.deploy(yes=True, tell=lambda line: None)
    (stack,) = aws("cloudformation describe-stacks --stack-name simferry")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    events = aws("cloudformation describe-stack-events --stack-name simferry-batch")["StackEvents"]
    assert events[0]["ResourceStatus"] == "CREATE_COMPLETE" and events[-1]["ResourceStatusReason"] == "User Initiated"
    resources = aws("cloudformation describe-stack-resources --stack-name simferry-batch")["StackResources"]
    assert {one["ResourceStatus"] for one in resources} == {"CREATE_COMPLETE"}
    mine = tmp_path / "mine.yaml"
    mine.write_text(infra.template())
    assert "KeepImages" in str(aws("cloudformation validate-template --template-body", f"file://{mine}")["Parameters"])
    make = (
        "cloudformation create-change-set --stack-name lab --change-set-type CREATE --change-set-name a --template-body"
    )
    assert "Requires capabilities : [CAPABILITY_IAM]" in aws(make, f"file://{mine}", fails=True)
    aws(make, f"file://{mine}", "--capabilities", "CAPABILITY_IAM")
    changes = "cloudformation describe-change-set --stack-name lab --change-set-name a"
    until(lambda: aws(changes)["Status"] == "CREATE_COMPLETE")
    assert {one["ResourceChange"]["Action"] for one in aws(changes)["Changes"]} == {"Add"}
    aws("cloudformation execute-change-set --stack-name lab --change-set-name a")
    until(lambda: stacks.find("lab").status == "CREATE_COMPLETE")
    aws("cloudformation delete-stack --stack-name lab")
    until(lambda: stacks.find("lab") is None)
    assert "does not exist" in aws("cloudformation describe-stacks --stack-name lab", fails=True)
    note = tmp_path / "note"
    note.write_text("7")
    assert "upload:" in aws("s3 cp", str(note), f"s3://{outputs['Bucket']}/simferry/note")
    assert "note" in aws("s3 ls", f"s3://{outputs['Bucket']}/simferry/")
    repository = outputs["Repository"].partition("/")[2]
    assert aws("ecr describe-images --repository-name", repository)["imageDetails"] == []
    assert aws("sts get-caller-identity")["Account"] == "123456789012"
    tagged = aws("resourcegroupstaggingapi get-resources --tag-filters Key=made-by,Values=simferry")
    assert f"arn:aws:s3:::{outputs['Bucket']}" in [one["ResourceARN"] for one in tagged["ResourceTagMappingList"]]


def test_jobs_of_batch(aws):
    outputs = infra.deploy(yes=True, tell=lambda line: None).outputs
    queue = outputs["SpotQueue"]
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    properties = json.dumps({"image": "debian:bookworm-slim", "command": ["true"], "resourceRequirements": needs})
    register = "batch register-job-definition --job-definition-name mine --type container --container-properties"
    assert aws(register, properties)["revision"] == 1
    submit = "batch submit-job --job-name a --job-definition mine --array-properties size=3 --job-queue"
    job = aws(submit, queue)["jobId"]
    (listed,) = aws("batch list-jobs --job-queue", queue, "--filters", "name=JOB_NAME,values=a")["jobSummaryList"]
    assert listed["jobId"] == job
    children = aws("batch list-jobs --job-status RUNNABLE --max-items 2 --page-size 1 --array-job-id", job)
    assert len(children["jobSummaryList"]) == 2 and children["NextToken"]
    (described,) = aws("batch describe-jobs --jobs", job)["jobs"]
    assert described["arrayProperties"]["size"] == 3
    aws("batch terminate-job --reason enough --job-id", job)
    assert len(aws("batch describe-compute-environments")["computeEnvironments"]) == 3
    assert len(aws("batch describe-job-queues")["jobQueues"]) == 3
    assert aws("batch describe-job-definitions --job-definition-name mine")["jobDefinitions"][0]["status"] == "ACTIVE"
    aws("batch deregister-job-definition --job-definition mine:1")
    assert "JobDefinition mine not found" in aws(submit, queue, fails=True)
    assert [one["logGroupName"] for one in aws("logs describe-log-groups")["logGroups"]] == [outputs["LogGroup"]]
