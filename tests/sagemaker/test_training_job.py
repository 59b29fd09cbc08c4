"""A training job that was started, and the channels that it is given."""

import pytest
from simferry.errors import UsageError
from simferry.sagemaker.inputs import TrainingInput
from simferry.sagemaker.training_job import TrainingJob, channels_of, logs_wanted


class Answers:
    """A session whose job has ended."""

    def __init__(self, **more):
        self.answer = {
            "TrainingJobName": "j",
            "TrainingJobStatus": "Completed",
            "ResourceConfig": {"InstanceCount": 2},
            **more,
        }

    def describe_training_job(self, name):
        return self.answer

    def logs_for_job(self, name, wait):
        print("its lines")


def test_what_is_to_be_paid_is_printed_after_the_logs(capsys):
    session = Answers(TrainingTimeInSeconds=100, BillableTimeInSeconds=30, EnableManagedSpotTraining=True)
    TrainingJob(session, "j").wait()
    assert capsys.readouterr().out == (
        "its lines\nTraining seconds: 200\nBillable seconds: 60\nManaged Spot Training savings: 70.0%\n"
    )
    assert not any(map(logs_wanted, (False, "None", None, []))) and all(map(logs_wanted, (True, "All", ["Training"])))
    with pytest.raises(UsageError, match="training job j has no model: it is Stopped"):
        TrainingJob(Answers(TrainingJobStatus="Stopped"), "j").model()


def test_channels_have_names_and_addresses(tmp_path):
    (one,) = channels_of(TrainingInput("s3://b/x", "ShardedByS3Key", input_mode="Pipe"), False)
    assert one["ChannelName"] == "training" and one["InputMode"] == "Pipe"
    assert one["DataSource"]["S3DataSource"]["S3DataDistributionType"] == "ShardedByS3Key"
    (one,) = channels_of({"a": f"file://{tmp_path}"}, True)
    assert one["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://this-machine{tmp_path}"
    assert channels_of(None, False) == []
    for given, here, words in (
        (f"file://{tmp_path}", False, "is not an address in S3"),
        (f"file://{tmp_path}/none", True, "there is no file or folder"),
        (3, False, "input training is 3"),
    ):
        with pytest.raises(UsageError, match=words):
            channels_of(given, here)
