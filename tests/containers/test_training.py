"""One job under SageMaker Training's contract, in real containers: what a program finds there, and how jobs end."""

import json
import tarfile
import time

import pytest
from docker_fixtures import BASE, left_behind
from simferry.aws.limits import RequestRefused
from simferry.containers.job import ContainerJob
from simferry.containers.storage import Files, local_uri
from simferry.containers.training import INTERRUPTED, Training, pack
from simferry.system.untrusted import Tree


@pytest.fixture
def job(tmp_path, engine):
    """Makes a job whose program is a shell script; without one it is the image's own."""

    def make(script=None, hosts=1, image=BASE, contract=None, **more):
        program = {"ContainerEntrypoint": ["sh", "-c"], "ContainerArguments": [script]} if script else {}
        request = {
            "TrainingJobName": "a-job",
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File", **program},
            "OutputDataConfig": {"S3OutputPath": local_uri(tmp_path / "out")},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "RoleArn": "arn:aws:iam::000000000000:role/some-role",
            **more,
        }
        made.append(ContainerJob(engine, request, contract or Training(), Files(), tmp_path / "ml", tmp_path.name))
        return made[-1]

    made = []
    yield make
    for one in made:
        one.discard()
    assert left_behind(engine, tmp_path.name) == []


def ended(job):
    job.start()
    while (outcome := job.poll()).status == "InProgress":
        time.sleep(0.05)
    return outcome


def archive(tmp_path, name):
    """The files of model.tar.gz or output.tar.gz."""
    with tarfile.open(tmp_path / "out" / "a-job" / "output" / f"{name}.tar.gz") as packed:
        return {member.name: packed.extractfile(member).read().decode() for member in packed}


def test_the_contract_of_a_job(job, tmp_path):
    (tmp_path / "data.csv").write_text("x\n1\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": local_uri(tmp_path / "data.csv")}
    channel = {"ChannelName": "training", "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}
    script = (
        "cd /opt/ml; cp -r input/config output/data/; cp input/data/training/data.csv model/; mkdir model/in; "
        "echo $TRAINING_JOB_NAME $MINE > model/in/names"
    )
    given = {"gain": "0.5", "n": "20"}
    outcome = ended(job(script, HyperParameters=given, InputDataConfig=[channel], Environment={"MINE": "yes"}))
    assert outcome.status == "Completed"
    assert archive(tmp_path, "model") == {"data.csv": "x\n1\n", "in/names": "a-job yes\n"}
    config = {name: json.loads(text) for name, text in archive(tmp_path, "output").items()}
    assert config["config/hyperparameters.json"] == given
    assert config["config/inputdataconfig.json"] == {
        "training": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None",
                     "ContentType": "text/csv"}
    }  # fmt: skip
    assert config["config/resourceconfig.json"] == {
        "current_host": "algo-1", "current_instance_type": "ml.m5.large", "hosts": ["algo-1"], "network_interface_name": "eth0"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "AlgorithmError: exited with code 3"),
        ("echo no convergence > /opt/ml/output/failure; exit 3", "AlgorithmError: no convergence, exit code: 3"),
        # programs that write that they have failed, and end as if they had not
        ("echo bad data > /opt/ml/output/failure", "AlgorithmError: bad data, exit code: 0"),
        ("echo bad data > /opt/ml/output/failure.txt", "AlgorithmError: bad data, exit code: 0"),
        ("mkdir /opt/ml/output/failure; echo 'no licence' > /opt/ml/output/failure/why.txt",
         "failure is a folder; the contract has a file there, with the reason why the program failed. In the folder: no licence"),
        (": > /opt/ml/output/failure", "AlgorithmError: output/failure is empty, exit code: 0"),
        ("ln -s /etc/passwd /opt/ml/output/failure",
         "AlgorithmError: /opt/ml/output/failure is there and can't be read: it has to be a plain file, exit code: 0"),
        ("ln -s /etc/passwd /opt/ml/output/failure; exit 1", "AlgorithmError: exited with code 1"),
    ],
)  # fmt: skip
def test_a_job_that_fails_is_failed(job, script, reason):
    outcome = ended(job(script))
    assert outcome.status == "Failed"
    assert reason in outcome.failure_reason
    assert len(outcome.failure_reason) < 1100


def test_a_failed_job_has_its_output_and_no_model(job, tmp_path):
    assert ended(job("echo 1 > /opt/ml/model/m; echo 2 > /opt/ml/output/data/o; exit 1")).status == "Failed"
    assert archive(tmp_path, "output") == {"o": "2\n"}
    assert not (tmp_path / "out" / "a-job" / "output" / "model.tar.gz").exists()


def test_at_its_time_limit_a_job_may_save_its_model(job, tmp_path):
    script = "trap 'echo saved > /opt/ml/model/m; exit 0' TERM; while :; do sleep 0.1; done"
    outcome = ended(job(script, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert outcome.status == "Stopped"
    assert outcome.failure_reason.startswith("MaxRuntimeExceeded")
    assert archive(tmp_path, "model") == {"m": "saved\n"}


def test_a_job_that_does_not_heed_sigterm_is_killed_after_the_grace(job):
    class Hasty(Training):
        grace_seconds = 1

    made = job("trap '' TERM; while :; do sleep 0.1; done", contract=Hasty())
    made.start()
    made.stop("enough")
    assert made.poll().status == "InProgress"
    while (outcome := made.poll()).status == "InProgress":
        time.sleep(0.05)
    assert (outcome.status, outcome.failure_reason) == ("Stopped", "enough")


def test_the_models_of_two_hosts_are_merged(job, tmp_path):
    script = (
        'cat /opt/ml/input/config/resourceconfig.json | grep -o \'"current_host": "algo-.\' > /opt/ml/model/$(hostname)'
    )
    assert ended(job(script, hosts=2)).status == "Completed"
    assert archive(tmp_path, "model") == {f"algo-{i}": f'"current_host": "algo-{i}\n' for i in (1, 2)}


def test_checkpoints_are_sent_while_the_job_runs(job, tmp_path):
    checkpoints = {"S3Uri": local_uri(tmp_path / "kept"), "LocalPath": "/opt/ml/checkpoints"}
    made = job("echo 1 > /opt/ml/checkpoints/c; sleep 60", CheckpointConfig=checkpoints)
    made.start()
    while not (tmp_path / "kept" / "c").exists():
        assert made.poll().status == "InProgress"
        time.sleep(0.05)
    made.stop("enough", at_once=True)
    while made.poll().status == "InProgress":
        time.sleep(0.05)


def test_checkpoints_come_back_at_the_start(job, tmp_path):
    (tmp_path / "kept" / "old").mkdir(parents=True)
    (tmp_path / "kept" / "old" / "c").write_text("1")
    checkpoints = {"S3Uri": local_uri(tmp_path / "kept"), "LocalPath": "/opt/ml/mine/"}
    outcome = ended(job("cd /opt/ml/mine; cat old/c > /opt/ml/model/m; echo 2 > new", CheckpointConfig=checkpoints))
    assert outcome.status == "Completed" and archive(tmp_path, "model") == {"m": "1"}
    assert (tmp_path / "kept" / "new").read_text() == "2\n"


def test_a_job_that_is_interrupted_leaves_its_checkpoints_and_no_model(job, tmp_path):
    checkpoints = {"S3Uri": local_uri(tmp_path / "kept")}
    script = "trap 'echo saved > /opt/ml/checkpoints/c; echo 1 > /opt/ml/model/m; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    made = job(script, CheckpointConfig=checkpoints)
    made.start()
    while "ready" not in made.logs("algo-1"):
        time.sleep(0.05)
    made.stop(INTERRUPTED)
    while (outcome := made.poll()).status == "InProgress":
        time.sleep(0.05)
    assert outcome.status == "Interrupted" and (tmp_path / "kept" / "c").read_text() == "saved\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/output/../model"}},
         "LocalPath must be a folder of its own below /opt/ml/"),
        ({"HyperParameters": {f"p{i}": "1" for i in range(101)}}, "length less than or equal to 100"),
        ({"HyperParameters": {"p": "x" * 2501}}, "length less than or equal to 2500"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds (missing)"),
        ({"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8}},
         "greater than or equal to MaxRuntimeInSeconds (9)"),
    ],
)  # fmt: skip
def test_requests_that_the_service_refuses(job, more, message):
    with pytest.raises(RequestRefused) as refused:
        job("true", **more)
    assert message in refused.value.message


def test_links_are_not_packed(tmp_path):
    from simferry.containers.training import pack

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("12")
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    pack([Tree(tmp_path / "a")], tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as packed:
        assert packed.getnames() == ["x"]


def test_a_file_with_holes_that_does_not_fit_on_the_disk_is_not_packed(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "kept").write_text("kept")
    with open(tmp_path / "model" / "holes", "wb") as file:
        file.truncate(1 << 43)
    tree = Tree(tmp_path, ("model",))
    pack([tree], tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as packed:
        assert packed.getnames() == ["kept"]
    assert list(tree.passed_over) == ["model/holes"]
