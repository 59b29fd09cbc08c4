"""The session of version 2: bucket, files, role; waiting for jobs."""

import json
import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
import simferry.sagemaker as sagemaker
from aws_fixtures import ACCOUNT, REGION, ROLE
from sagemaker_fixtures import BUCKET
from simferry.aws import logs
from simferry.aws.buckets import default_bucket
from simferry.aws.session import AwsError, CredentialsError
from simferry.errors import SimferryError, UsageError
from simferry.sagemaker.exceptions import CapacityError, UnexpectedStatusException
from simferry.sagemaker.processing import ProcessingJob, Processor

# ---- bucket and files ----


def test_the_default_bucket_is_version_2s_and_is_made_closed_to_the_public(session, account):
    assert session.default_bucket() == BUCKET
    assert session.default_bucket() == BUCKET
    assert account("s3").get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    assert all(account("s3").get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert sagemaker.Session().default_bucket() == BUCKET  # it is there by now


def test_a_default_bucket_is_one_for_all_and_may_be_made_by_somebody_else_meanwhile(session, account):
    """The sagemaker backend takes the same one; and in a race for it nobody fails."""
    client, seen = account("s3"), []

    def faster(**_):
        if not seen:
            seen.append(BUCKET)
            client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    client.meta.events.register("before-parameter-build.s3.CreateBucket", faster)
    assert default_bucket() == session.default_bucket() == BUCKET and seen
    assert all(client.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())


def test_a_default_bucket_of_anothers_is_refused(session, account):
    from botocore.exceptions import ClientError

    def forbidden(**_):
        raise ClientError(
            {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
            "HeadBucket",
        )

    account("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    asked = []
    client = account("s3")
    client.meta.events.register("before-parameter-build.s3.HeadBucket", lambda params, **_: asked.append(dict(params)))
    session.default_bucket()
    assert asked == [{"Bucket": BUCKET, "ExpectedBucketOwner": ACCOUNT}]
    client.meta.events.register("before-parameter-build.s3.HeadBucket", forbidden)
    with pytest.raises(AwsError, match=rf"default bucket {BUCKET} is another account's.*\n.*default_bucket="):
        sagemaker.Session().default_bucket()
    with pytest.raises(AwsError, match=rf'default bucket {BUCKET} is another account.*\n.*store="s3://'):
        default_bucket()


def test_files_go_to_s3_and_come_back(session, account, tmp_path):
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text("1")
    (folder / "sub" / "b.csv").write_text("2")
    assert session.upload_data(str(folder), key_prefix="up") == f"s3://{BUCKET}/up"
    assert session.upload_data(str(folder / "a.csv"), BUCKET, "one") == f"s3://{BUCKET}/one/a.csv"
    assert session.upload_data(str(folder / "a.csv")) == f"s3://{BUCKET}/data/a.csv"
    assert session.list_s3_files(BUCKET, "up") == ["up/a.csv", "up/sub/b.csv"]
    back = tmp_path / "back"
    assert session.download_data(str(back), BUCKET, "up") == [str(back / "a.csv"), str(back / "sub" / "b.csv")]
    assert session.download_data(str(back), BUCKET, "up/sub/b.csv") == [str(back / "b.csv")]
    assert (back / "b.csv").read_text() == "2"
    assert session.download_data(str(back), BUCKET, "nothing") == []
    assert session.upload_string_as_file_body("text", BUCKET, "a/b.txt") == f"s3://{BUCKET}/a/b.txt"
    assert session.read_s3_file(BUCKET, "a/b.txt") == "text"
    with pytest.raises(UsageError, match="there is no file or folder nowhere"):
        session.upload_data("nowhere")
    with pytest.raises(AwsError, match=rf"s3://{BUCKET}/not/there"):
        session.read_s3_file(BUCKET, "not/there")


def test_a_name_that_is_not_utf8_is_uploaded_under_its_bytes(session, account, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.csv")).write_text("1")
    assert session.upload_data(str(folder), key_prefix="up") == f"s3://{BUCKET}/up"
    assert session.list_s3_files(BUCKET, "up") == [r"up/caf\xe9.csv"]


def test_a_name_that_leads_out_of_the_folder_is_not_downloaded(session, account, tmp_path):
    session.default_bucket()
    account("s3").put_object(Bucket=BUCKET, Key="p/../../escaped", Body=b"x")
    with pytest.raises(UsageError, match="outside of"):
        session.download_data(str(tmp_path / "in"), BUCKET, "p/")
    assert not (tmp_path.parent / "escaped").exists()


# ---- the role ----


def test_the_execution_role_is_the_role_that_is_acting(account):
    made = account("iam").create_role(RoleName="jobs", Path="/service-role/", AssumeRolePolicyDocument="{}")["Role"][
        "Arn"
    ]
    keys = account("sts").assume_role(RoleArn=made, RoleSessionName="me")["Credentials"]
    acting = boto3.session.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION)
    assert sagemaker.get_execution_role(sagemaker.Session(boto_session=acting)) == made
    assert sagemaker.Session().expand_role("jobs") == made
    assert sagemaker.Session().expand_role(made) == made


def test_a_user_is_told_to_name_a_role(session, monkeypatch):
    with pytest.raises(UsageError, match=r"is not a role(.|\n)*role=.*SIMFERRY_ROLE"):
        sagemaker.get_execution_role()
    monkeypatch.setenv("SIMFERRY_ROLE", ROLE)
    assert sagemaker.get_execution_role(session) == ROLE


def test_in_a_notebook_it_is_the_notebooks_role(session, monkeypatch, tmp_path):
    from simferry.sagemaker import session as module

    facts = tmp_path / "resource-metadata.json"
    facts.write_text(json.dumps({"ExecutionRoleArn": ROLE, "DomainId": "d-1"}))
    monkeypatch.setattr(module, "METADATA", str(facts))
    assert sagemaker.get_execution_role() == ROLE


def test_a_role_that_is_not_there_is_named(session):
    with pytest.raises(AwsError, match="role nobody"):
        session.expand_role("nobody")


def test_without_credentials_it_says_so(account, monkeypatch):
    from aws_fixtures import forget_clients

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_clients()
    with pytest.raises(CredentialsError, match="no AWS credentials"):
        sagemaker.Session().default_bucket()


# ---- waiting ----


class Service:
    """A SageMaker client whose jobs have the states that are given, one after the other."""

    meta = SimpleNamespace(endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com")

    def __init__(self, *descriptions):
        self.descriptions, self.stopped = list(descriptions), []

    def describe_processing_job(self, ProcessingJobName):
        told = self.descriptions.pop(0) if len(self.descriptions) > 1 else self.descriptions[0]
        if isinstance(told, BaseException):
            raise told
        return {"ProcessingJobName": ProcessingJobName, **told}

    def stop_processing_job(self, ProcessingJobName):
        self.stopped.append(ProcessingJobName)


RUNNING = {"ProcessingJobStatus": "InProgress"}
DONE = {"ProcessingJobStatus": "Completed"}
FAILED = {
    "ProcessingJobStatus": "Failed",
    "FailureReason": "AlgorithmError: exit 1",
    "ExitMessage": "no such column: y",
}


@pytest.fixture
def printed_log(account):
    client = account("logs")
    client.create_log_group(logGroupName=logs.GROUP)
    client.create_log_stream(logGroupName=logs.GROUP, logStreamName="job/algo-1-1")
    events = [{"timestamp": int(time.time() * 1000), "message": "hello from the job"}]
    client.put_log_events(logGroupName=logs.GROUP, logStreamName="job/algo-1-1", logEvents=events)


def test_waiting_prints_the_log_and_a_failed_job_is_an_error(printed_log, capsys):
    session = sagemaker.Session(sagemaker_client=Service(RUNNING, FAILED))
    with pytest.raises(
        UnexpectedStatusException, match=r"job has failed: AlgorithmError: exit 1\n.*no such column"
    ) as caught:
        session.logs_for_processing_job("job", wait=True, poll=0.1)
    assert capsys.readouterr().out == "hello from the job\n"
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, SimferryError)  # version 2's was the one
    assert pickle.loads(pickle.dumps(caught.value)).actual_status == "Failed"


def test_a_job_may_be_waited_for_in_silence(account):
    service = Service(RUNNING, RUNNING, DONE)
    session = sagemaker.Session(sagemaker_client=service)
    assert session.wait_for_processing_job("job", poll=0.01)["ProcessingJobStatus"] == "Completed"
    with pytest.raises(CapacityError, match="none left"):
        full = {"ProcessingJobStatus": "Failed", "FailureReason": "CapacityError: none left"}
        ProcessingJob(sagemaker.Session(sagemaker_client=Service(full)), "job").wait(logs=False)


def test_a_stopped_job_is_told_and_is_no_error(account, capsys):
    service = Service({"ProcessingJobStatus": "Stopped"})
    job = ProcessingJob(sagemaker.Session(sagemaker_client=service), "job")
    job.wait(logs=False)
    assert "job was stopped before its end" in capsys.readouterr().err
    job.stop()
    assert service.stopped == ["job"]


def test_stopping_a_job_that_has_ended_is_no_error(emulator, capsys):
    """As in version 2, whose scripts stop their jobs at the end."""
    session = sagemaker.Session()
    image = f"{emulator.bucket}-no-such-image"
    Processor(emulator.role, image, 1, "ml.t3.medium", "true", sagemaker_session=session).run(
        wait=False, job_name="one"
    )
    while session.describe_processing_job("one")["ProcessingJobStatus"] == "InProgress":
        time.sleep(0.1)
    session.stop_processing_job("one")
    assert capsys.readouterr().err == "processing job one is not running any more: Failed\n"
    with pytest.raises(AwsError, match="Could not find requested job with name: two"):
        session.stop_processing_job("two")


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(account, capsys):
    service = Service(RUNNING, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        sagemaker.Session(sagemaker_client=service).wait_for_processing_job("job", poll=0.01)
    assert service.stopped == []
    said = capsys.readouterr().err
    assert "processing job job, which goes on" in said and 'stop_processing_job("job")' in said
