"""instance_type = "local": version 2's jobs in Docker on this machine."""

import os

import pytest
from sagemaker_fixtures import BUCKET
from simferry.errors import UsageError
from simferry.sagemaker import LocalSession
from simferry.sagemaker.exceptions import UnexpectedStatusException
from simferry.sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from simferry.sagemaker.s3 import S3Downloader

COUNT = """
import os, sys
lines = open("/opt/ml/processing/input/data/a.csv").read().splitlines()
print("lines:", len(lines), "arguments:", sys.argv[1:], flush=True)
os.makedirs("/opt/ml/processing/output/sub", exist_ok=True)
open("/opt/ml/processing/output/sub/n.txt", "w").write(str(len(lines)))
if "fail" in sys.argv:
    open("/opt/ml/output/message", "w").write("as it was told")
    sys.exit(3)
"""


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    from aws_fixtures import forget_clients

    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    forget_clients()
    yield
    forget_clients()


def test_a_local_job_runs_here_without_an_account(engine, image_python, scrap, no_account, r_script, capsys, tmp_path):
    (tmp_path / "count.py").write_text(COUNT)
    session = LocalSession()
    session.config = {"local": {"local_code": True}}
    it = ScriptProcessor(None, image_python, "python3", 1.0, "ml.m5.xlarge", sagemaker_session=session)
    out = ProcessingOutput("/opt/ml/processing/output", f"file://{tmp_path}/out")
    it.run("count.py", [ProcessingInput("data", "/opt/ml/processing/input/data")], [out], [1000.0])
    assert capsys.readouterr().out == "lines: 2 arguments: ['1000']\n"
    assert (tmp_path / "out" / "sub" / "n.txt").read_text() == "2"
    assert it.latest_job.describe()["ProcessingJobStatus"] == "Completed"
    it.latest_job.wait()
    assert session.was_processing_job_successful(it.latest_job.job_name)
    with pytest.raises(UnexpectedStatusException, match=r"exited with code 3(.|\n)*as it was told"):
        it.run("count.py", [ProcessingInput("data", "/opt/ml/processing/input/data")], [out], "fail", logs=False)
    assert it.latest_job.describe()["ProcessingJobStatus"] == "Failed"
    assert not engine.containers.list(all=True, filters={"label": f"simferry.job={it.latest_job.job_name}"})


def test_a_local_job_reads_and_writes_s3_too(engine, image_python, session, r_script, tmp_path):
    (tmp_path / "count.py").write_text(COUNT)
    address = session.upload_data("data", key_prefix="in")
    it = ScriptProcessor("some-role", image_python, ["python3"], 1, "local")
    it.run("count.py", [ProcessingInput(address, "/opt/ml/processing/input/data")],
           [ProcessingOutput("/opt/ml/processing/output")], logs=False)  # fmt: skip
    place = it.latest_job.outputs[0].destination
    assert place == f"s3://{BUCKET}/{it.latest_job.job_name}/output/output-1"
    assert S3Downloader.read_file(f"{place}/sub/n.txt") == "2"
    with pytest.raises(UsageError, match="No S3 objects found"):
        nothing = ProcessingInput(f"s3://{BUCKET}/nothing", "/opt/ml/processing/input/data")
        it.run("count.py", [nothing], logs=False)
