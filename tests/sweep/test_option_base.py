"""Options of one dataclass that do not go together: one clear error each, in the words of the face."""

import pytest
from simferry.errors import UsageError
from simferry.hints import Face
from simferry.sweep.option_base import Given
from simferry.sweep.options import DockerOptions, SagemakerOptions, check


def test_an_option_is_spelled_as_the_user_gave_it():
    given = Given("sagemaker", "max_wait")
    assert [given.spelled(face) for face in (Face.SHELL, Face.PYTHON, Face.FILE)] == [
        "--max-wait", "max_wait", "[sagemaker] max_wait",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spot": True, "service": "processing"}, "spot is for training jobs: SageMaker Processing has no Spot machines"),
        ({"spot": True, "max_runtime": 600, "max_wait": 599}, r"max_wait is 599 s, less than .*, 600 s \(max_runtime\)"),
        ({"spot": True, "max_wait": 3600}, r"max_wait is 3600 s, less than the time limit of a job, 86400 s"),
        ({"service": "training", "max_wait": 9e4}, "max_wait is for Spot machines"),
        ({"keep_alive": 60}, "keep_alive is for training jobs, and these are processing jobs"),
        ({"attempts": 2}, "attempts is for training jobs"),
        ({"spot": True, "keep_alive": 60}, "keep_alive does not go with Spot machines"),
        ({"spot": True, "instance_type": "ml.m5.large,ml.c5.xlarge"}, "instance_type names several types, which SageMaker"),
        ({"service": "training", "keep_alive": 21_601}, "keep_alive is 21601; it has to be a whole number from 0 to 21600"),
        ({"service": "serving"}, 'service is "serving"; it has to be processing or training'),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_error(options, message):
    with pytest.raises(UsageError, match=message):
        check(SagemakerOptions, options)


def test_which_jobs_run():
    runner = [check(SagemakerOptions, given).runner for given in ({}, {"service": "processing"}, {"spot": False})]
    assert runner == ["sagemaker"] * 3
    assert all(
        check(SagemakerOptions, given).runner == "training" for given in ({"spot": True}, {"service": "training"})
    )
    assert check(SagemakerOptions, {"spot": True, "max_wait": 600, "max_runtime": 600}).max_wait == 600
    assert DockerOptions(image="x").runner == "docker" and DockerOptions().conflicts() == []
