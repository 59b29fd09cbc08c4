"""Batch transform: the request, and what is refused."""

import pytest
from aws_fixtures import ROLE
from sagemaker_fixtures import BUCKET, IMAGE
from simferry.errors import UsageError
from simferry.sagemaker.model import Model
from simferry.sagemaker.transformer import Transformer


def test_the_request_is_version_2s(account, session):
    sent = []
    account("sagemaker").meta.events.register(
        "provide-client-params.sagemaker.CreateTransformJob", lambda params, **_: sent.append(dict(params))
    )
    it = Model(IMAGE, "s3://b/m.tar.gz", ROLE, name="m").transformer(
        1, "ml.m5.large", "MultiRecord", assemble_with="Line", max_payload=6.0, env={"A": 1}
    )
    it.transform(
        "s3://b/data", content_type="text/csv", split_type="Line", join_source="Input", job_name="t", wait=False
    )
    assert sent == [
        {
            "TransformJobName": "t", "ModelName": "m", "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 6, "Environment": {"A": "1"},
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/data"}},
                               "ContentType": "text/csv", "SplitType": "Line"},
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/t", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "DataProcessing": {"JoinSource": "Input"},
        }
    ]  # fmt: skip
    assert it.latest_transform_job == "t" and it.output_path == f"s3://{BUCKET}/t"


def test_what_is_refused(session):
    with pytest.raises(UsageError, match="Transformer needs instance_type"):
        Transformer("m")
    with pytest.raises(UsageError, match="a Transformer of instance_type 'local' needs the model itself"):
        Transformer("m", 1, "local")
    it = Transformer("m", 1, "ml.m5.large")
    with pytest.raises(UsageError, match="there is no transform job yet"):
        it.wait()
    with pytest.raises(UsageError, match="data is 'x', and has to be an address in S3"):
        it.transform("x")
