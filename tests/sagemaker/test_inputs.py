"""Inputs and outputs in the shape of version 2."""

from types import SimpleNamespace

import pytest
from simferry.errors import UsageError
from simferry.sagemaker.inputs import ProcessingInput, ProcessingOutput


def test_an_object_of_the_sdks_holds_the_same_fields():
    fields = {"s3_data_type": "ManifestFile", "s3_input_mode": "Pipe", "s3_compression_type": "Gzip"}
    s3 = SimpleNamespace(s3_uri="s3://b/k", local_path="/in", s3_data_distribution_type="ShardedByS3Key", **fields)
    plain = ProcessingInput("s3://b/k", "/in", "data", s3_data_distribution_type="ShardedByS3Key", **fields)
    assert ProcessingInput(input_name="data", s3_input=s3)._request("s3://b/k") == plain._request("s3://b/k") == {
        "InputName": "data",
        "S3Input": {
            "S3Uri": "s3://b/k", "LocalPath": "/in", "S3DataType": "ManifestFile", "S3InputMode": "Pipe",
            "S3DataDistributionType": "ShardedByS3Key", "S3CompressionType": "Gzip",
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ProcessingInput(dataset_definition={}), "dataset_definition and app_managed are not supported"),
        (lambda: ProcessingInput(app_managed=True), "dataset_definition and app_managed are not supported"),
        (lambda: ProcessingOutput(feature_store_output={}), "feature_store_output and app_managed are not supported"),
        (lambda: ProcessingInput("a", "/in", "data", s3_compression_type="Gzip")._request("s3://b"), "Gzip is for"),
    ],
)
def test_what_is_not_supported_is_refused(make, words):
    with pytest.raises(UsageError, match=words):
        make()
