"""Jobs in containers: requests for them, and their outcomes."""

import time
from pathlib import Path

import pytest
from docker_fixtures import left_behind
from simferry.containers.job import ContainerJob
from simferry.containers.processing import Processing
from simferry.containers.storage import Files, local_uri

P = "/opt/ml/processing"


def request(
    image: str, code: Path, name: str = "a-job", hosts: int = 1, instance: str = "ml.t3.medium", **more
) -> dict:
    """A job that runs the script in a folder, as ScriptProcessor asks for it."""
    source = {"S3Uri": local_uri(code), "LocalPath": f"{P}/input/code", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {
        "ProcessingJobName": name,
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": ["Rscript", f"{P}/input/code/script.R"],
            "ContainerArguments": ["--args", "1000"],
        },
        "ProcessingInputs": [{"InputName": "code", "S3Input": source}],
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": hosts, "InstanceType": instance, "VolumeSizeInGB": 1}
        },
        "RoleArn": "arn:aws:iam::000000000000:role/some-role",
        **more,
    }


def output(folder: Path, name: str = "output", mode: str = "EndOfJob") -> dict:
    s3 = {"S3Uri": local_uri(folder), "LocalPath": f"{P}/{name}", "S3UploadMode": mode}
    return {"OutputName": name, "S3Output": s3}


@pytest.fixture
def job(tmp_path, engine, image_r):
    """Makes a job out of a script and what else the request says; its outcome when it has ended, the job itself."""
    (tmp_path / "code").mkdir()

    def make(script: str, **more) -> ContainerJob:
        (tmp_path / "code" / "script.R").write_text(script)
        asked = request(image_r, tmp_path / "code", **more)
        made.append(ContainerJob(engine, asked, Processing(), Files(), tmp_path / "ml", tmp_path.name))
        return made[-1]

    made = []
    yield make
    for one in made:
        one.discard()
    assert left_behind(engine, tmp_path.name) == []
    assert not (tmp_path / "ml").exists()


def run(job: ContainerJob):
    job.start()
    while (outcome := job.poll()).status == "InProgress":
        time.sleep(0.05)
    return outcome
