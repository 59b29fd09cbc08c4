"""The decision-trees project's way, in real containers behind the emulator: train, deploy, ask, transform, delete; nothing is left."""

import json
import tarfile
from pathlib import Path

import boto3
import pandas as pd
import pytest
import simferry as sf
from click.testing import CliRunner
from hosted_models import archive
from simferry.aws.policies import policy
from simferry.aws.session import AccessDenied, AwsError
from simferry.cli import main
from simferry.containers.engine import run_once
from simferry.errors import UsageError

IRIS = Path(__file__).parents[2] / "simulations" / "decision_trees" / "iris.csv"
IN_PROCESS = """
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
iris = load_iris(as_frame=False)
names = iris.target_names[iris.target]
print(*DecisionTreeClassifier(max_leaf_nodes=3).fit(iris.data, names).predict(iris.data))
"""
MAY = {"Account": "123456789012", "Bucket": "", "Prefix": "simferry/", "Region": "us-east-1", "Role": "simferry"}
LISTS = {"Endpoints": "list_endpoints", "EndpointConfigs": "list_endpoint_configs", "Models": "list_models"}


@pytest.fixture
def account(emulate, monkeypatch, tmp_path):
    """An emulator whose user has docs/iam/user.json and hosting.json only, and whose jobs have role.json."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("SIMFERRY_STORE", "SIMFERRY_STACK", "SIMFERRY_PRICES"):
        monkeypatch.delenv(name, raising=False)
    emulator = emulate(iam=True)
    statements = [
        one for name in ("user", "hosting") for one in policy(name, **{**MAY, "Bucket": emulator.bucket})["Statement"]
    ]
    emulator._client("iam", "us-east-1").put_user_policy(
        UserName="simferry-user", PolicyName="simferry",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )  # fmt: skip
    return emulator


def command(*words, code=0):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result


def left(emulator) -> dict[str, list]:
    """What is there of endpoints, and of files that were uploaded for them."""
    sagemaker, s3 = (emulator._client(name, "us-east-1") for name in ("sagemaker", "s3"))
    found = {key: getattr(sagemaker, operation)()[key] for key, operation in LISTS.items()}
    listed = s3.list_objects_v2(Bucket=emulator.bucket, Prefix="simferry/hosting/")
    return {**found, "objects": [one["Key"] for one in listed.get("Contents", [])]}


def test_trees_are_deployed_asked_and_deleted(account, engine, image_sklearn, tmp_path):
    rows = pd.read_csv(IRIS, header=None)
    run = sf.run(
        f"image:{image_sklearn}", sf.grid(max_leaf_nodes=[3]), replications=2, seed=1, store=tmp_path / "runs", backend="docker",
        inputs={"training": IRIS}, results_file="result.json", replications_as="splits",
    )  # fmt: skip
    with tarfile.open("model.tar.gz", "w:gz") as packed:
        packed.add(run.folder / "artifacts" / "1" / "1" / "model", ".")
    rows[[1, 2, 3, 4]].to_csv("data.csv", header=False, index=False)
    deploy = (
        "endpoint",
        "deploy",
        image_sklearn,
        "--name",
        "trees",
        "--model",
        "model.tar.gz",
        "--instance-type",
        "ml.t2.medium",
    )
    told = command(*deploy, "--budget", "1.35", "--yes").stderr.splitlines()
    assert (
        told[1].startswith("  1 x ml.t2.medium: $0.056 an hour, $1.34 a day until it is deleted")
        and "  Creating" in told
    )
    assert "0.06 an hour" in command("endpoint", "list").stdout
    by_command = command("endpoint", "invoke", "trees", "data.csv").stdout.split()
    served = sf.Endpoint("trees")
    assert served.predict(rows[[1, 2, 3, 4]]).tolist() == by_command
    done = sf.transform(image_sklearn, "model.tar.gz", "data.csv", "answers", tell=lambda line: None)
    assert Path(done.files[0]).read_text().split() == by_command and done.files == ["answers/data.csv.out"]
    alone = run_once(engine, image_sklearn, ["python3", "-c", IN_PROCESS])[1]
    assert alone.split() == by_command
    with pytest.raises(AwsError, match="its container answered 400: the body has 1 columns"):
        served.invoke("1\n")
    assert "gunicorn" in command("endpoint", "logs", "trees").stdout
    command("endpoint", "delete", "trees")
    assert not any(left(account).values())
    assert account.actions >= {one for one in _hosting() if "Stop" not in one}


def _hosting() -> set[str]:
    some = [one["Action"] for one in policy("hosting", **MAY)["Statement"]]
    return {action for one in some for action in ([one] if isinstance(one, str) else one)}


def test_what_fails_says_why_and_is_deleted(account, image_serve, tmp_path):
    """A model that can't be loaded; then one that may not be read."""
    Path("model.tar.gz").write_bytes(archive("no number"))
    with pytest.raises(AwsError, match="endpoint slope has failed: ") as failed:
        sf.Endpoint.deploy(image_serve, "model.tar.gz", name="slope", yes=True, tell=lambda line: None)
    assert (
        "\nits log ends with:\n" in failed.value.message
        and "could not convert string to float: 'no number'" in failed.value.message
    )
    assert [len(some) for some in left(account).values()] == [1, 1, 1, 1]
    boto3.client("sagemaker").delete_endpoint(EndpointName="slope")  # as a deletion that was interrupted
    sf.Endpoint("slope").delete(tell=lambda line: None)
    assert not any(left(account).values())
    with pytest.raises(AccessDenied):
        sf.Endpoint.deploy(image_serve, "s3://secret/model.tar.gz", yes=True, tell=lambda line: None)


def test_a_serverless_endpoint_answers(account, image_serve):
    Path("model.tar.gz").write_bytes(archive("2.5"))
    served = sf.Endpoint.deploy(
        image_serve, "model.tar.gz", name="slope", serverless=True, yes=True, tell=lambda line: None
    )
    assert served.predict([[2], [4]]).tolist() == [5, 10] and served.describe().costs == "nothing while idle"
    served.delete(tell=lambda line: None)
    assert not any(left(account).values())


def test_what_runs_is_shown_and_keeps_its_stack_and_its_image(emulate, image_serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    emulate()
    quiet = {"yes": True, "tell": lambda line: None}
    outputs = sf.infra.deploy("lab", **quiet).outputs
    Path("model.tar.gz").write_bytes(archive("2.5"))
    served = sf.Endpoint.deploy(image_serve, "model.tar.gz", name="slope", stack="lab", **quiet)
    found = served.describe()
    assert (
        found.models
        and f"/{outputs['Repository'].partition('/')[2]}@sha256:" in found.images[0]
        and found.stack == "lab"
    )
    assert "endpoint slope  InService, 1 x ml.t2.medium, $0.06 an hour" in str(sf.infra.show("lab"))
    assert (sf.infra.show("lab").instances, sf.infra.show("lab").dollars_an_hour) == (1, 0.056)
    listed = str(sf.infra.list_all())
    assert "endpoint slope  InService, 1 x ml.t2.medium, $0.06 an hour  (stack lab)" in listed
    assert "runs now: 1 endpoint, $0.06 an hour" in listed and f"sagemaker:model model/{found.models[0]}" in listed
    assert sf.infra.prune_images(keep=0, used=True, **quiet).images == []
    with pytest.raises(UsageError, match=r"nothing is deleted: 1 endpoint of stack lab still runs \(slope\)"):
        sf.infra.delete("lab", **quiet)
    served.delete(tell=lambda line: None)
    assert "endpoint" not in str(sf.infra.list_all())
    assert sf.infra.delete("lab", data=True, **quiet)
