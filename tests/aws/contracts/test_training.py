"""Hyperparameters and channels as CreateTrainingJob takes them."""

import math

import pytest
from simferry.aws.contracts import training as contract
from simferry.errors import UsageError


@pytest.mark.parametrize(
    ("value", "text"),
    [(20.0, "20"), (20, "20"), (0.1 + 0.2, "0.30000000000000004"), (True, "true"), (None, "NA"), (-math.inf, "-Inf"),
     ("a b", "a b"), ([1.0, 2.5], "[1, 2.5]"), (["a", "b"], '["a", "b"]'), (1e300, "1e+300")],
)  # fmt: skip
def test_values_as_texts(value, text):
    assert contract.hyperparameter(value) == text


def test_hyperparameters_that_no_job_takes_are_refused():
    contract.check_hyperparameters({f"p{i}": "x" * 2500 for i in range(100)})
    for given, message in [
        ({f"p{i}": "1" for i in range(101)}, "there are 101 hyperparameters; a training job takes 100"),
        ({"p": "x" * 2501}, "hyperparameter p has 2,501 characters; a training job takes 2,500"),
        ({"": "x"}, "a name has 1 to 256 characters"),
    ]:
        with pytest.raises(UsageError) as refused:
            contract.check_hyperparameters(given)
        assert message in refused.value.message


def test_the_input_configuration_has_each_channel():
    channel = contract.channel("training", "s3://b/x", sharded=True)
    request = {"AlgorithmSpecification": {"TrainingInputMode": "File"}, "InputDataConfig": [channel]}
    assert contract.input_config(request) == {
        "training": {"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key", "RecordWrapperType": "None"}
    }
