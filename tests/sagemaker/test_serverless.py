"""Endpoints without machines."""

from simferry.sagemaker.serverless import ServerlessInferenceConfig


def test_numbers_from_r_are_whole():
    assert ServerlessInferenceConfig(4096.0, 2.0)._to_request_dict() == {"MemorySizeInMB": 4096, "MaxConcurrency": 2}
