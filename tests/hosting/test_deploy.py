"""Deploying endpoints: costs first, one question, nothing twice, and errors that say what is left."""

import boto3
import pytest
from aws_fixtures import ACCOUNT, REGION
from botocore.exceptions import ClientError
from hosting_accounts import IMAGE, archive, left
from simferry import Endpoint
from simferry.aws.session import AwsError, CredentialsError, QuotaError
from simferry.errors import Interrupted, NoAnswer, UsageError
from simferry.hosting import deploy, resources

MADE = {"yes": True, "instance_type": "ml.t2.medium", "tell": lambda line: None}


def test_costs_are_told_and_a_no_makes_nothing(hosting):
    told, asked = [], []
    given = {"tell": told.append, "confirm": lambda question: asked.append(question)}
    assert Endpoint.deploy(IMAGE, "model.tar.gz", instances=2, **given) is None
    assert told[0] == f"endpoint trees in {REGION}, account {ACCOUNT}" and asked == ["Deploy?"]
    assert told[1].startswith(
        "  2 x ml.t2.medium: $0.112 an hour, $2.69 a day until it is deleted (prices of us-west-2"
    )
    assert told[-1] == "nothing is deployed" and not any(left().values())
    assert Endpoint.deploy(IMAGE, serverless=True, **given) is None
    assert "serverless: nothing while it is idle, at most $0.72 an hour, $17.28 a day (2,048 MB, 5 requests" in told[4]


def test_an_endpoint_is_made_once_and_deleted_whole(hosting):
    made = Endpoint.deploy(IMAGE, "model.tar.gz", **MADE)
    found, before = made.describe(), left()
    assert (found.name, found.status, found.where, found.ours) == ("trees", "InService", "1 x ml.t2.medium", True)
    assert found.dollars_an_hour == 0.056 and str(found).endswith("InService, 1 x ml.t2.medium, $0.06 an hour")
    assert [len(some) for some in before.values()] == [1, 1, 1, 1] and before["objects"][0].startswith(
        "simferry/hosting/trees/"
    )
    told = []
    Endpoint.deploy(IMAGE, "model.tar.gz", **{**MADE, "tell": told.append})  # takes it up
    assert "  it is there already, made with the same model and machines" in told and left() == before
    with pytest.raises(UsageError, match=r"endpoint trees exists already, made of another model") as refused:
        Endpoint.deploy(IMAGE, None, **MADE)
    assert 'simferry.Endpoint("trees").delete()  deletes it; or choose another name' in refused.value.hint
    made.delete(tell=told.append)
    assert not any(left().values()) and told[-1].startswith("  model trees-")
    made.delete(tell=told.append)
    assert told[-1] == "there is no endpoint trees in us-west-2"


def test_a_model_of_the_users_own_is_not_deleted_wherever_it_lies(hosting):
    s3, key = boto3.client("s3"), "simferry/hosting/trees/0123456789abcdef/model.tar.gz"
    s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="mine", Key=key, Body=archive())
    Endpoint.deploy(IMAGE, f"s3://mine/{key}", **MADE).delete(tell=lambda line: None)
    assert left() == {"endpoints": [], "configs": [], "models": [], "objects": [key]}


def test_an_interrupted_attempt_is_taken_up_and_an_interrupted_deletion_too(hosting, monkeypatch):
    def interrupted(name, tell):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(deploy, "settled", interrupted)
        with pytest.raises(Interrupted, match="endpoint trees is being created, and costs until it is deleted"):
            Endpoint.deploy(IMAGE, "model.tar.gz", **MADE)
    hosting.delete_endpoint(EndpointName="trees")  # as if it had come before the endpoint
    made = Endpoint.deploy(IMAGE, "model.tar.gz", **MADE)
    assert [len(some) for some in left().values()] == [1, 1, 1, 1]
    hosting.delete_endpoint(EndpointName="trees")
    made.delete(tell=lambda line: None)
    assert not any(left().values())


@pytest.mark.parametrize("kind", ["model", "endpoint_config", "endpoint"])
def test_a_lost_answer_is_found_again(hosting, monkeypatch, kind):
    """The request is executed, and its answer is an error; of another one the repetition is refused."""
    create, seen = getattr(hosting, f"create_{kind}"), []

    def lost(**request):
        seen.append(create(**request))
        raise NoAnswer("AWS could not say")

    monkeypatch.setattr(hosting, f"create_{kind}", lost)
    assert Endpoint.deploy(IMAGE, **MADE).status == "InService" and len(seen) == 1

    def twice(**request):
        create(**request)
        create(**request)  # as botocore repeats it

    Endpoint("trees").delete(tell=lambda line: None)
    monkeypatch.setattr(hosting, f"create_{kind}", twice)
    if kind != "endpoint_config":  # moto takes a second one
        assert Endpoint.deploy(IMAGE, **MADE).status == "InService"


def test_a_failure_tells_why_the_last_lines_and_what_is_left(hosting, monkeypatch):
    states = iter(["Creating", "Creating", "Failed"])
    real = resources.state

    def state(name):
        found = real(name)
        return found and {**found, "EndpointStatus": next(states), "FailureReason": "no ping"}

    monkeypatch.setattr(resources, "state", state)
    monkeypatch.setattr(resources.endpoints, "lines", lambda name: {"AllTraffic/i-1": ["a", "no module named b"]})
    told = []
    with pytest.raises(AwsError) as failed:
        Endpoint.deploy(IMAGE, **{**MADE, "tell": told.append})
    assert failed.value.message == "endpoint trees has failed: no ping\nits log ends with:\n  a\n  no module named b"
    assert 'Endpoint("trees").delete()  deletes what is left: the endpoint, its' in failed.value.hint
    assert told[2] == "  Creating" and told[3].startswith("  Failed after ")


def test_a_quota_leaves_what_costs_nothing(hosting, monkeypatch):
    def refuse(**request):
        answer = {
            "Error": {"Code": "ResourceLimitExceeded", "Message": "The limit 'ml.t2.medium for endpoint usage' is 0"}
        }
        raise ClientError(answer, "CreateEndpoint")

    monkeypatch.setattr(hosting, "create_endpoint", refuse)
    with pytest.raises(QuotaError, match="for endpoint usage' is 0") as refused:
        Endpoint.deploy(IMAGE, **MADE)
    assert "deletes what is left, which costs nothing" in refused.value.hint
    monkeypatch.undo()


REFUSED = [
    ({"instance_type": "m5.large"}, "no instance type 'm5.large'\nDid you mean ml.m5.large"),
    ({"instance_type": "ml.t3.medium"}, "no instance type 'ml.t3.medium'\nDid you mean ml.t2.medium"),
    ({"instances": 0}, "instances is 0"),
    ({"instances": "2"}, 'instances is "2"; it has to be a whole number'),
    ({"serverless": True, "memory": 2048.5}, "memory is 2048.5; it has to be a whole number"),
    ({"budget": "2"}, 'budget is "2"; it is US dollars a day'),
    ({"budget": float("nan")}, "budget is .*; it is US dollars a day"),
    ({"serverless": True, "instances": 1}, "a serverless endpoint has no instances"),
    ({"serverless": True, "memory": 2000}, "memory is 2000; it is 1024, 2048"),
    ({"serverless": True, "concurrency": 201}, "concurrency is 201; it is 1 to 200"),
    ({"memory": 2048}, "memory and concurrency are those of serverless endpoints"),
    ({"name": "a_b"}, "'a_b' is no name of an endpoint"),
    ({"env": {"AWS_SECRET_ACCESS_KEY": "x"}}, "looks like a credential"),
    ({"instances": 2, "budget": 2.68}, r"would cost \$2.69 a day, which is more than the budget of \$2.68"),
    ({"serverless": True, "budget": 17}, r"would cost at most \$17.28 a day"),
    ({"instance_type": "ml.g5.xlarge", "budget": 17}, "the price of ml.g5.xlarge is not known"),
]


def test_options_that_are_refused_before_anything_is_made(hosting):
    for given, text in REFUSED:
        with pytest.raises(UsageError, match=text):
            Endpoint.deploy(IMAGE, "model.tar.gz", yes=True, **given)
    assert not any(left().values())


def test_an_endpoint_of_others_is_not_touched(hosting):
    hosting.create_model(ModelName="m", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn="arn:aws:iam::1:role/x")
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    hosting.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    hosting.create_endpoint(EndpointName="trees", EndpointConfigName="c")
    with pytest.raises(UsageError, match="endpoint trees exists already"):
        Endpoint.deploy(IMAGE, yes=True)
    with pytest.raises(UsageError, match="endpoint trees was not made by simferry") as refused:
        Endpoint("trees").delete()
    assert refused.value.hint.startswith('simferry.Endpoint("trees").delete(any=True)  deletes it')
    Endpoint("trees").delete(any=True, tell=lambda line: None)
    assert not hosting.list_endpoints()["Endpoints"] and not hosting.list_models()["Models"]


def test_without_credentials_there_is_one_error(hosting, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    from aws_fixtures import forget_clients

    forget_clients()
    with pytest.raises(CredentialsError, match="there are no AWS credentials for endpoint trees"):
        Endpoint.deploy(IMAGE)
