"""Models and their endpoints: the requests, what is refused, and one on this machine."""

import pytest
from aws_fixtures import ROLE
from sagemaker_fixtures import IMAGE
from simferry.errors import UsageError
from simferry.sagemaker.exceptions import UnexpectedStatusException
from simferry.sagemaker.model import Model
from simferry.sagemaker.serializers import CSVSerializer
from simferry.sagemaker.serverless import ServerlessInferenceConfig


@pytest.fixture
def asked(account):
    """The requests of hosting that go to SageMaker from here on, by operation."""
    seen = {}
    for name in (
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
    ):
        account("sagemaker").meta.events.register(
            f"provide-client-params.sagemaker.{name}", lambda params, name=name, **_: seen.update({name: dict(params)})
        )
    return seen


def test_an_endpoint_is_made_and_deleted_with_all_that_belongs_to_it(asked, session):
    model = Model(IMAGE, "s3://b/model.tar.gz", ROLE, name="m", env={"A": 1.0})
    predictor = model.deploy(1.0, "ml.t2.medium", CSVSerializer(), endpoint_name="e", tags={"k": "v"})
    assert predictor.endpoint_name == model.endpoint_name == "e" and predictor.content_type == "text/csv"
    tags = {"Tags": [{"Key": "k", "Value": "v"}]}
    assert asked == {
        "CreateModel": {
            "ModelName": "m", "ExecutionRoleArn": ROLE, **tags,
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://b/model.tar.gz", "Environment": {"A": "1"}},
        },
        "CreateEndpointConfig": {
            "EndpointConfigName": "e", **tags,
            "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "m", "InitialInstanceCount": 1,
                                    "InstanceType": "ml.t2.medium", "InitialVariantWeight": 1.0}],
        },
        "CreateEndpoint": {"EndpointName": "e", "EndpointConfigName": "e", **tags},
    }  # fmt: skip
    predictor.delete_model()
    predictor.delete_endpoint()
    assert asked["DeleteModel"] == {"ModelName": "m"} and asked["DeleteEndpoint"] == {"EndpointName": "e"}
    assert asked["DeleteEndpointConfig"] == {"EndpointConfigName": "e"}


def test_a_serverless_endpoint_has_no_machines_and_a_failed_one_says_why(asked, session, monkeypatch):
    model = Model(image=IMAGE, model_data="s3://b/model.tar.gz", role=ROLE)
    model.deploy(serverless_inference_config=ServerlessInferenceConfig(4096.0), endpoint_name="e", wait=False)
    (variant,) = asked["CreateEndpointConfig"]["ProductionVariants"]
    assert (
        variant["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 5} and "InstanceType" not in variant
    )
    answer = {"EndpointStatus": "Failed", "FailureReason": "no ping"}
    monkeypatch.setattr(session.sagemaker_client, "describe_endpoint", lambda **_: answer)
    with pytest.raises(UnexpectedStatusException, match="endpoint f is Failed: no ping") as caught:
        Model(IMAGE, None, ROLE).deploy(1, "ml.t2.medium", endpoint_name="f")
    assert 'delete_endpoint("f")' in caught.value.hint


def test_what_is_refused(session):
    for call, words in (
        (lambda: Model(), "Model needs image_uri"),
        (lambda: Model(IMAGE, entry_point="inference.py"), "entry_point of Model is not supported"),
        (lambda: Model(IMAGE, model="x"), "Model has no argument model"),
        (lambda: Model(IMAGE).deploy(1), "deploy needs instance_type"),
        (lambda: Model(IMAGE).deploy(1, "ml.t2.medium"), "Model needs role"),
        (lambda: Model(IMAGE, "file:///m", ROLE).deploy(1, "ml.t2.medium"), "has to be an address in S3"),
        (lambda: Model(IMAGE).deploy(1, "local", accelerator_type="x"), "accelerator_type of deploy is not supported"),
    ):
        with pytest.raises(UsageError, match=words):
            call()
