"""The contract of Processing jobs."""

import json

import pytest
from container_jobs import P, output, request, run
from simferry.aws.limits import RequestRefused
from simferry.containers.job import ContainerJob
from simferry.containers.processing import Processing
from simferry.containers.storage import Files, local_uri


@pytest.mark.parametrize("path", [f"{P}/../../../escaped", "/tmp/escaped", "/opt/ml/../escaped", "escaped"])
def test_a_request_can_not_write_outside_of_the_jobs_folder(job, tmp_path, path):
    source = {"S3Uri": local_uri(tmp_path / "code"), "LocalPath": path, "S3DataType": "S3Prefix"}
    refused = pytest.raises(RequestRefused, match=rf"LocalPath must begin with /opt/ml/ .*'{path}'")
    with refused:
        job("1", ProcessingInputs=[{"InputName": "data", "S3Input": source}]).start()
    out = {"S3Uri": local_uri(tmp_path / "out"), "LocalPath": path, "S3UploadMode": "EndOfJob"}
    with refused:
        job("1", ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": out}]}).start()
    assert not list(tmp_path.rglob("escaped"))


def test_a_script_finds_what_the_contract_says(job, tmp_path):
    script = f"""
    cat(commandArgs(trailingOnly = TRUE), Sys.getenv("GREETING"), Sys.info()[["nodename"]], "\\n")
    options(warn = -1)
    config <- paste(readLines("/opt/ml/config/processingjobconfig.json"), collapse = "")
    resources <- paste(readLines("/opt/ml/config/resourceconfig.json"), collapse = "")
    writeLines(config, "{P}/output/config.json")
    writeLines(resources, "{P}/output/resources.json")
    writeLines("well done", "/opt/ml/output/message")
    """
    given = {"Environment": {"GREETING": "hello"}, "ProcessingOutputConfig": {"Outputs": [output(tmp_path / "out")]}}
    made = job(script, **given)
    outcome = run(made)
    assert (outcome.status, outcome.exit_message) == ("Completed", "well done\n")
    assert made.kept_logs["algo-1"].split() == ["--args", "1000", "hello", "algo-1"]
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["ProcessingJobName"] == "a-job"
    assert config["AppSpecification"]["ContainerArguments"] == ["--args", "1000"]
    assert config["Environment"] == {"GREETING": "hello"}
    assert json.loads((tmp_path / "out" / "resources.json").read_text()) == {
        "current_host": "algo-1",
        "current_instance_type": "ml.t3.medium",
        "hosts": ["algo-1"],
        "network_interface_name": "eth0",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ProcessingJobName": "x" * 64}, "less than or equal to 63"),
        ({"Environment": {"A": "x" * 257}}, "at 'environment"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 777_601}}, "less than or equal to 777600"),
    ],
)
def test_the_services_limits_hold(tmp_path, change, message):
    (tmp_path / "code").mkdir()
    with pytest.raises(RequestRefused, match=message):
        ContainerJob(
            None, {**request("an-image", tmp_path / "code"), **change}, Processing(), Files(), tmp_path / "ml", "nobody"
        )
