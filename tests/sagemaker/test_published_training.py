"""Training as published projects do it, with the import line changed, against the emulator: the image is pushed to ECR, data and outputs
are in S3, and Python or R submits with version 2's names."""

import base64
import os
import shutil
import subprocess
import sys
import tarfile

import boto3
import pytest
import simferry.sagemaker as sage
from common import require
from docker_fixtures import BASE, left_behind
from simferry.aws.session import AwsError
from simferry.sagemaker.exceptions import UnexpectedStatusException
from simferry.sagemaker.model import Model
from simferry.sagemaker.predictor import csv_serializer

OCTAVE = """#!/usr/bin/env octave-cli
given = jsondecode(fileread('/opt/ml/input/config/hyperparameters.json'));
x = csvread('/opt/ml/input/data/training/data.csv');
gain = str2double(given.gain);
printf('gain=%g mean=%g\\n', gain, mean(x));
if gain < 0
  file = fopen('/opt/ml/output/failure', 'w');
  fprintf(file, 'the gain is negative');
  fclose(file);
  error('the gain is negative');
end
csvwrite('/opt/ml/model/fit.csv', gain * mean(x));
"""
DOCKERFILE = "FROM {}\nCOPY train /usr/local/bin/train\nUSER root\nRUN chmod 755 /usr/local/bin/train\nENTRYPOINT []\n"
PLAIN = r"""#!/bin/sh
gain=$(sed 's/.*"gain": "\([^"]*\)".*/\1/' /opt/ml/input/config/hyperparameters.json)
mean=$(awk '{ sum += $1 } END { print sum / NR }' /opt/ml/input/data/training/data.csv)
echo "gain=$gain mean=$mean"
if [ "$gain" -lt 0 ]; then
  printf 'the gain is negative' >/opt/ml/output/failure
  exit 1
fi
echo "$((gain * mean))" >/opt/ml/model/fit.csv
"""
# as the project's README has it, but for the import line
SUBMIT = """
import simferry.sagemaker as sage
from simferry.sagemaker.estimator import Estimator

sess = sage.Session()
role = sage.get_execution_role()
data_location = sess.upload_data("data", key_prefix="matlab/data")
matlab = Estimator(image, role, 1, "ml.c4.2xlarge", output_path="s3://{}/output".format(sess.default_bucket()), sagemaker_session=sess,
                   hyperparameters={"gain": 2}, metric_definitions=[{"Name": "mean", "Regex": "mean=([0-9.]+)"}])
matlab.fit(data_location)
"""
SUBMIT_R = """
sagemaker <- reticulate::import("simferry.sagemaker")
session <- sagemaker$Session()
data <- session$upload_data("data", key_prefix = "data")
estimator <- sagemaker$estimator$Estimator(
  image_uri = Sys.getenv("IMAGE"), role = sagemaker$get_execution_role(), instance_count = 1, instance_type = "ml.m5.large",
  volume_size = 5, max_run = 600, output_path = paste0("s3://", session$default_bucket(), "/out"), hyperparameters = list(gain = 2)
)
estimator$fit(list(training = sagemaker$inputs$TrainingInput(data, content_type = "text/csv")), wait = TRUE, logs = TRUE)
cat("model:", estimator$model_data, "\\n")
sagemaker$s3$S3Downloader$download(estimator$model_data, "model")
untar("model/model.tar.gz", exdir = "model")
cat("fit:", scan("model/fit.csv", quiet = TRUE), "\\n")
estimator$set_hyperparameters(gain = -1)
failed <- tryCatch(estimator$fit(data, logs = FALSE), error = conditionMessage)
cat("failed:", failed, "\\n")
again <- sagemaker$estimator$Estimator$attach(estimator$jobs[[1]]$name)
cat("attached:", again$hyperparameters()$gain, again$latest_training_job$describe()$TrainingJobStatus, "\\n")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.csv").write_text("1\n2\n6\n")
    return tmp_path


def pushed(engine, emulator, image):
    """The address of an image in the emulated ECR, after its push."""
    name = image.partition(":")[0]
    ecr = boto3.client("ecr")
    uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    engine.images.get(image).tag(uri, "latest")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    said = engine.images.push(uri, tag="latest", auth_config={"username": user, "password": password})
    assert "error" not in said, said
    return f"{uri}:latest"


def test_the_matlab_projects_way(engine, emulator, scrap, folder, monkeypatch, capsys):
    monkeypatch.setenv("SIMFERRY_ROLE", emulator.role)
    monkeypatch.setattr(engine.api, "timeout", 300)  # a push says nothing while it packs a layer
    known = {"image": pushed(engine, emulator, scrap.build(DOCKERFILE.format(BASE), train=PLAIN))}
    exec(SUBMIT, known)
    it, session = known["matlab"], known["sess"]
    assert "gain=2 mean=3\n" in capsys.readouterr().out
    told = it.latest_training_job.describe()
    assert told["TrainingJobStatus"] == "Completed" and told["FinalMetricDataList"][0]["Value"] == 3
    assert it.model_data == f"s3://{session.default_bucket()}/output/{it.latest_training_job.name}/output/model.tar.gz"
    sage.s3.S3Downloader.download(it.model_data, "back")
    with tarfile.open("back/model.tar.gz") as tar:
        assert tar.extractfile("fit.csv").read() == b"6\n"
    it.set_hyperparameters(gain=-1)
    with pytest.raises(UnexpectedStatusException, match="AlgorithmError: the gain is negative, exit code: 1"):
        it.fit(known["data_location"], logs=False)
    assert it.latest_training_job.describe()["TrainingJobStatus"] == "Failed"
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []


def test_r_trains_a_program_of_octave_through_reticulate(emulator, scrap, image_octave, folder):
    image = scrap.build(DOCKERFILE.format(image_octave), train=OCTAVE)
    has = (
        subprocess.run(["Rscript", "-e", "library(reticulate)"], capture_output=True, check=False)
        if shutil.which("Rscript")
        else None
    )
    require("reticulate", has is not None and has.returncode == 0, "R with reticulate is needed")
    (folder / "submit.R").write_text(SUBMIT_R)
    env = {**os.environ, "RETICULATE_PYTHON": sys.executable, "SIMFERRY_ROLE": emulator.role, "IMAGE": image}
    done = subprocess.run(
        ["Rscript", "--vanilla", "submit.R"], env=env, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "gain=2 mean=3" in lines and "fit: 6" in lines and "attached: 2 Completed" in lines
    assert any(line.startswith("failed: ") and "the gain is negative" in done.stdout for line in lines)


def test_a_model_is_deployed_asked_transformed_and_removed(engine, emulator, image_serve, folder):
    """As the decision trees' project: an endpoint answers CSV, and after it was deleted nothing is left."""
    (folder / "slope").write_text("2.5")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as out:
        out.add(folder / "slope", "slope")
    session = sage.Session()
    model = Model(
        image_serve, session.upload_data("model.tar.gz", key_prefix="m"), emulator.role, sagemaker_session=session
    )
    predictor = model.deploy(1, "ml.t2.medium", csv_serializer)
    predictor.accept = "text/csv"
    assert predictor.predict([[1], [2]]) == b"2.5\n5.0\n"
    with pytest.raises(AwsError, match="endpoint simferry-test-serve"):
        predictor.predict("no number")
    session.delete_endpoint(predictor.endpoint, with_config=True)
    transformer = model.transformer(1, "ml.m5.large", "MultiRecord", assemble_with="Line", accept="text/csv")
    transformer.transform(
        session.upload_data("data", key_prefix="d"), content_type="text/csv", split_type="Line", logs=False
    )
    assert sage.s3.S3Downloader.read_file(f"{transformer.output_path}/data.csv.out").split() == ["2.5", "5.0", "15.0"]
    model.delete_model()
    client = session.sagemaker_client
    assert not client.list_endpoints()["Endpoints"] and not client.list_endpoint_configs()["EndpointConfigs"]
    assert not client.list_models()["Models"] and left_behind(engine, f"simferry-emulator-{os.getpid()}") == []
