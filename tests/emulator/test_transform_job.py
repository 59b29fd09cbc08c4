"""Transform jobs in the emulator, in real containers, and how files are cut into requests."""

import json
import os

import pytest
from docker_fixtures import left_behind
from emulator_fixtures import Jobs
from emulator_requests import refused
from hosted_models import Host, archive
from simferry.containers.serving import Answer
from simferry.emulator.transform_job import Execution, RecordFailed, parameters_of, payloads

GROUP = "/aws/sagemaker/TransformJobs"


class Transforms(Host):
    """Submits transform jobs of a model, and looks after them."""

    def put(self, **files: str) -> None:
        for name, text in files.items():
            self.s3.put_object(Bucket=self.emulator.bucket, Key=f"in/{name}.csv", Body=text.encode())

    def submit(self, name, prefix="", given=None, taken=None, **more) -> None:
        bucket = self.emulator.bucket
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/{prefix}"}}
        self.sagemaker.create_transform_job(**{
            "TransformJobName": name,
            "ModelName": "slope",
            "TransformInput": {"DataSource": source, "ContentType": "text/csv", **(given or {})},
            "TransformOutput": {"S3OutputPath": f"s3://{bucket}/out/{name}", **(taken or {})},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **more,
        })  # fmt: skip

    def ended(self, name) -> dict:
        def told():
            return self.sagemaker.describe_transform_job(TransformJobName=name)

        Jobs.until(lambda: told()["TransformJobStatus"] in ("Completed", "Failed", "Stopped"))
        return told()

    def outputs(self, name) -> dict[str, str]:
        listed = self.s3.list_objects_v2(Bucket=self.emulator.bucket, Prefix=f"out/{name}/").get("Contents", [])
        got = {one["Key"]: self.s3.get_object(Bucket=self.emulator.bucket, Key=one["Key"]) for one in listed}
        return {key.removeprefix(f"out/{name}/"): answer["Body"].read().decode() for key, answer in got.items()}


@pytest.fixture
def transforms(emulate, image_serve):
    return Transforms(emulate(), image_serve)


LINES = {"SplitType": "Line"}
TOGETHER = {"AssembleWith": "Line"}


def test_files_are_transformed(transforms, engine):
    transforms.model("slope", archive())
    transforms.put(a="1\n2\n3", b="4\nx\n", c="5\n")
    transforms.submit(
        "many", given=LINES, taken=TOGETHER, BatchStrategy="SingleRecord", MaxConcurrentTransforms=2,
        ModelClientConfig={"InvocationsMaxRetries": 0, "InvocationsTimeoutInSeconds": 60},
        Tags=[{"Key": "run", "Value": "power"}],
    )  # fmt: skip
    with refused("ResourceInUse", "Job name must be unique"):
        transforms.submit("many")
    told = transforms.ended("many")
    # the file with a record that fails has no output, the others have
    assert told["TransformJobStatus"] == "Failed", told
    assert told["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert transforms.outputs("many") == {"a.csv.out": "[2.5]\n[5.0]\n[7.5]\n", "c.csv.out": "[12.5]\n"}
    log = transforms.log(GROUP)
    execution = "MaxConcurrentTransforms=2, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD"
    assert any(line.endswith(execution) for line in log)
    assert any("b.csv: AlgorithmError: 500" in line for line in log) and "loading ['slope'] None" in log
    tags = transforms.sagemaker.list_tags(ResourceArn=told["TransformJobArn"])["Tags"]
    assert tags == [{"Key": "run", "Value": "power"}]

    transforms.submit("whole", "a.csv", taken={"Accept": "text/csv"}, Environment={"MINE": "yes"})
    told = transforms.ended("whole")
    assert told["TransformStartTime"] <= told["TransformEndTime"] and told["TransformJobStatus"] == "Completed"
    assert transforms.outputs("whole") == {"a.csv.out": "2.5\n5.0\n7.5\n"}
    assert "loading ['slope'] yes" in transforms.log(GROUP)

    transforms.put(d="1,sleep\n")
    transforms.submit("long", "d.csv", given=LINES)
    Jobs.until(lambda: left_behind(engine, f"simferry-emulator-{os.getpid()}"))
    transforms.sagemaker.stop_transform_job(TransformJobName="long")
    assert transforms.ended("long")["TransformJobStatus"] == "Stopped" and transforms.outputs("long") == {}
    listed = transforms.sagemaker.list_transform_jobs(StatusEquals="Stopped")["TransformJobSummaries"]
    assert [one["TransformJobName"] for one in listed] == ["long"]
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []


REFUSED = [
    ({"ModelName": "other"}, r"Could not find model \"arn:.*model/other\""),
    ({"given": {"SplitType": "RecordIO"}}, "splits files by lines only; SplitType is RecordIO"),
    ({"given": {"CompressionType": "Gzip"}}, "CompressionType"),
    ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "must be at most 100 MB; they are 60 and 2"),
    ({"MaxConcurrentTransforms": 17}, "must be at most 100 MB; they are 6 and 17"),
    ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "on one instance; InstanceCount is 2"),
    ({"DataProcessing": {"InputFilter": "$[1:]"}}, "InputFilter of DataProcessing"),
    ({"DataProcessing": {"JoinSource": "Input"}}, "JoinSource of DataProcessing"),
]  # fmt: skip


def test_jobs_that_are_refused(emulator):
    transforms = Transforms(emulator, "")
    for more, words in REFUSED:
        with refused("ValidationException", words):
            transforms.submit("one", **more)


def test_what_a_container_says_of_its_requests():
    """It is not trusted."""

    def said(text, status=200):
        return parameters_of(Answer(status, {}, text.encode()))

    given = {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6}
    assert said(json.dumps(given)) == given and said(json.dumps(given), 404) == {}
    assert said('{"MaxConcurrentTransforms": 1e9, "MaxPayloadInMB": true, "BatchStrategy": {}}') == {}
    assert said("[1]") == said("{") == said("[" * 100_000) == {}


def test_files_are_cut_into_requests(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"1\n2\n3")
    one_by_one, many = Execution(strategy="SingleRecord"), Execution()
    assert list(payloads(path, one_by_one, True)) == [b"1\n", b"2\n", b"3"]
    assert list(payloads(path, many, True)) == [b"1\n2\n3"] == list(payloads(path, many, False))
    line = b"x" * (400 << 10) + b"\n"
    path.write_bytes(line * 5)
    small = Execution(payload_mb=1)
    assert [len(part) // len(line) for part in payloads(path, small, True)] == [2, 2, 1]
    with pytest.raises(RecordFailed, match=r"the file, which is one request .* more than the 1 MB of MaxPayloadInMB"):
        list(payloads(path, small, False))
    path.write_bytes(b"1\n" + line * 1 + b"y" * (1 << 20) + b"y\n")
    with pytest.raises(RecordFailed, match="line 3 has more than"):
        list(payloads(path, small, True))
    path.write_bytes(b"")
    assert list(payloads(path, many, True)) == []
