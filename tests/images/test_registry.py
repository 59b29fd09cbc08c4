"""Pushing images: to a real registry on this machine, and ECR's part against moto."""

import os

import pytest
from aws_fixtures import ACCOUNT, REGION
from docker_fixtures import docker_config
from simferry.containers.engine import ImageError
from simferry.errors import UsageError
from simferry.images.find import find_or_push
from simferry.images.registry import RegistryError, check_names, push

ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DOCKERFILE = "FROM scratch\nCOPY one /one\nCOPY two /two\n"


@pytest.fixture(autouse=True)
def no_logins(monkeypatch, tmp_path):
    """Whoever runs these tests may be logged in somewhere."""
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "docker", "example.com", "a:b")))


@pytest.fixture
def image(scrap):
    return scrap.build(DOCKERFILE, one=os.urandom(4_000_000), two=os.urandom(1000))


# ---- the stack's repository ----


def test_without_a_registry_an_image_goes_to_the_repository_of_the_stack(emulator, image, scrap):
    from simferry import infra

    with pytest.raises(
        UsageError, match=r"there is no stack simferry whose repository takes the image\nsimferry.infra.deploy\(\)"
    ):
        push(scrap.name)
    repository = infra.deploy(yes=True, tell=lambda line: None).outputs["Repository"]
    pushed = push(scrap.name)
    assert pushed.uri.partition("/")[2] == f"{repository.partition('/')[2]}:{scrap.name}-{image.partition(':')[2]}"
    assert infra.show().images == [pushed.uri.partition("/")[2]]
    found = find_or_push(scrap.name, into=repository)
    assert found.uri.endswith(f"/{repository.partition('/')[2]}@{pushed.digest}")


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
