"""Jobs that have failed are errors, as in version 2."""

import pytest
from simferry.sagemaker.exceptions import CapacityError, UnexpectedStatusException, check_status


def description(status, **more):
    return {"ProcessingJobName": "j", "ProcessingJobStatus": status, **more}


@pytest.mark.parametrize("status", ["Completed", "Stopped", "InProgress"])
def test_other_states_are_no_error(status):
    assert check_status(description(status, FailureReason="none")) is None


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"FailureReason": "AlgorithmError: 1"}, UnexpectedStatusException, "j has failed: AlgorithmError: 1"),
        ({"FailureReason": "CapacityError: no"}, CapacityError, "j has failed: CapacityError: no"),
        ({"ExitMessage": "oops"}, UnexpectedStatusException, "the service gives no reason\nIts exit message: oops"),
    ],
)
def test_a_failed_job_is_told_with_its_reason(more, kind, words):
    with pytest.raises(UnexpectedStatusException) as caught:
        check_status(description("Failed", **more), "do this")
    error = caught.value
    assert type(error) is kind and error.message.endswith(words) and error.hint == "do this"
    assert (error.actual_status, error.allowed_statuses) == ("Failed", ("Completed", "Stopped"))
