"""Names and requests of endpoints: the service's model accepts them, and a second attempt makes the same names."""

import pytest
from simferry.aws.contracts import hosting
from simferry.aws.limits import check_request
from simferry.errors import UsageError

ROLE = "arn:aws:iam::123456789012:role/simferry"
TAGS = [{"Key": "made-by", "Value": "simferry"}]


def model(owner="trees", image="i@sha256:1", archive="s3://b/model.tar.gz"):
    return hosting.model_request(owner, image, ROLE, archive, {"A": "1"}, TAGS)


@pytest.mark.parametrize("place", [hosting.on_instances("ml.t2.medium", 2), hosting.serverless(2048, 5)])
def test_requests_are_those_of_the_services_model(place):
    of_model = model()
    config = hosting.config_request("trees", of_model["ModelName"], place, TAGS)
    check_request("sagemaker", "CreateModel", of_model)
    check_request("sagemaker", "CreateEndpointConfig", {k: v for k, v in config.items() if k != "ProductionVariants"} | {
        "ProductionVariants": [{k: v for k, v in config["ProductionVariants"][0].items() if k != "InitialVariantWeight"}]
    })  # fmt: skip
    check_request("sagemaker", "CreateEndpoint", hosting.endpoint_request("trees", config["EndpointConfigName"], TAGS))


@pytest.mark.parametrize(("split", "assembled"), [("Line", "Line"), ("None", "None")])
def test_the_request_of_a_transform_job(split, assembled):
    formats = {"content_type": "text/csv", "accept": "text/csv", "split": split, "strategy": "MultiRecord"}
    asked = hosting.transform_request("t", "m", "s3://b/in/", "s3://b/out", ("ml.m5.large", 1), formats, TAGS)
    check_request("sagemaker", "CreateTransformJob", asked)
    assert asked["TransformOutput"]["AssembleWith"] == assembled and ("BatchStrategy" in asked) == (split == "Line")


def test_what_is_made_of_the_same_has_the_same_name():
    name = model()["ModelName"]
    assert name == model()["ModelName"] and hosting.is_own_name("trees", name)
    assert (
        len(
            {
                name,
                model(image="i@sha256:2")["ModelName"],
                model("other")["ModelName"],
                model(archive=None)["ModelName"],
            }
        )
        == 4
    )
    long = model("a" * 63)["ModelName"]
    assert len(long) == 63 and hosting.is_own_name("a" * 63, long)
    assert not hosting.is_own_name("trees", "trees-1234") and not hosting.is_own_name("tree", name)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("simferry-sklearn", "simferry-sklearn"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/lab/my_image:v1.2", "my-image"),
        ("localhost:5000/a@sha256:00", "a"),
        ("__", "endpoint"),
    ],
)
def test_an_endpoint_is_named_after_its_image(image, name):
    assert hosting.name_for(image) == name
    hosting.check_name(name)


@pytest.mark.parametrize("name", ["", "a_b", "-a", "a-", "a" * 64, "a b"])
def test_names_that_are_none(name):
    with pytest.raises(UsageError, match="is no name of an endpoint"):
        hosting.check_name(name)
