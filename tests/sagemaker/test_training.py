"""Estimators: version 2's and 1's arguments, the requests that they send, jobs in Docker here, and what is refused."""

import json
import re
import tarfile

import pytest
import simferry.sagemaker as sagemaker
from aws_fixtures import ACCOUNT, REGION, ROLE
from sagemaker_fixtures import BUCKET, IMAGE, TIMED
from simferry.errors import UsageError
from simferry.sagemaker.estimator import Estimator
from simferry.sagemaker.exceptions import UnexpectedStatusException
from simferry.sagemaker.pytorch import PyTorch
from simferry.sagemaker.s3 import S3Downloader
from simferry.sagemaker.script_mode import script_of

FRAMEWORK = f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.0-cpu-py310"
TRAIN = """import os, sys
print("loss=0.5\\nloss=0.25", flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
    file.write(" ".join(sys.argv[1:]) + open(os.path.join(os.environ["SM_CHANNEL_TRAINING"], "a.csv")).read())
if os.environ.get("FAIL"):
    sys.exit("as it was told")
"""


@pytest.fixture
def trained(account):
    """The requests for training jobs that go to SageMaker from here on."""
    seen = []
    account("sagemaker").meta.events.register(
        "before-call.sagemaker.CreateTrainingJob", lambda params, **_: seen.append(json.loads(params["body"]))
    )
    return seen


def test_an_estimator_of_an_image_sends_version_2s_request(trained, session):
    it = Estimator(
        IMAGE, ROLE, 2.0, "ml.m5.xlarge", volume_size=10, max_run=60, max_wait=120, use_spot_instances=True, base_job_name="b",
        hyperparameters={"n": 10.0, "rate": 0.1 + 0.2, "flag": True, "list": [1.0, "a"]}, subnets="subnet-1",
        security_group_ids=["sg-1"], environment={"A": 1.0}, tags={"k": "v"}, checkpoint_s3_uri="s3://b/c",
        metric_definitions={"Name": "loss", "Regex": "loss=(.*)"}, output_kms_key="key", debugger_hook_config=False,
    )  # fmt: skip
    it.set_hyperparameters(more="x")
    it.fit({"train": "s3://b/train", "test": sagemaker.TrainingInput("s3://b/t", content_type="text/csv")}, wait=False)
    (found,) = trained
    assert re.fullmatch(f"b-{TIMED}", found.pop("TrainingJobName"))
    source = {"S3DataType": "S3Prefix", "S3DataDistributionType": "FullyReplicated"}
    assert found == {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "HyperParameters": {"n": "10", "rate": "0.30000000000000004", "flag": "True", "list": "[1, 'a']", "more": "x"},
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": {"S3DataSource": {**source, "S3Uri": "s3://b/train"}}},
            {"ChannelName": "test", "ContentType": "text/csv", "DataSource": {"S3DataSource": {**source, "S3Uri": "s3://b/t"}}},
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/", "KmsKeyId": "key"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
        "RoleArn": ROLE,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://b/c"},
        "Environment": {"A": "1"},
        "Tags": [{"Key": "k", "Value": "v"}],
    }  # fmt: skip
    assert it.latest_training_job.name == it.jobs[0].job_name


def test_version_1s_names_are_taken(trained, session):
    it = Estimator(image_name=IMAGE, role=ROLE, train_instance_count=1, train_instance_type="ml.m5.large", train_volume_size=5,
                   train_max_run=60)  # fmt: skip
    it.fit(sagemaker.s3_input("s3://b/x"), wait=False, job_name="mine")
    assert trained[0]["ResourceConfig"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
    assert trained[0]["StoppingCondition"] == {"MaxRuntimeInSeconds": 60}
    assert trained[0]["InputDataConfig"][0]["ChannelName"] == "training"
    with pytest.raises(UsageError, match="both instance_count and train_instance_count"):
        Estimator(IMAGE, ROLE, 1, "ml.m5.large", train_instance_count=2)


def test_a_script_travels_as_the_image_needs_it(trained, session, r_script, tmp_path, monkeypatch):
    """AWS's framework images have the toolkit that hyperparameters lead; all others get simferry's."""
    monkeypatch.setattr("simferry.aws.session.is_loopback", lambda _: False)  # they can't run in an emulator
    (tmp_path / "data" / "train.py").write_text(TRAIN)
    given = {"entry_point": "train.py", "source_dir": "data", "dependencies": ["simulate.R"]}
    for name, image in (("theirs", FRAMEWORK), ("mine", IMAGE)):
        Estimator(image, ROLE, 1, "ml.m5.large", **given).fit(wait=False, job_name=name)
    theirs, mine = trained
    assert theirs["HyperParameters"] == {
        "sagemaker_submit_directory": f'"s3://{BUCKET}/theirs/source/sourcedir.tar.gz"',
        "sagemaker_program": '"train.py"',
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": '"theirs"',
        "sagemaker_region": f'"{REGION}"',
    }
    S3Downloader.download(f"s3://{BUCKET}/theirs/source/sourcedir.tar.gz", str(tmp_path / "back"))
    with tarfile.open(tmp_path / "back" / "sourcedir.tar.gz") as tar:
        assert set(tar.getnames()) == {"train.py", "a.csv", "simulate.R"}
    assert "HyperParameters" not in mine
    place = "/opt/ml/input/data/simferry_driver"
    program = mine["AlgorithmSpecification"]
    assert program["ContainerEntrypoint"] == ["sh", f"{place}/start.sh"]
    assert program["ContainerArguments"] == [f"{place}/sourcedir.tar.gz", "train.py"]
    assert mine["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/mine/source/"
    assert f"s3://{BUCKET}/mine/source/simferry_toolkit/script.py" in S3Downloader.list(f"s3://{BUCKET}/mine/source")


def test_what_is_refused(trained, session, r_script):
    for options, words in (
        ({"role": None}, "Estimator needs role"),
        ({"instanse_type": 1}, "Estimator has no argument instanse_type"),
        ({"rules": ["x"]}, "rules of Estimator is not supported"),
        ({"output_path": "file:///tmp"}, "output_path is 'file:///tmp', and has to be an address in S3"),
    ):
        with pytest.raises(UsageError, match=words):
            Estimator(**{"image_uri": IMAGE, "role": ROLE, "instance_type": "ml.m5.large", **options})
    it = Estimator(IMAGE, ROLE, 1, "ml.m5.large")
    with pytest.raises(UsageError, match="the estimator has no training job yet"):
        _ = it.model_data
    with pytest.raises(UsageError, match="input training: 'data' is not an address in S3") as caught:
        it.fit("data")
    assert "upload_data" in caught.value.hint
    with pytest.raises(UsageError, match=r"there is no script nowhere.py in source_dir data"):
        Estimator(IMAGE, ROLE, 1, "ml.m5.large", entry_point="nowhere.py", source_dir="data").fit()
    with pytest.raises(UsageError, match="greater than or equal to MaxRuntimeInSeconds"):
        Estimator(IMAGE, ROLE, 1, "ml.m5.large", use_spot_instances=True, max_run=60, max_wait=5).fit()
    assert trained == []


def test_a_job_is_attached(trained, session):
    Estimator(IMAGE, ROLE, 1, "ml.m5.large", hyperparameters={"n": 1}).fit(wait=False, job_name="mine")
    it = Estimator.attach("mine", session)
    assert type(it) is Estimator and it.hyperparameters() == {"n": "1"} and it.image_uri == IMAGE
    assert it.model_data == f"s3://{BUCKET}/mine/output/model.tar.gz"
    assert ACCOUNT in it.role


def test_an_attached_script_can_be_run_again(trained, session, r_script, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    mpi = {"mpi": {"enabled": True, "processes_per_host": 2, "custom_mpi_options": "-x A"}}
    given = {
        "hyperparameters": {"a": "x", "n": 3},
        "environment": {"A": "b"},
        "distribution": mpi,
        "image_uri": IMAGE,
        "role": ROLE,
    }
    PyTorch("train.py", instance_type="ml.m5.large", **given).fit("s3://b/x", wait=False, job_name="one")
    it = PyTorch.attach("one", session)
    assert it.hyperparameters() == {"a": "x", "n": 3}
    it.fit("s3://b/x", wait=False, job_name="two")
    one, two = trained
    assert (
        two["InputDataConfig"][2]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/one/source/sourcedir.tar.gz"
    )
    assert two["AlgorithmSpecification"]["ContainerArguments"] == [
        "/opt/ml/input/data/simferry_source/sourcedir.tar.gz",
        "train.py",
    ]
    for name in ("HyperParameters", "ResourceConfig", "StoppingCondition"):
        assert one[name] == two[name]
    assert script_of(one)["distribution"] == mpi and script_of(one)["environment"] == {"A": "b"}


def test_a_script_is_trained_here_with_folders(engine, image_python, r_script, monkeypatch, capsys, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "train.py").write_text(TRAIN)
    given = {"entry_point": "train.py", "output_path": f"file://{tmp_path}/out", "hyperparameters": {"lr": 0.1},
             "metric_definitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]}  # fmt: skip
    it = Estimator(image_python, instance_type="local", **given)
    it.fit(f"file://{tmp_path}/data")
    assert capsys.readouterr().out == "loss=0.5\nloss=0.25\n"
    assert it.model_data == f"file://{tmp_path}/out/{it.latest_training_job.name}/output/model.tar.gz"
    with tarfile.open(it.model_data.removeprefix("file://")) as tar:
        assert tar.extractfile("model.txt").read() == b"--lr 0.1x\n1\n"
    (metric,) = it.latest_training_job.describe()["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("loss", 0.25)
    it = Estimator(image_python, instance_type="local", environment={"FAIL": "yes"}, **given)
    with pytest.raises(
        UnexpectedStatusException, match=r"AlgorithmError: train.py ended with exit code 1: as it was told"
    ):
        it.fit(f"file://{tmp_path}/data", logs=False)
    assert it.latest_training_job.describe()["TrainingJobStatus"] == "Failed"
    with pytest.raises(UsageError, match="has no model: it is Failed"):
        _ = it.model_data


MPI = """import os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
hosts = world.gather(os.environ["SM_CURRENT_HOST"])
if world.rank == 0:
    print(world.size, sorted(hosts), sys.argv[1:], flush=True)
    sys.exit("bad luck" if "-b" in sys.argv else 0)
"""


def test_a_script_runs_with_mpi_on_all_hosts(engine, image_mpi, r_script, capsys, tmp_path):
    (tmp_path / "train.py").write_text(MPI)
    mpi = {"mpi": {"enabled": True, "processes_per_host": 2.0, "custom_mpi_options": "-x A"}}
    given = {
        "entry_point": "train.py",
        "output_path": f"file://{tmp_path}/out",
        "instance_count": 2,
        "instance_type": "local",
    }
    it = Estimator(image_mpi, distributions=mpi, hyperparameters={"b": 1}, environment={"A": "b"}, **given)
    with pytest.raises(
        UnexpectedStatusException, match=r"AlgorithmError: train.py ended with exit code 1: (.|\n)*bad luck"
    ):
        it.fit()
    assert "[algo-1] 4 ['algo-1', 'algo-1', 'algo-2', 'algo-2'] ['-b', '1']" in capsys.readouterr().out.splitlines()
    for wrong, words in (({"smdistributed": {"dataparallel": {"enabled": True}}}, "distribution is"),
                         ({"mpi": {"enabled": True, "custom_mpi_options": "-np 3"}}, "-np is for simferry to say")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            Estimator(image_mpi, distribution=wrong, **given)
    assert Estimator(image_mpi, distribution={"mpi": {"enabled": False}}, **given)._mpi is None
