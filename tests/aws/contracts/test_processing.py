"""What the reasons tell that a job ended for."""

import pytest
from simferry.aws.contracts import processing as contract


@pytest.mark.parametrize(
    ("reason", "cut_short"),
    [
        ("MaxRuntimeExceeded: the job ran longer than 60 s", True),
        ("AlgorithmError: host algo-2 was lost (exit code 137)", True),
        ("AlgorithmError: exited with code 137", True),
        ("InternalServerError: We encountered an internal error. Please try again.", True),
        ("AlgorithmError: exited with code 137: out of memory (ml.m5.large has 8 GiB)", False),
        ("AlgorithmError: exited with code 1", False),
        ("AlgorithmError: the API said InternalServerError, exit code: 1", False),
        ("AlgorithmError: exited with code 137, exit code: 1", False),
        ("ClientError: no such image", False),
        ("", False),
    ],
)
def test_a_job_that_was_cut_short_is_known_by_its_reason(reason, cut_short):
    assert contract.cut_short(reason) == cut_short
