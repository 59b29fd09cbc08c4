"""Pushing images: to a real registry on this machine, and ECR's part against moto."""

import json
import os
import urllib.request

import pytest
from aws_fixtures import forget_clients
from docker_fixtures import docker_config
from simferry.aws.session import AwsError, CredentialsError, NoAnswer
from simferry.containers.engine import ImageError
from simferry.images.ecr import KEPT_IMAGES, ecr_login
from simferry.images.registry import RegistryError, check_names, push

ACCOUNT, REGION = "123456789012", "us-west-2"
ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DOCKERFILE = "FROM scratch\nCOPY one /one\nCOPY two /two\n"


@pytest.fixture(autouse=True)
def no_logins(monkeypatch, tmp_path):
    """Whoever runs these tests may be logged in somewhere."""
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "docker", "example.com", "a:b")))


@pytest.fixture
def image(scrap):
    return scrap.build(DOCKERFILE, one=os.urandom(4_000_000), two=os.urandom(1000))


# ---- a registry ----


def test_push_and_push_again(registry, scrap, image):
    host = registry().host
    lines = []
    pushed = push(scrap.name, f"{host}/lab", lines.append)
    tag = image.partition(":")[2]
    assert pushed.uri == f"{host}/lab/{scrap.name}:{tag}" and not pushed.skipped
    assert pushed.digest == scrap.client.images.get_registry_data(pushed.uri).id
    layers = {line.partition(":")[0] for line in lines if line.endswith(": Pushed")}
    assert len(layers) == 2
    assert any(" % of 4.0 MB" in line for line in lines)

    again = push(scrap.name, f"{host}/lab")
    assert again.skipped and (again.uri, again.digest) == (pushed.uri, pushed.digest)


def test_what_was_pushed_can_be_pulled_by_its_digest(registry, scrap, image):
    pushed = push(image, registry().host)
    before = scrap.client.images.get(image).id
    repository = pushed.uri.rpartition(":")[0]
    assert scrap.client.images.pull(f"{repository}@{pushed.digest}").id == before
    # by the name that it has there, to yet another registry
    assert push(pushed.uri, f"{registry().host}/copy").uri.endswith(f"/copy/{scrap.name}:{image.partition(':')[2]}")


def test_another_image_of_the_recipe_is_pushed(registry, scrap, image):
    """What is skipped is a digest, not a name."""
    host = registry().host
    first = push(image, host)
    scrap.client.images.remove(image, force=True)
    scrap.client.images.remove(first.uri, force=True)
    scrap.build(DOCKERFILE, one=b"another", two=b"content")
    second = push(scrap.name, host)
    assert not second.skipped and second.digest != first.digest


def test_a_refused_login(registry, scrap, image):
    host = registry(login=True).host
    with pytest.raises(RegistryError) as caught:
        push(image, host)
    assert caught.value.message.startswith(f"{host} refuses the login: ") and "\n" not in caught.value.message
    assert caught.value.hint == f"docker login {host}" and caught.value.exit_code == 1
    assert not [t for t in scrap.client.images.get(image).tags if host in t]


def test_a_login_from_dockers_configuration(registry, monkeypatch, tmp_path, scrap, image):
    host = registry(login=True).host
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "right", host, "ferry:secret")))
    assert not push(image, host).skipped
    assert push(image, host).skipped
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "wrong", host, "ferry:guessed")))
    with pytest.raises(RegistryError, match="refuses the login") as caught:
        push(image, host)
    assert "guessed" not in str(caught.value)


def test_a_registry_that_does_not_answer(registry, scrap, image):
    gone = registry()
    gone.stop()
    with pytest.raises(RegistryError, match=f"{gone.host} can't be reached: ") as caught:
        push(image, gone.host)
    assert "Is the name right" in caught.value.hint
    assert not [t for t in scrap.client.images.get(image).tags if gone.host in t]


def test_an_image_that_is_not_here(engine):
    with pytest.raises(ImageError, match="there is no image simferry-nothing here"):
        push("simferry-nothing", "127.0.0.1:5000")


@pytest.mark.parametrize(
    "name, to, words",
    [
        ("Simferry_R", ECR, "ECR does not take the repository name 'Simferry_R'"),
        ("a--b", ECR, ""),
        ("simferry-r", f"{ECR}/Lab", "ECR does not take the repository name 'Lab/simferry-r'"),
        ("simferry-r", f"{ECR}/lab//x", "ECR does not take the repository name"),
        ("r", ECR, "ECR does not take the repository name 'r'"),
        ("x" * 257, ECR, "Names have 2 to 256 characters"),
        ("simferry-r", "12345.dkr.ecr.us-west-2.amazonaws.com", "with 12 digits"),
        ("simferry-r", "my registry", "'my registry' is no registry's name"),
        ("simferry-r", "registry", "'registry' is no registry's name"),
        ("simferry-r", "localhost/Upper", "localhost does not take the repository name 'Upper/simferry-r'"),
    ],
)
def test_names_that_a_registry_would_refuse(name, to, words):
    host, _, path = to.partition("/")
    repository = f"{path}/{name}" if path else name
    if not words:
        check_names(host, repository, host == ECR)
        return
    with pytest.raises(ImageError) as caught:
        push(name, to)  # before anything is asked of Docker or AWS
    assert words in str(caught.value)


# ---- ECR ----


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """A client of an ECR of moto's."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):  # the region is that of the registry's address
        monkeypatch.delenv(name, raising=False)
    forget_clients()
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    yield boto3.client("ecr", region_name=REGION)
    server.stop()
    forget_clients()


def test_a_repository_is_made(aws):
    lines = []
    login = ecr_login(ACCOUNT, REGION, "lab/simferry-r", lines.append)
    assert login["username"] == "AWS" and login["password"]
    assert lines == ["making repository lab/simferry-r"]
    (made,) = aws.describe_repositories(repositoryNames=["lab/simferry-r"])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    (rule,) = json.loads(aws.get_lifecycle_policy(repositoryName="lab/simferry-r")["lifecyclePolicyText"])["rules"]
    assert rule["action"] == {"type": "expire"}
    assert rule["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES}


def test_a_repository_that_is_there_is_left_as_it_is(aws):
    aws.create_repository(repositoryName="simferry-r", imageTagMutability="MUTABLE")
    lines = []
    assert ecr_login(ACCOUNT, REGION, "simferry-r", lines.append)["username"] == "AWS"
    (there,) = aws.describe_repositories()["repositories"]
    assert lines == [] and there["imageTagMutability"] == "MUTABLE"
    with pytest.raises(aws.exceptions.LifecyclePolicyNotFoundException):
        aws.get_lifecycle_policy(repositoryName="simferry-r")


def test_what_ecr_refuses_is_said_in_its_words(aws):
    with pytest.raises(AwsError) as caught:
        ecr_login(ACCOUNT, REGION, "not a name", lambda _: None)
    assert caught.value.message.startswith(f"ECR of account {ACCOUNT} in {REGION}: AWS refuses CreateRepository: ")
    assert caught.value.message.endswith("(InvalidParameterException)")
    assert aws.describe_repositories()["repositories"] == []


def test_no_credentials(aws, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    forget_clients()
    with pytest.raises(CredentialsError) as caught:
        ecr_login(ACCOUNT, REGION, "simferry-r", lambda _: None)
    assert caught.value.message == f"there are no AWS credentials for ECR of account {ACCOUNT} in {REGION}"
    assert "aws sso login" in caught.value.hint and caught.value.exit_code == 1


def test_aws_can_not_be_reached(aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_clients()
    with pytest.raises(NoAnswer, match=r"AWS can't be asked: http://127\.0\.0\.1:9 does not answer"):
        ecr_login(ACCOUNT, REGION, "simferry-r", lambda _: None)
