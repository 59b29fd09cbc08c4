"""What an image says of itself: here, and in ECR."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from simferry.aws.session import AwsError
from simferry.images import config as module
from simferry.images.config import config_here, config_in_ecr, entrypoint_of
from simferry.images.find import find_or_push

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


def test_images_of_recipes(image_python, image_r):
    found = config_here(image_python)
    assert (found.entrypoint, found.carries, found.runs, found.architecture) == (("python3",), True, True, "amd64")
    found = config_here(image_r)
    assert (found.entrypoint, found.carries, found.runs) == (("Rscript",), False, True)
    assert entrypoint_of(image_r) == ("Rscript",)


def test_images_of_others(scrap, image_python, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 3)
    assert config_here("no-such-image") is None and entrypoint_of("no-such-image") == ()
    plain = config_here("debian:bookworm-slim")
    assert (plain.entrypoint, plain.carries, plain.runs) == ((), False, True)
    for text, carries, runs in (
        ('ENTRYPOINT ["python3", "app.py"]', False, False),
        ('ENTRYPOINT ["sleep", "100"]', False, False),  # does not look at what it is given
        ("ENTRYPOINT exec sleep 100", False, False),
        ('ENTRYPOINT ["env", "A=1"]', True, True),
        ("USER root\nRUN rm -rf /opt/ml && chmod 755 /opt\nUSER simulation\nENTRYPOINT []", False, True),
        ("USER root\nRUN rm -f /etc/ssl/certs/*\nENTRYPOINT []", False, True),  # it would trust nobody
    ):
        found = config_here(scrap.build(f"FROM {image_python}\n{text}\n"))
        assert (found.carries, found.runs) == (carries, runs), text
    assert not [one for one in scrap.left() if not one.startswith("sha256:")]


def test_an_image_in_ecr(emulator, scrap, image_r):
    name = scrap.build(f'FROM {image_r}\nENTRYPOINT ["Rscript", "x.R"]\n')
    address = find_or_push(name).uri
    found = config_in_ecr(address, "amd64")
    assert found == module.ImageConfig(("Rscript", "x.R"), "amd64", False, False)
    digest = address.partition("@")[2]
    with pytest.raises(AwsError, match="there is no image"):
        config_in_ecr(address.replace(digest[-4:], "0000"), "amd64")
    # an index of images for several machines, as docker buildx makes them
    ecr, repository = boto3.client("ecr"), address.partition("/")[2].partition("@")[0]
    parts = [
        {"digest": digest, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": f"sha256:{'0' * 64}", "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": parts}
    ecr.put_image(repositoryName=repository, imageManifest=json.dumps(index), imageTag="index")
    assert config_in_ecr(f"{HOST}/{repository}:index", "amd64").entrypoint == ("Rscript", "x.R")
    assert entrypoint_of(f"{HOST}/{repository}:index") == ("Rscript", "x.R")


def test_layers_of_the_emulated_ecr(emulator, scrap):
    address = find_or_push(scrap.build("FROM debian:bookworm-slim\n")).uri
    repository, _, digest = address.partition("/")[2].partition("@")
    ecr = boto3.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"]
    wanted = json.loads(image["imageManifest"])["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=wanted)["downloadUrl"]
    assert json.loads(urllib.request.urlopen(url).read())["os"] == "linux"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url[:-1])
    with pytest.raises(ecr.exceptions.LayersNotFoundException):
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=f"sha256:{'0' * 64}")
