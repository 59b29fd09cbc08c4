"""Batch transform: files go there, answers come back, and nothing is left, however it ends. moto's jobs end at once."""

import json

import boto3
import pytest
import simferry as sf
from hosting_accounts import IMAGE, left
from simferry.aws.session import AwsError
from simferry.errors import Interrupted, NoAnswer, StoreError, UsageError
from simferry.hosting import batch_transform


@pytest.fixture
def jobs(hosting, monkeypatch):
    """Jobs that answer each file with its name in capitals, and then are in the states of `states`, the last one for ever."""
    create, describe, s3 = hosting.create_transform_job, hosting.describe_transform_job, boto3.client("s3")

    class Jobs:
        states, asked, stopped, names = ["InProgress", "Completed"], [], [], None

    def created(**request):
        Jobs.asked.append(request)
        create(**request)
        source, target = (
            request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"], request["TransformOutput"]["S3OutputPath"]
        )  # fmt: skip
        (bucket, _, begin), (into, _, folder) = (one.removeprefix("s3://").partition("/") for one in (source, target))
        found = s3.list_objects_v2(Bucket=bucket, Prefix=begin)["Contents"]
        for name in Jobs.names or [f"{one['Key'].removeprefix(begin)}.out" for one in found]:
            s3.put_object(Bucket=into, Key=f"{folder}/{name}", Body=name.upper().encode())

    def described(**asked):
        now = describe(**asked)
        return {**now, "TransformJobStatus": Jobs.states.pop(0) if len(Jobs.states) > 1 else Jobs.states[0]}

    monkeypatch.setattr(hosting, "create_transform_job", created)
    monkeypatch.setattr(hosting, "describe_transform_job", described)
    monkeypatch.setattr(hosting, "stop_transform_job", lambda **asked: Jobs.stopped.append(asked))
    Jobs.states, Jobs.asked, Jobs.stopped, Jobs.names = ["InProgress", "Completed"], [], [], None
    return Jobs


def test_a_folder_is_answered_and_nothing_is_left(jobs, tmp_path):
    (tmp_path / "data" / "more").mkdir(parents=True)
    for name in ("a.csv", "more/b.csv"):
        (tmp_path / "data" / name).write_text("1\n")
    told = []
    done = sf.transform(IMAGE, "model.tar.gz", "data", "answers", tell=told.append)
    assert [(tmp_path / name).read_text() for name in done.files] == ["A.CSV.OUT", "MORE/B.CSV.OUT"]
    assert not any(left().values())
    assert "1 x ml.m5.large, $0.115 an hour while it runs" in told[0] and told[1] == "  InProgress"
    assert told[2].startswith("  Completed after ") and str(done).startswith("2 files in answers, ")
    asked = jobs.asked[0]
    assert (asked["BatchStrategy"], asked["TransformInput"]["SplitType"]) == ("MultiRecord", "Line")
    with pytest.raises(UsageError, match="the folder answers is not empty"):
        sf.transform(IMAGE, None, "data", "answers")


def test_addresses_stay_where_they_are(jobs):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="lab", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket="lab", Key="in/x.json", Body=b"1")
    given = {"split": "files", "content_type": "application/json", "tell": lambda line: None}
    done = sf.transform(IMAGE, None, "s3://lab/in/", "s3://lab/out/", name="mine", **given)
    assert done.files == ["s3://lab/out/x.json.out"] and done.name == "mine"
    assert jobs.asked[0]["TransformInput"]["SplitType"] == "None" and left()["objects"] == [
        "in/x.json",
        "out/x.json.out",
    ]
    with pytest.raises(UsageError, match="there is a transform job mine, and a name is used once"):
        sf.transform(IMAGE, None, "s3://lab/in/", "s3://lab/out/", name="mine", **given)


def test_whole_files_are_sent_as_large_as_requests_can_be(jobs, tmp_path):
    with open(tmp_path / "a.csv", "wb") as file:
        file.truncate(7 * 2**20 + 1)
    sf.transform(IMAGE, None, "a.csv", "answers", split="files", tell=lambda line: None)
    assert (jobs.asked[0]["MaxPayloadInMB"], jobs.asked[0]["MaxConcurrentTransforms"]) == (8, 1)
    with open(tmp_path / "a.csv", "wb") as file:
        file.truncate(100 * 2**20 + 1)
    with pytest.raises(UsageError, match=r"a.csv has 101 MB, and a request takes 100\nsplit=.*  sends it in parts"):
        sf.transform(IMAGE, None, "a.csv", "more", split="files")


def test_a_failure_and_an_interruption_leave_nothing(jobs, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("1\n")
    jobs.states[:] = ["Failed"]
    monkeypatch.setattr(batch_transform.logs, "read", lambda name, group: {"i-1": "one\ntwo\n"})
    with pytest.raises(AwsError, match=r"has failed: .*\nits log ends with:\n  one\n  two"):
        sf.transform(IMAGE, "model.tar.gz", "a.csv", "answers", tell=lambda line: None)
    assert not any(left().values())
    jobs.states[:] = ["InProgress", "Stopped"]

    def interrupt(line):
        if line == "  InProgress":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="was stopped"):
        sf.transform(IMAGE, "model.tar.gz", "a.csv", "answers", tell=interrupt)
    assert len(jobs.stopped) == 1 and not any(left().values()) and not (tmp_path / "answers").exists()


def test_a_job_that_can_no_longer_be_followed_keeps_what_it_needs(jobs, tmp_path, hosting, monkeypatch):
    (tmp_path / "a.csv").write_text("1\n")
    jobs.states[:] = ["InProgress"]

    def lose(line):
        if line == "  InProgress":
            raise NoAnswer("AWS does not answer")

    with pytest.raises(AwsError, match="can't be followed any more: AWS does not answer") as lost:
        sf.transform(IMAGE, "model.tar.gz", "a.csv", "answers", name="mine", tell=lose)
    assert "aws sagemaker stop-transform-job --transform-job-name mine  stops it." in lost.value.hint
    assert len(left()["models"]) == 1 and len(left()["objects"]) == 3


def test_names_of_answers_are_not_trusted(jobs, tmp_path):
    (tmp_path / "a.csv").write_text("1\n")
    jobs.names = ["a\\..\\b.out"]
    with pytest.raises(StoreError, match="is not a valid name") as refused:
        sf.transform(IMAGE, None, "a.csv", "answers", tell=lambda line: None)
    assert refused.value.hint.startswith("The answers stay in s3://") and len(left()["objects"]) == 1


def test_what_is_refused_before_anything_is_made(hosting, tmp_path):
    (tmp_path / "a.csv").write_text("1\n")
    (tmp_path / "empty").mkdir()
    for source, output, given, text in [
        ("none", "o", {}, "there is no file or folder none"), ("empty", "o", {}, "empty has no files"),
        ("a.csv", "a.csv", {}, "a.csv is a file; the answers go into a folder"), ("a.csv", "o", {"split": "rows"}, "split is 'rows'"),
        ("a.csv", "o", {"instances": 0}, "instances is 0"), ("gs:/a", "o", {}, "there is no file or folder gs:/a"),
        ("a.csv", "o", {"instance_type": "ml.t2.medium"}, "transform jobs have no instance type 'ml.t2.medium'"),
        ("a.csv", "o", {"model": "a.csv"}, "model a.csv is no tar.gz"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=text):
            sf.transform(IMAGE, given.pop("model", None), source, output, **given)
    assert not any(left().values()), json.dumps(left())
