"""docker login and docker push to the emulated ECR, as published scripts do it."""

import base64
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from types import SimpleNamespace

import boto3
import pytest
from common import require
from docker_fixtures import left_behind
from emulator_fixtures import Jobs
from simferry.emulator import registry as registry_module
from simferry.emulator.calls import Refusal
from simferry.emulator.registry import Registry

# as the build_and_push scripts of AWS's examples do it; the registry's host comes from repositoryUri
BUILD_AND_PUSH = """
set -e
python=$1 name=$2
uri=$("$python" -c 'import boto3, sys
ecr = boto3.client("ecr")
try:
    found = ecr.describe_repositories(repositoryNames=[sys.argv[1]])["repositories"][0]
except ecr.exceptions.RepositoryNotFoundException:
    found = ecr.create_repository(repositoryName=sys.argv[1])["repository"]
print(found["repositoryUri"])' "$name")
"$python" -c 'import base64, boto3
token = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
print(base64.b64decode(token).decode().partition(":")[2], end="")' | docker login --username AWS --password-stdin "${uri%%/*}"
docker tag "$name" "$uri:latest"
docker push "$uri:latest"
echo "pushed $uri:latest"
"""


def test_a_published_build_and_push_script_runs(engine, scrap, emulator, image_r, tmp_path, monkeypatch):
    require("docker", shutil.which("docker") is not None, "the docker command is not installed")
    name = scrap.name
    engine.images.get(image_r).tag(name, "latest")
    env = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "docker")}
    command = ["bash", "-c", BUILD_AND_PUSH, "build_and_push.sh", sys.executable, name]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    uri = done.stdout.splitlines()[-1].removeprefix("pushed ")
    assert uri == f"{emulator.registry}/{name}:latest"
    ecr = boto3.client("ecr")
    (found,) = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert found["imageTags"] == ["latest"] and f"digest: {found['imageDigest']} " in done.stdout
    jobs = Jobs(emulator, uri)
    for job, image in (("by-uri", uri), ("by-ecr", f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{name}:latest")):
        jobs.submit(job, "1", image=image)
        assert jobs.wait(job)["ProcessingJobStatus"] == "Completed"
    wrong = subprocess.run(
        ["docker", "login", "--username", "AWS", "--password-stdin", emulator.registry],
        env=env, input="123456789012-auth-token", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert wrong.returncode != 0 and "401" in wrong.stderr


def test_an_image_that_was_removed_since_its_push_is_pulled_back(engine, scrap, emulator, image_r):
    built, uri = scrap.build(f"FROM {image_r}\n"), f"{emulator.registry}/{scrap.name}"
    engine.images.get(built).tag(uri, "1")
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=scrap.name)
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    said = engine.images.push(uri, tag="1", auth_config={"username": user, "password": password})
    assert "error" not in said, said
    for tag in {f"{uri}:1", *engine.images.get(built).tags}:
        engine.images.remove(tag)
    assert not engine.images.list(scrap.name) and not engine.images.list(uri)
    jobs = Jobs(emulator, uri)
    for job, image in (
        ("by-tag", f"{uri}:1"),
        ("again", f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{scrap.name}:1"),
    ):
        jobs.submit(job, "1", image=image)
        assert jobs.wait(job)["ProcessingJobStatus"] == "Completed", jobs.wait(job).get("FailureReason")


def test_it_is_on_loopback_takes_one_password_and_ends_with_the_emulator(emulate):
    require(
        "docker", any(map(shutil.which, registry_module.PROGRAMS)), "docker-registry is not installed (make docker)"
    )
    emulator = emulate()
    ecr = boto3.client("ecr")
    (token,) = ecr.get_authorization_token()["authorizationData"]
    assert token["proxyEndpoint"] == f"http://{emulator.registry}" and emulator.registry.startswith("127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://{emulator.registry}/v2/")
    asked = urllib.request.Request(
        f"http://{emulator.registry}/v2/", headers={"Authorization": f"Basic {token['authorizationToken']}"}
    )
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 200
    emulator.stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(asked)
    emulator.start()


def test_where_only_docker_is_it_is_a_container(scrap, tmp_path, monkeypatch, engine):
    program = shutil.which("docker-registry")
    require("docker", program is not None, "docker-registry is not installed (make docker)")
    with open(program, "rb") as file:
        image = scrap.build(
            "FROM debian:bookworm-slim\nCOPY registry /usr/bin/registry\nRUN chmod 755 /usr/bin/registry\n"
            'ENTRYPOINT ["/usr/bin/registry"]\n',
            registry=file.read(),
        )
    monkeypatch.setattr(registry_module, "PROGRAMS", ())
    monkeypatch.setattr(registry_module, "IMAGE", image)
    made = Registry(
        SimpleNamespace(folder=tmp_path, client=engine, owner="simferry-test-registry"), "http://127.0.0.1:1"
    )
    assert made.is_there()
    made.start()
    assert made._get("_catalog") == b'{"repositories":[]}\n'
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://{made.host}/v2/")
    made.stop()
    assert left_behind(engine, "simferry-test-registry") == []


def test_without_a_registry_it_says_what_to_install(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(registry_module, "PROGRAMS", ())
    monkeypatch.setattr(registry_module, "IMAGE", "127.0.0.1:9/no-such-registry:2")
    made = Registry(SimpleNamespace(folder=tmp_path, client=engine, owner="nobody"), "http://127.0.0.1:1")
    assert not made.is_there()
    with pytest.raises(Refusal, match=r"has no registry: .*\(.*Install docker-registry"):
        made.start()
